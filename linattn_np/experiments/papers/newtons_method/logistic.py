"""Regularised logistic loss with its derivatives by hand, and the damped Newton's method that the paper's layers approximate.

Examples a_i (rows of A (n, d), |a_i| <= 1) with y_i = +-1:

(19.10)  f(w) = (1/n) sum log(1 + exp(-y_i a_i.w)) + (mu/2) |w|^2             p_i = 1 / (1 + exp(y_i a_i.w))
(19.11)  df = -(1/n) A^T (p o y) + mu w                                      d log(1 + e^-m) / dm = -p
(19.12)  H  = (1/n) A^T diag(p (1 - p)) A + mu I                             dp/dm = -p (1 - p), and y^2 = 1
(19.13)  w' = w - 2 sqrt(mu) / (2 sqrt(mu) + lam) H^-1 df,                   lam^2 = df.H^-1 df

f / (4 mu) is self-concordant with constant 1, and lam / (2 sqrt(mu)) its own decrement. H^-1 is computed by attention layers
(``invert``); that ReLU layers can approximate p and the step is the paper's other half, of width O(1/eps^8), and is not rebuilt.
Source: arXiv 2403.03183, sections 3.2.2 and 5; derived in lesson 19.
"""

from typing import NamedTuple

import numpy as np

from ...._types import Array
from .constructions import invert


class Problem(NamedTuple):
    """The examples of one problem."""

    A: Array  # (n, d)
    y: Array  # (n,)
    mu: float


def draw_problem(rng: np.random.Generator, n: int = 26, d: int = 5, mu: float = 0.1) -> Problem:
    """Covariates in the unit ball, normal and cut to length 1 at most; y = sign(a.w) for a normal w."""
    A = rng.standard_normal((n, d))
    A /= np.maximum(1.0, np.sqrt((A * A).sum(axis=1, keepdims=True)))
    return Problem(A, np.sign(A @ rng.standard_normal(d)), mu)


def loss(problem: Problem, w: Array) -> float:
    """(19.10)  f(w), also for complex w."""
    A, y, mu = problem
    return np.log(1 + np.exp(-y * (A @ w))).mean() + mu / 2 * (w @ w)


def gradient(problem: Problem, w: Array) -> Array:
    """(19.11)  df/dw. (d,)"""
    A, y, mu = problem
    p = 1 / (1 + np.exp(y * (A @ w)))  # (n,)                                  of (19.10)
    return -A.T @ (p * y) / len(y) + mu * w  # (d,)                            (19.11)


def hessian_gradient(problem: Problem, w: Array) -> Array:
    """(19.12)  The derivative of the gradient, H. (d, d)"""
    A, y, mu = problem
    p = 1 / (1 + np.exp(y * (A @ w)))  # (n,)                                  of (19.10) in H
    return A.T @ ((p * (1 - p))[:, None] * A) / len(y) + mu * np.eye(A.shape[1])  # (d, d)     (19.12)


def damped_newton(problem: Problem, steps: int, inversion_steps: int = 9) -> tuple[Array, Array]:
    """(19.13) from w = 0, each H^-1 by attention layers, one for each of ``inversion_steps``.

    -> w (steps + 1, d), lam (steps + 1,)
    """
    w, path, decrements = np.zeros(problem.A.shape[1]), [], []
    for _ in range(steps + 1):
        df, H = gradient(problem, w), hessian_gradient(problem, w)
        step = invert((H + H.T) / 2, inversion_steps) @ df
        lam = np.sqrt(max(0.0, df @ step))
        path.append(w)
        decrements.append(lam)
        w = w - 2 * np.sqrt(problem.mu) / (2 * np.sqrt(problem.mu) + lam) * step
    return np.stack(path), np.array(decrements)


def descent(problem: Problem, steps: int) -> Array:
    """Gradient descent from w = 0 with the step 1/L, L = lam_max(A^T A) / (4 n) + mu, the largest curvature there can be.

    (steps + 1, d)
    """
    smoothness = np.linalg.norm(problem.A, 2) ** 2 / (4 * len(problem.y)) + problem.mu
    path = [np.zeros(problem.A.shape[1])]
    for _ in range(steps):
        path.append(path[-1] - gradient(problem, path[-1]) / smoothness)
    return np.stack(path)


def error() -> float:
    """The derivatives against complex steps of the loss and of the gradient, at generic numbers: the largest relative
    difference.
    """
    rng = np.random.default_rng(19)
    problem, w, h = draw_problem(rng, n=7, d=3, mu=0.3), rng.standard_normal(3), 1e-30
    df = np.array([np.imag(loss(problem, w + 1j * h * e)) / h for e in np.eye(3)])
    H = np.array([np.imag(gradient(problem, w + 1j * h * e)) / h for e in np.eye(3)])
    pairs = ((gradient(problem, w), df), (hessian_gradient(problem, w), H))
    return float(max(np.abs(got - true).max() / np.abs(true).max() for got, true in pairs))


CHECKS = {"logistic": error}
