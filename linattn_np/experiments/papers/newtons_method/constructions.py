"""Newton's iteration by attention layers: inverses of symmetric and of general matrices, least squares, and descent to compare
with.

(19.1)  X_{t+1} = X_t (2I - A X_t)             (19.2)  I - X_{t+1} A = (I - X_t A)^2

Blocks one below the other; b += c a k^T q is a head (19.4):

(19.5)  A = A^T, H = [X; A; I], width 3d, one layer a step:    X += -X A^T X,   X += X I^T I
(19.6)  any A, H = [X; Y; A; I], width 4d, two layers a step:  Y += I A^T I,    Y += -Y I^T I         so that Y = A^T
                                                               X += -X Y^T X,   X += X I^T I
(19.7)  least squares, columns the examples and the query, which is not read, width 4d + 3, T + 3 layers:
        data a_i | unit [I, 0] | X | R | label y | scratch | output
        first     R += data data^T unit,  X += eps data data^T unit      R = A^T A,  X_0 = eps R,  eps = 1 / lam_max(R)^2
        T times   X += -X R^T X,          X += X unit^T unit             (19.1) for R
        last two  scratch += label data^T X;   output += scratch unit^T data     y^T A X_T a_q = a_q.w_T

(19.8)  descent: tokens (a_i; y_i), one layer a step:   y += -eta y data^T data      y_i - a_i.w_t, and -a_q.w_t at the query

Source: arXiv 2403.03183, Lemma 4.1 and Theorem 4.2; its matrices were images to us, so the blocks are derived in lesson 19, with
the widths and depths that the theorems state.
"""

from typing import Any

import numpy as np

from ...._checks import as_count, as_numbers
from ...._types import Array
from .blocks import Head, matrices, rows_of, run


def newton_layers(d: int, symmetric: bool) -> list[tuple[Array, Array]]:
    """(19.5), (19.6)  The layers of one step of (19.1)."""
    if symmetric:
        rows = rows_of(X=d, A=d, I=d)
        return [matrices(rows, [Head("X", "X", -1.0, "A", "X"), Head("X", "X", 1.0, "I", "I")])]
    rows = rows_of(X=d, Y=d, A=d, I=d)
    return [
        matrices(rows, [Head("I", "Y", 1.0, "A", "I"), Head("Y", "Y", -1.0, "I", "I")]),
        matrices(rows, [Head("X", "X", -1.0, "Y", "X"), Head("X", "X", 1.0, "I", "I")]),
    ]


def inverses(A: Array, steps: int, symmetric: bool) -> Array:
    """X_0 = A^T / lam_max(A^T A) and X after each step, all by layers: A (d, d) -> (steps + 1, d, d)."""
    d = len(A)
    X, unit = A.T / np.linalg.norm(A, 2) ** 2, np.eye(d)
    blocks = [X, A, unit] if symmetric else [X, np.zeros((d, d)), A, unit]
    Z = np.concatenate(blocks).T[None]  # columns are tokens, which are our rows: (1, d, w)
    found, layers = [X], newton_layers(d, symmetric)
    for _ in range(steps):
        Z = run(Z, layers)
        found.append(Z[0, :, :d].T)
    return np.stack(found)


def invert(A: Any, steps: int) -> Array:
    """The inverse of A (d, d) after ``steps`` steps of Newton's iteration, each one layer where A = A^T and two where not.

    -> X (d, d), computed by the layers (19.5) or (19.6) from X_0 = A^T / lam_max(A^T A), for which it converges for every
    invertible A. Raises ValueError for another shape and for A = 0. Cost O(steps d^3).
    """
    A, steps = as_numbers("A", A), as_count("steps", steps, least=0)
    if A.ndim != 2 or A.shape[0] != A.shape[1] or not A.any():
        raise ValueError(f"A: expected a square matrix that is not 0, got shape {A.shape}")
    return inverses(A, steps, symmetric=bool((A == A.T).all()))[-1]


def regression_layers(d: int, eps: float) -> tuple[list[tuple[Array, Array]], ...]:
    """(19.7)  The first layer, the layer of a step, and the last two."""
    rows = rows_of(data=d, unit=d, X=d, R=d, label=1, scratch=1, output=1)
    first = [Head("data", "R", 1.0, "data", "unit"), Head("data", "X", eps, "data", "unit")]
    step = [Head("X", "X", -1.0, "R", "X"), Head("X", "X", 1.0, "unit", "unit")]
    last = [Head("label", "scratch", 1.0, "data", "X")], [Head("scratch", "output", 1.0, "unit", "data")]
    return [matrices(rows, first)], [matrices(rows, step)], [matrices(rows, heads) for heads in last]


