"""Plateaus and their levels, waiting times, the head-count control, what is conserved, and the paper's form without a saddle."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...._types import Array
from ....models.transformer import LinearTransformer
from ....plotting import new_figure
from ....training.runs import RunFolder
from ...curves import Numbers
from ...measured import kept_each
from ...scale import Scale
from . import laws
from .claims import CLAIMS, LONG, decades, decay_clock, decay_in_words, halvings
from .conservation import by_symmetry, drift, null_space
from .moments import LAMBDA, N, levels
from .paper_form import without_p
from .size import CASES, in_words, size_of

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "Saddle to saddle: one layer with separate keys and queries learns one eigenvector after the other"
SECONDS = {"paper": 50, "quick": 8}
ALT = (
    "Eight panels. Loss of five separate heads against iteration, a line for each seed: they stand on four dashed levels, for "
    "times that differ from seed to seed, and drop from one to the next. Merged heads from five sizes of first weights: one "
    "fall, later by the same distance each. Waiting time against size of the first weights: merged along a logarithm, separate "
    "along one over the size. Control: 1 to 5 heads end on levels 1 to 4, the fifth on the fourth. Distance of each plateau from "
    "its level against how long it lasts, on moments, on moments with a rate that falls to 0, and on prompts. Conserved "
    "quantities counted by null space against "
    "symmetries, on the diagonal. Their drift against the learning rate, along a line of slope 1. In the paper's form: the "
    "gradient by P' and by Q' at the best point with P' = 0."
)
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
DASHED: dict[str, Any] = {"color": "0.3", "linestyle": "--", "linewidth": 0.9}


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return in_words(size_of(scale))


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Descend, count and compare: plain numbers, ready for JSON."""
    size = size_of(scale)
    seeds = size.all_seeds

    def one(what: str, function: Callable[..., Any], *arguments: Any) -> dict[str, Array]:
        return each(what, function, [arguments])[0]

    def each(what: str, function: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> list[dict[str, Array]]:
        descriptions = [{"arguments": list(map(repr, asked))} for asked in arguments]
        return kept_each(folder, f"saddle_to_saddle_{what}", descriptions, function, arguments, what.replace("_", " "), progress)

    found: Numbers = {"sizes": sizes(scale), "seeds_used": seeds, "levels": levels(LAMBDA, N).tolist(), "decade": laws.decade()}
    found["stds"] = {"merged": laws.MERGED_STDS, "separate": laws.SEPARATE_STDS}
    run = one("separate", laws.separate, seeds, size.separate)
    times = steps_shown(size.separate)
    found["separate"] = {"iterations": times.tolist(), "f": run["f"][:, times].tolist(), "flat": run["flat"].tolist()}
    run = one("decaying", laws.decaying, seeds, size.separate)
    found["decay"] = {
        "iterations": times.tolist(), "f": run["f"][:, times].tolist(), "flat": run["flat"].tolist(),
        "clocks": run["clocks"].tolist(),
    }  # fmt: skip
    run = one("merged", laws.merged, seeds, size.merged)
    found["merged"] = {"f": np.median(run["f"], axis=0)[:, ::2].tolist()} | {
        k: run[k].tolist() for k in ("begin", "falls", "near")
    }
    found["drops"] = one("drops", laws.first_drops, seeds, size.drops)["drops"].tolist()
    run = one("head counts", laws.head_counts, seeds, *size.counts)
    times = steps_shown(run["f"].shape[-1] - 1)
    found["counts"] = {
        "iterations": (times * laws.EVERY).tolist(), "f": np.median(run["f"], axis=0)[:, times].tolist(),
        "last": run["last"].tolist(),
        "later": run["later"].tolist(), "steps": size.counts,
    }  # fmt: skip
    runs = each("prompts", laws.separate, [((seed,), size.separate, size.prompts) for seed in seeds])
    found["prompts"] = {name: [run[name][0].tolist() for run in runs] for name in ("flat", "own")}
    runs = each("library", laws.through_library, [(seed, *size.library) for seed in seeds])
    found["library"] = {name: [run[name].item() for run in runs] for name in ("gap", "last")}
    counts = each("null spaces", counted_case, [(case,) for case in CASES[: size.cases]])
    found["conserved"] = [
        {
            "case": case,
            "count": int(run["count"]),
            "predicted": int(run["predicted"]),
            "live": int(run["live"]),
            "gap": run["gap"].tolist(),
        }
        for case, run in zip(CASES, counts, strict=False)
    ]
    runs = each("drift", drift, [(seed, size.etas, size.time, size.drift_prompts) for seed in seeds])
    found["drift"] = {"etas": size.etas} | {name: [run[name].tolist() for run in runs] for name in ("drift", "moved", "last")}
    runs = each("without P", without_p, [(seed, *size.without_p) for seed in seeds])
    found["without_p"] = {name: [run[name].tolist() for run in runs] for name in ("best", "by_P", "by_Q", "crossings")}
    return found


def steps_shown(last: int) -> Array:
    """Some 150 steps from 0 to the last, ever farther apart."""
    return np.unique(np.r_[0, np.geomspace(1, last, 150).round()].astype(int))


def counted_case(case: tuple[bool, int, int, int]) -> dict[str, Array]:
    """One size: what the null space counts and what the symmetries predict."""
    full, layers, heads, d = case
    model = LinearTransformer(d=d, layers=layers, heads=heads, full=full)
    found = null_space(model, np.random.default_rng([27, layers, heads, d]))
    return {name: np.array(value) for name, value in found.items()} | {"predicted": np.array(by_symmetry(model))}


def middle(values: Array) -> Array:
    """The median over the first axis; NaN where no seed has a number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(values, axis=0))


# ---------------------------------------------------------------- the picture


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: eight panels."""
    figure, axes = new_figure(columns=4, rows=2, width=3.8, height=3.3)
    draw_separate(axes[0, 0], numbers)
    draw_merged(axes[0, 1], numbers)
    draw_waiting(axes[0, 2], numbers)
    draw_counts(axes[0, 3], numbers)
    draw_errors(axes[1, 0], numbers)
    draw_conserved(axes[1, 1], numbers)
    draw_drift(axes[1, 2], numbers)
    draw_without_p(axes[1, 3], numbers)
    return figure


def draw_levels(ax: Axes, numbers: Numbers) -> None:
    """The levels as dashed lines."""
    for level in numbers["levels"]:
        ax.axhline(level, **DASHED)
    ax.set(ylabel="loss f", ylim=(0, 1.08))


def draw_separate(ax: Axes, numbers: Numbers) -> None:
    """Every seed of separate heads."""
    found = numbers["separate"]
    for f, color in zip(found["f"], COLORS, strict=False):
        ax.plot(found["iterations"][1:], f[1:], color=color, linewidth=1.2)
    draw_levels(ax, numbers)
    ax.set(xscale="log", xlim=(100, found["iterations"][-1]), xlabel="step", title=f"(a) separate heads, {len(found['f'])} seeds")


def draw_merged(ax: Axes, numbers: Numbers) -> None:
    """The median of merged heads from each size of the first weights."""
    for f, std, color in zip(numbers["merged"]["f"], numbers["stds"]["merged"], COLORS, strict=False):
        ax.plot(2 * np.arange(len(f)), f, color=color, linewidth=1.4, label=f"{std:g}")
    draw_levels(ax, numbers)
    ax.set(xlabel="step", title="(b) merged heads, medians")
    ax.legend(edgecolor="none", framealpha=1, fontsize=8, title="first weights")


def draw_waiting(ax: Axes, numbers: Numbers) -> None:
    """Waiting times and the two laws, each through its first point."""
    for kind, color, marker in (("merged", COLORS[0], "o"), ("separate", COLORS[1], "s")):
        stds = np.array(numbers["stds"][kind])
        waits = middle(np.array(numbers["merged"]["begin"] if kind == "merged" else numbers["drops"], float))
        law = waits[0] * stds[0] / stds if kind == "separate" else waits[0] + numbers["decade"] * np.log10(stds[0] / stds)
        ax.plot(stds, waits, marker, color=color, label=f"{kind} heads")
        ax.plot(
            stds,
            law,
            color=color,
            linewidth=1,
            label="one over the size" if kind == "separate" else f"{numbers['decade']:.1f} steps a decade",
        )
    ax.set(
        xscale="log", yscale="log", xlabel="size of the first weights", ylabel="steps before the first drop", title="(c) waiting"
    )
    ax.legend(frameon=False, fontsize=8)


def draw_counts(ax: Axes, numbers: Numbers) -> None:
    """The control."""
    found = numbers["counts"]
    for f, heads, color in zip(found["f"], laws.COUNTS, COLORS, strict=False):
        ax.plot(found["iterations"][1:], f[1:], color=color, linewidth=1.4, label=f"{heads}")
    draw_levels(ax, numbers)
    ax.set(xscale="log", xlabel="step", title="(d) control: heads, medians", xlim=(50, found["iterations"][-1]))
    ax.legend(edgecolor="none", framealpha=1, fontsize=8, title="heads", loc="lower left")


def draw_errors(ax: Axes, numbers: Numbers) -> None:
    """Distance from the level against how long a plateau lasts."""
    for kind, label, color, marker in (
        ("separate", "exact moments", COLORS[0], "o"), ("decay", "rate falls to 0", COLORS[2], "+"), ("prompts", "prompts",
            COLORS[1], "x"),
    ):  # fmt: skip
        flat = np.array(numbers[kind]["flat"], float)
        error = np.maximum(np.abs(flat[:, 2].ravel()), 1e-7)
        ax.plot(flat[:, 3].ravel(), error, marker, color=color, markersize=4, label=label)
    ax.axvline(LONG, **DASHED)
    ax.axhline(0.005, **DASHED)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="steps that the plateau lasts",
        ylabel="distance from its level, relative",
        title="(e) every plateau",
    )
    ax.legend(edgecolor="none", framealpha=1, fontsize=8, loc="lower left")


