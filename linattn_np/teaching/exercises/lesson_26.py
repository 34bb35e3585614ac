"""Exercises of lesson 26: the edge of stability."""

import numpy as np

from ..exercise import BY_HAND, Exercise, Slip, choice


def one_setting(rng, s):
    """A rate, the weight of the old buffer, and whether the buffer is a mean."""
    return 0.01 * s["n"], 1 / s["d"], s["H"] == 2


def edge_of(rate, beta, averaged):
    """(26.2), (26.6) and (26.7) in one."""
    return 2 * (1 + beta) / (rate * (1 - beta if averaged else 1))


def three_vectors(rng, s):
    """A gradient, the gradient of lambda (p,), and a unit vector."""
    g, grad_lambda, u = rng.standard_normal((3, s["n"]))
    return g, grad_lambda - 3 * g, u / np.sqrt(u @ u)


def _square(two=2.0, sign=-1.0, keep=False, root=False):
    def amplitude(g, grad_lambda, u):
        if not keep:
            g, grad_lambda = g - (g @ u) * u, grad_lambda - (grad_lambda @ u) * u
        b = grad_lambda @ grad_lambda
        return two * sign * (g @ grad_lambda) / (np.sqrt(b) if root else b)

    return amplitude


def amplitude_squared(g, grad_lambda, u):
    """(26.10) and (26.11)."""
    return _square()(g, grad_lambda, u)


def one_step(rng, s):
    """A curvature, a rate and beta1."""
    return float(s["n"]), 0.1 * s["d"], 1 / s["n"]


def adam_matrix(curvature, rate, beta1):
    """(26.4) with w = 1 - beta1."""
    pull = (1 - beta1) * curvature
    return np.array([[beta1, pull], [-rate * beta1, 1 - rate * pull]])


def gradients(rng, s):
    """A point, a unit direction, a step h, and a cubic loss's gradient at x - h u, x and x + h u."""
    p, h = s["d"], 0.1 * s["n"]
    below, middle, above = rng.standard_normal((3, p))
    return below, middle, above, h


def grad_of_lambda(below, middle, above, h):
    """(26.9)."""
    return (above - 2 * middle + below) / h**2


def valley(rng, s):
    """rho, the curvature at the minimum and a rate, such that descent settles on two points."""
    rate = 0.1 * s["n"]
    return 0.5 / rate, (2 + 1 / s["d"]) / rate, rate


def end_of(rho, target, rate):
    """s midway and the square of x where descent in the valley ends."""
    return 2 / rate, 2 * rho * (target - 2 / rate)


