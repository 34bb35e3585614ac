"""In-context Markov text: each text has an alphabet's permutation of its own, which a reader can only learn from the text.

A text draws a permutation pi of the V symbols and a first symbol, uniformly. Then with probability ``SURE`` the next symbol is pi
of the current one, and else it is uniform over all V. Who knows pi cannot do better than the entropy of one step,

    floor = exp(-a log a - (V - 1) b log b),    b = (1 - SURE) / V,  a = SURE + b,

as a perplexity: the exponential of the mean cross-entropy. V is the perplexity of a reader who knows nothing.
"""

import numpy as np

from ...._types import Array

SYMBOLS, LENGTH, SURE = 16, 64, 0.8


def texts(rng: np.random.Generator, batch: int, symbols: int = SYMBOLS, length: int = LENGTH, sure: float = SURE) -> Array:
    """Random texts (batch, length) of symbols 0 .. V-1, each with a permutation of its own. Cost O(batch (length + V))."""
    permutations = rng.permuted(np.tile(np.arange(symbols), (batch, 1)), axis=1)  # (batch, V)
    found = rng.integers(symbols, size=(batch, length))  # a first symbol, and those that are uniform
    follows = rng.random((batch, length)) < sure
    rows = np.arange(batch)
    for t in range(1, length):
        found[:, t] = np.where(follows[:, t], permutations[rows, found[:, t - 1]], found[:, t])
    return found


def floor(symbols: int = SYMBOLS, sure: float = SURE) -> float:
    """The perplexity of a reader who knows the permutation: no reader can have less."""
    other = (1 - sure) / symbols
    likely = sure + other
    return float(np.exp(-likely * np.log(likely) - (symbols - 1) * other * np.log(other))) if other else 1.0


def counting_reader(symbols: Array, count: int = SYMBOLS, sure: float = SURE) -> float:
    """The perplexity, over the second half of texts (B, T), of a reader who keeps what followed each symbol and weighs it by
    Bayes' rule.

    It knows how texts are made, all but the permutation: after a symbol that b has followed c_b times it expects b with the share
    sure r^c_b / sum_b' r^c_b' + (1 - sure) / V, where r is the likelihood of one pair under the right symbol over that under a
    wrong one. That no two symbols have the same successor it does not use, so it is a little above the least that is possible.
    """
    B, T = symbols.shape
    rows, seen = np.arange(B), np.zeros((B, count, count))
    other = (1 - sure) / count
    losses = np.zeros((B, T - 1))
    for t in range(T - 1):
        now, following = symbols[:, t], symbols[:, t + 1]
        weights = ((sure + other) / other) ** seen[rows, now]  # (B, V)
        losses[:, t] = -np.log(sure * weights[rows, following] / weights.sum(axis=1) + other)
        seen[rows, now, following] += 1
    return float(np.exp(losses[:, T // 2 - 1 :].mean()))
