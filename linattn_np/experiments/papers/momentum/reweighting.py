"""What momentum makes of causal linear attention: a weight for every distance, and how the weights move with beta and gamma.

Forward, for distances k = 0 .. T-1                        Backward, from da = df/da
(21.11) a_k = gamma (1 - beta^{k+1}) / (1 - beta)          (21.18) dgamma = sum_k da_k a_k / gamma
        W_ij = a_{i-j} for j <= i, else 0                  (21.19) dbeta  = sum_k da_k gamma / (1 - beta)^2
                                                                             ((1 - beta^{k+1}) - (k+1) beta^k (1 - beta))

It grows with the distance, from gamma at 0 to the far gain gamma / (1 - beta): the newest tokens are damped. ``released`` is what
the authors' parallel code does instead: the distance is that of token j to the end of the text, whoever reads. Derived in lesson
21.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers.marks import Mark, keep


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    beta: Array  # a number
    gamma: Array  # a number
    a: Array  # (T,)
    places: Array  # (T, T), the distance whose weight stands at i, j


def causal(T: int) -> Array:
    """The distance i - j from reader i to token j, (T, T); negative for what is not read."""
    return np.arange(T)[:, None] - np.arange(T)


def to_the_end(T: int) -> Array:
    """The distance T - 1 - j from token j to the last token in place of i - j, (T, T); negative for what is not read."""
    return np.where(causal(T) >= 0, T - 1 - np.arange(T), -1)


def forward(beta: Array, gamma: Array, T: int, released: bool = False, mark: Mark = keep) -> tuple[Array, Tape]:
    """The weights of T tokens: (21.11). beta (not 1) and gamma numbers -> W (T, T) and the tape. Cost O(T^2)."""
    beta, gamma, k = mark("beta", beta), mark("gamma", gamma), np.arange(T)
    # F1  a_k = gamma (1 - beta^{k+1}) / (1 - beta)                                              (21.11)
    a = mark("a", gamma * (1 - beta ** (k + 1)) / (1 - beta))  # (T,)
    # F2  W_ij = a_{i-j}                                                                         (21.11)
    places = to_the_end(T) if released else causal(T)  # (T, T)
    W = mark("W", np.where(places >= 0, a[places], 0.0))  # (T, T)
    return W, Tape(beta, gamma, a, places)


def backward(dW: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array]:
    """Gradients of the two numbers: (21.18), (21.19). dW (T, T) -> dbeta, dgamma, numbers. Cost O(T^2). Derived in lesson 21."""
    beta, gamma, a, places = tape
    dW, k = mark("dW", dW), np.arange(len(a))
    # B2  undoes F2  W_ij = a_{i-j}: a distance collects all pairs that have it
    da = np.zeros(len(a), np.result_type(dW, a))
    np.add.at(da, places[places >= 0], dW[places >= 0])
    da = mark("da", da)  # (T,)
    # B1  undoes F1  a_k = gamma (1 - beta^{k+1}) / (1 - beta): a quotient, both parts move
    slope = gamma * ((1 - beta ** (k + 1)) - (k + 1) * beta**k * (1 - beta)) / (1 - beta) ** 2  # (T,)     (21.19)
    dbeta = mark("dbeta", (da * slope).sum())  # (21.19)
    dgamma = mark("dgamma", (da * a).sum() / gamma)  # (21.18)
    return dbeta, dgamma


def tangent(vbeta: Array, vgamma: Array, tape: Tape) -> Array:
    """Derivative of the weights along (vbeta, vgamma), two numbers: the tangent of (21.11). -> vW (T, T)"""
    beta, gamma, a, places = tape
    k = np.arange(len(a))
    top = -(k + 1) * beta**k * vbeta * gamma / (1 - beta)  # (T,)                        of (21.11)
    va = vgamma * a / gamma + top + vbeta * a / (1 - beta)  # (T,)                       of (21.11)
    return np.where(places >= 0, va[places], 0.0)  # (T, T)                              of (21.11)


# ---------------------------------------------------------------- its audits


def _audited(released: bool) -> Report:
    theta: Any = {"beta": np.array(0.6), "gamma": np.array(0.7)}

    def run(theta: Any, mark: Mark = keep) -> Array:
        return forward(**theta, T=7, released=released, mark=mark)[0]

    def back(theta: Any, dW: Array, mark: Mark = keep) -> dict[str, Array]:
        return dict(zip(theta, backward(dW, forward(**theta, T=7, released=released)[1], mark), strict=True))

    return audit_gradient(run, back, theta, title="reweighting")


def tangent_error() -> float:
    """How far tangent and backward are from a complex step of the forward."""
    v, rng = (np.array(0.3), np.array(-0.9)), np.random.default_rng(21)
    at = np.array(0.6), np.array(0.7)
    stepped = forward(at[0] + 1e-30j * v[0], at[1] + 1e-30j * v[1], 7)[0].imag / 1e-30
    W, tape = forward(*at, 7)
    dW = rng.standard_normal(W.shape)
    adjoint = (dW * stepped).sum() - sum(a * b for a, b in zip(backward(dW, tape), v, strict=True))
    return float(np.abs(tangent(*v, tape) - stepped).max() + abs(adjoint))


def sum_error() -> float:
    """How far the closed form is from gamma (1 + beta + .. + beta^k), what the recurrence adds up."""
    W = forward(np.array(0.6), np.array(0.7), 7)[0]
    return float(np.abs(W[:, 0] - 0.7 * np.cumsum(0.6 ** np.arange(7))).max() + np.abs(W[2, 3:]).max() + abs(W[4, 4] - 0.7))


AUDITS = {"weights": lambda: _audited(False), "released": lambda: _audited(True)}
CHECKS = {"tangent and adjoint": tangent_error, "geometric sum": sum_error}
