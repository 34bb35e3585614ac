"""Pictures of lesson 16: a layer in training, the mean gradient along the line -eta I, learned steps, and two layers of GD++."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import new_figure

BLUE, RED, GREEN = "#0072B2", "#D55E00", "#009E73"


def draw_weights(t: int, theta: Array, eta: float) -> tuple[Figure, str]:
    """One layer's params (d+1, d+1), p in column 0 and K in the others, with the last entry of p at 1 where it is not tiny."""
    scale = theta[-1, 0] if abs(theta[-1, 0]) > 0.05 else np.abs(theta).max()
    shown = np.concatenate([theta[:, :1] / scale, theta[:, 1:] * scale], axis=1)
    figure, axes = new_figure(width=4.4, height=3.6)
    ax = axes[0, 0]
    size = max(np.abs(shown).max(), 1e-9)
    image = ax.imshow(shown, cmap="RdBu_r", vmin=-size, vmax=size)
    ax.axvline(0.5, color="black", linewidth=1)
    ax.grid(False)
    ax.set(xticks=[0, (1 + theta.shape[1]) / 2], yticks=[], title=f"iteration {t}")
    ax.set_xticklabels(["p", "K"])
    figure.colorbar(image, ax=ax, shrink=0.8)
    diagonal, off = np.diag(shown[:-1, 1:]), shown[:-1, 1:][~np.eye(len(theta) - 1, dtype=bool)]
    return figure, (
        f"Iteration {t}: learned step {eta:.3f}; the diagonal of K from {diagonal.min():.3f} to {diagonal.max():.3f}, "
        f"off it at most {np.abs(off).max():.3f}."
    )


def draw_path(etas: Array, measured: Sequence[Array], task: Any, best: float) -> Figure:
    """The mean gradient of Q at Q = -eta I: its diagonal and the rest, measured, beside (16.15)."""
    figure, axes = new_figure(width=5.4, height=3.3)
    ax, d, s = axes[0, 0], task.d, task.variance
    on = np.eye(d, dtype=bool)
    line = np.linspace(etas[0], etas[-1], 50)
    ax.plot(line, 2 * s * s * (1 - line / best), color="black", linewidth=1.2, label="(16.15)")
    for eta, dQ in zip(etas, measured, strict=True):
        first = eta == etas[0]
        ax.plot(
            np.full(d, eta), dQ[on], "o", color=BLUE, markersize=4, fillstyle="none", label="on the diagonal" if first else None
        )
        ax.plot(np.full((~on).sum(), eta), dQ[~on], ".", color=RED, markersize=2, label="off it" if first else None)
    ax.axvline(best, color="0.5", linestyle="--", linewidth=1)
    ax.set(xlabel=r"step $\eta$ of the layer", ylabel="entries of the mean dQ")
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_learned(learned: Mapping[int, Sequence[float]], closed: Callable[[int], float]) -> Figure:
    """The learned steps of all seeds against n, on the curve of the closed form."""
    figure, axes = new_figure(width=5.4, height=3.3)
    ax = axes[0, 0]
    sizes = np.arange(min(learned), max(learned) + 1)
    ax.plot(sizes, [closed(int(n)) for n in sizes], color="black", linewidth=1.2, label=r"$n / (s\,(n + d - 2 + k))$")
    ax.axhline(3.0, color="0.5", linestyle=":", linewidth=1, label="1 / s")
    for n, etas in learned.items():
        ax.plot(
            [n] * len(etas), etas, "o", color=BLUE, markersize=5, fillstyle="none", label="learned" if n == min(learned) else None
        )
    ax.set(xlabel="examples n", ylabel=r"step $\eta$")
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_two(lam: Array, variance: float, two: Mapping[str, Mapping[str, float]], loss: Callable[..., float]) -> Figure:
    """Left: the least loss of two layers over eta, against c. Right: the factor r in each eigenvalue after GD and GD++."""
    figure, axes = new_figure(columns=2, width=3.9, height=3.1)
    few, best = lam[:400], two["GD++"]
    cs, etas = np.linspace(0, 0.6, 25), np.linspace(0.8, 4.2, 35)
    least = [min(loss(few, variance, eta, c, 2) for eta in etas) for c in cs]
    left, right = axes[0]
    left.plot(cs, least, color=GREEN, linewidth=1.6)
    left.axvline(best["c"], color="0.5", linestyle="--", linewidth=1)
    left.set(xlabel="c", ylabel=r"loss of two layers, least over $\eta$")
    line = np.linspace(0, np.quantile(lam, 0.999), 200)
    m = 1 - best["c"] * line
    curves = {"GD": (1 - two["GD"]["eta"] * line) ** 2, "GD++": (1 - best["eta"] * line) * (1 - best["eta"] * line * m * m)}
    for (name, curve), (color, style) in zip(curves.items(), (("black", "--"), (GREEN, "-")), strict=True):
        right.plot(line, curve, color=color, linestyle=style, linewidth=1.6, label=name)
    right.plot(np.quantile(lam, np.linspace(0.02, 0.98, 25)), np.full(25, 0.0), "|", color="0.4", markersize=6)
    right.set(xlabel=r"eigenvalue $\lambda$ of S (ticks: where they lie)", ylabel="what is left, r")
    right.legend(frameon=False, fontsize=9)
    return figure
