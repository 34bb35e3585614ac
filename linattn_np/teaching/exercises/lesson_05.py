"""Exercises of lesson 05: the state and the kernel."""

import numpy as np

from ...layers import gram
from ...layers.gram import State
from ..exercise import Exercise, Slip, choice, from_catalogue


def sizes_only(rng, s):
    """n and d."""
    return s["n"], s["d"]


def multiply_adds(n, d):
    """The entries on and above the diagonal of G, n times."""
    return n * (d + 1) * (d + 2) // 2


def state_and_matrices(rng, s):
    """A general G (B, D, D), z (B, D), P and Q (D, D), n."""
    D = s["d"] + 1
    P, Q = rng.standard_normal((2, D, D))
    return rng.standard_normal((s["B"], D, D)), rng.standard_normal((s["B"], D)), P, Q, s["n"]


def layer(G, z, P, Q, n):
    """G' and z' of one layer with one head, (5.1) to (5.5)."""
    state, _ = gram.forward(State(G, z, n), P[None], Q[None])
    return state.G, state.z


def _moved(G, z, P, Q, n):
    return np.eye(len(P)) + P @ G @ Q / n


def _with(T, G, z, left=True, right=True):
    moved = T @ G if left else G
    return moved @ T.mT if right else moved, gram.times(T, z)


def cotangents_and_state(rng, s):
    """dG' (B, D, D), dz' (B, D), and a state with matrices."""
    D = s["d"] + 1
    return rng.standard_normal((s["B"], D, D)), rng.standard_normal((s["B"], D)), *state_and_matrices(rng, s)


def backward(dG_next, dz_next, G, z, P, Q, n):
    """dG, dz, dP, dQ of one layer with one head, (5.6) to (5.15)."""
    return _backward(gram, dG_next, dz_next, G, z, P, Q, n)


def _backward(module, dG_next, dz_next, G, z, P, Q, n):
    _, tape = module.forward(State(G, z, n), P[None], Q[None])
    dstate, dP, dQ = module.backward(State(dG_next, dz_next, n), tape)
    return dstate.G, dstate.z, dP[0], dQ[0]


def _one_use_twice(dG_next, dz_next, G, z, P, Q, n):
    """dT = 2 dG' T G + dz' z^T, the rest as it should be."""
    T = _moved(G, z, P, Q, n)
    dT = 2 * dG_next @ T @ G + gram.outer(dz_next, z)
    dU = P.T @ dT / n
    return T.mT @ dG_next @ T + dU @ Q.T, gram.times(T.mT, dz_next), (dT @ (G @ Q).mT).sum(axis=0) / n, (G.mT @ dU).sum(axis=0)


def blocks_and_cotangents(rng, s):
    """Symmetric dS' (B, d, d), ds' and dx' (B, d), dlabel (B,), symmetric S (B, d, d), s and x (B, d), P and Q (d, d), n."""
    B, d = s["B"], s["d"]
    dS, X = rng.standard_normal((2, B, d, d))
    ds, dx, labels, x = rng.standard_normal((4, B, d))
    P, Q = rng.standard_normal((2, d, d))
    return dS + dS.mT, ds, dx, rng.standard_normal(B), X @ X.mT, labels, x, P, Q, s["n"]


def blocks(dS_next, ds_next, dx_next, dlabel, S, s, x, P, Q, n):
    """dP and dQ of one layer with d x d blocks, from the full state: (5.6) to (5.15) with P = diag(P', 1), Q = diag(Q', 0)."""
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
    """(5.23), (5.24), (5.28), (5.29) with room for mistakes."""
    U, b = S @ Q, s @ Q / n
    A = np.eye(len(P)) + P @ U / n
    r = s + r_term * gram.times(S, b)
    dA = twice * dS_next @ A @ S + s_term * gram.outer(ds_next, r) + gram.outer(dx_next, x)
    db = far * gram.times(S, gram.times(A.mT, ds_next)) + dlabel[:, None] * x
    dU = P.T @ dA / n
    return (dA @ U.mT).sum(axis=0) / n, (S @ dU + b_term * gram.outer(s, db) / n).sum(axis=0)


def _blocks_with(**mistake):
    return lambda *inputs: _blocks(*inputs, **mistake)


def factor_and_task(rng, s):
    """Lower triangular R (B, d, d) and w (B, d)."""
    return np.tril(rng.standard_normal((s["B"], s["d"], s["d"]))), rng.standard_normal((s["B"], s["d"]))


def state_from_factor(R, w):
    """The state G (B, d+1, d+1) of (5.30)."""
    return _bordered(R @ R.mT, gram.times(R @ R.mT, w), w)


def _bordered(S, s, w, corner=None):
    corner = (s * w).sum(axis=1) if corner is None else corner
    return np.block([[S, s[..., None]], [s[:, None], corner[:, None, None]]])


def _without_s(R, w):
    return _bordered(R @ R.mT, w, w)


def _by_factor(R, w):
    return _bordered(R @ R.mT, gram.times(R, w), w)


def _corner_of_task(R, w):
    S = R @ R.mT
    return _bordered(S, gram.times(S, w), w, (w * w).sum(axis=1))


def mean_inverse(n, d):
    """The mean of a diagonal entry of the inverse of S."""
    return 1 / (n - d - 1)


