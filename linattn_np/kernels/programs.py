"""The linear model's forward, backward and second-order passes as lists of operations on small matrices.

``kernels.py`` runs these lists, LANES prompts at a time. A list is written down once for each shape of model, in plain Python,
by the functions below; they read like the mathematics because a "matrix" here is the address of its first entry.

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

from functools import lru_cache
from typing import NamedTuple

import numpy as np

# Operations; each sets C or c, or adds to it, factor times: A, B, M (k, k), v, a, b (k,), or numbers, each in every lane;
# W a (k, k) matrix that all lanes share: P, Q, their transposes, and the direction's.
AB, ABt, AtB, AW, WA, Av, Atv, Wv, OUTER, SCALED, DOT, SYMMETRIZED, IDENTITY, CLEAR, VECTOR, NUMBER, TIMES = range(17)


class Program(NamedTuple):
    """A list of operations: what to do, on which addresses, with which factor."""

    operations: np.ndarray  # (steps, 5): operation, address of the operands a and b, address of the result, 1 to add or 0 to set
    factors: np.ndarray  # (steps,)


class Passes(NamedTuple):
    """The programs of one model shape, and the addresses that tie them to the outside."""

    slots: int  # how many numbers each lane needs
    gradient: Program  # forward and backward pass
    hvp: Program  # tangent and backward tangent, after the gradient; empty where only the gradient is wanted
    S: int  # where the state is put: S (or G), s, x (or z), and the label y
    s: int
    x: int
    y: int
    sums: int  # where error^2, dP and dQ (in the C order of params) are summed over blocks
    hsums: int  # where hP and hQ are
    dS: int  # where the gradient of the first state is, with ``inputs``
    dx: int


class _Forward(NamedTuple):
    """Addresses of the forward pass, or of its tangent; lists have one entry a layer, S, s, x one more for the end."""

    S: list
    s: list
    x: list
    b: list
    r: list
    U: list  # U[l][h]
    A: list
    V: list
    label: int


class _Backward(NamedTuple):
    """Addresses of the backward pass, or of its tangent: dX lies at the entry where X lies."""

    S: list
    s: list
    x: list
    b: list
    r: list
    U: list
    A: list
    E: list  # E = dS' A
    M: int  # what (5.25) symmetrizes
    label: int
    squares: int  # error^2, summed over blocks, and right after it dP[l][h] and dQ[l][h]
    P: list
    Q: list


class _Memory:
    """Gives out addresses."""

    def __init__(self, k, L, H):
        self.k, self.L, self.H, self.used = k, L, H, 0

    def take(self, size):
        self.used += size
        return self.used - size

    def matrices(self, count):
        return [self.take(self.k * self.k) for _ in range(count)]

    def vectors(self, count):
        return [self.take(self.k) for _ in range(count)]

    def forward(self):
        L = self.L
        return _Forward(
            self.matrices(L + 1), self.vectors(L + 1), self.vectors(L + 1), self.vectors(L), self.vectors(L),
            [self.matrices(self.H) for _ in range(L)], self.matrices(L), self.matrices(L), self.take(1),
        )  # fmt: skip

    def backward(self, keep):
        """``keep`` every layer's gradients, which the second order needs; else the layers share one place, or two in turn."""
        L, one, two = self.L, self.L if keep else 1, self.L + 1 if keep else 2

        def repeated(places, count):
            return (places * count)[:count]

        S, s, x = (repeated(make(two), L + 1) for make in (self.matrices, self.vectors, self.vectors))
        b, r, A, E = (repeated(make(one), L) for make in (self.vectors, self.vectors, self.matrices, self.matrices))
        U = repeated([self.matrices(self.H) for _ in range(one)], L)
        M, label, squares = self.take(self.k * self.k), self.take(1), self.take(1)
        pairs = [[self.matrices(2) for _ in range(self.H)] for _ in range(L)]  # in the C order of params
        P, Q = ([[pair[which] for pair in layer] for layer in pairs] for which in (0, 1))
        return _Backward(S, s, x, b, r, U, A, E, M, label, squares, P, Q)


