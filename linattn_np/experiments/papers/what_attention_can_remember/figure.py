"""How wide attention must be to remember L bits: the error against the width, the smallest widths, closed loop, locality,
cost.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....plotting import new_figure
from ....training.runs import RunFolder
from ...curves import Numbers
from ...panels import number
from ...scale import Scale, counted
from .claims import CLAIMS, ENOUGH, LOCAL_ENOUGH, local_width, smallest_widths, width_slope
from .closed_loop import multiplications
from .runs import LOCAL, series, sized, sparse, trained

TITLE = "How wide attention must be to remember L bits"
SECONDS = {"paper": 300, "quick": 12}
ALT = (
    "Six panels. Error of linear attention against width for each length: dots on the floor 1 - D squared / L, zero from the "
    "root of L on. Error against width at the largest length for four kinds: softmax is at zero from width 3 on, linear and elu "
    "at the root of L, plain at L. Smallest width against length, both logarithmic: slopes one half, one, and zero. Accuracy of "
    "a dynamic program in closed loop against width over root L: from one half at 0.5 to one at 1. Error against width when only "
    "the last few items are asked for: the fewer, the smaller the width. Multiplications at the smallest width against length: "
    "linear and softmax are parallel with slope two, a sparse window has slope one."
)
KINDS: dict[str, dict[str, Any]] = {
    "linear": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "elu": {"color": "#009E73", "marker": "s", "linestyle": "--"},
    "plain": {"color": "#D55E00", "marker": "^", "linestyle": ":"},
    "softmax": {"color": "#000000", "marker": "D", "linestyle": "-."},
}
SHADES = ("#56B4E9", "#0072B2", "#009E73", "#E69F00", "#D55E00")  # of the lengths, and of the reaches


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    used = sized(scale)
    return f"up to {max(used.lengths)} bits, {counted(used.iterations, 'iteration')}, {counted(used.seeds, 'seed')}"


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train what is missing and measure: plain numbers, ready for JSON."""
    used = sized(scale)
    found = trained(folder, used, progress)
    return {
        "sizes": sizes(scale), "lengths": list(used.lengths), "seeds_used": used.seeds, "iterations_used": used.iterations,
        "problems": used.problems,
        "recall": {kind: {str(L): series(found, kind, L) for L in used.lengths} for kind in KINDS},
        "local_length": used.local_length,
        "local": {str(reach): series(found, "linear", used.local_length, reach) for reach in used.reaches},
        "sparse": sparse(used),
    }  # fmt: skip


# ---------------------------------------------------------------- picture and words


def medians(values: Any) -> np.ndarray:
    """The median over seeds for each width."""
    return np.median(np.array(values, float), axis=-1)


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The six panels."""
    figure, axes = new_figure(columns=3, rows=2, height=3.4)
    (errors, kinds, smallest), (loop, local, cost) = axes
    draw_floor(errors, numbers)
    draw_kinds(kinds, numbers)
    draw_smallest(smallest, numbers)
    draw_loop(loop, numbers)
    draw_local(local, numbers)
    draw_cost(cost, numbers)
    return figure


def draw_floor(ax: Axes, numbers: Numbers) -> None:
    """Linear attention: each seed's error on its floor."""
    for color, (L, found) in zip(SHADES, numbers["recall"]["linear"].items(), strict=False):
        fine = np.linspace(0, max(found["widths"]), 200)
        ax.plot(fine, np.maximum(0, 1 - fine**2 / int(L)), color=color, linewidth=1.0)
        errors = np.array(found["errors"])  # (widths, seeds)
        at = np.repeat(found["widths"], errors.shape[1])
        ax.plot(at, errors.ravel(), "o", color=color, markersize=3.5, label=f"L = {L}")
    ax.set(xlabel="width D", ylabel=r"error $\|M - I\|^2 / L$", title=r"linear: the floor $1 - D^2/L$, and training")
    ax.legend(frameon=False, fontsize=8)


def draw_kinds(ax: Axes, numbers: Numbers) -> None:
    """All kinds at the largest length."""
    L = str(max(numbers["lengths"]))
    for kind, look in KINDS.items():
        found = numbers["recall"][kind][L]
        ax.plot(found["widths"], medians(found["errors"]), label=kind, markersize=4, linewidth=1.3, **look)
    ax.set(xscale="log", xlabel="width D", ylabel="error", title=f"four kinds, L = {L}")
    ax.legend(frameon=False, fontsize=8)


