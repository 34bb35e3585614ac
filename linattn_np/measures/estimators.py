"""Estimators of curvature for models too large for an exact Hessian, taught beside the truth; and fits of generalized smoothness.

Each takes ``product``, a function v (p,) -> H v (p,), and never sees H. How far each may lie from the truth is stated with it,
and the tests hold it to that. Derived in lessons 09 and 11. Source: Lanczos 1950; Hutchinson 1990; Bekas et al. 2007.
(9.6) Var[v^T H v] = 2 sum_{i != j} H_ij^2,   Var[(v * H v)_i] = sum_{j != i} H_ij^2,   v = +-1     Hutchinson
(9.7) |lambda_1 - rho_k| <= (lambda_1 - lambda_p) tan^2(angle_0) |lambda_2 / lambda_1|^(2k)     power iteration
(9.8) Ritz values lie between the smallest and the largest eigenvalue, and grow towards them with every step   Lanczos
(11.7) log kappa = a + b log ||g||                      on the points with kappa > 0
(11.8) kappa = L0 + L1 ||g||,  L0, L1 >= 0              on all points, least squares
"""

from typing import NamedTuple

import numpy as np

from .._checks import as_count, as_numbers, as_rng


def power_iteration(product, p, steps, rng):
    """The eigenvalue of largest magnitude, with its sign: the Rayleigh quotient at the last of ``steps`` products (9.7).

    -> (float, the unit vector (p,) it belongs to). k = steps - 1 in (9.7): the last product only measures.
    """
    v = as_rng(rng).standard_normal(as_count("p", p))
    v /= np.sqrt(v @ v)
    for _ in range(as_count("steps", steps)):
        Hv = product(v)
        value, norm = float(v @ Hv), np.sqrt(Hv @ Hv)
        if norm == 0:
            return 0.0, v
        previous, v = v, Hv / norm
    return value, previous


def lanczos(product, p, steps, rng):
    """The Ritz values after ``steps`` <= p products, ascending, with full reorthogonalization (9.8). -> (at most steps,)"""
    p, steps = as_count("p", p), as_count("steps", steps)
    if steps > p:
        raise ValueError(f"steps: expected at most p = {p}, got {steps}")
    basis, alpha, beta = np.zeros((steps, p)), np.zeros(steps), np.zeros(steps)
    v, scale = as_rng(rng).standard_normal(p), 0.0
    for k in range(steps):
        basis[k] = v / np.sqrt(v @ v)
        w = product(basis[k])
        alpha[k], scale = basis[k] @ w, max(scale, np.sqrt(w @ w))
        for _ in range(2):  # once is not enough: rounding brings old directions back
            w = w - basis[: k + 1].T @ (basis[: k + 1] @ w)
        beta[k], v = np.sqrt(w @ w), w
        if beta[k] <= 1e-12 * scale:  # the Krylov space is exhausted, as for a Hessian with dead parameters
            steps = k + 1
            break
    return np.linalg.eigvalsh(np.diag(alpha[:steps]) + np.diag(beta[: steps - 1], -1))  # it reads the lower triangle


class Estimate(NamedTuple):
    """A mean over random probes and its standard error, of the same shape."""

    value: np.ndarray
    error: np.ndarray


def hutchinson(product, p, probes, rng):
    """The trace and the diagonal of H from ``probes`` >= 2 random sign vectors (9.6). -> (Estimate of (), Estimate of (p,))"""
    p, probes = as_count("p", p), as_count("probes", probes, least=2)
    mean, squares, traces = np.zeros(p), np.zeros(p), np.zeros(probes)
    for k in range(probes):
        v = 2.0 * as_rng(rng).integers(2, size=p) - 1.0
        entry = v * product(v)
        traces[k] = entry.sum()
        distance = entry - mean  # Welford's update: no cancellation where the diagonal dwarfs its spread
        mean = mean + distance / (k + 1)
        squares += distance * (entry - mean)
    trace = Estimate(traces.mean(), traces.std(ddof=1) / np.sqrt(probes))
    return trace, Estimate(mean, np.sqrt(squares / (probes - 1) / probes))


# ---------------------------------------------------------------- generalized smoothness


class LogFit(NamedTuple):
    """(11.7)"""

    a: float
    b: float
    correlation: float  # of log kappa and log ||g||
    negative_share: float  # of the points, left out here: kappa <= 0


def fit_log(kappa, norms):
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


def fit_l0_l1(kappa, norms):
    """The L0, L1 >= 0 that minimize the sum of (kappa - L0 - L1 ||g||)^2 over all points (11.8). -> (L0, L1)

    With two unknowns the constraints leave four candidates: both free, either alone, neither. Source: Zhang et al. 2020.
    """
    kappa, norms = _pairs(kappa, norms)
    columns = np.stack([np.ones_like(norms), norms], axis=1)  # (T, 2)
    best, least = np.zeros(2), kappa @ kappa
    for free in ([0], [1], [0, 1]):
        answer = np.zeros(2)
        answer[free] = np.linalg.lstsq(columns[:, free], kappa, rcond=None)[0]
        residual = kappa - columns @ answer
        if (answer >= 0).all() and residual @ residual < least:
            best, least = answer, residual @ residual
    return float(best[0]), float(best[1])


def _pairs(kappa, norms):
    kappa, norms = as_numbers("kappa", kappa, ndim=1), as_numbers("norms", norms, ndim=1)
    if kappa.shape != norms.shape or len(kappa) < 1:
        raise ValueError(f"norms: expected the shape of kappa, {kappa.shape}, got {norms.shape}")
    return kappa, norms
