"""Exercises of lesson 13: depth."""

import numpy as np

from ...kernels import linear
from ...layers import gram
from ...models import stack, transformer
from ...prompts import RegressionTask
from ..exercise import Exercise, Slip, choice


def depth_alone(rng, s):
    """L"""
    return (s["d"],)


def degree_full(L):
    """Along a line, full matrices."""
    return 2 * (3**L - 1)


def eigenvalues_and_numbers(rng, s):
    """c (m,) positive, p and eta (L,)."""
    return np.exp(0.3 * rng.standard_normal(s["n"])), 0.5 * rng.standard_normal(s["d"]), 0.5 + 0.3 * rng.standard_normal(s["d"])


def residual(c, p, eta):
    """(13.3)"""
    return _residual(c, p, eta)


def _residual(c, p, eta, rho_first=True, power=2, both=False):
    """rho_L; ``rho_first``: both lines use the old a; ``power`` of a in the score; ``both``: -> a instead."""
    a, rho = np.ones_like(c), np.ones_like(c)
    for p_l, eta_l in zip(p, eta, strict=True):
        moved = a * (1 - p_l * eta_l * c * a**power)
        rho = rho * (1 - eta_l * c * (a if rho_first else moved) ** power)
        a = moved
    return a if both else rho


def model_and_prompts(rng, s):
    """params (4, 1, 2, d, d), Z (B, N, D), y (B,)."""
    params = transformer.init_params(rng, layers=4, d=s["d"], std=0.3)
    return params, *RegressionTask(n=s["n"], d=s["d"]).sample(s["B"], rng)


def stack_gradient(params, Z, y):
    """The gradient of the loss (1.5), like params."""
    return _stack(params, Z, y)


def _stack(params, Z, y, hand_down=lambda dstate, before: before, order=reversed, tape_of=lambda l, L: l):
    """The walk down the stack; a slip changes what is handed down, the order, or whose tape is used."""
    d, state, tapes = params.shape[-1], gram.compress(Z), []
    for P, Q in transformer.to_full(params, d + 1).swapaxes(1, 2):
        state, tape = gram.forward(state, P, Q)
        tapes.append(tape)
    dstate = gram.readout_backward(2 * (gram.readout(state) - y) / len(y), state)
    grad, L = np.zeros_like(params), len(tapes)
    for l in order(range(L)):
        before, dP, dQ = gram.backward(dstate, tapes[tape_of(l, L)])
        grad[l, :, 0], grad[l, :, 1] = dP[:, :d, :d], dQ[:, :d, :d]
        dstate = hand_down(dstate, before)
    return grad


def blocks_and_moments(rng, s):
    """Q (L, d, d) generic, C (B, d, d) symmetric."""
    X = rng.standard_normal((s["B"], s["n"], s["d"]))
    return rng.standard_normal((4, s["d"], s["d"])), X.mT @ X / s["n"]


def dP_small(Q, C):
    """(13.8)"""
    return _dP(Q, C)


def _dP(Q, C, later=lambda Q, l: Q[l + 1 :].sum(axis=0), sides=lambda M: M + M.T, middle=lambda C, q: (C @ q @ C).mean(axis=0).T):
    return np.stack([2 * sides(later(Q, l)) @ middle(C, Q[l]) for l in range(len(Q))])


def sizes_and_momentum(rng, s):
    """L, n, d, mu"""
    return s["B"], s["n"], s["d"], 0.5 + 0.4 * rng.random()


def largest_rate(L, n, d, mu):
    """(13.9)"""
    return (1 + mu) / (2 * L - 1) * n / (n + d + 1)


