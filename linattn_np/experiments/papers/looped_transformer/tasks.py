"""Regression with representation, and what people do with noisy labels: least squares, ridge, Newton's iteration.

The paper's own sizes are not known here. These are small: 5 covariates, a leaky-ReLU network of 16 units, 30 examples.
"""

from typing import NamedTuple

import numpy as np

from ...._types import Array
from ....prompts import NonlinearTask, RegressionTask

D, UNITS, EXAMPLES, SLOPE = 5, 16, 30, 0.1
NOISY_D, NOISY_N = 10, 20


def representation_task(seed: int, n: int = EXAMPLES) -> NonlinearTask:
    """y = <w, Phi*(x)> / sqrt(d), Phi* a fixed network d -> 16 -> d with leaky ReLU of slope 0.1, weights N(0, 2 / inputs).

    leaky(r) = max(r, 0) - 0.1 max(-r, 0), so it is a ReLU network with each unit twice.
    """
    rng = np.random.default_rng([22, seed])
    first = rng.standard_normal((UNITS, D)) * np.sqrt(2 / D)
    second = rng.standard_normal((D, UNITS)) * np.sqrt(2 / UNITS / D)
    network = (
        np.concatenate([first, -first]),
        np.zeros(2 * UNITS),
        np.concatenate([second, -SLOPE * second], axis=1),
        np.zeros(D),
    )
    return NonlinearTask(n=n, d=D, hidden=2 * UNITS, network=network)


def noisy_task(sigma: float) -> RegressionTask:
    """y_i = <w, x_i> + sigma noise, x and w ~ N(0, I), 20 examples of 10 covariates; the asked label has no noise."""
    return RegressionTask(n=NOISY_N, d=NOISY_D, label_noise=sigma)


def least_squares(F: Array, y: Array, ridge: float = 0.0) -> Array:
    """(F^T F / n + ridge)^{-1} F^T y / n for each prompt: F (B, n, k), y (B, n) -> (B, k)"""
    n, k = F.shape[1:]
    G = F.mT @ F / n + ridge * np.eye(k)
    return np.linalg.solve(G, F.mT @ y[..., None] / n)[..., 0]


def newton(F: Array, y: Array, steps: int) -> Array:
    """X_{s+1} = X_s (2 - G X_s) from X_0 = 1 / tr(G), and X_s c as the weights. -> (steps + 1, B, k)"""
    n, k = F.shape[1:]
    G, c = F.mT @ F / n, F.mT @ y[..., None] / n
    X = np.eye(k) / np.trace(G, axis1=1, axis2=2)[:, None, None]
    found = [X @ c]
    for _ in range(steps):
        X = 2 * X - X @ G @ X
        found.append(X @ c)
    return np.stack(found)[..., 0]


class Noisy(NamedTuple):
    """Noisy prompts with the truth beside them."""

    F: Array  # (B, n, d)
    y: Array  # (B, n)
    w: Array  # (B, d)


def noisy_prompts(sigma: float, batch: int, rng: np.random.Generator) -> Noisy:
    """Prompts of :func:`noisy_task` whose task vectors are known; the same rng gives the same F and w for every sigma."""
    F, w = rng.standard_normal((batch, NOISY_N, NOISY_D)), rng.standard_normal((batch, NOISY_D))
    noise = rng.standard_normal((batch, NOISY_N))
    return Noisy(F, (F @ w[..., None])[..., 0] + sigma * noise, w)


def excess(a: Array, w: Array) -> Array:
    """|a - w|^2, the error of a clean query on average. a (.., B, k), w (B, k) -> (..,)"""
    return ((a - w) ** 2).sum(axis=-1).mean(axis=-1)
