"""Gradient noise: how far the gradient of a batch lies from that of a batch 100 times larger, and how heavy its tail is.

(8.1) e = g_batch - g_ref                        the noise of one batch; what is returned is ||e||, for many batches
How heavy a tail is, and against which control, is in ``tails.py``, whose names are reached from here too. Two controls are at
hand: the noise's variances coordinate by coordinate (``diagonal``), and the eigenvalues of its whole covariance (``spectrum``).
Source: paper, section 3.2; derived in lesson 08.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from .._checks import as_count, as_numbers, as_rng, check_memory
from .._types import Array
from ..batches import CHUNK, chunk_sizes
from ..kernels.random_numpy import chunk_states
from ..models.choose import as_real_params, model_from
from ..models.model import passes_of
from ..models.passes import run_shares
from ..models.transformer import transformer_for
from ..progress import bar
from ..prompts import RegressionTask
from .tails import excess_kurtosis, gaussian_norms, hill, mode, qq_normal, skewness, standardized, statistics, tail_ratio

__all__ = [
    "Noise", "excess_kurtosis", "gaussian_norms", "gradient_mean", "gradient_noise", "hill", "measure_noise", "mode",
    "noise_vectors", "qq_normal", "skewness", "standardized", "statistics", "tail_ratio",
]  # fmt: skip

REFERENCE = 100  # how many times larger the reference batch is
SIDE_BY_SIDE = 8  # chunks of prompts that threads share out at a time


class Noise(NamedTuple):
    """The noise of many batches at one point."""

    norms: Array  # (draws,) ||g_batch - g_ref||
    moment: Array  # (p, p) the mean of e e^T
    reference: Array  # (p,) g_ref

    @property
    def diagonal(self) -> Array:
        """The mean of e_i^2 for each coordinate, (p,)."""
        return np.diag(self.moment).copy()

    @property
    def spectrum(self) -> Array:
        """The eigenvalues of the noise's second moment, (p,), without rounding's negative ones."""
        return np.maximum(np.linalg.eigvalsh(self.moment), 0.0)


def gradient_noise(
    params: Any, task: RegressionTask, batch: int, draws: int, rng: np.random.Generator, model: Any = None
) -> Array:
    """||g_batch - g_ref|| (8.1) for ``draws`` independent batches, g_ref the gradient of a batch 100 times larger.

    params (L, H, 2, k, k), or those of any ``model``; task a RegressionTask; batch, draws >= 1 -> (draws,).
    The same rng gives the same bits whatever the number of threads; memory does not grow with draws beyond what is returned.
    Raises ValueError for bad arguments. Cost: (draws + 100) batch gradients of one prompt, about 0.6 microseconds each in
    Setting 1 on two cores. Source: paper, section 3.2.
    """
    return measure_noise(params, task, batch, draws, rng, model).norms


def measure_noise(
    params: Any, task: RegressionTask, batch: int, draws: int, rng: np.random.Generator, model: Any = None,
    reference: Array | None = None, progress: bool | None = None,
) -> Noise:  # fmt: skip
    """:func:`gradient_noise` with the noise's second moment beside it; ``reference`` (p,) replaces g_ref. -> Noise"""
    gradients = _Gradients(params, task, model)
    batch, draws = as_count("batch", batch), check_memory("draws", as_count("draws", draws), 16)
    check_memory("batch", batch, 8 * (task.n + 1) * (task.d + 1))
    seeds = as_rng(rng).integers(2**63, size=2).tolist()
    given = None if reference is None else as_numbers("reference", reference)
    reference = gradients.mean(REFERENCE * batch, seeds[0]) if given is None else given
    if np.shape(reference) != (gradients.params.size,):
        raise ValueError(f"reference: expected shape ({gradients.params.size},), got {np.shape(reference)}")
    norms, moment = np.empty(draws), np.zeros((len(reference), len(reference)))
    with bar(draws, f"noise of batch {batch}, {task.covariates} n={task.n}", progress, unit="batch") as shown:
        for first, means in gradients.batches(batch, draws, seeds[1]):
            e = means - reference  # (some batches, p)
            norms[first : first + len(e)] = np.sqrt((e * e).sum(axis=1))
            moment += e.T @ e / draws
            shown.update(len(e))
    return Noise(norms, moment, reference)