class _Writer:
    """Writes a program down: the first writing of a result in a pass sets it, the later ones add to it."""

    def __init__(self, summed=()):
        self.rows, self.factors, self.written = [], [], set(summed)

    def put(self, operation, a, b, factor, c):
        """c = or += factor (a operation b)."""
        self.rows.append((operation, a, b, c, int(c in self.written)))
        self.factors.append(factor)
        self.written.add(c)

    def begin_layer(self, g, l):
        """Layer l starts anew with what it shares with the layers already done."""
        self.written -= {g.S[l], g.s[l], g.x[l], g.b[l], g.r[l], g.A[l], g.E[l], g.M, *g.U[l]}

    def done(self):
        return Program(np.array(self.rows, np.uint64).reshape(-1, 5), np.array(self.factors))


def _all(table):
    return [address for layer in table for address in layer]


@lru_cache(maxsize=64)
def passes(L, H, k, full, n, order=1, inputs=False):
    """The programs of a model with L layers, H heads, k x k matrices (``full``: they act on whole tokens) and n examples.

    order 1: the gradient; 2: Hessian-vector products too. The shared matrices are params, params with each matrix transposed,
    and for order 2 the direction and the direction transposed. ``inputs``: the backward pass goes on to the first state, which
    something else made; for full matrices.
    """
    memory, size = _Memory(k, L, H), L * H * 2 * k * k

    def matrices(first):  # addresses of P[l][h] and Q[l][h] among the shared numbers
        at = np.arange(first, first + size, k * k).reshape(L, H, 2).tolist()
        return [[pair[0] for pair in layer] for layer in at], [[pair[1] for pair in layer] for layer in at]

    m = _Model(L, H, k, full, 1.0 / n, *matrices(0), *matrices(size), *matrices(2 * size), *matrices(3 * size))
    f, y, g = memory.forward(), memory.take(1), memory.backward(keep=order == 2)
    gradient, hvp = _Writer(summed=[g.squares, *_all(g.P), *_all(g.Q)]), _Writer()
    forward(m, f, gradient)
    residual(f, y, g, gradient)
    backward(m, f, g, gradient, inputs)
    w = g
    if order == 2:
        v, w = memory.forward(), memory.backward(keep=False)
        hvp = _Writer(summed=_all(w.P) + _all(w.Q))
        tangent(m, f, v, hvp)
        hvp.put(NUMBER, v.label, 0, 2.0, w.label)  # the tangent of (2.14)
        backward_tangent(m, f, v, g, w, hvp)
    return Passes(memory.used, gradient.done(), hvp.done(), f.S[0], f.s[0], f.x[0], y, g.squares, w.P[0][0], g.S[0], g.x[0])


class _Model(NamedTuple):
    """The shape of the model and the addresses of its shared matrices, [l][h]; T marks a transpose, v a direction."""

    L: int
    H: int
    k: int
    full: bool
    over_n: float
    P: list
    Q: list
    PT: list
    QT: list
    vP: list
    vQ: list
    vPT: list
    vQT: list

    @property
    def moving(self):
        """The layers that move the state on: with d x d blocks the last one only reads the label."""
        return self.L if self.full else self.L - 1


def forward(m, f, out):
    """(5.18) to (5.22)."""
    for l in range(m.moving):
        out.put(IDENTITY, 0, 0, 1.0, f.A[l])
        for h in range(m.H):
            out.put(AW, f.S[l], m.Q[l][h], 1.0, f.U[l][h])  # (5.18) U = S Q
            out.put(WA, m.P[l][h], f.U[l][h], m.over_n, f.A[l])  # (5.18) A = I + sum P U / n
        out.put(Av, f.A[l], f.x[l], 1.0, f.x[l + 1])  # (5.20) x' = A x
        if not m.full:
            read_label(m, f, l, out)
            out.put(VECTOR, f.s[l], 0, 1.0, f.r[l])  # (5.21) r = s + S b
            out.put(Av, f.S[l], f.b[l], 1.0, f.r[l])
            out.put(Av, f.A[l], f.r[l], 1.0, f.s[l + 1])  # (5.21) s' = A r
        if l + 1 < m.moving:
            out.put(AB, f.A[l], f.S[l], 1.0, f.V[l])  # (5.22) V = A S
            out.put(ABt, f.V[l], f.A[l], 1.0, f.S[l + 1])  # (5.22) S' = V A^T
    if m.full:
        out.put(NUMBER, f.x[m.L] + m.k - 1, 0, 1.0, f.label)  # (1.4) the label is the token's last entry
    else:
        read_label(m, f, m.L - 1, out)


