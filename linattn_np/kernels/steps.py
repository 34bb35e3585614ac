"""The operations of the linear model's forward, backward and second-order passes, written down in the order of the mathematics.

With the d x d blocks P = diag(P', 1), Q = diag(Q', 0) the state splits into G = [[S, s], [s^T, c]] and the query (x ; label):
(5b.1) U_h = S Q_h,  A = I + (1/n) sum_h P_h U_h     (5b.6) dA = 2 dS' V + ds' r^T + dx' x^T
(5b.2) b = (1/n) sum_h Q_h^T s                       (5b.7) dr = A^T ds',  db = S dr + dlabel x
(5b.3) x' = A x,  label' = label + b^T x             (5b.8) dS = A^T dS' A + sym(dr b^T + sum_h dU_h Q_h^T)
(5b.4) r = s + S b,  s' = A r                        (5b.9) ds = dr + (1/n) sum_h Q_h db
(5b.5) V = A S,  S' = V A^T                          (5b.10) dx = A^T dx' + dlabel b
                                                     (5b.11) dU_h = P_h^T dA / n,  dP_h = dA U_h^T / n
                                                     (5b.12) dQ_h = S dU_h + s db^T / n
S and dS are symmetric. The corner c is never needed, and the last layer needs only b, so its A, P and S' are skipped. With full
matrices S stands for G, x for the query's token, and s, b, r fall away. Derived in lesson 05b.
"""

from .operands import Activations, Gradients, Shape, Weights
from .operations import CLEAR, IDENTITY, Operand, Program, Term, copy, multiply, outer, symmetrized

I, ZERO = Term(IDENTITY), Term(CLEAR)


def forward(shape: Shape, weights: Weights, values: Activations, out: Program) -> None:
    """(5b.1) to (5b.5)."""
    for l in range(shape.moving):
        out.set(values.A[l], I, "5b.1")
        for h in range(shape.H):
            out.set(values.U[l][h], values.S[l] @ weights.Q[l][h], "5b.1")
            out.add(values.A[l], (weights.P[l][h] @ values.U[l][h]) / shape.n, "5b.1")
        out.set(values.x[l + 1], values.A[l] @ values.x[l], "5b.3")
        if not shape.full:
            read_label(shape, weights, values, l, out)
            out.set(values.r[l], copy(values.s[l]), "5b.4")
            out.add(values.r[l], values.S[l] @ values.b[l], "5b.4")
            out.set(values.s[l + 1], values.A[l] @ values.r[l], "5b.4")
        if l + 1 < shape.moving:
            out.set(values.V[l], values.A[l] @ values.S[l], "5b.5")
            out.set(values.S[l + 1], values.V[l] @ values.A[l].T, "5b.5")
    if shape.full:
        out.set(values.label, copy(values.x[shape.L].entry(shape.k - 1)), "5b.3")  # the label is the token's last entry (1.4)
    else:
        read_label(shape, weights, values, shape.L - 1, out)


def read_label(shape: Shape, weights: Weights, values: Activations, l: int, out: Program) -> None:
    """(5b.2) b = sum_h Q^T s / n and (5b.3) label += b^T x; the query's label is 0 before the first layer."""
    for h in range(shape.H):
        out.put(values.b[l], (weights.Q[l][h].T @ values.s[l]) / shape.n, "5b.2", add=h > 0)
    out.put(values.label, values.b[l].T @ values.x[l], "5b.3", add=l > 0)


def error(values: Activations, y: Operand, grads: Gradients, out: Program) -> None:
    """error = -label - y (1.4), error^2 (1.5), dlabel = -2 error (2.14), (2.15); 1/B comes at the end."""
    out.set(grads.label, 2 * copy(values.label), "2.15")
    out.add(grads.label, 2 * copy(y), "2.15")
    out.add(grads.squares, multiply(grads.label, grads.label) / 4, "1.5")


