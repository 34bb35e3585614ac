"""Fresh batches for training: cut into chunks of fixed size, each drawn from a random state of its own.

The chunks of a batch are drawn and used by different threads, and because chunk k always draws from state k, the numbers do not
depend on how many threads there are (``kernels/draws_numpy.py`` says which numbers, and in which order). Where the covariates are
Gaussian the linear model gets its states (G, z) drawn directly.

(5.18) For X (n, d) with rows N(0, I), X^T X has the law of R R^T with R lower triangular (d, min(n, d)): R_jj^2 ~ chi^2(n-j),
j = 0, 1, .., and R_ij ~ N(0, 1) for i > j, all independent (Bartlett 1933). The rows of the state follow from labels y = X w:
S = R R^T, s = X^T y = S w, c = y^T y = w^T S w. For d = 5 these are 25 random numbers for a prompt with its query and task
vector instead of (n+2) d; the law is the same, so what is learned is too. Derived in lesson 05.
"""

import numpy as np

from ._checks import as_count
from ._types import Array
from .layers.gram import State
from .prompts import RegressionTask

CHUNK = 256  # prompts in a chunk, the work of one thread


def chunk_sizes(batch: int) -> list[int]:
    """The sizes of the chunks of a batch: all CHUNK but the last."""
    return [min(CHUNK, batch - first) for first in range(0, batch, CHUNK)]


def generators(seed: int, count: int) -> list[np.random.Generator]:
    """``count`` independent generators that depend on the seed alone."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(as_count("seed", seed, least=0)).spawn(count)]


def can_draw_states(task: RegressionTask) -> bool:
    """Whether the states of the task's prompts have the shortcut (5.18): plain Gaussian covariates and clean linear labels."""
    return type(task) is RegressionTask and task.covariates == "gaussian" and task.covariance is None and not task.label_noise


def draw_gaussian(task: RegressionTask, batch: int, rng: np.random.Generator) -> Array:
    """The random numbers of (5.18) for a batch: (d, min(n, d)) triangle in rows, column by column, then w, then x.

    -> (min(n, d) + (entries below the diagonal) + 2 d, batch); the diagonal comes first.
    """
    n, d = task.n, task.d
    m = min(n, d)
    below = d * m - m * (m + 1) // 2
    draws = np.empty((m + below + 2 * d, batch))
    for j in range(m):
        rng.standard_gamma((n - j) / 2, out=draws[j])  # half a chi^2 with n-j degrees of freedom
    np.sqrt(2 * draws[:m], out=draws[:m])
    rng.standard_normal(out=draws[m:])
    return draws


def gaussian_state(task: RegressionTask, draws: Array) -> tuple[State, Array]:
    """The states (5.18) and labels y (B,) made from :func:`draw_gaussian`'s numbers."""
    n, d = task.n, task.d
    m, batch = min(n, d), draws.shape[1]
    R = np.zeros((batch, d, m))
    row = m
    for j in range(m):
        R[:, j, j] = draws[j]
        for i in range(j + 1, d):
            R[:, i, j] = draws[row]
            row += 1
    w, x = draws[row : row + d].T, draws[row + d :].T  # (B, d)
    S = R @ R.mT  # (B, d, d)
    s = (S @ w[..., None])[..., 0]  # (B, d)
    G = np.empty((batch, d + 1, d + 1))
    G[:, :d, :d], G[:, :d, d], G[:, d, :d], G[:, d, d] = S, s, s, (s * w).sum(axis=1)
    z = np.concatenate([x, np.zeros((batch, 1))], axis=1)  # (B, d+1)
    return State(G, z, n), (w * x).sum(axis=1)
