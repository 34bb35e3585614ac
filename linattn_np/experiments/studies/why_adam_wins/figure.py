"""Test losses of every method at its own best rate, where the claim holds and where it breaks; three noises; the searches."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....plotting import new_figure, plain_ticks
from ....training.runs import RunFolder
from ...curves import Numbers
from ...scale import Scale, counted
from . import training
from .claims import CLAIMS, gone, losses, ratio
from .methods import METHODS
from .training import ASKED, Size

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "Why Adam wins: one second moment for each layer, where that is enough, and where it is not"
SECONDS = {"paper": 660, "quick": 18}
ALT = (
    "Twelve panels. Test losses in Setting 1, a dot for each seed and a bar at the median of each of 22 methods, with a dashed "
    "line at Adam's median. The same for fewer methods with a quarter of the steps, at a constant rate, on the sphere, with full "
    "matrices, in Setting 2, with larger prompts, with two heads, without momentum, with batches of 1000; and for SGD and Adam "
    "under three noises; triangles at the right end are lost runs. The searches: loss against learning rate over the best one, "
    "a line for each method."
)
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.35"


def size_of(scale: Scale) -> Size:
    """The size at a scale; no rate is searched but at the paper's."""
    if scale.name == "paper":
        return Size()
    steps, batch, batches, prompts = (120, 64, 3, 200) if scale.name == "quick" else (min(scale.steps, 12), 8, 1, 16)
    return Size(steps, batch, batches, prompts, tuple(range(300, 300 + min(scale.seeds, 2))), ())


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    size = size_of(scale)
    searched = "rates not searched"
    if size.search:
        searched = f"rates searched by factors of {training.FACTOR} on {counted(len(size.search), 'other seed')}"
    seeds = f"{counted(len(size.seeds), 'seed')} from {size.seeds[0]}"
    return (
        f"three layers, {counted(size.steps, 'iteration')}, batch {size.batch}, {seeds}, {searched}, "
        f"median over {counted(size.batches, 'test batch').replace('batchs', 'batches')}"
    )


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Search each method's rate, run it on the other seeds: plain numbers, ready for JSON; a lost run has loss null."""
    size = size_of(scale)
    found: Numbers = {"sizes": sizes(scale), "seeds_used": size.seeds, "seeds_of_the_search": size.search, "places": {}}
    for place in ASKED:
        scores = training.search(folder, place, size, progress)
        cells = {method: (place, method, training.best_rate(known)) for method, known in scores.items()}
        runs = training.run_all(folder, list(cells.values()), size.seeds, size, place, progress)
        found["places"][place] = {"methods": {}}
        for method, cell in cells.items():
            known, rate = scores[method], cell[2]
            found["places"][place]["methods"][method] = {
                "rate": rate, "clip": METHODS[method].clip, "search": {r: number(known[r]) for r in known},
                "at_the_edge": bool(size.search) and f"{rate:g}" in (next(iter(known)), list(known)[-1]),
                "loss": [number(run["loss"]) for run in runs[cell]],
                "lengths": [[number(length) for length in run["lengths"]] for run in runs[cell]],
            }  # fmt: skip
    return found


def number(value: Any) -> float | None:
    """A JSON number, or None where it is not finite."""
    return float(value) if np.isfinite(value) else None


# ---------------------------------------------------------------- the picture


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: a panel for each place, one for the noises, one for the searches."""
    figure, axes = new_figure(columns=4, rows=3, width=4.6, height=4.1)
    places = [place for place in ASKED if place not in training.NOISES]
    for ax, letter, place in zip(axes.ravel(), "abcdefghij", places, strict=False):
        draw_place(ax, numbers, place, f"({letter}) {place}")
    draw_noises(axes[2, 2], numbers, "(k) SGD and Adam under three noises")
    draw_search(axes[2, 3], numbers, "(l) the searches in Setting 1")
    return figure


def colour(method: str) -> str:
    """SGD orange, Adam blue, what lies between them grey."""
    return ORANGE if method.startswith("SGD") else BLUE if "Adam" in method else GREY


def dots(ax: Axes, every: Any, row: float, color: str, worst: float) -> None:
    """The losses of each seed in a row, a bar at their median; what is lost or above ``worst`` is a triangle there."""
    shown = np.minimum(every, worst)
    for marker, there in (("o", shown < worst), (">", shown == worst)):
        ax.plot(shown[there], np.full(there.sum(), -row), marker, color=color, markersize=3, alpha=0.7)
    ax.plot([np.median(shown)] * 2, [-row - 0.3, -row + 0.3], color=color, linewidth=2)


def draw_place(ax: Axes, numbers: Numbers, place: str, title: str) -> None:
    """A dot for each seed, a bar at the median; Adam's median as a line."""
    methods = list(numbers["places"][place]["methods"])
    for row, method in enumerate(methods):
        dots(ax, losses(numbers, place, method), row, colour(method), training.PLACES[place].task.d)
    ax.axvline(float(np.median(losses(numbers, place, "Adam"))), color=BLUE, linestyle="--", linewidth=0.9)
    ax.set(xscale="log", xlabel="test loss", title=title)
    plain_ticks(ax)
    ax.set_yticks(-np.arange(len(methods)), methods, fontsize=6 if len(methods) > 12 else 7)


def draw_noises(ax: Axes, numbers: Numbers, title: str) -> None:
    """SGD and Adam, a row for each noise."""
    for row, place in enumerate(training.NOISES):
        for method in ("SGD", "Adam"):
            dots(ax, losses(numbers, place, method), row, colour(method), training.PLACES[place].task.d)
    ax.set(xscale="log", xlabel="test loss", title=title, ylim=(-2.6, 0.6))
    plain_ticks(ax)
    ax.set_yticks(-np.arange(len(training.NOISES)), training.NOISES, fontsize=7)


def draw_search(ax: Axes, numbers: Numbers, title: str) -> None:
    """The searches in Setting 1: the loss over its least against the rate over the best."""
    for method, found in numbers["places"]["Setting 1"]["methods"].items():
        points = [(float(r) / found["rate"], s) for r, s in found["search"].items() if s is not None]
        if len(points) > 1:
            least = min(s for _, s in points)
            rates, scores = np.array(sorted(points)).T
            ax.plot(rates, np.exp(scores - least), "o-", color=colour(method), linewidth=1, markersize=3)
    ax.set(xscale="log", yscale="log", xlabel="rate over the best", ylabel="loss over the least", title=title, ylim=(0.8, 1e3))


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [numbers["sizes"]]
    for place, found in numbers["places"].items():
        middle = {method: float(np.median(losses(numbers, place, method))) for method in found["methods"]}
        lost = sum(gone(numbers, place, method) for method in found["methods"])
        edge = [method for method, each in found["methods"].items() if each["at_the_edge"]]
        lines.append(
            f"{place}: " + ", ".join(f"{method} {loss:.3g}" for method, loss in middle.items())
            + f"; {counted(lost, 'run')} lost or worse than answering 0"
            + (f"; at the edge of the search: {', '.join(edge)}" if edge else "")
        )  # fmt: skip
    over = ratio(numbers, "Setting 1", "each layer", "Adam")["median"]
    lines.append("one second moment for each layer over Adam, Setting 1: " + ("lost" if over is None else f"{over:.3g}"))
    return "\n".join(lines)
