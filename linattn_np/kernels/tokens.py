"""Numba twins of softmax and ReLU attention on tokens: the same mathematics as their modules in ``layers/``, compiled.

As for linear attention the passes are programs that ``interpreter.py`` runs, LANES prompts side by side. Nothing reads the last
layer's other tokens, so there the query is the only reader. Chunks of CHUNK prompts are taken whole by a thread and added in
order, so the bits do not depend on threads. Compiled when first used, once for each (n, D). Equations (14.1) to (14.15) for
softmax, (14.16) to (14.30) for ReLU; a test holds these twins to the NumPy modules.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .._checks import as_numbers, as_params, as_prompts, one_of
from .._types import Array
from ..layers.corner import to_full, to_full_adjoint
from .interpreter import LANES, compiled, run, working_memory
from .linear import CHUNK_BLOCKS
from .operations import RELU, RELU_BACKWARD, SOFTMAX, SOFTMAX_BACKWARD, Operand, Program, Term, copy
from .threads import run_chunks

CHUNK = CHUNK_BLOCKS * LANES  # prompts in a chunk, as for the linear model


class _Kind(NamedTuple):
    """What tells one attention from another: its activation, and where its equations are counted from."""

    forward: int
    backward: int
    first: int  # (14.first) is the first of its fifteen equations

    def equation(self, number: int) -> str:
        """The tag of the equation that is (14.number) for softmax."""
        return f"14.{self.first + number - 1}"


KINDS = {"softmax": _Kind(SOFTMAX, SOFTMAX_BACKWARD, 1), "relu": _Kind(RELU, RELU_BACKWARD, 16)}


class Addresses(NamedTuple):
    """Where the program and the outside meet, as addresses in the memory."""

    X: int  # where the tokens (N, D) are put
    label: int  # where the query's last label is
    dX: int  # the last layer's gradient (N, D), and where its entry for that label is
    dlabel: int
    sums: int  # where dP and dQ are summed over blocks, in the order of matrices


@dataclass(frozen=True)
class TokenPasses:
    """The program of one model shape; ``split`` is the first step of its backward pass."""

    gradient: Program
    split: int
    at: Addresses
    slots: int


@lru_cache(maxsize=64)
def passes(attention: str, L: int, H: int, D: int, n: int) -> TokenPasses:
    """The program of L layers with H heads on n examples of token width D."""
    kind, N, used = KINDS[attention], n + 1, 0
    out, tag = Program(), kind.equation

    def matrix(name: str, rows: int, columns: int) -> Operand:
        nonlocal used
        used += rows * columns
        return Operand(name, used - rows * columns, rows, columns, columns, 1)

    def named(letter: str, l: int, h: int) -> str:
        return f"{letter}{l + 1}.{h + 1}" if H > 1 else f"{letter}{l + 1}"

    Z, dZ = ([matrix(f"{name}{l + 1}", N, D) for l in range(L + 1)] for name in ("Z", "dZ"))
    V, E = ([[matrix(named(name, l, h), N, width) for h in range(H)] for l in range(L)] for name, width in (("V", D), ("E", N)))
    ZQ, dV, mixed, heard, dE = (
        matrix(name, N, width) for name, width in (("ZQ", D), ("dV", D), ("dAZ", D), ("dA^TZ", D), ("dE", N))
    )
    summed = [[[matrix(named(name, l, h), D, D) for name in ("dP", "dQ")] for h in range(H)] for l in range(L)]
    weights = [
        [[Operand(named(name, l, h), ((l * H + h) * 2 + which) * D * D, D, D, D, 1, shared=True) for which, name in enumerate("PQ")]
         for h in range(H)] for l in range(L)
    ]  # fmt: skip

    def readers(operand: Operand, l: int) -> Operand:
        """The rows of the tokens that are still read: all of them, in the last layer the query's."""
        return operand.block(n, 1, name=f"{operand.name}[query]") if l == L - 1 else operand

    def examples(operand: Operand) -> Operand:
        return operand.block(0, n)

    for l in range(L):
        out.set(Z[l + 1], copy(Z[l]), tag(5))  # residual
        for h, (P, Q) in enumerate(weights[l]):
            e = readers(E[l][h], l)
            out.set(ZQ, Z[l] @ Q.T, tag(1))
            out.set(e, readers(ZQ, l) @ Z[l].T, tag(1))
            out.set(e, Term(kind.forward, e), tag(2))
            out.set(V[l][h], Z[l] @ P.T, tag(4))
            out.add(readers(Z[l + 1], l), (e.block(0, e.rows, n) @ examples(V[l][h])) / n, tag(5))  # n columns of E: the mask
    split = len(out.steps)
    for l in reversed(range(L)):
        dnext = readers(dZ[l + 1], l)
        out.set(dZ[l], copy(dZ[l + 1]), tag(8))  # residual
        for h, (P, Q) in enumerate(weights[l]):
            (dP, dQ), e, d, some, moved = summed[l][h], readers(E[l][h], l), readers(dE, l), readers(Z[l], l), readers(mixed, l)
            out.set(examples(dV), (e.block(0, e.rows, n).T @ dnext) / n, tag(7))
            out.add(dP, examples(dV).T @ examples(Z[l]), tag(9))
            out.add(examples(dZ[l]), examples(dV) @ P, tag(10))  # value
            out.set(d.block(0, d.rows, n), (dnext @ examples(V[l][h]).T) / n, tag(6))  # the query's column: by the mask, below
            out.set(d, Term(kind.backward, e, d), tag(12))
            out.set(moved, d @ Z[l], tag(13))
            out.add(dQ, moved.T @ some, tag(13))
            out.add(readers(dZ[l], l), moved @ Q, tag(14))  # reader
            out.set(heard, d.T @ some, tag(15))
            out.add(dZ[l], heard @ Q.T, tag(15))  # read
    label = N * D - 1
    at = Addresses(Z[0].at, Z[L].at + label, dZ[L].at, dZ[L].at + label, summed[0][0][0].at)
    return TokenPasses(out, split, at, used)


