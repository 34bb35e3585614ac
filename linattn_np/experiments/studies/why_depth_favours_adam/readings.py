"""What is read off the numbers of a figure: ratios of losses of the same seed, exponents, steps needed, layers."""

from typing import Any

import numpy as np

from ...._types import Array
from ...curves import Numbers, spread
from .layers import predicted_base
from .training import TASK


def of_seeds(entry: Any) -> Array:
    """Nested lists of a JSON file as numbers; null, a lost run, as infinity."""
    return np.array([[np.inf if x is None else x for x in row] if isinstance(row, list) else
                     np.inf if row is None else row for row in entry], float)  # fmt: skip


def losses(numbers: Numbers, layers: int, method: str, schedule: str = "linear") -> Array:
    """The test loss of each seed, infinite where it is lost; none where the depth was not run."""
    found = numbers["runs"][schedule].get(str(layers), {}).get(method)
    return np.full(len(numbers["seeds_used"]), np.nan) if found is None else of_seeds(found["loss"])


def over(above: Array, below: Array) -> Array:
    """The ratio of each seed, NaN where a run of the two is lost."""
    both = np.isfinite(above) & np.isfinite(below)
    return np.where(both, above, np.nan) / np.where(both, below, 1.0)


def ratio(numbers: Numbers, layers: int, method: str, than: str, schedule: str = "linear") -> Numbers:
    """The losses of one method over those of another, seed by seed."""
    return spread(over(losses(numbers, layers, method, schedule), losses(numbers, layers, than, schedule)))


def in_words(numbers: Numbers, layers: int, method: str, than: str, schedule: str = "linear") -> str:
    """Median losses, rates, lost runs."""
    words = []
    for name in (method, than):
        found = numbers["runs"][schedule].get(str(layers), {}).get(name)
        if found is not None:
            every = losses(numbers, layers, name, schedule)
            lost = int((~np.isfinite(every)).sum())
            base = f", base {found['base']:g}" if found["base"] is not None else ""
            words.append(f"{name} {np.median(every):.3g} at rate {found['rate']:g}{base}"
                         + (f", {lost} of {len(every)} lost" if lost else ""))  # fmt: skip
    return "; ".join(words)


def control(numbers: Numbers, name: str, than: str) -> Numbers:
    """A control's losses over those of the usual run of a method at the same depth."""
    return spread(over(of_seeds(numbers["controls"][name]["loss"]), losses(numbers, numbers["controls_at"], than)))


def larger_batch(numbers: Numbers) -> Numbers:
    """SGD over Adam at four times the batch."""
    found = numbers["controls"]
    return spread(over(of_seeds(found["SGD, larger batch"]["loss"]), of_seeds(found["Adam, larger batch"]["loss"])))


# ---------------------------------------------------------------- budgets


def curve(numbers: Numbers, layers: int, method: str) -> tuple[Array, Array]:
    """Budgets (T,) and losses (T, seeds), with the main runs among them, in the order of the budgets."""
    found = numbers["budgets"].get(str(layers), {}).get(method)
    if found is None:
        return np.empty(0), np.empty((0, len(numbers["seeds_used"])))
    steps = np.array([*found["steps"], numbers["steps"]])
    every = np.vstack([of_seeds(found["loss"]), losses(numbers, layers, method)])
    order = np.argsort(steps)
    return steps[order], every[order]


def exponents(numbers: Numbers, layers: int, method: str) -> Array:
    """The slope of log loss against log budget, seed by seed: of SGD over all budgets, of Adam up to half the steps."""
    steps, every = curve(numbers, layers, method)
    if method != "SGD":
        inside = steps < 0.75 * numbers["steps"]
        steps, every = steps[inside], every[inside]
    fits = [np.polyfit(np.log(steps), np.log(row), 1)[0] if len(row) > 1 and np.isfinite(row).all() else np.nan
            for row in every.T]  # fmt: skip
    return np.array(fits)


def exponent(numbers: Numbers, layers: int, method: str) -> Numbers:
    """The exponents as numbers of the seeds."""
    return spread(exponents(numbers, layers, method))


def steps_needed(numbers: Numbers, layers: int, adam: str, sgd: str) -> Array:
    """The budget at which Adam's curve comes down to the last loss of SGD, linear between budgets in the logarithms.

    At least the smallest budget; NaN where it never does, or a run is lost.
    """
    (steps, every), target = curve(numbers, layers, adam), losses(numbers, layers, sgd)
    found = np.full(len(target), np.nan)
    for seed, (row, wanted) in enumerate(zip(every.T, target, strict=True)):
        below = np.flatnonzero(row <= wanted)
        if len(below) and np.isfinite(wanted):
            k = below[0]
            share = 1.0
            if k and np.isfinite(row[k - 1]):
                share = np.log(row[k - 1] / wanted) / np.log(row[k - 1] / row[k])
            found[seed] = steps[k] if k == 0 else steps[k - 1] * (steps[k] / steps[k - 1]) ** share
    return found


def speed_up(numbers: Numbers, layers: int, adam: str = "Adam", sgd: str = "SGD") -> Numbers:
    """How many times fewer steps Adam needs for SGD's last loss."""
    return spread(numbers["steps"] / steps_needed(numbers, layers, adam, sgd))


# ---------------------------------------------------------------- layers


def by_layer(numbers: Numbers, layers: int, method: str) -> Array:
    """(seeds, 3, L): tr S_l / d, |Q_l|, |gradient by Q_l|; NaN where a run is lost."""
    found = numbers["runs"]["linear"].get(str(layers), {}).get(method)
    if found is None:
        return np.full((len(numbers["seeds_used"]), 3, layers), np.nan)
    return np.array(found["by_layer"], float)


def last_over_first(numbers: Numbers, layers: int, row: int) -> Numbers:
    """A row of :func:`by_layer` in the last layer over the first, at the end of Adam."""
    found = by_layer(numbers, layers, "Adam")[:, row]
    return spread(found[:, -1] / found[:, 0])


def whole_step(numbers: Numbers, layers: int) -> Numbers:
    """s_l |Q'_l| / sqrt(d) of the last layer at the end of Adam: 1 where the layer takes off all that it sees."""
    scale, length = by_layer(numbers, layers, "Adam")[:, :2, -1].T
    return spread(scale * length / np.sqrt(TASK.d))


def bases(numbers: Numbers, layers: int, method: str) -> Numbers:
    """The base that the search found over what the covariates of each seed's Adam say."""
    found = numbers["runs"]["linear"].get(str(layers), {}).get(method)
    scale = by_layer(numbers, layers, "Adam")[:, 0]
    return spread([np.nan if found is None else found["base"] / predicted_base(row) for row in scale])


def bases_in_words(numbers: Numbers, layers: int, method: str) -> str:
    """Both bases."""
    found = numbers["runs"]["linear"].get(str(layers), {}).get(method)
    if found is None:
        return ""
    said = [predicted_base(row) for row in by_layer(numbers, layers, "Adam")[:, 0] if np.isfinite(row).all()]
    return f"found {found['base']:g}, said {np.median(said):.3g}" if said else ""


def last_q(numbers: Numbers, layers: int) -> Numbers:
    """|Q| of the last layer, SGD's over Adam's, at the end."""
    return spread(by_layer(numbers, layers, "SGD")[:, 1, -1] / by_layer(numbers, layers, "Adam")[:, 1, -1])
