"""Estimators of curvature for models too large for an exact Hessian, taught beside the truth.

Each takes ``product``, a function v (p,) -> H v (p,), and never sees H. How far each may lie from the truth is stated with it,
and the tests hold it to that. Derived in lesson 09. Source: Lanczos 1950; Hutchinson 1990; Bekas et al. 2007.
(9.6) Var[v^T H v] = 2 sum_{i != j} H_ij^2,   Var[(v * H v)_i] = sum_{j != i} H_ij^2,   v = +-1     Hutchinson
(9.7) |lambda_1 - rho_k| <= (lambda_1 - lambda_p) tan^2(angle_0) max_(i>1) |lambda_i / lambda_1|^(2k)     power iteration
(9.8) Ritz values lie between the smallest and the largest eigenvalue, and grow towards them with every step   Lanczos
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._checks import as_count, as_rng
from .._types import Array

Product = Callable[[Array], Array]  # v (p,) -> H v (p,)


def power_iteration(product: Product, p: int, steps: int, rng: np.random.Generator) -> tuple[float, Array]:
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


def lanczos(product: Product, p: int, steps: int, rng: np.random.Generator) -> Array:
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

    value: Array
    error: Array


def hutchinson(product: Product, p: int, probes: int, rng: np.random.Generator) -> tuple[Estimate, Estimate]:
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
