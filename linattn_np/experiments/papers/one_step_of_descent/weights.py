"""The paper's weights: a layer that is one step of gradient descent, and one that also improves the covariates (GD++).

The examples' loss is R(w) = 1/(2n) sum_i (w . x_i - y_i)^2 (16.1). One step from w_0 with step eta gives

(16.2)  w_1 = w_0 - (eta/n) sum_i (w_0 . x_i - y_i) x_i
(16.3)  from w_0 = 0:   P = [[0, 0], [0, 1]],        Q = -eta [[I, 0], [0, 0]],   query (x, 0)
(16.4)  from any w_0:   P = [[0, 0], [-w_0^T, 1]],   the same Q,                  query (x, -w_0 . x)
(16.16) GD++:           P = [[(c/eta) I, 0], [0, 1]], the same Q:   x_j <- x_j - c S x_j as well, S = (1/n) sum_i x_i x_i^T

and the prediction, minus the query's label, is w_1 . x. The paper's gamma belongs to plain sums: gamma = c / n. Its W_V P is our
P, its W_K^T W_Q our Q, each up to a factor that the other takes back. Paper: proposition 1, appendices A.1 and A.10; derived in
lesson 16.
"""

import numpy as np

from ...._checks import as_count, as_numbers, as_real
from ...._types import Array
from ....models.transformer import predict


def construction(d: int, eta: float) -> Array:
    """(16.3) as d x d blocks, whose fixed corner is the label's 1: ``la.predict`` then gives x . (eta/n) sum_i y_i x_i.

    d at least 1, eta finite, else ValueError. -> params (1, 1, 2, d, d)
    """
    d, eta = as_count("d", d), as_real("eta", eta)
    params = np.zeros((1, 1, 2, d, d))
    params[0, 0, 1] = -eta * np.eye(d)
    return params


def step_from(w0: Array, eta: float) -> Array:
    """(16.4) as full matrices, for prompts whose query's label slot holds -w_0 . x.

    w0 (d,) finite, else ValueError. -> params (1, 1, 2, d+1, d+1)
    """
    w0 = as_numbers("w0", w0)
    if w0.ndim != 1 or not len(w0):
        raise ValueError(f"w0: expected shape (d,), got {w0.shape}")
    params = np.zeros((1, 1, 2, len(w0) + 1, len(w0) + 1))
    params[0, 0, 0, -1] = [*-w0, 1.0]
    params[0, 0, 1, :-1, :-1] = -as_real("eta", eta) * np.eye(len(w0))
    return params


def gd_plus_plus(d: int, eta: float, c: float, layers: int = 2) -> Array:
    """(16.16) as d x d blocks, the same in every layer.

    eta not 0, c finite, else ValueError. -> params (layers, 1, 2, d, d)
    """
    d, eta, c = as_count("d", d), as_real("eta", eta), as_real("c", c)
    if eta == 0:
        raise ValueError("eta: expected a number that is not 0, since P holds c / eta, got 0")
    params = np.zeros((as_count("layers", layers), 1, 2, d, d))
    params[:, 0, 0] = c / eta * np.eye(d)
    params[:, 0, 1] = -eta * np.eye(d)
    return params


def _prompts(slot: float = 0.0) -> tuple[Array, Array, Array, Array]:
    """Generic prompts (B, n+1, d+1) with B = 5, n = 7, d = 3, their examples' x and y, and their queries."""
    rng = np.random.default_rng(7)
    Z = rng.standard_normal((5, 8, 4))
    Z[:, -1, -1] = slot
    return Z, Z[:, :-1, :-1], Z[:, :-1, -1], Z[:, -1, :-1]


def _largest(found: Array, wanted: Array) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def check_construction() -> float:
    """(16.3) beside the step (16.2) from w_0 = 0, computed on w."""
    Z, X, y, x = _prompts()
    w = 0.7 / 7 * (y[..., None] * X).sum(axis=1)
    return _largest(predict(construction(3, 0.7), Z), (w * x).sum(axis=1))


def check_step_from() -> float:
    """(16.4) beside the step (16.2) from w_0, computed on w."""
    Z, X, y, x = _prompts()
    w0 = np.array([0.3, -1.1, 0.8])
    Z[:, -1, -1] = -(x @ w0)
    w = w0 - 0.7 / 7 * ((X @ w0 - y)[..., None] * X).sum(axis=1)
    return _largest(predict(step_from(w0, 0.7), Z), (w * x).sum(axis=1))


def check_gd_plus_plus() -> float:
    """(16.16) beside the recursion on covariates and labels, token by token."""
    Z, X, y, x = _prompts()
    answer = np.zeros(len(x))
    for _ in range(3):
        S, s = X.mT @ X / 7, (X.mT @ y[..., None])[..., 0] / 7
        answer = answer + 0.7 * (s * x).sum(axis=1)
        y = y - 0.7 * (X @ s[..., None])[..., 0]
        X, x = X - 0.2 * X @ S, x - 0.2 * (S @ x[..., None])[..., 0]
    return _largest(predict(gd_plus_plus(3, 0.7, 0.2, 3), Z), answer)


CHECKS = {"construction": check_construction, "step_from": check_step_from, "gd_plus_plus": check_gd_plus_plus}
