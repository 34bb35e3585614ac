"""The operands of the linear model's programs: a name and an address for every matrix, vector and number of a pass.

Prefixes as everywhere: dX is the gradient of X, vX its tangent, hX the tangent of dX. A name ends in the layer, counted from 1,
and in the head where there are several.
"""

from dataclasses import dataclass
from typing import NamedTuple

from .operations import Operand


class Activations(NamedTuple):
    """The operands of a forward pass, or of its tangent; lists have one entry a layer, S, s, x one more for the end."""

    S: list[Operand]
    s: list[Operand]
    x: list[Operand]
    b: list[Operand]
    r: list[Operand]
    U: list[list[Operand]]  # U[l][h]
    A: list[Operand]
    V: list[Operand]
    label: Operand


class Gradients(NamedTuple):
    """The operands of a backward pass, or of its tangent: the gradient of X lies at the entry where X lies."""

    S: list[Operand]
    s: list[Operand]
    x: list[Operand]
    b: list[Operand]
    r: list[Operand]
    U: list[list[Operand]]
    A: list[Operand]
    E: list[Operand]  # E = dS' A
    M: list[Operand]  # what (5b.8) symmetrizes
    label: Operand
    squares: Operand  # error^2, summed over blocks, and after it the parameters' gradient
    P: list[list[Operand]]
    Q: list[list[Operand]]


class Weights(NamedTuple):
    """The matrices that all prompts share, [l][h], and their direction."""

    P: list[list[Operand]]
    Q: list[list[Operand]]
    vP: list[list[Operand]]
    vQ: list[list[Operand]]


class Memory:
    """Gives out addresses, and names for what lies there: a prefix, a letter, the layer, and the head where there are several."""

    def __init__(self, k: int = 0, L: int = 0, H: int = 0) -> None:
        self.k, self.L, self.H, self.used = k, L, H, 0

    def take(self, size: int) -> int:
        """The address of ``size`` new numbers."""
        self.used += size
        return self.used - size

    def number(self, name: str) -> Operand:
        """One number."""
        return Operand(name, self.take(1), 1, 1, 1, 0)

    def matrix(self, name: str, rows: int, columns: int) -> Operand:
        """A matrix of any shape, row by row."""
        return Operand(name, self.take(rows * columns), rows, columns, columns, 1)

    def matrices(self, name: str, count: int, places: int | None = None) -> list[Operand]:
        """One (k, k) matrix for each layer; where there are fewer places, layers take turns."""
        k, at = self.k, [self.take(self.k * self.k) for _ in range(places or count)]
        return [Operand(f"{name}{l + 1}", at[l % len(at)], k, k, k, 1) for l in range(count)]

    def vectors(self, name: str, count: int, places: int | None = None) -> list[Operand]:
        """One vector (k,) for each layer, as :meth:`matrices`."""
        k, at = self.k, [self.take(self.k) for _ in range(places or count)]
        return [Operand(f"{name}{l + 1}", at[l % len(at)], k, 1, 1, 0) for l in range(count)]

    def heads(self, name: str, places: int) -> list[list[Operand]]:
        """[l][h]; where there are fewer places than layers, layers take turns."""
        k, at = self.k, [[self.take(self.k * self.k) for _ in range(self.H)] for _ in range(places)]
        return [[Operand(self.named(name, l, h), at[l % places][h], k, k, k, 1) for h in range(self.H)] for l in range(self.L)]

    def named(self, name: str, l: int, h: int) -> str:
        """A name with its layer, and its head where there are several."""
        return f"{name}{l + 1}.{h + 1}" if self.H > 1 else f"{name}{l + 1}"

    def activations(self, prefix: str = "") -> Activations:
        """Room for a forward pass, or with a prefix for its tangent."""
        L = self.L
        S, s, x = (
            make(prefix + name, L + 1) for name, make in zip("Ssx", (self.matrices, self.vectors, self.vectors), strict=True)
        )
        b, r = (self.vectors(prefix + name, L) for name in "br")
        U = self.heads(prefix + "U", L)
        A, V = (self.matrices(prefix + name, L) for name in "AV")
        return Activations(S, s, x, b, r, U, A, V, self.number(prefix + "label"))

    def gradients(self, prefix: str, keep: bool, others: int = 0) -> Gradients:
        """``keep`` every layer's gradients, which the second order needs; else the layers share one place, or two in turn.

        Room for the gradient of ``others`` parameters is left before that of P and Q.
        """
        L, one, two = self.L, self.L if keep else 1, self.L + 1 if keep else 2
        S = self.matrices(prefix + "S", L + 1, two)
        s, x = (self.vectors(prefix + name, L + 1, two) for name in "sx")
        b, r = (self.vectors(prefix + name, L, one) for name in "br")
        A, E = (self.matrices(prefix + name, L, one) for name in "AE")
        U = self.heads(prefix + "U", one)
        M = self.matrices(prefix + "M", L, 1)
        label, squares = self.number(prefix + "label"), self.number("squares")
        first = self.take(others + L * self.H * 2 * self.k * self.k) + others  # P and Q in the C order of params
        P, Q = (
            [[self.weight(prefix + name, first, l, h, which) for h in range(self.H)] for l in range(L)]
            for which, name in enumerate("PQ")
        )
        return Gradients(S, s, x, b, r, U, A, E, M, label, squares, P, Q)

    def weight(self, name: str, first: int, l: int, h: int, which: int, shared: bool = False) -> Operand:
        """P (which = 0) or Q (1) of a layer and head, in an array in the C order of params that begins at ``first``."""
        k = self.k
        return Operand(self.named(name, l, h), first + ((l * self.H + h) * 2 + which) * k * k, k, k, k, 1, shared)


@dataclass(frozen=True)
class Shape:
    """The shape of the model."""

    L: int
    H: int
    k: int
    full: bool
    n: int

    @property
    def moving(self) -> int:
        """The layers that move the state on: with d x d blocks the last one only reads the label."""
        return self.L if self.full else self.L - 1
