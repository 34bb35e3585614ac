"""Wrong rows of the kernels' programs: every row of every program of two shapes, changed in each way that a row can be wrong.

A program is data, so a wrong one is made of the right one: a factor lost or flipped, = for += and += for =, the two operands
exchanged or, where their shapes forbid that, a matrix transposed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ...kernels.operations import CLEAR, COPY, IDENTITY, MULTIPLY, OUTER, SYMMETRIZE, Program, Step
from ..checks.program import ProgramCase, check_programs, program_case
from ..row import WRONG

SHAPES = {  # (layers, heads, d, full, n)
    "d x d": (3, 1, 2, False, 5),
    "two heads": (2, 2, 3, False, 7),
    "full": (3, 1, 2, True, 5),
}


@dataclass(frozen=True)
class RowOutcome:
    """What became of one wrong row."""

    shape: str
    program: str  # "gradient" or "hvp"
    index: int
    way: str
    wrong: str  # the wrong row as a listing has it
    line: str  # the operand that it writes
    named: str  # the first wrong operand
    result_differs: bool  # whether a sum that the kernel hands out is wrong
    why_equivalent: str = ""

    @property
    def killed(self) -> bool:
        """Whether the check of the program says WRONG."""
        return bool(self.named)

    @property
    def line_named(self) -> bool:
        """Whether the operand of the wrong row is named; for an operand on the way, the next one that is made of it."""
        return self.named == self.line


def wrong_rows(step: Step) -> Iterator[tuple[str, Step]]:
    """The ways in which a row can be wrong."""
    term = step.term
    if term.operation != CLEAR:
        factor = 1.0 if term.factor != 1.0 else -1.0
        yield ("factor lost" if factor == 1.0 else "sign flipped"), replace(step, term=replace(term, factor=factor))
    if step.add or term.operation not in (SYMMETRIZE, IDENTITY, CLEAR):
        yield ("= for +=" if step.add else "+= for ="), replace(step, add=not step.add)
    a, b = term.a, term.b
    if a is None or b is None or term.operation in (CLEAR, COPY, IDENTITY, MULTIPLY, SYMMETRIZE):
        return
    if a.rows == a.columns == b.rows == b.columns or term.operation == OUTER:
        yield "operands exchanged", replace(step, term=replace(term, a=b, b=a))
    elif a.rows == a.columns:
        yield "not transposed", replace(step, term=replace(term, a=a.T))


def judge_programs() -> list[RowOutcome]:
    """Every wrong row before the check of the program. Cost: about 5 ms for each."""
    found = []
    for shape, sizes in SHAPES.items():
        case = program_case(*sizes)
        for which in ("gradient", "hvp"):
            right: Program = getattr(case.passes, which)
            for index, step in enumerate(right.steps):
                found += [judge_row(case, shape, which, index, way, wrong) for way, wrong in wrong_rows(step)]
    return found


def judge_row(case: ProgramCase, shape: str, which: str, index: int, way: str, wrong: Step) -> RowOutcome:
    """One wrong row in its program."""
    programs: dict[str, Program] = {"gradient": case.passes.gradient, "hvp": case.passes.hvp}
    steps = list(programs[which].steps)
    steps[index] = wrong
    programs[which] = replace(programs[which], steps=steps)
    rows = check_programs(case, **programs)
    bad = [row for row in rows if row.verdict == WRONG]
    names = [row.quantity for row in rows]
    behind = [step.c.name for step in steps[index:] if step.c.name in names]  # an operand on the way has no row of its own
    made_of_it = wrong.c.name.replace("M", "S").replace("E", "S")
    line = next((name for name in (wrong.c.name, made_of_it) if name in names), behind[0])
    results = ("squares", "dP", "dQ") if which == "gradient" else ("hP", "hQ")
    differs = any(row.quantity.startswith(results) for row in bad)
    why = "" if differs else why_same(wrong, way)
    return RowOutcome(shape, which, index, way, str(wrong), line, bad[0].quantity if bad else "", differs, why)


def why_same(wrong: Step, way: str) -> str:
    """Why a wrong row gives the same sums, where it does for a reason; that it does is measured."""
    if way == "operands exchanged" and "M" in wrong.c.name:
        return "(5b.8) takes the symmetric part of it next"
    if way == "not transposed" and wrong.term.a is not None and wrong.term.a.name.lstrip("vdh").startswith("S"):
        return "S and its tangent are symmetric"
    return "it was cleared in the row before" if way == "+= for =" and wrong.c.name.endswith("]") else ""


def table_of_rows(outcomes: list[RowOutcome]) -> list[str]:
    """How many wrong rows of each program and each way are caught and named."""
    lines = [f"{'program rows':<24}{'wrong':>7}{'caught':>8}{'named':>7}   same result"]
    for shape, program in dict.fromkeys((o.shape, o.program) for o in outcomes):
        some = [o for o in outcomes if (o.shape, o.program) == (shape, program)]
        lines.append(_sums(f"{program}, {shape}", some))
    for way in dict.fromkeys(o.way for o in outcomes):
        lines.append(_sums(way, [o for o in outcomes if o.way == way]))
    return lines


def _sums(title: str, some: list[RowOutcome]) -> str:
    real = [o for o in some if not o.why_equivalent]
    numbers = f"{len(real):>7}{sum(o.killed for o in real):>8}{sum(o.line_named for o in real):>7}"
    return f"{title:<24}{numbers}   {len(some) - len(real) or '-'}"


def rows_to_dict(outcomes: list[RowOutcome]) -> list[dict[str, Any]]:
    """Plain values."""
    return [dict(vars(o)) for o in outcomes]
