"""Gradient noise: how far the gradient of a batch lies from that of a batch 100 times larger, and how heavy its tail is.

(8.1) e = g_batch - g_ref                        the noise of one batch; what is returned is ||e||, for many batches
How heavy a tail is, and against which control, is in ``tails.py``, whose names are reached from here too. Two controls are at
hand: the noise's variances coordinate by coordinate (``diagonal``), and the eigenvalues of its whole covariance (``spectrum``).
Source: paper, section 3.2; derived in lesson 08.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .._checks import as_count, as_numbers, as_rng, check_memory
from .._types import Array
from ..models.choose import as_real_params, model_from
from ..models.model import passes_of
from ..models.passes import run_parts
from ..models.transformer import transformer_for
from ..progress import bar
from ..prompts import RegressionTask
from .tails import excess_kurtosis, gaussian_norms, hill, mode, qq_normal, skewness, standardized, statistics, tail_ratio

__all__ = [
    "Noise", "excess_kurtosis", "gaussian_norms", "gradient_mean", "gradient_noise", "hill", "measure_noise", "mode",
    "noise_vectors", "qq_normal", "skewness", "standardized", "statistics", "tail_ratio",
]  # fmt: skip

REFERENCE = 100  # how many times larger the reference batch is
PIECE = 2048  # prompts in a piece of work: one thread draws it and uses it, with a generator of its own
WAVE = 8  # pieces whose results are held at a time


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
    reference = gradients.mean(REFERENCE * batch, seeds[0], 0) if given is None else given
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
    reference = gradients.mean(REFERENCE * batch, seeds[0], 0)
    return np.concatenate([means - reference for _, means in gradients.batches(batch, draws, seeds[1])])


def gradient_mean(params: Any, task: RegressionTask, prompts: int, rng: np.random.Generator, model: Any = None) -> Array:
    """The gradient of one batch of ``prompts`` prompts, however large, in constant memory. -> (p,)"""
    seed = int(as_rng(rng).integers(2**63))
    return _Gradients(params, task, model).mean(as_count("prompts", prompts), seed, 0)


class _Gradients:
    """Gradients at one point, piece by piece; piece k draws its prompts from the k-th generator of a seed."""

    def __init__(self, params: Any, task: RegressionTask, model: Any) -> None:
        if not isinstance(task, RegressionTask):
            raise ValueError(f"task: expected a RegressionTask, got {type(task).__name__}")
        model = transformer_for(params, task.d)[0] if model is None else model_from(task.d, model)
        self.params, self.task, self.passes = as_real_params(model, params), task, passes_of(model)

    def batches(self, batch: int, draws: int, seed: int) -> Iterator[tuple[int, Array]]:
        """Yields (first draw, gradients of some batches (m, p)) until all draws are done, in order."""
        if batch > PIECE:
            parts = -(-batch // PIECE)
            for draw in range(draws):
                yield draw, self.mean(batch, seed, draw * parts)[None]
            return
        each = PIECE // batch  # batches in a piece
        pieces = -(-draws // each)
        for wave in range(0, pieces, WAVE):
            counts = [min(each, draws - k * each) for k in range(wave, min(wave + WAVE, pieces))]
            found = self.pieces([(count * batch, batch) for count in counts], seed, wave)
            yield wave * each, np.concatenate(found)

    def mean(self, prompts: int, seed: int, first: int) -> Array:
        """The gradient of one batch, (p,), cut into pieces that use the generators first, first+1, ..."""
        sizes = [min(PIECE, prompts - done) for done in range(0, prompts, PIECE)]
        total = np.zeros(self.params.size)
        for wave in range(0, len(sizes), WAVE):
            part = sizes[wave : wave + WAVE]
            for size, mean in zip(part, self.pieces([(size, size) for size in part], seed, first + wave), strict=True):
                total += size * mean[0]  # in order: the same bits from any number of threads
        return total / prompts

    def pieces(self, sizes: list[tuple[int, int]], seed: int, first: int) -> list[Array]:
        """The gradients of each ``group`` prompts, for pieces of (prompts, group): a list of (prompts / group, p)."""
        found = [np.empty(0)] * len(sizes)

        def work(k: int) -> None:
            prompts, group = sizes[k]
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(first + k,)))
            found[k] = self.passes.grouped_gradients(self.params, self.passes.draw(self.task, prompts, rng), group)

        run_parts(self.passes, work, len(sizes))
        return found
