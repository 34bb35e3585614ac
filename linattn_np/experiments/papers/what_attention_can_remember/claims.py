"""What is said of linear, sparse and softmax attention that must remember, and where our numbers for it stand in the figure's
JSON.

All of it is second-hand: the paper's abstract, the caption of its Table 1 and readers' notes. The rules were written before the
run.
"""

from functools import partial
from typing import Any

import numpy as np

from ...curves import Numbers, spread
from ...rules import Above, Row, Within, in_rows
from .closed_loop import multiplications
from .runs import LOCAL, pairs

ENOUGH, LOCAL_ENOUGH = 0.02, 0.05  # errors below which a width is enough; the local one is a mean over time
RECALLED = 0.99  # the accuracy of a program that is solved


def smallest_width(series: Numbers, seeds: Any, enough: float = ENOUGH) -> float:
    """The smallest width at which one of these seeds has an error below ``enough``; NaN where none has."""
    good = [D for D, errors in zip(series["widths"], series["errors"], strict=True) if min(errors[s] for s in seeds) < enough]
    return float(min(good, default=np.nan))


def smallest_widths(numbers: Numbers, kind: str) -> np.ndarray:
    """The smallest width of each pair of seeds at each length. -> (pairs, lengths)"""
    return np.array([
        [smallest_width(numbers["recall"][kind][str(L)],
                        seeds) for L in numbers["lengths"]] for seeds in pairs(numbers["seeds_used"])
    ])  # fmt: skip


def slope(x: Any, y: Any) -> float:
    """The slope of log y against log x; NaN where a y is."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0]) if np.isfinite(y).all() else np.nan


def width_slope(kind: str, numbers: Numbers) -> Numbers:
    """The power of L with which the smallest width grows, for each pair of seeds."""
    return spread([slope(numbers["lengths"], row) for row in smallest_widths(numbers, kind)])


def cost_slope(numbers: Numbers) -> Numbers:
    """The power of L with which linear attention's multiplications grow, at the smallest width of each pair."""
    lengths = numbers["lengths"]
    costs = [[multiplications(L, int(D), "linear") if D == D else np.nan for L, D in zip(lengths, row, strict=True)]
             for row in smallest_widths(numbers, "linear")]  # fmt: skip
    return spread([slope(lengths, np.array(row, float)) for row in costs])


def largest_width(kind: str, numbers: Numbers) -> Numbers:
    """The largest over the lengths of the smallest width, for each pair of seeds."""
    return spread(smallest_widths(numbers, kind).max(axis=1))


def off_floor(kind: str, numbers: Numbers) -> Numbers:
    """The farthest that the error of a width below sqrt(L) is from 1 - D^2 / L, over all lengths, for each seed."""
    gaps = [
        np.abs(np.array(errors) - least)
        for series in numbers["recall"][kind].values()
        for errors, least in zip(series["errors"], series["floor"], strict=True)
        if least > 0
    ]
    return spread(np.max(gaps, axis=0))


def final_at(numbers: Numbers, short: bool) -> Numbers:
    """Closed loop, for each seed: the least accuracy over the lengths at width sqrt(L) + 1, or (short) the largest at half of
    sqrt(L).
    """
    found = []
    for L, series in numbers["recall"]["linear"].items():
        root = round(int(L) ** 0.5)
        found.append(series["final"][series["widths"].index(root // 2 if short else root + 1)])
    return spread(np.max(found, axis=0) if short else np.min(found, axis=0))


def seeds_that_recall(numbers: Numbers) -> str:
    """The same of every seed, in words: width sqrt(L) + 1."""
    each = np.array(final_at(numbers, short=False)["each_seed"])
    return (
        f"{(each >= RECALLED).sum()} of {len(each)} seeds have at least {RECALLED:g} at every length, the least {each.min():.4g}"
    )


def softmax_in_words(numbers: Numbers) -> str:
    """How softmax's smallest width grows with the length."""
    widths = smallest_widths(numbers, "softmax")
    power = width_slope("softmax", numbers)["median"]
    grows = "at no length" if power is None else f"with the power {power:.2f} of L"
    return f"{widths[:, 0].min():g} at L = {numbers['lengths'][0]}, at most {widths.max():g} at any: it grows {grows}"


def sparse_final(numbers: Numbers) -> Numbers:
    """The least accuracy over the lengths of the sparse attention, for each seed."""
    return spread(np.min(numbers["sparse"]["final"], axis=0))


def local_width(numbers: Numbers, reach: int = LOCAL) -> Numbers:
    """The smallest width whose causal error is below 0.05, for each pair of seeds."""
    series = numbers["local"][str(reach)]
    return spread([smallest_width(series, seeds, LOCAL_ENOUGH) for seeds in pairs(numbers["seeds_used"])])


def local_in_words(numbers: Numbers) -> str:
    """What the same length needs when everything is asked for."""
    full = local_width(numbers, numbers["local_length"])["median"]
    return f"width {full:g} when all that has been is asked for" if full is not None else ""


CLAIMS = in_rows("what_attention_can_remember", "memory.", "reported", (
    Row("width", "Linear attention needs a width that grows as the root of L (power of L; best of two seeds)",
        "abstract and theorems, second-hand", "width of order sqrt(L) is needed and enough, up to logarithms",
        partial(width_slope, "linear"), Within(0.47, 0.53)),
    Row("floor", "A width below sqrt(L) is not enough, however it is trained (distance from 1 - D^2/L)",
        "lower bound, second-hand", "below order sqrt(L) no parameters do it", partial(off_floor, "linear"),
        Within(0.0, 0.003)),
    Row("floor_elu", "So it is with positive features and normalised rows (distance from 1 - D^2/L)",
        "lower bound, second-hand", "for linear attention with a feature map", partial(off_floor, "elu"), Within(0.0, 0.003)),
    Row("softmax_width", "Softmax attention does it with one small width at every length (largest of the widths)",
        "experiments, second-hand", "one fixed width for all sizes; of order log(L) in theory",
        partial(largest_width, "softmax"), Within(1.0, 3.0), aside=softmax_in_words),
    Row("cost", "At the width that it needs, linear attention costs order L^2 (power of L)",
        "abstract and Table 1, second-hand", "about L^2 in total, as softmax attention", cost_slope, Within(1.9, 2.1)),
    Row("closed_loop", "A dynamic program that the model solves reading its own states: width sqrt(L) + 1 is enough (accuracy)",
        "upper bound, second-hand", "order sqrt(L) is enough for chain-of-thought on dynamic programs",
        partial(final_at, short=False), Above(RECALLED, 0.75), aside=seeds_that_recall),
    Row("closed_loop_short", "With half of sqrt(L) its final answer is hardly better than a guess (accuracy)",
        "experiments, second-hand", "too narrow models fail as the size grows", partial(final_at, short=True),
        Within(0.0, 0.65)),
    Row("sparse_local", "Where each state uses the last m only, sparse attention does it with a constant width (accuracy, "
        "width 2)",
        "locality, second-hand", "block of order m, constant width, cost about m L", sparse_final, Above(0.99, 0.75)),
    Row("local_linear", "Where the last 4 are asked for, linear attention needs a width of at most 4 at L = 100 (smallest "
        "width)",
        "experiments, second-hand", "the weaker the locality, the wider; the tight bound is left open", local_width,
        Within(1.0, 4.0), aside=local_in_words),
))  # fmt: skip
