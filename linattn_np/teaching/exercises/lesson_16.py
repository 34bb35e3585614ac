"""Exercises of lesson 16: one step of descent in a layer."""

import numpy as np

from ..exercise import BY_HAND, Exercise, Slip, choice


def prompts_and_start(rng, s):
    """Prompts (B, n+1, d+1), a start w0 (d,) and a step."""
    Z = rng.standard_normal((s["B"], s["n"] + 1, s["d"] + 1))
    Z[:, -1, -1] = 0.0
    return Z, rng.standard_normal(s["d"]), 0.3 + rng.random()


def step_from(Z, w0, eta):
    """(16.2), then the answer to the query."""
    X, labels, query = Z[:, :-1, :-1], Z[:, :-1, -1], Z[:, -1, :-1]
    gradient = ((X @ w0 - labels)[..., None] * X).mean(axis=1)
    return ((w0 - eta * gradient) * query).sum(axis=1)


def _with_query(Z, w0, eta):
    X, labels, query = Z[:, :, :-1], Z[:, :, -1], Z[:, -1, :-1]
    gradient = ((X @ w0 - labels)[..., None] * X).mean(axis=1)
    return ((w0 - eta * gradient) * query).sum(axis=1)


def seen(rng, s):
    """dprediction (B,), p (D,), G (B, D, D) symmetric, x (B, d)."""
    D = s["d"] + 1
    E = rng.standard_normal((s["B"], s["n"], D))
    return rng.standard_normal(s["B"]), rng.standard_normal(D), E.mT @ E / s["n"], rng.standard_normal((s["B"], s["d"]))


def gradient_of_K(dprediction, p, G, x):
    """(16.9) to (16.11)."""
    da = -dprediction[:, None] * p
    du = (G @ da[..., None])[..., 0]
    return du.T @ x


def numbers(rng, s):
    """n, d, and s, k and tau above 0."""
    return s["n"], s["d"], 0.2 + rng.random(), 1.0 + rng.random(), 0.1 + rng.random()


def best_with_noise(n, d, s, k, tau):
    """(16.14) with label noise."""
    return n / (s * (n + d - 2 + k) + tau)


def eigenvalues(rng, s):
    """Eigenvalues (n,), two steps and a number of layers."""
    return rng.random(s["n"]), 0.5 + rng.random(), 0.2 + 0.3 * rng.random(), s["H"] + 2


def remaining(lam, eta, c, layers):
    """(16.17)."""
    r, m = np.ones_like(lam), np.ones_like(lam)
    for _ in range(layers):
        moved = lam * m**2
        r, m = r * (1 - eta * moved), m * (1 - c * moved)
    return r


def _variant(power, first=False):
    """Slips of (16.17): another power of m, or the covariates moved before the labels."""

    def wrong(lam, eta, c, layers):
        r, m = np.ones_like(lam), np.ones_like(lam)
        for _ in range(layers):
            moved = lam * m**power
            m_new = m * (1 - c * moved)
            r = r * (1 - eta * (lam * m_new**power if first else moved))
            m = m_new
        return r

    return wrong


