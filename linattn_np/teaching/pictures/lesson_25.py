"""Pictures of lesson 25: where a cropped model looks, accuracy against width, and the noise panel."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import median_band, new_figure

LOOK: dict[str, dict[str, Any]] = {
    "full width alone": {"color": "#D55E00", "linestyle": ":"},
    "joint": {"color": "#0072B2", "linestyle": "-"},
    "fused crop": {"color": "#E69F00", "linestyle": "-."},
    "three stages": {"color": "#009E73", "linestyle": "--"},
    "separate": {"color": "#000000", "linestyle": (0, (1, 1))},
}


def draw_nested(widths: Sequence[int]) -> Figure:
    """One matrix, shaded by the narrowest model that an entry belongs to."""
    figure, axes = new_figure(width=3.4, height=3.2)
    ax, at = axes[0, 0], np.arange(widths[-1])
    ax.imshow(np.searchsorted(widths, 1 + np.maximum.outer(at, at)), cmap="Blues_r", interpolation="nearest", vmax=len(widths))
    for width in widths:
        ax.text(
            width - 0.7,
            width - 0.7,
            str(width),
            ha="right",
            va="bottom",
            fontsize=9,
            color="black" if width > widths[0] else "white",
        )
    ax.grid(visible=False)
    ax.set(xticks=[], yticks=[], title="the leading blocks of one matrix")
    return figure


def draw_looks(width: int, looks: Mapping[str, Array], accuracies: Mapping[str, float]) -> tuple[Figure, str]:
    """Where the output positions look, the mean over heads and sequences (T, T), for each way of training."""
    figure, axes = new_figure(columns=len(looks), width=2.6, height=2.8)
    for ax, (name, A) in zip(axes[0], looks.items(), strict=True):
        ax.imshow(A, cmap="Greys", vmin=0, vmax=0.6, interpolation="nearest")
        ax.grid(visible=False)
        ax.set(title=f"{name}: {accuracies[name]:.2f}", xticks=[], yticks=[], xlabel="input position")
    axes[0, 0].set_ylabel("output position")
    said = "; ".join(f"{name}: {100 * share:.0f} %" for name, share in accuracies.items())
    return figure, f"Cropped to width {width}, symbols translated right: {said}."


def draw_ways(widths: Sequence[int], found: Mapping[str, Array], chance: float) -> Figure:
    """Accuracy (seeds, widths) of each way of training against the width."""
    figure, axes = new_figure(width=5.4, height=3.3)
    ax = axes[0, 0]
    for name, values in found.items():
        median_band(ax, widths, np.quantile(values, [0, 0.5, 1], axis=0), name, marker="o", markersize=4, **LOOK[name])
    ax.axhline(chance, color="0.6", linewidth=0.9)
    ax.set(xscale="log", ylim=(0, 1.05), xlabel="width", ylabel="accuracy")
    ax.set_xticks(widths, [str(width) for width in widths])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=9)
    return figure
