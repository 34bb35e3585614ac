"""What gradient flow keeps, by two roads: symmetric generators of the loss's symmetries, and the null space of g^T A theta = 0.

If theta -> exp(t X) theta leaves every loss alone, then g . X theta = 0 (27.16); for symmetric X gradient flow keeps theta^T X
theta, since its derivative is -2 g . X theta (27.17). A layer sees its heads only through sum_h P_h G Q_h, so X mixes heads by a
symmetric N:

(27.18)  full matrices: <P_h, P_j> - <Q_h, Q_j>, H (H + 1) / 2 for each layer
(27.19)  the paper's form, whose corner 1 asks for N 1 = 0: H (H - 1) / 2 for each layer but the last, for one head none; in the
         last layer, whose P is dead, all differences Q_h - Q_j and so all their products.

With d = 1 more matrices commute: a full layer alone keeps p_h . K_j - p_j . K_h too (p the last row of P, K the first column of
Q), and the paper's layers P^T N Q with N antisymmetric, N 1 = 0. By machine: A runs over all symmetric matrices on the live
parameters, g over random weights and prompts; singular values that are 0 count what is kept. Derived in lesson 27.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...._checks import as_count
from ...._types import Array
from ....models.transformer import LinearTransformer
from ....prompts import RegressionTask

ZERO, DEAD = 1e-10, 1e-12  # a singular value, relative to the largest; a gradient that is zero


def gradients(model: LinearTransformer, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Weights and their gradients at random points and prompts, each (count, p)."""
    found = []
    for _ in range(count):
        theta = rng.standard_normal(model.shape)
        Z, y = rng.standard_normal((3, 5, model.d + 1)), rng.standard_normal(3)
        Z[:, -1, -1] = 0.0  # a query has no label yet
        found.append((theta.ravel(), model.loss_and_grad(theta, Z, y)[1].ravel()))
    thetas, grads = map(np.array, zip(*found, strict=True))
    return thetas, grads


