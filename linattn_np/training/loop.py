"""The training loop: a fresh batch each step, the loss and gradient by hand, clipping, one optimizer update, a record."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import batches
from .._checks import as_count, as_flag, as_prompts, as_real, check_memory, one_of
from .._types import Array
from ..kernels.compiling import Stopwatch
from ..models.choose import first_params, model_from, refuse_both
from ..models.model import check_width, groups_of, passes_of
from ..models.transformer import transformer_for
from ..optimizers import CLIPPINGS, Optimizer, Scheduled, check_optimizer, clip, global_norm
from ..optimizers.schedules import as_schedule
from ..progress import bar
from ..prompts import RegressionTask
from .batch_gradient import BatchGradient
from .checkpoints import Checkpoint, Standing
from .history import Diverged, History


def train(
    task: RegressionTask, optimizer: Optimizer, steps: int, batch: int = 1000, layers: int | None = None,
    clip: float | None = 1.0,
    seed: int = 0, std: float | None = None, record_every: int | None = None, *, heads: int | None = None,
    full: bool | None = None,
    attention: str | None = None, clip_by: str | None = None, params: Any = None, hidden: int | None = None,
    fixed_batch: bool = False, backend: str | None = None, progress: bool | None = None, model: Any = None,
    checkpoint: Checkpoint | None = None, schedule: Any = None,
) -> History:  # fmt: skip
    """Train a model on fresh batches of ``task``: steps times, draw, loss and gradient, clip, update.

    optimizer one of ``optimizers``; the model a linear Transformer of layers=3, heads=1, full=False, attention="linear", as in
    ``init_params``; hidden > 0 puts a trained ReLU network of that width before full linear attention (``composed.py``); or any
    ``model``. It starts from ``params``, or from random ones of std=0.05. clip the threshold of ``optimizers.clip``, or None;
    clip_by="global"; record_every the distance of snapshots (default: only the first and the last); progress True, False, or
    None: in terminals and notebooks. fixed_batch uses the first batch at every step. backend="numba", or "numpy". With a
    ``checkpoint`` a run that was ended on its way goes on from there (``checkpoints.py``). The rate is constant, or schedule
    times it: "linear" or "cosine", which fall to 0 at ``steps``, or a function of the step from 0 on, such as
    ``optimizers.WarmUp(50)``.
    -> History. A run that leaves the finite numbers stops, says so in ``diverged_at``, and warns (:class:`Diverged`). The seed
    alone decides the bits, whatever the number of threads. Raises ValueError for bad arguments, and for two of which one would be
    ignored. Cost: steps gradients of ``batch`` prompts; Setting 1 takes about a quarter of a millisecond a step. Source: paper,
    section 3.1.
    """
    asked = {name: value for name, value in locals().items() if name != "progress"}
    [history] = train_together([Training(**asked)], progress)
    if history.diverged_at is not None:
        warnings.warn(history.how_it_diverged(), Diverged, stacklevel=2)
    return history


class Training:
    """One run under way: where it stands, and what a step does to it; the arguments are those of ``train``."""

    def __init__(
        self, task: RegressionTask, optimizer: Optimizer, steps: int, batch: int, clip: float | None, seed: int,
        std: float | None, record_every: int | None, fixed_batch: bool, schedule: Any, model: Any, *,
        clip_by: str | None = None, params: Any = None, backend: str | None = None, checkpoint: Checkpoint | None = None,
        **shape: Any,
    ) -> None:  # fmt: skip
        self.steps, self.record_every, self.clip_by = _check(task, optimizer, steps, record_every, clip, clip_by)
        batch = check_memory("batch", as_count("batch", batch), 8 * (task.n + 1) * (task.d + 1))
        fixed_batch = as_flag("fixed_batch", fixed_batch)
        self.model = model_from(task.d, model, params, backend, **shape)
        x = first_params(self.model, batches.generators(seed, 1)[0], params, std)
        if clip_by == "block" and x.ndim < 3:
            raise ValueError(
                f"clip_by: expected 'global' or 'coordinate' for params of shape {x.shape}, got 'block'; they have no matrices"
            )
        self.gradient = BatchGradient(self.model, task, batch, seed, fixed_batch)
        self.optimizer = optimizer if schedule is None else Scheduled(optimizer, as_schedule(schedule, self.steps))
        self.label, self.clip = f"{type(optimizer).__name__} on {task.covariates} n={task.n}", clip
        record = np.full(self.steps, np.nan), np.full(self.steps, np.nan)
        state = first_state(self.optimizer, x, self.model)
        self.now = Standing(0, x, state, *record, {0: x}, {}, 0.0, self.gradient.states)
        self.checkpoint = checkpoint
        if checkpoint is not None:
            self.now = checkpoint.load(self.now)
        self.diverged_at: int | None = None

    def begin(self, first: "Training", runs: int) -> None:
        """Go on with the batches of ``first``, one of some runs that go on together, and with an equal share of their time."""
        self.gradient, self.now.states = first.gradient, first.gradient.states
        self.runs, self.before, self.watch = runs, (self.now.seconds, self.now.compile_seconds), Stopwatch()

    def is_under_way(self) -> bool:
        """Whether there are steps to do."""
        return self.diverged_at is None and self.now.t < self.steps

    def step(self, loss: float, grad: Array) -> None:
        """Clip the gradient of the next batch, update, record."""
        now = self.now
        now.losses[now.t], now.norms[now.t] = loss, global_norm(grad)
        clipped = clip(grad, self.clip, self.clip_by, now.norms[now.t])
        new, now.optimizer_state = self.optimizer.update(now.params, clipped, now.optimizer_state)
        if not (np.isfinite(now.losses[now.t]) and np.isfinite(now.norms[now.t]) and np.isfinite(new).all()):
            self.diverged_at = now.t
            return
        if now.t in now.snapshots:
            now.updates[now.t] = new - now.params
        now.params, now.t = new, now.t + 1
        if now.t % self.record_every == 0 or now.t == self.steps:
            now.snapshots[now.t] = new
        if self.checkpoint is not None and self.checkpoint.is_due():
            self.read_watch()
            self.checkpoint.save(now)

    def read_watch(self) -> None:
        """Bring the seconds of the standing up to date."""
        work, waited = (seconds / self.runs for seconds in self.watch.read())
        self.now.seconds, self.now.compile_seconds = self.before[0] + work, self.before[1] + waited

    def history(self) -> History:
        """The record of the run."""
        now = self.now
        return History(
            now.losses, now.norms, now.params, self.diverged_at, now.snapshots, now.updates, now.seconds, self.model,
            now.compile_seconds,
        )  # fmt: skip


def train_together(trainings: Sequence[Training], progress: bool | None = None) -> list[History]:
    """Finish some runs of the same batches, side by side: each batch is drawn once.

    The same bits as each has alone. They have task, batch, seed, fixed_batch and model in common; those that a checkpoint left at
    different steps go on one after the other.
    """
    standing: dict[int, list[Training]] = {}
    for training in trainings:
        standing.setdefault(training.now.t, []).append(training)
    for t, group in standing.items():
        first, steps = group[0], max(training.steps for training in group)
        for training in group:
            training.begin(first, len(group))
        label = first.label if len(group) == 1 else f"{first.label}, {len(group)} runs"
        with bar(steps, label, progress) as shown, np.errstate(all="ignore"):
            shown.update(t)
            while going_on := [training for training in group if training.is_under_way()]:
                found = first.gradient.at_points(np.stack([training.now.params for training in going_on]))
                for training, loss, grad in zip(going_on, *found, strict=True):
                    training.step(loss, grad)
                t += 1
                if t % 64 == 0:
                    shown.update(64)
        for training in group:
            training.read_watch()
    return [training.history() for training in trainings]


def first_state(optimizer: Any, params: Array, model: Any) -> Any:
    """The optimizer's state before the first update; one that asks for groups of params is handed those of the model."""
    asked = getattr(optimizer, "grouping", None)
    return optimizer.init(params) if asked is None else optimizer.init(params, groups_of(model, params, asked))


