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

# Operations; each adds to C or c (or sets it) factor times: A, B, M (k, k), v, a, b (k,), label a number, each in every lane;
# W a (k, k) matrix that all lanes share: P, Q, their transposes, and the direction's.
AB, ABt, AtB, AW, WA, Av, Atv, Wv, OUTER, SCALED, DOT, SYMMETRIZED, IDENTITY, VECTOR = range(14)


class Program(NamedTuple):
    """A list of operations: what to do, on which addresses, with which factor."""

    operations: np.ndarray  # (steps, 5): operation, address of the operands a and b, address of the result, 1 to add or 0 to set
    factors: np.ndarray  # (steps,)


class Passes(NamedTuple):
    """All programs of one model shape, and the addresses that tie them to the outside."""

    slots: int  # how many numbers each lane needs
    shared: int  # how many numbers the shared matrices need: params, transposed, direction, transposed direction
    forward: Program
    backward: Program
    backward_to_input: Program  # the backward pass that goes on to the gradient of the state itself
    tangent: Program
    backward_tangent: Program
    S: int  # where the state is put: S (or G), s, x (or z)
    s: int
    x: int
    label: int  # where -prediction is found, and its gradient, tangent and tangent of the gradient are
    dlabel: int
    vlabel: int
    hlabel: int
    sums: int  # where dP and dQ are summed, in the C order of params; then their tangents
    hsums: int
    dS: int  # where the gradient of the state is found
    ds: int
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
    P: list  # dP[l][h], summed over prompts
    Q: list


class _Memory:
    """Gives out addresses."""

    def __init__(self, k, L, H, full):
        self.k, self.L, self.H, self.full, self.used = k, L, H, full, 0

    def take(self, size):
        self.used += size
        return self.used - size

    def matrices(self, count):
        return [self.take(self.k * self.k) for _ in range(count)]

    def vectors(self, count):
        return [self.take(self.k) for _ in range(count)]

    def forward(self):
        L, x = self.L, self.vectors(self.L + 1)
        label = x[L] + self.k - 1 if self.full else self.take(1)  # a full model's label is the token's last entry
        return _Forward(
            self.matrices(L + 1), self.vectors(L + 1), x, self.vectors(L), self.vectors(L),
            [self.matrices(self.H) for _ in range(L)], self.matrices(L), self.matrices(L), label,
        )  # fmt: skip

    def backward(self):
        L, f = self.L, self.forward()
        pairs = [[self.matrices(2) for _ in range(self.H)] for _ in range(L)]  # contiguous, in the C order of params
        P, Q = ([[pair[which] for pair in layer] for layer in pairs] for which in (0, 1))
        return _Backward(f.S, f.s, f.x, f.b, f.r, f.U, f.A, f.V, self.take(self.k * self.k), f.label, P, Q)


class _Writer:
    """Writes a program down. The result of each operation is set at its first writing in a pass and added to afterwards."""

    def __init__(self):
        self.rows, self.factors, self.written = [], [], set()

    def put(self, operation, a, b, factor, c, add=None):
        """c = or += factor (a operation b); ``add`` overrules the rule of the first writing."""
        self.rows.append((operation, a, b, c, int(c in self.written if add is None else add)))
        self.factors.append(factor)
        self.written.add(c)

    def done(self):
        return Program(np.array(self.rows, np.int64).reshape(-1, 5), np.array(self.factors))


