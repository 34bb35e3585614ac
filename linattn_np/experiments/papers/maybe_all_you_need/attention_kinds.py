"""Section 3.2: linear, ReLU and softmax attention, three layers each, with Adam at the best rate of each."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from ....plotting import median_band, new_figure
from ....training.loop import losses_along
from ....training.runs import Run, RunFolder
from ...curves import Numbers, band, last_tenth, loss_curves, spread
from ...panels import limits_in_words, number
from ...rules import Above, Claim
from ...scale import Scale, differences, histories, in_words, limited, test_batch
from ...search import chosen, late, score
from ...settings import with_momentum
from .factors import MUCH
from .settings import SETTINGS

TITLE = "Attention kinds: linear, ReLU and softmax, three layers"
SECONDS = {"paper": 720, "quick": 6}
KINDS = ("linear", "relu", "softmax")
NAMES = {"linear": "linear", "relu": "ReLU", "softmax": "softmax"}
RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
LINES = {
    "linear": {"color": "#0072B2", "linestyle": "-"}, "relu": {"color": "#009E73", "linestyle": "-."},
    "softmax": {"color": "#D55E00", "linestyle": "--"},
}  # fmt: skip
ALT = (
    "Three panels on logarithmic loss scales. Left: test loss on one fixed batch against iteration for three layers of linear, "
    "ReLU and softmax attention, each trained with Adam at its best learning rate. Middle: loss of fresh training batches, "
    "medians of windows. Right: the search, score of each rate for the three kinds. Lines are medians over seeds, bands quartiles."
)


def runs_for(kind: str, rate: float, steps: int, every: int, used: Scale) -> list[Run]:
    """One run for each seed."""
    setting, adam = SETTINGS["setting1"], with_momentum("Adam", rate)
    return [
        Run(setting.task, adam, steps, used.batch, clip=setting.clip, seed=seed, record_every=every, attention=kind)
        for seed in range(used.seeds)
    ]  # fmt: skip


def sized(scale: Scale) -> Scale:
    """One seed for the search; quick: scores of all pairs of tokens are dear."""
    used = limited(scale, search_seeds=1)
    return used if scale.name == "paper" else limited(used, steps=100, seeds=2, search_steps=30)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return in_words(sized(scale))


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Search the rates, train what is missing and measure the losses: plain numbers, ready for JSON."""
    used = sized(scale)
    test, every = test_batch(SETTINGS["setting1"].task), max(1, used.search_steps // 20)
    panels: Numbers = {}
    for kind in KINDS:
        asked = [runs_for(kind, rate, used.search_steps, every, used)[0] for rate in RATES]
        tried = histories(folder, asked, f"rates of {kind} attention", progress)
        pairs = [losses_along(late(h, used.search_steps), *test) for h in tried]
        scores = [score(h, pair, used.search_steps) for h, pair in zip(tried, pairs, strict=True)]
        search = chosen(RATES, np.array(scores))
        runs = runs_for(kind, search["best"], used.steps, used.test_every, used)
        trained = histories(folder, runs, f"{kind} attention", progress)
        pairs = [losses_along(h, *test) for h in trained]
        curves = loss_curves(trained, pairs, used)
        panels[kind] = {"title": NAMES[kind], "search": search, "learning_rate": search["best"], **curves}
    return {"limits": differences(scale, used), "seeds_used": used.seeds, "panels": panels}


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: test loss, loss of fresh batches, the search."""
    figure, axes = new_figure(columns=3, width=4.0, height=3.6)
    for kind, panel in numbers["panels"].items():
        for ax, which in zip(axes[0], ("test", "fresh"), strict=False):
            label = f"{NAMES[kind]}, η = {panel['learning_rate']:g}"
            median_band(ax, panel[which]["iterations"], band(panel[which]), label, **LINES[kind])
        search = panel["search"]
        axes[0][2].plot(search["rates"], np.array(search["scores"], float), marker="o", label=NAMES[kind], **LINES[kind])
    top = axes[0][2]
    for ax in axes[0]:
        ax.set(yscale="log", xlabel="iteration t")
    top.set(xscale="log", xlabel="learning rate η of Adam", title="search, short runs")
    axes[0][0].set(ylabel="test loss f, fixed batch", title="one fixed test batch")
    axes[0][1].set(ylabel=f"loss f of fresh batches,\nmedian of {scale.test_every}", title="fresh batches")
    top.set_ylabel("median test loss of the last fifth")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False,
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
    panels = numbers["panels"]
    return spread(last_tenth(panels[kind]["test"]) / last_tenth(panels["linear"]["test"]))


CLAIMS = (
    Claim(
        id="linear_against_softmax", figure="attention_kinds", where="section 3.2, attention kinds",
        statement="With 3 layers, linear attention's loss falls much faster than softmax attention's (final softmax over linear)",
        paper="much faster (plot)", values=partial(over_linear, "softmax"), rule=Above(MUCH, 1.0),
    ),
)  # fmt: skip
