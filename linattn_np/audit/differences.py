"""Derivatives from real values alone, each with an estimate of its own error, and the kinks at which there is none.

D(t) = (8 [phi(t) - phi(-t)] - [phi(2t) - phi(-2t)]) / 12 t is right to t^4, and (16 D(t/2) - D(t)) / 15 to t^6. The step is
halved from 1/8 on: first the next power falls, then rounding rises. Between them the values stand still, and there is the answer;
how much they move there is the doubt. Central differences do not see a kink, so both sides are asked when there is a quarrel.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Line = Callable[[float], float]
STEPS = range(3, 22)  # t = 2^-k


@dataclass(frozen=True)
class Estimate:
    """A derivative by differences, how far it may be off, and the step (2^-k) at which it stood still."""

    value: float
    doubt: float
    k: int


def estimate(phi: Line, steps: range = STEPS) -> Estimate:
    """phi'(0) by central differences. Cost: two values for each step and two more."""
    values = {}

    def odd(k: int) -> float:
        if k not in values:
            values[k] = phi(2.0**-k) - phi(-(2.0**-k))
        return values[k]

    plain = [(8 * odd(k) - odd(k - 1)) / (12 * 2.0**-k) for k in steps]
    better = [(16 * fine - coarse) / 15 for coarse, fine in itertools.pairwise(plain)]
    best = Estimate(plain[-1], math.inf, steps[-1])
    for column, first in ((plain, 0), (better, 1)):
        for i in range(1, len(column) - 1):
            doubt = max(abs(column[i] - column[i - 1]), abs(column[i] - column[i + 1]))
            if doubt < best.doubt:
                best = Estimate(column[i], doubt, steps[i + first])
    return best


def around(k: int) -> range:
    """The few steps around one that has proved good for a neighbour."""
    return range(max(k - 2, STEPS[0]), min(k + 3, STEPS[-1] + 1))


def central_difference(phi: Line) -> tuple[float, float]:
    """phi'(0) and its doubt."""
    found = estimate(phi)
    return found.value, found.doubt


def sides(phi: Line) -> tuple[float, float, float]:
    """The derivative from the right, from the left, and the doubt of either."""
    right, left, k = [], [], range(12, 22)
    middle = phi(0.0)
    for t in (2.0**-i for i in k):
        right.append((4 * phi(t) - phi(2 * t) - 3 * middle) / (2 * t))
        left.append((3 * middle - 4 * phi(-t) + phi(-2 * t)) / (2 * t))
    moves = np.maximum(np.abs(np.diff(right)), np.abs(np.diff(left)))
    if not np.isfinite(moves).any():
        return math.nan, math.nan, math.inf
    best = int(np.nanargmin(moves))
    return right[best], left[best], float(moves[best])


def has_kink(phi: Line, rounding: float = 0.0) -> bool:
    """Whether the two sides of 0 have different slopes, beyond doubt and beyond what ``rounding`` of phi does to them."""
    right, left, doubt = sides(phi)
    return abs(right - left) > 10 * doubt + 1e-7 * max(abs(right), abs(left)) + 2**16 * rounding
