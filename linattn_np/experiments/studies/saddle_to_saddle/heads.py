"""Heads of one layer on the moments of its prompts: merged (one matrix each) or with a key and a query vector each, by hand.

Forward                                             Backward, from df (S,)
(27.6)  Q_h = a_h b_h^T          (separate only)     (27.8)  dM = 2 df (A M - B)                     A is symmetric
(27.7)  M = -sum_h v_h Q_h                           (27.9)  dv_h = -<Q_h, dM>,    dQ_h = -v_h dM
(27.2)  f = c - 2 <B, M> + <M, A M>                  (27.10) da_h = dQ_h b_h,       db_h = dQ_h^T a_h

S networks are trained side by side: v (S, H), Q (S, H, d, d), a and b (S, H, d). Derived in lesson 27.
"""

from typing import NamedTuple

import numpy as np

from ...._types import Array
from ....audit import Report, audit_gradient
from ....layers.marks import Mark, keep
from .moments import Moments, exact


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    v: Array  # (S, H)
    Q: Array  # (S, H, d, d)
    error: Array  # (S, d, d)
    moments: Moments


def keys_and_queries(a: Array, b: Array, mark: Mark = keep) -> Array:
    """(27.6) The matrices of heads of rank one.  a, b (S, H, d) -> Q (S, H, d, d)"""
    # F1  Q_h = a_h b_h^T                                                    (27.6)
    return mark("Q", a[..., :, None] * b[..., None, :])  # (S, H, d, d)


def keys_and_queries_backward(dQ: Array, a: Array, b: Array, mark: Mark = keep) -> tuple[Array, Array]:
    """(27.10)  dQ (S, H, d, d) -> da, db (S, H, d)"""
    # B1  undoes F1  Q_h = a_h b_h^T
    da = mark("da", (dQ @ b[..., None])[..., 0])  # (S, H, d)                (27.10)
    db = mark("db", (dQ.mT @ a[..., None])[..., 0])  # (S, H, d)             (27.10)
    return da, db


def keys_and_queries_tangent(va: Array, vb: Array, a: Array, b: Array) -> Array:
    """The tangent of (27.6) along va, vb (S, H, d). -> (S, H, d, d)"""
    return va[..., :, None] * b[..., None, :] + a[..., :, None] * vb[..., None, :]  # (S, H, d, d)    of (27.6)


def forward(v: Array, Q: Array, moments: Moments, mark: Mark = keep) -> tuple[Array, Tape]:
    """(27.7) and (27.2): the loss of each network.  v (S, H), Q (S, H, d, d) -> (S,) and the tape. Cost O(S (H d^2 + d^4))."""
    c, B, A = moments
    # F2  M = -sum_h v_h Q_h                                                 (27.7)
    M = mark("M", model(v, Q))  # (S, d, d)
    # F3  f = c - 2 <B, M> + <M, A M>                                        (27.2)
    error = (M.reshape(len(M), -1) @ A).reshape(M.shape) - B  # (S, d, d)
    f = c + (M * (error - B)).sum(axis=(1, 2))  # (S,)
    return f, Tape(v, Q, error, moments)


def model(v: Array, Q: Array) -> Array:
    """(27.7)  M = -sum_h v_h Q_h.  v (S, H), Q (S, H, d, d) -> (S, d, d)"""
    return -(v[..., None, None] * Q).sum(axis=1)  # (S, d, d)


def backward(df: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array]:
    """(27.8) and (27.9), the forward lines undone in reverse.  df (S,) -> dv (S, H), dQ (S, H, d, d). Cost O(S H d^2)."""
    v, Q, error, _ = tape
    # B3  undoes F3  f = c - 2 <B, M> + <M, A M>
    dM = mark("dM", 2 * df[:, None, None] * error)  # (S, d, d)              (27.8)
    # B2  undoes F2  M = -sum_h v_h Q_h
    dv = mark("dv", -(Q * dM[:, None]).sum(axis=(2, 3)))  # (S, H)           (27.9)
    dQ = mark("dQ", -v[..., None, None] * dM[:, None])  # (S, H, d, d)       (27.9)
    return dv, dQ


