"""What the theory of the edge says of these runs, and the rules that judge it, written before the runs at full scale.

The seeds 0 to 5 were used to find the effects; the runs that are judged have seeds 20 to 27. A run that diverged counts against a
claim about every seed. A claim about runs at the edge says by which rule they are chosen, and how many they are.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ...curves import Numbers, spread
from ...rules import Above, Claim, Within
from .measurements import ALONE, NEAR, at_edge

FIGURE = "edge_of_stability"
RATES = (0.03, 0.06, 0.1, 0.14)
MOMENTUM, MOMENTUM_RATE = 0.5, 0.1
BETAS, ADAM_RATE, BETA2 = (0.0, 0.5, 0.9, 0.95), 0.003, (0.99, 0.9)
BATCHES, BATCH_RATE = (1024, 256, 64, 16), 0.03
FOLLOW_RATE, FLOW_RATES, AMPLITUDE_RATES = 0.06, (0.06, 0.1, 0.14), (0.06, 0.14)
CEILING, LEAST_POINTS = 1.1, 20


def extended(values: Any) -> Numbers:
    """``spread``, and what a claim about every seed needs: smallest, largest, farthest from 1; no number is as bad as can be."""
    values = np.asarray(values, float)
    lost = ~np.isfinite(values)
    return {
        **spread(values), "smallest": float(np.where(lost, -np.inf, values).min()), "largest": float(np.where(lost, np.inf, values).max()),
        "farthest from 1": float(np.where(lost, np.inf, np.abs(values - 1)).max()),
        "share of seeds at half of the times": float((np.where(lost, 0.0, values) >= 0.5).mean()),
    }  # fmt: skip


def chosen(values: Any, keep: Any) -> Numbers:
    """``extended`` of the runs that a rule chooses; one NaN where it chooses none."""
    values = np.asarray(values, float)[np.asarray(keep, bool)]
    return extended(values if len(values) else [np.nan])


def midway(numbers: Numbers, run: str) -> Any:
    """lambda midway over the edge after the first quarter (seeds, T), NaN where a run has diverged."""
    values = np.array(numbers["hover"][run]["midpoint"], float)
    return values[:, values.shape[1] // 4 :]


def below_ceiling(run: str, numbers: Numbers) -> Numbers:
    """The share of times at which the midpoint is at most CEILING times the edge."""
    return extended((midway(numbers, run) <= CEILING).mean(axis=1))


def hovering(run: str, numbers: Numbers) -> Numbers:
    """The share of times at which the midpoint is within NEAR of the edge."""
    return extended((np.abs(midway(numbers, run) - 1) <= NEAR).mean(axis=1))


def iterate_over_midpoint(run: str, numbers: Numbers) -> Numbers:
    """Of seeds that hover at half of the times: the median distance from the edge at the iterate over that midway."""
    middle = midway(numbers, run)
    iterate = np.array(numbers["hover"][run]["iterate"], float)[:, -middle.shape[1] :]
    ratio = np.median(np.abs(iterate - 1), axis=1) / np.median(np.abs(middle - 1), axis=1)
    return chosen(ratio, np.array(hovering(run, numbers)["each_seed"]) >= 0.5)


def ends_of_phases(numbers: Numbers) -> Any:
    """The median midpoint in the last third of the three level phases, over the edge of the first phase's rate (seeds, 3)."""
    found, parts = numbers["follow"], []
    values, rates = np.array(found["midpoint"], float), np.array(found["rates"])
    ramp = np.flatnonzero((rates < rates[0]) & (rates > rates.min() * (1 + 1e-9)))
    first = int(np.argmax(rates < rates[0]))
    for begin, end in ((0, first), (first, ramp[0]), (ramp[-1] + 1, len(rates))):
        parts.append(np.median(values[:, end - max(1, (end - begin) // 3) : end], axis=1))
    return np.array(parts).T


def reach_halved(numbers: Numbers) -> Numbers:
    """1 for a seed whose midpoint is within NEAR of twice the first edge at half the rate, else 0."""
    return extended(np.abs(ends_of_phases(numbers)[:, 1] / 2 - 1) <= NEAR)


def back_again(numbers: Numbers) -> Numbers:
    """Of the seeds that reached it: the midpoint after the ramp back, over the first edge."""
    return chosen(ends_of_phases(numbers)[:, 2], reach_halved(numbers)["each_seed"])


def ceiling_after_ramp(numbers: Numbers) -> Numbers:
    """The midpoint after the ramp back, over the first edge, all seeds."""
    return extended(ends_of_phases(numbers)[:, 2])


def adam_ratio(beta1: float, numbers: Numbers) -> Numbers:
    """Adam's median preconditioned sharpness midway over (26.7)."""
    return extended(numbers["adam"][f"{beta1:g}, {BETA2[0]:g}"])


def adam_medians(numbers: Numbers) -> Numbers:
    """The medians over seeds of the four beta1."""
    return extended([adam_ratio(beta1, numbers)["median"] for beta1 in BETAS])


def amplitudes(rates: Any, numbers: Numbers) -> Numbers:
    """Of the runs with enough points: the median of c^2 over 2a/b where lambda is within 3 % of the edge and alone."""
    found = [np.nan]
    for rate in rates:
        run = numbers["hover"][f"{rate:g}"]
        one, two, measured, predicted = (np.array(run[key], float) for key in ("midpoint", "second", "measured", "predicted"))
        later = np.arange(one.shape[1]) >= one.shape[1] // 4
        keep = (np.abs(one - 1) <= 0.03) & (two < ALONE) & later
        found += [np.median(c[k] / p[k]) for c, p, k in zip(measured, predicted, keep, strict=True) if k.sum() >= LEAST_POINTS]
    return extended(found[1:] or found)


def flow_runs(numbers: Numbers, name: str) -> Any:
    """A number of the runs that are at the edge, alone, at both ends of the flows."""
    keep = at_edge(np.array(numbers["flows"]["edges"], float)).all(axis=-1)
    values = np.array(numbers["flows"][name], float)[keep]
    return values if len(values) else np.full((1, *values.shape[1:]), np.nan)


def flow_ratio(numbers: Numbers) -> Numbers:
    """The distance of gradient flow from descent over that of the central flow."""
    return extended(flow_runs(numbers, "gradient") / flow_runs(numbers, "central"))


def flow_error(numbers: Numbers) -> Numbers:
    """The distance of the central flow from descent over how far descent has gone."""
    return extended(flow_runs(numbers, "central") / flow_runs(numbers, "moved"))


def quadratic(numbers: Numbers) -> Numbers:
    """How much farther the steps on the quadratic model go than descent."""
    found = flow_runs(numbers, "control")
    return extended(found[:, 0] / found[:, 1])


def raised(numbers: Numbers) -> Numbers:
    """Descent's midpoint after the same steps with the rate raised, over its new edge."""
    return extended(flow_runs(numbers, "control")[:, 2])


def at_batch(batch: int, numbers: Numbers) -> Numbers:
    """The median midpoint of the second half of a run over the edge."""
    return extended(numbers["batches"][str(batch)])


def in_order(numbers: Numbers) -> Numbers:
    """The smaller of the two ratios between neighbouring batch sizes: above 1 where they are ordered."""
    whole, middle, small = (np.array(numbers["batches"][str(batch)], float) for batch in BATCHES[:3])
    return extended(np.minimum(whole / middle, middle / small))


def runs_in_words(read: Any, numbers: Numbers) -> str:
    """How many runs a rule has chosen."""
    values = [value for value in read(numbers)["each_seed"] if value is not None and np.isfinite(value)]
    return f"{len(values)} runs chosen by the rule"


def lost_in_words(run: str, numbers: Numbers) -> str:
    """How many runs diverged."""
    values = midway(numbers, run)
    return f"{int(np.isnan(values).any(axis=1).sum())} of {len(values)} runs diverged"


def claims() -> Iterator[Claim]:
    """The edge, that it follows the rate, momentum, Adam, the amplitude, the flow, and batches, each with its control."""
    theory = "lesson 26"
    for rate in RATES[:3]:
        run = f"{rate:g}"
        yield Claim(
            id=f"edge_of_stability.ceiling.{rate:g}", where=f"{theory}, (26.2)", figure=FIGURE, values=partial(below_ceiling, run),
            statement=f"Descent with rate {rate:g}: after the first quarter lambda midway is at most 1.1 of 2/eta at 95 % of the times, every seed",
            predicted="1 at most, found on other seeds: never above 1.1", rule=Above(0.95, 0.5, statistic="smallest"), aside=partial(lost_in_words, run),
        )  # fmt: skip
    yield Claim(
        id="edge_of_stability.hovers", where=f"{theory}, (26.2)", figure=FIGURE, values=partial(hovering, "0.06"), aside=partial(lost_in_words, "0.06"),
        statement="Descent with rate 0.06: three of five seeds have lambda midway within 5 % of 2/eta at half of the times",
        predicted="1; 4 of 5 other seeds", rule=Above(0.6, 0.25, statistic="share of seeds at half of the times"),
    )  # fmt: skip
    yield Claim(
        id="edge_of_stability.iterate", where=f"{theory}, (26.3)", figure=FIGURE, values=partial(iterate_over_midpoint, "0.1"),
        statement="Rate 0.1, seeds that hover: at the iterate lambda is at least twice as far from 2/eta as midway",
        predicted="H beside the valley is not H in it", rule=Above(2.0, 1.0), aside=partial(runs_in_words, partial(iterate_over_midpoint, "0.1")),
    )  # fmt: skip
    yield Claim(
        id="edge_of_stability.follows", where=f"{theory}, (26.2)", figure=FIGURE, values=reach_halved,
        statement="When the rate 0.06 is halved, lambda midway rises to the new edge, within 5 %, in at least a quarter of the seeds",
        predicted="2, in 2 of 6 other seeds", rule=Within(0.25, 1.0, statistic="mean"),
    )  # fmt: skip
    yield Claim(
        id="edge_of_stability.returns", where=f"{theory}, (26.2)", figure=FIGURE, values=back_again,
        statement="Those seeds are back within 5 % of the first edge after a ramp to 0.06 again, each of them",
        predicted="1", rule=Within(0.0, 0.05, statistic="farthest from 1"), aside=partial(runs_in_words, back_again),
    )  # fmt: skip
    yield Claim(
        id="edge_of_stability.ramp", where=f"{theory}, (26.2)", figure=FIGURE, values=ceiling_after_ramp,
        statement="After the ramp no seed is above 1.1 of the first edge", predicted="1 at most", rule=Within(0.0, CEILING, statistic="largest"),
    )  # fmt: skip
    yield Claim(
        id="edge_of_stability.momentum.ceiling", where=f"{theory}, (26.6)", figure=FIGURE, values=partial(below_ceiling, "momentum"),
        statement="Heavy ball, mu = 0.5, rate 0.1: lambda midway is at most 1.1 of 3/eta at 95 % of the times, every seed",
        predicted="1 at most", rule=Above(0.95, 0.5, statistic="smallest"), aside=partial(lost_in_words, "momentum"),
    )  # fmt: skip
    yield Claim(
        id="edge_of_stability.momentum.hovers", where=f"{theory}, (26.6)", figure=FIGURE, values=partial(hovering, "momentum"),
        statement="Heavy ball, mu = 0.5, rate 0.1: three of five seeds are within 5 % of 3/eta at half of the times",
        predicted="1; 4 of 5 other seeds", rule=Above(0.6, 0.25, statistic="share of seeds at half of the times"), aside=partial(lost_in_words, "momentum"),
    )  # fmt: skip
    for beta1 in BETAS:
        yield Claim(
            id=f"edge_of_stability.adam.{beta1:g}", where=f"{theory}, (26.7)", figure=FIGURE, values=partial(adam_ratio, beta1),
            statement=f"Adam, beta1 = {beta1:g}, beta2 = 0.99: the median preconditioned lambda is within 12 % of "
            f"{(2 + 2 * beta1) / (1 - beta1):.3g}/eta, every seed",
            predicted=f"{(2 + 2 * beta1) / (1 - beta1):.3g}/eta", rule=Within(0.0, 0.12, statistic="farthest from 1"),
        )  # fmt: skip
    yield Claim(
        id="edge_of_stability.adam.medians", where=f"{theory}, (26.7)", figure=FIGURE, values=adam_medians,
        statement="Adam: the medians over seeds for the four beta1, 39-fold apart, are each within 12 % of (2 + 2 beta1)/((1 - beta1) eta)",
        predicted="2, 6, 38, 78 over eta", rule=Within(0.0, 0.12, statistic="farthest from 1"),
    )  # fmt: skip
    yield Claim(
        id="edge_of_stability.amplitude", where=f"{theory}, (26.11)", figure=FIGURE, values=partial(amplitudes, AMPLITUDE_RATES),
        statement="Rates 0.06 and 0.14, runs with 20 points alone at the edge: half the jump, squared, is 2a/b within a tenth, every run",
        predicted="1", rule=Within(0.0, 0.1, statistic="farthest from 1"), aside=partial(runs_in_words, partial(amplitudes, AMPLITUDE_RATES)),
    )  # fmt: skip
    yield Claim(
        id="edge_of_stability.flow.ratio", where=f"{theory}, (26.12)", figure=FIGURE, values=flow_ratio,
        statement="Runs alone at the edge at both ends of 2500 steps: gradient flow ends at least 20 times as far from descent as the "
        "central flow, every run",
        predicted="43 to 88 on other seeds", rule=Above(20.0, 5.0, statistic="smallest"), aside=partial(runs_in_words, flow_ratio),
    )  # fmt: skip
    yield Claim(
        id="edge_of_stability.flow.error", where=f"{theory}, (26.12)", figure=FIGURE, values=flow_error,
        statement="The same runs: the central flow ends within 1 % of the distance that descent went",
        predicted=".002 to .004 on other seeds", rule=Within(0.0, 0.01, statistic="largest"), aside=partial(runs_in_words, flow_error),
    )  # fmt: skip
    yield Claim(
        id="edge_of_stability.control.quadratic", where=f"{theory}, control", figure=FIGURE, values=quadratic,
        statement="The same runs, rate raised by a tenth: on the quadratic model of the loss 200 steps go at least 1000 times as far as on the loss",
        predicted="1.2^200 = 7e15", rule=Above(1000.0, 10.0, statistic="smallest"), aside=partial(runs_in_words, quadratic),
    )  # fmt: skip
    yield Claim(
        id="edge_of_stability.control.raised", where=f"{theory}, control", figure=FIGURE, values=raised,
        statement="The same runs, rate raised by a tenth: on the loss lambda midway has come down to at most 1.05 of the new edge after 200 steps",
        predicted="1 at most", rule=Within(0.0, 1.05, statistic="largest"), aside=partial(runs_in_words, raised),
    )  # fmt: skip
    for batch, most in ((256, 0.75), (64, 0.35)):
        yield Claim(
            id=f"edge_of_stability.batch.{batch}", where=theory, figure=FIGURE, values=partial(at_batch, batch),
            statement=f"Batches of {batch} out of 1024, rate 0.03: lambda of the whole set stays below {most:g} of 2/eta, every seed",
            predicted="below the edge; .48 to .63 at 256, .16 to .21 at 64 on other seeds", rule=Within(0.0, most, statistic="largest"),
        )  # fmt: skip
    yield Claim(
        id="edge_of_stability.batch.order", where=theory, figure=FIGURE, values=in_order,
        statement="Batches of 1024, 256 and 64, rate 0.03: the smaller the batch, the lower lambda, every seed",
        predicted="ordered, 3 of 3 other seeds", rule=Above(1.0, 1.0, statistic="smallest"),
    )  # fmt: skip


CLAIMS = tuple(claims())