def noise_vectors(
    params: Any, task: RegressionTask, batch: int, draws: int, rng: np.random.Generator, model: Any = None
) -> Array:
    """The noise e of (8.1) of every batch, (draws, p), where p is too large for a (p, p) moment; arguments as above."""
    gradients = _Gradients(params, task, model)
    batch, draws = as_count("batch", batch), as_count("draws", draws)
    seeds = as_rng(rng).integers(2**63, size=2).tolist()
    reference = gradients.mean(REFERENCE * batch, seeds[0])
    return np.concatenate([means - reference for _, means in gradients.batches(batch, draws, seeds[1])])


def gradient_mean(params: Any, task: RegressionTask, prompts: int, rng: np.random.Generator, model: Any = None) -> Array:
    """The gradient of one batch of ``prompts`` prompts, however large, in constant memory. -> (p,)"""
    seed = int(as_rng(rng).integers(2**63))
    return _Gradients(params, task, model).mean(as_count("prompts", prompts), seed)


class _Gradients:
    """Gradients at one point, chunk by chunk: SIDE_BY_SIDE chunks at a time, each drawn from a random state of its own.

    As in training, a chunk holds at most ``batches.CHUNK`` prompts and a state goes on from one of its chunks to the next.
    """

    def __init__(self, params: Any, task: RegressionTask, model: Any) -> None:
        if not isinstance(task, RegressionTask):
            raise ValueError(f"task: expected a RegressionTask, got {type(task).__name__}")
        model = transformer_for(params, task.d)[0] if model is None else model_from(task.d, model)
        self.params, self.task, self.passes = as_real_params(model, params), task, passes_of(model)

    def batches(self, batch: int, draws: int, seed: int) -> Iterator[tuple[int, Array]]:
        """Yields (first draw, gradients of some batches (m, p)) until all draws are done, in order."""
        each = CHUNK // batch  # batches in a chunk
        if each == 0:
            yield from enumerate(self.means(batch, draws, seed))
            return
        first = 0
        counts = (min(each, draws - done) for done in range(0, draws, each))

        def grouped(some: Array, states: Array) -> Array:
            drawn = self.passes.draw(self.task, (some * batch).tolist(), states)
            return np.concatenate([self.passes.grouped_gradients(self.params, each, batch) for each in drawn])

        for found in self.side_by_side(counts, seed, grouped):
            yield first, found
            first += len(found)

    def mean(self, prompts: int, seed: int) -> Array:
        """The gradient of one batch, (p,)."""
        return next(self.means(prompts, 1, seed))[0]

    def means(self, batch: int, draws: int, seed: int) -> Iterator[Array]:
        """Yields the gradients (1, p) of batches of any size."""
        sizes = chunk_sizes(batch)
        total, done = np.zeros(1 + self.params.size), 0
        add, points = self.passes.drawing_adder(self.task), self.params[None]

        def sums(some: Array, states: Array) -> Array:
            out = np.zeros((len(some), 1, 1 + self.params.size))
            add(points, some, states, out)
            return out[:, 0]

        for found in self.side_by_side((size for _ in range(draws) for size in sizes), seed, sums):
            for each in found:
                total, done = total + each, done + 1  # in order: the same bits from any number of threads
                if done == len(sizes):
                    yield total[None, 1:] / batch
                    total, done = np.zeros(1 + self.params.size), 0

    def side_by_side(self, items: Iterable[int], seed: int, work: Callable[[Array, Array], Array]) -> Iterator[Array]:
        """Yields the rows of work(items, states), in order: item k goes to state k modulo SIDE_BY_SIDE, and to any thread."""
        states, items = chunk_states(seed, SIDE_BY_SIDE), iter(items)
        while some := list(islice(items, SIDE_BY_SIDE)):
            yield self.shared_out(np.array(some), states, work)

    def shared_out(self, items: Array, states: Array, work: Callable[[Array, Array], Array]) -> Array:
        """The rows of work(items, states), each thread with a share of the items."""
        found: dict[int, Array] = {}

        def share(first: int, last: int) -> None:
            found[first] = work(items[first:last], states[first:last])

        run_shares(self.passes, share, len(items))
        return np.concatenate([found[first] for first in sorted(found)])
