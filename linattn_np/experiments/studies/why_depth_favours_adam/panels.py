"""Losses and ratios by depth, at a falling and a constant rate, budgets, what the layers hand on, bases, and the controls."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....plotting import new_figure
from ...curves import Numbers
from ...scale import Scale
from .layers import predicted_base
from .readings import by_layer, curve, losses, of_seeds, over
from .size import DEEPEST, PAIRS

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "0.35"
TREATMENTS = ("the paper's clip", "tight clip", "layer rates", "both")
COLORS = (GREY, BLUE, GREEN, ORANGE)


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: eight panels."""
    figure, axes = new_figure(columns=4, rows=2, width=4.1, height=3.5)
    draw_losses(axes[0, 0], numbers)
    draw_ratios(axes[0, 1], numbers, "linear", "(b) SGD over Adam, equal treatment")
    draw_ratios(axes[0, 2], numbers, "constant", "(c) the same at a constant rate")
    draw_budgets(axes[0, 3], numbers)
    draw_layers(axes[1, 0], numbers, (0, 1), "(e) Adam's layers")
    draw_layers(axes[1, 1], numbers, (2,), "(f) gradient by Q")
    draw_bases(axes[1, 2], numbers)
    draw_controls(axes[1, 3], numbers)
    return figure


def middle(every: Any) -> float:
    """The median over the seeds, a lost run counted as infinite; NaN where nothing was run."""
    return float(np.median(every)) if np.isfinite(every).any() else float("nan")


def depths(numbers: Numbers, schedule: str = "linear") -> list[int]:
    """The depths that were run."""
    return [int(L) for L in numbers["runs"][schedule]]


def color_of(method: str) -> str:
    """Orange for SGD, blue for Adam, grey for what lies between."""
    return ORANGE if method.startswith("SGD") else BLUE if method.startswith("Adam") else GREY


def draw_losses(ax: Axes, numbers: Numbers) -> None:
    """Median losses against depth, lost runs counted as infinite."""
    styles = {"": "-", ", tight clip": "--", ", layer rates": ":", ", both": "-."}
    for method in (*PAIRS, "each layer", "one scalar"):
        color = color_of(method)
        style = styles.get(method.removeprefix("SGD").removeprefix("Adam"), "-")
        marker = {"each layer": "s", "one scalar": "x"}.get(method, "o")
        ax.plot(
            depths(numbers), [middle(losses(numbers, L, method)) for L in depths(numbers)], style, color=color, marker=marker,
            markersize=3, linewidth=1.2, label=method,
        )  # fmt: skip
    ax.set(yscale="log", xlabel="layers", ylabel="test loss, median", title="(a) test loss by depth", xticks=depths(numbers))
    ax.legend(frameon=False, fontsize=6, loc="lower left")


def draw_ratios(ax: Axes, numbers: Numbers, schedule: str, title: str) -> None:
    """SGD over Adam under equal treatment, a line at the medians and a dot for each seed; eight layers are not graded."""
    for k, (name, color) in enumerate(zip(TREATMENTS, COLORS, strict=True)):
        sgd, adam = PAIRS[2 * k : 2 * k + 2]
        found = {L: over(losses(numbers, L, sgd, schedule), losses(numbers, L, adam, schedule))
                 for L in depths(numbers, schedule) if sgd in numbers["runs"][schedule][str(L)]}  # fmt: skip
        found = {L: row[np.isfinite(row)] for L, row in found.items() if np.isfinite(row).any()}
        if found:
            ax.plot(list(found), [np.median(row) for row in found.values()], color=color, linewidth=1.4, label=name)
            for L, row in found.items():
                ax.plot(np.full(len(row), L), row, "o", color=color, markersize=2.5, alpha=0.6)
    ax.axhline(1, color="0.3", linestyle="--", linewidth=0.9)
    ax.set(yscale="log", xlabel="layers", ylabel="loss of SGD over that of Adam", title=title, xticks=depths(numbers, schedule))
    ax.legend(frameon=False, fontsize=7, loc="upper left")


