"""What is measured of each variant of data or model: losses, gradient noise at initialization, robust condition number."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
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
from .curves import Numbers, condition_curves, condition_numbers, curve, last_tenth, loss_curves, spread
from .measured import kept_each, table
from .robust import (
    TIMES,
    Batches,
    batches_of_seeds,
    condition_alone,
    condition_of_median,
    diagonals,
    fixed_batch,
    judged,
    middle,
    on_batches,
    setting_on_batches,
)
from .robust import losses as robust_losses
from .scale import Scale, histories, runs_of, test_batch, train_side_by_side
from .settings import OPTIMIZERS, Setting

POINTS, BINS = 100, 50  # of the quantile plot, and of the histogram
RUNNING = 51  # iterations of a running median


def losses(folder: RunFolder, setting: Setting, scale: Scale, progress: bool | None = None) -> dict[str, Numbers]:
    """{optimizer: learning rate, divergences, test loss and the loss of fresh batches as curves}"""
    found, test = {}, test_batch(setting.task)
    train_side_by_side(folder, [runs_of(setting, o, scale) for o in OPTIMIZERS], setting.title, progress)
    for o in OPTIMIZERS:
        trained = histories(folder, runs_of(setting, o, scale), f"{o} on {setting.title}", progress)
        pairs = [losses_along(history, *test, every=scale.test_every) for history in trained]
        found[o] = {"learning_rate": setting.learning_rates[o], **loss_curves(trained, pairs, scale)}
    return found


def noise(folder: RunFolder, setting: Setting, scale: Scale, progress: bool | None = None, controls: int = 1) -> Numbers:
    """The norm of the noise of batches of ``scale.batch`` prompts at each seed's initialization, beside its Gaussian control.

    The control has ``controls`` times as many draws.
    """
    given = []
    for seed in range(scale.seeds):
        x = init_params(generators(seed, 1)[0], setting.layers, setting.task.d, std=Run(setting.task, None).std)
        given.append((x, setting.task, seed, scale))
    descriptions = [noise_description(setting, seed, scale) for seed in range(scale.seeds)]
    label = f"gradient noise, {setting.title}"
    every = kept_each(folder, "noise-of-variant", descriptions, noise_arrays, given, label, progress)
    draws = controls * scale.noise_draws
    return noise_summary([
        (arrays["norms"], gaussian_norms(arrays["spectrum"], draws, np.random.default_rng([seed, 1])))
        for seed, arrays in enumerate(every)
    ])  # fmt: skip


def noise_description(setting: Setting, seed: int, scale: Scale) -> Numbers:
    """Everything that decides the numbers of one seed's noise."""
    return {
        "task": vars(setting.task), "layers": setting.layers, "seed": seed, "batch": scale.batch, "draws": scale.noise_draws,
    }  # fmt: skip


def noise_arrays(x: Array, task: RegressionTask, seed: int, scale: Scale) -> dict[str, Array]:
    """The norms, and the eigenvalues of the noise's second moment.

    With fewer draws than parameters those come from the products of the draws with each other, whose eigenvalues are the same.
    They are then spread wider than the true ones, which makes the control's tail heavier, never lighter.
    """
    if x.size > scale.noise_draws:
        e = noise_vectors(x, task, scale.batch, scale.noise_draws, np.random.default_rng([seed, 0]))
        return {"norms": np.sqrt((e * e).sum(axis=1)), "spectrum": np.maximum(np.linalg.eigvalsh(e @ e.T / len(e)), 0.0)}
    measured = measure_noise(x, task, scale.batch, scale.noise_draws, np.random.default_rng([seed, 0]), progress=False)
    return {"norms": measured.norms, "spectrum": measured.spectrum}


def noise_summary(samples: Sequence[tuple[Array, Array]]) -> Numbers:
    """Statistics over seeds, the quantile plot and the histogram in units of the median, from (norms, control) of each seed."""
    each = [[statistics(x, ks=(100,)) for x in pair] for pair in samples]
    keys = ("mode", "minimum", "maximum", "skewness", "excess_kurtosis", "p99.9_over_p50")
    found: Numbers = {
        law: {key: spread([row[which][key] for row in each]) for key in keys} for which, law in enumerate(("noise", "control"))
    }
    for which, law in enumerate(("noise", "control")):
        pooled = np.concatenate([pair[which] / np.median(pair[which]) for pair in samples])
        found[law]["pooled_p99.9_over_p50"] = float(np.quantile(pooled, 0.999))
        found[law]["qq"] = np.median([normal_quantiles(pair[which], POINTS)[1] for pair in samples], axis=0).tolist()
    scaled = [norms / np.median(norms) for norms, _ in samples]
    low, high = np.quantile(np.concatenate(scaled), [0.0, 0.997])
    edges = np.linspace(low, high, BINS + 1)
    density = np.median([np.histogram(x, edges)[0] / (len(x) * np.diff(edges)) for x in scaled], axis=0)
    found["normal_quantiles"] = normal_quantiles(np.arange(2.0), POINTS)[0].tolist()
    found["histogram"] = {"edges": edges.tolist(), "density": density.tolist()}
    return found


