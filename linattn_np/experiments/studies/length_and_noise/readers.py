"""The numbers of the claims, each read from the figure's JSON."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...._types import Array
from ...curves import Numbers, spread
from . import label_noise, lengths, theory


def of_seeds(entry: Any) -> Array:
    """Nested lists of a JSON file as numbers, null as NaN."""
    return np.array(entry, float)


def extreme(rows: Array, pick: Callable[[Array], Any], name: str) -> Numbers:
    """The number that is picked from each seed's row (seeds, ..), and ``name``: the one picked of them all, so that a rule holds
    for all. A seed without a number of its own (a lost run) has none.
    """
    picked = [pick(row.ravel()) if np.isfinite(row).all() else np.nan for row in rows]
    finite = [one for one in picked if np.isfinite(one)]
    return spread(picked) | {name: float(pick(np.array(finite))) if finite else None}


def largest(rows: Array) -> Numbers:
    """The largest of each seed's row, and of all."""
    return extreme(rows, np.max, "largest")


def smallest(rows: Array) -> Numbers:
    """The smallest of each seed's row, and of all."""
    return extreme(rows, np.min, "smallest")


def farthest(rows: Array, target: float) -> Numbers:
    """The one of each seed's row that is farthest from a target, and of all."""
    return extreme(rows, lambda row: row[np.abs(row - target).argmax()], "farthest")


# ---------------------------------------------------------------- lengths


def formula(numbers: Numbers) -> Array:
    """(31.4) with the gain (31.5): (trained lengths, tested lengths)."""
    found, d = numbers["one_layer"], lengths.D
    return np.array([[theory.one_layer_loss(theory.gain(n, d), d, m) for m in found["tested"]] for n in found["trained"]])


def one_layer(numbers: Numbers) -> Numbers:
    """The largest relative distance of a trained layer's loss from the formula."""
    return largest(np.abs(of_seeds(numbers["one_layer"]["loss"]) / formula(numbers) - 1))


def one_layer_in_words(numbers: Numbers) -> str:
    """Where the control lands: the formula with a gain that is fitted to the tested length."""
    found, d = numbers["one_layer"], lengths.D
    refitted = np.array([[theory.one_layer_loss(theory.gain(m, d), d, m) for m in found["tested"]] for _ in found["trained"]])
    off = np.abs(of_seeds(found["loss"]) / refitted - 1).max(axis=(1, 2))
    return f"control: a gain for the tested length is off by up to {np.median(off):.2g}"


def at(numbers: Numbers, case: str, what: str, n: int) -> Array:
    """A number of a case of three layers on prompts of n examples: (seeds,)"""
    return of_seeds(numbers["lengths"][case][what])[:, lengths.TESTED.index(n)]


def longer(numbers: Numbers, case: str) -> Numbers:
    """The mean loss at 40 over that at the training length 20."""
    return largest((at(numbers, case, "mean", 40) / at(numbers, case, "mean", 20))[:, None])


def short_mean(numbers: Numbers, case: str, what: str = "mean") -> Numbers:
    """The mean loss at 5, or what is left of it by a control."""
    return smallest(at(numbers, case, what, 5)[:, None])


def short_median(numbers: Numbers, case: str) -> Numbers:
    """The median squared error at 5."""
    return largest(at(numbers, case, "median", 5)[:, None])


def inside(numbers: Numbers, case: str) -> Numbers:
    """The mean loss at 5 over prompts in the window."""
    return farthest(at(numbers, case, "inside", 5)[:, None], 0.75)


def inside_in_words(numbers: Numbers, case: str) -> str:
    """How many prompts are removed, and the window."""
    found = numbers["lengths"][case]
    return (
        f"{np.median(at(numbers, case, 'removed', 5)):.0%} of the prompts removed, those whose largest eigenvalue is above "
        f"{np.median(of_seeds(found['window'])):.2f}"
    )


def top(numbers: Numbers, case: str) -> Numbers:
    """The share of one prompt in the sum of all squared errors at 5."""
    return spread(at(numbers, case, "top", 5))


def polynomial(numbers: Numbers, case: str) -> Numbers:
    """sum_k r(lambda_k)^2 over the measured loss inside the window at 5, 7 and 10: the farthest from 1."""
    ratio = [at(numbers, case, "predicted", n) / at(numbers, case, "inside", n) for n in (5, 7, 10)]
    return farthest(np.array(ratio).T, 1.0)


def exchanged(numbers: Numbers) -> Numbers:
    """The median error on 5 examples that have the spectra of 20, over that on 20."""
    median = of_seeds(numbers["exchanged"]["median"])
    return spread(median[:, 2] / median[:, 0])


def exchanged_long(numbers: Numbers) -> Numbers:
    """The mean error on 160 examples that have the spectra of 5."""
    return smallest(of_seeds(numbers["exchanged"]["mean"])[:, 3:])


def exchanged_in_words(numbers: Numbers) -> str:
    """Medians of the four kinds of prompts."""
    middle = np.nanmedian(of_seeds(numbers["exchanged"]["median"]), axis=0)
    return "medians: 20 examples {:.2g}, 5 {:.2g}, 5 with spectra of 20 {:.2g}, 160 with spectra of 5 {:.2g}".format(*middle)


