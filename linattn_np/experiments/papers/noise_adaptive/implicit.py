"""Every layer keeps a linear model: what theorem 4.1 says, from the product of the layers' matrices T.

A layer moves every token of a prompt by one matrix, z_i' = T z_i (``layers/gram.py``), so after l layers z_i is C_l z_i with

(18.12)  C_0 = I,   C_{l+1} = T_l C_l,   C_l = [[M_l, u_l], [-w_l^T, a_l]]

and read line by line this is x_i^l = M_l x_i + y_i u_l, y_i^l = a_l y_i - w_l.x_i. The query has y = 0, so the model's answer is
w_L.x_q: the weights w_L of a linear regression, made from the prompt. Lemma 4.3's recursion is this product written out.
Source: arXiv 2402.14180, section 4; derived in lesson 18.
"""

from typing import NamedTuple

import numpy as np

from ...._types import Array
from ....layers import gram, linear_attention


class LinearModel(NamedTuple):
    """What the tokens of a prompt are after a layer, as a function of what they were before the first."""

    M: Array  # (B, d, d)
    u: Array  # (B, d)
    w: Array  # (B, d)
    a: Array  # (B,)


def implicit_models(matrices: Array, Z: Array) -> list[LinearModel]:
    """(18.12)  The linear models of prompts Z (B, n+1, d+1) before the first layer and after each.

    matrices (L, H, 2, d+1, d+1): P and Q as ``predict`` takes them, of any linear Transformer. Cost O(B L H d^3).
    """
    state = gram.compress(Z)
    C = np.broadcast_to(np.eye(Z.shape[-1]), state.G.shape)
    models = [in_parts(C)]
    for P, Q in matrices.swapaxes(1, 2):
        state, tape = gram.forward(state, P, Q)
        C = tape.T @ C
        models.append(in_parts(C))
    return models


def in_parts(C: Array) -> LinearModel:
    """M, u, w, a of C (B, d+1, d+1)."""
    return LinearModel(C[:, :-1, :-1], C[:, :-1, -1], -C[:, -1, :-1], C[:, -1, -1])


def moved_by(model: LinearModel, Z: Array) -> Array:
    """The tokens that the model says: x_i^l = M x_i + y_i u and y_i^l = a y_i - w.x_i. -> like Z"""
    X, y = Z[..., :-1], Z[..., -1:]
    covariates = X @ model.M.mT + y * model.u[:, None]
    labels = model.a[:, None, None] * y - X @ model.w[..., None]
    return np.concatenate([covariates, labels], axis=-1)


def answers(matrices: Array, G: Array, n: int) -> Array:
    """w_L alone, the last row of C_L, for states G (B, D, D) of n examples: the row is carried back, no product C is made. (B, d)

    Cost O(B L H d^3), about half of :func:`implicit_models`.
    """
    moves, D = [], G.shape[-1]
    for l, (P, Q) in enumerate(matrices.swapaxes(1, 2)):
        T = np.eye(D) + (P @ G[:, None] @ Q).sum(axis=1) / n
        moves.append(T)
        G = T @ G @ T.mT if l + 1 < len(matrices) else G
    row = np.broadcast_to(np.eye(D)[-1], (len(G), 1, D))
    for T in reversed(moves):
        row = row @ T
    return -row[:, 0, :-1]


def difference_from_tokens(matrices: Array, Z: Array) -> float:
    """Theorem 4.1 as a number: the largest difference between the tokens that layers make and those of (18.12), relative."""
    models, moved, worst = implicit_models(matrices, Z), Z, 0.0
    for (P, Q), model in zip(matrices.swapaxes(1, 2), models[1:], strict=True):
        moved, _ = linear_attention.forward(moved, P, Q)
        worst = max(worst, float(np.abs(moved_by(model, Z) - moved).max() / np.abs(moved).max()))
    return worst


def error() -> float:
    """How far the two roads of this module are from the layers, and from each other, at generic numbers."""
    rng = np.random.default_rng(18)
    Z, matrices = rng.standard_normal((3, 6, 4)), 0.5 * rng.standard_normal((3, 2, 2, 4, 4))
    w, state = implicit_models(matrices, Z)[-1].w, gram.compress(Z)
    apart = np.abs(answers(matrices, state.G, state.n) - w).max() / np.abs(w).max()
    return max(difference_from_tokens(matrices, Z), float(apart))


CHECKS = {"implicit": error}
