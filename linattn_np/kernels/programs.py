"""The linear model's forward, backward and second-order passes as programs: lists of operations on small matrices.

``linear.py`` runs these programs, LANES prompts at a time. A program is written down once for each shape of model, in plain
Python, by the functions below. Prefixes as everywhere: dX is the gradient of X, vX its tangent, hX the tangent of dX.

With the d x d blocks P = diag(P', 1), Q = diag(Q', 0) the state splits into G = [[S, s], [s^T, c]] and the query (x ; label):
(5.18) U_h = S Q_h,  A = I + (1/n) sum_h P_h U_h     (5.23) dA = 2 dS' V + ds' r^T + dx' x^T
(5.19) b = (1/n) sum_h Q_h^T s                       (5.24) dr = A^T ds',  db = S dr + dlabel x
(5.20) x' = A x,  label' = label + b^T x             (5.25) dS = A^T dS' A + sym(dr b^T + sum_h dU_h Q_h^T)
(5.21) r = s + S b,  s' = A r                        (5.26) ds = dr + (1/n) sum_h Q_h db
(5.22) V = A S,  S' = V A^T                          (5.27) dx = A^T dx' + dlabel b
                                                     (5.28) dU_h = P_h^T dA / n,  dP_h = dA U_h^T / n
                                                     (5.29) dQ_h = S dU_h + s db^T / n
S and dS are symmetric. The corner c is never needed, and the last layer needs only b, so its A, P and S' are skipped. With full
matrices S stands for G, x for the query's token, and s, b, r fall away. Derived in lesson 05.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .operations import CLEAR, IDENTITY, Operand, Program, Term, copy, evaluate, listing, multiply, outer, symmetrized

__all__ = ["Addresses", "Passes", "Program", "evaluate", "listing", "passes"]

I, ZERO = Term(IDENTITY), Term(CLEAR)


class Addresses(NamedTuple):
    """Where a program and the outside meet, as addresses in the memory."""

    S: int  # where the state is put: S (or G), s, x (or z), and the label y
    s: int
    x: int
    y: int
    sums: int  # where error^2, dP and dQ (in the C order of params) are summed over blocks
    hsums: int  # where hP and hQ are
    dS: int  # where the gradient of the first state is, with ``inputs``
    dx: int


@dataclass(frozen=True)
class Passes:
    """The programs of one model shape."""

    gradient: Program  # forward and backward pass
    hvp: Program  # tangent and backward tangent, after the gradient; empty where only the gradient is wanted
    at: Addresses
    slots: int  # how many numbers the memory holds for each prompt


class _Activations(NamedTuple):
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


class _Gradients(NamedTuple):
    """The operands of a backward pass, or of its tangent: the gradient of X lies at the entry where X lies."""

    S: list[Operand]
    s: list[Operand]
    x: list[Operand]
    b: list[Operand]
    r: list[Operand]
    U: list[list[Operand]]
    A: list[Operand]
    E: list[Operand]  # E = dS' A
    M: list[Operand]  # what (5.25) symmetrizes
    label: Operand
    squares: Operand  # error^2, summed over blocks, and right after it dP[l][h] and dQ[l][h]
    P: list[list[Operand]]
    Q: list[list[Operand]]


class _Weights(NamedTuple):
    """The matrices that all prompts share, [l][h], and their direction."""

    P: list[list[Operand]]
    Q: list[list[Operand]]
    vP: list[list[Operand]]
    vQ: list[list[Operand]]


class _Memory:
    """Gives out addresses, and names for what lies there: a prefix, a letter, the layer, and the head where there are several."""

    def __init__(self, k: int, L: int, H: int) -> None:
        self.k, self.L, self.H, self.used = k, L, H, 0

    def take(self, size: int) -> int:
        self.used += size
        return self.used - size

    def number(self, name: str) -> Operand:
        return Operand(name, self.take(1), 1, 1, 1, 0)

    def matrices(self, name: str, count: int, places: int | None = None) -> list[Operand]:
        """One (k, k) matrix for each layer; where there are fewer places, layers take turns."""
        k, at = self.k, [self.take(self.k * self.k) for _ in range(places or count)]
        return [Operand(f"{name}{l + 1}", at[l % len(at)], k, k, k, 1) for l in range(count)]

    def vectors(self, name: str, count: int, places: int | None = None) -> list[Operand]:
        k, at = self.k, [self.take(self.k) for _ in range(places or count)]
        return [Operand(f"{name}{l + 1}", at[l % len(at)], k, 1, 1, 0) for l in range(count)]

    def heads(self, name: str, places: int) -> list[list[Operand]]:
        """[l][h]; where there are fewer places than layers, layers take turns."""
        k, at = self.k, [[self.take(self.k * self.k) for _ in range(self.H)] for _ in range(places)]
        return [[Operand(self.named(name, l, h), at[l % places][h], k, k, k, 1) for h in range(self.H)] for l in range(self.L)]

    def named(self, name: str, l: int, h: int) -> str:
        return f"{name}{l + 1}.{h + 1}" if self.H > 1 else f"{name}{l + 1}"

    def activations(self, prefix: str = "") -> _Activations:
        L = self.L
        S, s, x = (
            make(prefix + name, L + 1) for name, make in zip("Ssx", (self.matrices, self.vectors, self.vectors), strict=True)
        )
        b, r = (self.vectors(prefix + name, L) for name in "br")
        U = self.heads(prefix + "U", L)
        A, V = (self.matrices(prefix + name, L) for name in "AV")
        return _Activations(S, s, x, b, r, U, A, V, self.number(prefix + "label"))

    def gradients(self, prefix: str, keep: bool) -> _Gradients:
        """``keep`` every layer's gradients, which the second order needs; else the layers share one place, or two in turn."""
        L, one, two = self.L, self.L if keep else 1, self.L + 1 if keep else 2
        S = self.matrices(prefix + "S", L + 1, two)
        s, x = (self.vectors(prefix + name, L + 1, two) for name in "sx")
        b, r = (self.vectors(prefix + name, L, one) for name in "br")
        A, E = (self.matrices(prefix + name, L, one) for name in "AE")
        U = self.heads(prefix + "U", one)
        M = self.matrices(prefix + "M", L, 1)
        label, squares = self.number(prefix + "label"), self.number("squares")
        first = self.take(L * self.H * 2 * self.k * self.k)  # P and Q in the C order of params
        P, Q = (
            [[self.weight(prefix + name, first, l, h, which) for h in range(self.H)] for l in range(L)]
            for which, name in enumerate("PQ")
        )
        return _Gradients(S, s, x, b, r, U, A, E, M, label, squares, P, Q)

    def weight(self, name: str, first: int, l: int, h: int, which: int, shared: bool = False) -> Operand:
        """P (which = 0) or Q (1) of a layer and head, in an array in the C order of params that begins at ``first``."""
        k = self.k
        return Operand(self.named(name, l, h), first + ((l * self.H + h) * 2 + which) * k * k, k, k, k, 1, shared)