def residual(f, y, g, out):
    """error = -label - y (1.4), error^2 (1.5), dlabel = -2 error (2.14), (2.15); 1/B comes at the end."""
    out.put(NUMBER, f.label, 0, 2.0, g.label)
    out.put(NUMBER, y, 0, 2.0, g.label)
    out.put(TIMES, g.label, g.label, 0.25, g.squares)


def read_label(m, f, l, out):
    """(5.19) b = sum_h Q^T s / n and (5.20) label += b^T x."""
    for h in range(m.H):
        out.put(Wv, m.QT[l][h], f.s[l], m.over_n, f.b[l])
    out.put(DOT, f.b[l], f.x[l], 1.0, f.label)


def backward(m, f, g, out, inputs=False):
    """(5.23) to (5.29): adds dP and dQ to the sums; ``inputs``: down to the gradient of the first state."""
    if m.full:
        out.put(CLEAR, 0, 0, 1.0, g.x[m.L])
        out.put(NUMBER, g.label, 0, 1.0, g.x[m.L] + m.k - 1)  # (2.15)
    else:
        l = m.L - 1
        out.put(SCALED, g.label, f.x[l], 1.0, g.b[l])  # (5.24) db = dlabel x
        out.put(SCALED, g.label, f.b[l], 1.0, g.x[l])  # (5.27) dx = dlabel b
        for h in range(m.H):
            out.put(OUTER, f.s[l], g.b[l], m.over_n, g.Q[l][h])  # (5.29) dQ = s db^T / n
            out.put(Wv, m.Q[l][h], g.b[l], m.over_n, g.s[l])  # (5.26) ds = sum Q db / n
    for l in reversed(range(m.moving)):
        out.begin_layer(g, l)
        out.put(OUTER, g.x[l + 1], f.x[l], 1.0, g.A[l])  # (5.23) dA = dx' x^T + 2 dS' V + ds' r^T
        if l + 1 < m.moving:
            out.put(AB, g.S[l + 1], f.V[l], 2.0, g.A[l])
        if not m.full:
            out.put(OUTER, g.s[l + 1], f.r[l], 1.0, g.A[l])
            out.put(Atv, f.A[l], g.s[l + 1], 1.0, g.r[l])  # (5.24) dr = A^T ds'
            out.put(SCALED, g.label, f.x[l], 1.0, g.b[l])  # (5.24) db = dlabel x + S dr
            out.put(Av, f.S[l], g.r[l], 1.0, g.b[l])
        for h in range(m.H):
            out.put(WA, m.PT[l][h], g.A[l], m.over_n, g.U[l][h])  # (5.28) dU = P^T dA / n
            out.put(ABt, g.A[l], f.U[l][h], m.over_n, g.P[l][h])  # (5.28) dP = dA U^T / n
            out.put(AB, f.S[l], g.U[l][h], 1.0, g.Q[l][h])  # (5.29) dQ = S dU + s db^T / n
            if not m.full:
                out.put(OUTER, f.s[l], g.b[l], m.over_n, g.Q[l][h])
        if l > 0 or inputs:
            for h in range(m.H):
                out.put(AW, g.U[l][h], m.QT[l][h], 1.0, g.M)  # (5.25) M = sum dU Q^T + dr b^T
            out.put(Atv, f.A[l], g.x[l + 1], 1.0, g.x[l])  # (5.27) dx = A^T dx' + dlabel b
            if not m.full:
                out.put(OUTER, g.r[l], f.b[l], 1.0, g.M)
                out.put(SCALED, g.label, f.b[l], 1.0, g.x[l])
                out.put(VECTOR, g.r[l], 0, 1.0, g.s[l])  # (5.26) ds = dr + sum Q db / n
                for h in range(m.H):
                    out.put(Wv, m.Q[l][h], g.b[l], m.over_n, g.s[l])
            out.put(SYMMETRIZED, g.M, 0, 1.0, g.S[l])  # (5.25) dS = sym(M) + A^T dS' A
            if l + 1 < m.moving:
                out.put(AB, g.S[l + 1], f.A[l], 1.0, g.E[l])
                out.put(AtB, f.A[l], g.E[l], 1.0, g.S[l])


