"""Gradient noise: how far the gradient of a batch lies from that of a batch 100 times larger, and how heavy its tail is.

(8.1) e = g_batch - g_ref                        the noise of one batch; what is returned is ||e||, for many batches
(8.2) Hill(k) = 1 / mean_i log(x_(i) / x_(k+1))  i = 1..k, x_(1) >= x_(2) >= ..: a law with P(X > x) ~ x^-a gives a
(8.3) ||Lambda^(1/2) xi||, xi ~ N(0, I)          the norm of Gaussian noise with variances Lambda: the control
A claim about a tail means something only beside its control: the norm of a Gaussian vector is skewed by itself, and more so when
few directions carry its variance. Two controls are at hand: the noise's variances coordinate by coordinate (``diagonal``), and
the eigenvalues of its whole covariance (``spectrum``). Source: paper, section 3.2; derived in lesson 08.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from .. import batches
from .._checks import as_count, as_numbers, as_params, as_rng, check_attention
from ..layers import gram
from ..models.transformer import LAYERS, loss_and_grad_by, use_kernels
from ..progress import bar
from ..prompts import RegressionTask

REFERENCE = 100  # how many times larger the reference batch is
PIECE = 2048  # prompts in a piece of work: one thread draws it and uses it, with a generator of its own
WAVE = 8  # pieces whose results are held at a time
NORMAL = NormalDist()


class Noise(NamedTuple):
    """The noise of many batches at one point."""

    norms: np.ndarray  # (draws,) ||g_batch - g_ref||
    moment: np.ndarray  # (p, p) the mean of e e^T
    reference: np.ndarray  # (p,) g_ref

    @property
    def diagonal(self):
        """The mean of e_i^2 for each coordinate, (p,)."""
        return np.diag(self.moment).copy()

    @property
    def spectrum(self):
        """The eigenvalues of the noise's second moment, (p,), without rounding's negative ones."""
        return np.maximum(np.linalg.eigvalsh(self.moment), 0.0)


def gradient_noise(params, task, batch, draws, rng, attention="linear", backend="numba"):
    """||g_batch - g_ref|| (8.1) for ``draws`` independent batches, g_ref the gradient of a batch 100 times larger.

    params (L, H, 2, k, k); task a RegressionTask; batch, draws >= 1; rng a numpy.random.Generator -> (draws,).
    The same rng gives the same bits whatever the number of threads; memory does not grow with draws beyond what is returned.
    Raises ValueError for bad arguments. Cost: (draws + 100) batch gradients of one prompt, about 0.6 microseconds each in
    Setting 1 on two cores. Source: paper, section 3.2.
    """
    return measure_noise(params, task, batch, draws, rng, attention, backend).norms


def measure_noise(params, task, batch, draws, rng, attention="linear", backend="numba", reference=None, progress=None):
    """:func:`gradient_noise` with the noise's second moment beside it; ``reference`` (p,) replaces g_ref. -> Noise"""
    gradients = _Gradients(params, task, attention, backend)
    batch, draws = as_count("batch", batch), as_count("draws", draws)
    seeds = as_rng(rng).integers(2**63, size=2).tolist()
    if reference is None:
        reference = gradients.mean(REFERENCE * batch, seeds[0], 0)
    elif np.shape(reference) != (gradients.params.size,):
        raise ValueError(f"reference: expected shape ({gradients.params.size},), got {np.shape(reference)}")
    norms, moment = np.empty(draws), np.zeros((len(reference), len(reference)))
    with bar(draws, f"noise of batch {batch}, {task.covariates} n={task.n}", progress, unit="batch") as shown:
        for first, means in gradients.batches(batch, draws, seeds[1]):
            e = means - reference  # (some batches, p)
            norms[first : first + len(e)] = np.sqrt((e * e).sum(axis=1))
            moment += e.T @ e / draws
            shown.update(len(e))
    return Noise(norms, moment, reference)


