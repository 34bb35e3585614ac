"""Pictures of lesson 07: SGD and Adam at each batch size, a valley with two curvatures, rates, ceilings, and means that do not
settle.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...optimizers import SGD, Adam, Optimizer
from ...plotting import STYLES, median_band, new_figure

NAMES = ("SGD", "Adam")
MOMENTUM_LOOKS = {0.0: ("#E69F00", "o"), 0.5: ("#D55E00", "v"), 0.9: ("#CC79A7", "^"), 0.98: ("#000000", "s")}


# ---------------------------------------------------------------- two curves compared


def smoothed(curves: Any) -> Array:
    """At each place the median of the last tenth of the way there. curves (seeds, T) -> (seeds, T)"""
    curves = np.asarray(curves, float)
    return np.stack([np.median(curves[:, k + 1 - max(1, (k + 1) // 10) : k + 1], axis=1) for k in range(curves.shape[1])], axis=1)


def gap(at: Sequence[float], sgd: Any, adam: Any, t: float) -> float:
    """SGD's loss over Adam's at iteration t, the median over the seeds. Curves (seeds, T) at the iterations ``at``."""
    k = max(0, int(np.searchsorted(at, t)) - 1)
    return float(np.median(smoothed(sgd)[:, k] / smoothed(adam)[:, k]))


def sooner(at: Sequence[float], sgd: Any, adam: Any, t: float) -> float:
    """How many times sooner Adam had the loss that SGD has at iteration t, the median over the seeds; NaN where it never had
    it.
    """
    k, sgd, adam = max(0, int(np.searchsorted(at, t)) - 1), smoothed(sgd), smoothed(adam)
    first = [np.flatnonzero(a <= s[k]) for s, a in zip(sgd, adam, strict=True)]
    return float(np.median([t / at[hits[0]] if len(hits) else np.nan for hits in first]))


def curves_of(panel: Mapping[str, Any]) -> tuple[list[float], Array, Array]:
    """The iterations, SGD's and Adam's training losses (seeds, T) of a panel of figures/full_batch.json."""
    sgd, adam = (np.asarray(panel[name]["train"]["each_seed"], float) for name in NAMES)
    return panel["SGD"]["train"]["iterations"], sgd, adam


def draw_batch(panel: Mapping[str, Any], title: str) -> tuple[Figure, str]:
    """SGD and Adam on one kind of batch, each at its best rate, and the two numbers that it comes down to."""
    at, *curves = curves_of(panel)
    figure, axes = new_figure(width=5.0, height=3.3)
    ax = axes[0, 0]
    for name, curve in zip(NAMES, curves, strict=True):
        label = f"{name}, rate {panel[name]['learning_rate']:g}"
        median_band(ax, at, np.quantile(curve, [0.25, 0.5, 0.75], axis=0), label, **STYLES[name])
    ax.set(xscale="log", yscale="log", xlim=(25, 1e4), ylim=(1e-5, 3), xlabel="iteration t", ylabel="training loss")
    ax.set_title(title, fontsize=10)
    ax.legend(frameon=False, fontsize=9)
    last = at[-1] + at[0]
    early, late = gap(at, curves[0], curves[1], 2000), gap(at, curves[0], curves[1], last)
    said = f"SGD's loss over Adam's: {early:.3g} at iteration 2,000, {late:.3g} at {last:,.0f}."
    return figure, f"{said} SGD's loss of iteration 2,000 Adam had {sooner(at, curves[0], curves[1], 2000):.2g} times sooner."


# ---------------------------------------------------------------- a valley


def draw_valley(lr: float, mu: float, curvature: Array, steps: int = 100) -> Figure:
    """SGD and Adam on a quadratic with two curvatures, started where both coordinates cost the same."""
    figure, axes = new_figure(columns=2, width=4.2, height=2.9)
    left, right = axes[0]
    a, b = np.meshgrid(np.linspace(-2, 2, 20), np.linspace(-3, 8, 20))
    left.contour(a, b, curvature[0] * a * a + curvature[1] * b * b, levels=4, colors="0.8", linewidths=0.8)
    optimizers: dict[str, Optimizer] = {"SGD": SGD(lr, mu), "Adam": Adam(lr, 0.9, 0.9)}
    for name, optimizer in optimizers.items():
        x, state, path = (curvature[0] / curvature) ** 0.5, optimizer.init(np.zeros(2)), []
        for _ in range(steps):
            path.append(x)
            x, state = optimizer.update(x, curvature * x, state)
        walked = np.array(path)
        left.plot(*walked.T, marker=".", markersize=3, linewidth=1, **STYLES[name])
        right.plot((walked**2 @ curvature) / 2, label=name, **STYLES[name])
    root = max(np.abs(np.roots([1, lr * h - 1 - mu, mu])).max() for h in curvature)  # (7.3)
    right.plot(np.arange(steps), root ** (2 * np.arange(steps)), "k:", linewidth=1, label="largest root of (7.3)")
    left.set(xlim=(-2, 2), ylim=(-3, 8), xlabel="steep coordinate", ylabel="flat coordinate")
    right.set(yscale="log", ylim=(1e-6, 1e2), xlabel="step t", ylabel="f")
    right.legend(frameon=False, fontsize=8)
    ceiling = "converges" if lr < 2 * (1 + mu) else "beyond 2 (1 + mu): diverges"
    left.set_title(f"effective rate {lr / (1 - mu):.3g}", fontsize=10)
    right.set_title(f"largest lr h = {lr:.3g}: {ceiling}", fontsize=10)
    return figure


# ---------------------------------------------------------------- rates and ceilings


def draw_rates(rates: Sequence[float], score: Mapping[tuple[str, float, float | None], float], steps: int) -> Figure:
    """Scores against the rate, and against the effective rate (7.2): a curve for each momentum, and Adam's."""
    figure, axes = new_figure(columns=2, width=4.4, height=3.0)
    for ax, effective in zip(axes[0], (False, True), strict=True):
        for mu, (colour, mark) in MOMENTUM_LOOKS.items():
            at = np.array(rates) / (1 - mu if effective else 1)
            ax.plot(at, [score["SGD", lr, mu] for lr in rates], label=f"SGD, momentum {mu:g}", color=colour, marker=mark,
                    markersize=5, linestyle="--", linewidth=1.2)  # fmt: skip
        ax.plot(rates, [score["Adam", lr, None] for lr in rates], label="Adam", **STYLES["Adam"])
        ax.set(xscale="log", yscale="log", ylim=(1e-3, 10))
        ax.set_xlabel("effective rate lr / (1 - mu)" if effective else "learning rate lr")
    axes[0, 0].set_ylabel(f"loss after {steps} steps")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False, fontsize=8)
    return figure