def tangent(m, f, v, out):
    """The tangent of :func:`forward`, term by term; the state does not move, so the tangents of layer 0's input are left out."""
    for l in range(m.moving):
        for h in range(m.H):
            out.put(AW, f.S[l], m.vQ[l][h], 1.0, v.U[l][h])  # of (5.18): vU = S vQ + vS Q
            if l > 0:
                out.put(AW, v.S[l], m.Q[l][h], 1.0, v.U[l][h])
            out.put(WA, m.vP[l][h], f.U[l][h], m.over_n, v.A[l])  # of (5.18): vA = sum (vP U + P vU) / n
            out.put(WA, m.P[l][h], v.U[l][h], m.over_n, v.A[l])
        out.put(Av, v.A[l], f.x[l], 1.0, v.x[l + 1])  # of (5.20): vx' = vA x + A vx
        if l > 0:
            out.put(Av, f.A[l], v.x[l], 1.0, v.x[l + 1])
        if not m.full:
            read_label_tangent(m, f, v, l, out)
            out.put(Av, f.S[l], v.b[l], 1.0, v.r[l])  # of (5.21): vr = S vb + vs + vS b
            if l > 0:
                out.put(VECTOR, v.s[l], 0, 1.0, v.r[l])
                out.put(Av, v.S[l], f.b[l], 1.0, v.r[l])
            out.put(Av, v.A[l], f.r[l], 1.0, v.s[l + 1])  # of (5.21): vs' = vA r + A vr
            out.put(Av, f.A[l], v.r[l], 1.0, v.s[l + 1])
        if l + 1 < m.moving:
            out.put(AB, v.A[l], f.S[l], 1.0, v.V[l])  # of (5.22): vV = vA S + A vS
            if l > 0:
                out.put(AB, f.A[l], v.S[l], 1.0, v.V[l])
            out.put(ABt, v.V[l], f.A[l], 1.0, v.S[l + 1])  # of (5.22): vS' = vV A^T + V vA^T
            out.put(ABt, f.V[l], v.A[l], 1.0, v.S[l + 1])
    if m.full:
        out.put(NUMBER, v.x[m.L] + m.k - 1, 0, 1.0, v.label)
    else:
        read_label_tangent(m, f, v, m.L - 1, out)


def read_label_tangent(m, f, v, l, out):
    """The tangent of :func:`read_label`."""
    for h in range(m.H):
        out.put(Wv, m.vQT[l][h], f.s[l], m.over_n, v.b[l])
        if l > 0:
            out.put(Wv, m.QT[l][h], v.s[l], m.over_n, v.b[l])
    out.put(DOT, v.b[l], f.x[l], 1.0, v.label)
    if l > 0:
        out.put(DOT, f.b[l], v.x[l], 1.0, v.label)


