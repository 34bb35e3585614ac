"""The training loop: a fresh batch each step, the loss and gradient by hand, clipping, one optimizer update, a record."""

import warnings
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
    steps, record_every, clip_by = _check(task, optimizer, steps, record_every, clip, clip_by)
    batch = check_memory("batch", as_count("batch", batch), 8 * (task.n + 1) * (task.d + 1))
    fixed_batch = as_flag("fixed_batch", fixed_batch)
    shape = {"layers": layers, "heads": heads, "full": full, "attention": attention, "hidden": hidden}
    model = model_from(task.d, model, params, backend, **shape)
    x = first_params(model, batches.generators(seed, 1)[0], params, std)
    if clip_by == "block" and x.ndim < 3:
        raise ValueError(
            f"clip_by: expected 'global' or 'coordinate' for params of shape {x.shape}, got 'block'; they have no matrices"
        )
    gradient = BatchGradient(model, task, batch, seed, fixed_batch)
    record = np.full(steps, np.nan), np.full(steps, np.nan)
    opt = optimizer if schedule is None else Scheduled(optimizer, as_schedule(schedule, steps))
    now = Standing(0, x, first_state(opt, x, model), *record, {0: x}, {}, 0.0, gradient.states)
    if checkpoint is not None:
        now = checkpoint.load(now)
    diverged_at, watch = None, Stopwatch(now.seconds, now.compile_seconds)
    with bar(steps, f"{type(optimizer).__name__} on {task.covariates} n={task.n}", progress) as shown, np.errstate(all="ignore"):
        shown.update(now.t)
        for t in range(now.t, steps):
            now.losses[t], grad = gradient(now.params)
            now.norms[t] = global_norm(grad)
            new, now.optimizer_state = opt.update(now.params, clipped(grad, clip, clip_by, now.norms[t]), now.optimizer_state)
            if not (np.isfinite(now.losses[t]) and np.isfinite(now.norms[t]) and np.isfinite(new).all()):
                diverged_at = t
                break
            if t in now.snapshots:
                now.updates[t] = new - now.params
            now.params, now.t = new, t + 1
            if now.t % record_every == 0 or now.t == steps:
                now.snapshots[now.t] = new
            if now.t % 64 == 0:
                shown.update(64)
            if checkpoint is not None and checkpoint.is_due():
                now.seconds, now.compile_seconds = watch.read()
                checkpoint.save(now)
    seconds, compile_seconds = watch.read()
    history = History(now.losses, now.norms, now.params, diverged_at, now.snapshots, now.updates, seconds, model, compile_seconds)
    if diverged_at is not None:
        warnings.warn(history.how_it_diverged(), Diverged, stacklevel=2)
    return history


def first_state(optimizer: Any, params: Array, model: Any) -> Any:
    """The optimizer's state before the first update; one that asks for groups of params is handed those of the model."""
    asked = getattr(optimizer, "grouping", None)
    return optimizer.init(params) if asked is None else optimizer.init(params, groups_of(model, params, asked))


clipped = clip  # ``train`` has an argument named clip


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
