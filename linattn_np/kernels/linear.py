"""Numba twins of the linear model: the same mathematics as ``gram.py`` and ``transformer.py``, compiled and fast.

Twins: ``loss_and_grad`` of ``transformer.loss_and_grad``, ``hvps`` of ``transformer.hvp``, ``lanes_from_tokens`` of
``gram.compress``. NumPy is the definition; a test holds each pair together.

How it is made fast and safe. LANES prompts lie side by side in the last axis of every array, so that each operation on a small
matrix is a vector operation. The passes of the model are lists of such operations (``programs.py``), and what is compiled is the
small machine that runs a list: seconds instead of the half minute that LLVM needs for the passes written out. k, the size of the
matrices, is the length of a tuple and so known when the machine is compiled: its loops unroll. No fastmath and no Numba
parallelism: a batch is cut into chunks of fixed size, threads take whole chunks, and the chunks' sums are added in order, so the
bits depend neither on the number of threads nor on the width of the machine's vectors.
"""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numba
import numpy as np
from numba.core import event

from ..processors import processors
from . import programs
from .programs import AB, AW, CLEAR, DOT, IDENTITY, NUMBER, OUTER, SCALED, SYMMETRIZED, VECTOR, WA, ABt, AtB, Atv, Av, Wv

LANES = 64  # prompts side by side: fewer pay more for each step of a program, more fall out of the caches
CHUNK_BLOCKS = 4  # blocks of LANES prompts in a chunk, the unit that a thread takes

compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


class Lanes(NamedTuple):
    """A batch of states, LANES prompts side by side; places left over in the last block hold zeros, which add nothing."""

    G: np.ndarray  # (blocks, D, D, LANES)
    z: np.ndarray  # (blocks, D, LANES)
    y: np.ndarray  # (blocks, LANES)
    n: int
    batch: int


def available():
    """Whether the kernels can be compiled here (not with NUMBA_DISABLE_JIT=1, where they would crawl)."""
    return not numba.config.DISABLE_JIT


# ---------------------------------------------------------------- threads and the first compile


class _Announcement(event.Listener):
    """Says once, on standard error, that a compilation is under way: it is part of the user's wait."""

    def __init__(self):
        self.said = False

    def on_start(self, event):
        quiet = self.said or os.environ.get("LINATTN_PROGRESS", "1") == "0"
        if not quiet and event.data["dispatcher"].py_func.__module__.startswith(__name__):
            self.said = True
            print("linattn_np: compiling the kernels, once on this machine (some seconds) ...", file=sys.stderr)

    def on_end(self, event):
        pass


event.register("numba:compile", _Announcement())

_local = threading.local()  # each thread's working memory
_pools = {}  # {(process, threads): pool}; a forked child must not use its parent's pool
_threads = None


def get_threads():
    """The number of threads the kernels use: what ``set_threads`` said, or else the processors this process may use."""
    if _threads is not None:
        return _threads
    return processors()


def set_threads(threads):
    """Use this many threads (None: all processors). The results do not depend on it, only the time."""
    global _threads
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise ValueError(f"threads: expected an integer of at least 1, or None, got {threads!r}")
    _threads = threads


def working_memory(slots):
    """The calling thread's memory of at least ``slots`` rows; programs write before they read, so what it holds does not matter."""
    if getattr(_local, "memory", None) is None or len(_local.memory) < slots:
        _local.memory = np.zeros((slots, LANES))
    return _local.memory


def run_chunks(work, count):
    """Call ``work(chunk)`` for chunk = 0 .. count-1, on the kernels' threads, and wait for all."""
    threads = min(get_threads(), count)
    if threads == 1 or getattr(_local, "busy", False):  # a thread that waited for its own pool would wait for ever
        for chunk in range(count):
            work(chunk)
        return
    key = (os.getpid(), threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads - 1, thread_name_prefix="linattn_np")

    def share(first):
        _local.busy = True
        try:
            for chunk in range(first, count, threads):
                work(chunk)
        finally:
            _local.busy = False

    others = [_pools[key].submit(share, first) for first in range(1, threads)]
    share(0)
    for other in others:
        other.result()


