"""Probes: each named line of the backward by itself, so that the first wrong one is found."""

import numpy as np

from ..known_mistakes import explain_line
from ..row import OK, WRONG, Row
from ..subject import AuditError, gradient_of


def check_probes(subject, oracle, lines):
    """Each line of the backward by itself: <dx, W> against the derivative when the intermediate x moves along a random W.

    Rows are in backward order, so the first wrong one is the first wrong line. A line that is never computed stands where it
    should have been.
    """
    rows, partner = [], {gradient_of(x): x for x in (*subject.theta, *oracle.shapes)}
    order = [gradient_of(x) for x in reversed(oracle.shapes)]  # the forward's names, undone in reverse
    absent = next((name for name in order if name not in lines), None) if subject.complete else None
    for recorded, dx in lines.items():
        if recorded not in partner:
            continue
        if absent in order and recorded in order and order.index(recorded) > order.index(absent):
            rows.append(_absent(subject, absent))
            absent = None
        x = partner[recorded]
        shape = oracle.shapes.get(x, np.shape(subject.theta.get(x)))
        if dx.shape != shape:
            raise AuditError(f"mark: {recorded} has shape {dx.shape}, but {x} in the forward has shape {shape}")
        W, true = zip(*oracle.probes(x), strict=True)
        true = np.array(true)
        got = np.array([(dx * w).sum() for w in W])
        scale = max(np.abs(true).max(), np.sqrt((dx * dx).sum())) or 1.0
        errors = np.abs(got - true) / scale
        worst = int(np.argmax(errors))
        verdict = OK if errors[worst] <= 1e-10 else WRONG
        note = "" if verdict == OK else explain_line(subject.formula(recorded), dx, W, true, got, lines)
        values = float(got[worst]), float(true[worst]), float(errors[worst]), 1e-10
        rows.append(Row("probe", recorded, *values, verdict, note, subject.equation(recorded)))
    return rows + ([_absent(subject, absent)] if absent else [])


def _absent(subject, name):
    note = "this line is never computed, and so nothing behind it"
    return Row("probe", name, None, None, None, 1e-10, WRONG, note, subject.equation(name))
