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
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numba
import numpy as np
from numba.core import event

from . import programs
from .programs import AB, DOT, IDENTITY, OUTER, SCALED, SYMMETRIZED, VECTOR, WA, ABt, AtB, Atv, Av, AW, Wv

LANES = 16  # prompts side by side: 8 leave the vector units idle, 64 fall out of the first-level cache
CHUNK_BLOCKS = 16  # blocks of LANES prompts in a chunk, the unit that a thread takes
CHUNK = LANES * CHUNK_BLOCKS

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
        if not self.said and event.data["dispatcher"].py_func.__module__ == __name__:
            self.said = True
            print("linattn_np: compiling the kernels, once on this machine (some seconds) ...", file=sys.stderr)

    def on_end(self, event):
        pass


event.register("numba:compile", _Announcement())

_pools = {}  # {(process, threads): pool}; a forked child must not use its parent's pool
_threads = None


def get_threads():
    """The number of threads the kernels use: what ``set_threads`` said, or else the processors this process may use."""
    if _threads is not None:
        return _threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(threads):
    """Use this many threads (None: all processors). The results do not depend on it, only the time."""
    global _threads
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise ValueError(f"threads: expected an integer of at least 1, or None, got {threads!r}")
    _threads = threads


def run_chunks(work, count):
    """Call ``work(chunk)`` for chunk = 0 .. count-1, on the kernels' threads, and wait for all."""
    threads = min(get_threads(), count)
    if threads == 1:
        for chunk in range(count):
            work(chunk)
        return
    key = (os.getpid(), threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads - 1, thread_name_prefix="linattn_np")

    def share(first):
        for chunk in range(first, count, threads):
            work(chunk)

    others = [_pools[key].submit(share, first) for first in range(1, threads)]
    share(0)
    for other in others:
        other.result()


# ---------------------------------------------------------------- the machine
# mem (slots, LANES) holds each number of a program once for each prompt of the block; A, B, C below are parts of it that start
# at the operand's address. W is one matrix for all prompts. dims is a tuple of length k. add: C += factor (..), else C = ...


@compiled
def product(dims, columns, A, A_row, A_column, B, B_row, B_column, factor, C, add):
    """C (k, columns) = factor A B, with entry (i, m) of A at i A_row + m A_column, and of B likewise."""
    k = len(dims)
    for i in range(k):
        for j in range(columns):
            for lane in range(LANES):
                total = 0.0
                for m in range(k):
                    total += A[i * A_row + m * A_column, lane] * B[m * B_row + j * B_column, lane]
                if add:
                    C[i * columns + j, lane] += factor * total
                else:
                    C[i * columns + j, lane] = factor * total


@compiled
def product_left(dims, columns, W, B, factor, C, add):
    """C (k, columns) = factor W B."""
    k = len(dims)
    for i in range(k):
        for j in range(columns):
            for lane in range(LANES):
                total = 0.0
                for m in range(k):
                    total += W[i * k + m] * B[m * columns + j, lane]
                if add:
                    C[i * columns + j, lane] += factor * total
                else:
                    C[i * columns + j, lane] = factor * total


@compiled
def product_right(dims, A, W, factor, C, add):
    """C (k, k) = factor A W."""
    k = len(dims)
    for i in range(k):
        for j in range(k):
            for lane in range(LANES):
                total = 0.0
                for m in range(k):
                    total += A[i * k + m, lane] * W[m * k + j]
                if add:
                    C[i * k + j, lane] += factor * total
                else:
                    C[i * k + j, lane] = factor * total


@compiled
def outer_product(dims, a, b, factor, C, add):
    """C (k, k) = factor a b^T."""
    k = len(dims)
    for i in range(k):
        for j in range(k):
            for lane in range(LANES):
                value = factor * a[i, lane] * b[j, lane]
                if add:
                    C[i * k + j, lane] += value
                else:
                    C[i * k + j, lane] = value


