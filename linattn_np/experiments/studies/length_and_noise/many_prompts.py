"""One layer fitted to N prompts by least squares: N equations in the d^2 entries of its matrix. And three layers trained on N."""

import numpy as np

from ...._types import Array
from ....prompts import RegressionTask
from . import testing
from .size import Size
from .theory import matrix_loss
from .training import FIXED, trained

CASES = ((4, 20), (5, 20), (7, 20), (5, 5))  # d and n
NEAR, SHARES = (-5, -2, 0, 2, 5), (0.4, 0.8, 1.2, 2.4, 10.0)  # N - d^2, and N / d^2
PENALTIES, RIDGE_COUNTS = (0.0, 0.1, 1.0, 10.0), (10, 20, 25, 30, 50, 100)
THREE_COUNTS = (10, 50, 75, 100, 150, 200, 300)
CHUNK = 40_000  # numbers of prompts that are held at once


def counts(d: int, n: int) -> tuple[int, ...]:
    """The numbers of prompts that are tried for one layer."""
    unknowns = d * d
    more = RIDGE_COUNTS if (d, n) == (5, 20) else ()
    return tuple(sorted({*(unknowns + k for k in NEAR), *(round(share * unknowns) for share in SHARES), *more}))


def equations(rng: np.random.Generator, sets: int, N: int, d: int, n: int) -> tuple[Array, Array]:
    """phi = s x^T as rows (sets, N, d^2) and answers (sets, N): phi . M = y is what a perfect fit would solve."""
    X, w = rng.standard_normal((sets, N, n, d)), rng.standard_normal((sets, N, d, 1))
    x = rng.standard_normal((sets, N, d))
    s = (X.mT @ (X @ w))[..., 0] / n
    return (s[..., :, None] * x[..., None, :]).reshape(sets, N, d * d), (w[..., 0] * x).sum(axis=-1)


def ridge_fits(phi: Array, y: Array, penalties: tuple[float, ...]) -> Array:
    """M of least |phi M - y|^2 + penalty |M|^2, of least norm where the penalty is 0. -> (penalties, sets, d, d)"""
    d = round(phi.shape[-1] ** 0.5)
    U, values, Vt = np.linalg.svd(phi, full_matrices=False)
    along = (U.mT @ y[..., None])[..., 0]
    found = [(Vt.mT @ (values / (values**2 + penalty) * along)[..., None])[..., 0] for penalty in penalties]
    return np.array(found).reshape(len(penalties), len(phi), d, d)


def least_norm(seed: int, d: int, n: int, penalties: tuple[float, ...], size: Size) -> dict[str, Array]:
    """The median exact test loss over the draws: (penalties, counts)."""
    rng, rows = np.random.default_rng([31, seed, d, n]), []
    for N in counts(d, n):
        losses: list[Array] = []
        while (left := size.draws - sum(one.shape[1] for one in losses)) > 0:
            losses.append(matrix_loss(ridge_fits(*equations(rng, min(left, max(1, CHUNK // N)), N, d, n), penalties), n))
        rows.append(np.median(np.concatenate(losses, axis=1), axis=1))
    return {"loss": np.array(rows).T}


def three_layers(seed: int, N: int, size: Size) -> dict[str, Array]:
    """Three layers trained on the same N prompts: last training loss, the test's median and mean, the largest error's share."""
    task = RegressionTask()
    params, losses = trained(task, 3, "linear", FIXED, seed, size.many[0], N, fixed_batch=True)
    errors = np.array([(testing.answers(params, Z) - y) ** 2 for Z, y in testing.batches(task, size.batches, size.prompts, seed)])
    middle = np.median(np.median(errors, axis=1))
    return {"found": np.array([losses[-1], middle, errors.mean(), errors.max() / errors.sum()])}
