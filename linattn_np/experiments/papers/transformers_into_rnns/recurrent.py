"""Reading a text symbol by symbol: with features the past is one state whose size does not depend on how long it was.

(24.7)  S_i = S_{i-1} + phi(k_i) v_i^T,   z_i = z_{i-1} + phi(k_i),
        O_i = S_i^T phi(q_i / sqrt(e)) / max(z_i.phi(q_i / sqrt(e)), floor)

S (k, e) and z (k,) for each head: k e + k numbers. Softmax has no such state: it keeps every key and value, 2 e numbers a symbol
and head. A learned map takes W of query and key together, W (Wq x) = (W Wq) x, so queries and keys themselves are never formed.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from ...._checks import as_count
from ...._types import Array
from ....layers import layer_norm, mlp
from . import embedding
from .feature_weights import FLOOR
from .language_model import LanguageModel
from .maps import elu_forward
from .text import SYMBOLS


class Model(NamedTuple):
    """A language model and its numbers."""

    net: LanguageModel
    params: Array


class Memory(Protocol):
    """What is kept of the past."""

    @property
    def numbers(self) -> int:
        """How many numbers are kept."""

    def read(self, x: Array) -> Array:
        """Attention's O (w,) for the next token x (w,), normalised, which is kept from now on."""


class State:
    """The sums S and z of each head (24.7): the memory of attention through features."""

    def __init__(self, net: LanguageModel, w: dict[str, Array]) -> None:
        H, width, e = net.heads, net.width, net.width // net.heads
        root = e**0.5 if net.learned else 1.0
        by_head = {name: w[name].reshape(H, e, width) for name in ("Wq", "Wk", "Wv")}
        self.value = by_head["Wv"]  # (H, e, w)
        self.bias = w["b"] if net.learned else np.zeros((H, e))  # (H, k)
        W = w["W"] if net.learned else np.eye(e)  # (H, k, e)
        self.query, self.key = W @ by_head["Wq"] / root, W @ by_head["Wk"]  # (H, k, w)
        self.learned = net.learned
        self.S = np.zeros((*self.bias.shape, e))  # (H, k, e)
        self.z = np.zeros(self.bias.shape)  # (H, k)

    @property
    def numbers(self) -> int:
        return self.S.size + self.z.size

    def phi(self, matrices: Array, x: Array) -> Array:
        """The feature map of one key or query for every head. -> (H, k)"""
        R = matrices @ x + self.bias  # (H, k)
        return np.maximum(R, 0) if self.learned else elu_forward(R)[0]

    def read(self, x: Array) -> Array:
        F, G = self.phi(self.query, x), self.phi(self.key, x)  # (H, k)
        self.S += G[:, :, None] * (self.value @ x)[:, None]
        self.z += G
        sums = np.maximum((F * self.z).sum(axis=1, keepdims=True), FLOOR)  # (H, 1)
        return ((F[:, None] @ self.S)[:, 0] / sums).ravel()

    def read_all(self, X: Array) -> None:
        """Keep tokens X (T, w) at once, without an answer."""
        R = X @ self.key.mT + self.bias[:, None]  # (H, T, k)
        G = np.maximum(R, 0) if self.learned else elu_forward(R)[0]
        self.S += G.mT @ (X @ self.value.mT)
        self.z += G.sum(axis=1)