def regression_tokens(X: Array, y: Array, x_query: Array) -> Array:
    """The tokens of (19.7) before the first layer. X (n, d), y (n,), x_query (d,) -> (1, n+1, 4d+3)"""
    n, d = X.shape
    Z = np.zeros((1, n + 1, 4 * d + 3))
    Z[0, :-1, :d], Z[0, -1, :d] = X, x_query
    Z[0, :d, d : 2 * d] = np.eye(d)
    Z[0, :-1, 4 * d] = y
    return Z


def answers(X: Array, y: Array, x_query: Array, steps: int) -> Array:
    """The query's output of T + 3 layers for T = 0 .. steps. (steps + 1,)"""
    n, d = X.shape
    first, step, last = regression_layers(d, float(np.linalg.norm(X.T @ X, 2)) ** -2)
    mask = np.arange(n + 1) < n
    Z, found = run(regression_tokens(X, y, x_query), first, mask), []
    for t in range(steps + 1):
        found.append(run(Z, last, mask)[0, -1, -1])
        Z = run(Z, step, mask) if t < steps else Z
    return np.array(found)


def least_squares(X: Any, y: Any, x_query: Any, steps: int) -> float:
    """What least squares on the examples answers at the query, by steps + 3 layers of width 4d + 3 (19.7).

    X (n, d) with n >= d, y (n,), x_query (d,) -> x_query.w_T, w_T = X_T X^T y with X_T the inverse of X^T X after ``steps``
    steps. Raises ValueError for other shapes. Cost O(steps n^2 d).
    """
    X, y, x_query = as_numbers("X", X), as_numbers("y", y), as_numbers("x_query", x_query)
    if X.ndim != 2 or X.shape[0] < X.shape[1] or not X.any():
        raise ValueError(f"X: expected shape (n, d) with n >= d, not all 0, got {X.shape}")
    for name, array, shape in (("y", y, X.shape[:1]), ("x_query", x_query, X.shape[1:])):
        if array.shape != shape:
            raise ValueError(f"{name}: expected shape {shape} beside X of shape {X.shape}, got {array.shape}")
    return float(answers(X, y, x_query, as_count("steps", steps, least=0))[-1])


def descent_answers(X: Array, y: Array, x_query: Array, steps: int, eta: float | None = None) -> Array:
    """(19.8)  The query's answer after 0 .. steps layers of descent, (steps + 1,).

    eta: by default the best constant one for X^T X.
    """
    n, d = X.shape
    if eta is None:
        eigenvalues = np.linalg.eigvalsh(X.T @ X)
        eta = 2 / (eigenvalues[0] + eigenvalues[-1])
    Z = np.zeros((1, n + 1, d + 1))
    Z[0, :-1, :d], Z[0, -1, :d], Z[0, :-1, d] = X, x_query, y
    layer = matrices(rows_of(data=d, label=1), [Head("label", "label", -eta, "data", "data")])
    found, mask = [0.0], np.arange(n + 1) < n
    for _ in range(steps):
        Z = run(Z, [layer], mask)
        found.append(-Z[0, -1, -1])
    return np.array(found)


def recursion(A: Array, X: Array, steps: int, order: int = 2) -> Array:
    """X_0 .. X_steps of the iteration of an order, by matrix products: the second road. (steps + 1, d, d)

    (19.9)  X_{t+1} = X_t sum_{m < p} (I - A X_t)^m,      I - X_{t+1} A = (I - X_t A)^p
    """
    found = [X]
    for _ in range(steps):
        gap, total = np.eye(len(A)) - A @ found[-1], np.eye(len(A))
        for _ in range(order - 1):
            total = np.eye(len(A)) + gap @ total
        found.append(found[-1] @ total)
    return np.stack(found)


def error() -> float:
    """How far the layers are from the recursion, at every step and for generic numbers, relative to the largest entry."""
    rng = np.random.default_rng(19)
    A = rng.standard_normal((3, 3)) + 2 * np.eye(3)
    X, y, query = rng.standard_normal((7, 3)), rng.standard_normal(7), rng.standard_normal(3)
    R, start = X.T @ X, lambda A: A.T / np.linalg.norm(A, 2) ** 2
    pairs = [
        (inverses(A, 4, False), recursion(A, start(A), 4)),
        (inverses(A + A.T, 4, True), recursion(A + A.T, start(A + A.T), 4)),
        (answers(X, y, query, 3), recursion(R, start(R), 3) @ (X.T @ y) @ query),
        (descent_answers(X, y, query, 2, 0.1), np.array([0, 0.1 * y @ X @ query, (0.2 * y - 0.01 * X @ X.T @ y) @ X @ query])),
    ]
    return float(max(np.abs(layers - other).max() / np.abs(other).max() for layers, other in pairs))


CHECKS = {"constructions": error}
