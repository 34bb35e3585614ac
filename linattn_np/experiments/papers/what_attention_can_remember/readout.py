"""One attention read-out that must recall L bits from learned tables, with its gradient by hand and its loss without sampling.

Position i holds a bit s_i = +1 or -1 that nothing foretells, and query j asks for s_j. The tables q, k, u, r have a row for each
position; the value of item i is s_i r_i, and u_j reads it. A row of M is what one query does with all items:

Forward                                          Backward, from dM
(23.1)  M = A o W,  answer_j = sum_i M_ji s_i    (23.11) dA = dM o W
(23.7)  W = U R^T, or 1 without values           (23.12) dW = dM o A
(23.8)  A = S / sqrt(D)            linear        (23.13) dU = dW R              dR = dW^T U
(23.9)  A = softmax of the rows    softmax       (23.14) dS = dA / sqrt(D)                             linear
(23.10) A = S / row sums of S      elu           (23.15) dS = A o (dA - row sums of dA o A)            softmax
        S = X Y^T,  X = phi(Q), Y = phi(K)       (23.16) dS = (dA - row sums of dA o A) / row sums     elu
(23.2)  f = ||M - I||^2 / L                      (23.17) dM = 2 (M - I) / L
                                                 (23.18) dX = dS Y,  dY = dS^T X,  dQ = dX o phi'(Q), dK = dY o phi'(K)

o is the entrywise product; phi(x) = elu(x) + 1 for "elu" and x otherwise. The bits are independent with mean 0 and square 1, so f
is the expected squared error of the answers exactly. Axes S before the last three run along independent sets of tables (seeds).
Derived in lesson 23.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from ...._checks import as_numbers, one_of
from ...._types import Array
from ....audit import Report, audit_gradient
from ....layers.marks import Mark, keep

KINDS = ("linear", "plain", "elu", "softmax")  # "plain" is "linear" without positional values: W = 1
WITH_VALUES = ("linear", "elu")


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass (or, of a tangent pass, the tangents of the same)."""

    q: Array  # (*S, L, D)
    k: Array  # (*S, L, D)
    u: Array | None  # (*S, L, D); None where there are no values
    r: Array | None  # (*S, L, D)
    X: Array  # (*S, L, D)
    Y: Array  # (*S, L, D)
    total: Array  # (*S, L, 1): row sums of S
    A: Array  # (*S, L, L)
    W: Array  # (*S, L, L)


def features(x: Array, kind: str) -> Array:
    """phi: elu(x) + 1 = x + 1 above zero and exp(x) below, for "elu"; else x itself."""
    return np.where(x.real > 0, x + 1, np.exp(np.where(x.real > 0, 0, x))) if kind == "elu" else x


def slopes(x: Array, kind: str) -> Array:
    """phi': 1 above zero and exp(x) below, for "elu"; else 1."""
    return np.exp(np.where(x.real > 0, 0, x)) if kind == "elu" else np.ones_like(x)


def tables_of(kind: str) -> int:
    """How many tables a kind has: q, k, and with values u, r."""
    return 4 if one_of("kind", kind, KINDS) in WITH_VALUES else 2


