"""Does the gap between SGD and Adam need noise? Four optimizers on batches of 10, 100, 1000 and on one fixed batch.

Kunstner et al. 2023 say that it does not, and the paper quotes them. On the fixed batch there is no noise at all: what is left
of the gap is the optimizers' own. Each optimizer has, for each batch, the best of its rates by the rule of
``search`` with the training loss in the place of the test loss.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ....plotting import STYLES, median_band, new_figure
from ....training.history import History
from ....training.loop import losses_along
from ....training.runs import Run, RunFolder
from ...curves import Numbers, band, curve, finite_or_infinite, last_tenth, spread
from ...panels import limits_in_words, number
from ...rules import Above, Claim
from ...scale import Scale, counted, differences, histories, limited, test_batch, train_side_by_side
from ...search import chosen
from ...settings import with_momentum
from .factors import LOSS
from .settings import SETTINGS

TITLE = "The gap between SGD and Adam without noise: from batches of 10 to one fixed batch"
SECONDS = {"paper": 160, "quick": 2}
COARSE = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
RATES = {
    "SGD": COARSE, "Adam": COARSE, "NormalizedGD": COARSE,
    "SignDescent": tuple(round(rate / 10, 5) for rate in COARSE),  # every coordinate moves by the rate itself
}  # fmt: skip
NAMES = {"SGD": "SGD", "Adam": "Adam", "SignDescent": "sign descent", "NormalizedGD": "normalized descent"}
LINES = {"SGD": STYLES["SGD"], "Adam": STYLES["Adam"], "SignDescent": STYLES["sign"], "NormalizedGD": STYLES["normalized"]}
BATCHES = (10, 100)  # and the scale's own batch, fresh and fixed
ALT = (
    "Four panels, for batches of 10, 100 and 1000 fresh prompts and for one fixed batch of 1000: training loss against "
    "iteration, logarithmic, for SGD with momentum, Adam, sign descent and normalized descent, all with momentum 0.9, each at "
    "the rate found best for that batch. Lines are medians over seeds of the median of a window, bands quartiles. Each title "
    "names SGD's loss over Adam's at the end."
)


def runs_for(name: str, rate: float, batch: int, fixed: bool, steps: int, seeds: int) -> list[Run]:
    """One run for each seed."""
    setting = SETTINGS["setting1"]
    return [
        Run(
            setting.task, with_momentum(name, rate), steps, batch, clip=setting.clip, seed=seed, record_every=steps,
            fixed_batch=fixed,
        )
        for seed in range(seeds)
    ]  # fmt: skip


def sized(scale: Scale) -> Scale:
    """Quick: four optimizers on four kinds of batch, each with a search."""
    return scale if scale.name == "paper" else limited(scale, seeds=2, steps=500, search_steps=50, search_seeds=1)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    used = sized(scale)
    sizes = ", ".join(map(str, (*BATCHES, used.batch)))
    return f"{counted(used.steps, 'iteration')}, batches of {sizes} and one fixed batch, {counted(used.seeds, 'seed')}"


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Search the rates, train what is missing and measure the training losses: plain numbers, ready for JSON."""
    used = sized(scale)
    cells = {str(batch): (batch, False) for batch in (*BATCHES, used.batch)} | {"full": (used.batch, True)}
    panels: Numbers = {key: panel_of(folder, *what, used, progress) for key, what in cells.items()}
    for key, panel in panels.items():
        panel["title"] = f"one fixed batch of {used.batch}" if key == "full" else f"fresh batches of {key}"
    return {"limits": differences(scale, used), "seeds_used": used.seeds, "window": used.test_every, "panels": panels}


def panel_of(folder: RunFolder, batch: int, fixed: bool, used: Scale, progress: bool | None) -> Numbers:
    """Every optimizer on one kind of batch, at the best of its rates."""
    kind, short = "one fixed batch" if fixed else f"batch {batch}", (batch, fixed, used.search_steps, used.search_seeds)
    asked = {name: [run for rate in rates for run in runs_for(name, rate, *short)] for name, rates in RATES.items()}
    train_side_by_side(folder, asked.values(), f"rates, {kind}", progress)
    searches = {name: searched(histories(folder, runs, kind, progress), RATES[name]) for name, runs in asked.items()}
    runs = {name: runs_for(name, search["best"], batch, fixed, used.steps, used.seeds) for name, search in searches.items()}
    train_side_by_side(folder, runs.values(), kind, progress)
    return {name: cell(histories(folder, runs[name], kind, progress), search, used) for name, search in searches.items()}


