"""What the study says, each sentence with its number and the rule that judges it, written before the run.

A number is a ratio of test losses of the same seed, each method at its own best rate; the ranges are what earlier runs on other
seeds let expect. Where a run is lost its ratio is missing; the words beside the claim count the runs that are
lost or end above the loss of answering 0.
"""

from functools import partial
from typing import Any

import numpy as np

from ...curves import Numbers, numbers_or_nan, spread
from ...rules import Above, Claim, Row, Within, in_rows
from .training import PLACES

FIGURE = "why_adam_wins"


def losses(numbers: Numbers, place: str, method: str) -> list[float]:
    """The test loss of each seed, infinite where it is lost."""
    return [np.inf if loss is None else loss for loss in numbers["places"][place]["methods"][method]["loss"]]


def ratio(numbers: Numbers, place: str, method: str, over: str) -> Numbers:
    """The losses of one method over those of another, seed by seed."""
    above, below = losses(numbers, place, method), losses(numbers, place, over)
    return spread([a / b if np.isfinite(a) and np.isfinite(b) else np.nan for a, b in zip(above, below, strict=True)])


def widening(numbers: Numbers, noise: str) -> Numbers:
    """SGD's loss over Adam's under a noise, over the same under the noise of 64 prompts, seed by seed."""
    found = [numbers_or_nan(ratio(numbers, place, "SGD", "Adam")["each_seed"]) for place in (noise, "noise of 64 prompts")]
    return spread(np.array(found[0]) / np.array(found[1]))


def gone(numbers: Numbers, place: str, method: str) -> int:
    """How many runs are lost, or end above the loss d of answering 0 to everything."""
    return sum(loss > PLACES[place].task.d for loss in losses(numbers, place, method))


def lost_in_words(numbers: Numbers, place: str, method: str, over: str) -> str:
    """Median losses at which rates, and how many runs are lost or worse than answering 0."""
    words = []
    for name in (method, over):
        found = numbers["places"][place]["methods"][name]
        every, lost = losses(numbers, place, name), gone(numbers, place, name)
        words.append(
            f"{name} {np.median(every):.3g} at rate {found['rate']:g}" + (f", {lost} of {len(every)} lost" if lost else "")
        )
    return "; ".join(words)


def lengths(numbers: Numbers, method: str) -> Numbers:
    """The 99.9 % step over the median step, seed by seed, in Setting 1."""
    return spread([long / middle for middle, long in numbers["places"]["Setting 1"]["methods"][method]["lengths"]])


def _row(name: str, statement: str, place: str, method: str, over: str, theirs: str, rule: Within | Above) -> Row:
    asked: Any = {"place": place, "method": method, "over": over}
    return Row(name, statement, place, theirs, partial(ratio, **asked), rule, partial(lost_in_words, **asked))