def draw_smallest(ax: Axes, numbers: Numbers) -> None:
    """The smallest width that is enough against the length."""
    for kind, look in KINDS.items():
        found = np.median(smallest_widths(numbers, kind), axis=0)
        power = width_slope(kind, numbers)["median"]
        label = kind if power is None or kind == "softmax" else f"{kind}: slope {abs(power):.2f}"
        ax.plot(numbers["lengths"], found, label=label, markersize=4, linewidth=1.3, **look)
    ax.set(xscale="log", yscale="log", xlabel="bits L", ylabel=f"smallest width, error < {ENOUGH:g}")
    ax.set_title(f"best of two seeds, median of {counted(-(-numbers['seeds_used'] // 2), 'pair')}", fontsize=10)
    ax.set_xticks(numbers["lengths"], [str(L) for L in numbers["lengths"]])
    ax.set_yticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    ax.set_ylim(1, 12 * max(numbers["lengths"]))  # room for the legend
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=8, ncols=2)


def draw_loop(ax: Axes, numbers: Numbers) -> None:
    """The program in closed loop against D / sqrt(L)."""
    for color, (L, found) in zip(SHADES, numbers["recall"]["linear"].items(), strict=False):
        ax.plot(
            np.array(found["widths"]) / int(L) ** 0.5,
            medians(found["final"]),
            "o-",
            color=color,
            markersize=3.5,
            label=f"L = {L}",
        )
    ax.axhline(0.5, color="0.5", linewidth=0.8)
    ax.set(xlabel=r"$D / \sqrt{L}$", ylabel="final answers right", title="a program that reads its own states")
    ax.legend(frameon=False, fontsize=8)


def draw_local(ax: Axes, numbers: Numbers) -> None:
    """The causal error when only the last few are asked for."""
    for color, (reach, found) in zip(("#D55E00", "#E69F00", "#0072B2"), numbers["local"].items(), strict=False):
        label = f"the last {reach}" if int(reach) < numbers["local_length"] else "all so far"
        ax.plot(found["widths"], np.maximum(medians(found["errors"]), 1e-5), "o-", color=color, markersize=4, label=label)
    ax.axhline(LOCAL_ENOUGH, color="0.5", linewidth=0.8)
    ax.set(yscale="log", ylim=(5e-6, 2), xlabel="width D", ylabel="error, mean over time")
    ax.set_title(f"linear, L = {numbers['local_length']}: what is asked for", fontsize=10)
    ax.legend(frameon=False, fontsize=8)


def draw_cost(ax: Axes, numbers: Numbers) -> None:
    """Multiplications at the smallest width against the length."""
    lengths = numbers["lengths"]
    for kind in ("linear", "softmax"):
        found = np.median(smallest_widths(numbers, kind), axis=0)
        pairs = [(L, multiplications(L, round(D), kind)) for L, D in zip(lengths, found, strict=True) if np.isfinite(D)]
        ax.plot(*np.array(pairs).reshape(-1, 2).T, label=kind, markersize=4, linewidth=1.3, **KINDS[kind])
    window = [multiplications(L, numbers["sparse"]["width"], "softmax", LOCAL) for L in lengths]
    ax.plot(lengths, window, "v-", color="#CC79A7", markersize=4, label=f"sparse: a window of {LOCAL}, local only")
    ax.set(xscale="log", yscale="log", xlabel="bits L", ylabel="multiplications", title="cost at the smallest width")
    ax.set_xticks(lengths, [str(L) for L in lengths])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=8)


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [f"Widths at lengths {', '.join(map(str, numbers['lengths']))}, {counted(numbers['seeds_used'], 'seed')}:"]
    for kind in KINDS:
        power, found = width_slope(kind, numbers)["median"], np.median(smallest_widths(numbers, kind), axis=0)
        lines.append(f"  {kind}: smallest widths {', '.join(map(number, found))}; power of L {number(power)}")
    for L, found in numbers["recall"]["linear"].items():
        parts = zip(found["widths"], medians(found["errors"]), medians(found["final"]), strict=True)
        lines.append(f"  linear, L = {L}: width, error, closed loop: " + "; ".join(f"{D}, {e:.4f}, {f:.3f}" for D, e, f in parts))
    for reach in numbers["local"]:
        width = local_width(numbers, int(reach))["median"]
        lines.append(f"  the last {reach} of {numbers['local_length']} asked for: smallest width {number(width)}")
    least = np.min(numbers["sparse"]["final"])
    lines.append(
        f"  sparse attention, width 2, window {LOCAL}, lengths up to {max(numbers['sparse']['lengths'])}: {least:.3f} right"
    )
    return "\n".join(lines)


__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]