# ---------------------------------------------------------------- the machine
# mem (slots, LANES) holds each number of a program once for each prompt of the block; a, b, c below are addresses in it: of a
# (k, k) matrix, a vector, or a number, one row of mem for each entry. W is a matrix among ``shared``, the same for all prompts.
# dims is a tuple of length k. add: the result is added to what is there. Addresses are unsigned: Numba then leaves out the
# question whether an index is negative, and views of mem, which would be counted references, are not made at all.

unsigned = np.uint64


@compiled
def product(dims, columns, mem, a, a_row, a_column, b, b_row, b_column, factor, c, add):
    """C (k, columns) = factor A B, with entry (i, m) of A at a + i a_row + m a_column, and of B likewise."""
    for i in range(unsigned(len(dims))):
        for j in range(columns):
            for lane in range(LANES):
                total = 0.0
                for m in range(unsigned(len(dims))):
                    total += mem[a + i * a_row + m * a_column, lane] * mem[b + m * b_row + j * b_column, lane]
                if add:
                    mem[c + i * columns + j, lane] += factor * total
                else:
                    mem[c + i * columns + j, lane] = factor * total


@compiled
def product_left(dims, columns, shared, w, mem, b, factor, c, add):
    """C (k, columns) = factor W B."""
    k = unsigned(len(dims))
    for i in range(k):
        for j in range(columns):
            for lane in range(LANES):
                total = 0.0
                for m in range(k):
                    total += shared[w + i * k + m] * mem[b + m * columns + j, lane]
                if add:
                    mem[c + i * columns + j, lane] += factor * total
                else:
                    mem[c + i * columns + j, lane] = factor * total


@compiled
def product_right(dims, mem, a, shared, w, factor, c, add):
    """C (k, k) = factor A W."""
    k = unsigned(len(dims))
    for i in range(k):
        for j in range(k):
            for lane in range(LANES):
                total = 0.0
                for m in range(k):
                    total += mem[a + i * k + m, lane] * shared[w + m * k + j]
                if add:
                    mem[c + i * k + j, lane] += factor * total
                else:
                    mem[c + i * k + j, lane] = factor * total


@compiled
def outer_product(dims, mem, a, b, factor, c, add):
    """C (k, k) = factor a b^T."""
    k = unsigned(len(dims))
    for i in range(k):
        for j in range(k):
            for lane in range(LANES):
                value = factor * mem[a + i, lane] * mem[b + j, lane]
                if add:
                    mem[c + i * k + j, lane] += value
                else:
                    mem[c + i * k + j, lane] = value


@compiled
def elementwise(dims, operation, mem, a, b, factor, c, add):
    """The cheap operations: SYMMETRIZED, IDENTITY, CLEAR, DOT, VECTOR, SCALED, NUMBER, TIMES."""
    k, one = unsigned(len(dims)), unsigned(1)
    if operation == SYMMETRIZED:
        for i in range(k):
            for j in range(k):
                for lane in range(LANES):
                    mem[c + i * k + j, lane] = 0.5 * (mem[a + i * k + j, lane] + mem[a + j * k + i, lane])
    elif operation == IDENTITY:
        for i in range(k):
            for j in range(k):
                for lane in range(LANES):
                    mem[c + i * k + j, lane] = 1.0 if i == j else 0.0
    elif operation == CLEAR:
        for m in range(k):
            for lane in range(LANES):
                mem[c + m, lane] = 0.0
    elif operation == DOT:
        for lane in range(LANES):
            total = 0.0
            for m in range(k):
                total += mem[a + m, lane] * mem[b + m, lane]
            mem[c, lane] = factor * total + (mem[c, lane] if add else 0.0)
    else:
        single, rows = operation == VECTOR or operation == NUMBER, k if operation == VECTOR or operation == SCALED else one
        for m in range(rows):
            for lane in range(LANES):
                value = mem[a + m, lane] if single else mem[a, lane] * mem[b + m, lane]
                mem[c + m, lane] = factor * value + (mem[c + m, lane] if add else 0.0)


