"""What each layer hands on, by the recursion of lesson 30, and what that says about the rates of the layers.

    S_0 = (1/n) sum_i x_i x_i^T,   S_{l+1} = T_l S_l T_l^T,   T_l = I + P'_l S_l Q'_l,   s_l = mean over prompts of tr S_l / d

The scale of a layer's predictor is s_l Q'_l, so the same relative step everywhere asks for rates that rise as s_l^-2 for SGD and
as s_l^-1 for Adam: the base is b = (s_0 / s_{L-1})^(2 / (L - 1)).
"""

from typing import Any

import numpy as np

from ...._types import Array
from ....models.transformer import LinearTransformer
from ....optimizers import global_norm


def handed_on(params: Array, Z: Array) -> Array:
    """The covariates' second moments before each layer: params (L, 1, 2, d, d), Z (B, n+1, d+1) -> S (L, B, d, d).

    For one head. O(L B d^3).
    """
    X = Z[:, :-1, :-1]  # (B, n, d)
    S = X.mT @ X / X.shape[1]  # (B, d, d)
    found = [S]
    for P, Q in params[:-1, 0]:
        T = np.eye(len(P)) + P @ S @ Q  # (B, d, d)
        S = T @ S @ T.mT  # (B, d, d)
        found.append(S)
    return np.stack(found)  # (L, B, d, d)


def by_layer(params: Array, batches: list[Any]) -> Array:
    """tr S_l / d, the length of Q'_l, and that of the gradient by it, medians over batches. -> (3, L)"""
    model, rows = LinearTransformer(params.shape[-1], len(params)), []
    for Z, y in ((batch.Z, batch.y) for batch in batches):
        S, grad = handed_on(params, Z), model.loss_and_grad(params, Z, y)[1]
        scale = np.trace(S, axis1=2, axis2=3).mean(axis=1) / params.shape[-1]
        rows.append([scale, [global_norm(Q) for Q in params[:, :, 1]], [global_norm(dQ) for dQ in grad[:, :, 1]]])
    return np.median(rows, axis=0)


def predicted_base(scale: Array) -> float:
    """The base of the layers' rates from s_l (L,)."""
    return float((scale[0] / scale[-1]) ** (2 / (len(scale) - 1)))