def forward(tables: Array, kind: str, mark: Mark = keep) -> tuple[Array, Tape]:
    """What the queries do with the items: (23.1), (23.7) to (23.10).

    tables (..., 4, L, D) in the order q, k, u, r, or (..., 2, L, D) for a kind without values -> M (..., L, L) and the tape.
    Raises ValueError for another kind or number of tables. Cost O(L^2 D).
    """
    count = tables_of(kind)
    if tables.ndim < 3 or tables.shape[-3] != count:
        raise ValueError(f"tables: expected shape (..., {count}, L, D) for {kind}, got {tables.shape}")
    names = ("q", "k", "u", "r")[:count]
    q, k, *values = (mark(name, tables[..., at, :, :]) for at, name in enumerate(names))
    # F1  X = phi(Q), Y = phi(K)
    X, Y = mark("X", features(q, kind)), mark("Y", features(k, kind))  # (*S, L, D)
    # F2  S = X Y^T                      scores
    S = mark("S", X @ Y.mT)  # (*S, L, L)
    # F3  A                              what each query weighs the items with                (23.8), (23.9), (23.10)
    total = S.sum(axis=-1, keepdims=True)  # (*S, L, 1)
    if kind == "softmax":
        E = np.exp(S - S.real.max(axis=-1, keepdims=True))  # (*S, L, L)
        A = mark("A", E / E.sum(axis=-1, keepdims=True))  # (*S, L, L)
    else:
        A = mark("A", S / total if kind == "elu" else S / np.sqrt(S.dtype.type(q.shape[-1])))  # (*S, L, L)
    # F4  W = U R^T                      what the values add                                  (23.7)
    W = mark("W", values[0] @ values[1].mT) if values else np.ones_like(A)  # (*S, L, L)
    # F5  M = A o W                                                                           (23.1)
    M = mark("M", A * W)  # (*S, L, L)
    u, r = values or (None, None)
    return M, Tape(q, k, u, r, X, Y, total, A, W)


def backward(dM: Array, tape: Tape, kind: str, mark: Mark = keep) -> Array:
    """Gradient of the tables: (23.11) to (23.16) and (23.18), the forward lines undone in reverse.

    dM (..., L, L) -> like the tables. Cost O(L^2 D).
    """
    q, k, u, r, X, Y, total, A, W = tape
    dM = mark("dM", dM)
    # B5  undoes F5  M = A o W
    dA = mark("dA", dM * W)  # (*S, L, L)                                                    (23.11)
    # B4  undoes F4  W = U R^T
    values: tuple[Array, ...] = ()
    if u is not None and r is not None:
        dW = mark("dW", dM * A)  # (*S, L, L)                                                (23.12)
        du = mark("du", dW @ r)  # (*S, L, D)                                                (23.13)
        dr = mark("dr", dW.mT @ u)  # (*S, L, D)                                             (23.13)
        values = (du, dr)
    # B3  undoes F3  A of S
    if kind == "softmax":
        dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True))  # (*S, L, L)                   (23.15)
    elif kind == "elu":
        dS = (dA - (dA * A).sum(axis=-1, keepdims=True)) / total  # (*S, L, L)               (23.16)
    else:
        dS = dA / np.sqrt(dA.dtype.type(q.shape[-1]))  # (*S, L, L)                          (23.14)
    dS = mark("dS", dS)
    # B2  undoes F2  S = X Y^T
    dX = mark("dX", dS @ Y)  # (*S, L, D)                                                    (23.18)
    dY = mark("dY", dS.mT @ X)  # (*S, L, D)                                                 (23.18)
    # B1  undoes F1  X = phi(Q), Y = phi(K)
    dq = mark("dq", dX * slopes(q, kind))  # (*S, L, D)                                      (23.18)
    dk = mark("dk", dY * slopes(k, kind))  # (*S, L, D)                                      (23.18)
    return np.stack([dq, dk, *values], axis=-3)


def tangent(vtables: Array, tape: Tape, kind: str) -> Array:
    """Derivative of M along a direction of the tables: the tangents of (23.1), (23.7) to (23.10).

    Shaped like the tables -> vM (..., L, L). Cost O(L^2 D).
    """
    q, k, u, r, X, Y, total, A, W = tape
    vq, vk = vtables[..., 0, :, :], vtables[..., 1, :, :]
    # F1  X = phi(Q), Y = phi(K)
    vX, vY = vq * slopes(q, kind), vk * slopes(k, kind)  # (*S, L, D)                        of (23.18)
    # F2  S = X Y^T: one term for each factor
    vS = vX @ Y.mT + X @ vY.mT  # (*S, L, L)                                                 of (23.18)
    # F3  A of S
    if kind == "softmax":
        vA = A * (vS - (vS * A).sum(axis=-1, keepdims=True))  # (*S, L, L)                   of (23.9)
    elif kind == "elu":
        vA = (vS - A * vS.sum(axis=-1, keepdims=True)) / total  # (*S, L, L)                 of (23.10)
    else:
        vA = vS / np.sqrt(vS.dtype.type(q.shape[-1]))  # (*S, L, L)                          of (23.8)
    # F4  W = U R^T
    vW = np.zeros_like(vA)  # (*S, L, L)
    if u is not None and r is not None:
        vW = vtables[..., 2, :, :] @ r.mT + u @ vtables[..., 3, :, :].mT  # (*S, L, L)       of (23.7)
    # F5  M = A o W
    return vA * W + A * vW  # (*S, L, L)                                                     of (23.1)


