"""Exercises of lesson 10: directional smoothness."""

import numpy as np

from ...measures.landscape import directional_smoothness, preconditioned_sharpness
from ...models import transformer
from ...prompts import RegressionTask
from ..exercise import BY_DIFFERENCES, BY_HAND, Exercise, Slip, choice


def definite_and_vectors(rng, s):
    """H (p, p) positive definite, g and u (p,)."""
    p = s["d"] + 2
    A = rng.standard_normal((p, p))
    return A @ A.T + 0.1 * np.eye(p), *rng.standard_normal((2, p))


def meets(H, g, u):
    """(10.1) and (10.3)."""
    u = u / np.sqrt(u @ u)
    kappa, slope = u @ H @ u, g @ u
    return kappa, slope / np.sqrt(g @ g), slope**2 / (2 * kappa)


def _meets_with(H, g, u, kappa=1.0, cosine=1.0, decrease=1.0):
    """The right answer, each part times a factor."""
    k, c, d = meets(H, g, u)
    return kappa * k, cosine * c, decrease * d


def two_points(rng, s):
    """Weights before and after a step, and prompts: Z (B, N, D), y (B,)."""
    before = transformer.init_params(rng, layers=2, d=s["d"], std=0.3)
    step = 0.2 * rng.standard_normal(before.shape)
    return before, before + step, *RegressionTask(n=s["n"], d=s["d"]).sample(s["B"], rng)


def kappa_of_step(before, after, Z, y):
    """(10.1) for the step, at the point before it."""
    return directional_smoothness(before, after - before, Z, y)


def _length(before, after):
    return np.sqrt(((after - before) ** 2).sum())


def definite_and_gradient(rng, s):
    """H (p, p) positive definite and g (p,)."""
    return definite_and_vectors(rng, s)[:2]


def most_decrease(H, g):
    """(10.5)"""
    return g @ np.linalg.solve(H, g) / 2


def hessian_and_squares(rng, s):
    """A symmetric H (p, p), v_hat (p,) positive, t updates."""
    H, v, _ = definite_and_vectors(rng, s)
    return H, v**2 + 0.01, s["n"]


def adam_sharpness(H, v_hat, t):
    """(10.6) with beta1 = 0.9 and eps = 1e-8."""
    return preconditioned_sharpness(H, v_hat, 0.9, t)


def _sharpness(H, P):
    root = 1 / np.sqrt(P)
    return np.linalg.eigvalsh(root[:, None] * H * root)[-1]


