"""Pictures of lesson 09: the sorted diagonal and its three medians, R_med against the weights' size, and R_med along SGD and
Adam.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import MEDIAN_STYLES, STYLES, median_band, new_figure

PART = np.repeat(np.tile(["P", "Q"], 3), 25)  # which matrix each of the 150 numbers of three layers belongs to
LOOK = {"P": ("#D55E00", "s"), "Q": ("#0072B2", "o")}


def sizes_on(ax: Axes, diagonal: Array, value: float, floor: float = 1e-5) -> None:
    """Sorted |H_ii|, the dead ones on the floor, with dashed lines at the largest and at the median that gives R_med = value."""
    size = np.abs(diagonal)
    order = np.argsort(size, kind="stable")
    for part, (colour, marker) in LOOK.items():
        at = np.flatnonzero(PART[order] == part)
        ax.plot(at + 1, np.maximum(size[order][at], floor), marker, markersize=3, color=colour, label=f"of {part}")
    for level in (size.max(), size.max() / value):
        ax.axhline(level, color="0.4", linestyle="--", linewidth=1)
    ax.annotate("", (8, size.max()), (8, size.max() / value), arrowprops={"arrowstyle": "<->"})
    ax.text(12, size.max() / np.sqrt(value), f"{value:.3g}", va="center", fontsize=10)
    ax.set(yscale="log", ylim=(0.5 * floor, 3e3), xlabel="rank of the parameter")
    ax.set_yticks([1e-4, 1e-2, 1, 100])
    ax.minorticks_off()


def draw_sizes(panels: Mapping[str, tuple[Array, float]]) -> Figure:
    """A panel for each title: a diagonal and its R_med."""
    figure, axes = new_figure(columns=len(panels), width=3.0, height=3.2)
    for ax, (title, (diagonal, value)) in zip(axes[0], panels.items(), strict=True):
        sizes_on(ax, diagonal, value)
        ax.set_title(f"{title}: R_med = {value:.3g}", fontsize=10)
    axes[0, 0].set_ylabel("size of the entry, |H_ii|")
    axes[0, 0].legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def draw_scales(sigmas: Array, values: Mapping[str, Array]) -> Figure:
    """R_med (sigmas, seeds) of each convention against the size of the initial weights."""
    figure, axes = new_figure(width=5.8, height=3.4)
    ax = axes[0, 0]
    for convention, found in values.items():
        quartiles = np.quantile(found, [0.25, 0.5, 0.75], axis=1)
        median_band(ax, sigmas, quartiles, f"{convention} median", **MEDIAN_STYLES[convention])
    ax.axvline(0.05, color="0.6", linewidth=1)
    ax.text(0.046, 2e5, "paper's start", fontsize=9, ha="right")
    ax.set(xscale="log", yscale="log", xlabel="size of the initial weights, sigma")
    ax.set_ylabel(f"R_med before any training ({found.shape[1]} seeds)")
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_conventions(times: Sequence[int], values: Mapping[tuple[str, str], Array], runs: Sequence[str]) -> Figure:
    """R_med (seeds, times) along the runs, a panel for each convention."""
    figure, axes = new_figure(columns=3, width=3.0, height=3.2)
    looks = dict(zip(runs, ({"color": "#E69F00", "linestyle": ":"}, STYLES["SGD"], STYLES["Adam"]), strict=True))
    for ax, convention in zip(axes[0], MEDIAN_STYLES, strict=True):
        for name in runs:
            median_band(ax, times, np.quantile(values[name, convention], [0.25, 0.5, 0.75], axis=0), name, **looks[name])
        ax.set(yscale="log", ylim=(1, 1000), xlabel="iteration t", title=convention)
    axes[0, 0].set_ylabel(f"R_med, {len(values[runs[0], 'lower'])} seeds")
    axes[0, 1].legend(frameon=False, fontsize=9)
    return figure


def draw_rate(times: Sequence[int], sgd: Array, adam: Array, rate: float, share: float) -> tuple[Figure, str]:
    """R_med (seeds, times) of SGD at one rate beside Adam's, and the share of batches on which Adam's is the lower one at the
    end.
    """
    figure, axes = new_figure(width=5.0, height=3.3)
    ax = axes[0, 0]
    for name, found in (("SGD", sgd), ("Adam", adam)):
        label = f"SGD, lr {rate:g}" if name == "SGD" else "Adam, lr 0.02"
        median_band(ax, times, np.quantile(found, [0, 0.5, 1], axis=0), label, **STYLES[name])
    ax.set(yscale="log", ylim=(2, 1500), xlabel="iteration t", ylabel="R_med, lower median")
    ax.legend(frameon=False, fontsize=9)
    ends = [np.median(found[:, -1]) for found in (sgd, adam)]
    return figure, (
        f"At iteration {times[-1]:,} SGD's R_med is {ends[0]:.3g}, Adam's {ends[1]:.3g}; Adam's is the lower one on "
        f"{100 * share:.0f} % of the batches."
    )
