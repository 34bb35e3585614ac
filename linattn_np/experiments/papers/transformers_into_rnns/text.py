"""In-context Markov text: each text has an alphabet's permutation of its own, which a reader can only learn from the text.

A text draws a permutation pi of the V symbols and a first symbol, uniformly. Then with probability ``SURE`` the next symbol is pi of
the current one, and else it is uniform over all V. Who knows pi cannot do better than the entropy of one step,

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
