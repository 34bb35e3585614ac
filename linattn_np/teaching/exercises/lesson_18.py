"""Exercises of lesson 18: the diagonal layer, its gradient, its linear model, GD++ and two noises."""

import numpy as np

from ...experiments.papers.noise_adaptive.diagonal_layer import backward, forward, layer
from ..exercise import BY_HAND, Exercise, Slip, choice


def weights_and_tokens(rng, s):
    """weights (4,) and Z (B, n+1, d+1), the query's slot 0."""
    Z = rng.standard_normal((s["B"], s["n"] + 1, s["d"] + 1))
    Z[:, -1, -1] = 0
    return rng.standard_normal(4), Z


def diagonal_layer(weights, Z):
    """(18.2), (18.3) for all prompts."""
    return forward(weights, Z)[0]


def _layer(weights, Z, examples=slice(None, -1), scale=1.0, swap=False, fresh=False):
    """The layer with one thing changed."""
    X, y = Z[..., :-1], Z[..., -1:]
    E, e = X[:, examples], y[:, examples]
    sig, al, lam = E.mT @ E * scale, E.mT @ e * scale, (e * e).sum(axis=1, keepdims=True) * scale
    xx, xy, yx, yy = weights[[0, 2, 1, 3]] if swap else weights
    X_out = X + xx * X @ sig + xy * y * al.mT
    x_read, y_read = (X_out, y) if fresh else (X, y)
    y_out = y + yx * x_read @ al + yy * lam * y_read
    return np.concatenate([X_out, y_out], axis=-1)


def _query_still(weights, Z):
    out = diagonal_layer(weights, Z)
    out[:, -1] = Z[:, -1]
    return out


def tokens_and_gradient(rng, s):
    """weights (4,), Z and dout, both (B, n+1, d+1)."""
    weights, Z = weights_and_tokens(rng, s)
    return weights, Z, rng.standard_normal(Z.shape)


def weight_gradient(weights, Z, dout):
    """(18.9), from the sums alone: the library's backward is what the exercise forbids."""
    dT, G = _pieces(Z, dout)
    return _sums(dT * G)


def _sums(K):
    return np.array([K[:, :-1, :-1].sum(), K[:, :-1, -1].sum(), K[:, -1, :-1].sum(), K[:, -1, -1].sum()])


def _pieces(Z, dout):
    E = Z[:, :-1]
    return dout.mT @ Z, E.mT @ E


def state_and_weights(rng, s):
    """G (D, D) of one prompt and weights (4,)."""
    Z = rng.standard_normal((s["n"], s["d"] + 1))
    return Z.T @ Z, rng.standard_normal(4)


def linear_model(G, weights):
    """(18.12) after one layer: M, u, w, a."""
    W = np.empty_like(G)
    W[:-1, :-1], W[:-1, -1], W[-1, :-1], W[-1, -1] = weights
    T = np.eye(len(G)) + W * G
    return T[:-1, :-1], T[:-1, -1], -T[-1, :-1], T[-1, -1]


def _changed(G, weights, sign=1.0, skip=1.0, swap=False):
    M, u, w, a = linear_model(G, weights[[0, 2, 1, 3]] if swap else weights)
    return M - (1 - skip) * np.eye(len(M)), u, sign * w, a - (1 - skip)


def next_kappa(kappa):
    """The condition number after a layer of theorem 5.1."""
    return kappa * (4 / 9) / (1 - 1 / (3 * kappa)) ** 2


