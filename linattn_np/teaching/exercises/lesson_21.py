"""Exercises of lesson 21: momentum between layers, and momentum within attention."""

import numpy as np

from ...experiments.papers.momentum import heavy_ball as library
from ...experiments.papers.momentum import reweighting
from ..exercise import BY_HAND, Exercise, Slip, choice

BEST = 0.6  # of the grid of exercise 21.6


def quadratics(rng, s):
    """C (B, d, d), b (B, d), eta, beta and a number of layers."""
    X, y = rng.standard_normal((s["B"], s["n"], s["d"])), rng.standard_normal((s["B"], s["n"]))
    C, b = X.mT @ X / s["n"], (X.mT @ y[..., None])[..., 0] / s["n"]
    return C, b, 0.37, 0.61, 5


def heavy_ball(C, b, eta, beta, layers):
    """(21.2) with one step and one momentum for all layers."""
    return _rolled(C, b, eta, beta, layers)


def _rolled(C, b, eta, beta, layers, ahead=0.0, keep=1.0, of_w=False, first=0):
    """The same with a slip: the gradient taken ahead, damped, momentum of w itself, or from the second layer on."""
    w = before = np.zeros_like(b)
    for l in range(layers):
        moved = w if of_w else w - before
        at = w + ahead * beta * moved
        g = b - (C @ at[..., None])[..., 0]
        w, before = w + keep * eta * g + (beta if l >= first else 0.0) * moved, w
    return w


def learning(rng, s):
    """The same with the gradient dw (B, d) of the last weights."""
    *parts, layers = quadratics(rng, s)
    return (*parts, layers, rng.standard_normal(parts[1].shape))


def two_gradients(C, b, eta, beta, layers, dw):
    """(21.3) to (21.5), added up over the layers."""
    return _swept(C, b, eta, beta, layers, dw)


def _swept(C, b, eta, beta, layers, dw, wait=-1.0, one=1.0, swap=False, at=0):
    """The same sweep with a slip in one of its terms."""
    _, tape = library.forward(C, b, np.full(layers, eta), np.full(layers, beta))
    deta = dbeta = 0.0
    later = np.zeros_like(dw)
    for l in reversed(range(layers)):
        deta += (dw * tape.g[max(l - at, 0)]).sum()
        dbeta += (dw * tape.moved[l]).sum()
        now = one * dw + beta * dw - eta * (C @ dw[..., None])[..., 0] + later
        later = wait * beta * dw
        dw = now
    return (dbeta, deta) if swap else (deta, dbeta)


def numbers(rng, s):
    """beta, gamma and T."""
    return float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.3, 1.2)), s["n"]


def weights(beta, gamma, T):
    """(21.11) as a matrix."""
    return _weights(beta, gamma, reweighting.causal(T))


def _weights(beta, gamma, distance, more=1, masked=True):
    """The same for distances, with a slip in the power or the mask."""
    a = gamma * (1 - beta ** (np.abs(distance) + more)) / (1 - beta)
    return np.where(distance >= 0, a, 0.0) if masked else a


def half_distance(beta):
    """The distance k at which a_k is half the far gain."""
    return np.log(0.5) / np.log(beta) - 1


