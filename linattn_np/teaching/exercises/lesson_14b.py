"""Exercises of lesson 14b: ReLU attention."""

import numpy as np

from ..exercise import Exercise, Slip, choice

HALF_WAY = 0.2453  # where the smallest loss of one layer is 1.3 times linear attention's, 1.5 for n = 20 and d = 5


def score_inputs(rng, s):
    """dout (B, N, D), A (B, N, N) and V (B, N, D)."""
    N, D = s["n"] + 1, s["d"] + 1
    dout, V = rng.standard_normal((2, s["B"], N, D))
    return dout, rng.standard_normal((s["B"], N, N)), V


def score_gradient(dout, A, V):
    """(14b.6), (14b.11), (14b.12)"""
    return _scores(dout, A, V, A > 0)


def _scores(dout, A, V, step, mask=0.0):
    n = A.shape[-1] - 1
    return dout @ V.mT / n * np.append(np.ones(n), mask) * step


def scores_and_strength(rng, s):
    """A (B, N, N) and alpha in (0, 1)."""
    N = s["n"] + 1
    return rng.standard_normal((s["B"], N, N)), 0.2 + 0.6 * rng.random()


def weights_of_two_heads(A, alpha):
    """W of (14b.18) with the mask."""
    return _masked(np.maximum(A, 0) - alpha * np.maximum(-A, 0))


def _masked(W):
    W = W.copy()
    W[..., -1] = 0.0
    return W


def slope_and_sizes(rng, s):
    """alpha in (0, 1), n and d."""
    return 0.1 + 0.8 * rng.random(), s["n"], s["d"]


def smallest_loss(alpha, n, d):
    """The smallest loss over eta of one layer that weighs with max(a, alpha a)."""
    return _smallest(alpha, n, d)


def _smallest(alpha, n, d, even=0.0, same=2.0, others=1.0):
    p, q = (1 + alpha) / 2, (1 - alpha) / 2
    K = (p * p + q * q) * (d + same) / n + (p * p + even * q * q) * (1 - others / n)
    return d * (1 - p * p / K)


EXERCISES = (
    Exercise(
        "14b.1", "dq of section 3 with the covariates 1 and -2, one head.", 384,
        slips=(
            Slip("that is section 3 itself: another example is read now", 3072),
            Slip("both examples are read there; a score of -2 is set to 0", 4480),
            Slip("the prediction is minus the slot: the error is -8 - 16", -128),
            Slip("that is dA of the example that is read, of one of the factors of (14b.6) only", 192),
        ),
    ),
    Exercise(
        "14b.2", "Write score_gradient(dout, A, V): (B, N, D), (B, N, N), (B, N, D) -> dA (B, N, N).", score_gradient,
        score_inputs,
        ("dA",),
        (
            Slip("the step is missing: a negative score moves nothing", lambda dout, A, V: _scores(dout, A, V, 1.0)),
            Slip("the step is that of A; yours is that of dE", lambda dout, A, V: _scores(dout, A, V, dout @ V.mT > 0)),
            Slip("the mask is missing: nobody reads the query", lambda dout, A, V: _scores(dout, A, V, A > 0, mask=1.0)),
            Slip("that is the row of the reader read as a column: which index of dW is the reader's?",
                 lambda dout, A, V: _scores(V, A, dout, A > 0)),
            Slip("the step is 1 or 0, not the weight itself", lambda dout, A, V: _scores(dout, A, V, np.maximum(A, 0))),
        ),
    ),
    Exercise(
        "14b.3", "Repair weights_of_two_heads(A, alpha): scores (B, N, N) of the first head -> W (B, N, N) of both.",
        weights_of_two_heads, scores_and_strength, ("W",),
        (
            Slip("a head with -Q has the scores -A, before its ReLU", lambda A, alpha: _masked((1 - alpha) * np.maximum(A, 0))),
            Slip("the second head counts with a minus sign: its P is -alpha P",
                 lambda A, alpha: _masked(np.maximum(A, 0) + alpha * np.maximum(-A, 0))),
            Slip("alpha is the strength of the second head", lambda A, alpha: _masked(np.maximum(A, 0) - np.maximum(-A, 0))),
            Slip("the mask is missing", lambda A, alpha: np.maximum(A, 0) - alpha * np.maximum(-A, 0)),
            Slip("the first head has the strength 1", lambda A, alpha: _masked(alpha * np.maximum(A, 0) - np.maximum(-A, 0))),
        ),
    ),
    Exercise(
        "14b.4", "Write smallest_loss(alpha, n, d): the smallest loss over eta of one layer with weights max(a, alpha a).",
        smallest_loss, slope_and_sizes, ("loss",),
        (
            Slip("of two different examples the even parts are independent, of mean 0: only i = j has their square",
                 lambda alpha, n, d: _smallest(alpha, n, d, even=1.0)),
            Slip("the fourth moment of a Gaussian vector: (x.u)^2 |x|^2 has the mean d + 2",
                 lambda alpha, n, d: _smallest(alpha, n, d, same=0)),
            Slip("of the n^2 pairs n are of an example with itself", lambda alpha, n, d: _smallest(alpha, n, d, others=0)),
            Slip("that is linear attention's, (1.10): the even part is noise, and noise has a square", lambda alpha, n, d:
                 d * (d + 1) / (n + d + 1)),
            Slip("that is the share that is left; the loss of answering 0 is d", lambda alpha, n, d: _smallest(alpha, n, d) / d),
        ),
    ),
    Exercise(
        "14b.5", "The slope alpha at which the smallest loss of one layer is 1.3 times linear attention's, n = 20, d = 5, to 10 "
                 "%.", HALF_WAY,
        slips=(
            Slip("that is the ratio of the losses; the slope is asked for", 1.3),
            Slip("that is the ReLU: its smallest loss is near 2", 0.0),
            Slip("that is linear attention: its smallest loss is 1.15", 1.0),
        ),
        tolerance=0.1,
    ),
    choice(
        "14b.t1", "Why is ReLU attention's loss on mirrored prompts lower than on ordinary ones?", "b",
        a="they hold half as many different examples; linear attention gets worse on them",
        c="of an example and its mirror image one always has a negative score",
        d="as many are read as before: one of each pair",
    ),
    choice(
        "14b.t2", "The 1/n is dropped from all layers. For which attention is no new training needed?", "c",
        a="scores of n A do not make n times the weights of a softmax",
        b="one of the other two can absorb a factor in Q as well",
        d="one of the two cannot absorb a factor in Q",
    ),
    choice(
        "14b.t3", "What is dA of a negative score in ReLU attention?", "a",
        b="(14b.12) multiplies by a step",
        c="each score moves its own weight alone",
        d="the kink is at a score of exactly 0",
    ),
)  # fmt: skip
