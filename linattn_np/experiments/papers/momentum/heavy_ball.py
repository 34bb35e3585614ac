"""Polyak's heavy ball on the implicit weights: what a stack with momentum between its layers does, in one line a layer.

A prompt is seen through C = (1/n) sum_j x_j x_j^T and b = (1/n) sum_j y_j x_j; g_l = b - C w_l is minus the gradient of its own
loss.

Forward, from w_0 = w_{-1} = 0                             Backward, from dw_L; dw_{L+1} = 0
(21.2) w_{l+1} = w_l + eta_l g_l + beta_l (w_l - w_{l-1})  (21.3) dw_l = (1 + beta_l) dw_{l+1} - eta_l C dw_{l+1}
                                                                  - beta_{l+1} dw_{l+2}
                                                           (21.4) deta_l  = sum dw_{l+1}.g_l
                                                           (21.5) dbeta_l = sum dw_{l+1}.(w_l - w_{l-1})

w_l is used in its own layer, twice (in g_l and in the difference), and as the layer before in the next one. eta and beta (L,);
the gradient of one number for all layers is the sum over them. Derived in lesson 21.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers.marks import Mark, keep, within

MOST = 1 - 1e-3  # the paper's 1 - delta, the largest momentum of the adaptive rule


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    C: Array  # (B, d, d)
    eta: Array  # (L,)
    beta: Array  # (L,)
    g: list[Array]  # of each layer, (B, d)
    moved: list[Array]  # w_l - w_{l-1} of each layer, (B, d)


def times(C: Array, w: Array) -> Array:
    """C w for each prompt. (B, d, d), (B, d) -> (B, d)"""
    return (C * w[:, None]).sum(axis=-1)


def forward(C: Array, b: Array, eta: Array, beta: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """The implicit weights after L layers: (21.2).

    C (B, d, d), b (B, d), eta and beta (L,) -> w_L (B, d) and the tape. Cost O(L B d^2). Polyak 1964; derived in lesson 21.
    """
    w, before = 0 * b, 0 * b  # (B, d)
    found: list[Array] = []
    steps: list[Array] = []
    for l in range(len(eta)):
        use = within(mark, l)
        # F1  g_l = b - C w_l            minus the gradient                                      (21.2)
        g = use("g", b - times(C, use("w_loss", w)))  # (B, d)
        # F2  w_l - w_{l-1}              how far the last layer went                             (21.2)
        moved = use("moved", w - before)  # (B, d)
        # F3  w_{l+1} = w_l + eta_l g_l + beta_l (w_l - w_{l-1})                                 (21.2)
        w, before = use("w", w + eta[l] * g + beta[l] * moved), w
        found.append(g)
        steps.append(moved)
    return w, Tape(C, eta, beta, found, steps)


def backward(dw: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array]:
    """Gradients of the two numbers of each layer: (21.3) to (21.5), the layers undone in reverse.

    dw_L (B, d) -> deta (L,), dbeta (L,), summed over the prompts; those of all layers add up where one number serves all.
    Cost O(L B d^2). Derived in lesson 21.
    """
    C, eta, beta, g, moved = tape
    deta, dbeta = (np.zeros(len(eta), np.result_type(dw, C, eta, beta)) for _ in range(2))
    later = 0 * dw  # (B, d)
    for l in reversed(range(len(eta))):
        use = within(mark, l)
        dw = use("dw", dw)  # (B, d)
        # B3  undoes F3  w_{l+1} = w_l + eta_l g_l + beta_l (w_l - w_{l-1})
        deta[l] = (dw * g[l]).sum()  # (21.4)
        dbeta[l] = (dw * moved[l]).sum()  # (21.5)
        dmoved = use("dmoved", beta[l] * dw)  # (B, d)                         (21.3)
        dg = use("dg", eta[l] * dw)  # (B, d)                                  (21.3)
        # B2  undoes F2  w_l - w_{l-1}; what w_{l-1} gets waits for its own layer
        now = dw + dmoved + later  # (B, d)                                    (21.3)
        later = -dmoved  # (B, d)                                              (21.3)
        # B1  undoes F1  g_l = b - C w_l
        dw = now + use("dw_loss", -times(C, dg))  # (B, d)                     (21.3)
    return deta, dbeta


def tangent(veta: Array, vbeta: Array, tape: Tape) -> Array:
    """Derivative of w_L when the numbers move along (veta, vbeta) (L,): the tangent of (21.2). -> (B, d)"""
    C, eta, beta, g, moved = tape
    vw = vbefore = np.zeros_like(g[0])  # (B, d)
    for l in range(len(eta)):
        vg = -times(C, vw)  # (B, d)                                           of (21.2)
        vmoved = vw - vbefore  # (B, d)                                        of (21.2)
        step = veta[l] * g[l] + eta[l] * vg  # (B, d)                          of (21.2)
        vw, vbefore = vw + step + vbeta[l] * moved[l] + beta[l] * vmoved, vw  # (B, d)     of (21.2)
    return vw


def adaptive(C: Array, b: Array, eta: float, layers: int) -> tuple[Array, Array]:
    """The weights after layers whose momentum is read off the last two gradients, for each prompt by itself: (21.7).

    beta_l = (1 - sqrt(|g_l - g_{l-1}| / |g_{l-1}|))^2, not above 1 - delta; the first layer has none. The paper's (18) with its
    delta. -> w_L (B, d), beta (layers, B). Cost O(L B d^2).
    """
    w, before = 0 * b, 0 * b
    last, betas = None, []
    for _ in range(layers):
        g = b - times(C, w)
        ratio = np.ones(len(b)) if last is None else _lengths(g - last) / np.maximum(_lengths(last), 1e-300)
        betas.append(np.minimum((1 - np.sqrt(ratio)) ** 2, MOST))
        w, before, last = w + eta * g + betas[-1][:, None] * (w - before), w, g
    return w, np.array(betas)


def _lengths(x: Array) -> Array:
    return np.sqrt((x * x).sum(axis=-1))


def rate(eta: float, beta: float, eigenvalue: Array) -> Array:
    """By what factor a layer shrinks the error along an eigenvector of C, in the long run: (21.6).

    The larger root of rho^2 - (1 + beta - eta lambda) rho + beta = 0 in size; sqrt(beta) where the roots are complex.
    """
    middle = 1 + beta - eta * np.asarray(eigenvalue, float)
    inside = np.sqrt((middle**2 - 4 * beta).astype(complex))
    return np.maximum(np.abs(middle + inside), np.abs(middle - inside)) / 2


# ---------------------------------------------------------------- its audits


def _point() -> Any:
    rng = np.random.default_rng(21)
    X, y = rng.standard_normal((5, 7, 3)), rng.standard_normal((5, 7))
    C, b = np.einsum("bni,bnj->bij", X, X) / 7, np.einsum("bn,bni->bi", y, X) / 7
    return {"C": C, "b": b, "eta": rng.uniform(0.3, 0.9, 4), "beta": rng.uniform(0.2, 0.8, 4)}


def audited() -> Report:
    """The audit of both gradients at a generic point, four layers with numbers of their own."""
    at = _point()
    theta = {name: at.pop(name) for name in ("eta", "beta")}

    def run(theta: Any, mark: Mark = keep) -> Array:
        return forward(**at, **theta, mark=mark)[0]

    def back(theta: Any, dw: Array, mark: Mark = keep) -> dict[str, Array]:
        return dict(zip(theta, backward(dw, forward(*at.values(), *theta.values())[1], mark), strict=True))

    return audit_gradient(run, back, theta, title="heavy ball")


def tangent_error() -> float:
    """How far tangent and backward are from a complex step of the forward."""
    at, rng = _point(), np.random.default_rng(22)
    veta, vbeta = rng.standard_normal((2, 4))
    moved = {**at, "eta": at["eta"] + 1e-30j * veta, "beta": at["beta"] + 1e-30j * vbeta}
    stepped = forward(**moved)[0].imag / 1e-30
    w, tape = forward(**at)
    dw = rng.standard_normal(w.shape)
    deta, dbeta = backward(dw, tape)
    adjoint = (dw * stepped).sum() - (deta * veta).sum() - (dbeta * vbeta).sum()
    return float(np.abs(tangent(veta, vbeta, tape) - stepped).max() + abs(adjoint))


AUDITS = {"eta and beta": audited}
CHECKS = {"tangent and adjoint": tangent_error}
