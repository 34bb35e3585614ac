"""The numbers of the claims, read from the figure's JSON, and what else was looked at, in words."""

from typing import Any

import numpy as np

from ...._types import Array
from ...curves import Numbers, spread
from . import fixed, fresh, path


def of_json(entry: Any) -> Array:
    """Nested lists of a JSON file as numbers, null as infinity: a loss that is lost."""
    values = np.array(entry, float)
    return np.where(np.isnan(values), np.inf, values)


def best(numbers: Numbers, way: str, which: str = "largest") -> Array:
    """The largest rate that trains, or the largest safe one, seed by seed; NaN where none does."""
    found = numbers["fixed"][way]
    pick = fixed.largest if which == "largest" else fixed.safe
    return np.array([pick(found["rates"], row) for row in of_json(found["loss"])])


def extreme(values: Any, name: str) -> Numbers:
    """A spread with its ``name``, "smallest" or "largest", beside it; None where a seed has no number."""
    values = np.asarray(values, float)
    pick = np.min if name == "smallest" else np.max
    return spread(values) | {name: float(pick(values)) if np.isfinite(values).all() else None}


# ---------------------------------------------------------------- the fixed batch


def ratio(numbers: Numbers, way: str, over: str, which: str = "largest", name: str = "smallest") -> Numbers:
    """Rates of one way over those of another, seed by seed."""
    return extreme(best(numbers, way, which) / best(numbers, over, which), name)


def ratios_in_words(numbers: Numbers, way: str, over: str) -> str:
    """The ranges of both kinds of rate."""
    words = []
    for which in ("largest", "safe"):
        values = best(numbers, way, which) / best(numbers, over, which)
        values = values[np.isfinite(values)]
        words.append(f"{which} {values.min():.2g} to {values.max():.2g}" if len(values) else f"{which} rates: none")
    return "; ".join(words)


def inside(numbers: Numbers, way: str, over: str, low: float, high: float) -> Numbers:
    """Whether the ratio of the largest rates lies within, 1 or 0, seed by seed."""
    values = best(numbers, way) / best(numbers, over)
    return spread(((values >= low) & (values <= high)).astype(float))


def length_ratio(numbers: Numbers, kind: str) -> Numbers:
    """The largest rate times the threshold with clipping at 4, over that with clipping at 0.25."""
    return extreme(4 * best(numbers, f"{kind}, clip 4") / (0.25 * best(numbers, f"{kind}, clip 0.25")), "largest")


def lengths_in_words(numbers: Numbers, kind: str) -> str:
    """Largest rates times threshold, medians."""
    words = [f"{c:g}: {np.nanmedian(c * best(numbers, f'{kind}, clip {c:g}')):.3g}" for c in (0.25, 1.0, 4.0)]
    return "largest rate times threshold, at " + ", ".join(words)


def over_edge(numbers: Numbers, kind: str, name: str) -> Numbers:
    """The largest rate that trains without warm-up or clipping over the edge of the sharpness at the start."""
    edge = (2 if kind == "descent" else 2 * (1 + path.MOMENTUM)) / np.array(numbers["start"]["sharpness"])[:, 0]
    return extreme(best(numbers, f"{kind}, none") / edge, name)


def safe_over_edge(numbers: Numbers, kind: str) -> str:
    """The same for safe rates, and the correlation."""
    edge = (2 if kind == "descent" else 2 * (1 + path.MOMENTUM)) / np.array(numbers["start"]["sharpness"])[:, 0]
    values = best(numbers, f"{kind}, none", "safe") / edge
    return f"safe rates {values.min():.2g} to {values.max():.2g} of it"


def ranks(values: Array) -> Array:
    """Ranks from 0, equal values at the mean of theirs."""
    return np.array([((values < v).sum() + (values <= v).sum() - 1) / 2 for v in values])


def correlation(numbers: Numbers, kind: str) -> Numbers:
    """Spearman's rank correlation of the largest rate with one over the sharpness at the start, over the seeds."""
    a, b = ranks(best(numbers, f"{kind}, none")), ranks(-np.array(numbers["start"]["sharpness"])[:, 0])
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a * a).sum() * (b * b).sum())
    return spread([(a * b).sum() / size if size > 0 else np.nan])


def islands(numbers: Numbers, way: str) -> Numbers:
    """The largest rate that trains over the largest safe one."""
    return extreme(best(numbers, way) / best(numbers, way, "safe"), "largest")


# ---------------------------------------------------------------- fresh batches


def survivors(numbers: Numbers, method: str, rate: float, schedule: str = "constant") -> Numbers:
    """1 for each seed that survives, 0 for each that does not."""
    found = numbers["survival"][schedule][method]
    column = numbers["survival"]["rates"].index(rate)
    return spread(fresh.alive(of_json(found["loss"])[:, column]).astype(float))


