"""The fixed corner: how trained d x d blocks become the matrices (d+1) x (d+1) that a layer uses.

P = diag(P', 1) and Q = diag(Q', 0), as in the paper's code: the label's entry of P is 1 and is not trained, that of Q is 0.
The map is affine, so its tangent has 0 in the corner, and the tangent's adjoint cuts the blocks out again.
"""

import numpy as np

from .._types import Array


def to_full(params: Array, D: int) -> Array:
    """The matrices the layers use, (L, H, 2, D, D): P = diag(P', 1) and Q = diag(Q', 0), or params itself where k = D."""
    if params.shape[-1] == D:
        return params
    full = to_full_tangent(params, D)
    full[:, :, 0, -1, -1] = 1.0
    return full


def to_full_tangent(vparams: Array, D: int) -> Array:
    """The tangent of :func:`to_full`: as there, with 0 in the corner, which is fixed."""
    if vparams.shape[-1] == D:
        return vparams
    full = np.zeros((*vparams.shape[:3], D, D), vparams.dtype)
    full[..., :-1, :-1] = vparams
    return full


def to_full_adjoint(dfull: Array, k: int) -> Array:
    """The adjoint of :func:`to_full_tangent`: the entries that are trained, (L, H, 2, k, k)."""
    return dfull[..., :k, :k]
