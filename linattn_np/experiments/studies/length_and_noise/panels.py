"""The figure: ten panels, from the numbers of the JSON alone."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....plotting import new_figure
from ...curves import Numbers
from ...scale import Scale
from . import label_noise, lengths, many_prompts, theory
from .readers import few, formula, noisy, of_seeds
from .readers_many import descent

ALT = (
    "Ten panels. One layer: loss against test length for four training lengths, dots on the curves of the formula, all falling. "
    "Three layers trained at 20: the mean error rises above a million below a test length of 7, while the median, and the mean "
    "inside the window of training, stay below 1. Medians for three training lengths and a constant rate: longer prompts help. "
    "Residual against eigenvalue: near zero inside the shaded window, shooting up beyond it. Noisy labels: medians of least "
    "squares peak at n = d, those of the trained model lie on Bayes' ridge. Distance to five ridges: least at Bayes' penalty. "
    "One layer fitted to N prompts: the loss peaks at N = d^2 for four sizes. With a penalty the peak shrinks and vanishes. "
    "Three layers on N prompts: the median falls steadily, the mean jumps. What layers of two numbers miss of Bayes: from "
    "above 2 with one layer to below 0.01 with four."
)
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHED: dict[str, Any] = {"color": "0.3", "linestyle": "--", "linewidth": 0.9}
SMALL: dict[str, Any] = {"frameon": False, "fontsize": 7.5}


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: ten panels."""
    figure, axes = new_figure(columns=5, rows=2, width=4.0, height=3.5)
    panels = (
        draw_one,
        draw_three,
        draw_medians,
        draw_residual,
        draw_noise,
        draw_distance,
        draw_descent,
        draw_penalty,
        draw_many,
        draw_few,
    )
    for ax, panel in zip(axes.ravel(), panels, strict=True):
        panel(ax, numbers)
    return figure


def draw_one(ax: Axes, numbers: Numbers) -> None:
    """Medians over seeds as dots, the formula as lines."""
    found = numbers["one_layer"]
    middle = np.median(of_seeds(found["loss"]), axis=0)
    for n, row, theirs, color in zip(found["trained"], middle, formula(numbers), COLORS, strict=False):
        ax.plot(found["tested"], theirs, color=color, linewidth=1)
        ax.plot(found["tested"], row, "o", color=color, markersize=4, label=f"trained at {n}")
    ax.set(
        xscale="log", yscale="log", xlabel="examples in the test, n'", ylabel="mean loss", title="(a) one layer, lines: formula"
    )
    ax.legend(**SMALL)


def draw_three(ax: Axes, numbers: Numbers) -> None:
    """Mean, mean inside the window, median; a dot for each seed."""
    found, tested = numbers["lengths"]["20, linear"], numbers["lengths"]["tested"]
    for name, color, marker, label in (
        ("mean", COLORS[1], "x", "mean"), ("inside", COLORS[2], "^", "mean in the window"), ("median", COLORS[0], "o", "median"),
    ):  # fmt: skip
        values = of_seeds(found[name])
        ax.plot(tested, np.nanmedian(values, axis=0), color=color, linewidth=1.2)
        for k, row in enumerate(values):
            ax.plot(tested, row, marker, color=color, markersize=3, label=None if k else label)
    ax.axvline(20, **DASHED)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="examples in the test, n'",
        ylabel="squared error",
        title="(b) three layers, trained at 20",
    )
    ax.legend(**SMALL)


def draw_medians(ax: Axes, numbers: Numbers) -> None:
    """Medians of all four cases."""
    for (n, schedule), color in zip(lengths.CASES, COLORS, strict=False):
        values = of_seeds(numbers["lengths"][f"{n}, {schedule}"]["median"])
        style, more = ("--", ", constant rate") if schedule == "constant" else ("-", "")
        ax.plot(numbers["lengths"]["tested"], np.nanmedian(values, axis=0), style, color=color, marker="o", markersize=3,
                label=f"trained at {n}{more}")  # fmt: skip
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="examples in the test, n'",
        ylabel="median squared error",
        title="(c) medians over seeds",
    )
    ax.legend(**SMALL)


def draw_residual(ax: Axes, numbers: Numbers) -> None:
    """r(lambda) of every seed, and the window of its training."""
    found = numbers["lengths"]["20, linear"]
    low, high = (1 - np.sqrt(lengths.D / 20)) ** 2, np.median(of_seeds(found["window"]))
    lam = np.linspace(0, 5.5, 400)
    for a, b in zip(of_seeds(found["a"]), of_seeds(found["b"]), strict=True):
        ax.plot(lam, theory.residual(lam, a, b), color=COLORS[0], linewidth=0.8)
    ax.axvspan(float(low), float(high), color="0.85")
    ax.set(
        yscale="symlog",
        ylim=(-1e4, 1e4),
        xlabel="eigenvalue of S",
        ylabel="what is left, r",
        title="(d) residual; shaded: training",
    )


