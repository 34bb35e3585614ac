"""Numba twins of softmax and ReLU attention on tokens: the same mathematics as their modules in ``layers/``, compiled.

As for linear attention the passes are programs that ``interpreter.py`` runs, some prompts side by side. Nothing reads the last
layer's other tokens, so there the query is the only reader; nothing asks for the gradient of the first tokens, so it is left out.
Chunks of CHUNK prompts are taken whole by a thread and added in order, so the bits do not depend on threads. Equations (14.1) to
(14.15) for softmax, (14b.1) to (14b.15) for ReLU; a test holds these twins to the NumPy modules.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .._checks import as_numbers, as_params, as_prompts, one_of
from .._types import Array
from ..layers.corner import to_full, to_full_adjoint
from .draws import Law, draw_block
from .interpreter import LANES, add_lane_sums, clear, compiled, lanes_for, run, working_memories
from .linear import CHUNK_BLOCKS
from .operands import Memory
from .operations import CLEAR, RELU, RELU_BACKWARD, SOFTMAX, SOFTMAX_BACKWARD, Operand, Program, Term, copy, multiply
from .threads import run_chunks

CHUNK = CHUNK_BLOCKS * LANES  # prompts in a chunk, as for the linear model
ZERO = Term(CLEAR)


class _Kind(NamedTuple):
    """What tells one attention from another: its activation, and the lesson that its equations count in."""

    forward: int
    backward: int
    lesson: str  # (14.1) to (14.15) have their counterparts in (14b.1) to (14b.15)

    def equation(self, number: int) -> str:
        """The tag of the equation that is (14.number) for softmax."""
        return f"{self.lesson}.{number}"


KINDS = {"softmax": _Kind(SOFTMAX, SOFTMAX_BACKWARD, "14"), "relu": _Kind(RELU, RELU_BACKWARD, "14b")}


class Addresses(NamedTuple):
    """Where a program and the outside meet, as addresses in the memory."""

    X: int  # where the tokens (N, D) are put
    y: int  # where the label is
    present: int  # 1, or 0 in a place that no prompt takes
    sums: int  # where error^2 and its gradient, in the order of the shared numbers, are summed over blocks


@dataclass(frozen=True)
class TokenPasses:
    """The program of one model shape."""

    gradient: Program
    at: Addresses
    slots: int


@lru_cache(maxsize=64)
def passes(attention: str, L: int, H: int, D: int, n: int) -> TokenPasses:
    """The program of L layers with H heads on n examples of token width D."""
    kind, N, memory = KINDS[attention], n + 1, Memory()
    out, tag, matrix = Program(), kind.equation, memory.matrix

    def named(letter: str, l: int, h: int) -> str:
        return f"{letter}{l + 1}.{h + 1}" if H > 1 else f"{letter}{l + 1}"

    Z = [matrix(f"Z{l + 1}", N, D) for l in range(L + 1)]
    V, E = ([[matrix(named(name, l, h), N, width) for h in range(H)] for l in range(L)] for name, width in (("V", D), ("E", N)))
    scores, ZQ, scratch, error, y, present = (
        matrix(name, rows, columns)
        for name, rows, columns in (("A", N, N), ("ZQ", N, D), ("scratch", 2, 1), ("error", 1, 1), ("y", 1, 1), ("present", 1, 1))
    )
    dZ = {l: matrix(f"dZ{l + 1}", N, D) for l in range(1, L + 1)}
    dV, dE, dlabel, squares = matrix("dV", N, D), matrix("dE", N, N), matrix("dlabel", 1, 1), matrix("squares", 1, 1)
    dA, mixed, heard = (
        Operand(name, at.at, N, at.columns, at.columns, 1) for name, at in (("dA", scores), ("dAZ", ZQ), ("dA^TZ", dV))
    )
    summed = [[[matrix(named(name, l, h), D, D) for name in ("dP", "dQ")] for h in range(H)] for l in range(L)]
    weights = [
        [[Operand(named(name, l, h), ((l * H + h) * 2 + which) * D * D, D, D, D, 1,
                  shared=True) for which, name in enumerate("PQ")]
         for h in range(H)] for l in range(L)
    ]  # fmt: skip

    def readers(operand: Operand, l: int) -> Operand:
        """The rows of the tokens that are still read: all of them, in the last layer the query's."""
        return operand.block(n, 1, name=f"{operand.name}[query]") if l == L - 1 else operand

    def examples(operand: Operand) -> Operand:
        return operand.block(0, n)

    for l in range(L):
        out.set(readers(Z[l + 1], l), copy(readers(Z[l], l)), tag(5))  # residual
        for h, (P, Q) in enumerate(weights[l]):
            a, e = readers(scores, l), readers(E[l][h], l)
            out.set(readers(ZQ, l), readers(Z[l], l) @ Q.T, tag(1))
            out.set(a, readers(ZQ, l) @ Z[l].T, tag(1))
            out.set(e, Term(kind.forward, a, scratch=scratch), tag(2))
            out.set(examples(V[l][h]), examples(Z[l]) @ P.T, tag(4))
            out.add(readers(Z[l + 1], l), (e.block(0, e.rows, n) @ examples(V[l][h])) / n, tag(5))  # n columns of E: the mask
    label, dlast = (Z.block(n, 1).column_block(D - 1, 1, f"{Z.name}[label]") for Z in (Z[L], dZ[L]))
    read_error(label, y, present, error, dlabel, squares, out)
    out.set(dZ[L], ZERO, "2.15")
    out.set(dlast, copy(dlabel), "2.15")
    for l in reversed(range(L)):
        dnext = readers(dZ[l + 1], l)
        if l > 0:
            out.set(dZ[l], copy(dZ[l + 1]), tag(8))  # residual
        for h, (P, Q) in enumerate(weights[l]):
            (dP, dQ), e, some = summed[l][h], readers(E[l][h], l), readers(Z[l], l)
            d, da, moved = readers(dE, l), readers(dA, l), readers(mixed, l)
            out.set(examples(dV), (e.block(0, e.rows, n).T @ dnext) / n, tag(7))
            out.add(dP, examples(dV).T @ examples(Z[l]), tag(9))
            if l > 0:
                out.add(examples(dZ[l]), examples(dV) @ P, tag(10))  # value
            out.set(d.block(0, d.rows, n), (dnext @ examples(V[l][h]).T) / n, tag(6))
            out.set(d.column_block(n, 1, f"{d.name}[query]"), ZERO, tag(11))  # the mask
            out.set(da, Term(kind.backward, e, d, scratch=scratch), tag(12))
            out.set(moved, da @ Z[l], tag(13))
            out.add(dQ, moved.T @ some, tag(13))
            if l > 0:
                out.add(readers(dZ[l], l), moved @ Q, tag(14))  # reader
                out.set(heard, da.T @ some, tag(15))
                out.add(dZ[l], heard @ Q.T, tag(15))  # read
    return TokenPasses(out, Addresses(Z[0].at, y.at, present.at, squares.at), memory.used)


