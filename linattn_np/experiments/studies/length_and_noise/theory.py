"""What can be said with a pencil: the loss of a filter on a spectrum, one layer, least squares, Bayes, and deeper layers.

With S = (1/n) sum_i x_i x_i^T of a prompt, s = (1/n) sum_i y_i x_i, labels y_i = w^T x_i + noise of variance sigma^2, every
method of the study answers x^T q(S) s (31.1) with a filter q. Averaged over query, task and noise its loss is a sum over the
eigenvalues of S,

(31.2)  sum_k (1 - lambda_k q(lambda_k))^2 + (sigma^2 / n) lambda_k q(lambda_k)^2

One layer is a constant filter g. By (31.3) E tr S = d, E tr S^2 = d (1 + (d + 1)/n), its loss on prompts of n' examples is

(31.4)  d ((1 - g)^2 + g^2 (d + 1 + sigma^2) / n')        (31.5)  least at n' = n for  g = n / (n + d + 1 + sigma^2)

Layers P = diag(a_l I, 1), Q = diag(b_l I, 0) move the spectrum along, and leave a residual r = 1 - lambda q:

(31.6)  lambda_{l+1} = lambda_l (1 + a_l b_l lambda_l)^2  (31.7)  r(lambda) = prod_l (1 + b_l lambda_l)

Bayes' filter is 1/(lambda + sigma^2/n) (31.9), that of minimum-norm least squares 1/lambda where lambda > 0, whose mean loss on
Gaussian covariates is (31.12). One layer in its matrix M has the loss (31.15) f(M) = d - 2 tr M + (1 + (d + 1)/n) |M|^2.
Derived in lesson 31.
"""

import math
from typing import Any

import numpy as np

from ...._checks import as_count, as_numbers, as_real
from ...._types import Array
from ....layers.corner import to_full
from ....models.transformer import predict


def filter_loss(lam: Any, q: Any, n: int, noise: float = 0.0) -> Array:
    """(31.2): the loss of prompts with eigenvalues lam (.., d) under filter values q of the same shape. -> (..)"""
    lam, q = as_numbers("lam", lam), as_numbers("q", q)
    sigma2 = as_real("noise", noise, least=0) ** 2
    kept = 1 - lam * q
    return (kept**2 + sigma2 / as_count("n", n) * lam * q**2).sum(axis=-1)


def gain(n: int, d: int, noise: float = 0.0) -> float:
    """(31.5): the best constant filter on prompts of n examples."""
    n, d = as_count("n", n), as_count("d", d)
    return n / (n + d + 1 + as_real("noise", noise, least=0) ** 2)


def one_layer_loss(g: float, d: int, test_n: int, noise: float = 0.0) -> float:
    """(31.4): the loss of the constant filter g on prompts of test_n examples."""
    d, test_n = as_count("d", d), as_count("test_n", test_n)
    return d * ((1 - g) ** 2 + g**2 * (d + 1 + as_real("noise", noise, least=0) ** 2) / test_n)


def residual(lam: Any, a: Any, b: Any) -> Array:
    """(31.6) and (31.7): what layers with numbers a, b (L,) leave of each eigenvalue's part.  lam (..) -> r (..)"""
    lam, a, b = as_numbers("lam", lam), as_numbers("a", a), as_numbers("b", b)
    left = np.ones_like(lam)
    for a_l, b_l in zip(a, b, strict=True):
        left = left * (1 + b_l * lam)  # of (31.7)
        lam = lam * (1 + a_l * b_l * lam) ** 2
    return left


def layer_numbers(params: Array) -> tuple[Array, Array]:
    """The a and b (L,) that are nearest to params (L, 1, 2, d, d): the means of the diagonals of P' and Q'."""
    means = np.trace(params[:, 0], axis1=-2, axis2=-1) / params.shape[-1]  # (L, 2)
    return means[:, 0], means[:, 1]


def bayes_filter(lam: Any, n: int, noise: float) -> Array:
    """(31.9): the filter that minimizes (31.2) at each eigenvalue."""
    return 1 / (as_numbers("lam", lam) + as_real("noise", noise, above=0) ** 2 / as_count("n", n))


def least_squares_filter(lam: Any) -> Array:
    """1/lambda, and 0 where lambda is 0 but for rounding."""
    lam = as_numbers("lam", lam)
    return np.where(lam > 1e-12, 1 / np.maximum(lam, 1e-12), 0.0)


def least_squares_mean(n: int, d: int, noise: float) -> float:
    """(31.12): the mean loss of minimum-norm least squares on Gaussian covariates, infinite where |n - d| <= 1."""
    n, d, sigma2 = as_count("n", n), as_count("d", d), as_real("noise", noise, least=0) ** 2
    if abs(n - d) <= 1:
        return math.inf if sigma2 else float(max(d - n, 0))
    return d - n + sigma2 * n / (d - n - 1) if n < d else sigma2 * d / (n - d - 1)


def matrix_loss(M: Array, n: int) -> Array:
    """(31.15): the loss of one layer with matrix M (.., d, d) over all prompts of n examples. -> (..)"""
    d = M.shape[-1]
    return d - 2 * np.trace(M, axis1=-2, axis2=-1) + (1 + (d + 1) / as_count("n", n)) * (M * M).sum(axis=(-2, -1))