def backward(shape: Shape, weights: Weights, values: Activations, grads: Gradients, out: Program, inputs: bool = False) -> None:
    """(5b.6) to (5b.12): adds dP and dQ to the sums; ``inputs``: down to the gradient of the first state, which something else
    made.
    """
    n, last = shape.n, shape.L - 1
    if shape.full:
        out.set(grads.x[shape.L], ZERO, "2.15")
        out.set(grads.x[shape.L].entry(shape.k - 1), copy(grads.label), "2.15")
    else:
        out.set(grads.b[last], multiply(grads.label, values.x[last]), "5b.7")
        out.set(grads.x[last], multiply(grads.label, values.b[last]), "5b.10")
        for h in range(shape.H):
            out.add(grads.Q[last][h], outer(values.s[last], grads.b[last]) / n, "5b.12")
            out.put(grads.s[last], (weights.Q[last][h] @ grads.b[last]) / n, "5b.9", add=h > 0)
    for l in reversed(range(shape.moving)):
        out.set(grads.A[l], outer(grads.x[l + 1], values.x[l]), "5b.6")
        if l + 1 < shape.moving:
            out.add(grads.A[l], 2 * (grads.S[l + 1] @ values.V[l]), "5b.6")
        if not shape.full:
            out.add(grads.A[l], outer(grads.s[l + 1], values.r[l]), "5b.6")
            out.set(grads.r[l], values.A[l].T @ grads.s[l + 1], "5b.7")
            out.set(grads.b[l], multiply(grads.label, values.x[l]), "5b.7")
            out.add(grads.b[l], values.S[l] @ grads.r[l], "5b.7")
        for h in range(shape.H):
            out.set(grads.U[l][h], (weights.P[l][h].T @ grads.A[l]) / n, "5b.11")
            out.add(grads.P[l][h], (grads.A[l] @ values.U[l][h].T) / n, "5b.11")
            out.add(grads.Q[l][h], values.S[l] @ grads.U[l][h], "5b.12")
            if not shape.full:
                out.add(grads.Q[l][h], outer(values.s[l], grads.b[l]) / n, "5b.12")
        if l > 0 or inputs:
            for h in range(shape.H):
                out.put(grads.M[l], grads.U[l][h] @ weights.Q[l][h].T, "5b.8", add=h > 0)
            out.set(grads.x[l], values.A[l].T @ grads.x[l + 1], "5b.10")
            if not shape.full:
                out.add(grads.M[l], outer(grads.r[l], values.b[l]), "5b.8")
                out.add(grads.x[l], multiply(grads.label, values.b[l]), "5b.10")
                out.set(grads.s[l], copy(grads.r[l]), "5b.9")
                for h in range(shape.H):
                    out.add(grads.s[l], (weights.Q[l][h] @ grads.b[l]) / n, "5b.9")
            out.set(grads.S[l], symmetrized(grads.M[l]), "5b.8")
            if l + 1 < shape.moving:
                out.set(grads.E[l], grads.S[l + 1] @ values.A[l], "5b.8")
                out.add(grads.S[l], values.A[l].T @ grads.E[l], "5b.8")


def tangent(shape: Shape, weights: Weights, values: Activations, tangents: Activations, out: Program) -> None:
    """The tangent of :func:`forward`, term by term, as if the first state moved too."""
    n = shape.n
    for l in range(shape.moving):
        for h in range(shape.H):
            out.set(tangents.U[l][h], values.S[l] @ weights.vQ[l][h], "5b.1")
            out.add(tangents.U[l][h], tangents.S[l] @ weights.Q[l][h], "5b.1")
            out.put(tangents.A[l], (weights.vP[l][h] @ values.U[l][h]) / n, "5b.1", add=h > 0)
            out.add(tangents.A[l], (weights.P[l][h] @ tangents.U[l][h]) / n, "5b.1")
        out.set(tangents.x[l + 1], tangents.A[l] @ values.x[l], "5b.3")
        out.add(tangents.x[l + 1], values.A[l] @ tangents.x[l], "5b.3")
        if not shape.full:
            read_label_tangent(shape, weights, values, tangents, l, out)
            out.set(tangents.r[l], values.S[l] @ tangents.b[l], "5b.4")
            out.add(tangents.r[l], copy(tangents.s[l]), "5b.4")
            out.add(tangents.r[l], tangents.S[l] @ values.b[l], "5b.4")
            out.set(tangents.s[l + 1], tangents.A[l] @ values.r[l], "5b.4")
            out.add(tangents.s[l + 1], values.A[l] @ tangents.r[l], "5b.4")
        if l + 1 < shape.moving:
            out.set(tangents.V[l], tangents.A[l] @ values.S[l], "5b.5")
            out.add(tangents.V[l], values.A[l] @ tangents.S[l], "5b.5")
            out.set(tangents.S[l + 1], tangents.V[l] @ values.A[l].T, "5b.5")
            out.add(tangents.S[l + 1], values.V[l] @ tangents.A[l].T, "5b.5")
    if shape.full:
        out.set(tangents.label, copy(tangents.x[shape.L].entry(shape.k - 1)), "5b.3")
    else:
        read_label_tangent(shape, weights, values, tangents, shape.L - 1, out)


def read_label_tangent(shape: Shape, weights: Weights, values: Activations, tangents: Activations, l: int, out: Program) -> None:
    """The tangent of :func:`read_label`."""
    for h in range(shape.H):
        out.put(tangents.b[l], (weights.vQ[l][h].T @ values.s[l]) / shape.n, "5b.2", add=h > 0)
        out.add(tangents.b[l], (weights.Q[l][h].T @ tangents.s[l]) / shape.n, "5b.2")
    out.put(tangents.label, tangents.b[l].T @ values.x[l], "5b.3", add=l > 0)
    out.add(tangents.label, values.b[l].T @ tangents.x[l], "5b.3")


