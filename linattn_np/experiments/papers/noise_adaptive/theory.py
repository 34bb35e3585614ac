"""The paper's theorems, each as numbers that layers compute.

Theorem 4.1: the tokens after l layers are those of a linear model of the prompt (``implicit.py``), here for random full weights.

Theorem 5.1: a layer with w_xx = -gamma alone sends each eigenvalue of Sig to

(18.16)  lam' = lam (1 - gamma lam)^2

At gamma = 1 / (3 lam_max) the map rises on the whole spectrum, the condition number falls by a factor while it is large, and once
it is 1 + eps the next is at most 1 + 2 eps^2: the error is squared, as in Newton's iteration.

Theorem 5.2: x_i ~ N(0, I/n), sigma one of s_1, s_2. Layer 1 has w_yx alone, layer 2 w_yy alone, so w_2 = -w_yx (1 + w_yy lam_1)
al. As n grows Sig -> I and lam_1 / n -> sigma^2, and the oracle is al / (1 + sigma^2). Two noises give two linear equations,
solved by

(18.17)  w_yx = -(1 + s_1^2 + s_2^2) / ((1 + s_1^2) (1 + s_2^2)),      w_yy = -1 / (n (1 + s_1^2 + s_2^2))

Source: arXiv 2402.14180, sections 4, 5.1, 5.2 and appendix A; derived in lesson 18.
"""

import numpy as np

from ...._types import Array
from .diagonal_layer import layer
from .implicit import difference_from_tokens


def linear_model_error(seed: int, layers: int = 4, heads: int = 2) -> float:
    """Theorem 4.1 on random weights: the largest difference between the tokens of a layer and its linear model's, relative."""
    rng = np.random.default_rng([41, seed])
    return difference_from_tokens(0.5 * rng.standard_normal((layers, heads, 2, 5, 5)), rng.standard_normal((3, 8, 5)))


def condition_numbers(kappa: float, layers: int, seed: int = 0, n: int = 20, d: int = 10) -> Array:
    """kappa - 1 of Sig before the first layer and after each, the layers (-gamma, 0, 0, 0) of theorem 5.1. (layers + 1,)

    The prompt is random, its Sig made to have the condition number kappa.
    """
    rng = np.random.default_rng([51, seed])
    left, _, right = np.linalg.svd(rng.standard_normal((n, d)), full_matrices=False)
    Z = np.zeros((1, n + 1, d + 1))
    Z[0, :-1, :-1] = left * np.geomspace(1.0, kappa**-0.5, d) @ right
    found = []
    for _ in range(layers + 1):
        singular = np.linalg.svd(Z[0, :-1, :-1], compute_uv=False)  # the roots of Sig's eigenvalues
        high, low = singular[0], singular[-1]
        found.append((high - low) * (high + low) / low**2)
        Z = layer((-1 / (3 * high**2), 0.0, 0.0, 0.0), Z)
    return np.array(found)


def two_layers(levels: tuple[float, float], n: int) -> Array:
    """(18.17)  The weights of both layers on plain sums, each (w_xx, w_xy, w_yx, w_yy). (2, 4)"""
    first, second = levels[0] ** 2, levels[1] ** 2
    both = 1 + first + second
    return np.array([[0, 0, -both / ((1 + first) * (1 + second)), 0], [0, 0, 0, -1 / (n * both)]])


def distance_to_ridge(n: int, levels: tuple[float, float], seed: int, prompts: int = 100, d: int = 10) -> Array:
    """|w_2 - oracle| / |oracle| of the two layers (18.17), the median over prompts, for each of both noises. (2,)

    The answer is read off as the query's, one query a prompt for each unit vector.
    """
    rng = np.random.default_rng([52, seed])
    found = []
    for sigma in levels:
        X, w = rng.standard_normal((prompts, n, d)) / np.sqrt(n), rng.standard_normal((prompts, d, 1))
        y = X @ w + sigma * rng.standard_normal((prompts, n, 1))
        oracle = np.linalg.solve(X.mT @ X + sigma**2 * np.eye(d), X.mT @ y)[..., 0]  # (B, d)
        answer = np.empty_like(oracle)
        for k in range(d):
            query = np.broadcast_to(np.eye(d + 1)[k], (prompts, 1, d + 1))
            Z = np.concatenate([np.concatenate([X, y], axis=-1), query], axis=1)
            for weights in two_layers(levels, n):
                Z = layer(weights, Z)
            answer[:, k] = -Z[:, -1, -1]
        gap = ((answer - oracle) ** 2).sum(axis=1) / (oracle**2).sum(axis=1)
        found.append(np.sqrt(np.median(gap)))
    return np.array(found)
