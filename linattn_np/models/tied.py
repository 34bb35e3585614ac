"""Tied parameters: all weights of a model from a few numbers, params = T w + offset, and any model trained through them.

T is a linear map, so nothing new is derived for a tied model: with f the loss of the model and g(w) = f(T w + offset),

    gradient  dw = T^T dparams          Hessian  T^T H T          (both by the chain rule, once)

dw sums over all uses of a number: a looped layer's gradient is the sum over its loops. A tie says what T is (``ties.py``):
Diagonal, Scalar, StepSize, Looped, Corner, Free. A tied model is a model, so ties compose: ``tied(model, Looped(), Diagonal())``
trains one diagonal layer that is used in every place. Compiled kernels serve it as they serve the model inside.

>>> import numpy as np, linattn_np as la
>>> from linattn_np.models.tied import Diagonal, Looped, tied
>>> model = tied(la.transformer.LinearTransformer(d=5, layers=3), Looped(), Diagonal())
>>> model.init_params(np.random.default_rng(0), std=0.05).shape
(1, 1, 2, 5)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .._checks import as_numbers, as_prompts, as_rng
from .._types import Array
from ..optimizers.groups import Grouping
from .model import Passes, groups_of, passes_of
from .ties import Corner, Diagonal, Free, LinearMap, Looped, Scalar, StepSize, Tie

__all__ = ["Corner", "Diagonal", "Free", "Looped", "Scalar", "StepSize", "Tied", "TiedPasses", "tied"]


@dataclass(frozen=True)
class Tied:
    """A model whose params are made from the few numbers w: f(T w + offset). Everything that takes a model takes it.

    ``params`` of a tied model are w. Raises ValueError when the tie cannot make the params of the model.
    """

    model: Any
    tie: Tie

    def __post_init__(self) -> None:
        self.map  # noqa: B018  a tie that does not fit is an error now, not in the middle of a run

    @cached_property
    def map(self) -> LinearMap:
        """w -> params of the model inside."""
        return self.tie.map(self.model.init_params(np.random.default_rng(0), 1.0).shape)

    @property
    def d(self) -> int:
        """The number of covariates, where the model inside says it."""
        return self.model.d

    def init_params(self, rng: np.random.Generator, std: float = 0.05) -> Array:
        """w such that each number is the first entry that it sets in random params of the model inside."""
        return self.map.start(self.model.init_params(as_rng(rng), std))

    def as_params(self, params: Any) -> Array:
        """w as an array, real or complex. Raises ValueError for another shape."""
        w = as_numbers("params", params, complex_ok=True)
        if w.shape != self.map.shape:
            raise ValueError(f"params: expected shape {self.map.shape} for {self}, got {w.shape}")
        return w

    def groups(self, by: str) -> Array:
        """The number of each entry's "block" or "layer": that of the params that it makes.

        What one number reaches is one group. -> like w
        """
        rows, columns = self.map.rows, self.map.columns
        inside = groups_of(self.model, self.map.offset, Grouping("groups", by)).ravel()[rows]
        joined, size = np.arange(inside.max() + 1), int(np.prod(self.map.shape))
        least, before = np.zeros(size, np.int64), np.empty(0, np.int64)
        while not np.array_equal(least, before):  # groups that one number reaches are joined under their smallest label
            least, before = np.full(size, len(joined)), least
            np.minimum.at(least, columns, joined[inside])
            np.minimum.at(joined, inside, least[columns])
        return np.unique(least, return_inverse=True)[1].reshape(self.map.shape)

    def to_model(self, params: Any) -> Array:
        """T w + offset: the params of the model inside."""
        return self.map.apply(self.as_params(params))

    def predict(self, params: Any, Z: Array) -> Array:
        """The answer for each prompt's query, by the model inside. -> (B,)"""
        return self.model.predict(self.to_model(params), Z)

    def loss(self, params: Any, Z: Array, y: Array) -> float:
        """The loss of the model inside at T w + offset. -> float, or complex when params are"""
        full = self.to_model(params)
        return self.model.loss(full, Z, y) if hasattr(self.model, "loss") else self.model.loss_and_grad(full, Z, y)[0]

    def loss_and_grad(self, params: Any, Z: Array, y: Array) -> tuple[float, Array]:
        """The loss and dw = T^T dparams. -> (float, like w)"""
        value, dparams = self.model.loss_and_grad(self.to_model(params), Z, y)
        return value, self.map.adjoint(dparams)

    def hvps(self, params: Any, Z: Array, y: Array, directions: Array) -> Array:
        """T^T H T v for each of the directions (m, *w.shape). -> the same shape"""
        params = self.as_params(params)
        passes = self.passes(params, Z, directions)
        return passes.hvps(params, passes.prepare(*as_prompts(Z, y, complex_ok=True)), directions)

    def hessian(self, params: Any, Z: Array, y: Array) -> Array:
        """T^T H T. -> (size of w, size of w)"""
        size = int(np.prod(self.map.shape))
        return self.hvps(params, Z, y, np.eye(size).reshape(size, *self.map.shape)).reshape(size, size)

    def passes(self, *arrays: Array) -> Passes:
        """What computes this model's numbers: the passes of the model inside, between T and T^T."""
        return TiedPasses(self, passes_of(self.model, *arrays))