# ---------------------------------------------------------------- each formula by a second road


def _prompt(n: int = 5, d: int = 3) -> tuple[Array, Array]:
    """Covariates (n, d) and the eigenvalues (d,) of their S."""
    X = np.random.default_rng(31).standard_normal((n, d))
    return X, np.linalg.eigvalsh(X.T @ X / n)


def _matrix_of(filter_values: Array, X: Array) -> Array:
    """q(S), from values at the eigenvalues in ascending order."""
    vectors = np.linalg.eigh(X.T @ X / len(X))[1]
    return (vectors * filter_values) @ vectors.T


def check_filter_loss() -> float:
    """(31.2) beside |I - q(S) S|^2 + sigma^2 |q(S) X^T / n|^2, matrices."""
    X, lam = _prompt()
    q, n = 1 / (lam + 0.3) + 0.1 * lam, len(X)
    Q = _matrix_of(q, X)
    wanted = ((np.eye(3) - Q @ X.T @ X / n) ** 2).sum() + 0.49 * ((Q @ X.T / n) ** 2).sum()
    return float(abs(filter_loss(lam, q, n, 0.7) / wanted - 1))


def check_one_layer() -> float:
    """(31.4) beside (31.2) with E tr S^2 summed up by Isserlis, and (31.5) beside the vertex of that parabola."""
    d, n, sigma2, g, I = 3, 7, 0.49, 0.6, np.eye(3)
    pairs = np.einsum("ij,kl->ijkl", I, I)
    fourth = pairs + pairs.transpose(0, 2, 1, 3) + pairs.transpose(0, 3, 2, 1)
    second = (n * np.einsum("ijji", fourth) + n * (n - 1) * d) / n**2
    wanted = d - 2 * g * d + g**2 * (second + sigma2 * d / n)
    best = d / (second + sigma2 * d / n)
    return float(max(abs(one_layer_loss(g, d, n, 0.7) / wanted - 1), abs(gain(n, d, 0.7) / best - 1)))


def check_residual() -> float:
    """(31.6) and (31.7) beside the library's answers: x^T q(S) s with noisy labels, three layers."""
    X, lam = _prompt()
    rng, a, b = np.random.default_rng(32), np.array([0.3, -0.2, 0.4]), np.array([-0.5, -0.7, -0.9])
    y, x = rng.standard_normal(5), rng.standard_normal(3)
    params = np.stack([np.stack([a_l * np.eye(3), b_l * np.eye(3)])[None] for a_l, b_l in zip(a, b, strict=True)])
    Z = np.vstack([np.column_stack([X, y]), np.append(x, 0.0)])[None]
    wanted = x @ _matrix_of((1 - residual(lam, a, b)) / lam, X) @ (X.T @ y / 5)
    found_a, found_b = layer_numbers(to_full(params, 4)[..., :3, :3])
    gap = max(np.abs(found_a - a).max(), np.abs(found_b - b).max())
    return float(max(abs(predict(params, Z)[0] / wanted - 1), gap))


def check_bayes() -> float:
    """(31.9) beside (X^T X + sigma^2 I)^-1 X^T y, and least squares beside the pseudoinverse where n < d."""
    X, lam = _prompt()
    y = np.random.default_rng(33).standard_normal(5)
    wanted = np.linalg.solve(X.T @ X + 0.49 * np.eye(3), X.T @ y)
    gap = np.abs(_matrix_of(bayes_filter(lam, 5, 0.7), X) @ X.T @ y / 5 - wanted).max()
    few, lam = _prompt(2, 3)
    found = _matrix_of(least_squares_filter(lam), few) @ few.T @ y[:2] / 2
    return float(max(gap, np.abs(found - np.linalg.pinv(few) @ y[:2]).max()))


def check_least_squares_mean() -> float:
    """(31.12) beside E 1/chi^2_k = Gamma(k/2 - 1) / (2 Gamma(k/2)): k = n for one unknown, k = d for one example."""

    def inverse(k: int) -> float:
        return math.gamma(k / 2 - 1) / (2 * math.gamma(k / 2))

    gaps = [
        least_squares_mean(5, 1, 0.7) - 0.49 * inverse(5),
        least_squares_mean(1, 5, 0.7) - 4 - 0.49 * inverse(5),
        0.0 if math.isinf(least_squares_mean(4, 5, 0.7)) and math.isinf(least_squares_mean(6, 5, 0.7)) else 1.0,
    ]
    return max(map(abs, gaps))


def check_matrix_loss() -> float:
    """(31.15) beside E |I - S M|^2, by E S^2 = (1 + (d + 1)/n) I from Isserlis."""
    d, n, M = 3, 7, np.random.default_rng(34).standard_normal((3, 3))
    second = ((d + 2) * n + n * (n - 1)) / n**2 * np.eye(d)
    wanted = d - 2 * np.trace(M) + np.trace(M.T @ second @ M)
    return float(abs(matrix_loss(M, n) / wanted - 1))


CHECKS = {
    "filter loss": check_filter_loss, "one layer": check_one_layer, "residual": check_residual, "Bayes": check_bayes,
    "least squares": check_least_squares_mean, "matrix loss": check_matrix_loss,
}  # fmt: skip
