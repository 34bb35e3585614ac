"""Training on the released code's own random numbers: SGD and Adam on the same batches, and what is measured along both paths.

One call is one seed, made by a worker process and kept (``measured.kept_each``): an interrupted ``reproduce`` goes on with the
seeds that are missing. The normals of a batch are drawn once and used by every run that is trained beside the others: by SGD
and Adam, from every start, and in all settings of one n and d, whose streams are the same but for Setting 3's scales.
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
from ...settings import OPTIMIZERS, Setting, with_momentum
from .published import NONLINEAR_RATES
from .released_streams import ReleasedStream, TorchGenerator, test_batch
from .settings import SETTINGS

ROUNDING = 1e-7  # relative, of the initial weights: about what float32 leaves out
HIDDEN_SEED = 7  # torch's, of the network behind the labels of nonlinear regression
D, EXAMPLES, HIDDEN, LABEL_HIDDEN = 5, 20, 30, 10  # of nonlinear regression
Sizes = dict[str, Any]  # steps, batch, prompts, loss_every, hessian_times, starts: what a call takes beside settings and seed
Found = dict[str, list[Arrays]]


# ---------------------------------------------------------------- the four settings


def seeds(folder: RunFolder, keys: Sequence[str], count: int, sizes: Sizes, label: str, progress: bool | None = None) -> Found:
    """:func:`measure_seed` for seeds 0 .. count-1 of settings, by the folder's executor, and kept. -> {setting: for each seed}"""
    settings = [SETTINGS[key] for key in keys]
    fixed = [{"task": vars(s.task), "rates": s.learning_rates, "clip": s.clip} for s in settings]
    descriptions = [{"settings": list(keys), "each": fixed, "seed": seed, **sizes} for seed in range(count)]
    arguments = [(tuple(keys), seed, sizes) for seed in range(count)]
    found = kept_each(folder, "released", descriptions, measure_seed, arguments, label, progress)
    return {key: [{name: each[f"{key} {name}"] for name in ("losses", "diagonals")} for each in found] for key in keys}


def measure_seed(keys: Sequence[str], seed: int, sizes: Sizes) -> Arrays:
    """One seed: "KEY losses" (starts, 2, T) and "KEY diagonals" (starts, 2, times, p) on the released test batch, SGD first.

    The settings have one n and one d, so that they are trained side by side on the same normals. Starts: those that ``sizes``
    names, 0 the released code's own, k the same rounded otherwise for the k-th time.
    """
    loss_times = list(range(0, sizes["steps"] + 1, sizes["loss_every"]))
    asked = sorted({*loss_times, *sizes["hessian_times"]})
    streams = [ReleasedStream(SETTINGS[key].task, seed) for key in keys]
    first = [stream.init_params(SETTINGS[key].layers) for key, stream in zip(keys, streams, strict=True)]
    starts = [np.stack([rounded_start(x, seed, k) for k in sizes["starts"]]) for x in first]
    every = train_beside([SETTINGS[key] for key in keys], streams, starts, sizes["steps"], sizes["batch"], asked)
    arrays: Arrays = {}
    for key, found in zip(keys, every, strict=True):
        surface = Objective(*test_batch(SETTINGS[key].task, sizes["prompts"]))
        shape = len(sizes["starts"]), len(OPTIMIZERS)
        losses = [[surface.loss(found[t][at]) for t in loss_times] for at in np.ndindex(shape)]
        diagonals = [[surface.diagonal(found[t][at]) for t in sizes["hessian_times"]] for at in np.ndindex(shape)]
        arrays[f"{key} losses"] = np.reshape(losses, (*shape, -1))
        arrays[f"{key} diagonals"] = np.reshape(diagonals, (*shape, *np.shape(diagonals)[1:]))
    return arrays


def rounded_start(x: Array, seed: int, k: int) -> Array:
    """x itself for k = 0, else x rounded otherwise in its seventh digit for the k-th time. -> like x"""
    return x * (1 + ROUNDING * np.random.default_rng([seed, k]).standard_normal(x.shape)) if k else x


def train_beside(
    settings: Sequence[Setting], streams: Sequence[ReleasedStream], starts: Sequence[Array], steps: int, batch: int,
    times: Sequence[int],
) -> list[dict[int, Array]]:  # fmt: skip
    """Train SGD and Adam from each start of each setting, all on the normals of the first stream.

    -> for each setting {t: params after t updates (starts, 2, *shape)}
    """
    every = [passes_of(LinearTransformer(setting.task.d, setting.layers)) for setting in settings]
    pairs = zip(settings, starts, strict=True)
    optimizers = [[setting.optimizer(o) for _ in first for o in OPTIMIZERS] for setting, first in pairs]
    params = [[x for x in first for _ in OPTIMIZERS] for first in starts]
    states = [[o.init(x) for o, x in zip(*pair, strict=True)] for pair in zip(optimizers, params, strict=True)]
    wanted, found = set(times), [dict[int, Array]() for _ in settings]
    for t in range(steps + 1):
        if t in wanted:
            for s, first in enumerate(starts):
                found[s][t] = np.reshape(params[s], (len(first), len(OPTIMIZERS), *first.shape[1:]))
        if t < steps:
            normals = streams[0].normals(batch)
            for s, (setting, stream, passes) in enumerate(zip(settings, streams, every, strict=True)):
                prompts = passes.prepare(*stream.prompts(*normals))
                for k, optimizer in enumerate(optimizers[s]):
                    grad = clip(passes.loss_and_grad(params[s][k], prompts)[1], setting.clip)
                    params[s][k], states[s][k] = optimizer.update(params[s][k], grad, states[s][k])
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
