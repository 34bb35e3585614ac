"""Gradient descent and GD++ on a prompt, by the eigenvalues of its S = (1/n) sum_i x_i x_i^T, and their best steps.

Both leave an error that is a polynomial of S: prediction - y = -x . r(S) w. With m(S) x what has become of a covariate x, a layer
of GD++ with steps eta and c is, in each eigenvalue lam of S,

(16.17)  r <- r (1 - eta lam m^2),     m <- m (1 - c lam m^2),     r = m = 1 before the first layer

since after the layers so far the examples are m x_i, with S m^2 in the place of S. Plain descent is c = 0, m = 1. For w ~ N(0, I)
and a query of variance s the mean squared error is s E sum_lam r^2, so that neither w nor the query needs to be drawn.
"""

import numpy as np

from ...._types import Array
from ....models.transformer import predict
from .tasks import UniformTask
from .weights import gd_plus_plus


def eigenvalues(task: UniformTask, prompts: int, rng: np.random.Generator) -> Array:
    """The eigenvalues of S of some prompts. -> (prompts, d)"""
    X = task.draw_covariates((prompts, task.n), rng)  # (B, n, d)
    return np.linalg.eigvalsh(X.mT @ X / task.n)  # (B, d)


def remaining(lam: Array, eta: Array | float, c: Array | float = 0.0, layers: int = 1) -> Array:
    """(16.17): the factor r in each eigenvalue after some layers of GD++. -> like lam, broadcast against eta and c"""
    r, m = np.ones_like(lam), np.ones_like(lam)
    for _ in range(layers):
        moved = lam * m * m
        r, m = r * (1 - eta * moved), m * (1 - c * moved)
    return r


def loss(lam: Array, variance: float, eta: float, c: float = 0.0, layers: int = 1) -> float:
    """The mean squared error s E sum_lam r^2 over prompts with eigenvalues lam (B, d)."""
    return float(variance * (remaining(lam, eta, c, layers) ** 2).sum(axis=-1).mean())


def line_search(lam: Array, variance: float, layers: int = 1, plus: bool = False) -> dict[str, float]:
    """The steps with the least loss on these prompts: eta, and with ``plus`` also c. -> {"eta", "c", "loss"}

    The gradient of the loss by (eta, c) is read off a complex step, its Hessian off a difference of gradients, and Newton's steps
    are halved until the loss falls. Cost: some thirty evaluations.
    """
    scale = 1 / lam.mean()  # both steps are of this size
    free = 2 if plus else 1

    def value(t: Array) -> complex:
        r = remaining(lam + 0j, scale * t[0], scale * t[1], layers)
        return complex(variance * (r * r).sum(axis=-1).mean())

    def slope(t: Array) -> Array:
        return np.array([value(t + 1e-30j * e).imag / 1e-30 for e in np.eye(2)[:free]])

    starts = [np.array([a, b]) for a in (0.3, 0.5, 1.0, 1.5) for b in ((0.1, 0.2, 0.3) if plus else (0.0,))]
    t = min(starts, key=lambda t: value(t).real)  # the loss has more than one valley
    for _ in range(20):
        g, h = slope(t), 1e-5
        H = np.stack([(slope(t + h * e) - slope(t - h * e)) / (2 * h) for e in np.eye(2)[:free]])
        lam_H, V = np.linalg.eigh((H + H.T) / 2)
        step = np.zeros(2)
        step[:free] = -V @ ((V.T @ g) / np.maximum(np.abs(lam_H), 1e-3 * np.abs(lam_H).max()))
        while value(t + step).real > value(t).real and np.abs(step).max() > 1e-9:
            step = step / 2
        t = t + step
        if np.abs(step).max() < 1e-8:
            break
    eta, c = (scale * t).tolist()
    return {"eta": eta, "c": c, "loss": loss(lam, variance, eta, c, layers)}


def check_remaining() -> float:
    """(16.17) beside three layers of GD++: the error of each prediction is -x . r(S) w."""
    rng = np.random.default_rng(11)
    Z, y = UniformTask(n=7, d=3).sample(5, rng)
    X, x = Z[:, :-1, :-1], Z[:, -1, :-1]
    w = np.linalg.solve(X.mT @ X, X.mT @ Z[:, :-1, -1:])  # the labels have no noise
    lam, V = np.linalg.eigh(X.mT @ X / 7)
    wanted = -(x[:, None] @ (V * remaining(lam, 1.3, 0.4, 3)[:, None]) @ V.mT @ w)[:, 0, 0]
    return float(np.abs(predict(gd_plus_plus(3, 1.3, 0.4, 3), Z) - y - wanted).max() / np.abs(wanted).max())


CHECKS = {"remaining": check_remaining}