@compiled
def elementwise(dims, operation, A, B, factor, C, add):
    """The cheap operations: SCALED, DOT, SYMMETRIZED, IDENTITY, VECTOR."""
    k = len(dims)
    if operation == SYMMETRIZED:
        for i in range(k):
            for j in range(k):
                for lane in range(LANES):
                    C[i * k + j, lane] = 0.5 * (A[i * k + j, lane] + A[j * k + i, lane])
    elif operation == IDENTITY:
        for i in range(k):
            for j in range(k):
                for lane in range(LANES):
                    C[i * k + j, lane] = 1.0 if i == j else 0.0
    elif operation == DOT:
        for m in range(k):
            for lane in range(LANES):
                C[0, lane] += factor * A[m, lane] * B[m, lane]
    else:
        for m in range(k):
            for lane in range(LANES):
                value = A[m, lane] if operation == VECTOR else A[0, lane] * B[m, lane]
                if add:
                    C[m, lane] += factor * value
                else:
                    C[m, lane] = factor * value


@compiled
def run(dims, operations, factors, shared, mem):
    """Run a program on one block."""
    k = len(dims)
    for step in range(len(operations)):
        operation, a, b = operations[step, 0], operations[step, 1], operations[step, 2]
        C, add, factor = mem[operations[step, 3] :], operations[step, 4] == 1, factors[step]
        if operation == AB:
            product(dims, k, mem[a:], k, 1, mem[b:], k, 1, factor, C, add)
        elif operation == ABt:
            product(dims, k, mem[a:], k, 1, mem[b:], 1, k, factor, C, add)
        elif operation == AtB:
            product(dims, k, mem[a:], 1, k, mem[b:], k, 1, factor, C, add)
        elif operation == Av:
            product(dims, 1, mem[a:], k, 1, mem[b:], 1, 0, factor, C, add)
        elif operation == Atv:
            product(dims, 1, mem[a:], 1, k, mem[b:], 1, 0, factor, C, add)
        elif operation == AW:
            product_right(dims, mem[a:], shared[b:], factor, C, add)
        elif operation == WA:
            product_left(dims, k, shared[a:], mem[b:], factor, C, add)
        elif operation == Wv:
            product_left(dims, 1, shared[a:], mem[b:], factor, C, add)
        elif operation == OUTER:
            outer_product(dims, mem[a:], mem[b:], factor, C, add)
        else:
            elementwise(dims, operation, mem[a:], mem[b:], factor, C, add)


@compiled
def load(dims, G, z, S, s, x, mem):
    """Put the state of a block, G (D, D, LANES) and z (D, LANES), where a program expects S, s and x."""
    k, D = len(dims), len(z)
    for i in range(k):
        for lane in range(LANES):
            mem[x + i, lane] = z[i, lane]
            mem[s + i, lane] = G[i, D - 1, lane]
        for j in range(k):
            for lane in range(LANES):
                mem[S + i * k + j, lane] = G[i, j, lane]


