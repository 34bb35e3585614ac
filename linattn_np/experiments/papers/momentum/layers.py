"""Momentum between layers of linear attention, on tokens and on the state: the paper's momentum connection on the project's
stack.

Forward, from Z_{-1} = Z_0                                Backward, from dZ_L; dZ_{L+1} = 0
(21.1) Z_{l+1} = Z_l + attention(Z_l)                     (21.8) dZ_l = A_l(dZ_{l+1}) + beta_l dZ_{l+1} - beta_{l+1} dZ_{l+2}
                 + beta_l (Z_l - Z_{l-1})                 (21.9) dbeta_l = <dZ_{l+1}, Z_l - Z_{l-1}>

A_l is the backward pass of a layer with its skip, (2.5) to (2.13) of lesson 02, which also gives dP_l and dQ_l. Where P adds to
the labels alone and Q = -eta I on the covariates, the label of token j is y_j - <w_l, x_j> and the stack is Polyak's heavy ball
on w_l: ``heavy_ball.py``. On the state nothing but Z_l = Z_0 A_l^T is kept, G_l = A_l G_0 A_l^T: a recursion of D x D matrices
for each prompt.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._checks import as_count, as_numbers, as_params, as_prompts
from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers import linear_attention
from ....layers.corner import to_full, to_full_adjoint
from ....layers.linear_attention import key_mask, readout, readout_backward
from ....layers.marks import Mark, keep, within
from . import heavy_ball


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    layers: list[linear_attention.Tape]
    beta: Array  # (L,)
    moved: list[Array]  # Z_l - Z_{l-1} of each layer, (B, N, D)


def heavy_ball_params(d: int, eta: Any, layers: int) -> Array:
    """The params for which :func:`predict` is Polyak's heavy ball from w = 0 with steps eta: P' = 0, Q' = -eta I, d x d blocks.

    d covariates, eta a number or (layers,) -> (layers, 1, 2, d, d). Raises ValueError for counts below 1.
    """
    d, layers = as_count("d", d), as_count("layers", layers)
    eta = as_numbers("eta", eta)
    if eta.shape not in ((), (layers,)):
        raise ValueError(f"eta: expected a number or one for each of {layers} layers, got shape {eta.shape}")
    params = np.zeros((layers, 1, 2, d, d), eta.dtype)
    params[:, 0, 1] = -np.broadcast_to(eta, (layers,))[:, None, None] * np.eye(d)
    return params


def as_beta(beta: Any, layers: int) -> Array:
    """One momentum for each layer (layers,), from a number or (layers,). Raises ValueError otherwise."""
    beta = as_numbers("beta", beta, complex_ok=True)
    if beta.shape not in ((), (layers,)):
        raise ValueError(f"beta: expected a number or one for each of {layers} layers, got shape {beta.shape}")
    return np.broadcast_to(beta, (layers,))


def forward(Z: Array, matrices: Array, beta: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """The stack with momentum between its layers: (21.1).

    Z (B, N, D), matrices (L, H, 2, D, D), beta (L,) -> Z_L (B, N, D) and the tape. Cost O(L H B N^2 D). Derived in lesson 21.
    """
    before, tapes, steps = Z, [], []
    for l, (P, Q) in enumerate(matrices.swapaxes(1, 2)):
        use = within(mark, l)
        # F1  Z_l - Z_{l-1}              how far the last layer went                             (21.1)
        moved = use("moved", Z - before)  # (B, N, D)
        # F2  Z_l + attention(Z_l)       (2.1) to (2.4)
        attended, tape = linear_attention.forward(Z, P, Q, use)  # (B, N, D)
        # F3  Z_{l+1} = Z_l + attention(Z_l) + beta_l (Z_l - Z_{l-1})                            (21.1)
        Z, before = use("next", attended + beta[l] * moved), Z
        tapes.append(tape)
        steps.append(moved)
    return Z, Tape(tapes, beta, steps)


def backward(dZ: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array]:
    """Gradients of the stack: (21.8), (21.9), the layers undone in reverse.

    dZ_L (B, N, D) -> dZ_0 (B, N, D), dmatrices (L, H, 2, D, D), dbeta (L,). Cost O(L H B N^2 D). Derived in lesson 21.
    """
    layers, beta, moved = tape
    dbeta = np.zeros(len(beta), np.result_type(dZ, *layers[0][:3], beta))
    later, found = 0 * dZ, []
    for l in reversed(range(len(layers))):
        use = within(mark, l)
        dZ = use("dnext", dZ)  # (B, N, D)
        # B3  undoes F3  Z_{l+1} = attended + beta_l (Z_l - Z_{l-1})
        dbeta[l] = (dZ * moved[l]).sum()  # (21.9)
        dmoved = use("dmoved", beta[l] * dZ)  # (B, N, D)                      (21.8)
        # B2  undoes F2  attention with its skip: (2.5) to (2.13)
        dattended, dP, dQ = linear_attention.backward(dZ, layers[l], use)  # (B, N, D)
        # B1  undoes F1  Z_l - Z_{l-1}; what Z_{l-1} gets waits for its own layer
        dZ = dattended + dmoved + later  # (B, N, D)                           (21.8)
        later = -dmoved  # (B, N, D)                                           (21.8)
        found.append(np.stack([dP, dQ], axis=1))
    return dZ + later, np.array(found[::-1]), dbeta


def tangent(vZ: Array, vmatrices: Array, vbeta: Array, tape: Tape) -> Array:
    """Derivative of Z_L along (vZ, vmatrices, vbeta), shaped like Z, matrices, beta: the tangent of (21.1). -> (B, N, D)"""
    layers, beta, moved = tape
    vbefore = vZ
    for l, (vP, vQ) in enumerate(vmatrices.swapaxes(1, 2)):
        vmoved = vZ - vbefore  # (B, N, D)                                     of (21.1)
        vattended, _ = linear_attention.tangent(vZ, vP, vQ, layers[l])  # (B, N, D)        of (21.1)
        vZ, vbefore = vattended + vbeta[l] * moved[l] + beta[l] * vmoved, vZ  # (B, N, D)  of (21.1)
    return vZ


def predict(params: Any, Z: Array, beta: Any) -> Array:
    """The answers of the stack with momentum beta between its layers: (21.1), read off as (1.4).

    params (L, H, 2, k, k), k = d or d+1, Z (B, n+1, d+1), beta a number or (L,) -> (B,). beta = 0 is ``la.predict``.
    Raises ValueError where shapes do not belong together. Cost O(L H B n^2 d). The paper's (15) without its feed-forward part.
    """
    params, Z, beta = _checked(params, Z, beta)
    return readout(forward(Z, to_full(params, Z.shape[-1]), beta)[0])


def loss_and_grad(params: Any, Z: Array, y: Array, beta: Any) -> tuple[float, Array, Array]:
    """The mean squared error of :func:`predict`, its gradient like params, and that of each layer's beta (L,)."""
    Z, y = as_prompts(Z, y, complex_ok=True)
    params, Z, beta = _checked(params, Z, beta)
    last, tape = forward(Z, to_full(params, Z.shape[-1]), beta)
    error = readout(last) - y
    _, dmatrices, dbeta = backward(readout_backward(2 * error / len(y), last), tape)
    return (error * error).mean().item(), to_full_adjoint(dmatrices, params.shape[-1]), dbeta


