"""Noisy labels: the trained model beside Bayes' ridge, ridges with a wrong penalty, and minimum-norm least squares."""

import numpy as np

from ...._types import Array
from ....prompts import RegressionTask
from . import testing
from .size import Size
from .training import trained

FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)  # penalties of ridge over Bayes', which is sigma^2
CASES = {  # d, noise and the numbers of examples
    "main": (5, 1.0, (4, 5, 6, 12)),
    "other d": (3, 1.0, (2, 3, 4)),
    "less noise": (5, 0.5, (4, 5, 6)),
}
WAYS = {  # linear decay and constant rate, each at its searched rate; linear decay from the rate of the first runs
    "main": ("linear", "constant", "fixed rate"),
    "other d": ("linear",),
    "less noise": ("linear",),
}


def compared(seed: int, d: int, noise: float, n: int, schedule: str, rate: float, size: Size) -> dict[str, Array]:
    """Batch means (batches,) of the squared errors of trained, ridge (factors, batches) and least_squares; their medians too.

    distance (factors, batches): the mean squared difference between the trained model's answers and those of each ridge. top
    (2,): the largest squared error over the sum of all, of least squares and of the trained model.
    """
    task = RegressionTask(n=n, d=d, label_noise=noise)
    params, _ = trained(task, 3, schedule, rate, seed, *size.noisy)
    rows: list[Array] = []
    largest, sums = np.zeros(2), np.zeros(2)
    for Z, y in testing.batches(task, size.batches, size.prompts, seed):
        ours, exact = testing.answers(params, Z), testing.least_squares_answers(Z)
        ridges = np.array([testing.ridge_answers(Z, factor * noise**2) for factor in FACTORS])
        errors = np.array([ours, exact, *ridges]) - y
        squares = errors**2
        largest, sums = np.maximum(largest, squares[1::-1].max(axis=1)), sums + squares[1::-1].sum(axis=1)
        rows.append(np.concatenate([squares.mean(axis=1), np.median(squares, axis=1), ((ridges - ours) ** 2).mean(axis=1)]))
    table, k = np.array(rows).T, 2 + len(FACTORS)
    return {
        "trained": table[0], "least_squares": table[1], "ridge": table[2:k],
        "trained_median": table[k], "least_squares_median": table[k + 1], "ridge_median": table[k + 2 : 2 * k],
        "distance": table[2 * k :], "top": largest / sums,
    }  # fmt: skip
