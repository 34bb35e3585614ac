"""Pre-network, one tied layer looped, read-out: a model as ``models/model.py`` asks, by ``layers/mlp.py`` and ``loop.py``.

    (22.1) (F ; f) = network(C), C the covariates of examples and query            then (22.2) to (22.6)
    (22.12) loss = mean over prompts and over the last ``window`` loops of (p_t - y)^2

Parameters are one array theta (p,): W1 (hidden, d), b1, W2 (d, hidden), b2 of the pre-network, then the step: one for all loops
(tied), or one a loop. Without a pre-network, hidden = 0, the features are the covariates: the vanilla loop.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...._checks import as_count, as_numbers, as_prompts, as_real, as_rng
from ...._types import Array
from ....layers import mlp
from ....models.model import check_width
from . import loop


@dataclass(frozen=True)
class LoopedTransformer:
    """A model of d covariates: a ReLU network of ``hidden`` units to d features, a layer looped ``loops`` times with a learned
    step.

    ``tied``: one step for all loops. ``window``: over how many of the last loops the loss is a mean; 1 is the last one alone.
    Raises ValueError for counts below 1 (hidden: below 0), and for a window longer than there are loops.
    """

    d: int
    hidden: int
    loops: int
    tied: bool = True
    window: int = 1

    def __post_init__(self) -> None:
        for name in ("d", "loops", "window"):
            object.__setattr__(self, name, as_count(name, getattr(self, name)))
        object.__setattr__(self, "hidden", as_count("hidden", self.hidden, least=0))
        if self.window > self.loops:
            raise ValueError(f"window: expected at most the number of loops, {self.loops}, got {self.window}")

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of W1, b1, W2, b2, or none, then of the steps."""
        d, h = self.d, self.hidden
        network: tuple[tuple[int, ...], ...] = ((h, d), (h,), (d, h), (d,)) if h else ()
        return (*network, (1 if self.tied else self.loops,))

    @property
    def size(self) -> int:
        """p, the number of parameters."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    def split(self, theta: Array) -> tuple[list[Array], Array]:
        """The network's arrays and the steps (loops,), views where they can be."""
        stops = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        *network, steps = (part.reshape(shape) for part, shape in zip(np.split(theta, stops[:-1]), self.shapes, strict=True))
        return network, np.repeat(steps, self.loops) if self.tied else steps

    def init_params(self, rng: np.random.Generator, std: float = 0.1) -> Array:
        """theta (p,): the network uniform as PyTorch's Linear layers are, the steps |N(0, std^2)|."""
        rng, std = as_rng(rng), as_real("std", std, least=0)
        network = mlp.init_network(rng, self.d, self.hidden) if self.hidden else ()
        return np.concatenate([*map(np.ravel, network), std * np.abs(rng.standard_normal(self.shapes[-1]))])

    def as_params(self, params: Any) -> Array:
        """``params`` as an array (p,), real or complex. Raises ValueError for another shape."""
        theta = as_numbers("params", params, complex_ok=True)
        if theta.shape != (self.size,):
            raise ValueError(f"params: expected shape ({self.size},) for {self}, got {theta.shape}")
        return theta

    def with_loops(self, loops: int) -> "LoopedTransformer":
        """The same tied model looped another number of times; its params stay good. Raises ValueError where steps are untied."""
        if not self.tied:
            raise ValueError("loops: expected a tied model, one of untied steps has no step for a further loop")
        return replace(self, loops=loops, window=min(self.window, loops))

    def predict(self, params: Any, Z: Array) -> Array:
        """The answer for each prompt's query after all loops. Z (B, n+1, d+1) -> (B,)"""
        return self.predictions(params, Z)[-1]

    def predictions(self, params: Any, Z: Array) -> Array:
        """The answers after 0 to T loops (22.6). -> (T+1, B)"""
        return self._forward(self.as_params(params), self._tokens(Z))[0]

    def loss_and_grad(self, params: Any, Z: Array, y: Array) -> tuple[float, Array]:
        """The loss (22.12) and its gradient (p,): (22.7) to (22.11), (15.4) to (15.10). Cost O(B n (h d + d^2) + T B d^2)."""
        theta = self.as_params(params)
        p, tape, network_tape = self._forward(theta, self._tokens(Z))
        y = as_prompts(Z, y)[1]
        error = p[-self.window :] - y  # (window, B)
        value = (error * error).mean().item()
        dp = np.zeros_like(p)
        dp[-self.window :] = 2 * error / error.size  # (22.12)
        dF, _, df, detas = loop.backward(dp, tape)
        steps = detas.sum(keepdims=True) if self.tied else detas  # a tied step gathers from every loop
        if not self.hidden:
            return value, steps
        dfeatures = np.concatenate([dF, df[:, None]], axis=1)
        _, *network = mlp.backward(dfeatures, network_tape)
        return value, np.concatenate([*map(np.ravel, network), steps])

    def loss(self, params: Any, Z: Array, y: Array) -> float:
        """The loss (22.12)."""
        error = self.predictions(params, Z)[-self.window :] - as_prompts(Z, y)[1]
        return (error * error).mean().item()

    def features(self, theta: Array, Z: Array) -> tuple[Array, Any]:
        """(22.1) The features of all tokens (B, n+1, d), and the network's tape (None without a network)."""
        network, _ = self.split(theta)
        if not network:
            return Z[..., :-1], None
        W1, b1, W2, b2 = network
        return mlp.forward(Z[..., :-1], W1, b1, W2, b2)

    def _tokens(self, Z: Array) -> Array:
        Z = as_prompts(Z)
        check_width(self, Z)
        return Z

    def _forward(self, theta: Array, Z: Array) -> tuple[Array, loop.Tape, Any]:
        features, network_tape = self.features(theta, Z)
        p, tape = loop.forward(features[:, :-1], Z[:, :-1, -1], features[:, -1], self.split(theta)[1])
        return p, tape, network_tape


def model(d: int, hidden: int, loops: int) -> LoopedTransformer:
    """The model of lesson 22: a pre-network of ``hidden`` units (0: none), one tied layer looped ``loops`` times, a read-out."""
    return LoopedTransformer(d, hidden, loops)


def layer_params(d: int, etas: Any) -> Array:
    """The loops as layers of attention: P = [[0, 0], [0, 1]], Q = -eta [[I, 0], [0, 0]]. etas (T,) -> (T, 1, 2, d+1, d+1)"""
    etas = as_numbers("etas", etas, 1)
    params = np.zeros((len(etas), 1, 2, d + 1, d + 1))
    params[:, 0, 0, d, d] = 1.0
    params[:, 0, 1, range(d), range(d)] = -etas[:, None]
    return params
