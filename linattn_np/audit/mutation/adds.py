"""What each check adds: a mistake that it catches and that another check, asked the same, misses."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks.point import check_point
from ..checks.program import program_case
from ..row import CANNOT_JUDGE
from ..subject import record
from .judge import Judge, judged, replaced, verdicts
from .listed import EVERY
from .programs import SHAPES, judge_row, wrong_rows

# check, the mistake, the check that misses it, and why it does
PAIRS = (
    ("complex", "returned_halved", "probe", "every marked line is right; what is returned is another thing"),
    ("probe", "dW_masked_early", "complex", "the next line mends it, so no gradient changes here"),
    ("dot", "first_gradient_kept", "complex", "the complex step asks with one cotangent, the dot test with fresh ones"),
    ("taylor", "everything_halved", "second", "gradient and Hessian agree with each other and with half the function"),
    ("second", "stale_tape", "complex", "the gradient is right at the first point, and only there"),
    ("tangent", "linear_hW_no_hout", "second", "H v of one layer alone never asks with a cotangent that moves"),
    ("purity", "dout_overwritten", "complex", "the gradient is right; the caller's array is spoilt"),
)
ROW = ("d x d", "gradient", "5b.6", "factor lost")  # a row of a kernel's program
AT_A_POINT = (
    "point",
    "residual_dropped",
    "complex",
    {"layers": 1},
    "in one layer nothing reaches a gradient through the residual",
)


@dataclass(frozen=True)
class Added:
    """A mistake that ``check`` catches and ``other`` misses, as measured."""

    check: str
    mutation: str
    named: str
    other: str
    why: str
    caught: bool
    missed: bool

    @property
    def holds(self) -> bool:
        """Whether it is so."""
        return self.caught and self.missed

    def __str__(self) -> str:
        return f"{self.check:<10}{self.mutation:<21}{self.named[:19]:<20}{self.other}" + ("" if self.holds else "  NOT SO")

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "holds": self.holds}


def what_each_check_adds(seed: int = 0) -> list[Added]:
    """Measure PAIRS, and the check of the point where no other can say a word."""
    known, judge = {mutation.id: mutation for mutation in EVERY}, Judge(seed, {})
    added = []
    for check, id, other, why in PAIRS:
        outcome = judge(known[id])
        added.append(Added(check, id, outcome.named, other, why, outcome.caught[check], not outcome.caught[other]))
    return [*added, _at_a_point(seed, known), _in_a_kernel(seed)]


def _in_a_kernel(seed: int) -> Added:
    """A wrong row of the compiled twin: the complex step judges the NumPy code, which stays right."""
    shape, which, equation, way = ROW
    case = program_case(*SHAPES[shape])
    steps = case.passes.gradient.steps
    index, wrong = next(
        (i, wrong)
        for i, step in enumerate(steps)
        if step.equation == equation and step.add
        for name, wrong in wrong_rows(step)
        if name == way
    )
    outcome = judge_row(case, shape, which, index, way, wrong)
    judge = Judge(seed, {})
    ground = judge.ground("model", "linear")
    caught = verdicts(judged(ground.subject, ground.oracle)[0])
    why = "the complex step judges the NumPy code, and that is right"
    return Added("kernel", outcome.wrong, outcome.named, "complex", why, outcome.killed, not caught["complex"])


def _at_a_point(seed: int, known: dict[str, Any]) -> Added:
    """The mistake at a point where it does not show: the check of the point says CANNOT JUDGE, the others say ok."""
    check, id, other, point, why = AT_A_POINT
    judge = Judge(seed, dict(point))
    ground = judge.ground("model", "linear")
    subject = judge.model("linear", replaced(known[id]))
    gradient, lines = record(subject, ground.oracle.cotangent)
    rows, _ = check_point(subject, ground.oracle, gradient, lines)
    said = [row for row in rows if row.verdict == CANNOT_JUDGE]
    c = ground.oracle.gradient["params"]
    missed = bool(np.abs(gradient["params"] - c).max() <= 1e-12 * np.abs(c).max())
    at = ", ".join(f"{key} = {value}" for key, value in point.items())
    return Added(check, id, f"{said[0].quantity if said else ''} at {at}", other, why, bool(said), missed)