EXERCISES = (
    Exercise(
        "26.1", "The valley with rho = 1/4 and a minimum of curvature 5, descent with rate 1/2: the square of x at the end.", 0.5,
        slips=(
            Slip("the mean of the square of x, -x is x^2, and the force carries half of it: (26.11) has a factor 2", 0.25),
            Slip("which curvature does descent with this rate hold? Look at (26.2)", 1.5),
            Slip("that is x, not its square", 0.5**0.5),
            Slip("rho stands in a, the drift of s: it pulls s towards the minimum", 2.0),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "26.2", "Write edge_of(rate, beta, averaged): the edge of an optimizer whose buffer keeps beta, a sum or (averaged) a "
                "mean.",
        edge_of, one_setting, ("edge",),
        (
            Slip("with beta the buffer damps the jump from side to side: the edge is higher, not lower",
                 lambda rate, beta, averaged: 2 * (1 - beta) / rate),
            Slip("that is the edge without a buffer", lambda rate, beta, averaged: 2 / rate),
            Slip("a mean weighs the new gradient by 1 - beta: the edge of the sum is divided by it, not multiplied",
                 lambda rate, beta, averaged: edge_of(rate, beta, False) * (1 - beta if averaged else 1)),
            Slip("sum and mean have changed places", lambda rate, beta, averaged: edge_of(rate, beta, not averaged)),
            Slip("half of it: at 1 over the rate x is 0 after one step, not -x",
                 lambda rate, beta, averaged: edge_of(rate, beta, averaged) / 2),
        ),
    ),
    Exercise(
        "26.3", "Write amplitude_squared(g, grad_lambda, u): half the jump, squared, from a gradient, that of lambda, and the "
                "top vector, each (p,).",
        amplitude_squared, three_vectors, ("square",),
        (
            Slip("the parts along u are still in: the oscillation itself lives there", _square(keep=True)),
            Slip("the sign of a: descent goes against the gradient", _square(sign=1.0)),
            Slip("the factor 2 is missing: the force carries c^2 / 2", _square(two=1.0)),
            Slip("b is the square of a length", _square(root=True)),
        ),
    ),
    Exercise(
        "26.4", "Repair adam_matrix(curvature, rate, beta1): one step of Adam on (m, x), its preconditioner held fixed "
        "-> (2, 2).",
        adam_matrix, one_step, ("matrix",),
        (
            Slip("x takes its step with the new buffer, which holds the gradient at x already",
                 lambda curvature, rate, beta1: np.array([[beta1, (1 - beta1) * curvature], [-rate, 1.0]])),
            Slip("Adam's buffer is a mean: the new gradient comes in with weight 1 - beta1",
                 lambda curvature, rate, beta1: np.array([[beta1, curvature], [-rate * beta1, 1 - rate * curvature]])),
            Slip("the old buffer is kept with weight beta1, in both rows",
                 lambda curvature, rate, beta1: np.array([[1.0, (1 - beta1) * curvature],
                                                          [-rate, 1 - rate * (1 - beta1) * curvature]])),
            Slip("the matrix is transposed: m is the first of the two",
                 lambda curvature, rate, beta1: adam_matrix(curvature, rate, beta1).T),
        ),
    ),
    Exercise(
        "26.5", "Write grad_of_lambda(below, middle, above, h): from the gradients (p,) at x - h u, x and x + h u.",
        grad_of_lambda,
        gradients, ("grad_lambda",),
        (
            Slip("the middle one counts twice", lambda below, middle, above, h: (above - middle + below) / h**2),
            Slip("that is a first difference, which is H u", lambda below, middle, above, h: (above - below) / (2 * h)),
            Slip("a second difference is divided by h squared", lambda below, middle, above, h: (above - 2 * middle + below) / h),
            Slip("the sign of the second difference", lambda below, middle, above, h: -grad_of_lambda(below, middle, above, h)),
        ),
    ),
    Exercise(
        "26.6", "Write end_of(rho, target, rate): s midway and x squared where descent in the valley ends, with rate times "
                "target in (2, 2.5).",
        end_of, valley, ("s midway", "x squared"),
        (
            Slip("that is the minimum, which is too steep for this rate", lambda rho, target, rate: (target, 0.0)),
            Slip("s is right; the force on s is x^2 / 2, against rho times the distance from the minimum",
                 lambda rho, target, rate: (2 / rate, rho * (target - 2 / rate))),
            Slip("x squared, not x", lambda rho, target, rate: (2 / rate, np.sqrt(2 * rho * (target - 2 / rate)))),
            Slip("the edge is 2 over the rate", lambda rho, target, rate: (1 / rate, 2 * rho * (target - 1 / rate))),
        ),
        tolerance=1e-6,
    ),
    choice(
        "26.t1", "Along a run at the edge the largest curvature at the iterates is 1.3 times 2/eta. What does that say?", "b",
        a="midway between two iterates it is at 2/eta, and the run goes on",
        c="the Hessian is exact; what matters is where it is taken",
        d="2/eta holds for the valley that the iterates jump across, and they stand beside it",
    ),
    choice(
        "26.t2", "What keeps the curvature from rising further?", "c",
        a="the loss goes on falling there, and gradient flow would go on to sharpen",
        b="on the quadratic model of the loss nothing does: descent runs away",
        d="there is none in these runs, they use one fixed batch",
    ),
    choice(
        "26.t3", "Adam's beta1 is raised from 0.9 to 0.95, the rate stays. Its edge", "a",
        b="it is 38 over eta at 0.9; put 0.95 into (26.7)",
        c="(2 + 2 beta1) hardly changes, 1 - beta1 does",
        d="that would be so for the heavy ball's, a sum and not a mean",
    ),
)  # fmt: skip
