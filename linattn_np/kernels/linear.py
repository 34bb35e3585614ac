"""Numba twins of the linear model: the same mathematics as ``layers/gram.py`` and its stack, compiled and fast.

Twins: ``loss_and_grad`` and ``hvps`` of the linear Transformer's, ``lanes_from_tokens`` of ``gram.compress``,
``lanes_from_draws`` of ``batches.gaussian_state``. NumPy is the definition; a test holds each pair together.

The passes are programs (``programs.py``) that a small compiled machine runs (``interpreter.py``). A batch is cut into chunks of
fixed size, threads take whole chunks, and the chunks' sums are added in order, so the bits depend neither on the number of
threads nor on the width of the machine's vectors.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._checks import as_count, as_numbers, as_params, as_prompts
from .._types import Array
from ..batches import can_draw_states
from ..prompts import RegressionTask
from . import programs
from .draws import Law, draw_block, law_of
from .interpreter import LANES, add_lane_sums, clear, compiled, lanes_for, run_matrices, working_memories, working_memory
from .threads import run_chunks

CHUNK_BLOCKS = 4  # blocks of LANES prompts in a chunk, the unit that a thread takes


class Lanes(NamedTuple):
    """A batch of states, LANES prompts side by side; places left over in the last block hold zeros, which add nothing."""

    G: Array  # (blocks, D, D, LANES)
    z: Array  # (blocks, D, LANES)
    y: Array  # (blocks, LANES)
    n: int
    batch: int


@compiled
def load(k, at, G_block, z_block, y_block, part, mem):
    """Put the states of lanes part, part + 1, .. of a block, G (D, D, LANES), z (D, LANES), y (LANES,), where a program expects
    them.
    """
    D = len(z_block)
    for lane in range(mem.shape[1]):
        mem[at.y, lane] = y_block[part + lane]
    for i in range(k):
        for lane in range(mem.shape[1]):
            mem[at.x + i, lane] = z_block[i, part + lane]
            mem[at.s + i, lane] = G_block[i, D - 1, part + lane]
        for j in range(k):
            for lane in range(mem.shape[1]):
                mem[at.S + i * k + j, lane] = G_block[i, j, part + lane]


@compiled
def load_rows(k, at, states, part, mem):
    """The same from rows with S, s, x and y in this order, as ``programs.state`` puts them."""
    row = 0
    for to, count in ((at.S, k * k), (at.s, k), (at.x, k), (at.y, 1)):
        for i in range(count):
            for lane in range(mem.shape[1]):
                mem[to + i, lane] = states[row, part + lane]
            row += 1


@compiled
def clear_places(taken, states):
    """Zeros in the places from ``taken`` on: a place without a prompt adds nothing."""
    for row in range(len(states)):
        for lane in range(taken, LANES):
            states[row, lane] = 0.0


# ---------------------------------------------------------------- chunks of blocks


@compiled
def drawn_sums(k, to_state, gradient, at, law, state_at, points, sizes, chunks, mem, room, sums):
    """For each chunk c, sizes[c] prompts are drawn from chunks[c]; for each of the points r, the params of a model, sums[c, r, 0]
    += error^2, sums[c, r, 1:] += the gradient.

    A block's prompts are drawn into room, and ``to_state`` (``programs.state``) makes of them what then stands from row
    ``state_at`` on. For several points a whole chunk is drawn first, each block in front of the state of the one before.
    """
    width, rows = mem.shape[1], (k + 1) * (k + 1)
    for c in range(len(sizes)):
        span = LANES if len(points) == 1 else sizes[c]
        for start in range(0, sizes[c], span):
            end = min(start + span, sizes[c])
            top = (end - start - 1) // LANES
            for r in range(-1, len(points)):  # the one call of run is compiled once
                if r >= 0 and start == 0:
                    clear(mem, at.sums, sums.shape[2])
                for first in range(start, end, LANES if r < 0 else width):
                    low = (top - (first - start) // LANES) * rows
                    states = room[low + state_at : low + state_at + rows]
                    code, place = (to_state, room[low:]) if r < 0 else (gradient, mem)
                    if r < 0:
                        draw_block(law, chunks[c], place)
                    else:
                        load_rows(k, at, states, first % LANES, mem)
                    run_matrices(code.operations, code.factors, points[max(r, 0)], place)
                    if r < 0:
                        clear_places(min(LANES, sizes[c] - first), states)
                if r >= 0 and end == sizes[c]:
                    add_lane_sums(mem, at.sums, sums[c, r])


@compiled
def fill_states(law, to_state, state, room, states, prompts, G, z, y):
    """Fill G, z and y of :class:`Lanes` with states of whole tokens, drawn as in :func:`drawn_sums`."""
    D = law.d + 1
    x = D * D + D
    for block in range(len(G)):
        draw_block(law, state, room)
        run_matrices(to_state.operations, to_state.factors, to_state.factors, room)
        clear_places(min(LANES, prompts - block * LANES), states)
        for lane in range(LANES):
            for i in range(D):
                for j in range(D):
                    G[block, i, j, lane] = states[i * D + j, lane]
                z[block, i, lane] = states[x + i, lane]
            y[block, lane] = states[x + D, lane]


@compiled
def chunk_sums(k, gradient, hvp, starts, at, shared, directions, entries, G, z, y, first, last, mem, sums, hsums):
    """Sums over the prompts of blocks first .. last-1: of error^2 and its gradient, and of its Hessian times each direction.

    sums[0] += error^2, sums[1:] += the gradient, hsums[m] += the Hessian times direction m. directions[m] and hsums[m] are the
    entries from entries[m] on; a direction is 0 elsewhere, as ``shared`` is, and elsewhere its product is not asked for. It runs
    the part of hvp, ``starts`` in ``programs.Passes``, in which entries[m] lies.
    """
    p, count = len(sums) - 1, hsums.shape[1]
    clear(mem, at.sums, p + 1)
    for part in range(first * LANES, last * LANES, mem.shape[1]):
        block = part // LANES
        load(k, at, G[block], z[block], y[block], part % LANES, mem)
        for m in range(-1, len(directions)):  # the one call of run is compiled once
            code, begin, end = gradient, 0, len(gradient.factors)
            if m >= 0:
                part_of = entries[m] * (len(starts) - 1) // p
                code, begin, end = hvp, starts[part_of], starts[part_of + 1]
                clear(mem, at.hsums + entries[m], count)
                for i in range(count):
                    shared[p + entries[m] + i] = directions[m, i]
            run_matrices(code.operations[begin:end], code.factors[begin:end], shared, mem)
            if m >= 0:
                add_lane_sums(mem, at.hsums + entries[m], hsums[m])
                for i in range(count):
                    shared[p + entries[m] + i] = 0.0
    add_lane_sums(mem, at.sums, sums)


@compiled
def group_sums(k, gradient, at, shared, G, z, y, batch, size, mem, out):
    """out[i] += the gradient of the sum of error^2 over prompts i size .. (i+1) size - 1, for a batch cut into such groups."""
    p = out.shape[1]
    for first in range(0, batch, mem.shape[1]):
        block = first // LANES
        clear(mem, at.sums, p + 1)  # after the run: the gradient of each lane's own prompt
        load(k, at, G[block], z[block], y[block], first % LANES, mem)
        run_matrices(gradient.operations, gradient.factors, shared, mem)
        last = min(first + mem.shape[1], batch) - 1
        if first // size == last // size:  # places left over hold zeros, which add nothing
            add_lane_sums(mem, at.sums + 1, out[first // size])
        else:
            for prompt in range(first, last + 1):
                for i in range(p):
                    out[prompt // size, i] += mem[at.sums + 1 + i, prompt - first]


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


def chunks_of(blocks: int) -> list[tuple[int, int]]:
    """The chunks of a batch: (first block, last block + 1) for each."""
    return [(first, min(blocks, first + CHUNK_BLOCKS)) for first in range(0, blocks, CHUNK_BLOCKS)]


def empty_lanes(batch: int, D: int, n: int) -> Lanes:
    """Room for a batch of states of token width D, filled with zeros."""
    blocks = -(-batch // LANES)
    return Lanes(np.zeros((blocks, D, D, LANES)), np.zeros((blocks, D, LANES)), np.zeros((blocks, LANES)), n, batch)


def lanes_from_tokens(Z: Array, y: Array) -> Lanes:
    """The states of prompts Z (B, N, D) with labels y (B,): the twin of ``gram.compress``. Raises ValueError for other shapes."""
    Z, y = (np.ascontiguousarray(array, np.float64) for array in as_prompts(Z, y))
    lanes = empty_lanes(len(Z), Z.shape[2], Z.shape[1] - 1)
    chunks = chunks_of(len(lanes.G))
    run_chunks(lambda c: compress_chunk(Z, y, *chunks[c], lanes.G, lanes.z, lanes.y), len(chunks))
    return lanes


def drawn_lanes(task: RegressionTask, batch: int, state: Array) -> Lanes:
    """The states of ``batch`` fresh prompts, drawn from the state (4, LANES) of a chunk, which is moved on in place.

    The twin of ``draws_numpy.states`` where a task has the shortcut (5.18), else of ``gram.compress`` on ``draws_numpy.prompts``.
    """
    law, D = law_of(task, can_draw_states(task)), task.d + 1
    lanes, room = empty_lanes(batch, D, task.n), working_memory(law.rows + (D + 1) ** 2)
    code = programs.state(law.N, law.d, D, law.rows).code
    fill_states(law, code, state, room, room[law.rows :], batch, lanes.G, lanes.z, lanes.y)
    return lanes


class LinearKernel:
    """Params with everything the kernels need to run them on states of token width D made from n examples.

    order 0 for losses, 1 for gradients, 2 for Hessian-vector products; ``diagonal``: of directions in one matrix each, and of the
    products the entries in that matrix. Its methods may be called from several threads at once.
    """

    def __init__(self, params: Array, D: int, n: int, order: int = 1, diagonal: bool = False) -> None:
        L, H, _, k, _ = params.shape
        shape = L, H, k, k == D, n
        self.passes, self.k, self.p = programs.diagonal(*shape) if diagonal else programs.passes(*shape, order), k, params.size
        self.shared = np.zeros(max(1, order) * params.size)  # params, then a direction
        self.shared[: params.size] = params.ravel()
        self.no_directions, self.no_entries = np.zeros((0, self.p)), np.zeros(0, np.int64)

    def add_gradient(self, lanes: Lanes, first: int, last: int, out: Array) -> None:
        """Add to out (1 + p,) the sums of error^2 and of its gradient over the prompts of blocks first .. last-1.

        Of order 0 to out (1,) that of error^2.
        """
        self._add(lanes, self.shared, self.no_directions, self.no_entries, first, last, out, self.no_directions)

    def add_hvps(self, lanes: Lanes, directions: Array, entries: Array, first: int, last: int, sums: Array, out: Array) -> None:
        """The same, and add to out (m, count) the Hessian of the sum of error^2 times each of the directions (m, count).

        Of each direction and product count entries, from entries[m] on; a direction is 0 elsewhere.
        """
        self._add(lanes, self.shared.copy(), directions, entries, first, last, sums, out)  # each call its own direction

    def _add(
        self, lanes: Lanes, shared: Array, directions: Array, entries: Array, first: int, last: int, sums: Array, hsums: Array
    ) -> None:
        passes, batch = self.passes, (lanes.G, lanes.z, lanes.y, first, last)
        codes, starts = (passes.gradient.code, passes.hvp.code), np.array(passes.starts, np.int64)
        mem = working_memory(passes.slots, lanes_for(passes.slots))
        chunk_sums(self.k, *codes, starts, passes.at, shared, directions, entries, *batch, mem, sums, hsums)

    def add_grouped_gradients(self, lanes: Lanes, size: int, out: Array) -> None:
        """Add to out (batch / size rounded up, p) the gradients of the sum of error^2 over each ``size`` prompts in a row."""
        passes, batch = self.passes, (lanes.G, lanes.z, lanes.y, lanes.batch, size)
        mem = working_memory(passes.slots, lanes_for(passes.slots))
        group_sums(self.k, passes.gradient.code, passes.at, self.shared, *batch, mem, out)


def drawing_adder(shape: tuple[int, ...], law: Law, n: int) -> Callable[[Array, Array, Array, Array], None]:
    """The function ``add(points, sizes, chunks, out)``: for each chunk it draws sizes[c] prompts of the law from chunks[c], which
    is moved on, and adds the sums of error^2 and of its gradient over them to out[c] (m, 1 + p).

    points (m, *shape) are the params of models on n examples, a row of out[c] for each. Several threads may call it at once.
    """
    L, H, _, k, _ = shape
    passes, rows = programs.passes(L, H, k, k == law.d + 1, n), law.rows
    codes, memory = (programs.state(law.N, law.d, k, rows).code, passes.gradient.code), (passes.slots, lanes_for(passes.slots))

    def add(points: Array, sizes: Array, chunks: Array, out: Array) -> None:
        if points.shape[1:] != shape:  # nothing is read outside
            raise ValueError(f"points: expected shape (m, {', '.join(map(str, shape))}), got {points.shape}")
        blocks = 1 if len(points) == 1 else -(-int(sizes.max()) // LANES)
        mem, room = working_memories(memory, (rows + blocks * (k + 1) ** 2, LANES))
        weights = np.ascontiguousarray(points.reshape(len(points), -1))
        drawn_sums(k, *codes, passes.at, law, rows, weights, sizes, chunks, mem, room, out)

    return add


def kernel_for(params: Array, lanes: Lanes, order: int = 1, diagonal: bool = False) -> LinearKernel:
    """The kernel of params (L, H, 2, k, k) for a batch in lanes.

    Raises ValueError where they do not fit: nothing is read outside.
    """
    if not isinstance(lanes, Lanes):
        raise ValueError(f"lanes: expected what lanes_from_tokens(Z, y) gives, got {type(lanes).__name__}")
    params, width, wanted = as_params(params), lanes.z.shape[1], (len(lanes.G), lanes.z.shape[1], lanes.z.shape[1], LANES)
    if params.dtype != np.float64 or params.shape[-1] not in (width - 1, width):
        raise ValueError(
            f"params: expected float64 and k = {width - 1} or {width} for these lanes, got {params.dtype}, k = {params.shape[-1]}"
        )
    shapes = lanes.G.shape, lanes.z.shape, lanes.y.shape
    if shapes != (wanted, (wanted[0], width, LANES), (wanted[0], LANES)) or not 0 < lanes.batch <= wanted[0] * LANES:
        raise ValueError(f"lanes: expected G, z, y of shapes (blocks, D, D, {LANES}), (blocks, D, {LANES}), (blocks, {LANES})")
    return LinearKernel(params, width, lanes.n, order, diagonal)


def loss_and_grad(params: Array, lanes: Lanes) -> tuple[float, Array]:
    """The loss and its gradient (like params) for a batch in lanes: the twin of ``transformer.loss_and_grad``."""
    model, chunks = kernel_for(params, lanes), chunks_of(len(lanes.G))
    sums = np.zeros((len(chunks), 1 + params.size))
    run_chunks(lambda c: model.add_gradient(lanes, *chunks[c], sums[c]), len(chunks))
    total = sums.sum(axis=0) / lanes.batch
    return total[0].item(), total[1:].reshape(params.shape)


def loss(params: Array, lanes: Lanes) -> float:
    """The loss for a batch in lanes, to the bits of :func:`loss_and_grad`, by the forward pass alone."""
    model, chunks = kernel_for(params, lanes, order=0), chunks_of(len(lanes.G))
    sums = np.zeros((len(chunks), 1))
    run_chunks(lambda c: model.add_gradient(lanes, *chunks[c], sums[c]), len(chunks))
    return np.cumsum(sums)[-1].item() / lanes.batch  # in order, as the rows of loss_and_grad are added


def hvps(params: Array, lanes: Lanes, directions: Array) -> Array:
    """Hessian-vector products for directions (m, *params.shape) -> the same shape: the twin of ``transformer.hvp``."""
    return grad_and_hvps(params, lanes, directions)[1]


def grad_and_hvps(params: Array, lanes: Lanes, directions: Array) -> tuple[Array, Array]:
    """The gradient, like params, and beside it :func:`hvps`, which need it."""
    kernel, directions = kernel_for(params, lanes, order=2), as_numbers("directions", directions)
    if directions.ndim < 1 or directions.shape[1:] != params.shape:
        raise ValueError(f"directions: expected shape (m, {', '.join(map(str, params.shape))}), got {directions.shape}")
    grad, found = products(kernel, lanes, directions.reshape(-1, params.size), np.zeros(len(directions), np.int64))
    return grad.reshape(params.shape), found.reshape(directions.shape)


def hessian_diagonal(params: Array, lanes: Lanes) -> Array:
    """The diagonal of the Hessian, like params, to the bits of :func:`hvps`: of each unit vector's product only what one entry
    needs.
    """
    kernel = kernel_for(params, lanes, order=2, diagonal=True)
    return products(kernel, lanes, np.ones((params.size, 1)), np.arange(params.size))[1].reshape(params.shape)


def products(kernel: LinearKernel, lanes: Lanes, directions: Array, entries: Array) -> tuple[Array, Array]:
    """The gradient (p,), and the Hessian times each direction (m, count).

    Of each direction and product count entries, from entries[m] on; a direction is 0 elsewhere.
    """
    chunks, directions = chunks_of(len(lanes.G)), np.ascontiguousarray(directions, np.float64)
    sums, found = np.zeros((len(chunks), 1 + kernel.p)), np.zeros((len(chunks), *directions.shape))
    run_chunks(lambda c: kernel.add_hvps(lanes, directions, entries, *chunks[c], sums[c], found[c]), len(chunks))
    return sums.sum(axis=0)[1:] / lanes.batch, found.sum(axis=0) / lanes.batch


@compiled
def gaussian_chunk(d, m, draws, G, z, y):
    """(5.18) for the blocks of one part: random numbers (rows, batch) to states in lanes; m = min(n, d)."""
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


def lanes_from_draws(task: RegressionTask, draws: Array) -> Lanes:
    """The states of Gaussian prompts from their random numbers: the twin of ``batches.gaussian_state``.

    draws (rows, batch) of ``batches.draw_gaussian``. Raises ValueError for another number of rows.
    """
    m = min(task.n, task.d)
    rows, draws = m + task.d * m - m * (m + 1) // 2 + 2 * task.d, as_numbers("draws", draws, ndim=2)
    if len(draws) != rows:
        raise ValueError(f"draws: expected {rows} rows for {task}, got shape {draws.shape}")
    lanes = empty_lanes(draws.shape[1], task.d + 1, task.n)
    gaussian_chunk(task.d, m, np.ascontiguousarray(draws, np.float64), lanes.G, lanes.z, lanes.y)
    return lanes


def grouped_gradients(params: Array, lanes: Lanes, size: int) -> Array:
    """The gradients of each ``size`` prompts in a row, (batch / size, p): the twin of ``Passes.grouped_gradients``.

    One thread.
    """
    params = as_params(as_numbers("params", params))
    out = np.zeros((-(-lanes.batch // as_count("size", size)), params.size))  # prompts left over add to a last row, dropped below
    kernel_for(params, lanes).add_grouped_gradients(lanes, size, out)
    return out[: lanes.batch // size] / size