@dataclass(frozen=True)
class _Shape:
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


@lru_cache(maxsize=64)
def passes(L: int, H: int, k: int, full: bool, n: int, order: int = 1, inputs: bool = False) -> Passes:
    """The programs of a model with L layers, H heads, k x k matrices (``full``: they act on whole tokens) and n examples.

    order 1: the gradient; 2: Hessian-vector products too. The shared numbers are params and, for order 2, the direction.
    ``inputs``: the backward pass goes on to the first state, which something else made; for full matrices.
    """
    shape, memory, size = _Shape(L, H, k, full, n), _Memory(k, L, H), L * H * 2 * k * k
    weights = _Weights(*(
        [[memory.weight(name, first, l, h, which, shared=True) for h in range(H)] for l in range(L)]
        for name, first, which in (("P", 0, 0), ("Q", 0, 1), ("vP", size, 0), ("vQ", size, 1))
    ))  # fmt: skip
    values, y, grads = memory.activations(), memory.number("y"), memory.gradients("d", keep=order == 2)
    gradient, hvp, hgrads = Program((k,)), Program((k,), tangent=True), grads
    forward(shape, weights, values, gradient)
    error(values, y, grads, gradient)
    backward(shape, weights, values, grads, gradient, inputs)
    if order == 2:
        tangents, hgrads = memory.activations("v"), memory.gradients("h", keep=False)
        tangent(shape, weights, values, tangents, hvp)
        hvp.set(hgrads.label, 2 * copy(tangents.label), "2.14")
        backward_tangent(shape, weights, values, tangents, grads, hgrads, hvp)
    at = Addresses(
        values.S[0].at, values.s[0].at, values.x[0].at, y.at, grads.squares.at, hgrads.P[0][0].at, grads.S[0].at, grads.x[0].at
    )
    return Passes(gradient, hvp, at, memory.used)


