"""What the released code's own random numbers must give: the claims of ``released_code``, and the readers of its JSON.

On the same random numbers a printed number is held to its last digit, and a point read off a plot to CLEAR. :func:`released`
answers for the claims of the other figures too: what the same quantity is on the released streams.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ...curves import Numbers, spread
from ...rules import Claim, Within, around
from ...settings import OPTIMIZERS
from .factors import CLEAR, LOSS
from .published import CODE_RATIOS, CONDITIONS, LOSSES, NONLINEAR_LOSSES, RATIOS
from .settings import NAMES

IN_TABLE = (750, 1250)  # the iterations that the paper prints
MOVED = 1.05  # fragile: of the means of runs that differ by rounding the largest is more than this many times the smallest
PARTED = 0.02  # two runs have parted where a ratio differs by more
LAST_PLOTTED = {10_000: 9_950}  # the released plot ends one point before the end
AFTER = 5_000  # from where on Adam's plotted loss is level
KEYS = {o: o.lower() for o in OPTIMIZERS}  # names in the JSON


# ---------------------------------------------------------------- readers


def at(values: Numbers, iteration: int, count: int) -> Numbers:
    """One number for each seed from {iteration: numbers}; NaN where it was not run."""
    return spread(np.array(values.get(str(iteration)) or [None] * count, float))


def ratio(setting: str, iteration: int, numbers: Numbers) -> Numbers:
    """R_med(SGD) / R_med(Adam) of each seed."""
    return at(numbers.get(setting, {}).get("condition_ratio", {}), iteration, len(numbers["seeds"]))


def condition(setting: str, optimizer: str, iteration: int, numbers: Numbers) -> Numbers:
    """R_med of each seed."""
    return at(numbers["condition"].get(setting, {}).get(KEYS[optimizer], {}), iteration, len(numbers["seeds"]))


def loss(setting: str, optimizer: str, iteration: int, numbers: Numbers) -> Numbers:
    """The loss of each seed on the released test batch."""
    return loss_from(numbers["curves"].get(setting), optimizer, LAST_PLOTTED.get(iteration, iteration), len(numbers["seeds"]))


def nonlinear_loss(optimizer: str, iteration: int, numbers: Numbers) -> Numbers:
    """The training loss of each seed before its step ``iteration``."""
    return loss_from(numbers.get("nonlinear"), optimizer, iteration, len(numbers["seeds"]))


def loss_from(curves: Numbers | None, optimizer: str, iteration: int, count: int) -> Numbers:
    """One number for each seed from loss curves."""
    if curves is None or iteration not in curves["iterations"]:
        return spread([np.nan] * count)
    return spread(np.array(curves[KEYS[optimizer]], float)[:, curves["iterations"].index(iteration)])


def level(setting: str, optimizer: str, numbers: Numbers) -> Numbers:
    """The mean loss of each seed from iteration AFTER on."""
    curves = numbers["curves"].get(setting)
    later = [] if curves is None else [k for k, t in enumerate(curves["iterations"]) if t >= AFTER]
    if not later:
        return spread([np.nan] * len(numbers["seeds"]))
    return spread(np.array(curves[KEYS[optimizer]], float)[:, later].mean(axis=1))


def share_above(setting: str, numbers: Numbers) -> Numbers:
    """The share of the measured iterations at which SGD's R_med is above Adam's."""
    values = numbers.get(setting, {}).get("condition_ratio", {})
    return spread((np.array(list(values.values()), float) > 1).mean(axis=0) if values else [np.nan] * len(numbers["seeds"]))


def final_ratio(setting: str, numbers: Numbers) -> Numbers:
    """SGD's last loss over Adam's, seed by seed."""
    curves = numbers["curves"].get(setting)
    if curves is None:
        return spread([np.nan] * len(numbers["seeds"]))
    sgd, adam = (np.array(curves[KEYS[o]], float)[:, -1] for o in OPTIMIZERS)
    return spread(sgd / adam)


def released(claim_id: str, numbers: Numbers) -> Numbers | None:
    """What the released streams give for a claim of any figure of this paper, as ``spread`` gives it; None: not measured on them.

    numbers: the JSON of ``released_code``. Judge it by the claim's own rule, and read ``rounding_in_words`` beside it.
    """
    reader = READERS.get(claim_id)
    found = None if reader is None else reader(numbers)
    return None if found is None or found["median"] is None else found


# ---------------------------------------------------------------- fragile numbers


def rounded_means(setting: str, iteration: int, numbers: Numbers) -> list[float]:
    """The mean over seeds of the ratio, for each of the runs whose initial weights differ by rounding."""
    rows = numbers["rounding"].get(setting, {}).get(str(iteration), [])
    return [float(np.mean(np.array(row, float))) for row in rows]


def is_fragile(setting: str, iteration: int, numbers: Numbers) -> bool | None:
    """Whether rounding decides the printed number; None where it was not tried."""
    means = rounded_means(setting, iteration, numbers)
    return max(means) > MOVED * min(means) if means else None


def rounding_in_words(setting: str, iteration: int, numbers: Numbers) -> str:
    """What rounding does to a number of the table."""
    means = rounded_means(setting, iteration, numbers)
    if not means:
        return ""
    printed = to_the_digit(RATIOS[setting, iteration][0], "mean")
    where = "inside" if printed.low <= max(means) and min(means) <= printed.high else "outside"
    fragile = is_fragile(setting, iteration, numbers)
    verdict = f"FRAGILE, rounding moves it by more than {MOVED - 1:.0%}" if fragile else "not fragile"
    return (
        f"means of {len(means)} runs whose initial weights differ by 1e-7: {min(means):.3g} to {max(means):.3g}, "
        f"the paper's lies {where}; {verdict}"
    )


def parting(setting: str, numbers: Numbers) -> int:
    """The last iteration up to which rounding the initial weights by 1e-7 changes no seed's ratio by more than PARTED."""
    last = 0
    for t, change in numbers["parting"][setting].items():
        if change is None or change > PARTED:
            break
        last = int(t)
    return last