def tied(model: Any, *ties: Any) -> Any:
    """The model tied by one tie after the other, the first one nearest to the model."""
    for tie in ties:
        model = Tied(model, tie)
    return model


class TiedPasses(Passes):
    """The passes of the model inside, with T before them and T^T behind."""

    def __init__(self, model: Tied, inside: Passes) -> None:
        super().__init__(model)
        self.map, self.inside, self.parallel = model.map, inside, inside.parallel

    def draw(self, task: Any, sizes: Sequence[int], chunks: Array) -> Iterator[Any]:
        return self.inside.draw(task, sizes, chunks)

    def prepare(self, Z: Array, y: Array) -> Any:
        return self.inside.prepare(Z, y)

    def loss_and_grad(self, params: Array, batch: Any) -> tuple[Any, Array]:
        value, dparams = self.inside.loss_and_grad(self.map.apply(params), batch)
        return value, self.map.adjoint(dparams)

    def adder(self, params: Array, n: int) -> Callable[[Any, Array], None]:
        add_inside = self.inside.adder(self.map.apply(params), n)

        def add(batch: Any, out: Array) -> None:
            sums = np.zeros(1 + self.map.offset.size)
            add_inside(batch, sums)
            self._add_adjoint(sums, out)

        return add

    def drawing_adder(self, task: Any) -> Callable[[Array, Array, Array, Array], None]:
        add_inside = self.inside.drawing_adder(task)

        def add(points: Array, sizes: Array, chunks: Array, out: Array) -> None:
            inside = np.zeros((*out.shape[:2], 1 + self.map.offset.size))
            add_inside(np.stack([self.map.apply(params) for params in points]), sizes, chunks, inside)
            for sums, to in zip(inside.reshape(-1, inside.shape[2]), out.reshape(-1, out.shape[2]), strict=True):
                self._add_adjoint(sums, to)

        return add

    def _add_adjoint(self, sums: Array, out: Array) -> None:
        """Add the sums of the model inside, a loss and its gradient, brought to w."""
        out[0] += sums[0]
        out[1:] += self.map.adjoint(sums[1:]).ravel()

    def grouped_gradients(self, params: Array, batch: Any, size: int) -> Array:
        rows = self.inside.grouped_gradients(self.map.apply(params), batch, size)
        return np.stack([self.map.adjoint(row).ravel() for row in rows])

    def hvps(self, params: Array, batch: Any, directions: Array) -> Array:
        moved = np.stack([self.map.tangent(v) for v in directions])
        return np.stack([self.map.adjoint(h) for h in self.inside.hvps(self.map.apply(params), batch, moved)])
