"""Exercises of lesson 14: softmax against linear."""

import numpy as np

from ...layers.softmax_attention import softmax
from ..exercise import BY_DIFFERENCES, Exercise, Slip, choice


def gradient_and_weights(rng, s):
    """dE (B, N, N), zero in the query's column, and the weights E (B, N, N)."""
    N = s["n"] + 1
    dE = rng.standard_normal((s["B"], N, N))
    dE[..., -1] = 0.0
    return dE, softmax(rng.standard_normal((s["B"], N, N)))


def softmax_backward(dE, E):
    """(14.12)"""
    return E * (dE - (dE * E).sum(axis=-1, keepdims=True))


def scores(rng, s):
    """A (B, N, N)."""
    return (rng.standard_normal((s["B"], s["n"] + 1, s["n"] + 1)),)


def read_weights(A):
    """W from A: (14.2), (14.3)"""
    W = softmax(A)
    W[..., -1] = 0.0
    return W


def _masked_before(A):
    W = np.zeros(A.shape)
    W[..., :-1] = softmax(A[..., :-1])
    return W


def _row_cleared(A):
    W = softmax(A)
    W[..., -1, :] = 0.0
    return W


def _zero_score(A):
    A = A.copy()
    A[..., -1] = 0.0
    W = softmax(A)
    W[..., -1] = 0.0
    return W


def _over_readers(A):
    W = softmax(A.mT).mT.copy()
    W[..., -1] = 0.0
    return W


def scores_and_direction(rng, s):
    """a (N,) and a direction v (N,)."""
    return tuple(rng.standard_normal((2, s["n"] + 1)))


def bend(a, v):
    """The second derivative of softmax(a + t v) at t = 0."""
    e = softmax(a)
    m = e @ v
    return e * ((v - m) ** 2 - e @ (v - m) ** 2)


def sizes(rng, s):
    """c, n, L: all different."""
    return s["d"] - 1.0, s["n"], s["B"] + 1


def largest_answer(c, n, L):
    """(14.17) over the largest label."""
    return (1 + c / n) ** L - 1


EXERCISES = (
    Exercise(
        "14.1", "dq of the prompt of section 3 with w = 10 and q = log 3.", 61.2,
        slips=(
            Slip("the mean term of (14.12) is missing: the other scores move the weight too", 442.0),
            Slip("the mask comes after the softmax: the query's weight is part of the sum", 35.15625),
            Slip("the query's score has a gradient too, and it is read with covariate 1", 108.8),
            Slip("that is at q = log 2: exponentials of log 3 and 2 log 3 are 3 and 9", 60.9375),
            Slip("the prediction is minus the slot: the error is -7 - 10", -10.8),
        ),
    ),
    Exercise(
        "14.2", "Write softmax_backward(dE, E): (B, N, N) each -> dA (B, N, N).", softmax_backward, gradient_and_weights, ("dA",),
        (
            Slip("the normalisation is taken for a constant: each score moves every weight of its row", lambda dE, E: E * dE),
            Slip("the sum runs over what is read, the last axis, not over the readers",
                 lambda dE, E: E * (dE - (dE * E).sum(axis=-2, keepdims=True))),
            Slip("the mean is taken with the weights E, not with equal ones",
                 lambda dE, E: E * (dE - dE.mean(axis=-1, keepdims=True))),
            Slip("that is the diagonal of the Jacobian alone", lambda dE, E: E * (1 - E) * dE),
            Slip("the factor E in front is missing", lambda dE, E: dE - (dE * E).sum(axis=-1, keepdims=True)),
            Slip("the sign of the second term of the Jacobian", lambda dE, E: E * (dE + (dE * E).sum(axis=-1, keepdims=True))),
        ),
    ),
    Exercise(
        "14.3", "Repair read_weights(A): scores (B, N, N) -> W (B, N, N), as the paper's code has it.", read_weights, scores,
        ("W",),
        (
            Slip("the query is left out of the sum: the softmax runs over all N tokens, the mask comes after it", _masked_before),
            Slip("a score of 0 is not a weight of 0: exp(0) = 1 stands in the sum", _zero_score),
            Slip("the query is not read, but it reads: clear its column, not its row", _row_cleared),
            Slip("each reader's weights sum to one, not the weights that a token is read with", _over_readers),
            Slip("the mask is missing", lambda A: softmax(A)),
        ),
    ),
    Exercise(
        "14.4", "Write bend(a, v): the second derivative of softmax(a + t v) by t at 0, (N,).", bend, scores_and_direction,
        ("bend",),
        (
            Slip("that is the first derivative", lambda a, v: softmax(a) * (v - softmax(a) @ v)),
            Slip("the mean moves too: its derivative is the variance of v under e",
                 lambda a, v: softmax(a) * (v - softmax(a) @ v) ** 2),
            Slip("the entries must sum to zero, since the weights always sum to one",
                 lambda a, v: bend(a, v) + softmax(a) * (softmax(a) @ v**2 - (softmax(a) @ v) ** 2) / 2),
            Slip("the variance under e, not the mean of v squared",
                 lambda a, v: softmax(a) * ((v - softmax(a) @ v) ** 2 - softmax(a) @ v**2)),
            Slip("v enters with its mean under e taken off", lambda a, v: softmax(a) * (v**2 - softmax(a) @ v**2)),
        ),
        tolerance=BY_DIFFERENCES,
    ),
    Exercise(
        "14.5", "Write largest_answer(c, n, L): the cap on |prediction| over the largest label.", largest_answer, sizes, ("cap",),
        (
            Slip("the labels grow from layer to layer: each layer reads what the one before has written",
                 lambda c, n, L: L * c / n),
            Slip("the query's slot begins at 0, not at the largest label", lambda c, n, L: (1 + c / n) ** L),
            Slip("only c/n of a label is added in a layer", lambda c, n, L: (1 + c) ** L - 1),
            Slip("that is what the last of the layers can add", lambda c, n, L: c / n * (1 + c / n) ** (L - 1)),
            Slip("that is one layer", lambda c, n, L: c / n),
        ),
    ),
    Exercise(
        "14.6", "The smallest loss of one layer of two opposite softmax heads over beta and c, n = 10, d = 3, to 3 %.", 0.933,
        slips=(
            Slip("that is linear attention's, (1.10)", 12 / 14),
            Slip("that is one head's best: is the second one subtracted?", 1.459),
            Slip("that is at c = n; the best c is another at each beta", 1.025),
            Slip("that is the loss of answering 0", 3.0),
            Slip("that is with n = 20 and d = 5", 1.21),
        ),
        tolerance=0.03,
    ),
    choice(
        "14.t1", "Nobody reads the query. Is the gradient of its score zero, in softmax attention?", "b",
        a="dE is zero there, and (14.12) makes something else of it",
        c="the last layer's query reads, like any other token",
        d="the mask removes what is read; the sum of exponentials was taken before",
    ),
    choice(
        "14.t2", "A second head has the first one's matrices with both signs turned. Why does the loss fall so far?", "c",
        a="count what is trained: the second head is made of the first",
        b="it is gone, or kept, for one head and for two alike",
        d="they are subtracted: without the query the weights of both sum to something near 0",
    ),
    choice(
        "14.t3", "A softmax model has 100 times the loss of a linear one, both at the rate that suits the linear one. What "
                 "follows?", "d",
        a="the rates were not the softmax's own",
        b="a cap on the answers must be ruled out first, and it is not",
        c="a rate is one difference; a search of rates and a look at the cap decide whether it is the only one",
    ),
)  # fmt: skip
