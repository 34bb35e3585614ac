"""Ties: linear maps from a few numbers to all weights, params = T w + offset, each with its adjoint.

A tie says what T is for params of a shape. The maps serve any model with params (L, H, 2, k, k), and :class:`Free` any model at
all; ``tied.py`` makes a model of a model and a tie.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from .._checks import as_numbers
from .._types import Array

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
