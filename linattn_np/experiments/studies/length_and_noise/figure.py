"""Lengths, noise and the number of prompts: what is run, and what is kept in the JSON."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...._types import Array
from ....training.runs import RunFolder
from ...curves import Numbers
from ...measured import kept_each
from ...scale import Scale
from . import few_numbers, label_noise, lengths, many_prompts, training
from .claims import CLAIMS
from .panels import ALT, draw
from .readers import noisy, of_seeds
from .size import few_of, in_words, size_of

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "Length, noise and the number of prompts: what a trained model does where it was not trained"
SECONDS = {"paper": 220, "quick": 9}
BAYES = label_noise.FACTORS.index(1.0)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return in_words(size_of(scale))


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train, test, compare and fit: plain numbers, ready for JSON; NaN where a run is lost."""
    size = size_of(scale)
    seeds = size.all_seeds

    def each(what: str, function: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> list[dict[str, Array]]:
        told = [{"arguments": list(map(repr, asked))} for asked in arguments]
        return kept_each(folder, f"length_and_noise_{what}", told, function, arguments, what.replace("_", " "), progress)

    rates = training.search(each, size)
    found: Numbers = {"sizes": sizes(scale), "seeds_used": seeds, "rates": {"tried": training.RATES} | rates}
    runs = each("one_layer", lengths.one_layer, [(seed, size) for seed in seeds])
    found["one_layer"] = {"trained": lengths.ONE_TRAINED, "tested": lengths.ONE_TESTED} | together(runs)
    found["lengths"] = {"tested": lengths.TESTED}
    for n, schedule in lengths.CASES:
        rate = rates[f"length, {schedule}"]["rate"]
        runs = each("lengths", lengths.three_layers, [(seed, n, schedule, rate, size) for seed in seeds])
        cell = together([{k: v for k, v in run.items() if k != "means"} for run in runs])
        cell["median"] = np.median(of_seeds(cell.pop("medians")), axis=2).tolist()
        found["lengths"][f"{n}, {schedule}"] = cell
    rate = rates["length, linear"]["rate"]
    found["exchanged"] = together(each("exchanged", lengths.exchanged, [(seed, rate, size) for seed in seeds]))
    found["noise"] = {}
    for case, (d, noise, ns) in label_noise.CASES.items():
        for way in label_noise.WAYS[case]:
            rate = training.FIXED if way == "fixed rate" else rates[f"noise, {way}"]["rate"]
            schedule = "constant" if way == "constant" else "linear"
            asked = [(seed, d, noise, n, schedule, rate, size) for seed in seeds for n in ns]
            runs = each("noise", label_noise.compared, asked)
            found["noise"][f"{case}, {way}"] = {"n": ns, "d": d, "noise": noise} | in_short(runs, len(seeds))
    found["many"] = {}
    for d, n in many_prompts.CASES:
        penalties = many_prompts.PENALTIES if (d, n) == (5, 20) else (0.0,)
        runs = each("many_prompts", many_prompts.least_norm, [(seed, d, n, penalties, size) for seed in seeds])
        found["many"][f"{d}, {n}"] = {"counts": many_prompts.counts(d, n), "penalties": penalties} | together(runs)
    few = [(seed, N, size) for seed in seeds[: size.many[1]] for N in many_prompts.THREE_COUNTS]
    runs = each("three_layers_on_N", many_prompts.three_layers, few)
    table = np.array([run["found"] for run in runs]).reshape(-1, len(many_prompts.THREE_COUNTS), 4)
    runs = each("few_numbers", few_numbers.best, [(seed, *case, *few_of(scale)) for seed in seeds for case in few_numbers.CASES])
    found["few"] = {"cases": few_numbers.CASES} | {
        name: np.array([pick(run["ratio"]) for run in runs]).reshape(len(seeds), -1).tolist()
        for name, pick in (("best", np.min), ("median", np.median))
    }
    names = ("training", "median", "mean", "top")
    found["three"] = {"counts": many_prompts.THREE_COUNTS} | {name: table[..., k].tolist() for k, name in enumerate(names)}
    return found


def together(runs: list[dict[str, Array]]) -> Numbers:
    """The arrays of all seeds, each under its name."""
    return {name: np.array([run[name] for run in runs]).tolist() for name in runs[0]}


def in_short(runs: list[dict[str, Array]], seeds: int) -> Numbers:
    """Noisy labels: medians over batches, and means over all prompts, each (seeds, lengths, ..)."""
    rows: dict[str, list[Any]] = {}
    for run in runs:
        bayes = run["ridge"][BAYES]
        for name, value in {
            "ratio": np.median(run["trained"] / bayes), "trained_loss": np.median(run["trained"]),
            "ridge_loss": np.median(run["ridge"], axis=1), "trained_mean": run["trained"].mean(), "bayes_mean": bayes.mean(),
            "least_squares_mean": run["least_squares"].mean(), "trained_median": np.median(run["trained_median"]),
            "bayes_median": np.median(run["ridge_median"][BAYES]), "least_squares_median": np.median(run["least_squares_median"]),
            "distance": np.median(run["distance"], axis=1), "top": run["top"],
        }.items():  # fmt: skip
            rows.setdefault(name, []).append(value)
    return {name: np.array(row).reshape(seeds, -1, *np.shape(row[0])).tolist() for name, row in rows.items()}


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [numbers["sizes"]]
    lines.append("rates: " + ", ".join(
        f"{name} {found['rate']:g}" + (" (at the edge of the search)" if found["at_the_edge"] else "")
        for name, found in numbers["rates"].items() if name != "tried"
    ))  # fmt: skip
    for n, schedule in lengths.CASES:
        cell = numbers["lengths"][f"{n}, {schedule}"]
        middle = np.nanmedian(of_seeds(cell["median"]), axis=0)
        lost = int((~np.isfinite(of_seeds(cell["median"]))).any(axis=1).sum())
        shown = ", ".join(f"{m:.2g} at {k}" for k, m in zip(lengths.TESTED, middle, strict=True))
        lines.append(f"trained at {n}, {schedule}: medians {shown}" + (f"; {lost} runs lost" if lost else ""))
    for case, found in numbers["noise"].items():
        ratio = np.nanmedian(noisy(numbers, case, "ratio", tuple(found["n"])), axis=0)
        lines.append(f"{case}: over Bayes " + ", ".join(f"{r:.3f} at n = {n}" for n, r in zip(found["n"], ratio, strict=True)))
    few = zip(numbers["few"]["cases"], np.nanmedian(of_seeds(numbers["few"]["best"]), axis=0), strict=True)
    lines.append("best numbers over Bayes: " + ", ".join(
        f"{ratio:.4f} ({layers} layers, noise {noise:g}, n = {n})" for (layers, _, noise, n), ratio in few
    ))  # fmt: skip
    three = numbers["three"]
    for name in ("median", "mean"):
        row = np.nanmedian(of_seeds(three[name]), axis=0)
        lines.append(
            f"three layers on N prompts, no claim: {name} test error "
            + ", ".join(f"{m:.2g} at {N}" for N, m in zip(three["counts"], row, strict=True))
        )
    return "\n".join(lines)
