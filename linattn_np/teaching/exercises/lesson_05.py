"""Exercises of lesson 05: the state."""

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


def _both_uses_alike(dG_next, dz_next, G, z, P, Q, n):
    """(5.7) and (5.8) taken for the same: dT = 2 dX G."""
    T = _moved(G, z, P, Q, n)
    dX, U = dG_next @ T, G @ Q
    dT = 2 * dX @ G + gram.outer(dz_next, z)
    dU = P.T @ dT / n
    return T.mT @ dX + dU @ Q.T, gram.times(T.mT, dz_next), (dT @ U.mT).sum(axis=0) / n, (G.mT @ dU).sum(axis=0)


def gradient_and_tokens(rng, s):
    """A general dG (B, D, D), dz (B, D), and tokens Z (B, N, D)."""
    B, D = s["B"], s["d"] + 1
    return rng.standard_normal((B, D, D)), rng.standard_normal((B, D)), rng.standard_normal((B, s["n"] + 1, D))


def tokens_backward(dG, dz, Z):
    """dZ (B, N, D) from the gradient of the state, (5.17)."""
    return gram.compress_backward(State(dG, dz, Z.shape[1] - 1), Z)


def _tokens_by(matrix, query=True):
    """dZ = Z times matrix(dG); ``query``: the query's row is dz."""

    def wrong(dG, dz, Z):
        dZ = Z @ matrix(dG)
        if query:
            dZ[:, -1] = dz
        return dZ

    return wrong


def _query_added(dG, dz, Z):
    dZ = Z @ (dG + dG.mT)
    dZ[:, -1] += dz
    return dZ


def mean_inverse(n, d):
    """The mean of a diagonal entry of the inverse of S."""
    return 1 / (n - d - 1)


EXERCISES = (
    Exercise(
        "05.1", "Write multiply_adds(n, d): how many multiply-adds form G, if symmetry is used?", multiply_adds, sizes_only,
        ("count",),
        (
            Slip("G is symmetric: each entry off the diagonal stands there twice and needs to be computed once",
                 lambda n, d: n * (d + 1) ** 2),
            Slip("a token has d + 1 entries: the label belongs to it", lambda n, d: n * d * (d + 1) // 2),
            Slip("the query is not among what is summed", lambda n, d: (n + 1) * (d + 1) * (d + 2) // 2),
            Slip("that is the count for the scores: is any pair of tokens multiplied here?", lambda n, d: n * n * (d + 1)),
        ),
    ),
    Exercise(
        "05.2", "Write state_layer(G, z, P, Q, n): the state of one layer on, G' (B, D, D) and z' (B, D).", layer,
        state_and_matrices,
        ("G'", "z'"),
        (
            Slip("both factors of z z^T are moved: T stands on each side of G",
                 lambda *a: _with(_moved(*a), *a[:2], right=False)),
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
            Slip("dT = 2 dX G takes the two uses of T in T G T^T for one: they are alike only if dG' and G are symmetric",
                 _both_uses_alike),
        ),
    ),
    Exercise(
        "05.4", "Repair tokens(dG, dz, Z) -> dZ (B, N, D), for a dG that need not be symmetric.", tokens_backward,
        gradient_and_tokens,
        ("dZ",),
        (
            Slip("that is the function as you found it: it takes dG for symmetric", _tokens_by(lambda dG: 2 * dG)),
            Slip("one of the two uses of the token is missing: z stands on the left of z z^T too", _tokens_by(lambda dG: dG)),
            Slip("one of the two uses of the token is missing: z stands on the right of z z^T too", _tokens_by(lambda dG: dG.mT)),
            Slip("the query is not in the sum: its row is dz", _tokens_by(lambda dG: dG + dG.mT, query=False)),
            Slip("the query is not in the sum: its row is dz and nothing else", _query_added),
            Slip("the symmetric part is half of the sum: no half is asked for", _tokens_by(lambda dG: (dG + dG.mT) / 2)),
        ),
    ),
    Exercise(
        "05.5", "Write mean_inverse(n, d): the mean of a diagonal entry of the inverse of S, for n > d + 1.", mean_inverse,
        lambda rng, s: (s["n"] + s["d"], s["d"]), ("mean",),
        (
            Slip("the mean of an inverse is not the inverse of the mean", lambda n, d: 1 / n),
            Slip("that is one over the mean of chi^2; the mean of 1/chi^2(k) is larger", lambda n, d: 1 / (n - d + 1)),
            Slip("how many degrees of freedom has the last diagonal entry, with j counted from 0?", lambda n, d: 1 / (n - d - 2)),
            Slip("that belongs to the first covariate; the last one has lost d - 1 dimensions", lambda n, d: 1 / (n - 2)),
        ),
    ),
    Exercise(
        "05.6", "Measure the mean of the first diagonal entry of the inverse of S, for n = 12 and d = 5, to 5 %.", 1 / 6,
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
        "05.t3", "From 1,000 examples to 2,000: what takes twice as long, on the state?", "d",
        a="a layer works on G and z, whose sizes do not know n",
        b="the first layer is like the others: it is given G",
        c="G has to be made once, and it is a sum over the examples",
    ),
)  # fmt: skip