def forward(shape: _Shape, weights: _Weights, values: _Activations, out: Program) -> None:
    """(5.18) to (5.22)."""
    for l in range(shape.moving):
        out.set(values.A[l], I, "5.18")
        for h in range(shape.H):
            out.set(values.U[l][h], values.S[l] @ weights.Q[l][h], "5.18")
            out.add(values.A[l], (weights.P[l][h] @ values.U[l][h]) / shape.n, "5.18")
        out.set(values.x[l + 1], values.A[l] @ values.x[l], "5.20")
        if not shape.full:
            read_label(shape, weights, values, l, out)
            out.set(values.r[l], copy(values.s[l]), "5.21")
            out.add(values.r[l], values.S[l] @ values.b[l], "5.21")
            out.set(values.s[l + 1], values.A[l] @ values.r[l], "5.21")
        if l + 1 < shape.moving:
            out.set(values.V[l], values.A[l] @ values.S[l], "5.22")
            out.set(values.S[l + 1], values.V[l] @ values.A[l].T, "5.22")
    if shape.full:
        out.set(values.label, copy(values.x[shape.L].entry(shape.k - 1)), "5.20")  # the label is the token's last entry (1.4)
    else:
        read_label(shape, weights, values, shape.L - 1, out)


def read_label(shape: _Shape, weights: _Weights, values: _Activations, l: int, out: Program) -> None:
    """(5.19) b = sum_h Q^T s / n and (5.20) label += b^T x; the query's label is 0 before the first layer."""
    for h in range(shape.H):
        out.put(values.b[l], (weights.Q[l][h].T @ values.s[l]) / shape.n, "5.19", add=h > 0)
    out.put(values.label, values.b[l].T @ values.x[l], "5.20", add=l > 0)


def error(values: _Activations, y: Operand, grads: _Gradients, out: Program) -> None:
    """error = -label - y (1.4), error^2 (1.5), dlabel = -2 error (2.14), (2.15); 1/B comes at the end."""
    out.set(grads.label, 2 * copy(values.label), "2.15")
    out.add(grads.label, 2 * copy(y), "2.15")
    out.add(grads.squares, multiply(grads.label, grads.label) / 4, "1.5")


