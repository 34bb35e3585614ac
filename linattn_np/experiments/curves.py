"""Series of several seeds as plain numbers: made with medians and quartiles, and read again from a figure's JSON.

A curve is {"iterations", "lower_quartile", "median", "upper_quartile", "each_seed"}; a run that diverged counts from there on as
infinite, so that a median says so instead of speaking for the survivors.
"""

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._types import Array
from ..measures.landscape import robust_condition_number
from .scale import Scale, quartiles

STATISTICS = ("median", "lower_quartile", "upper_quartile", "mean", "std", "geometric_mean")
HUGE = 1e300  # stands for infinity where one number is subtracted from another
Curve = dict[str, Any]
Numbers = dict[str, Any]  # plain numbers, ready for JSON


def curve(times: Any, values: Any, each_seed: bool = True) -> Curve:
    """Quartiles over seeds of (seeds, T), and each seed's numbers; NaN is no number, infinity one above all others."""
    bounded = np.where(np.isinf(values), HUGE, values)  # so that no quartile is the difference of two infinities
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where no seed has a number, NaN says so
        found = quartiles(bounded)
    low, middle, high = np.where(found > 1e-3 * HUGE, np.inf, found)
    return {
        "iterations": np.asarray(times).tolist(), "lower_quartile": low.tolist(), "median": middle.tolist(),
        "upper_quartile": high.tolist(), **({"each_seed": np.asarray(values).tolist()} if each_seed else {}),
    }  # fmt: skip


def band(values: Curve) -> Array:
    """A curve's quartiles (3, T) for ``plotting.median_band``; NaN where a JSON file has null."""
    return np.array([values["lower_quartile"], values["median"], values["upper_quartile"]], float)


# ---------------------------------------------------------------- losses


def loss_curves(trained: Sequence[Any], pairs: Sequence[tuple[Array, Array]], scale: Scale) -> Numbers:
    """Curves from histories and the (times, losses) of each: test loss, and the median of the fresh batches between two times."""
    times, tested = on_common_times(pairs, scale, np.inf)
    return {
        "diverged_at": [history.diverged_at for history in trained],
        "test": curve(times, finite_or_infinite(tested)),
        "fresh": curve(times[1:], finite_or_infinite(fresh_losses(trained, times))),
    }


def on_common_times(pairs: Sequence[tuple[Array, Array]], scale: Scale, missing: float = np.nan) -> tuple[Array, Array]:
    """Losses of all seeds at the same times, (T,) and (seeds, T); ``missing`` where a run that diverged has none."""
    times = np.array(sorted({*range(0, scale.steps + 1, scale.test_every), scale.steps}))
    losses = np.full((len(pairs), len(times)), missing)
    for row, (at, values) in zip(losses, pairs, strict=True):
        known = np.isin(at, times)  # the last snapshot of a run that diverged may lie between
        row[np.searchsorted(times, at[known])] = values[known]
    return times, losses


def fresh_losses(trained: Sequence[Any], times: Array) -> Array:
    """The median loss of the fresh batches between consecutive times (seeds, T-1): rare prompts do not move it."""
    return np.array([[np.median(h.loss[a:b]) for a, b in itertools.pairwise(times)] for h in trained])


def finite_or_infinite(losses: Array) -> Array:
    """NaN, which a loss becomes when a run has diverged, as infinity."""
    return np.where(np.isnan(losses), np.inf, losses)


# ---------------------------------------------------------------- condition numbers


def condition_numbers(diagonals: Array, **how: Any) -> Array:
    """R_med (seeds, T) from Hessian diagonals (seeds, T, p); NaN where a run that diverged has none."""
    found = np.full(diagonals.shape[:2], np.nan)
    for at in np.ndindex(found.shape):
        if np.isfinite(diagonals[at]).all():
            found[at] = robust_condition_number(diagonals[at], **how)
    return found


def condition_curves(times: Any, diagonals: Mapping[str, Array]) -> Numbers:
    """R_med (lower median) of both optimizers, its ratio, and the ratio's middle along the path: {optimizer: curve, ..}"""
    numbers = {o: condition_numbers(every) for o, every in diagonals.items()}
    ratio = numbers["SGD"] / numbers["Adam"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a seed that diverged at once has none
        middle = np.exp(np.nanmedian(np.log(ratio[:, 1:]), axis=1))  # over the times after 0, for each seed
    return {**{o: curve(times, numbers[o]) for o in diagonals}, "ratio": curve(times, ratio), "middle_ratio": spread(middle)}


# ---------------------------------------------------------------- one number for each seed


def spread(values: Any) -> Numbers:
    """The numbers of each seed in short: median, quartiles, mean, standard deviation (over n - 1), geometric mean, and
    themselves.

    The geometric mean, which is that of a ratio and of its inverse alike, is there where all numbers are above 0.
    """
    values = np.asarray(values, float)
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return {**dict.fromkeys(STATISTICS), "each_seed": [None] * len(values)}
    low, middle, high = np.quantile(finite, [0.25, 0.5, 0.75]).tolist()
    std = float(finite.std(ddof=1)) if len(finite) > 1 else 0.0
    return {
        "median": middle, "lower_quartile": low, "upper_quartile": high, "mean": float(finite.mean()), "std": std,
        "geometric_mean": float(np.exp(np.log(finite).mean())) if (finite > 0).all() else None,
        "each_seed": values.tolist(),
    }  # fmt: skip


def each_seed(values: Curve, iteration: int | None = None) -> Array:
    """The numbers of each seed at an iteration of a curve, or at its end; NaN where there is none."""
    if iteration is None:
        return np.array([numbers_or_nan(row)[-1] for row in values["each_seed"]])
    if iteration not in values["iterations"]:
        return np.full(len(values["each_seed"]), np.nan)
    k = values["iterations"].index(iteration)
    return np.array([numbers_or_nan(row)[k] for row in values["each_seed"]])


def last_tenth(values: Curve) -> Array:
    """The median of each seed's last tenth of a curve: one spike decides nothing."""
    rows = np.array([numbers_or_nan(row) for row in values["each_seed"]])
    return np.median(rows[:, -max(1, rows.shape[1] // 10) :], axis=1)


def numbers_or_nan(values: Sequence[float | None]) -> list[float]:
    """JSON writes None where a seed has no finite number."""
    return [float("nan") if value is None else value for value in values]
