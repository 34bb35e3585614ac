"""Pictures of lesson 31: spectra of short and long prompts, formula and dots, a residual, filters, noise, and double descent."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import new_figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000")


def draw_spectra(spectra: Mapping[int, Array]) -> Figure:
    """Histograms of all eigenvalues of S, {examples: (prompts, d)}, one under the other."""
    figure, axes = new_figure(rows=len(spectra), width=5.4, height=1.25)
    for ax, (n, lam), color in zip(axes[:, 0], spectra.items(), COLORS, strict=False):
        ax.hist(np.minimum(lam.ravel(), 5), bins=np.linspace(0, 5, 61), density=True, color=color)
        ax.axvline(1.0, color="0.3", linestyle="--", linewidth=0.9)
        ax.set(yticks=[], xlim=(0, 5), ylabel=f"{n}")
    axes[-1, 0].set(xlabel="eigenvalues of S (the last bar: all above 5)")
    figure.supylabel("examples in a prompt", fontsize=9)
    return figure


def draw_one_layer(tested: Sequence[int], curves: Mapping[int, Array], dots: Mapping[int, Array]) -> Figure:
    """Loss against test length: the formula as lines, {training length: (T,)}, measured losses as dots."""
    figure, axes = new_figure(width=5.2, height=3.2)
    ax = axes[0, 0]
    for (n, curve), color in zip(curves.items(), COLORS, strict=False):
        ax.plot(tested, curve, color=color, linewidth=1.3, label=f"gain for n = {n}")
        ax.plot(tested, dots[n], "o", color=color, markersize=4)
    ax.set(xscale="log", yscale="log", xlabel="examples in the test, n'", ylabel="mean squared error")
    ax.legend(frameon=False, fontsize=8)
    return figure


def draw_residual(end: float, n: int, lam: Array, residual: Array, grid: Array, left: Array) -> tuple[Figure, str]:
    """r on a grid with the window's end, and the residuals of prompts of n examples at their eigenvalues lam (prompts, d)."""
    figure, axes = new_figure(width=5.0, height=3.1)
    ax = axes[0, 0]
    ax.axvspan(0, end, color="0.88")
    ax.plot(grid, left, color=COLORS[0], linewidth=1.3)
    ax.plot(lam.ravel(), residual.ravel(), ".", color=COLORS[1], markersize=3)
    ax.set_yscale("symlog", linthresh=0.1)
    ax.set(xlim=(0, 5.5), ylim=(-1e3, 1e3), xlabel="eigenvalue of S", ylabel="what is left, r")
    beyond = (lam[:, -1] > end).mean()
    middle = np.median((residual**2).sum(axis=1))
    words = f"{n} examples: {beyond:.0%} of the prompts have an eigenvalue above {end:.2f}; median of the sum of r squared"
    return figure, f"{words} {middle:.2g}."


def draw_filters(lam: Array, kept: Mapping[str, Array]) -> Figure:
    """lambda q(lambda), the share of a direction that is answered, against lambda, {method: (T,)}."""
    figure, axes = new_figure(width=5.2, height=3.1)
    ax = axes[0, 0]
    for (name, values), color, line in zip(kept.items(), COLORS, ("--", "-", "-.", ":"), strict=False):
        ax.plot(lam, values, line, color=color, linewidth=1.5, label=name)
    ax.set(xlabel="eigenvalue of S", ylabel="share of it that is answered", ylim=(-0.1, 1.6))
    ax.legend(frameon=False, fontsize=8)
    return figure


def draw_lengths(tested: Sequence[int], rows: Mapping[str, Array], trained: int) -> Figure:
    """Squared errors against test length, {name: (seeds, T)}: a line through the medians over seeds, a dot for each seed."""
    figure, axes = new_figure(width=5.6, height=3.4)
    ax = axes[0, 0]
    for (name, values), color, marker in zip(rows.items(), COLORS, "xo^sv", strict=False):
        ax.plot(tested, np.median(values, axis=0), color=color, linewidth=1.2)
        for k, row in enumerate(values):
            ax.plot(tested, row, marker, color=color, markersize=4, label=None if k else name)
    ax.axvline(trained, color="0.3", linestyle="--", linewidth=0.9)
    ax.set(xscale="log", yscale="log", xlabel="examples in the test, n'", ylabel="squared error")
    ax.legend(frameon=False, fontsize=8)
    return figure


def draw_noise(ns: Sequence[int], rows: Mapping[str, Array]) -> Figure:
    """Median squared errors against n, {method: (n,)}."""
    figure, axes = new_figure(width=5.2, height=3.1)
    ax = axes[0, 0]
    for (name, values), color, style in zip(rows.items(), COLORS, ("o-", "s", "--"), strict=False):
        ax.plot(ns, values, style, color=color, markersize=5, label=name)
    ax.set(yscale="log", xlabel="examples n, in training and test", ylabel="median squared error")
    ax.minorticks_off()
    ax.set_yticks([0.2, 0.5, 1, 2, 4], ["0.2", "0.5", "1", "2", "4"])
    ax.legend(frameon=False, fontsize=8)
    return figure


def draw_descent(counts: Sequence[int], losses: Mapping[str, Array], unknowns: int) -> Figure:
    """Loss of one layer against the number of prompts, {penalty: (N,)}, with a line at the number of unknowns."""
    figure, axes = new_figure(width=5.4, height=3.2)
    ax = axes[0, 0]
    for (name, values), color in zip(losses.items(), COLORS, strict=False):
        ax.plot(counts, values, "o-", color=color, linewidth=1.2, markersize=3, label=name)
    ax.axvline(unknowns, color="0.3", linestyle="--", linewidth=0.9)
    ax.set(xscale="log", yscale="log", xlabel="prompts N", ylabel="median loss")
    ax.legend(frameon=False, fontsize=8)
    return figure
