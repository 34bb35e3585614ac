"""The innermost piece of a matrix product: a tile of the result, a few rows and columns of it, for WIDTH prompts at once.

A tile's sums stay in the processor's vector registers until they are whole, and a column of A and a row of B, once loaded, serve
the whole tile: four times as fast, for 5 x 5 matrices as for 20 x 20, as loops that LLVM vectorizes by itself, which load two
numbers for each product. So the registers are named here, in LLVM's own language; :func:`product_tile` is the definition, in
NumPy. Each lane is computed by itself, in the order of m, and nothing is contracted: no bit depends on the sizes of tiles and
vectors.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic, overload

from .._types import Array

WIDTH = 8  # prompts in a vector: 64 bytes, a line of the cache; where registers are narrower, it takes two or four of them


def has_wide_registers() -> bool:
    """Whether the processor that is compiled for holds 32 vectors of WIDTH numbers."""
    named = numba.config.CPU_FEATURES  # type: ignore[attr-defined]
    return "+avx512f" in named if named is not None else bool(binding.get_host_cpu_features().get("avx512f"))


TILE = 5 if has_wide_registers() else 2  # rows and columns of a tile: its sums, a column and a number of a row must fit
Place = tuple[int, int, int]  # where a matrix lies: its address, how far apart its rows are, and its columns
FULL, ONE = (0,) * TILE, (0,)  # the sizes of tiles, as lengths of tuples: known when the machine is compiled


def product_tile(
    rows: tuple[int, ...], columns: tuple[int, ...], inner: int, lane: int,
    left: Array, A: Place, mem: Array, B: Place, C: Place, factor: float, add: bool,
) -> None:  # fmt: skip
    """C = or += factor A B for the first len(rows) rows and len(columns) columns of C, in lanes lane .. lane + WIDTH - 1.

    Entry (i, j) of A lies at ``A[0] + i A[1] + j A[2]`` of ``left``: the memory (slots, lanes), or numbers (count,) that all
    prompts share; B and C lie in ``mem``.
    """
    lanes = slice(lane, lane + WIDTH)
    for i in range(len(rows)):
        for j in range(len(columns)):
            total = np.zeros(WIDTH)
            for m in range(inner):
                x, y = left[A[0] + i * A[1] + m * A[2]], mem[B[0] + m * B[1] + j * B[2], lanes]
                total += (x[lanes] if left.ndim == 2 else x) * y
            to = C[0] + i * C[1] + j * C[2]
            mem[to, lanes] = mem[to, lanes] + factor * total if add else factor * total


# ---------------------------------------------------------------- the same, compiled

VECTOR, INTEGER = ir.VectorType(ir.DoubleType(), WIDTH), ir.IntType(64)


class _Matrix:
    """An operand while a tile's instructions are written: pointers to the first entries, and where the next ones are."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, lane: Any) -> None:
        self.builder, self.shared = builder, kind.ndim == 1
        held = context.make_array(kind)(context, builder, array)
        self.data = held.data if self.shared else builder.gep(held.data, [lane])
        self.lanes = INTEGER(1) if self.shared else builder.extract_value(held.shape, 1)

    def offset(self, slots: Any) -> Any:
        """How far apart numbers are that lie so many slots apart."""
        return self.builder.mul(slots, self.lanes)

    def pointers(self, at: Any, stride: Any, count: int) -> list[Any]:
        """Pointers to ``count`` entries, ``stride`` slots apart, from slot ``at`` on."""
        found, step = [self.builder.gep(self.data, [self.offset(at)])], self.offset(stride)
        for _ in range(count - 1):
            found.append(self.builder.gep(found[-1], [step]))
        return found

    def load(self, pointer: Any) -> Any:
        """The vector at a pointer; a number that all prompts share becomes a vector of it."""
        if self.shared:
            return spread(self.builder, self.builder.load(pointer))
        vector = self.builder.load(self.builder.bitcast(pointer, VECTOR.as_pointer()))
        vector.align = 8
        return vector

    def store(self, vector: Any, pointer: Any) -> None:
        """Write a vector to a pointer."""
        self.builder.store(vector, self.builder.bitcast(pointer, VECTOR.as_pointer())).align = 8