def loss(tables: Array, kind: str, weights: Array | None = None, mark: Mark = keep) -> Array:
    """The expected squared error of the answers (23.2): tables (..., 2 or 4, L, D) -> f (...,). weights as below."""
    M, _ = forward(tables, kind, mark)
    miss = M - np.eye(M.shape[-1])  # (*S, L, L)
    return (as_weights(weights, M.shape[-1]) * miss * miss).sum(axis=(-2, -1))


def loss_and_grad(tables: Array, kind: str, weights: Array | None = None, mark: Mark = keep) -> tuple[Array, Array]:
    """The expected squared error of the answers (23.2) and its gradient (23.17).

    tables (..., 2 or 4, L, D) -> f (...,) and like the tables. weights (L, L): f = sum of weights (M - I)^2, where some pairs of
    query and item count more or not at all; None: 1/L for each. Raises ValueError for weights of another shape. Cost O(L^2 D).
    """
    M, tape = forward(tables, kind)
    weights = as_weights(weights, M.shape[-1])  # (L, L)
    miss = M - np.eye(M.shape[-1])  # (*S, L, L)
    dM = 2 * weights * miss  # (*S, L, L)                                                    (23.17)
    return (weights * miss * miss).sum(axis=(-2, -1)), backward(dM, tape, kind, mark)


def as_weights(weights: Array | None, L: int) -> Array:
    """The weights of (23.2), 1/L for each pair where there are none. Raises ValueError unless they are (L, L)."""
    weights = np.full((L, L), 1 / L) if weights is None else as_numbers("weights", weights, 2)  # (L, L)
    if weights.shape != (L, L):
        raise ValueError(f"weights: expected shape {(L, L)}, got {weights.shape}")
    return weights


# ---------------------------------------------------------------- the derivation, judged


def point(kind: str, L: int = 5, D: int = 3) -> Array:
    """Generic tables (4 or 2, L, D) at which a derivation is judged."""
    return 0.2 + 0.9 * np.random.default_rng(L).standard_normal((tables_of(kind), L, D))


def audit(kind: str) -> Report:
    """The gradient of one kind, every line of it, and of the loss: from a cotangent of M and by (23.17)."""
    names = ("q", "k", "u", "r")[: tables_of(kind)]
    weights = np.random.default_rng(2).random((5, 5))

    def run(theta: dict[str, Array], mark: Mark) -> Array:
        return loss(np.stack([theta[name] for name in names]), kind, weights, mark)

    def back(theta: dict[str, Array], mark: Mark) -> dict[str, Array]:
        found = loss_and_grad(np.stack([theta[name] for name in names]), kind, weights, mark)[1]
        return dict(zip(names, found, strict=True))

    equations = {"dA": "23.11", "dW": "23.12", "du": "23.13", "dr": "23.13", "dX": "23.18", "dY": "23.18"}
    return audit_gradient(run, back, dict(zip(names, point(kind), strict=True)), equations=equations, title=f"read-out, {kind}")


def check_tangent(kind: str) -> float:
    """How far :func:`tangent` is from a complex step of :func:`forward`."""
    tables, along = point(kind), np.random.default_rng(3).standard_normal(point(kind).shape)
    wanted = forward(tables + 1e-30j * along, kind)[0].imag / 1e-30
    return float(np.abs(tangent(along, forward(tables, kind)[1], kind) - wanted).max())


AUDITS: dict[str, Callable[[], Report]] = {kind: partial(audit, kind) for kind in KINDS}
CHECKS: dict[str, Callable[[], float]] = {f"tangent, {kind}": partial(check_tangent, kind) for kind in KINDS}
