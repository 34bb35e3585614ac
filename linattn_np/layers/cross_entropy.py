"""The cross-entropy of softmax probabilities against targets, averaged over the tokens that count, with its derivatives by hand.

A (..., K) are logits over K symbols, one target for each token and a share for each token: its weight over the sum of the
weights. The comments speak of tokens (B, N); there may be any number of axes before K.

Forward                                          Backward, from the number df = df/dloss
(21.34) L    = A - log sum_k exp A               (21.36) dL = -df share at the target, 0 elsewhere
(21.35) loss = - sum share L[target]             (21.37) dA = dL - E sum_k dL,   E = exp L

Together dA = df share (E - onehot of the target): what is predicted less what was the case. Each variable is used once; E moves
with A along a direction, targets and shares do not. Derived in lesson 21.
"""

from typing import NamedTuple

import numpy as np

from .._types import Array
from .marks import Mark, keep


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass (or, of a tangent pass, the tangents of the same)."""

    E: Array  # (B, N, K)
    hot: Array  # (B, N, K), 1 at the target, the same in a tangent's tape
    share: Array  # (B, N, 1), the same in a tangent's tape


def forward(logits: Array, targets: Array, weights: Array | None = None, mark: Mark = keep) -> tuple[Array, Tape]:
    """The mean of -log of the probability of each target: (21.34), (21.35).

    logits (..., K), targets (...) integers below K, or (..., K) distributions, such as another model's probabilities: then
    L[target] is sum_k target_k L_k. weights (...) not negative, a mask for one; None counts every token alike
    -> the loss, an array without axes, and the tape. Cost O(size of logits). Derived in lesson 21.
    Raises ValueError for targets or weights of another shape, a target that is no symbol, and weights without a positive sum.
    """
    hot, share = _checked(logits.shape, np.asarray(targets), weights)
    logits = mark("logits", logits)
    # F1  L = A - log sum_k exp A        the shift by the largest keeps exp in range             (21.34)
    shifted = logits - logits.real.max(axis=-1, keepdims=True)  # (B, N, K)
    L = mark("L", shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))  # (B, N, K)
    # F2  loss = - sum share L[target]                                                           (21.35)
    out = mark("out", np.asarray(-(share * hot * L).sum()))
    return out, Tape(np.exp(L), hot, share)


def backward(dout: Array, tape: Tape, mark: Mark = keep) -> Array:
    """Gradient of the cross-entropy: (21.36), (21.37), the forward lines undone in reverse.

    df, a number -> dlogits (..., K). Cost O(size of logits). Derived in lesson 21.
    """
    E, hot, share = tape
    dout = mark("dout", dout)
    # B2  undoes F2  loss = - sum share L[target]
    dL = mark("dL", -dout * share * hot)  # (B, N, K)                                 (21.36)
    # B1  undoes F1  L = A - log sum_k exp A
    dlogits = mark("dlogits", dL - E * dL.sum(axis=-1, keepdims=True))  # (B, N, K)   (21.37)
    return dlogits


def tangent(vlogits: Array, tape: Tape) -> tuple[Array, Tape]:
    """Derivative of the cross-entropy along vlogits: the tangents of (21.34) and (21.35).

    vlogits (..., K) -> vloss, an array without axes, and the tangents of the tape. Cost O(size of logits). Derived in lesson 21.
    """
    E, hot, share = tape
    # F1  L = A - log sum_k exp A                                                                of (21.34)
    vL = vlogits - (E * vlogits).sum(axis=-1, keepdims=True)  # (B, N, K)
    vE = E * vL  # (B, N, K)
    # F2  loss = - sum share L[target]                                                           of (21.35)
    vout = np.asarray(-(share * hot * vL).sum())
    return vout, Tape(vE, hot, share)


def backward_tangent(dout: Array, hout: Array, tape: Tape, vtape: Tape) -> Array:
    """Derivative of :func:`backward` along the direction of ``vtape``: the tangents of (21.36) and (21.37).

    df and its tangent -> hlogits (..., K). Cost O(size of logits). Derived in lesson 21.
    """
    E, hot, share = tape
    vE = vtape.E  # (B, N, K)
    # B2  of dL = -df share at the target
    dL = -dout * share * hot  # (B, N, K)
    hL = -hout * share * hot  # (B, N, K)                                             of (21.36)
    # B1  of dA = dL - E sum_k dL
    hlogits = hL - vE * dL.sum(axis=-1, keepdims=True) - E * hL.sum(axis=-1, keepdims=True)  # (B, N, K)     of (21.37)
    return hlogits


def _checked(shape: tuple[int, ...], targets: Array, weights: Array | None) -> tuple[Array, Array]:
    """The targets as distributions (B, N, K), 1 at a symbol that is given, and the shares (*tokens, 1)."""
    tokens = shape[:-1]
    if targets.shape == shape and targets.dtype.kind == "f":
        hot = targets
        if hot.size and not (hot.min() >= 0 and abs(hot.sum(axis=-1) - 1).max() < 1e-6):
            raise ValueError("targets: expected distributions, none negative and each with the sum 1")
    elif targets.shape != tokens or targets.dtype.kind not in "iu":
        raise ValueError(f"targets: expected integers of shape {tokens}, one for each token, got {targets.dtype} {targets.shape}")
    elif targets.size and not 0 <= targets.min() <= targets.max() < shape[-1]:
        raise ValueError(f"targets: expected symbols 0 to {shape[-1] - 1}, got {targets.min()} to {targets.max()}")
    else:
        hot = (targets[..., None] == np.arange(shape[-1])).astype(float)
    weights = np.ones(tokens) if weights is None else np.asarray(weights, float)
    if weights.shape != tokens or not (weights.min(initial=0) >= 0 and weights.sum() > 0):
        raise ValueError(f"weights: expected shape {tokens}, none negative, with a positive sum, got shape {weights.shape}")
    return hot, (weights / weights.sum())[..., None]
