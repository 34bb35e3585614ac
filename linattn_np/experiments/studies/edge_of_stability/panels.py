"""The figure, from its numbers alone."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....plotting import new_figure
from ...curves import Numbers
from ...scale import Scale
from . import claims
from .edges import adam_edge, edge
from .measurements import ALONE, at_edge

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure."""
    figure, axes = new_figure(columns=5, rows=2, width=3.9, height=3.5)
    draw_seeds(axes[0, 0], numbers)
    draw_one(axes[0, 1], numbers)
    draw_medians(axes[0, 2], numbers)
    draw_follow(axes[0, 3], numbers)
    draw_adam(axes[1, 0], numbers)
    draw_amplitudes(axes[1, 1], numbers)
    draw_flows(axes[1, 2], numbers)
    draw_batches(axes[1, 3], numbers)
    draw_decay(axes[0, 4], numbers)
    draw_adam_decay(axes[1, 4], numbers)
    return figure


def draw_seeds(ax: Axes, numbers: Numbers) -> None:
    """Every seed's midpoints at the rate 0.06."""
    found = numbers["hover"]["0.06"]
    for seed, values, colour in zip(numbers["run_seeds"], np.array(found["midpoint"], float), COLOURS, strict=False):
        ax.plot(found["times"], values, color=colour, linewidth=1, label=str(seed))
    level(ax)
    ax.set(xlabel="step t", ylabel=r"$\lambda$ over $2/\eta$", ylim=(0, 1.6), title=r"(a) midway, $\eta$ = 0.06, each seed")
    ax.legend(frameon=False, fontsize=7, ncols=4, loc="upper right")


def draw_one(ax: Axes, numbers: Numbers) -> None:
    """At the iterates and midway, for the seed that hovers most at the rate 0.1."""
    found = numbers["hover"]["0.1"]
    seed = int(np.nanargmax(claims.hovering("0.1", numbers)["each_seed"]))
    for key, label, style in (("iterate", "at the iterate",
                               {"color": "#D55E00", "marker": "o", "markersize": 2.5, "linestyle": ":"}),
                              ("midpoint", "midway", {"color": "#0072B2"})):  # fmt: skip
        ax.plot(found["times"], np.array(found[key], float)[seed], label=label, linewidth=1, **style)
    level(ax)
    ax.set(xlabel="step t", ylim=(0, 2.2), title=rf"(b) two Hessians, $\eta$ = 0.1, seed {numbers['run_seeds'][seed]}")
    ax.legend(frameon=False, fontsize=8, loc="lower right")


def draw_medians(ax: Axes, numbers: Numbers) -> None:
    """The median of each run after the first quarter."""
    for at, run in enumerate(numbers["hover"]):
        middle = claims.midway(numbers, run)
        iterate = np.array(numbers["hover"][run]["iterate"], float)[:, -middle.shape[1] :]
        spread = np.linspace(-0.25, 0.25, len(middle))
        ax.plot(
            at + spread,
            np.median(iterate, axis=1),
            "x",
            color="#D55E00",
            markersize=4,
            label="at the iterate" if at == 0 else None,
        )
        ax.plot(at + spread, np.median(middle, axis=1), "o", color="#0072B2", markersize=4, label="midway" if at == 0 else None)
        gone = int(np.isnan(middle).any(axis=1).sum())
        if gone:
            ax.text(at, 0.03, f"{gone} lost", ha="center", fontsize=7)
    level(ax)
    names = [rf"$\mu$ = {claims.MOMENTUM:g}" if run == "momentum" else run for run in numbers["hover"]]
    ax.set(
        xticks=range(len(names)),
        ylim=(0, 2),
        xlabel=r"rate $\eta$ (last: heavy ball, rate 0.1)",
        title="(c) over its edge, medians",
    )
    ax.set_xticklabels(names)
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def draw_follow(ax: Axes, numbers: Numbers) -> None:
    """lambda while the rate is halved and brought back."""
    found = numbers["follow"]
    for values, colour in zip(np.array(found["midpoint"], float), COLOURS, strict=False):
        ax.plot(found["times"], edge(claims.FOLLOW_RATE) * values, color=colour, linewidth=1)
    ax.plot(found["times"], 2 / np.array(found["rates"]), "k--", linewidth=1.4, label=r"$2/\eta_t$")
    ax.set(xlabel="step t", ylabel=r"$\lambda$ midway", ylim=(0, 3 * edge(claims.FOLLOW_RATE)), title="(d) it follows the rate")
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def draw_adam(ax: Axes, numbers: Numbers) -> None:
    """Adam's measured edge against the predicted one."""
    predicted = np.array([claims.ADAM_RATE * adam_edge(claims.ADAM_RATE, beta1) for beta1 in claims.BETAS])
    ax.plot([1.5, 110], [1.5, 110], color="0.6", linewidth=1)
    for beta2, marker, colour in zip(claims.BETA2, "ox", COLOURS, strict=False):
        ratios = np.array([numbers["adam"][f"{beta1:g}, {beta2:g}"] for beta1 in claims.BETAS], float)
        spread = np.geomspace(0.93, 1.08, ratios.shape[1])
        ax.plot(predicted[:, None] * spread, predicted[:, None] * ratios, marker, color=colour, markersize=4)
        ax.plot([], [], marker, color=colour, label=rf"$\beta_2$ = {beta2:g}")
    ax.set(xscale="log", yscale="log", xlabel=r"$(2 + 2\beta_1)/(1 - \beta_1)$", ylabel=r"$\eta\lambda$ of $S^{-1/2} H S^{-1/2}$")
    ax.set(title=r"(e) Adam's edge, $\beta_1$ = 0, 0.5, 0.9, 0.95")
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def draw_amplitudes(ax: Axes, numbers: Numbers) -> None:
    """Both sides of (26.11), a point for each time at the edge."""
    below = 0
    for rate, colour in zip(claims.AMPLITUDE_RATES, COLOURS, strict=False):
        found = {key: np.array(values, float) for key, values in numbers["hover"][f"{rate:g}"].items()}
        keep = (np.abs(found["midpoint"] - 1) <= 0.03) & (found["predicted"] > 0)
        alone = keep & (found["second"] < ALONE)
        ax.plot(found["predicted"][alone], found["measured"][alone], ".", color=colour, markersize=3, label=rf"$\eta$ = {rate:g}")
        below += int((found["measured"][keep] < 1e-8).sum())
        crowded = keep & ~alone
        ax.plot(found["predicted"][crowded], found["measured"][crowded], "x", color="0.7", markersize=3, zorder=1)
    ax.plot([], [], "x", color="0.7", label="a second one near the edge")
    ax.axline((1e-3, 1e-3), (1e-2, 1e-2), color="0.4", linewidth=1)
    ax.set(xscale="log", yscale="log", xlim=(1e-6, 1e-3), ylim=(1e-8, 1e-3), xlabel="2a/b", title="(f) the amplitude")
    ax.set_ylabel("half the jump along u, squared")
    if below:
        ax.text(0.97, 0.03, f"{below} points lie below: no jump yet", transform=ax.transAxes, ha="right", fontsize=7)
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def draw_flows(ax: Axes, numbers: Numbers) -> None:
    """How far each flow is from descent, over how far descent went."""
    found = {key: np.array(values, float) for key, values in numbers["flows"].items()}
    keep = at_edge(found["edges"]).all(axis=-1)
    names = [f"{rate:g}, {seed:.0f}" for rate, seed in zip(found["rates"][keep], found["seeds"][keep], strict=True)]
    for key, label, colour in (("gradient", "gradient flow", "#D55E00"), ("central", "central flow", "#0072B2")):
        ax.plot(range(len(names)), found[key][keep] / found["moved"][keep], "o", color=colour, label=label)
    ax.set(yscale="log", xticks=range(len(names)), xlabel="rate, seed", ylabel="distance from descent / way of descent")
    ax.set_xticklabels(names, rotation=60, fontsize=7)
    ax.set_title("(g) flows after as many steps")
    ax.legend(frameon=False, fontsize=8)