def backward(
    shape: _Shape, weights: _Weights, values: _Activations, grads: _Gradients, out: Program, inputs: bool = False
) -> None:
    """(5.23) to (5.29): adds dP and dQ to the sums; ``inputs``: down to the gradient of the first state."""
    n, last = shape.n, shape.L - 1
    if shape.full:
        out.set(grads.x[shape.L], ZERO, "2.15")
        out.set(grads.x[shape.L].entry(shape.k - 1), copy(grads.label), "2.15")
    else:
        out.set(grads.b[last], multiply(grads.label, values.x[last]), "5.24")
        out.set(grads.x[last], multiply(grads.label, values.b[last]), "5.27")
        for h in range(shape.H):
            out.add(grads.Q[last][h], outer(values.s[last], grads.b[last]) / n, "5.29")
            out.put(grads.s[last], (weights.Q[last][h] @ grads.b[last]) / n, "5.26", add=h > 0)
    for l in reversed(range(shape.moving)):
        out.set(grads.A[l], outer(grads.x[l + 1], values.x[l]), "5.23")
        if l + 1 < shape.moving:
            out.add(grads.A[l], 2 * (grads.S[l + 1] @ values.V[l]), "5.23")
        if not shape.full:
            out.add(grads.A[l], outer(grads.s[l + 1], values.r[l]), "5.23")
            out.set(grads.r[l], values.A[l].T @ grads.s[l + 1], "5.24")
            out.set(grads.b[l], multiply(grads.label, values.x[l]), "5.24")
            out.add(grads.b[l], values.S[l] @ grads.r[l], "5.24")
        for h in range(shape.H):
            out.set(grads.U[l][h], (weights.P[l][h].T @ grads.A[l]) / n, "5.28")
            out.add(grads.P[l][h], (grads.A[l] @ values.U[l][h].T) / n, "5.28")
            out.add(grads.Q[l][h], values.S[l] @ grads.U[l][h], "5.29")
            if not shape.full:
                out.add(grads.Q[l][h], outer(values.s[l], grads.b[l]) / n, "5.29")
        if l > 0 or inputs:
            for h in range(shape.H):
                out.put(grads.M[l], grads.U[l][h] @ weights.Q[l][h].T, "5.25", add=h > 0)
            out.set(grads.x[l], values.A[l].T @ grads.x[l + 1], "5.27")
            if not shape.full:
                out.add(grads.M[l], outer(grads.r[l], values.b[l]), "5.25")
                out.add(grads.x[l], multiply(grads.label, values.b[l]), "5.27")
                out.set(grads.s[l], copy(grads.r[l]), "5.26")
                for h in range(shape.H):
                    out.add(grads.s[l], (weights.Q[l][h] @ grads.b[l]) / n, "5.26")
            out.set(grads.S[l], symmetrized(grads.M[l]), "5.25")
            if l + 1 < shape.moving:
                out.set(grads.E[l], grads.S[l + 1] @ values.A[l], "5.25")
                out.add(grads.S[l], values.A[l].T @ grads.E[l], "5.25")


def tangent(shape: _Shape, weights: _Weights, values: _Activations, tangents: _Activations, out: Program) -> None:
    """The tangent of :func:`forward`, term by term; the state does not move, so the tangents of layer 0's input are left out."""
    n = shape.n
    for l in range(shape.moving):
        for h in range(shape.H):
            out.set(tangents.U[l][h], values.S[l] @ weights.vQ[l][h], "5.18")
            if l > 0:
                out.add(tangents.U[l][h], tangents.S[l] @ weights.Q[l][h], "5.18")
            out.put(tangents.A[l], (weights.vP[l][h] @ values.U[l][h]) / n, "5.18", add=h > 0)
            out.add(tangents.A[l], (weights.P[l][h] @ tangents.U[l][h]) / n, "5.18")
        out.set(tangents.x[l + 1], tangents.A[l] @ values.x[l], "5.20")
        if l > 0:
            out.add(tangents.x[l + 1], values.A[l] @ tangents.x[l], "5.20")
        if not shape.full:
            read_label_tangent(shape, weights, values, tangents, l, out)
            out.set(tangents.r[l], values.S[l] @ tangents.b[l], "5.21")
            if l > 0:
                out.add(tangents.r[l], copy(tangents.s[l]), "5.21")
                out.add(tangents.r[l], tangents.S[l] @ values.b[l], "5.21")
            out.set(tangents.s[l + 1], tangents.A[l] @ values.r[l], "5.21")
            out.add(tangents.s[l + 1], values.A[l] @ tangents.r[l], "5.21")
        if l + 1 < shape.moving:
            out.set(tangents.V[l], tangents.A[l] @ values.S[l], "5.22")
            if l > 0:
                out.add(tangents.V[l], values.A[l] @ tangents.S[l], "5.22")
            out.set(tangents.S[l + 1], tangents.V[l] @ values.A[l].T, "5.22")
            out.add(tangents.S[l + 1], values.V[l] @ tangents.A[l].T, "5.22")
    if shape.full:
        out.set(tangents.label, copy(tangents.x[shape.L].entry(shape.k - 1)), "5.20")
    else:
        read_label_tangent(shape, weights, values, tangents, shape.L - 1, out)


