"""The weights of causal softmax attention: how much reader i takes of each symbol j up to i.

Forward                                          Backward, from dp = df/dp
(24.2)  A_ij = q_i.k_j / sqrt(e)                 (24.10) dA_ij = p_ij (dp_ij - sum_l dp_il p_il)
        p_ij = exp(A_ij) / sum_{l <= i} exp(A_il)   for j <= i, else 0
                                                 (24.11) dq_i = sum_j dA_ij k_j / sqrt(e),   dk_j = sum_i dA_ij q_i / sqrt(e)

q and k (B, H, T, e) -> p (B, H, T, T). Where p_ij = 0 so is dA_ij, so nothing of the mask is left to undo. Derived in lesson 24.
"""

from typing import NamedTuple

import numpy as np

from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers.marks import Mark, keep
from ....layers.softmax_attention import softmax


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    q: Array  # (B, H, T, e)
    k: Array  # (B, H, T, e)
    p: Array  # (B, H, T, T)


def forward(q: Array, k: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """Weights of each reader: (24.2). q and k (B, H, T, e) -> p (B, H, T, T) and the tape. Cost O(B H T^2 e)."""
    T, root = q.shape[2], q.shape[3] ** 0.5
    # F1  A = q k^T / sqrt(e)                                                                    (24.2)
    A = mark("A", q @ k.mT / root)  # (B, H, T, T)
    # F2  p = softmax(A) over j <= i                                                             (24.2)
    p = mark("p", softmax(np.where(np.tri(T, dtype=bool), A, -np.inf)))  # (B, H, T, T)
    return p, Tape(q, k, p)


def backward(dp: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array]:
    """Gradients of the weights: (24.10), (24.11). dp (B, H, T, T) -> dq and dk (B, H, T, e). Cost O(B H T^2 e)."""
    q, k, p = tape
    dp, root = mark("dp", dp), q.shape[3] ** 0.5
    # B2  undoes F2  p = softmax(A)
    dA = mark("dA", p * (dp - (dp * p).sum(axis=-1, keepdims=True)))  # (B, H, T, T)     (24.10)
    # B1  undoes F1  A = q k^T / sqrt(e)
    dq = mark("dq", dA @ k / root)  # (B, H, T, e)                             (24.11)
    dk = mark("dk", dA.mT @ q / root)  # (B, H, T, e)                          (24.11)
    return dq, dk


def tangent(vq: Array, vk: Array, tape: Tape) -> Array:
    """Derivative of the weights along (vq, vk): the tangents of (24.2). -> vp (B, H, T, T)"""
    q, k, p = tape
    root = q.shape[3] ** 0.5
    # F1  A = q k^T / sqrt(e)                                                                    of (24.2)
    vA = (vq @ k.mT + q @ vk.mT) / root  # (B, H, T, T)
    # F2  p = softmax(A)                                                                         of (24.2)
    return p * (vA - (vA * p).sum(axis=-1, keepdims=True))  # (B, H, T, T)


def _point(seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((3, 2, 7, 5)) for name in ("q", "k")}


def audited() -> Report:
    """The audit at a generic point."""

    def run(theta: dict[str, Array], mark: Mark = keep) -> Array:
        return forward(theta["q"], theta["k"], mark)[0]

    def back(theta: dict[str, Array], dp: Array, mark: Mark = keep) -> dict[str, Array]:
        return dict(zip(theta, backward(dp, forward(theta["q"], theta["k"])[1], mark), strict=True))

    return audit_gradient(run, back, _point(0), title="causal softmax weights")


def tangent_error() -> float:
    """How far the tangent is from a complex step of the forward."""
    at, v = _point(0), _point(1)
    stepped = forward(at["q"] + 1e-30j * v["q"], at["k"] + 1e-30j * v["k"])[0].imag / 1e-30
    return float(np.abs(tangent(v["q"], v["k"], forward(at["q"], at["k"])[1]) - stepped).max())


AUDITS = {"weights": audited}
CHECKS = {"tangent": tangent_error}
