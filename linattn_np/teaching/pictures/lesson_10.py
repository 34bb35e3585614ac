"""Pictures of lesson 10: a direction's curvature and angle, Adam's step taken apart, the loss along a line, steps along the
paths.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._types import Array
from ...measures.landscape import Objective, StepCurvature
from ...plotting import STYLES, median_band, new_figure

PARTS: dict[str, dict[str, Any]] = {  # Adam's step taken apart: is it averaged, is it divided?
    "g": {"color": "#000000", "marker": "o"},
    "g / sqrt v": {"color": "#009E73", "marker": "s"},
    "m": {"color": "#D55E00", "marker": "D"},
    "m / sqrt v": {"color": "#0072B2", "marker": "P"},
}
STEPS = (("g", "g / sqrt v"), ("g", "m"), ("g / sqrt v", "m / sqrt v"), ("m", "m / sqrt v"))


def equal_decrease(ax: Axes, kappa: float, left: float) -> None:
    """Grey lines along which cos^2 / kappa, and so the allowed decrease, is the same share of the gradient's."""
    x = np.geomspace(1e-3, 1e2, 50)
    for share in (1, 0.1, 0.01, 0.001):
        ax.plot(x, share / kappa * x, color="0.6", linewidth=1, zorder=1)
        ax.text(left, 1.3 * share / kappa * left, f"{share:g}", color="0.3", fontsize=8, clip_on=True)


def draw_split(met: Mapping[str, Array], t: int) -> tuple[Figure, str]:
    """The four directions at one time: kappa, cosine and decrease (seeds, 3) of each; medians over the seeds."""
    figure, axes = new_figure(width=5.0, height=3.6)
    ax = axes[0, 0]
    middle = {name: np.median(np.abs(values), axis=0) for name, values in met.items()}  # |cosine|: squared on the axis
    equal_decrease(ax, middle["g"][0], 0.02)
    for a, b in STEPS:
        (x0, y0, _), (x1, y1, _) = middle[a], middle[b]
        ax.annotate("", (x1, y1**2), (x0, y0**2), arrowprops={"arrowstyle": "->", "color": "0.5"})
    for name, look in PARTS.items():
        ax.scatter(middle[name][0], middle[name][1] ** 2, s=60, label=name, zorder=3, **look)
    ax.set(xscale="log", yscale="log", xlim=(1.5e-2, 20), ylim=(2e-4, 3), title=f"Adam's path, step {t}")
    ax.set(xlabel="curvature along the direction, kappa", ylabel="squared cosine with g")
    ax.title.set_fontsize(10)
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    less, share = middle["g"][0] / middle["m / sqrt v"][0], np.median(met["m / sqrt v"][:, 2] / met["g"][:, 2])
    only = np.median(met["g / sqrt v"][:, 2] / met["g"][:, 2])
    return figure, (
        f"At step {t} Adam's step meets {less:.2g} times less curvature than the gradient and allows {share:.2g} of its "
        f"decrease; divided only, {only:.2g}."
    )


