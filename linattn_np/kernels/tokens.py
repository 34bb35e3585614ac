"""Numba twins of softmax and ReLU attention on tokens: the same mathematics as their modules and ``transformer.py``, compiled.

As in ``kernels.py`` and ``programs.py``, the passes are lists of operations on small matrices and what is compiled is the machine
that runs them; LANES prompts lie side by side. A product's inner size, D or n or N = n+1, is the length of a tuple and known when
the machine is compiled: that loop unrolls. Nothing reads the last layer's other tokens, so there the query is the only reader.
Chunks of CHUNK prompts are taken whole by a thread and added in order, so the bits do not depend on threads. Compiled when first
used, once for each (n, D). Equations (14.1) to (14.15) for softmax, (14.16) to (14.30) for ReLU; a test holds these twins to the
NumPy modules.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .linear import CHUNK_BLOCKS, LANES, compiled, run_chunks, unsigned

CHUNK = CHUNK_BLOCKS * LANES  # prompts in a chunk, as for the linear model
# Operations. The first five are products C (rows, columns) = factor A B of inner size D, n, N, 1, and of A with a matrix that all
# prompts share; then the activation of A in place, its backward from E = A to dE = B in place, and a copy of A to C.
SUM_D, SUM_n, SUM_N, SUM_1, SHARED, ACTIVATE, ACTIVATE_BACKWARD, COPY = range(8)


class TokenPasses(NamedTuple):
    """The program of one model shape, and the addresses that tie it to the outside."""

    slots: int
    # (steps, 13): operation, rows, columns, then address, stride of a row and of a column for A, B and C, 1 to add to C
    operations: np.ndarray
    factors: np.ndarray  # (steps,)
    split: int  # the first step of the backward pass
    X: int  # where the tokens (N, D) are put
    label: int  # where the query's last label is
    dX: int  # the last layer's gradient (N, D), and where its entry for that label is
    dlabel: int
    sums: int  # where dP and dQ are summed over blocks, in the order of matrices


@lru_cache(maxsize=64)
def passes(L, H, D, n):
    """The program of L layers with H heads on n examples of token width D."""
    N, rows, factors, used = n + 1, [], [], 0

    def take(size):
        nonlocal used
        used += size
        return used - size

    def put(operation, shape, a, b, c, add=0, factor=1.0):
        rows.append((operation, *shape, *a, *b, *c, add))
        factors.append(factor)

    def tokens(at, first=0):  # a (N, D) matrix, from token ``first`` on
        return at + first * D, D, 1

    def square(at, first=0):  # an (N, N) matrix, from reader ``first`` on
        return at + first * N, N, 1

    def turned(matrix):
        return matrix[0], matrix[2], matrix[1]

    def shared(l, h, which, transposed=False):  # P or Q as the right factor of tokens
        at = ((l * H + h) * 2 + which) * D * D
        return (at, 1, D) if transposed else (at, D, 1)

    none = (0, 0, 0)
    X, dX = [take(N * D) for _ in range(L + 1)], [take(N * D) for _ in range(L + 1)]
    V, E = ([[take(size) for _ in range(H)] for _ in range(L)] for size in (N * D, N * N))
    read, dV, mixed, heard, dE = take(N * D), take(N * D), take(N * D), take(N * D), take(N * N)
    sums = [[[take(D * D) for _ in range(2)] for _ in range(H)] for _ in range(L)]
    for l in range(L):
        i = n if l == L - 1 else 0  # the first reader
        put(COPY, (N, D), tokens(X[l]), none, tokens(X[l + 1]))  # residual
        for h in range(H):
            put(SHARED, (N, D), tokens(X[l]), shared(l, h, 1, True), tokens(read))  # Z Q^T
            put(SUM_D, (N - i, N), tokens(read, i), turned(tokens(X[l])), square(E[l][h], i))  # (14.1) A = Z Q^T Z^T
            put(ACTIVATE, (N - i, N), square(E[l][h], i), none, none)  # (14.2), (14.17)
            put(SHARED, (N, D), tokens(X[l]), shared(l, h, 0, True), tokens(V[l][h]))  # (14.4) V = Z P^T
            # (14.3), (14.5) Z' = Z + W V / n: n columns of E, since the mask leaves the query out
            put(SUM_n, (N - i, D), square(E[l][h], i), tokens(V[l][h]), tokens(X[l + 1], i), 1, 1 / n)
    split = len(rows)
    for l in reversed(range(L)):
        i = n if l == L - 1 else 0
        over_readers = SUM_1 if l == L - 1 else SUM_N
        put(COPY, (N, D), tokens(dX[l + 1]), none, tokens(dX[l]))  # residual
        for h in range(H):
            e, d = square(E[l][h], i), square(dE, i)
            put(over_readers, (n, D), turned(e), tokens(dX[l + 1], i), tokens(dV), 0, 1 / n)  # (14.7) dV = M W^T dZ' / n
            put(SUM_n, (D, D), turned(tokens(dV)), tokens(X[l]), (sums[l][h][0], D, 1), 1)  # (14.9) dP = dV^T Z
            put(SHARED, (n, D), tokens(dV), shared(l, h, 0), tokens(dX[l]), 1)  # (14.10) value
            put(SUM_D, (N - i, n), tokens(dX[l + 1], i), turned(tokens(V[l][h])), d, 0, 1 / n)  # (14.6), (14.11), query: below
            put(ACTIVATE_BACKWARD, (N - i, N), e, d, none)  # (14.12), (14.27)
            put(SUM_N, (N - i, D), d, tokens(X[l]), tokens(mixed, i))  # dA Z
            put(over_readers, (D, D), turned(tokens(mixed, i)), tokens(X[l], i), (sums[l][h][1], D, 1), 1)  # (14.13) dQ
            put(SHARED, (N - i, D), tokens(mixed, i), shared(l, h, 1), tokens(dX[l], i), 1)  # (14.14) reader
            put(over_readers, (N, D), turned(d), tokens(X[l], i), tokens(heard))  # dA^T Z
            put(SHARED, (N, D), tokens(heard), shared(l, h, 1, True), tokens(dX[l]), 1)  # (14.15) read
    label = N * D - 1
    return TokenPasses(
        used, np.array(rows, np.uint64), np.array(factors), split, X[0], X[L] + label, dX[L], dX[L] + label, sums[0][0][0]
    )


@compiled
def product(inner, mem, step, factor):
    """C = or += factor A B, of inner size len(inner)."""
    rows, columns, add = step[1], step[2], step[12] == 1
    a, a_row, a_column, b, b_row, b_column = step[3], step[4], step[5], step[6], step[7], step[8]
    c, c_row, c_column = step[9], step[10], step[11]
    for i in range(rows):
        for j in range(columns):
            to = c + i * c_row + j * c_column
            for lane in range(LANES):
                total = 0.0
                for m in range(unsigned(len(inner))):
                    total += mem[a + i * a_row + m * a_column, lane] * mem[b + m * b_row + j * b_column, lane]
                if add:
                    mem[to, lane] += factor * total
                else:
                    mem[to, lane] = factor * total


@compiled
def product_shared(inner, mem, shared, step, factor):
    """C = or += factor A W, W among the matrices that all prompts share."""
    rows, columns, add = step[1], step[2], step[12] == 1
    a, a_row, a_column, b, b_row, b_column = step[3], step[4], step[5], step[6], step[7], step[8]
    c, c_row, c_column = step[9], step[10], step[11]
    for i in range(rows):
        for j in range(columns):
            to = c + i * c_row + j * c_column
            for lane in range(LANES):
                total = 0.0
                for m in range(unsigned(len(inner))):
                    total += mem[a + i * a_row + m * a_column, lane] * shared[b + m * b_row + j * b_column]
                if add:
                    mem[to, lane] += factor * total
                else:
                    mem[to, lane] = factor * total


@compiled
def activate(softmax, mem, step, top, total):
    """(14.2) or (14.17) on each reader's scores, in place: the softmax over all keys, or the ReLU."""
    for i in range(step[1]):
        at = step[3] + i * step[4]
        for lane in range(LANES):
            top[lane], total[lane] = mem[at, lane], 0.0
        for j in range(step[2]):
            for lane in range(LANES):
                top[lane] = max(top[lane], mem[at + j, lane])
        for j in range(step[2]):
            for lane in range(LANES):
                mem[at + j, lane] = np.exp(mem[at + j, lane] - top[lane]) if softmax else max(mem[at + j, lane], 0.0)
                total[lane] += mem[at + j, lane]
        if softmax:
            for j in range(step[2]):
                for lane in range(LANES):
                    mem[at + j, lane] /= total[lane]


