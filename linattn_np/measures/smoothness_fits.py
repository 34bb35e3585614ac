"""Fits of generalized smoothness: how the curvature along a path depends on the gradient's norm.

(11.9) log kappa = a + b log ||g||                      on the points with kappa > 0
(11.10) kappa = L0 + L1 ||g||,  L0, L1 >= 0              on all points, least squares
Derived in lesson 11. Source: Zhang et al. 2020; paper, section 3.2.
"""

from typing import Any, NamedTuple

import numpy as np

from .._checks import as_numbers
from .._types import Array


class LogFit(NamedTuple):
    """(11.9)"""

    a: float
    b: float
    correlation: float  # of log kappa and log ||g||
    negative_share: float  # of the points, left out here: kappa <= 0


def fit_log(kappa: Array, norms: Array) -> LogFit:
    """log kappa = a + b log ||g|| by least squares on the points with kappa > 0; the share left out is part of the answer.

    kappa, norms (T,), norms > 0, at least 3 positive kappas -> LogFit. Raises ValueError otherwise. Source: paper, section 3.2.
    """
    kappa, norms = _pairs(kappa, norms)
    good = kappa > 0
    if good.sum() < 3 or (norms <= 0).any():
        raise ValueError(f"kappa: expected at least 3 positive entries and norms > 0, got {good.sum()} of {len(kappa)}")
    x, y = np.log(norms[good]), np.log(kappa[good])
    dx, dy = x - x.mean(), y - y.mean()
    if not (dx @ dx > 0):
        raise ValueError("norms: expected more than one value, got the same everywhere; the slope is not defined")
    b = (dx @ dy) / (dx @ dx)
    correlation = (dx @ dy) / np.sqrt((dx @ dx) * (dy @ dy)) if dy @ dy > 0 else 0.0
    return LogFit(float(y.mean() - b * x.mean()), float(b), float(correlation), float(1.0 - good.mean()))


def fit_l0_l1(kappa: Array, norms: Array) -> tuple[float, float]:
    """The L0, L1 >= 0 that minimize the sum of (kappa - L0 - L1 ||g||)^2 over all points (11.10). -> (L0, L1)

    With two unknowns the constraints leave four candidates: both free, either alone, neither. Source: Zhang et al. 2020.
    """
    kappa, norms = _pairs(kappa, norms)
    columns = np.stack([np.ones_like(norms), norms], axis=1)  # (T, 2)
    best, least = np.zeros(2), kappa @ kappa
    for free in ([0], [1], [0, 1]):
        answer = np.zeros(2)
        answer[free] = np.linalg.lstsq(columns[:, free], kappa, rcond=None)[0]
        error = kappa - columns @ answer
        if (answer >= 0).all() and error @ error < least:
            best, least = answer, error @ error
    return float(best[0]), float(best[1])


def _pairs(kappa: Any, norms: Any) -> tuple[Array, Array]:
    kappa, norms = as_numbers("kappa", kappa, ndim=1), as_numbers("norms", norms, ndim=1)
    if kappa.shape != norms.shape or len(kappa) < 1:
        raise ValueError(f"norms: expected the shape of kappa, {kappa.shape}, got {norms.shape}")
    return kappa, norms