def read_label_tangent(
    shape: _Shape, weights: _Weights, values: _Activations, tangents: _Activations, l: int, out: Program
) -> None:
    """The tangent of :func:`read_label`."""
    for h in range(shape.H):
        out.put(tangents.b[l], (weights.vQ[l][h].T @ values.s[l]) / shape.n, "5.19", add=h > 0)
        if l > 0:
            out.add(tangents.b[l], (weights.Q[l][h].T @ tangents.s[l]) / shape.n, "5.19")
    out.put(tangents.label, tangents.b[l].T @ values.x[l], "5.20", add=l > 0)
    if l > 0:
        out.add(tangents.label, values.b[l].T @ tangents.x[l], "5.20")


def backward_tangent(
    shape: _Shape,
    weights: _Weights,
    values: _Activations,
    tangents: _Activations,
    grads: _Gradients,
    hgrads: _Gradients,
    out: Program,
) -> None:
    """The tangent of :func:`backward`, term by term: adds hP and hQ to the sums of ``hgrads``."""
    n, last = shape.n, shape.L - 1
    if shape.full:
        out.set(hgrads.x[shape.L], ZERO, "2.15")
        out.set(hgrads.x[shape.L].entry(shape.k - 1), copy(hgrads.label), "2.15")
    else:
        label_tangents(values, tangents, grads, hgrads, last, True, out)
        for h in range(shape.H):
            q_tangents(n, values, tangents, grads, hgrads, last, h, out)
            s_tangents(n, weights, grads, hgrads, last, h, h > 0, out)
    for l in reversed(range(shape.moving)):
        out.set(hgrads.A[l], outer(hgrads.x[l + 1], values.x[l]), "5.23")
        if l > 0:
            out.add(hgrads.A[l], outer(grads.x[l + 1], tangents.x[l]), "5.23")
        if l + 1 < shape.moving:
            out.add(hgrads.A[l], 2 * (hgrads.S[l + 1] @ values.V[l]), "5.23")
            out.add(hgrads.A[l], 2 * (grads.S[l + 1] @ tangents.V[l]), "5.23")
        if not shape.full:
            out.add(hgrads.A[l], outer(hgrads.s[l + 1], values.r[l]), "5.23")
            out.add(hgrads.A[l], outer(grads.s[l + 1], tangents.r[l]), "5.23")
            out.set(hgrads.r[l], tangents.A[l].T @ grads.s[l + 1], "5.24")
            out.add(hgrads.r[l], values.A[l].T @ hgrads.s[l + 1], "5.24")
            label_tangents(values, tangents, grads, hgrads, l, l > 0, out)
            out.add(hgrads.b[l], values.S[l] @ hgrads.r[l], "5.24")
            if l > 0:
                out.add(hgrads.b[l], tangents.S[l] @ grads.r[l], "5.24")
        for h in range(shape.H):
            out.set(hgrads.U[l][h], (weights.vP[l][h].T @ grads.A[l]) / n, "5.28")
            out.add(hgrads.U[l][h], (weights.P[l][h].T @ hgrads.A[l]) / n, "5.28")
            out.add(hgrads.P[l][h], (hgrads.A[l] @ values.U[l][h].T) / n, "5.28")
            out.add(hgrads.P[l][h], (grads.A[l] @ tangents.U[l][h].T) / n, "5.28")
            out.add(hgrads.Q[l][h], values.S[l] @ hgrads.U[l][h], "5.29")
            if l > 0:
                out.add(hgrads.Q[l][h], tangents.S[l] @ grads.U[l][h], "5.29")
            if not shape.full:
                q_tangents(n, values, tangents, grads, hgrads, l, h, out)
        if l > 0:
            state_tangents(shape, weights, values, tangents, grads, hgrads, l, out)


