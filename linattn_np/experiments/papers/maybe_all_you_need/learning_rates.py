"""The paper's search for the best learning rate: ten for each optimizer and setting (section 3.1), beside the code's choice.

Fixed before the run. Rates: 1, 2, 5 in each decade from 5e-4 to 5e-1, for both optimizers. Each rate: the same 3 seeds, 2000
iterations at the paper's batch size, momentum, betas and clipping. Score of a run: the median loss on the fixed test batch over
the last fifth of its iterations, so that one spike decides nothing; infinite for a run that diverged. Score of a rate: the median
of its runs' scores. Best: the smallest score. A rate that scores within 1.25 times the best cannot be told from it by so few
seeds, and is listed beside it.
"""

from dataclasses import replace

import numpy as np

from ....measures.landscape import Surface
from ....plotting import STYLES, new_figure
from ....training.runs import Run
from ...measured import spread
from ...scale import histories, test_batch
from .adam_vs_sgd import NAMES, OPTIMIZERS
from .settings import SETTINGS

TITLE = "Learning-rate search: ten rates for each optimizer and setting"
TIME = "8 minutes"
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


def measure(folder, scale, progress=None):
    """Train every rate and score it: plain numbers, ready for JSON."""
    panels = {}
    for name in NAMES:
        setting = SETTINGS[name]
        surface = Surface(*test_batch(setting.task))
        panels[name] = {"title": setting.title}
        for optimizer in OPTIMIZERS:
            asked = search_runs(setting, optimizer, scale)
            found = histories(folder, list(asked.values()), f"rates of {optimizer} on {name}", progress)
            scores = np.full((scale.search_seeds, len(RATES)), np.inf)
            for at, history in zip(asked, found, strict=True):
                scores[at] = score(surface, history, scale)
            panels[name][optimizer] = chosen(scores, setting.learning_rates[optimizer])
    settings = {"rates": list(RATES), "steps": scale.search_steps, "search_seeds": scale.search_seeds, "close": CLOSE}
    return {**settings, "panels": panels}


def search_runs(setting, optimizer, scale):
    """{(seed, index of the rate): Run}"""
    every = max(1, scale.search_steps // RECORDS)
    return {
        (seed, k): Run(
            setting.task, replace(setting.optimizer(optimizer), lr=rate), scale.search_steps, scale.batch, clip=setting.clip,
            seed=seed, record_every=every,
        )
        for k, rate in enumerate(RATES) for seed in range(scale.search_seeds)
    }  # fmt: skip


def score(surface, history, scale):
    """The median test loss over the last fifth of the iterations; infinite for a run that diverged."""
    if history.diverged_at is not None:
        return np.inf
    last = [x for t, x in history.snapshots.items() if t > 0.8 * scale.search_steps]
    with np.errstate(over="ignore", invalid="ignore"):
        losses = np.array([surface.loss_and_grad(x)[0] for x in last])
    return float(np.median(np.where(np.isfinite(losses), losses, np.inf)))


def chosen(scores, code):
    """The best of the rates by the rule above, from scores (seeds, rates)."""
    middle = np.median(scores, axis=0)
    best = int(np.argmin(middle))
    close = [rate for rate, value in zip(RATES, middle, strict=True) if value <= CLOSE * middle[best]]
    return {
        "median": middle.tolist(), "smallest": scores.min(axis=0).tolist(), "largest": scores.max(axis=0).tolist(),
        "diverged": np.isinf(scores).sum(axis=0).tolist(), "best": RATES[best], "close": close,
        "at_the_edge": best in (0, len(RATES) - 1), "code": code,
        "code_over_best": spread(scores[:, RATES.index(code)] / scores[:, best]),
    }  # fmt: skip


def draw(numbers, scale):
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


def summary(numbers):
    """What came out, in words."""
    lines = [f"{len(numbers['rates'])} rates, {numbers['steps']} iterations, {numbers['search_seeds']} seeds each"]
    for panel in numbers["panels"].values():
        for optimizer in OPTIMIZERS:
            found = panel[optimizer]
            edge = "; at the edge of the grid" if found["at_the_edge"] else ""
            lines.append(f"{panel['title']}, {optimizer}: best {found['best']:g} (within {CLOSE:g} times: "
                         f"{', '.join(f'{rate:g}' for rate in found['close'])}), the code's {found['code']:g}, whose score is "
                         f"{found['code_over_best']['median'] or float('nan'):.3g} times the best{edge}")  # fmt: skip
    return "\n".join(lines)
