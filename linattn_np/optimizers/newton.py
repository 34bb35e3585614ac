"""Newton's method and Gauss-Newton, damped, as ideals for models of a few hundred parameters: the step knows the exact curvature.

An update sees params, so the curvature is a function of them: ``Objective(Z, y).hessian`` of
:mod:`linattn_np.measures.landscape`, on prompts that you choose, is Newton's; ``Objective(Z, y).gauss_newton`` Gauss's. Not for
``Run``, which keeps plain values only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._checks import as_count
from .._types import Array
from .base import Checked, knows_its_arguments


class CurvatureState(NamedTuple):
    """State of Newton: the momentum, the mean curvature (p, p), and the inverse that steps are multiplied by."""

    t: int
    m: Array
    mean: Array
    inverse: Array


@knows_its_arguments
@dataclass(frozen=True)
class Newton(Checked):
    """The momentum divided by the size of the curvature in each direction, damped:

        (29.7)  every f updates:  C <- alpha C + (1 - alpha) curvature(x), the first time C = curvature(x),
                |C| = sum of |lambda_i| u_i u_i^T,   m <- mu m + g,   x <- x - lr (|C| + damping max |lambda_i| I)^-1 m

    On a convex quadratic lr = 1 without damping and momentum arrives in one step. Along negative curvature the sizes keep the
    step going down. What no prediction depends on has lambda_i = 0 and g = 0; without damping such directions are left alone.
    curvature: params -> (p, p), symmetric; lr, damping >= 0; 0 <= momentum, alpha < 1; ``every`` is f. Raises ValueError for a
    curvature of another shape. Cost O(p^3) and one curvature every f updates. Source: Dauphin et al. 2014 for |C|;
    Levenberg 1944 for the damping.
    """

    lr: float
    curvature: Callable[[Array], Array]
    momentum: float = 0.0
    damping: float = 0.1
    alpha: float = 0.0
    every: int = 1

    def checked(self, name: str, value: Any) -> Any:
        if name == "curvature" and not callable(value):
            raise ValueError(f"curvature: expected a function of params, such as Objective(Z, y).hessian, got {value!r}")
        return value if name == "curvature" else as_count(name, value) if name == "every" else super().checked(name, value)

    def init(self, params: Array) -> CurvatureState:
        empty = np.zeros((params.size, params.size))
        return CurvatureState(0, np.zeros_like(params), empty, empty)

    def update(self, params: Array, grad: Array, state: CurvatureState) -> tuple[Array, CurvatureState]:
        mean, inverse = state.mean, state.inverse
        if state.t % self.every == 0:
            found = np.asarray(self.curvature(params))
            if found.shape != mean.shape:
                raise ValueError(f"curvature: expected a matrix of shape {mean.shape}, got {found.shape}")
            mean = found if state.t == 0 else self.alpha * mean + (1 - self.alpha) * found  # (29.7)
            inverse = inverse_size(mean, self.damping)
        m = self.momentum * state.m + grad
        step = (inverse @ m.ravel()).reshape(m.shape)
        return params - self.lr * step, CurvatureState(state.t + 1, m, mean, inverse)


def inverse_size(C: Array, damping: float) -> Array:
    """(|C| + damping max |lambda| I)^-1; directions whose sum is 0 to rounding are given 0."""
    if not np.isfinite(C).all():
        return np.full_like(C, np.nan)  # a run that diverges: LAPACK would raise
    values, vectors = np.linalg.eigh(C)
    size, largest = np.abs(values), np.abs(values).max()
    damped = size + damping * largest
    known = damped > len(C) * np.finfo(float).eps * largest
    return (vectors * np.where(known, 1 / np.where(known, damped, 1.0), 0.0)) @ vectors.T
