"""Pictures of lesson 06: steps on a slope, momentum's path, what a rotation does to a gradient, losses against the rate."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ... import optimizers, plotting
from ..._types import Array

ADAGRAD, RMSPROP = {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1))}, {"color": "#56B4E9", "linestyle": (0, (4, 2))}
LOOKS: dict[str, dict[str, Any]] = {  # one look for a method in all pictures of the lesson
    "gradient descent": plotting.STYLES["gradient"],
    "momentum": plotting.STYLES["SGD"],
    "sign": plotting.STYLES["sign"],
    "normalized": plotting.STYLES["normalized"],
    "Adagrad": ADAGRAD,
    "RMSProp": RMSPROP,
    "Adam": plotting.STYLES["Adam"],
    "AdamW": {"color": "#000000", "linestyle": ":"},
}


def steps_on_slope(slope: float = 1.0, steps: int = 40) -> Figure:
    """The length of each step in units of lr, on a slope of this size and on one a hundred times as steep."""
    methods: dict[str, Any] = {
        "gradient descent": optimizers.SGD(1.0), "momentum": optimizers.SGD(1.0, 0.9), "sign": optimizers.SignDescent(1.0),
        "Adagrad": optimizers.Adagrad(1.0), "RMSProp": optimizers.RMSProp(1.0, 0.99), "Adam": optimizers.Adam(1.0, 0.9, 0.9),
    }  # fmt: skip
    figure, axes = plotting.new_figure(columns=2, width=3.9, height=3.1)
    for ax, size in zip(axes[0], (slope, 100 * slope), strict=True):
        for name, optimizer in methods.items():
            x, state, lengths = np.zeros(1), optimizer.init(np.zeros(1)), []
            for _ in range(steps):
                moved, state = optimizer.update(x, np.array([size]), state)
                lengths.append(abs(float((moved - x)[0])))
                x = moved
            ax.plot(np.arange(1, steps + 1), lengths, label=name, **LOOKS[name])
        ax.set(yscale="log", ylim=(0.1, 2000), xlabel="step t", title=f"slope g = {size:g}")
    axes[0, 0].set_ylabel("length of the step, over lr")
    axes[0, 0].legend(frameon=False, fontsize=8, ncol=2, loc="upper left")
    return figure


def momentum_path(lr: float, mu: float, curvature: Array, largest_root: float, steps: int = 60) -> Figure:
    """Left the path of momentum on the bench with these two curvatures, right its distance beside the root's power."""
    x, m, path = np.array([9.0, 1.0]), np.zeros(2), [np.array([9.0, 1.0])]
    for _ in range(steps):
        m = mu * m + curvature * x
        x = np.clip(x - lr * m, -1e6, 1e6)  # a diverging run stays on the page
        path.append(x)
    walked = np.array(path)
    figure, axes = plotting.new_figure(columns=2, width=3.9, height=3.2)
    left, right = axes[0]
    turn = np.linspace(0, 2 * np.pi, 60)
    for size in (3, 6, 9, 12):  # lines of equal loss are ellipses
        left.plot(size * np.cos(turn), size * np.sin(turn) / 5, color="0.8", linewidth=1)
    left.plot(*walked.T, color="#D55E00", marker="o", markersize=3, linewidth=1)
    left.set(xlim=(-10, 10), ylim=(-3, 3), xlabel="x1, curvature 1", ylabel="x2, curvature 25")
    right.plot(np.log10((walked**2).sum(axis=1)) / 2, color="#D55E00", label="of the distance")
    power = np.log10(82) / 2 + np.arange(steps + 1) * np.log10(largest_root)
    right.plot(power, color="k", linestyle=":", label="of the largest root to the power t")
    right.set(ylim=(-8, 3), xlabel="step t", ylabel="log10", title=f"largest root {largest_root:.2f}")
    right.legend(frameon=False, fontsize=9)
    return figure


def part_of_rotation(R: Array) -> Callable[[float], Array]:
    """share -> the rotation that goes this share of the way from I to R, along the eigenvectors' planes; R with determinant 1."""
    values, vectors = np.linalg.eig(R)
    angles = np.angle(values)
    back = np.linalg.inv(vectors)
    return lambda share: ((vectors * np.exp(1j * share * angles)) @ back).real


def sorted_scales(gradients: Array, turned_by: Callable[[float], Array]) -> Callable[[float], tuple[Figure, str]]:
    """Draws the root mean square of each coordinate of ``gradients`` (draws, p), largest first, after a share of a rotation."""

    def scales(share: float) -> Array:
        turned = gradients @ turned_by(share).T if share else gradients
        return np.sort(np.sqrt((turned**2).mean(axis=0)))[::-1]

    straight = scales(0.0)

    def draw(share: float) -> tuple[Figure, str]:
        now = scales(share)
        figure, axes = plotting.new_figure(width=5.4, height=3.2)
        ax = axes[0, 0]
        places = np.arange(1, len(now) + 1)
        ax.plot(places[straight > 0], straight[straight > 0], color="0.6", linestyle=":", label="on the axes of P' and Q'")
        ax.plot(places[now > 0], now[now > 0], color="#0072B2", label=f"turned by the share {share:g}")
        ax.set(yscale="log", ylim=(straight[straight > 0].min() / 3, straight[0] * 3), xlabel="coordinates, largest first")
        ax.set_ylabel("size of |g| over batches")
        ax.legend(frameon=False, fontsize=9, loc="lower left")
        living = now[now > 0]
        few = len(now) // 10
        return (
            figure,
            f"{len(living)} coordinates have a gradient; the {few}th largest is {now[few] / living[-few]:.1f} times the {few}th "
            "smallest of them.",
        )

    return draw


def against_rate(rates: Array, ends: dict[str, Array], seeds: int) -> Figure:
    """Final losses (rates, seeds) of each method against the learning rate: a line through medians, a dot a seed, a ring at the
    best.
    """
    figure, axes = plotting.new_figure(width=6.0, height=3.8)
    ax = axes[0, 0]
    looks = (plotting.STYLES["SGD"], plotting.STYLES["Adam"], {"color": "#009E73", "linestyle": ":"})
    for (name, losses), look in zip(ends.items(), looks, strict=True):
        middle = np.median(losses, axis=1)
        ax.plot(rates, middle, label=name, linewidth=1.6, **look)
        for k in range(losses.shape[1]):
            ax.plot(rates, losses[:, k], ".", color=look["color"], markersize=4)
        best = int(np.argmin(middle))
        ax.plot(rates[best], middle[best], "o", markersize=11, markerfacecolor="none", color=look["color"])
    ax.set(xscale="log", yscale="log", ylim=(1e-3, 2), xlabel="learning rate")
    ax.set_ylabel(f"final test loss ({seeds} seeds)")
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=9)
    return figure


def curves_in_two_panels(curves: dict[str, tuple[float, Array, Array]], panels: dict[str, Iterable[str]], seeds: int) -> Figure:
    """Test losses, {method: (rate, times, quartiles)}, in panels {title: methods}."""
    figure, axes = plotting.new_figure(columns=len(panels), width=4.1, height=4.2)
    for ax, (title, names) in zip(axes[0], panels.items(), strict=True):
        for name in names:
            lr, times, quartiles = curves[name]
            plotting.median_band(ax, times, quartiles, f"{name}, lr {lr:g}", **LOOKS[name])
        ax.set(yscale="log", ylim=(1e-3, 10), xlabel="iteration", title=title)
        ax.legend(frameon=False, fontsize=9, ncol=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    axes[0, 0].set_ylabel(f"test loss, median of {seeds} seeds")
    return figure
