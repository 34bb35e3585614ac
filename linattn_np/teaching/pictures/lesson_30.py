"""Pictures of lesson 30: losses by depth, what the layers hand on, ratios under equal treatment, budgets."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import STYLES, new_figure

COLORS = ("0.35", "#0072B2", "#009E73", "#D55E00")


def draw_by_depth(losses: Mapping[str, Mapping[int, float]]) -> Figure:
    """A loss for each depth, {optimizer: {depth: loss}}."""
    figure, axes = new_figure(width=4.6, height=2.9)
    ax = axes[0, 0]
    for name, by_depth in losses.items():
        ax.plot(list(by_depth), list(by_depth.values()), marker="o", label=name, **STYLES[name])
    ax.set(yscale="log", xlabel="layers", ylabel="test loss", xticks=list(next(iter(losses.values()))))
    ax.legend(frameon=False)
    return figure


def draw_layers(found: Mapping[str, tuple[Array, Array, Array]], optimizer: str, layer: int) -> tuple[Figure, str]:
    """Eigenvalues of S_l (L, prompts * d) at one layer, and s_l, |Q'_l| and the length of the gradient by layer (3, L).

    found: {optimizer: (eigenvalues, by_layer, s_l |Q'_l| / sqrt(d))}
    """
    values, rows, product = found[optimizer]
    figure, axes = new_figure(columns=2, width=2.9, height=2.6)
    ax = axes[0, 0]
    shares = np.linspace(0, 1, values.shape[1])
    ax.plot(np.sort(values[0]), shares, color="0.6", label="handed to layer 0")
    ax.plot(np.sort(values[layer]), shares, color=STYLES[optimizer]["color"], label=f"to layer {layer}")
    ax.set(xscale="log", xlim=(0.03, 4), xlabel="eigenvalue of S", ylabel="share below", ylim=(0, 1.35), yticks=(0, 0.5, 1))
    ax.legend(frameon=False, fontsize=7, loc="upper left")
    ax = axes[0, 1]
    for row, name, line in zip(rows, ("scale s", "length of Q'", "gradient by Q'"), ("-", "--", ":"), strict=True):
        ax.plot(range(len(row)), row / row[0], line, color=STYLES[optimizer]["color"], label=name)
        ax.plot([layer], [row[layer] / row[0]], "o", color="0.2", markersize=4)
    ax.set(yscale="log", xlabel="layer", ylabel="over that of layer 0", ylim=(0.01, 100), xticks=range(len(rows[0])))
    ax.legend(frameon=False, fontsize=7, loc="upper left")
    return figure, (
        f"{optimizer}, layer {layer}: it is handed covariates of scale {rows[0, layer]:.2f}, its Q' has length "
        f"{rows[1, layer]:.1f}; scale times length over root d is {product[layer]:.2f}."
    )


def draw_ratios(ratios: Mapping[str, Mapping[int, Array]], ylabel: str) -> Figure:
    """Ratios of each seed against depth, {treatment: {depth: (seeds,)}}: medians joined, a dot for each seed."""
    figure, axes = new_figure(width=5.2, height=3.3)
    ax = axes[0, 0]
    for (name, by_depth), color, marker in zip(ratios.items(), COLORS, "os^D", strict=True):
        finite = {L: row[np.isfinite(row)] for L, row in by_depth.items() if np.isfinite(row).any()}
        ax.plot(list(finite), [np.median(row) for row in finite.values()], marker=marker, color=color, linewidth=1.4, label=name)
        for L, row in finite.items():
            ax.plot(np.full(len(row), L), row, ".", color=color, alpha=0.6)
    ax.axhline(1, color="0.3", linestyle="--", linewidth=0.9)
    ax.set(yscale="log", xlabel="layers", ylabel=ylabel)
    ax.set_xticks(sorted({L for each in ratios.values() for L in each}))
    ax.legend(frameon=False, fontsize=8)
    return figure


def draw_budgets(curves: Mapping[int, Mapping[str, tuple[Sequence[float], Array]]], needed: Mapping[int, float]) -> Figure:
    """Loss (T, seeds) against budget (T,), a panel for each depth, and where Adam's curve reaches the last loss of SGD."""
    figure, axes = new_figure(columns=len(curves), width=3.6, height=2.9)
    for ax, (L, each) in zip(axes[0], curves.items(), strict=True):
        for name, (steps, losses) in each.items():
            ax.plot(steps, np.median(losses, axis=1), marker="o", markersize=4, label=name, **STYLES[name])
        steps, losses = each["SGD"]
        last = float(np.median(losses[-1]))
        ax.plot([needed[L], steps[-1]], [last, last], color="0.3", linewidth=0.9)
        ax.set(xscale="log", yscale="log", xlabel="steps T", ylabel="test loss", title=f"{L} layers")
        ax.minorticks_off()
        ticks = sorted({T for budgets, _ in each.values() for T in budgets})
        ax.set_xticks(ticks, [f"{T:,}" for T in ticks], fontsize=8)
        ax.legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def draw_spike(steps: Array, gradient: Array) -> Figure:
    """Adam's steps (T,) while its gradient (T,) has one spike."""
    figure, axes = new_figure(width=4.6, height=2.6)
    places: Any = np.arange(len(steps))
    axes[0, 0].plot(places, gradient, color="0.5", linewidth=1, label="gradient")
    axes[0, 0].plot(places, steps, color=STYLES["Adam"]["color"], linewidth=1.5, label="step over the rate")
    axes[0, 0].set(yscale="log", xlabel="step")
    axes[0, 0].legend(frameon=False, fontsize=8)
    return figure
