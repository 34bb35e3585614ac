"""Where the largest curvature stops: the edge of stability of descent, of the heavy ball and of Adam, from a 2 x 2 matrix.

Along one eigenvector of the Hessian, with eigenvalue lambda, the loss is lambda x^2 / 2 and an optimizer with a buffer is linear:

    m <- beta m + w lambda x,   x <- x - eta m          w = 1: heavy ball, and descent for beta = 0;  w = 1 - beta: Adam
    (26.4)  (m, x) <- [[beta, w lambda], [-eta beta, 1 - eta w lambda]] (m, x)
    (26.5)  z^2 - (1 + beta - eta w lambda) z + beta = 0     its eigenvalues; z = -1 is the first to leave the unit disk
    (26.2)  lambda = 2 / eta                                 beta = 0
    (26.6)  lambda = 2 (1 + mu) / eta                        w = 1
    (26.7)  lambda = (2 + 2 beta1) / ((1 - beta1) eta)       w = 1 - beta1, lambda that of S^-1/2 H S^-1/2, S held fixed
Source: textbook for descent and heavy ball; Cohen et al. 2022 (arXiv 2207.14484) for Adam.
"""

import numpy as np

from ...._checks import as_real
from ...._types import Array

__all__ = ["CHECKS", "adam_edge", "companion", "edge", "edge_by_companion"]


def edge(rate: float, momentum: float = 0.0) -> float:
    """The largest curvature at which descent, with or without the heavy ball, does not grow (26.2), (26.6). rate > 0 -> float"""
    rate, momentum = as_real("rate", rate, above=0), as_real("momentum", momentum, least=0, below=1)
    return 2 * (1 + momentum) / rate


def adam_edge(rate: float, beta1: float) -> float:
    """The largest preconditioned curvature at which Adam with a fixed preconditioner does not grow (26.7). rate > 0 -> float"""
    rate, beta1 = as_real("rate", rate, above=0), as_real("beta1", beta1, least=0, below=1)
    return (2 + 2 * beta1) / ((1 - beta1) * rate)


def companion(curvature: float, rate: float, beta: float, averaged: bool) -> Array:
    """The matrix of one step on (m, x) (26.4); ``averaged``: the buffer is a mean, as Adam's, and not a sum. -> (2, 2)"""
    weight = 1 - beta if averaged else 1.0
    return np.array([[beta, weight * curvature], [-rate * beta, 1 - rate * weight * curvature]])


def edge_by_companion(rate: float, beta: float, averaged: bool) -> float:
    """The edge by bisection: where the larger eigenvalue of (26.4) reaches length 1. A second road to (26.2), (26.6), (26.7)."""
    low, high = 0.0, 1e3 / rate
    for _ in range(80):
        middle = 0.5 * (low + high)
        grows = max(abs(z) for z in np.linalg.eigvals(companion(middle, rate, beta, averaged)).tolist()) > 1 + 1e-13
        low, high = (low, middle) if grows else (middle, high)
    return 0.5 * (low + high)


def distance_from_companion() -> float:
    """The largest relative distance of the formulas from the bisection."""
    pairs = [(edge(0.07, mu), edge_by_companion(0.07, mu, False)) for mu in (0.0, 0.5, 0.9)]
    pairs += [(adam_edge(0.003, beta), edge_by_companion(0.003, beta, True)) for beta in (0.0, 0.5, 0.9, 0.95)]
    return max(abs(by_formula / found - 1) for by_formula, found in pairs)


def distance_from_steps() -> float:
    """The largest distance of (26.4) from the two updates, written out."""
    m, x, curvature, rate, beta = 0.3, -0.7, 11.0, 0.13, 0.6
    found = 0.0
    for averaged, weight in ((False, 1.0), (True, 0.4)):
        new_m = beta * m + weight * curvature * x
        wanted = np.array([new_m, x - rate * new_m])
        found = max(found, float(np.abs(companion(curvature, rate, beta, averaged) @ [m, x] - wanted).max()))
    return found


CHECKS = {"edges and eigenvalues": distance_from_companion, "companion and steps": distance_from_steps}
