"""Exercises of lesson 11: generalized smoothness and clipping."""

import numpy as np

from ...measures.landscape import Objective
from ...measures.landscape import path_smoothness as path_smoothness_of
from ...measures.smoothness_fits import fit_log
from ...models import transformer
from ...optimizers import clip, global_norm
from ...prompts import RegressionTask
from ..exercise import BY_HAND, Exercise, Slip, choice


def gradient_and_constants(rng, s):
    """A gradient (L, d, d) and L0, L1 > 0."""
    return 2.0 * rng.standard_normal((2, s["d"], s["d"])), 1.5, 0.7


def safe_step(g, L0, L1):
    """The step of (11.7) with c = 1."""
    return -g / (L0 + L1 * global_norm(g))


def curvatures_and_norms(rng, s):
    """kappa (T,) with a few negative entries, norms (T,) positive."""
    norms = np.exp(rng.uniform(-3, 2, 20 * s["n"]))
    kappa = 2 * norms**0.6 * np.exp(0.3 * rng.standard_normal(len(norms)))
    kappa[rng.permutation(len(norms))[: s["n"]]] *= -0.05
    return kappa, norms


def slope_and_share(kappa, norms):
    """The slope of (11.9), and the share of the points that it leaves out."""
    fit = fit_log(kappa, norms)
    return fit.b, fit.negative_share


def _slope(x, y):
    return np.polyfit(x, y, 1)[0]


def _turned(kappa, norms):
    good = kappa > 0
    return _slope(np.log(kappa[good]), np.log(norms[good])), 1 - good.mean()


def _without_logs(kappa, norms):
    return _slope(norms[kappa > 0], kappa[kappa > 0]), np.mean(kappa <= 0)


def _floored(kappa, norms):
    return _slope(np.log(norms), np.log(np.maximum(kappa, 1e-12))), np.mean(kappa <= 0)


def weights_and_step(rng, s):
    """params, a step u like it, prompts Z (B, N, D) and y (B,), gammas."""
    params = transformer.init_params(rng, layers=2, d=s["d"], std=0.3)
    u = 0.4 * rng.standard_normal(params.shape)
    return params, u, *RegressionTask(n=s["n"], d=s["d"]).sample(s["B"], rng), [0.2, 0.5, 0.8]


def over_the_step(params, u, Z, y, gammas):
    """(11.11)"""
    return path_smoothness_of(params, u, Objective(Z, y), gammas)


def _changes(params, u, Z, y, gammas):
    """The size of the gradient's change for each gamma."""
    surface = Objective(Z, y)
    start = surface.grad(params)
    return np.array([global_norm(surface.grad(params + gamma * u) - start) for gamma in gammas])


