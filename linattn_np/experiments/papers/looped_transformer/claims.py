"""What is known of the paper's claims, all of it second-hand, and the rules that judge it, written before the run at full scale.

The paper's hyper-parameters, theorems and figures were not at hand: the numbers here have no number of theirs beside them, and
each claim is tested "in the spirit of" the paper, at sizes of our own.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...curves import Numbers, spread
from ...rules import Above, Claim

FIGURE = "looped_transformer"
TASK = "regression with representation, the paper's first task, as its abstract and page heads describe it"


def errors(numbers: Numbers, name: str) -> Any:
    """The test error of each seed."""
    return np.array(numbers["errors"][name]["each_seed"], float)


def ratio(numbers: Numbers, above: str, below: str) -> Numbers:
    """How many times larger one model's error is than another's."""
    return spread(errors(numbers, above) / errors(numbers, below))


def risk_over_loop(numbers: Numbers, which: str, sigma: str) -> Numbers:
    """The excess risk of an algorithm over that of the trained loop of 20 steps."""
    return spread(
        numbers["noise"]["human"][sigma][which] / np.array(numbers["noise"]["T = 20"][sigma]["risk"]["each_seed"], float)
    )


def fewer(numbers: Numbers) -> Numbers:
    """The error with 10 examples over that with 30, of pre + 8 loops."""
    values = np.array(numbers["examples"]["pre + 8 loops"]["each_seed"], float)
    return spread(values[:, 1] / values[:, -1])


def at_eight_over(loops: int, name: str, numbers: Numbers) -> Numbers:
    """The error at 8 loops over that at so many, seed by seed: below 1 where looping on makes it worse."""
    values = np.array(numbers["after"][name]["each_seed"], float)
    return spread(values[:, 8] / values[:, loops])


def with_random_loops(numbers: Numbers) -> str:
    """The errors themselves, and those of the model that was always trained with 8 loops."""
    found = {name: numbers["after"][name]["median"] for name in ("pre + 8 loops, random T", "pre + 8 loops")}
    cured, fixed = found.values()
    return (
        f"error {cured[8]:.3g} at 8 loops, {cured[24]:.3g} at 24, {cured[-1]:.3g} at {len(cured) - 1}; trained with 8 loops "
        f"{fixed[8]:.3g}, {fixed[24]:.3g}, {fixed[-1]:.3g}: the fall is smaller, not gone"
    )


def how_it_falls(numbers: Numbers) -> str:
    """The errors themselves: below the number of examples in training some prompts diverge."""
    values = numbers["examples"]["pre + 8 loops"]["median"]
    return (
        f"error {values[1]:.3g} with 10 examples, {values[-1]:.3g} with 30, which is what it was trained with; the variance "
        f"of the labels is {numbers['raw']['variance']['median']:.3g}: with fewer examples the step is too long for some "
        "prompts, which diverge"
    )


def claims() -> Iterator[Claim]:
    """Pre-network and loop, size, examples, loops as steps, loops beyond training, and the human-designed algorithms."""
    yield Claim(
        id="looped_transformer.raw", where=TASK, figure=FIGURE, reported="lower error than a vanilla looped transformer",
        statement="A pre-network before the loop lowers the error of the loop alone, by a factor of at least 2",
        values=lambda numbers: ratio(numbers, "raw loop", "pre + 8 loops"), rule=Above(2.0, 1.0),
    )  # fmt: skip
    yield Claim(
        id="looped_transformer.same_size", where=TASK, figure=FIGURE,
        reported="lower error than a standard transformer of the same size",
        statement="Pre-network and one layer looped 8 times beat 4 untied layers of as many parameters, 1.5 times",
        values=lambda numbers: ratio(numbers, "4 full layers, untied", "pre + 8 loops"), rule=Above(1.5, 1.0),
    )  # fmt: skip
    yield Claim(
        id="looped_transformer.same_layer", where=TASK, figure=FIGURE,
        reported="lower error than a standard transformer of the same size",
        statement="The same with layers of full matrices on both sides",
        values=lambda numbers: ratio(numbers, "4 full layers, untied", "full layer, 8 loops"), rule=Above(1.5, 1.0),
    )  # fmt: skip
    yield Claim(
        id="looped_transformer.loops", where="abstract: the loop is an optimization algorithm", figure=FIGURE,
        reported="more loops, more steps", statement="8 loops have at most half the error of 4",
        values=lambda numbers: ratio(numbers, "pre + 4 loops", "pre + 8 loops"), rule=Above(2.0, 1.0),
    )  # fmt: skip
    yield Claim(
        id="looped_transformer.examples", where="the paper's second figure, as its page heads describe it", figure=FIGURE,
        reported="the error falls with the number of examples", values=fewer, rule=Above(2.0, 1.0), aside=how_it_falls,
        statement="The error with 10 examples is at least twice that with 30",
    )  # fmt: skip
    yield Claim(
        id="looped_transformer.beyond", where="not the paper's: ours", figure=FIGURE,
        predicted="3 times the loops of training make it worse", rule=Above(1.0, 1.0),
        values=lambda numbers: spread(1 / np.array(at_eight_over(24, "pre + 8 loops", numbers)["each_seed"], float)),
        statement="Trained with 8 loops and looped 24 times, the error rises (error at 24 loops over that at 8)",
    )  # fmt: skip
    yield Claim(
        id="looped_transformer.random", where="not the paper's: ours", figure=FIGURE, aside=with_random_loops,
        predicted="random loops in training cure that", rule=Above(1.0, 1.0),
        values=lambda numbers: at_eight_over(24, "pre + 8 loops, random T", numbers),
        statement="Trained with 4 to 32 loops at random, 24 loops have a lower error than 8 (error at 8 loops over that at 24)",
    )  # fmt: skip
    for sigma, which, least in (("2", "Newton", 1.25), ("1", "Newton", 1.1), ("2", "Newton, stopped", 1.1), ("2", "ridge", 1.0)):
        words = {
            "Newton": "Newton's iteration",
            "Newton, stopped": "Newton's iteration stopped at its best step",
            "ridge": "ridge that knows the noise",
        }
        yield Claim(
            id=f"looped_transformer.smarter.{which.split()[-1].lower()}.{sigma}", figure=FIGURE,
            where="abstract of the first version; that noise is meant is our reading",
            reported="smarter than human-designed algorithms",
            statement=f"With noise {sigma} the risk of {words[which]} is at least {least} times that of the trained loop",
            values=lambda numbers, which=which, sigma=sigma: risk_over_loop(numbers, which, sigma), rule=Above(least, 1.0),
        )  # fmt: skip


CLAIMS = tuple(claims())
