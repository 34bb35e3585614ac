"""Probes: each named line of the backward by itself, so that the first wrong one is found."""

from typing import Any

import numpy as np

from ..._types import Array
from ..differences import estimate, has_kink
from ..known_mistakes import explain_line
from ..oracle import Oracle
from ..row import CANNOT_JUDGE, OK, WRONG, Row
from ..subject import AuditError, Subject, gradient_of


def check_probes(subject: Subject, oracle: Oracle, lines: dict[str, Array]) -> list[Row]:
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
        shape = oracle.shapes[x] if x in oracle.shapes else np.shape(subject.theta[x])
        if dx.shape != shape:
            raise AuditError(f"mark: {recorded} has shape {dx.shape}, but {x} in the forward has shape {shape}")
        W, known, doubt = (list(column) for column in zip(*oracle.probes(x), strict=True))
        true = np.array(known)
        got = np.array([(dx * w).sum() for w in W])
        scale = max(np.abs(true).max(), np.sqrt((dx * dx).sum())) or 1.0
        errors = np.abs(got - true) / scale
        worst = int(np.argmax(errors))
        limit = max(1e-10, 10 * oracle.limit, 1e-8 * any(doubt), 20 * max(doubt) / scale)
        verdict, note = OK, ""
        if errors[worst] > limit:
            verdict, note = _verdict(oracle, x, W[worst], got[worst], true[worst], limit * scale)
            note = note or explain_line(subject.formula(recorded), dx, W, true, got, lines)
        values = float(got[worst]), float(true[worst]), float(errors[worst]), limit
        rows.append(Row("probe", recorded, *values, verdict, note, subject.equation(recorded)))
    return rows + ([_absent(subject, absent)] if absent else [])


def _verdict(oracle: Oracle, x: str, W: Any, got: Any, true: Any, limit: Any) -> tuple[str, str]:
    """What a disagreement means: WRONG, unless the name is marked and not used, or stands at a kink."""
    if not oracle.is_used(x):
        return CANNOT_JUDGE, f'forward does not use what mark("{x}", ...) returns, so this line cannot be judged: {x} = mark(...)'
    phi = oracle.probe_line(x, W)
    if has_kink(phi):
        return CANNOT_JUDGE, "forward has a kink here"
    found = estimate(phi)
    if abs(found.value - got) <= max(limit, 10 * found.doubt) < abs(found.value - true):
        return OK, "by differences; no complex step passes here"
    return WRONG, ""


def _absent(subject: Subject, name: str) -> Row:
    note = "this line is never computed, and so nothing behind it"
    return Row("probe", name, None, None, None, 1e-10, WRONG, note, subject.equation(name))