EXERCISES = (
    Exercise(
        "11.1", "The loss after one step of (11.7) from t = 3, with c = 1, L0 = 16, L1 = 1.", (3 - 108 / 124) ** 4,
        slips=(
            Slip("that is the clipped step, which is not shortened by the sum but by the larger of the two", 16.0),
            Slip("that is the fixed rate 1/16: L1 is missing", (3 - 108 / 16) ** 4),
            Slip("the step goes against the gradient", (3 + 108 / 124) ** 4),
            Slip("that is t after the step, not the loss there", 3 - 108 / 124),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "11.2", "Write safe_step(g, L0, L1): what (11.7) with c = 1 adds to x.", safe_step, gradient_and_constants, ("step",),
        (
            Slip("that climbs: the step goes against the gradient", lambda g, L0, L1: -safe_step(g, L0, L1)),
            Slip("the norm is of all entries together; yours shortens each entry by its own size",
                 lambda g, L0, L1: -g / (L0 + L1 * np.abs(g))),
            Slip("the norm of each matrix by itself: (11.3) knows one gradient",
                 lambda g, L0, L1: -g / (L0 + L1 * np.sqrt((g * g).sum(axis=(-2, -1), keepdims=True)))),
            Slip("the norm of each row by itself: (11.3) knows one gradient",
                 lambda g, L0, L1: -g / (L0 + L1 * np.sqrt((g * g).sum(axis=-1, keepdims=True)))),
            Slip("the norm is squared: the root is missing", lambda g, L0, L1: -g / (L0 + L1 * (g * g).sum())),
            Slip("that is a fixed rate: L1 is missing", lambda g, L0, L1: -g / L0),
            Slip("that is clipping at L0 / L1, up to twice as long as (11.7) promises",
                 lambda g, L0, L1: -clip(g, L0 / L1) / L0),
        ),
    ),
    Exercise(
        "11.3", "Repair slope_and_share(kappa, norms): the slope of (11.9) and the share of points with kappa <= 0.",
        slope_and_share, curvatures_and_norms, ("slope", "share"),
        (
            Slip("share: it is counted after the points have gone", lambda kappa, norms: (slope_and_share(kappa, norms)[0], 0.0)),
            Slip("slope: a negative curvature is not a small positive one; (11.9) leaves it out",
                 lambda kappa, norms: (_slope(np.log(norms), np.log(np.abs(kappa))), np.mean(kappa <= 0))),
            Slip("slope: raised to a tiny positive number, the negative points pull the line down", _floored),
            Slip("slope: the axes have changed places", _turned),
            Slip("slope: the logarithms are missing; that is L1 of a line, not an exponent", _without_logs),
            Slip("share: that is the share of the points that stay",
                 lambda kappa, norms: (slope_and_share(kappa, norms)[0], np.mean(kappa > 0))),
        ),
    ),
    Exercise(
        "11.4", "Write over_the_step(params, u, Z, y, gammas): (11.11), the largest over the gammas.", over_the_step,
        weights_and_step, ("smoothness",),
        (
            Slip("gamma is missing below: the distance walked is gamma times the length of u",
                 lambda params, u, Z, y, gammas: _changes(params, u, Z, y, gammas).max() / global_norm(u)),
            Slip("the length of u is missing below",
                 lambda params, u, Z, y, gammas: (_changes(params, u, Z, y, gammas) / gammas).max()),
            Slip("that is the mean over the gammas, not the largest",
                 lambda params, u, Z, y, gammas: (_changes(params, u, Z, y, gammas) / gammas).mean() / global_norm(u)),
            Slip("that is the smallest over the gammas",
                 lambda params, u, Z, y, gammas: (_changes(params, u, Z, y, gammas) / gammas).min() / global_norm(u)),
            Slip("below stands the length of u, not its square",
                 lambda params, u, Z, y, gammas: over_the_step(params, u, Z, y, gammas) / global_norm(u)),
        ),
    ),
    Exercise(
        "11.5", "The c for which (11.7) promises the most.", np.log(2), tolerance=0.01,
        slips=(
            Slip("there the bracket is 3 - e; a shorter step promises more", 1.0),
            Slip("there the bracket is zero: nothing is promised", 1.2564),
            Slip("that is the bracket's largest value, not the c where it is reached", 2 * np.log(2) - 1),
            Slip("the derivative of e^c is e^c: set it equal to 2, not c", 2.0),
        ),
    ),
    Exercise(
        "11.6", "The slope of log curvature against log gradient for t^4, to 5 %.", 2 / 3,
        slips=(
            Slip("the axes have changed places: gradient against curvature", 1.5),
            Slip("that is the slope of an exponential, whose curvature equals its gradient", 1.0),
            Slip("that is the power of t in the curvature; the question is about the gradient as the variable", 2.0),
            Slip("that is curvature against loss: 2 of 4 powers of t", 0.5),
        ),
        tolerance=0.05,
    ),
    choice(
        "11.t1", "The same loss, a gradient ten times as long, (11.5) used to the full: curvature and step?", "b",
        a="that is a fixed rate; in (11.7) the norm of the gradient stands below the line as well",
        c="(11.5) is squared in the gradient, and the step tends to a length that is not 0",
        d="both contain the derivatives J, see (11.4)",
    ),
    choice(
        "11.t2", "What does a log-log plot show of the points with kappa < 0?", "c",
        a="log of a negative number is not a small number",
        b="that would be the plot of |kappa|",
        d="NumPy warns at most, and a plotting library drops what is not a number",
    ),
    choice(
        "11.t3", "What should be looked at before a strong correlation over a run is called a law?", "a",
        b="it scales the steps, and neither kappa nor the gradient at a point depends on it",
        c="the base of the logarithm changes neither slope nor correlation",
        d="one point says nothing about how two numbers go together",
    ),
)  # fmt: skip
