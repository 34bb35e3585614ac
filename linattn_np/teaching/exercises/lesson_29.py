"""Exercises of lesson 29: why Adam wins."""

import numpy as np

from ..exercise import Exercise, Slip, choice


def one_gradient(rng, s):
    """A gradient (p,) with dead entries, and the group of each entry."""
    g = rng.standard_normal(2 * s["n"]) * np.repeat([1.0, 30.0], s["n"])
    g[[1, s["n"] + 2, s["n"] + 4]] = 0
    return g, np.repeat([0, 1], s["n"])


def _first_step(live=True, mean=True, root=True, one=False):
    """The first step over lr, with a slip: dead entries counted, a sum, no root, or one group."""

    def step(g, groups):
        groups = np.zeros_like(groups) if one else groups
        out = np.zeros_like(g)
        for group in np.unique(groups):
            inside = groups == group
            squares = (g[inside] ** 2).sum()
            squares = squares / np.count_nonzero(g[inside] if live else inside) if mean else squares
            out[inside] = g[inside] / (np.sqrt(squares) if root else squares)
        return out

    return step


def first_step(g, groups):
    """The first step of (29.2) and (6.6) over -lr, eps = 0. (p,)"""
    return _first_step()(g, groups)


def a_scale(rng, s):
    """The size of a layer's covariates."""
    return (float(rng.uniform(0.2, 0.8)),)


def rate_for(c):
    """How many times as large SGD's rate must be for a layer whose covariates are c times as large."""
    return c**-4.0


def singular_values(rng, s):
    """Singular values of X_0, (n,)."""
    return (rng.uniform(0.02, 0.9, s["n"]),)


def _five(count=5, a=3.4445, b=-4.7750, c=2.0315, powers=(3, 5)):
    """Iterations of (29.4) on singular values, with a slip in their number, coefficients or powers."""

    def after(s):
        for _ in range(count):
            s = a * s + b * s ** powers[0] + c * s ** powers[1]
        return s

    return after


def after_five(s):
    """Singular values after the five iterations of (29.4)."""
    return _five()(s)


def turned(rng, s):
    """Params and a gradient (d,), a rotation (d, d), and a rate."""
    R = np.linalg.qr(rng.standard_normal((s["d"], s["d"])))[0]
    return *rng.standard_normal((2, s["d"])), R, 0.1 * s["n"]


def turned_step(x, g, R, lr):
    """Sign descent that sees w = R x."""
    return x - lr * R.T @ np.sign(R @ g)


def some_groups(rng, s):
    """Normal numbers (K,), the groups' mean gradients (K, d), and how many groups make a small batch."""
    return rng.standard_normal(s["n"]), rng.standard_normal((s["n"], s["d"])) + 2, s["d"] - 1


def noisy(xi, means, m):
    """The mean gradient with Gaussian noise of the covariance of a mean of m groups (29.12). (d,)"""
    g = means.mean(axis=0)
    return g + xi @ (means - g) / np.sqrt(m * (len(means) - 1))


def _noisy(many=True, centred=True, less=1, small=True):
    def wrong(xi, means, m):
        g = means.mean(axis=0)
        scale = (m if small else 1) * ((len(means) - less) if many else 1)
        return g + xi @ (means - g if centred else means) / np.sqrt(scale)

    return wrong


EXERCISES = (
    Exercise(
        "29.1", "Write first_step(g, groups): the first step over -lr by (29.2) and (6.6) with eps = 0, g (p,) a gradient with "
        "dead entries, groups (p,) integers.",
        first_step, one_gradient, ("step",),
        (
            Slip("an entry that is dead is no part of the mean", _first_step(live=False)),
            Slip("(29.2) has a mean over the group: a large group is no steeper than a small one", _first_step(mean=False)),
            Slip("Adam divides by a root", _first_step(root=False)),
            Slip("look at the groups: each has a number of its own", _first_step(one=True)),
            Slip("that is one number for each coordinate", lambda g, groups: np.sign(g)),
        ),
    ),
    Exercise(
        "29.2", "Write rate_for(c): by (29.10), how many times as large SGD's rate must be for a layer whose covariates are c "
        "times as large, so that its q moves as far.",
        rate_for, a_scale, ("factor",),
        (
            Slip("c stands in the scores twice, and in the way from q to Q' once more", lambda c: c**-2.0),
            Slip("a smaller c asks for a larger rate", lambda c: c**4.0),
            Slip("the score has two covariates in it, and the gradient the same two", lambda c: 1 / c),
            Slip("that is what is left for Adam", lambda c: c**2.0),
        ),
    ),
    Exercise(
        "29.3", "Write after_five(s): what five iterations of (29.4) make of singular values s of X_0.",
        after_five, singular_values, ("s",),
        (
            Slip("five iterations", _five(1)),
            Slip("A is X X^T: b multiplies a third power of s, and c a fifth",
                 _five(powers=(2, 4))),
            Slip("that is the orthogonal matrix itself: five iterations only come near it", np.ones_like),
            Slip("a is not 1: small values must grow", _five(a=1.0)),
        ),
    ),
    Exercise(
        "29.4", "Repair turned_step(x, g, R, lr): sign descent that sees w = R x. x, g (d,), R (d, d) orthogonal.",
        turned_step, turned, ("x",),
        (
            Slip("w = R x, so x = R^T w: how does g become the gradient by w?",
                 lambda x, g, R, lr: x - lr * R @ np.sign(R.T @ g)),
            Slip("the step is one of w: turn it back before you add it to x", lambda x, g, R, lr: x - lr * np.sign(R @ g)),
            Slip("the signs are those of the turned gradient", lambda x, g, R, lr: x - lr * np.sign(g)),
            Slip("downhill", lambda x, g, R, lr: x + lr * R.T @ np.sign(R @ g)),
        ),
    ),
    Exercise(
        "29.5", "Write noisy(xi, means, m): (29.12) with xi (K,) standard normal, means (K, p) the mean gradients of K groups, "
        "and the covariance of a mean of m groups.",
        noisy, some_groups, ("gradient",),
        (
            Slip("the mean of m groups has a covariance m times smaller than a group's", _noisy(small=False)),
            Slip("noise has mean 0 for any xi only if the groups' mean is taken off", _noisy(centred=False)),
            Slip("K terms add up: what is the variance of their sum?", _noisy(many=False)),
            Slip("a sample covariance is over one less than the number", _noisy(less=0)),
        ),
    ),
    choice(
        "29.6", "The letter of the place in ``places`` where one second moment for each layer ends far above Adam.", "d",
        a="a single seed is not enough here: take the median of all",
        b="the losses are high there for every method: look at their ratio",
        c="a wider model: what is its ratio beside those of the others?",
    ),
    choice(
        "29.t1", "A method for three layers has three second moments, of groups drawn at random. It ends where one second moment "
        "ends. What does this control say?", "d",
        a="the same number of groups, made of layers, does what Adam does",
        b="it was searched as finely as the others",
        c="one second moment for all is ahead of SGD where the rate falls",
    ),
    choice(
        "29.t2", "What do Adam's second moments do here that plain SGD lacks?", "b",
        a="turned inside the blocks Adam is as good",
        c="rates that make all blocks equally sharp did not bring SGD to Adam",
        d="with Gaussian noise of the same covariance the gap is as large",
    ),
    choice(
        "29.t3", "On the sphere one second moment for each layer is not enough, one for each block is. What follows?", "c",
        a="it holds in Setting 1, at eight seeds, as it was said",
        b="a block is more than a layer and much less than a coordinate",
        d="one place was found where it breaks, by looking; others may exist",
    ),
)  # fmt: skip