@lru_cache(maxsize=64)
def passes(L, H, k, full, n):
    """The programs of a model with L layers, H heads, k x k matrices (``full``: they act on whole tokens) and n examples."""
    memory = _Memory(k, L, H, full)
    f, g, v, w = memory.forward(), memory.backward(), memory.forward(), memory.backward()
    size = L * H * 2 * k * k

    def matrices(first):  # addresses of P[l][h] and Q[l][h] among the shared numbers
        at = np.arange(first, first + size, k * k).reshape(L, H, 2).tolist()
        return [[pair[0] for pair in layer] for layer in at], [[pair[1] for pair in layer] for layer in at]

    model = _Model(L, H, full, 1.0 / n, *matrices(0), *matrices(size), *matrices(2 * size), *matrices(3 * size))
    return Passes(
        memory.used, 4 * size, forward(model, f), backward(model, f, g, False), backward(model, f, g, True),
        tangent(model, f, v), backward_tangent(model, f, v, g, w), f.S[0], f.s[0], f.x[0],
        f.label, g.label, v.label, w.label, g.P[0][0], w.P[0][0], g.S[0], g.s[0], g.x[0],
    )  # fmt: skip


class _Model(NamedTuple):
    """The shape of the model and the addresses of its shared matrices, [l][h]; T marks a transpose, v a direction."""

    L: int
    H: int
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


def forward(m, f):
    """(5.18) to (5.22)."""
    out = _Writer()
    out.written.add(f.label)  # the kernel clears the label: the layers add to it
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
    if not m.full:
        read_label(m, f, m.L - 1, out)
    return out.done()


def read_label(m, f, l, out):
    """(5.19) b = sum_h Q^T s / n and (5.20) label += b^T x."""
    for h in range(m.H):
        out.put(Wv, m.QT[l][h], f.s[l], m.over_n, f.b[l])
    out.put(DOT, f.b[l], f.x[l], 1.0, f.label)


def backward(m, f, g, to_input):
    """(5.23) to (5.29): adds dP and dQ to the sums; the gradient of the state itself only with ``to_input``."""
    out = _Writer()
    out.written.update(address for table in (g.P, g.Q) for layer in table for address in layer)  # summed over blocks
    if not m.full:
        l = m.L - 1
        out.put(SCALED, g.label, f.x[l], 1.0, g.b[l])  # (5.24) db = dlabel x
        out.put(SCALED, g.label, f.b[l], 1.0, g.x[l])  # (5.27) dx = dlabel b
        for h in range(m.H):
            out.put(OUTER, f.s[l], g.b[l], m.over_n, g.Q[l][h])  # (5.29) dQ = s db^T / n
            out.put(Wv, m.Q[l][h], g.b[l], m.over_n, g.s[l])  # (5.26) ds = sum Q db / n
    for l in reversed(range(m.moving)):
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
        if l > 0 or to_input:
            for h in range(m.H):
                out.put(AW, g.U[l][h], m.QT[l][h], 1.0, g.M, add=h > 0)  # (5.25) M = sum dU Q^T + dr b^T
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
    return out.done()


def tangent(m, f, v):
    """The tangent of :func:`forward`, term by term; the state does not move, so the tangents of layer 0's input are left out."""
    out = _Writer()
    out.written.add(v.label)
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
    if not m.full:
        read_label_tangent(m, f, v, m.L - 1, out)
    return out.done()


def read_label_tangent(m, f, v, l, out):
    """The tangent of :func:`read_label`."""
    for h in range(m.H):
        out.put(Wv, m.vQT[l][h], f.s[l], m.over_n, v.b[l])
        if l > 0:
            out.put(Wv, m.QT[l][h], v.s[l], m.over_n, v.b[l])
    out.put(DOT, v.b[l], f.x[l], 1.0, v.label)
    if l > 0:
        out.put(DOT, f.b[l], v.x[l], 1.0, v.label)


def backward_tangent(m, f, v, g, w):
    """The tangent of :func:`backward`, term by term: adds hP and hQ to the sums of ``w``."""
    out = _Writer()
    out.written.update(address for table in (w.P, w.Q) for layer in table for address in layer)

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

    if not m.full:
        l = m.L - 1
        label_terms(l, True)
        for h in range(m.H):
            q_terms(l, h)
            s_terms(l, h)
    for l in reversed(range(m.moving)):
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
                out.put(AW, w.U[l][h], m.QT[l][h], 1.0, w.M, add=h > 0)  # of (5.25) dU Q^T
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
    return out.done()
