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
    f, y, g = memory.activations(), memory.number("y"), memory.gradients("d", keep=order == 2)
    gradient, hvp, h = Program((k,)), Program((k,), tangent=True), g
    forward(shape, weights, f, gradient)
    error(f, y, g, gradient)
    backward(shape, weights, f, g, gradient, inputs)
    if order == 2:
        v, h = memory.activations("v"), memory.gradients("h", keep=False)
        tangent(shape, weights, f, v, hvp)
        hvp.set(h.label, 2 * copy(v.label), "2.14")
        backward_tangent(shape, weights, f, v, g, h, hvp)
    at = Addresses(f.S[0].at, f.s[0].at, f.x[0].at, y.at, g.squares.at, h.P[0][0].at, g.S[0].at, g.x[0].at)
    return Passes(gradient, hvp, at, memory.used)


def forward(shape: _Shape, w: _Weights, f: _Activations, out: Program) -> None:
    """(5.18) to (5.22)."""
    for l in range(shape.moving):
        out.set(f.A[l], I, "5.18")
        for h in range(shape.H):
            out.set(f.U[l][h], f.S[l] @ w.Q[l][h], "5.18")
            out.add(f.A[l], (w.P[l][h] @ f.U[l][h]) / shape.n, "5.18")
        out.set(f.x[l + 1], f.A[l] @ f.x[l], "5.20")
        if not shape.full:
            read_label(shape, w, f, l, out)
            out.set(f.r[l], copy(f.s[l]), "5.21")
            out.add(f.r[l], f.S[l] @ f.b[l], "5.21")
            out.set(f.s[l + 1], f.A[l] @ f.r[l], "5.21")
        if l + 1 < shape.moving:
            out.set(f.V[l], f.A[l] @ f.S[l], "5.22")
            out.set(f.S[l + 1], f.V[l] @ f.A[l].T, "5.22")
    if shape.full:
        out.set(f.label, copy(f.x[shape.L].entry(shape.k - 1)), "5.20")  # the label is the token's last entry (1.4)
    else:
        read_label(shape, w, f, shape.L - 1, out)


def read_label(shape: _Shape, w: _Weights, f: _Activations, l: int, out: Program) -> None:
    """(5.19) b = sum_h Q^T s / n and (5.20) label += b^T x; the query's label is 0 before the first layer."""
    for h in range(shape.H):
        out.put(f.b[l], (w.Q[l][h].T @ f.s[l]) / shape.n, "5.19", add=h > 0)
    out.put(f.label, f.b[l].T @ f.x[l], "5.20", add=l > 0)


def error(f: _Activations, y: Operand, g: _Gradients, out: Program) -> None:
    """error = -label - y (1.4), error^2 (1.5), dlabel = -2 error (2.14), (2.15); 1/B comes at the end."""
    out.set(g.label, 2 * copy(f.label), "2.15")
    out.add(g.label, 2 * copy(y), "2.15")
    out.add(g.squares, multiply(g.label, g.label) / 4, "1.5")


def backward(shape: _Shape, w: _Weights, f: _Activations, g: _Gradients, out: Program, inputs: bool = False) -> None:
    """(5.23) to (5.29): adds dP and dQ to the sums; ``inputs``: down to the gradient of the first state."""
    n, last = shape.n, shape.L - 1
    if shape.full:
        out.set(g.x[shape.L], ZERO, "2.15")
        out.set(g.x[shape.L].entry(shape.k - 1), copy(g.label), "2.15")
    else:
        out.set(g.b[last], multiply(g.label, f.x[last]), "5.24")
        out.set(g.x[last], multiply(g.label, f.b[last]), "5.27")
        for h in range(shape.H):
            out.add(g.Q[last][h], outer(f.s[last], g.b[last]) / n, "5.29")
            out.put(g.s[last], (w.Q[last][h] @ g.b[last]) / n, "5.26", add=h > 0)
    for l in reversed(range(shape.moving)):
        out.set(g.A[l], outer(g.x[l + 1], f.x[l]), "5.23")
        if l + 1 < shape.moving:
            out.add(g.A[l], 2 * (g.S[l + 1] @ f.V[l]), "5.23")
        if not shape.full:
            out.add(g.A[l], outer(g.s[l + 1], f.r[l]), "5.23")
            out.set(g.r[l], f.A[l].T @ g.s[l + 1], "5.24")
            out.set(g.b[l], multiply(g.label, f.x[l]), "5.24")
            out.add(g.b[l], f.S[l] @ g.r[l], "5.24")
        for h in range(shape.H):
            out.set(g.U[l][h], (w.P[l][h].T @ g.A[l]) / n, "5.28")
            out.add(g.P[l][h], (g.A[l] @ f.U[l][h].T) / n, "5.28")
            out.add(g.Q[l][h], f.S[l] @ g.U[l][h], "5.29")
            if not shape.full:
                out.add(g.Q[l][h], outer(f.s[l], g.b[l]) / n, "5.29")
        if l > 0 or inputs:
            for h in range(shape.H):
                out.put(g.M[l], g.U[l][h] @ w.Q[l][h].T, "5.25", add=h > 0)
            out.set(g.x[l], f.A[l].T @ g.x[l + 1], "5.27")
            if not shape.full:
                out.add(g.M[l], outer(g.r[l], f.b[l]), "5.25")
                out.add(g.x[l], multiply(g.label, f.b[l]), "5.27")
                out.set(g.s[l], copy(g.r[l]), "5.26")
                for h in range(shape.H):
                    out.add(g.s[l], (w.Q[l][h] @ g.b[l]) / n, "5.26")
            out.set(g.S[l], symmetrized(g.M[l]), "5.25")
            if l + 1 < shape.moving:
                out.set(g.E[l], g.S[l + 1] @ f.A[l], "5.25")
                out.add(g.S[l], f.A[l].T @ g.E[l], "5.25")