EXERCISES = (
    Exercise(
        "18.1", "n w_yy of (18.17) for the two noises 1 and 3.", -1 / 11,
        slips=(
            Slip("that is w_yx: the first layer's number", -11 / 20),
            Slip("the noises are standard deviations: their squares enter", -1 / 5),
            Slip("the 1 of 1 + s_1^2 + s_2^2 is missing: the labels of the query's task count too", -1 / 10),
            Slip("the sign: the second layer shrinks labels", 1 / 11),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "18.2", "Write diagonal_layer(weights, Z): (18.2) and (18.3) for weights (4,) and prompts Z (B, n+1, d+1) -> like Z.",
        diagonal_layer, weights_and_tokens, ("Z'",),
        (
            Slip("the query is in the sums: it is moved, and not read",
                 lambda weights, Z: _layer(weights, Z, examples=slice(None))),
            Slip("the query is not moved: every token gets the same T", _query_still),
            Slip("these are means over the examples; the weights belong to plain sums",
                 lambda weights, Z: _layer(weights, Z, scale=1 / (Z.shape[1] - 1))),
            Slip("w_xy and w_yx have changed places: the first letter says what is written",
                 lambda weights, Z: _layer(weights, Z, swap=True)),
            Slip("both lines read the tokens as they were: your labels read covariates that have moved",
                 lambda weights, Z: _layer(weights, Z, fresh=True)),
            Slip("the skip is missing", lambda weights, Z: diagonal_layer(weights, Z) - Z),
        ),
        forbids=(layer,),
    ),
    Exercise(
        "18.3", "Repair weight_gradient(weights, Z, dout): dweights (4,) for the gradient dout of the layer's output.",
        weight_gradient,
        tokens_and_gradient, ("dweights",),
        (
            Slip("what multiplies a weight in the forward pass is missing", lambda weights, Z, dout: _sums(_pieces(Z, dout)[0])),
            Slip("the outer product is transposed: rows are what is written",
                 lambda weights, Z, dout: _sums(_pieces(Z, dout)[0].mT * _pieces(Z, dout)[1])),
            Slip("G holds the examples only", lambda weights, Z, dout: _sums(_pieces(Z, dout)[0] * (Z.mT @ Z))),
            Slip("the query is moved too, so it has its part in dT",
                 lambda weights, Z, dout: _sums(dout[:, :-1].mT @ Z[:, :-1] * _pieces(Z, dout)[1])),
            Slip("it is the sum over the prompts", lambda weights, Z, dout: weight_gradient(weights, Z, dout) / len(Z)),
        ),
        forbids=(backward,),
    ),
    Exercise(
        "18.4", "Write linear_model(G, weights): M (d, d), u (d,), w (d,), a of one prompt after one layer, G (d+1, d+1).",
        linear_model,
        state_and_weights, ("M", "u", "w", "a"),
        (
            Slip("the sign of w: the last row of C holds -w", lambda G, weights: _changed(G, weights, sign=-1.0)),
            Slip("the skip is missing: C_1 = I + W o G", lambda G, weights: _changed(G, weights, skip=0.0)),
            Slip("u and w have each other's weight", lambda G, weights: _changed(G, weights, swap=True)),
        ),
    ),
    Exercise(
        "18.5", "Write next_kappa(kappa): the condition number of Sigma after one layer (18.16) with gamma = 1 / (3 lambda_max).",
        next_kappa, lambda rng, s: (1.0 + s["n"] * rng.random(),), ("kappa",),
        (
            Slip("the factor enters squared: both sides of Sigma are multiplied",
                 lambda kappa: kappa * (2 / 3) / (1 - 1 / (3 * kappa))),
            Slip("largest over smallest: yours is the inverse", lambda kappa: 1 / next_kappa(kappa)),
            Slip("the largest eigenvalue changes too", lambda kappa: kappa / (1 - 1 / (3 * kappa)) ** 2),
            Slip("gamma = 1 / lambda_max would send the largest eigenvalue to 0", lambda kappa: 0.0 * kappa),
        ),
    ),
    Exercise(
        "18.6", "The loss of four numbers over that of GD++, two layers, noise 1 or 3, to 12 %.", 0.68,
        slips=(
            Slip("that is GD++ over four numbers", 1 / 0.68),
            Slip("nearly equal: is it one layer, or one noise for all prompts?", 1.0),
            Slip("that is three layers", 0.47),
        ),
        tolerance=0.12,
    ),
    choice(
        "18.t1", "What is the implicit weight vector of a layer's output?", "a",
        b="M moves the covariates; the answer to the query is read from its label",
        c="the query's own label slot is 0 at the start: what it ends with is -w.x",
        d="P and Q are the same for every prompt; w is made from the prompt",
    ),
    choice(
        "18.t2", "Same covariates, same task, noisier labels, w_yy < 0 in layer 2: what happens to the answer?", "c",
        a="the layer's weights are the same; the prompt's own sum lambda multiplies them",
        b="lambda grows with the noise, and w_yy is negative",
        d="labels are multiplied by one number, so the direction of w stays",
    ),
    choice(
        "18.t3", "All prompts have noise 3. What do w_xy and w_yy gain over GD++?", "b",
        a="that is what they gain where the noise differs; with one noise there is nothing to follow",
        c="GD++ may keep its two numbers and set the others to 0: training does not lose by freedom",
        d="the depth is the same; it is the noise that no longer differs",
    ),
)  # fmt: skip
