"""One layer of linear attention on tokens, with its derivatives by hand.

The paper stacks tokens as columns and writes Z + (1/n) P Z M (Z^T Q Z). Here tokens are rows, so each formula is its
transpose; P and Q stay in the paper's convention. B prompts, N = n+1 tokens, token width D = d+1, H heads; M = diag(1, .., 1, 0)
keeps every token from reading the query. Several heads add up.

Forward                                          Backward, from dZ' = df/dZ'
(2.1)  A  = Z Q^T Z^T      A_ij: i reads j       (2.5)  dW = dZ' V^T / n          (2.10)  dA  = dW M
(2.2)  W  = A M                                  (2.6)  dV = W^T dZ' / n          (2.11)  dQ  = sum_b Z^T dA^T Z
(2.3)  V  = Z P^T                                (2.7)  dZ += dZ'    residual     (2.12)  dZ += dA Z Q        reader
(2.4)  Z' = Z + (1/n) sum_h W V                  (2.8)  dP = sum_b dV^T Z         (2.13)  dZ += dA^T Z Q^T    read
                                                 (2.9)  dZ += dV P   value
Z is used four times, so dZ has four contributions. Each rule is the product rule for A = X Y: dX = dA Y^T, dY = X^T dA.

Second order: a tangent ``vX`` is the derivative of X along a direction, ``hX`` the derivative of the gradient dX along it.
(4.1) to (4.13) are (2.1) to (2.13) with the product rule applied once more. Derived in lessons 02 and 04.
"""

from typing import NamedTuple

import numpy as np

