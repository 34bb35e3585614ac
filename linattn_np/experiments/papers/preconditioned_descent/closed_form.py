"""One layer: its mean loss in closed form, the gradient of that, and the weights where it vanishes.

With Q' = -A^T a layer predicts x . A S w, S = (1/n) sum_i x_i x_i^T: one step of descent from w = 0, preconditioned by A. For
Gaussian covariates of covariance Sigma and tasks w with E[w w^T] = W the mean over prompts is

(17.3)  f(A) = tr(Sigma A K A^T) - 2 tr(Sigma W Sigma A) + tr(Sigma W)
(17.4)  K = E[S W S] = (n+1)/n Sigma W Sigma + tr(W Sigma)/n Sigma
(17.5)  dA = 2 Sigma (A K - W Sigma)
(17.6)  A* = W Sigma K^-1 = ((n+1)/n Sigma + tr(W Sigma)/n W^-1)^-1
(17.7)  f(A*) = tr(Sigma W) - tr(Sigma W Sigma A*)

For W = I this is A* = ((n+1)/n Sigma + tr(Sigma)/n I)^-1, Sigma's eigenvectors and not quite its inverse; for W = Sigma^-1, the
tasks of the paper's demonstrations, A* = n/(n+d+1) Sigma^-1. Paper: its theorem on one layer; derived in lesson 17.
"""

import itertools

import numpy as np

from .... import audit
from ...._checks import as_count, as_numbers
from ...._types import Array


def as_covariance(name: str, value: Array, d: int | None = None) -> Array:
    """A symmetric positive definite matrix (d, d), or ValueError under the argument's name."""
    matrix = as_numbers(name, value)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] and (d is None or len(matrix) == d)
    if not square or not np.allclose(matrix, matrix.T) or not np.linalg.eigvalsh(matrix).min() > 0:
        size = "(d, d)" if d is None else f"({d}, {d})"
        raise ValueError(f"{name}: expected a symmetric positive definite {size} matrix, got shape {matrix.shape}")
    return matrix


def second_moment(Sigma: Array, W: Array, n: int) -> Array:
    """(17.4)  K = E[S W S], for n Gaussian covariates. -> (d, d)"""
    return (n + 1) / n * Sigma @ W @ Sigma + np.trace(W @ Sigma) / n * Sigma


def mean_loss(A: Array, Sigma: Array, W: Array, n: int) -> float:
    """(17.3)  The mean squared error of one layer with Q' = -A^T, not halved. A (d, d), real or complex."""
    K = second_moment(Sigma, W, n)
    return (Sigma * (A @ K @ A.T)).sum() - 2 * (Sigma @ W @ Sigma * A.T).sum() + (Sigma * W).sum()


def backward(A: Array, Sigma: Array, W: Array, n: int) -> Array:
    """(17.5)  The gradient of :func:`mean_loss` by A. -> (d, d)"""
    K = second_moment(Sigma, W, n)  # (d, d)
    dA = 2 * Sigma @ (A @ K - W @ Sigma)  # (d, d)                      (17.5)
    return dA


def best_preconditioner(Sigma: Array, n: int, W: Array | None = None) -> Array:
    """(17.6)  A* = ((n+1)/n Sigma + tr(W Sigma)/n W^-1)^-1, with W = I where none is given.

    Sigma, W (d, d) symmetric positive definite, n at least 1, else ValueError. -> (d, d)
    """
    Sigma, n = as_covariance("Sigma", Sigma), as_count("n", n)
    W = np.eye(len(Sigma)) if W is None else as_covariance("W", W, len(Sigma))
    return np.linalg.inv((n + 1) / n * Sigma + np.trace(W @ Sigma) / n * np.linalg.inv(W))


def optimum(Sigma: Array, n: int, W: Array | None = None) -> Array:
    """The best single layer, P' = 0 and Q' = -A* of (17.6), which is symmetric, as d x d blocks for ``la.predict``.

    Sigma (d, d) the covariates' covariance, n examples, W = E[w w^T] (None: I). Raises ValueError for what is no covariance.
    -> params (1, 1, 2, d, d)
    """
    A = best_preconditioner(Sigma, n, W)
    params = np.zeros((1, 1, 2, *A.shape))
    params[0, 0, 1] = -A
    return params


def least_loss(Sigma: Array, n: int, W: Array | None = None) -> float:
    """(17.7)  The mean loss of :func:`optimum`."""
    A = best_preconditioner(Sigma, n, W)
    W = np.eye(len(A)) if W is None else W
    return float((Sigma * W).sum() - (Sigma @ W @ Sigma * A.T).sum())


# ---------------------------------------------------------------- audits


def _point() -> tuple[Array, Array, Array, int]:
    """A generic A (3, 3), covariances Sigma and W that do not commute, and n = 5."""
    rng = np.random.default_rng(17)
    A, first, second = rng.standard_normal((3, 3, 3))
    return A, first @ first.T + np.eye(3), second @ second.T + np.eye(3), 5


def audit_gradient() -> audit.Report:
    """The gradient (17.5) of (17.3)."""
    A, Sigma, W, n = _point()
    return audit.audit_gradient(
        lambda A: mean_loss(A, Sigma, W, n), lambda A: backward(A, Sigma, W, n), A, title="the mean loss of one layer"
    )


def check_second_moment() -> float:
    """(17.4) beside an exact mean: Gaussian covariates by Gauss' and Hermite's three points, exact to degree five; n = d = 2."""
    C, W = np.array([[1.0, 0.0], [0.5, 0.7]]), np.array([[2.0, 0.3], [0.3, 0.9]])
    points = ((-np.sqrt(3), 1 / 6), (0.0, 2 / 3), (np.sqrt(3), 1 / 6))
    found = np.zeros((2, 2))
    for draw in itertools.product(points, repeat=4):
        X = np.array([value for value, _ in draw]).reshape(2, 2) @ C.T
        S = X.T @ X / 2
        found = found + np.prod([weight for _, weight in draw]) * S @ W @ S
    return float(np.abs(second_moment(C @ C.T, W, 2) - found).max())


def check_optimum() -> float:
    """The gradient vanishes at (17.6), and the loss there is (17.7)."""
    _, Sigma, W, n = _point()
    A = best_preconditioner(Sigma, n, W)
    least = abs(mean_loss(A, Sigma, W, n) - least_loss(Sigma, n, W))
    return float(max(np.abs(backward(A, Sigma, W, n)).max(), least, np.abs(optimum(Sigma, n, W)[0, 0, 1] + A).max()))


AUDITS = {"gradient": audit_gradient}
CHECKS = {"second moment": check_second_moment, "optimum": check_optimum}
