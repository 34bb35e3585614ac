"""Budgets, and the controls at the largest depth that is graded: optimizers switched on the way, other starts, a larger batch."""

from collections.abc import Sequence
from typing import Any

from ....training.runs import RunFolder
from ...curves import Numbers
from .size import Size
from .training import FACTOR, Run, run_all, score

BUDGETS = ("SGD", "Adam", "Adam, tight clip", "Adam, both")
NEAR, WIDE = (-2, 0, 2), (-4, -2, 0, 2)  # powers of the factor that are tried around a rate found elsewhere


def best_of(
    folder: RunFolder, runs: dict[Any, Run], powers: Sequence[int], size: Size, label: str, progress: Any
) -> dict[Any, Any]:
    """Each run at the best of a few rates around its own, chosen on the seeds of the search. -> {name: {"rate", "loss"}}"""
    chosen = dict(runs)
    if size.search:
        tried = {name: [run._replace(rate=float(f"{run.rate * FACTOR**k:.4g}")) for k in powers] for name, run in runs.items()}
        asked = [run._replace(seed=seed) for each in tried.values() for run in each for seed in size.search]
        found, many = run_all(folder, asked, f"rates, {label}", progress), len(size.search)
        scores = iter(score(found[k : k + many]) for k in range(0, len(found), many))
        chosen = {name: min((next(scores), run.rate, run) for run in each)[2] for name, each in tried.items()}
    return on_seeds(folder, chosen, size, label, progress)


def on_seeds(folder: RunFolder, runs: dict[Any, Run], size: Size, label: str, progress: Any) -> dict[Any, Any]:
    """Each run on all seeds. -> {name: {"rate", "loss"}}, a lost run infinite"""
    asked = [run._replace(seed=seed) for run in runs.values() for seed in size.seeds]
    found, many = iter(run_all(folder, asked, label, progress)), len(size.seeds)
    return {name: {"rate": run.rate, "loss": [float(next(found)["loss"]) for _ in range(many)]} for name, run in runs.items()}


def budgets(folder: RunFolder, best: dict[tuple[int, str], Run], size: Size, progress: Any) -> Numbers:
    """Losses at other lengths of the run, each at the best of three rates. -> {depth: {method: {"steps", "rates", "loss"}}}"""
    asked = {
        (L, method, steps): best[L, method]._replace(steps=steps)
        for L in size.budgets for method in BUDGETS for steps in lengths(method, size)
    }  # fmt: skip
    found = best_of(folder, asked, NEAR, size, "budgets", progress)
    return {
        str(L): {
            method: {
                "steps": lengths(method, size),
                "rates": [found[L, method, steps]["rate"] for steps in lengths(method, size)],
                "loss": [found[L, method, steps]["loss"] for steps in lengths(method, size)],
            }
            for method in BUDGETS
        }
        for L in size.budgets
    }


def lengths(method: str, size: Size) -> list[int]:
    """The budgets of a method in steps."""
    return [max(2, round(share * size.steps)) for share in size.shares(method)]


def controls(folder: RunFolder, best: dict[tuple[int, str], Run], size: Size, progress: Any) -> Numbers:
    """At the last depth of the budgets. -> {name: {"rate", "loss"}}

    The switched are searched again; starts and the larger batch have the rates found for the usual start and batch.
    """
    L = size.budgets[-1]
    sgd, adam = best[L, "SGD"], best[L, "Adam"]
    switched = {
        "Adam, then SGD": sgd._replace(before=("Adam", adam.rate, size.early)),
        "SGD, then Adam": adam._replace(before=("SGD", sgd.rate, size.early)),
    }
    others = {
        f"{run.method}, {start} start": run._replace(start=start) for start in ("equal", "Chebyshev") for run in (sgd, adam)
    } | {f"{run.method}, larger batch": run._replace(batch=4 * run.batch) for run in (sgd, adam)}
    return {
        **best_of(folder, switched, WIDE, size, "switched", progress),
        **on_seeds(folder, others, size, "starts and batches", progress),
    }
