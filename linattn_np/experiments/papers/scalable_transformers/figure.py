"""One set of weights for several widths: a toy translation in five ways, and a noise panel in four."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....plotting import median_band, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers
from ...scale import Scale, counted
from . import noisy, translation
from .claims import CLAIMS, gain, table
from .runs import CHOSEN, sized, trained

TITLE = "One set of weights, several widths: cropped, trained jointly, distilled, or separate"
SECONDS = {"paper": 200, "quick": 15}
ALT = (
    "Three panels, accuracy against width on a logarithmic axis, medians over seeds with quartile bands. A toy translation: "
    "trained at full width alone, the crops stay near chance; trained jointly they rise with the width to that of the full "
    "model, close to separate models; with distillation about the same; a fused crop beside it. A classification with forty "
    "percent wrong labels: three joint stages, three stages with distillation slightly above them, separate models, and the "
    "crops of the full model far below. The same without wrong labels, where distillation and joint training lie on each other."
)
LOOK: dict[str, dict[str, Any]] = {
    "full": {"color": "#D55E00", "linestyle": ":", "marker": "^"},
    "joint": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "word": {"color": "#009E73", "linestyle": "--", "marker": "s"},
    "stages": {"color": "#009E73", "linestyle": "--", "marker": "s"},
    "fused": {"color": "#E69F00", "linestyle": "-.", "marker": "v"},
    "separate": {"color": "#000000", "linestyle": (0, (1, 1)), "marker": "D"},
}
NAMES = {
    "full": "full width alone, cropped", "joint": "joint", "word": "joint, then distilled", "stages": "joint, word, sequence",
    "fused": "joint, fused crop", "separate": "separate models",
}  # fmt: skip


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    used = sized(scale)
    return f"{counted(used.iterations, 'iteration')}, stages of {used.stage:,}, {counted(len(used.seeds), 'seed')}"


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train what is missing and measure: plain numbers, ready for JSON."""
    used = sized(scale)
    judged_on = {"seeds": list(used.seeds), "test_seed": list(translation.TEST_SEED), "settings_chosen_on": list(CHOSEN)}
    return {
        "sizes": sizes(scale), "seeds_used": len(used.seeds), "judged_on": judged_on, "noise": noisy.NOISE,
        **trained(folder, used, progress),
    }  # fmt: skip


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The three panels."""
    figure, axes = new_figure(columns=3)
    first, *others = axes[0]
    draw_ways(first, numbers, "translation")
    first.axhline(1 / len(translation.permutations()[0]), color="0.6", linewidth=0.8)
    first.set(title="toy translation", ylabel=f"accuracy, {counted(numbers['seeds_used'], 'seed')}")
    for ax, panel, words in zip(
        others, ("noisy", "clean"), (f"{numbers['noise']:.0%} of the labels wrong", "all labels right"), strict=True
    ):
        draw_ways(ax, numbers, panel)
        ax.axhline(1 / noisy.CLASSES, color="0.6", linewidth=0.8)
        ax.set(title=words, ylabel="accuracy on right labels")
    return figure


def draw_ways(ax: Axes, numbers: Numbers, panel: str) -> None:
    """Accuracy against width for each way of training."""
    found = numbers[panel]
    for way in (way for way in LOOK if way in found):
        quartiles = np.quantile(table(numbers, panel, way), [0.25, 0.5, 0.75], axis=0)
        median_band(ax, found["widths"], quartiles, NAMES[way], markersize=4, **LOOK[way])
    ax.set(xscale="log", xlabel="width", ylim=(0, 1.6))  # the legend above the curves
    ax.set_xticks(found["widths"], [str(width) for width in found["widths"]])
    ax.set_yticks(np.arange(0, 1.1, 0.2))
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [f"Accuracy at widths, medians of {counted(numbers['seeds_used'], 'seed')}"]
    for panel in ("translation", "noisy", "clean"):
        found = numbers[panel]
        lines.append(f"  {panel}, widths {', '.join(map(str, found['widths']))}")
        for way in (way for way in LOOK if way in found):
            lines.append(f"    {NAMES[way]}: {', '.join(f'{value:.3f}' for value in np.median(found[way], axis=0))}")
    for panel in ("noisy", "clean"):
        lines.append(
            f"  three stages less three joint ones, {panel}: mean over narrow widths {gain(numbers, panel)['median']:+.4f}"
        )
    return "\n".join(lines)


__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]
