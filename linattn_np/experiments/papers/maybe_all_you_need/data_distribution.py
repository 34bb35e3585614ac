"""Section 4.1: covariates on the sphere against heavy-tailed ones: losses, gradient noise, robust condition number.

The gap of SGD and Adam is told by how much sooner Adam gets to the same loss: a ratio of final losses is limited by the floor of
each task. R_med is judged from the median over many test batches of each entry of the Hessian's diagonal. A search with the same
rates for both laws says what the best of them reaches: whether the paper's own rates, far apart, are what slows the heavy tail.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....plotting import STYLES, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, each_seed, numbers_or_nan, spread
from ...panels import (
    draw_condition,
    draw_losses,
    draw_noise,
    limits_in_words,
    losses_in_words,
    noise_in_words,
    number,
    same_limits,
)
from ...rules import Above, Claim, around
from ...scale import Scale, differences, in_words, limited
from ...search import search
from ...settings import OPTIMIZERS
from ...variants import condition, gap, losses, noise, robust_condition, speed_up, tails
from .factors import CLEAR, TAIL, UNCHANGED
from .settings import SETTINGS, many_batches

TITLE = "Light and heavy tails in the data: spherical and Gamma-scaled covariates"
SECONDS = {"paper": 160, "quick": 4}
NAMES = ("sphere", "setting3")
RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SPEED_AT = (2_000, 5_000, 10_000)  # SGD's losses at these iterations are what Adam must reach
TITLES = {"sphere": "covariates on the sphere", "setting3": "heavy-tailed covariates (Setting 3)"}
ALT = (
    "Three rows of two panels, left for covariates on the unit sphere, right for covariates scaled by a Gamma variable. Top: "
    "loss of fresh batches against iteration for SGD with momentum and Adam, logarithmic, each point the median of a window. "
    "Middle: density of the gradient noise norm at initialization in units of its median. Bottom: robust condition number "
    "against iteration, logarithmic; crosses, from the median of each Hessian entry over many test batches. Dotted levels say "
    "how many times sooner Adam reaches SGD's loss. Lines are medians over seeds, bands quartiles."
)


def sized(scale: Scale) -> Scale:
    """Quick: fewer seeds and draws, a search on one seed, no Hessians between the first and the last."""
    if scale.name == "paper":
        return scale
    return limited(scale, {"hessian_every": scale.steps}, noise_draws=100, seeds=2, search_seeds=1)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return in_words(sized(scale))


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train what is missing and measure the three rows: plain numbers, ready for JSON."""
    used = sized(scale)
    panels = {}
    for name in NAMES:
        setting = SETTINGS[name]
        panels[name] = {
            "title": TITLES[name], "search": search(folder, setting, RATES, used, progress),
            **losses(folder, setting, used, progress), "noise": noise(folder, setting, used, progress),
            "condition": condition(folder, setting, used, progress),
            "robust_condition": robust_condition(folder, setting, used, many_batches(used), progress),
            "speed_up": speed_up(folder, setting, used, SPEED_AT if used.name == "paper" else (used.steps,), progress),
        }  # fmt: skip
    return {"limits": differences(scale, used), "seeds_used": used.seeds, "draws": used.noise_draws, "panels": panels}


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: three rows, one column for each law of the covariates."""
    figure, axes = new_figure(columns=len(NAMES), rows=3, height=2.7, width=4.8)
    for column, name in zip(axes.T, NAMES, strict=True):
        panel = numbers["panels"][name]
        draw_losses(column[0], panel, "fresh")
        draw_noise(column[1], panel)
        draw_condition(column[2], panel)
        column[0].set_title(panel["title"])
        column[1].set_xlabel(r"noise norm $||e||$ / its median")
        column[2].set_xlabel("iteration t")
        if "robust_condition" in panel:
            for o in OPTIMIZERS:
                values = panel["robust_condition"][o]
                label = f"{o}, H_ii median over batches"
                column[2].plot(values["iterations"], values["median"], "x", color=STYLES[o]["color"], markersize=7, label=label)
        show_speed(column[0], panel)
    for row in axes:
        same_limits(row)
    for ax in axes[1]:
        ax.set_xlim(0.0, 4.0)  # what lies beyond is told by p99.9/p50
    axes[0][0].set_ylabel(f"loss f of fresh batches,\nmedian of {scale.test_every}")
    axes[1][0].set_ylabel(f"density, batch {scale.batch}")
    axes[2][0].set_ylabel("robust condition number\n" + r"$\max|H_{ii}| / \mathrm{median}|H_{ii}|$")
    axes[0][0].legend(title=f"median and quartiles\nof {numbers['seeds_used']} seeds", frameon=False)
    return figure


def show_speed(ax: Axes, panel: Numbers) -> None:
    """Level lines from where Adam reaches the loss that SGD has at an iteration to that iteration, and how many times sooner it
    does.
    """
    at, words = panel["SGD"]["fresh"], ["Adam reaches the loss that SGD has at"]
    for t, found in panel.get("speed_up", {}).items():
        times = found["median"]
        if times is not None:
            loss = at["median"][int(np.argmin(np.abs(np.array(at["iterations"]) - int(t))))]
            ax.plot([int(t) / times, int(t)], [loss, loss], ":", color="0.4", linewidth=1.0)
            words.append(f"t = {int(t):,}: {times:.1f} times sooner")
    if len(words) > 1:
        ax.text(0.97, 0.29, "\n".join(words), fontsize=8, ha="right", va="bottom", color="0.3", transform=ax.transAxes)


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [limits_in_words(numbers["limits"])]
    for panel in numbers["panels"].values():
        ratio = panel["condition"]["middle_ratio"]
        lines += [losses_in_words(panel), noise_in_words(panel)]
        tried = ((o, np.nanmin(numbers_or_nan(found["scores"])), found["best"]) for o, found in panel["search"].items())
        best = ", ".join(f"{o} {number(loss)} at {rate:g}" for o, loss, rate in tried)
        lines.append(f"  best of the rates searched, the same for both laws: {best}")
        lines.append(f"  R_med(SGD) / R_med(Adam), median over the path: {number(ratio['median'])} "
                     f"[{number(ratio['lower_quartile'])}, {number(ratio['upper_quartile'])}] over seeds; from the median of "
                     "H_ii over "
                     f"test batches: {number(panel['robust_condition']['middle_ratio']['median'])}")  # fmt: skip
        sooner = ", ".join(f"{t}: {number(found['median'])}" for t, found in panel["speed_up"].items())
        lines.append(f"  Adam reaches the loss that SGD has at an iteration so many times sooner: {sooner}")
    return "\n".join(lines)


# ---------------------------------------------------------------- the claims, and where their numbers stand in the JSON


SLOWER_AT = 1_000  # the iteration at which speeds are compared


def heavier_noise(numbers: Numbers) -> Numbers:
    """p99.9 / p50 of the noise, heavy-tailed over spherical, seed by seed."""
    panels = numbers["panels"]
    return spread(tails(panels["setting3"]) / tails(panels["sphere"]))


def skewness_of_both(numbers: Numbers) -> str:
    """The skewness of the noise, heavy-tailed beside spherical."""
    found = {name: panel["noise"]["noise"]["skewness"]["median"] for name, panel in numbers["panels"].items()}
    return f"skewness {found['setting3']:.3g} against {found['sphere']:.3g} on the sphere"


def larger_condition_gap(numbers: Numbers) -> Numbers:
    """The median R_med ratio along the path, heavy-tailed over spherical, seed by seed; and on each test batch alone."""
    found = {name: panel["robust_condition"]["middle_ratio"] for name, panel in numbers["panels"].items()}
    heavy, light = found["setting3"], found["sphere"]
    together = {key: quotient(heavy[key], light[key]) for key in ("each_seed", "on_batches", "on_released") if key in heavy}
    return {**spread(together.pop("each_seed")), **together}


def quotient(heavy: Any, light: Any) -> Any:
    """Heavy-tailed over spherical, number by number; NaN where a JSON file has null."""
    return (np.array(heavy, float) / np.array(light, float)).tolist()


def on_one_batch(numbers: Numbers) -> str:
    """The same on the one fixed batch."""
    middle = {n: np.array(numbers_or_nan(p["condition"]["middle_ratio"]["each_seed"])) for n, p in numbers["panels"].items()}
    return f"on the one fixed batch {np.nanmedian(middle['setting3'] / middle['sphere']):.3g}"


def slower(optimizer: str, iteration: int, numbers: Numbers) -> Numbers:
    """The share of the first loss that is left at an iteration, heavy-tailed over spherical; fresh batches."""
    left = {}
    for name, panel in numbers["panels"].items():
        fresh = panel[optimizer]["fresh"]
        left[name] = each_seed(fresh, iteration) / each_seed(fresh, fresh["iterations"][0])
    return spread(left["setting3"] / left["sphere"])


def change_of_gap(numbers: Numbers) -> Numbers:
    """How much sooner Adam reaches SGD's loss with heavy tails, over the same on the sphere; the geometric mean over the
    times.
    """
    sooner = {
        name: np.array([numbers_or_nan(found["each_seed"]) for found in panel["speed_up"].values()])
        for name, panel in numbers["panels"].items()
    }  # (times, seeds)
    return spread(np.exp(np.log(sooner["setting3"] / sooner["sphere"]).mean(axis=0)))


def gaps_in_words(numbers: Numbers) -> str:
    """How much sooner in each case, and the ratio of final losses, which each task's floor limits."""
    words = []
    for name, panel in numbers["panels"].items():
        each = ", ".join(f"{found['median']:.3g} at {t}" for t, found in panel["speed_up"].items() if found["median"] is not None)
        words.append(f"{TITLES[name]}: Adam {each} times sooner")
    losses = np.nanmedian(gap(numbers["panels"]["setting3"]) / gap(numbers["panels"]["sphere"]))
    return f"{'; '.join(words)}; the ratio of final losses, limited by each task's floor: {losses:.3g}"