EXERCISES = (
    Exercise(
        "16.1", "The answer of one step from w_0 = 0 with eta = 3, for the prompt of section 3.", 16.5,
        slips=(
            Slip("the gradient is a mean over the examples: the factor 1/n is missing", 33.0),
            Slip("the sign: the step goes against the gradient, and the gradient at w = 0 is minus the mean of y_i x_i", -16.5),
            Slip("that is the answer with eta = 4", 22.0),
            Slip("the query is no example: divide by n, not by n + 1", 11.0),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "16.2", "Write step_from(Z, w0, eta): the answer (B,) of one step of descent from w0 (d,).", step_from, prompts_and_start,
        ("answer",),
        (
            Slip("that starts at 0: the residual at w0 is missing", lambda Z, w0, eta: step_from(Z, 0 * w0, eta)),
            Slip("the change of w alone: w0 itself answers too",
                 lambda Z, w0, eta: step_from(Z, w0, eta) - (w0 * Z[:, -1, :-1]).sum(axis=1)),
            Slip("uphill: the sign of the step", lambda Z, w0, eta: step_from(Z, w0, -eta)),
            Slip("the gradient is a mean over the examples, not their sum",
                 lambda Z, w0, eta: step_from(Z, w0, eta * (Z.shape[1] - 1))),
            Slip("the query is among the examples: it must not be", _with_query),
        ),
    ),
    Exercise(
        "16.3", "Repair gradient_of_K: dprediction (B,), p (D,), G (B, D, D), x (B, d) -> dK (D, d).", gradient_of_K, seen,
        ("dK",),
        (
            Slip("the mean of G is taken first: each prompt has its own G",
                 lambda dprediction, p, G, x: (-dprediction[:, None] * p @ G.mean(axis=0)).T @ x),
            Slip("G is missing in (16.10)", lambda dprediction, p, G, x: (-dprediction[:, None] * p).T @ x),
            Slip("the sign: the prediction is minus the label's entry",
                 lambda dprediction, p, G, x: -gradient_of_K(dprediction, p, G, x)),
            Slip("a mean over the prompts in (16.11), where dprediction holds the 1/B already",
                 lambda dprediction, p, G, x: gradient_of_K(dprediction, p, G, x) / len(x)),
        ),
    ),
    Exercise(
        "16.4", "Write best_with_noise(n, d, s, k, tau): the best step where labels have noise of variance tau.", best_with_noise,
        numbers, ("eta",),
        (
            Slip("that is the step without noise", lambda n, d, s, k, tau: best_with_noise(n, d, s, k, 0.0)),
            Slip("the noise lengthens it: in which coefficient of (16.12) does it stand?",
                 lambda n, d, s, k, tau: best_with_noise(n, d, s, k, -tau)),
            Slip("each noise is met once, and 1/n² times n is 1/n: a factor n too much",
                 lambda n, d, s, k, tau: best_with_noise(n, d, s, k, n * tau)),
            Slip("the noise term carries the variance of both x_i and x: count the factors s",
                 lambda n, d, s, k, tau: best_with_noise(n, d, s, k, s * tau)),
            Slip("Gaussian covariates only: k is not always 3", lambda n, d, s, k, tau: best_with_noise(n, d, s, 3.0, tau)),
        ),
    ),
    Exercise(
        "16.5", "Write remaining(lam, eta, c, layers): what is left of the error in each eigenvalue.", remaining, eigenvalues,
        ("r",),
        (
            Slip("the next layer meets examples m x_i, twice: lam m², not lam m", _variant(1)),
            Slip("the covariates' change does not reach the labels: m is missing in the step",
                 lambda lam, eta, c, layers: (1 - eta * lam) ** layers),
            Slip("labels and covariates move at the same time: both from the m before the layer", _variant(2, first=True)),
            Slip("that is one layer too many", lambda lam, eta, c, layers: remaining(lam, eta, c, layers + 1)),
        ),
    ),
    Exercise(
        "16.6", "The loss after one use over that after ten, eta = 0.75 eta*, on the prompts of section 2.", 2.53,
        slips=(
            Slip("the other way round: ten uses leave less", 1 / 2.53),
            Slip("that is over no use at all, not over one", 4.81),
            Slip("one use is no gain over itself: did np.repeat make four layers?", 1.0),
        ),
        tolerance=0.1,
    ),
    choice(
        "16.t1", "Which part of P must be 1 for a layer to be a step of descent?", "b",
        a="the covariates stay as they are in plain descent: their block of P is 0",
        c="with P = 0 the layer adds nothing",
        d="that moves covariates, and no label",
    ),
    choice(
        "16.t2", "Why does training stay on the line Q = -eta I?", "c",
        a="the weights begin small and random, off the line",
        b="any optimizer that follows the mean gradient stays; look at the control with unequal deviations",
        d="all of its entries are free: the control with unequal deviations leaves the line",
    ),
    choice(
        "16.t3", "n grows from 10 to infinity at d = 10: what does the learned eta do?", "a",
        b="the more examples, the nearer S is to its mean, and the safer a long step",
        c="n stands in (16.14) twice",
        d="(16.14) has a limit: divide both parts by n",
    ),
)  # fmt: skip