def noise_vectors(params, task, batch, draws, rng, attention="linear", backend="numba"):
    """The noise e of (8.1) of every batch, (draws, p), where p is too large for a (p, p) moment; arguments as above."""
    gradients = _Gradients(params, task, attention, backend)
    batch, draws = as_count("batch", batch), as_count("draws", draws)
    seeds = as_rng(rng).integers(2**63, size=2).tolist()
    reference = gradients.mean(REFERENCE * batch, seeds[0], 0)
    return np.concatenate([means - reference for _, means in gradients.batches(batch, draws, seeds[1])])


def gradient_mean(params, task, prompts, rng, attention="linear", backend="numba"):
    """The gradient of one batch of ``prompts`` prompts, however large, in constant memory. -> (p,)"""
    seed = int(as_rng(rng).integers(2**63))
    return _Gradients(params, task, attention, backend).mean(as_count("prompts", prompts), seed, 0)


class _Gradients:
    """Gradients at one point, piece by piece; piece k draws its prompts from the k-th generator of a seed."""

    def __init__(self, params, task, attention, backend):
        check_attention(attention)
        if not isinstance(task, RegressionTask):
            raise ValueError(f"task: expected a RegressionTask, got {type(task).__name__}")
        self.params, self.task, self.attention = as_params(params).astype(np.float64), task, attention
        if self.params.shape[-1] not in (task.d, task.d + 1):
            raise ValueError(f"params: expected k = d = {task.d} or k = d+1 = {task.d + 1}, got k = {self.params.shape[-1]}")
        self.kernels = use_kernels(self.params, attention, backend)
        self.states = attention == "linear" and batches.can_draw_states(task)

    def batches(self, batch, draws, seed):
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

    def mean(self, prompts, seed, first):
        """The gradient of one batch, (p,), cut into pieces that use the generators first, first+1, ..."""
        sizes = [min(PIECE, prompts - done) for done in range(0, prompts, PIECE)]
        total = np.zeros(self.params.size)
        for wave in range(0, len(sizes), WAVE):
            part = sizes[wave : wave + WAVE]
            for size, mean in zip(part, self.pieces([(size, size) for size in part], seed, first + wave), strict=True):
                total += size * mean[0]  # in order: the same bits from any number of threads
        return total / prompts

    def pieces(self, sizes, seed, first):
        """The gradients of each ``group`` prompts, for pieces of (prompts, group): a list of (prompts / group, p)."""
        found = [None] * len(sizes)

        def work(c):
            child = np.random.SeedSequence(seed, spawn_key=(first + c,))
            found[c] = self.piece(*sizes[c], np.random.default_rng(child))

        if self.kernels:
            from ..kernels import linear as kernels

            kernels.run_chunks(work, len(sizes))
        else:
            for c in range(len(sizes)):
                work(c)
        return found

    def piece(self, prompts, group, rng):
        """Draw prompts and give the gradients of each ``group`` of them, (prompts / group, p)."""
        if self.states:
            draws = batches.draw_gaussian(self.task, prompts, rng)
            if not self.kernels:
                return grouped_gradients(gram, self.params, *batches.gaussian_state(self.task, draws), self.task.d + 1, group)
        else:
            Z, y = self.task.sample(prompts, rng)
            if not self.kernels:
                return grouped_gradients(LAYERS[self.attention], self.params, Z, y, self.task.d + 1, group)
        from ..kernels import linear as kernels

        if self.states:
            lanes = kernels.lanes_from_draws(self.task, draws)
        else:  # not lanes_from_tokens: it waits for the kernels' threads, and this is one of them
            lanes = kernels.empty_lanes(prompts, self.task.d + 1, self.task.n)
            kernels.compress_chunk(Z, y, 0, len(lanes.G), lanes.G, lanes.z, lanes.y)
        return kernels.grouped_gradients(self.params, lanes, group)


def grouped_gradients(layer, params, X, y, D, group):
    """The gradients of each ``group`` prompts in a row, (B / group, p), for activations X of the kind that ``layer`` works on."""
    rows = []
    for first in range(0, len(y) - group + 1, group):
        part = slice(first, first + group)
        some = X[part] if isinstance(X, np.ndarray) else X._replace(G=X.G[part], z=X.z[part])
        rows.append(loss_and_grad_by(layer, params, some, y[part], D)[1].ravel())
    return np.stack(rows)