EXERCISES = (
    Exercise(
        "21.1", "w_3 for C = 1, b = 2, eta = 1/4, beta = 1/2, from w_0 = 0.", 1.65625,
        slips=(
            Slip("that is plain descent: each layer also repeats a part of the last move", 1.15625),
            Slip("momentum repeats the last move w_l - w_{l-1}, not w_l", 1.90625),
            Slip("that is w_2: count the layers", 1.125),
            Slip("the gradient is taken where w_l is, not where momentum will carry it: that is Nesterov's method", 1.5078125),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "21.2", "Write heavy_ball(C, b, eta, beta, layers): C (B, d, d), b (B, d), three numbers -> w after the layers (B, d).",
        heavy_ball, quadratics, ("w",),
        (
            Slip("plain descent: the momentum does nothing", lambda C, b, eta, beta, layers: _rolled(C, b, eta, 0.0, layers)),
            Slip("momentum repeats the last move, not w itself", lambda *given: _rolled(*given, of_w=True)),
            Slip("the gradient is taken at w_l, before momentum moves it", lambda *given: _rolled(*given, ahead=1.0)),
            Slip("the gradient is not damped by 1 - beta: (21.2) adds all of it",
                 lambda C, b, eta, beta, layers: _rolled(C, b, eta, beta, layers, keep=1 - beta)),
            Slip("one layer too many", lambda C, b, eta, beta, layers: _rolled(C, b, eta, beta, layers + 1)),
        ),
        forbids=(library.forward,),
    ),
    Exercise(
        "21.3", "Repair two_gradients(C, b, eta, beta, layers, dw): the gradients of the one eta and the one beta, numbers.",
        two_gradients, learning, ("deta", "dbeta"),
        (
            Slip("w_l is used by two layers; what the second of them hands back is missing",
                 lambda *given: _swept(*given, wait=0.0)),
            Slip("in w_l - w_{l-1} the layer before enters with a minus", lambda *given: _swept(*given, wait=1.0)),
            Slip("w_{l+1} begins with w_l itself: the 1 of 1 + beta is missing", lambda *given: _swept(*given, one=0.0)),
            Slip("eta comes first, then beta", lambda *given: _swept(*given, swap=True)),
            Slip("the step of layer l meets its own gradient, not that of the layer before", lambda *given: _swept(*given, at=1)),
        ),
        forbids=(library.backward,),
    ),
    Exercise(
        "21.4", "Write weights(beta, gamma, T): the matrix W (T, T) of (21.11).", weights, numbers, ("W",),
        (
            Slip("a token reads itself at distance 0 with weight gamma: the power is one too small",
                 lambda beta, gamma, T: _weights(beta, gamma, reweighting.causal(T), more=0)),
            Slip("reader and token have changed places: row i is the reader", lambda beta, gamma, T: weights(beta, gamma, T).T),
            Slip("what comes after the reader is not read",
                 lambda beta, gamma, T: _weights(beta, gamma, reweighting.causal(T), masked=False)),
            Slip("that is the distance to the end of the text: the released parallel code, not (21.10)",
                 lambda beta, gamma, T: _weights(beta, gamma, reweighting.to_the_end(T))),
            Slip("that is what a token adds to m, which falls with the distance; s adds these up",
                 lambda beta, gamma, T: np.where(reweighting.causal(T) >= 0, gamma * beta ** np.abs(reweighting.causal(T)), 0.0)),
        ),
        forbids=(reweighting.forward,),
    ),
    Exercise(
        "21.5", "Write half_distance(beta): the distance k at which a_k is half of the far gain, not rounded.", half_distance,
        lambda rng, s: (float(rng.uniform(0.55, 0.95)),), ("k",),
        (
            Slip("that is k + 1: the weight at distance k has the power k + 1", lambda beta: np.log(0.5) / np.log(beta)),
            Slip("the quotient of the logarithms is upside down", lambda beta: np.log(beta) / np.log(0.5) - 1),
            Slip("the one is added on the wrong side", lambda beta: np.log(0.5) / np.log(beta) + 1),
        ),
    ),
    Exercise(
        "21.6", "The beta of the grid with the lowest loss at eta = 1 and 8 layers.", BEST,
        slips=(
            Slip("with so much momentum 8 layers are too few to stop swinging", 0.9),
            Slip("without momentum the small eigenvalues are left behind, and a step of 1 is too long for some prompts", 0.0),
            Slip("that is the best for 4 layers; more layers bear more momentum", 0.4),
            Slip("that is the best for 16 layers; count yours", 0.7),
        ),
        tolerance=0.1,
    ),
    choice(
        "21.t1", "Each token gets a momentum of its own, read off its own two last updates. What no longer holds?", "c",
        a="covariates stay as they are: P adds to the labels alone",
        b="a layer is still linear attention plus a difference of two activations",
        d="the adaptive momentum is at most 1 - delta in either case",
    ),
    choice(
        "21.t2", "At equal far gain, when does momentum within attention lower the loss?", "b",
        a="where the token wanted is among the newest its weight is the smallest of all",
        c="the denominator has no momentum, so it is not what is accelerated",
        d="the number of layers is the same: nothing converges faster here, tokens are weighted otherwise",
    ),
    choice(
        "21.t3", "beta = .1 and gamma = .6: what is done to tokens that are three or more places back?", "a",
        b="gamma alone is the weight at distance 0",
        c="that is the far gain of beta = .6, gamma = .6",
        d="1 - beta is in the denominator of the far gain",
    ),
)  # fmt: skip