class Cache:
    """Every key and value so far: the memory of softmax attention."""

    def __init__(self, net: LanguageModel, w: dict[str, Array]) -> None:
        H, width = net.heads, net.width
        self.root, self.length = (width // H) ** 0.5, 0
        self.query, self.key, self.value = (w[name].reshape(H, width // H, width) for name in ("Wq", "Wk", "Wv"))
        self.keys, self.values = np.empty((2, H, 64, width // H))  # room for so many; doubled when full

    @property
    def numbers(self) -> int:
        return 2 * self.keys[:, : self.length].size

    def room(self, more: int) -> None:
        """Double the arrays until so many more symbols fit."""
        while self.length + more > self.keys.shape[1]:
            self.keys, self.values = (np.concatenate([kept, np.empty_like(kept)], axis=1) for kept in (self.keys, self.values))

    def read(self, x: Array) -> Array:
        self.read_all(x[None])
        A = self.keys[:, : self.length] @ (self.query @ x)[:, :, None] / self.root  # (H, T, 1)
        p = np.exp(A - A.max(axis=1, keepdims=True))
        return ((p.mT @ self.values[:, : self.length])[:, 0] / p.sum(axis=1)).ravel()

    def read_all(self, X: Array) -> None:
        """Keep tokens X (T, w) at once, without an answer."""
        self.room(len(X))
        new = slice(self.length, self.length + len(X))
        self.keys[:, new], self.values[:, new] = X @ self.key.mT, X @ self.value.mT
        self.length += len(X)


class Reader:
    """A model that reads symbol by symbol: ``reader.read(a)`` -> the logits (V,) of what comes next."""

    def __init__(self, model: Model) -> None:
        self.net, self.w = model.net, model.net.split(model.net.as_params(model.params))
        self.memory: Any = (Cache if self.net.features == "softmax" else State)(self.net, self.w)
        self.before, self.place = self.net.symbols, 0

    def tokens(self, symbols: Array) -> Array:
        """The tokens X0 (T, w) of the next symbols (T,), which follow what was read."""
        before = np.concatenate([[self.before], symbols[:-1]])
        where = embedding.places(self.place, len(symbols), self.net.width)
        self.before, self.place = int(symbols[-1]), self.place + len(symbols)
        return self.w["C"][symbols] + self.w["D"][before] + where

    def read(self, symbol: int) -> Array:
        """The logits (V,) after one more symbol. Cost O(H k e + w (w + h)) with features, O(T w + w (w + h)) with softmax."""
        w = self.w
        x = self.tokens(np.array([symbol]))[0]  # (w,)
        x = x + w["Wo"] @ self.memory.read(layer_norm.forward(x, w["gain1"], w["bias1"])[0])
        inner = layer_norm.forward(x, w["gain2"], w["bias2"])[0]
        x = x + mlp.forward(inner[None, None], w["W1"], w["b1"], w["W2"], w["b2"])[0][0, 0]
        return w["U"] @ layer_norm.forward(x, w["gain3"], w["bias3"])[0]

    def read_all(self, symbols: Array) -> None:
        """Read symbols (T,) at once, without an answer."""
        self.memory.read_all(layer_norm.forward(self.tokens(symbols), self.w["gain1"], self.w["bias1"])[0])


def model(seed: int, features: int | str) -> Model:
    """The language model with random weights of a seed: ``features`` learned features a head, or "elu", or "softmax"."""
    net = LanguageModel(features)
    return Model(net, net.init_params(np.random.default_rng(as_count("seed", seed, 0))))


def generate_parallel(model: Model, tokens: Any) -> Array:
    """The logits (T, V) of what follows each symbol of a text (T,), all at once, as in training."""
    net, params = model
    symbols = net.as_symbols(np.atleast_1d(tokens)[None])
    return net.forward(net.split(net.as_params(params)), symbols)[0][0]


def generate_recurrent(model: Model, tokens: Any) -> Array:
    """The same logits (T, V), one symbol after the other, from the state alone (24.7)."""
    symbols, reader = model.net.as_symbols(np.atleast_1d(tokens)[None])[0], Reader(model)
    return np.stack([reader.read(symbol) for symbol in symbols.tolist()])


def generate(model: Model, tokens: Any, count: int, rng: np.random.Generator) -> Array:
    """``count`` symbols that the model writes itself after reading a text (T,), drawn from its own probabilities."""
    reader = Reader(model)
    for symbol in model.net.as_symbols(np.atleast_1d(tokens)[None])[0].tolist():
        logits = reader.read(symbol)
    found = []
    for _ in range(as_count("count", count)):
        shares = np.exp(logits - logits.max())
        found.append(int(rng.choice(SYMBOLS, p=shares / shares.sum())))
        logits = reader.read(found[-1])
    return np.array(found)
