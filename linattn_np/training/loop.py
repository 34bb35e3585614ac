"""The training loop: a fresh batch each step, the loss and gradient by hand, clipping, one optimizer update, a record."""

import time
from dataclasses import dataclass

import numpy as np

from .. import batches
from .._checks import as_count, as_params, check_attention, one_of
from ..layers import gram
from ..models.composed import Composed
from ..models.composed import loss_and_grad_by as composed_loss_and_grad
from ..models.transformer import LAYERS, compiles, init_params, loss, loss_and_grad_by, use_kernels
from ..optimizers import CLIPPINGS, check_optimizer, clip, global_norm
from ..progress import bar
from ..prompts import RegressionTask


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
    attention="linear", clip_by="global", params=None, hidden=0, fixed_batch=False, backend="numba", progress=None,
):  # fmt: skip
    """Train a model on fresh batches of ``task``: steps times, draw, loss and gradient, clip, update.

    task a RegressionTask; optimizer one of ``optimizers``; batch, layers, heads, std, full as in ``init_params``, or ``params``
    to start from; clip the threshold of ``optimizers.clip`` by ``clip_by``, or None; record_every the distance of snapshots
    (default: only the first and the last); progress True, False, or None: in terminals and notebooks. hidden > 0 puts a trained
    ReLU network of that width before full linear attention (``composed.py``); fixed_batch uses the first batch at every step.
    -> History. A run that leaves the finite numbers stops and says so in ``diverged_at``. The seed alone decides the bits,
    whatever the number of threads. Raises ValueError for bad arguments.
    Cost: steps gradients of ``batch`` prompts; Setting 1 takes about half a millisecond a step. Source: paper, section 3.1.
    """
    steps, record_every = _check(task, steps, record_every, clip, clip_by, attention, optimizer)
    batch, model = as_count("batch", batch), composed_model(task, hidden, layers, heads, attention, clip_by)
    init, *parts = batches.generators(seed, 1 + len(batches.part_sizes(batch)))
    if params is None:
        x = model.init_params(init, std) if model else init_params(init, layers, task.d, heads, std, full)
    else:
        x = (model.as_theta("params", params) if model else as_params(params)).astype(np.float64)
    gradient = BatchGradient(task, batch, parts, x, attention, backend, model, fixed_batch)
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
    check_optimizer(optimizer)
    check_attention(attention)
    one_of("clip_by", clip_by, CLIPPINGS)
    clipped(np.zeros(1), threshold)
    steps = as_count("steps", steps)
    return steps, steps if record_every is None else as_count("record_every", record_every)


def composed_model(task, hidden, layers, heads, attention, clip_by):
    """The composed model that ``hidden`` > 0 asks for, or None."""
    if as_count("hidden", hidden, least=0) == 0:
        return None
    if attention != "linear":
        raise ValueError(f"attention: expected 'linear' where hidden is above 0, got {attention!r}")
    if clip_by == "block":
        raise ValueError("clip_by: expected 'global' or 'coordinate' where hidden is above 0, got 'block'")
    return Composed(task.d, hidden, layers, heads)


class BatchGradient:
    """The loss and gradient on a fresh batch at each call, part by part: each part is drawn and used by one thread.

    ``model`` is the shape of a composed model, or None. With ``fixed`` the first batch is kept and used at every call.
    """

    def __init__(self, task, batch, parts, params, attention, backend, model=None, fixed=False):
        self.task, self.batch, self.parts, self.attention, self.model, self.fixed = task, batch, parts, attention, model, fixed
        if model is None and params.shape[-1] not in (task.d, task.d + 1):
            raise ValueError(f"params: expected k = d = {task.d} or k = d+1 = {task.d + 1}, got k = {params.shape[-1]}")
        self.sizes = batches.part_sizes(batch)
        self.linear = attention == "linear" and model is None
        self.states = self.linear and batches.can_draw_states(task)
        self.compiled = compiles(params, backend)
        self.sums, self.kept = np.zeros((len(self.sizes), 1 + params.size)), [None] * len(self.sizes)

    def __call__(self, params):
        self.sums[:] = 0.0
        add = self.adder(params)

        def work(c):
            drawn = self.draw(c) if self.kept[c] is None else self.kept[c]
            if self.fixed:
                self.kept[c] = drawn
            add(drawn, self.sums[c])

        if self.compiled:
            from ..kernels import linear as kernels

            kernels.run_chunks(work, len(self.sizes))
        else:
            for c in range(len(self.sizes)):
                work(c)
        total = self.sums.sum(axis=0) / self.batch  # parts in order: the same bits from any number of threads
        return total[0], total[1:].reshape(params.shape)

    def draw(self, c):
        """The prompts of part c in the form in which they are used: in lanes, as states, or as tokens with labels."""
        if self.states:
            draws = batches.draw_gaussian(self.task, self.sizes[c], self.parts[c])
        else:
            Z, y = self.task.sample(self.sizes[c], self.parts[c])
        if self.compiled and self.linear:
            from ..kernels import linear as kernels

            return kernels.lanes_from_draws(self.task, draws) if self.states else kernels.lanes_from_tokens(Z, y)
        return batches.gaussian_state(self.task, draws) if self.states else (Z, y)

    def adder(self, params):
        """The function that adds the sums of error^2 and of its gradient over one part's prompts to (1 + p,)."""
        if not self.compiled:
            return lambda drawn, out: self.add_by_numpy(params, drawn, out)
        if self.linear:
            from ..kernels import linear as kernels

            model = kernels.Model(params, self.task.d + 1, self.task.n)
            return lambda lanes, out: model.add_gradient(lanes, 0, len(lanes.G), out)
        if self.model:
            from ..kernels import composed as kernels_composed

            return lambda drawn, out: kernels_composed.add_gradient(self.model, params, *drawn, 0, len(drawn[1]), out)
        from ..kernels import tokens as kernels_tokens

        return lambda drawn, out: kernels_tokens.add_gradient(params, *drawn, self.attention, 0, len(drawn[1]), out)

    def add_by_numpy(self, params, drawn, out):
        """The same by the NumPy definitions."""
        X, y = drawn
        if self.model:
            value, grad = composed_loss_and_grad(self.model, params, X, y)
        else:
            layer = gram if self.states else LAYERS[self.attention]
            value, grad = loss_and_grad_by(layer, params, X, y, self.task.d + 1)
        out[0] += value * len(y)
        out[1:] += grad.ravel() * len(y)


def losses_along(history, Z, y, attention="linear", every=1):
    """The loss of the snapshots on one fixed batch: of those at multiples of ``every``, and of the last.

    Z (B, n+1, d+1), y (B,) -> times (T,), losses (T,). Cost: T evaluations of the batch.
    """
    times, params = history.snapshot_array()
    chosen = (times % as_count("every", every) == 0) | (times == times[-1])
    times, params = times[chosen], params[chosen]
    if use_kernels(params[0], attention, "numba"):
        from ..kernels import linear as kernels

        lanes = kernels.lanes_from_tokens(Z, y)
        return times, np.array([kernels.loss_and_grad(x, lanes)[0] for x in params])
    if compiles(params[0], "numba"):
        from ..kernels import tokens as kernels_tokens

        return times, np.array([kernels_tokens.loss_and_grad(x, Z, y, attention)[0] for x in params])
    return times, np.array([loss(x, Z, y, attention) for x in params])
