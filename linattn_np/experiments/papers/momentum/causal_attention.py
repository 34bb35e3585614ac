"""Causal linear attention with the feature map elu + 1, its numerator weighted by W: parallel, recurrent, and with its
derivatives.

Forward                                                    Backward, from dO = df/dO
(21.12) F = phi(q), G = phi(k), phi(x) = elu(x) + 1        (21.14) dP = dO v^T,  dv = P^T dO
(21.13) S_ij = F_i.G_j,  z_i = sum_{j <= i} S_ij           (21.15) dN = dP / z,  dz_i = - sum_j dP_ij P_ij / z_i
        P_ij = W_ij S_ij / z_i,  O_i = sum_j P_ij v_j      (21.16) dS = W dN + dz for j <= i,   dW = sum S dN
                                                           (21.17) dF = dS G, dG = dS^T F,  dq = dF phi'(q), dk = dG phi'(k)

phi(x) is x + 1 above 0 and e^x below: positive, so z_i > 0; its slope is 1 or e^x, continuous. W = 1 for j <= i is plain linear
attention, W of ``reweighting.py`` the paper's (13): only the numerator has momentum. N = W S. Arrays (.., T, D). Derived in
lesson 21.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._checks import as_numbers, as_real
from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers.marks import Mark, keep
from . import reweighting


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    F: Array  # (B, H, T, D)
    G: Array  # (B, H, T, D)
    v: Array  # (B, H, T, D)
    W: Array  # (T, T)
    S: Array  # (B, H, T, T)
    z: Array  # (B, H, T, 1)
    P: Array  # (B, H, T, T)


def features(x: Array) -> Array:
    """phi(x) = elu(x) + 1, (21.12): x + 1 above 0, e^x below, by the sign of the real part."""
    return np.where(x.real > 0, x + 1, np.exp(np.where(x.real > 0, 0, x)))


def slope(F: Array) -> Array:
    """phi' from phi itself: 1 where phi is above 1, else phi."""
    return np.where(F.real > 1, 1, F)