def draw_conserved(ax: Axes, numbers: Numbers) -> None:
    """Counts by two roads."""
    for full, color, marker in ((True, COLORS[0], "o"), (False, COLORS[1], "x")):
        counts = np.array([(case["predicted"], case["count"]) for case in numbers["conserved"] if case["case"][0] == full])
        if len(counts):
            ax.plot(*counts.T, marker, color=color, label="full matrices" if full else "the paper's form")
    ax.axline((0, 0), slope=1, **DASHED)
    ax.set(
        xscale="symlog",
        yscale="symlog",
        xlabel="predicted by symmetry",
        ylabel="dimension of the null space",
        title="(f) conserved forms",
    )
    ax.set(xlim=(-0.3, 60), ylim=(-0.3, 60))
    ax.legend(frameon=False, fontsize=8)


def draw_drift(ax: Axes, numbers: Numbers) -> None:
    """The drift of |P1 - P2|^2 - |Q1 - Q2|^2 in the first layer against the rate."""
    etas = np.array(numbers["drift"]["etas"])
    for each, color in zip(numbers["drift"]["drift"], COLORS, strict=False):
        ax.plot(etas, np.abs(np.array(each)[:, 0]), "o-", color=color, linewidth=1, markersize=3)
    middle = np.median(np.abs(np.array(numbers["drift"]["drift"])[:, :, 0]), axis=0)
    ax.plot(etas, 2 * middle[0] * etas / etas[0], label="slope 1", **DASHED)
    ax.set(
        xscale="log", yscale="log", xlabel="learning rate", ylabel="drift at one time", title="(g) what is conserved, in steps"
    )
    ax.legend(frameon=False, fontsize=8)


