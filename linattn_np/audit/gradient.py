"""``audit_gradient``: all checks on one pair of functions, in the order in which they depend on each other."""

import numpy as np

from .checks.arrays import check_arrays
from .checks.complex_step import check_complex
from .checks.dot import check_dot
from .checks.point import check_point
from .checks.probes import check_probes
from .checks.purity import check_purity
from .checks.second import check_second
from .checks.taylor import check_taylor
from .oracle import CannotJudge, Oracle
from .reader import reader_subject
from .report import Report
from .row import CANNOT_JUDGE, OK, WRONG, Row
from .subject import gradient_of, record


def audit_gradient(forward, backward, theta, *, hvp=None, reference=None, equations=None, seed=0, title="your gradient"):
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
    return audit_subject(subject, seed, reference)


def audit_subject(subject, seed=0, reference=None):
    """The same for a :class:`Subject`. -> Report"""
    rng = np.random.default_rng(seed)
    report = Report(subject.title, point={"seed": seed})
    oracle = Oracle(subject, rng)
    gradient, lines = record(subject, oracle.cotangent)
    report.extend(check_purity(subject, oracle))
    if reference:
        report.extend(check_arrays(subject, gradient, reference))
    try:
        _judge(subject, oracle, gradient, lines, report)
    except CannotJudge as reason:
        report.rows.append(Row("oracle", "complex step", None, None, None, 1e-7, CANNOT_JUDGE, str(reason)))
    return report


def _judge(subject, oracle, gradient, lines, report):
    """All checks that need the complex step, once it is known to be sound here."""
    step, plain, error = oracle.check()
    report.rows.append(Row("oracle", "complex step", step, plain, error, 1e-7, OK))
    report.extend(check_complex(subject, oracle, gradient, {"dout": oracle.cotangent, **lines}))
    report.extend(check_probes(subject, oracle, lines))
    report.extend(check_dot(subject, oracle, gradient))
    rows, report.taylor = check_taylor(subject, oracle, gradient)
    report.extend(rows)
    rows, notes = check_second(subject, oracle)
    report.extend(rows).notes += notes
    rows, notes = check_point(subject, oracle, gradient, lines)
    report.extend(rows).notes += notes
    report.notes += _unpaired(oracle, lines, subject)
    if report.verdict == WRONG and not subject.marks:
        report.notes.append("with a parameter mark in both functions the wrong line is named, not only the quantity")


def _unpaired(oracle, lines, subject):
    """Names that only one of the two functions marks: they are not probed, and the reader should know."""
    known = {gradient_of(name) for name in (*oracle.shapes, *subject.theta)}
    alone = [name for name in lines if name not in known]
    silent = [] if subject.complete else [name for name in map(gradient_of, oracle.shapes) if name not in lines]
    said = [f"the backward marks {', '.join(alone)}, the forward no such name without the d"] if alone else []
    return said + ([f"the backward never marks {', '.join(silent)}"] if silent else [])
