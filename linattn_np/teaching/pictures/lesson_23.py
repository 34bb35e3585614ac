"""Pictures of lesson 23: what a read-out does with its items, the error against the width, closed loop and locality."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import median_band, new_figure

LOOK = {
    "linear": {"color": "#0072B2", "linestyle": "-"},
    "plain": {"color": "#D55E00", "linestyle": ":"},
    "softmax": {"color": "#000000", "linestyle": "-."},
}
SHADES = ("#56B4E9", "#009E73", "#0072B2", "#D55E00")


def draw_matrices(found: Mapping[str, Array]) -> Figure:
    """|M| of each title as a picture: a row is a query, a column an item; the best is the diagonal alone."""
    figure, axes = new_figure(columns=len(found), width=2.5, height=2.7)
    for ax, (title, M) in zip(axes[0], found.items(), strict=True):
        ax.imshow(np.abs(M), cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
        ax.grid(visible=False)
        ax.set(title=title, xticks=[], yticks=[], xlabel="item i")
    axes[0, 0].set_ylabel("query j")
    return figure


def draw_width(D: int, M: Array, errors: Mapping[int, float], floors: Mapping[int, float], final: float) -> tuple[Figure, str]:
    """M of one width beside the error at all widths, the width marked; and what it means for a program."""
    figure, axes = new_figure(columns=2, width=2.6, height=2.7)
    picture, ax = axes[0]
    picture.imshow(np.abs(M), cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    picture.grid(visible=False)
    picture.set(xticks=[], yticks=[], xlabel="item i", ylabel="query j", title=f"|M| at D = {D}")
    ax.plot(list(floors), list(floors.values()), color="0.6", linewidth=1.2, label="floor")
    ax.plot(list(errors), list(errors.values()), "o", color=LOOK["linear"]["color"], markersize=4, label="trained")
    ax.plot([D], [errors[D]], "o", color="#D55E00", markersize=9, fillstyle="none", markeredgewidth=2)
    ax.set(xlabel="width D", ylabel="error", ylim=(-0.05, 1.05))
    ax.legend(frameon=False, fontsize=8)
    said = (
        f"Width {D}: error {errors[D]:.3f}, floor {floors[D]:.3f}; a program that reads its own states ends right in "
        f"{100 * final:.0f} % of cases."
    )
    return figure, said


def draw_errors(
    errors: Mapping[tuple[str, int], Mapping[int, Sequence[float]]], floors: Mapping[int, Mapping[int, float]]
) -> Figure:
    """{(kind, L): {D: errors of the seeds}}: linear on its floors, and all kinds of the largest L."""
    figure, axes = new_figure(columns=2, width=4.2, height=3.2)
    left, right = axes[0]
    for color, L in zip(SHADES, floors, strict=False):
        left.plot(list(floors[L]), list(floors[L].values()), color=color, linewidth=1.0)
        found = errors["linear", L]
        at = [D for D, each in found.items() for _ in each]
        left.plot(at, [e for each in found.values() for e in each], "o", color=color, markersize=4, label=f"L = {L}")
    left.set(xlabel="width D", ylabel="error", title="linear: lines are the floor, dots training")
    left.legend(frameon=False, fontsize=9)
    largest = max(floors)
    for kind, look in LOOK.items():
        found = errors[kind, largest]
        quartiles = np.quantile(np.array(list(found.values())), [0.25, 0.5, 0.75], axis=1)
        median_band(right, list(found), quartiles, kind, marker="o", markersize=3, **look)
    right.set(xscale="log", xlabel="width D", title=f"three kinds, L = {largest}")
    right.legend(frameon=False, fontsize=9)
    return figure


def draw_local(found: Mapping[str, Mapping[int, Sequence[float]]], enough: float) -> Figure:
    """{what is asked for: {D: errors of the seeds}}, and the error that is small enough."""
    figure, axes = new_figure(width=5.2, height=3.2)
    ax = axes[0, 0]
    for color, (title, errors) in zip(("#D55E00", "#0072B2"), found.items(), strict=True):
        quartiles = np.maximum(np.quantile(np.array(list(errors.values())), [0, 0.5, 1], axis=1), 1e-6)
        median_band(ax, list(errors), quartiles, title, color=color, marker="o", markersize=4)
    ax.axhline(enough, color="0.5", linewidth=0.9)
    ax.set(yscale="log", xlabel="width D", ylabel="error, mean over time")
    ax.legend(frameon=False, fontsize=9)
    return figure