from .marks import keep


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass (or, of a tangent pass, the tangents of the same)."""

    Z: np.ndarray  # (B, N, D)
    P: np.ndarray  # (H, D, D)
    Q: np.ndarray  # (H, D, D)
    W: np.ndarray  # (B, H, N, N)
    V: np.ndarray  # (B, H, N, D)


def key_mask(N):
    """The diagonal of M: True (1) for the n examples, False (0) for the query. (N,)"""
    return np.arange(N) < N - 1


def readout(Z):
    """(1.4)  prediction = -[Z_L]_{N,D}: minus the label entry of the query.  Z (B, N, D) -> (B,)"""
    return -Z[:, -1, -1]


def readout_backward(dprediction, Z):
    """(2.15)  dZ_L is -dprediction at the label entry of the query and zero elsewhere.  (B,) -> like Z"""
    dZ = np.zeros(Z.shape, np.result_type(dprediction, Z))
    dZ[:, -1, -1] = -dprediction
    return dZ


def forward(Z, P, Q, mark=keep):
    """One layer: (2.1) to (2.4).

    Z (B, N, D), P and Q (H, D, D) -> Z' (B, N, D) and the tape. Cost O(B H N^2 D).
    Paper section 2, eq. for Attn_{P,Q}; derived in lesson 01.
    """
    N, n = Z.shape[1], Z.shape[1] - 1
    Z, P, Q = mark("Z", Z), mark("P", P), mark("Q", Q)
    reader, read, value, residual = (mark(name, Z) for name in ("Z_reader", "Z_read", "Z_value", "Z_residual"))
    # F1  A = Z Q^T Z^T                  scores, A[b, h, i, j]: token i reads token j            (2.1)
    A = mark("A", reader[:, None] @ Q.mT @ read[:, None].mT)  # (B, H, N, N)
    # F2  W = A M                        the query is never attended to                          (2.2)
    W = mark("W", A * key_mask(N))  # (B, H, N, N)
    # F3  V = Z P^T                      values                                                  (2.3)
    V = mark("V", value[:, None] @ P.mT)  # (B, H, N, D)
    # F4  Z' = Z + sum_h W V / n                                                                 (2.4)
    out = mark("out", residual + (W @ V).sum(axis=1) / n)  # (B, N, D)
    return out, Tape(Z, P, Q, W, V)


def backward(dout, tape, mark=keep):
    """Gradients of one layer: (2.5) to (2.13), the forward lines undone in reverse.

    dout (B, N, D) -> dZ (B, N, D), dP and dQ (H, D, D), summed over the batch. Cost O(B H N^2 D).
    Derived in lesson 02.
    """
    Z, P, Q, W, V = tape
    N, n = Z.shape[1], Z.shape[1] - 1
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
    dA = mark("dA", dW * key_mask(N))  # (B, H, N, N)                          (2.10)
    # B1  undoes F1  A = Z Q^T Z^T
    dQ = mark("dQ", (Zh.mT @ dA.mT @ Zh).sum(axis=0))  # (H, D, D)             (2.11)
    dZ_reader = mark("dZ_reader", (dA @ Zh @ Q).sum(axis=1))  # (B, N, D)      (2.12) use 3 of 4
    dZ_read = mark("dZ_read", (dA.mT @ Zh @ Q.mT).sum(axis=1))  # (B, N, D)    (2.13) use 4 of 4
    dZ = mark("dZ", dZ_residual + dZ_value + dZ_reader + dZ_read)  # (B, N, D)
    return dZ, dP, dQ


def tangent(vZ, vP, vQ, tape):
    """Derivative of the layer along (vZ, vP, vQ): (4.1) to (4.4).

    Shapes as Z, P, Q -> vZ' (B, N, D) and the tangents of the tape. Cost O(B H N^2 D). Derived in lesson 04.
    """
    Z, P, Q, W, V = tape
    N, n = Z.shape[1], Z.shape[1] - 1
    Zh, vZh = Z[:, None], vZ[:, None]  # (B, 1, N, D)
    # F1  A = Z Q^T Z^T: one term for each of the three factors                                  (4.1)
    vA = vZh @ Q.mT @ Zh.mT + Zh @ vQ.mT @ Zh.mT + Zh @ Q.mT @ vZh.mT  # (B, H, N, N)
    # F2  W = A M                                                                                (4.2)
    vW = vA * key_mask(N)  # (B, H, N, N)
    # F3  V = Z P^T                                                                              (4.3)
    vV = vZh @ P.mT + Zh @ vP.mT  # (B, H, N, D)
    # F4  Z' = Z + sum_h W V / n                                                                 (4.4)
    vout = vZ + (vW @ V + W @ vV).sum(axis=1) / n  # (B, N, D)
    return vout, Tape(vZ, vP, vQ, vW, vV)


def backward_tangent(dout, hout, tape, vtape):
    """Derivative of :func:`backward` along the direction of ``vtape``: (4.5) to (4.13).

    dout and its tangent hout (B, N, D) -> hZ (B, N, D), hP and hQ (H, D, D). Cost O(B H N^2 D). Derived in lesson 04.
    """
    Z, P, Q, W, V = tape
    vZ, vP, vQ, vW, vV = vtape
    N, n = Z.shape[1], Z.shape[1] - 1
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
    dA = dW * key_mask(N)  # (B, H, N, N)
    hA = hW * key_mask(N)  # (B, H, N, N)                                      (4.10)
    # B1  of dQ = sum_b Z^T dA^T Z, dZ += dA Z Q and dZ += dA^T Z Q^T: one term for each factor
    hQ = (vZh.mT @ dA.mT @ Zh + Zh.mT @ hA.mT @ Zh + Zh.mT @ dA.mT @ vZh).sum(axis=0)  # (H, D, D)     (4.11)
    hZ = hZ + (hA @ Zh @ Q + dA @ vZh @ Q + dA @ Zh @ vQ).sum(axis=1)  # (B, N, D)                       (4.12)
    hZ = hZ + (hA.mT @ Zh @ Q.mT + dA.mT @ vZh @ Q.mT + dA.mT @ Zh @ vQ.mT).sum(axis=1)  # (B, N, D)     (4.13)
    return hZ, hP, hQ