# ---------------------------------------------------------------- statistics of positive numbers x (draws,)


def gaussian_norms(variances, draws, rng):
    """The control (8.3): norms of Gaussian vectors with independent coordinates of these variances (p,). -> (draws,)"""
    variances = as_numbers("variances", variances, ndim=1)
    if (variances < 0).any():
        raise ValueError("variances: expected numbers of at least 0, got a negative one")
    norms = np.empty(as_count("draws", draws))
    for first in range(0, draws, PIECE):
        part = norms[first : first + PIECE]
        part[:] = np.sqrt(as_rng(rng).standard_normal((len(part), len(variances))) ** 2 @ variances)
    return norms


def _sample(x, least=2):
    x = as_numbers("x", x, ndim=1)
    if len(x) < least:
        raise ValueError(f"x: expected at least {least} numbers, got {len(x)}")
    return x


def skewness(x):
    """mean(u^3), u = (x - mean) / std with std over n; 0 for a symmetric law. NaN where std = 0."""
    u = standardized(_sample(x))
    return float((u**3).mean())


def excess_kurtosis(x):
    """mean(u^4) - 3 with u as for :func:`skewness`; 0 for a normal law."""
    u = standardized(_sample(x))
    return float((u**4).mean()) - 3.0


def standardized(x):
    """(x - mean) / std; NaN where std = 0."""
    spread = x.std()
    return (x - x.mean()) / (spread if spread > 0 else np.nan)


def tail_ratio(x):
    """p99.9 / p50, quantiles with linear interpolation."""
    high, middle = np.quantile(_sample(x), [0.999, 0.5])
    return float(high / middle)


def hill(x, k):
    """The tail index (8.2) from the k largest of x > 0: smaller means heavier. 1 <= k < len(x) -> float."""
    x = np.sort(_sample(x))[::-1]
    k = as_count("k", k)
    if k >= len(x):
        raise ValueError(f"k: expected less than len(x) = {len(x)}, got {k}")
    if x[k] <= 0:
        raise ValueError(f"x: expected its {k + 1} largest numbers to be positive, got {x[k]:g}")
    excess = np.log(x[:k] / x[k]).mean()
    return float(1.0 / excess) if excess > 0 else float("inf")


def qq_normal(x, points=200):
    """Quantiles of x, standardized, against those of a normal law: (theoretical (points,), observed (points,))."""
    levels = (np.arange(as_count("points", points)) + 0.5) / points
    return np.array([NORMAL.inv_cdf(level) for level in levels.tolist()]), np.quantile(standardized(_sample(x)), levels)


def mode(x, points=200):
    """Where a Gaussian kernel estimate of the density is largest; width 0.9 min(std, IQR / 1.34) n^(-1/5) (Silverman 1986)."""
    x = _sample(x)
    low, high = np.quantile(x, [0.25, 0.75])
    width = 0.9 * min(x.std(), (high - low) / 1.34) * len(x) ** -0.2
    if not width > 0:
        return float(np.median(x))
    at = np.linspace(x.min(), np.quantile(x, 0.95), as_count("points", points))
    return float(at[np.argmax([np.exp(-0.5 * ((x - a) / width) ** 2).sum() for a in at])])


def statistics(x, ks=(50, 100, 200, 500)):
    """All of the above in one dictionary of plain numbers, with quantiles; Hill only for k < len(x)."""
    levels = (0.0, 0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0)
    return {
        "mode": mode(x), "mean": float(np.mean(x)), "standard_deviation": float(np.std(x)), "skewness": skewness(x),
        "excess_kurtosis": excess_kurtosis(x), "p99.9_over_p50": tail_ratio(x),
        "minimum": float(np.min(x)), "maximum": float(np.max(x)),
        "hill": {str(k): hill(x, k) for k in ks if k < len(x)},
        "quantiles": dict(zip(map(str, levels), np.quantile(x, levels).tolist(), strict=True)),
    }  # fmt: skip
