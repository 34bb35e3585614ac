"""Exercises of lesson 31: length and noise."""

import numpy as np

from ..exercise import Exercise, Slip, choice


def two_lengths(rng, s):
    """A training length, a test length, d and a noise."""
    return s["n"], s["n"] + 6, s["d"], float(rng.uniform(0.4, 1.2))


def length_loss(n, m, d, sigma):
    """The loss on m examples of one layer whose gain is the best on n."""
    g = n / (n + d + 1 + sigma**2)
    return d * ((1 - g) ** 2 + g**2 * (d + 1 + sigma**2) / m)


def _length_loss(one=1, retuned=False, at=None, in_gain=True):
    """The same with a slip: d for d + 1, a gain for the tested length, the other length in the second term, a noiseless gain."""

    def wrong(n, m, d, sigma):
        g = (m if retuned else n) / ((m if retuned else n) + d + one + (sigma**2 if in_gain else 0))
        return d * ((1 - g) ** 2 + g**2 * (d + one + sigma**2) / (n if at == "n" else m))

    return wrong


def layers(rng, s):
    """Eigenvalues (d,), and a, b of three layers."""
    return rng.uniform(0.3, 1.6, s["d"]), rng.uniform(0.2, 0.6, 3), -rng.uniform(0.3, 0.8, 3)


def residual(lam, a, b):
    """What is left of each eigenvalue's part."""
    left = np.ones_like(lam)
    for a_l, b_l in zip(a, b, strict=True):
        left, lam = left * (1 + b_l * lam), lam * (1 + a_l * b_l * lam) ** 2
    return left


def _residual(move=lambda lam, a, b: lam * (1 + a * b * lam) ** 2, sign=1, first=False):
    """The same with a slip: how the spectrum moves, the sign of b, or moved before it is used."""

    def wrong(lam, a, b):
        left = np.ones_like(lam)
        for a_l, b_l in zip(a, b, strict=True):
            moved = move(lam, a_l, b_l)
            left, lam = left * (1 + sign * b_l * (moved if first else lam)), moved
        return left

    return wrong


def noisy_prompt(rng, s):
    """Covariates (n, d), labels (n,), a query (d,) and a noise."""
    return rng.standard_normal((s["n"], s["d"])), rng.standard_normal(s["n"]), rng.standard_normal(s["d"]), 0.6


def bayes_answer(X, y, x, sigma):
    """The posterior mean of the query's label."""
    return x @ np.linalg.solve(X.T @ X + sigma**2 * np.eye(X.shape[1]), X.T @ y)


def _bayes(penalty):
    """Ridge with another penalty, a function of sigma and n."""

    def wrong(X, y, x, sigma):
        return x @ np.linalg.solve(X.T @ X + penalty(sigma, len(X)) * np.eye(X.shape[1]), X.T @ y)

    return wrong


def few_and_many(rng, s):
    """A number of examples with d + 3 or n unknowns, and a noise: once more unknowns than examples, once fewer."""
    return (s["d"], s["d"] + 3, float(rng.uniform(0.4, 1.2))) if s["H"] == 2 else (s["n"], s["d"], float(rng.uniform(0.4, 1.2)))


def least_squares_loss(n, d, sigma):
    """The mean loss of minimum-norm least squares, |n - d| at least 2."""
    return d - n + sigma**2 * n / (d - n - 1) if n < d else sigma**2 * d / (n - d - 1)


def _least_squares(one=1, unseen=True, count=True, square=True):
    """The same with a slip: the 1 lost, unseen directions forgotten, as many terms as the other number, no square."""

    def wrong(n, d, sigma):
        s2 = sigma**2 if square else sigma
        if n < d:
            return (d - n if unseen else 0) + s2 * (n if count else d) / (d - n - one)
        return s2 * (d if count else n) / (n - d - one)

    return wrong


def two_layers(rng, s):
    """An eigenvalue, and a and b of two layers."""
    return float(rng.uniform(0.5, 1.5)), rng.uniform(0.2, 0.6, 2), -rng.uniform(0.3, 0.8, 2)


def slope(lam, a, b):
    """The derivatives of r(lam) by a (2,) and b (2,) of two layers."""
    t = 1 + a[0] * b[0] * lam
    moved = lam * t**2
    first, second, by_moved = 1 + b[0] * lam, 1 + b[1] * moved, (1 + b[0] * lam) * b[1]
    by_a = np.array([by_moved * 2 * lam**2 * t * b[0], 0.0])
    return by_a, np.array([second * lam + by_moved * 2 * lam**2 * t * a[0], first * moved])


def _slope(change):
    """The same with a slip: ``change`` (by_a, by_b, lam, a, b) -> what comes out."""

    def wrong(lam, a, b):
        by_a, by_b = slope(lam, a, b)
        return change(by_a.copy(), by_b.copy(), lam, a, b)

    return wrong


def _one_use(by_a, by_b, lam, a, b):
    by_b[0] = (1 + b[1] * lam * (1 + a[0] * b[0] * lam) ** 2) * lam
    return by_a, by_b


