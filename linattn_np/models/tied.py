"""Tied parameters: all weights of a model from a few numbers, params = T w + offset, and any model trained through them.

T is a linear map, so nothing new is derived for a tied model: with f the loss of the model and g(w) = f(T w + offset),

    gradient  dw = T^T dparams          Hessian  T^T H T          (both by the chain rule, once)

dw sums over all uses of a number: a looped layer's gradient is the sum over its loops. A tie says what T is for params of a shape:
:class:`Diagonal`, :class:`Scalar`, :class:`StepSize`, :class:`Looped`, :class:`Corner`, :class:`Free`. A tied model is a model, so ties
compose: ``tied(model, Looped(), Diagonal())`` trains one diagonal layer used in every place. Compiled kernels serve it as they serve the
model inside.

>>> import numpy as np, linattn_np as la
>>> from linattn_np.models.tied import Diagonal, Looped, tied
>>> model = tied(la.transformer.LinearTransformer(d=5, layers=3), Looped(), Diagonal())
>>> model.init_params(np.random.default_rng(0), std=0.05).shape
(1, 1, 2, 5)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from .._checks import as_numbers, as_prompts, as_rng
from .._types import Array
from .model import Passes, passes_of

Shape = tuple[int, ...]


class LinearMap(NamedTuple):
    """params = T w + offset, with T listed by its entries that are not zero: T[row, column] = value."""

    rows: Array  # (m,) places in params, in C order
    columns: Array  # (m,) places in w, in C order
    values: Array  # (m,)
    offset: Array  # params.shape
    shape: Shape  # of w

    def apply(self, w: Array) -> Array:
        """T w + offset. -> like params; complex when w is"""
        return self.offset + self.tangent(w)

    def tangent(self, vw: Array) -> Array:
        """T vw: where params go when w moves by vw. -> like params"""
        out = np.zeros(self.offset.size, np.result_type(vw, self.offset))
        np.add.at(out, self.rows, self.values * np.ravel(vw)[self.columns])
        return out.reshape(self.offset.shape)

    def adjoint(self, dparams: Array) -> Array:
        """T^T dparams: each number gathers from every place where it is used. -> like w"""
        out = np.zeros(int(np.prod(self.shape)), dparams.dtype)
        np.add.at(out, self.columns, self.values * np.ravel(dparams)[self.rows])
        return out.reshape(self.shape)

    def start(self, params: Array) -> Array:
        """The w whose every number gives the first entry of params that it reaches. -> like w"""
        columns, first = np.unique(self.columns, return_index=True)
        out = np.zeros(int(np.prod(self.shape)))
        out[columns] = ((params - self.offset).ravel()[self.rows] / self.values)[first]
        return out.reshape(self.shape)


def linear_map(
    rows: Array, columns: Array, shape: Shape, params: Shape, values: float = 1.0, offset: Array | None = None
) -> LinearMap:
    """The map with one value at each (row, column), the two broadcast against each other; offset 0 unless given."""
    at, source = (np.ravel(index) for index in np.broadcast_arrays(rows, columns))
    return LinearMap(at, source, np.full(len(at), values), np.zeros(params) if offset is None else offset, shape)


class Tie(Protocol):
    """What a tie is: for params of one shape, the map that makes them. A frozen dataclass, so that runs can be told apart."""

    def map(self, params: Shape) -> LinearMap:
        """The map to params of this shape. Raises ValueError when it cannot make such params."""
        ...


# ---------------------------------------------------------------- ties


@dataclass(frozen=True)
class Diagonal:
    """P = diag(p), Q = diag(q).  w (L, H, 2, k)"""

    def map(self, params: Shape) -> LinearMap:
        L, H, _, k, _ = matrices(self, params)
        return linear_map(diagonals(params), places((L, H, 2, k)), (L, H, 2, k), params)


@dataclass(frozen=True)
class Scalar:
    """P = a I, Q = b I.  w (L, H, 2); with ``blocks`` (sizes that add up to k) a number for each block, w (L, H, 2, blocks)."""

    blocks: tuple[int, ...] | None = None

    def map(self, params: Shape) -> LinearMap:
        L, H, _, k, _ = matrices(self, params)
        if self.blocks is None:
            return linear_map(diagonals(params), places((L, H, 2, 1)), (L, H, 2), params)
        if sum(self.blocks) != k or min(self.blocks) < 1:
            raise ValueError(f"blocks: expected sizes that add up to k = {k}, got {self.blocks}")
        block = np.repeat(np.arange(len(self.blocks)), self.blocks)  # of each row of P and Q
        shape = (L, H, 2, len(self.blocks))
        return linear_map(diagonals(params), places(shape)[..., block], shape, params)


@dataclass(frozen=True)
class StepSize:
    """Gradient descent with one step size for each layer and head: P = 0, Q = -eta I.  w (L, H)

    On d x d blocks, the covariates' part; the label's 1 in P is the model's own corner, or :class:`Corner`'s.
    """

    def map(self, params: Shape) -> LinearMap:
        L, H, *_ = matrices(self, params)
        return linear_map(diagonals(params)[:, :, 1], places((L, H, 1)), (L, H), params, values=-1.0)


@dataclass(frozen=True)
class Looped:
    """Layers that share their weights: layer l of the model uses those of number ``uses[l]``.  w (max(uses)+1, H, 2, k, k)

    None: all layers use number 0, one layer looped L times. (0, 1, 1, 1, 2): a first layer, one looped three times, a last one.
    """

    uses: tuple[int, ...] | None = None

    def map(self, params: Shape) -> LinearMap:
        L, *one = matrices(self, params)
        uses = (0,) * L if self.uses is None else self.uses
        if len(uses) != L or set(uses) != set(range(max(uses) + 1)):
            raise ValueError(f"uses: expected {L} numbers, one for each layer, that leave none of 0, 1, .. out, got {self.uses}")
        shape = (max(uses) + 1, *one)
        return linear_map(places(params), places(shape)[list(uses)], shape, params)


@dataclass(frozen=True)
class Corner:
    """P = diag(P', p) and Q = diag(Q', q) with p and q held: the map of ``layers/corner.py``.  w (L, H, 2, k-1, k-1)"""

    p: float = 1.0
    q: float = 0.0

    def map(self, params: Shape) -> LinearMap:
        L, H, _, k, _ = matrices(self, params, least=2)
        offset = np.zeros(params)
        offset[..., -1, -1] = self.p, self.q
        shape = (L, H, 2, k - 1, k - 1)
        return linear_map(places(params)[..., :-1, :-1], places(shape), shape, params, offset=offset)


@dataclass(frozen=True)
class Free:
    """Only the entries where ``free`` is true are learned, the others are held at ``held``.  w (number of free entries,)

    Both are broadcast against params, so a mask (2, k, k) serves all layers and heads. For params of any shape.
    Raises ValueError when they do not broadcast, and when nothing is free.
    """

    free: Any
    held: Any = 0.0

    def __post_init__(self) -> None:
        for name in ("free", "held"):
            object.__setattr__(self, name, as_tuples(as_numbers(name, getattr(self, name)).tolist()))

    def map(self, params: Shape) -> LinearMap:
        try:
            free = np.broadcast_to(np.array(self.free, bool), params)
            held = np.broadcast_to(np.array(self.held), params)
        except ValueError:
            raise ValueError(f"free, held: expected arrays that broadcast to the shape of params, {params}, got others") from None
        rows = places(params)[free]
        if not len(rows):
            raise ValueError("free: expected at least one entry that is learned, got none")
        return linear_map(rows, np.arange(len(rows)), (len(rows),), params, offset=np.where(free, 0.0, held))


def matrices(tie: Any, params: Shape, least: int = 1) -> Shape:
    """Raise ValueError unless the params of the model inside are matrices (L, H, 2, k, k). -> their shape"""
    if len(params) != 5 or params[2] != 2 or params[3] != params[4] or params[3] < least:
        raise ValueError(f"{type(tie).__name__}: expected a model with params (L, H, 2, k, k), k at least {least}, got {params}")
    return params


def places(shape: Shape) -> Array:
    """The place of each entry in C order, as an array of this shape."""
    return np.arange(int(np.prod(shape))).reshape(shape)


def diagonals(params: Shape) -> Array:
    """The places of the diagonals of all P and Q. -> (L, H, 2, k)"""
    return places(params).diagonal(axis1=-2, axis2=-1)


def as_tuples(value: Any) -> Any:
    """Nested lists as nested tuples, which can be compared and hashed."""
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


# ---------------------------------------------------------------- the model


@dataclass(frozen=True)
class Tied:
    """A model whose params are made from the few numbers w: f(T w + offset). Everything that takes a model takes it.

    ``params`` of a tied model are w. Raises ValueError when the tie cannot make the params of the model.
    """

    model: Any
    tie: Any

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

    def to_model(self, params: Any) -> Array:
        """T w + offset: the params of the model inside."""
        return self.map.apply(self.as_params(params))

    def predict(self, params: Any, Z: Array) -> Array:
        """The answer for each prompt's query, by the model inside. -> (B,)"""
        return self.model.predict(self.to_model(params), Z)

    def loss(self, params: Any, Z: Array, y: Array) -> float:
        """The loss of the model inside at T w + offset. -> float, or complex when params are"""
        return self.model.loss(self.to_model(params), Z, y)

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

    def draw(self, task: Any, prompts: int, rng: np.random.Generator) -> Any:
        return self.inside.draw(task, prompts, rng)

    def prepare(self, Z: Array, y: Array) -> Any:
        return self.inside.prepare(Z, y)

    def loss_and_grad(self, params: Array, batch: Any) -> tuple[Any, Array]:
        value, dparams = self.inside.loss_and_grad(self.map.apply(params), batch)
        return value, self.map.adjoint(dparams)

    def adder(self, params: Array, n: int) -> Callable[[Any, Array], None]:
        size, add_inside = self.map.offset.size, self.inside.adder(self.map.apply(params), n)

        def add(batch: Any, out: Array) -> None:
            sums = np.zeros(1 + size)
            add_inside(batch, sums)
            out[0] += sums[0]
            out[1:] += self.map.adjoint(sums[1:]).ravel()

        return add

    def grouped_gradients(self, params: Array, batch: Any, size: int) -> Array:
        rows = self.inside.grouped_gradients(self.map.apply(params), batch, size)
        return np.stack([self.map.adjoint(row).ravel() for row in rows])

    def hvps(self, params: Array, batch: Any, directions: Array) -> Array:
        moved = np.stack([self.map.tangent(v) for v in directions])
        return np.stack([self.map.adjoint(h) for h in self.inside.hvps(self.map.apply(params), batch, moved)])
