"""Causal softmax attention on queries, keys and values: what the linear forms are held against.

Forward                                                    Backward, from dO = df/dO
(21.38) A_ij = q_i.k_j / sqrt(D) for j <= i                (21.39) dP = dO v^T,  dv = P^T dO
        P_i  = softmax of A_i over j <= i,  O = P v        (21.40) dA = P (dP - sum_j dP P)
                                                           (21.41) dq = dA k / sqrt(D),  dk = dA^T q / sqrt(D)

Where P_ij = 0 so is dA_ij: the mask needs no line of its own. The softmax is that of lesson 14, (14.2) and (14.12). Derived in lesson 21.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers.marks import Mark, keep
from ....layers.softmax_attention import softmax


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    q: Array  # (B, H, T, D)
    k: Array  # (B, H, T, D)
    v: Array  # (B, H, T, D)
    P: Array  # (B, H, T, T)


def forward(q: Array, k: Array, v: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """One head or many: (21.38). q, k, v (.., T, D) -> O (.., T, D) and the tape. Cost O(T^2 D)."""
    q, k, v = mark("q", q), mark("k", k), mark("v", v)
    # F1  A = q k^T / sqrt(D)                                                                    (21.38)
    A = mark("A", q @ k.mT / q.shape[-1] ** 0.5)  # (B, H, T, T)
    # F2  P = softmax over j <= i                                                                (21.38)
    P = mark("P", softmax(np.where(np.tri(A.shape[-1], dtype=bool), A, -np.inf)))  # (B, H, T, T)
    # F3  O = P v                                                                                (21.38)
    return mark("O", P @ v), Tape(q, k, v, P)


def backward(dO: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array]:
    """Gradients of one layer: (21.39) to (21.41). dO (.., T, D) -> dq, dk, dv (.., T, D). Cost O(T^2 D)."""
    q, k, v, P = tape
    dO, root = mark("dO", dO), q.shape[-1] ** 0.5
    # B3  undoes F3  O = P v
    dP = mark("dP", dO @ v.mT)  # (B, H, T, T)                                 (21.39)
    dv = mark("dv", P.mT @ dO)  # (B, H, T, D)                                 (21.39)
    # B2  undoes F2  P = softmax over j <= i
    dA = mark("dA", P * (dP - (dP * P).sum(axis=-1, keepdims=True)))  # (B, H, T, T)     (21.40)
    # B1  undoes F1  A = q k^T / sqrt(D)
    dq = mark("dq", dA @ k / root)  # (B, H, T, D)                             (21.41)
    dk = mark("dk", dA.mT @ q / root)  # (B, H, T, D)                          (21.41)
    return dq, dk, dv


def tangent(vq: Array, vk: Array, vv: Array, tape: Tape) -> Array:
    """Derivative of the layer along (vq, vk, vv), shaped like q, k, v. -> vO (.., T, D)"""
    q, k, v, P = tape
    vA = (vq @ k.mT + q @ vk.mT) / q.shape[-1] ** 0.5  # (B, H, T, T)                  of (21.38)
    vP = P * (vA - (vA * P).sum(axis=-1, keepdims=True))  # (B, H, T, T)                 of (21.38)
    return vP @ v + P @ vv  # (B, H, T, D)                                               of (21.38)


# ---------------------------------------------------------------- its audits


def _point(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((2, 3, 5, 4)) for name in ("q", "k", "v")}


def audited() -> Report:
    """The audit of all gradients at a generic point."""

    def run(theta: Any, mark: Mark = keep) -> Array:
        return forward(**theta, mark=mark)[0]

    def back(theta: Any, dO: Array, mark: Mark = keep) -> dict[str, Array]:
        return dict(zip(theta, backward(dO, forward(*theta.values())[1], mark), strict=True))

    return audit_gradient(run, back, _point(21), title="causal softmax attention")


def tangent_error() -> float:
    """How far tangent and backward are from a complex step of the forward."""
    at, v = _point(21), _point(22)
    stepped = forward(*(a + 1e-30j * b for a, b in zip(at.values(), v.values(), strict=True)))[0].imag / 1e-30
    O, tape = forward(**at)
    dO = np.random.default_rng(23).standard_normal(O.shape)
    adjoint = (dO * stepped).sum() - sum((a * b).sum() for a, b in zip(backward(dO, tape), v.values(), strict=True))
    return float(np.abs(tangent(*[*v.values(), tape]) - stepped).max() + abs(adjoint))


AUDITS = {"attention": audited}
CHECKS = {"tangent and adjoint": tangent_error}
