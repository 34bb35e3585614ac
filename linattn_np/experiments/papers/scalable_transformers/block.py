"""A small Transformer that translates one sequence into another of equal length, with its derivatives by hand.

x (B, T) symbols of V. o_t is a learned query of output position t, p_i of input position i; H heads of c = w / H channels, each
with matrices of its own, so that the first channels of every head can be cropped. Tokens are rows.

Forward                                          Backward, from dlogits
(25.5)  h = E[x] + p                             (25.12) dU = sum_b dlogits^T z,   dz = dlogits U
(25.6)  q = o Wq^T,  K = h Wk^T,  V = h Wv^T     (25.13) dy = dz + the network's dy
(25.7)  A = softmax(q K^T / sqrt(c))             (25.14) dWo = sum_b dy^T C,  dC = dy Wo,  do += sum_b dy
(25.8)  C = A V                                  (25.15) dA = dC V^T,  dV = A^T dC
(25.9)  y = o + sum_h C Wo^T                     (25.16) dS = A o (dA - row sums of dA o A)
(25.10) z = y + network(y), one hidden layer     (25.17) dq = sum_b dS K / sqrt(c),  dK = dS^T q / sqrt(c)
(25.11) logits = z U^T                           (25.18) dWq = dq^T o,  dWk = sum_b dK^T h,  dWv = sum_b dV^T h
                                                 (25.19) do += sum_h dq Wq,  dh = sum_h dK Wk + dV Wv
                                                 (25.20) dE[x] += dh,  dp = sum_b dh

The network with one hidden layer is ``layers.mlp``; the loss is ``layers.cross_entropy``. Derived in lesson 25.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...._checks import as_count, as_rng
from ...._types import Array
from ....audit import Report, audit_gradient
from ....layers import cross_entropy, mlp
from ....layers.marks import Mark, keep
from ....layers.softmax_attention import softmax

V, T, H = 12, 8, 4  # symbols, positions, heads
LOOKED_UP = 0.3  # size of the first entries of E, p and o
NETWORK = ("W1", "b1", "W2", "b2")
Params = dict[str, Array]


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    params: Params
    hot: Array  # (B, T, V), 1 at the symbol
    h: Array  # (B, T, w)
    q: Array  # (H, T, c)
    K: Array  # (B, H, T, c)
    values: Array  # (B, H, T, c)
    A: Array  # (B, H, T, T)
    C: Array  # (B, H, T, c)
    network: Any
    z: Array  # (B, T, w)


def shapes(width: int) -> dict[str, tuple[int, ...]]:
    """The shape of each array at a width, a multiple of the number of heads. Raises ValueError for another."""
    w = as_count("width", width)
    if w % H:
        raise ValueError(f"width: expected a multiple of {H}, the number of heads, got {width}")
    c = w // H
    heads = dict.fromkeys(("Wq", "Wk", "Wv"), (H, c, w))
    return {"E": (V, w), "p": (T, w), "o": (T, w), **heads, "Wo": (H, w, c),
            "W1": (4 * w, w), "b1": (4 * w,), "W2": (w, 4 * w), "b2": (w,), "U": (V, w)}  # fmt: skip


def init(rng: np.random.Generator, width: int) -> Params:
    """First weights: normal, over the root of what each sum adds up; rows that are looked up are smaller, shifts are 0.

    -> {name: array}, shaped as :func:`shapes` says. Raises ValueError for a width that is no multiple of H.
    """
    rng, found = as_rng(rng), {}
    for name, shape in shapes(width).items():
        size = LOOKED_UP if name in ("E", "p", "o") else (width if name == "Wo" else shape[-1]) ** -0.5
        found[name] = np.zeros(shape) if name in ("b1", "b2") else size * rng.standard_normal(shape)
    return found


def four(params: Params, names: tuple[str, ...]) -> tuple[Array, Array, Array, Array]:
    """The four arrays of a network with one hidden layer, in the order of ``layers.mlp``."""
    W1, b1, W2, b2 = (params[name] for name in names)
    return W1, b1, W2, b2


def forward(params: Params, x: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """The logits of every output position: (25.5) to (25.11).

    x (B, T) integers below V -> logits (B, T, V) and the tape. Cost O(B T w (w + T)).
    """
    p = {name: mark(name, array) for name, array in params.items()}
    c = p["Wq"].shape[1]
    hot = (np.asarray(x)[..., None] == np.arange(V)).astype(float)  # (B, T, V)
    # F1  h = E[x] + p                                                                        (25.5)
    h = mark("h", hot @ p["E"] + p["p"])  # (B, T, w)
    # F2  q = o Wq^T, K = h Wk^T, V = h Wv^T                                                  (25.6)
    q = mark("q", p["o"] @ p["Wq"].mT)  # (H, T, c)
    K = mark("K", h[:, None] @ p["Wk"].mT)  # (B, H, T, c)
    values = mark("values", h[:, None] @ p["Wv"].mT)  # (B, H, T, c)
    # F3  A = softmax(q K^T / sqrt(c))                                                        (25.7)
    A = mark("A", softmax(mark("S", q @ K.mT / c**0.5)))  # (B, H, T, T)
    # F4  C = A V                                                                             (25.8)
    C = mark("C", A @ values)  # (B, H, T, c)
    # F5  y = o + sum_h C Wo^T                                                                (25.9)
    y = mark("y", p["o"] + (C @ p["Wo"].mT).sum(axis=1))  # (B, T, w)
    # F6  z = y + network(y)                                                                  (25.10)
    out, network = mlp.forward(y, *four(p, NETWORK))
    z = mark("z", y + out)  # (B, T, w)
    # F7  logits = z U^T                                                                      (25.11)
    logits = mark("logits", z @ p["U"].mT)  # (B, T, V)
    return logits, Tape(p, hot, h, q, K, values, A, C, network, z)


def backward(dlogits: Array, tape: Tape, mark: Mark = keep) -> Params:
    """Gradients of all arrays: (25.12) to (25.20), the forward lines undone in reverse.

    dlogits (B, T, V) -> {name: like the parameter}, summed over the batch. Cost O(B T w (w + T)).
    """
    p, hot, h, q, K, values, A, C, network, z = tape
    c = p["Wq"].shape[1]
    dlogits = mark("dlogits", dlogits)
    # B7  undoes F7  logits = z U^T
    dU = mark("dU", (dlogits.mT @ z).sum(axis=0))  # (V, w)                                   (25.12)
    dz = mark("dz", dlogits @ p["U"])  # (B, T, w)                                            (25.12)
    # B6  undoes F6  z = y + network(y)
    dy_network, *dnetwork = mlp.backward(dz, network)
    dy = mark("dy", dz + dy_network)  # (B, T, w)                                             (25.13)
    # B5  undoes F5  y = o + sum_h C Wo^T
    dWo = mark("dWo", (dy[:, None].mT @ C).sum(axis=0))  # (H, w, c)                          (25.14)
    dC = mark("dC", dy[:, None] @ p["Wo"])  # (B, H, T, c)                                    (25.14)
    do_residual = dy.sum(axis=0)  # (T, w)                                                    (25.14) use 1 of 2
    # B4  undoes F4  C = A V
    dA = mark("dA", dC @ values.mT)  # (B, H, T, T)                                           (25.15)
    dvalues = mark("dvalues", A.mT @ dC)  # (B, H, T, c)                                      (25.15)
    # B3  undoes F3  A = softmax(S), S = q K^T / sqrt(c)
    dS = mark("dS", A * (dA - (dA * A).sum(axis=-1, keepdims=True)))  # (B, H, T, T)          (25.16)
    dq = mark("dq", (dS @ K).sum(axis=0) / c**0.5)  # (H, T, c)                               (25.17)
    dK = mark("dK", dS.mT @ q / c**0.5)  # (B, H, T, c)                                       (25.17)
    # B2  undoes F2  q = o Wq^T, K = h Wk^T, V = h Wv^T
    dWq = mark("dWq", dq.mT @ p["o"])  # (H, c, w)                                            (25.18)
    dWk = mark("dWk", (dK.mT @ h[:, None]).sum(axis=0))  # (H, c, w)                          (25.18)
    dWv = mark("dWv", (dvalues.mT @ h[:, None]).sum(axis=0))  # (H, c, w)                     (25.18)
    do_query = (dq @ p["Wq"]).sum(axis=0)  # (T, w)                                           (25.19) use 2 of 2
    dh = mark("dh", (dK @ p["Wk"] + dvalues @ p["Wv"]).sum(axis=1))  # (B, T, w)              (25.19)
    # B1  undoes F1  h = E[x] + p
    dE = mark("dE", (hot.mT @ dh).sum(axis=0))  # (V, w)                                      (25.20)
    dp = mark("dp", dh.sum(axis=0))  # (T, w)                                                 (25.20)
    do = mark("do", do_residual + do_query)  # (T, w)
    names = ("E", "p", "o", "Wq", "Wk", "Wv", "Wo", *NETWORK, "U")
    return dict(zip(names, (dE, dp, do, dWq, dWk, dWv, dWo, *dnetwork, dU), strict=True))


def tangent(vparams: Params, tape: Tape) -> Array:
    """Derivative of the logits along a direction of the parameters: the tangents of (25.5) to (25.11). -> vlogits (B, T, V)"""
    p, hot, h, q, K, values, A, C, network, z = tape
    v, c = vparams, p["Wq"].shape[1]
    # F1  h = E[x] + p
    vh = hot @ v["E"] + v["p"]  # (B, T, w)                                                   of (25.5)
    # F2  q = o Wq^T, K = h Wk^T, V = h Wv^T
    vq = v["o"] @ p["Wq"].mT + p["o"] @ v["Wq"].mT  # (H, T, c)                               of (25.6)
    vK = vh[:, None] @ p["Wk"].mT + h[:, None] @ v["Wk"].mT  # (B, H, T, c)                   of (25.6)
    vvalues = vh[:, None] @ p["Wv"].mT + h[:, None] @ v["Wv"].mT  # (B, H, T, c)              of (25.6)
    # F3  A = softmax(q K^T / sqrt(c))
    vS = (vq @ K.mT + q @ vK.mT) / c**0.5  # (B, H, T, T)                                     of (25.7)
    vA = A * (vS - (vS * A).sum(axis=-1, keepdims=True))  # (B, H, T, T)                      of (25.7)
    # F4  C = A V
    vC = vA @ values + A @ vvalues  # (B, H, T, c)                                            of (25.8)
    # F5  y = o + sum_h C Wo^T
    vy = v["o"] + (vC @ p["Wo"].mT + C @ v["Wo"].mT).sum(axis=1)  # (B, T, w)                 of (25.9)
    # F6  z = y + network(y)
    vout, _ = mlp.tangent(vy, *four(v, NETWORK), network)
    vz = vy + vout  # (B, T, w)                                                               of (25.10)
    # F7  logits = z U^T
    return vz @ p["U"].mT + z @ v["U"].mT  # (B, T, V)                                        of (25.11)


def loss_and_grad(params: Params, x: Array, targets: Array) -> tuple[float, Params, Array]:
    """Cross-entropy and its gradient. targets (B, T) symbols or (B, T, V) distributions -> f, {name: gradient}, logits."""
    logits, tape = forward(params, x)
    f, kept = cross_entropy.forward(logits, targets)
    return float(f), backward(cross_entropy.backward(np.ones(()), kept), tape), logits


# ---------------------------------------------------------------- the derivation, judged


def point(seed: int = 1) -> tuple[Params, Array, Array]:
    """Generic weights of width 12, three inputs, and a cotangent of the logits."""
    rng = np.random.default_rng(seed)
    params = {name: 0.4 * rng.standard_normal(shape) for name, shape in shapes(12).items()}
    return params, rng.integers(V, size=(3, T)), rng.standard_normal((3, T, V))


def audit() -> Report:
    """The gradient of all arrays, and every line of it."""
    params, x, _ = point()

    def back(theta: Params, dlogits: Array, mark: Mark) -> Params:
        return backward(dlogits, forward(theta, x)[1], mark)

    return audit_gradient(lambda theta, mark: forward(theta, x, mark)[0], back, params, title="translating block", entries=40)


def check_tangent() -> float:
    """How far :func:`tangent` is from a complex step of :func:`forward`."""
    params, x, _ = point()
    along = point(2)[0]
    wanted = forward({name: array + 1e-30j * along[name] for name, array in params.items()}, x)[0].imag / 1e-30
    return float(np.abs(tangent(along, forward(params, x)[1]) - wanted).max())


def check_transpose() -> float:
    """How far <dlogits, tangent along v> is from <backward, v>, relatively."""
    params, x, dlogits = point()
    along, tape = point(2)[0], forward(params, x)[1]
    pushed, pulled = (dlogits * tangent(along, tape)).sum(), backward(dlogits, tape)
    return float(abs(pushed - sum((pulled[name] * along[name]).sum() for name in along)) / abs(pushed))


AUDITS: dict[str, Callable[[], Report]] = {"block": audit}
CHECKS: dict[str, Callable[[], float]] = {"tangent": check_tangent, "transpose": check_transpose}
