"""The compiled machine that runs a program (``operations.py``): the twin of ``operations.evaluate``, LANES prompts at a time.

LANES prompts lie side by side in the last axis of the memory, so that each operation on a small matrix is a vector operation. What
is compiled is this small machine, seconds instead of the half minute that LLVM needs for the passes written out; it knows no sizes, so
that one machine runs every program. Products go tile by tile (``tiles.py``). No fastmath and no Numba parallelism, so the bits depend
on neither.
"""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from .._types import Array
from . import compiling
from .operations import (
    A_COLUMN,
    A_ROW,
    ADD,
    B_COLUMN,
    B_ROW,
    C_COLUMN,
    C_ROW,
    COLUMNS,
    COPY,
    IDENTITY,
    INNER,
    OPERATION,
    PRODUCT,
    RELU,
    RELU_BACKWARD,
    ROWS,
    SHARED_LEFT,
    SHARED_RIGHT,
    SOFTMAX,
    SOFTMAX_BACKWARD,
    SYMMETRIZE,
    A,
    B,
    C,
)  # fmt: skip
from .tiles import FULL, ONE, TILE, WIDTH, product_tile

LANES = 64  # prompts side by side: fewer pay more for each step of a program, more fall out of the caches

unsigned = np.uint64  # addresses are unsigned: Numba then leaves out the question whether an index is negative
_local = threading.local()  # each thread's working memory


def available() -> bool:
    """Whether the kernels can be compiled here (not with NUMBA_DISABLE_JIT=1, where they would crawl)."""
    return not numba.config.DISABLE_JIT  # type: ignore[attr-defined]


compiling.listen()
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, and keep the result on the disk until any module of the kernels changes.

    Numba looks at the function's own file only; a caller kept from before would go on with what it calls as that was.
    """
    dispatcher = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if kept is not None:
        kept._source_stamp = SOURCES
    return dispatcher


def working_memory(slots: int) -> Array:
    """The calling thread's memory of at least ``slots`` rows; programs write before they read, so what it holds does not matter."""
    if getattr(_local, "memory", None) is None or len(_local.memory) < slots:
        _local.memory = aligned(slots, LANES)
    return _local.memory


def aligned(slots: int, lanes: int) -> Array:
    """Zeros (slots, lanes) that begin at a line of the cache, so that no vector lies across two."""
    numbers = np.zeros(slots * lanes + WIDTH)
    first = -numbers.ctypes.data // numbers.itemsize % WIDTH
    return numbers[first : first + slots * lanes].reshape(slots, lanes)


@compiled
def product(left, right, mem, step, factor):
    """C = or += factor A B, tile by tile; A lies in ``left`` and B in ``right``, which are mem or the numbers that prompts share."""
    rows, columns, inner, add, full = step[ROWS], step[COLUMNS], step[INNER], step[ADD] == 1, unsigned(TILE)
    i = unsigned(0)
    while i < rows:
        tall, a, j = i + full <= rows, (step[A] + i * step[A_ROW], step[A_ROW], step[A_COLUMN]), unsigned(0)
        while j < columns:
            wide, b = j + full <= columns, (step[B] + j * step[B_COLUMN], step[B_ROW], step[B_COLUMN])
            c = (step[C] + i * step[C_ROW] + j * step[C_COLUMN], step[C_ROW], step[C_COLUMN])
            for lane in range(unsigned(0), unsigned(mem.shape[1]), unsigned(WIDTH)):
                if tall and wide:
                    product_tile(FULL, FULL, inner, lane, left, a, right, b, mem, c, factor, add)
                elif tall:
                    product_tile(FULL, ONE, inner, lane, left, a, right, b, mem, c, factor, add)
                elif wide:
                    product_tile(ONE, FULL, inner, lane, left, a, right, b, mem, c, factor, add)
                else:
                    product_tile(ONE, ONE, inner, lane, left, a, right, b, mem, c, factor, add)
            j += full if wide else unsigned(1)
        i += full if tall else unsigned(1)


@compiled
def elementwise(mem, step, factor):
    """The cheap operations: COPY, SYMMETRIZE, IDENTITY, CLEAR."""
    operation, a, a_row, a_column = step[OPERATION], step[A], step[A_ROW], step[A_COLUMN]
    c, c_row, c_column, add = step[C], step[C_ROW], step[C_COLUMN], step[ADD] == 1
    for i in range(step[ROWS]):
        for j in range(step[COLUMNS]):
            to, at = c + i * c_row + j * c_column, a + i * a_row + j * a_column
            if operation == COPY:
                for lane in range(mem.shape[1]):
                    mem[to, lane] = factor * mem[at, lane] + (mem[to, lane] if add else 0.0)
            elif operation == SYMMETRIZE:
                turned = a + j * a_row + i * a_column
                for lane in range(mem.shape[1]):
                    mem[to, lane] = 0.5 * (mem[at, lane] + mem[turned, lane])
            else:
                value = 1.0 if operation == IDENTITY and i == j else 0.0  # IDENTITY, CLEAR
                for lane in range(mem.shape[1]):
                    mem[to, lane] = value


