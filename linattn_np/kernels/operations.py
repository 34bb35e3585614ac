"""Programs: lists of operations on small matrices, as data that a person reads, NumPy runs, and a compiled machine runs fast.

A matrix of a program is an :class:`Operand`: a name and the place of its entries in a memory ``mem`` (slots, prompts), which
holds each number once for every prompt, or among the ``shared`` numbers, which are the same for all prompts. Operands combine as
on paper: ``A @ B``, ``A.T``, ``2 * (A @ B)``, ``(A @ B) / n``; the result is a :class:`Term`, and ``Program.set`` or
``Program.add`` writes it into another operand, with the number of its equation:

    program.set(V, A @ S, "5b.5")
    program.add(dA, 2 * (dS @ V), "5b.6")

:func:`listing` prints a program, :func:`evaluate` runs it in NumPy, ``interpreter.run`` runs its encoding in Numba.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .._types import Array

# The operations. Three are read in a listing, and the machine runs them as others: OUTER and MULTIPLY as products of inner size
# 1,
# SHARED_RIGHT, C = A W, as C^T = W^T A^T
PRODUCT, SHARED_LEFT, SHARED_RIGHT, OUTER, MULTIPLY, COPY, SYMMETRIZE, IDENTITY, CLEAR = range(9)
SOFTMAX, SOFTMAX_BACKWARD, RELU, RELU_BACKWARD = range(9, 13)
# A row of the encoding: operation, shape of the result, how many products an entry sums (softmax: where scratch is), then
# address, stride of a row and of a
# column for A, B and C; 1 adds to C
OPERATION, ROWS, COLUMNS, INNER, A, A_ROW, A_COLUMN, B, B_ROW, B_COLUMN, C, C_ROW, C_COLUMN, ADD = range(14)

EQUATIONS = {  # what each number in a listing says; the lessons of these numbers derive them
    "1.4": "prediction = -label",
    "1.5": "loss = mean of error^2",
    "2.14": "dprediction = 2 error / B",
    "2.15": "dlabel = -dprediction",
    "5.16": "S = X^T X, s = X^T labels, x the query",
    "5b.1": "U = S Q, A = I + sum P U / n",
    "5b.2": "b = sum Q^T s / n",
    "5b.3": "x' = A x, label' = label + b^T x",
    "5b.4": "r = s + S b, s' = A r",
    "5b.5": "V = A S, S' = V A^T",
    "5b.6": "dA = 2 dS' V + ds' r^T + dx' x^T",
    "5b.7": "dr = A^T ds', db = S dr + dlabel x",
    "5b.8": "dS = A^T dS' A + sym(dr b^T + sum dU Q^T)",
    "5b.9": "ds = dr + sum Q db / n",
    "5b.10": "dx = A^T dx' + dlabel b",
    "5b.11": "dU = P^T dA / n, dP = dA U^T / n",
    "5b.12": "dQ = S dU + s db^T / n",
    "14.1": "A = Z Q^T Z^T",
    "14.2": "E = softmax(A)",
    "14.4": "V = Z P^T",
    "14.5": "Z' = Z + sum W V / n",
    "14.6": "dW = dZ' V^T / n",
    "14.7": "dV = W^T dZ' / n",
    "14.8": "dZ += dZ'",
    "14.9": "dP = dV^T Z",
    "14.10": "dZ += dV P",
    "14.11": "dE = dW M",
    "14.12": "dA = E (dE - sum dE E)",
    "14.13": "dQ = Z^T dA^T Z",
    "14.14": "dZ += dA Z Q",
    "14.15": "dZ += dA^T Z Q^T",
    "14b.1": "A = Z Q^T Z^T",
    "14b.2": "E = max(A, 0)",
    "14b.4": "V = Z P^T",
    "14b.5": "Z' = Z + sum W V / n",
    "14b.6": "dW = dZ' V^T / n",
    "14b.7": "dV = W^T dZ' / n",
    "14b.8": "dZ += dZ'",
    "14b.9": "dP = dV^T Z",
    "14b.10": "dZ += dV P",
    "14b.11": "dE = dW M",
    "14b.12": "dA = dE step(A)",
    "14b.13": "dQ = Z^T dA^T Z",
    "14b.14": "dZ += dA Z Q",
    "14b.15": "dZ += dA^T Z Q^T",
    "15.1": "R = C W1^T + b1",
    "15.2": "E = max(R, 0)",
    "15.3": "F = E W2^T + b2",
    "15.4": "dW2 = dF^T E",
    "15.5": "db2 = sum dF",
    "15.6": "dE = dF W2",
    "15.7": "dR = dE step(R)",
    "15.8": "dW1 = dR^T C",
    "15.9": "db1 = sum dR",
    "15.11": "tokens = (F ; label)",
    "15.12": "G = sum token token^T, z = the query's token",
    "15.15": "dtoken = 2 dG token, of the query dz",
}


@dataclass(frozen=True)
class Operand:
    """A matrix of a program: entry (i, j) lies at ``at + i row + j column``. A vector has one column, a number also one row."""

    name: str
    at: int
    rows: int
    columns: int
    row: int
    column: int
    shared: bool = False

    @property
    def T(self) -> Operand:
        """The transposed matrix: the same entries with rows and columns exchanged."""
        name = self.name.removesuffix("^T") if self.name.endswith("^T") else self.name + "^T"
        return replace(self, name=name, rows=self.columns, columns=self.rows, row=self.column, column=self.row)

    def block(self, first: int, rows: int, columns: int | None = None, name: str | None = None) -> Operand:
        """The rows from ``first`` on, cut to a shape."""
        columns = self.columns if columns is None else columns
        return replace(self, name=name or self.name, at=self.at + first * self.row, rows=rows, columns=columns)

    def column_block(self, first: int, columns: int, name: str | None = None) -> Operand:
        """The columns from ``first`` on."""
        return replace(self, name=name or self.name, at=self.at + first * self.column, columns=columns)

    def entry(self, i: int) -> Operand:
        """Entry i of a vector, as a number."""
        return replace(self, name=f"{self.name}[{i + 1}]", at=self.at + i * self.row, rows=1)

    def __matmul__(self, other: Operand) -> Term:
        """The matrix product."""
        if self.columns != other.rows or (self.shared and other.shared):
            raise ValueError(
                f"product {self.name} {other.name}: shapes ({self.rows}, {self.columns}), ({other.rows}, {other.columns})"
            )
        return Term(SHARED_LEFT if self.shared else SHARED_RIGHT if other.shared else PRODUCT, self, other)


@dataclass(frozen=True)
class Term:
    """What an operation computes: ``factor`` times an operation of one or two operands; the machine may need ``scratch`` for
    it.
    """

    operation: int
    a: Operand | None = None
    b: Operand | None = None
    factor: float = 1.0
    scratch: Operand | None = None

    def __rmul__(self, factor: float) -> Term:
        return replace(self, factor=factor * self.factor)

    def __truediv__(self, n: int) -> Term:
        return replace(self, factor=self.factor / n)

    def __str__(self) -> str:
        a, b = (operand.name if operand else "" for operand in (self.a, self.b))
        outer_right = b.removesuffix("^T") if b.endswith("^T") else b + "^T"
        said = {
            OUTER: f"{a} {outer_right}", COPY: a, SYMMETRIZE: f"sym({a})", IDENTITY: "I", CLEAR: "0",
            SOFTMAX: f"softmax({a})", RELU: f"max({a}, 0)", SOFTMAX_BACKWARD: f"softmax_backward({a}, {b})",
            RELU_BACKWARD: f"{b} step({a})",
        }.get(self.operation, f"{a} {b}")  # fmt: skip
        below = round(1 / self.factor)
        if self.factor == 1:
            return said
        return f"{said} / {below}" if below > 1 and self.factor == 1 / below else f"{self.factor:g} {said}"


def outer(a: Operand, b: Operand) -> Term:
    """The outer product a b^T of two vectors."""
    return Term(OUTER, a, b)


def multiply(a: Operand, b: Operand) -> Term:
    """The product of a number with a vector or a number."""
    return Term(MULTIPLY, replace(a, row=0, column=0, rows=b.rows, columns=b.columns), b)


def copy(a: Operand) -> Term:
    """The operand itself."""
    return Term(COPY, a)


def symmetrized(a: Operand) -> Term:
    """(a + a^T) / 2 of a square matrix."""
    return Term(SYMMETRIZE, a)


@dataclass(frozen=True)
class Step:
    """One operation of a program: c = term, or c += term."""

    c: Operand
    term: Term
    add: bool
    equation: str
    tangent: bool = False  # a term of the derivative of that equation

    def __str__(self) -> str:
        return f"{self.c.name} {'+=' if self.add else '='} {self.term}"


class Code(NamedTuple):
    """The encoding of a program."""

    operations: Array  # (steps, 14), columns as named above
    factors: Array  # (steps,)


@dataclass
class Program:
    """A list of operations. ``tangent``: its steps differentiate equations."""

    tangent: bool = False
    steps: list[Step] = field(default_factory=list)

    def put(self, c: Operand, term: Term, equation: str, add: bool) -> None:
        """c += term where ``add``, else c = term. Raises ValueError for an equation that is not in EQUATIONS."""
        if equation not in EQUATIONS:
            raise ValueError(f"equation: expected a number in EQUATIONS, got {equation!r}")
        if add and term.operation in (SYMMETRIZE, IDENTITY, CLEAR, SOFTMAX, SOFTMAX_BACKWARD, RELU, RELU_BACKWARD):
            raise ValueError(f"add: {c.name} = {term} can only be set")
        self.steps.append(Step(c, term, add, equation, self.tangent))

    def set(self, c: Operand, term: Term, equation: str) -> None:
        """c = term."""
        self.put(c, term, equation, add=False)

    def add(self, c: Operand, term: Term, equation: str) -> None:
        """c += term."""
        self.put(c, term, equation, add=True)

    @cached_property
    def operations(self) -> Array:
        """The encoding for the compiled machine: (steps, 14), columns as named above."""
        return np.array([encoded(step) for step in self.steps], np.uint64).reshape(-1, ADD + 1)

    @cached_property
    def factors(self) -> Array:
        """The factors of the steps, (steps,)."""
        return np.array([step.term.factor for step in self.steps])

    @property
    def code(self) -> Code:
        """What the compiled machine runs."""
        return Code(self.operations, self.factors)

    @property
    def flops(self) -> int:
        """Multiplications and additions for one prompt, counted as two a term of a product."""
        return sum(2 * step.c.rows * step.c.columns * inner_size(step.term) for step in self.steps)


def inner_size(term: Term) -> int:
    """How many products are added for an entry of the result; 0 where nothing is multiplied."""
    if term.operation in (PRODUCT, SHARED_LEFT, SHARED_RIGHT) and term.a:
        return term.a.columns
    return 1 if term.operation in (OUTER, MULTIPLY) else 0


def encoded(step: Step) -> list[int]:
    """One row of the encoding."""
    term, nowhere = step.term, Operand("", 0, 0, 0, 0, 0)
    operation, a, b, c = term.operation, term.a or nowhere, term.b or nowhere, step.c
    if operation == OUTER:
        operation, b = PRODUCT, b.T  # a column times a row
    elif operation == MULTIPLY:
        operation, a, b = PRODUCT, b, a  # a column times a number
    elif operation == SHARED_RIGHT:
        operation, a, b, c = SHARED_LEFT, b.T, a.T, c.T
    places = [number for operand in (a, b, c) for number in (operand.at, operand.row, operand.column)]
    inner = term.scratch.at if term.scratch else inner_size(term)
    return [operation, c.rows, c.columns, inner, *places, int(step.add)]


def listing(program: Program) -> str:
    """A program in words, one operation a line: what it sets (=) or adds to (+=), and the number of its equation.

    "of (5b.6)" marks a term of the derivative of (5b.6). The numbers are explained in EQUATIONS and derived in the lessons.
    """
    lines = [(str(step), f"{'of ' * step.tangent}({step.equation})") for step in program.steps]
    width = max((len(text) for text, _ in lines), default=0)
    return "\n".join(f"{text:<{width}}   {equation}" for text, equation in lines)


# ---------------------------------------------------------------- the same in NumPy


def evaluate(program: Program, mem: Array, shared: Array) -> None:
    """Run a program in NumPy, operation by operation, in place: mem (slots, prompts), shared (numbers,). The definition."""
    for step in program.steps:
        value = step.term.factor * value_of(step.term, step.c, mem, shared)  # (rows, columns, prompts)
        places = places_of(step.c)
        mem[places] = mem[places] + value if step.add else value


def places_of(operand: Operand) -> Array:
    """The addresses of the entries of an operand: (rows, columns)."""
    return operand.at + np.arange(operand.rows)[:, None] * operand.row + np.arange(operand.columns) * operand.column


def value_of(term: Term, c: Operand, mem: Array, shared: Array) -> Array:
    """What a term computes before its factor: (rows, columns, prompts); ``c`` says in which shape."""
    if term.operation == IDENTITY:
        return np.repeat(np.eye(c.rows)[..., None], mem.shape[1], axis=2)
    if term.operation == CLEAR:
        return np.zeros((c.rows, c.columns, mem.shape[1]))
    operands = (_read(operand, mem, shared) for operand in (term.a, term.b) if operand)
    return COMPUTE[term.operation](*operands)


def _product(a: Array, b: Array) -> Array:
    return np.einsum("imt,mjt->ijt", a, b)


def _softmax(a: Array) -> Array:
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _softmax_backward(e: Array, dE: Array) -> Array:
    return e * (dE - (dE * e).sum(axis=1, keepdims=True))


COMPUTE: dict[int, Callable[..., Array]] = {
    PRODUCT: _product,
    SHARED_LEFT: _product,
    SHARED_RIGHT: _product,
    OUTER: lambda a, b: np.einsum("iut,jut->ijt", a, b),
    MULTIPLY: lambda a, b: a * b,
    COPY: lambda a: a,
    SYMMETRIZE: lambda a: (a + a.swapaxes(0, 1)) / 2,
    SOFTMAX: _softmax,
    SOFTMAX_BACKWARD: _softmax_backward,
    RELU: lambda a: np.maximum(a, 0.0),
    RELU_BACKWARD: lambda e, dE: dE * (e > 0),  # a ReLU is positive exactly where its score was
}


def _read(operand: Operand, mem: Array, shared: Array) -> Array:
    """The entries of an operand, (rows, columns, prompts); 1 prompt where all share them."""
    return shared[places_of(operand)][..., None] if operand.shared else mem[places_of(operand)]
