"""Where the number behind each claim of section 4 stands in a figure's JSON; as ``readers.py``. Each takes the JSON last."""

import numpy as np

from ...measured import spread
from .readers import values_or_nan


def each_seed(curve, iteration=None):
    """The numbers of each seed at an iteration of a curve, or at its end; NaN where there is none."""
    if iteration is None:
        return np.array([values_or_nan(row)[-1] for row in curve["each_seed"]])
    if iteration not in curve["iterations"]:
        return np.full(len(curve["each_seed"]), np.nan)
    k = curve["iterations"].index(iteration)
    return np.array([values_or_nan(row)[k] for row in curve["each_seed"]])


def at(curve_of, iteration, numbers):
    """A curve's numbers at an iteration; ``curve_of`` finds the curve in the JSON."""
    return spread(each_seed(curve_of(numbers), iteration))


def last_tenth(curve):
    """The median of each seed's last tenth of a curve: one spike decides nothing."""
    rows = np.array([values_or_nan(row) for row in curve["each_seed"]])
    return np.median(rows[:, -max(1, rows.shape[1] // 10) :], axis=1)


def gap(panel, kind="fresh"):
    """SGD's loss over Adam's, the median of the last tenth of the run, seed by seed."""
    return last_tenth(panel["SGD"][kind]) / last_tenth(panel["Adam"][kind])


def gap_of(key, numbers, kind="fresh"):
    """:func:`gap` of one panel."""
    return spread(gap(numbers["panels"][key], kind))


def tails(panel):
    """p99.9 / p50 of the noise, seed by seed."""
    return np.array(panel["noise"]["noise"]["p99.9_over_p50"]["each_seed"])


def tail_over_control(key, numbers):
    """The same over that of Gaussian noise with the same covariance."""
    panel = numbers["panels"][key]
    return spread(tails(panel) / np.array(panel["noise"]["control"]["p99.9_over_p50"]["each_seed"]))


def noise(key, statistic, numbers):
    """A statistic of the noise norm."""
    return numbers["panels"][key]["noise"]["noise"][statistic]


# ---------------------------------------------------------------- data_distribution: heavy over spherical


def heavier_noise(numbers):
    panels = numbers["panels"]
    return spread(tails(panels["setting3"]) / tails(panels["sphere"]))


def skewness_of_both(numbers):
    found = {name: panel["noise"]["noise"]["skewness"]["median"] for name, panel in numbers["panels"].items()}
    return f"skewness {found['setting3']:.3g} against {found['sphere']:.3g} on the sphere"


def larger_condition_gap(numbers):
    panels = numbers["panels"]
    middle = {name: np.array(values_or_nan(panels[name]["condition"]["middle_ratio"]["each_seed"])) for name in panels}
    return spread(middle["setting3"] / middle["sphere"])


def slower(optimizer, iteration, numbers):
    """The share of the first loss that is left at an iteration, heavy-tailed over spherical; fresh batches."""
    left = {}
    for name, panel in numbers["panels"].items():
        curve = panel[optimizer]["fresh"]
        left[name] = each_seed(curve, iteration) / each_seed(panel[optimizer]["fresh"], curve["iterations"][0])
    return spread(left["setting3"] / left["sphere"])


def change_of_gap(numbers):
    """Adam's advantage with heavy tails over that on the sphere."""
    return spread(gap(numbers["panels"]["setting3"]) / gap(numbers["panels"]["sphere"]))


# ---------------------------------------------------------------- depth


def gap_with_depth(numbers):
    """The correlation over depths of L and the logarithm of SGD's final loss over Adam's, seed by seed."""
    depths = np.array([int(key) for key in numbers["panels"]], float)
    gaps = np.log([gap(panel, "test") for panel in numbers["panels"].values()])  # (depths, seeds)
    return spread([np.corrcoef(depths, row)[0, 1] for row in gaps.T])


def gaps_in_words(numbers):
    words = []
    for key, panel in numbers["panels"].items():
        found = gap(panel, "test")
        of = "" if np.isfinite(found).all() else f" ({np.isfinite(found).sum()} of {len(found)} seeds)"
        words.append(f"L = {key}: {np.nanmedian(found):.3g}{of}" if np.isfinite(found).any() else f"L = {key}: none")
    return "median of SGD's loss over Adam's: " + ", ".join(words)


def falls_with_depth(optimizer, numbers):
    """The final loss of the shallowest model over that of the deepest, seed by seed."""
    panels = list(numbers["panels"].values())
    return spread(last_tenth(panels[0][optimizer]["test"]) / last_tenth(panels[-1][optimizer]["test"]))


def heavier_with_depth(numbers):
    """The least p99.9 / p50 of the deeper half over the largest of the shallower half, seed by seed."""
    found = np.array([tails(panel) for panel in numbers["panels"].values()])
    half = len(found) // 2
    return spread(found[half:].min(axis=0) / found[:half].max(axis=0))


def condition_gap_with_depth(numbers):
    """The least of the deeper models' median R_med ratios over that of the shallowest, seed by seed."""
    middle = [values_or_nan(panel["condition"]["middle_ratio"]["each_seed"]) for panel in numbers["panels"].values()]
    return spread(np.min(middle[1:], axis=0) / np.array(middle[0]))


# ---------------------------------------------------------------- attention_kinds, full_batch


def kind_over_linear(kind, numbers):
    """Another attention's final loss over linear attention's, both with Adam at their best rates, seed by seed."""
    panels = numbers["panels"]
    return spread(last_tenth(panels[kind]["test"]) / last_tenth(panels["linear"]["test"]))


def full_batch_gap(numbers):
    """SGD's loss over Adam's at the end on the one batch that both train on, seed by seed."""
    panel = numbers["panels"]["full"]
    return spread(last_tenth(panel["SGD"]["train"]) / last_tenth(panel["Adam"]["train"]))


def gaps_by_batch(numbers):
    panels = numbers["panels"]
    found = {key: np.nanmedian(last_tenth(p["SGD"]["train"]) / last_tenth(p["Adam"]["train"])) for key, p in panels.items()}
    return "SGD's training loss over Adam's, median: " + ", ".join(f"batch {key}: {value:.3g}" for key, value in found.items())


def sign_share(numbers):
    """The share of the gap, on a logarithmic scale, that sign descent closes on the fixed batch, seed by seed."""
    sgd, adam, sign = (np.log(last_tenth(numbers["panels"]["full"][o]["train"])) for o in ("SGD", "Adam", "SignDescent"))
    return spread((sgd - sign) / (sgd - adam))


# ---------------------------------------------------------------- nonlinear_regression


def best_rate(optimizer, numbers):
    """The rate that the search chose, as one number."""
    return spread([numbers["search"][optimizer]["best"]])


def loss_at(optimizer, iteration, numbers):
    """The test loss of each seed."""
    return spread(each_seed(numbers["panel"][optimizer]["test"], iteration))


def below(optimizer, bound, iteration, numbers):
    """``bound`` over the smallest test loss of each seed up to an iteration: at least 1 where the loss has been below it."""
    curve = numbers["panel"][optimizer]["test"]
    rows = np.array([values_or_nan(row) for row in curve["each_seed"]])
    known = np.array(curve["iterations"]) <= iteration
    return spread(bound / np.nanmin(rows[:, known], axis=1))


def over(optimizer, bound, iteration, numbers):
    """The test loss of each seed at an iteration over ``bound``."""
    return spread(each_seed(numbers["panel"][optimizer]["test"], iteration) / bound)


def nonlinear_ratio(iteration, numbers):
    """R_med(SGD) / R_med(Adam) of each seed."""
    return spread(each_seed(numbers["panel"]["condition"]["ratio"], iteration))


def nonlinear_noise(statistic, numbers):
    """A statistic of the noise norm at initialization."""
    return numbers["panel"]["noise"]["noise"][statistic]


def nonlinear_smoothness(numbers):
    """The share of the windows in which SGD's steps meet more curvature than Adam's."""
    return numbers["panel"]["smoothness"]["share_sgd_above"]