@compiled
def softmax(mem, step):
    """C = the softmax of each row of A (14.2); C may be A."""
    top, total = np.empty(LANES), np.empty(LANES)
    for i in range(step[ROWS]):
        a, c = step[A] + i * step[A_ROW], step[C] + i * step[C_ROW]
        for lane in range(LANES):
            top[lane], total[lane] = mem[a, lane], 0.0
        for j in range(step[COLUMNS]):
            for lane in range(LANES):
                top[lane] = max(top[lane], mem[a + j, lane])
        for j in range(step[COLUMNS]):
            for lane in range(LANES):
                mem[c + j, lane] = np.exp(mem[a + j, lane] - top[lane])
                total[lane] += mem[c + j, lane]
        for j in range(step[COLUMNS]):
            for lane in range(LANES):
                mem[c + j, lane] /= total[lane]


@compiled
def softmax_backward(mem, step):
    """C = E (dE - sum_j dE_ij E_ij) for each row (14.12), E at A, dE at B with 0 for the query (14.11); C may be B."""
    total = np.empty(LANES)
    for i in range(step[ROWS]):
        e, d, c = step[A] + i * step[A_ROW], step[B] + i * step[B_ROW], step[C] + i * step[C_ROW]
        for lane in range(LANES):
            mem[d + step[COLUMNS] - unsigned(1), lane], total[lane] = 0.0, 0.0
        for j in range(step[COLUMNS]):
            for lane in range(LANES):
                total[lane] += mem[d + j, lane] * mem[e + j, lane]
        for j in range(step[COLUMNS]):
            for lane in range(LANES):
                mem[c + j, lane] = mem[e + j, lane] * (mem[d + j, lane] - total[lane])


@compiled
def relu(mem, step):
    """C = max(A, 0) (14.17)."""
    for i in range(step[ROWS]):
        a, c = step[A] + i * step[A_ROW], step[C] + i * step[C_ROW]
        for j in range(step[COLUMNS]):
            for lane in range(LANES):
                mem[c + j, lane] = max(mem[a + j, lane], 0.0)


@compiled
def relu_backward(mem, step):
    """C = dE where E > 0, else 0 (14.27), E at A, dE at B; a ReLU is positive exactly where its score was. 0 for the query."""
    for i in range(step[ROWS]):
        e, d, c = step[A] + i * step[A_ROW], step[B] + i * step[B_ROW], step[C] + i * step[C_ROW]
        for lane in range(LANES):
            mem[d + step[COLUMNS] - unsigned(1), lane] = 0.0
        for j in range(step[COLUMNS]):
            for lane in range(LANES):
                mem[c + j, lane] = mem[d + j, lane] if mem[e + j, lane] > 0.0 else 0.0


@compiled
def run(inner0, inner1, inner2, inner3, operations, factors, first, last, shared, mem):
    """Run the operations first .. last-1 of a program on a block."""
    for k in range(first, last):
        step, factor = operations[k], factors[k]
        operation = step[OPERATION]
        if operation == PRODUCT:
            product(mem, mem, mem, step, factor)
        elif operation == SHARED_LEFT:
            product(shared, mem, mem, step, factor)
        elif operation == SHARED_RIGHT:
            product(mem, shared, mem, step, factor)
        elif operation == SOFTMAX:
            softmax(mem, step)
        elif operation == SOFTMAX_BACKWARD:
            softmax_backward(mem, step)
        elif operation == RELU:
            relu(mem, step)
        elif operation == RELU_BACKWARD:
            relu_backward(mem, step)
        else:
            elementwise(mem, step, factor)


@compiled
def clear(mem, first, count):
    """Set ``count`` rows to zero."""
    for row in range(first, first + count):
        for lane in range(LANES):
            mem[row, lane] = 0.0


@compiled
def add_lane_sums(mem, first, out):
    """out (p,) += the sums over the lanes of p rows of mem, in the order of a fixed tree."""
    half = np.empty(LANES // 2)
    for i in range(len(out)):
        for lane in range(LANES // 2):
            half[lane] = mem[first + i, lane] + mem[first + i, lane + LANES // 2]
        width = LANES // 4
        while width > 0:
            for lane in range(width):
                half[lane] += half[lane + width]
            width //= 2
        out[i] += half[0]