EXERCISES = (
    Exercise(
        "05.1", "Write multiply_adds(n, d): how many multiply-adds form G, if symmetry is used?", multiply_adds, sizes_only, ("count",),
        (
            Slip("G is symmetric: each entry off the diagonal stands there twice and needs to be computed once", lambda n, d: n * (d + 1) ** 2),
            Slip("a token has d + 1 entries: the label belongs to it", lambda n, d: n * d * (d + 1) // 2),
            Slip("the query is not among what is summed", lambda n, d: (n + 1) * (d + 1) * (d + 2) // 2),
            Slip("that is the count for the scores: is any pair of tokens multiplied here?", lambda n, d: n * n * (d + 1)),
        ),
    ),
    Exercise(
        "05.2", "Write state_layer(G, z, P, Q, n): the state of one layer on, G' (B, D, D) and z' (B, D).", layer, state_and_matrices,
        ("G'", "z'"),
        (
            Slip("both factors of z z^T are moved: T stands on each side of G", lambda *a: _with(_moved(*a), *a[:2], right=False)),
            Slip("the token moves on the left of z z^T too", lambda *a: _with(_moved(*a), *a[:2], left=False)),
            Slip("the residual is missing: T begins with the identity", lambda *a: _with(_moved(*a) - np.eye(len(a[2])), *a[:2])),
            Slip("the order: the token is scored by Q first, and what is read goes through P",
                 lambda G, z, P, Q, n: _with(_moved(G, z, Q, P, n), G, z)),
            Slip("1/n counts the examples: the query is no example", lambda G, z, P, Q, n: layer(G, z, P, Q, n + 1)),
            Slip("1/n is missing", lambda G, z, P, Q, n: layer(G, z, P, Q, 1)),
            Slip("the second T is not transposed", lambda *a: (_moved(*a) @ a[0] @ _moved(*a), gram.times(_moved(*a), a[1]))),
            Slip("the examples have moved too: the next layer's G is another", lambda *a: (a[0], gram.times(_moved(*a), a[1]))),
        ),
    ),
    Exercise(
        "05.3", "Write state_backward(dG_next, dz_next, G, z, P, Q, n) -> dG, dz, dP, dQ.", backward, cotangents_and_state,
        ("dG", "dz", "dP", "dQ"),
        (
            *from_catalogue(
                _backward, "T_right_dropped", "T_left_dropped", "T_query_dropped", "T_right_not_turned", "G_scores_dropped",
                "U_P_not_turned", "P_no_n", "G_not_turned",
            ),
            Slip("twice one of T's two uses: they are equal where dG' and G are symmetric, and here they are not", _one_use_twice),
        ),
    ),
    Exercise(
        "05.4", "Repair blocks(dS_next, ds_next, dx_next, dlabel, S, s, x, P, Q, n) -> dP, dQ; one term is wrong.", blocks,
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
        "05.5", "Write state_from_factor(R, w): R (B, d, d) and w (B, d) -> G (B, d+1, d+1).", state_from_factor, factor_and_task, ("G",),
        (
            Slip("R^T R in place of R R^T: R is lower triangular here", lambda R, w: state_from_factor(R.mT, w)),
            Slip("s is a sum over the examples, not the task itself", _without_s),
            Slip("s = X^T y with y = X w: how does w become s?", _by_factor),
            Slip("the corner is the sum of squared labels, not of squared weights", _corner_of_task),
        ),
    ),
    Exercise(
        "05.6", "Write mean_inverse(n, d): the mean of a diagonal entry of the inverse of S, for n > d + 1.", mean_inverse,
        lambda rng, s: (s["n"] + s["d"], s["d"]), ("mean",),
        (
            Slip("the mean of an inverse is not the inverse of the mean", lambda n, d: 1 / n),
            Slip("that is one over the mean of chi^2; the mean of 1/chi^2(k) is larger", lambda n, d: 1 / (n - d + 1)),
            Slip("how many degrees of freedom has the last diagonal entry, with j counted from 0?", lambda n, d: 1 / (n - d - 2)),
            Slip("that belongs to the first column of R; the last one has lost d - 1 dimensions", lambda n, d: 1 / (n - 2)),
        ),
    ),
    Exercise(
        "05.7", "Measure the mean of the first diagonal entry of the inverse of S, for n = 12 and d = 5, to 5 %.", 1 / 6,
        slips=(
            Slip("that is the inverse of the mean of S", 1 / 12),
            Slip("did you invert the mean of the states, or take n for n - d + 1?", 1 / 8),
            Slip("that is the trace: one entry is asked for", 5 / 6),
            Slip("that is a mean of S, not of its inverse", 12.0),
        ),
        tolerance=0.05,
    ),
    choice(
        "05.t1", "Which of these can change the prediction of linear attention?", "c",
        a="G is a sum, and a sum has no order",
        b="the example enters G as z z^T, where two signs cancel",
        d="a rotation of the examples among themselves is orthogonal, and Z^T O^T O Z = G",
    ),
    choice(
        "05.t2", "Why can softmax attention not be run on G?", "b",
        a="a sum to divide by could be kept beside G, if it came out of the scores",
        c="the mask could be anything; what matters is how a score depends on the token",
        d="it has the same weights P and Q",
    ),
    choice(
        "05.t3", "Why does the kernel give the same bits on one thread and on eight?", "d",
        a="any precision rounds, and another order of summation rounds differently",
        b="commutative it is, but not associative once it rounds",
        c="waiting decides when sums are added, not which",
    ),
)  # fmt: skip
