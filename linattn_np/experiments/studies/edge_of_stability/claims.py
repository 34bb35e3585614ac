"""What the theory of the edge says of these runs, and the rules that judge it, written before the runs at full scale.

The seeds 0 to 5 were used to find the effects; the runs that are judged have seeds 20 to 27. A run that diverged counts against a
claim about every seed. A claim about runs at the edge says by which rule they are chosen, and how many they are.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ...curves import Numbers, spread
from ...rules import Above, Row, Within, in_rows
from .measurements import ALONE, NEAR, at_edge

FIGURE = "edge_of_stability"
RATES = (0.03, 0.06, 0.1, 0.14)
MOMENTUM, MOMENTUM_RATE = 0.5, 0.1
BETAS, ADAM_RATE, BETA2 = (0.0, 0.5, 0.9, 0.95), 0.003, (0.99, 0.9)
BATCHES, BATCH_RATE = (1024, 256, 64, 16), 0.03
FOLLOW_RATE, DECAY_RATE, FLOW_RATES, AMPLITUDE_RATES = 0.06, 0.06, (0.06, 0.1, 0.14), (0.06, 0.14)
CEILING, LEAST_POINTS = 1.1, 20


def extended(values: Any) -> Numbers:
    """``spread``, and what a claim about every seed needs: smallest, largest, farthest from 1; no number is as bad as can be."""
    values = np.asarray(values, float)
    lost = ~np.isfinite(values)
    return {
        **spread(values), "smallest": float(np.where(lost, -np.inf, values).min()),
        "largest": float(np.where(lost, np.inf, values).max()),
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


def decaying(numbers: Numbers) -> Any:
    """lambda midway over the edge of the moment, 2 / eta_t, after the first quarter of a run whose rate falls (seeds, T)."""
    found = numbers["decay"]
    values = np.array(found["sharpness"], float) * np.array(found["rates"]) / 2
    return values[:, values.shape[1] // 4 :]


def decay_below(numbers: Numbers) -> Numbers:
    """The share of times at which it is at most CEILING."""
    return extended((decaying(numbers) <= CEILING).mean(axis=1))


def decay_hovers(numbers: Numbers) -> Numbers:
    """The share of times at which it is within NEAR of 1."""
    return extended((np.abs(decaying(numbers) - 1) <= NEAR).mean(axis=1))


def decay_adam(numbers: Numbers) -> Numbers:
    """The largest of the four medians of a seed, Adam's preconditioned sharpness over the edge of the moment (26.7)."""
    return extended(np.max([numbers["decay_adam"][f"{beta1:g}"] for beta1 in BETAS], axis=0))


def decay_adam_in_words(numbers: Numbers) -> str:
    """The medians over seeds, for each beta1."""
    each = ", ".join(f"{np.median(numbers['decay_adam'][f'{beta1:g}']):.2f}" for beta1 in BETAS)
    return f"medians over seeds for beta1 = {', '.join(f'{beta1:g}' for beta1 in BETAS)}: {each}"


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


def amplitude_in_words(numbers: Numbers) -> str:
    """What the runs say for which a > 0 at most points, beside all: with a < 0 there is no oscillation to predict."""
    values = np.array(amplitudes(AMPLITUDE_RATES, numbers)["each_seed"], float)
    rising = values[values > 0.5]
    if not len(rising):
        return "0 runs chosen by the rule"
    gone = len(values) - len(rising)
    return (
        f"{len(values)} runs chosen by the rule; {len(rising)} from {rising.min():.3f} to {rising.max():.3f}, {gone} beside the "
        "edge without a jump"
    )