def spread(builder: Any, number: Any) -> Any:
    """A vector of one number."""
    vector = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, ir.IntType(32)(0))
    return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))


@intrinsic
def _product_tile(
    typing: Any, rows: Any, columns: Any, inner: Any, lane: Any,
    left: Any, A: Any, mem: Any, B: Any, C: Any, factor: Any, add: Any,
) -> Any:  # fmt: skip
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, _, inner_, lane_, left_, A_, mem_, B_, C_, factor_, add_ = args
        first, other = (_Matrix(context, builder, kind, array, lane_) for kind, array in ((left, left_), (mem, mem_)))
        (a, a_row, a_column), (b, b_row, b_column), (c, c_row, c_column) = (
            [builder.extract_value(place, i) for i in range(3)] for place in (A_, B_, C_)
        )
        starts = first.pointers(a, a_row, len(rows)), other.pointers(b, b_column, len(columns))
        steps = first.offset(a_column), other.offset(b_row)
        totals, scale = sums_of_products(builder, first, other, starts, steps, inner_), spread(builder, factor_)
        results = [
            (builder.fmul(scale, total), place)
            for row, at in zip(totals, rows_of(builder, c, c_row, len(rows)), strict=True)
            for total, place in zip(row, other.pointers(at, c_column, len(columns)), strict=True)
        ]
        with builder.if_else(add_) as (adding, setting):
            with adding:
                for result, place in results:
                    other.store(builder.fadd(other.load(place), result), place)
            with setting:
                for result, place in results:
                    other.store(result, place)
        return context.get_dummy_value()

    word, place = types.uint64, types.UniTuple(types.uint64, 3)
    return types.none(rows, columns, word, word, left, place, mem, place, place, types.float64, add), codegen


def rows_of(builder: Any, at: Any, stride: Any, count: int) -> list[Any]:
    """The slots at which ``count`` rows begin."""
    places = [at]
    for _ in range(count - 1):
        places.append(builder.add(places[-1], stride))
    return places


def sums_of_products(builder: Any, A: _Matrix, B: _Matrix, starts: Any, steps: Any, inner: Any) -> list[list[Any]]:
    """The loop over m: totals (r, c) = sum over m of A (r, m) B (m, c), from 0 on and in the order of m; inner is at least 1."""
    before, loop, after = builder.block, builder.append_basic_block("products"), builder.append_basic_block("products.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    zero = ir.Constant(VECTOR, [0.0] * WIDTH)
    m, *moved = (builder.phi(INTEGER) for _ in range(3))
    totals = [[builder.phi(VECTOR) for _ in starts[1]] for _ in starts[0]]
    column = [A.load(builder.gep(pointer, [moved[0]])) for pointer in starts[0]]
    sums: list[list[Any]] = [[] for _ in starts[0]]
    for c, pointer in enumerate(starts[1]):
        number = B.load(builder.gep(pointer, [moved[1]]))
        for r, other in enumerate(column):
            sums[r].append(builder.fadd(totals[r][c], builder.fmul(other, number)))
    following = builder.add(m, INTEGER(1))
    for phi, start, now in [(m, INTEGER(0), following)] + [
        (phi, INTEGER(0), builder.add(phi, step)) for phi, step in zip(moved, steps, strict=True)
    ]:
        phi.add_incoming(start, before)
        phi.add_incoming(now, loop)
    for row, new in zip(totals, sums, strict=True):
        for phi, total in zip(row, new, strict=True):
            phi.add_incoming(zero, before)
            phi.add_incoming(total, loop)
    builder.cbranch(builder.icmp_unsigned("<", following, inner), loop, after)
    builder.position_at_end(after)
    return sums


@overload(product_tile, strict=False, inline="always")
def _compiled(*arguments: Any) -> Callable[..., Any]:
    def call(rows, columns, inner, lane, left, A, mem, B, C, factor, add):  # type: ignore[no-untyped-def]
        return _product_tile(rows, columns, inner, lane, left, A, mem, B, C, factor, add)  # type: ignore[call-arg]

    return call
