"""How heavy the tail of positive numbers x (draws,) is: statistics, and the Gaussian control beside which alone they mean
something.

(8.2) Hill(k) = 1 / mean_i log(x_(i) / x_(k+1))  i = 1..k, x_(1) >= x_(2) >= ..: a law with P(X > x) ~ x^-a gives a
(8.3) ||Lambda^(1/2) xi||, xi ~ N(0, I)          the norm of Gaussian noise with variances Lambda: the control
The norm of a Gaussian vector is skewed by itself, and more so when few directions carry its variance. Derived in lesson 08.
"""

from collections.abc import Iterable
from statistics import NormalDist
from typing import Any

import numpy as np

from .._checks import as_count, as_numbers, as_rng
from .._types import Array

NORMAL = NormalDist()
BLOCK = 2048  # norms made at a time


def gaussian_norms(variances: Array, draws: int, rng: np.random.Generator) -> Array:
    """The control (8.3): norms of Gaussian vectors with independent coordinates of these variances (p,). -> (draws,)"""
    variances = as_numbers("variances", variances, ndim=1)
    if (variances < 0).any():
        raise ValueError("variances: expected numbers of at least 0, got a negative one")
    norms = np.empty(as_count("draws", draws))
    for first in range(0, draws, BLOCK):
        part = norms[first : first + BLOCK]
        part[:] = np.sqrt(as_rng(rng).standard_normal((len(part), len(variances))) ** 2 @ variances)
    return norms


def _sample(x: Array, least: int = 2) -> Array:
    x = as_numbers("x", x, ndim=1)
    if len(x) < least:
        raise ValueError(f"x: expected at least {least} numbers, got {len(x)}")
    return x


def skewness(x: Array) -> float:
    """mean(u^3), u = (x - mean) / std with std over n; 0 for a symmetric law. NaN where std = 0."""
    u = standardized(_sample(x))
    return float((u**3).mean())


def excess_kurtosis(x: Array) -> float:
    """mean(u^4) - 3 with u as for :func:`skewness`; 0 for a normal law."""
    u = standardized(_sample(x))
    return float((u**4).mean()) - 3.0


def standardized(x: Array) -> Array:
    """(x - mean) / std; NaN where std = 0."""
    spread = x.std()
    return (x - x.mean()) / (spread if spread > 0 else np.nan)


def tail_ratio(x: Array) -> float:
    """p99.9 / p50, quantiles with linear interpolation."""
    high, middle = np.quantile(_sample(x), [0.999, 0.5])
    return float(high / middle)


def hill(x: Array, k: int) -> float:
    """The tail index (8.2) from the k largest of x > 0: smaller means heavier. 1 <= k < len(x) -> float."""
    x = np.sort(_sample(x))[::-1]
    k = as_count("k", k)
    if k >= len(x):
        raise ValueError(f"k: expected less than len(x) = {len(x)}, got {k}")
    if x[k] <= 0:
        raise ValueError(f"x: expected its {k + 1} largest numbers to be positive, got {x[k]:g}")
    excess = np.log(x[:k] / x[k]).mean()
    return float(1.0 / excess) if excess > 0 else float("inf")


def qq_normal(x: Array, points: int = 200) -> tuple[Array, Array]:
    """Quantiles of x, standardized, against those of a normal law: (theoretical (points,), observed (points,))."""
    levels = (np.arange(as_count("points", points)) + 0.5) / points
    return np.array([NORMAL.inv_cdf(level) for level in levels.tolist()]), np.quantile(standardized(_sample(x)), levels)


def mode(x: Array, points: int = 200) -> float:
    """Where a Gaussian kernel estimate of the density is largest; width 0.9 min(std, IQR / 1.34) n^(-1/5) (Silverman 1986)."""
    x = _sample(x)
    low, high = np.quantile(x, [0.25, 0.75])
    width = 0.9 * min(x.std(), (high - low) / 1.34) * len(x) ** -0.2
    if not width > 0:
        return float(np.median(x))
    at = np.linspace(x.min(), np.quantile(x, 0.95), as_count("points", points))
    return float(at[np.argmax([np.exp(-0.5 * ((x - a) / width) ** 2).sum() for a in at])])


def statistics(x: Array, ks: Iterable[int] = (50, 100, 200, 500)) -> dict[str, Any]:
    """All of the above in one dictionary of plain numbers, with quantiles; Hill only for k < len(x)."""
    levels = (0.0, 0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0)
    return {
        "mode": mode(x), "mean": float(np.mean(x)), "standard_deviation": float(np.std(x)), "skewness": skewness(x),
        "excess_kurtosis": excess_kurtosis(x), "p99.9_over_p50": tail_ratio(x),
        "minimum": float(np.min(x)), "maximum": float(np.max(x)),
        "hill": {str(k): hill(x, k) for k in ks if k < len(x)},
        "quantiles": dict(zip(map(str, levels), np.quantile(x, levels).tolist(), strict=True)),
    }  # fmt: skip
