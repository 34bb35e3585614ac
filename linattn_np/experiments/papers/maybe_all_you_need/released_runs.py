"""Training on the released code's own random numbers: SGD and Adam on the same batches, and what is measured along both paths.

One call is one seed of one setting, made by a worker process and kept (``measured.kept_each``): an interrupted ``reproduce`` goes
on with the seeds that are missing. Each batch is drawn once and used by every run that is trained beside the others.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...._types import Array
from ....layers import mlp
from ....measures.landscape import Objective
from ....models.composed import Composed, joined
from ....models.model import passes_of
from ....models.transformer import LinearTransformer
from ....optimizers import clip
from ....training.runs import RunFolder
from ...measured import Arrays, kept_each
from ...robust import diagonal
from ...settings import OPTIMIZERS, Setting, with_momentum
from .published import NONLINEAR_RATES
from .released_streams import ReleasedStream, TorchGenerator, test_batch
from .settings import SETTINGS

ROUNDING = 1e-7  # relative, of the initial weights: about what float32 leaves out
HIDDEN_SEED = 7  # torch's, of the network behind the labels of nonlinear regression
D, EXAMPLES, HIDDEN, LABEL_HIDDEN = 5, 20, 30, 10  # of nonlinear regression
Sizes = dict[str, Any]  # steps, batch, prompts, loss_every, hessian_times, starts: what a call takes beside the seed


# ---------------------------------------------------------------- the four settings


def seeds(folder: RunFolder, key: str, count: int, sizes: Sizes, label: str, progress: bool | None = None) -> list[Arrays]:
    """:func:`measure_seed` for seeds 0 .. count-1 of a setting, by the folder's executor, and kept."""
    setting = SETTINGS[key]
    fixed = {"task": vars(setting.task), "rates": setting.learning_rates, "clip": setting.clip, **sizes}
    descriptions = [{"setting": key, "seed": seed, **fixed} for seed in range(count)]
    arguments = [(key, seed, sizes) for seed in range(count)]
    return kept_each(folder, "released", descriptions, measure_seed, arguments, label, progress)


def measure_seed(key: str, seed: int, sizes: Sizes) -> Arrays:
    """One seed: losses (starts, 2, T) and Hessian diagonals (starts, 2, times, p) on the released test batch, SGD first, then
    Adam.
    """
    setting = SETTINGS[key]
    stream = ReleasedStream(setting.task, seed)
    first = rounded_starts(stream.init_params(setting.layers), seed, sizes["starts"])
    loss_times = list(range(0, sizes["steps"] + 1, sizes["loss_every"]))
    asked = sorted({*loss_times, *sizes["hessian_times"]})
    found = train_beside(setting, stream, first, sizes["steps"], sizes["batch"], asked)
    surface = Objective(*test_batch(setting.task, sizes["prompts"]))
    shape = len(first), len(OPTIMIZERS)
    losses = [[surface.loss_and_grad(found[t][at])[0] for t in loss_times] for at in np.ndindex(shape)]
    diagonals = [[diagonal(surface, found[t][at]) for t in sizes["hessian_times"]] for at in np.ndindex(shape)]
    return {"losses": np.reshape(losses, (*shape, -1)), "diagonals": np.reshape(diagonals, (*shape, *np.shape(diagonals)[1:]))}


def rounded_starts(x: Array, seed: int, count: int) -> Array:
    """x itself, then x rounded otherwise in its seventh digit, ``count`` in all. -> (count, *x.shape)"""
    others = [x * (1 + ROUNDING * np.random.default_rng([seed, k]).standard_normal(x.shape)) for k in range(1, count)]
    return np.stack([x, *others])


def train_beside(
    setting: Setting, stream: ReleasedStream, starts: Array, steps: int, batch: int, times: Sequence[int]
) -> dict[int, Array]:
    """Train SGD and Adam from each start, all on the same batches. -> {t: params after t updates (starts, 2, *shape)}"""
    passes = passes_of(LinearTransformer(setting.task.d, setting.layers))
    optimizers = [setting.optimizer(o) for _ in starts for o in OPTIMIZERS]
    params = [x for x in starts for _ in OPTIMIZERS]
    states = [optimizer.init(x) for optimizer, x in zip(optimizers, params, strict=True)]
    wanted, found = set(times), {}
    for t in range(steps + 1):
        if t in wanted:
            found[t] = np.reshape(params, (len(starts), len(OPTIMIZERS), *starts.shape[1:]))
        if t < steps:
            prompts = passes.prepare(*stream.batch(batch))
            for k, optimizer in enumerate(optimizers):
                grad = clip(passes.loss_and_grad(params[k], prompts)[1], setting.clip)
                params[k], states[k] = optimizer.update(params[k], grad, states[k])
    return found


# ---------------------------------------------------------------- nonlinear regression


def nonlinear_seeds(folder: RunFolder, count: int, steps: int, batch: int, progress: bool | None = None) -> list[Arrays]:
    """:func:`measure_nonlinear` for seeds 0 .. count-1, by the folder's executor, and kept."""
    fixed = {"rates": NONLINEAR_RATES, "hidden_seed": HIDDEN_SEED, "steps": steps, "batch": batch}
    descriptions = [{"seed": seed, **fixed} for seed in range(count)]
    arguments = [(seed, steps, batch) for seed in range(count)]
    label = "released streams, nonlinear regression"
    return kept_each(folder, "released-nonlinear", descriptions, measure_nonlinear, arguments, label, progress)


def measure_nonlinear(seed: int, steps: int, batch: int) -> Arrays:
    """One seed of nonlinear regression: the loss of each fresh batch before its step, (2, steps); SGD first, then Adam.

    The attention is drawn before the network; a batch is examples, query, task vectors, in this order.
    """
    stream, model = TorchGenerator(seed), Composed(D, HIDDEN, layers=3)
    labels = TorchGenerator(HIDDEN_SEED).network(D, LABEL_HIDDEN, D)
    weights = (stream.normals(*model.shapes["attention"]) * np.float32(0.1)).astype(np.float64)
    attention = np.stack([weights[:, :, 0], weights[:, :, 1].mT], axis=2)
    theta = joined(stream.network(D, HIDDEN, D), attention)
    optimizers = [with_momentum(o, NONLINEAR_RATES[o]) for o in OPTIMIZERS]
    params, states = [theta] * 2, [optimizer.init(theta) for optimizer in optimizers]
    passes, losses = passes_of(model), np.empty((len(OPTIMIZERS), steps))
    for t in range(steps):
        prompts = passes.prepare(*nonlinear_batch(stream, labels, batch))
        for k, optimizer in enumerate(optimizers):
            losses[k, t], grad = passes.loss_and_grad(params[k], prompts)
            params[k], states[k] = optimizer.update(params[k], clip(grad, 1.0), states[k])
    return {"losses": losses}


def nonlinear_batch(stream: TorchGenerator, network: tuple[Array, Array, Array, Array], size: int) -> tuple[Array, Array]:
    """The next batch: Z (size, n+1, d+1), y (size,), with labels <w, network(x)>."""
    Z = np.empty((size, EXAMPLES + 1, D + 1))
    X = Z[..., :D]
    X[:, :EXAMPLES], X[:, EXAMPLES:] = stream.normals(size, EXAMPLES, D), stream.normals(size, 1, D)
    w = stream.normals(size, D).astype(np.float64)
    Z[..., D] = (mlp.forward(X, *network)[0] @ w[..., None])[..., 0]
    y = Z[:, -1, -1].copy()
    Z[:, -1, -1] = 0.0
    return Z, y
