"""What the paper and its released code say of the electric flow, and the rules that judge it, written before the full run.

The code's numbers are means of log loss at 1, 3, 5, 7, 9 layers, read in its stored output. They are those of full matrices,
trained longer on more graphs; the scalar layer is the paper's parameter-efficient one in its simplest form. So what should be
found again is how the loss falls with depth and what updating B adds; whether the levels are found too is judged beside it.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ...curves import Numbers, spread
from ...rules import Above, Claim, Within
from .training import DEPTHS

LOGGED = {  # the released code's stored output
    "electric, skip-circle, B frozen": (-0.96, -1.10, -1.77, -2.51, -3.17),
    "electric, skip-circle, B updated": (-0.96, -1.40, -2.74, -4.63, -5.43),
    "electric, full, B frozen": (-1.36, -2.51, -4.24, -5.80, -6.38),
    "resistive, skip-circle, B updated": (-1.55, -2.07, -3.67, -5.98, -7.36),
}
FROZEN, UPDATED = "electric, skip-circle, B frozen", "electric, skip-circle, B updated"
FIGURE = "electric_flow"
CODE = "released code, stored output of the synthetic experiments"


def every_seed(numbers: Numbers, key: str) -> Any:
    """Log test loss (seeds, depths)."""
    return np.array(numbers["log_loss"][key]["each_seed"], float)


def level(key: str, depth: int, numbers: Numbers) -> Numbers:
    """Log loss at a depth."""
    return spread(every_seed(numbers, key)[:, DEPTHS.index(depth)])


def gap(below: str, above: str, depth: int, numbers: Numbers) -> Numbers:
    """How far one log loss lies below another at a depth."""
    at = DEPTHS.index(depth)
    return spread(every_seed(numbers, above)[:, at] - every_seed(numbers, below)[:, at])


def least_drop(key: str, numbers: Numbers) -> Numbers:
    """The smallest fall of the log loss over two layers more."""
    return spread(-np.diff(every_seed(numbers, key), axis=1).max(axis=1))


def identities(numbers: Numbers) -> Numbers:
    """The largest distance between an algorithm and its layers, relative."""
    return spread(np.max(list(numbers["identities"].values()), axis=0))


def claims() -> Iterator[Claim]:
    """Constructions, the fall with depth, what updating B adds, and the levels."""
    yield Claim(
        id="electric_flow.constructions", where="abstract and lemmas, as reviews and summaries give them", figure=FIGURE,
        statement="Weights exist for electric flow, resistive embedding, heat kernel and subspace iteration by a linear "
                  "transformer",
        reported="they exist (largest distance between layers and algorithm: 0)", values=identities, rule=Within(0.0, 1e-12),
    )  # fmt: skip
    for key, words in ((FROZEN, "B frozen"), (UPDATED, "B updated")):
        logged = LOGGED[key]
        yield Claim(
            id=f"electric_flow.falls.{words.split()[1]}", where=CODE, figure=FIGURE,
            statement=f"Electric flow, {words}: the log loss falls with every two layers more, from 1 to 9",
            code=f"least fall {-max(np.diff(logged)):.2f} ({', '.join(f'{value:.2f}' for value in logged)})",
            values=partial(least_drop, key), rule=Above(0.1, 0.0),
        )  # fmt: skip
    for depth in (5, 9):
        difference = LOGGED[FROZEN][DEPTHS.index(depth)] - LOGGED[UPDATED][DEPTHS.index(depth)]
        yield Claim(
            id=f"electric_flow.updating.{depth}", where=CODE, figure=FIGURE,
            statement=f"Electric flow: at {depth} layers updating B lowers the log loss by at least what the code found",
            code=f"{difference:.2f}", values=partial(gap, UPDATED, FROZEN, depth), rule=Above(round(difference, 2), 0.0),
        )  # fmt: skip
    full = LOGGED["electric, full, B frozen"][-1] - LOGGED[FROZEN][-1]
    yield Claim(
        id="electric_flow.full", where=CODE, figure=FIGURE, code=f"{-full:.2f}",
        rule=Within(round(-0.8 * full, 2), round(-1.2 * full, 2), beyond=0.0),
        statement="Electric flow, B frozen, 9 layers: the log loss on full graphs lies below that on skip-circles by 3.21, to a "
                  "fifth",
        values=partial(gap, "electric, full, B frozen", FROZEN, 9),
    )  # fmt: skip
    for key, depth in ((FROZEN, 1), (FROZEN, 9), (UPDATED, 9), ("resistive, skip-circle, B updated", 9)):
        value = LOGGED[key][DEPTHS.index(depth)]
        yield Claim(
            id=f"electric_flow.level.{key.split(',')[0]}.{key.split()[-1]}.{depth}", where=CODE, figure=FIGURE,
            statement=f"{key}: the log loss at {depth} {'layer' if depth == 1 else 'layers'} is {value:.2f}, within 0.5",
            code=f"{value:.2f}", values=partial(level, key, depth), rule=Within(round(value - 0.5, 2), round(value + 0.5, 2)),
        )  # fmt: skip


CLAIMS = tuple(claims())
