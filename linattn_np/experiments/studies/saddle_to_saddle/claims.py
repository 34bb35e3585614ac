"""What the derivations of lesson 27, or runs on other seeds (0 to 4), predict, and the rules that judge it, written before the
full run.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...._types import Array
from ...curves import Numbers, spread
from ...rules import Above, Claim, Row, Within, in_rows

FIGURE, LESSON = "saddle_to_saddle", "lesson 27"
LONG = 200  # steps that a plateau lasts at least where its level is held against the derivation


def of_seeds(entry: Any) -> Array:
    """Nested lists of a JSON file as numbers, null as NaN."""
    return np.array(entry, float)


def lasting(flat: Array) -> Array:
    """Which plateaus of (seeds, 5, d) last: (seeds, d)."""
    return np.nan_to_num(flat[:, 3]) >= LONG


def extreme(rows: Any, pick: Callable[[Array], Any], name: str) -> Numbers:
    """The one number that is picked from each seed's row, and ``name``: the one picked of them all, so that a rule holds for
    all.
    """
    rows = [row[np.isfinite(row)] for row in (np.asarray(row, float).ravel() for row in rows)]
    every = np.concatenate(rows)
    return spread([pick(row) if len(row) else np.nan for row in rows]) | {name: float(pick(every)) if len(every) else None}


def largest(rows: Any) -> Numbers:
    """The largest number of each seed's row, and of all."""
    return extreme(rows, np.max, "largest")


def farthest(rows: Any, target: float) -> Numbers:
    """The number of each seed's row that is farthest from a target, and of all."""
    return extreme(rows, lambda row: row[np.abs(row - target).argmax()], "farthest")


def level_error(numbers: Numbers, kind: str = "separate") -> Numbers:
    """The largest relative distance of a lasting plateau from its level."""
    flat = of_seeds(numbers[kind]["flat"])
    return largest(np.where(lasting(flat), np.abs(flat[:, 2]), np.nan))


def levels_in_words(numbers: Numbers, kind: str = "separate") -> str:
    """How many plateaus are judged, and what the short ones say."""
    flat = of_seeds(numbers[kind]["flat"])
    reached, long = np.isfinite(flat[:, 2]), lasting(flat)
    short = np.abs(flat[:, 2])[reached & ~long]
    return f"{int(long.sum())} of {int(reached.sum())} plateaus last {LONG} steps" + (
        f"; the others are off by up to {short.max():.2g}" if len(short) else ""
    )


def level_error_on_prompts(numbers: Numbers) -> Numbers:
    """The same where prompts stand in the place of the moments."""
    return level_error(numbers, "prompts")


def prompts_in_words(numbers: Numbers) -> str:
    """The same in words."""
    flat, own = of_seeds(numbers["prompts"]["flat"]), of_seeds(numbers["prompts"]["own"])
    gap = largest(np.where(lasting(flat), np.abs(flat[:, 1] / own - 1), np.nan))["largest"]
    from_own = "" if gap is None else f"; from the best model of their rank on the same prompts they are off by at most {gap:.2g}"
    return levels_in_words(numbers, "prompts") + from_own


def decay_levels(numbers: Numbers) -> Numbers:
    """The largest relative distance of a lasting plateau from its level while the rate falls to 0."""
    return level_error(numbers, "decay")


def decay_in_words(numbers: Numbers) -> str:
    """How many plateaus are judged, and how far the runs get in comparison."""
    reached = {kind: np.isfinite(of_seeds(numbers[kind]["flat"])[:, 2]).sum(axis=1) for kind in ("separate", "decay")}
    far = ", ".join(f"{a} for {b}" for a, b in zip(reached["decay"], reached["separate"], strict=True))
    return f"{levels_in_words(numbers, 'decay')}; levels reached, seed by seed, for those at a constant rate: {far}"


def decay_clock(numbers: Numbers) -> Numbers:
    """The sum of the rates at the first drop, where the rate falls to 0, over that at a constant rate."""
    clocks = of_seeds(numbers["decay"]["clocks"])
    return farthest((clocks[:, 1] / clocks[:, 0])[:, None], 1.0)


def rank_share(numbers: Numbers) -> Numbers:
    """The share of the lasting plateaus at which M has the rank that the level says."""
    flat = of_seeds(numbers["separate"]["flat"])
    right = flat[:, 4] == np.arange(flat.shape[2])
    return spread([row[long].mean() if long.any() else np.nan for row, long in zip(right, lasting(flat), strict=True)])


def count_error(numbers: Numbers) -> Numbers:
    """The largest relative distance of H heads from level H at the end."""
    wanted = np.array(numbers["levels"])[[1, 2, 3, 4, 4]]
    return largest(np.abs(of_seeds(numbers["counts"]["last"]) / wanted - 1))


