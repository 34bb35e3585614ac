"""The panels of the figure."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ....plotting import new_figure
from ...curves import Numbers
from ...scale import Scale
from . import fixed, fresh
from .readers import losses, of_json

GREY, BLUE, GREEN, ORANGE = "0.35", "#0072B2", "#009E73", "#D55E00"
COLORS = {"none": GREY, "warm-up 20": "#56B4E9", "warm-up 50": BLUE, "warm-up 200": GREEN, "clip 1": ORANGE}
DASHED: dict[str, Any] = {"color": "0.3", "linestyle": "--", "linewidth": 0.9}


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: eight panels."""
    figure, axes = new_figure(columns=4, rows=2, width=4.1, height=3.6)
    draw_map(axes[0, 0], numbers, "descent", "(a) descent, fixed batch")
    draw_map(axes[0, 1], numbers, "momentum", "(b) momentum 0.9, fixed batch")
    draw_survivors(axes[0, 2], numbers)
    draw_adam(axes[0, 3], numbers)
    draw_thresholds(axes[1, 0], numbers, "Setting 1", "(e) Setting 1, own best rates")
    draw_thresholds(axes[1, 1], numbers, "Setting 2", "(f) Setting 2, own best rates")
    draw_path(axes[1, 2], numbers, "sharpness", "(g) momentum at rate 0.06")
    draw_path(axes[1, 3], numbers, "gradient", "(h) the same runs")
    return figure


def draw_map(ax: Axes, numbers: Numbers, kind: str, title: str) -> None:
    """A dot for each rate that trains, a row for each way and seed."""
    labels, at, row = [], [], 0.0
    for way, found in numbers["fixed"].items():
        if not way.startswith(kind):
            continue
        name = way.removeprefix(f"{kind}, ")
        color = COLORS["clip 1"] if "clip" in name else COLORS.get(name, "0.6")
        first = row
        for values in of_json(found["loss"]):
            trains = np.array(found["rates"])[values < fixed.TRAINED]
            ax.plot(trains, np.full(len(trains), -row), ".", color=color, markersize=2.5)
            row += 1
        labels.append(name)
        at.append(-(first + row - 1) / 2)
        row += 1.5
    ax.set(xscale="log", xlabel="rate", title=title)
    ax.set_yticks(at, labels, fontsize=7)


def draw_survivors(ax: Axes, numbers: Numbers) -> None:
    """How many runs survive, at a constant rate and with linear decay."""
    rates = numbers["survival"]["rates"]
    for schedule, line in (("constant", "-"), ("decay", ":")):
        for name in fresh.SURVIVAL:
            alive = fresh.alive(of_json(numbers["survival"][schedule][name]["loss"])).sum(axis=0)
            ax.plot(rates, alive, "o" + line, color=COLORS[name], linewidth=1.4, markersize=4,
                    label=name if schedule == "constant" else None)  # fmt: skip
    ax.set(xlabel="rate", ylabel="seeds that survive", title="(c) fresh batches, momentum 0.9\n(dotted: linear decay)")
    ax.legend(frameon=False, fontsize=7)


def draw_adam(ax: Axes, numbers: Numbers) -> None:
    """A dot for each seed, a bar at the median, each at its own best rate."""
    for row, name in enumerate(fresh.ADAM):
        values = losses(numbers, "own", name)
        values = values[np.isfinite(values)]
        color = GREEN if "warm-up" in name else GREY
        ax.plot(values, np.full(len(values), -row), "o", color=color, markersize=3, alpha=0.7)
        if len(values):
            ax.plot([np.median(values)] * 2, [-row - 0.3, -row + 0.3], color=color, linewidth=2)
    ax.set(xscale="log", xlabel="test loss", title="(d) Adam, clip 1, own best rates")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_yticks(-np.arange(len(fresh.ADAM)), list(fresh.ADAM), fontsize=7)


def draw_thresholds(ax: Axes, numbers: Numbers, setting: str, title: str) -> None:
    """Test loss against threshold, a dot for each seed, lines through the medians; how many are lost stands above."""
    names = [fresh.threshold_in_words(threshold) for threshold in (0.1, 1.0, 10.0, None)]
    for optimizer, color in (("SGD", ORANGE), ("Adam", BLUE)):
        for schedule, line in (("decay", "-"), ("constant", ":")):
            middles = []
            for place, name in enumerate(names):
                values = losses(numbers, "own", f"{setting}, {optimizer}, {schedule}, {name}")
                kept = values[np.isfinite(values)]
                ax.plot(np.full(len(kept), place), kept, ".", color=color, markersize=3, alpha=0.6)
                middles.append(np.median(values))
                if len(kept) < len(values):
                    ax.text(place, 1, f"{len(values) - len(kept)} lost", color=color, fontsize=6, ha="center",
                            va="top" if schedule == "decay" else "bottom", transform=ax.get_xaxis_transform())  # fmt: skip
            shown = np.where(np.isfinite(middles), middles, np.nan)
            ax.plot(range(4), shown, line, color=color, linewidth=1.4, label=f"{optimizer}, {schedule}")
    ax.set(yscale="log", ylabel="test loss", title=title)
    ax.set_xticks(range(4), names, fontsize=8)
    ax.legend(frameon=False, fontsize=7)


def draw_path(ax: Axes, numbers: Numbers, what: str, title: str) -> None:
    """Every seed's run, a cross where it is lost; the edge or the threshold dashed."""
    found = numbers["path"]
    at = np.array(found["times"]) + 1
    for name in ("none", "warm-up 50", "warm-up 200", "clip 1"):
        for seed, (values, lost) in enumerate(zip(found[name][what], found[name]["lost"], strict=True)):
            values = np.array(values, float)
            ax.plot(at, values, color=COLORS[name], linewidth=0.9, alpha=0.8, label=None if seed else name)
            there = np.flatnonzero(np.isfinite(values))
            if lost >= 0 and len(there):
                ax.plot(at[there[-1]], values[there[-1]], "x", color=COLORS[name], markersize=5)
    ax.axhline(found["edge"] if what == "sharpness" else 1.0, **DASHED)
    ylabel = "largest eigenvalue of the Hessian" if what == "sharpness" else "length of the gradient"
    ax.set(xscale="log", yscale="log", xlabel="step + 1", ylabel=ylabel, title=title)
    ax.legend(frameon=False, fontsize=7)
