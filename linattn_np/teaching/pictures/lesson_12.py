"""Pictures of lesson 12: tokens of three laws, the law of a squared length, two knobs, what a tail does to a step, and
training.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._types import Array
from ...measures.noise import Noise
from ...plotting import NOISE_STYLES, STYLES, median_band, new_figure

TAILS = {
    1.0: ("#0072B2", "-"),
    1.4: ("#009E73", "-."),
    2.0: ("#E69F00", ":"),
    4.0: ("#CC79A7", (0, (5, 1))),
    11.0: ("#D55E00", "--"),
}


def draw_tokens(panels: Mapping[str, Array]) -> Figure:
    """Tokens (m, d) of each law, by their first two covariates."""
    figure, axes = new_figure(columns=len(panels), width=2.9, height=3.1)
    for ax, (title, X) in zip(axes[0], panels.items(), strict=True):
        ax.plot(X[:, 0], X[:, 1], "o", markersize=3, color="#0072B2", alpha=0.6)
        ax.set(xlim=(-5, 5), ylim=(-5, 5), xlabel="covariate 1", aspect="equal")
        ax.set_title(title, fontsize=10)
    axes[0, 0].set_ylabel("covariate 2")
    return figure


def draw_law(g: Array, mean: float, middle: float, title: str, found: Noise, control: Array) -> Figure:
    """Left the squared lengths g with their mean and median, right the noise beside its Gaussian control."""
    figure, axes = new_figure(columns=2, width=4.2, height=3.0)
    left, right = axes[0]
    left.hist(np.log10(np.maximum(g, 1e-8)), np.linspace(-8, 2.5, 43), color="#009E73", alpha=0.6)
    left.axvline(np.log10(mean), color="k", linewidth=1.4, label=f"mean {mean:.3g}")
    at = np.log10(max(middle, 1e-8))
    left.axvline(at, color="k", linestyle=":", linewidth=1.6, label=f"median {middle:.2g}")
    left.set(xlabel="log10 of the squared length g", ylabel=f"tokens of {len(g):,}", xlim=(-8.2, 2.5))
    left.legend(frameon=False, fontsize=9, loc="upper left")
    left.set_title(title, fontsize=10)
    edges, ratios = np.linspace(0, 5, 41), []
    for x, law in ((found.norms, "noise"), (control, "covariance")):
        density = np.histogram(x / np.median(x), edges, density=True)[0]
        right.stairs(density, edges, label="noise" if law == "noise" else "control", **NOISE_STYLES[law])
        ratios.append(np.divide(*np.quantile(x, [0.99, 0.5])))
    right.set(xlabel="||e|| / median", ylabel="density")
    right.legend(frameon=False, fontsize=9)
    right.set_title("p99/p50: {:.3g}, control {:.3g}".format(*ratios), fontsize=10)
    return figure


def draw_step(kappas: Array, left: Array, batches: Array, noise: Mapping[float, Array]) -> Figure:
    """Left the share of the loss that the best step leaves, against kappa; right noise over signal against the batch."""
    figure, axes = new_figure(columns=2, width=4.2, height=3.0)
    axes[0, 0].plot(kappas, left, color="k")
    for kappa in noise:
        axes[0, 0].plot(kappa, np.interp(kappa, kappas, left), "o", color=TAILS[kappa][0], markersize=7)
    axes[0, 0].set(xlabel="kappa", ylabel="share of the loss left by one layer", ylim=(0, 1))
    for kappa, ratio in noise.items():
        axes[0, 1].plot(batches, ratio, label=f"kappa {kappa:g}", color=TAILS[kappa][0], linestyle=TAILS[kappa][1])
    axes[0, 1].axhline(1, color="0.5", linewidth=0.8)
    axes[0, 1].text(batches[0], 1.15, "as much noise as signal", fontsize=9, color="0.3")
    axes[0, 1].set(xscale="log", yscale="log", xlabel="batch", ylabel="noise variance over signal")
    axes[0, 1].legend(frameon=False, fontsize=9)
    return figure


def draw_knobs(grid: Mapping[tuple[float, float], Array], kappa: float, mean: float) -> tuple[Figure, str]:
    """R_med against p99/p50 of the noise for each law of the grid, values (seeds, 2); the law of the knobs stands out."""
    figure, axes = new_figure(width=5.0, height=3.5)
    ax = axes[0, 0]
    middle = {law: np.median(values, axis=0) for law, values in grid.items()}
    every = np.array(list(middle.values()))
    ax.plot(every[:, 0], every[:, 1], "o", color="0.8", markersize=5)
    for same, colour in ((0, "#D55E00"), (1, "#0072B2")):
        line = np.array([middle[law] for law in sorted(grid) if law[same] == (kappa, mean)[same]])
        ax.plot(line[:, 0], line[:, 1], color=colour, linewidth=1.2, alpha=0.7)
    seeds, here = grid[kappa, mean], middle[kappa, mean]
    ax.plot(seeds[:, 0], seeds[:, 1], "x", color="k", markersize=5)
    ax.plot(*here, "o", color="k", markersize=10)
    ax.text(0.02, 0.97, "orange: turn the scale", color="#D55E00", fontsize=9, va="top", transform=ax.transAxes)
    ax.text(0.02, 0.89, "blue: turn the tail", color="#0072B2", fontsize=9, va="top", transform=ax.transAxes)
    ax.set(xscale="log", yscale="log", xlim=(80, 4000), ylim=(1.2, 20))
    ax.set_xticks([100, 300, 1000, 3000], labels=["100", "300", "1000", "3000"])
    ax.set_yticks([2, 5, 10, 20], labels=["2", "5", "10", "20"])
    ax.minorticks_off()
    ax.set(xlabel="R_med at the initial weights, lower median", ylabel="p99/p50 of the noise norm")
    return figure, f"Mean squared length {mean:g}, kappa {kappa:g}: R_med {here[0]:,.0f}, p99/p50 {here[1]:.2f}."


def draw_noise(
    means: Sequence[float], size: Mapping[float, Array], tail: Mapping[float, Array], control: Mapping[float, Array]
) -> Figure:
    """Median and p99/p50 of the noise norm (seeds, means) against the mean squared length, for each kappa; its control dotted."""
    figure, axes = new_figure(columns=2, width=4.4, height=3.3)
    for ax, values in zip(axes[0], (size, tail), strict=True):
        for kappa, each in values.items():
            colour, line = TAILS[kappa]
            quartiles = np.quantile(each, [0.25, 0.5, 0.75], axis=0)
            median_band(ax, means, quartiles, f"kappa {kappa:g}", color=colour, linestyle=line)
        ax.set(xscale="log", yscale="log", xlabel="mean squared length E g")
        ax.set_xticks(means, labels=[f"{mean:g}" for mean in means])
        ax.minorticks_off()
    square = np.square(np.asarray(means, float))
    axes[0, 0].plot(means, 0.12 * square, "k:", linewidth=1, label="(12.13): slope 2 in E g")
    for kappa, each in control.items():
        axes[0, 1].plot(means, np.median(each, axis=0), ":", color=TAILS[kappa][0], linewidth=1.2)
    axes[0, 1].text(0.5, 0.03, "dotted: Gaussian controls", fontsize=9, ha="center", transform=axes[0, 1].transAxes)
    axes[0, 1].set_ylim(1, 15)
    axes[0, 1].set_yticks([1, 2, 5, 10], labels=["1", "2", "5", "10"])
    axes[0, 0].set_ylabel("median noise norm")
    axes[0, 1].set_ylabel("p99 / p50 of the noise norm")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def draw_training(panels: Mapping[str, Mapping[str, Array]]) -> Figure:
    """Loss of fresh batches (seeds, steps) of SGD and Adam, a panel for each title; points are medians of twentieths."""
    figure, axes = new_figure(columns=len(panels), width=3.2, height=3.2)
    for ax, (title, runs) in zip(axes[0], panels.items(), strict=True):
        for opt, values in runs.items():
            window = values.shape[1] // 20
            medians = np.median(values[:, : 20 * window].reshape(len(values), 20, window), axis=2)
            median_band(ax, window * (np.arange(20) + 0.5), np.quantile(medians, [0.25, 0.5, 0.75], axis=0), opt)
        ax.set(yscale="log", ylim=(2e-4, 1.5), xlabel="step t")
        ax.set_title(title, fontsize=10)
    seeds = len(next(iter(next(iter(panels.values())).values())))
    axes[0, 0].set_ylabel(f"loss of fresh batches, {seeds} seeds")
    axes[0, 0].legend(frameon=False)
    return figure


def draw_search(panels: Mapping[str, Mapping[str, Mapping[str, Sequence[float | None]]]]) -> Figure:
    """Score against rate for both optimizers, a panel for each law; filled marks are the best rates."""
    figure, axes = new_figure(columns=len(panels), width=4.2, height=3.0)
    for ax, (title, found) in zip(axes[0], panels.items(), strict=True):
        for opt in ("SGD", "Adam"):
            _search_on(ax, opt, np.array(found[opt]["rates"], float), np.array(found[opt]["scores"], float))
        ax.set(xscale="log", yscale="log", ylim=(1e-5, 3), xlabel="learning rate")
        ax.set_title(title, fontsize=10)
    axes[0, 0].set_ylabel("loss; at zero weights it is 1")
    axes[0, 1].legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def _search_on(ax: Axes, opt: str, rates: Array, scores: Array) -> None:
    best = int(np.nanargmin(scores))
    ax.plot(rates, scores, marker=".", label=opt, **STYLES[opt])
    ax.plot(rates[best], scores[best], "o", markersize=8, color=STYLES[opt]["color"])
