"""Exercises of lesson 05b: the blocks and the kernel."""

import numpy as np

from ...layers import gram
from ..exercise import Exercise, Slip, choice
from .lesson_05 import backward

THREE_SLOPES = np.array([448.0, 644.0, -224.0])  # dp0, dq0, dq1 of section 3 with q1 = -2
TERMS = 6  # the fifth leaves 2e-9 of a logarithm, the sixth 5e-11


def blocks_and_cotangents(rng, s):
    """Symmetric dS' (B, d, d), ds' and dx' (B, d), dlabel (B,), symmetric S (B, d, d), s and x (B, d), P and Q (d, d), n."""
    B, d = s["B"], s["d"]
    dS, X = rng.standard_normal((2, B, d, d))
    ds, dx, labels, x = rng.standard_normal((4, B, d))
    P, Q = rng.standard_normal((2, d, d))
    return dS + dS.mT, ds, dx, rng.standard_normal(B), X @ X.mT, labels, x, P, Q, s["n"]


def blocks(dS_next, ds_next, dx_next, dlabel, S, s, x, P, Q, n):
    """dP and dQ of one layer with d x d blocks, from the full state of lesson 05: (5.6) to (5.15) with P = diag(P', 1), Q =
    diag(Q', 0).
    """
    B, d, _ = S.shape
    dG, G, z, dz = np.zeros((B, d + 1, d + 1)), np.zeros((B, d + 1, d + 1)), np.zeros((B, d + 1)), np.zeros((B, d + 1))
    G[:, :d, :d], G[:, :d, d], G[:, d, :d] = S, s, s
    dG[:, :d, :d], dG[:, :d, d] = dS_next, ds_next  # s' is read in one place, so its gradient stands in one
    z[:, :d], dz[:, :d], dz[:, d] = x, dx_next, dlabel
    full_P, full_Q = np.eye(d + 1), np.zeros((d + 1, d + 1))
    full_P[:d, :d], full_Q[:d, :d] = P, Q
    _, _, dP, dQ = backward(dG, dz, G, z, full_P, full_Q, n)
    return dP[:d, :d], dQ[:d, :d]


def _blocks(dS_next, ds_next, dx_next, dlabel, S, s, x, P, Q, n, twice=2.0, far=1.0, s_term=1.0, b_term=1.0, r_term=1.0):
    """(5b.6), (5b.7), (5b.11), (5b.12) with room for mistakes."""
    U, b = S @ Q, s @ Q / n
    A = np.eye(len(P)) + P @ U / n
    r = s + r_term * gram.times(S, b)
    dA = twice * dS_next @ A @ S + s_term * gram.outer(ds_next, r) + gram.outer(dx_next, x)
    db = far * gram.times(S, gram.times(A.mT, ds_next)) + dlabel[:, None] * x
    dU = P.T @ dA / n
    return (dA @ U.mT).sum(axis=0) / n, (S @ dU + b_term * gram.outer(s, db) / n).sum(axis=0)


def _blocks_with(**mistake):
    return lambda *inputs: _blocks(*inputs, **mistake)


def lanes(rng, s):
    """a (rows, inner, prompts) and b (inner, columns, prompts), all sizes different."""
    return rng.standard_normal((s["d"], s["n"], s["B"])), rng.standard_normal((s["n"], s["d"] + 1, s["B"]))


def product_in_lanes(a, b):
    """c[:, :, t] = a[:, :, t] b[:, :, t]: (rows, columns, prompts)."""
    return np.einsum("imt,mjt->ijt", a, b)


EXERCISES = (
    Exercise(
        "05b.1", "dp0, dq0 and dq1 of the two layers of section 3, with q1 = -2.", THREE_SLOPES,
        slips=(
            Slip("that is section 3 itself, with q1 = -1", np.array([96.0, 132.0, -96.0])),
            Slip("dq0: b is used in r too, so S dr belongs to db", np.array([448.0, 420.0, -224.0])),
            Slip("dq0: Q is used in b as well as in U", np.array([448.0, 448.0, -224.0])),
            Slip("d label is minus d prediction", -THREE_SLOPES),
            Slip("dA: s' = A r uses A as well as x' does", np.array([224.0, 420.0, -224.0])),
            Slip("the square's factor 2 is lost", THREE_SLOPES / 2),
        ),
    ),
    Exercise(
        "05b.2", "Repair blocks(dS_next, ds_next, dx_next, dlabel, S, s, x, P, Q, n) -> dP, dQ; one term is wrong.", blocks,
        blocks_and_cotangents, ("dP", "dQ"),
        (
            Slip("S' = A S A^T uses A twice, and this counts one use", _blocks_with(twice=1.0)),
            Slip("b is used in r too: what of ds' reaches db?", _blocks_with(far=0.0)),
            Slip("s' = A r uses A: a term of dA is missing", _blocks_with(s_term=0.0)),
            Slip("Q is used in b as well as in U", _blocks_with(b_term=0.0)),
            Slip("the examples' labels have moved in this layer: r is not s", _blocks_with(r_term=0.0)),
        ),
    ),
    Exercise(
        "05b.3", "Write product_in_lanes(a, b): a (rows, inner, prompts), b (inner, columns, prompts) -> (rows, columns, "
                 "prompts).",
        product_in_lanes, lanes, ("c",),
        (
            Slip("the prompts are added up: each lane keeps its own result",
                 lambda a, b: np.repeat(np.einsum("imt,mjt->ij", a, b)[..., None], a.shape[2], axis=2)),
            Slip("the product of the sums is not the sum of the products: both factors run over the same inner index",
                 lambda a, b: a.sum(axis=1)[:, None] * b.sum(axis=0)),
            Slip("every prompt multiplies by the first prompt's b", lambda a, b: np.einsum("imt,mj->ijt", a, b[..., 0])),
            Slip("every prompt multiplies the first prompt's a", lambda a, b: np.einsum("im,mjt->ijt", a[..., 0], b)),
        ),
    ),
    Exercise(
        "05b.4", "The number of terms of (5b.14) that give every logarithm of a uniform number to ten digits.", TERMS,
        slips=(
            Slip("ten terms leave only rounding; ten digits take fewer", 10),
            Slip("the error is relative to log u, and it must be below 1e-10 for the worst u of many", TERMS - 1),
            Slip("one more than is needed: is the last one still above 1e-10?", TERMS + 1),
        ),
    ),
    choice(
        "05b.t1", "Why does the kernel give the same bits on one thread and on eight?", "d",
        a="any precision rounds, and another order of summation rounds differently",
        b="commutative it is, but not associative once it rounds",
        c="waiting decides when sums are added, not which",
    ),
    choice(
        "05b.t2", "Why may dA hold 2 dS' V in place of two different terms?", "a",
        b="A is I + P S Q / n with any P and Q",
        c="they are as large as the others",
        d="that factor 2 stands in dprediction, and is another",
    ),
    choice(
        "05b.t3", "Why is the prompt the last axis in the kernel?", "b",
        a="the same numbers are stored in another order",
        c="no lane knows of its neighbours, and none must",
        d="each lane rounds as it would alone",
    ),
)  # fmt: skip