def read_error(
    label: Operand, y: Operand, present: Operand, error: Operand, dlabel: Operand, squares: Operand, out: Program
) -> None:
    """error = -label - y (1.4), error^2 (1.5), dlabel = -2 error (2.14), (2.15), 0 where no prompt is; 1/B comes at the end."""
    out.set(error, -1 * copy(label), "1.4")
    out.add(error, -1 * copy(y), "1.4")
    out.set(dlabel, -2 * multiply(present, error), "2.15")
    out.add(squares, multiply(dlabel, dlabel) / 4, "1.5")


@compiled
def fill_lanes(Z, y, first, last, tokens):
    """Lay prompts first .. last-1 of Z (B, N, D), y (B,) out as ``draws.draw_block`` lays them: LANES side by side, a block of
    N D rows after the other, the label that is asked for in the query's label slot.
    """
    _, N, D = Z.shape
    rows = N * D
    for start in range(first, last, LANES):
        low = (start - first) // LANES * rows
        for lane in range(min(LANES, last - start)):
            for t in range(N):
                for i in range(D):
                    tokens[low + t * D + i, lane] = Z[start + lane, t, i]
            tokens[low + rows - 1, lane] = y[start + lane]


@compiled
def lane_sums(code, at, shared, tokens, rows, prompts, mem, sums):
    """Add the sums over the first ``prompts`` prompts in blocks of ``rows`` rows, of error^2 and of its gradient, to sums."""
    width, asked = mem.shape[1], at.X + rows - 1
    clear(mem, at.sums, len(sums))
    for first in range(0, prompts, width):
        low, part = first // LANES * rows, first % LANES
        for row in range(rows):
            for lane in range(width):
                mem[at.X + row, lane] = tokens[low + row, part + lane] if first + lane < prompts else 0.0
        for lane in range(width):
            mem[at.present, lane] = 1.0 if first + lane < prompts else 0.0
            mem[at.y, lane] = mem[asked, lane]
            mem[asked, lane] = 0.0
        run(code.operations, code.factors, 0, len(code.factors), shared, mem)
    add_lane_sums(mem, at.sums, sums)


