"""One layer's loss as a quadratic in M, with exact moments in the place of prompts.

Heads P_h = v_h in the corner and Q_h (d, d) predict s^T M x, s = (1/n) sum_i y_i x_i over the examples (27.1), with
M = -sum_h v_h Q_h. The loss over all prompts therefore sees three moments only:

(27.2)  f(M) = c - 2 <B, M> + <M, A M>,    c = E y^2,    B = E y s x^T,    A M = E s s^T M x x^T

For x ~ N(0, Lambda) and w ~ N(0, I), by Isserlis' theorem for four Gaussians (27.3),

(27.4)  c = tr Lambda,    B = Lambda^2        (27.5)  C = E s s^T = (1 + 1/n) Lambda^2 + tr(Lambda) Lambda / n,
                                                      A M = C M Lambda

A is kept as a symmetric (d^2, d^2) matrix on the rows of M one after the other. Along an eigenvector of Lambda the loss is least
at M_kk = lambda_k / C_kk (27.11), which lowers it by lambda_k / (1 + (1 + tr / lambda_k) / n): the levels (27.12). Derived in
lesson 27.
"""

from typing import NamedTuple

import numpy as np

from ...._checks import as_count, as_numbers, as_prompts
from ...._types import Array
from ....prompts import RegressionTask

LAMBDA = np.diag([0.1, 0.2, 0.3, 0.4])  # four levels, since the eigenvalues are distinct
N = 31


class Moments(NamedTuple):
    """All that a loss over prompts sees of them, where one layer has its P in the corner."""

    c: float
    B: Array  # (d, d)
    A: Array  # d^2 rows and d^2 columns


def as_covariance(Lambda: Array) -> Array:
    """A symmetric positive definite (d, d) matrix. Raises ValueError for any other."""
    Lambda = as_numbers("Lambda", Lambda)
    if Lambda.ndim != 2 or Lambda.shape[0] != Lambda.shape[1] or not np.allclose(Lambda, Lambda.T):
        raise ValueError(f"Lambda: expected a symmetric (d, d) matrix, got shape {Lambda.shape}")
    if np.linalg.eigvalsh(Lambda)[0] <= 0:
        raise ValueError("Lambda: expected a positive definite matrix, got one with an eigenvalue <= 0")
    return Lambda


def second_moment(Lambda: Array, n: int) -> Array:
    """(27.5): C = E s s^T (d, d) for prompts of n examples. Raises ValueError for a matrix that is no covariance."""
    Lambda, n = as_covariance(Lambda), as_count("n", n)
    return (1 + 1 / n) * Lambda @ Lambda + np.trace(Lambda) * Lambda / n


def exact(Lambda: Array, n: int) -> Moments:
    """(27.4) and (27.5): the moments of infinitely many prompts. Cost O(d^4)."""
    C, Lambda = second_moment(Lambda, n), as_covariance(Lambda)
    return Moments(float(np.trace(Lambda)), Lambda @ Lambda, np.kron(C, Lambda))


def of_prompts(Z: Array, y: Array) -> Moments:
    """The same three moments as means over the prompts Z (B, n+1, d+1) with answers y (B,). Cost O(B (n d + d^4))."""
    Z, y = as_prompts(Z, y)
    X, labels, x = Z[:, :-1, :-1], Z[:, :-1, -1], Z[:, -1, :-1]
    s = (labels[:, None] @ X)[:, 0] / X.shape[1]  # (B, d)
    phi = (s[:, :, None] * x[:, None]).reshape(len(y), -1)  # a row of d^2 for each prompt
    return Moments(float((y * y).mean()), (y @ phi / len(y)).reshape(x.shape[1], -1), phi.T @ phi / len(y))


def task(Lambda: Array = LAMBDA, n: int = N) -> RegressionTask:
    """The prompts whose moments these are."""
    return RegressionTask(n=n, d=len(Lambda), covariance=Lambda)