def null_space(model: LinearTransformer, rng: np.random.Generator) -> dict[str, Any]:
    """How many quadratic forms every gradient keeps, by the null space of g^T A theta = 0 over symmetric A.

    -> count, live (parameters whose gradient is not always 0), gap (the smallest singular value that counts as not 0, and the
    largest that counts as 0, both relative). Cost O(p^6) for p live parameters: p = 33 takes half a second.
    """
    live = np.abs(gradients(model, 5, rng)[1]).max(axis=0) > DEAD
    p = int(live.sum())
    i, j = np.triu_indices(p)
    theta, g = (each[:, live] for each in gradients(model, i.size + i.size // 5 + 5, rng))
    rows = np.where(i == j, 1.0, np.sqrt(0.5)) * (g[:, i] * theta[:, j] + g[:, j] * theta[:, i])
    values = np.linalg.svd(rows / np.sqrt((rows**2).sum(axis=1, keepdims=True)), compute_uv=False)
    count = int((values < ZERO * values[0]).sum())
    gap = [float(values[len(values) - count - 1] / values[0]), float(values[len(values) - count :].max(initial=0) / values[0])]
    return {"count": count, "live": p, "gap": gap}


def symmetric(H: int) -> Iterator[Array]:
    """A basis of the symmetric matrices (H, H)."""
    for h in range(H):
        for j in range(h, H):
            N = np.zeros((H, H))
            N[h, j] = N[j, h] = 1.0
            yield N


def differences(H: int) -> list[Array]:
    """A basis of the vectors (H,) that add up to 0."""
    return [np.eye(H)[h] - np.eye(H)[0] for h in range(1, H)]


def generators(model: LinearTransformer) -> list[Array]:
    """The symmetric generators (27.18), (27.19) and those of d = 1, on all parameters in the order of ``params.ravel()``.

    -> list of (p, p)
    """
    places = np.arange(np.prod(model.shape)).reshape(model.shape)
    P, Q = (places[:, :, which].reshape(model.layers, model.heads, -1) for which in (0, 1))  # (L, H, k^2)
    made = list(_full(model, P, Q) if model.full else _paper(model, P, Q))
    return [each.reshape(places.size, places.size) for each in made]


def by_symmetry(model: LinearTransformer) -> int:
    """How many independent ones there are: H (H + 1) / 2 a layer, and so on."""
    return len(generators(model))


def _mixed(size: int, parts: list[tuple[Array, Array, Array, float]]) -> Array:
    """The matrix of sum_hj factor N_hj <theta[rows_h], theta[columns_j]>, made symmetric."""
    X = np.zeros((size, size))
    for N, rows, columns, factor in parts:
        for h, j in np.argwhere(N != 0):
            X[rows[h], columns[j]] += factor * N[h, j] / 2
            X[columns[j], rows[h]] += factor * N[h, j] / 2
    return X


def _full(model: LinearTransformer, P: Array, Q: Array) -> Iterator[Array]:
    """(27.18), and for one layer with d = 1 the turns of keys into values."""
    size, k = 2 * P.size, model.d + 1
    for p, q in zip(P, Q, strict=True):
        for N in symmetric(model.heads):
            yield _mixed(size, [(N, p, p, 1.0), (N, q, q, -1.0)])
    if model.layers == model.d == 1:
        for N in antisymmetric(np.eye(model.heads)):
            yield _mixed(size, [(N, P[0, :, -k:], Q[0, :, ::k], 1.0)])


def _paper(model: LinearTransformer, P: Array, Q: Array) -> Iterator[Array]:
    """(27.19), and for d = 1 the antisymmetric N."""
    size, apart = 2 * P.size, differences(model.heads)
    for p, q in zip(P[:-1], Q[:-1], strict=True):
        for N in _products(apart):
            yield _mixed(size, [(N, p, p, 1.0), (N, q, q, -1.0)])
        for N in antisymmetric(np.array(apart)) if model.d == 1 and apart else ():
            yield _mixed(size, [(N, p, q, 1.0)])
    kept = [row[:, None] * np.eye(Q.shape[2])[at] for row in apart for at in range(Q.shape[2])]  # Q_h - Q_0, entry by entry
    for N in _products([each.ravel() for each in kept]):
        X = np.zeros((size, size))
        X[np.ix_(Q[-1].ravel(), Q[-1].ravel())] = N
        yield X


def _products(vectors: list[Array]) -> Iterator[Array]:
    """A basis of the symmetric matrices that these independent vectors span."""
    for k, u in enumerate(vectors):
        for w in vectors[k:]:
            yield (np.outer(u, w) + np.outer(w, u)) / 2


def antisymmetric(vectors: Array) -> Iterator[Array]:
    """A basis of the antisymmetric matrices that the rows of ``vectors`` span."""
    for k in range(len(vectors)):
        for l in range(k + 1, len(vectors)):
            yield np.outer(vectors[k], vectors[l]) - np.outer(vectors[l], vectors[k])


def apart(theta: Array) -> Array:
    """|P1 - P2|^2 - |Q1 - Q2|^2 of each layer of two heads. theta (L, 2, 2, k, k) -> (L,)"""
    square = ((theta[:, 0] - theta[:, 1]) ** 2).sum(axis=(2, 3))  # (L, 2)
    return square[:, 0] - square[:, 1]


def drift(seed: int, etas: tuple[float, ...], time: float, prompts: int, std: float = 0.1) -> dict[str, Array]:
    """Gradient descent of two heads in the paper's form on fixed prompts, up to one time with each rate.

    -> drift (rates, L - 1) of :func:`apart` in the layers before the last, moved (rates, L - 1) of its first part alone, last
    (rates,) the largest change of Q_1 - Q_2 in the last layer, relative.
    """
    as_count("prompts", prompts)
    model, rng = LinearTransformer(d=5, layers=3, heads=2), np.random.default_rng([27, seed])
    Z, y = RegressionTask(n=20, d=5).sample(prompts, rng)
    first, found = std * rng.standard_normal(model.shape), []
    for eta in etas:
        theta = first.copy()
        for _ in range(round(time / eta)):
            theta = theta - eta * model.loss_and_grad(theta, Z, y)[1]
        squares = [((each[:-1, 0, 0] - each[:-1, 1, 0]) ** 2).sum(axis=(1, 2)) for each in (first, theta)]
        last, before = ((each[-1, 0, 1] - each[-1, 1, 1]) for each in (theta, first))
        found.append(
            (apart(theta)[:-1] - apart(first)[:-1], squares[1] - squares[0], np.abs(last - before).max() / np.abs(before).max())
        )
    return dict(zip(("drift", "moved", "last"), map(np.array, zip(*found, strict=True)), strict=True))


def _check(**sizes: Any) -> float:
    """The largest g^T X theta of the generators at random points, relative to |g| |X theta|."""
    model = LinearTransformer(**sizes)
    theta, g = gradients(model, 3, np.random.default_rng(27))
    along = np.array([theta @ X for X in generators(model)])  # (generators, 3, p)
    sizes_of = np.sqrt((g**2).sum(axis=1) * (along**2).sum(axis=2))
    return float(np.abs((along * g).sum(axis=2) / sizes_of).max())


CHECKS = {
    "full": lambda: _check(layers=2, heads=3, d=2, full=True), "paper": lambda: _check(layers=2, heads=3, d=2),
    "full, d = 1": lambda: _check(layers=1, heads=3, d=1, full=True), "paper, d = 1": lambda: _check(layers=3, heads=3, d=1),
}  # fmt: skip