def tangent(vv: Array, vQ: Array, tape: Tape) -> Array:
    """The loss's derivative along vv (S, H), vQ (S, H, d, d): the tangents of (27.7) and (27.2). -> (S,)"""
    v, Q, error, _ = tape
    vM = -(vv[..., None, None] * Q + v[..., None, None] * vQ).sum(axis=1)  # (S, d, d)    of (27.7)
    return 2 * (error * vM).sum(axis=(1, 2))  # (S,)                         of (27.2)


def merged_loss_and_grad(v: Array, Q: Array, moments: Moments) -> tuple[Array, Array, Array]:
    """The loss (S,) of merged heads and its gradient: dv (S, H), dQ (S, H, d, d)."""
    f, tape = forward(v, Q, moments)
    return f, *backward(np.ones_like(f), tape)


def separate_loss_and_grad(v: Array, a: Array, b: Array, moments: Moments) -> tuple[Array, Array, Array, Array]:
    """The loss (S,) of heads with keys a and queries b (S, H, d), and its gradient: dv (S, H), da, db (S, H, d)."""
    f, tape = forward(v, keys_and_queries(a, b), moments)
    dv, dQ = backward(np.ones_like(f), tape)
    return f, dv, *keys_and_queries_backward(dQ, a, b)


def as_params(v: Array, Q: Array) -> Array:
    """One network for ``la.predict``: P_h = v_h in the corner, whole matrices.  v (H,), Q (H, d, d) -> (1, H, 2, d+1, d+1)"""
    H, d = Q.shape[:2]
    params = np.zeros((1, H, 2, d + 1, d + 1), np.result_type(v, Q))
    params[0, :, 0, -1, -1], params[0, :, 1, :d, :d] = v, Q
    return params


def _point() -> tuple[dict[str, Array], Moments]:
    """A small generic point: S = 2 networks of H = 5 heads, d = 3, and a covariance that is not diagonal."""
    rng = np.random.default_rng(27)
    root = rng.standard_normal((3, 3))
    theta = {"v": rng.standard_normal((2, 5)), "a": rng.standard_normal((2, 5, 3)), "b": rng.standard_normal((2, 5, 3))}
    return theta, exact(root @ root.T / 3 + 0.2 * np.eye(3), 7)


def audit_heads() -> Report:
    """The backward pass of separate heads, each line of it; merged heads are all of it but the last."""
    theta, moments = _point()

    def ahead(theta: dict[str, Array], mark: Mark = keep) -> Array:
        return forward(theta["v"], keys_and_queries(theta["a"], theta["b"], mark), moments, mark)[0]

    def back(theta: dict[str, Array], dout: Array, mark: Mark = keep) -> dict[str, Array]:
        dv, dQ = backward(dout, forward(theta["v"], keys_and_queries(theta["a"], theta["b"]), moments)[1], mark)
        da, db = keys_and_queries_backward(dQ, theta["a"], theta["b"], mark)
        return {"v": dv, "a": da, "b": db}

    equations = {"dM": "27.8", "dv": "27.9", "dQ": "27.9", "da": "27.10", "db": "27.10"}
    return audit_gradient(ahead, back, theta, equations=equations, title="heads on exact moments")


def audit_tangent() -> Report:
    """The tangent, a linear function of the direction, whose adjoint is the backward pass."""
    theta, moments = _point()
    a, b = theta["a"], theta["b"]
    tape = forward(theta["v"], keys_and_queries(a, b), moments)[1]
    direction = {name: np.cos(np.arange(array.size)).reshape(array.shape) for name, array in theta.items()}
    direction["b"] = direction["b"] ** 2  # no two alike

    def ahead(t: dict[str, Array]) -> Array:
        return tangent(t["v"], keys_and_queries_tangent(t["a"], t["b"], a, b), tape)

    def back(_: dict[str, Array], dout: Array) -> dict[str, Array]:
        dv, dQ = backward(dout, tape)
        return dict(zip("vab", (dv, *keys_and_queries_backward(dQ, a, b)), strict=True))

    return audit_gradient(ahead, back, direction, title="their tangent")


AUDITS = {"heads": audit_heads, "tangent": audit_tangent}
