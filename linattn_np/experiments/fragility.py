"""What a rounding does to a number: the same runs once more, their first weights changed in the seventh digit.

A number that such a change moves is a property of one sequence of roundings, and no other program can be expected to print it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from .._types import Array
from ..models.choose import DEFAULTS
from ..training.loop import train
from ..training.runs import Run, RunFolder
from .curves import Numbers, spread
from .measured import Arrays, kept_each
from .robust import Batches, diagonals, losses
from .scale import Scale, histories, runs_of
from .settings import Setting

SIZE = 1e-7  # of the change, relative to each weight
FRAGILE = 1.1  # a number is fragile when the largest over the smallest of its reruns, itself included, is above this
BATCHES = 5  # of the test batches, for each rerun


def rerun(values: dict[str, Any], first: Array, k: int, times: Sequence[int], batches: Batches, what: str) -> Arrays:
    """The run once more from ``first``, each weight off by ``SIZE`` of itself (k draws how), and what is measured along it."""
    run = Run.from_dict(values)
    change = SIZE * np.random.default_rng([run.seed, k]).standard_normal(first.shape)
    given = {field.name: getattr(run, field.name) for field in fields(run) if field.name not in (*DEFAULTS, "std", "clip_by")}
    given |= {"steps": max(times), "record_every": int(np.gcd.reduce([t for t in times if t]))}
    history = train(**given, params=first * (1.0 + change), progress=False)
    known = [t for t in times if t in history.snapshots]
    measure = {"losses": losses, "diagonals": diagonals}[what]
    return {
        "times": np.array(known, int),
        **measure(run.task, batches, run.trained_model(), np.array([history.snapshots[t] for t in known])),
    }


def reruns(
    folder: RunFolder, setting: Setting, optimizer: str, scale: Scale, times: Sequence[int], batches: Batches, what: str,
    count: int,
    progress: bool | None = None,
) -> list[list[Arrays]]:  # fmt: skip
    """For each of ``count`` changes, for each seed, what :func:`rerun` measures."""
    runs = runs_of(setting, optimizer, scale)
    label = f"{optimizer} on {setting.title}"
    first = [history.snapshots[0] for history in histories(folder, runs, label, progress)]
    asked = [
        (run.to_dict(), x, k, list(times), batches, what) for k in range(1, count + 1) for run, x in zip(runs, first, strict=True)
    ]
    descriptions = [
        {"run": run, "rerun": k, "size": SIZE, "times": list(times), "measure": what, **batches.to_dict()}
        for run, _, k, *_ in asked
    ]  # fmt: skip
    every = kept_each(folder, "reruns", descriptions, rerun, asked, f"{label}, off by {SIZE:g}", progress)
    return [every[k : k + len(runs)] for k in range(0, len(every), len(runs))]


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
