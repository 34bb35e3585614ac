"""Audited here: optimizers that see matrices, (29.3) to (29.6), and the damped ideals, (29.7), each by a second road.

Muon: the singular values of each block go through the polynomial as numbers. Shampoo: the mean of G G^T is K K^T with all
gradients side by side in K, so its roots come from K's singular values. SOAP: the same recurrence, block by block, with bases by
Gram and Schmidt; and along diagonal gradients Adam. Newton: a curvature whose eigenvalues and eigenvectors are chosen.
"""

from typing import Any

import numpy as np

from ..._types import Array
from ..checks.arrays import array_row
from ..row import OK, WRONG, Row
from .grouped_optimizers import STEPS, kept_pure, named, walked

SHAPES = ((5, 5), (3, 5), (5, 3))


def check_matrices(module: Any, rng: np.random.Generator) -> list[Row]:
    """Muon, Shampoo and SOAP on square, wide and tall blocks, one of which is 0; turned blocks; purity. -> rows"""
    rows = []
    made = {
        "Muon": (named(module, "Muon")(0.07, 0.6), muon_by_svd),
        "Shampoo": (named(module, "Shampoo")(0.07, 0.6, 0.8, 1e-9), shampoo_by_svd),
        "SOAP": (named(module, "SOAP")(0.07, 0.6, 0.8, 1e-3, 2), soap_by_blocks),
    }
    for name, (opt, by_another_road) in made.items():
        for r, c in SHAPES:
            x, gradients = rng.standard_normal((2, 3, r, c)), rng.standard_normal((STEPS, 2, 3, r, c))
            gradients[:, 1, 2] = 0.0
            found, expected = walked(opt, x, gradients)["x"], by_another_road(x, gradients)
            rows.append(array_row(f"{name} x, {r} by {c}", found, expected.reshape(STEPS, -1), 1e-9, "recur"))
        rows += [_turned(name, opt, x, gradients, found, rng), kept_pure(name, opt, x, gradients)]
    x, gradients = rng.standard_normal((2, 5, 5)), rng.standard_normal((STEPS, 2, 5, 5)) * np.eye(5)
    straight = walked(named(module, "Adam")(0.07, 0.6, 0.8, 1e-3), x, gradients)["x"]
    rows.append(array_row("SOAP, diagonal", walked(made["SOAP"][0], x, gradients)["x"], straight, 1e-12, "closed"))
    constant = np.tile(rng.standard_normal((5, 5)), (STEPS, 1, 1))
    U, _, Vt = np.linalg.svd(constant[0])
    pull = np.cumsum((1 - 0.6 ** np.arange(1, STEPS + 1)) / 0.4)[:, None, None]
    end = walked(named(module, "Shampoo")(0.07, 0.6, 0.8, 0.0), x[0], constant)["x"]
    rows.append(array_row("Shampoo, constant", end, (x[0] - 0.07 * pull * (U @ Vt)).reshape(STEPS, -1), 1e-9, "closed"))
    return rows


def _turned(name: str, opt: Any, x: Array, gradients: Array, found: Array, rng: np.random.Generator) -> Row:
    """A block's rows turned: Muon and Shampoo follow; SOAP, whose bases start at the axes, does not."""
    R = np.linalg.qr(rng.standard_normal((x.shape[-2], x.shape[-2])))[0]
    straight = (R @ found.reshape(STEPS, *x.shape)).reshape(STEPS, -1)
    gap = float(np.abs(walked(opt, R @ x, R @ gradients)["x"] - straight).max() / np.abs(straight).max())
    if name != "SOAP":
        note = "" if gap <= 1e-9 else "it should follow a rotation of a block's rows and does not"
        return Row("rotation", f"{name} follows, block by block", gap, 0.0, gap, 1e-9, WRONG if note else OK, note)
    note = "" if gap > 1e-3 else "it should depend on the axes and does not"
    return Row("rotation", f"{name} does not", gap, None, None, None, WRONG if note else OK, note)


def muon_by_svd(x: Array, gradients: Array) -> Array:
    """U s(S) V^T of each block of the momentum, s the polynomial of (29.4) five times on numbers. -> (T, *x.shape)"""
    path, M = [], np.zeros_like(x)
    for g in gradients:
        M = 0.6 * M + g
        U, S, Vt = np.linalg.svd(M, full_matrices=False)
        s = S / (np.sqrt((S * S).sum(axis=-1, keepdims=True)) + 1e-7)
        for _ in range(5):
            s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        x = x - 0.07 * U @ (s[..., None] * Vt)
        path.append(x)
    return np.array(path)


