"""Pictures of lesson 08: products of Gaussians and their means, kurtosis against batch size, tails beside their control, two
noises in training.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...measures.tails import excess_kurtosis, qq_normal, skewness
from ...plotting import NOISE_STYLES, STYLES, median_band, new_figure

SETTING_LOOKS = (("#0072B2", "-"), ("#009E73", "-."), ("#D55E00", "--"))
FAR = np.linspace(0, 8, 81)  # in standard deviations


class Products:
    """Means of B products of k independent Gaussians, from one set of draws: how often one lies x standard deviations out."""

    def __init__(self, rng: np.random.Generator, factors: Sequence[int], batches: Sequence[int], draws: int) -> None:
        self.beyond: dict[tuple[int, int], Array] = {}
        product = np.ones(draws)
        for k in range(1, max(factors) + 1):
            product = product * rng.standard_normal(draws)
            if k in factors:
                for B in batches:
                    means = product[: draws // B * B].reshape(-1, B).mean(axis=1)
                    size = np.sort(np.abs(means) * np.sqrt(B))  # the standard deviation of one product is 1
                    self.beyond[k, B] = 1 - np.searchsorted(size, FAR) / len(size)

    def draw(self, factors: int, batch: int) -> tuple[Figure, str]:
        """The tail of the mean beside a Gaussian's, and the excess kurtosis that the derivation gives."""
        figure, axes = new_figure(width=5.0, height=3.3)
        ax = axes[0, 0]
        shown = self.beyond[factors, batch]
        ax.plot(FAR[shown > 0], shown[shown > 0], linewidth=1.8, label="mean of products", **NOISE_STYLES["noise"])
        gaussian = self.beyond[1, 1]
        ax.plot(
            FAR[gaussian > 0],
            gaussian[gaussian > 0],
            linewidth=1.4,
            label="Gaussian, same variance",
            **NOISE_STYLES["covariance"],
        )
        ax.set(yscale="log", ylim=(1e-5, 1.5), xlim=(0, 8), xlabel="standard deviations x", ylabel="share beyond x")
        ax.legend(frameon=False, fontsize=9)
        ratio = 3**factors
        return figure, (
            f"{factors} factor{'s' * (factors > 1)}: m4/m2^2 is {ratio} for one product, and batches of {batch} have excess "
            f"kurtosis {(ratio - 3) / batch:.3g}."
        )


def kurtosis_by_batch(entries: Array, sizes: Sequence[int]) -> Array:
    """Quartiles over the entries of the excess kurtosis of means of B rows. entries (prompts, p) -> (3, sizes)"""
    found = []
    for B in sizes:
        means = entries[: len(entries) // B * B].reshape(-1, B, entries.shape[1]).mean(axis=1)  # (batches, p)
        found.append([excess_kurtosis(entry) for entry in means.T])
    return np.quantile(found, [0.25, 0.5, 0.75], axis=1)


def draw_forgetting(sizes: Sequence[int], quartiles: Array) -> Figure:
    """The kurtosis of an entry against the batch size, and the line that starts at B = 1."""
    figure, axes = new_figure(width=5.6, height=3.3)
    ax = axes[0, 0]
    median_band(ax, sizes, quartiles, "measured, all living entries", color="#0072B2")
    ax.plot(sizes, quartiles[1, 0] / np.asarray(sizes), "k:", label="(8.5), from B = 1")
    ax.set(xscale="log", yscale="log", xlabel="batch size B", ylabel="excess kurtosis of an entry")
    ax.legend(frameon=False)
    return figure


def draw_beyond(
    titles: Mapping[str, str], beyond: Mapping[tuple[str, int, int], float], seeds: int, sizes: Sequence[int]
) -> Figure:
    """p99 / p50 of the noise over that of its control, against the batch size, a line for each setting."""
    figure, axes = new_figure(width=5.6, height=3.4)
    ax = axes[0, 0]
    for (name, title), (colour, line) in zip(titles.items(), SETTING_LOOKS, strict=True):
        each = [[beyond[name, seed, B] for B in sizes] for seed in range(seeds)]
        median_band(ax, sizes, np.quantile(each, [0.25, 0.5, 0.75], axis=0), title, color=colour, linestyle=line)
    ax.axhline(1, color="0.4", linewidth=1, linestyle=":")
    ax.text(1, 1.04, "Gaussian, same covariance", fontsize=9)
    ax.set(xscale="log", yscale="log", xlabel="batch size B", ylabel="p99 / p50 over control's")
    ax.legend(frameon=False, fontsize=9, title=f"median and quartiles of {seeds} seeds")
    return figure


def draw_law(norms: Array, control: Array, title: str) -> Figure:
    """The density of the norms beside the control's, and both against a normal law."""
    figure, axes = new_figure(columns=2, width=4.2, height=3.0)
    left, right = axes[0]
    edges = np.linspace(0, 4, 41)
    for x, law, label in ((norms, "noise", "gradient noise"), (control, "covariance", "control (8.3)")):
        left.stairs(np.histogram(x / np.median(x), edges, density=True)[0], edges, label=label, **NOISE_STYLES[law])
        right.plot(*qq_normal(x, 100), linewidth=1.6, **NOISE_STYLES[law])
    right.axline((0, 0), slope=1, color="0.6", linewidth=0.8)
    left.set(xlabel="||e|| / median", ylabel="density")
    right.set(xlabel="quantiles of a normal law", ylabel="quantiles of ||e||, standardized")
    left.legend(frameon=False, fontsize=9)
    left.set_title(f"{title}: {len(norms)} batches", fontsize=10)
    right.set_title(f"skewness {skewness(norms):.2f}, control {skewness(control):.2f}", fontsize=10)
    return figure


def draw_training(batches: Sequence[int], ends: Mapping[tuple[str, str, int], Array]) -> Figure:
    """The loss after a short training with the prompts' own noise, and with Gaussian noise of the same covariance."""
    figure, axes = new_figure(columns=2, width=3.8, height=3.0)
    for ax, name in zip(axes[0], ("SGD", "Adam"), strict=True):
        for kind, marker, label in (("prompts", "o", "noise of the prompts"), ("Gaussian", "s", "Gaussian, same covariance")):
            each = np.array([ends[name, kind, B] for B in batches]).T  # (seeds, batches)
            low, middle, high = np.quantile(each, [0.25, 0.5, 0.75], axis=0)
            shift = 1.0 if kind == "prompts" else 1.08
            look = NOISE_STYLES["noise" if kind == "prompts" else "covariance"]
            ax.errorbar(
                np.array(batches) * shift, middle, [middle - low, high - middle], marker=marker, capsize=3, label=label, **look
            )
        ax.set(xscale="log", yscale="log", xlabel="batch size B")
        ax.set_title(f"{name}, clipped at 1", fontsize=10, color=STYLES[name]["color"])
        ax.set_xticks(batches, [str(B) for B in batches])
        low, high = ax.get_ylim()
        levels = [level for level in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if low <= level <= high]
        ax.set_yticks(levels, [f"{level:g}" for level in levels])
        ax.minorticks_off()
    axes[0, 0].set_ylabel("loss at the end")
    axes[0, 0].legend(frameon=False, fontsize=8)
    return figure
