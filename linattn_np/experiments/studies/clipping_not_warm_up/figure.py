"""Rates that train, survivors, Adam, thresholds and the path: measured, drawn, and said in words."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....training.runs import RunFolder
from ...curves import Numbers
from ...measured import kept_each
from ...scale import Scale
from . import fixed, fresh, path
from .claims import CLAIMS, FIGURE
from .panels import draw
from .readers import best, losses, survivors_in_words
from .size import Size, in_words, size_of

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "Clipping, not warm-up, is what lets SGD keep a large rate"
SECONDS = {"paper": 400, "quick": 10}
ALT = (
    "Eight panels. Which constant rates train, a row of dots for each way and seed, descent and then momentum: without anything, "
    "with a warm-up of 20, 50 and 200 steps, and, much farther to the right, with clipping at 1. Survivors on fresh batches "
    "against the rate: with clipping all, else few. Test losses of Adam with and without warm-up, a dot for each seed. Test loss "
    "against the threshold of clipping at each one's own best rate, SGD and Adam, in Settings 1 and 2. Sharpness along runs at "
    "rate 0.06, the edge dashed, a cross where a run is lost. Length of the gradient along the same runs, the threshold dashed."
)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return in_words(size_of(scale))


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Scan, search, train and follow: plain numbers, ready for JSON; what is lost has loss null."""
    size = size_of(scale)

    def each(what: str, function: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
        descriptions = [{"arguments": list(map(repr, asked)), "ways": spelled(asked)} for asked in arguments]
        return kept_each(folder, f"{FIGURE}_{what}", descriptions, function, arguments, what.replace("_", " "), progress)

    def by_name(what: str, function: Callable[..., Any], names: Sequence[str], *more: Any) -> dict[str, list[dict[str, Any]]]:
        runs = each(what, function, [(seed, name, *more) for name in names for seed in size.all_seeds])
        return {name: runs[k * size.seeds : (k + 1) * size.seeds] for k, name in enumerate(names)}

    found: Numbers = {"sizes": sizes(scale), "seeds_used": size.all_seeds, "seeds_of_the_search": size.search}
    starts = each("starts", fixed.start_facts, [(seed, size.prompts) for seed in size.all_seeds])
    found["start"] = {name: [plain(run[name]) for run in starts] for name in ("sharpness", "gradient")}
    maps = by_name("rates", fixed.tried, list(fixed.WAYS), size.prompts, size.steps, size.most)
    found["fixed"] = {
        name: {"rates": [float(f"{rate:.6g}") for rate in runs[0]["rates"]], "loss": [plain(run["loss"]) for run in runs],
               "lost": [run["lost"].tolist() for run in runs]}
        for name, runs in maps.items()
    }  # fmt: skip
    found["survival"] = {"rates": fresh.RATES} | {
        schedule: survival(each, size, schedule == "decay") for schedule in ("constant", "decay")
    }
    found["own"], found["at_one_rate"] = own_rates(each, size), one_rate(each, size)
    runs_of = by_name("path", path.followed, list(path.RUNS), size.prompts, size.steps)
    found["path"] = {"times": path.times(size.steps).tolist(), "edge": path.EDGE} | {
        name: {what: [plain(run[what]) for run in runs] for what in ("sharpness", "gradient", "loss", "share")}
        | {"lost": [int(run["lost"]) for run in runs]}
        for name, runs in runs_of.items()
    }
    linear = each("linearized", path.linearized, [(seed, size.prompts, size.steps) for seed in size.all_seeds])
    found["linearized"] = {name: [number(run[name]) for run in linear] for name in ("ratio", "sharpness")}
    return found


def spelled(asked: tuple[Any, ...]) -> list[str]:
    """What the names among the arguments stand for, so that a run of another definition is not taken for this one."""
    known = (fixed.WAYS, fresh.CELLS, path.RUNS, fresh.SURVIVAL)
    return [repr(table[name]) for name in asked if isinstance(name, str) for table in known if name in table]


Each = Callable[[str, Callable[..., Any], list[tuple[Any, ...]]], list[dict[str, Any]]]


def survival(each: Each, size: Size, decay: bool) -> Numbers:
    """Momentum on fresh batches, {method: {"loss" (seeds, rates), "lost"}}."""
    asked = [(name, decay, rate, seed, size.fresh) for name in fresh.SURVIVAL for seed in size.all_seeds for rate in fresh.RATES]
    runs, per = each("survival", fresh.survived, asked), size.seeds * len(fresh.RATES)
    out: Numbers = {}
    for k, name in enumerate(fresh.SURVIVAL):
        part = [runs[k * per + i : k * per + i + len(fresh.RATES)] for i in range(0, per, len(fresh.RATES))]
        out[name] = {
            "loss": [[number(run["loss"]) for run in row] for row in part],
            "lost": [[int(run["lost"]) for run in row] for row in part],
        }
    return out


def own_rates(each: Each, size: Size) -> Numbers:
    """Each cell at its own best rate: the search of all, then the runs that are judged."""
    scores: dict[str, dict[int, float]] = {name: {} if size.search else {0: 0.0} for name in fresh.CELLS}
    while missing := [(name, k) for name, known in scores.items() if size.search for k in fresh.wanted(known) if k not in known]:
        asked = [(name, fresh.rate_at(name, k), seed, size.fresh) for name, k in missing for seed in size.search]
        runs = each("search", fresh.trained, asked)
        for i, (name, k) in enumerate(missing):
            scores[name][k] = fresh.score([run["loss"] for run in runs[i * len(size.search) : (i + 1) * len(size.search)]])
    chosen = {name: min((known[k], k) for k in known)[1] for name, known in scores.items()}
    out = at_rates(each, size, {name: fresh.rate_at(name, k) for name, k in chosen.items()})
    for name, known in scores.items():
        out[name]["search"] = {f"{fresh.rate_at(name, k):g}": number(known[k]) for k in sorted(known)}
        out[name]["at_the_edge"] = bool(size.search) and chosen[name] in (min(known), max(known))
    return out


def one_rate(each: Each, size: Size) -> Numbers:
    """Adam with decay at 0.05, and every threshold with a constant rate at 0.02."""
    asked = {name: 0.05 for name, cell in fresh.ADAM.items() if cell.decay}
    return at_rates(each, size, asked | {name: 0.02 for name, cell in fresh.THRESHOLDS.items() if not cell.decay})


def at_rates(each: Each, size: Size, rates: dict[str, float]) -> Numbers:
    """{cell: rate, loss, lost, clipped}, the last three for each seed."""
    runs = each(
        "fresh", fresh.trained, [(name, rate, seed, size.fresh) for name, rate in rates.items() for seed in size.all_seeds]
    )
    out: Numbers = {}
    for k, (name, rate) in enumerate(rates.items()):
        part = runs[k * size.seeds : (k + 1) * size.seeds]
        out[name] = {"rate": rate, "loss": [number(run["loss"]) for run in part], "lost": [int(run["lost"]) for run in part],
                     "clipped": [number(run["clipped"]) for run in part]}  # fmt: skip
    return out


def number(value: Any) -> float | None:
    """A JSON number of six digits, or None where it is not finite."""
    return float(f"{float(value):.6g}") if np.isfinite(value) else None


def plain(values: Any) -> list[float | None]:
    """A series of them."""
    return [number(value) for value in values]


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [numbers["sizes"], "largest rate that trains on the fixed batch, medians (up to the first that does not):"]
    lines += [
        f"  {way}: {np.nanmedian(best(numbers, way)):.3g} ({middle(best(numbers, way, 'safe'))})" for way in numbers["fixed"]
    ]
    lines += [f"{name}: {survivors_in_words(numbers, name)}" for name in fresh.SURVIVAL]
    for part, found in (("own rates", numbers["own"]), ("one rate", numbers["at_one_rate"])):
        key = "own" if part == "own rates" else "at_one_rate"
        for name, cell in found.items():
            values = losses(numbers, key, name)
            lines.append(f"  {part}, {name}: {np.median(values):.3g} at {cell['rate']:g}, {int(np.isinf(values).sum())} lost"
                         + (", at the end of its search" if cell.get("at_the_edge") else ""))  # fmt: skip
    return "\n".join(lines)


def middle(values: Any) -> str:
    """The median of those there are."""
    values = values[np.isfinite(values)]
    return f"{np.median(values):.3g}" if len(values) else "none"
