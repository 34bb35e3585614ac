"""A ReLU network with one hidden layer that acts on every token's covariates alike, with its derivatives by hand.

On either side of a pre-activation of exactly zero the network is smooth; at zero it has a kink and no derivative. Tokens are
rows. C their covariates, d covariates, h hidden units, o outputs; W1 (h, d), b1 (h,), W2 (o, h), b2 (o,).

Forward                                          Backward, from dF = df/dF
(15.1)  R  = C W1^T + b1                         (15.4)  dW2 = sum_bt dF^T E          (15.8)  dW1 = sum_bt dR^T C
(15.2)  E  = max(R, 0) = R step(R)               (15.5)  db2 = sum_bt dF              (15.9)  db1 = sum_bt dR
(15.3)  F  = E W2^T + b2                         (15.6)  dE  = dF W2                  (15.10) dC  = dR W1
                                                 (15.7)  dR  = dE step(R)
Each variable is used once. step(R) is 1 where R is positive and 0 elsewhere; it does not change along a direction, so the only
second derivatives are those of products: W2 with W1, b1 and C, and W1 with C. Derived in lesson 15.
"""

from typing import NamedTuple

import numpy as np

from .._checks import as_count, as_rng, check_memory
from .._types import Array
from .marks import Mark, keep


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass (or, of a tangent pass, the tangents of the same)."""

    C: Array  # (B, N, d)
    W1: Array  # (h, d)
    W2: Array  # (o, h)
    step: Array  # (B, N, h), the same in a tangent's tape
    E: Array  # (B, N, h)


def init_network(
    rng: np.random.Generator, d: int = 5, hidden: int = 10, outputs: int | None = None
) -> tuple[Array, Array, Array, Array]:
    """Random W1 (hidden, d), b1, W2 (outputs, hidden), b2: uniform on +-1/sqrt(number of inputs) of each layer.

    This is the default of PyTorch's Linear layers, which the paper's code uses. outputs defaults to d.
    """
    d, hidden, rng = as_count("d", d), as_count("hidden", hidden), as_rng(rng)
    outputs = d if outputs is None else as_count("outputs", outputs)
    name, count = ("hidden", hidden) if hidden > d else ("d", d)
    check_memory(name, count, 8 * (d + outputs) * hidden / count)
    first, second = d**-0.5, hidden**-0.5
    return (
        rng.uniform(-first, first, (hidden, d)), rng.uniform(-first, first, hidden),
        rng.uniform(-second, second, (outputs, hidden)), rng.uniform(-second, second, outputs),
    )  # fmt: skip


def forward(C: Array, W1: Array, b1: Array, W2: Array, b2: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """The network's features of every token: (15.1) to (15.3).

    C (B, N, d), W1 (h, d), b1 (h,), W2 (o, h), b2 (o,) -> F (B, N, o) and the tape. Cost O(B N h (d + o)).
    Paper, nonlinear regression; derived in lesson 15.
    """
    C, W1, b1, W2, b2 = mark("C", C), mark("W1", W1), mark("b1", b1), mark("W2", W2), mark("b2", b2)
    # F1  R = C W1^T + b1                pre-activations                                         (15.1)
    R = mark("R", C @ W1.T + b1)  # (B, N, h)
    # F2  E = R step(R)                  the sign of the real part, so that a complex step passes   (15.2)
    step = (R.real > 0).astype(R.real.dtype)  # (B, N, h)
    E = mark("E", R * step)  # (B, N, h)
    # F3  F = E W2^T + b2                features                                                (15.3)
    F = mark("F", E @ W2.T + b2)  # (B, N, o)
    return F, Tape(C, W1, W2, step, E)


def backward(dF: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array, Array, Array]:
    """Gradients of the network: (15.4) to (15.10), the forward lines undone in reverse.

    dF (B, N, o) -> dC (B, N, d), dW1 (h, d), db1 (h,), dW2 (o, h), db2 (o,), summed over tokens and batch. Cost O(B N h (d + o)).
    """
    C, W1, W2, step, E = tape
    dF = mark("dF", dF)  # (B, N, o)
    # B3  undoes F3  F = E W2^T + b2
    dW2 = mark("dW2", (dF.mT @ E).sum(axis=0))  # (o, h)                       (15.4)
    db2 = mark("db2", dF.sum(axis=(0, 1)))  # (o,)                             (15.5)
    dE = mark("dE", dF @ W2)  # (B, N, h)                                      (15.6)
    # B2  undoes F2  E = R step(R)
    dR = mark("dR", dE * step)  # (B, N, h)                                    (15.7)
    # B1  undoes F1  R = C W1^T + b1
    dW1 = mark("dW1", (dR.mT @ C).sum(axis=0))  # (h, d)                       (15.8)
    db1 = mark("db1", dR.sum(axis=(0, 1)))  # (h,)                             (15.9)
    dC = mark("dC", dR @ W1)  # (B, N, d)                                      (15.10)
    return dC, dW1, db1, dW2, db2


def tangent(vC: Array, vW1: Array, vb1: Array, vW2: Array, vb2: Array, tape: Tape) -> tuple[Array, Tape]:
    """Derivative of the network along a direction: the tangents of (15.1) to (15.3).

    Shapes as the arguments of :func:`forward` -> vF (B, N, o) and the tangents of the tape. Cost O(B N h (d + o)).
    """
    C, W1, W2, step, E = tape
    # F1  R = C W1^T + b1                                                                        of (15.1)
    vR = vC @ W1.T + C @ vW1.T + vb1  # (B, N, h)
    # F2  E = R step(R)                                                                          of (15.2)
    vE = vR * step  # (B, N, h)
    # F3  F = E W2^T + b2                                                                        of (15.3)
    vF = vE @ W2.T + E @ vW2.T + vb2  # (B, N, o)
    return vF, Tape(vC, vW1, vW2, step, vE)


def backward_tangent(dF: Array, hF: Array, tape: Tape, vtape: Tape) -> tuple[Array, Array, Array, Array, Array]:
    """Derivative of :func:`backward` along the direction of ``vtape``: the tangents of (15.4) to (15.10).

    dF and its tangent hF (B, N, o) -> the tangents of what :func:`backward` returns. Cost O(B N h (d + o)).
    """
    C, W1, W2, step, E = tape
    vC, vW1, vW2, _, vE = vtape
    # B3  of dW2 = dF^T E, db2 = dF and dE = dF W2
    hW2 = (hF.mT @ E + dF.mT @ vE).sum(axis=0)  # (o, h)                       of (15.4)
    hb2 = hF.sum(axis=(0, 1))  # (o,)                                          of (15.5)
    dE = dF @ W2  # (B, N, h)
    hE = hF @ W2 + dF @ vW2  # (B, N, h)                                       of (15.6)
    # B2  of dR = dE step(R)
    dR = dE * step  # (B, N, h)
    hR = hE * step  # (B, N, h)                                                of (15.7)
    # B1  of dW1 = dR^T C, db1 = dR and dC = dR W1
    hW1 = (hR.mT @ C + dR.mT @ vC).sum(axis=0)  # (h, d)                       of (15.8)
    hb1 = hR.sum(axis=(0, 1))  # (h,)                                          of (15.9)
    hC = hR @ W1 + dR @ vW1  # (B, N, d)                                       of (15.10)
    return hC, hW1, hb1, hW2, hb2
