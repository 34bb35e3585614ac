"""Second order: the derivative of the gradient, by hand and by a complex step of the backward, and what must be true of both."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._types import Array
from ..differences import central_difference, estimate, has_kink
from ..known_mistakes import factor_between, fraction
from ..oracle import Oracle
from ..row import CANNOT_JUDGE, OK, WRONG, Row, place
from ..subject import STEP, AuditError, Subject, call, copied, imaginary, inner, moved, run_backward
from ..trust import CannotJudge

SYMMETRY = "u'Hw = w'Hu"


def check_second(subject: Subject, oracle: Oracle) -> tuple[list[Row], list[str]]:
    """Second order: hand-derived H v against Im g(theta + i h v) / h, u^T H w = w^T H u, H linear, g linear in the cotangent.

    Where there is no hand-derived product the symmetry is asked of the gradient's own complex step: a field that is not
    symmetric is nobody's gradient. Where no complex step passes through the backward, differences of it are asked. -> rows, notes
    """
    u, w = oracle.direction(), oracle.direction()
    rows = _cotangent_rows(subject, oracle)
    if not oracle.analytic:
        u, w = oracle.direction(oracle.judged), oracle.direction(oracle.judged)
        return _by_differences(subject, oracle, rows, u, w, "no complex step passes")
    try:
        Hu, Hw = (stepped_gradient(subject, oracle, v) for v in (u, w))
    except (AuditError, CannotJudge) as error:
        buffer = "; a buffer of floats? np.zeros(x.shape, dtype=x.dtype) takes complex numbers"
        return _by_differences(subject, oracle, rows, u, w, f"{error}{buffer if 'ComplexWarning' in str(error) else ''}")
    plain = central_difference(lambda t: inner(run_backward(subject, oracle.cotangent, moved(subject.theta, w, t)), u))
    size = np.sqrt(inner(u, u) * inner(Hw, Hw))
    if not abs(plain[0] - inner(u, Hw)) <= 1e-5 * max(size, abs(plain[0])):
        reason = "a complex step through backward disagrees with its differences: a kink, or abs, conj"
        return _by_differences(subject, oracle, rows, u, w, reason)
    if subject.hvp:
        hand = {v: call("hvp", subject.hvp, copied(subject.theta), oracle.cotangent, d) for v, d in (("u", u), ("w", w))}
        rows.append(_vector_row("H v by hand", hand["u"], Hu, oracle.limit))
        sum_uw = {name: 2.7 * u[name] - 1.3 * w[name] for name in u}
        both = call("hvp", subject.hvp, copied(subject.theta), oracle.cotangent, sum_uw)
        combined = {name: 2.7 * hand["u"][name] - 1.3 * hand["w"][name] for name in u}
        rows.append(_vector_row("H linear in v", both, combined, oracle.limit))
        Hu, Hw = hand["u"], hand["w"]
    left, right = inner(u, Hw), inner(w, Hu)
    size = max(np.sqrt(inner(u, u) * inner(Hw, Hw)), np.sqrt(inner(w, w) * inner(Hu, Hu))) or 1.0
    return [*rows, _symmetry(left, right, abs(left - right) / size, oracle.limit)], []


def _symmetry(left: Any, right: Any, error: float, limit: float) -> Row:
    note = "" if error <= limit else "the gradient's derivative is not symmetric, so it is not the gradient of any function"
    return Row("second", SYMMETRY, float(left), float(right), float(error), limit, WRONG if note else OK, note)


def _by_differences(
    subject: Subject, oracle: Oracle, rows: list[Row], u: dict[str, Array], w: dict[str, Array], reason: str
) -> tuple[list[Row], list[str]]:
    """The symmetry, and a product by hand, from differences of the backward in real numbers; a note where they do not settle."""

    def line(v: dict[str, Array], other: dict[str, Array]) -> Callable[[float], float]:
        def phi(t: float) -> float:
            try:
                return float(inner(run_backward(subject, oracle.cotangent, moved(subject.theta, v, t)), other))
            except AuditError:
                return np.nan

        return phi

    left, right = estimate(line(w, u)), estimate(line(u, w))
    size = max(abs(left.value), abs(right.value)) or 1.0
    limit = max(1e-6, oracle.limit, 20 * max(left.doubt, right.doubt) / size)
    if not limit <= 1e-3 or has_kink(line(w, u)) or has_kink(line(u, w)):
        if not subject.hvp:
            return rows, [f"second order was not checked: {reason}"]
        return [*rows, Row("second", "H v by hand", None, None, None, 1e-12, CANNOT_JUDGE, reason)], []
    if subject.hvp:
        said = float(inner(call("hvp", subject.hvp, copied(subject.theta), oracle.cotangent, u), w))
        error, note = abs(said - right.value) / size, ""
        if error > limit:
            note = f"w'H u is {said:.6g} where differences of backward give {right.value:.6g}"
        rows.append(Row("second", "H v by hand", said, right.value, error, limit, WRONG if note else OK, note))
    error = abs(left.value - right.value) / size
    return [*rows, _symmetry(left.value, right.value, error, limit)], [f"second order by differences: {reason}"]


def stepped_gradient(subject: Subject, oracle: Oracle, v: dict[str, Array]) -> dict[str, Array]:
    """H v = Im g(theta + i h v) / h, the complex step of the backward."""
    g = run_backward(subject, oracle.cotangent, moved(subject.theta, v, 1j * STEP), dtype=np.complex128)
    return {name: imaginary(array) for name, array in g.items()}


def _cotangent_rows(subject: Subject, oracle: Oracle) -> list[Row]:
    """g(2.7 a - 1.3 b) = 2.7 g(a) - 1.3 g(b): the backward is linear in its cotangent."""
    if not subject.takes_cotangent:
        return []
    a, b = oracle.cotangent, oracle.rng.standard_normal(oracle.out.shape)
    ga, gb, both = (run_backward(subject, w) for w in (a, b, 2.7 * a - 1.3 * b))
    return [_vector_row("linear in cotangent", both, {name: 2.7 * ga[name] - 1.3 * gb[name] for name in ga}, oracle.limit)]


def _vector_row(quantity: str, got: Any, reference: dict[str, Array], tolerance: float) -> Row:
    scale = max((np.abs(array).max(initial=0.0) for array in reference.values()), default=0.0) or 1.0
    gaps = {name: np.abs(got[name] - reference[name]) for name in reference}
    name = max(gaps, key=lambda key: gaps[key].max(initial=0.0))
    at = np.unravel_index(np.argmax(gaps[name]), gaps[name].shape)
    error = float(gaps[name].max() / scale)
    verdict, note = (OK, "") if error <= tolerance else (WRONG, f"largest difference in {name}{place(at)}")
    if note and (k := factor_between(_joined(got), _joined(reference))):
        note = f"{quantity.removesuffix(' by hand')} is {fraction(k)} of it"
    return Row("second", quantity, float(got[name][at]), float(reference[name][at]), error, tolerance, verdict, note)


def _joined(arrays: dict[str, Array]) -> Array:
    return np.concatenate([np.ravel(arrays[name]) for name in sorted(arrays)])