ONE, QUARTER, CONSTANT, SPHERE, FULL = "Setting 1", "a quarter of the steps", "constant rate", "sphere", "full matrices"
EQUAL = "SGD, blocks equally sharp"
TWO, WIDE, HEADS, STILL, LARGE = "Setting 2", "n = 40, d = 8", "two heads", "no momentum", "batch 1000"
REAL, GAUSSIAN, QUIET = "noise of 64 prompts", "Gaussian noise", "next to no noise"
ROWS = (
    _row("layer", "One second moment for each layer does what Adam does",
         ONE, "each layer", "Adam", "0.99 of Adam's loss", Within(0.85, 1.2)),
    _row("gap", "SGD at its own best rate does not reach Adam", ONE, "SGD", "Adam", "5.8 to 6.8", Above(5, 1)),
    _row("one", "One second moment for all parameters does not reach Adam",
         ONE, "one scalar", "Adam", "2.7 to 2.9", Above(2.2, 1)),
    _row("p_and_q", "A second moment for all P and one for all Q are no better than one for all",
         ONE, "P and Q", "one scalar", "1.0 to 1.1", Within(0.8, 1.25)),
    _row("random", "Second moments of three random groups are no better than one (control of their number)",
         ONE, "random groups", "one scalar", "1.0", Within(0.8, 1.25)),
    _row("last_q", "A second moment of its own for the last layer's Q alone is enough",
         ONE, "last Q apart", "Adam", "1.02", Within(0.85, 1.2)),
    _row("block", "One second moment for each block is no better than one for each layer",
         ONE, "each block", "each layer", "1.0", Within(0.85, 1.15)),
    _row("rates", "SGD with fixed rates 16^l reaches Adam, at the paper's clip",
         ONE, "SGD, rates 16^l", "Adam", "1.0", Within(0.85, 1.2)),
    _row("tight_rates", "SGD with a tight clip and rates 4^l reaches Adam",
         ONE, "SGD, tight clip, rates 4^l", "Adam", "1.0", Within(0.85, 1.2)),
    _row("tight", "SGD with a tight clip alone does not reach Adam", ONE, "SGD, tight clip", "Adam", "1.6", Above(1.3, 1)),
    _row("blocks_turned", "Adam does not depend on the axes inside blocks",
         ONE, "Adam, blocks turned", "Adam", "1.02", Within(0.85, 1.15)),
    _row("all_turned", "Adam on rotated parameters is Adam with one second moment",
         ONE, "Adam, everything turned", "one scalar", "0.94 to 1.03", Within(0.85, 1.2)),
    _row("muon", "Orthogonal steps (Muon) add nothing", ONE, "Muon", "Adam", "0.97", Within(0.85, 1.2)),
    _row("soap", "Eigenbases (SOAP) add nothing", ONE, "SOAP", "Adam", "0.99", Within(0.85, 1.2)),
    _row("quarter", "One second moment for each layer does what Adam does after a quarter of the steps, above the model's floor",
         QUARTER, "each layer", "Adam", "1.1", Within(0.85, 1.3)),
    _row("quarter_one", "One second moment for all does not reach Adam after a quarter of the steps either",
         QUARTER, "one scalar", "Adam", "4.8", Above(2.2, 1)),
    _row("quarter_rates", "SGD with rates 16^l reaches Adam after a quarter of the steps too",
         QUARTER, "SGD, rates 16^l", "Adam", "0.96", Within(0.8, 1.25)),
    _row("constant", "One second moment for each layer does what Adam does at a constant rate",
         CONSTANT, "each layer", "Adam", "1.0", Within(0.85, 1.2)),
    _row("constant_one", "At a constant rate one second moment for all gains nothing over SGD",
         CONSTANT, "one scalar", "SGD", "0.96 to 1.3", Within(0.8, 1.35)),
    _row("constant_rates", "At a constant rate SGD with rates 16^l is ahead of Adam",
         CONSTANT, "Adam", "SGD, rates 16^l", "1.6", Above(1.2, 1)),
    _row("sphere", "On the sphere one second moment for each layer is not enough",
         SPHERE, "each layer", "Adam", "4.5", Above(2, 1)),
    _row("sphere_block", "On the sphere one second moment for each block is enough",
         SPHERE, "each block", "Adam", "0.84", Within(0.7, 1.3)),
    _row("full", "With full matrices one second moment for each layer is not enough",
         FULL, "each layer", "Adam", "3", Above(1.7, 1)),
    _row("full_block", "With full matrices one second moment for each block is not enough either",
         FULL, "each block", "Adam", "2", Above(1.3, 1)),
    _row("sharp", "Rates that make all blocks equally sharp gain SGD nothing",
         ONE, EQUAL, "SGD", "0.98", Within(0.75, 1.3)),
    _row("sharp_gap", "Equally sharp blocks leave SGD behind Adam", ONE, EQUAL, "Adam", "6.3", Above(3, 1)),
    _row("swapped", "SGD with the sharpness of P and Q swapped is worse (control: such rates matter)",
         ONE, "SGD, sharpness of P and Q swapped", EQUAL, "2.0", Above(1.3, 1)),
    _row("tight_swapped", "With a clip of .01 the swapped sharpness is the better one",
         ONE, "SGD, clip .01, swapped", "SGD, clip .01, blocks equally sharp", "0.63", Within(0.4, 0.9)),
    _row("newton", "Newton's method, exact and damped, does not reach Adam", ONE, "Newton", "Adam", "4.3", Above(1.5, 1)),
    _row("newton_tight", "A clip of .01 helps Newton's method", ONE, "Newton", "Newton, clip .01", "3.2", Above(1.5, 1)),
    _row("gauss", "Gauss-Newton, exact and damped, does not reach Adam", ONE, "Gauss-Newton", "Adam", "4.4", Above(1.5, 1)),
    _row("setting2", "In Setting 2 one second moment for each layer does what Adam does",
         TWO, "each layer", "Adam", "0.96", Within(0.85, 1.2)),
    _row("setting2_gap", "In Setting 2 SGD does not reach Adam, and the gap is small",
         TWO, "SGD", "Adam", "1.17", Above(1.05, 1)),
    _row("setting2_one", "In Setting 2 one second moment for all does not reach Adam",
         TWO, "one scalar", "Adam", "1.17", Above(1.05, 1)),
    _row("wide", "With n = 40, d = 8 one second moment for each layer does what Adam does",
         WIDE, "each layer", "Adam", "1.05", Within(0.85, 1.2)),
    _row("wide_gap", "With n = 40, d = 8 SGD does not reach Adam", WIDE, "SGD", "Adam", "12", Above(5, 1)),
    _row("wide_one", "With n = 40, d = 8 one second moment for all does not reach Adam",
         WIDE, "one scalar", "Adam", "2.8", Above(1.7, 1)),
    _row("large", "With batches of 1000 one second moment for each layer does what Adam does",
         LARGE, "each layer", "Adam", "0.98", Within(0.85, 1.2)),
    _row("large_gap", "With batches of 1000 SGD does not reach Adam", LARGE, "SGD", "Adam", "5.5", Above(3, 1)),
    _row("large_one", "With batches of 1000 one second moment for all does not reach Adam",
         LARGE, "one scalar", "Adam", "1.4", Above(1.2, 1)),
    _row("heads", "With two heads one second moment for each layer is not enough",
         HEADS, "each layer", "Adam", "1.23", Above(1.1, 1)),
    _row("heads_block", "With two heads one second moment for each block is enough",
         HEADS, "each block", "Adam", "0.99", Within(0.85, 1.15)),
    _row("heads_gap", "With two heads SGD does not reach Adam", HEADS, "SGD", "Adam", "3.6", Above(2, 1)),
    _row("still", "Without momentum one second moment for each layer is not enough",
         STILL, "each layer", "Adam", "1.7", Above(1.3, 1)),
    _row("still_gap", "Without momentum SGD does not reach Adam", STILL, "SGD", "Adam", "8", Above(4, 1)),
    _row("noise", "SGD is behind Adam under the noise of 64 prompts", REAL, "SGD", "Adam", "6.4", Above(3, 1)),
    _row("gaussian", "SGD is behind Adam under Gaussian noise of that covariance",
         GAUSSIAN, "SGD", "Adam", "9.9", Above(3, 1)),
    _row("quiet", "SGD is behind Adam next to without noise", QUIET, "SGD", "Adam", "4.9", Above(3, 1)),
    Row("tails", "Heavy tails are not the cause: the gap is no smaller without them",
        GAUSSIAN, "1.5", partial(widening, noise=GAUSSIAN), Above(0.8, 0.5)),
    Row("long_steps", "SGD's rare long steps set its rate: 99.9 % step over the median step",
        ONE, "12", partial(lengths, method="SGD"), Above(8, 2.5)),
    Row("even_steps", "Adam's steps are even", ONE, "1.4", partial(lengths, method="Adam"), Within(1, 2.5)),
)  # fmt: skip
CLAIMS: tuple[Claim, ...] = in_rows(FIGURE, "why_adam_wins.", "predicted", ROWS)
