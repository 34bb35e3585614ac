"""The compiled machine that runs a program (``operations.py``): the twin of ``operations.evaluate``, LANES prompts at a time.

LANES prompts lie side by side in the last axis of the memory, so that each operation on a small matrix is a vector operation.
What is compiled is this small machine, seconds instead of the half minute that LLVM needs for the passes written out; it knows no
sizes, so that one machine runs every program. Products go tile by tile (``tiles.py``). No fastmath and no Numba parallelism, so
the bits depend
on neither.
"""

import numpy as np

from .lanes import LANES, available, compiled, inlined, lanes_for, working_memories, working_memory
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
    SOFTMAX,
    SOFTMAX_BACKWARD,
    SYMMETRIZE,
    A,
    B,
    C,
)  # fmt: skip
from .random import exp
from .tiles import FULL, ONE, TILE, WIDTH, product_tile

__all__ = [
    "LANES",
    "add_lane_sums",
    "available",
    "clear",
    "compiled",
    "lanes_for",
    "run",
    "run_matrices",
    "working_memories",
    "working_memory",
]

unsigned = np.uint64  # addresses are unsigned: Numba then leaves out the question whether an index is negative


@compiled
def product(left, mem, operations, k, factor):
    """C = or += factor A B, tile by tile; A lies in ``left``, which is mem or the numbers that prompts share."""
    rows, columns, inner, add, full = (
        operations[k, ROWS],
        operations[k, COLUMNS],
        operations[k, INNER],
        operations[k, ADD] == 1,
        unsigned(TILE),
    )
    i = unsigned(0)
    while i < rows:
        tall, a, j = (
            i + full <= rows,
            (operations[k, A] + i * operations[k, A_ROW], operations[k, A_ROW], operations[k, A_COLUMN]),
            unsigned(0),
        )
        while j < columns:
            wide, b = (
                j + full <= columns,
                (operations[k, B] + j * operations[k, B_COLUMN], operations[k, B_ROW], operations[k, B_COLUMN]),
            )
            c = (
                operations[k, C] + i * operations[k, C_ROW] + j * operations[k, C_COLUMN],
                operations[k, C_ROW],
                operations[k, C_COLUMN],
            )
            for lane in range(unsigned(0), unsigned(mem.shape[1]), unsigned(WIDTH)):
                if tall and wide:
                    product_tile(FULL, FULL, inner, lane, left, a, mem, b, c, factor, add)
                elif tall:
                    product_tile(FULL, ONE, inner, lane, left, a, mem, b, c, factor, add)
                elif wide:
                    product_tile(ONE, FULL, inner, lane, left, a, mem, b, c, factor, add)
                else:
                    product_tile(ONE, ONE, inner, lane, left, a, mem, b, c, factor, add)
            j += full if wide else unsigned(1)
        i += full if tall else unsigned(1)


@inlined
def elementwise(mem, operations, k, factor):
    """The cheap operations: COPY, SYMMETRIZE, IDENTITY, CLEAR."""
    operation, a, a_row, a_column = operations[k, OPERATION], operations[k, A], operations[k, A_ROW], operations[k, A_COLUMN]
    c, c_row, c_column, add = operations[k, C], operations[k, C_ROW], operations[k, C_COLUMN], operations[k, ADD] == 1
    for i in range(operations[k, ROWS]):
        for j in range(operations[k, COLUMNS]):
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


@inlined
def softmax(mem, operations, k):
    """C = the softmax of each row of A (14.2), two rows of scratch; a row's entries follow one another in memory.

    Not in place.
    """
    lanes, columns, top, total = mem.shape[1], operations[k, COLUMNS], operations[k, INNER], operations[k, INNER] + unsigned(1)
    for i in range(operations[k, ROWS]):
        a, c = operations[k, A] + i * operations[k, A_ROW], operations[k, C] + i * operations[k, C_ROW]
        for lane in range(lanes):
            mem[top, lane], mem[total, lane] = mem[a, lane], 0.0
        for j in range(columns):
            for lane in range(lanes):
                mem[top, lane] = max(mem[top, lane], mem[a + j, lane])
        for j in range(columns):
            for lane in range(lanes):
                mem[c + j, lane] = exp(mem[a + j, lane] - mem[top, lane])
            for lane in range(lanes):
                mem[total, lane] += mem[c + j, lane]
        for lane in range(lanes):
            mem[total, lane] = 1.0 / mem[total, lane]
        for j in range(columns):
            for lane in range(lanes):
                mem[c + j, lane] *= mem[total, lane]


