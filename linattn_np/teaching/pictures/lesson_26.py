"""Pictures of lesson 26: descent in a valley, the two Hessians along a run, the amplitude, and Adam's edge."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import new_figure


def draw_valley(target: float, path: Array) -> tuple[Figure, str]:
    """Descent in a valley whose minimum has curvature ``target``, rate 1: the points (T, 2), and s midway between two of them."""
    figure, axes = new_figure(columns=2, width=2.6, height=2.6)
    left, right = axes[0]
    left.plot(path[:, 0], path[:, 1], ".-", color="#0072B2", linewidth=0.6, markersize=4)
    left.plot(0, target, "*", color="#D55E00", markersize=9)
    left.axhline(2, color="k", linestyle="--", linewidth=1)
    left.set(xlim=(-1.2, 1.2), ylim=(1, 3), xlabel="x, across", ylabel="s, along", title="path")
    middle = 0.5 * (path[1:] + path[:-1])
    right.plot(middle[:, 1], color="#0072B2", linewidth=1)
    right.axhline(2, color="k", linestyle="--", linewidth=1)
    right.set(ylim=(1, 3), xlabel="step t", title="curvature midway")
    with np.errstate(all="ignore"):
        late = path[-20:]
        if not np.isfinite(late).all():
            words = "descent runs away"
        elif np.abs(late[:, 0]).max() < 1e-3:
            words = "descent arrives at the minimum"
        elif np.ptp(np.abs(late[:, 0])) < 1e-2:
            words = f"descent jumps between x = {abs(late[-1, 0]):.2f} and its mirror image, with s = {late[-1, 1]:.2f}"
        else:
            words = "the oscillation never settles: it bursts, and s rises again"
    return figure, f"Curvature at the minimum {target:g}, edge 2: {words}."


def draw_hover(times: Array, found: Mapping[int, Array], edge: float, shown: int) -> Figure:
    """lambda over the edge midway for every seed {seed: (T, 5)}, and for one seed at the iterates beside it."""
    figure, axes = new_figure(columns=2, width=4.0, height=3.1)
    for k, (seed, met) in enumerate(found.items()):
        axes[0, 0].plot(times, met[:, 0] / edge, linewidth=1.2, label=f"seed {seed}", color=f"C{k}")
    met = found[shown]
    axes[0, 1].plot(times, met[:, 2] / edge, "o:", color="#D55E00", markersize=3, linewidth=0.8, label="at the iterate")
    axes[0, 1].plot(times, met[:, 0] / edge, color="#0072B2", linewidth=1.4, label="midway")
    for ax, title in zip(axes[0], ("midway, every seed", f"seed {shown}"), strict=True):
        ax.axhline(1, color="k", linestyle="--", linewidth=1)
        ax.set(ylim=(0, 1.8), xlabel="step t", title=title)
        ax.legend(frameon=False, fontsize=8)
    axes[0, 0].set_ylabel("largest curvature over 2 / rate")
    return figure


def draw_follow(found: Mapping[str, Any], seeds: Sequence[int], rate: float) -> Figure:
    """The loaded runs whose rate changes: lambda midway, and 2 over the rate."""
    figure, axes = new_figure(width=6.0, height=3.1)
    ax = axes[0, 0]
    for k, (seed, values) in enumerate(zip(seeds, np.array(found["midpoint"], float), strict=True)):
        ax.plot(found["times"], 2 / rate * values, linewidth=1.1, color=f"C{k}", label=f"seed {seed}")
    ax.plot(found["times"], 2 / np.array(found["rates"]), "k--", linewidth=1.5, label="2 / rate")
    ax.set(ylim=(0, 6 / rate), xlabel="step t", ylabel="largest curvature midway")
    ax.legend(frameon=False, fontsize=7, ncols=3, loc="upper left")
    return figure


def draw_amplitude(measured: Mapping[int, Array], predicted: Mapping[int, Array]) -> Figure:
    """Both sides of (26.11), a colour for each seed."""
    figure, axes = new_figure(width=4.4, height=3.4)
    ax = axes[0, 0]
    for k, seed in enumerate(measured):
        ax.plot(predicted[seed], measured[seed], ".", markersize=5, color=f"C{k}", label=f"seed {seed}")
    values = np.concatenate([np.maximum(each, 1e-9) for each in predicted.values()] or [np.ones(1)])
    ends = [0.3 * values.min(), 3 * values.max()]
    below = sum(int((each < ends[0]).sum()) for each in measured.values())
    ax.plot(ends, ends, color="0.6", linewidth=1)
    ax.set(
        xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="2a / b, from three gradients", ylabel="half the jump, squared"
    )
    if below:
        ax.text(0.97, 0.03, f"{below} points lie below: no jump yet", transform=ax.transAxes, ha="right", fontsize=8)
    if measured:
        ax.legend(frameon=False, fontsize=8)
    return figure


def draw_adam(betas: Sequence[float], ratios: Array) -> Figure:
    """Adam's preconditioned curvature times the rate, (betas, seeds), against its predicted edge."""
    figure, axes = new_figure(width=4.4, height=3.4)
    ax = axes[0, 0]
    predicted = np.array([(2 + 2 * beta) / (1 - beta) for beta in betas])
    ax.plot([1.5, 110], [1.5, 110], color="0.6", linewidth=1)
    ax.plot(np.repeat(predicted, ratios.shape[1]), (predicted[:, None] * ratios).ravel(), "o", color="#0072B2", markersize=5)
    ax.set(xscale="log", yscale="log", xlabel="(2 + 2 beta1) / (1 - beta1)", ylabel="rate times curvature, midway")
    return figure


def draw_lengths(shares: Array, lengths: Mapping[str, Sequence[float]]) -> Figure:
    """The length of the larger eigenvalue of (26.4) against the curvature over the predicted edge, for each optimizer."""
    figure, axes = new_figure(width=5.0, height=2.9)
    ax = axes[0, 0]
    for name, line in zip(lengths, ("-", "--", ":"), strict=True):
        ax.plot(shares, lengths[name], line, linewidth=1.6, label=name)
    ax.axhline(1, color="0.5", linewidth=0.8)
    ax.axvline(1, color="0.5", linewidth=0.8)
    ax.set(ylim=(0, 1.5), xlabel="curvature over the predicted edge", ylabel="growth in a step")
    ax.legend(frameon=False, fontsize=9)
    return figure
