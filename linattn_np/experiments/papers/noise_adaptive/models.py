"""The models of the paper's table: linear Transformers of width d+1, tied to fewer numbers (``models/tied.py``).

    GD++      w_xx and w_yx of each layer                     full      P and Q of each layer, one head
    diagonal  P = diag(p_x I, p_y), Q = diag(q_x I, q_y), one head: w_xx = p_x q_x, .., so that w_xx w_yy = w_xy w_yx
    four      w_xx, w_xy, w_yx, w_yy free: two heads, P_1 = diag(I, 0) and P_2 = diag(0, 1) held

Nothing is derived here: params = T w, the gradient is T^T times that of the Transformer, which the compiled kernels give. The
Transformer divides by n, so its numbers are n times those on plain sums. Source: arXiv 2402.14180, section 5 and 6; lesson 18.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...._checks import one_of
from ...._types import Array
from ....models.tied import Free, Scalar, tied
from ....models.ties import LinearMap, Shape, matrices, places
from ....models.transformer import LinearTransformer

KINDS = ("GD++", "diagonal", "four", "full")


@dataclass(frozen=True)
class FourScalars:
    """Two heads that carry four free numbers a layer, (w_xx, w_xy, w_yx, w_yy).  w (L, 4)

    Head 1 writes covariates, P = diag(I, 0), Q = diag(w_xx I, w_xy); head 2 the label, P = diag(0, 1), Q = diag(w_yx I, w_yy).
    """

    def map(self, params: Shape) -> LinearMap:
        L, H, _, k, _ = matrices(self, params, least=2)
        if H != 2:
            raise ValueError(f"FourScalars: expected a model with 2 heads, got {H}")
        offset = np.zeros(params)
        offset[:, 0, 0, range(k - 1), range(k - 1)] = offset[:, 1, 0, -1, -1] = 1.0
        rows = places(params).diagonal(axis1=-2, axis2=-1)[:, :, 1]  # (L, 2, k): the diagonals of both Q
        columns = places((L, 2, 2))[..., [0] * (k - 1) + [1]]
        return LinearMap(rows.ravel(), columns.ravel(), np.ones(rows.size), offset, (L, 4))


def model_of(kind: str, layers: int, d: int) -> Any:
    """The model of a row of the table. kind one of KINDS -> a model; its params: see above."""
    one_of("kind", kind, KINDS)
    if kind in ("diagonal", "full"):
        model = LinearTransformer(d, layers, heads=1, full=True)
        return model if kind == "full" else tied(model, Scalar((d, 1)))
    four = tied(LinearTransformer(d, layers, heads=2, full=True), FourScalars())
    return four if kind == "four" else tied(four, Free((1, 0, 1, 0)))


def start(kind: str, layers: int, d: int, rng: np.random.Generator) -> Array:
    """Where training begins: every layer a small step of descent, w_yx = -0.1 and w_xx = -0.01, each number off by a tenth.

    The full model begins at the diagonal one, each entry of P and Q off by N(0, 0.01^2).
    """
    factor = 1 + 0.1 * rng.standard_normal((layers, 4))
    if kind == "GD++":
        return (np.array([-0.01, -0.1]) * factor[:, ::2]).ravel()
    if kind == "four":
        return np.array([-0.01, 0.0, -0.1, 0.0]) * factor
    p_and_q = (np.array([0.03, 0.3, -0.3, 0.0]) * factor).reshape(layers, 1, 2, 2)  # p_x, p_y and q_x, q_y
    if kind == "diagonal":
        return p_and_q
    return tied(model_of("full", layers, d), Scalar((d, 1))).to_model(p_and_q) + 0.01 * rng.standard_normal(
        (layers, 1, 2, d + 1, d + 1)
    )


def matrices_of(kind: str, params: Array, d: int) -> Array:
    """P and Q of every layer and head, on means over the examples. -> (L, H, 2, d+1, d+1)"""
    layers = params.size // 2 if kind == "GD++" else len(params)
    model = model_of(kind, layers, d)
    while hasattr(model, "tie"):
        params, model = model.to_model(params), model.model
    return params
