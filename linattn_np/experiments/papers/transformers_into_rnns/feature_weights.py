"""The weights of causal attention through features: phi(q).phi(k) in place of exp(q.k), so that a state can stand for the past.

Forward                                          Backward, from dp = df/dp
(24.3)  F_i = phi(q_i / sqrt(e)), G_j = phi(k_j) (24.12) ds_ij = (dp_ij - [sigma_i > floor] sum_l dp_il p_il) / S_i    for j <= i
        s_ij = F_i.G_j          for j <= i       (24.13) dF_i = sum_j ds_ij G_j,   dG_j = sum_i ds_ij F_i
        sigma_i = sum_{l <= i} s_il
        S_i = max(sigma_i, floor)                then through phi (``maps``), W and b twice: once for q, once for k
        p_ij = s_ij / S_i

q and k (B, H, T, e) -> p (B, H, T, T). Before elu + 1 queries are not divided by sqrt(e), as in its authors' paper. Where the sum
is below the floor the weights are s_ij / floor and no longer add up to one; the released code has the same floor. Derived in
lesson 24.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers.marks import Mark, keep
from .maps import FeatureMap, feature_map

FLOOR = 0.01  # of the denominator


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    F: Array  # (B, H, T, k)
    G: Array  # (B, H, T, k)
    S: Array  # (B, H, T, 1)
    above: Array  # (B, H, T, 1)
    p: Array  # (B, H, T, T)
    phi: FeatureMap
    tape_q: Any
    tape_k: Any


def named(mark: Mark, letter: str) -> Mark:
    """The mark of one use of the map: the name R of the query's is R_q."""
    return mark if mark is keep else lambda name, value: mark(f"{name}_{letter}", value)


def divisor(phi: FeatureMap, e: int) -> float:
    """What queries are divided by before the map: sqrt(e), or 1 for elu + 1."""
    return float(e**0.5) if phi.scaled else 1.0


def forward(q: Array, k: Array, *weights: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """Weights of each reader: (24.3). q and k (B, H, T, e), weights of the map -> p (B, H, T, T) and the tape.

    Cost O(B H T^2 k).
    """
    T, phi = q.shape[2], feature_map(weights)
    root = divisor(phi, q.shape[3])
    # F1  F = phi(q / sqrt(e)), G = phi(k)        one map, used twice                            (24.3)
    F, tape_q = phi.forward(q / root, *weights, mark=named(mark, "q"))  # (B, H, T, k)
    G, tape_k = phi.forward(k, *weights, mark=named(mark, "k"))  # (B, H, T, k)
    # F2  s = F G^T                      for j <= i                                              (24.3)
    products = mark("products", F @ G.mT)  # (B, H, T, T)
    s = mark("s", products * np.tri(T, dtype=F.real.dtype))  # (B, H, T, T)
    # F3  S = max(sigma, floor), sigma_i = sum_j s_ij                                            (24.3)
    sigma = mark("sigma", s.sum(axis=-1, keepdims=True))  # (B, H, T, 1)
    above = sigma.real > FLOOR  # (B, H, T, 1)
    S = mark("S", np.where(above, sigma, FLOOR))  # (B, H, T, 1)
    # F4  p = s / S                                                                              (24.3)
    p = mark("p", s / S)  # (B, H, T, T)
    return p, Tape(F, G, S, above, p, phi, tape_q, tape_k)


def backward(dp: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, ...]:
    """Gradients of the weights: (24.12), (24.13), then the map's.

    dp (B, H, T, T) -> dq and dk (B, H, T, e), and the sums of both uses of the map's weights. Cost O(B H T^2 k).
    """
    F, G, S, above, p, phi, tape_q, tape_k = tape
    dp = mark("dp", dp)
    # B4  undoes F4  p = s / S: the numerator, and the denominator
    dS = mark("dS", -(dp * p).sum(axis=-1, keepdims=True) / S)  # (B, H, T, 1)           (24.12)
    # B3  undoes F3  S = max(sigma, floor): below the floor nothing goes through
    dsigma = mark("dsigma", dS * above)  # (B, H, T, 1)                        (24.12)
    ds = mark("ds", dp / S + dsigma)  # (B, H, T, T)                           (24.12)
    # B2  undoes F2  s = F G^T           for j <= i
    dproducts = mark("dproducts", ds * np.tri(p.shape[-1], dtype=dp.real.dtype))  # (B, H, T, T)      (24.12)
    dF = dproducts @ G  # (B, H, T, k)                                         (24.13)
    dG = dproducts.mT @ F  # (B, H, T, k)                                      (24.13)
    # B1  undoes F1: each array of the map's weights has two uses
    dq, *for_q = phi.backward(dF, tape_q, named(mark, "q"))
    dk, *for_k = phi.backward(dG, tape_k, named(mark, "k"))
    return (
        mark("dq", dq / divisor(phi, dq.shape[3])),
        mark("dk", dk),
        *(one + other for one, other in zip(for_q, for_k, strict=True)),
    )


def tangent(vq: Array, vk: Array, *vweights_and_tape: Any) -> Array:
    """Derivative of the weights along a direction: the tangents of (24.3). vq, vk, those of the map, the tape -> vp (B, H, T,
    T)
    """
    *vweights, tape = vweights_and_tape
    F, G, S, above, p, phi, tape_q, tape_k = tape
    root = divisor(phi, vq.shape[3])
    # F1  F = phi(q / sqrt(e)), G = phi(k)                                                       of (24.3)
    vF = phi.tangent(vq / root, *vweights, tape_q)  # (B, H, T, k)
    vG = phi.tangent(vk, *vweights, tape_k)  # (B, H, T, k)
    # F2  s = F G^T                                                                              of (24.3)
    vs = (vF @ G.mT + F @ vG.mT) * np.tri(p.shape[-1])  # (B, H, T, T)
    # F3  S = max(sigma, floor)                                                                  of (24.3)
    vS = vs.sum(axis=-1, keepdims=True) * above  # (B, H, T, 1)
    # F4  p = s / S                                                                              of (24.3)
    return (vs - p * vS) / S  # (B, H, T, T)


def _point(seed: int, learned: bool) -> list[Array]:
    """Queries, keys and the map's weights; of the learned map some features are small, so that the floor holds for some
    readers.
    """
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((2, 3, 2, 7, 5))
    q[:, :, ::3] *= 1e-2 if learned else 1.0
    W, b = rng.standard_normal((2, 11, 5)), 1e-3 * rng.standard_normal((2, 11))
    return [q, k, W, b] if learned else [q, k]


def _audited(learned: bool) -> Report:
    theta = dict(zip(("q", "k", "W", "b"), _point(0, learned), strict=False))

    def run(theta: dict[str, Array], mark: Mark = keep) -> Array:
        return forward(*theta.values(), mark=mark)[0]

    def back(theta: dict[str, Array], dp: Array, mark: Mark = keep) -> dict[str, Array]:
        return dict(zip(theta, backward(dp, forward(*theta.values())[1], mark), strict=True))

    return audit_gradient(run, back, theta, title="weights through features")


def tangent_error() -> float:
    """How far the tangent is from a complex step of the forward, with both maps."""
    errors = []
    for learned in (True, False):
        at, v = _point(0, learned), _point(1, learned)
        stepped = forward(*(a + 1e-30j * b for a, b in zip(at, v, strict=True)))[0].imag / 1e-30
        errors.append(np.abs(tangent(*v, forward(*at)[1]) - stepped).max())
    return float(max(errors))


AUDITS = {"learned": lambda: _audited(True), "elu": lambda: _audited(False)}
CHECKS = {"tangent": tangent_error}