@compiled
def run(dims, operations, factors, shared, mem):
    """Run a program on one block."""
    k, one, none = unsigned(len(dims)), unsigned(1), unsigned(0)
    for step in range(len(operations)):
        operation, a, b, c = operations[step, 0], operations[step, 1], operations[step, 2], operations[step, 3]
        add, factor = operations[step, 4] == 1, factors[step]
        if operation == AB:
            product(dims, k, mem, a, k, one, b, k, one, factor, c, add)
        elif operation == ABt:
            product(dims, k, mem, a, k, one, b, one, k, factor, c, add)
        elif operation == AtB:
            product(dims, k, mem, a, one, k, b, k, one, factor, c, add)
        elif operation == Av:
            product(dims, one, mem, a, k, one, b, one, none, factor, c, add)
        elif operation == Atv:
            product(dims, one, mem, a, one, k, b, one, none, factor, c, add)
        elif operation == AW:
            product_right(dims, mem, a, shared, b, factor, c, add)
        elif operation == WA:
            product_left(dims, k, shared, a, mem, b, factor, c, add)
        elif operation == Wv:
            product_left(dims, one, shared, a, mem, b, factor, c, add)
        elif operation == OUTER:
            outer_product(dims, mem, a, b, factor, c, add)
        else:
            elementwise(dims, operation, mem, a, b, factor, c, add)


@compiled
def load(dims, S, s, x, y, G_block, z_block, y_block, mem):
    """Put the state of a block, G (D, D, LANES), z (D, LANES), and y (LANES,), where a program expects S, s, x and y."""
    k, D = len(dims), len(z_block)
    for lane in range(LANES):
        mem[y, lane] = y_block[lane]
    for i in range(k):
        for lane in range(LANES):
            mem[x + i, lane] = z_block[i, lane]
            mem[s + i, lane] = G_block[i, D - 1, lane]
        for j in range(k):
            for lane in range(LANES):
                mem[S + i * k + j, lane] = G_block[i, j, lane]


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


# ---------------------------------------------------------------- chunks of blocks


@compiled
def chunk_sums(dims, passes, shared, directions, G, z, y, first, last, mem, sums, hsums):
    """Sums over the prompts of blocks first .. last-1: of error^2 and its gradient, and of its Hessian times each direction.

    sums[0] += error^2, sums[1:] += the gradient, hsums[m] += the Hessian times directions[m], given with its transposes (2 p,).
    """
    p = len(sums) - 1
    clear(mem, passes.sums, p + 1)
    for block in range(first, last):
        load(dims, passes.S, passes.s, passes.x, passes.y, G[block], z[block], y[block], mem)
        for m in range(-1, len(directions)):  # the one call of run is compiled once
            program = passes.gradient if m < 0 else passes.hvp
            if m >= 0:
                clear(mem, passes.hsums, p)
                for i in range(2 * p):
                    shared[2 * p + i] = directions[m, i]
            run(dims, program.operations, program.factors, shared, mem)
            if m >= 0:
                add_lane_sums(mem, passes.hsums, hsums[m])
    add_lane_sums(mem, passes.sums, sums)