@compiled
def chunk_gradient(code, split, at, shared, Z, y, first, last, mem, sums):
    """Sums over prompts first .. last-1: of error^2 into sums[0], of its gradient, in the order of matrices, into sums[1:]."""
    N, D = Z.shape[1], Z.shape[2]
    for i in range(len(sums) - 1):
        for lane in range(LANES):
            mem[at.sums + i, lane] = 0.0
    for start in range(first, last, LANES):
        lanes = min(LANES, last - start)
        for t in range(N):
            for a in range(D):
                for lane in range(LANES):
                    mem[at.X + t * D + a, lane] = Z[start + lane, t, a] if lane < lanes else 0.0
                    mem[at.dX + t * D + a, lane] = 0.0
        for part in range(2):  # the one call of run is compiled once
            begin, end = (0, split) if part == 0 else (split, len(code.factors))
            run(None, None, None, None, code.operations, code.factors, begin, end, shared, mem)
            if part == 0:
                for lane in range(lanes):  # places left over keep a gradient of zero
                    error = -mem[at.label, lane] - y[start + lane]  # (1.4)
                    sums[0] += error * error
                    mem[at.dlabel, lane] = -2.0 * error  # (2.14), (2.15); 1/B comes at the end
    for i in range(len(sums) - 1):
        for lane in range(LANES):
            sums[1 + i] += mem[at.sums + i, lane]


def add_gradient(params: Array, Z: Array, y: Array, attention: str, first: int, last: int, out: Array) -> None:
    """Add to out (1 + p,) the sums of error^2 and of its gradient over prompts first .. last-1. One thread."""
    N, D = Z.shape[1:]
    matrices, program = to_full(params, D), passes(attention, *params.shape[:2], D, N - 1)
    sums, mem = np.zeros(1 + matrices.size), working_memory(program.slots)
    code = program.gradient.code
    chunk_gradient(code, program.split, program.at, matrices.ravel(), Z, y, first, last, mem, sums)
    out[0] += sums[0]
    out[1:] += to_full_adjoint(sums[1:].reshape(matrices.shape), params.shape[-1]).ravel()


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
