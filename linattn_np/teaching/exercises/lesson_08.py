"""Exercises of lesson 08: heavy-tailed gradient noise."""

import numpy as np

from ...measures import noise
from ..exercise import Exercise, Slip, choice

SKEWNESS = 26368 / 104**1.5  # of the gradient in section 3


def sample_and_k(rng, s):
    """x (draws,) with a long tail, and k."""
    return rng.random(8 * s["n"]) ** (-1 / 3), s["n"]


def hill(x, k):
    """(8.2)"""
    return noise.hill(x, k)


def _logs(x, k, threshold=0):
    """log x_(i) / x_(k+1) for i = 1..k; ``threshold`` -1 takes x_(k) for it."""
    x = np.sort(x)[::-1]
    return np.log(x[:k] / x[k + threshold])


def eigenvalues(rng, s):
    """lam (p,), positive and of different sizes."""
    return (np.exp(rng.standard_normal(s["n"])),)


def control_of(lam):
    """Standard deviation, skewness and excess kurtosis of the control's squared norm: (8.6) and the fourth cumulant."""
    return _control(lam, np.ones(3))


def _control(lam, factors, powers=(2, 3, 4)):
    second, third, fourth = (c * (lam**r).sum() for c, r in zip((2, 8, 48), powers, strict=True))
    return tuple(np.array([np.sqrt(second), third / second**1.5, fourth / second**2]) * factors)


def _equal(lam):
    p = len(lam)
    return np.sqrt(2 * p) * lam.mean(), np.sqrt(8 / p), 12 / p


def vectors(rng, s):
    """E (draws, p), entries of different size, mean and law."""
    return (rng.standard_normal((12 * s["n"], s["d"])) ** 3 * np.arange(1, s["d"] + 1) ** 2 + 4.0,)


def entry_kurtosis(E):
    """The median over the entries of each entry's excess kurtosis."""
    return np.median(_each(E))


def _each(E, spread=None):
    u = (E - E.mean(axis=0)) / (E.std(axis=0) if spread is None else spread)
    return (u**4).mean(axis=0) - 3


def alpha_of_gaussian(lam):
    """(8.9)"""
    return 1 / (0.5 + _gap(lam) / (2 * np.log(len(lam))))


def _gap(lam):
    return np.log(lam.mean()) - np.log(lam).mean()


def gradients_and_batch(rng, s):
    """G (prompts, p) and a batch size."""
    return rng.standard_normal((s["n"] * s["B"], s["d"] + 2)) + 1.0, s["B"]


def batch_norms(G, B):
    """(8.1) for each batch, the mean of all prompts as the reference."""
    return _norms(G.reshape(-1, B, G.shape[1]).mean(axis=1) - G.mean(axis=0))


def _norms(e):
    return np.sqrt((e * e).sum(axis=1))


