"""Pictures of lesson 18: one prompt at several noises, the loss for each noise, condition numbers under GD++, the table side by
side.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import new_figure

LOOKS: dict[str, dict[str, Any]] = {
    "GD++": {"color": "#D55E00", "linestyle": "--"}, "four": {"color": "#009E73", "linestyle": "-"},
    "ridge, best constant": {"color": "0.55", "linestyle": ":"}, "diagonal": {"color": "#0072B2", "linestyle": "-"},
    "full": {"color": "#CC79A7", "linestyle": "-."},
}  # fmt: skip


def draw_prompt(x: Array, clean: Array, xi: Array, sigma: float, w: float) -> tuple[Figure, str]:
    """One prompt with d = 1: its examples (n,), the true line, that of least squares and the oracle's."""
    figure, axes = new_figure(width=4.8, height=3.3)
    ax, y = axes[0, 0], clean + sigma * xi
    ends = np.array([-2.2, 2.2])
    fitted, oracle = (x @ y) / (x @ x), (x @ y) / (x @ x + sigma**2)
    ax.plot(x, y, "o", color="0.3", markersize=4)
    for slope, label, line, color in (
        (w, "true", "-", "black"), (fitted, "least squares", "--", "#D55E00"), (oracle, "oracle", "-.", "#0072B2"),
    ):  # fmt: skip
        ax.plot(ends, slope * ends, line, color=color, label=label, linewidth=1.5)
    ax.set(xlim=ends, ylim=(-6, 6), xlabel="covariate x", ylabel="label y")
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    share = oracle / fitted
    return (
        figure,
        f"With noise {sigma:g} the oracle keeps {100 * share:.0f} % of the least-squares slope {fitted:.2f}; the true one is "
        f"{w:g}.",
    )


def draw_profiles(sigmas: Sequence[float], found: Mapping[str, Array], top: float) -> Figure:
    """Adjusted loss (seeds, sigmas) of each kind of model against the noise of the prompt."""
    figure, axes = new_figure(width=5.8, height=3.4)
    ax = axes[0, 0]
    for name, values in found.items():
        values = np.atleast_2d(values)
        ax.plot(sigmas, np.median(values, axis=0), label=name, linewidth=1.8, **LOOKS[name])
        ax.fill_between(sigmas, values.min(axis=0), values.max(axis=0), color=LOOKS[name]["color"], alpha=0.2, linewidth=0)
    ax.set(xlabel="noise of the prompt, sigma", ylabel="adjusted loss", ylim=(0, top))
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_conditions(paths: Mapping[float, Array]) -> Figure:
    """kappa - 1 (layers + 1,) under GD++'s preconditioning, for each condition number at the start."""
    figure, axes = new_figure(width=5.4, height=3.3)
    ax = axes[0, 0]
    for (kappa, path), color in zip(paths.items(), ("#009E73", "#0072B2", "#D55E00"), strict=False):
        ax.plot(np.maximum(path, 1e-16), "o-", markersize=4, color=color, label=f"kappa = {kappa:g}")
    ax.set(yscale="log", ylim=(1e-16, 1e4), xlabel="layers", ylabel="condition number minus 1")
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_paper(numbers: Mapping[str, Any]) -> Figure:
    """The column U(0, 5) against depth, ours as lines and dots, the paper's as squares; and every entry beside the printed
    one.
    """
    figure, axes = new_figure(columns=2, width=4.2, height=3.5)
    left, right = axes[0]
    column = numbers["table"]["5"]
    for kind in ("GD++", "diagonal", "four", "full"):
        depths = [L for L in range(1, 5) if f"{kind} {L}" in column]
        left.plot(depths, [min(column[f"{kind} {L}"]["each_seed"]) for L in depths], "o", label=kind, **LOOKS[kind])
        squares = [(L, column[f"{kind} {L}"]["printed"]) for L in depths if column[f"{kind} {L}"]["printed"] is not None]
        if squares:
            left.plot(*zip(*squares, strict=True), "s", markersize=9, fillstyle="none", color=LOOKS[kind]["color"])
    left.set(yscale="log", xlabel="layers L", ylabel="adjusted loss, noise U(0, 5)", xticks=(1, 2, 3, 4))
    left.legend(frameon=False, fontsize=9)
    for kind, marker in (("GD++", "o"), ("diagonal", "x"), ("full", "+")):
        pairs = [
            (entry["printed"], min(entry["each_seed"]))
            for found in numbers["table"].values() for name, entry in found.items() if name.startswith(kind) and entry["printed"]
        ]  # fmt: skip
        right.plot(*zip(*pairs, strict=True), marker, fillstyle="none", color=LOOKS[kind]["color"], label=kind)
    ends = np.array([5e-3, 2.5])
    right.plot(ends, ends, color="0.5", linewidth=0.8)
    right.set(xscale="log", yscale="log", xlabel="entry of the paper's table", ylabel="ours, best seed")
    right.legend(frameon=False, fontsize=9)
    return figure
