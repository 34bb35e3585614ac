"""One layer of ReLU attention on tokens, with its derivatives by hand.

The same layer as ``linear_attention.py`` with negative scores set to zero: Z + (1/n) P Z M relu(Z^T Q Z) in the paper's columns.
Tokens are rows here. On either side of a score of exactly zero the layer is smooth; at zero it has a kink and no derivative.

Forward                                          Backward, from dZ' = df/dZ'
(14b.1)   A  = Z Q^T Z^T                         (14b.6)   dW = dZ' V^T / n          (14b.11)  dE = dW M
(14b.2)   E  = max(A, 0) = A step(A)             (14b.7)   dV = W^T dZ' / n          (14b.12)  dA = dE step(A)
(14b.3)   W  = E M                               (14b.8)   dZ += dZ'    residual     (14b.13)  dQ = sum_b Z^T dA^T Z
(14b.4)   V  = Z P^T                             (14b.9)   dP = sum_b dV^T Z         (14b.14)  dZ += dA Z Q        reader
(14b.5)   Z' = Z + (1/n) sum_h W V               (14b.10)  dZ += dV P   value        (14b.15)  dZ += dA^T Z Q^T    read

step(A) is 1 where the score is positive and 0 elsewhere; it does not change along a direction. Derived in lesson 14b.
"""

from typing import NamedTuple

