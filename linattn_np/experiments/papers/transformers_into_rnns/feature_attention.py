"""Causal attention through features on queries, keys and values: what ``layers.causal_softmax`` is swapped for.

Forward                                          Backward, from dO = df/dO
(24.3)  p of ``feature_weights``                 (24.9)  dp_ij = dO_i.v_j,   dv_j = sum_i p_ij dO_i
(24.6)  O_i = sum_{j <= i} p_ij v_j              then through the weights, (24.12) to (24.16)

q, k and v (B, H, T, e) -> O (B, H, T, e). Derived in lesson 24.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers.marks import Mark, keep
from . import feature_weights


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    v: Array  # (B, H, T, e)
    P: Array  # (B, H, T, T), named as in ``layers.causal_softmax``
    weights: feature_weights.Tape


def forward(q: Array, k: Array, v: Array, *weights: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """What each reader takes home: (24.3), (24.6). q, k and v (B, H, T, e), weights of the map -> O and the tape.

    Cost O(B H T^2 k).
    """
    q, k, v = mark("q", q), mark("k", k), mark("v", v)
    # F1  p                              of (24.3)
    P, tape = feature_weights.forward(q, k, *weights, mark=mark)  # (B, H, T, T)
    # F2  O_i = sum_j p_ij v_j                                                                   (24.6)
    out = mark("out", P @ v)  # (B, H, T, e)
    return out, Tape(v, P, tape)


def backward(dout: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, ...]:
    """Gradients: (24.9), then those of the weights. dO (B, H, T, e) -> dq, dk, dv, and those of the map. Cost O(B H T^2 k)."""
    v, P, inner = tape
    dout = mark("dout", dout)
    # B2  undoes F2  O_i = sum_j p_ij v_j
    dP = dout @ v.mT  # (B, H, T, T)                                           (24.9)
    dv = mark("dv", P.mT @ dout)  # (B, H, T, e)                               (24.9)
    # B1  undoes F1  the weights
    dq, dk, *dweights = feature_weights.backward(dP, inner, mark)
    return dq, dk, dv, *dweights


def tangent(vq: Array, vk: Array, vv: Array, *vweights_and_tape: Any) -> tuple[Array, Array]:
    """Derivative along a direction: the tangent of (24.6).

    Those of what forward takes, the tape -> vO (B, H, T, e) and vp (B, H, T, T)
    """
    *vweights, (v, P, inner) = vweights_and_tape
    vP = feature_weights.tangent(vq, vk, *vweights, inner)  # (B, H, T, T)
    vout = vP @ v + P @ vv  # (B, H, T, e)                                     of (24.6)
    return vout, vP


def _point(seed: int, learned: bool) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [
        *rng.standard_normal((3, 3, 2, 7, 5)),
        *([rng.standard_normal((2, 11, 5)), rng.standard_normal((2, 11))] if learned else []),
    ]


def _audited(learned: bool) -> Report:
    theta = dict(zip(("q", "k", "v", "W", "b"), _point(0, learned), strict=False))

    def run(theta: dict[str, Array], mark: Mark = keep) -> Array:
        return forward(*theta.values(), mark=mark)[0]

    def back(theta: dict[str, Array], dout: Array, mark: Mark = keep) -> dict[str, Array]:
        return dict(zip(theta, backward(dout, forward(*theta.values())[1], mark), strict=True))

    return audit_gradient(run, back, theta, title="attention through features")


def tangent_error() -> float:
    """How far the tangent is from a complex step of the forward, with both maps."""
    errors = []
    for learned in (True, False):
        at, v = _point(0, learned), _point(1, learned)
        stepped = forward(*(a + 1e-30j * b for a, b in zip(at, v, strict=True)))[0].imag / 1e-30
        errors.append(np.abs(tangent(*v, forward(*at)[1])[0] - stepped).max())
    return float(max(errors))


AUDITS = {"learned": lambda: _audited(True), "elu": lambda: _audited(False)}
CHECKS = {"tangent": tangent_error}