def searched(tried: Sequence[History], rates: Sequence[float]) -> Numbers:
    """The best of the rates by the median loss of the last fifth of each run."""
    last = [np.inf if h.diverged_at is not None else np.median(h.loss[-max(1, len(h.loss) // 5) :]) for h in tried]
    return chosen(rates, np.median(np.reshape(last, (len(rates), -1)), axis=1))


def cell(trained: Sequence[History], search: Numbers, used: Scale) -> Numbers:
    """One optimizer on one kind of batch."""
    starts = range(0, used.steps, used.test_every)
    train = np.array([[np.median(h.loss[t : t + used.test_every]) for t in starts] for h in trained])
    test = test_batch(SETTINGS["setting1"].task)
    tested = [losses_along(h, *test)[1][-1] if h.diverged_at is None else np.nan for h in trained]
    return {
        "search": search, "learning_rate": search["best"], "diverged_at": [h.diverged_at for h in trained],
        "train": curve([t + used.test_every // 2 for t in starts], finite_or_infinite(train)), "final_test_loss": spread(tested),
    }  # fmt: skip


def ratio(panel: Numbers, name: str, other: str = "Adam") -> float:
    """The median over seeds of one optimizer's last loss over another's; the last tenth of the run."""
    tenth = max(1, len(panel[name]["train"]["iterations"]) // 10)
    ends = [np.median(np.array(panel[o]["train"]["each_seed"], float)[:, -tenth:], axis=1) for o in (name, other)]
    return float(np.median(ends[0] / ends[1]))


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: one panel for each kind of batch."""
    panels = numbers["panels"].values()
    figure, axes = new_figure(columns=len(panels), width=3.4, height=3.8)
    for ax, panel in zip(axes[0], panels, strict=True):
        for name, words in NAMES.items():
            median_band(ax, panel[name]["train"]["iterations"], band(panel[name]["train"]), words, **LINES[name])
        ax.set(yscale="log", xlabel="iteration t")
        ax.set_title(f"{panel['title']}\nSGD's last loss / Adam's: {ratio(panel, 'SGD'):.3g}", fontsize=10)
    axes[0][0].set_ylabel(f"training loss f, median of {numbers['window']} iterations")
    limits = np.array([ax.get_ylim() for ax in axes[0]])
    for ax in axes[0]:
        ax.set_ylim(limits[:, 0].min(), limits[:, 1].max())
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False,
                  title=f"each at its best rate; median and quartiles of {numbers['seeds_used']} seeds")  # fmt: skip
    return figure


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [limits_in_words(numbers["limits"])]
    for panel in numbers["panels"].values():
        words = []
        for name in NAMES:
            found = panel[name]
            gone = sum(at is not None for at in found["diverged_at"])
            edge = ", edge of the rates" if found["search"]["at_the_edge"] else ""
            words.append(f"{NAMES[name]} {number(found['train']['median'][-1])} (rate {found['learning_rate']:g}{edge}"
                         f"{f', {gone} diverged' if gone else ''}; "
                         f"test {number(found['final_test_loss']['median'])})")  # fmt: skip
        lines.append(f"{panel['title']}: last training loss {', '.join(words)}; SGD's over Adam's {ratio(panel, 'SGD'):.3g}")
    return "\n".join(lines)


# ---------------------------------------------------------------- the claims, and where their numbers stand in the JSON


def gap_of(panel: Numbers) -> Any:
    """SGD's training loss over Adam's at the end, seed by seed."""
    return last_tenth(panel["SGD"]["train"]) / last_tenth(panel["Adam"]["train"])


def gap_without_noise(numbers: Numbers) -> Numbers:
    """:func:`gap_of` the one batch that both train on."""
    return spread(gap_of(numbers["panels"]["full"]))


def gaps_by_batch(numbers: Numbers) -> str:
    """:func:`gap_of` every kind of batch."""
    found = {key: np.nanmedian(gap_of(panel)) for key, panel in numbers["panels"].items()}
    return "SGD's training loss over Adam's, median: " + ", ".join(f"batch {key}: {value:.3g}" for key, value in found.items())


def sign_share(numbers: Numbers) -> Numbers:
    """The share of the gap, on a logarithmic scale, that sign descent closes on the fixed batch, seed by seed."""
    sgd, adam, sign = (np.log(last_tenth(numbers["panels"]["full"][o]["train"])) for o in ("SGD", "Adam", "SignDescent"))
    return spread((sgd - sign) / (sgd - adam))


CLAIMS = (
    Claim(
        id="full_batch.gap", figure="full_batch", where="section 1, quoting Kunstner et al. 2023",
        statement="The gap needs no noise: on one fixed batch SGD's training loss ends above Adam's (their ratio)",
        printed="quoted in words", values=gap_without_noise, aside=gaps_by_batch, rule=Above(LOSS, 1.0),
    ),
    Claim(
        id="full_batch.sign", figure="full_batch", where="section 1, quoting Kunstner et al. 2023",
        statement="Without noise sign descent closes most of the gap (share of it, logarithmic)",
        printed="quoted in words", values=sign_share, rule=Above(0.5, 0.0),
    ),
)  # fmt: skip
