"""Pictures of lesson 27: losses that stand on levels, the model on its way, two laws of growth, waiting, what is conserved."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import new_figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000")


def _levels(ax: Axes, levels: Array) -> None:
    for level in levels:
        ax.axhline(level, color="0.4", linestyle="--", linewidth=0.9)
    ax.set(xlabel="step", ylabel="loss f", ylim=(0, 1.08))


def draw_losses(levels: Array, losses: Mapping[str, Array], every: int = 1) -> Figure:
    """Loss each ``every`` steps against step, steps on a logarithmic axis, a line for each label, the levels dashed."""
    figure, axes = new_figure(width=5.6, height=3.3)
    ax = axes[0, 0]
    for (label, f), color in zip(losses.items(), COLORS, strict=False):
        places = np.unique(np.geomspace(50 / every, len(f) - 1, 300).astype(int))
        ax.plot(every * places, f[places], color=color, linewidth=1.5, label=label)
    _levels(ax, levels)
    ax.set(xscale="log")
    ax.legend(frameon=True, edgecolor="none", framealpha=1, fontsize=8)
    return figure


def draw_model(f: Array, M: Array, levels: Array, step: int) -> tuple[Figure, str]:
    """The loss up to its end with a dot at ``step``, and the model M (d, d) there."""
    figure, axes = new_figure(columns=2, width=2.6, height=2.5)
    ax = axes[0, 0]
    steps = np.unique(np.geomspace(50, len(f) - 1, 200).astype(int))
    ax.plot(steps, f[steps], color=COLORS[0], linewidth=1.3)
    ax.plot([max(step, 50)], [f[step]], "o", color=COLORS[1])
    _levels(ax, levels)
    ax.set(xscale="log")
    ax = axes[0, 1]
    ax.imshow(M, cmap="RdBu_r", vmin=-8, vmax=8)
    for k, value in enumerate(np.diag(M)):
        ax.text(k, k, f"{value:.1f}", ha="center", va="center", fontsize=8)
    ax.set(xticks=[], yticks=[], title="M")
    ax.grid(visible=False)
    learned = int((np.linalg.svd(M, compute_uv=False) > 1).sum())
    return figure, f"Step {step:,}: loss {f[step]:.4f}, {learned} of {len(M)} directions learned."


def draw_growth(panels: Mapping[str, tuple[Array, Array]]) -> Figure:
    """Two sizes (steps, 2) against step, {title: (steps, sizes)}, a panel each, sizes on a logarithmic axis."""
    figure, axes = new_figure(columns=2, width=3.4, height=2.8)
    for ax, (title, (steps, sizes)) in zip(axes[0], panels.items(), strict=True):
        for size, label, color, line in zip(sizes.T, ("ahead", "half as large"), COLORS, ("-", "--"), strict=False):
            ax.plot(steps, size, line, color=color, linewidth=1.5, label=label)
        ax.set(xlabel="step", ylabel="size of a weight", yscale="log", title=title)
        ax.legend(frameon=False, fontsize=8)
    return figure


def draw_waits(stds: Mapping[str, Sequence[float]], waits: Mapping[str, Array], laws: Mapping[str, Array]) -> Figure:
    """Waiting times (seeds, sizes) of each kind of head as dots, and the laws from each seed's first dot as lines."""
    figure, axes = new_figure(columns=2, width=3.4, height=2.9)
    for ax, kind in zip(axes[0], waits, strict=True):
        for row, law, color in zip(waits[kind], laws[kind], COLORS, strict=False):
            ax.plot(stds[kind], row, "o", color=color, markersize=4)
            ax.plot(stds[kind], law, color=color, linewidth=1)
        ax.set(xscale="log", xlabel="size of the first weights", ylabel="steps before the first drop", title=f"{kind} heads")
    axes[0, 1].set(yscale="log")
    axes[0, 1].minorticks_off()
    axes[0, 1].set_xticks(stds["separate"], [f"{std:g}" for std in stds["separate"]])
    return figure