def backward_tangent(
    shape: Shape,
    weights: Weights,
    values: Activations,
    tangents: Activations,
    grads: Gradients,
    hgrads: Gradients,
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
        out.set(hgrads.A[l], outer(hgrads.x[l + 1], values.x[l]), "5b.6")
        out.add(hgrads.A[l], outer(grads.x[l + 1], tangents.x[l]), "5b.6")
        if l + 1 < shape.moving:
            out.add(hgrads.A[l], 2 * (hgrads.S[l + 1] @ values.V[l]), "5b.6")
            out.add(hgrads.A[l], 2 * (grads.S[l + 1] @ tangents.V[l]), "5b.6")
        if not shape.full:
            out.add(hgrads.A[l], outer(hgrads.s[l + 1], values.r[l]), "5b.6")
            out.add(hgrads.A[l], outer(grads.s[l + 1], tangents.r[l]), "5b.6")
            out.set(hgrads.r[l], tangents.A[l].T @ grads.s[l + 1], "5b.7")
            out.add(hgrads.r[l], values.A[l].T @ hgrads.s[l + 1], "5b.7")
            label_tangents(values, tangents, grads, hgrads, l, l > 0, out)
            out.add(hgrads.b[l], values.S[l] @ hgrads.r[l], "5b.7")
            out.add(hgrads.b[l], tangents.S[l] @ grads.r[l], "5b.7")
        for h in range(shape.H):
            out.set(hgrads.U[l][h], (weights.vP[l][h].T @ grads.A[l]) / n, "5b.11")
            out.add(hgrads.U[l][h], (weights.P[l][h].T @ hgrads.A[l]) / n, "5b.11")
            out.add(hgrads.P[l][h], (hgrads.A[l] @ values.U[l][h].T) / n, "5b.11")
            out.add(hgrads.P[l][h], (grads.A[l] @ tangents.U[l][h].T) / n, "5b.11")
            out.add(hgrads.Q[l][h], values.S[l] @ hgrads.U[l][h], "5b.12")
            out.add(hgrads.Q[l][h], tangents.S[l] @ grads.U[l][h], "5b.12")
            if not shape.full:
                q_tangents(n, values, tangents, grads, hgrads, l, h, out)
        if l > 0:
            state_tangents(shape, weights, values, tangents, grads, hgrads, l, out)


def label_tangents(
    values: Activations, tangents: Activations, grads: Gradients, hgrads: Gradients, l: int, x_too: bool, out: Program
) -> None:
    """Of (5b.7) dlabel x, which comes first in db, and of (5b.10) dlabel b, which comes first in dx."""
    out.set(hgrads.b[l], multiply(hgrads.label, values.x[l]), "5b.7")
    out.add(hgrads.b[l], multiply(grads.label, tangents.x[l]), "5b.7")
    if x_too:
        out.set(hgrads.x[l], multiply(hgrads.label, values.b[l]), "5b.10")
        out.add(hgrads.x[l], multiply(grads.label, tangents.b[l]), "5b.10")


def q_tangents(
    n: int, values: Activations, tangents: Activations, grads: Gradients, hgrads: Gradients, l: int, h: int, out: Program
) -> None:
    """Of (5b.12) s db^T / n."""
    out.add(hgrads.Q[l][h], outer(values.s[l], hgrads.b[l]) / n, "5b.12")
    out.add(hgrads.Q[l][h], outer(tangents.s[l], grads.b[l]) / n, "5b.12")


def s_tangents(n: int, weights: Weights, grads: Gradients, hgrads: Gradients, l: int, h: int, add: bool, out: Program) -> None:
    """Of (5b.9) Q db / n."""
    out.put(hgrads.s[l], (weights.vQ[l][h] @ grads.b[l]) / n, "5b.9", add=add)
    out.add(hgrads.s[l], (weights.Q[l][h] @ hgrads.b[l]) / n, "5b.9")


def state_tangents(
    shape: Shape,
    weights: Weights,
    values: Activations,
    tangents: Activations,
    grads: Gradients,
    hgrads: Gradients,
    l: int,
    out: Program,
) -> None:
    """Of (5b.8) to (5b.10): the tangents of the gradients of the layer's state."""
    for h in range(shape.H):
        out.put(hgrads.M[l], hgrads.U[l][h] @ weights.Q[l][h].T, "5b.8", add=h > 0)
        out.add(hgrads.M[l], grads.U[l][h] @ weights.vQ[l][h].T, "5b.8")
    out.put(hgrads.x[l], tangents.A[l].T @ grads.x[l + 1], "5b.10", add=not shape.full)
    out.add(hgrads.x[l], values.A[l].T @ hgrads.x[l + 1], "5b.10")
    if not shape.full:
        out.add(hgrads.M[l], outer(hgrads.r[l], values.b[l]), "5b.8")
        out.add(hgrads.M[l], outer(grads.r[l], tangents.b[l]), "5b.8")
        out.set(hgrads.s[l], copy(hgrads.r[l]), "5b.9")
        for h in range(shape.H):
            s_tangents(shape.n, weights, grads, hgrads, l, h, True, out)
    out.set(hgrads.S[l], symmetrized(hgrads.M[l]), "5b.8")
    if l + 1 < shape.moving:
        out.set(hgrads.E[l], hgrads.S[l + 1] @ values.A[l], "5b.8")
        out.add(hgrads.E[l], grads.S[l + 1] @ tangents.A[l], "5b.8")
        out.add(hgrads.S[l], tangents.A[l].T @ grads.E[l], "5b.8")
        out.add(hgrads.S[l], values.A[l].T @ hgrads.E[l], "5b.8")
