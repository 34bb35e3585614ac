"""Exercises of lesson 01: one prompt by hand."""

import numpy as np

from ...layers import linear_attention as attention
from ..exercise import Exercise, Slip, choice


def covariates_and_tasks(rng, s):
    """X (B, N, d), the query's covariates last, and w (B, d)."""
    return rng.standard_normal((s["B"], s["n"] + 1, s["d"])), rng.standard_normal((s["B"], s["d"]))


def make_tokens(X, w):
    """The tokens (1.1)."""
    labels = np.einsum("bnd,bd->bn", X, w)
    labels[:, -1] = 0.0
    return np.concatenate([X, labels[..., None]], axis=-1)


def tokens_with(X, labels):
    """Tokens with other labels than they should have."""
    return np.concatenate([X, labels[..., None]], axis=-1)


def _leaked(X, w):
    return tokens_with(X, np.einsum("bnd,bd->bn", X, w))


def _one_task(X, w):
    labels = X @ w[0]
    labels[:, -1] = 0.0
    return tokens_with(X, labels)


def _labels_first(X, w):
    return np.roll(make_tokens(X, w), 1, axis=-1)


def _first_hidden(X, w):
    labels = np.einsum("bnd,bd->bn", X, w)
    labels[:, 0] = 0.0
    return tokens_with(X, labels)


def tokens_and_matrices(rng, s):
    """Z (B, N, D) and generic P, Q (D, D)."""
    D = s["d"] + 1
    P, Q = rng.standard_normal((2, D, D))
    return rng.standard_normal((s["B"], s["n"] + 1, D)), P, Q


def layer(Z, P, Q):
    """One layer with one head, (2.1) to (2.4)."""
    return attention.forward(Z, P[None], Q[None])[0]


def _attention(Z, P, Q, mask=None):
    M = attention.key_mask(Z.shape[1]) if mask is None else mask
    return (Z @ Q.T @ Z.mT * M) @ Z @ P.T / (Z.shape[1] - 1)


def _one_more_example(Z, P, Q):
    return Z + _attention(Z, P, Q) * (Z.shape[1] - 1) / Z.shape[1]


def _reader_masked(Z, P, Q):
    return Z + _attention(Z, P, Q, attention.key_mask(Z.shape[1])[:, None])


def prompts_and_step(rng, s):
    """Z (B, N, D), its query's label slot 0, a step length and a number of layers."""
    Z = make_tokens(*covariates_and_tasks(rng, s))
    return Z, 0.3, 3


def descend(Z, eta, layers):
    """Predictions (B,) of layers with P = diag(0, 1), Q = diag(-eta I, 0): (1.6), once a layer."""
    return _descend(Z, eta, layers, attention.key_mask(Z.shape[1]))


def _descend(Z, eta, layers, read, reader=1.0):
    X, label, n = Z[..., :-1], Z[..., -1], Z.shape[1] - 1
    for _ in range(layers):
        label = label - reader * eta / n * (X @ X.mT @ (read * label)[..., None])[..., 0]
    return -label[:, -1]


def _labels_frozen(Z, eta, layers):
    X, label, n = Z[..., :-1], Z[..., -1], Z.shape[1] - 1
    return layers * eta / n * (X @ X.mT @ label[..., None])[:, -1, 0]


def best_loss(n, d):
    """(1.10)"""
    return d * (d + 1) / (n + d + 1)