def _check(
    task: RegressionTask, optimizer: Optimizer, steps: int, record_every: int | None, threshold: float | None, clip_by: str | None
) -> tuple[int, int, str]:
    """Raise ValueError for what no part of the loop would notice before the first step. -> steps, record_every, clip_by"""
    if not isinstance(task, RegressionTask):
        raise ValueError(f"task: expected a RegressionTask, got {type(task).__name__}")
    check_optimizer(optimizer)
    if clip_by is not None:
        one_of("clip_by", clip_by, CLIPPINGS)
        refuse_both("clip_by", ["clip=None"] if threshold is None else [], "nothing would be clipped")
    if threshold is not None:
        as_real("clip", threshold, above=0)
    steps = check_memory("steps", as_count("steps", steps), 16)
    return steps, steps if record_every is None else as_count("record_every", record_every), clip_by or "global"


def losses_along(history: History, Z: Array, y: Array, every: int = 1) -> tuple[Array, Array]:
    """The loss of the snapshots on one fixed batch, by the history's own model: at multiples of ``every``, and of the last.

    Z (B, n+1, d+1), y (B,) -> times (T,), losses (T,). Raises ValueError for bad arguments. Cost: T evaluations of the batch.
    """
    times, params = history.snapshot_array()
    chosen = (times % as_count("every", every) == 0) | (times == times[-1])
    times, params = times[chosen], params[chosen]
    Z, y = as_prompts(Z, y)
    model = history.model
    if model is None:  # a history made by hand
        model, _ = transformer_for(params[0], Z.shape[-1] - 1, Z=Z)
    check_width(model, Z)
    passes = passes_of(model)
    batch = passes.prepare(Z, y)
    return times, np.array([passes.loss(x, batch) for x in params])