def label_tangents(
    values: _Activations, tangents: _Activations, grads: _Gradients, hgrads: _Gradients, l: int, x_too: bool, out: Program
) -> None:
    """Of (5.24) dlabel x, which comes first in db, and of (5.27) dlabel b, which comes first in dx."""
    out.set(hgrads.b[l], multiply(hgrads.label, values.x[l]), "5.24")
    if l > 0:
        out.add(hgrads.b[l], multiply(grads.label, tangents.x[l]), "5.24")
    if x_too:
        out.set(hgrads.x[l], multiply(hgrads.label, values.b[l]), "5.27")
        out.add(hgrads.x[l], multiply(grads.label, tangents.b[l]), "5.27")


def q_tangents(
    n: int, values: _Activations, tangents: _Activations, grads: _Gradients, hgrads: _Gradients, l: int, h: int, out: Program
) -> None:
    """Of (5.29) s db^T / n."""
    out.add(hgrads.Q[l][h], outer(values.s[l], hgrads.b[l]) / n, "5.29")
    if l > 0:
        out.add(hgrads.Q[l][h], outer(tangents.s[l], grads.b[l]) / n, "5.29")


def s_tangents(n: int, weights: _Weights, grads: _Gradients, hgrads: _Gradients, l: int, h: int, add: bool, out: Program) -> None:
    """Of (5.26) Q db / n."""
    out.put(hgrads.s[l], (weights.vQ[l][h] @ grads.b[l]) / n, "5.26", add=add)
    out.add(hgrads.s[l], (weights.Q[l][h] @ hgrads.b[l]) / n, "5.26")


def state_tangents(
    shape: _Shape,
    weights: _Weights,
    values: _Activations,
    tangents: _Activations,
    grads: _Gradients,
    hgrads: _Gradients,
    l: int,
    out: Program,
) -> None:
    """Of (5.25) to (5.27): the tangents of the gradients of the layer's state."""
    for h in range(shape.H):
        out.put(hgrads.M[l], hgrads.U[l][h] @ weights.Q[l][h].T, "5.25", add=h > 0)
        out.add(hgrads.M[l], grads.U[l][h] @ weights.vQ[l][h].T, "5.25")
    out.put(hgrads.x[l], tangents.A[l].T @ grads.x[l + 1], "5.27", add=not shape.full)
    out.add(hgrads.x[l], values.A[l].T @ hgrads.x[l + 1], "5.27")
    if not shape.full:
        out.add(hgrads.M[l], outer(hgrads.r[l], values.b[l]), "5.25")
        out.add(hgrads.M[l], outer(grads.r[l], tangents.b[l]), "5.25")
        out.set(hgrads.s[l], copy(hgrads.r[l]), "5.26")
        for h in range(shape.H):
            s_tangents(shape.n, weights, grads, hgrads, l, h, True, out)
    out.set(hgrads.S[l], symmetrized(hgrads.M[l]), "5.25")
    if l + 1 < shape.moving:
        out.set(hgrads.E[l], hgrads.S[l + 1] @ values.A[l], "5.25")
        out.add(hgrads.E[l], grads.S[l + 1] @ tangents.A[l], "5.25")
        out.add(hgrads.S[l], tangents.A[l].T @ grads.E[l], "5.25")
        out.add(hgrads.S[l], values.A[l].T @ hgrads.E[l], "5.25")