@compiled
def activate_backward(softmax, mem, step, total):
    """(14.12) or (14.27) on each reader: dE becomes dA, in place; the query's dE is 0, by the mask (14.11)."""
    one = unsigned(1)
    for i in range(step[1]):
        e, d = step[3] + i * step[4], step[6] + i * step[7]
        for lane in range(LANES):
            mem[d + step[2] - one, lane], total[lane] = 0.0, 0.0
        for j in range(step[2]):
            for lane in range(LANES):
                total[lane] += mem[d + j, lane] * mem[e + j, lane]
        for j in range(step[2]):
            for lane in range(LANES):
                if softmax:
                    mem[d + j, lane] = mem[e + j, lane] * (mem[d + j, lane] - total[lane])
                elif mem[e + j, lane] <= 0.0:  # a ReLU is positive exactly where its score was
                    mem[d + j, lane] = 0.0


@compiled
def copy(mem, step):
    """C = A for matrices without gaps."""
    for m in range(step[1] * step[2]):
        for lane in range(LANES):
            mem[step[9] + m, lane] = mem[step[3] + m, lane]


@compiled
def run(dims, dims_n, dims_N, dims_1, softmax, operations, factors, first, last, shared, mem):
    """Run the steps first .. last-1 of a program on LANES prompts."""
    top, total = np.empty(LANES), np.empty(LANES)
    for k in range(first, last):
        step, factor = operations[k], factors[k]
        if step[0] == SUM_D:
            product(dims, mem, step, factor)
        elif step[0] == SUM_n:
            product(dims_n, mem, step, factor)
        elif step[0] == SUM_N:
            product(dims_N, mem, step, factor)
        elif step[0] == SUM_1:
            product(dims_1, mem, step, factor)
        elif step[0] == SHARED:
            product_shared(dims, mem, shared, step, factor)
        elif step[0] == ACTIVATE:
            activate(softmax, mem, step, top, total)
        elif step[0] == ACTIVATE_BACKWARD:
            activate_backward(softmax, mem, step, total)
        else:
            copy(mem, step)