def survivors_in_words(numbers: Numbers, method: str) -> str:
    """How many survive at each rate, with a constant rate and with decay."""
    words = []
    for schedule in ("constant", "decay"):
        counts = fresh.alive(of_json(numbers["survival"][schedule][method]["loss"])).sum(axis=0)
        words.append(f"{schedule} {'/'.join(map(str, counts))}")
    return f"survivors at {'/'.join(f'{rate:g}' for rate in numbers['survival']['rates'])}: " + ", ".join(words)


def deaths(numbers: Numbers, method: str, rate: float) -> Array:
    """The steps at which runs are lost."""
    lost = np.array(numbers["survival"]["constant"][method]["lost"])[:, numbers["survival"]["rates"].index(rate)]
    return lost[lost >= 0]


def postponed(numbers: Numbers, rate: float) -> Numbers:
    """The median step at which runs with a warm-up of 200 are lost, over that without."""
    late, soon = (deaths(numbers, name, rate) for name in ("warm-up 200", "none"))
    return spread([np.median(late) / np.median(soon) if len(late) and len(soon) else np.nan])


def deaths_in_words(numbers: Numbers, rate: float) -> str:
    """The ranges."""
    words = []
    for name in fresh.SURVIVAL:
        steps = deaths(numbers, name, rate)
        words.append(f"{name}: " + (f"{len(steps)} lost at steps {steps.min()} to {steps.max()}" if len(steps) else "none lost"))
    return "; ".join(words)


def losses(numbers: Numbers, part: str, name: str) -> Array:
    """Test losses (seeds,), infinite where lost."""
    return of_json(numbers[part][name]["loss"])


def loss_ratio(numbers: Numbers, part: str, name: str, over: str) -> Numbers:
    """Test losses of one cell over those of another, seed by seed; no number where one is lost."""
    above, below = losses(numbers, part, name), losses(numbers, part, over)
    both = np.isfinite(above) & np.isfinite(below)
    return spread(np.where(both, np.where(both, above, 1) / np.where(both, below, 1), np.nan))


def losses_in_words(numbers: Numbers, part: str, name: str, over: str) -> str:
    """Rates, medians, lost runs."""
    words = []
    for cell in (name, over):
        found, values = numbers[part][cell], losses(numbers, part, cell)
        lost = int((~np.isfinite(values)).sum())
        edge = ", at the end of its search" if found.get("at_the_edge") else ""
        middle = np.median(values)
        words.append(f"{cell}: " + (f"{middle:.3g}" if np.isfinite(middle) else "lost") + f" at rate {found['rate']:g}{edge}"
                     + (f", {lost} of {len(values)} lost" if lost else ""))  # fmt: skip
    return "; ".join(words)


def lost_share(numbers: Numbers, part: str, name: str) -> Numbers:
    """1 for each seed that is lost."""
    return spread((~np.isfinite(losses(numbers, part, name))).astype(float))


def lost_in_words(numbers: Numbers, part: str, name: str) -> str:
    """When."""
    steps = np.array(numbers[part][name]["lost"])
    steps = steps[steps >= 0]
    return f"lost at steps {steps.min()} to {steps.max()}" if len(steps) else "none lost"


# ---------------------------------------------------------------- the path


def highest(numbers: Numbers, run: str, last: int = 40) -> Array:
    """The largest sharpness over the edge up to a step, seed by seed; infinite where the run is lost by then."""
    found, at = numbers["path"][run], np.array(numbers["path"]["times"]) <= last
    values = np.nan_to_num(np.array(found["sharpness"], float)[:, at], nan=0.0).max(axis=1) / path.EDGE
    lost = np.array(found["lost"])
    return np.where((lost >= 0) & (lost <= last), np.inf, values)


def start_over_edge(numbers: Numbers) -> Numbers:
    """The sharpness at the start over the edge of the rate that kills."""
    return extreme(np.array(numbers["start"]["sharpness"])[:, 0] / path.EDGE, "largest")


def lost_on_path(numbers: Numbers, run: str) -> Numbers:
    """1 for each seed that is lost."""
    return spread((np.array(numbers["path"][run]["lost"]) >= 0).astype(float))


def path_in_words(numbers: Numbers, run: str) -> str:
    """When runs are lost, and where the sharpness is at the end."""
    lost = np.array(numbers["path"][run]["lost"])
    gone = lost[lost >= 0]
    first = f"lost at steps {gone.min()} to {gone.max()}" if len(gone) else "none lost"
    last = np.array(numbers["path"][run]["sharpness"], float)[:, -1] / path.EDGE
    last = last[np.isfinite(last)]
    return first + (f"; sharpness at the end {last.min():.2g} to {last.max():.2g} of the edge" if len(last) else "")


def share(numbers: Numbers, which: int, name: str) -> Numbers:
    """The share of steps at which clip 1 acts, among the first 20 (0) or from step 100 on (1)."""
    return extreme(np.array(numbers["path"]["clip 1"]["share"], float)[:, which], name)


def linear_ratio(numbers: Numbers) -> Numbers:
    """The loss of the linearized model after the run over that before, at the rate that kills."""
    return extreme(numbers["linearized"]["ratio"], "largest")
