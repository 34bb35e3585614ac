"""Exercises of lesson 02: the backward pass."""

import numpy as np

from ...layers import linear_attention as attention
from ...prompts import RegressionTask
from ..exercise import Exercise, Slip, choice, from_catalogue


def cotangent_and_layer(rng, s):
    """dout and Z (B, N, D), generic P and Q (D, D)."""
    D = s["d"] + 1
    dout, Z = rng.standard_normal((2, s["B"], s["n"] + 1, D))
    P, Q = rng.standard_normal((2, D, D))
    return dout, Z, P, Q


def backward(dout, Z, P, Q):
    """dZ (B, N, D), dP and dQ (D, D) of one layer with one head: (2.5) to (2.13)."""
    return _backward(attention, dout, Z, P, Q)


def _backward(module, dout, Z, P, Q):
    _, tape = module.forward(Z, P[None], Q[None])
    dZ, dP, dQ = module.backward(dout, tape)
    return dZ, dP[0], dQ[0]


def dP_and_dQ(dout, Z, P, Q):
    """(2.8) and (2.11)"""
    return backward(dout, Z, P, Q)[1:]


def dZ_alone(dout, Z, P, Q):
    """The sum of (2.7), (2.9), (2.12) and (2.13)."""
    return backward(dout, Z, P, Q)[0]


def block_and_prompts(rng, s):
    """Q' (d, d), Z (B, N, D), y (B,)."""
    return rng.standard_normal((s["d"], s["d"])), *RegressionTask(n=s["n"], d=s["d"]).sample(s["B"], rng)


def one_layer_dQ(Q, Z, y):
    """The gradient of a one-layer model's loss with respect to its block Q', in closed form."""
    error, read = _error_and_read(Q, Z, y)
    return -2 / len(y) * np.einsum("b,ba,bc->ac", error, read, Z[:, -1, :-1])


def _error_and_read(Q, Z, y):
    """prediction - y (B,) and the mean of y_j x_j over the examples (B, d)."""
    read = (Z[:, :-1, -1:] * Z[:, :-1, :-1]).mean(axis=1)
    return -np.einsum("ba,ac,bc->b", read, Q, Z[:, -1, :-1]) - y, read


def _plus_inside(Q, Z, y):
    error, read = _error_and_read(-Q, Z, y)
    return 2 / len(y) * np.einsum("b,ba,bc->ac", error, read, Z[:, -1, :-1])


def _without_labels(Q, Z, y):
    error, _ = _error_and_read(Q, Z, y)
    return -2 / len(y) * np.einsum("b,ba,bc->ac", error, Z[:, :-1, :-1].mean(axis=1), Z[:, -1, :-1])


EXERCISES = (
    Exercise(
        "02.1", "df/dq for the prompt of section 3, at q = -2.", -360.0,
        slips=(
            Slip("the loss is a square, and not halved: its derivative carries a factor 2", -180.0),
            Slip("the sign: the prediction falls as q grows", 360.0),
            Slip("1/n is missing in the derivative of the prediction", -720.0),
            Slip("that is the derivative at q = -1: the error changes with q", -160.0),
        ),
    ),
    Exercise(
        "02.2", "Write dP_and_dQ(dout, Z, P, Q): cotangent and tokens (B, N, D), matrices (D, D) -> dP, dQ (D, D).", dP_and_dQ,
        cotangent_and_layer, ("dP", "dQ"),
        from_catalogue(
            lambda module, dout, Z, P, Q: _backward(module, dout, Z, P, Q)[1:],
            "dP_transposed", "dQ_transposed", "dP_no_n", "dW_no_n", "dV_n_plus_1", "dW_n_plus_1", "dV_W_not_turned", "dW_V_dout",
            "dP_batch_mean", "dQ_batch_mean", "dQ_no_query", "score_leaks_to_query", "dP_dQ_swapped", "dP_label_row_skipped",
        ),
    ),
    Exercise(
        "02.3", "Write dZ_alone(dout, Z, P, Q): cotangent and tokens (B, N, D), matrices (D, D) -> dZ (B, N, D).", dZ_alone,
        cotangent_and_layer, ("dZ",),
        from_catalogue(
            lambda module, dout, Z, P, Q: _backward(module, dout, Z, P, Q)[0],
            "residual_dropped", "value_dropped", "score_reader_only", "score_read_only", "score_dropped", "score_doubled",
            "score_reader_twice", "score_negated", "residual_negated", "attention_dropped", "value_P_transposed",
            "reader_Q_transposed", "read_Q_not_turned", "read_dA_not_turned", "score_leaks_to_query",
        ),
    ),
    Exercise(
        "02.4", "Repair backward(dout, Z, P, Q) -> dZ, dP, dQ; one line is wrong.", backward, cotangent_and_layer,
        ("dZ", "dP", "dQ"),
        from_catalogue(_backward, "score_leaks_to_query", "dQ_no_query", "dW_n_plus_1", "read_dA_not_turned", "dQ_transposed"),
    ),
    Exercise(
        "02.5", "Write one_layer_dQ(Q, Z, y): the gradient by the block Q' (d, d) of one layer, without a backward pass.",
        one_layer_dQ, block_and_prompts, ("dQ'",),
        (
            Slip("transposed: the row counts the covariate of the example that is read", lambda Q, Z, y: one_layer_dQ(Q, Z, y).T),
            Slip("the sign: the prediction is minus the label slot", lambda Q, Z, y: -one_layer_dQ(Q, Z, y)),
            Slip("the square's factor 2 is lost", lambda Q, Z, y: one_layer_dQ(Q, Z, y) / 2),
            Slip("the mean over the batch is missing", lambda Q, Z, y: len(y) * one_layer_dQ(Q, Z, y)),
            Slip("1/n is missing: it is the mean over the examples", lambda Q, Z, y: (Z.shape[1] - 1) * one_layer_dQ(Q, Z, y)),
            Slip("the labels of the examples are missing: they are what is read", _without_labels),
            Slip("the prediction has a sign in the error too: it is minus what the query has read", _plus_inside),
        ),
    ),
    Exercise(
        "02.6", "The power of sigma with which the share of the reader's use grows, to 10 %.", 2.0,
        slips=(
            Slip("that is the power of the value's use", 1.0),
            Slip("the residual's share does not depend on sigma; the reader's does", 0.0),
            Slip("that is too steep: is a sigma so large in the fit that the layers are no longer close to the identity?", 3.0),
        ),
        tolerance=0.1,
    ),
    choice(
        "02.t1", "Which part of the gradient is zero for every batch?", "c",
        a="the first layer's P moves covariates that later scores read",
        b="Q of the last layer decides what the query reads last, its label included",
        d="the score path reaches every Q, and every P but one",
    ),
    choice(
        "02.t2", "Why are there four terms in dZ?", "a",
        b="the number of tokens has no part in it: each term is a sum over all tokens",
        c="P and Q are two matrices, and Q makes two terms",
        d="each term stands once, for one use, whatever the number of layers",
    ),
    choice(
        "02.t3", "Which row of dV is zero?", "d",
        a="W has no zero row: every token reads",
        b="the labels of all examples are read",
        c="the mask clears one column of W, and dV = W^T dZ' / n",
    ),
)  # fmt: skip
