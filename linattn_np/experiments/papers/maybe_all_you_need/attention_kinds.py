"""Section 3.2: linear, ReLU and softmax attention, three layers each, with Adam at the best rate of each.

Softmax attention with its 1/n has a floor: L layers answer at most (1 + 1/n)^L - 1 times the largest label of a prompt (lesson
14), so that no weights have a smaller loss than what is left of the asked labels beyond that. It is drawn with the losses.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from ...._types import Array
from ....plotting import median_band, new_figure
from ....training.loop import losses_along
from ....training.runs import Run, RunFolder
from ...curves import Numbers, band, loss_curves, spread
from ...measured import table
from ...panels import limits_in_words, number
from ...robust import judged, losses, middle, on_batches
from ...rules import Above, Claim
from ...scale import Scale, differences, histories, in_words, limited, test_batch
from ...search import chosen, late, score
from ...settings import with_momentum
from .factors import MUCH
from .settings import SETTINGS, many_batches

TITLE = "Attention kinds: linear, ReLU and softmax, three layers"
SECONDS = {"paper": 170, "quick": 2}
KINDS = ("linear", "relu", "softmax")
NAMES = {"linear": "linear", "relu": "ReLU", "softmax": "softmax"}
RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
LINES = {
    "linear": {"color": "#0072B2", "linestyle": "-"}, "relu": {"color": "#009E73", "linestyle": "-."},
    "softmax": {"color": "#D55E00", "linestyle": "--"},
}  # fmt: skip
ALT = (
    "Three panels on logarithmic loss scales. Left: test loss on one fixed batch against iteration for three layers of linear, "
    "ReLU and softmax attention, each trained with Adam at its best learning rate; dotted, the loss that no softmax gets below. "
    "Middle: loss of fresh training batches, medians of windows. Right: the search, score of each rate for the three kinds. "
    "Lines are medians over seeds, bands quartiles."
)


def runs_for(kind: str, rate: float, steps: int, every: int, used: Scale) -> list[Run]:
    """One run for each seed."""
    setting, adam = SETTINGS["setting1"], with_momentum("Adam", rate)
    return [
        Run(setting.task, adam, steps, used.batch, clip=setting.clip, seed=seed, record_every=every, attention=kind)
        for seed in range(used.seeds)
    ]  # fmt: skip


def sized(scale: Scale) -> Scale:
    """One seed for the search; scores of all pairs of tokens are dear, and the losses are level long before the end."""
    used = limited(scale, search_seeds=1, steps=4_000)
    return used if scale.name == "paper" else limited(used, steps=100, seeds=2, search_steps=30)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return in_words(sized(scale))


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Search the rates, train what is missing and measure the losses: plain numbers, ready for JSON."""
    used = sized(scale)
    test, every = test_batch(SETTINGS["setting1"].task), max(1, used.search_steps // 20)
    asked = {(kind, rate): runs_for(kind, rate, used.search_steps, every, used)[0] for kind in KINDS[::-1] for rate in RATES}
    tried = histories(folder, list(asked.values()), "rates of each kind of attention", progress)  # together: no worker waits
    pairs = [losses_along(late(h, used.search_steps), *test) for h in tried]
    scores = {at: score(h, pair, used.search_steps) for at, h, pair in zip(asked, tried, pairs, strict=True)}
    searches = {kind: chosen(RATES, np.array([scores[kind, rate] for rate in RATES])) for kind in KINDS}
    runs = {kind: runs_for(kind, searches[kind]["best"], used.steps, used.test_every, used) for kind in KINDS}
    histories(folder, [run for kind in KINDS[::-1] for run in runs[kind]], "each kind of attention", progress)
    panels: Numbers = {}
    for kind in KINDS:
        trained = histories(folder, runs[kind], f"{kind} attention", progress)
        curves = loss_curves(trained, [losses_along(h, *test) for h in trained], used)
        search, end = searches[kind], judged_end(folder, runs[kind], used, progress)
        panels[kind] = {"title": NAMES[kind], "search": search, "learning_rate": search["best"], **curves, "end": end}
    bound = floor(*test, SETTINGS["setting1"].layers)
    return {"limits": differences(scale, used), "seeds_used": used.seeds, "floor": bound, "panels": panels}


def floor(Z: Array, y: Array, layers: int) -> float:
    """The smallest loss that softmax attention can have on a batch, whatever its weights (14.17)."""
    n = Z.shape[1] - 1
    most = ((1 + 1 / n) ** layers - 1) * np.abs(Z[:, :-1, -1]).max(axis=1)  # the largest answer to each prompt (B,)
    return float((np.maximum(np.abs(y) - most, 0.0) ** 2).mean())


def judged_end(folder: RunFolder, runs: Sequence[Run], used: Scale, progress: bool | None) -> Numbers:
    """The loss at the end of each seed, the median over test batches; on each alone beside it."""
    batches = many_batches(used)
    found = table(on_batches(folder, runs, losses, [used.steps], batches, "the end", progress), "losses", [used.steps])[:, 0]
    return judged(middle(found, batches), found, batches)


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: test loss, loss of fresh batches, the search."""
    figure, axes = new_figure(columns=3, width=4.0, height=3.6)
    for kind, panel in numbers["panels"].items():
        for ax, which in zip(axes[0], ("test", "fresh"), strict=False):
            label = f"{NAMES[kind]}, η = {panel['learning_rate']:g}"
            median_band(ax, panel[which]["iterations"], band(panel[which]), label, **LINES[kind])
        search = panel["search"]
        axes[0][2].plot(search["rates"], np.array(search["scores"], float), marker="o", label=NAMES[kind], **LINES[kind])
    if "floor" in numbers:  # of the fixed test batch
        label = f"no softmax below {numbers['floor']:.2f}"
        axes[0][0].axhline(numbers["floor"], color=LINES["softmax"]["color"], linestyle=":", linewidth=1.2, label=label)
    top = axes[0][2]
    for ax in axes[0]:
        ax.set(yscale="log", xlabel="iteration t")
    top.set(xscale="log", xlabel="learning rate η of Adam", title="search, short runs")
    axes[0][0].set(ylabel="test loss f, fixed batch", title="one fixed test batch")
    axes[0][1].set(ylabel=f"loss f of fresh batches,\nmedian of {scale.test_every}", title="fresh batches")
    top.set_ylabel("median test loss of the last fifth")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False,
                  title=f"Adam; median and quartiles of {numbers['seeds_used']} seeds")  # fmt: skip
    return figure


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [limits_in_words(numbers["limits"])]
    for panel in numbers["panels"].values():
        gone = sum(at is not None for at in panel["diverged_at"])
        edge = "; best at the edge of the searched rates" if panel["search"]["at_the_edge"] else ""
        end, last = panel["test"]["iterations"][-1], number(panel["test"]["median"][-1])
        lines.append(f"{panel['title']}: median test loss at {end}: {last} "
                     f"(Adam {panel['learning_rate']:g}){edge}{f'; {gone} runs diverged' if gone else ''}")  # fmt: skip
    return "\n".join(lines)


# ---------------------------------------------------------------- the claims, and where their numbers stand in the JSON


def over_linear(kind: str, numbers: Numbers) -> Numbers:
    """Another attention's final loss over linear attention's, both with Adam at their best rates, seed by seed."""
    ours, linear = (numbers["panels"][name]["end"] for name in (kind, "linear"))
    found = {
        key: (np.array(ours[key], float) / np.array(linear[key], float)).tolist()
        for key in ("each_seed", "on_batches", "on_released")
    }
    return {**spread(found.pop("each_seed")), **found}


CLAIMS = (
    Claim(
        id="linear_against_softmax", figure="attention_kinds", where="section 3.2, attention kinds",
        statement="With 3 layers, linear attention's loss falls much faster than softmax attention's (final softmax over linear)",
        printed="much faster (plot)", values=partial(over_linear, "softmax"), rule=Above(MUCH, 1.0),
    ),
)  # fmt: skip
