"""Causal softmax attention on queries, keys and values, as language models have it, with its derivatives by hand.

q, k, v (..., T, D) are what T tokens ask, offer and hand over; each token reads the tokens up to itself. The comments speak of
heads (B, H, T, D); there may be any number of axes before T, and v may have a width of its own.

Forward                                          Backward, from dO = df/dO
(21.38) A_ij = q_i.k_j / sqrt(D)                 (21.39) dP = dO v^T          (21.42) dq = dA k / sqrt(D)
        P_i  = softmax of A_i over j <= i        (21.40) dv = P^T dO          (21.43) dk = dA^T q / sqrt(D)
        O    = P v                               (21.41) dA = P (dP - sum_j dP P)

Where P_ij = 0 so is dA_ij: the mask needs no line of its own. The softmax is that of lesson 14, (14.2) and (14.12); there the
mask acts after it, here before. Derived in lesson 21, and used in lesson 24 as (24.2), (24.6), (24.9) to (24.11).
"""

from typing import NamedTuple

import numpy as np

from .._types import Array
from .marks import Mark, keep
from .softmax_attention import softmax


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass (or, of a tangent pass, the tangents of the same)."""

    q: Array  # (B, H, T, D)
    k: Array  # (B, H, T, D)
    v: Array  # (B, H, T, D)
    P: Array  # (B, H, T, T)


def forward(q: Array, k: Array, v: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """What each token takes of the tokens up to itself: (21.38).

    q, k (..., T, D), v (..., T, e) -> O (..., T, e) and the tape. Cost O(B H T^2 D).
    Raises ValueError where q and k differ in shape, or v has other tokens. Vaswani et al. 2017; derived in lesson 21.
    """
    if q.ndim < 2 or k.shape != q.shape or v.shape[:-1] != q.shape[:-1]:
        raise ValueError(
            f"q, k, v: expected shapes (..., T, D) with the same T, and q and k of one shape, got {q.shape}, {k.shape}, {v.shape}"
        )
    q, k, v = mark("q", q), mark("k", k), mark("v", v)
    # F1  A = q k^T / sqrt(D)            scores                                                  (21.38)
    A = mark("A", q @ k.mT / q.shape[-1] ** 0.5)  # (B, H, T, T)
    # F2  P = softmax over j <= i        the mask acts before the softmax                        (21.38)
    P = mark("P", softmax(np.where(np.tri(A.shape[-1], dtype=bool), A, -np.inf)))  # (B, H, T, T)
    # F3  O = P v                                                                                (21.38)
    out = mark("out", P @ v)  # (B, H, T, D)
    return out, Tape(q, k, v, P)


def backward(dout: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array]:
    """Gradients of causal softmax attention: (21.39) to (21.43), the forward lines undone in reverse.

    dO (..., T, e) -> dq, dk, dv, shaped like q, k, v. Cost O(B H T^2 D). Derived in lesson 21.
    """
    q, k, v, P = tape
    dout, root = mark("dout", dout), q.shape[-1] ** 0.5
    # B3  undoes F3  O = P v
    dP = mark("dP", dout @ v.mT)  # (B, H, T, T)                               (21.39)
    dv = mark("dv", P.mT @ dout)  # (B, H, T, D)                               (21.40)
    # B2  undoes F2  P = softmax over j <= i
    dA = mark("dA", P * (dP - (dP * P).sum(axis=-1, keepdims=True)))  # (B, H, T, T)     (21.41)
    # B1  undoes F1  A = q k^T / sqrt(D)
    dq = mark("dq", dA @ k / root)  # (B, H, T, D)                             (21.42)
    dk = mark("dk", dA.mT @ q / root)  # (B, H, T, D)                          (21.43)
    return dq, dk, dv


def tangent(vq: Array, vk: Array, vv: Array, tape: Tape) -> tuple[Array, Tape]:
    """Derivative of causal softmax attention along (vq, vk, vv): the tangents of (21.38).

    Shapes as q, k, v -> vO (..., T, e) and the tangents of the tape. Cost O(B H T^2 D). Derived in lesson 21.
    """
    q, k, v, P = tape
    # F1  A = q k^T / sqrt(D)            one term for each of the two factors                    of (21.38)
    vA = (vq @ k.mT + q @ vk.mT) / q.shape[-1] ** 0.5  # (B, H, T, T)
    # F2  P = softmax over j <= i                                                                of (21.38)
    vP = P * (vA - (vA * P).sum(axis=-1, keepdims=True))  # (B, H, T, T)
    # F3  O = P v                                                                                of (21.38)
    vout = vP @ v + P @ vv  # (B, H, T, D)
    return vout, Tape(vq, vk, vv, vP)


def backward_tangent(dout: Array, hout: Array, tape: Tape, vtape: Tape) -> tuple[Array, Array, Array]:
    """Derivative of :func:`backward` along the direction of ``vtape``: the tangents of (21.39) to (21.43).

    dO and its tangent hO (..., T, e) -> the tangents of what :func:`backward` returns. Cost O(B H T^2 D). Derived in lesson 21.
    """
    q, k, v, P = tape
    vq, vk, vv, vP = vtape
    root = q.shape[-1] ** 0.5
    # B3  of dP = dO v^T and dv = P^T dO
    dP = dout @ v.mT  # (B, H, T, T)
    hP = hout @ v.mT + dout @ vv.mT  # (B, H, T, T)                            of (21.39)
    hv = P.mT @ hout + vP.mT @ dout  # (B, H, T, D)                            of (21.40)
    # B2  of dA = P (dP - sum_j dP P): P and dP both move
    mean = (dP * P).sum(axis=-1, keepdims=True)  # (B, H, T, 1)
    hmean = (hP * P + dP * vP).sum(axis=-1, keepdims=True)  # (B, H, T, 1)
    dA = P * (dP - mean)  # (B, H, T, T)
    hA = vP * (dP - mean) + P * (hP - hmean)  # (B, H, T, T)                   of (21.41)
    # B1  of dq = dA k / sqrt(D) and dk = dA^T q / sqrt(D)
    hq = (hA @ k + dA @ vk) / root  # (B, H, T, D)                             of (21.42)
    hk = (hA.mT @ q + dA.mT @ vq) / root  # (B, H, T, D)                       of (21.43)
    return hq, hk, hv