def draw_budgets(ax: Axes, numbers: Numbers) -> None:
    """Loss against budget."""
    for L, style in zip(numbers["budgets"], ("-", "--", ":"), strict=False):
        for method, color in (("SGD", ORANGE), ("Adam", BLUE)):
            steps, every = curve(numbers, int(L), method)
            ax.plot(steps, [middle(row) for row in every], style, color=color, marker="o", markersize=3, linewidth=1.2,
                    label=f"{method}, {L} layers")  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="steps T", ylabel="test loss, median", title="(d) budgets, rate falling to 0 at T")
    ax.minorticks_off()
    ticks = sorted(
        {round(T) for L in numbers["budgets"] for method in ("SGD", "Adam") for T in curve(numbers, int(L), method)[0]}
    )
    ax.set_xticks(ticks, [f"{T:,}" for T in ticks], fontsize=7)
    ax.legend(frameon=False, fontsize=6, loc="lower left")


def draw_layers(ax: Axes, numbers: Numbers, rows: tuple[int, ...], title: str) -> None:
    """Rows of ``by_layer`` against the layer, medians over the seeds."""
    names = ("tr S / d", "|Q|", "|gradient by Q|")
    for L, color in zip((L for L in depths(numbers) if L not in (2, DEEPEST)), (GREEN, PINK, GREY), strict=False):
        found = by_layer(numbers, L, "Adam")
        found = np.median(found[np.isfinite(found).all(axis=(1, 2))], axis=0) if np.isfinite(found).any() else found[0]
        for row, marker in zip(rows, ("o-", "s--"), strict=False):
            ax.plot(range(L), found[row], marker, color=color, markersize=3, linewidth=1.2, label=f"{names[row]}, {L} layers")
    ax.set(yscale="log", xlabel="layer", title=title)
    ax.legend(frameon=False, fontsize=6)


def draw_bases(ax: Axes, numbers: Numbers) -> None:
    """The base that is best against the one that the covariates say."""
    for method, color, marker in (("SGD, layer rates", ORANGE, "o"), ("SGD, both", ORANGE, "s"), ("Adam, layer rates", BLUE, "o"),
                                  ("Adam, both", BLUE, "s")):  # fmt: skip
        points = []
        for L in depths(numbers):
            if L not in (2, DEEPEST) and method in numbers["runs"]["linear"][str(L)]:
                scale = by_layer(numbers, L, "Adam")[:, 0]
                said = [predicted_base(row) for row in scale if np.isfinite(row).all()]
                points.append((np.median(said) if said else np.nan, numbers["runs"]["linear"][str(L)][method]["base"]))
        shift = {"SGD, layer rates": 0.94, "SGD, both": 0.98, "Adam, layer rates": 1.02, "Adam, both": 1.06}[method]
        if points:
            said, best = np.array(points).T
            ax.plot(said * shift, best, marker, color=color, markersize=5, markerfacecolor="none", label=method)
    ax.plot([1, 32], [1, 32], color="0.3", linestyle="--", linewidth=0.9)
    ax.set(xscale="log", yscale="log", xlabel="base that the covariates say", ylabel="best base of the search",
           title="(g) rates for the layers")  # fmt: skip
    ax.set_xticks([2, 4, 8, 16], ["2", "4", "8", "16"])
    ax.set_yticks([2, 4, 8, 16], ["2", "4", "8", "16"])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=7)


def draw_controls(ax: Axes, numbers: Numbers) -> None:
    """A dot for each seed, beside the usual runs."""
    L = numbers["controls_at"]
    rows = {"SGD": losses(numbers, L, "SGD"), "Adam": losses(numbers, L, "Adam")}
    rows |= {name: of_seeds(each["loss"]) for name, each in numbers["controls"].items()}
    for k, (name, row) in enumerate(rows.items()):
        color = ORANGE if name.endswith("SGD") or (name.startswith("SGD, ") and "then" not in name) else BLUE
        ax.plot(row, np.full(len(row), -k), "o", color=color, markersize=3, alpha=0.7)
    ax.set(xscale="log", xlabel="test loss", title=f"(h) controls, {L} layers")
    ax.set_yticks(-np.arange(len(rows)), rows, fontsize=7)
