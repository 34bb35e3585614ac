"""The same quantity on many test batches, judged by its median over them.

Where rare prompts carry most of a loss, one test batch of 1000 prompts decides a claim by which of them it holds. So the loss,
each entry H_ii of the Hessian's diagonal and the curvature along each step are measured on ``scale.test_batches`` batches, each
of which gives a number, and the median over the batches is judged. On how many of the batches alone the claim holds stands beside
it. A paper may add batches of its own (``also``), which are looked at and do not enter the median.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from .._types import Array
from ..measures.landscape import Objective
from ..optimizers import global_norm
from ..prompts import Prompts, RegressionTask
from ..training.loop import History
from ..training.runs import Run, RunFolder
from . import scale as scales
from .curves import Numbers, condition_numbers, spread
from .measured import Arrays, kept_each
from .scale import Scale, histories, runs_of
from .settings import Setting

FIRST_SEED = 1000  # of the test batches: none of them is the one fixed batch
TIMES = (0, 250, 500, 750, 1250, 2500, 5000, 10_000)  # when Hessians are looked at on all batches
TABLE = (750, 1250)  # when more seeds are looked at, since a table gives these
MakeBatch = Callable[[RegressionTask, int], Prompts]


@dataclass(frozen=True)
class Batches:
    """Which test batches: one for each seed, and those of a paper's own, each by a function of a module (task, prompts)."""

    seeds: tuple[int, ...]
    prompts: int
    also: tuple[MakeBatch, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What decides their numbers, as plain values."""
        also = [f"{make.__module__}:{make.__name__}" for make in self.also]
        return {"batches_of_seeds": list(self.seeds), "prompts": self.prompts, "also": also}


def batches_for(scale: Scale, also: Sequence[MakeBatch] = (), count: int | None = None) -> Batches:
    """The test batches of a scale, or the first ``count`` of them."""
    count = scale.test_batches if count is None else min(count, scale.test_batches)
    return Batches(tuple(range(FIRST_SEED, FIRST_SEED + count)), scales.TEST_PROMPTS, tuple(also))


def fixed_batch() -> Batches:
    """The one fixed batch alone, as ``scale.test_batch`` draws it."""
    return Batches((scales.TEST_SEED,), scales.TEST_PROMPTS)


def batches_of_seeds(scale: Scale) -> list[Batches]:
    """For each seed a test batch of its own: what is then averaged over seeds is averaged over batches too."""
    return [Batches((FIRST_SEED + seed,), scales.TEST_PROMPTS) for seed in range(scale.seeds)]


@lru_cache(maxsize=2)
def surfaces(task: RegressionTask, batches: Batches, model: Any) -> tuple[Objective, ...]:
    """The loss on each of the batches: those of the seeds, then those of the paper's own."""
    drawn = [task.sample(batches.prompts, np.random.default_rng(seed)) for seed in batches.seeds]
    return tuple(Objective(*prompts, model) for prompts in (*drawn, *(make(task, batches.prompts) for make in batches.also)))


# ---------------------------------------------------------------- what is measured at points of a run: (times, batches, ..)


def losses(task: RegressionTask, batches: Batches, model: Any, points: Array, steps: Array | None = None) -> Arrays:
    """The loss at each point on each batch."""
    return {"losses": np.array([[surface.loss(x) for surface in surfaces(task, batches, model)] for x in points])}


def diagonals(task: RegressionTask, batches: Batches, model: Any, points: Array, steps: Array | None = None) -> Arrays:
    """The exact diagonal of the Hessian at each point on each batch."""
    return {"diagonals": np.array([[surface.diagonal(x) for surface in surfaces(task, batches, model)] for x in points])}


def curvatures(task: RegressionTask, batches: Batches, model: Any, points: Array, steps: Array) -> Arrays:
    """The curvature that each step meets at its point, and the norm of the gradient there, on each batch."""
    kappa, norm = np.empty((2, len(points), len(surfaces(task, batches, model))))
    for t, (x, step) in enumerate(zip(points, steps, strict=True)):
        u = step / global_norm(step)
        for b, surface in enumerate(surfaces(task, batches, model)):
            grad, (product,) = surface.grad_and_hvps(x, u[None])
            kappa[t, b], norm[t, b] = (u * product).sum(), global_norm(grad)
    return {"kappa": kappa, "norm": norm}


def on_batches(
    folder: RunFolder, runs: Sequence[Run], measure: Callable[..., Arrays], times: Sequence[int],
    batches: Batches | Sequence[Batches], label: str, progress: bool | None = None,
) -> list[Arrays]:  # fmt: skip
    """``measure`` along each run at those of the times that it has. -> for each run {"times": (T,), ..: (T, batches, ..)}

    Trains what is missing. The same batches for all runs, or for each run its own. Along steps (:func:`curvatures`) a time counts
    where the run moved from it.
    """
    descriptions, arguments = [], []
    own = [batches] * len(runs) if isinstance(batches, Batches) else batches
    for run, history, batch in zip(runs, histories(folder, runs, label, progress), own, strict=True):
        at = known_times(history, times, of_steps=measure is curvatures)
        points = np.array([history.snapshots[t] for t in at])
        steps = np.array([history.updates[t] for t in at]) if measure is curvatures else None
        descriptions.append({"run": run.to_dict(), "times": list(times), **batch.to_dict()})
        arguments.append((measure, run.task, batch, run.trained_model(), at, points, steps))
    return kept_each(
        folder, f"batches-{measure.__name__}", descriptions, with_times, arguments, f"{label}, many test batches", progress
    )


def known_times(history: History, times: Sequence[int], of_steps: bool) -> list[int]:
    """Those of the times at which there is a point, or a step away from it."""
    there = {t for t, step in history.updates.items() if step.any()} if of_steps else set(history.snapshots)
    return [t for t in times if t in there]


def with_times(
    measure: Callable[..., Arrays], task: RegressionTask, batches: Batches, model: Any, at: Sequence[int], points: Array,
    steps: Array | None,
) -> Arrays:  # fmt: skip
    """What a worker does for one run."""
    return {"times": np.array(at, int), **measure(task, batches, model, points, steps)}


def setting_on_batches(
    folder: RunFolder, setting: Setting, optimizer: str, scale: Scale, measure: Callable[..., Arrays], times: Sequence[int],
    batches: Batches, progress: bool | None = None,
) -> list[Arrays]:  # fmt: skip
    """:func:`on_batches` for the runs of one optimizer on one setting."""
    label = f"{optimizer} on {setting.title}"
    return on_batches(folder, runs_of(setting, optimizer, scale), measure, times, batches, label, progress)


def more_seeds(setting: Setting, optimizer: str, scale: Scale) -> list[Run]:
    """Short runs of the seeds after the scale's, up to the last time of the table."""
    last = max((t for t in TABLE if t <= scale.steps), default=0)
    if not last:
        return []
    short = replace(scale, steps=last, seeds=max(scale.seeds, scale.table_seeds), record_every=scale.hessian_every)
    return runs_of(setting, optimizer, short)[scale.seeds :]


# ---------------------------------------------------------------- numbers for the figure's JSON


def middle(values: Array, batches: Batches) -> Array:
    """The median over the batches that count, the last axis but those of the paper's own: (.., batches) -> (..)"""
    return np.median(values[..., : len(batches.seeds)], axis=-1)


def condition_of_median(every: Array, batches: Batches, **how: Any) -> Array:
    """R_med of the median over batches of each H_ii: (seeds, T, batches, p) -> (seeds, T)"""
    return condition_numbers(np.median(every[:, :, : len(batches.seeds)], axis=2), **how)


def condition_alone(every: Array, **how: Any) -> Array:
    """R_med on each batch alone: (seeds, T, batches, p) -> (seeds, T, batches)"""
    seeds, T, count, p = every.shape
    return condition_numbers(every.reshape(seeds, T * count, p), **how).reshape(seeds, T, count)


def judged(values: Array, alone: Array, batches: Batches) -> Numbers:
    """What a rule looks at: the number of each seed by the median over batches, and beside it what each batch alone says.

    values (seeds,), alone (seeds, batches); the first of the paper's own batches comes after those of the seeds.
    """
    own = len(batches.seeds)
    found = {**spread(values), "on_batches": alone[:, :own].T.tolist()}
    return {**found, "on_released": alone[:, own].tolist()} if batches.also else found