def rows() -> Iterator[Row]:
    """The edge, that it follows the rate, momentum, Adam, the amplitude, the flow, and batches, each with its control."""
    edge, every, half = (
        "lesson 26, (26.2)",
        Above(0.95, 0.5, statistic="smallest"),
        Above(0.6, 0.25, statistic="share of seeds at half of the times"),
    )
    for run in (f"{rate:g}" for rate in RATES[:3]):
        yield Row(f"ceiling.{run}", f"Descent with rate {run}: after the first quarter lambda midway is at most 1.1 of 2/eta at "
                                    "95 % of the times, every seed",
                  edge, "1 at most", partial(below_ceiling, run), every, partial(lost_in_words, run))  # fmt: skip
    yield Row("hovers", "Descent with rate 0.06: three of five seeds have lambda midway within 5 % of 2/eta at half of the times",
              edge, "1; 4 of 5 other seeds", partial(hovering, "0.06"), half, partial(lost_in_words, "0.06"))  # fmt: skip
    read = partial(iterate_over_midpoint, "0.1")
    yield Row("iterate", "Rate 0.1, seeds that hover: at the iterate lambda is at least twice as far from 2/eta as midway",
              "lesson 26, (26.3)", "H beside the valley is not H in it", read, Above(2.0, 1.0),
              partial(runs_in_words, read))  # fmt: skip
    yield Row("follows", "When the rate 0.06 is halved, lambda midway rises to the new edge, within 5 %, in at least a quarter "
                         "of the seeds",
              edge, "2; 2 of 6 other seeds", reach_halved, Within(0.25, 1.0, statistic="mean"))  # fmt: skip
    yield Row("returns", "Those seeds are back within 5 % of the first edge after a ramp to 0.06 again, each of them",
              edge, "1", back_again, Within(0.0, 0.05, statistic="farthest from 1"),
              partial(runs_in_words, back_again))  # fmt: skip
    yield Row("ramp", "After the ramp no seed is above 1.1 of the first edge", edge, "1 at most", ceiling_after_ramp,
              Within(0.0, CEILING, statistic="largest"))  # fmt: skip
    ball = "Heavy ball, mu = 0.5, rate 0.1: "
    yield Row("momentum.ceiling",
              f"{ball}lambda midway is at most 1.1 of 3/eta at 95 % of the times, every seed", "lesson 26, (26.6)",
              "1 at most", partial(below_ceiling, "momentum"), every, partial(lost_in_words, "momentum"))  # fmt: skip
    yield Row("momentum.hovers", f"{ball}three of five seeds are within 5 % of 3/eta at half of the times", "lesson 26, (26.6)",
              "1; 4 of 5 other seeds", partial(hovering, "momentum"), half, partial(lost_in_words, "momentum"))  # fmt: skip
    within = Within(0.0, 0.12, statistic="farthest from 1")
    for beta1 in BETAS:
        size = f"{(2 + 2 * beta1) / (1 - beta1):.3g}/eta"
        yield Row(f"adam.{beta1:g}", f"Adam, beta1 = {beta1:g}, beta2 = 0.99: the median preconditioned lambda is within 12 % of "
                                     f"{size}, every seed",
                  "lesson 26, (26.7)", size, partial(adam_ratio, beta1), within)  # fmt: skip
    yield Row("adam.medians", "Adam: the medians over seeds for the four beta1, 39-fold apart, are each within 12 % of (2 + 2 "
                              "beta1)/((1 - beta1) eta)",
              "lesson 26, (26.7)", "2, 6, 38, 78 over eta", adam_medians, within)  # fmt: skip
    falling = "The rate falls linearly to 0, from "
    yield Row("decay.ceiling", f"{falling}{DECAY_RATE:g}: after the first quarter lambda midway is at most 1.1 of 2/eta_t at 95 "
                               "% of the times, every seed",
              edge, "1 at most", decay_below, every)  # fmt: skip
    yield Row("decay.leaves", f"{falling}{DECAY_RATE:g}: at most a quarter of the seeds hover, the edge rises faster than they "
                              "sharpen (share within 5 % of 2/eta_t at half of the times)",
              edge, "0: 2 of 6 other seeds reached twice the edge in 3000 steps", decay_hovers,
              Within(0.0, 0.25, statistic="share of seeds at half of the times"))  # fmt: skip
    yield Row("decay.adam", f"{falling}{ADAM_RATE:g}, Adam, beta2 = 0.99: the median preconditioned lambda in the second half is "
                            "at most 1.12 of the edge of the moment, four beta1, every seed",
              "lesson 26, (26.7)", "1 at most", decay_adam, Within(0.0, 1.12, statistic="largest"),
              decay_adam_in_words)  # fmt: skip
    yield Row("amplitude", "Rates 0.06 and 0.14, runs with 20 points alone at the edge: half the jump, squared, is 2a/b within a "
                           "tenth, every run",
              "lesson 26, (26.11)", "1", partial(amplitudes, AMPLITUDE_RATES), Within(0.0, 0.1, statistic="farthest from 1"),
              amplitude_in_words)  # fmt: skip
    yield Row("flow.ratio", "Runs alone at the edge at both ends of 2500 steps: gradient flow ends at least 20 times as far from "
                            "descent as the "
              "central flow, every run", "lesson 26, (26.12)", "43 to 88 on other seeds", flow_ratio,
              Above(20.0, 5.0, statistic="smallest"),
              partial(runs_in_words, flow_ratio))  # fmt: skip
    yield Row("flow.error", "The same runs: the central flow ends within 1 % of the distance that descent went",
              "lesson 26, (26.12)",
              "0.002 to 0.004 on other seeds", flow_error, Within(0.0, 0.01, statistic="largest"),
              partial(runs_in_words, flow_error))  # fmt: skip
    raise_it = "The same runs, rate raised by a tenth: on "
    yield Row("control.quadratic", f"{raise_it}the quadratic model of the loss 200 steps go at least 1000 times as far as on the "
                                   "loss",
              "lesson 26, control", "1.2^200 = 7e15", quadratic, Above(1000.0, 10.0, statistic="smallest"),
              partial(runs_in_words, quadratic))  # fmt: skip
    yield Row("control.raised", f"{raise_it}the loss lambda midway has come down to at most 1.05 of the new edge after 200 steps",
              "lesson 26, control", "1 at most", raised, Within(0.0, 1.05, statistic="largest"),
              partial(runs_in_words, raised))  # fmt: skip
    for batch, most, seen in ((256, 0.75, "0.48 to 0.63"), (64, 0.35, "0.16 to 0.21")):
        yield Row(f"batch.{batch}", f"Batches of {batch} out of 1024, rate 0.03: lambda of the whole set stays below {most:g} of "
                                    "2/eta, every seed",
                  "lesson 26", f"below the edge; {seen} on other seeds", partial(at_batch, batch),
                  Within(0.0, most, statistic="largest"))  # fmt: skip
    yield Row("batch.order", "Batches of 1024, 256 and 64, rate 0.03: the smaller the batch, the lower lambda, every seed",
              "lesson 26",
              "ordered, 3 of 3 other seeds", in_order, Above(1.0, 1.0, statistic="smallest"))  # fmt: skip


CLAIMS = in_rows(FIGURE, "edge_of_stability.", "predicted", rows())
