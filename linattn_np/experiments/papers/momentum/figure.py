"""The heavy ball between layers, and the reweighting within causal attention, with their controls."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....plotting import median_band, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, band
from ...panels import limits_in_words
from ...scale import Scale, counted, differences, limited
from . import reweighting
from .claims import CLAIMS
from .copy_task import BATCH
from .runs import MAIN, VARIANTS, Sizes, copy_runs, scalar_runs

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "Momentum between layers is the heavy ball; momentum within attention prefers old tokens"
SECONDS = {"paper": 170, "quick": 12}
ALT = (
    "Six panels. Loss against the number of layers: descent falls slowly, learned steps of their own faster, the heavy ball "
    "fast, descent on whitened covariates fastest, the adaptive rule between. The learned momentum grows with depth. The "
    "weight of a token against its distance for four pairs of beta and gamma, which all rise. Loss on the copy task against "
    "iteration: softmax far below, the linear forms close together. Loss at the end for each seed and variant, in steps "
    "down from linear to beta .9. What beta .6 and beta .9 change at equal gain: lower losses on the copy task, either with "
    "two layers, higher ones where the symbol is near. Lines are medians over seeds, bands quartiles."
)
LOOK: dict[str, dict[str, Any]] = {
    "descent": {"color": "#D55E00", "linestyle": "--"}, "heavy ball": {"color": "#0072B2", "linestyle": "-"},
    "steps": {"color": "#009E73", "linestyle": "-."}, "whitened": {"color": "#000000", "linestyle": ":"},
    "adaptive": {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1))},
    "softmax": {"color": "#000000", "linestyle": ":"}, "linear": {"color": "#D55E00", "linestyle": "--"},
    "paper": {"color": "#E69F00", "linestyle": (0, (1, 1))}, "gain 2/3": {"color": "#999999", "linestyle": "--"},
    "gain 3/2": {"color": "#CC79A7", "linestyle": "-."}, "beta .6": {"color": "#009E73", "linestyle": (0, (5, 1, 1, 1))},
    "beta .9": {"color": "#0072B2", "linestyle": "-"},
}  # fmt: skip
WORDS = {
    "paper": "β .1, γ .6", "beta .6": "β .6, γ .6", "beta .9": "β .9, γ .15", "gain 2/3": "γ 2/3", "gain 3/2": "γ 3/2",
}  # fmt: skip
BALL = {"descent": "descent", "heavy ball": "heavy ball", "steps": "a step for each layer", "whitened": "descent, whitened",
        "adaptive": "adaptive β"}  # fmt: skip


def sized(scale: Scale) -> Sizes:
    """How much is run at this scale."""
    if scale.name == "paper":
        return Sizes(5, 3, 400, 300, 600, (1, 2, 4, 8, 12, 16), 60, 4096)
    if scale.name == "quick":
        return Sizes(2, 2, 60, 60, 30, (1, 2, 4, 8), 60, 1024)
    return Sizes(2, 2, 4, 4, 3, (1, 2, 4), 10, 256)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    used = sized(scale)
    seeds = counted(used.seeds, "seed") + (f" or {used.few}" if used.few != used.seeds else "")
    return (
        f"copy task {counted(used.copy, 'iteration')}, control {used.lag}, two layers {used.two}, {seeds}; heavy ball of up to "
        f"{counted(used.layers[-1], 'layer')}, {counted(used.prompts, 'prompt')}"
    )


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train what is missing and measure: plain numbers, ready for JSON."""
    used = sized(scale)
    limits = differences(scale, limited(scale, seeds=used.seeds, steps=used.copy, batch=BATCH))
    return {
        "limits": limits, "seeds_used": [used.seeds, used.few],
        "iterations": {"copy": used.copy, "lag": used.lag, "two": used.two},
        **scalar_runs(folder, used, progress), **copy_runs(folder, used, progress),
    }  # fmt: skip


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: six panels."""
    figure, axes = new_figure(columns=3, rows=2, width=4.3, height=3.5)
    seeds, few = (counted(count, "seed") for count in numbers["seeds_used"])
    ax = axes[0, 0]
    for kind, label in BALL.items():
        median_band(
            ax, numbers[kind]["loss"]["iterations"], band(numbers[kind]["loss"]), label, marker="o", markersize=3, **LOOK[kind]
        )
    depths = numbers["descent"]["loss"]["iterations"]
    ax.set(
        yscale="log",
        xlabel="layers L",
        ylabel="loss f on other prompts",
        title=f"(a) numbers learned for L layers, {few}",
        xticks=depths,
    )
    ax.legend(frameon=False, fontsize=8)
    ax = axes[0, 1]
    ball = numbers["heavy ball"]
    median_band(ax, ball["beta"]["iterations"], band(ball["beta"]), "β, learned", marker="o", markersize=3, **LOOK["heavy ball"])
    adaptive = numbers["adaptive"]["beta"]
    median_band(
        ax, adaptive["iterations"], band(adaptive), "mean of the adaptive β", marker="o", markersize=3, **LOOK["adaptive"]
    )
    optimum = (1 - np.sqrt(np.array(ball["eta"]["median"]) * numbers["eigenvalues"]["smallest"])) ** 2
    words = "(1 - √(ην))², ν the median\nsmallest eigenvalue"
    ax.plot(ball["eta"]["iterations"], optimum, label=words, color="black", linestyle=":")
    ax.set(xlabel="layers L", ylabel="momentum between layers", ylim=(-0.1, 1.0), title="(b) the momentum", xticks=depths)
    ax.legend(frameon=False, fontsize=8)
    draw_weights(axes[0, 2])
    ax = axes[1, 0]
    for name in MAIN:
        found = numbers["copy"][name]["curve"]
        median_band(ax, found["iterations"], band(found), WORDS.get(name, name), **LOOK[name])
    ax.set(xlabel="iteration t", ylabel="loss in nats", title=f"(d) copy task, {seeds}")
    ax.legend(frameon=False, fontsize=7, loc="lower left")
    ax = axes[1, 1]
    for k, name in enumerate(MAIN[1:]):
        values = numbers["copy"][name]["loss"]["each_seed"]
        ax.plot(np.full(len(values), k), np.array(values, float), "o", markersize=4, color=LOOK[name]["color"], alpha=0.7)
    ax.set_xticks(range(len(MAIN) - 1), [WORDS.get(name, name).replace(", ", "\n") for name in MAIN[1:]], fontsize=8)
    best = numbers["copy"]["softmax"]["loss"]["median"]
    ax.set(ylabel="loss in nats, last sixth", title=f"(e) the linear forms; softmax has {best:.2f}")
    draw_differences(axes[1, 2], numbers)
    return figure


def draw_weights(ax: Axes, T: int = 25) -> None:
    """The weight of a token against its distance, for the pairs of beta and gamma that are compared."""
    for name in ("linear", "paper", "beta .6", "beta .9"):
        arguments = {"beta": 0.0, "gamma": 1.0, **VARIANTS[name]}
        _, tape = reweighting.forward(np.array(arguments["beta"]), np.array(arguments["gamma"]), T)
        ax.plot(np.arange(T), tape.a, label=WORDS.get(name, name), marker=".", **LOOK[name])
    for distance, word in ((3, "control"), (12, "copy task")):
        ax.axvline(distance, color="0.7", linewidth=1)
        ax.text(distance + 0.3, 0.05, word, fontsize=8, color="0.4")
    ax.set(xlabel="distance i - j", ylabel="weight in the numerator", ylim=(0, 1.6), title="(c) what momentum weights")
    ax.legend(frameon=False, fontsize=8, loc="lower right")


def draw_differences(ax: Axes, numbers: Numbers) -> None:
    """The loss of beta .9, and of beta .6 where it was trained, less that of their far gain alone, seed by seed, by task."""
    parts = {"copy": "copy task,\n12 back", "two": "two layers,\n8 to 14 back", "lag": "control,\n3 back"}
    for k, part in enumerate(parts):
        for name, aside, marker in (("beta .9", 0.1, "o"), ("beta .6", -0.1, "s")):
            if name in numbers[part]:
                both = [np.array(numbers[part][each]["loss"]["each_seed"], float) for each in (name, "gain 3/2")]
                label = WORDS[name] if part == "copy" else None
                ax.plot(
                    np.full(len(both[0]), k + aside),
                    both[0] - both[1],
                    marker,
                    markersize=5,
                    color=LOOK[name]["color"],
                    alpha=0.7,
                    label=label,
                )
    ax.axhline(0, color="black", linewidth=0.8)
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    ax.set_xticks(range(len(parts)), list(parts.values()), fontsize=9)
    ax.set(xlim=(-0.5, len(parts) - 0.5), ylabel="loss less that of γ 3/2 alone", title="(f) equal far gain: each seed")


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [limits_in_words(numbers["limits"])]
    for k, layers in enumerate(numbers["descent"]["loss"]["iterations"]):
        found = ", ".join(f"{label} {numbers[kind]['loss']['median'][k]:.3g}" for kind, label in BALL.items())
        lines.append(f"{counted(layers, 'layer')}: {found}; learned momentum {numbers['heavy ball']['beta']['median'][k]:.2f}")
    for part, title in (("copy", "copy task"), ("ablation", "at gamma .6"), ("lag", "control"), ("two", "two layers")):
        lines.append(f"{title}: " + ", ".join(f"{name} {found['loss']['median']:.3f}" for name, found in numbers[part].items()))
    gap = {name: found["recurrent"]["median"] - found["parallel"]["median"] for name, found in numbers["released"].items()}
    lines.append(
        "trained by the released weights, run recurrently: loss changes by "
        + ", ".join(f"{v:+.3f} ({n})" for n, v in gap.items())
    )
    return "\n".join(lines)