def predict_on_the_state(params: Any, Z: Array, beta: Any) -> Array:
    """:func:`predict` from the state alone: G_0 = Z M Z^T (D, D) and the query of each prompt, no other token. -> (B,)

    A_{l+1} = (I + P G_l Q / n) A_l + beta_l (A_l - A_{l-1}), G_l = A_l G_0 A_l^T, A_0 = A_{-1} = I. Cost O(L H B d^3).
    """
    params, Z, beta = _checked(params, Z, beta)
    D, n = Z.shape[-1], Z.shape[1] - 1
    G = Z.mT @ (Z * key_mask(n + 1)[:, None])  # (B, D, D)
    A = before = np.broadcast_to(np.eye(D), G.shape)  # (B, D, D)
    for l, (P, Q) in enumerate(to_full(params, D).swapaxes(1, 2)):
        step = (P @ (A @ G @ A.mT)[:, None] @ Q).sum(axis=1) / n  # (B, D, D)
        A, before = A + step @ A + beta[l] * (A - before), A
    return -(A @ Z[:, -1][..., None])[:, -1, 0]


def _checked(params: Any, Z: Any, beta: Any) -> tuple[Array, Array, Array]:
    params, Z = as_params(params), as_prompts(Z, complex_ok=True)
    D = Z.shape[-1]
    if params.shape[-1] not in (D - 1, D):
        raise ValueError(f"params: expected k = d = {D - 1} or d+1 = {D} for Z of shape {Z.shape}, got k = {params.shape[-1]}")
    return params, Z, as_beta(beta, len(params))


