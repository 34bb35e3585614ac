"""The measurements of one layer: plateaus, waiting times, the head-count control, prompts in the place of moments, the library
itself.
"""

import numpy as np

from ...._types import Array
from ....models.transformer import LinearTransformer
from ....optimizers import Linear
from . import training
from .heads import as_params
from .moments import LAMBDA, Moments, N, exact, levels, of_prompts, task

D = len(LAMBDA)
STD, EVERY = 0.02, 10  # of separate heads; distance of the recorded models
MERGED_STDS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
SEPARATE_STDS = (0.02, 0.01, 0.005, 0.0025)
COUNTS, COUNT_STD = (1, 2, 3, 4, 5), 0.05


def edges() -> tuple[float, float]:
    """The losses at which a fall from level 0 to level d is 10 % and 90 % done."""
    high, *_, low = levels(LAMBDA, N)
    return high - 0.1 * (high - low), high - 0.9 * (high - low)


def separate(seeds: tuple[int, ...], steps: int, prompts: int = 0) -> dict[str, Array]:
    """Five separate heads from STD. -> f (S, steps + 1), and what :func:`training.plateaus` says of each seed, (S, 5, d)

    prompts: train each seed on its own so many prompts instead of on the exact moments; then also own (S, d), the losses of the
    best models of rank 0 to d - 1 on these prompts.
    """
    L, runs, own = levels(LAMBDA, N), [], []
    weights = [training.start("separate", STD, seed, D) for seed in seeds]
    if prompts:
        for seed, each in zip(seeds, weights, strict=True):
            moments = of_prompts(*task().sample(prompts, np.random.default_rng([27, seed, 1])))
            runs.append(training.descend("separate", training.stacked([each]), moments, training.ETA, steps, EVERY))
            own.append(best_of_rank(moments))
    else:
        runs.append(training.descend("separate", training.stacked(weights), exact(LAMBDA, N), training.ETA, steps, EVERY))
    f, M = (np.concatenate([run[name] for run in runs]) for name in "fM")
    flat = [list(training.plateaus(*each, L, EVERY).values()) for each in zip(f, M, strict=True)]
    return {"f": f, "flat": np.array(flat), "own": np.array(own)}


def decaying(seeds: tuple[int, ...], steps: int) -> dict[str, Array]:
    """The same networks while the rate falls linearly to 0. -> f (S, steps + 1), flat (S, 5, d), clocks (S, 2)

    clocks: the sum of the rates up to the first drop, below the middle of levels 0 and 1: at a constant rate, at one that falls.
    """
    L, weights = levels(LAMBDA, N), training.stacked([training.start("separate", STD, seed, D) for seed in seeds])
    found, clocks = {}, []
    for schedule in (None, Linear(steps)):
        found = training.descend("separate", weights, exact(LAMBDA, N), training.ETA, steps, EVERY, schedule)
        clock = training.ETA * np.cumsum([0.0, *(schedule(t) if schedule else 1.0 for t in range(steps))])
        drops = [training.crossing(f, L[:2].mean()) for f in found["f"]]
        clocks.append([clock[int(drop)] if np.isfinite(drop) else np.nan for drop in drops])
    flat = [list(training.plateaus(*each, L, EVERY).values()) for each in zip(found["f"], found["M"], strict=True)]
    return {"f": found["f"], "flat": np.array(flat), "clocks": np.array(clocks).T}


def best_of_rank(moments: Moments, sweeps: int = 200) -> list[float]:
    """The least loss of M = U V^T of rank 0 to d - 1, by least squares for U and V in turn from Lambda's largest eigenvectors."""
    found, I = [moments.c], np.eye(D)
    b, A = moments.B.ravel(), moments.A
    for m in range(1, D):
        V = I[:, ::-1][:, :m]  # Lambda is diagonal, its largest entry the last
        for _ in range(sweeps):
            K = np.kron(I, V)  # vec(U V^T) = K vec(U)
            U = np.linalg.solve(K.T @ A @ K, K.T @ b).reshape(D, m)
            K = np.kron(U, I)  # vec(U V^T) = K vec(V^T)
            V = np.linalg.solve(K.T @ A @ K, K.T @ b).reshape(m, D).T
        M = (U @ V.T).ravel()
        found.append(float(moments.c - 2 * b @ M + M @ A @ M))
    return found


