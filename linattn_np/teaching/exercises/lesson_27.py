"""Exercises of lesson 27: saddle to saddle."""

import numpy as np

from ..exercise import Exercise, Slip, choice


def one_covariate(rng, s):
    """A variance and a number of examples."""
    return float(rng.uniform(0.3, 0.9)), s["n"]


def second_moment(lam, n):
    """E s^2 for one covariate of variance lam."""
    return lam**2 * (1 + 2 / n)


def spectrum(rng, s):
    """Eigenvalues (d,), not sorted, and a number of examples."""
    return rng.uniform(0.2, 1.5, s["d"]), s["n"]


def levels(lam, n):
    """The losses with 0, 1, .. d eigenvectors learned, the largest first. (d + 1,)"""
    lam = np.sort(lam)[::-1]
    total = lam.sum()
    return total - np.concatenate([[0.0], np.cumsum(lam / (1 + (1 + total / lam) / n))])


def _levels(order=-1, one=1.0, per=True):
    """Levels with a slip: the order of the eigenvalues, the 1 lost, or no division by n."""

    def wrong(lam, n):
        lam = np.sort(lam)[::order]
        total = lam.sum()
        more = (one + total / lam) / (n if per else 1)
        return total - np.concatenate([[0.0], np.cumsum(lam / (1 + more))])

    return wrong


def head(rng, s):
    """v, a (d,), b (d,) of one head and dM (d, d)."""
    return float(rng.standard_normal()), *rng.standard_normal((2, s["d"])), rng.standard_normal((s["d"], s["d"]))


def head_gradient(v, a, b, dM):
    """dv, da, db of one head, M = -v a b^T."""
    return -(a @ dM @ b), -v * dM @ b, -v * dM.T @ a


def waiting(rng, s):
    """An eigenvalue, the first size of a head, and a learning rate."""
    return float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.01, 0.1)), float(rng.uniform(0.05, 0.3))


def wait(lam, u, eta):
    """Steps until u' = 2 lam^2 u^2 is infinite."""
    return 1 / (2 * eta * lam**2 * u)


