"""The training loop: a fresh batch each step, the loss and gradient by hand, clipping, one optimizer update, a record."""

import time
from dataclasses import dataclass

import numpy as np

from . import gram, streams
from ._checks import as_count, as_params, check_attention, one_of
from .optimizers import CLIPPINGS, clip, global_norm
from .progress import bar
from .prompts import RegressionTask
from .transformer import LAYERS, init_params, loss, loss_and_grad_by, use_kernels


@dataclass(frozen=True)
class History:
    """What a training run leaves behind. Entry t of ``loss`` and ``grad_norm`` belongs to the batch of step t, before its update."""

    loss: np.ndarray  # (steps,) NaN after a divergence
    grad_norm: np.ndarray  # (steps,) before clipping
    params: np.ndarray  # (L, H, 2, k, k) the last finite ones
    diverged_at: int | None  # the first step whose loss, gradient or update was not finite
    snapshots: dict  # {t: params after t updates}: 0, every record_every, and the last
    updates: dict  # {t: what update t+1 added to snapshot t}, for every snapshot but the last
    seconds: float  # wall time

    def snapshot_array(self):
        """The times (T,) and parameters (T, L, H, 2, k, k) of the snapshots, in order."""
        times = sorted(self.snapshots)
        return np.array(times), np.stack([self.snapshots[t] for t in times])


def train(
    task, optimizer, steps, batch=1000, layers=3, clip=1.0, seed=0, std=0.05, record_every=None, *, heads=1, full=False,
    attention="linear", clip_by="global", params=None, backend="numba", progress=None,
):  # fmt: skip
    """Train a model on fresh batches of ``task``: steps times, draw, loss and gradient, clip, update.

    task a RegressionTask; optimizer one of ``optimizers``; batch, layers, heads, std, full as in ``init_params``, or ``params``
    to start from; clip the threshold of ``optimizers.clip`` by ``clip_by``, or None; record_every the distance of snapshots
    (default: only the first and the last); progress True, False, or None: in terminals and notebooks.
    -> History. A run that leaves the finite numbers stops and says so in ``diverged_at``. The seed alone decides the bits,
    whatever the number of threads. Raises ValueError for bad arguments.
    Cost: steps gradients of ``batch`` prompts; Setting 1 takes about half a millisecond a step. Source: paper, section 3.1.
    """
    steps, record_every = _check(task, steps, record_every, clip, clip_by, attention, optimizer)
    batch = as_count("batch", batch)
    init, *parts = streams.generators(seed, 1 + len(streams.part_sizes(batch)))
    x = init_params(init, layers, task.d, heads, std, full) if params is None else as_params(params).astype(np.float64)
    gradient = BatchGradient(task, batch, parts, x, attention, backend)
    state = optimizer.init(x)
    losses, norms = np.full(steps, np.nan), np.full(steps, np.nan)
    snapshots, updates, diverged_at, began = {0: x}, {}, None, time.perf_counter()
    with bar(steps, f"{type(optimizer).__name__} on {task.covariates} n={task.n}", progress) as shown, np.errstate(all="ignore"):
        for t in range(steps):
            losses[t], grad = gradient(x)
            norms[t] = global_norm(grad)
            new, state = optimizer.update(x, clipped(grad, clip, clip_by), state)
            if not (np.isfinite(losses[t]) and np.isfinite(norms[t]) and np.isfinite(new).all()):
                diverged_at = t
                break
            if t in snapshots:
                updates[t] = new - x
            x = new
            if (t + 1) % record_every == 0 or t + 1 == steps:
                snapshots[t + 1] = x
            if t % 64 == 63:
                shown.update(64)
    return History(losses, norms, x, diverged_at, snapshots, updates, time.perf_counter() - began)


clipped = clip  # ``train`` has an argument named clip


def _check(task, steps, record_every, threshold, clip_by, attention, optimizer):
    """Raise ValueError for what no part of the loop would notice before the first step."""
    if not isinstance(task, RegressionTask):
        raise ValueError(f"task: expected a RegressionTask, got {type(task).__name__}")
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")) or isinstance(optimizer, type):
        raise ValueError(f"optimizer: expected an instance with init and update, such as Adam(0.02), got {optimizer!r}")
    check_attention(attention)
    one_of("clip_by", clip_by, CLIPPINGS)
    clipped(np.zeros(1), threshold)
    steps = as_count("steps", steps)
    return steps, steps if record_every is None else as_count("record_every", record_every)


class BatchGradient:
    """The loss and gradient on a fresh batch at each call, part by part: each part is drawn and used by one thread."""

    def __init__(self, task, batch, parts, params, attention, backend):
        self.task, self.batch, self.parts, self.attention = task, batch, parts, attention
        if params.shape[-1] not in (task.d, task.d + 1):
            raise ValueError(f"params: expected k = d = {task.d} or k = d+1 = {task.d + 1}, got k = {params.shape[-1]}")
        self.sizes = streams.part_sizes(batch)
        self.states = attention == "linear" and streams.can_draw_states(task)
        self.kernels = use_kernels(params, attention, backend)
        self.sums = np.zeros((len(self.sizes), 1 + params.size))

    def __call__(self, params):
        self.sums[:] = 0.0
        if self.kernels:
            self._by_kernels(params)
        else:
            for c in range(len(self.sizes)):
                self._by_numpy(params, c)
        total = self.sums.sum(axis=0) / self.batch  # parts in order: the same bits from any number of threads
        return total[0], total[1:].reshape(params.shape)

    def _by_kernels(self, params):
        from . import kernels

        model = kernels.Model(params, self.task.d + 1, self.task.n)

        def work(c):
            if self.states:
                lanes = kernels.lanes_from_draws(self.task, streams.draw_gaussian(self.task, self.sizes[c], self.parts[c]))
            else:
                lanes = kernels.lanes_from_tokens(*self.task.sample(self.sizes[c], self.parts[c]))
            model.add_gradient(lanes, 0, len(lanes.G), self.sums[c])

        kernels.run_chunks(work, len(self.sizes))

    def _by_numpy(self, params, c):
        if self.states:
            X, y = streams.gaussian_state(self.task, streams.draw_gaussian(self.task, self.sizes[c], self.parts[c]))
            value, grad = loss_and_grad_by(gram, params, X, y, self.task.d + 1)
        else:
            Z, y = self.task.sample(self.sizes[c], self.parts[c])
            value, grad = loss_and_grad_by(LAYERS[self.attention], params, Z, y, self.task.d + 1)
        self.sums[c, 0], self.sums[c, 1:] = value * len(y), grad.ravel() * len(y)


def losses_along(history, Z, y, attention="linear", every=1):
    """The loss of the snapshots on one fixed batch: of those at multiples of ``every``, and of the last.

    Z (B, n+1, d+1), y (B,) -> times (T,), losses (T,). Cost: T evaluations of the batch.
    """
    times, params = history.snapshot_array()
    chosen = (times % as_count("every", every) == 0) | (times == times[-1])
    times, params = times[chosen], params[chosen]
    if use_kernels(params[0], attention, "numba"):
        from . import kernels

        lanes = kernels.lanes_from_tokens(Z, y)
        return times, np.array([kernels.loss_and_grad(x, lanes)[0] for x in params])
    return times, np.array([loss(x, Z, y, attention) for x in params])
