"""The paper's search for the best learning rate: ten for each optimizer and setting (section 3.1), beside the code's choice.

Fixed before the run. Rates: 1, 2, 5 in each decade from 5e-4 to 5e-1, for both optimizers. Each rate: the same 3 seeds, 2000
iterations at the paper's batch size, momentum, betas and clipping. Score and best: as in ``search``.
A rate that scores within 1.25 times the best cannot be told from it by so few seeds, and is listed beside it.
"""

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from ...._types import Array
from ....plotting import STYLES, new_figure
from ....training.loop import losses_along
from ....training.runs import Run, RunFolder
from ...curves import Numbers, spread
from ...rules import Claim
from ...scale import Scale, counted, histories, in_words, test_batch, train_side_by_side
from ...search import chosen, late, score
from ...settings import OPTIMIZERS, Setting
from .settings import NAMES, SETTINGS

TITLE = "Learning-rate search: ten rates for each optimizer and setting"
SECONDS = {"paper": 60, "quick": 2}
RATES = (5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1)
CLOSE = 1.25
MARKERS = {"SGD": "v", "Adam": "^"}
RECORDS = 100  # snapshots of a run; the last fifth of them is scored
ALT = (
    "Three panels, one for each data setting: score of a run, the median test loss over its last fifth, against learning "
    "rate, both logarithmic, for SGD with momentum and Adam. Lines are medians over seeds, bands reach from the smallest to "
    "the largest seed. A filled triangle marks our best rate, an open one the rate of the released code; rates that are too "
    "large leave at the top."
)

CLAIMS: tuple[Claim, ...] = ()  # the paper prints no rates; its code's stand in the picture


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    tried = replace(scale, steps=scale.search_steps, seeds=scale.search_seeds)
    return f"{len(RATES)} rates for each optimizer, {in_words(tried)}"


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train every rate and score it: plain numbers, ready for JSON."""
    panels: Numbers = {}
    for name in NAMES:
        setting = SETTINGS[name]
        test = test_batch(setting.task)
        panels[name] = {"title": setting.title}
        tried = {optimizer: search_runs(setting, optimizer, scale) for optimizer in OPTIMIZERS}
        train_side_by_side(folder, [list(asked.values()) for asked in tried.values()], f"rates on {name}", progress)
        for optimizer, asked in tried.items():
            found = histories(folder, list(asked.values()), f"rates of {optimizer} on {name}", progress)
            scores = np.full((scale.search_seeds, len(RATES)), np.inf)
            for at, history in zip(asked, found, strict=True):
                along = losses_along(late(history, scale.search_steps), *test)
                scores[at] = score(history, along, scale.search_steps)
            panels[name][optimizer] = compared(scores, setting.learning_rates[optimizer])
    settings = {"rates": list(RATES), "steps": scale.search_steps, "search_seeds": scale.search_seeds, "close": CLOSE}
    return {**settings, "panels": panels}


def search_runs(setting: Setting, optimizer: str, scale: Scale) -> dict[tuple[int, int], Run]:
    """{(seed, index of the rate): Run}"""
    every = max(1, scale.search_steps // RECORDS)
    return {
        (seed, k): Run(
            setting.task, replace(setting.optimizer(optimizer), lr=rate), scale.search_steps, scale.batch, clip=setting.clip,
            seed=seed, record_every=every,
        )
        for k, rate in enumerate(RATES) for seed in range(scale.search_seeds)
    }  # fmt: skip


def compared(scores: Array, code: float) -> Numbers:
    """The best of the rates by the rule above, from scores (seeds, rates)."""
    middle = np.median(scores, axis=0)
    found = chosen(RATES, middle)
    best = RATES.index(found["best"])
    close = [rate for rate, value in zip(RATES, middle, strict=True) if value <= CLOSE * middle[best]]
    return {
        "median": middle.tolist(), "smallest": scores.min(axis=0).tolist(), "largest": scores.max(axis=0).tolist(),
        "diverged": np.isinf(scores).sum(axis=0).tolist(), "best": found["best"], "close": close,
        "at_the_edge": found["at_the_edge"], "code": code,
        "code_over_best": spread(scores[:, RATES.index(code)] / scores[:, best]),
    }  # fmt: skip


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure."""
    figure, axes = new_figure(columns=len(NAMES))
    rates = np.array(numbers["rates"])
    for ax, name in zip(axes[0], NAMES, strict=True):
        panel = numbers["panels"][name]
        for optimizer in OPTIMIZERS:
            found, style = panel[optimizer], STYLES[optimizer]
            low, middle, high = (np.array(found[key], float) for key in ("smallest", "median", "largest"))
            good = np.isfinite(high)
            ax.plot(rates[good], middle[good], label=optimizer, linewidth=1.6, **style)
            ax.fill_between(rates[good], low[good], high[good], color=style["color"], alpha=0.2, linewidth=0)
            best, code = RATES.index(found["best"]), RATES.index(found["code"])
            marker = MARKERS[optimizer]
            ax.plot(rates[best], middle[best], marker, color=style["color"], markersize=9)
            ax.plot(rates[code], middle[code], marker, color=style["color"], markersize=14, fillstyle="none", markeredgewidth=1.4)
        untrained = max(panel[optimizer]["median"][0] for optimizer in OPTIMIZERS)
        least = min(panel[optimizer]["smallest"][RATES.index(panel[optimizer]["best"])] for optimizer in OPTIMIZERS)
        ax.set(title=panel["title"], xscale="log", yscale="log", xlabel="learning rate η", ylim=(0.6 * least, 5 * untrained))
    axes[0][0].set_ylabel(f"test loss f, median of the\nlast fifth of {scale.search_steps} iterations")
    axes[0][0].plot([], [], MARKERS["SGD"], color="0.3", markersize=9, label="filled: our best")
    axes[0][0].plot([], [], MARKERS["SGD"], color="0.3", markersize=12, fillstyle="none", label="open: released code")
    seeds = "1 seed" if scale.search_seeds == 1 else f"median of {scale.search_seeds} seeds"
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False,
                  title=f"{seeds}; band: smallest to largest; rates too large leave the picture at its top")  # fmt: skip
    return figure


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    seeds = counted(numbers["search_seeds"], "seed")
    lines = [f"{len(numbers['rates'])} rates, {counted(numbers['steps'], 'iteration')}, {seeds} each"]
    for panel in numbers["panels"].values():
        for optimizer in OPTIMIZERS:
            found = panel[optimizer]
            edge = "; at the edge of the grid" if found["at_the_edge"] else ""
            lines.append(f"{panel['title']}, {optimizer}: best {found['best']:g} (within {CLOSE:g} times: "
                         f"{', '.join(f'{rate:g}' for rate in found['close'])}), the code's {found['code']:g}, whose score is "
                         f"{found['code_over_best']['median'] or float('nan'):.3g} times the best{edge}")  # fmt: skip
    return "\n".join(lines)