EXERCISES = (
    Exercise(
        "13.1", "The loss of section 3 at t = -1.", 81.0,
        slips=(
            Slip("that is the error without its square", 9.0),
            Slip("that is the square of the prediction; the loss takes the answer off it", 64.0),
            Slip("at t = +1; the sign of q turns with t", 1.0),
            Slip("p q = -t^2 on both sides of 0, so a = 1 - 2 t^2 there as well", 3249.0),
        ),
    ),
    Exercise(
        "13.2", "Write degree_full(L): the degree of a prompt's squared error along a line, full P and Q.", degree_full,
        depth_alone,
        ("degree",),
        (
            Slip("that is the degree of the prediction; the error is squared", lambda L: 3**L - 1),
            Slip("that is the degree with the d x d blocks: with full matrices labels enter the scores, too",
                 lambda L: 2 * (3**L - 1 - L)),
            Slip("that is the degree in the prompt, which starts at 1; the weights start at 0", lambda L: 2 * 3**L),
            Slip("each layer multiplies the degree by 3, it does not add 3", lambda L: 2 * (3 * L - 1)),
            Slip("G has twice the degree of z: three factors z in a layer, not two", lambda L: 4 * (2**L - 1)),
        ),
    ),
    Exercise(
        "13.3", "Write residual(c, p, eta): eigenvalues (m,), numbers (L,) and (L,) -> rho_L (m,).", residual,
        eigenvalues_and_numbers,
        ("rho",),
        (
            Slip("both lines use the a that entered the layer, yours the new one for rho",
                 lambda c, p, eta: _residual(c, p, eta, rho_first=False)),
            Slip("that is a_L, the factor of the covariates", lambda c, p, eta: _residual(c, p, eta, both=True)),
            Slip("both tokens of a score carry a: it is squared", lambda c, p, eta: _residual(c, p, eta, power=1)),
            Slip("a stays at 1: that is plain gradient descent, without P", lambda c, p, eta: _residual(c, 0 * p, eta)),
            Slip("that is minus the slot, 1 - rho", lambda c, p, eta: 1 - residual(c, p, eta)),
            Slip("p and eta have changed places", lambda c, p, eta: _residual(c, eta, p)),
        ),
    ),
    Exercise(
        "13.4", "Repair stack_gradient(params, Z, y): the gradient of the loss, like params (L, 1, 2, d, d).", stack_gradient,
        model_and_prompts, ("dparams",), forbids=(transformer.LinearTransformer.loss_and_grad, stack.loss_and_grad_by,
                                                  linear.loss_and_grad), slips=(
            Slip("the query's gradient is handed down, that of the examples is not: dG",
                 lambda params, Z, y: _stack(params, Z, y, lambda dstate, before: dstate._replace(z=before.z))),
            Slip("now dG is handed down and dz is not",
                 lambda params, Z, y: _stack(params, Z, y, lambda dstate, before: dstate._replace(G=before.G))),
            Slip("nothing is handed down: every layer gets the gradient of the last state",
                 lambda params, Z, y: _stack(params, Z, y, lambda dstate, before: dstate)),
            Slip("the layers are walked from the first to the last", lambda params, Z, y: _stack(params, Z, y, order=iter)),
            Slip("layer l uses the tape of layer l + 1", lambda params, Z, y: _stack(params, Z, y,
                tape_of=lambda l, L: min(l + 1, L - 1))),
        ),
    ),
    Exercise(
        "13.5", "Write dP_small(Q, C): blocks (L, d, d) and matrices (B, d, d) -> dP (L, d, d) at small weights.", dP_small,
        blocks_and_moments, ("dP",),
        (
            Slip("the mean of C Q C, not the product of mean C, Q and mean C",
                 lambda Q, C: _dP(Q, C, middle=lambda C, q: (C.mean(axis=0) @ q @ C.mean(axis=0)).T)),
            Slip("both tokens of a score have moved: Q' and its transpose", lambda Q, C: _dP(Q, C, sides=lambda M: 2 * M)),
            Slip("the layer itself does not see what its own P moves: l' > l",
                 lambda Q, C: _dP(Q, C, later=lambda Q, l: Q[l:].sum(axis=0))),
            Slip("earlier layers are over: the sum runs over the later ones",
                 lambda Q, C: _dP(Q, C, later=lambda Q, l: Q[:l].sum(axis=0))),
            Slip("only the next layer is counted, all later ones read",
                 lambda Q, C: _dP(Q, C, later=lambda Q, l: Q[l + 1] if l + 1 < len(Q) else 0 * Q[l])),
            Slip("the factor C Q C stands transposed", lambda Q, C: _dP(Q, C, middle=lambda C, q: (C @ q @ C).mean(axis=0))),
        ),
    ),
    Exercise(
        "13.6", "Write largest_rate(L, n, d, mu): the largest rate that (7.4) allows SGD at the start.", largest_rate,
        sizes_and_momentum,
        ("rate",),
        (
            Slip("the layers' steps add up in the model and in the curvature: where is the depth?",
                 lambda L, n, d, mu: (2 * L - 1) * largest_rate(L, n, d, mu)),
            Slip("that is L models side by side; each pair of layers counts once more, since the later reads what the earlier "
                 "wrote",
                 lambda L, n, d, mu: (1 + mu) / L * n / (n + d + 1)),
            Slip("momentum lifts the limit from 2 to 2 (1 + mu)", lambda L, n, d, mu: largest_rate(L, n, d, 0.0)),
            Slip("the effective rate is 1 / (1 - mu) times the rate; the limit is another matter, (7.4)",
                 lambda L, n, d, mu: largest_rate(L, n, d, 0.0) / (1 - mu)),
            Slip("C is not I for finitely many examples: (9.3)", lambda L, n, d, mu: (1 + mu) / (2 * L - 1)),
            Slip("the entries off the diagonal belong to Adam's first step; SGD's has none",
                 lambda L, n, d, mu: (1 + mu) / (2 * L + d - 2) * n / (n + d + 1)),
        ),
    ),
    Exercise(
        "13.7", "The power of L - 1 with which the size of dP of the first layer grows, to 15 %.", 0.5,
        slips=(
            Slip("the terms are random and independent: their squares add up, not they themselves", 1.0),
            Slip("that is the power of sigma", 2.0),
            Slip("it grows: the sign", -0.5),
            Slip("that is how dQ behaves, which does not see the other layers to first order", 0.0),
        ),
        tolerance=0.15,
    ),
    choice(
        "13.t1", "Why does the curvature along equal steps of all Q' grow with depth, at the start?", "c",
        a="by (13.7) the gradient of each Q' is 2 I, whatever L is",
        b="a dead matrix adds nothing, at any depth",
        d="that is about large weights; the first steps are at small ones",
    ),
    choice(
        "13.t2", "Eight layers do worse at the rate that is best for two. What follows?", "b",
        a="two have had a search, eight have not",
        c="it has not had its rate",
        d="the batch was the same for both, and so was the rate; only one of them was chosen for two layers",
    ),
    choice(
        "13.t3", "A run of eight layers is not finite any more. What do you look at first?", "d",
        a="it helps if the weights ran away; do you know that they did?",
        b="clipping needs a finite gradient",
        c="it will meet other prompts, and you still do not know of what this one died",
    ),
)  # fmt: skip
