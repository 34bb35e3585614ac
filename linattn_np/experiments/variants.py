"""What is measured of each variant of data or model: losses, gradient noise at initialization, robust condition number."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from .._types import Array
from ..batches import generators
from ..measures.noise import gaussian_norms, measure_noise, noise_vectors, statistics
from ..measures.noise import qq_normal as normal_quantiles
from ..models.transformer import init_params
from ..prompts import RegressionTask
from ..training.loop import losses_along
from ..training.runs import Run, RunFolder
from .curves import Numbers, condition_curves, last_tenth, loss_curves, spread
from .measured import hessians, kept, table
from .scale import Scale, histories, runs_of, test_batch
from .settings import OPTIMIZERS, Setting

POINTS, BINS = 100, 50  # of the quantile plot, and of the histogram


def losses(folder: RunFolder, setting: Setting, scale: Scale, progress: bool | None = None) -> dict[str, Numbers]:
    """{optimizer: learning rate, divergences, test loss and the loss of fresh batches as curves}"""
    found, test = {}, test_batch(setting.task)
    for o in OPTIMIZERS:
        trained = histories(folder, runs_of(setting, o, scale), f"{o} on {setting.title}", progress)
        pairs = [losses_along(history, *test, every=scale.test_every) for history in trained]
        found[o] = {"learning_rate": setting.learning_rates[o], **loss_curves(trained, pairs, scale)}
    return found


def noise(folder: RunFolder, setting: Setting, scale: Scale, progress: bool | None = None) -> Numbers:
    """The norm of the noise of batches of ``scale.batch`` prompts at each seed's initialization, beside its Gaussian control."""
    samples = []
    for seed in range(scale.seeds):
        x = init_params(generators(seed, 1)[0], setting.layers, setting.task.d, std=Run(setting.task, None).std)
        arrays = kept(
            folder, "noise-of-variant", noise_description(setting, seed, scale),
            partial(noise_arrays, x, setting.task, seed, scale, progress),
        )  # fmt: skip
        control = gaussian_norms(arrays["spectrum"], scale.noise_draws, np.random.default_rng([seed, 1]))
        samples.append((arrays["norms"], control))
    return noise_summary(samples)


def noise_description(setting: Setting, seed: int, scale: Scale) -> Numbers:
    """Everything that decides the numbers of one seed's noise."""
    return {
        "task": vars(setting.task), "layers": setting.layers, "seed": seed, "batch": scale.batch, "draws": scale.noise_draws,
    }  # fmt: skip


def noise_arrays(x: Array, task: RegressionTask, seed: int, scale: Scale, progress: bool | None) -> dict[str, Array]:
    """The norms, and the eigenvalues of the noise's second moment.

    With fewer draws than parameters those come from the products of the draws with each other, whose eigenvalues are the same.
    They are then spread wider than the true ones, which makes the control's tail heavier, never lighter.
    """
    if x.size > scale.noise_draws:
        e = noise_vectors(x, task, scale.batch, scale.noise_draws, np.random.default_rng([seed, 0]))
        return {"norms": np.sqrt((e * e).sum(axis=1)), "spectrum": np.maximum(np.linalg.eigvalsh(e @ e.T / len(e)), 0.0)}
    measured = measure_noise(x, task, scale.batch, scale.noise_draws, np.random.default_rng([seed, 0]), progress=progress)
    return {"norms": measured.norms, "spectrum": measured.spectrum}


def noise_summary(samples: Sequence[tuple[Array, Array]]) -> Numbers:
    """Statistics over seeds, the quantile plot and the histogram in units of the median, from (norms, control) of each seed."""
    each = [[statistics(x, ks=(100,)) for x in pair] for pair in samples]
    keys = ("mode", "minimum", "maximum", "skewness", "excess_kurtosis", "p99.9_over_p50")
    found: Numbers = {
        law: {key: spread([row[which][key] for row in each]) for key in keys} for which, law in enumerate(("noise", "control"))
    }
    for which, law in enumerate(("noise", "control")):
        found[law]["qq"] = np.median([normal_quantiles(pair[which], POINTS)[1] for pair in samples], axis=0).tolist()
    scaled = [norms / np.median(norms) for norms, _ in samples]
    low, high = np.quantile(np.concatenate(scaled), [0.0, 0.997])
    edges = np.linspace(low, high, BINS + 1)
    density = np.median([np.histogram(x, edges)[0] / (len(x) * np.diff(edges)) for x in scaled], axis=0)
    found["normal_quantiles"] = normal_quantiles(np.arange(2.0), POINTS)[0].tolist()
    found["histogram"] = {"edges": edges.tolist(), "density": density.tolist()}
    return found


def condition(folder: RunFolder, setting: Setting, scale: Scale, progress: bool | None = None) -> Numbers:
    """R_med (lower median) along both paths and its ratio, from exact Hessians, as ``curves.condition_curves`` gives them."""
    times = np.arange(0, scale.steps + 1, scale.hessian_every)
    diagonals = {o: table(hessians(folder, setting, o, scale, progress), "diagonals", times) for o in OPTIMIZERS}
    return condition_curves(times, diagonals)


# ---------------------------------------------------------------- read again from a figure's JSON


def gap(panel: Numbers, kind: str = "fresh") -> Array:
    """SGD's loss over Adam's, the median of the last tenth of the run, seed by seed."""
    return last_tenth(panel["SGD"][kind]) / last_tenth(panel["Adam"][kind])


def tails(panel: Numbers, law: str = "noise") -> Array:
    """p99.9 / p50 of the noise or of its Gaussian control, seed by seed."""
    return np.array(panel["noise"][law]["p99.9_over_p50"]["each_seed"])


def noise_statistic(panel: Numbers, statistic: str) -> Any:
    """A statistic of the noise norm, as ``curves.spread`` gives it."""
    return panel["noise"]["noise"][statistic]