from .._types import Array
from .linear_attention import key_mask, readout, readout_backward  # noqa: F401  the readout is the same for every attention
from .marks import Mark, keep


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass (or, of a tangent pass, the tangents of the same)."""

    Z: Array  # (B, N, D)
    P: Array  # (H, D, D)
    Q: Array  # (H, D, D)
    step: Array  # (B, H, N, N), the same in a tangent's tape
    W: Array  # (B, H, N, N)
    V: Array  # (B, H, N, D)


def forward(Z: Array, P: Array, Q: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """One layer: (14b.1) to (14b.5).

    Z (B, N, D), P and Q (H, D, D) -> Z' (B, N, D) and the tape. Cost O(B H N^2 D).
    Paper, released code for ReLU attention; derived in lesson 14b.
    """
    N, n = Z.shape[1], Z.shape[1] - 1
    Z, P, Q = mark("Z", Z), mark("P", P), mark("Q", Q)
    reader, read, value, residual = (mark(name, Z) for name in ("Z_reader", "Z_read", "Z_value", "Z_residual"))
    # F1  A = Z Q^T Z^T                  scores                                                  (14b.1)
    A = mark("A", reader[:, None] @ Q.mT @ read[:, None].mT)  # (B, H, N, N)
    # F2  E = A step(A)                  the sign of the real part, so that a complex step passes   (14b.2)
    step = (A.real > 0).astype(A.real.dtype)  # (B, H, N, N)
    E = mark("E", A * step)  # (B, H, N, N)
    # F3  W = E M                        the query is never attended to                          (14b.3)
    W = mark("W", E * key_mask(N))  # (B, H, N, N)
    # F4  V = Z P^T                      values                                                  (14b.4)
    V = mark("V", value[:, None] @ P.mT)  # (B, H, N, D)
    # F5  Z' = Z + sum_h W V / n                                                                 (14b.5)
    out = mark("out", residual + (W @ V).sum(axis=1) / n)  # (B, N, D)
    return out, Tape(Z, P, Q, step, W, V)


def backward(dout: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array]:
    """Gradients of one layer: (14b.6) to (14b.15), the forward lines undone in reverse.

    dout (B, N, D) -> dZ (B, N, D), dP and dQ (H, D, D), summed over the batch. Cost O(B H N^2 D). Derived in lesson 14b.
    """
    Z, P, Q, step, W, V = tape
    N, n = Z.shape[1], Z.shape[1] - 1
    Zh = Z[:, None]  # (B, 1, N, D)
    douth = mark("dout", dout)[:, None]  # (B, 1, N, D)
    # B5  undoes F5  Z' = Z + sum_h W V / n
    dW = mark("dW", douth @ V.mT / n)  # (B, H, N, N)                          (14b.6)
    dV = mark("dV", W.mT @ douth / n)  # (B, H, N, D)                          (14b.7)
    dZ_residual = mark("dZ_residual", dout)  # (B, N, D)                       (14b.8) use 1 of 4
    # B4  undoes F4  V = Z P^T
    dP = mark("dP", (dV.mT @ Zh).sum(axis=0))  # (H, D, D)                     (14b.9)
    dZ_value = mark("dZ_value", (dV @ P).sum(axis=1))  # (B, N, D)             (14b.10) use 2 of 4
    # B3  undoes F3  W = E M
    dE = mark("dE", dW * key_mask(N))  # (B, H, N, N)                          (14b.11)
    # B2  undoes F2  E = A step(A)
    dA = mark("dA", dE * step)  # (B, H, N, N)                                 (14b.12)
    # B1  undoes F1  A = Z Q^T Z^T
    dQ = mark("dQ", (Zh.mT @ dA.mT @ Zh).sum(axis=0))  # (H, D, D)             (14b.13)
    dZ_reader = mark("dZ_reader", (dA @ Zh @ Q).sum(axis=1))  # (B, N, D)      (14b.14) use 3 of 4
    dZ_read = mark("dZ_read", (dA.mT @ Zh @ Q.mT).sum(axis=1))  # (B, N, D)    (14b.15) use 4 of 4
    dZ = mark("dZ", dZ_residual + dZ_value + dZ_reader + dZ_read)  # (B, N, D)
    return dZ, dP, dQ


def tangent(vZ: Array, vP: Array, vQ: Array, tape: Tape) -> tuple[Array, Tape]:
    """Derivative of the layer along (vZ, vP, vQ): the tangents of (14b.1) to (14b.5).

    Shapes as Z, P, Q -> vZ' (B, N, D) and the tangents of the tape. Cost O(B H N^2 D). Derived in lesson 14b.
    """
    Z, P, Q, step, W, V = tape
    N, n = Z.shape[1], Z.shape[1] - 1
    Zh, vZh = Z[:, None], vZ[:, None]  # (B, 1, N, D)
    # F1  A = Z Q^T Z^T: one term for each of the three factors                                  of (14b.1)
    vA = vZh @ Q.mT @ Zh.mT + Zh @ vQ.mT @ Zh.mT + Zh @ Q.mT @ vZh.mT  # (B, H, N, N)
    # F2, F3  W = A step(A) M                                                                    of (14b.2), (14b.3)
    vW = vA * step * key_mask(N)  # (B, H, N, N)
    # F4  V = Z P^T                                                                              of (14b.4)
    vV = vZh @ P.mT + Zh @ vP.mT  # (B, H, N, D)
    # F5  Z' = Z + sum_h W V / n                                                                 of (14b.5)
    vout = vZ + (vW @ V + W @ vV).sum(axis=1) / n  # (B, N, D)
    return vout, Tape(vZ, vP, vQ, step, vW, vV)


def backward_tangent(dout: Array, hout: Array, tape: Tape, vtape: Tape) -> tuple[Array, Array, Array]:
    """Derivative of :func:`backward` along the direction of ``vtape``: the tangents of (14b.6) to (14b.15).

    dout and its tangent hout (B, N, D) -> hZ (B, N, D), hP and hQ (H, D, D). Cost O(B H N^2 D). Derived in lesson 14b.
    """
    Z, P, Q, step, W, V = tape
    vZ, vP, vQ, _, vW, vV = vtape
    N, n = Z.shape[1], Z.shape[1] - 1
    Zh, vZh = Z[:, None], vZ[:, None]  # (B, 1, N, D)
    douth, houth = dout[:, None], hout[:, None]  # (B, 1, N, D)
    # B5  of dW = dZ' V^T / n, dV = W^T dZ' / n and the residual
    dW = douth @ V.mT / n  # (B, H, N, N)
    hW = (houth @ V.mT + douth @ vV.mT) / n  # (B, H, N, N)                    of (14b.6)
    dV = W.mT @ douth / n  # (B, H, N, D)
    hV = (W.mT @ houth + vW.mT @ douth) / n  # (B, H, N, D)                    of (14b.7)
    hZ = hout  # (B, N, D)                                                     of (14b.8)
    # B4  of dP = sum_b dV^T Z and dZ += dV P
    hP = (hV.mT @ Zh + dV.mT @ vZh).sum(axis=0)  # (H, D, D)                   of (14b.9)
    hZ = hZ + (hV @ P + dV @ vP).sum(axis=1)  # (B, N, D)                      of (14b.10)
    # B3, B2  of dA = dW M step(A)
    dA = dW * key_mask(N) * step  # (B, H, N, N)
    hA = hW * key_mask(N) * step  # (B, H, N, N)                               of (14b.11), (14b.12)
    # B1  of dQ = sum_b Z^T dA^T Z, dZ += dA Z Q and dZ += dA^T Z Q^T: one term for each factor
    hQ = (vZh.mT @ dA.mT @ Zh + Zh.mT @ hA.mT @ Zh + Zh.mT @ dA.mT @ vZh).sum(axis=0)  # (H, D, D)     of (14b.13)
    hZ = hZ + (hA @ Zh @ Q + dA @ vZh @ Q + dA @ Zh @ vQ).sum(axis=1)  # (B, N, D)                       of (14b.14)
    hZ = hZ + (hA.mT @ Zh @ Q.mT + dA.mT @ vZh @ Q.mT + dA.mT @ Zh @ vQ.mT).sum(axis=1)  # (B, N, D)     of (14b.15)
    return hZ, hP, hQ