def falls(Lambda: Array, n: int) -> Array:
    """What each eigenvector of Lambda takes off the loss once M is best along it (27.12), the largest first. -> (d,)"""
    values = np.linalg.eigvalsh(as_covariance(Lambda))[::-1]
    return values / (1 + (1 + values.sum() / values) / as_count("n", n))


def levels(Lambda: Array, n: int) -> Array:
    """(27.12): the loss with the m largest eigenvalues learned, m = 0 .. d. -> (d + 1,)"""
    return np.trace(Lambda) - np.concatenate([[0.0], np.cumsum(falls(Lambda, n))])


def _rotated() -> tuple[Array, int]:
    """A covariance (3, 3) that is not diagonal, and n = 5."""
    root = np.random.default_rng(27).standard_normal((3, 3))
    return root @ root.T / 3 + 0.2 * np.eye(3), 5


def _isserlis(Lambda: Array) -> Array:
    """(27.3): E x_i x_j x_k x_l = Lambda_ij Lambda_kl + Lambda_ik Lambda_jl + Lambda_il Lambda_jk. -> (d, d, d, d)"""
    pairs = np.einsum("ij,kl->ijkl", Lambda, Lambda)
    return pairs + pairs.transpose(0, 2, 1, 3) + pairs.transpose(0, 3, 2, 1)


def check_second_moment() -> float:
    """(27.5) summed up index by index from (27.3): E s s^T = E S^2, n equal pairs of examples and n (n - 1) different ones."""
    Lambda, n = _rotated()
    same, different = np.einsum("ijjl->il", _isserlis(Lambda)), Lambda @ Lambda
    wanted = (n * same + n * (n - 1) * different) / n**2
    return float(np.abs(second_moment(Lambda, n) - wanted).max() / np.abs(wanted).max())


def check_action() -> float:
    """A as a matrix beside C M Lambda, and B, c beside index sums."""
    Lambda, n = _rotated()
    M = np.random.default_rng(28).standard_normal((3, 3))
    found, C = exact(Lambda, n), second_moment(Lambda, n)
    wanted = np.einsum("ij,jk,kl->il", C, M, Lambda)
    gaps = [
        np.abs((found.A @ M.ravel()).reshape(3, 3) - wanted).max(),
        np.abs(found.B - np.einsum("ij,jk->ik", Lambda, Lambda)).max(),
    ]
    return float(max(*gaps, abs(found.c - np.einsum("ii", Lambda))))


def check_levels() -> float:
    """(27.12) beside the least loss with M = U X U^T on the m largest eigenvectors U, by solving its normal equations."""
    Lambda, n = _rotated()
    found, (c, B, A) = levels(Lambda, n), exact(Lambda, n)
    U, wanted = np.linalg.eigh(Lambda)[1][:, ::-1], [c]
    for m in range(1, 4):
        K = np.kron(U[:, :m], U[:, :m])  # vec(U X U^T) = K vec(X)
        wanted.append(float(c - K.T @ B.ravel() @ np.linalg.solve(K.T @ A @ K, K.T @ B.ravel())))
    return float(np.abs(found - wanted).max())


def check_prompts() -> float:
    """The moments of prompts beside the means of y^2, y s x^T and s s^T M x x^T taken one prompt after the other."""
    rng = np.random.default_rng(29)
    Z, y, M = rng.standard_normal((7, 6, 4)), rng.standard_normal(7), rng.standard_normal((3, 3))
    found, c, B, AM = of_prompts(Z, y), 0.0, np.zeros((3, 3)), np.zeros((3, 3))
    for prompt, answer in zip(Z, y, strict=True):
        s, x = sum(token[-1] * token[:-1] for token in prompt[:-1]) / 5, prompt[-1, :-1]
        c, B, AM = c + answer**2 / 7, B + answer * np.outer(s, x) / 7, AM + np.outer(s, s) @ M @ np.outer(x, x) / 7
    return float(max(abs(found.c - c), np.abs(found.B - B).max(), np.abs(found.A @ M.ravel() - AM.ravel()).max()))


CHECKS = {"second moment": check_second_moment, "action": check_action, "levels": check_levels, "prompts": check_prompts}