def draw_noise(ax: Axes, numbers: Numbers) -> None:
    """Medians of the squared errors against n."""
    for case, color, label in (("main, linear", COLORS[0], "d = 5"), ("other d, linear", COLORS[1], "d = 3")):
        found = numbers["noise"][case]
        for name, style, who in (("least_squares_median", "o-", "least squares"), ("trained_median", "s", "trained"),
                                 ("bayes_median", "--", "Bayes")):  # fmt: skip
            ax.plot(
                found["n"], np.nanmedian(of_seeds(found[name]), axis=0), style, color=color, markersize=4, label=f"{who}, {label}"
            )
    ax.set(yscale="log", xlabel="examples n, in training and test", ylabel="median squared error", title="(e) label noise 1")
    ax.minorticks_off()
    ax.set_yticks([0.2, 0.5, 1, 2, 4], ["0.2", "0.5", "1", "2", "4"])
    ax.legend(**SMALL)


def draw_distance(ax: Axes, numbers: Numbers) -> None:
    """Distance of the trained model's answers to those of five ridges, a line for each length."""
    for case, color, style in (("main, linear", COLORS[0], "-"), ("less noise, linear", COLORS[1], "--")):
        found = numbers["noise"][case]
        for k in range(len(found["n"])):
            label = f"noise {found['noise']:g}" if k == 0 else None
            ax.plot(label_noise.FACTORS, np.nanmedian(of_seeds(found["distance"])[:, k], axis=0), style, color=color, linewidth=1,
                    marker="o", markersize=3, label=label)  # fmt: skip
    ax.axvline(1.0, **DASHED)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="penalty over Bayes'",
        ylabel="squared distance of answers",
        title="(f) to which ridge?",
    )
    ax.legend(**SMALL)


def draw_descent(ax: Axes, numbers: Numbers) -> None:
    """Loss of one layer against N / d^2."""
    for (d, n), color in zip(many_prompts.CASES, COLORS, strict=False):
        loss = descent(numbers, d, n)
        ax.plot(np.array(list(loss)) / d**2, np.median(list(loss.values()), axis=1), "o-", color=color, markersize=3, linewidth=1,
                label=f"d = {d}, n = {n}")  # fmt: skip
    ax.axvline(1.0, **DASHED)
    ax.set(
        xscale="log", yscale="log", xlabel="prompts N over d²", ylabel="median loss over draws", title="(g) one layer, least norm"
    )
    ax.legend(**SMALL)


def draw_penalty(ax: Axes, numbers: Numbers) -> None:
    """The same with a ridge penalty, d = 5."""
    for penalty, color in zip(many_prompts.PENALTIES, COLORS, strict=False):
        loss = descent(numbers, 5, 20, penalty)
        ax.plot(list(loss), np.median(list(loss.values()), axis=1), "o-", color=color, markersize=3, linewidth=1,
                label=f"penalty {penalty:g}")  # fmt: skip
    ax.axvline(25, **DASHED)
    ax.set(xscale="log", yscale="log", xlabel="prompts N", ylabel="median loss over draws", title="(h) control: penalty, d = 5")
    ax.legend(**SMALL)


def draw_many(ax: Axes, numbers: Numbers) -> None:
    """Three layers on N prompts: no claim."""
    found = numbers["three"]
    for name, color, marker in (("mean", COLORS[1], "x"), ("median", COLORS[0], "o")):
        values = of_seeds(found[name])
        ax.plot(found["counts"], np.nanmedian(values, axis=0), color=color, linewidth=1)
        for k, row in enumerate(values):
            ax.plot(found["counts"], row, marker, color=color, markersize=3, label=None if k else name)
    ax.axvline(125, **DASHED)
    ax.set(xscale="log", yscale="log", xlabel="prompts N", ylabel="squared error in the test", title="(i) three layers: no claim")
    ax.legend(**SMALL)


def draw_few(ax: Axes, numbers: Numbers) -> None:
    """What the best layers of two numbers miss of Bayes, noise 0.5 and n = 6, and what trained three layers miss."""
    layers = (1, 2, 3, 4)
    missed = np.concatenate([few(numbers, count, 0.5, (6,)) for count in layers], axis=1) - 1
    for k, row in enumerate(missed):
        ax.plot(layers, row, "o", color=COLORS[0], markersize=3, label=None if k else "best numbers")
    ax.plot(layers, np.median(missed, axis=0), color=COLORS[0], linewidth=1)
    trained = noisy(numbers, "less noise, linear", "ratio", (6,))[:, 0] - 1
    ax.plot(np.full(len(trained), 3), trained, "x", color=COLORS[1], label="trained matrices")
    ax.set(
        yscale="log", xticks=layers, xlabel="layers", ylabel="loss over Bayes, less 1", title="(j) the form's limit, noise 0.5"
    )
    ax.legend(**SMALL)
