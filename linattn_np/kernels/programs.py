"""The linear model's passes as programs: lists of operations on small matrices (``operations.py``), which ``linear.py`` runs.

A program is written down once for each shape of model: ``operands.py`` gives its matrices names and addresses, ``steps.py``
writes the operations (5b.1) to (5b.12), ``pruning.py`` leaves out what is zero or not read.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from . import steps
from .operands import Memory, Shape, Weights
from .operations import CLEAR, Operand, Program, Term, copy, evaluate, listing
from .pruning import Places, without_unread, without_zeros

__all__ = ["Addresses", "Passes", "Program", "diagonal", "evaluate", "listing", "passes", "state"]


class Addresses(NamedTuple):
    """Where a program and the outside meet, as addresses in the memory."""

    S: int  # where the state is put: S (or G), s, x (or z), and the label y
    s: int
    x: int
    y: int
    sums: int  # where error^2, dP and dQ (in the C order of params) are summed over blocks
    hsums: int  # where hP and hQ are


@dataclass(frozen=True)
class Passes:
    """The programs of one model shape."""

    gradient: Program  # forward and backward pass; only forward where only the loss is wanted
    hvp: Program  # tangent and backward tangent, after the gradient; empty where only the gradient is wanted
    at: Addresses
    slots: int  # how many numbers the memory holds for each prompt
    starts: tuple[int, ...]  # params in equal parts: for directions in part i, hvp's rows starts[i] .. starts[i+1]-1


@lru_cache(maxsize=64)
def passes(L: int, H: int, k: int, full: bool, n: int, order: int = 1) -> Passes:
    """The programs of a model with L layers, H heads, k x k matrices (``full``: they act on whole tokens) and n examples.

    order 0: the loss alone; 1: the gradient; 2: Hessian-vector products too. The shared numbers are params and, for order 2, the
    direction.
    """
    shape, memory, size = Shape(L, H, k, full, n), Memory(k, L, H), L * H * 2 * k * k
    weights = Weights(*(
        [[memory.weight(name, first, l, h, which, shared=True) for h in range(H)] for l in range(L)]
        for name, first, which in (("P", 0, 0), ("Q", 0, 1), ("vP", size, 0), ("vQ", size, 1))
    ))  # fmt: skip
    values, y, grads = memory.activations(), memory.number("y"), memory.gradients("d", keep=order == 2)
    gradient, hvp, hgrads = Program(), Program(tangent=True), grads
    steps.forward(shape, weights, values, gradient)
    steps.error(values, y, grads, gradient)
    if order > 0:
        steps.backward(shape, weights, values, grads, gradient)
    if order == 2:
        tangents, hgrads = memory.activations("v"), memory.gradients("h", keep=False)
        steps.tangent(shape, weights, values, tangents, hvp)
        hvp.set(hgrads.label, 2 * copy(tangents.label), "2.14")
        steps.backward_tangent(shape, weights, values, tangents, grads, hgrads, hvp)
        zero = Places(memory.used, 2 * size)
        for prompt in (tangents.S[0], tangents.s[0], tangents.x[0]):  # it does not move with params
            zero.mark(prompt)
        hvp = without_zeros(hvp, zero)
    at = Addresses(values.S[0].at, values.s[0].at, values.x[0].at, y.at, grads.squares.at, hgrads.P[0][0].at)
    return Passes(gradient, hvp, at, memory.used, (0, len(hvp.steps)))


@lru_cache(maxsize=64)
def diagonal(L: int, H: int, k: int, full: bool, n: int) -> Passes:
    """The programs for the Hessian's diagonal: hvp has one part for each matrix of params, in their C order.

    A direction lies in that matrix alone, and of the product only the entries of that matrix are read. A part without operations
    belongs to a matrix that does not reach the prediction.
    """
    every, size, hvp, starts = passes(L, H, k, full, n, 2), L * H * 2 * k * k, Program(tangent=True), [0]
    for first in range(0, size, k * k):
        zero, read = Places(every.slots, 2 * size), Places(every.slots, 2 * size)
        zero.mark(Operand("v", size, size, 1, 1, 0, shared=True))
        zero.mark(Operand("v", size + first, k, k, k, 1, shared=True), False)
        read.mark(Operand("h", every.at.hsums + first, k, k, k, 1))
        hvp.steps.extend(without_unread(without_zeros(every.hvp, zero), read).steps)
        starts.append(len(hvp.steps))
    return replace(every, hvp=hvp, starts=tuple(starts))


@lru_cache(maxsize=64)
def state(N: int, d: int, k: int, first: int) -> Program:
    """(5.16): the state of prompts whose N tokens of d covariates lie one after the other from slot 0 on, the asked label last.

    From slot ``first`` on: S (k, k), s, x and y; k = d, or with whole tokens k = d + 1, and then nothing at s.
    """
    out, D = Program(), d + 1
    examples, query = Operand("X", 0, N - 1, k, D, 1), Operand("query", (N - 1) * D, D, 1, 1, 0)
    s_at, x_at, y_at = first + k * k, first + k * k + k, first + k * k + 2 * k
    out.set(Operand("S", first, k, k, k, 1), examples.T @ examples, "5.16")
    if k == d:
        out.set(Operand("s", s_at, k, 1, 1, 0), examples.T @ Operand("labels", d, N - 1, 1, D, 0), "5.16")
    x = Operand("x", x_at, k, 1, 1, 0)
    out.set(x.block(0, d), copy(query.block(0, d)), "5.16")
    if k == D:
        out.set(x.entry(d), Term(CLEAR), "5.16")
    out.set(Operand("y", y_at, 1, 1, 1, 0), copy(query.entry(d)), "5.16")
    return out
