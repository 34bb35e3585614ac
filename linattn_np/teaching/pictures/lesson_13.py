"""Pictures of lesson 13: the wall of a deep model, its polynomial over the eigenvalues, first steps, rates, runs, the paper's
panels.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import STYLES, median_band, new_figure
from ...training.loop import History

LOOKS: dict[int, tuple[str, str | tuple[int, tuple[int, ...]]]] = {
    1: ("#000000", ":"), 2: ("#E69F00", "--"), 3: ("#56B4E9", "-"), 4: ("#009E73", "-."), 6: ("#0072B2", "-"),
    8: ("#CC79A7", (0, (5, 1))),
}  # fmt: skip
POLYNOMIALS = {
    "one step length": ("#000000", ":"), "one for each layer": ("#CC79A7", "-."), "with P' too, (13.3)": ("#009E73", "-"),
}  # fmt: skip


def draw_wall(sigmas: Array, errors: Mapping[int, Sequence[float]]) -> Figure:
    """The median prompt's squared error against the size of random weights, a line for each depth."""
    figure, axes = new_figure(width=5.6, height=3.2)
    ax = axes[0, 0]
    for L, values in errors.items():
        ax.plot(sigmas, values, color=LOOKS[L][0], linestyle=LOOKS[L][1], label=f"L = {L}")
    ax.set(xscale="log", yscale="log", ylim=(1e-1, 1e12), xlabel="size of the weights, sigma")
    ax.set_ylabel("squared error, median prompt")
    ax.legend(frameon=False)
    return figure


def draw_rho(c: Array, curves: Mapping[str, tuple[Callable[[Array], Array], float]], L: int) -> tuple[Figure, str]:
    """|rho_L| of each polynomial over the histogram of the eigenvalues c; ``curves`` has its function and its loss (13.4)."""
    figure, axes = new_figure(width=5.0, height=3.5)
    ax, at = axes[0, 0], np.linspace(0, 4, 500)
    back = ax.twinx()
    back.hist(c, np.linspace(0, 4, 41), density=True, color="0.85", zorder=0)
    back.set(yticks=[], ylim=(0, 2))
    ax.set_zorder(back.get_zorder() + 1)
    ax.patch.set_visible(False)
    words = []
    for name, (rho, loss) in curves.items():
        colour, line = POLYNOMIALS[name]
        ax.plot(at, np.abs(rho(at)), color=colour, linestyle=line, label=f"{name}: {loss:.2g}")
        words.append(f"{name} {loss:.3g}")
    ax.set(yscale="log", ylim=(1e-5, 5), xlim=(0, 4), xlabel="eigenvalue c of a prompt's C (grey: how often)")
    ax.set(ylabel="|rho_L(c)|, what is left", title=f"L = {L}")
    ax.legend(framealpha=0.85, edgecolor="1", fontsize=8, loc="lower right", title="loss", title_fontsize=8)
    return figure, f"L = {L}: losses {', '.join(words)}."


def draw_first_steps(
    etas: Array, falls: Mapping[str, Mapping[int, Array]], limits: Mapping[str, Callable[[int], float]]
) -> Figure:
    """Loss over the loss at the start against the length of the first step, a panel for each direction; ticks are the limits."""
    figure, axes = new_figure(columns=len(falls), width=4.4, height=3.2)
    for ax, (name, curves) in zip(axes[0], falls.items(), strict=True):
        for L, values in curves.items():
            colour, line = LOOKS[L]
            ax.plot(etas, np.minimum(values, 1e3), color=colour, linestyle=line, label=f"L = {L}")
            ax.plot([limits[name](L)] * 2, [0.02, 0.035], color=colour, linewidth=2)
        ax.axhline(1, color="0.5", linewidth=0.8)
        ax.set(xscale="log", yscale="log", ylim=(0.02, 20), xlabel="size of the step, eta", title=name)
    axes[0, 0].set_ylabel("loss after the step / before")
    axes[0, 0].legend(frameon=False, fontsize=9)
    return figure


def draw_layers(sizes: Array, derived: Array, flat: float, title: str) -> Figure:
    """Norms (L, 2) of dP' and dQ' against the layer, with the derived ones: ``derived`` (L,) of P', ``flat`` of Q'."""
    figure, axes = new_figure(width=5.6, height=3.2)
    ax, layers = axes[0, 0], np.arange(len(sizes))
    ax.plot(layers, sizes[:, 1], "o", color="#0072B2", label="dQ'")
    ax.plot(layers[:-1], sizes[:-1, 0], "s", color="#D55E00", label="dP'")
    ax.plot(layers[-1:], [2e-5], "x", color="#D55E00", label="dP' of the last layer: 0")
    ax.axhline(flat, color="#0072B2", linewidth=1, label="(13.7)")
    ax.plot(layers[:-1], derived[:-1], color="#D55E00", linewidth=1, label="(13.8)")
    ax.set(yscale="log", ylim=(1e-5, 1e5), xlim=(-0.5, 7.5), xlabel="layer", ylabel="norm")
    ax.set_title(title, fontsize=10)
    ax.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    return figure


