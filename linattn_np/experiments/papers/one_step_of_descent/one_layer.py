"""All that a prediction sees of one layer with full matrices: the last row of P and the first d columns of Q.

With tokens e_i = (x_i, y_i), the query's (x, 0) and G = (1/n) sum_i e_i e_i^T over the examples, the label that the layer
Z + (1/n) P Z M (Z^T Q Z) gives to the query is p^T G K x: p (D,) the last row of P, K (D, d) the first d columns of Q, D = d+1.
So these (d+1)^2 numbers are the model; the other rows of P and the last column of Q have gradient zero, and training leaves them
where they are.

Forward                                 Backward, from dprediction (B,)
(16.5)  u = K x                         (16.8)   dp = -sum_b dprediction a
(16.6)  a = G u                         (16.9)   da = -dprediction p
(16.7)  prediction = -p^T a             (16.10)  du = G da                    G is symmetric
                                        (16.11)  dK = sum_b du x^T

The model's params are one array (D, D): p in column 0, K in the others. Derived in lesson 16.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .... import audit
from ...._checks import as_count, as_numbers, as_prompts, as_real, as_rng
from ...._types import Array
from ....layers.marks import Mark, keep
from ....models.model import check_width


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    p: Array  # (D,)
    K: Array  # (D, d)
    G: Array  # (B, D, D)
    x: Array  # (B, d)
    a: Array  # (B, D)


def state(Z: Array) -> tuple[Array, Array]:
    """What is seen of prompts Z (B, n+1, D): G (B, D, D) and the query's covariates x (B, d)."""
    examples = Z[:, :-1]  # (B, n, D)
    return examples.mT @ examples / examples.shape[1], Z[:, -1, :-1]


def forward(p: Array, K: Array, G: Array, x: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """(16.5) to (16.7).  p (D,), K (D, d), G (B, D, D), x (B, d) -> predictions (B,) and the tape. Cost O(B D^2)."""
    p, K = mark("p", p), mark("K", K)
    # F1  u = K x                                                        (16.5)
    u = mark("u", x @ K.T)  # (B, D)
    # F2  a = G u                                                        (16.6)
    a = mark("a", (G @ u[..., None])[..., 0])  # (B, D)
    # F3  prediction = -p^T a                                            (16.7)
    prediction = mark("prediction", -(a @ p))  # (B,)
    return prediction, Tape(p, K, G, x, a)


def backward(dprediction: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array]:
    """(16.8) to (16.11), the forward lines undone in reverse.  (B,) -> dp (D,) and dK (D, d), summed over the batch."""
    p, _, G, x, a = tape
    dprediction = mark("dprediction", dprediction)
    # B3  undoes F3  prediction = -p^T a
    dp = mark("dp", -(dprediction @ a))  # (D,)                          (16.8)
    da = mark("da", -dprediction[:, None] * p)  # (B, D)                 (16.9)
    # B2  undoes F2  a = G u
    du = mark("du", (G @ da[..., None])[..., 0])  # (B, D)               (16.10)
    # B1  undoes F1  u = K x
    dK = mark("dK", du.T @ x)  # (D, d)                                  (16.11)
    return dp, dK


def tangent(vp: Array, vK: Array, tape: Tape) -> Array:
    """The predictions' derivative along (vp, vK): the tangents of (16.5) to (16.7). -> (B,)"""
    p, _, G, x, a = tape
    vu = x @ vK.T  # (B, D)                                              of (16.5)
    va = (G @ vu[..., None])[..., 0]  # (B, D)                           of (16.6)
    return -(va @ p + a @ vp)  # (B,)                                    of (16.7)


@dataclass(frozen=True)
class OneLayer:
    """The layer as a model (``models/model.py``): params (d+1, d+1), p in column 0 and K in the others."""

    d: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "d", as_count("d", self.d))

    def init_params(self, rng: np.random.Generator, std: float = 0.02) -> Array:
        """Every entry N(0, std^2). -> (d+1, d+1)"""
        return as_real("std", std, least=0) * as_rng(rng).standard_normal((self.d + 1, self.d + 1))

    def as_params(self, params: Any) -> Array:
        """``params`` as an array (d+1, d+1), real or complex. Raises ValueError for another shape."""
        theta = as_numbers("params", params, complex_ok=True)
        if theta.shape != (self.d + 1, self.d + 1):
            raise ValueError(f"params: expected shape {(self.d + 1, self.d + 1)} for {self}, got {theta.shape}")
        return theta

    def predict(self, params: Any, Z: Array) -> Array:
        """(16.7) for each prompt of Z (B, n+1, d+1). -> (B,)"""
        theta = self.as_params(params)
        return forward(theta[:, 0], theta[:, 1:], *state(Z))[0]

    def loss_and_grad(self, params: Any, Z: Array, y: Array) -> tuple[float, Array]:
        """The mean squared error and its gradient. -> (float, like params)"""
        theta = self.as_params(params)
        Z, y = as_prompts(Z, y, complex_ok=True)
        check_width(self, Z)
        prediction, tape = forward(theta[:, 0], theta[:, 1:], *state(Z))
        error = prediction - y  # (B,)
        dp, dK = backward(2 * error / len(y), tape)
        return (error * error).mean().item(), np.concatenate([dp[:, None], dK], axis=1)

    def full(self, params: Any) -> Array:
        """The same layer for ``la.predict``: whole matrices, zero where no prediction sees them. -> (1, 1, 2, d+1, d+1)"""
        theta = self.as_params(params)
        layer = np.zeros((1, 1, 2, self.d + 1, self.d + 1), theta.dtype)
        layer[0, 0, 0, -1] = theta[:, 0]
        layer[0, 0, 1, :, :-1] = theta[:, 1:]
        return layer


def _point() -> tuple[dict[str, Array], Array, Array]:
    """A small generic point: B = 7 prompts of n = 5, d = 3."""
    rng = np.random.default_rng(16)
    theta = {"p": rng.standard_normal(4), "K": rng.standard_normal((4, 3))}
    return theta, *state(rng.standard_normal((7, 6, 4)))


def audit_layer() -> audit.Report:
    """The layer's backward, each line of it."""
    theta, G, x = _point()

    def ahead(theta: dict[str, Array], mark: Mark = keep) -> Array:
        return forward(theta["p"], theta["K"], G, x, mark)[0]

    def back(theta: dict[str, Array], dout: Array, mark: Mark = keep) -> dict[str, Array]:
        dp, dK = backward(dout, forward(theta["p"], theta["K"], G, x)[1], mark)
        return {"p": dp, "K": dK}

    equations = {"dp": "16.8", "da": "16.9", "du": "16.10", "dK": "16.11"}
    return audit.audit_gradient(ahead, back, theta, equations=equations, title="what one layer's prediction sees")


def audit_tangent() -> audit.Report:
    """The tangent, a linear function of the direction, whose adjoint is the backward pass."""
    theta, G, x = _point()
    tape = forward(theta["p"], theta["K"], G, x)[1]
    direction = {name: np.cos(np.arange(array.size)).reshape(array.shape) for name, array in theta.items()}

    def back(_: dict[str, Array], dout: Array) -> dict[str, Array]:
        return dict(zip(("p", "K"), backward(dout, tape), strict=True))

    return audit.audit_gradient(lambda v: tangent(v["p"], v["K"], tape), back, direction, title="its tangent")


AUDITS = {"layer": audit_layer, "tangent": audit_tangent}
