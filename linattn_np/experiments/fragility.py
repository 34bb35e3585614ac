"""What a rounding does to a number: the same runs once more, their first weights changed in the seventh digit.

A number that such a change moves is a property of one sequence of roundings, and no other program can be expected to print it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from .._types import Array
from ..models.choose import DEFAULTS
from ..training.loop import Training, train_together
from ..training.runs import Run, RunFolder
from .curves import Numbers, spread
from .measured import Arrays, kept_each, table
from .robust import Batches, diagonals, losses
from .scale import Scale, histories, runs_of
from .settings import Setting

SIZE = 1e-7  # of the change, relative to each weight
FRAGILE = 1.1  # a number is fragile when the largest over the smallest of its reruns, itself included, is above this
BATCHES = 5  # of the test batches, for each rerun


def rerun(values: dict[str, Any], first: Array, changes: int, times: Sequence[int], batches: Batches, what: str) -> Arrays:
    """The run some times more from ``first``, each weight off by ``SIZE`` of itself, and what is measured along them.

    Change k = 1, 2, .. of seed s is drawn from [s, k]. -> {"times": (T,), what: (changes, T, batches, ..)}, NaN past a divergence
    """
    run = Run.from_dict(values)
    given = {field.name: getattr(run, field.name) for field in fields(run) if field.name not in (*DEFAULTS, "std", "clip_by")}
    given |= {"std": None, "steps": max(times), "record_every": int(np.gcd.reduce([t for t in times if t]))}
    rngs = (np.random.default_rng([run.seed, k]) for k in range(1, changes + 1))
    starts = [first * (1.0 + SIZE * rng.standard_normal(first.shape)) for rng in rngs]
    measure, each = {"losses": losses, "diagonals": diagonals}[what], []
    for history in train_together([Training(**given, params=start) for start in starts], False):
        known = [t for t in times if t in history.snapshots]
        points = np.array([history.snapshots[t] for t in known])
        each.append({"times": np.array(known, int), **measure(run.task, batches, run.trained_model(), points)})
    return {"times": np.array(times, int), what: table(each, what, times)}


def reruns(
    folder: RunFolder, setting: Setting, optimizer: str, scale: Scale, times: Sequence[int], batches: Batches, what: str,
    count: int, progress: bool | None = None,
) -> list[list[Arrays]]:  # fmt: skip
    """For each of ``count`` changes, for each seed, what :func:`rerun` measures."""
    runs = runs_of(setting, optimizer, scale)
    label = f"{optimizer} on {setting.title}"
    first = [history.snapshots[0] for history in histories(folder, runs, label, progress)]
    asked = [(run.to_dict(), x, count, list(times), batches, what) for run, x in zip(runs, first, strict=True)]
    descriptions = [
        {"run": run, "reruns": count, "size": SIZE, "times": list(times), "measure": what, **batches.to_dict()}
        for run, *_ in asked
    ]  # fmt: skip
    every = kept_each(folder, "reruns", descriptions, rerun, asked, f"{label}, off by {SIZE:g}", progress)
    return [[{"times": found["times"], what: found[what][k]} for found in every] for k in range(count)]


def as_spreads(each: Iterable[Array]) -> list[Numbers]:
    """The seeds' numbers of the runs themselves and of each rerun, in short; a rule's statistic is read from them."""
    return [{key: value for key, value in spread(values).items() if key != "each_seed"} for values in each]


def range_of(found: Sequence[dict[str, Any]], statistic: str) -> tuple[float, float]:
    """The smallest and the largest of a statistic over the reruns, the run itself included."""
    numbers = [row[statistic] for row in found if row[statistic] is not None]
    return (min(numbers), max(numbers)) if numbers else (float("nan"), float("nan"))


def is_fragile(found: Sequence[dict[str, Any]], statistic: str) -> bool:
    """Whether a rounding moves the statistic by more than a tenth."""
    low, high = range_of(found, statistic)
    return bool(low <= 0 or high / low > FRAGILE)
