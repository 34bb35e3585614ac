"""Optimizers that see a block as a matrix: the last two axes of params are one P or Q.

Products of matrices go through BLAS here, so the last bits of such a run may hang on the machine.
"""

from dataclasses import dataclass

import numpy as np

from .._types import Array
from .base import Checked, Momentum, knows_its_arguments

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


def check_matrices(name: str, params: Array) -> None:
    """Raise ValueError unless the last two axes of params are matrices."""
    if params.ndim < 2:
        raise ValueError(f"{name}: expected params whose last two axes are matrices, got shape {params.shape}")
