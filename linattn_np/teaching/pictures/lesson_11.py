"""Pictures of lesson 11: curvature against gradient with a movable line, the pencil prompt's descent, clipped runs, and the
paper's plot.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import STYLES, new_figure

RULES = {"fixed, 1/16": ("#D55E00", "--"), "fixed, 1/272": ("#CC79A7", ":"), "clipped at 16": ("#0072B2", "-"),
         "1 / (16 + |f'|)": ("#009E73", "-.")}  # fmt: skip


def draw_bound(times: Array, norms: Array, largest: Array, L0: float, L1: float) -> tuple[Figure, str]:
    """|H| against |g| along runs (points,), the line L0 + L1 |g|, and how many points lie above it."""
    figure, axes = new_figure(width=5.0, height=3.3)
    ax = axes[0, 0]
    above = largest > L0 + L1 * norms
    ax.scatter(norms[~above], largest[~above], s=12, color="#0072B2", label="below")
    ax.scatter(norms[above], largest[above], s=16, color="#D55E00", marker="^", label="above: (11.3) broken")
    x = np.geomspace(norms.min(), norms.max(), 60)
    ax.plot(x, L0 + L1 * x, "k-", linewidth=1.3)
    ax.set(xscale="log", yscale="log", ylim=(0.2, 3 * largest.max()), xlabel="norm of the gradient", ylabel="norm of the Hessian")
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    return figure, f"L0 = {L0:g}, L1 = {L1:g}: {above.sum()} of {len(norms)} points lie above the line."


def draw_pencil(paths: Mapping[str, Sequence[float]]) -> Figure:
    """t^4 is (16, 1)-smooth, and the loss along the descents from t = 4 of each of the RULES."""
    figure, axes = new_figure(columns=2, width=4.2, height=3.0)
    t, (left, right) = np.linspace(0, 4, 100), axes[0]
    left.plot(4 * t**3, 12 * t**2, color="#0072B2", linewidth=2, label="f'' against f'")
    left.plot(4 * t**3, 16 + 4 * t**3, "k--", linewidth=1.3, label="16 + f'")
    left.plot(32, 48, "ko", markersize=5)
    left.set(xlabel="gradient", ylabel="curvature", title="t^4 is (16, 1)-smooth")
    left.legend(frameon=False, fontsize=9)
    for name, (colour, line) in RULES.items():
        right.plot(np.asarray(paths[name]) ** 4, color=colour, linestyle=line, linewidth=1.8, label=name)
    right.set(yscale="log", ylim=(1e-3, 1e6), xlabel="step", ylabel="loss", title="descent from t = 4")
    right.legend(frameon=False, fontsize=8, loc="upper right")
    return figure


def draw_clouds(
    panels: Mapping[str, tuple[Array, Array, Array]], label: str, line: Callable[[Array], Array] | None = None
) -> Figure:
    """A panel for each title: times, norms of the gradient and curvatures (points,); what is not positive is not drawn."""
    figure, axes = new_figure(columns=len(panels), width=3.3 if len(panels) > 2 else 4.2, height=3.1)
    for ax, (title, (times, norms, curvature)) in zip(axes[0], panels.items(), strict=True):
        good = curvature > 0
        dots = ax.scatter(norms[good], curvature[good], c=times[good], s=7, cmap="cividis", linewidths=0)
        ax.set(xscale="log", yscale="log", xlabel="norm of the gradient", title=title)
        ax.title.set_fontsize(10)
    axes[0, 0].set_ylabel(label)
    figure.colorbar(dots, ax=axes, label="iteration t")
    return figure


def draw_run(run: Any, threshold: float | str, steps: int) -> Figure:
    """Loss and gradient norm of a short run, with its clipping threshold."""
    figure, axes = new_figure(columns=2, width=4.2, height=3.0)
    for ax, values, label in zip(axes[0], (run.loss, run.grad_norm), ("loss", "norm of g"), strict=True):
        ax.plot(np.where(values < 1e12, values, np.nan), color=STYLES["SGD"]["color"], linewidth=1.2)
        ax.set(yscale="log", xlim=(0, steps), xlabel="iteration t", ylabel=label)
        ax.set_yticks([1e-2, 1, 100, 1e4])
        ax.set_ylim(1e-2, 1e5)
        ax.minorticks_off()
    clipped = 0.0
    if threshold != "none":
        axes[0, 1].axhline(threshold, color="k", linestyle="--", linewidth=1)
        clipped = 100 * np.mean(run.grad_norm > threshold)
    ended = "" if run.diverged_at is None else f", infinite at {run.diverged_at}"
    axes[0, 0].set_title(f"threshold {threshold}: {clipped:.0f} % clipped{ended}", fontsize=10)
    return figure
