"""Section 4.2: 2, 4, 6 and 8 layers: losses, gradient noise, robust condition number, each depth at its own learning rates.

At those rates Adam sits at losses so much smaller than SGD's that condition numbers are compared at other places altogether.
Their gap is judged at the same rates for all depths (those of Setting 1), early, on many seeds, each with a test batch of its
own.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ....plotting import STYLES, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, numbers_or_nan, spread
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
from ...rules import Above, Claim
from ...scale import Scale, differences, in_words, limited
from ...search import search
from ...settings import OPTIMIZERS
from ...variants import at_equal_rates, condition, ends, losses, noise, tails
from .factors import CLEAR, LOSS, TAIL
from .settings import SETTINGS, many_batches

TITLE = "Depth: 2, 4, 6 and 8 layers"
SECONDS = {"paper": 670, "quick": 4}
DEPTHS = (2, 4, 6, 8)
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
EARLY = (250, 500, 1_000, 2_000)  # when condition numbers are compared at equal rates
ALT = (
    "Three rows of panels, one column for each number of layers. Top: test loss on one fixed batch against iteration for SGD "
    "with momentum and Adam, logarithmic, each at the learning rate found best for that depth. Middle: density of the gradient "
    "noise norm at initialization in units of its median. Bottom: robust condition number against iteration, logarithmic; "
    "crosses, early and at the same rates for all depths. Lines are medians over seeds, bands quartiles."
)


def sized(scale: Scale) -> tuple[Scale, tuple[int, ...]]:
    """The scale and depths that fit the time: exact Hessians of 400 parameters are dear.

    Each rate is tried for as long as it will be used, in a race on three seeds: of eight layers' rates, those that are best
    after 1,000 iterations diverge later, and those that are best for one seed for others.
    """
    every = {"hessian_every": 1_000, "record_every": scale.test_every}
    if scale.name == "paper":
        return replace(limited(scale, every), search_steps=scale.steps), DEPTHS
    used = limited(scale, {"hessian_every": scale.steps}, noise_draws=100, seeds=2, search_seeds=1)
    return replace(used, search_steps=used.steps), DEPTHS[:2]


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    used, depths = sized(scale)
    return (
        f"{' and '.join(map(str, depths))} layers, {in_words(used)}"
        if len(depths) == 2
        else f"{len(depths)} depths, {in_words(used)}"
    )


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Search the rates, train what is missing and measure the three rows: plain numbers, ready for JSON."""
    used, depths = sized(scale)
    panels = {}
    for layers in depths:
        setting = replace(SETTINGS["setting1"], title=f"L = {layers}", layers=layers)
        found = search(folder, setting, RATES, used, progress, race=True)
        early = at_equal_rates(folder, setting, used, EARLY if scale.name == "paper" else EARLY[:1], progress)
        setting = replace(setting, learning_rates={o: found[o]["best"] for o in OPTIMIZERS})
        panels[str(layers)] = {
            "title": setting.title, "search": found, **losses(folder, setting, used, progress),
            "noise": noise(folder, setting, used, progress), "condition": condition(folder, setting, used, progress),
            "end": ends(folder, setting, used, many_batches(used), progress), "at_equal_rates": early,
        }  # fmt: skip
    return {"limits": differences(scale, used), "seeds_used": used.seeds, "draws": used.noise_draws, "panels": panels}


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: three rows, one column for each depth."""
    panels = numbers["panels"].values()
    figure, axes = new_figure(columns=max(2, len(panels)), rows=3, height=2.6, width=3.3)
    for column, panel in zip(axes.T, panels, strict=True):
        draw_losses(column[0], panel)
        draw_noise(column[1], panel)
        draw_condition(column[2], panel)
        early = panel["at_equal_rates"]
        for o in OPTIMIZERS:
            label = f"{o} at {early['learning_rates'][o]:g}, {len(early[o]['each_seed'])} seeds"
            column[2].plot(early["iterations"], early[o]["median"], "x", color=STYLES[o]["color"], markersize=6, label=label)
        ratio = early["middle_ratio"]["geometric_mean"] or float("nan")
        words = f"× at equal rates, ratio {ratio:.3g}"
        column[2].text(0.97, 0.95, words, transform=column[2].transAxes, ha="right", va="top", fontsize=8)
        rates = ", ".join(f"{o} {panel[o]['learning_rate']:g}" for o in OPTIMIZERS)
        column[0].set_title(f"{panel['title']}\nη: {rates}", fontsize=10)
        column[1].set_xlabel(r"noise norm $||e||$ / its median")
        column[2].set_xlabel("iteration t")
    for row, kind in ((axes[0], "y"), (axes[1], "x"), (axes[1], "y"), (axes[2], "y")):
        same_limits(row, kind)
    axes[0][0].set_ylabel("test loss f, fixed batch")
    axes[1][0].set_ylabel(f"density, batch {scale.batch}")
    axes[2][0].set_ylabel("robust condition number\n" + r"$\max|H_{ii}| / \mathrm{median}|H_{ii}|$")
    axes[0][0].legend(title=f"median and quartiles,\n{numbers['seeds_used']} seeds", frameon=False, fontsize=9)
    return figure


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [limits_in_words(numbers["limits"])]
    for panel in numbers["panels"].values():
        ratio = panel["condition"]["middle_ratio"]
        edge = [o for o in OPTIMIZERS if panel["search"][o]["at_the_edge"]]
        lines.append(losses_in_words(panel) + (f"; best at the edge of the searched rates: {', '.join(edge)}" if edge else ""))
        early = panel["at_equal_rates"]["middle_ratio"]
        lines.append(
            f"{noise_in_words(panel)}; R_med(SGD) / R_med(Adam), median over the path: {number(ratio['median'])}; at equal "
            f"rates, early, {len(early['each_seed'])} seeds: geometric mean {number(early['geometric_mean'])}"
        )
    return "\n".join(lines)


# ---------------------------------------------------------------- the claims, and where their numbers stand in the JSON


KINDS = ("each_seed", "on_batches", "on_released")  # the median over test batches, and each of them alone


def end(panel: Numbers, optimizer: str, kind: str) -> Any:
    """The loss at the end of each seed, as an array whose last axis is the seeds."""
    return np.array(panel["end"][optimizer][kind], float)


def gap(panel: Numbers, kind: str = "each_seed") -> Any:
    """SGD's loss at the end over Adam's."""
    return end(panel, "SGD", kind) / end(panel, "Adam", kind)


def in_kinds(numbers: Numbers, value: Any) -> Numbers:
    """``value(panels, kind)`` by the median over test batches, and on each alone."""
    panels = list(numbers["panels"].values())
    found = {kind: value(panels, kind).tolist() for kind in KINDS if kind in panels[0]["end"]["SGD"]}
    return {**spread(found.pop("each_seed")), **found}


def gap_with_depth(numbers: Numbers) -> Numbers:
    """The correlation over depths of L and the logarithm of SGD's final loss over Adam's, seed by seed."""
    depths = np.array([int(key) for key in numbers["panels"]], float)

    def correlation(panels: list[Numbers], kind: str) -> Any:
        gaps = np.log([gap(panel, kind) for panel in panels])  # (depths, .., seeds)
        return np.apply_along_axis(lambda column: np.corrcoef(depths, column)[0, 1], 0, gaps)

    return in_kinds(numbers, correlation)


def gaps_in_words(numbers: Numbers) -> str:
    """The gap at each depth."""
    words = []
    for key, panel in numbers["panels"].items():
        found = gap(panel)
        of = "" if np.isfinite(found).all() else f" ({np.isfinite(found).sum()} of {len(found)} seeds)"
        words.append(f"L = {key}: {np.nanmedian(found):.3g}{of}" if np.isfinite(found).any() else f"L = {key}: none")
    return "median of SGD's loss over Adam's: " + ", ".join(words)


def falls_with_depth(optimizer: str, numbers: Numbers) -> Numbers:
    """The final loss of the shallowest model over that of the deepest, seed by seed."""
    return in_kinds(numbers, lambda panels, kind: end(panels[0], optimizer, kind) / end(panels[-1], optimizer, kind))


def heavier_with_depth(numbers: Numbers) -> Numbers:
    """The least p99.9 / p50 of the deeper half over the largest of the shallower half, seed by seed."""
    found = np.array([tails(panel) for panel in numbers["panels"].values()])
    half = len(found) // 2
    return spread(found[half:].min(axis=0) / found[:half].max(axis=0))


def condition_gap_with_depth(numbers: Numbers) -> Numbers:
    """The R_med ratio over that of the shallowest model, seed by seed, of the deeper model where its geometric mean is least."""
    middle = [
        np.array(numbers_or_nan(panel["at_equal_rates"]["middle_ratio"]["each_seed"])) for panel in numbers["panels"].values()
    ]
    over = [spread(found / middle[0]) for found in middle[1:]]
    return min(over, key=lambda found: found["geometric_mean"] if found["geometric_mean"] is not None else np.inf)


def condition_gaps_in_words(numbers: Numbers) -> str:
    """The geometric mean of the ratio at each depth."""
    words = []
    for key, panel in numbers["panels"].items():
        early, late = panel["at_equal_rates"]["middle_ratio"], panel["condition"]["middle_ratio"]
        words.append(f"L = {key}: {number(early['geometric_mean'])} (at the best final rates {number(late['median'])})")
    times = next(iter(numbers["panels"].values()))["at_equal_rates"]["iterations"]
    return f"geometric mean of R_med(SGD) / R_med(Adam) over iterations {', '.join(map(str, times))}: {', '.join(words)}"


def claims() -> Iterator[Claim]:
    """Deeper: a larger gap, a lower loss, heavier noise, a larger gap in R_med."""
    common: dict[str, Any] = {"figure": "depth", "where": "section 4.2, number of layers"}
    yield Claim(
        id="depth.gap",
        statement="The gap between SGD and Adam grows with depth (correlation of L and the logarithm of the loss ratio)",
        printed="grows (plot)", values=gap_with_depth, aside=gaps_in_words, rule=Above(0.8, 0.0), **common,
    )  # fmt: skip
    for optimizer in OPTIMIZERS:
        yield Claim(
            id=f"depth.loss.{optimizer.lower()}",
            statement=f"{optimizer}'s loss falls with depth (loss of L = 2 over that of L = 8)",
            printed="falls (plot)", values=partial(falls_with_depth, optimizer), rule=Above(LOSS, 1.0), **common,
        )  # fmt: skip
    yield Claim(
        id="depth.noise",
        statement="Gradient noise is heavier-tailed for L = 6, 8 than for L = 2, 4 (least p99.9/p50 over the largest)",
        printed="heavier (histogram)", values=heavier_with_depth, rule=Above(TAIL, 1.0), **common,
    )  # fmt: skip
    yield Claim(
        id="depth.condition",
        statement="The gap in R_med is larger for L = 4, 6, 8 than for L = 2 (at equal rates, early; least ratio over that of L "
                  "= 2)",
        printed="larger (plot)", values=condition_gap_with_depth, aside=condition_gaps_in_words,
        rule=Above(CLEAR, 1.0, "geometric_mean"), **common,
    )  # fmt: skip


CLAIMS = tuple(claims())