@compiled
def chunk_gradient(dims, dims_n, dims_N, dims_1, softmax, passes, shared, Z, y, first, last, mem, sums):
    """Sums over prompts first .. last-1: of error^2 into sums[0], of its gradient, in the order of matrices, into sums[1:]."""
    N, D, steps = Z.shape[1], Z.shape[2], len(passes.operations)
    for i in range(len(sums) - 1):
        for lane in range(LANES):
            mem[passes.sums + i, lane] = 0.0
    for start in range(first, last, LANES):
        lanes = min(LANES, last - start)
        for t in range(N):
            for a in range(D):
                for lane in range(LANES):
                    mem[passes.X + t * D + a, lane] = Z[start + lane, t, a] if lane < lanes else 0.0
                    mem[passes.dX + t * D + a, lane] = 0.0
        for part in range(2):  # the one call of run is compiled once
            begin, end = (0, passes.split) if part == 0 else (passes.split, steps)
            run(dims, dims_n, dims_N, dims_1, softmax, passes.operations, passes.factors, begin, end, shared, mem)
            if part == 0:
                for lane in range(lanes):  # places left over keep a gradient of zero
                    error = -mem[passes.label, lane] - y[start + lane]  # (1.4)
                    sums[0] += error * error
                    mem[passes.dlabel, lane] = -2.0 * error  # (2.14), (2.15); 1/B comes at the end
    for i in range(len(sums) - 1):
        for lane in range(LANES):
            sums[1 + i] += mem[passes.sums + i, lane]


def add_gradient(params, Z, y, attention, first, last, out):
    """Add to out (1 + p,) the sums of error^2 and of its gradient over prompts first .. last-1. One thread."""
    from ..models.transformer import embed, restrict

    N, D = Z.shape[1:]
    matrices, program = embed(params, D), passes(*params.shape[:2], D, N - 1)
    tuples = [(0,) * size for size in (D, N - 1, N, 1)]
    sums, mem = np.zeros(1 + matrices.size), np.empty((program.slots, LANES))
    chunk_gradient(*tuples, attention == "softmax", program, matrices.ravel(), Z, y, first, last, mem, sums)
    out[0] += sums[0]
    out[1:] += restrict(sums[1:].reshape(matrices.shape), params.shape[-1]).ravel()


def loss_and_grad(params, Z, y, attention):
    """The loss and its gradient (like params) of softmax or ReLU attention: the twin of ``transformer.loss_and_grad``."""
    Z, y = np.ascontiguousarray(Z, np.float64), np.ascontiguousarray(y, np.float64)
    starts = range(0, len(y), CHUNK)
    sums = np.zeros((len(starts), 1 + params.size))
    run_chunks(lambda c: add_gradient(params, Z, y, attention, starts[c], min(len(y), starts[c] + CHUNK), sums[c]), len(starts))
    total = sums.sum(axis=0) / len(y)
    return total[0].item(), total[1:].reshape(params.shape)
