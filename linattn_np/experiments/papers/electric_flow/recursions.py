"""The algorithms on the Laplacian itself, as numerical analysis has them: what the layers of ``construction.py`` are held
against.

B (n, m) or (.., n, m), Psi and Phi (n, k); the names and arguments are those of the constructions.
"""

import numpy as np

from ...._types import Array
from .graphs import laplacian


def potentials(B: Array, Psi: Array, deltas: Array) -> Array:
    """Gradient descent on the flow's energy <Phi, L Phi> / 2 - <Psi, Phi>: Phi <- Phi + delta (Psi - L Phi) (20.5)."""
    L, Phi = laplacian(B), np.zeros_like(Psi)
    for delta in deltas:
        Phi = Phi + delta * (Psi - L @ Phi)
    return Phi


def resistive(B: Array, Psi: Array, delta: float, layers: int) -> Array:
    """sqrt(delta) sum_l binom(2l, l) / 4^l (1 - delta L)^l Psi, the first terms of L^{-1/2} Psi."""
    L, Phi = laplacian(B), np.zeros_like(Psi)
    for factor in central_binomials(layers):
        Phi, Psi = Phi + np.sqrt(delta) * factor * Psi, Psi - delta * L @ Psi
    return Phi


def heat(B: Array, Psi: Array, t: float, layers: int) -> Array:
    """(1 - t L / layers)^layers Psi, Euler's steps of the heat equation."""
    L = laplacian(B)
    for _ in range(layers):
        Psi = Psi - t / layers * L @ Psi
    return Psi


def eigenvectors(B: Array, Phi: Array, c: float, loops: int) -> Array:
    """Subspace iteration: multiply by c - L, then a step of Gram and Schmidt for all columns at once; unit columns after each."""
    L = laplacian(B)
    for _ in range(loops):
        Phi = unit_columns(c * Phi - L @ Phi)
        Phi = unit_columns(Phi - Phi @ np.triu(Phi.mT @ Phi, 1))
    return Phi


def six_scalars(B: Array, Psi: Array, scalars: Array) -> Array:
    """Phi <- (1 + s + v L) Phi + r Psi, Psi <- (1 + w L) Psi, B <- (1 + rho + u L) B from Phi = 0, scalars (layers, 6)."""
    Phi = np.zeros_like(Psi)
    for v, r, s, w, rho, u in scalars:
        L = laplacian(B)
        Phi, Psi, B = (1 + s) * Phi + v * L @ Phi + r * Psi, Psi + w * L @ Psi, (1 + rho) * B + u * L @ B
    return Phi


def central_binomials(count: int) -> Array:
    """binom(2l, l) / 4^l for l = 0, 1, ..: the coefficients of (1 - x)^(-1/2). -> (count,)"""
    steps = np.arange(1, count)
    return np.concatenate([[1.0], np.cumprod((2 * steps - 1) / (2 * steps))])


def unit_columns(Phi: Array) -> Array:
    """Phi (.., n, k) with each column of length 1."""
    return Phi / np.sqrt((Phi * Phi).sum(axis=-2, keepdims=True))


def exact(B: Array, Psi: Array, power: float) -> Array:
    """L^power Psi on the eigenvectors of eigenvalue above 0: -1 electric potentials, -1/2 resistive embedding. Cost O(n^3)."""
    values, vectors = np.linalg.eigh(laplacian(B))
    return vectors[..., 1:] * values[..., None, 1:] ** power @ (vectors.mT @ Psi)[..., 1:, :]
