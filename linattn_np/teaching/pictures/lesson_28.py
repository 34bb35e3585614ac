"""Pictures of lesson 28: runs that are lost, a parabola with and without clipping, rates that train, thresholds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import new_figure

HIGHEST = 1e4  # the top of the axes; a cross farther up stands on it
COLORS = {"none": "0.35", "warm-up 50": "#0072B2", "warm-up 200": "#009E73", "clip 1": "#D55E00", "from eta t = 1": "#CC79A7"}


def _line(ax: Axes, steps: Any, values: Array, color: str, label: str, lost: bool) -> None:
    ax.plot(steps, values, color=color, linewidth=1.4, label=label)
    there = np.flatnonzero(np.isfinite(values))
    if lost and len(there):
        ax.plot(np.asarray(steps)[there[-1]], min(values[there[-1]], HIGHEST), "x", color=color, markersize=7, clip_on=False)


def draw_losses(losses: Mapping[str, Array], steps: int) -> Figure:
    """Loss against step, a line for each label; a cross at the end of those that have fewer than ``steps`` + 1 numbers."""
    figure, axes = new_figure(width=5.4, height=3.1)
    ax = axes[0, 0]
    for (label, values), color in zip(losses.items(), COLORS.values(), strict=False):
        _line(ax, np.arange(1, len(values) + 1), values, color, label, len(values) < steps + 1)
    ax.set(xscale="log", yscale="log", xlabel="step", ylabel="loss", ylim=(None, HIGHEST))
    ax.legend(frameon=False, fontsize=8)
    return figure


def draw_parabola(product: float, plain: Array, clipped: Array, bound: float) -> tuple[Figure, str]:
    """x against step on a parabola, without clipping and clipped, at rate times curvature = ``product``; the bound dotted."""
    figure, axes = new_figure(width=4.8, height=2.8)
    ax = axes[0, 0]
    for label, path, color in (("as it is", plain, COLORS["none"]), ("clipped", clipped, COLORS["clip 1"])):
        ax.plot(np.arange(len(path)), np.clip(path, -9, 9), "o-", color=color, linewidth=1.1, markersize=3, label=label)
    for side in (-bound, bound):
        ax.axhline(side, color="0.5", linestyle=":", linewidth=1)
    ax.set(xlabel="step", ylabel="x", ylim=(-7, 7))
    ax.legend(frameon=True, edgecolor="none", framealpha=1, fontsize=8, loc="lower left")
    end = "comes to rest" if product < 2 else f"jumps on, within {bound:.2f} of the minimum"
    lost = "comes to rest" if product < 2 else f"grows by {abs(1 - product):.2f} a step"
    return figure, f"Rate times curvature {product:g}: without clipping it {lost}; clipped it {end}."


def draw_paths(rate: float, edge: float, times: Array, runs: Mapping[str, Mapping[str, Array]]) -> tuple[Figure, str]:
    """Loss and sharpness at ``times`` of each run at one rate, the edge dashed; a cross where a run is lost."""
    figure, axes = new_figure(columns=2, width=3.2, height=2.7)
    words = []
    for name, run in runs.items():
        lost = int(run["lost"])
        for ax, what in zip(axes[0], ("loss", "sharpness"), strict=True):
            _line(ax, times + 1, run[what], COLORS[name], name, lost >= 0)
        words.append(
            f"{name} {f'is lost at step {lost}' if lost >= 0 else 'trains' if run['loss'][-1] < 0.5 else 'does not train'}"
        )
    axes[0, 0].set(xscale="log", yscale="log", xlabel="step + 1", ylabel="loss", ylim=(None, HIGHEST))
    axes[0, 1].axhline(edge, color="0.3", linestyle="--", linewidth=0.9)
    axes[0, 1].set(xscale="log", yscale="log", xlabel="step + 1", ylabel="sharpness", ylim=(1, HIGHEST))
    axes[0, 1].legend(frameon=False, fontsize=6)
    return figure, f"Rate {rate:g}, edge {edge:.0f}: " + ", ".join(words) + "."


def draw_rates(trains: Mapping[str, tuple[Array, Array]]) -> Figure:
    """A dot for each rate that trains, a row for each seed: {way: (rates (R,), trains (seeds, R))}."""
    figure, axes = new_figure(width=5.6, height=3.0)
    ax, row, labels, at = axes[0, 0], 0.0, [], []
    for name, (rates, found) in trains.items():
        first = row
        for each in found:
            ax.plot(rates[each], np.full(each.sum(), -row), "o", color=COLORS[name], markersize=3)
            row += 1
        labels.append(name)
        at.append(-(first + row - 1) / 2)
        row += 1
    ax.set(xscale="log", xlabel="rate")
    ax.set_yticks(at, labels)
    return figure


def draw_thresholds(names: Sequence[str], losses: Mapping[str, Array]) -> Figure:
    """Median test loss (seeds, thresholds) against threshold, {"SGD, decay": ..}; infinite medians are left out."""
    figure, axes = new_figure(width=5.0, height=3.1)
    ax = axes[0, 0]
    for label, values in losses.items():
        color = COLORS["clip 1"] if "SGD" in label else COLORS["warm-up 50"]
        middle = np.median(values, axis=0)
        ax.plot(range(len(names)), np.where(np.isfinite(middle), middle, np.nan), "o" + ("-" if "decay" in label else ":"),
                color=color, markersize=4, label=label)  # fmt: skip
    ax.set(yscale="log", ylabel="test loss")
    ax.set_xticks(range(len(names)), names)
    ax.legend(frameon=False, fontsize=8)
    return figure