def moments(Z: Array) -> tuple[Array, Array]:
    """What the heavy ball sees of prompts Z (B, n+1, d+1): C (B, d, d) and b (B, d) of ``heavy_ball.py``."""
    X, y, n = Z[:, :-1, :-1], Z[:, :-1, -1], Z.shape[1] - 1
    return X.mT @ X / n, (X.mT @ y[..., None])[..., 0] / n


# ---------------------------------------------------------------- its audits


def _point(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    shapes = {"Z": (3, 5, 4), "matrices": (3, 2, 2, 4, 4), "beta": (3,)}
    return {name: rng.standard_normal(shape) * (0.4 if name == "matrices" else 1) for name, shape in shapes.items()}


def audited() -> Report:
    """The audit of all gradients at a generic point: three layers, two heads."""

    def run(theta: Any, mark: Mark = keep) -> Array:
        return forward(**theta, mark=mark)[0]

    def back(theta: Any, dZ: Array, mark: Mark = keep) -> dict[str, Array]:
        return dict(zip(theta, backward(dZ, forward(*theta.values())[1], mark), strict=True))

    return audit_gradient(run, back, _point(21), title="momentum between layers")


def tangent_error() -> float:
    """How far tangent and backward are from a complex step of the forward."""
    at, v = _point(21), _point(22)
    stepped = forward(*(a + 1e-30j * b for a, b in zip(at.values(), v.values(), strict=True)))[0].imag / 1e-30
    last, tape = forward(**at)
    dZ = np.random.default_rng(23).standard_normal(last.shape)
    adjoint = (dZ * stepped).sum() - sum((a * b).sum() for a, b in zip(backward(dZ, tape), v.values(), strict=True))
    return float((np.abs(tangent(*[*v.values(), tape]) - stepped).max() + abs(adjoint)) / np.abs(stepped).max())


def construction_error() -> float:
    """How far the stack of :func:`heavy_ball_params` is from Polyak's recursion, and the state from the tokens, at generic
    weights too.
    """
    rng = np.random.default_rng(24)
    Z, beta, eta = rng.standard_normal((3, 8, 5)), rng.uniform(0.2, 0.8, 4), rng.uniform(0.2, 0.6, 4)
    Z[:, -1, -1] = 0.0
    ball = heavy_ball_params(4, eta, 4)
    w, _ = heavy_ball.forward(*moments(Z), eta, beta)
    found = np.abs(predict(ball, Z, beta) - (w * Z[:, -1, :-1]).sum(axis=-1)).max()
    for params in (ball, 0.2 * rng.standard_normal((4, 2, 2, 5, 5))):
        answer = predict(params, Z, beta)
        found = max(found, np.abs(predict_on_the_state(params, Z, beta) - answer).max() / np.abs(answer).max())
    return float(found)


AUDITS = {"stack": audited}
CHECKS = {"tangent and adjoint": tangent_error, "construction": construction_error}
