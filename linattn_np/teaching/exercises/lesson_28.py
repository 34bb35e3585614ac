"""Exercises of lesson 28: clipping, not warm-up."""

import math

import numpy as np

from ..exercise import Exercise, Slip, choice


def along_one_eigenvector(rng, s):
    """A rate, a curvature and a momentum: a complex pair of z, or two real ones."""
    rate = float(rng.uniform(0.1, 0.3))
    return rate, float(rng.uniform(4, 9) if s["H"] == 1 else rng.uniform(40, 60)), float(rng.uniform(0.6, 0.9))


def growth(rate, curvature, momentum):
    """The larger |z| of z^2 - (1 + mu - eta lambda) z + mu = 0."""
    trace = 1 + momentum - rate * curvature
    square = trace**2 - 4 * momentum
    return math.sqrt(momentum) if square < 0 else (abs(trace) + math.sqrt(square)) / 2


def _growth(sign=-1, product=1.0, absolute=True, pair=math.sqrt):
    """Growth with a slip: a sign of the trace, the product of the roots, no absolute value, the length of a complex pair."""

    def wrong(rate, curvature, momentum):
        trace = 1 + momentum + sign * rate * curvature
        square = trace**2 - 4 * momentum * product
        if square < 0:
            return pair(momentum)
        return ((abs(trace) if absolute else trace) + math.sqrt(square)) / 2

    return wrong


def ramp(rng, s):
    """A rate, a curvature and the steps of a warm-up, the rate above the edge."""
    return float(rng.uniform(0.3, 0.9)), float(rng.uniform(12, 40)), 20 * s["n"]


def crossing(rate, curvature, warm_up):
    """The first step, from 1, whose rate eta t / W is above 2 / lambda."""
    return float(math.floor(2 * warm_up / (rate * curvature)) + 1)


def one_step(rng, s):
    """x, m and g (d,), updates before this one, rate, momentum, warm-up steps, threshold; g is longer than it."""
    x, m, g = rng.standard_normal((3, s["d"]))
    return x, m, 5 * g, s["B"], float(rng.uniform(0.1, 0.5)), 0.9, s["n"], float(rng.uniform(0.5, 1.5))


def step(x, m, g, t, rate, momentum, warm_up, c):
    """Clip, add to the buffer, step by the rate of update t + 1 -> x, m"""
    g = g * min(1.0, c / math.sqrt((g * g).sum()))
    m = momentum * m + g
    return x - rate * min(1.0, (t + 1) / warm_up) * m, m


def _step(first="gradient", later=1, inside=False):
    """A step with a slip: what is clipped, how the warm-up counts, the rate inside the buffer."""

    def wrong(x, m, g, t, rate, momentum, warm_up, c):
        short = lambda v: v * min(1.0, c / math.sqrt((v * v).sum()))
        factor = min(1.0, (t + later) / warm_up)
        if first == "coordinate":
            g = np.clip(g, -c, c)
        elif first == "gradient":
            g = short(g)
        m = momentum * m + g
        if first == "buffer":
            m = short(m)
        return x - rate * factor * (factor if inside else 1.0) * m, m

    return wrong


def gradients(rng, s):
    """A gradient (d,), in one case shorter than the threshold, and the threshold."""
    return rng.standard_normal(s["d"]) * (0.1 if s["H"] == 1 else 10.0), float(rng.uniform(0.8, 1.6))


def clipped(g, c):
    """g, shortened to length c where it is longer."""
    return g * min(1.0, c / math.sqrt((g * g).sum()))


def clipped_above_the_edge(rng, s):
    """A rate, a curvature and a threshold, eta lambda > 2."""
    return float(rng.uniform(0.3, 0.6)), float(rng.uniform(9, 20)), float(rng.uniform(0.5, 2.0))


def trapped(rate, curvature, c):
    """The distance within which clipped descent ends above the edge."""
    return rate * c - c / curvature


STEPS = 27.0  # found by running it

