"""Causal attention with heads: queries, keys and values of tokens, attention of one kind or another, and what it adds to them.

Forward                                          Backward, from dY = df/dY
(24.6)  q, k, v = X Wq^T, X Wk^T, X Wv^T         (24.8)  dWo = sum_bt dY^T O,   dO = dY Wo
        O of q, k, v                             then through attention to dq, dk, dv
        Y = O Wo^T                               (24.17) dWq = sum_bt dq^T X, so Wk and Wv;   dX = dq Wq + dk Wk + dv Wv

O is that of ``layers.causal_softmax`` or of ``feature_attention``. X (B, T, w), the four matrices (w, w); head h has rows h e ..
(h+1) e of Wq, Wk, Wv and those entries of O, e = w / H. Derived in lesson 24.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers import causal_softmax
from ....layers.marks import Mark, keep
from . import feature_attention


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    X: Array  # (B, T, w)
    matrices: tuple[Array, Array, Array, Array]
    H: int
    O: Array  # (B, T, w)
    attend: Any  # the module of the attention
    inner: Any  # its tape

    @property
    def p(self) -> Array:
        """The weights, (B, H, T, T)."""
        return self.inner.P


def heads_of(X: Array, H: int) -> Array:
    """(B, T, w) cut into heads: (B, H, T, e)."""
    return X.reshape(*X.shape[:2], H, -1).swapaxes(1, 2)


def joined(X: Array) -> Array:
    """Heads (B, H, T, e) put side by side: (B, T, w)."""
    return X.swapaxes(1, 2).reshape(X.shape[0], X.shape[2], -1)


def forward(
    X: Array, Wq: Array, Wk: Array, Wv: Array, Wo: Array, *weights: Array, H: int, softmax: bool, mark: Mark = keep
) -> tuple[Array, Tape]:
    """One layer: (24.6). X (B, T, w), matrices (w, w), weights of the feature map, H heads -> Y (B, T, w) and the tape.

    softmax: whether the weights are those of softmax. Cost O(B T w^2 + B H T^2 k).
    """
    X = mark("tokens", X)
    attend: Any = causal_softmax if softmax else feature_attention
    # F1  q, k, v = X Wq^T, X Wk^T, X Wv^T         X is used three times                         (24.6)
    q = heads_of(mark("X_query", X) @ Wq.T, H)  # (B, H, T, e)
    k = heads_of(mark("X_key", X) @ Wk.T, H)  # (B, H, T, e)
    v = heads_of(mark("X_value", X) @ Wv.T, H)  # (B, H, T, e)
    # F2  O_i = sum_j p_ij v_j           p of (24.2) or (24.3)                                   (24.6)
    by_head, inner = attend.forward(q, k, v, *weights, mark=mark)  # (B, H, T, e)
    O = mark("O", joined(by_head))  # (B, T, w)
    # F3  Y = O Wo^T                                                                             (24.6)
    Y = mark("Y", O @ Wo.T)  # (B, T, w)
    return Y, Tape(X, (Wq, Wk, Wv, Wo), H, O, attend, inner)


def backward(dY: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, ...]:
    """Gradients of one layer: (24.8), those of the attention, (24.17).

    dY (B, T, w) -> dX (B, T, w), dWq, dWk, dWv, dWo (w, w), and those of the feature map. Cost O(B T w^2 + B H T^2 k).
    """
    X, (Wq, Wk, Wv, Wo), H, O, attend, inner = tape
    dY = mark("dY", dY)
    # B3  undoes F3  Y = O Wo^T
    dWo = mark("dWo", over_tokens(dY, O))  # (w, w)                            (24.8)
    dO = mark("dO", dY @ Wo)  # (B, T, w)                                      (24.8)
    # B2  undoes F2  the attention
    dq, dk, dv, *dweights = attend.backward(heads_of(dO, H), inner, mark)
    # B1  undoes F1  q, k, v = X Wq^T, X Wk^T, X Wv^T
    dq, dk, dv = joined(dq), joined(dk), joined(dv)
    dWq = mark("dWq", over_tokens(dq, X))  # (w, w)                            (24.17)
    dWk = mark("dWk", over_tokens(dk, X))  # (w, w)                            (24.17)
    dWv = mark("dWv", over_tokens(dv, X))  # (w, w)                            (24.17)
    dX_query = mark("dX_query", dq @ Wq)  # (B, T, w)                          (24.17) use 1 of 3
    dX_key = mark("dX_key", dk @ Wk)  # (B, T, w)                              (24.17) use 2 of 3
    dX_value = mark("dX_value", dv @ Wv)  # (B, T, w)                          (24.17) use 3 of 3
    dX = mark("dtokens", dX_query + dX_key + dX_value)  # (B, T, w)
    return dX, dWq, dWk, dWv, dWo, *dweights


def over_tokens(dY: Array, X: Array) -> Array:
    """sum over texts and places of dY^T X: the gradient of W in Y = X W^T."""
    return dY.reshape(-1, dY.shape[-1]).T @ X.reshape(-1, X.shape[-1])


def tangent(vX: Array, vWq: Array, vWk: Array, vWv: Array, vWo: Array, *vweights_and_tape: Any) -> Array:
    """Derivative of the layer along a direction: the tangents of (24.6). Those of what forward takes, the tape -> vY (B, T, w)"""
    *vweights, tape = vweights_and_tape
    X, (Wq, Wk, Wv, Wo), H, O, attend, inner = tape
    # F1  q, k, v = X Wq^T, X Wk^T, X Wv^T                                                       of (24.6)
    vq = heads_of(vX @ Wq.T + X @ vWq.T, H)  # (B, H, T, e)
    vk = heads_of(vX @ Wk.T + X @ vWk.T, H)  # (B, H, T, e)
    vv = heads_of(vX @ Wv.T + X @ vWv.T, H)  # (B, H, T, e)
    # F2  O
    by_head = attend.tangent(vq, vk, vv, *vweights, inner)[0]  # (B, H, T, e)
    vO = joined(by_head)  # (B, T, w)
    # F3  Y = O Wo^T                                                                             of (24.6)
    return vO @ Wo.T + O @ vWo.T  # (B, T, w)


NAMES = ("X", "Wq", "Wk", "Wv", "Wo", "W", "b")


def _point(seed: int, learned: bool) -> list[Array]:
    rng = np.random.default_rng(seed)
    shapes = [(3, 5, 6), *[(6, 6)] * 4, *([(2, 7, 3), (2, 7)] if learned else [])]
    return [rng.standard_normal(shape) for shape in shapes]


def _audited(learned: bool) -> Report:
    theta = dict(zip(NAMES, _point(0, learned), strict=False))
    fixed: Any = {"H": 2, "softmax": not learned}

    def run(theta: dict[str, Array], mark: Mark = keep) -> Array:
        return forward(*theta.values(), **fixed, mark=mark)[0]

    def back(theta: dict[str, Array], dY: Array, mark: Mark = keep) -> dict[str, Array]:
        return dict(zip(theta, backward(dY, forward(*theta.values(), **fixed)[1], mark), strict=True))

    return audit_gradient(run, back, theta, title="causal attention")


def tangent_error() -> float:
    """How far the tangent is from a complex step of the forward, with both kinds of weights."""
    errors = []
    for learned in (True, False):
        at, v = _point(0, learned), _point(1, learned)
        fixed: Any = {"H": 2, "softmax": not learned}
        stepped = forward(*(a + 1e-30j * b for a, b in zip(at, v, strict=True)), **fixed)[0].imag / 1e-30
        errors.append(np.abs(tangent(*v, forward(*at, **fixed)[1]) - stepped).max())
    return float(max(errors))


AUDITS = {"features": lambda: _audited(True), "softmax": lambda: _audited(False)}
CHECKS = {"tangent": tangent_error}
