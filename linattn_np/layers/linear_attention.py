"""One layer of linear attention on tokens, with its derivatives by hand.

The paper stacks tokens as columns and writes Z + (1/n) P Z M (Z^T Q Z). Here tokens are rows, so each formula is its
transpose; P and Q stay in the paper's convention. B prompts, N tokens of any width D, H heads that add up. The paper's N = n+1,
D = d+1, and M = diag(1, .., 1, 0) keeps every token from reading the query.

Forward                                          Backward, from dZ' = df/dZ'
(2.1)  A  = Z Q^T Z^T      A_ij: i reads j       (2.5)  dW = dZ' V^T / n          (2.10)  dA  = dW M
(2.2)  W  = A M                                  (2.6)  dV = W^T dZ' / n          (2.11)  dQ  = sum_b Z^T dA^T Z
(2.3)  V  = Z P^T                                (2.7)  dZ += dZ'    residual     (2.12)  dZ += dA Z Q        reader
(2.4)  Z' = Z + (1/n) sum_h W V                  (2.8)  dP = sum_b dV^T Z         (2.13)  dZ += dA^T Z Q^T    read
                                                 (2.9)  dZ += dV P   value
Z is used four times, so dZ has four contributions. Each rule is the product rule for A = X Y: dX = dA Y^T, dY = X^T dA.

M may be any other: ``mask`` (N,) is its diagonal, 1 for a token that may be read. No line needs more than W_ij = A_ij m_ij with m
constant, so a mask (N, N), m_ij = 1 where token i may read token j, serves as well (causal: ``np.tri(N)``). And 1/n may be any
factor c: ``n`` is the number that divides, 1/c. It is kept as a divisor because x / n and x * (1 / n) differ in the last bit.

Second order: a tangent ``vX`` is the derivative of X along a direction, ``hX`` the derivative of the gradient dX along it.
(4.1) to (4.13) are (2.1) to (2.13) with the product rule applied once more. Derived in lessons 02 and 04.
"""

from typing import NamedTuple

import numpy as np

from .._types import Array
from .marks import Mark, keep


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass (or, of a tangent pass, the tangents of the same)."""

    Z: Array  # (B, N, D)
    P: Array  # (H, D, D)
    Q: Array  # (H, D, D)
    W: Array  # (B, H, N, N)
    V: Array  # (B, H, N, D)
    mask: Array  # (N,) or (N, N), the same in a tangent's tape
    n: float  # the divisor 1/c, the same in a tangent's tape


def key_mask(N: int) -> Array:
    """The diagonal of the paper's M: True (1) for the n examples, False (0) for the query. (N,)"""
    return np.arange(N) < N - 1


def count_read(mask: Array) -> int:
    """The number of tokens that some token may read, at least 1: the divisor n where none is given."""
    return max(1, int(np.atleast_2d(mask).any(axis=0).sum()))


def readout(Z: Array) -> Array:
    """(1.4)  prediction = -[Z_L]_{N,D}: minus the label entry of the query.  Z (B, N, D) -> (B,)"""
    return -Z[:, -1, -1]


def readout_backward(dprediction: Array, Z: Array) -> Array:
    """(2.15)  dZ_L is -dprediction at the label entry of the query and zero elsewhere.  (B,) -> like Z"""
    dZ = np.zeros(Z.shape, np.result_type(dprediction, Z))
    dZ[:, -1, -1] = -dprediction
    return dZ


def forward(
    Z: Array, P: Array, Q: Array, mark: Mark = keep, mask: Array | None = None, n: float | None = None
) -> tuple[Array, Tape]:
    """One layer: (2.1) to (2.4).

    Z (B, N, D), P and Q (H, D, D) -> Z' (B, N, D) and the tape. mask (N,) or (N, N), by default all but the last token; n the
    divisor, by default the number of tokens that may be read. Cost O(B H N^2 D).
    Paper section 2, eq. for Attn_{P,Q}; derived in lesson 01.
    """
    mask = key_mask(Z.shape[1]) if mask is None else mask
    n = count_read(mask) if n is None else n
    Z, P, Q = mark("Z", Z), mark("P", P), mark("Q", Q)
    reader, read, value, residual = (mark(name, Z) for name in ("Z_reader", "Z_read", "Z_value", "Z_residual"))
    # F1  A = Z Q^T Z^T                  scores, A[b, h, i, j]: token i reads token j            (2.1)
    A = mark("A", reader[:, None] @ Q.mT @ read[:, None].mT)  # (B, H, N, N)
    # F2  W = A M                        the query is never attended to                          (2.2)
    W = mark("W", A * mask)  # (B, H, N, N)
    # F3  V = Z P^T                      values                                                  (2.3)
    V = mark("V", value[:, None] @ P.mT)  # (B, H, N, D)
    # F4  Z' = Z + sum_h W V / n                                                                 (2.4)
    out = mark("out", residual + (W @ V).sum(axis=1) / n)  # (B, N, D)
    return out, Tape(Z, P, Q, W, V, mask, n)


