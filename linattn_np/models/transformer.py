"""The linear Transformer as a model, and the plain functions that a student meets first.

Z_{l+1} = layer(Z_l, P_l, Q_l) (1.3), prediction = -[Z_L]_{n+1, d+1} (1.4), f the mean squared error (1.5): ``stack.py``.
Parameters are one array (L, H, 2, k, k): [l, h, 0] is P, [l, h, 1] is Q. With k = d only the top-left blocks are trained and
each layer uses P = diag(P', 1), Q = diag(Q', 0), as the paper's code does; with k = d+1 the matrices are used as they are.
The last layer's d x d P never reaches the prediction: its gradient is exactly zero.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._checks import as_count, as_flag, as_numbers, as_params, as_prompts, as_real, as_rng, check_memory, one_of
from .._types import Array
from ..kernels.random_numpy import normals_from
from ..layers.corner import to_full, to_full_adjoint, to_full_tangent
from .attentions import attention_of
from .model import Passes, check_width
from .passes import BACKENDS, transformer_passes
from .stack import prediction_and_tapes

__all__ = [
    "LinearTransformer", "hessian", "hvp", "init_params", "loss", "loss_and_grad", "predict", "to_full", "to_full_adjoint",
    "to_full_tangent", "transformer_for",
]  # fmt: skip


@dataclass(frozen=True)
class LinearTransformer:
    """L layers of attention with H heads on tokens of d covariates and a label; a model in the sense of ``model.py``.

    ``full`` trains whole (d+1) x (d+1) matrices, else d x d blocks; ``attention`` is one of ``ATTENTIONS``; ``backend`` "numba"
    runs the compiled twin where there is one, "numpy" the definition: they agree to rounding.
    """

    d: int = 5
    layers: int = 3
    heads: int = 1
    full: bool = False
    attention: str = "linear"
    backend: str = "numba"

    def __post_init__(self) -> None:
        for name in ("d", "layers", "heads"):
            object.__setattr__(self, name, as_count(name, getattr(self, name)))
        object.__setattr__(self, "full", as_flag("full", self.full))
        largest = max(("d", "layers", "heads"), key=lambda name: getattr(self, name))
        check_memory(largest, getattr(self, largest), 16 * math.prod(self.shape) // getattr(self, largest))
        attention_of(self.attention)
        one_of("backend", self.backend, BACKENDS)

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """The shape of params, (L, H, 2, k, k)."""
        k = self.d + 1 if self.full else self.d
        return self.layers, self.heads, 2, k, k

    def init_params(self, rng: np.random.Generator, std: float = 0.05) -> Array:
        """Every entry N(0, std^2). The paper's runs use std = 0.05. -> (L, H, 2, k, k)"""
        return as_real("std", std, least=0) * normals_from(as_rng(rng), self.shape)

    def as_params(self, params: Any) -> Array:
        """``params`` as an array (L, H, 2, k, k); real or complex, float32 stays. Raises ValueError when the shape is another."""
        params = as_params(params)
        if params.shape != self.shape:
            raise ValueError(f"params: expected shape {self.shape} for {self}, got {params.shape}")
        return params

    def passes(self, *arrays: Array) -> Passes:
        """What computes this model's numbers, for params and other arrays of these types."""
        return transformer_passes(self, *arrays)

    def predict(self, params: Array, Z: Array) -> Array:
        """The answer for each prompt's query (1.4). -> (B,)"""
        params, Z = self.as_params(params), as_prompts(Z, complex_ok=True)
        check_width(self, Z)
        return prediction_and_tapes(params, Z, Z.shape[-1], attention_of(self.attention).layer)[0]

    def loss(self, params: Array, Z: Array, y: Array) -> float:
        """The mean squared error (1.5). -> float, or complex when params are"""
        Z, y = as_prompts(Z, y, complex_ok=True)
        error = self.predict(params, Z) - y
        return (error * error).mean().item()  # not abs: a complex step must pass

    def loss_and_grad(self, params: Array, Z: Array, y: Array) -> tuple[float, Array]:
        """The loss and its gradient. -> (float, like params)"""
        params, passes, batch = self._prepared(params, Z, y)
        value, grad = passes.loss_and_grad(params, batch)
        number = value if isinstance(value, float | complex) else value.item()  # complex as params are
        return number, grad  # type: ignore[return-value]

    def hvp(self, params: Array, Z: Array, y: Array, v: Array) -> Array:
        """H v, v like params. -> like params"""
        v = as_numbers("v", v, complex_ok=True)
        params, passes, batch = self._prepared(params, Z, y, v)
        if v.shape != params.shape:
            raise ValueError(f"v: expected the shape of params, {params.shape}, got {v.shape}")
        return passes.hvps(params, batch, v[None])[0]

    def hessian(self, params: Array, Z: Array, y: Array) -> Array:
        """The Hessian (p, p), p products."""
        params, passes, batch = self._prepared(params, Z, y)
        directions = np.eye(params.size, dtype=params.dtype).reshape(-1, *params.shape)
        return passes.hvps(params, batch, directions).reshape(params.size, params.size)

    def _prepared(self, params: Array, Z: Array, y: Array, *others: Array) -> tuple[Array, Passes, Any]:
        """The params, the passes that serve arrays of these types, and the prompts in their form."""
        params = self.as_params(params)
        Z, y = as_prompts(Z, y, complex_ok=True)
        check_width(self, Z)
        passes = self.passes(params, Z, *others)
        return params, passes, passes.prepare(Z, y)