def counts_in_time(numbers: Numbers) -> str:
    """How many networks are not there, and whether they come later."""
    found = numbers["counts"]
    wanted = np.array(numbers["levels"])[[1, 2, 3, 4, 4]]
    late, later = (np.abs(of_seeds(found[name]) / wanted - 1) > 0.001 for name in ("last", "later"))
    return (
        f"{late.sum()} of {late.size} networks are not there after {found['steps'][0]:,} steps (by heads: "
        f"{', '.join(map(str, late.sum(axis=0)))}), {later.sum()} after {found['steps'][1]:,}"
    )


def decades(numbers: Numbers) -> Array:
    """What each tenth of the first weights costs merged heads in steps: (seeds, stds - 1)."""
    return np.diff(of_seeds(numbers["merged"]["begin"]), axis=1)


def decade(numbers: Numbers) -> Numbers:
    """The one that is farthest from the law."""
    return farthest(decades(numbers), numbers["decade"])


def decades_in_words(numbers: Numbers) -> str:
    """Their range."""
    found = decades(numbers)
    return (
        f"mean {np.nanmean(found):.2f}, {np.nanmin(found):.0f} to {np.nanmax(found):.0f} steps; ln 10 / ln(1 + 2 eta |Lambda^2|) "
        f"= {numbers['decade']:.2f}"
    )


def halvings(numbers: Numbers) -> Array:
    """Ratios of the first drop's times when separate heads start half as large: (seeds, stds - 1)."""
    drops = of_seeds(numbers["drops"])
    return drops[:, 1:] / drops[:, :-1]


def halving(numbers: Numbers) -> Numbers:
    """The one that is farthest from 2."""
    return farthest(halvings(numbers), 2.0)


def merged_falls(numbers: Numbers) -> Numbers:
    """Steps from 10 % to 90 % of the fall, merged heads from 0.001, seed by seed."""
    return spread(of_seeds(numbers["merged"]["falls"])[:, numbers["stds"]["merged"].index(1e-3)])


def merged_stays(numbers: Numbers) -> Numbers:
    """The most steps that merged heads from 0.001 spend within 1 % of one of the levels between."""
    return largest(of_seeds(numbers["merged"]["near"])[:, numbers["stds"]["merged"].index(1e-3)])


def library_gap(numbers: Numbers) -> Numbers:
    """The largest relative difference between the library's losses on prompts and those on their moments."""
    return largest(of_seeds(numbers["library"]["gap"]))


def counts_wrong(numbers: Numbers) -> Numbers:
    """The largest difference between the dimension of a null space and what the symmetries predict."""
    return spread([max(abs(case["count"] - case["predicted"]) for case in numbers["conserved"])])


def counts_in_words(numbers: Numbers) -> str:
    """How many sizes there are, and how far apart 0 and not 0 lie."""
    gaps = np.array([case["gap"] for case in numbers["conserved"]])
    return f"{len(gaps)} sizes; singular values are below {gaps[:, 1].max():.0e} or above {gaps[:, 0].min():.2g} of the largest"


def drift_ratios(numbers: Numbers) -> Array:
    """The drift of |P1 - P2|^2 - |Q1 - Q2|^2 over that at half the rate, smallest rates: (seeds, layers)."""
    drift = of_seeds(numbers["drift"]["drift"])
    return drift[:, -2] / drift[:, -1]


def drift_halves(numbers: Numbers) -> Numbers:
    """In the first layer, seed by seed."""
    return spread(drift_ratios(numbers)[:, 0])


def drift_in_words(numbers: Numbers) -> str:
    """How small the drift is, and the second layer."""
    drift, moved = (np.abs(of_seeds(numbers["drift"][name]))[:, -1] for name in ("drift", "moved"))
    second = drift_ratios(numbers)[:, 1]
    return (
        f"{np.median(drift[:, 0]):.1e} while |P1 - P2|^2 moves by {np.median(moved[:, 0]):.2g}; second layer "
        f"{np.median(second):.3g} ({second.min():.3g} to {second.max():.3g})"
    )


def last_layer(numbers: Numbers) -> Numbers:
    """The largest relative change of the last layer's Q1 - Q2."""
    return largest(of_seeds(numbers["drift"]["last"]))


def slope_without_p(numbers: Numbers) -> Numbers:
    """The gradient by P' where the loss is least with P' = 0, seed by seed, and the smallest."""
    return extreme(numbers["without_p"]["by_P"], np.min, "smallest")


def slope_in_words(numbers: Numbers) -> str:
    """The gradient by Q' there, and the losses."""
    found = numbers["without_p"]
    return f"by Q' at most {np.max(found['by_Q']):.0e}; losses {np.min(found['best']):.3f} to {np.max(found['best']):.3f}"


def crossing_ratio(numbers: Numbers) -> Numbers:
    """Steps to that loss from P' of 1e-5 over those from P' of 0.1, seed by seed."""
    crossings = of_seeds(numbers["without_p"]["crossings"])
    return spread(crossings[:, 0] / crossings[:, 1])