def backward(dout: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array]:
    """Gradients of one layer: (2.5) to (2.13), the forward lines undone in reverse.

    dout (B, N, D) -> dZ (B, N, D), dP and dQ (H, D, D), summed over the batch. Cost O(B H N^2 D).
    Derived in lesson 02.
    """
    Z, P, Q, W, V, mask, n = tape
    Zh = Z[:, None]  # (B, 1, N, D)
    douth = mark("dout", dout)[:, None]  # (B, 1, N, D)
    # B4  undoes F4  Z' = Z + sum_h W V / n
    dW = mark("dW", douth @ V.mT / n)  # (B, H, N, N)                          (2.5)
    dV = mark("dV", W.mT @ douth / n)  # (B, H, N, D)                          (2.6)
    dZ_residual = mark("dZ_residual", dout)  # (B, N, D)                       (2.7)  use 1 of 4
    # B3  undoes F3  V = Z P^T
    dP = mark("dP", (dV.mT @ Zh).sum(axis=0))  # (H, D, D)                     (2.8)
    dZ_value = mark("dZ_value", (dV @ P).sum(axis=1))  # (B, N, D)             (2.9)  use 2 of 4
    # B2  undoes F2  W = A M
    dA = mark("dA", dW * mask)  # (B, H, N, N)                          (2.10)
    # B1  undoes F1  A = Z Q^T Z^T
    dQ = mark("dQ", (Zh.mT @ dA.mT @ Zh).sum(axis=0))  # (H, D, D)             (2.11)
    dZ_reader = mark("dZ_reader", (dA @ Zh @ Q).sum(axis=1))  # (B, N, D)      (2.12) use 3 of 4
    dZ_read = mark("dZ_read", (dA.mT @ Zh @ Q.mT).sum(axis=1))  # (B, N, D)    (2.13) use 4 of 4
    dZ = mark("dZ", dZ_residual + dZ_value + dZ_reader + dZ_read)  # (B, N, D)
    return dZ, dP, dQ


def tangent(vZ: Array, vP: Array, vQ: Array, tape: Tape) -> tuple[Array, Tape]:
    """Derivative of the layer along (vZ, vP, vQ): (4.1) to (4.4).

    Shapes as Z, P, Q -> vZ' (B, N, D) and the tangents of the tape. Cost O(B H N^2 D). Derived in lesson 04.
    """
    Z, P, Q, W, V, mask, n = tape
    Zh, vZh = Z[:, None], vZ[:, None]  # (B, 1, N, D)
    # F1  A = Z Q^T Z^T: one term for each of the three factors                                  (4.1)
    vA = vZh @ Q.mT @ Zh.mT + Zh @ vQ.mT @ Zh.mT + Zh @ Q.mT @ vZh.mT  # (B, H, N, N)
    # F2  W = A M                                                                                (4.2)
    vW = vA * mask  # (B, H, N, N)
    # F3  V = Z P^T                                                                              (4.3)
    vV = vZh @ P.mT + Zh @ vP.mT  # (B, H, N, D)
    # F4  Z' = Z + sum_h W V / n                                                                 (4.4)
    vout = vZ + (vW @ V + W @ vV).sum(axis=1) / n  # (B, N, D)
    return vout, Tape(vZ, vP, vQ, vW, vV, mask, n)


def backward_tangent(dout: Array, hout: Array, tape: Tape, vtape: Tape) -> tuple[Array, Array, Array]:
    """Derivative of :func:`backward` along the direction of ``vtape``: (4.5) to (4.13).

    dout and its tangent hout (B, N, D) -> hZ (B, N, D), hP and hQ (H, D, D). Cost O(B H N^2 D). Derived in lesson 04.
    """
    Z, P, Q, W, V, mask, n = tape
    vZ, vP, vQ, vW, vV, _, _ = vtape
    Zh, vZh = Z[:, None], vZ[:, None]  # (B, 1, N, D)
    douth, houth = dout[:, None], hout[:, None]  # (B, 1, N, D)
    # B4  of dW = dZ' V^T / n, dV = W^T dZ' / n and the residual
    dW = douth @ V.mT / n  # (B, H, N, N)
    hW = (houth @ V.mT + douth @ vV.mT) / n  # (B, H, N, N)                    (4.5)
    dV = W.mT @ douth / n  # (B, H, N, D)
    hV = (W.mT @ houth + vW.mT @ douth) / n  # (B, H, N, D)                    (4.6)
    hZ = hout  # (B, N, D)                                                     (4.7)
    # B3  of dP = sum_b dV^T Z and dZ += dV P
    hP = (hV.mT @ Zh + dV.mT @ vZh).sum(axis=0)  # (H, D, D)                   (4.8)
    hZ = hZ + (hV @ P + dV @ vP).sum(axis=1)  # (B, N, D)                      (4.9)
    # B2  of dA = dW M
    dA = dW * mask  # (B, H, N, N)
    hA = hW * mask  # (B, H, N, N)                                      (4.10)
    # B1  of dQ = sum_b Z^T dA^T Z, dZ += dA Z Q and dZ += dA^T Z Q^T: one term for each factor
    hQ = (vZh.mT @ dA.mT @ Zh + Zh.mT @ hA.mT @ Zh + Zh.mT @ dA.mT @ vZh).sum(axis=0)  # (H, D, D)     (4.11)
    hZ = hZ + (hA @ Zh @ Q + dA @ vZh @ Q + dA @ Zh @ vQ).sum(axis=1)  # (B, N, D)                       (4.12)
    hZ = hZ + (hA.mT @ Zh @ Q.mT + dA.mT @ vZh @ Q.mT + dA.mT @ Zh @ vQ.mT).sum(axis=1)  # (B, N, D)     (4.13)
    return hZ, hP, hQ