# ---------------------------------------------------------------- noise


def noisy(numbers: Numbers, case: str, what: str, ns: tuple[int, ...]) -> Array:
    """A number of a case of noisy labels at some lengths: (seeds, lengths, ..)"""
    found = numbers["noise"][case]
    return of_seeds(found[what])[:, [found["n"].index(n) for n in ns]]


def peak(numbers: Numbers, case: str, ns: tuple[int, int, int]) -> Numbers:
    """The median error of least squares at the middle n over the larger of its neighbours'."""
    found = noisy(numbers, case, "least_squares_median", ns)
    return smallest((found[:, 1] / found[:, [0, 2]].max(axis=1))[:, None])


def means_in_words(numbers: Numbers, case: str, n: int) -> str:
    """What the sample means of least squares are, where the mean is infinite."""
    found = noisy(numbers, case, "least_squares_mean", (n,))
    return f"its mean is infinite at n = d - 1, d, d + 1; samples of n = d gave {found.min():.2g} to {found.max():.2g}"


def over_bayes(numbers: Numbers, case: str, ns: tuple[int, ...]) -> Numbers:
    """The trained model's loss over Bayes', the median over batches: the largest of the lengths."""
    return largest(noisy(numbers, case, "ratio", ns))


def over_bayes_in_words(numbers: Numbers, case: str, ns: tuple[int, ...]) -> str:
    """The same from the means over all prompts, which one rare prompt can move."""
    whole = noisy(numbers, case, "trained_mean", ns) / noisy(numbers, case, "bayes_mean", ns)
    lost = int((~np.isfinite(whole)).any(axis=1).sum())
    return f"ratio of the means of all prompts up to {np.nanmax(whole):.3g}" + (f"; {lost} runs lost" if lost else "")


def nearest(numbers: Numbers, case: str) -> Numbers:
    """The share of lengths at which, of all five ridges, Bayes' answers are nearest to the trained model's."""
    distance = of_seeds(numbers["noise"][case]["distance"])
    right = np.argmin(distance, axis=2) == label_noise.FACTORS.index(1.0)
    return smallest(np.where(np.isfinite(distance).all(axis=2), right, np.nan).mean(axis=1, keepdims=True))


def nearest_in_words(numbers: Numbers, case: str) -> str:
    """Median distances."""
    middle = np.nanmedian(of_seeds(numbers["noise"][case]["distance"]), axis=(0, 1))
    each = ", ".join(f"{one:.3f} (x{factor:g})" for factor, one in zip(label_noise.FACTORS, middle, strict=True))
    return f"median squared distance to ridge: {each}"


def no_peak(numbers: Numbers, case: str) -> Numbers:
    """The trained model's loss at n = 5 over that at 4."""
    found = noisy(numbers, case, "trained_loss", (4, 5))
    return largest((found[:, 1] / found[:, 0])[:, None])


def few(numbers: Numbers, layers: int, noise: float, ns: tuple[int, ...]) -> Array:
    """The least loss that layers of two numbers reach on the spectrum alone, over Bayes': (seeds, lengths)"""
    cases = [tuple(case) for case in numbers["few"]["cases"]]
    return of_seeds(numbers["few"]["best"])[:, [cases.index((layers, 5, noise, n)) for n in ns]]


def few_over_bayes(numbers: Numbers, noise: float, ns: tuple[int, ...]) -> Numbers:
    """The largest of it over the lengths, three layers."""
    return largest(few(numbers, 3, noise, ns))


def few_in_words(numbers: Numbers, noise: float, ns: tuple[int, ...]) -> str:
    """Where other starts end."""
    cases = [tuple(case) for case in numbers["few"]["cases"]]
    middle = np.median(of_seeds(numbers["few"]["median"])[:, [cases.index((3, 5, noise, n)) for n in ns]], axis=0)
    return "the median start ends at " + ", ".join(f"{value:.3f} (n = {n})" for n, value in zip(ns, middle, strict=True))


def few_share(numbers: Numbers) -> Numbers:
    """At noise 0.5: what the best numbers miss over what the trained model misses, the smallest of the lengths."""
    ns = (4, 5, 6)
    return smallest((few(numbers, 3, 0.5, ns) - 1) / (noisy(numbers, "less noise, linear", "ratio", ns) - 1))


def few_layers(numbers: Numbers) -> Numbers:
    """What L layers of two numbers miss over what L + 1 miss, at noise 0.5 and n = 6: the smallest of L = 1, 2, 3."""
    missed = np.concatenate([few(numbers, layers, 0.5, (6,)) for layers in (1, 2, 3, 4)], axis=1) - 1
    return smallest(missed[:, :-1] / missed[:, 1:])


def few_layers_in_words(numbers: Numbers) -> str:
    """The same as ratios to Bayes."""
    return "over Bayes: " + ", ".join(
        f"{np.median(few(numbers, layers, 0.5, (6,))):.3f} with {layers}" for layers in (1, 2, 3, 4)
    )