EXERCISES = (
    Exercise(
        "10.1", "The decrease that the direction (1, 0, 0, -1) of section 3 allows.", 192**2 / 1504,
        slips=(
            Slip("the factor 2 below is missing: half the slope squared over the curvature", 192**2 / 752),
            Slip("the entry between the two coordinates occurs twice in u^T H u", 192**2 / (2 * 528)),
            Slip("the entries off the diagonal are missing: u^T H u is not a sum over the diagonal alone", 192**2 / 608),
            Slip("that is the curvature, not the decrease", 376.0),
            Slip("that is what is added to the loss; a decrease is positive", -(192**2) / 1504),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "10.2", "Write meets(H, g, u) -> curvature, cosine, allowed decrease; H (p, p) positive definite, g and u (p,).", meets,
        definite_and_vectors, ("kappa", "cosine", "decrease"),
        (
            Slip("kappa: divide by u^T u; it belongs to the direction, not to its length",
                 lambda H, g, u: _meets_with(H, g, u, kappa=u @ u)),
            Slip("cosine: divide by the length of u as well", lambda H, g, u: _meets_with(H, g, u, cosine=np.sqrt(u @ u))),
            Slip("cosine: that is the slope; divide by the length of g",
                 lambda H, g, u: _meets_with(H, g, u, cosine=np.sqrt(g @ g))),
            Slip("decrease: the parabola at its lowest point is slope^2 / (2 kappa) below, not slope^2 / kappa",
                 lambda H, g, u: _meets_with(H, g, u, decrease=2.0)),
            Slip("decrease: the slope belongs to the unit vector", lambda H, g, u: _meets_with(H, g, u, decrease=u @ u)),
            Slip("decrease: that is the gradient's own, cos^2 is missing",
                 lambda H, g, u: _meets_with(H, g, u, decrease=1 / meets(H, g, u)[1] ** 2)),
        ),
    ),
    Exercise(
        "10.3", "Repair kappa_of_step(before, after, Z, y): the curvature that the step meets, at the point before it.",
        kappa_of_step, two_points, ("kappa",),
        (
            Slip("one mistake is left: H belongs to the point before the step",
                 lambda before, after, Z, y: directional_smoothness(after, after - before, Z, y)),
            Slip("one mistake is left: u^T u is the square of the length",
                 lambda before, after, Z, y: kappa_of_step(before, after, Z, y) * _length(before, after)),
            Slip("both mistakes are still there",
                 lambda before, after, Z, y: directional_smoothness(after, after - before, Z, y) * _length(before, after)),
            Slip("not divided by the squared length of the step",
                 lambda before, after, Z, y: kappa_of_step(before, after, Z, y) * _length(before, after) ** 2),
            Slip("that is the curvature in the middle of the step",
                 lambda before, after, Z, y: directional_smoothness((before + after) / 2, after - before, Z, y)),
        ),
        tolerance=BY_DIFFERENCES,
    ),
    Exercise(
        "10.4", "Write most_decrease(H, g): the most that any direction allows; H (p, p) positive definite, g (p,).",
        most_decrease,
        definite_and_gradient, ("decrease",),
        (
            Slip("the factor 1/2 is missing", lambda H, g: 2 * most_decrease(H, g)),
            Slip("the inverse is missing: that is the curvature along g, times its squared length", lambda H, g: g @ H @ g / 2),
            Slip("that is what the gradient's own direction allows; another one allows more",
                 lambda H, g: (g @ g) ** 2 / (2 * g @ H @ g)),
            Slip("that is a bound from the largest curvature alone, and too small",
                 lambda H, g: g @ g / (2 * np.linalg.eigvalsh(H)[-1])),
            Slip("that is a bound from the smallest curvature alone, and too large",
                 lambda H, g: g @ g / (2 * np.linalg.eigvalsh(H)[0])),
        ),
    ),
    Exercise(
        "10.5", "Write adam_sharpness(H, v_hat, t): the sharpness in Adam's coordinates, beta1 = 0.9, eps = 1e-8.",
        adam_sharpness,
        hessian_and_squares, ("sharpness",),
        (
            Slip("that is SGD's sharpness: Adam's coordinates are missing", lambda H, v_hat, t: np.linalg.eigvalsh(H)[-1]),
            Slip("the factor 1 - beta1^t is missing: m_hat carries it", lambda H, v_hat, t: _sharpness(H, np.sqrt(v_hat) + 1e-8)),
            Slip("Adam divides by the root of v_hat, not by v_hat",
                 lambda H, v_hat, t: _sharpness(H, (1 - 0.9**t) * (v_hat + 1e-8))),
            Slip("S stands with the power -1/2 on each side, not -1",
                 lambda H, v_hat, t: _sharpness(H, ((1 - 0.9**t) * (np.sqrt(v_hat) + 1e-8)) ** 2)),
            Slip("the power has the wrong sign: steep coordinates must be divided, not multiplied",
                 lambda H, v_hat, t: _sharpness(H, 1 / ((1 - 0.9**t) * (np.sqrt(v_hat) + 1e-8)))),
            Slip("S must divide, on both sides, and by its root: yours multiplies",
                 lambda H, v_hat, t: _sharpness(H, 1 / ((1 - 0.9**t) * (np.sqrt(v_hat) + 1e-8)) ** 2)),
            Slip("the smallest eigenvalue; eigvalsh sorts upwards",
                 lambda H, v_hat, t: -_sharpness(-H, (1 - 0.9**t) * (np.sqrt(v_hat) + 1e-8))),
        ),
    ),
    Exercise(
        "10.6", "The mean curvature of random directions at the initial weights, to 5 %.", 1.3,
        slips=(
            Slip("that is the mean over Q's coordinates alone; half of all coordinates belong to P", 2.6),
            Slip("that is the largest eigenvalue: a random direction hardly looks at it", 18.0),
            Slip("that is the sum over all coordinates: every c_i^2 is 1/p on average", 195.0),
            Slip("a factor 1/2 too much: (9.3) carries a factor 2", 0.65),
        ),
        tolerance=0.05,
    ),
    choice(
        "10.t1", "A hundredth of the curvature and a tenth of the cosine: how do the allowed decreases compare?", "c",
        a="the curvature alone would give that; the cosine enters, too",
        b="the cosine enters as a square",
        d="the cosine's square is a hundredth, and so is the curvature",
    ),
    choice(
        "10.t2", "Downhill with kappa < 0: what does the parabola say about the length?", "a",
        b="the direction leads downhill already; turning it round leads uphill",
        c="a step of length zero does not descend, and this one does",
        d="there is no best length to take twice",
    ),
    choice(
        "10.t3", "Little curvature along the steps of a new optimizer: what do you ask for first?", "b",
        a="it bounds the curvature of any direction, and says nothing about descent",
        c="kappa does not depend on the length of a step",
        d="more seeds make the same number more certain",
    ),
)  # fmt: skip