@compiled
def draw_lanes(law, state, prompts, room):
    """Draw blocks until there are so many prompts, each into room behind the tokens of the one before, which stay."""
    for first in range(0, prompts, LANES):
        draw_block(law, state, room[first // LANES * law.N * (law.d + 1) :])


def add_sums(program: TokenPasses, shared: Array, Z: Array, y: Array, first: int, last: int, sums: Array) -> None:
    """Add to sums (1 + p,) the sums of error^2 and of its gradient over prompts first .. last-1. One thread."""
    rows = Z[0].size
    mem, tokens = working_memories((program.slots, lanes_for(program.slots)), (-(-(last - first) // LANES) * rows, LANES))
    fill_lanes(Z, y, first, last, tokens)
    lane_sums(program.gradient.code, program.at, shared, tokens, rows, last - first, mem, sums)


def add_drawn_sums(program: TokenPasses, law: Law, points: Array, sizes: Array, chunks: Array, sums: Array) -> None:
    """The same at each of the points (m, p) for each of some chunks: sizes[c] prompts of a law, drawn from chunks[c], which is
    moved on, into sums[c] (m, 1 + p).
    """
    rows = law.N * (law.d + 1)
    before = (-(-int(sizes.max()) // LANES) - 1) * rows
    mem, room = working_memories((program.slots, lanes_for(program.slots)), (before + law.rows, LANES))
    for size, state, each in zip(sizes.tolist(), chunks, sums, strict=True):
        draw_lanes(law, state, size, room)
        for shared, to in zip(points, each, strict=True):
            lane_sums(program.gradient.code, program.at, shared, room, rows, size, mem, to)


def add_gradient(params: Array, Z: Array, y: Array, attention: str, first: int, last: int, out: Array) -> None:
    """Add to out (1 + p,) the sums of error^2 and of its gradient over prompts first .. last-1. One thread."""
    N, D = Z.shape[1:]
    matrices = to_full(params, D)
    sums = np.zeros(1 + matrices.size)
    add_sums(passes(attention, *params.shape[:2], D, N - 1), matrices.ravel(), Z, y, first, last, sums)
    add_trained(sums, matrices.shape, params.shape[-1], out)


def add_drawn_gradients(points: Array, law: Law, attention: str, sizes: Array, chunks: Array, out: Array) -> None:
    """The same at each of the points (m, L, H, 2, k, k) for each of some chunks: sizes[c] prompts of a law, drawn from chunks[c],
    which is moved on, into out[c] (m, 1 + p).
    """
    D = law.d + 1
    matrices = np.stack([to_full(params, D) for params in points])
    sums = np.zeros((*out.shape[:2], 1 + matrices[0].size))
    program = passes(attention, *points.shape[1:3], D, law.N - 1)
    add_drawn_sums(program, law, matrices.reshape(len(points), -1), sizes, chunks, sums)
    add_trained(sums, matrices.shape[1:], points.shape[-1], out)


def add_trained(sums: Array, shape: tuple[int, ...], k: int, out: Array) -> None:
    """Add sums (.., 1 + p) over prompts to out; of the gradient, of matrices of this shape, the entries that are trained."""
    grads = to_full_adjoint(sums[..., 1:].reshape(*sums.shape[:-1], *shape), k)
    out[..., 0] += sums[..., 0]
    out[..., 1:] += grads.reshape(*sums.shape[:-1], -1)


def loss_and_grad(params: Array, Z: Array, y: Array, attention: str) -> tuple[float, Array]:
    """The loss and its gradient (like params) of softmax or ReLU attention: the twin of ``transformer.loss_and_grad``.

    params (L, H, 2, k, k) float64, Z (B, n+1, d+1), y (B,). Raises ValueError for another kind of attention or other shapes.
    """
    one_of("attention", attention, tuple(KINDS))
    params, (Z, y) = as_params(as_numbers("params", params)), as_prompts(Z, y)
    if params.shape[-1] not in (Z.shape[2] - 1, Z.shape[2]):
        raise ValueError(f"params: expected k = d = {Z.shape[2] - 1} or k = d+1 = {Z.shape[2]} for Z, got k = {params.shape[-1]}")
    params, Z, y = (np.ascontiguousarray(array, np.float64) for array in (params, Z, y))
    starts = range(0, len(y), CHUNK)
    sums = np.zeros((len(starts), 1 + params.size))
    run_chunks(lambda c: add_gradient(params, Z, y, attention, starts[c], min(len(y), starts[c] + CHUNK), sums[c]), len(starts))
    total = sums.sum(axis=0) / len(y)
    return total[0].item(), total[1:].reshape(params.shape)