EXERCISES = (
    Exercise(
        "28.1", "Write growth(rate, curvature, momentum): the factor of (28.2) by which a step multiplies x in the long run.",
        growth, along_one_eigenvector, ("growth",),
        (
            Slip("downhill: a step takes eta lambda x away", _growth(sign=1)),
            Slip("the product of the two z is mu", _growth(product=0.0)),
            Slip("above the edge the longer z is negative, and a length is not", _growth(absolute=False)),
            Slip("the two z of a complex pair are equally long, and their product is mu", _growth(pair=lambda mu: mu)),
        ),
    ),
    Exercise(
        "28.2", "Write crossing(rate, curvature, warm_up): the first step, counted from 1, of a warm-up without momentum whose "
                "rate is above the edge of a quadratic loss.",
        crossing, ramp, ("step",),
        (
            Slip("that rate makes x zero in a step: the edge is where x changes sign and keeps its size",
                 lambda rate, curvature, warm_up: float(math.floor(warm_up / (rate * curvature)) + 1)),
            Slip("at that step the rate is not above the edge yet",
                 lambda rate, curvature, warm_up: crossing(rate, curvature, warm_up) - 1),
            Slip("the ramp belongs to this rate: a larger one crosses earlier",
                 lambda rate, curvature, warm_up: float(math.floor(warm_up * rate * curvature / 2) + 1)),
            Slip("there is no momentum here", lambda rate, curvature, warm_up: float(
                math.floor(3.8 * warm_up / (rate * curvature)) + 1)),
        ),
    ),
    Exercise(
        "28.3", "Write step(x, m, g, t, rate, momentum, warm_up, c): update t + 1 with warm-up and clipping, as (28.3) and "
                "(28.5) have it. -> x, m",
        step, one_step, ("x", "m"),
        (
            Slip("clip what goes into the buffer, not the buffer", _step("buffer")),
            Slip("t updates lie before this one: this is step t + 1", _step(later=0)),
            Slip("clipping keeps the direction: one factor for all coordinates", _step("coordinate")),
            Slip("the rate multiplies once", _step(inside=True)),
            Slip("g is not clipped", _step("nothing")),
        ),
    ),
    Exercise(
        "28.4", "Repair clipped(g, c).", clipped, gradients, ("g",),
        (
            Slip("a short gradient has to stay as it is, or no run settles",
                 lambda g, c: g * c / math.sqrt((g * g).sum())),
            Slip("a short gradient passes; a long one is shortened, not dropped",
                 lambda g, c: g * float((g * g).sum() <= c * c)),
            Slip("the length is a root of a sum of squares", lambda g, c: g * min(1.0, c / (g * g).sum())),
            Slip("one factor for all coordinates", lambda g, c: np.clip(g, -c, c)),
        ),
    ),
    Exercise(
        "28.5", "Write trapped(rate, curvature, c): the distance from the minimum within which clipped descent ends, above the "
                "edge.",
        trapped, clipped_above_the_edge, ("distance",),
        (
            Slip("the longest jump starts where the gradient is not clipped yet, at some distance on the other side",
                 lambda rate, curvature, c: rate * c),
            Slip("that is the mean of |x| over two steps, not the farthest", lambda rate, curvature, c: rate * c / 2),
            Slip("from one side over the minimum to the other: what was left on this side is taken off",
                 lambda rate, curvature, c: rate * c + c / curvature),
            Slip("that is where clipping begins", lambda rate, curvature, c: c / curvature),
        ),
    ),
    Exercise(
        "28.6", "Seed 20, 256 prompts: after how many clipped steps of descent at rate 0.05 is the gradient shorter than 1 for "
                "the first time? To 3 %.", STEPS,
        slips=(
            Slip("is it clipped?", 10.0),
            Slip("is that momentum?", 9.0),
            Slip("is your threshold 1?", 53.0),
            Slip("is your rate 0.05?", 14.0),
        ),
        tolerance=0.03,
    ),
    choice(
        "28.t1", "On a quadratic loss a rate is twice the edge. What does a warm-up of 200 steps change?", "c",
        a="on a quadratic loss the curvature is the same everywhere",
        b="after the warm-up the rate is what it is",
        d="during the warm-up the rate is smaller, so something is different",
    ),
    choice(
        "28.t2", "Why does a run with clipping stand rates that kill it without?", "a",
        b="it acts on most of the first steps, and then hardly: the rate is whole",
        c="in the experiment the start was below the edge at the rate that killed",
        d="its direction is the same; only its length is bounded",
    ),
    choice(
        "28.t3", "A run with warm-up is lost at step 160, without at step 9. What follows?", "d",
        a="both are lost: what counts is the last step that one needs",
        b="see the islands of section 6: a longer one can be lost as well",
        c="at its start the gradient was long, and that is where it had a small rate",
    ),
)  # fmt: skip