@compiled
def group_sums(dims, passes, shared, G, z, y, batch, size, mem, out):
    """out[i] += the gradient of the sum of error^2 over prompts i size .. (i+1) size - 1, for a batch cut into such groups."""
    p = out.shape[1]
    for block in range(len(G)):
        clear(mem, passes.sums, p + 1)  # after the run: the gradient of each lane's own prompt
        load(dims, passes.S, passes.s, passes.x, passes.y, G[block], z[block], y[block], mem)
        run(dims, passes.gradient.operations, passes.gradient.factors, shared, mem)
        first = block * LANES
        last = min(first + LANES, batch) - 1
        if first // size == last // size:  # places left over hold zeros, which add nothing
            add_lane_sums(mem, passes.sums + 1, out[first // size])
        else:
            for prompt in range(first, last + 1):
                for i in range(p):
                    out[prompt // size, i] += mem[passes.sums + 1 + i, prompt - first]


@compiled
def compress_chunk(Z, y, first, last, G, z, y_lanes):
    """(5.16) for blocks first .. last-1: tokens (B, N, D) to states in lanes."""
    B, N, D = Z.shape
    token = np.zeros((D, LANES))
    for block in range(first, last):
        lanes = min(LANES, B - block * LANES)
        for t in range(N - 1):
            for lane in range(lanes):
                for i in range(D):
                    token[i, lane] = Z[block * LANES + lane, t, i]
            for i in range(D):
                for j in range(i, D):
                    for lane in range(LANES):
                        G[block, i, j, lane] += token[i, lane] * token[j, lane]
        for i in range(D):
            for lane in range(LANES):
                token[i, lane] = 0.0
                for j in range(i):
                    G[block, i, j, lane] = G[block, j, i, lane]
            for lane in range(lanes):
                z[block, i, lane] = Z[block * LANES + lane, N - 1, i]
        for lane in range(lanes):
            y_lanes[block, lane] = y[block * LANES + lane]


# ---------------------------------------------------------------- what the rest of the library calls


def chunks_of(blocks):
    """The chunks of a batch: (first block, last block + 1) for each."""
    return [(first, min(blocks, first + CHUNK_BLOCKS)) for first in range(0, blocks, CHUNK_BLOCKS)]


def empty_lanes(batch, D, n):
    """Room for a batch of states of token width D, filled with zeros."""
    blocks = -(-batch // LANES)
    return Lanes(np.zeros((blocks, D, D, LANES)), np.zeros((blocks, D, LANES)), np.zeros((blocks, LANES)), n, batch)


def lanes_from_tokens(Z, y):
    """The states of prompts Z (B, N, D) with labels y (B,): the twin of ``gram.compress``."""
    Z, y = np.ascontiguousarray(Z, np.float64), np.ascontiguousarray(y, np.float64)
    lanes = empty_lanes(len(Z), Z.shape[2], Z.shape[1] - 1)
    chunks = chunks_of(len(lanes.G))
    run_chunks(lambda c: compress_chunk(Z, y, *chunks[c], lanes.G, lanes.z, lanes.y), len(chunks))
    return lanes


class Model:
    """Params with everything the kernels need to run them on states of token width D made from n examples.

    order 1 for gradients, 2 for Hessian-vector products. Its methods may be called from several threads at once.
    """

    def __init__(self, params, D, n, order=1):
        L, H, _, k, _ = params.shape
        self.passes, self.dims, self.p = programs.passes(L, H, k, k == D, n, order), (0,) * k, params.size
        self.shared = np.zeros(2 * order * params.size)
        self.shared[: 2 * params.size] = with_transposes(params)
        self.no_directions, self.no_sums = np.zeros((0, 2 * self.p)), np.zeros((0, self.p))

    def add_gradient(self, lanes, first, last, out):
        """Add to out (1 + p,) the sums of error^2 and of its gradient over the prompts of blocks first .. last-1."""
        mem, batch = working_memory(self.passes.slots), (lanes.G, lanes.z, lanes.y, first, last)
        chunk_sums(self.dims, self.passes, self.shared, self.no_directions, *batch, mem, out, self.no_sums)

    def add_hvps(self, lanes, directions, first, last, out):
        """Add to out (m, p) the Hessian of the sum of error^2 times each of the m directions, for blocks first .. last-1."""
        mem, batch = working_memory(self.passes.slots), (lanes.G, lanes.z, lanes.y, first, last)
        shared = self.shared.copy()  # each call puts its own directions into it
        chunk_sums(self.dims, self.passes, shared, directions, *batch, mem, np.zeros(1 + self.p), out)

    def add_grouped_gradients(self, lanes, size, out):
        """Add to out (batch / size rounded up, p) the gradients of the sum of error^2 over each ``size`` prompts in a row."""
        mem, batch = working_memory(self.passes.slots), (lanes.G, lanes.z, lanes.y, lanes.batch, size)
        group_sums(self.dims, self.passes, self.shared, *batch, mem, out)


def with_transposes(params):
    """params, then params with each matrix transposed, flat: (.., L, H, 2, k, k) -> (.., 2 p)."""
    pair = [params.reshape(*params.shape[:-5], -1), params.swapaxes(-1, -2).reshape(*params.shape[:-5], -1)]
    return np.concatenate(pair, axis=-1)


def loss_and_grad(params, lanes):
    """The loss and its gradient (like params) for a batch in lanes: the twin of ``transformer.loss_and_grad``."""
    model, chunks = Model(params, lanes.z.shape[1], lanes.n), chunks_of(len(lanes.G))
    sums = np.zeros((len(chunks), 1 + params.size))
    run_chunks(lambda c: model.add_gradient(lanes, *chunks[c], sums[c]), len(chunks))
    total = sums.sum(axis=0) / lanes.batch
    return total[0].item(), total[1:].reshape(params.shape)


def hvps(params, lanes, directions):
    """Hessian-vector products for directions (m, *params.shape) -> the same shape: the twin of ``transformer.hvp``."""
    model, chunks = Model(params, lanes.z.shape[1], lanes.n, order=2), chunks_of(len(lanes.G))
    flat = with_transposes(np.asarray(directions, np.float64))
    sums = np.zeros((len(chunks), len(flat), params.size))
    run_chunks(lambda c: model.add_hvps(lanes, flat, *chunks[c], sums[c]), len(chunks))
    return sums.sum(axis=0).reshape(directions.shape) / lanes.batch


@compiled
def gaussian_chunk(d, m, draws, G, z, y):
    """(5.30) for the blocks of one part: random numbers (rows, batch) to states in lanes; m = min(n, d)."""
    batch = draws.shape[1]
    R, w = np.zeros((d, m, LANES)), np.zeros((d, LANES))
    for block in range(len(G)):
        first = block * LANES
        lanes = min(LANES, batch - first)
        row = m
        for j in range(m):
            copy_lanes(draws, j, first, lanes, R[j, j])
            for i in range(j + 1, d):
                copy_lanes(draws, row, first, lanes, R[i, j])
                row += 1
        for i in range(d):
            copy_lanes(draws, row + i, first, lanes, w[i])
            copy_lanes(draws, row + d + i, first, lanes, z[block, i])
        for i in range(d):
            for j in range(i + 1):
                for lane in range(LANES):
                    total = 0.0
                    for t in range(min(j + 1, m)):
                        total += R[i, t, lane] * R[j, t, lane]
                    G[block, i, j, lane] = total
                    G[block, j, i, lane] = total
        for i in range(d):
            for lane in range(LANES):
                total = 0.0
                for j in range(d):
                    total += G[block, i, j, lane] * w[j, lane]
                G[block, i, d, lane] = total
                G[block, d, i, lane] = total
                G[block, d, d, lane] += total * w[i, lane]
                y[block, lane] += w[i, lane] * z[block, i, lane]


@compiled
def copy_lanes(draws, row, first, lanes, out):
    """Copy a block's share of a row of random numbers; places left over get zeros."""
    for lane in range(LANES):
        out[lane] = draws[row, first + lane] if lane < lanes else 0.0


def lanes_from_draws(task, draws):
    """The states of Gaussian prompts from their random numbers: the twin of ``batches.gaussian_state``."""
    lanes = empty_lanes(draws.shape[1], task.d + 1, task.n)
    gaussian_chunk(task.d, min(task.n, task.d), draws, lanes.G, lanes.z, lanes.y)
    return lanes


def grouped_gradients(params, lanes, size):
    """The gradients of each ``size`` prompts in a row, (batch / size, p): the twin of ``noise.grouped_gradients``. One thread."""
    out = np.zeros((-(-lanes.batch // size), params.size))  # prompts left over add to a last row, which is dropped
    Model(params, lanes.z.shape[1], lanes.n).add_grouped_gradients(lanes, size, out)
    return out[: lanes.batch // size] / size
