"""Fresh prompts from the state of a chunk, defined in NumPy: which random numbers are drawn, in what order, and what is made of
them.

A run has one state (4, lanes) for each chunk of its batch (``random_numpy.lane_states``); lane j draws the prompts j, lanes + j,
2 lanes + j, .. of the chunk, one after the other, each from its own stream. One prompt takes, in this order:

- normals: the task vector w (d), the tokens' covariates (n+1 times d), and with noise one number for each example's label (n);
- gammas, where the covariates are scaled by them: one for each token (n+1).

(5.18) Where the covariates are plain Gaussian, n examples matter through X^T X = R R^T only, R lower triangular (d, m), m =
min(n, d). So m made-up examples stand for them, the columns of R: R_jj^2 ~ chi^2(n-j), R_ij ~ N(0, 1) below the diagonal, zeros
above it (Bartlett 1933). Normals: w (d), the query (d), R below its diagonal column by column; then chis: the diagonal. Derived
in lessons 05 and 05b. ``draws`` is the compiled twin of both.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

import numpy as np

from .._types import Array
from ..layers.gram import State
from ..prompts import Prompts, RegressionTask
from . import random_numpy as random

TOGETHER = 8  # chunks drawn at once


def prompts(task: RegressionTask, batch: int, state: Array) -> Prompts:
    """``batch`` prompts of the task; the state (4, lanes) is moved on in place. -> Z (batch, n+1, d+1), y (batch,)"""
    return next(prompts_of_chunks(task, [batch], state[None]))


def states(task: RegressionTask, batch: int, state: Array) -> tuple[State, Array]:
    """States and labels y (batch,) of a plain Gaussian task, from made-up examples (5.18)."""
    return next(states_of_chunks(task, [batch], state[None]))


def prompts_of_chunks(task: RegressionTask, sizes: Sequence[int], chunks: Array) -> Iterator[Prompts]:
    """The prompts of several chunks, one after the other: sizes[c] from chunks[c] (4, lanes)."""
    return (Prompts(Z, y) for Z, y in side_by_side(examples, task, sizes, chunks))


def states_of_chunks(task: RegressionTask, sizes: Sequence[int], chunks: Array) -> Iterator[tuple[State, Array]]:
    """The same for states and labels."""
    for Z, y in side_by_side(triangle, task, sizes, chunks):
        made_up = Z[:, :-1]
        yield State(made_up.mT @ made_up, Z[:, -1], task.n), y


def side_by_side(draw: Callable, task: RegressionTask, sizes: Sequence[int], chunks: Array) -> Iterator[tuple[Array, Array]]:
    """Tokens and labels of each chunk.

    Chunks of as many prompts a lane are drawn together, which is faster and changes no number.
    """
    lanes, done = chunks.shape[2], 0
    counts = [-(-size // lanes) for size in sizes]  # how often each lane draws a prompt
    while done < len(sizes):
        count = counts[done]
        group = list(takewhile(lambda c: counts[c] == counts[done], range(done, min(len(sizes), done + TOGETHER))))  # noqa: B023
        wide = np.concatenate(chunks[group], axis=1)  # the lanes of all these chunks side by side
        drawn = [tokens(task, *draw(task, wide)) for _ in range(count)]
        for k, c in enumerate(group):
            own = slice(k * lanes, (k + 1) * lanes)
            chunks[c] = wide[:, own]
            yield in_order([block[..., own] for block in drawn], sizes[c])
        done += len(group)


def in_order(drawn: list[Array], batch: int) -> tuple[Array, Array]:
    """Tokens and labels of prompts from blocks (N, d+1, lanes) whose last token carries the label that is asked for; those left
    over are dropped.
    """
    Z = np.concatenate(drawn, axis=2)[:, :, :batch].transpose(2, 0, 1).copy()
    y = Z[:, -1, -1].copy()
    Z[:, -1, -1] = 0.0
    return Z, y


def examples(task: RegressionTask, state: Array) -> tuple[Array, Array, Array]:
    """Task vectors w (d, lanes), covariates X (n+1, d, lanes) and noise of the labels (n or 0, lanes)."""
    n, d = task.n, task.d
    numbers = random.normals(state, d + (n + 1) * d + (n if task.label_noise else 0))
    w, X, noise = numbers[:d], numbers[d : d + (n + 1) * d].reshape(n + 1, d, -1), numbers[d + (n + 1) * d :]
    if task.covariates != "gaussian":
        squares = random.gammas(state, [task.gamma_shape] * (n + 1)) * task.gamma_scale if task.covariates == "gamma" else 1.0
        X = X * (np.sqrt(squares) / np.sqrt(in_turn(X * X, axis=1)))[:, None]
    root = task.covariance_root()
    if root is not None:
        X = np.stack([in_turn(root[i, : i + 1, None] * X[:, : i + 1], axis=1) for i in range(d)], axis=1)  # x = C u
    return w, X, task.label_noise * noise


def triangle(task: RegressionTask, state: Array) -> tuple[Array, Array, Array]:
    """The same of the made-up examples: X (m+1, d, lanes), no noise."""
    n, d, m = task.n, task.d, min(task.n, task.d)
    numbers = random.normals(state, 2 * d + d * m - m * (m + 1) // 2)
    chis = np.sqrt(2.0 * random.gammas(state, [(n - j) / 2 for j in range(m)]))
    X, row = np.zeros((m + 1, d, state.shape[1])), 2 * d
    for j in range(m):
        X[j, j], X[j, j + 1 :] = chis[j], numbers[row : row + d - 1 - j]
        row += d - 1 - j
    X[m] = numbers[d : 2 * d]
    return numbers[:d], X, numbers[:0]


def tokens(task: RegressionTask, w: Array, X: Array, noise: Array) -> Array:
    """The tokens (x ; <w, features of x>), with noise on the labels of the examples. -> (N, d+1, lanes)"""
    F = task.features(X.transpose(2, 0, 1)).transpose(1, 2, 0)
    labels = in_turn(w * F, axis=1)
    labels[: len(noise)] += noise
    return np.concatenate([X, labels[:, None]], axis=1)


def in_turn(terms: Array, axis: int) -> Array:
    """The sum along an axis, one term after the other: the order in which the twin adds."""
    first, *others = np.moveaxis(terms, axis, 0)
    total = first.copy()
    for term in others:
        total += term
    return total
