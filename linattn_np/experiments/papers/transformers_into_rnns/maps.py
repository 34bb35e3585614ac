"""Feature maps phi: numbers at least 0 in place of a query or a key, so that a product of two of them can stand for exp(q.k).

The learned map has weights of each head's own; elu + 1 has none.

Forward, learned                                 Backward, from dF = df/dF
(24.4)  R = x W^T + b                            (24.14) dR = dF step(R)
        F = max(R, 0)                            (24.15) dW = sum_bt dR^T x,   db = sum_bt dR,   dx = dR W
Forward, elu + 1                                 Backward
(24.5)  F = x + 1 for x > 0, else exp(x)         (24.16) dx = dF for x > 0, else dF F

x (B, H, T, e), W (H, k, e), b (H, k) -> F (B, H, T, k). Both decide by the real part, so that a complex step passes. Derived in
lesson 24.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers.marks import Mark, keep


class Tape(NamedTuple):
    """What the backward pass of a map needs of a forward pass."""

    x: Array  # (B, H, T, e)
    W: Array  # (H, k, e)
    slope: Array  # (B, H, T, k)


class EluTape(NamedTuple):
    """The same of elu + 1."""

    slope: Array  # (B, H, T, e)


def forward(x: Array, W: Array, b: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """The learned map: (24.4). x (B, H, T, e), W (H, k, e), b (H, k) -> F (B, H, T, k) and the tape. Cost O(B H T k e)."""
    # F1  R = x W^T + b                                                                          (24.4)
    R = mark("R", x @ W.mT + b[:, None])  # (B, H, T, k)
    # F2  F = max(R, 0)                                                                          (24.4)
    step = (R.real > 0).astype(R.real.dtype)  # (B, H, T, k)
    F = mark("F", R * step)  # (B, H, T, k)
    return F, Tape(x, W, step)


def backward(dF: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array]:
    """Gradients of the learned map: (24.14) and (24.15). dF (B, H, T, k) -> dx (B, H, T, e), dW (H, k, e), db (H, k)."""
    x, W, step = tape
    # B2  undoes F2  F = max(R, 0)
    dR = mark("dR", mark("dF", dF) * step)  # (B, H, T, k)                     (24.14)
    # B1  undoes F1  R = x W^T + b
    dW = mark("dW", (dR.mT @ x).sum(axis=0))  # (H, k, e)                      (24.15)
    db = mark("db", dR.sum(axis=(0, 2)))  # (H, k)                             (24.15)
    dx = mark("dx", dR @ W)  # (B, H, T, e)                                    (24.15)
    return dx, dW, db


def tangent(vx: Array, vW: Array, vb: Array, tape: Tape) -> Array:
    """Derivative of the learned map along a direction: the tangents of (24.4). -> vF (B, H, T, k)"""
    x, W, step = tape
    # F1  R = x W^T + b                                                                          of (24.4)
    vR = vx @ W.mT + x @ vW.mT + vb[:, None]  # (B, H, T, k)
    # F2  F = max(R, 0)                                                                          of (24.4)
    return vR * step  # (B, H, T, k)


def elu_forward(x: Array, mark: Mark = keep) -> tuple[Array, EluTape]:
    """elu + 1: (24.5). x (B, H, T, e) -> F of the same shape and the tape. Katharopoulos et al. 2020."""
    # F1  F = x + 1 for x > 0, else exp(x)                                                       (24.5)
    above = x.real > 0  # (B, H, T, e)
    F = mark("F", np.where(above, x + 1, np.exp(np.where(above, 0, x))))  # (B, H, T, e)
    return F, EluTape(np.where(above, 1, F))


def elu_backward(dF: Array, tape: EluTape, mark: Mark = keep) -> tuple[Array]:
    """Gradient of elu + 1: (24.16). dF (B, H, T, e) -> dx, alone in a tuple."""
    # B1  undoes F1: where x <= 0 the derivative of exp(x) is F itself
    dx = mark("dx", mark("dF", dF) * tape.slope)  # (B, H, T, e)               (24.16)
    return (dx,)


def elu_tangent(vx: Array, tape: EluTape) -> Array:
    """Derivative of elu + 1 along vx: the tangent of (24.5). -> vF (B, H, T, e)"""
    # F1  F = x + 1 for x > 0, else exp(x)                                                       of (24.5)
    return vx * tape.slope  # (B, H, T, e)


class FeatureMap(NamedTuple):
    """A map's three functions, and whether queries are divided by sqrt(e) before it."""

    forward: Any
    backward: Any
    tangent: Any
    scaled: bool


def feature_map(weights: tuple[Array, ...]) -> FeatureMap:
    """The learned map where there are weights W and b, else elu + 1; each with queries as its authors' code has them."""
    return FeatureMap(forward, backward, tangent, True) if weights else FeatureMap(elu_forward, elu_backward, elu_tangent, False)


def _point(seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape) for name, shape in (("x", (3, 2, 7, 5)), ("W", (2, 11, 5)), ("b", (2, 11)))}


def _audited(names: tuple[str, ...], title: str) -> Report:
    theta = {name: array for name, array in _point(0).items() if name in names}
    chosen = feature_map(tuple(theta.values())[1:])

    def run(theta: dict[str, Array], mark: Mark = keep) -> Array:
        return chosen.forward(*theta.values(), mark=mark)[0]

    def back(theta: dict[str, Array], dF: Array, mark: Mark = keep) -> dict[str, Array]:
        return dict(zip(theta, chosen.backward(dF, chosen.forward(*theta.values())[1], mark), strict=True))

    return audit_gradient(run, back, theta, title=title)


def tangent_error() -> float:
    """How far both tangents are from a complex step of their forwards."""
    point, along = _point(0), _point(1)
    errors = []
    for names in (("x", "W", "b"), ("x",)):
        at, v = [point[name] for name in names], [along[name] for name in names]
        chosen = feature_map(tuple(at[1:]))
        stepped = chosen.forward(*(a + 1e-30j * b for a, b in zip(at, v, strict=True)))[0].imag / 1e-30
        errors.append(np.abs(chosen.tangent(*v, chosen.forward(*at)[1]) - stepped).max())
    return float(max(errors))


AUDITS = {"learned": lambda: _audited(("x", "W", "b"), "learned map"), "elu": lambda: _audited(("x",), "elu + 1")}
CHECKS = {"tangents": tangent_error}