def draw_search(
    rates: Sequence[float],
    score: Mapping[tuple[str, int, float], float],
    limits: Mapping[str, Callable[[int], float]],
    lost: float,
) -> Figure:
    """Score against rate, a curve for each depth, a panel for each optimizer; crosses are rates whose median run is lost."""
    figure, axes = new_figure(columns=len(limits), width=4.4, height=3.4)
    depths = sorted({L for _, L, _ in score})
    for ax, name in zip(axes[0], limits, strict=True):
        for k, L in enumerate(depths):
            colour, line = LOOKS[L]
            values = np.array([score[name, L, lr] for lr in rates])
            good = values < lost
            look = {"color": colour, "linestyle": line, "marker": "os^D"[k], "markersize": 5}
            ax.plot(np.array(rates)[good], values[good], label=f"L = {L}", **look)
            ax.plot(np.array(rates)[~good], np.full((~good).sum(), 2 * lost * 3.0**k), "x", color=colour)
            ax.plot([limits[name](L)] * 2, [1e-5, 3e-5], color=colour, linewidth=2)
        ax.axhline(lost, color="0.6", linewidth=0.8)
        ax.set(xscale="log", yscale="log", ylim=(1e-5, 1e3), xlabel="learning rate", title=name)
    axes[0, 0].set_ylabel("score: loss at the end")
    axes[0, 0].legend(frameon=False, fontsize=9, ncols=2, loc="lower left")
    return figure


def draw_depths(depths: Sequence[int], curves: Mapping[str, Array], references: Mapping[str, Sequence[float]]) -> Figure:
    """Loss against depth: bands (3, depths) of the optimizers, lines of the polynomials."""
    figure, axes = new_figure(width=5.8, height=3.4)
    ax = axes[0, 0]
    for name, quartiles in curves.items():
        median_band(ax, depths, quartiles, name)
    for name, values in references.items():
        colour, line = POLYNOMIALS[name]
        ax.plot(depths[: len(values)], values, marker=".", color=colour, linestyle=line, label=name)
    ax.set(yscale="log", ylim=(1e-7, 2), xlabel="layers L", ylabel="loss at the end")
    ax.set_xticks(depths)
    ax.legend(frameon=False, loc="lower left", fontsize=9)
    return figure


def draw_trained(c: Array, rho: Mapping[int, Array], own: Mapping[int, Callable[[Array], Array]]) -> Figure:
    """What Adam's models leave of each eigenvalue, beside descent with a step length for each layer; c and rho[L] (m,)."""
    figure, axes = new_figure(columns=len(rho), width=2.6, height=2.8)
    at = np.linspace(0, 4, 400)
    for ax, (L, values) in zip(axes[0], rho.items(), strict=True):
        ax.plot(c, np.abs(values), ".", markersize=2, color=STYLES["Adam"]["color"], alpha=0.5, label="Adam's model")
        ax.plot(at, np.abs(own[L](at)), color="#CC79A7", linewidth=1.2, label="descent, own lengths")
        ax.set(yscale="log", ylim=(1e-5, 5), xlim=(0, 4), xlabel="eigenvalue c", title=f"L = {L}")
    axes[0, 0].set_ylabel("|rho(c)|")
    axes[0, 0].legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def draw_runs(runs: Mapping[str, Sequence[History]], steps: int, title: str) -> Figure:
    """Loss of fresh batches of each run, medians of sixtieths; a cross marks where one diverged."""
    figure, axes = new_figure(width=5.6, height=3.2)
    for name, histories in runs.items():
        for k, h in enumerate(histories):
            _run_on(axes[0, 0], h, steps, None if k else name, STYLES[name]["color"], STYLES[name]["linestyle"])
    axes[0, 0].set(yscale="log", ylim=(1e-5, 50), xlim=(0, steps), xlabel="step t", ylabel="loss of fresh batches")
    axes[0, 0].set_title(title, fontsize=10)
    axes[0, 0].legend(frameon=False)
    return figure


def _run_on(ax: Axes, h: History, steps: int, label: str | None, colour: str, line: str) -> None:
    width = max(1, steps // 60)
    medians = np.median(h.loss[: steps // width * width].reshape(-1, width), axis=1)
    ax.plot(width * (np.arange(len(medians)) + 0.5), medians, label=label, color=colour, linestyle=line, linewidth=1.2)
    if h.diverged_at is not None:
        ax.plot(h.diverged_at, 30, "x", color=colour, markersize=8)