def parting_in_words(setting: str, numbers: Numbers) -> str:
    """How far along the run the numbers of single seeds mean something."""
    last = parting(setting, numbers)
    return (
        f"{NAMES[setting]}: rounding by 1e-7 changes no seed's ratio by more than {PARTED:.0%} up to iteration {last}, and does "
        "after it"
    )


# ---------------------------------------------------------------- the claims


def to_the_digit(value: float, statistic: str) -> Within:
    """What rounds to a number of the paper's table: two decimals below ten, one above."""
    half = 0.05 if value >= 10 else 0.005
    return Within(round(value - half, 4), round(value + half, 4), statistic)


def claims() -> Iterator[Claim]:
    """The printed table to the digit, and the points of the released code's plots."""
    common: dict[str, Any] = {"figure": "released_code", "where": "the released code's own random numbers"}
    for (setting, t), printed in RATIOS.items():
        for value, statistic in zip(printed, ("mean", "std"), strict=True):
            if statistic == "mean" or setting == "setting2":
                yield Claim(
                    id=f"released.condition_ratio.{setting}.{t}.{statistic}",
                    statement=f"{NAMES[setting]}, the paper's random numbers: the {WORDS[statistic]} of R_med(SGD) / R_med(Adam) "
                    f"at iteration {t} is {value:.3g}", printed=f"{value:.3g}", code=CODE_RATIOS.get((setting, t)),
                    values=partial(ratio, setting, t), aside=partial(rounding_in_words, setting, t),
                    rule=to_the_digit(value, statistic), **common,
                )  # fmt: skip
    for (optimizer, t), value in LOSSES.items():
        level_reader = optimizer == "Adam" and t == 10_000
        yield Claim(
            id=f"released.loss.setting1.{KEYS[optimizer]}.{t}",
            statement=f"Setting 1, the paper's random numbers: {optimizer}'s loss "
            f"{f'from {AFTER} on' if level_reader else f'at iteration {LAST_PLOTTED.get(t, t)}'} is about {value:g}",
            code=f"{value:g}",
            values=partial(level, "setting1", "Adam") if level_reader else partial(loss, "setting1", optimizer, t),
            rule=around(value, CLEAR, statistic="mean"), **common,
        )  # fmt: skip
    for (optimizer, t), value in CONDITIONS.items():
        yield Claim(
            id=f"released.condition.setting1.{KEYS[optimizer]}.{t}",
            statement=f"Setting 1, the paper's random numbers: {optimizer}'s R_med at iteration {t} is about {value:g}",
            code=f"{value:g}", values=partial(condition, "setting1", optimizer, t),
            rule=around(value, CLEAR, statistic="mean"), **common,
        )  # fmt: skip
    for (optimizer, t), value in NONLINEAR_LOSSES.items():
        if optimizer == "Adam":
            yield Claim(
                id=f"released.nonlinear.adam.{t}",
                statement=f"Nonlinear regression, the paper's random numbers: Adam's training loss at iteration {t} is about "
                          f"{value:g}",
                code=f"{value:g}", values=partial(nonlinear_loss, "Adam", t), rule=around(value, LOSS), **common,
            )  # fmt: skip


WORDS = {"mean": "mean", "std": "standard deviation"}
CLAIMS = tuple(claims())
READERS: dict[str, Callable[[Numbers], Numbers]] = {
    **{claim.id: claim.values for claim in CLAIMS if claim.values},
    **{f"condition_ratio.{setting}.{t}": partial(ratio, setting, t) for setting, t in RATIOS},
    **{f"condition_lower_for_adam.{setting}": partial(share_above, setting) for setting in NAMES},
    **{f"adam_beats_sgd.{setting}": partial(final_ratio, setting) for setting in NAMES},
    **{f"condition.setting1.{KEYS[o]}.{t}": partial(condition, "setting1", o, t) for o, t in CONDITIONS},
    **{f"test_loss.setting1.{KEYS[o]}.{t}": partial(loss, "setting1", o, t) for o, t in LOSSES},
    **{f"nonlinear.loss.{KEYS[o]}.{t}": partial(nonlinear_loss, o, t) for o, t in NONLINEAR_LOSSES},
}
