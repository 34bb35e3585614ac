"""The audit as a picture: Taylor remainders with their guide lines, and the error of each line against its limit."""

from typing import Any

import numpy as np

from .row import CANNOT_JUDGE, OK

COLOURS = {2: "#0072b2", 3: "#d55e00"}
STYLES = {2: "o-", 3: "s--"}


def draw(report: Any, axes: Any = None) -> Any:
    """Draw a report on two axes, made when none are given. -> the axes. Needs matplotlib."""
    if axes is None:
        import matplotlib.pyplot as plt

        axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")[1]
    draw_taylor(axes[0], report)
    draw_errors(axes[1], report)
    return axes


def draw_taylor(ax: Any, report: Any) -> None:
    """|remainder| against the step, rungs that count filled; the guide lines have slope 2 and 3."""
    for line in report.taylor:
        order, t = line["order"], np.array(line["t"])
        counted, remainder = np.array(line["counted"]), np.maximum(np.array(line["remainder"]), 1e-300)
        name = {2: "after the gradient", 3: "after the Hessian"}[order]
        first = not any(drawn.get_label().startswith(name) for drawn in ax.lines)
        ax.loglog(t, remainder, STYLES[order][1:], color=COLOURS[order], alpha=0.3, lw=0.8)
        label = f"{name}: slope {line['slope']:.3f}" if line["slope"] and first else None
        ax.loglog(t[counted], remainder[counted], STYLES[order][0], color=COLOURS[order], ms=4, label=label)
        if first and counted.any():
            end = np.flatnonzero(counted)[0]
            guide = 3 * remainder[end] * (t[counted] / t[end]) ** order
            ax.loglog(t[counted], guide, "k:", lw=1.2)
            ax.annotate(f"{order}", (t[counted][-1], guide[-1]), fontsize=9)
    ax.set_xlabel("step t along a random line")
    ax.set_ylabel("remainder of the Taylor sum")
    ax.set_title("filled: rungs that count; dotted: the slope it must have", fontsize=9)
    if report.taylor:
        ax.legend(fontsize=8)
    else:
        ax.text(0.5, 0.5, "no Taylor test was made", ha="center", transform=ax.transAxes)


def draw_errors(ax: Any, report: Any) -> None:
    """A bar for each line and quantity: its error, and its limit as a tick."""
    rows = [row for row in report.shown() if row.check in ("complex", "probe", "dot", "second") and row.error is not None]
    colour = {OK: "#009e73", CANNOT_JUDGE: "#999999"}
    for i, row in enumerate(reversed(rows)):
        shade = colour.get(row.verdict, "#cc3311")
        ax.barh(i, max(row.error, 1e-17), left=0, color=shade, hatch=None if row.verdict == OK else "//")
        ax.plot([row.tolerance] * 2, [i - 0.45, i + 0.45], "k-", lw=1.5)
    ax.set_xscale("log")
    ax.set_xlim(left=1e-18)
    ax.set_yticks(range(len(rows)), [f"{row.check} {row.label}" for row in reversed(rows)], fontsize=7)
    ax.set_xlabel("relative error (hatched: not ok; tick: limit)")
    ax.set_title(f"{report.title}: {report.verdict}", fontsize=9)


def draw_scores(ax: Any, strong: dict[str, int], weak: dict[str, int], total: int) -> None:
    """How many of ``total`` mutations each check catches, {check: number}: the audit's own checks beside weak ones."""
    bars = ax.bar([*strong, *weak], [*strong.values(), *weak.values()], color=["#0072b2"] * len(strong) + ["#e69f00"] * len(weak))
    for bar in bars[len(strong) :]:
        bar.set_hatch("//")
    ax.bar_label(bars)
    ax.axhline(total, color="k", ls=":", lw=1)
    ax.set_ylabel(f"wrong derivations caught, of {total}")
    ax.tick_params(axis="x", rotation=30, labelsize=8)
    ax.set_title("blue: the audit's checks; orange, hatched: weak checks", fontsize=9)