def draw_directions(met: Mapping[str, StepCurvature], kappas: Array, squares: Array) -> Figure:
    """All directions at one point, and a cloud of directions drawn at random."""
    figure, axes = new_figure(width=6.4, height=4.0)
    ax = axes[0, 0]
    ax.scatter(kappas[:300], squares[:300], s=6, color="0.75", label="300 drawn at random")
    equal_decrease(ax, met["gradient"].kappa, 0.0115)
    for (name, m), marker in zip(met.items(), "osDX^P", strict=True):
        if m.kappa > 0:
            colour = STYLES.get(name, {"color": "0.3"})["color"]
            ax.scatter(m.kappa, m.cosine**2, marker=marker, s=55, color=colour, label=name)
    ax.set(xscale="log", yscale="log", xlim=(1e-2, 10), ylim=(1e-5, 2))
    ax.set(xlabel="curvature along the direction, kappa", ylabel="squared cosine with g")
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def draw_line(x: Array, u: Array, met: StepCurvature, objective: Objective) -> Figure:
    """The loss along a unit direction u from x, and its parabola (10.2)."""
    f, grad = objective.loss_and_grad(x)
    slope = float((grad * u).sum())
    best = -slope / met.kappa if met.kappa > 0 and slope else 0.3
    at = abs(best) * np.linspace(-3, 3, 37)
    figure, axes = new_figure(width=6.0, height=3.3)
    ax = axes[0, 0]
    ax.plot(at, [objective.loss(x + s * u) for s in at], color="#0072B2", linewidth=2, label="loss")
    ax.plot(at, f + at * slope + at**2 * met.kappa / 2, color="k", linestyle="--", linewidth=1.3, label="parabola (10.2)")
    ax.plot(0, f, "ko", markersize=5)
    ax.axvline(best, color="0.6", linewidth=1)
    way = "uphill" if slope > 0 else "downhill" if slope < 0 else "level"
    ax.set(xlabel=f"distance along the direction, which leads {way}", ylabel="loss")
    ax.set_title(f"kappa {met.kappa:.3g}, cosine {met.cosine:.3f}, allowed decrease {met.decrease:.2e} of {f:.2e}", fontsize=10)
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_pencil(panels: Mapping[str, tuple[Array, Array]], at: Array) -> Figure:
    """The pencil prompt's loss along four directions, (loss, parabola) of each."""
    figure, axes = new_figure(columns=len(panels), width=2.25, height=2.5)
    for ax, (title, (losses, parabola)) in zip(axes[0], panels.items(), strict=True):
        ax.plot(at, losses, color="#0072B2", linewidth=2, label="loss")
        ax.plot(at, parabola, "k--", linewidth=1.3, label="parabola")
        ax.plot(0, 36, "ko", markersize=5)
        ax.set(ylim=(-2, 80), xlabel="distance along u")
        ax.set_title(title, fontsize=10)
    axes[0, 0].set_ylabel("loss f")
    axes[0, 2].legend(frameon=False, fontsize=9)
    return figure


def in_windows(values: Array, width: int = 5) -> Array:
    """Quartiles over the seeds and the recorded steps of each window. (seeds, T) -> (3, W)"""
    width = min(width, values.shape[1])
    used = values.shape[1] // width * width
    cut = values[:, :used].reshape(len(values), -1, width).swapaxes(0, 1)
    return np.quantile(cut.reshape(len(cut), -1), [0.25, 0.5, 0.75], axis=1, method="inverted_cdf")


def draw_paths(times: Sequence[int], along: Mapping[str, Array]) -> Figure:
    """Curvature, cosine and forward decrease (seeds, T, 3) of the steps of three runs."""
    looks = dict(zip(along, ({"color": "#E69F00", "linestyle": ":"}, STYLES["SGD"], STYLES["Adam"]), strict=True))
    figure, axes = new_figure(columns=3, width=3.0, height=3.2)
    titles = ("curvature, kappa", "cosine of step and gradient", "decrease, 0 if uphill")
    for k, (ax, title) in enumerate(zip(axes[0], titles, strict=True)):
        for name, values in along.items():
            quartiles = in_windows(values[..., k])
            at = np.asarray(times)[: quartiles.shape[1] * min(5, len(times))].reshape(quartiles.shape[1], -1).mean(axis=1)
            median_band(ax, at, quartiles, name, **looks[name])
        ax.set(xlabel="iteration t", title=title)
        ax.title.set_fontsize(10)
    axes[0, 0].set_yscale("symlog", linthresh=0.1)
    axes[0, 1].axhline(0, color="0.5", linewidth=0.8)
    axes[0, 2].set_yscale("symlog", linthresh=1e-6)
    axes[0, 0].legend(frameon=False, fontsize=8)
    return figure


def draw_limits(times: Sequence[int], found: Mapping[tuple[str, str], Array]) -> Figure:
    """The rate times the sharpness (seeds, T) over its limit, on one fixed batch and on fresh ones."""
    figure, axes = new_figure(columns=2, width=3.8, height=3.0)
    for ax, name, limit in zip(axes[0], ("SGD", "Adam"), (3.8, 38.0), strict=True):
        for kind, line in (("one fixed batch", "-"), ("fresh batches", ":")):
            quartiles = np.quantile(found[name, kind], [0, 0.5, 1], axis=0)
            median_band(ax, times, quartiles, kind, color=STYLES[name]["color"], linestyle=line)
        ax.axhline(limit, color="k", linewidth=1, linestyle="--")
        ax.text(times[-1], limit * 1.1, f"limit {limit:g}", ha="right", fontsize=9)
        ax.set(yscale="log", xlabel="step t", title=name, ylim=(limit / 100, limit * 4))
        ax.legend(frameon=False, fontsize=9, loc="lower right")
    axes[0, 0].set_ylabel("rate times sharpness")
    return figure
