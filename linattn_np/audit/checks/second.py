"""Second order: the derivative of the gradient, by hand and by a complex step of the backward, and what must be true of both."""

import numpy as np

from ..oracle import CannotJudge, central_difference
from ..row import CANNOT_JUDGE, OK, WRONG, Row, place
from ..subject import STEP, AuditError, call, copied, imaginary, inner, moved, run_backward


def check_second(subject, oracle):
    """Second order: hand-derived H v against Im g(theta + i h v) / h, u^T H w = w^T H u, H linear, g linear in the cotangent.

    Where there is no hand-derived product the symmetry is asked of the gradient's own complex step: a field that is not
    symmetric is nobody's gradient. -> rows and notes
    """
    u, w = oracle.direction(), oracle.direction()
    rows = _cotangent_rows(subject, oracle)
    try:
        Hu, Hw = (stepped_gradient(subject, oracle, v) for v in (u, w))
    except (AuditError, CannotJudge) as error:
        return _unchecked(subject, rows, str(error))
    plain = central_difference(lambda t: inner(run_backward(subject, oracle.cotangent, moved(subject.theta, w, t)), u))
    size = np.sqrt(inner(u, u) * inner(Hw, Hw))
    if abs(plain[0] - inner(u, Hw)) > 1e-5 * max(size, abs(plain[0])):
        return _unchecked(subject, rows, "a complex step through backward disagrees with its differences: a kink, or abs, conj")
    if subject.hvp:
        hand = {v: call("hvp", subject.hvp, copied(subject.theta), oracle.cotangent, d) for v, d in (("u", u), ("w", w))}
        rows.append(_vector_row("H v by hand", hand["u"], Hu, 1e-12))
        sum_uw = {name: 2.7 * u[name] - 1.3 * w[name] for name in u}
        both = call("hvp", subject.hvp, copied(subject.theta), oracle.cotangent, sum_uw)
        combined = {name: 2.7 * hand["u"][name] - 1.3 * hand["w"][name] for name in u}
        rows.append(_vector_row("H linear in v", both, combined, 1e-12))
        Hu, Hw = hand["u"], hand["w"]
    left, right = inner(u, Hw), inner(w, Hu)
    error = abs(left - right) / (max(np.sqrt(inner(u, u) * inner(Hw, Hw)), np.sqrt(inner(w, w) * inner(Hu, Hu))) or 1.0)
    note = "" if error <= 1e-12 else "the gradient's derivative is not symmetric, so it is not the gradient of any function"
    rows.append(Row("second", "u'Hw = w'Hu", float(left), float(right), float(error), 1e-12, WRONG if note else OK, note))
    return rows, []


def _unchecked(subject, rows, reason):
    """Without a trusted H v: a note, or CANNOT JUDGE where a product by hand waits to be judged."""
    if not subject.hvp:
        return rows, [f"second order was not checked: {reason}"]
    return [*rows, Row("second", "H v by hand", None, None, None, 1e-12, CANNOT_JUDGE, reason)], []


def stepped_gradient(subject, oracle, v):
    """H v = Im g(theta + i h v) / h, the complex step of the backward."""
    g = run_backward(subject, oracle.cotangent, moved(subject.theta, v, 1j * STEP), dtype=np.complex128)
    return {name: imaginary(array) for name, array in g.items()}


def _cotangent_rows(subject, oracle):
    """g(2.7 a - 1.3 b) = 2.7 g(a) - 1.3 g(b): the backward is linear in its cotangent."""
    if not subject.takes_cotangent:
        return []
    a, b = oracle.cotangent, oracle.rng.standard_normal(oracle.out.shape)
    ga, gb, both = (run_backward(subject, w) for w in (a, b, 2.7 * a - 1.3 * b))
    return [_vector_row("linear in cotangent", both, {name: 2.7 * ga[name] - 1.3 * gb[name] for name in ga}, 1e-12)]


def _vector_row(quantity, got, reference, tolerance):
    scale = max((np.abs(array).max(initial=0.0) for array in reference.values()), default=0.0) or 1.0
    gaps = {name: np.abs(got[name] - reference[name]) for name in reference}
    name = max(gaps, key=lambda key: gaps[key].max(initial=0.0))
    at = np.unravel_index(np.argmax(gaps[name]), gaps[name].shape)
    error = float(gaps[name].max() / scale)
    verdict, note = (OK, "") if error <= tolerance else (WRONG, f"largest difference in {name}{place(at)}")
    return Row("second", quantity, float(got[name][at]), float(reference[name][at]), error, tolerance, verdict, note)
