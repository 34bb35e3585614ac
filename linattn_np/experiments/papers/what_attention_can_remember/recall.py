"""The task of recall: its floor, the weights of a local one, and the training of the tables that meets the floor or not."""

from collections.abc import Sequence

import numpy as np

from ...._checks import as_count, one_of
from ...._types import Array
from ....optimizers import Adam, Cosine, Scheduled
from .readout import KINDS, loss_and_grad, tables_of

ITERATIONS = 800
ADAM = Adam(0.05, beta1=0.9, beta2=0.99)  # its rate falls to 0 along half a cosine
SPREAD, LENGTH = 0.5, 3.0  # size of the first entries; length of softmax's first keys


def floor(L: int, D: int, kind: str = "linear") -> float:
    """The least error that tables of width D can have on L bits (23.5): max(0, 1 - rank / L).

    The rank of M = A o W is at most D^2 for "linear" and "elu", at most D for "plain"; for "softmax" nothing bounds it, and the
    floor is 0. Raises ValueError for sizes below 1 and another kind. Derived in lesson 23.
    """
    L, D = as_count("L", L), as_count("D", D)
    if one_of("kind", kind, KINDS) == "softmax":
        return 0.0
    return max(0.0, 1.0 - (D if kind == "plain" else D * D) / L)


def local_weights(L: int, m: int) -> Array:
    """Weights (L, L) of a causal error: at time t the last m positions are asked for, among all items so far.

    f = mean over t of the mean over j in t-m+1..t of sum_{i <= t} (M_ji - I_ji)^2. Row j is the query: items that come after its
    last asking weigh nothing. m = L: everything that has been is asked for. Raises ValueError unless 1 <= m <= L.
    """
    L, m = as_count("L", L), as_count("m", m)
    if m > L:
        raise ValueError(f"m: expected at most L = {L}, got {m}")
    times = np.arange(1, L + 1)
    each = np.concatenate([[0.0], np.cumsum(1.0 / np.minimum(times, m))]) / L  # each[t]: what the times 1..t weigh together
    first = np.maximum(times[:, None], times)  # the first time at which both are there
    last = np.minimum(times + m - 1, L)[:, None]  # the last time at which j is asked for
    return np.maximum(each[np.maximum(last, first - 1)] - each[first - 1], 0.0)


def start(rng: np.random.Generator, L: int, D: int, kind: str, length: float = LENGTH) -> Array:
    """First tables (4 or 2, L, D): normal entries; softmax begins with q = k, rows of this length."""
    tables = SPREAD * rng.standard_normal((tables_of(kind), L, D))
    if kind == "softmax":
        k = tables[1]
        tables[:] = length * k / np.sqrt((k * k).sum(axis=-1, keepdims=True))
    return tables


def fit(
    L: int, D: int, kind: str, seeds: Sequence[int], weights: Array | None = None, iterations: int = ITERATIONS,
    length: float = LENGTH,
) -> tuple[Array, Array]:  # fmt: skip
    """Train the tables of several seeds by Adam on the exact error. -> tables (seeds, 4 or 2, L, D), errors (seeds,)

    weights (L, L) as in ``readout.loss_and_grad``; length is that of softmax's first keys. Raises ValueError for sizes below 1
    and another kind. Cost O(iterations L^2 D).
    """
    L, D, iterations = as_count("L", L), as_count("D", D), as_count("iterations", iterations)
    tables = np.stack([start(np.random.default_rng([seed, L, D]), L, D, kind, length) for seed in seeds])
    optimizer = Scheduled(ADAM, Cosine(iterations))
    state = optimizer.init(tables)
    for _ in range(iterations):
        tables, state = optimizer.update(tables, loss_and_grad(tables, kind, weights)[1], state)
    return tables, loss_and_grad(tables, kind, weights)[0]


def train(L: int, D: int, kind: str, seed: int) -> float:
    """The error that 800 iterations reach on L bits with width D, to be held against :func:`floor`.

    kind "linear", "plain", "elu" or "softmax"; seed decides the first tables. Raises ValueError for sizes below 1, another kind
    and a negative seed. Cost O(800 L^2 D).
    """
    return float(fit(L, D, kind, [as_count("seed", seed, 0)])[1][0])