@compiled
def add_lane_sums(values, out):
    """out (p,) += the sums of values (p, LANES) over the lanes, LANES = 16, in the order of a fixed tree."""
    half = np.empty(LANES // 2)
    for i in range(len(out)):
        for lane in range(LANES // 2):
            half[lane] = values[i, lane] + values[i, lane + LANES // 2]
        out[i] += ((half[0] + half[4]) + (half[2] + half[6])) + ((half[1] + half[5]) + (half[3] + half[7]))


# ---------------------------------------------------------------- chunks of blocks


@compiled
def gradient_chunk(dims, at, forward, forward_factors, backward, backward_factors, shared, G, z, y, first, last, out):
    """For blocks first .. last-1: out[0] += the sum of error^2, out[1:] += its gradient. ``at``: slots and addresses."""
    slots, S, s, x, label, dlabel, sums = at
    mem = np.zeros((slots, LANES))
    squares = np.zeros((1, LANES))
    for block in range(first, last):
        load(dims, G[block], z[block], S, s, x, mem)
        for lane in range(LANES):
            mem[label, lane] = 0.0
        run(dims, forward, forward_factors, shared, mem)
        for lane in range(LANES):
            error = -mem[label, lane] - y[block, lane]  # (1.4)
            squares[0, lane] += error * error
            mem[dlabel, lane] = -2.0 * error  # (2.14), (2.15); 1/B comes at the end
        run(dims, backward, backward_factors, shared, mem)
    add_lane_sums(squares, out[:1])
    add_lane_sums(mem[sums:], out[1:])


@compiled
def hvp_chunk(dims, at, first_order, second_order, shared, directions, G, z, y, first, last, out):
    """For blocks first .. last-1: out[m] += the Hessian of the sum of error^2 times directions[m] (4 x params.size as shared)."""
    slots, S, s, x, label, dlabel, vlabel, hlabel, hsums = at
    forward, forward_factors, backward, backward_factors = first_order
    tangent, tangent_factors, backward_tangent, backward_tangent_factors = second_order
    mem = np.zeros((slots, LANES))
    p = out.shape[1]
    for block in range(first, last):
        load(dims, G[block], z[block], S, s, x, mem)
        for lane in range(LANES):
            mem[label, lane] = 0.0
        run(dims, forward, forward_factors, shared, mem)
        for lane in range(LANES):
            mem[dlabel, lane] = 2.0 * (mem[label, lane] + y[block, lane])
        run(dims, backward, backward_factors, shared, mem)
        for m in range(len(directions)):
            for i in range(2 * p):
                shared[2 * p + i] = directions[m, i]
            for lane in range(LANES):
                mem[vlabel, lane] = 0.0
                for i in range(p):
                    mem[hsums + i, lane] = 0.0
            run(dims, tangent, tangent_factors, shared, mem)
            for lane in range(LANES):
                mem[hlabel, lane] = 2.0 * mem[vlabel, lane]
            run(dims, backward_tangent, backward_tangent_factors, shared, mem)
            add_lane_sums(mem[hsums:], out[m])


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
    """Params with everything the kernels need to run them on states of token width D made from n examples."""

    def __init__(self, params, D, n):
        L, H, _, k, _ = self.shape = params.shape
        self.passes, self.dims = programs.passes(L, H, k, k == D, n), (0,) * k
        self.shared = np.zeros(self.passes.shared)
        self.shared[: 2 * params.size] = with_transposes(params)

    def add_gradient(self, lanes, first, last, out):
        """Add to out (1 + p,) the sums of error^2 and of its gradient over the prompts of blocks first .. last-1."""
        p = self.passes
        at = (p.slots, p.S, p.s, p.x, p.label, p.dlabel, p.sums)
        gradient_chunk(self.dims, at, *p.forward, *p.backward, self.shared, lanes.G, lanes.z, lanes.y, first, last, out)

    def add_hvps(self, lanes, directions, first, last, out):
        """Add to out (m, p) the Hessian of the sum of error^2 times each of the m directions, for blocks first .. last-1."""
        p = self.passes
        at = (p.slots, p.S, p.s, p.x, p.label, p.dlabel, p.vlabel, p.hlabel, p.hsums)
        orders = (*p.forward, *p.backward), (*p.tangent, *p.backward_tangent)
        shared = self.shared.copy()  # each thread puts its own directions into it
        hvp_chunk(self.dims, at, *orders, shared, directions, lanes.G, lanes.z, lanes.y, first, last, out)


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
    model, chunks = Model(params, lanes.z.shape[1], lanes.n), chunks_of(len(lanes.G))
    flat = with_transposes(np.asarray(directions, np.float64))
    sums = np.zeros((len(chunks), len(flat), params.size))
    run_chunks(lambda c: model.add_hvps(lanes, flat, *chunks[c], sums[c]), len(chunks))
    return sums.sum(axis=0).reshape(directions.shape) / lanes.batch


@compiled
def gaussian_chunk(dims, m, draws, G, z, y):
    """(5.30) for the blocks of one part: random numbers (rows, batch) to states in lanes; dims has length d."""
    d, batch = len(dims), draws.shape[1]
    R, w, x = np.zeros((d, m, LANES)), np.zeros((d, LANES)), np.zeros((d, LANES))
    for block in range(len(G)):
        first = block * LANES
        lanes = min(LANES, batch - first)
        if lanes < LANES:  # places left over get zeros
            R[:], w[:], x[:] = 0.0, 0.0, 0.0
        row = m
        for j in range(m):
            for lane in range(lanes):
                R[j, j, lane] = draws[j, first + lane]
            for i in range(j + 1, d):
                for lane in range(lanes):
                    R[i, j, lane] = draws[row, first + lane]
                row += 1
        for i in range(d):
            for lane in range(lanes):
                w[i, lane] = draws[row + i, first + lane]
                x[i, lane] = draws[row + d + i, first + lane]
        for i in range(d):
            for j in range(i + 1):
                for lane in range(LANES):
                    total = 0.0
                    for t in range(min(j + 1, m)):
                        total += R[i, t, lane] * R[j, t, lane]
                    G[block, i, j, lane] = total
                    G[block, j, i, lane] = total
        for lane in range(LANES):
            corner, label = 0.0, 0.0
            for i in range(d):
                total = 0.0
                for j in range(d):
                    total += G[block, i, j, lane] * w[j, lane]
                G[block, i, d, lane] = total
                G[block, d, i, lane] = total
                corner += total * w[i, lane]
                label += w[i, lane] * x[i, lane]
                z[block, i, lane] = x[i, lane]
            G[block, d, d, lane] = corner
            y[block, lane] = label


def lanes_from_draws(task, draws):
    """The states of Gaussian prompts from their random numbers: the twin of ``streams.gaussian_state``."""
    lanes = empty_lanes(draws.shape[1], task.d + 1, task.n)
    gaussian_chunk((0,) * task.d, min(task.n, task.d), draws, lanes.G, lanes.z, lanes.y)
    return lanes


@compiled
def grouped_gradient_chunk(dims, at, forward, forward_factors, backward, backward_factors, shared, G, z, y, batch, size, out):
    """out[i] += the gradient of the sum of error^2 over prompts i size .. (i+1) size - 1, for a batch cut into such groups."""
    slots, S, s, x, label, dlabel, sums = at
    mem = np.zeros((slots, LANES))
    p = out.shape[1]
    for block in range(len(G)):
        load(dims, G[block], z[block], S, s, x, mem)
        for lane in range(LANES):
            mem[label, lane] = 0.0
            for i in range(p):
                mem[sums + i, lane] = 0.0  # after the run: the gradient of each lane's own prompt
        run(dims, forward, forward_factors, shared, mem)
        for lane in range(LANES):
            mem[dlabel, lane] = 2.0 * (mem[label, lane] + y[block, lane])
        run(dims, backward, backward_factors, shared, mem)
        first = block * LANES
        last = min(first + LANES, batch) - 1
        if first // size == last // size:  # places left over hold zeros, which add nothing
            add_lane_sums(mem[sums:], out[first // size])
        else:
            for prompt in range(first, last + 1):
                for i in range(p):
                    out[prompt // size, i] += mem[sums + i, prompt - first]


def grouped_gradients(params, lanes, size):
    """The gradients of each ``size`` prompts in a row, (batch / size, p): the twin of ``noise.grouped_gradients``. One thread."""
    model = Model(params, lanes.z.shape[1], lanes.n)
    p, out = model.passes, np.zeros((lanes.batch // size, params.size))
    at = (p.slots, p.S, p.s, p.x, p.label, p.dlabel, p.sums)
    arrays = (lanes.G, lanes.z, lanes.y, lanes.batch, size, out)
    grouped_gradient_chunk(model.dims, at, *p.forward, *p.backward, model.shared, *arrays)
    return out / size
