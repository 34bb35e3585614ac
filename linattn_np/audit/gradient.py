"""``audit_gradient``: all checks on one pair of functions, in the order in which they depend on each other."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .._types import Array
from .checks.arrays import check_arrays
from .checks.complex_step import check_complex, check_large
from .checks.dot import check_dot
from .checks.elsewhere import check_elsewhere
from .checks.point import check_point, check_values
from .checks.probes import check_probes
from .checks.purity import check_purity
from .checks.second import SYMMETRY, check_second
from .checks.taylor import check_taylor, lines_of
from .oracle import Oracle
from .reader import reader_subject
from .report import Report
from .row import CANNOT_JUDGE, OK, WRONG, Row
from .subject import Subject, gradient_of, record
from .trust import COMPLEX, DIFFERENCES, CannotJudge

STREAM = 0x6C696E617474  # the audit's random numbers come from a stream that no reader's default_rng(seed) is


def audit_gradient(
    forward: Callable,
    backward: Callable,
    theta: Any,
    *,
    hvp: Callable | None = None,
    reference: Any = None,
    equations: dict[str, str] | None = None,
    seed: int = 0,
    title: str = "your gradient",
    entries: int = 2000,
    seconds: float | None = None,
) -> Report:
    """Judge a gradient derived by hand: ``ok``, ``WRONG`` with the place, or ``CANNOT JUDGE`` with the reason.

    theta: an array, or a dictionary (or tuple) of named arrays. forward(theta) -> a number or an array, in code that also takes
    complex numbers. backward(theta) -> the gradient, of the form of theta; where forward gives an array, backward(theta, dout)
    -> the gradient of sum(dout * forward(theta)). With a further parameter ``mark`` in both, intermediates get names:
    ``A = mark("A", ...)`` in the forward, ``dA = mark("dA", ...)`` in the backward, and each such line is judged by itself.
    hvp(theta[, dout], v) -> the derivative of the gradient along v. reference: gradients from elsewhere, {name: array}.
    equations: {"dA": "2.10"}, to be quoted. Raises AuditError (a ValueError) for a mistake in the asking.
    Cost: one forward for each entry of theta (at most 2000 of an array), about 300 more. Explained in lesson 03.
    """
    subject = reader_subject(forward, backward, theta, hvp, equations, title)
    if reference is not None and not isinstance(reference, dict):
        reference = {"theta": reference}
    return audit_subject(subject, seed, reference, entries=entries, seconds=seconds)


def audit_subject(subject: Subject, seed: int = 0, reference: dict | None = None, **limits: Any) -> Report:
    """The same for a :class:`Subject`. limits: ``entries`` and ``seconds``."""
    rng = np.random.default_rng([STREAM, seed])
    report = Report(subject.title, point={"seed": seed}, names=list(subject.theta))
    with np.errstate(all="ignore"):
        oracle = Oracle(subject, rng, **limits)
        gradient, lines = record(subject, oracle.cotangent)
        report.extend(check_purity(subject, oracle))
        if reference:
            report.extend(check_arrays(subject, gradient, reference))
        try:
            step, plain, error = oracle.check()
        except CannotJudge as reason:
            report.rows.append(Row("oracle", COMPLEX, None, None, None, 1e-7, CANNOT_JUDGE, str(reason)))
            return report.extend(check_values(subject))
        kinds = {trust.kind for trust in oracle.trust.values()}
        report.oracle = DIFFERENCES if DIFFERENCES in kinds else COMPLEX
        if oracle.judged:
            report.rows.append(Row("oracle", report.oracle, None if step != step else step, plain, error, 1e-7, OK))
        _judge(subject, oracle, gradient, lines, report)
    return report


def _judge(subject: Subject, oracle: Oracle, gradient: dict, lines: dict, report: Report) -> None:
    """All checks that need a reference; what there is no time for is said to be left out."""

    def taylor() -> tuple[list[Row], list[str]]:
        rows, report.taylor = check_taylor(subject, oracle, gradient)
        if not report.taylor:
            report.notes.append(f"no Taylor test was made: {lines_of(oracle, 2)[1]}")
        return rows, []

    smooth = bool(oracle.analytic)  # some array that complex steps and straight lines can judge
    steps = {
        "complex": lambda: check_complex(subject, oracle, gradient, {"dout": oracle.cotangent, **lines}),
        "large": lambda: check_large(subject, oracle, gradient),
        "probe": lambda: check_probes(subject, oracle, lines),
        "moved": lambda: check_elsewhere(subject, oracle),
        "dot": lambda: check_dot(subject, oracle, gradient) if smooth else [],
        "taylor": lambda: taylor() if smooth and oracle.limit < 1e-10 else ([], []),
        "second": lambda: check_second(subject, oracle) if oracle.judged else ([], []),
        "point": lambda: check_point(subject, oracle, gradient, lines),
    }
    for name, check in steps.items():
        try:
            found = check()
        except CannotJudge as reason:
            report.rows.append(Row("time", name, None, None, None, None, CANNOT_JUDGE, str(reason)))
            continue
        rows, notes = found if isinstance(found, tuple) else (found, [])
        report.extend(rows).notes += notes
    _weigh_symmetry(report)
    report.notes += _unpaired(oracle, lines, subject) + _thin(subject)
    if report.verdict == WRONG and not subject.marks:
        report.notes.append("with a parameter mark in both functions the wrong line is named, not only the quantity")


def _weigh_symmetry(report: Report) -> None:
    """A gradient that is right at two points may still be nobody's nearby: right only where theta keeps a condition."""
    wrong = [row for row in report.rows if row.verdict == WRONG]
    if not any(row.check == "moved" for row in report.rows) or [row.quantity for row in wrong] != [SYMMETRY]:
        return
    note = (
        "right here, but its derivative is not symmetric: it is a gradient only where theta keeps a condition, such as a sum of "
        "one"
    )
    report.rows[report.rows.index(wrong[0])] = replace(wrong[0], verdict=CANNOT_JUDGE, note=note)


def _thin(subject: Subject) -> list[str]:
    """Axes of length one: a sum and a mean along them are the same."""
    thin = [] if subject.complete else [name for name, array in subject.theta.items() if 1 in array.shape and array.size > 1]
    return [f"an axis of {', '.join(thin)} has length one, where a sum and a mean are the same"] if thin else []


def _unpaired(oracle: Oracle, lines: dict[str, Array], subject: Subject) -> list[str]:
    """Names that only one of the two functions marks: they are not probed, and the reader should know."""
    known = {gradient_of(name) for name in (*oracle.shapes, *subject.theta)}
    alone = [name for name in lines if name not in known]
    silent = [] if subject.complete else [name for name in map(gradient_of, oracle.shapes) if name not in lines]
    said = [f"the backward marks {', '.join(alone)}, the forward no such name without the d"] if alone else []
    return said + ([f"the backward never marks {', '.join(silent)}"] if silent else [])