def condition(folder: RunFolder, setting: Setting, scale: Scale, progress: bool | None = None) -> Numbers:
    """R_med (lower median) along both paths and its ratio, on the fixed batch, as ``curves.condition_curves`` gives them."""
    times, batches = np.arange(0, scale.steps + 1, scale.hessian_every), fixed_batch()
    found = {
        o: table(setting_on_batches(folder, setting, o, scale, diagonals, times.tolist(), batches, progress), "diagonals", times)
        for o in OPTIMIZERS
    }
    return condition_curves(times, {o: every[:, :, 0] for o, every in found.items()})


# ---------------------------------------------------------------- how much sooner, and the condition number on many test batches


def speed_up(folder: RunFolder, setting: Setting, scale: Scale, times: Sequence[int], progress: bool | None = None) -> Numbers:
    """How many times sooner Adam reaches the loss that SGD has at each of the times: {"t": numbers of the seeds}

    A ratio of final losses is limited by where each task lets a loss fall to; this one is at equal loss. The loss is that of
    fresh batches, the median over RUNNING iterations around each, so that rare prompts do not move it; NaN where Adam never
    reaches it.
    """
    running = {}
    for o in OPTIMIZERS:
        trained = histories(folder, runs_of(setting, o, scale), f"{o} on {setting.title}", progress)
        running[o] = [running_median(history.loss) for history in trained]
    return {
        str(t): spread([t / sooner if (sooner := first_below(adam, sgd[min(t, len(sgd)) - 1])) else np.nan
                        for sgd, adam in zip(running["SGD"], running["Adam"], strict=True)])
        for t in times if t <= scale.steps
    }  # fmt: skip


def running_median(losses: Array) -> Array:
    """The median over RUNNING losses around each; at the ends over those that there are."""
    half = RUNNING // 2
    padded = np.pad(losses, half, constant_values=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where a run diverged there is none
        return np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, RUNNING), axis=1)


def first_below(losses: Array, bound: float) -> int:
    """The number of the first iteration whose loss is at most a bound; 0 where there is none."""
    there = np.flatnonzero(losses <= bound)
    return int(there[0]) + 1 if len(there) else 0


def ends(folder: RunFolder, setting: Setting, scale: Scale, batches: Batches, progress: bool | None = None) -> dict[str, Numbers]:
    """{optimizer: the loss at the end}: the median over the last tenth of the run, and over test batches; on each alone beside
    it.
    """
    last, found = range(scale.steps - scale.steps // 10, scale.steps + 1), {}
    times = [t for t in last if t % (5 * scale.record_every) == 0] or [scale.steps]
    for o in OPTIMIZERS:
        every = table(setting_on_batches(folder, setting, o, scale, robust_losses, times, batches, progress), "losses", times)
        found[o] = judged(np.median(middle(every, batches), axis=1), np.median(every, axis=1), batches)
    return found


def at_equal_rates(
    folder: RunFolder, setting: Setting, scale: Scale, times: Sequence[int], progress: bool | None = None
) -> Numbers:
    """R_med of both optimizers early on, and its ratio: short runs of many seeds at the setting's own rates.

    Every seed is measured on a test batch of its own; ``middle_ratio`` is the geometric mean over the times, seed by seed.
    """
    times = [t for t in times if t <= scale.steps] or [scale.steps]
    short = replace(scale, steps=max(times), seeds=max(scale.seeds, scale.table_seeds), record_every=int(np.gcd.reduce(times)))
    R, runs = {}, {o: runs_of(setting, o, short) for o in OPTIMIZERS}
    train_side_by_side(folder, runs.values(), f"{setting.title}, equal rates", progress)
    for o in OPTIMIZERS:
        label = f"{o} on {setting.title}, equal rates"
        found = on_batches(folder, runs[o], diagonals, times, batches_of_seeds(short), label, progress)
        R[o] = condition_numbers(table(found, "diagonals", times)[:, :, 0])  # (seeds, T)
    ratio = R["SGD"] / R["Adam"]
    each = [spread(column) for column in ratio.T]
    return {
        "iterations": times, "learning_rates": setting.learning_rates, **{o: curve(times, R[o]) for o in OPTIMIZERS},
        "ratio": {str(t): row for t, row in zip(times, each, strict=True)},
        "middle_ratio": spread(np.exp(np.log(ratio).mean(axis=1))),
    }  # fmt: skip


def robust_condition(
    folder: RunFolder, setting: Setting, scale: Scale, batches: Batches, progress: bool | None = None
) -> Numbers:
    """R_med from the median over test batches of each H_ii, at ``robust.TIMES``, and its ratio's middle along the path."""
    times = [t for t in TIMES if t <= scale.steps]
    every = {
        o: table(setting_on_batches(folder, setting, o, scale, diagonals, times, batches, progress), "diagonals", times)
        for o in OPTIMIZERS
    }
    medians = {o: condition_of_median(every[o], batches) for o in OPTIMIZERS}  # (seeds, T)
    alone = {o: condition_alone(every[o]) for o in OPTIMIZERS}  # (seeds, T, batches)
    later = slice(1, None) if len(times) > 1 else slice(None)
    ratio, ratio_alone = (np.log(found["SGD"] / found["Adam"])[:, later] for found in (medians, alone))
    return {
        "iterations": times, **{o: curve(times, medians[o]) for o in OPTIMIZERS},
        "middle_ratio": judged(np.exp(np.nanmedian(ratio, axis=1)), np.exp(np.nanmedian(ratio_alone, axis=1)), batches),
    }  # fmt: skip


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