def tangent(shape: _Shape, w: _Weights, f: _Activations, v: _Activations, out: Program) -> None:
    """The tangent of :func:`forward`, term by term; the state does not move, so the tangents of layer 0's input are left out."""
    n = shape.n
    for l in range(shape.moving):
        for h in range(shape.H):
            out.set(v.U[l][h], f.S[l] @ w.vQ[l][h], "5.18")
            if l > 0:
                out.add(v.U[l][h], v.S[l] @ w.Q[l][h], "5.18")
            out.put(v.A[l], (w.vP[l][h] @ f.U[l][h]) / n, "5.18", add=h > 0)
            out.add(v.A[l], (w.P[l][h] @ v.U[l][h]) / n, "5.18")
        out.set(v.x[l + 1], v.A[l] @ f.x[l], "5.20")
        if l > 0:
            out.add(v.x[l + 1], f.A[l] @ v.x[l], "5.20")
        if not shape.full:
            read_label_tangent(shape, w, f, v, l, out)
            out.set(v.r[l], f.S[l] @ v.b[l], "5.21")
            if l > 0:
                out.add(v.r[l], copy(v.s[l]), "5.21")
                out.add(v.r[l], v.S[l] @ f.b[l], "5.21")
            out.set(v.s[l + 1], v.A[l] @ f.r[l], "5.21")
            out.add(v.s[l + 1], f.A[l] @ v.r[l], "5.21")
        if l + 1 < shape.moving:
            out.set(v.V[l], v.A[l] @ f.S[l], "5.22")
            if l > 0:
                out.add(v.V[l], f.A[l] @ v.S[l], "5.22")
            out.set(v.S[l + 1], v.V[l] @ f.A[l].T, "5.22")
            out.add(v.S[l + 1], f.V[l] @ v.A[l].T, "5.22")
    if shape.full:
        out.set(v.label, copy(v.x[shape.L].entry(shape.k - 1)), "5.20")
    else:
        read_label_tangent(shape, w, f, v, shape.L - 1, out)


def read_label_tangent(shape: _Shape, w: _Weights, f: _Activations, v: _Activations, l: int, out: Program) -> None:
    """The tangent of :func:`read_label`."""
    for h in range(shape.H):
        out.put(v.b[l], (w.vQ[l][h].T @ f.s[l]) / shape.n, "5.19", add=h > 0)
        if l > 0:
            out.add(v.b[l], (w.Q[l][h].T @ v.s[l]) / shape.n, "5.19")
    out.put(v.label, v.b[l].T @ f.x[l], "5.20", add=l > 0)
    if l > 0:
        out.add(v.label, f.b[l].T @ v.x[l], "5.20")


