"""Exercises of lesson 17: preconditioned descent."""

import numpy as np

from ..exercise import BY_HAND, Exercise, Slip, choice


def covariance(rng, d):
    """A generic covariance (d, d)."""
    C = rng.standard_normal((d, d)) + 2 * np.eye(d)
    return C @ C.T / 3


def two_covariances(rng, s):
    """Sigma, n and W."""
    return covariance(rng, s["d"]), s["n"], covariance(rng, s["d"])


def best_preconditioner(Sigma, n, W):
    """(17.6)."""
    return np.linalg.inv((n + 1) / n * Sigma + np.trace(W @ Sigma) / n * np.linalg.inv(W))


def a_layer(rng, s):
    """P, Q (d, d), S, T, R (B, d, d), S symmetric."""
    B, n, d = s["B"], s["n"], s["d"]
    X = rng.standard_normal((B, n, d))
    P, Q = rng.standard_normal((2, d, d))
    T, R = rng.standard_normal((2, B, d, d))
    return P, Q, X.mT @ X / n, T, R


def layer(P, Q, S, T, R):
    """(17.8) to (17.11)."""
    U = S @ T.mT @ Q @ T
    return T + P @ T @ U, R + U.mT @ R


def _one_side(P, Q, S, T, R):
    U = S @ Q @ T
    return T + P @ T @ U, R + U.mT @ R


def _not_transposed(P, Q, S, T, R):
    U = S @ T.mT @ Q @ T
    return T + P @ T @ U, R + U @ R


def _without_P(P, Q, S, T, R):
    return layer(np.eye(len(P)), Q, S, T, R)


def _new_T(P, Q, S, T, R):
    T_out, _ = layer(P, Q, S, T, R)
    return T_out, R + (S @ T_out.mT @ Q @ T_out).mT @ R


def counts(rng, s):
    """n, d and tau."""
    return s["n"], s["d"], 0.3 + rng.random()


def multiple(n, d, tau):
    """The multiple of Sigma^-1 where labels have noise."""
    return n / (n + d + 1 + tau)


def for_J(rng, s):
    """dJ (B, d, d), Q (d, d), T (B, d, d)."""
    B, d = s["B"], s["d"]
    return rng.standard_normal((B, d, d)), rng.standard_normal((d, d)), rng.standard_normal((B, d, d))


def backward_J(dJ, Q, T):
    """(17.20), (17.21)."""
    return (T @ dJ @ T.mT).sum(axis=0), Q @ T @ dJ.mT + Q.T @ T @ dJ


EXERCISES = (
    Exercise(
        "17.1", "The best step along the covariate of variance 1, Sigma = diag(1, 3), n = 4, tasks N(0, I).", 4 / 9,
        slips=(
            Slip("that is the inverse variance, right for infinitely many examples", 1.0),
            Slip("the second term of (17.6), the trace over n, is missing", 0.8),
            Slip("in the first term the factor (n + 1)/n is missing", 0.5),
            Slip("that is the other covariate, of variance 3", 4 / 19),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "17.2", "Write best_preconditioner(Sigma, n, W): A* (d, d).", best_preconditioner, two_covariances, ("A",),
        (
            Slip("that is for tasks N(0, I): W is given", lambda Sigma, n, W: best_preconditioner(Sigma, n, np.eye(len(W)))),
            Slip("that is for infinitely many examples", lambda Sigma, n, W: np.linalg.inv(Sigma)),
            Slip("in the second term stands the inverse of W",
                 lambda Sigma, n, W: np.linalg.inv((n + 1) / n * Sigma + np.trace(W @ Sigma) / n * W)),
            Slip("the trace is of W Sigma, not of Sigma",
                 lambda Sigma, n, W: np.linalg.inv((n + 1) / n * Sigma + np.trace(Sigma) / n * np.linalg.inv(W))),
            Slip("an example meets itself n times in n² pairs: (n + 1)/n in the first term",
                 lambda Sigma, n, W: np.linalg.inv(Sigma + np.trace(W @ Sigma) / n * np.linalg.inv(W))),
        ),
    ),
    Exercise(
        "17.3", "Repair layer(P, Q, S, T, R) -> T', R' (B, d, d).", layer, a_layer, ("T", "R"),
        (
            Slip("J has T on both sides: the examples that are read have become T x as well", _one_side),
            Slip("in R' stands the transpose of U", _not_transposed),
            Slip("P is missing in T'", _without_P),
            Slip("labels move by the scores before the layer: T, not T'", _new_T),
        ),
    ),
    Exercise(
        "17.4", "Write multiple(n, d, tau): a in A* = a Sigma^-1 where labels have noise of variance tau.", multiple, counts,
        ("a",),
        (
            Slip("that is without noise", lambda n, d, tau: multiple(n, d, 0.0)),
            Slip("noise makes the step shorter", lambda n, d, tau: multiple(n, d, -tau)),
            Slip("the mean of n noises has variance tau/n, and K's other terms are over n too",
                 lambda n, d, tau: multiple(n, d, n * tau)),
            Slip("the noise enters once, not once for each covariate", lambda n, d, tau: multiple(n, d, d * tau)),
        ),
    ),
    Exercise(
        "17.5", "Write backward_J(dJ, Q, T) -> dQ (d, d), dT (B, d, d) for J = T^T Q T.", backward_J, for_J, ("dQ", "dT"),
        (
            Slip("T is used twice: one of its two terms is missing", lambda dJ, Q, T: (backward_J(dJ, Q, T)[0], Q @ T @ dJ.mT)),
            Slip("twice the same term: that is right for a symmetric Q only",
                 lambda dJ, Q, T: (backward_J(dJ, Q, T)[0], 2 * Q @ T @ dJ.mT)),
            Slip("the transposes of dJ have changed places",
                 lambda dJ, Q, T: (backward_J(dJ, Q, T)[0], Q @ T @ dJ + Q.T @ T @ dJ.mT)),
            Slip("dQ is transposed", lambda dJ, Q, T: (backward_J(dJ, Q, T)[0].T, backward_J(dJ, Q, T)[1])),
            Slip("dQ is a sum over the prompts, not a mean",
                 lambda dJ, Q, T: (backward_J(dJ, Q, T)[0] / len(T), backward_J(dJ, Q, T)[1])),
        ),
    ),
    Exercise(
        "17.6", "Two steps of plain descent over two of Sigma^-1-descent, Sigma = diag(1, 1/16), n = 20.", 11.2,
        slips=(
            Slip("the other way round: plain descent has the larger loss", 1 / 11.2),
            Slip("that is one layer; two were asked for", 3.87),
            Slip("both cannot be equal: is A the inverse of Sigma in one of them?", 1.0),
        ),
        tolerance=0.1,
    ),
    choice(
        "17.t1", "Which B_l does no prediction depend on?", "b",
        a="it moves covariates, and all later layers read them",
        c="each B_l but one is read by the layers behind it",
        d="lesson 02 found a dead block",
    ),
    choice(
        "17.t2", "With few examples and tasks N(0, I), how does A* differ from the inverse covariance?", "c",
        a="only for infinitely many examples",
        b="the second term of (17.6) stands under the inverse",
        d="look at the moving picture: longer steps along smaller eigenvalues",
    ),
    choice(
        "17.t3", "Covariates and tasks are rotated together: the least loss of a stack?", "c",
        a="the labels are the same numbers as before, for every prompt",
        b="a rotation keeps lengths and angles: which number of a prompt would change?",
        d="a rotated stack does to rotated prompts what the stack did to the others",
    ),
)  # fmt: skip