def forward(q: Array, k: Array, v: Array, W: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """One head or many: (21.12), (21.13). q, k, v (.., T, D), W (T, T) -> O (.., T, D) and the tape. Cost O(T^2 D)."""
    q, k, v, W = mark("q", q), mark("k", k), mark("v", v), mark("W", W)
    # F1  F = phi(q), G = phi(k)                                                                 (21.12)
    F, G = mark("F", features(q)), mark("G", features(k))  # (B, H, T, D)
    # F2  S_ij = F_i.G_j for j <= i                                                              (21.13)
    scores = mark("scores", F @ G.mT)  # (B, H, T, T)
    S = mark("S", scores * np.tri(W.shape[0], dtype=bool))  # (B, H, T, T)
    # F3  z_i = sum_j S_ij                                                                       (21.13)
    z = mark("z", S.sum(axis=-1, keepdims=True))  # (B, H, T, 1)
    # F4  N = W S                                                                                (21.13)
    N = mark("N", W * S)  # (B, H, T, T)
    # F5  P = N / z                                                                              (21.13)
    P = mark("P", N / z)  # (B, H, T, T)
    # F6  O = P v                                                                                (21.13)
    return mark("O", P @ v), Tape(F, G, v, W, S, z, P)


def backward(dO: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array, Array]:
    """Gradients of one layer: (21.14) to (21.17). dO (.., T, D) -> dq, dk, dv (.., T, D), dW (T, T). Cost O(T^2 D)."""
    F, G, v, W, S, z, P = tape
    dO = mark("dO", dO)  # (B, H, T, D)
    # B6  undoes F6  O = P v
    dP = mark("dP", dO @ v.mT)  # (B, H, T, T)                                 (21.14)
    dv = mark("dv", P.mT @ dO)  # (B, H, T, D)                                 (21.14)
    # B5  undoes F5  P = N / z
    dN = mark("dN", dP / z)  # (B, H, T, T)                                    (21.15)
    dz = mark("dz", -(dP * P).sum(axis=-1, keepdims=True) / z)  # (B, H, T, 1)           (21.15)
    # B4  undoes F4  N = W S, and B3  undoes F3  z_i = sum_j S_ij: two uses of S
    dW = mark("dW", (dN * S).reshape(-1, *W.shape).sum(axis=0))  # (T, T)      (21.16)
    dS = mark("dS", W * dN + dz)  # (B, H, T, T)                               (21.16)
    # B2  undoes F2  S = F G^T for j <= i
    dscores = mark("dscores", dS * np.tri(W.shape[0], dtype=bool))  # (B, H, T, T)         (21.16)
    dF = mark("dF", dscores @ G)  # (B, H, T, D)                               (21.17)
    dG = mark("dG", dscores.mT @ F)  # (B, H, T, D)                            (21.17)
    # B1  undoes F1  F = phi(q), G = phi(k)
    dq = mark("dq", dF * slope(F))  # (B, H, T, D)                             (21.17)
    dk = mark("dk", dG * slope(G))  # (B, H, T, D)                             (21.17)
    return dq, dk, dv, dW


def tangent(vq: Array, vk: Array, vv: Array, vW: Array, tape: Tape) -> Array:
    """Derivative of the layer along (vq, vk, vv, vW), shaped like q, k, v, W. -> vO (.., T, D)"""
    F, G, v, W, S, z, P = tape
    vF = vq * slope(F)  # (B, H, T, D)                                                   of (21.12)
    vG = vk * slope(G)  # (B, H, T, D)                                                   of (21.12)
    vS = (vF @ G.mT + F @ vG.mT) * np.tri(W.shape[0], dtype=bool)  # (B, H, T, T)                    of (21.13)
    vz = vS.sum(axis=-1, keepdims=True)  # (B, H, T, 1)                                  of (21.13)
    vP = (vW * S + W * vS - P * vz) / z  # (B, H, T, T)                                  of (21.13)
    return vP @ v + P @ vv  # (B, H, T, D)                                               of (21.13)


def checked(q: Any, k: Any, v: Any, beta: Any, gamma: Any) -> tuple[Array, Array, Array, float, float]:
    """Queries, keys, values (.., T, D) that belong together, 0 <= beta < 1 and gamma, or ValueError."""
    q, k, v = as_numbers("q", q), as_numbers("k", k), as_numbers("v", v)
    if q.ndim < 2 or k.shape != q.shape or v.shape[:-1] != q.shape[:-1]:
        raise ValueError(
            f"q, k, v: expected shapes (.., T, D) with the same T, and q and k of one shape, got {q.shape}, {k.shape}, {v.shape}"
        )
    return q, k, v, as_real("beta", beta, least=0, below=1), as_real("gamma", gamma)


def attention(q: Any, k: Any, v: Any, beta: float, gamma: float) -> Array:
    """Causal linear attention with momentum, in parallel: the closed form (21.11) in (21.13), the paper's (13).

    q, k, v (T, D), or heads and texts in front of T, 0 <= beta < 1, gamma -> (T, D). Raises ValueError. Cost O(T^2 D).
    """
    q, k, v, beta, gamma = checked(q, k, v, beta, gamma)
    W = reweighting.forward(np.array(beta), np.array(gamma), q.shape[-2])[0]
    return forward(q, k, v, W)[0]


def attention_recurrent(q: Any, k: Any, v: Any, beta: float, gamma: float) -> Array:
    """The same from one token to the next: (21.10), the paper's (12), with a state of one D x D matrix more.

    m_i = beta m_{i-1} - phi(k_i) v_i^T,  s_i = s_{i-1} - gamma m_i,  O_i = phi(q_i)^T s_i / phi(q_i)^T sum_{j <= i} phi(k_j).
    Arguments and errors as :func:`attention`. Cost O(T D^2).
    """
    q, k, v, beta, gamma = checked(q, k, v, beta, gamma)
    F, G = features(q), features(k)
    m = s = np.zeros((*q.shape[:-2], q.shape[-1], v.shape[-1]))
    total, out = np.zeros(G[..., 0, :].shape), np.empty(v.shape)
    for i in range(q.shape[-2]):
        m = beta * m - G[..., i, :, None] * v[..., i, None, :]
        s = s - gamma * m
        total = total + G[..., i, :]
        out[..., i, :] = (F[..., i, None, :] @ s)[..., 0, :] / (F[..., i, :] * total).sum(axis=-1, keepdims=True)
    return out


# ---------------------------------------------------------------- its audits


def _point(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    found = {name: rng.standard_normal((2, 3, 5, 4)) for name in ("q", "k", "v")}
    return {**found, "W": rng.standard_normal((5, 5))}


def audited() -> Report:
    """The audit of all gradients at a generic point, W generic too."""

    def run(theta: Any, mark: Mark = keep) -> Array:
        return forward(**theta, mark=mark)[0]

    def back(theta: Any, dO: Array, mark: Mark = keep) -> dict[str, Array]:
        return dict(zip(theta, backward(dO, forward(*theta.values())[1], mark), strict=True))

    return audit_gradient(run, back, _point(21), title="causal linear attention")


def tangent_error() -> float:
    """How far tangent and backward are from a complex step of the forward."""
    at, v = _point(21), _point(22)
    stepped = forward(*(a + 1e-30j * b for a, b in zip(at.values(), v.values(), strict=True)))[0].imag / 1e-30
    O, tape = forward(**at)
    dO = np.random.default_rng(23).standard_normal(O.shape)
    adjoint = (dO * stepped).sum() - sum((a * b).sum() for a, b in zip(backward(dO, tape), v.values(), strict=True))
    return float(np.abs(tangent(*[*v.values(), tape]) - stepped).max() + abs(adjoint))


def recurrent_error() -> float:
    """How far the recurrence is from the closed form."""
    q, k, v, _ = _point(24).values()
    return float(np.abs(attention_recurrent(q, k, v, 0.7, 0.4) - attention(q, k, v, 0.7, 0.4)).max())


AUDITS = {"attention": audited}
CHECKS = {"tangent and adjoint": tangent_error, "recurrent is parallel": recurrent_error}