EXERCISES = (
    Exercise(
        "08.1", "The batch size at which the gradient of section 3 has skewness 0.1.", (SKEWNESS / 0.1) ** 2,
        slips=(
            Slip("the skewness falls like the root of 1/B, the kurtosis like 1/B", SKEWNESS / 0.1),
            Slip("that is where the skewness is 1", SKEWNESS**2),
            Slip("that is where the excess kurtosis is 0.1", 16897.0),
            Slip("the third moment is divided by the standard deviation cubed, not by the variance", (26368 / 104 / 0.1) ** 2),
        ),
        tolerance=0.02,
    ),
    Exercise(
        "08.2", "Write hill(x, k): positive numbers (draws,) and k -> Hill's estimate.", hill, sample_and_k, ("Hill",),
        (
            Slip("the threshold is the value after the k largest, not the last of them", lambda x, k: 1 / _logs(x, k, -1).mean()),
            Slip("the mean of the logarithms estimates 1/a", lambda x, k: _logs(x, k).mean()),
            Slip("the mean of the k logarithms, not their sum", lambda x, k: 1 / _logs(x, k).sum()),
            Slip("natural logarithms", lambda x, k: np.log(10) / _logs(x, k).mean()),
            Slip("the largest k in any order: x must be sorted first", lambda x, k: 1 / np.log(x[:k] / x[k]).mean()),
            Slip("those are the smallest values: the tail is at the other end",
                 lambda x, k: 1 / np.log(np.sort(x)[:k] / np.sort(x)[k]).mean()),
            Slip("the mean of the logarithms, not the logarithm of the mean",
                 lambda x, k: 1 / np.log(np.exp(_logs(x, k)).mean())),
        ),
    ),
    Exercise(
        "08.3", "Write control_of(lam): eigenvalues (p,) -> standard deviation, skewness, excess kurtosis of the squared norm.",
        control_of, eigenvalues, ("standard deviation", "skewness", "excess kurtosis"),
        (
            Slip("the standard deviation is the root of the variance", lambda lam: (2 * (lam**2).sum(), *control_of(lam)[1:])),
            Slip("the variance of the square of a Gaussian is 2, not 1", lambda lam:
                 ((lam**2).sum() ** 0.5, 8 * (lam**3).sum() / (lam**2).sum() ** 1.5, 48 * (lam**4).sum() / (lam**2).sum() ** 2)),
            Slip("the excess kurtosis is the fourth cumulant itself over the variance squared; 3 has been taken off already",
                 lambda lam: (*control_of(lam)[:2], control_of(lam)[2] - 3)),
            Slip("that is right for equal eigenvalues only", _equal),
            Slip("the r-th cumulant of lam xi^2 carries lam to the power r", lambda lam: _control(lam, np.ones(3), (1, 1, 1))),
            Slip("kurtosis, not excess kurtosis: cumulants give the excess",
                 lambda lam: (*control_of(lam)[:2], control_of(lam)[2] + 3)),
        ),
    ),
    Exercise(
        "08.4", "Repair entry_kurtosis(E): vectors (draws, p) -> the median over the entries of their excess kurtosis.",
        entry_kurtosis, vectors, ("kurtosis",),
        (
            Slip("all entries are pooled: a mixture of sizes has a tail of its own", lambda E: noise.excess_kurtosis(E.ravel())),
            Slip("each entry has its own spread, not only its own mean", lambda E: np.median(_each(E, E.std()))),
            Slip("each entry is standardized, and then they are pooled: that is a mean over the entries",
                 lambda E: _each(E).mean()),
            Slip("the entries are the columns, the draws the rows", lambda E: np.median(_each(E.T))),
            Slip("a Gaussian must give 0: subtract 3", lambda E: np.median(_each(E)) + 3),
        ),
    ),
    Exercise(
        "08.5", "Write alpha_of_gaussian(lam): variances (p,) -> what the pooled estimator (8.8) gives with K = p.",
        alpha_of_gaussian,
        eigenvalues, ("alpha",),
        (
            Slip("(8.9) gives 1/alpha", lambda lam: 1 / alpha_of_gaussian(lam)),
            Slip("the logarithm of a size has half the logarithm of its square",
                 lambda lam: 1 / (0.5 + _gap(lam) / np.log(len(lam)))),
            Slip("the logarithm of the mean is the larger of the two: the sign is wrong",
                 lambda lam: 1 / (0.5 - _gap(lam) / (2 * np.log(len(lam))))),
            Slip("the mean of the logarithms is not subtracted: the size of all variances together must not matter",
                 lambda lam: 1 / (0.5 + np.log(lam.mean()) / (2 * np.log(len(lam))))),
            Slip("the logarithm of the mean is missing: the size of all variances together must not matter",
                 lambda lam: 1 / (0.5 - np.log(lam).mean() / (2 * np.log(len(lam))))),
            Slip("the half of a plain Gaussian is missing", lambda lam: 2 * np.log(len(lam)) / _gap(lam)),
            Slip("divide by log p", lambda lam: 1 / (0.5 + _gap(lam) / 2)),
            Slip("that is so for equal variances only", lambda lam: 2.0),
        ),
    ),
    Exercise(
        "08.6", "Write batch_norms(G, B): gradients of single prompts (prompts, p) and a batch size -> norms of the noise.",
        batch_norms,
        gradients_and_batch, ("norms",),
        (
            Slip("the reference is missing: that is the norm of the gradient",
                 lambda G, B: _norms(G.reshape(-1, B, G.shape[1]).mean(axis=1))),
            Slip("a batch is a mean, not a sum",
                 lambda G, B: _norms(G.reshape(-1, B, G.shape[1]).sum(axis=1) - G.mean(axis=0))),
            Slip("the norm is the root of the sum of squares", lambda G, B: batch_norms(G, B) ** 2),
            Slip("a batch is B prompts in a row; the axes of the reshape are the other way round",
                 lambda G, B: _norms(G.reshape(B, -1, G.shape[1]).mean(axis=0) - G.mean(axis=0))),
            Slip("the sum of squares, not their mean over the entries", lambda G, B: batch_norms(G, B) / np.sqrt(G.shape[1])),
        ),
    ),
    Exercise(
        "08.7", "The power of B with which the skewness of an entry falls, to 15 %.", -0.5,
        slips=(
            Slip("that is the power of the kurtosis", -1.0),
            Slip("it falls: the sign", 0.5),
            Slip("that is the power of the third moment of the mean, before it is divided by the cube of its spread", -2.0),
            Slip("the skewness of the control's norm does not fall; that of an entry does", 0.0),
        ),
        tolerance=0.15,
    ),
    choice(
        "08.t1", "A histogram of ||e|| is skewed to the right. What follows?", "d",
        a="the norm of a Gaussian vector is skewed as well, (8.6)",
        b="polynomials of Gaussians have every moment",
        c="the control is skewed at every batch size",
    ),
    choice(
        "08.t2", "A product of three independent Gaussians: the excess kurtosis of batches of 100?", "c",
        a="in a product the ratios m4/m2^2 multiply; they do not add",
        b="that would be the root of B: it is the skewness that falls so",
        d="in the limit; 100 is not the limit",
    ),
    choice(
        "08.t3", "Pooled alpha 1.3: which one explanation is enough?", "a",
        b="a large batch makes each entry more Gaussian, and leaves the variances unequal",
        c="nothing is trained here",
        d="the reference shifts all batches alike, by a tenth of a batch's noise",
    ),
)  # fmt: skip
