"""Pictures of lesson 29: two losses, one method with its steps, singular values on their way to 1, ladders of losses."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import new_figure, plain_ticks

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.35"


def colour(method: str) -> str:
    """SGD orange, Adam blue, what lies between them grey."""
    return ORANGE if method.startswith("SGD") else BLUE if method.startswith("Adam") else GREY


def smoothed(series: Array, parts: int) -> tuple[Array, Array]:
    """The median of each of ``parts`` equal parts of a series, and their middles."""
    width = max(1, len(series) // parts)
    whole = series[: len(series) // width * width].reshape(-1, width)
    return np.arange(len(whole)) * width + width // 2, np.median(whole, axis=1)


def draw_losses(losses: Mapping[str, Array]) -> Figure:
    """The loss of fresh batches against step, medians of hundredths of the run, a line for each method."""
    figure, axes = new_figure(width=5.2, height=3.1)
    for (method, series), line in zip(losses.items(), ("--", "-", ":"), strict=False):
        axes[0, 0].plot(*smoothed(series, 100), line, color=colour(method), linewidth=1.5, label=method)
    axes[0, 0].set(yscale="log", xlabel="step", ylabel="loss of fresh batches")
    axes[0, 0].legend(frameon=False)
    return figure


def draw_method(method: str, loss: Array, other: Array, lengths: Array, words: str) -> tuple[Figure, str]:
    """One method: its loss beside Adam's, and the lengths of its steps in units of a constant rate."""
    figure, axes = new_figure(columns=2, width=2.9, height=2.6)
    left, right = axes[0]
    left.plot(*smoothed(other, 50), ":", color=BLUE, linewidth=1.5, label="Adam")
    left.plot(*smoothed(loss, 50), color=colour(method), linewidth=1.5, label=method)
    left.set(yscale="log", xlabel="step", ylabel="loss of fresh batches", ylim=(3e-4, 10))
    left.legend(frameon=False, fontsize=7)
    steps = np.arange(len(lengths))
    kept = np.unique(np.append(steps[:: max(1, len(steps) // 300)], np.argsort(lengths)[-12:]))
    right.plot(kept, lengths[kept], ".", color=colour(method), markersize=2)
    right.axhline(float(np.median(lengths)), color="black", linewidth=0.9)
    right.set(yscale="log", xlabel="step", ylabel="length of a step", ylim=(1e-3, 10))
    return figure, words


def draw_singular_values(before: Array, after: Sequence[Array]) -> Figure:
    """What iterations of (29.4) make of a singular value: a line after 1, 2, .. of them."""
    figure, axes = new_figure(width=4.6, height=2.9)
    for k, values in enumerate(after, 1):
        axes[0, 0].plot(before, values, color=str(0.75 - 0.15 * k), linewidth=1 + 0.15 * k, label=f"after {k}")
    axes[0, 0].axhspan(0.68, 1.14, color=BLUE, alpha=0.15)
    axes[0, 0].set(xscale="log", xlabel="singular value before", ylabel="singular value after")
    axes[0, 0].legend(frameon=False, fontsize=8)
    return figure


def draw_ladder(panels: Mapping[str, Mapping[str, Array]]) -> Figure:
    """Test losses, a panel for each {title: {method: losses (seeds,)}}: dots, a bar at the median, Adam's median dashed."""
    figure, axes = new_figure(columns=len(panels), width=4.6, height=0.28 * max(map(len, panels.values())) + 1.1)
    for ax, (title, rows) in zip(axes[0], panels.items(), strict=True):
        _rungs(ax, rows)
        ax.set(xscale="log", xlabel="test loss", title=title)
        plain_ticks(ax)
    return figure


def _rungs(ax: Axes, rows: Mapping[str, Array]) -> None:
    for row, (method, losses) in enumerate(rows.items()):
        ax.plot(losses, np.full(len(losses), -row), "o", color=colour(method), markersize=3.5, alpha=0.7)
        ax.plot([np.median(losses)] * 2, [-row - 0.3, -row + 0.3], color=colour(method), linewidth=2)
    if "Adam" in rows:
        ax.axvline(float(np.median(rows["Adam"])), color=BLUE, linestyle="--", linewidth=0.9)
    ax.set_yticks(-np.arange(len(rows)), list(rows), fontsize=8)
