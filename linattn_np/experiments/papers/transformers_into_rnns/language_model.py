"""A small causal Transformer that predicts the next symbol, and the whole of its backward pass.

One block, normalised before each part, on tokens of width w:

    X0 = embedding(symbols)             X1 = X0 + attention(norm(X0))         X2 = X1 + network(norm(X1))
    (24.19) logits = norm(X2) U^T       loss = mean cross-entropy of each next symbol
    (24.20) dU = sum_bt dlogits^T N,    dN = dlogits U                         a sum's gradient goes to both of its terms

Its parts are ``embedding``, ``causal_attention``, ``layers.mlp`` (lesson 15), ``layers.layer_norm`` and ``layers.cross_entropy``
(lesson 21). All numbers lie in one array, so that any optimizer takes them. ``features`` says how attention weighs: "softmax",
"elu", or how many learned features a head has; :meth:`LanguageModel.swapped` carries a model's numbers from one to another.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...._checks import as_count, as_numbers, as_rng
from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers import cross_entropy, layer_norm, mlp
from ....layers.marks import Mark, keep, within
from . import causal_attention, embedding
from .text import SYMBOLS

PARTS = ("embedding", "norm 1", "attention", "norm 2", "network", "norm 3")  # their marks are numbered in this order
LOSS = len(PARTS)


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass: the tapes of the parts, in order, and the last tokens."""

    embedded: embedding.Tape
    norm1: layer_norm.Tape
    attended: causal_attention.Tape
    norm2: layer_norm.Tape
    network: mlp.Tape
    norm3: layer_norm.Tape
    N: Array  # (B, T, w)