def draw_without_p(ax: Axes, numbers: Numbers) -> None:
    """Lengths of the two gradients at the best point with P' = 0."""
    found = numbers["without_p"]
    for name, color, marker in (("by_P", COLORS[0], "o"), ("by_Q", COLORS[1], "x")):
        ax.plot(numbers["seeds_used"], found[name], marker, color=color, label=f"gradient {name.replace('_', ' ')}'")
    ax.set(yscale="log", xlabel="seed", ylabel="length", title="(h) paper's form, best with P' = 0")
    ax.legend(frameon=False, fontsize=8, loc=(0.02, 0.68))


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    flat, last = np.array(numbers["separate"]["flat"], float), np.median(numbers["counts"]["last"], axis=0)
    return "\n".join([
        numbers["sizes"],
        "levels " + ", ".join(f"{level:.4f}" for level in numbers["levels"]) + "; medians of the plateaus "
        + ", ".join(f"{loss:.4f}" for loss in middle(flat[:, 1])),
        f"rate falls to 0: {decay_in_words(numbers)}; clock of the first drop over the other "
        f"{decay_clock(numbers)['median'] or float('nan'):.4f}",
        "1 to 5 heads end at " + ", ".join(f"{loss:.4f}" for loss in last),
        f"merged: {middle(decades(numbers).ravel()):.2f} steps a decade, law {numbers['decade']:.2f}; separate: halving the "
        f"first weights multiplies the wait by {middle(halvings(numbers).ravel()):.3f}",
        f"conserved forms: {sum(case['count'] == case['predicted'] for case in numbers['conserved'])} of "
        f"{len(numbers['conserved'])} sizes as predicted",
    ])  # fmt: skip