def backward_tangent(m, f, v, g, w, out):
    """The tangent of :func:`backward`, term by term: adds hP and hQ to the sums of ``w``."""

    def label_terms(l, x_too):  # of (5.24) dlabel x and (5.27) dlabel b
        out.put(SCALED, w.label, f.x[l], 1.0, w.b[l])
        if l > 0:
            out.put(SCALED, g.label, v.x[l], 1.0, w.b[l])
        if x_too:
            out.put(SCALED, w.label, f.b[l], 1.0, w.x[l])
            out.put(SCALED, g.label, v.b[l], 1.0, w.x[l])

    def q_terms(l, h):  # of (5.29) s db^T / n
        out.put(OUTER, f.s[l], w.b[l], m.over_n, w.Q[l][h])
        if l > 0:
            out.put(OUTER, v.s[l], g.b[l], m.over_n, w.Q[l][h])

    def s_terms(l, h):  # of (5.26) Q db / n
        out.put(Wv, m.vQ[l][h], g.b[l], m.over_n, w.s[l])
        out.put(Wv, m.Q[l][h], w.b[l], m.over_n, w.s[l])

    if m.full:
        out.put(CLEAR, 0, 0, 1.0, w.x[m.L])
        out.put(NUMBER, w.label, 0, 1.0, w.x[m.L] + m.k - 1)
    else:
        l = m.L - 1
        label_terms(l, True)
        for h in range(m.H):
            q_terms(l, h)
            s_terms(l, h)
    for l in reversed(range(m.moving)):
        out.begin_layer(w, l)
        out.put(OUTER, w.x[l + 1], f.x[l], 1.0, w.A[l])  # of (5.23) dx' x^T
        if l > 0:
            out.put(OUTER, g.x[l + 1], v.x[l], 1.0, w.A[l])
        if l + 1 < m.moving:
            out.put(AB, w.S[l + 1], f.V[l], 2.0, w.A[l])  # of (5.23) 2 dS' V
            out.put(AB, g.S[l + 1], v.V[l], 2.0, w.A[l])
        if not m.full:
            out.put(OUTER, w.s[l + 1], f.r[l], 1.0, w.A[l])  # of (5.23) ds' r^T
            out.put(OUTER, g.s[l + 1], v.r[l], 1.0, w.A[l])
            out.put(Atv, v.A[l], g.s[l + 1], 1.0, w.r[l])  # of (5.24) dr = A^T ds'
            out.put(Atv, f.A[l], w.s[l + 1], 1.0, w.r[l])
            label_terms(l, l > 0)
            out.put(Av, f.S[l], w.r[l], 1.0, w.b[l])  # of (5.24) S dr
            if l > 0:
                out.put(Av, v.S[l], g.r[l], 1.0, w.b[l])
        for h in range(m.H):
            out.put(WA, m.vPT[l][h], g.A[l], m.over_n, w.U[l][h])  # of (5.28) dU = P^T dA / n
            out.put(WA, m.PT[l][h], w.A[l], m.over_n, w.U[l][h])
            out.put(ABt, w.A[l], f.U[l][h], m.over_n, w.P[l][h])  # of (5.28) dP = dA U^T / n
            out.put(ABt, g.A[l], v.U[l][h], m.over_n, w.P[l][h])
            out.put(AB, f.S[l], w.U[l][h], 1.0, w.Q[l][h])  # of (5.29) dQ = S dU + s db^T / n
            if l > 0:
                out.put(AB, v.S[l], g.U[l][h], 1.0, w.Q[l][h])
            if not m.full:
                q_terms(l, h)
        if l > 0:
            for h in range(m.H):
                out.put(AW, w.U[l][h], m.QT[l][h], 1.0, w.M)  # of (5.25) dU Q^T
                out.put(AW, g.U[l][h], m.vQT[l][h], 1.0, w.M)
            out.put(Atv, v.A[l], g.x[l + 1], 1.0, w.x[l])  # of (5.27) A^T dx'
            out.put(Atv, f.A[l], w.x[l + 1], 1.0, w.x[l])
            if not m.full:
                out.put(OUTER, w.r[l], f.b[l], 1.0, w.M)  # of (5.25) dr b^T
                out.put(OUTER, g.r[l], v.b[l], 1.0, w.M)
                out.put(VECTOR, w.r[l], 0, 1.0, w.s[l])  # of (5.26) dr
                for h in range(m.H):
                    s_terms(l, h)
            out.put(SYMMETRIZED, w.M, 0, 1.0, w.S[l])  # of (5.25) sym(M)
            if l + 1 < m.moving:
                out.put(AB, w.S[l + 1], f.A[l], 1.0, w.E[l])  # of (5.25) A^T dS' A, E = dS' A
                out.put(AB, g.S[l + 1], v.A[l], 1.0, w.E[l])
                out.put(AtB, v.A[l], g.E[l], 1.0, w.S[l])
                out.put(AtB, f.A[l], w.E[l], 1.0, w.S[l])
