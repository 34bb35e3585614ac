"""What random numbers must pass: functions that give a p-value for each question, used by the tests and by the long run.

A block is (rows, lanes): each lane is a stream, down the rows. Statistics are built so that their law is known without SciPy.
"""

import math
from statistics import NormalDist

import numpy as np

BINS = 1000
EDGES = np.array([NormalDist().inv_cdf(i / BINS) for i in range(1, BINS)])
ORDERS = range(1, 9)
# n - j for each task with plain Gaussian covariates: n from 4 to 20 with d up to 5 in the lessons and papers, n = 60 with d = 20
FREEDOMS = (*range(1, 21), *range(41, 61))


def two_sided(z):
    """P(|N(0, 1)| >= |z|)."""
    return math.erfc(abs(z) / math.sqrt(2))


def of_normal(x):
    """The distribution function of N(0, 1)."""
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in np.ravel(x)])


def of_gamma(x, shape):
    """The distribution function of Gamma(shape): x^a e^-x sum_k x^k / Gamma(a + k + 1)."""
    x = np.ravel(x)
    total = term = np.exp(shape * np.log(np.maximum(x, 1e-300)) - x - math.lgamma(shape + 1))
    for k in range(1, 60 + int(4 * x.max())):
        term = term * x / (shape + k)
        total = total + term
    return np.minimum(total, 1.0)


def chi_square_p(statistic, freedom):
    """P(chi^2 >= statistic) for many degrees of freedom (Wilson and Hilferty 1931)."""
    spread = 2 / (9 * freedom)
    return 0.5 * math.erfc(((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(2 * spread))


def poisson_p(count, mean):
    """Twice the smaller tail of Poisson(mean) at ``count``."""
    terms = np.arange(0, int(mean + count + 20 * math.sqrt(mean + count) + 50))
    logs = terms * math.log(mean) - mean - np.array([math.lgamma(k + 1) for k in terms])
    law = np.exp(logs)
    return min(1.0, 2 * min(law[: count + 1].sum(), law[count:].sum()))


def kolmogorov_smirnov_p(u):
    """Whether u are uniform on (0, 1): P(D >= the largest distance of the two distribution functions)."""
    u, n = np.sort(u), len(u)
    steps = np.arange(n + 1) / n
    distance = max((steps[1:] - u).max(), (u - steps[:-1]).max())
    x = (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n)) * distance
    return 1.0 if x < 0.2 else min(1.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101)))


def anderson_darling_p(u):
    """The same question with weight on the tails; the law is Marsaglia and Marsaglia's (2004), good to 2e-6."""
    u, n = np.clip(np.sort(u), 1e-300, 1 - 1e-16), len(u)
    z = -n - ((2 * np.arange(n) + 1) / n * (np.log(u) + np.log1p(-u[::-1]))).sum()
    if z < 2:
        return 1.0  # nothing to see
    series = 1.0776 - (2.30695 - (0.43424 - (0.082433 - (0.008056 - 0.0003146 * z) * z) * z) * z) * z
    return -math.expm1(-math.exp(series)) if z < 12 else math.exp(-z)


def hermite_sums(x):
    """Sums of He_1(x) .. He_8(x): polynomials that N(0, 1) gives mean 0, variance k! and no correlation, so moments one by
    one.
    """
    before, now, sums = np.ones_like(x), x, []
    for k in ORDERS:
        sums.append(now.sum())
        before, now = now, x * now - k * before
    return np.array(sums)


class NormalQuestions:
    """Takes blocks of numbers that should be N(0, 1) and independent; :meth:`p_values` answers."""

    def __init__(self, lags=8):
        self.count, self.counts, self.sums = 0, np.zeros(BINS), np.zeros(len(ORDERS))
        self.beyond, self.lags = {4: 0, 5: 0}, lags
        self.serial, self.serial_squares, self.pairs = np.zeros(lags), np.zeros(lags), np.zeros(lags)
        self.before, self.between, self.between_pairs = None, 0.0, 0
        self.of_blocks = {}  # {question: p-values, one a block}, for what looks at a block's beginning

    def take(self, block):
        x = block.ravel()
        self.count += x.size
        self.counts += np.bincount(np.searchsorted(EDGES, x), minlength=BINS)
        self.sums += hermite_sums(x)
        for limit in self.beyond:
            self.beyond[limit] += int((np.abs(x) > limit).sum())
        squares = (block * block - 1) / math.sqrt(2)
        for lag in range(1, self.lags + 1):
            self.serial[lag - 1] += (block[lag:] * block[:-lag]).sum()
            self.serial_squares[lag - 1] += (squares[lag:] * squares[:-lag]).sum()
            self.pairs[lag - 1] += (len(block) - lag) * block.shape[1]
        if self.before is not None and self.before.shape == block.shape:
            self.between, self.between_pairs = self.between + (block * self.before).sum(), self.between_pairs + block.size
        self.before = block.copy()
        u, start = of_normal(block[:2000]), block[:2048]
        squares = squares[:2048]
        for name, p in (
            ("Kolmogorov-Smirnov", kolmogorov_smirnov_p(u)),
            ("Anderson-Darling", anderson_darling_p(u)),
            ("cross-lane correlation", cross_lane_p(start)),
            ("cross-lane, of squares", two_sided((squares[:, 1:] * squares[:, :-1]).sum() / math.sqrt(squares[:, 1:].size))),
        ):
            self.of_blocks.setdefault(name, []).append(p)

    def p_values(self):
        expected = self.count / BINS
        found = {"chi-square over 1000 bins": chi_square_p(((self.counts - expected) ** 2 / expected).sum(), BINS - 1)}
        for k, total in zip(ORDERS, self.sums, strict=True):
            found[f"moment {k}"] = two_sided(total / math.sqrt(math.factorial(k) * self.count))
        for limit, count in self.beyond.items():
            found[f"beyond {limit} sigma"] = poisson_p(count, self.count * two_sided(limit))
        for lag in range(self.lags):
            found[f"serial correlation, lag {lag + 1}"] = two_sided(self.serial[lag] / math.sqrt(self.pairs[lag]))
            found[f"of squares, lag {lag + 1}"] = two_sided(self.serial_squares[lag] / math.sqrt(self.pairs[lag]))
        if self.between_pairs:
            found["correlation with the block before"] = two_sided(self.between / math.sqrt(self.between_pairs))
        return found | {name: min(1.0, len(values) * min(values)) for name, values in self.of_blocks.items()}


def cross_lane_p(block):
    """All pairs of lanes, one moved against the other by up to half the rows: is any correlation too large? (Bonferroni)"""
    rows, lanes = block.shape
    spectrum, most, tried = np.fft.rfft(block, 2 * rows, axis=0), 0.0, 0
    lags = np.arange(-rows // 2, rows // 2)
    scale = 1 / np.sqrt(rows - np.abs(lags))
    for shift in range(1, lanes):
        sums = np.fft.irfft(spectrum[:, :-shift] * spectrum[:, shift:].conj(), axis=0)
        most = max(most, np.abs(sums[lags] * scale[:, None]).max())
        tried += sums.shape[1] * len(lags)
    return min(1.0, tried * two_sided(most))


def variance_p(draw, blocks):
    """The variance alone, from many blocks: sees a thousandth with 1e8 numbers."""
    total = count = 0
    for _ in range(blocks):
        x = draw().ravel()
        total, count = total + np.einsum("i,i", x, x), count + x.size  # one thread, unlike @
    return two_sided((total / count - 1) * math.sqrt(count / 2))