def claims() -> Iterator[Claim]:
    """Heavier data: heavier noise, a larger gap in R_med, both slower, about the same gap in the loss."""
    common: dict[str, Any] = {"figure": "data_distribution", "where": "section 4.1, spherical against heavy-tailed covariates"}
    yield Claim(
        id="data.noise",
        statement="Heavier tails in the data give heavier-tailed gradient noise (p99.9/p50 over that on the sphere)",
        printed="heavier (histogram)", values=heavier_noise, aside=skewness_of_both, rule=Above(TAIL, 1.0), **common,
    )  # fmt: skip
    yield Claim(
        id="data.condition",
        statement="Heavier tails in the data give a larger gap in R_med (median ratio over that on the sphere)",
        printed="larger (plot)", values=larger_condition_gap, aside=on_one_batch, rule=Above(CLEAR, 1.0), **common,
    )  # fmt: skip
    for optimizer in OPTIMIZERS:
        yield Claim(
            id=f"data.slower.{optimizer.lower()}",
            statement=f"Heavier tails slow {optimizer} down (share of the loss left at {SLOWER_AT}, over that on the sphere)",
            printed="slower (plot)", values=partial(slower, optimizer, SLOWER_AT), rule=Above(CLEAR, 1.0), **common,
        )  # fmt: skip
    yield Claim(
        id="data.gap",
        statement="The relative gap of SGD and Adam does not clearly change with the tails (how many times sooner Adam reaches "
                  "SGD's "
        "loss, over that on the sphere)", printed="no clear change", values=change_of_gap, aside=gaps_in_words,
        rule=around(1.0, UNCHANGED), **common,
    )  # fmt: skip


CLAIMS = tuple(claims())