@dataclass(frozen=True)
class LanguageModel:
    """The model of these sizes: V symbols, width w, H heads, h hidden units.

    Raises ValueError for sizes below 1, a width that the heads do not divide, and features that are neither a count nor a name.
    """

    features: int | str = "softmax"
    symbols: int = SYMBOLS
    width: int = 32
    heads: int = 2
    hidden: int = 64

    def __post_init__(self) -> None:
        for name in ("symbols", "width", "heads", "hidden"):
            as_count(name, getattr(self, name))
        if self.width % self.heads:
            raise ValueError(f"width: expected a multiple of heads = {self.heads}, got {self.width}")
        if self.features not in ("softmax", "elu"):
            if isinstance(self.features, str):
                raise ValueError(f"features: expected 'softmax', 'elu' or how many learned features, got {self.features!r}")
            as_count("features", self.features)

    @property
    def learned(self) -> bool:
        """Whether the feature map has weights of its own."""
        return not isinstance(self.features, str)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """{name: shape} of the weights, in the order in which they lie in the array."""
        V, w, h, e = self.symbols, self.width, self.hidden, self.width // self.heads
        found: dict[str, tuple[int, ...]] = {"C": (V, w), "D": (V + 1, w), "gain1": (w,), "bias1": (w,)}
        found |= dict.fromkeys(("Wq", "Wk", "Wv", "Wo"), (w, w))
        found |= {"gain2": (w,), "bias2": (w,), "W1": (h, w), "b1": (h,), "W2": (w, h), "b2": (w,)}
        found |= {"gain3": (w,), "bias3": (w,), "U": (V, w)}
        if self.learned:
            found |= {"W": (self.heads, int(self.features), e), "b": (self.heads, int(self.features))}
        return found

    @property
    def size(self) -> int:
        """How many numbers are trained."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def split(self, params: Array) -> dict[str, Array]:
        """The weights by name: views of the array."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes.values()])
        pieces = np.split(params, ends[:-1])
        return {name: piece.reshape(shape) for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)}

    def init_params(self, rng: np.random.Generator) -> Array:
        """Random weights (size,): tables of symbols normal, matrices and biases uniform on +-1/sqrt(inputs), norms 1 and 0.

        These are PyTorch's defaults for embeddings, linear layers and layer norm.
        """
        rng, inputs = (
            as_rng(rng),
            {"W2": self.hidden, "b2": self.hidden, "W": self.width // self.heads, "b": self.width // self.heads},
        )
        found = []
        for name, shape in self.shapes.items():
            if name in ("C", "D"):
                found.append(rng.standard_normal(shape))
            elif name.startswith(("gain", "bias")):
                found.append(np.full(shape, float(name.startswith("gain"))))
            else:
                found.append(rng.uniform(-1, 1, shape) / inputs.get(name, self.width) ** 0.5)
        return np.concatenate([array.ravel() for array in found])

    def as_params(self, params: Any) -> Array:
        """``params`` as an array (size,); real or complex."""
        params = as_numbers("params", params, complex_ok=True)
        if params.shape != (self.size,):
            raise ValueError(f"params: expected shape ({self.size},) for {self}, got {params.shape}")
        return params

    def swapped(self, params: Array, features: int | str, rng: np.random.Generator) -> tuple["LanguageModel", Array]:
        """The model with another attention and the same numbers where it has them; a learned map starts at random."""
        other = replace(self, features=features)
        own, start = self.split(self.as_params(params)), other.split(other.init_params(rng))
        shared = {name: own.get(name, array) if name not in ("W", "b") else array for name, array in start.items()}
        return other, np.concatenate([array.ravel() for array in shared.values()]).astype(params.dtype)

    def as_symbols(self, symbols: Any) -> Array:
        """``symbols`` as integers (B, T) of this model's alphabet."""
        found = np.asarray(symbols)
        if found.ndim != 2 or found.size == 0 or found.dtype.kind not in "iu":
            raise ValueError(f"symbols: expected integers of shape (texts, length), got {found.dtype} {found.shape}")
        if found.min() < 0 or found.max() >= self.symbols:
            raise ValueError(f"symbols: expected 0 to {self.symbols - 1}, got {found.min()} to {found.max()}")
        return found

    def forward(self, w: dict[str, Array], symbols: Array, mark: Mark = keep) -> tuple[Array, Tape]:
        """Logits (B, T, V) of each next symbol, from the weights by name: the block above, then (24.19).

        Cost O(B T w (w + h + T)).
        """
        use = [within(mark, k) for k in range(len(PARTS))]
        # F1  X0 = embedding(symbols)
        X0, embedded = embedding.forward(symbols, w["C"], w["D"], use[0])  # (B, T, w)
        # F2  X1 = X0 + attention(norm(X0))
        N1, norm1 = layer_norm.forward(mark("X0_read", X0), w["gain1"], w["bias1"], use[1])  # (B, T, w)
        phi = (w["W"], w["b"]) if self.learned else ()
        matrices = (w["Wq"], w["Wk"], w["Wv"], w["Wo"])
        softmax = self.features == "softmax"
        Y, attended = causal_attention.forward(N1, *matrices, *phi, H=self.heads, softmax=softmax, mark=use[2])
        X1 = mark("X1", X0 + Y)  # (B, T, w)
        # F3  X2 = X1 + network(norm(X1))
        N2, norm2 = layer_norm.forward(mark("X1_read", X1), w["gain2"], w["bias2"], use[3])  # (B, T, w)
        M, network = mlp.forward(N2, w["W1"], w["b1"], w["W2"], w["b2"], use[4])  # (B, T, w)
        X2 = mark("X2", X1 + M)  # (B, T, w)
        # F4  logits = norm(X2) U^T                                                              (24.19)
        N, norm3 = layer_norm.forward(X2, w["gain3"], w["bias3"], use[5])  # (B, T, w)
        logits = mark("logits", N @ w["U"].T)  # (B, T, V)
        return logits, Tape(embedded, norm1, attended, norm2, network, norm3, N)

    def backward(self, dlogits: Array, w: dict[str, Array], tape: Tape, mark: Mark = keep) -> dict[str, Array]:
        """The gradients of the weights by name, from that of the logits (B, T, V). Cost O(B T w (w + h + T))."""
        use, d = [within(mark, k) for k in range(len(PARTS))], {}
        embedded, norm1, attended, norm2, network, norm3, N = tape
        dlogits = mark("dlogits", dlogits)  # (B, T, V)
        # B4  undoes F4  logits = norm(X2) U^T
        d["U"] = mark("dU", causal_attention.over_tokens(dlogits, N))  # (V, w)      (24.20)
        dN = dlogits @ w["U"]  # (B, T, w)                                                (24.20)
        dX2, d["gain3"], d["bias3"] = layer_norm.backward(dN, norm3, use[5])
        # B3  undoes F3  X2 = X1 + network(norm(X1)): to the sum, and through the network
        dX2 = mark("dX2", dX2)  # (B, T, w)
        dN2, d["W1"], d["b1"], d["W2"], d["b2"] = mlp.backward(dX2, network, use[4])
        dX1_read, d["gain2"], d["bias2"] = layer_norm.backward(dN2, norm2, use[3])
        # B2  undoes F2  X1 = X0 + attention(norm(X0))
        dX1 = mark("dX1", dX2 + mark("dX1_read", dX1_read))  # (B, T, w)                  (24.20)
        dN1, *matrices = causal_attention.backward(dX1, attended, use[2])
        d |= dict(zip(("Wq", "Wk", "Wv", "Wo", "W", "b"), matrices, strict=False))
        dX0_read, d["gain1"], d["bias1"] = layer_norm.backward(dN1, norm1, use[1])
        # B1  undoes F1  X0 = embedding(symbols)
        dX0 = dX1 + mark("dX0_read", dX0_read)  # (B, T, w)                               (24.20)
        d["C"], d["D"] = embedding.backward(dX0, embedded, use[0])
        return d

    def loss(self, params: Array, symbols: Array, weights: Array | None = None, mark: Mark = keep) -> Any:
        """The mean cross-entropy of each next symbol of texts (B, T); weights (B, T-1) count places, None all alike."""
        logits, _ = self.forward(self.split(params), symbols[:, :-1], mark)
        return cross_entropy.forward(logits, symbols[:, 1:], weights, within(mark, LOSS))[0]

    def loss_and_grad(self, params: Array, symbols: Array, weights: Array | None = None, mark: Mark = keep) -> tuple[Any, Array]:
        """The mean cross-entropy of each next symbol of texts (B, T), and its gradient (size,)."""
        w = self.split(params)
        logits, tape = self.forward(w, symbols[:, :-1])
        value, last = cross_entropy.forward(logits, symbols[:, 1:], weights)
        dlogits = cross_entropy.backward(np.ones(()), last, within(mark, LOSS)).astype(logits.dtype)
        d = self.backward(dlogits, w, tape, mark)
        return value, np.concatenate([d[name].ravel() for name in self.shapes])


def _point(features: int | str) -> tuple[LanguageModel, Array, Array, Array, np.random.Generator]:
    """A small model, weights that are all of one size, texts and weights of places: a generic point."""
    model, rng = LanguageModel(features, symbols=5, width=4, heads=2, hidden=3), np.random.default_rng(3)
    symbols, weights = rng.integers(5, size=(3, 6)), rng.random((3, 5))
    return model, model.init_params(rng) + 0.3 * rng.standard_normal(model.size), symbols, weights, rng


def audited(features: int | str) -> Report:
    """The audit of the whole backward pass: every weight, and every line that is marked, by its part's number (``PARTS``)."""
    model, params, symbols, weights, _ = _point(features)

    def flat(theta: dict[str, Array]) -> Array:
        return np.concatenate([array.ravel() for array in theta.values()])

    def run(theta: dict[str, Array], mark: Mark = keep) -> Any:
        return model.loss(flat(theta), symbols, weights, mark)

    def back(theta: dict[str, Array], mark: Mark = keep) -> dict[str, Array]:
        return model.split(model.loss_and_grad(flat(theta), symbols, weights, mark)[1])

    return audit_gradient(run, back, model.split(params), title=f"language model, {features}")


def gradient_error() -> float:
    """How far the gradient's products with random directions are from complex steps of the loss, for all three kinds of
    attention.
    """
    errors = []
    for features in (5, "elu", "softmax"):
        model, params, symbols, weights, rng = _point(features)
        grad = model.loss_and_grad(params, symbols, weights)[1]
        for v in rng.standard_normal((5, model.size)):
            slope = model.loss(params + 1e-30j * v, symbols, weights).imag / 1e-30
            errors.append(abs(grad @ v - slope))
    return float(max(errors))


AUDITS = {"learned": lambda: audited(5), "elu": lambda: audited("elu"), "softmax": lambda: audited("softmax")}
CHECKS = {"gradient": gradient_error}