ROWS = (  # levels, heads one by one, waiting, what is conserved, and where there is no saddle
    Row(
        name="levels",
        statement="Separate heads: every plateau of at least 200 steps lies on its level (largest "
        "relative distance)",
        theirs="0 by (27.12); at most 0.0016 on seeds 0 to 4", values=level_error, aside=levels_in_words,
        rule=Within(0.0, 0.005, statistic="largest"), where=LESSON,
    ),
    Row(
        name="rank",
        statement="On the level m such a plateau has a model M of rank m (share of the plateaus)",
        theirs="1", values=rank_share, rule=Above(0.95, 0.5, statistic="mean"), where=LESSON,
    ),
    Row(
        name="decay.levels",
        statement="The rate falls linearly to 0: every plateau of at least 200 steps lies on its "
        "level (largest relative distance)",
        theirs="0 by (27.12), which knows no rate", values=decay_levels, aside=decay_in_words,
        rule=Within(0.0, 0.005, statistic="largest"), where=LESSON,
    ),
    Row(
        name="decay.clock",
        statement="The first drop comes at the same sum of rates as at a constant rate (ratio "
        "farthest from 1)",
        theirs="1, as of a flow", values=decay_clock, rule=Within(0.98, 1.02, statistic="farthest"), where=LESSON,
    ),
    Row(
        name="heads",
        statement="Control: H = 1, 2, 3, 4, 5 heads end on level H and stay, the fifth adds nothing "
        "(largest relative distance)",
        theirs="0", values=count_error, aside=counts_in_time, rule=Within(0.0, 0.001, statistic="largest"), where=LESSON,
    ),
    Row(
        name="merged",
        statement="Merged heads, first weights 0.001: steps from 10 % to 90 % of the fall",
        theirs="62 on seeds 0 to 4", values=merged_falls, rule=Within(50.0, 75.0), where=LESSON,
    ),
    Row(
        name="no_plateau",
        statement="Merged heads rest at no level between (most steps within 1 % of one)",
        theirs="at most 5 on seeds 0 to 4", values=merged_stays, rule=Within(0.0, 10.0, statistic="largest"), where=LESSON,
    ),
    Row(
        name="decade",
        statement="Merged heads wait so many steps more for first weights a tenth as large (farthest "
        "decade, 0.1 to 1e-5)",
        theirs="31.7 = ln 10 / ln(1 + 2 eta |Lambda^2|)", values=decade, aside=decades_in_words,
        rule=Within(30.7, 32.7, statistic="farthest"), where=LESSON,
    ),
    Row(
        name="halving",
        statement="Separate heads wait twice as long for first weights half as large (ratio farthest "
        "from 2)",
        theirs="2; 2.00 to 2.03 on seeds 0 to 4", values=halving, rule=Within(1.88, 2.12, statistic="farthest"), where=LESSON,
    ),
    Row(
        name="prompts",
        statement="4096 prompts in the place of the moments: lasting plateaus near the same levels "
        "(largest distance)",
        theirs="0.047 on seeds 0 to 4", values=level_error_on_prompts, aside=prompts_in_words,
        rule=Within(0.0, 0.06, statistic="largest"), where=LESSON,
    ),
    Row(
        name="library",
        statement="The library's gradients on prompts give the losses of their moments (largest relative "
        "difference)",
        theirs="0 but for rounding", values=library_gap, rule=Within(0.0, 1e-10, statistic="largest"), where=LESSON,
    ),
    Row(
        name="conserved",
        statement="The null space of g^T A theta = 0 has the dimension that the symmetries give "
        "(largest difference over the sizes)",
        theirs="0", values=counts_wrong, aside=counts_in_words, rule=Within(0.0, 0.0), where=LESSON,
    ),
    Row(
        name="drift",
        statement="Two heads, first layer: what is conserved drifts half as far at half the rate (ratio)",
        theirs="2", values=drift_halves, aside=drift_in_words, rule=Within(1.9, 2.1), where=LESSON,
    ),
    Row(
        name="last",
        statement="Last layer of the paper's form: Q1 - Q2 does not move at any rate (largest relative "
        "change)",
        theirs="0 but for rounding", values=last_layer, rule=Within(0.0, 1e-12, statistic="largest"), where=LESSON,
    ),
    Row(
        name="no_saddle",
        statement="The paper's form: the best point with P' = 0 is no saddle (smallest gradient by P' "
        "there)",
        theirs="0.11 to 0.18 on three other seeds", values=slope_without_p, aside=slope_in_words,
        rule=Above(0.05, 0.01, statistic="smallest"), where=LESSON,
    ),
    Row(
        name="no_waiting",
        statement="So it costs nothing to start at P' of 1e-5 in place of 0.1 (ratio of the steps to "
        "that loss)",
        theirs="1; 10,000 if it were a saddle with the law of separate heads", values=crossing_ratio, rule=Within(0.5, 1.5),
        where=LESSON,
    ),
)  # fmt: skip
CLAIMS: tuple[Claim, ...] = in_rows(FIGURE, f"{FIGURE}.", "predicted", ROWS)