def draw_batches(ax: Axes, numbers: Numbers) -> None:
    """lambda of the whole set against the batch size."""
    shown = [(batch, np.array(numbers["batches"][str(batch)], float)) for batch in claims.BATCHES]
    values = np.array([found for _, found in shown])
    for one, colour in zip(values.T, COLOURS, strict=False):
        ax.plot(claims.BATCHES, one, "o-", color=colour, markersize=4, linewidth=1)
    for batch, found in shown:
        if np.isnan(found).any():
            ax.text(batch, 1.15, f"{int(np.isnan(found).sum())} lost", ha="center", fontsize=8)
    level(ax)
    ax.set(
        xscale="log",
        ylim=(0, 1.3),
        xlabel="batch out of 1024",
        ylabel=r"$\lambda$ over $2/\eta$",
        title=r"(h) small batches, $\eta$ = 0.03",
    )
    ax.set_xticks(claims.BATCHES, [str(batch) for batch in claims.BATCHES])
    ax.minorticks_off()


def draw_decay(ax: Axes, numbers: Numbers) -> None:
    """lambda while the rate falls linearly to 0."""
    found = numbers["decay"]
    for values, colour in zip(np.array(found["sharpness"], float), COLOURS, strict=False):
        ax.plot(found["times"], values, color=colour, linewidth=1)
    ax.plot(found["times"], 2 / np.array(found["rates"]), "k--", linewidth=1.4, label=r"$2/\eta_t$")
    ax.set(xlabel="step t", ylabel=r"$\lambda$ midway", ylim=(0, 4 * edge(claims.DECAY_RATE)), title="(i) the rate falls to 0")
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def draw_adam_decay(ax: Axes, numbers: Numbers) -> None:
    """Adam's medians over the edge, constant rate beside one that falls."""
    for key, label, marker, colour in (("adam", "constant rate", "o", "#0072B2"), ("decay_adam", "falls to 0", "x", "#D55E00")):
        names = [f"{beta1:g}" + (f", {claims.BETA2[0]:g}" if key == "adam" else "") for beta1 in claims.BETAS]
        for at, name in enumerate(names):
            values = np.array(numbers[key][name], float)
            spread = np.linspace(-0.2, 0.2, len(values))
            ax.plot(at + spread, values, marker, color=colour, markersize=4, label=label if at == 0 else None)
    level(ax)
    ax.set(xticks=range(len(claims.BETAS)), ylim=(0, 1.6), xlabel=r"$\beta_1$", title=r"(j) Adam over its edge, $\beta_2$ = 0.99")
    ax.set_xticklabels([f"{beta1:g}" for beta1 in claims.BETAS])
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def level(ax: Axes) -> None:
    """The edge and the ceiling of the claims."""
    ax.axhline(1, color="k", linestyle="--", linewidth=1)
    ax.axhline(claims.CEILING, color="0.7", linewidth=0.8)