def shampoo_by_svd(x: Array, gradients: Array) -> Array:
    """Shampoo with momentum 0.6, beta2 0.8 and eps 1e-9; roots from the singular values of the gradients side by side."""
    path, M = [], np.zeros_like(x)
    for t, g in enumerate(gradients, start=1):
        M = 0.6 * M + g
        shares = 0.2 * 0.8 ** np.arange(t - 1, -1, -1) / (1 - 0.8**t)
        beside = np.concatenate([np.sqrt(w) * G for w, G in zip(shares, gradients, strict=False)], axis=-1)
        below = np.concatenate([np.sqrt(w) * G.mT for w, G in zip(shares, gradients, strict=False)], axis=-1)
        x = x - 0.07 * _root_of(beside) @ M @ _root_of(below)
        path.append(x)
    return np.array(path)


def _root_of(K: Array) -> Array:
    """(K K^T + 1e-9 I)^-1/4"""
    U, S, _ = np.linalg.svd(K)
    full = np.zeros(U.shape[:-1])
    full[..., : S.shape[-1]] = S
    return (U * (full[..., None, :] ** 2 + 1e-9) ** -0.25) @ U.mT


def soap_by_blocks(x: Array, gradients: Array) -> Array:
    """SOAP with betas 0.6 and 0.8, eps 1e-3 and new bases every 2 updates, one block at a time."""
    blocks, every = x.reshape(-1, *x.shape[-2:]), gradients.reshape(len(gradients), -1, *x.shape[-2:])
    paths = [_soap_of_block(W, every[:, k]) for k, W in enumerate(blocks)]
    return np.array(paths).swapaxes(0, 1).reshape(len(gradients), *x.shape)


def _soap_of_block(W: Array, gradients: Array) -> list[Array]:
    (r, c), path = W.shape, []
    U, V, M, S = np.eye(r), np.eye(c), np.zeros((r, c)), np.zeros((r, c))
    L, R = np.zeros((r, r)), np.zeros((c, c))
    for t, G in enumerate(gradients, start=1):
        M = 0.6 * M + 0.4 * G
        S = 0.8 * S + 0.2 * np.einsum("ia,ij,jb->ab", U, G, V) ** 2
        inside = np.einsum("ia,ij,jb->ab", U, M, V) / (1 - 0.6**t) / (np.sqrt(S / (1 - 0.8**t)) + 1e-3)
        W = W - 0.07 * np.einsum("ia,ab,jb->ij", U, inside, V)
        L, R = 0.8 * L + 0.2 * np.einsum("ij,kj->ik", G, G), 0.8 * R + 0.2 * np.einsum("ij,ik->jk", G, G)
        if t % 2 == 0 and G.any():
            U, V = gram_schmidt(L @ U), gram_schmidt(R @ V)
        path.append(W)
    return path


def gram_schmidt(A: Array) -> Array:
    """Orthonormal columns that span what the first columns of A span; each is taken off twice, for rounding."""
    Q = np.zeros_like(A)
    for j in range(A.shape[1]):
        q = A[:, j] / np.linalg.norm(A[:, j])
        for _ in range(2):
            q = q - Q[:, :j] @ (Q[:, :j].T @ q)
        Q[:, j] = q / np.linalg.norm(q)
    return Q


# ---------------------------------------------------------------- the ideals


def check_newton(module: Any, rng: np.random.Generator) -> list[Row]:
    """(29.7) with curvatures R diag(l (1 + x_0^2)) R^T whose R and l are known; one step to a quadratic's minimum; purity.

    -> rows
    """
    R, l = np.linalg.qr(rng.standard_normal((6, 6)))[0], np.array([-3.0, -0.5, 0.25, 1.0, 2.0, 7.0])
    curvature = lambda x: (R * l * (1 + x.ravel()[0] ** 2)) @ R.T
    x, gradients = rng.standard_normal((2, 3)), rng.standard_normal((STEPS, 2, 3))
    opt = named(module, "Newton")(0.07, curvature, 0.6, 0.01, 0.7, 2)
    at, m, mean, path = x.ravel(), np.zeros(6), np.zeros(6), []
    for t, g in enumerate(gradients.reshape(STEPS, -1)):
        if t % 2 == 0:
            now = l * (1 + at[0] ** 2)
            mean = now if t == 0 else 0.7 * mean + 0.3 * now
        m = 0.6 * m + g
        at = at - 0.07 * R @ ((R.T @ m) / (np.abs(mean) + 0.01 * np.abs(mean).max()))
        path.append(at)
    rows = [array_row("Newton x", walked(opt, x, gradients)["x"], np.array(path), 1e-11, "recur")]
    A, centre = (R * np.abs(l)) @ R.T, rng.standard_normal(6)
    whole = named(module, "Newton")(1.0, lambda x: A, damping=0.0)
    arrived = whole.update(x, (A @ (x.ravel() - centre)).reshape(x.shape), whole.init(x))[0].ravel()
    rows.append(array_row("Newton, one step", arrived, centre, 1e-12, "closed"))
    return [*rows, kept_pure("Newton", opt, x, gradients)]