EXERCISES = (
    Exercise(
        "01.1",
        "Which eta makes one layer answer the prompt of section 3 exactly?",
        0.2,
        slips=(
            Slip("that is the mean of x^2; the step is its inverse", 5.0),
            Slip("the sum of x^2 is 10, and the layer divides it by n = 2", 0.1),
            Slip("eta = 1 is exact where the mean of x^2 is 1; here it is 5", 1.0),
            Slip("Q' is negative, eta = -Q' is not", -0.2),
        ),
    ),
    Exercise(
        "01.2",
        "Write make_tokens(X, w): covariates (B, N, d) and tasks (B, d) -> tokens Z (B, N, d+1).",
        make_tokens,
        covariates_and_tasks,
        ("Z",),
        (
            Slip("the query's own label stands in its slot: the answer has leaked into the prompt", _leaked),
            Slip("every prompt has a task vector of its own; this uses the first one for all", _one_task),
            Slip("the label is the last entry of a token, not the first", _labels_first),
            Slip("the token without a label is the last one, the query", _first_hidden),
        ),
    ),
    Exercise(
        "01.3",
        "Write layer(Z, P, Q): tokens (B, N, D) and matrices (D, D) -> the next tokens.",
        layer,
        tokens_and_matrices,
        ("Z'",),
        (
            Slip("1/n counts the examples: the query is no example", _one_more_example),
            Slip("the mask is missing: the query is never attended to", lambda Z, P, Q: Z + _attention(Z, P, Q, 1.0)),
            Slip("the mask stands on the wrong side: the query reads, it is not read", _reader_masked),
            Slip("the residual is missing: the layer adds to Z", lambda Z, P, Q: _attention(Z, P, Q)),
            Slip("P is not transposed: with tokens as rows the values are Z P^T", lambda Z, P, Q: Z + _attention(Z, P.T, Q)),
            Slip("Q is not transposed: with tokens as rows the scores are Z Q^T Z^T", lambda Z, P, Q: Z + _attention(Z, P, Q.T)),
            Slip("1/n is missing", lambda Z, P, Q: Z + (Z.shape[1] - 1) * _attention(Z, P, Q)),
            Slip(
                "neither P nor Q is transposed: that is the layer for tokens as columns",
                lambda Z, P, Q: Z + _attention(Z, P.T, Q.T),
            ),
        ),
    ),
    Exercise(
        "01.4",
        "Repair descend(Z, eta, layers), which is right for one layer and wrong for two.",
        descend,
        prompts_and_step,
        ("prediction",),
        (
            Slip(
                "from the second layer on the query reads its own prediction: which M is missing?",
                lambda Z, eta, layers: _descend(Z, eta, layers, 1.0),
            ),
            Slip("the labels of the examples must move too: they hold the residuals of the step before", _labels_frozen),
            Slip("the sign: the label slot holds minus the prediction", lambda Z, eta, layers: -descend(Z, eta, layers)),
            Slip("only one layer is applied", lambda Z, eta, layers: descend(Z, eta, 1)),
        ),
    ),
    Exercise(
        "01.5",
        "Write best_loss(n, d), the loss at the best eta.",
        best_loss,
        lambda rng, s: (s["n"], s["d"]),
        ("loss",),
        (
            Slip("that is the leading term for large n; keep the whole denominator", lambda n, d: d * (d + 1) / n),
            Slip("the trace of the identity is d: the loss adds up over the covariates", lambda n, d: (d + 1) / (n + d + 1)),
            Slip("that is the best eta, not the loss there", lambda n, d: n / (n + d + 1)),
            Slip("E[C^2] is (1 + (d+1)/n) I: the fourth moment of a Gaussian adds 1 to d", lambda n, d: d * d / (n + d)),
        ),
    ),
    Exercise(
        "01.6",
        "Measure the best eta for n = 5 and d = 5, to 5 %.",
        5 / 11,
        slips=(
            Slip("that is the best eta for n = 20: with fewer examples the mean of x x^T is further from I", 20 / 26),
            Slip("eta = 1 would be best with infinitely many examples", 1.0),
            Slip("too long: more than twice the best one raises the loss above d", 10 / 11),
        ),
        tolerance=0.05,
    ),
    choice(
        "01.t1",
        "A new task w: what changes inside the model?",
        "b",
        a="the weights P and Q are the same for every prompt",
        c="the mask depends on the number of tokens only",
        d="the predictions change, so something before them must",
    ),
    choice(
        "01.t2",
        "Why is the prediction minus the label slot?",
        "c",
        a="the loss is a square: it would not see a common sign, and the labels of the examples would",
        b="the minus in Q' makes the step a descent; the one in the readout is another",
        d="the two conventions differ by a transposition, not by a sign",
    ),
    choice(
        "01.t3",
        "Without the factor 1/n: how does the best eta change from n = 20 to n = 40, for d = 5?",
        "a",
        b="with 1/n it changes little; without, the sum it multiplies doubles",
        c="more examples make a longer sum, so the step must be shorter, not longer",
        d="1/n does not cancel: the sum over the examples grows with n",
    ),
)
