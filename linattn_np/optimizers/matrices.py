"""Optimizers that see a block as a matrix: the last two axes of params are one P or Q.

Products and factors of matrices go through BLAS and LAPACK here, so the last bits of such a run may hang on the machine.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._checks import as_count
from .._types import Array
from .base import Checked, Momentum, knows_its_arguments, power

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # the coefficients of Jordan et al. 2024
ITERATIONS = 5


@knows_its_arguments
@dataclass(frozen=True)
class Muon(Checked):
    """A step along the orthogonal matrix nearest to each block of the momentum, by five iterations of Newton and Schulz:

        (29.3)  M <- mu M + G,   X_0 = M / (||M||_F + 1e-7)
        (29.4)  A = X X^T,   X <- a X + (b A + c A^2) X,   five times,   W <- W - lr X_5

    (a, b, c) = (3.4445, -4.7750, 2.0315): singular values of X_0 above 0.01 come out between 0.68 and 1.14, and M = U S V^T gives
    X_5 = U s V^T, about U V^T. lr >= 0, 0 <= momentum < 1; no Nesterov step and no factor for the shape. A block that is 0 stays.
    Raises ValueError for params without matrices. Cost O(k^3) a block. Source: Jordan et al. 2024, "Muon: An optimizer for
    hidden layers in neural networks".
    """

    lr: float
    momentum: float = 0.95

    def init(self, params: Array) -> Momentum:
        check_matrices("Muon", params)
        return Momentum(np.zeros_like(params))

    def update(self, params: Array, grad: Array, state: Momentum) -> tuple[Array, Momentum]:
        m = self.momentum * state.m + grad  # (29.3)
        return params - self.lr * orthogonalized(m), Momentum(m)


def orthogonalized(M: Array) -> Array:
    """Each matrix (the last two axes) brought near the orthogonal one that is nearest to it (29.4). -> like M"""
    a, b, c = NEWTON_SCHULZ
    X = M / (np.sqrt((M * M).sum(axis=(-2, -1), keepdims=True)) + 1e-7)
    tall = X.shape[-2] > X.shape[-1]
    X = X.mT if tall else X  # A is the smaller of the two Gram matrices
    for _ in range(ITERATIONS):
        A = X @ X.mT
        X = a * X + (b * A + c * A @ A) @ X
    return X.mT if tall else X


class Sides(NamedTuple):
    """State of Shampoo: the momentum, and the mean products of gradients from the left (.., r, r) and from the right (.., c,
    c).
    """

    t: int
    m: Array
    left: Array
    right: Array


@knows_its_arguments
@dataclass(frozen=True)
class Shampoo(Checked):
    """Each block's momentum between inverse fourth roots of the mean G G^T and G^T G:

        (29.5)  L <- beta2 L + (1 - beta2) G G^T,   R <- beta2 R + (1 - beta2) G^T G,   M <- mu M + G,   hats over 1 - beta2^t,
                W <- W - lr (L_hat + eps I)^-1/4 M (R_hat + eps I)^-1/4

    After one step from zero that is U V^T of G = U S V^T. lr, eps >= 0, 0 <= momentum, beta2 < 1. A block that is 0 stays.
    Raises ValueError for params without matrices. Cost O(k^3) a block. Source: Gupta, Koren and Singer 2018 (arXiv 1802.09568),
    who add the products up; the mean, as Adam's, is that of later practice.
    """

    lr: float
    momentum: float = 0.0
    beta2: float = 0.999
    eps: float = 1e-12

    def init(self, params: Array) -> Sides:
        check_matrices("Shampoo", params)
        return Sides(0, np.zeros_like(params), *_no_products(params))

    def update(self, params: Array, grad: Array, state: Sides) -> tuple[Array, Sides]:
        t, m = state.t + 1, self.momentum * state.m + grad
        left = self.beta2 * state.left + (1 - self.beta2) * grad @ grad.mT  # (29.5)
        right = self.beta2 * state.right + (1 - self.beta2) * grad.mT @ grad
        share = 1 - power(self.beta2, t)
        step = inverse_fourth_root(left / share, self.eps) @ m @ inverse_fourth_root(right / share, self.eps)
        return params - self.lr * step, Sides(t, m, left, right)


def inverse_fourth_root(A: Array, eps: float) -> Array:
    """(A + eps I)^-1/4 of symmetric matrices without negative eigenvalues; those are 0 to rounding, and 0 where eps is 0 too."""
    if not np.isfinite(A).all():
        return np.full_like(A, np.nan)  # a run that diverges: LAPACK would raise
    values, vectors = np.linalg.eigh(A)
    rounding = A.shape[-1] * np.finfo(A.dtype).eps * np.abs(values).max(axis=-1, keepdims=True)
    raised = np.where(values > rounding, values, 0.0) + eps
    roots = np.where(raised > 0, np.where(raised > 0, raised, 1.0) ** -0.25, 0.0)
    return (vectors * roots[..., None, :]) @ vectors.mT


class Bases(NamedTuple):
    """State of SOAP: Adam's moments, m along the axes of params and v along the bases; the mean products; the bases
    themselves.
    """

    t: int
    m: Array
    v: Array
    left: Array
    right: Array
    left_basis: Array
    right_basis: Array


@knows_its_arguments
@dataclass(frozen=True)
class SOAP(Checked):
    """Adam in the eigenbases of Shampoo's two matrices: each block is turned into them, divided, and turned back.

        (29.6)  M <- beta1 M + (1 - beta1) G,   V <- beta2 V + (1 - beta2) (U^T G V_R)^2   entry by entry,
                U, V_R the bases, I at first,
                W <- W - lr U [ U^T M_hat V_R / (sqrt(V_hat) + eps) ] V_R^T,   L and R as in (29.5),
                every f updates:  U <- the orthogonal factor of L U,   V_R <- that of R V_R

    Where all G are diagonal the bases stay I: that is Adam. lr, eps >= 0, 0 <= beta1, beta2 < 1; ``every`` is f, 10 in its
    source. The first step is taken along the axes. Raises ValueError for params without matrices. Cost O(k^3) a block. Source:
    Vyas et al. 2024 (arXiv 2409.11321), algorithm 3, with Adam's corrections as in its code.
    """

    lr: float
    beta1: float = 0.95
    beta2: float = 0.95
    eps: float = 1e-8
    every: int = 10

    def checked(self, name: str, value: Any) -> Any:
        return as_count(name, value) if name == "every" else super().checked(name, value)

    def init(self, params: Array) -> Bases:
        check_matrices("SOAP", params)
        left, right = _no_products(params)
        eyes = (np.broadcast_to(np.eye(A.shape[-1], dtype=A.dtype), A.shape).copy() for A in (left, right))
        return Bases(0, np.zeros_like(params), np.zeros_like(params), left, right, *eyes)

    def update(self, params: Array, grad: Array, state: Bases) -> tuple[Array, Bases]:
        t, U, V = state.t + 1, state.left_basis, state.right_basis
        turned = U.mT @ grad @ V  # (29.6)
        m = self.beta1 * state.m + (1 - self.beta1) * grad
        v = self.beta2 * state.v + (1 - self.beta2) * turned * turned
        m_hat, v_hat = U.mT @ m @ V / (1 - power(self.beta1, t)), v / (1 - power(self.beta2, t))
        step = U @ (m_hat / (np.sqrt(v_hat) + self.eps)) @ V.mT
        left = self.beta2 * state.left + (1 - self.beta2) * grad @ grad.mT
        right = self.beta2 * state.right + (1 - self.beta2) * grad.mT @ grad
        if t % self.every == 0:
            U, V = np.linalg.qr(left @ U)[0], np.linalg.qr(right @ V)[0]
        return params - self.lr * step, Bases(t, m, v, left, right, U, V)


def _no_products(params: Array) -> tuple[Array, Array]:
    """Zeros of the shapes of G G^T and of G^T G."""
    (*blocks, rows, columns) = params.shape
    return np.zeros((*blocks, rows, rows), params.dtype), np.zeros((*blocks, columns, columns), params.dtype)


def check_matrices(name: str, params: Array) -> None:
    """Raise ValueError unless the last two axes of params are matrices."""
    if params.ndim < 2:
        raise ValueError(f"{name}: expected params whose last two axes are matrices, got shape {params.shape}")