def merged(seeds: tuple[int, ...], steps: int) -> dict[str, Array]:
    """Five merged heads from each of MERGED_STDS. -> f (S, stds, steps + 1), begin and falls (S, stds) in steps, and near (S,
    stds, d - 1)

    begin: 10 % of the fall is done; falls: from there to 90 %; near: the steps within NEAR of each level between the first and
    the last.
    """
    pairs = [(seed, std) for seed in seeds for std in MERGED_STDS]
    weights = training.stacked([training.start("merged", std, seed, D) for seed, std in pairs])
    f = training.descend("merged", weights, exact(LAMBDA, N), training.ETA, steps, steps)["f"]
    begin, end = (np.array([training.crossing(each, edge) for each in f]) for edge in edges())
    near = (np.abs(f[:, :, None] / levels(LAMBDA, N)[1:-1] - 1) <= training.NEAR).sum(axis=1)
    shape = len(seeds), len(MERGED_STDS)
    return {
        "f": f.reshape(*shape, -1),
        "begin": begin.reshape(shape),
        "falls": (end - begin).reshape(shape),
        "near": near.reshape(*shape, -1),
    }


def first_drops(seeds: tuple[int, ...], steps: int) -> dict[str, Array]:
    """The first step below the middle of levels 0 and 1, separate heads from each of SEPARATE_STDS. -> drops (S, stds)"""
    pairs = [(seed, std) for seed in seeds for std in SEPARATE_STDS]
    weights = training.stacked([training.start("separate", std, seed, D) for seed, std in pairs])
    f = training.descend("separate", weights, exact(LAMBDA, N), training.ETA, steps, steps)["f"]
    middle = levels(LAMBDA, N)[:2].mean()
    return {"drops": np.array([training.crossing(each, middle) for each in f]).reshape(len(seeds), -1)}


def head_counts(seeds: tuple[int, ...], steps: int, later: int) -> dict[str, Array]:
    """The control: 1 to 5 separate heads.

    -> f (S, counts, T) up to ``steps``, thinned out, last (S, counts) there, and later on
    """
    pairs = [(seed, heads) for seed in seeds for heads in COUNTS]
    weights = [training.start("separate", COUNT_STD, seed, D, heads, max(COUNTS)) for seed, heads in pairs]
    f = training.descend("separate", training.stacked(weights), exact(LAMBDA, N), training.ETA, later, later)["f"]
    f = f.reshape(len(seeds), len(COUNTS), -1)
    return {"f": f[..., : steps + 1 : EVERY], "last": f[..., steps], "later": f[..., -1]}


def through_library(seed: int, steps: int, prompts: int, std: float = 1e-3) -> dict[str, Array]:
    """A merged run by ``la.loss_and_grad`` on prompts, corner and blocks alone moved, beside the same run on the moments of these
    prompts.

    -> gap, the largest relative difference of the two losses, and last, the loss at the end.
    """
    Z, y = task().sample(prompts, np.random.default_rng([27, seed, 1]))
    moments, library = of_prompts(Z, y), LinearTransformer(d=D, layers=1, heads=training.HEADS, full=True)
    v, Q = training.start("merged", std, seed, D)
    f = training.descend("merged", [v[None], Q[None]], moments, training.ETA, steps, steps)["f"][0]
    params, free = as_params(v, Q), as_params(np.ones_like(v), np.ones_like(Q))
    losses = []
    for _ in range(steps + 1):
        loss, grad = library.loss_and_grad(params, Z, y)
        losses.append(loss)
        params = params - training.ETA * free * grad
    return {"gap": np.abs(np.array(losses) / f - 1).max(), "last": np.array(losses[-1])}


def growth() -> float:
    """What a step multiplies small merged heads by, v and Q along Lambda^2: 1 + 2 eta |Lambda^2| (27.13)."""
    return 1 + 2 * training.ETA * float(np.sqrt(((LAMBDA @ LAMBDA) ** 2).sum()))


def decade() -> float:
    """Steps that a tenth of the first weights costs merged heads (27.14)."""
    return float(np.log(10) / np.log(growth()))