def _not_moved(by_a, by_b, lam, a, b):
    by_b[1] = (1 + b[0] * lam) * lam
    return by_a, by_b


EXERCISES = (
    Exercise(
        "31.1", "Write length_loss(n, m, d, sigma): the loss on m examples of one layer whose gain is the best on n, with label "
                "noise sigma.",
        length_loss, two_lengths, ("loss",),
        (
            Slip("an example meets itself: what does (31.3) have beside d?", _length_loss(one=0)),
            Slip("the layer is trained before the test: which length does its gain know?", _length_loss(retuned=True)),
            Slip("which length decides how much S scatters in the test?", _length_loss(at="n")),
            Slip("labels of training are noisy too: the gain knows it", _length_loss(in_gain=False)),
        ),
    ),
    Exercise(
        "31.2", "Write residual(lam, a, b): r at each eigenvalue lam (d,), for layers with numbers a, b.", residual, layers,
        ("r",),
        (
            Slip("the spectrum moves from layer to layer", _residual(lambda lam, a, b: lam)),
            Slip("covariates stand in S twice", _residual(lambda lam, a, b: lam * (1 + a * b * lam))),
            Slip("a layer reads the spectrum that it was handed, then moves it", _residual(first=True)),
            Slip("b is negative: the label slot holds minus the answer", _residual(sign=-1)),
        ),
    ),
    Exercise(
        "31.3", "Repair bayes_answer(X, y, x, sigma): the posterior mean of the query's label, w ~ N(0, I), noise N(0, sigma^2).",
        bayes_answer, noisy_prompt, ("answer",),
        (
            Slip("noise enters with its variance", _bayes(lambda sigma, n: sigma)),
            Slip("(31.9) is about S, a mean; X^T X is a sum", _bayes(lambda sigma, n: sigma**2 / n)),
            Slip("n belongs to S, not to the penalty of a sum", _bayes(lambda sigma, n: n * sigma**2)),
            Slip("without noise this would be right", _bayes(lambda sigma, n: 0.0)),
        ),
    ),
    Exercise(
        "31.4", "Write least_squares_loss(n, d, sigma): the mean loss of minimum-norm least squares for |n - d| > 1.",
        least_squares_loss, few_and_many, ("loss",),
        (
            Slip("the mean of 1/chi-square with k degrees of freedom is 1/(k - 2)", _least_squares(one=0)),
            Slip("with fewer examples than unknowns some directions are not seen at all",
                 lambda n, d, sigma: _least_squares(unseen=False)(n, d, sigma) if n < d else _least_squares(one=0)(n, d, sigma)),
            Slip("noise enters once for each direction that is seen: how many are they?", _least_squares(count=False)),
            Slip("a variance, not a standard deviation", _least_squares(square=False)),
        ),
    ),
    Exercise(
        "31.5", "Write slope(lam, a, b): the derivatives of r(lam) by a (2,) and by b (2,), two layers, by hand.", slope,
        two_layers, ("by_a", "by_b"),
        (
            Slip("b of the first layer is used twice: for the label, and to move the spectrum", _slope(_one_use)),
            Slip("the second layer reads a spectrum that has moved", _slope(_not_moved)),
            Slip("nothing reads the spectrum after the last layer", _slope(
                lambda by_a, by_b, lam, a, b: (by_a + by_a[::-1], by_b))),
            Slip("the square of 1 + a b lambda brings a factor 2", _slope(lambda by_a, by_b, lam, a, b: (by_a / 2, by_b))),
        ),
    ),
    Exercise(
        "31.6", "Which share of prompts of 7 examples (d = 5) has an eigenvalue of S above the window's end 3.1? To 0.01 or so.",
        0.164,
        slips=(
            Slip("that is the share inside", 0.836),
            Slip("are your prompts 5 examples long?", 0.300),
            Slip("are your prompts 10 examples long?", 0.0586),
            Slip("that counts eigenvalues: a prompt has five", 0.0329),
            Slip("S is a mean: divide by the number of examples", 1.0),
        ),
        tolerance=0.05,
    ),
    choice(
        "31.t1", "A model was trained on prompts of 20 examples. Which test should worry you more, 10 examples or 160?", "a",
        b="its spectrum lies closer to 1, deeper inside the window of training",
        c="the layer divides by n, and yet S of few examples scatters more",
        d="with 10 examples answers are not merely less sure: some are wrong by factors of thousands",
    ),
    choice(
        "31.t2", "Why does the mean error explode on short prompts?", "c",
        a="5 examples with the spectra of 20 are answered as well as 20",
        b="the median error says how much information is missing, and it stays small",
        d="the formula of one layer has no such thing, and it divides by n too",
    ),
    choice(
        "31.t3", "At n = d least squares on noisy labels has an infinite mean loss. What does a sample of 20,000 prompts show?",
        "d",
        a="a sample mean is always finite",
        b="no two samples agree, so there is nothing that it estimates",
        c="the median exists, and is largest there, but finite",
    ),
)  # fmt: skip
