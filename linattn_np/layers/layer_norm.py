"""Layer norm: each token is centred, divided by its spread and given a learned gain and bias, with its derivatives by hand.

X (..., D) are tokens, gain and bias (D,); means and sums over j run over the D entries of a token, eps = 1e-5. The comments
speak of tokens (B, N, D); there may be any number of axes before D.

Forward                                          Backward, from dY = df/dY
(21.21) C = X - mean_j X                         (21.26) dgain = sum dY U          (21.30) dS  = sum_j dU C
(21.22) V = mean_j C^2 + eps                     (21.27) dbias = sum dY            (21.31) dV  = -dS S^3 / 2
(21.23) S = V^(-1/2)                             (21.28) dU  = dY gain             (21.32) dC += 2 C dV / D   spread
(21.24) U = C S                                  (21.29) dC  = dU S     scaled     (21.33) dX  = dC - mean_j dC
(21.25) Y = U gain + bias

C is used twice, in U and in its own spread V; X is used D times, since the mean holds all entries of a token. Derived in lesson
21.
"""

from typing import NamedTuple

import numpy as np

from .._types import Array
from .marks import Mark, keep

EPS = 1e-5  # as in PyTorch's LayerNorm


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass (or, of a tangent pass, the tangents of the same)."""

    gain: Array  # (D,)
    C: Array  # (B, N, D)
    S: Array  # (B, N, 1)
    U: Array  # (B, N, D)


def forward(X: Array, gain: Array, bias: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """Centred, scaled tokens: (21.21) to (21.25).

    X (..., D), gain and bias (D,) -> Y (..., D) and the tape. Cost O(size of X).
    Raises ValueError where gain or bias is no (D,). Ba, Kiros and Hinton 2016; derived in lesson 21.
    """
    if not np.shape(gain) == np.shape(bias) == X.shape[-1:]:
        raise ValueError(
            f"gain, bias: expected shape {X.shape[-1:]}, the width of the tokens, got {np.shape(gain)} and {np.shape(bias)}"
        )
    X, gain, bias = mark("X", X), mark("gain", gain), mark("bias", bias)
    # F1  C = X - mean_j X               centred                                                 (21.21)
    C = mark("C", X - X.mean(axis=-1, keepdims=True))  # (B, N, D)
    scaled, spread = mark("C_scaled", C), mark("C_spread", C)
    # F2  V = mean_j C^2 + eps           its variance, not the unbiased one                      (21.22)
    V = mark("V", (spread * spread).mean(axis=-1, keepdims=True) + EPS)  # (B, N, 1)
    # F3  S = V^(-1/2)                   one over the spread                                     (21.23)
    S = mark("S", V**-0.5)  # (B, N, 1)
    # F4  U = C S                                                                                (21.24)
    U = mark("U", scaled * S)  # (B, N, D)
    # F5  Y = U gain + bias                                                                      (21.25)
    out = mark("out", U * gain + bias)  # (B, N, D)
    return out, Tape(gain, C, S, U)


def backward(dout: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array]:
    """Gradients of layer norm: (21.26) to (21.33), the forward lines undone in reverse.

    dY (..., D) -> dX (..., D), dgain and dbias (D,), summed over all tokens. Cost O(size of X). Derived in lesson 21.
    """
    gain, C, S, U = tape
    tokens = tuple(range(U.ndim - 1))  # the axes that gain and bias are shared along
    dout = mark("dout", dout)  # (B, N, D)
    # B5  undoes F5  Y = U gain + bias
    dgain = mark("dgain", (dout * U).sum(axis=tokens))  # (D,)                           (21.26)
    dbias = mark("dbias", dout.sum(axis=tokens))  # (D,)                                 (21.27)
    dU = mark("dU", dout * gain)  # (B, N, D)                                         (21.28)
    # B4  undoes F4  U = C S
    dC_scaled = mark("dC_scaled", dU * S)  # (B, N, D)                                (21.29) use 1 of 2
    dS = mark("dS", (dU * C).sum(axis=-1, keepdims=True))  # (B, N, 1)                (21.30)
    # B3  undoes F3  S = V^(-1/2)
    dV = mark("dV", -0.5 * dS * S**3)  # (B, N, 1)                                    (21.31)
    # B2  undoes F2  V = mean_j C^2 + eps
    dC_spread = mark("dC_spread", 2 * C * dV / C.shape[-1])  # (B, N, D)              (21.32) use 2 of 2
    dC = mark("dC", dC_scaled + dC_spread)  # (B, N, D)
    # B1  undoes F1  C = X - mean_j X
    dX = mark("dX", dC - dC.mean(axis=-1, keepdims=True))  # (B, N, D)                (21.33)
    return dX, dgain, dbias


def tangent(vX: Array, vgain: Array, vbias: Array, tape: Tape) -> tuple[Array, Tape]:
    """Derivative of layer norm along (vX, vgain, vbias): the tangents of (21.21) to (21.25).

    Shapes as X, gain, bias -> vY (..., D) and the tangents of the tape. Cost O(size of X). Derived in lesson 21.
    """
    gain, C, S, U = tape
    # F1  C = X - mean_j X                                                                       of (21.21)
    vC = vX - vX.mean(axis=-1, keepdims=True)  # (B, N, D)
    # F2  V = mean_j C^2 + eps                                                                   of (21.22)
    vV = 2 * (C * vC).mean(axis=-1, keepdims=True)  # (B, N, 1)
    # F3  S = V^(-1/2)                                                                           of (21.23)
    vS = -0.5 * vV * S**3  # (B, N, 1)
    # F4  U = C S                                                                                of (21.24)
    vU = vC * S + C * vS  # (B, N, D)
    # F5  Y = U gain + bias                                                                      of (21.25)
    vout = vU * gain + U * vgain + vbias  # (B, N, D)
    return vout, Tape(vgain, vC, vS, vU)


def backward_tangent(dout: Array, hout: Array, tape: Tape, vtape: Tape) -> tuple[Array, Array, Array]:
    """Derivative of :func:`backward` along the direction of ``vtape``: the tangents of (21.26) to (21.33).

    dY and its tangent hY (..., D) -> the tangents of what :func:`backward` returns. Cost O(size of X). Derived in lesson 21.
    """
    gain, C, S, U = tape
    vgain, vC, vS, vU = vtape
    D, tokens = U.shape[-1], tuple(range(U.ndim - 1))
    # B5  of dgain = sum dY U, dbias = sum dY and dU = dY gain
    hgain = (hout * U + dout * vU).sum(axis=tokens)  # (D,)                              of (21.26)
    hbias = hout.sum(axis=tokens)  # (D,)                                                of (21.27)
    dU = dout * gain  # (B, N, D)
    hU = hout * gain + dout * vgain  # (B, N, D)                                      of (21.28)
    # B4  of dC = dU S and dS = sum_j dU C
    hC = hU * S + dU * vS  # (B, N, D)                                                of (21.29)
    dS = (dU * C).sum(axis=-1, keepdims=True)  # (B, N, 1)
    hS = (hU * C + dU * vC).sum(axis=-1, keepdims=True)  # (B, N, 1)                  of (21.30)
    # B3  of dV = -dS S^3 / 2: dS and S both move
    dV = -0.5 * dS * S**3  # (B, N, 1)
    hV = -0.5 * hS * S**3 - 1.5 * dS * S**2 * vS  # (B, N, 1)                         of (21.31)
    # B2  of dC += 2 C dV / D
    hC = hC + 2 * (vC * dV + C * hV) / D  # (B, N, D)                                 of (21.32)
    # B1  of dX = dC - mean_j dC
    hX = hC - hC.mean(axis=-1, keepdims=True)  # (B, N, D)                            of (21.33)
    return hX, hgain, hbias