@inlined
def softmax_backward(mem, operations, k):
    """C = E (dE - sum_j dE_ij E_ij) for each row (14.12), E at A, dE at B; scratch and rows as for :func:`softmax`."""
    lanes, total = mem.shape[1], operations[k, INNER]
    for i in range(operations[k, ROWS]):
        e, d, c = (
            operations[k, A] + i * operations[k, A_ROW],
            operations[k, B] + i * operations[k, B_ROW],
            operations[k, C] + i * operations[k, C_ROW],
        )
        for lane in range(lanes):
            mem[total, lane] = 0.0
        for j in range(operations[k, COLUMNS]):
            for lane in range(lanes):
                mem[total, lane] += mem[d + j, lane] * mem[e + j, lane]
        for j in range(operations[k, COLUMNS]):
            for lane in range(lanes):
                mem[c + j, lane] = mem[e + j, lane] * (mem[d + j, lane] - mem[total, lane])


@inlined
def relu(mem, operations, k):
    """C = max(A, 0) (14b.2), (15.2)."""
    for i in range(operations[k, ROWS]):
        a, c = operations[k, A] + i * operations[k, A_ROW], operations[k, C] + i * operations[k, C_ROW]
        for j in range(operations[k, COLUMNS]):
            for lane in range(mem.shape[1]):
                mem[c + j, lane] = max(mem[a + j, lane], 0.0)


@inlined
def relu_backward(mem, operations, k):
    """C = dE where E > 0, else 0 (14b.12), (15.7), E at A, dE at B; a ReLU is positive exactly where its argument was."""
    for i in range(operations[k, ROWS]):
        e, d, c = (
            operations[k, A] + i * operations[k, A_ROW],
            operations[k, B] + i * operations[k, B_ROW],
            operations[k, C] + i * operations[k, C_ROW],
        )
        for j in range(operations[k, COLUMNS]):
            for lane in range(mem.shape[1]):
                mem[c + j, lane] = mem[d + j, lane] if mem[e + j, lane] > 0.0 else 0.0


@inlined
def operation_of_matrices(operations, factors, k, shared, mem):
    """Run operation k of a program on a block: a product, or one of the cheap ones."""
    operation = operations[k, OPERATION]
    if operation == PRODUCT:
        product(mem, mem, operations, k, factors[k])
    elif operation == SHARED_LEFT:
        product(shared, mem, operations, k, factors[k])
    else:
        elementwise(mem, operations, k, factors[k])


@compiled
def run_matrices(operations, factors, shared, mem):
    """:func:`run` for programs without softmax and ReLU, as the linear model's are: a third less to compile before the first
    step. All of the operations: a number that is known when it is compiled would make another machine of it.
    """
    for k in range(len(factors)):
        operation_of_matrices(operations, factors, k, shared, mem)


@compiled
def run(operations, factors, first, last, shared, mem):
    """Run the operations first .. last-1 of a program on a block."""
    for k in range(first, last):
        operation = operations[k, OPERATION]
        if operation == SOFTMAX:
            softmax(mem, operations, k)
        elif operation == SOFTMAX_BACKWARD:
            softmax_backward(mem, operations, k)
        elif operation == RELU:
            relu(mem, operations, k)
        elif operation == RELU_BACKWARD:
            relu_backward(mem, operations, k)
        else:
            operation_of_matrices(operations, factors, k, shared, mem)


@compiled
def clear(mem, first, count):
    """Set ``count`` rows to zero."""
    for row in range(first, first + count):
        for lane in range(mem.shape[1]):
            mem[row, lane] = 0.0


@compiled
def add_lane_sums(mem, first, out):
    """out (p,) += the sums over the lanes of p rows of mem, in the order of a fixed tree; the rows hold parts of the sums
    then.
    """
    for i in range(len(out)):
        width = mem.shape[1] // 2
        while width > 0:
            for lane in range(width):
                mem[first + i, lane] += mem[first + i, lane + width]
            width //= 2
        out[i] += mem[first + i, 0]
