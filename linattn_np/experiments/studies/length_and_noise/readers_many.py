"""The numbers of the claims on one layer fitted to N prompts, each read from the figure's JSON."""

import numpy as np

from ...._types import Array
from ...curves import Numbers
from . import many_prompts
from .readers import largest, of_seeds, smallest


def descent(numbers: Numbers, d: int, n: int, penalty: float = 0.0) -> dict[int, Array]:
    """{N: the median loss of one layer fitted to N prompts, (seeds,)}"""
    found = numbers["many"][f"{d}, {n}"]
    rows = of_seeds(found["loss"])[:, found["penalties"].index(penalty)]
    return dict(zip(found["counts"], rows.T, strict=True))


def double_descent(numbers: Numbers, d: int, n: int, away: int) -> Numbers:
    """The loss at N = d^2 over the larger of those at d^2 - away and d^2 + away."""
    loss, D = descent(numbers, d, n), d * d
    return smallest((loss[D] / np.maximum(loss[D - away], loss[D + away]))[:, None])


def largest_in_words(numbers: Numbers, d: int, n: int, away: int) -> str:
    """In how many seeds the loss is largest at N = d^2 of all N that were tried."""
    loss = descent(numbers, d, n)
    every = np.array(list(loss.values()))
    there = (np.array(list(loss))[np.argmax(every, axis=0)] == d * d).sum()
    return f"largest of all {len(loss)} numbers of prompts at N = d^2 in {there} of {every.shape[1]} seeds"


def penalty_at_peak(numbers: Numbers) -> Numbers:
    """The loss at N = d^2 without a penalty over that with the largest."""
    most = max(many_prompts.PENALTIES)
    return smallest((descent(numbers, 5, 20)[25] / descent(numbers, 5, 20, most)[25])[:, None])


def penalty_rises(numbers: Numbers) -> Numbers:
    """How often the loss rises from one N to the next with the largest penalty."""
    loss = descent(numbers, 5, 20, max(many_prompts.PENALTIES))
    along = np.array([loss[N] for N in many_prompts.RIDGE_COUNTS])
    return largest((np.diff(along, axis=0) > 0).sum(axis=0)[:, None].astype(float))


def penalties_in_words(numbers: Numbers) -> str:
    """Median losses at N = 25 for each penalty."""
    return "at N = 25 " + ", ".join(
        f"{np.median(descent(numbers, 5, 20, penalty)[25]):.2g} (penalty {penalty:g})" for penalty in many_prompts.PENALTIES
    )