def transformer_for(
    params: Any, d: int, attention: str = "linear", backend: str = "numba", Z: Array | None = None
) -> tuple[LinearTransformer, Array]:
    """The model whose params these are, on tokens of d covariates, and the params as an array; Z, if given, is named in
    errors.
    """
    params = as_params(params)
    layers, heads, _, k, _ = params.shape
    if k not in (d, d + 1):
        where, turned = ("", "") if Z is None else (f" for Z of shape {Z.shape}", looks_transposed(Z, k))
        raise ValueError(f"params: expected k = d = {d} or k = d+1 = {d + 1}{where}, got k = {k}{turned}")
    return LinearTransformer(d, layers, heads, k == d + 1, attention, backend), params


def looks_transposed(Z: Array, k: int) -> str:
    """A hint for the reader where prompts with tokens as columns would explain a width that does not fit k; else empty."""
    fits = k in (Z.shape[-2] - 1, Z.shape[-2])
    return "; tokens are rows: is Z transposed? Z.swapaxes(1, 2) would fit" if fits else ""


def _model_of(params: Any, Z: Any, attention: str, backend: str = "numba") -> tuple[LinearTransformer, Array, Array]:
    """The model that params and prompts belong to, and both as arrays."""
    attention_of(attention)
    params = as_params(params)
    if not (isinstance(Z, np.ndarray) and Z.ndim == 3):
        Z = as_prompts(Z, complex_ok=True)  # the model looks at its numbers once more, so not where an array is given
    model, params = transformer_for(params, Z.shape[-1] - 1, attention, backend, Z)
    return model, params, Z


# ---------------------------------------------------------------- plain functions


def init_params(
    rng: np.random.Generator, layers: int = 3, d: int = 5, heads: int = 1, std: float = 0.05, full: bool = False
) -> Array:
    """Random parameters: every entry N(0, std^2).

    rng a numpy.random.Generator -> (layers, heads, 2, k, k), k = d, or d+1 with ``full``.
    The paper's runs use std = 0.05. Raises ValueError for a count below 1 or a negative std.
    """
    return LinearTransformer(d, layers, heads, full).init_params(rng, std)


def predict(params: Array, Z: Array, attention: str = "linear") -> Array:
    """The model's answer for each prompt's query: prediction = -[Z_L]_{n+1, d+1} (1.4).

    params (L, H, 2, k, k), Z (B, n+1, d+1) -> (B,). attention "linear", "softmax" or "relu".
    Raises ValueError when shapes or values do not fit. Cost O(L H B n^2 d). Source: paper, section 2.
    """
    model, params, Z = _model_of(params, Z, attention)
    return model.predict(params, Z)


def loss(params: Array, Z: Array, y: Array, attention: str = "linear") -> float:
    """Mean squared error f = (1/B) sum_b (prediction_b - y_b)^2, not halved (1.5).

    params (L, H, 2, k, k), Z (B, n+1, d+1), y (B,) -> float, or complex when params are. Cost O(L H B n^2 d).
    Raises ValueError when shapes or values do not fit. Source: paper, section 2.
    """
    model, params, Z = _model_of(params, Z, attention)
    return model.loss(params, Z, y)


def loss_and_grad(params: Array, Z: Array, y: Array, attention: str = "linear", backend: str = "numba") -> tuple[float, Array]:
    """The loss and its gradient with respect to params, derived by hand: (1.5), (2.5) to (2.15).

    params (L, H, 2, k, k), Z (B, n+1, d+1), y (B,) -> (float, like params). backend "numba" runs the compiled twin where there
    is one (float64), "numpy" the definition; they agree to rounding. Raises ValueError when shapes or values do not fit.
    Cost: linear attention by Numba O(B n d^2 + L H B d^3), else O(L H B n^2 d). Source: derived in lesson 02.
    """
    model, params, Z = _model_of(params, Z, attention, backend)
    return model.loss_and_grad(params, Z, y)


def hvp(params: Array, Z: Array, y: Array, v: Array, attention: str = "linear", backend: str = "numba") -> Array:
    """The Hessian of the loss times a direction, H v: the tangent of the backward pass along v, (4.1) to (4.13).

    v like params -> like params. No finite difference is involved. The compiled twin serves linear attention; errors and shapes
    as for ``loss_and_grad``. Cost: about three gradients. Source: derived in lesson 04.
    """
    model, params, Z = _model_of(params, Z, attention, backend)
    return model.hvp(params, Z, y, v)


def hessian(params: Array, Z: Array, y: Array, attention: str = "linear", backend: str = "numba") -> Array:
    """The exact Hessian of the loss, one Hessian-vector product for each parameter.

    -> (p, p), p = params.size, in the C order of params. Backends, errors and shapes as for ``hvp``. ReLU attention: the Hessian
    away from its kinks. Cost: p Hessian-vector products. Source: derived in lesson 04.
    """
    model, params, Z = _model_of(params, Z, attention, backend)
    return model.hessian(params, Z, y)