def draw_race(at: Array, curves: Mapping[str, Array], labels: Mapping[str, str], lowered: int) -> Figure:
    """Losses (seeds, T) of SGD at the paper's rate and at its best, and Adam; from ``lowered`` on at a tenth of the rate."""
    looks = {"SGD": STYLES["SGD"], "Adam": STYLES["Adam"], "cautious": {"color": "#E69F00", "linestyle": ":"}}
    figure, axes = new_figure(width=6.2, height=3.5)
    ax = axes[0, 0]
    for name, curve in curves.items():
        median_band(ax, at, np.quantile(curve, [0.25, 0.5, 0.75], axis=0), labels[name], **looks[name])
    ax.axvline(lowered, color="0.6", linewidth=1)
    ax.text(lowered * 1.03, ax.get_ylim()[1] / 2, "rates / 10", fontsize=9, color="0.3")
    ax.set(xscale="log", yscale="log", xlabel="step t", ylabel="loss of fresh batches")
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_ceilings(times: Sequence[int], found: Mapping[str, Array], labels: Mapping[str, str]) -> Figure:
    """The rate times the sharpness that limits it (seeds, T), beside the ceiling of each optimizer."""
    figure, axes = new_figure(columns=2, width=4.2, height=3.2)
    looks = {"SGD": STYLES["SGD"], "Adam": STYLES["Adam"], "cautious": {"color": "#E69F00", "linestyle": ":"}}
    for name, values in found.items():
        ax = axes[0, int(name == "Adam")]
        median_band(ax, times, np.quantile(values, [0.25, 0.5, 0.75], axis=0), labels[name], **looks[name])
    for ax, ceiling, label in zip(axes[0], (3.8, 38.0), ("lr lambda_max(H)", "lr lambda_max in Adam's units"), strict=True):
        ax.axhline(ceiling, color="k", linewidth=1, linestyle="--")
        ax.text(times[-1], ceiling * 1.1, f"ceiling {ceiling:g}", ha="right", fontsize=9)
        ax.set(yscale="log", xlabel="step t")
        ax.set_ylabel(label)
        ax.legend(frameon=False, fontsize=9, loc="upper right")
    return figure


# ---------------------------------------------------------------- many settings, many prompts


def draw_settings(titles: Mapping[str, str], losses: Mapping[tuple[str, str], Array], points: int = 20) -> Figure:
    """Losses (seeds, T) of fresh batches in each setting: medians of ``points`` windows, and quartiles over the seeds."""
    figure, axes = new_figure(columns=len(titles), width=3.3, height=3.0)
    for ax, (setting, title) in zip(axes[0], titles.items(), strict=True):
        for name in NAMES:
            found = losses[setting, name]
            seeds, steps = found.shape
            medians = np.median(found.reshape(seeds, points, steps // points), axis=2)
            at = steps // points * (np.arange(points) + 0.5)
            median_band(ax, at, np.quantile(medians, [0.25, 0.5, 0.75], axis=0), name)
        ax.set(yscale="log", xlabel="step t")
        ax.set_title(title, fontsize=10)
    axes[0, 0].set_ylabel(f"loss of fresh batches, {seeds} seeds")
    axes[0, 0].legend(frameon=False)
    return figure


def draw_running_means(titles: Mapping[str, str], errors: Mapping[tuple[str, str, int], Array], seeds: int) -> Figure:
    """The mean squared error of more and more prompts, a line for each seed."""
    figure, axes = new_figure(columns=len(titles), width=4.4, height=3.0)
    for ax, (setting, title) in zip(axes[0], titles.items(), strict=True):
        for name in NAMES:
            for seed in range(seeds):
                e = errors[setting, name, seed]
                count = np.unique(np.geomspace(50, len(e), 150).astype(int))
                style = {**STYLES[name], "linewidth": 1.2, "alpha": 0.8}
                ax.plot(count, np.cumsum(e)[count - 1] / count, label=name if seed == 0 else None, **style)
        ax.set(xscale="log", yscale="log", xlabel="prompts averaged")
        ax.set_title(title, fontsize=10)
    axes[0, 0].set_ylabel("mean loss so far")
    axes[0, 0].legend(frameon=False)
    return figure