def conserved(layers, heads, d, full):
    """How many quadratic forms gradient flow keeps, for d > 1."""
    if full:
        return float(layers * heads * (heads + 1) // 2)
    m = (heads - 1) * d * d
    return float((layers - 1) * heads * (heads - 1) // 2 + m * (m + 1) // 2)


def models(rng, s):
    """Layers, heads, covariates, and whether the matrices are full."""
    return s["d"] - 1, s["H"] + 1, s["d"], s["H"] == 1


EXERCISES = (
    Exercise(
        "27.1", "Write second_moment(lam, n): E s^2 for d = 1, x ~ N(0, lam), w ~ N(0, 1).", second_moment, one_covariate,
        ("E s^2",),
        (
            Slip("the n examples are not all different pairs: x_i meets itself, and E x^4 = 3 lam^2", lambda lam, n: lam**2),
            Slip("of the three pairs in E x^4 one is already counted among the different examples",
                 lambda lam, n: lam**2 * (1 + 3 / n)),
            Slip("s is a mean: its square has n^2 pairs, n of them equal", lambda lam, n: lam**2 * 3),
            Slip("(27.5) has two terms with 1/n, and for d = 1 they are alike", lambda lam, n: lam**2 * (1 + 1 / n)),
        ),
    ),
    Exercise(
        "27.2", "Write levels(lam, n): the d + 1 losses (27.12), from nothing learned to all, for eigenvalues lam (d,) in any "
                "order.",
        levels, spectrum, ("levels",),
        (
            Slip("the largest eigenvalue is learned first: sort before you add up", _levels(order=1)),
            Slip("in (27.12) a 1 stands beside tr / lambda", _levels(one=0.0)),
            Slip("what keeps the layer from a perfect answer falls with n", _levels(per=False)),
            Slip("those are what each direction takes off the loss: add them up and take them from tr",
                 lambda lam, n: -np.diff(levels(lam, n), append=levels(lam, n)[-1])),
        ),
    ),
    Exercise(
        "27.3", "Repair head_gradient(v, a, b, dM): dv, da, db of one head with M = -v a b^T.", head_gradient, head,
        ("dv", "da", "db"),
        (
            Slip("da: a is a column on the left of b^T, so dM meets b on its right", lambda v, a, b, dM: (
                -(a @ dM @ b), -v * dM.T @ b, -v * dM.T @ a)),
            Slip("db: b^T stands on the right of a, so dM is met from the left", lambda v, a, b, dM: (
                -(a @ dM @ b), -v * dM @ b, -v * dM @ a)),
            Slip("dv: M has a minus, and dM is on the way to v too",
                 lambda v, a, b, dM: (a @ dM @ b, -v * dM @ b, -v * dM.T @ a)),
            Slip("da, db: v multiplies a b^T, so it multiplies both", lambda v, a, b, dM: (-(a @ dM @ b), -dM @ b, -dM.T @ a)),
        ),
    ),
    Exercise(
        "27.4", "Write wait(lam, u, eta): the steps until (27.15) is infinite, from a head of size u along an eigenvector.", wait,
        waiting, ("steps",),
        (
            Slip("u is squared in (27.15): its solution is no exponential",
                 lambda lam, u, eta: np.log(1 / u) / np.log(1 + 2 * eta * lam**2)),
            Slip("a step is eta long: the wait is a time over eta", lambda lam, u, eta: 1 / (2 * lam**2 * u)),
            Slip("the eigenvalue stands there squared", lambda lam, u, eta: 1 / (2 * eta * lam * u)),
            Slip("the square of the loss's quadratic brings a factor 2", lambda lam, u, eta: 1 / (eta * lam**2 * u)),
            Slip("the integral of 1/u^2 is 1/u", lambda lam, u, eta: 1 / (2 * eta * lam**2 * u**2)),
        ),
    ),
    Exercise(
        "27.5", "Write conserved(layers, heads, d, full): how many quadratic forms gradient flow keeps, d > 1, one layer or "
        "more.",
        conserved, models, ("count",),
        (
            Slip("full matrices: count the symmetric N, with their diagonal", lambda layers, heads, d, full: (
                float(layers * heads * (heads - 1) // 2) if full else conserved(layers, heads, d, full))),
            Slip("the paper's form: N 1 = 0 leaves fewer of them", lambda layers, heads, d, full: (
                conserved(layers, heads, d, True) if full else
                conserved(layers, heads, d, False) + (layers - 1) * heads)),
            Slip("the paper's form: in the last layer all differences of Q stand still, and so do their products",
                 lambda layers, heads, d, full: conserved(layers, heads, d,
                                                          full) if full else float(layers * heads * (heads - 1) // 2)),
            Slip("the differences that stand still are numbers; the forms are their products, squares included",
                 lambda layers, heads, d, full: conserved(layers, heads, d, full) if full else
                 float((layers - 1) * heads * (heads - 1) // 2 + (heads - 1) * d * d)),
        ),
    ),
    Exercise(
        "27.6", "At eta = 0.1, how many steps more do merged heads wait from first weights a tenth as large? To 3 %.", 62.3,
        slips=(
            Slip("is your rate still 0.2?", 31.7),
            Slip("a smaller rate makes the wait longer", 15.9),
            Slip("that is a factor e, and a tenth is a factor 10", 27.1),
            Slip("that is two decades: compare 0.001 with 0.0001", 124.7),
        ),
        tolerance=0.03,
    ),
    choice(
        "27.t1", "A loss has not moved in the fourth digit for 1000 steps, and its gradient is almost 0. What follows?", "c",
        a="the plateaus of section 6 look like that, and the loss falls on",
        b="a saddle has negative curvature or none: the rate is not what holds it",
        d="the moments are exact here, and the plateaus are there all the same",
    ),
    choice(
        "27.t2", "Why does a layer with separate keys and queries learn one eigenvector after the other?", "a",
        b="all directions pull from the first step on, and in proportion to their eigenvalue squared",
        c="with merged heads the same loss has no plateau: it is not the data alone",
        d="prompts were replaced by their moments, so nothing is drawn",
    ),
    choice(
        "27.t3", "One head in the paper's form, P = diag(P', 1), Q = diag(Q', 0): which quadratic forms does gradient flow keep?",
        "d",
        a="that is the form for full matrices: here P' is not all of P",
        b="a difference of heads needs two of them",
        c="the corner is not trained, so it has no gradient to balance",
    ),
)  # fmt: skip