def backward_tangent(
    shape: _Shape, w: _Weights, f: _Activations, v: _Activations, g: _Gradients, t: _Gradients, out: Program
) -> None:
    """The tangent of :func:`backward`, term by term: adds hP and hQ to the sums of ``t``."""
    n, last = shape.n, shape.L - 1
    if shape.full:
        out.set(t.x[shape.L], ZERO, "2.15")
        out.set(t.x[shape.L].entry(shape.k - 1), copy(t.label), "2.15")
    else:
        label_tangents(f, v, g, t, last, True, out)
        for h in range(shape.H):
            q_tangents(n, f, v, g, t, last, h, out)
            s_tangents(n, w, g, t, last, h, h > 0, out)
    for l in reversed(range(shape.moving)):
        out.set(t.A[l], outer(t.x[l + 1], f.x[l]), "5.23")
        if l > 0:
            out.add(t.A[l], outer(g.x[l + 1], v.x[l]), "5.23")
        if l + 1 < shape.moving:
            out.add(t.A[l], 2 * (t.S[l + 1] @ f.V[l]), "5.23")
            out.add(t.A[l], 2 * (g.S[l + 1] @ v.V[l]), "5.23")
        if not shape.full:
            out.add(t.A[l], outer(t.s[l + 1], f.r[l]), "5.23")
            out.add(t.A[l], outer(g.s[l + 1], v.r[l]), "5.23")
            out.set(t.r[l], v.A[l].T @ g.s[l + 1], "5.24")
            out.add(t.r[l], f.A[l].T @ t.s[l + 1], "5.24")
            label_tangents(f, v, g, t, l, l > 0, out)
            out.add(t.b[l], f.S[l] @ t.r[l], "5.24")
            if l > 0:
                out.add(t.b[l], v.S[l] @ g.r[l], "5.24")
        for h in range(shape.H):
            out.set(t.U[l][h], (w.vP[l][h].T @ g.A[l]) / n, "5.28")
            out.add(t.U[l][h], (w.P[l][h].T @ t.A[l]) / n, "5.28")
            out.add(t.P[l][h], (t.A[l] @ f.U[l][h].T) / n, "5.28")
            out.add(t.P[l][h], (g.A[l] @ v.U[l][h].T) / n, "5.28")
            out.add(t.Q[l][h], f.S[l] @ t.U[l][h], "5.29")
            if l > 0:
                out.add(t.Q[l][h], v.S[l] @ g.U[l][h], "5.29")
            if not shape.full:
                q_tangents(n, f, v, g, t, l, h, out)
        if l > 0:
            state_tangents(shape, w, f, v, g, t, l, out)


def label_tangents(f: _Activations, v: _Activations, g: _Gradients, t: _Gradients, l: int, x_too: bool, out: Program) -> None:
    """Of (5.24) dlabel x, which comes first in db, and of (5.27) dlabel b, which comes first in dx."""
    out.set(t.b[l], multiply(t.label, f.x[l]), "5.24")
    if l > 0:
        out.add(t.b[l], multiply(g.label, v.x[l]), "5.24")
    if x_too:
        out.set(t.x[l], multiply(t.label, f.b[l]), "5.27")
        out.add(t.x[l], multiply(g.label, v.b[l]), "5.27")


def q_tangents(n: int, f: _Activations, v: _Activations, g: _Gradients, t: _Gradients, l: int, h: int, out: Program) -> None:
    """Of (5.29) s db^T / n."""
    out.add(t.Q[l][h], outer(f.s[l], t.b[l]) / n, "5.29")
    if l > 0:
        out.add(t.Q[l][h], outer(v.s[l], g.b[l]) / n, "5.29")


def s_tangents(n: int, w: _Weights, g: _Gradients, t: _Gradients, l: int, h: int, add: bool, out: Program) -> None:
    """Of (5.26) Q db / n."""
    out.put(t.s[l], (w.vQ[l][h] @ g.b[l]) / n, "5.26", add=add)
    out.add(t.s[l], (w.Q[l][h] @ t.b[l]) / n, "5.26")


def state_tangents(
    shape: _Shape, w: _Weights, f: _Activations, v: _Activations, g: _Gradients, t: _Gradients, l: int, out: Program
) -> None:
    """Of (5.25) to (5.27): the tangents of the gradients of the layer's state."""
    for h in range(shape.H):
        out.put(t.M[l], t.U[l][h] @ w.Q[l][h].T, "5.25", add=h > 0)
        out.add(t.M[l], g.U[l][h] @ w.vQ[l][h].T, "5.25")
    out.put(t.x[l], v.A[l].T @ g.x[l + 1], "5.27", add=not shape.full)
    out.add(t.x[l], f.A[l].T @ t.x[l + 1], "5.27")
    if not shape.full:
        out.add(t.M[l], outer(t.r[l], f.b[l]), "5.25")
        out.add(t.M[l], outer(g.r[l], v.b[l]), "5.25")
        out.set(t.s[l], copy(t.r[l]), "5.26")
        for h in range(shape.H):
            s_tangents(shape.n, w, g, t, l, h, True, out)
    out.set(t.S[l], symmetrized(t.M[l]), "5.25")
    if l + 1 < shape.moving:
        out.set(t.E[l], t.S[l + 1] @ f.A[l], "5.25")
        out.add(t.E[l], g.S[l + 1] @ v.A[l], "5.25")
        out.add(t.S[l], v.A[l].T @ g.E[l], "5.25")
        out.add(t.S[l], f.A[l].T @ t.E[l], "5.25")
