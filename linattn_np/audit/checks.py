"""The checks, each a comparison of what the backward function says with a reference that does not know it.

Every check takes a subject, its oracle and what the backward recorded, and returns rows.
"""

import numpy as np

from ..layers.marks import keep
from .oracle import central_difference
from .report import CANNOT_JUDGE, OK, WRONG, Row
from .slips import explain, explain_line
from .subject import STEP, AuditError, call, copied, gradient_of, imaginary, inner, moved, part


def run_backward(subject, cotangent, theta=None, mark=keep, dtype=np.float64):
    """The gradient {name: array}, from copies of everything."""
    theta = subject.theta if theta is None else theta
    return call(subject.asked, subject.backward, copied(theta, dtype), np.array(cotangent), mark)


def record(subject, cotangent):
    """The gradient and every line that the backward marks, in its order: {name: array}, {"dA": array}."""
    lines = {}

    def write(name, value):
        if name in lines:
            raise AuditError(f"mark: the backward uses the name {name!r} twice; each line needs its own")
        lines[name] = np.array(value)
        return value

    gradient = run_backward(subject, cotangent, mark=write)
    for name, array in gradient.items():
        if np.iscomplexobj(array):
            raise AuditError(f"backward: expected real numbers for real theta, got {array.dtype} for {name}")
    return gradient, lines


def check_purity(subject, oracle):
    """Called twice, the same bits; the arguments unchanged."""
    theta, dout = copied(subject.theta), np.array(oracle.cotangent)
    first = call(subject.asked, subject.backward, theta, dout, keep)
    first = {name: np.array(array) for name, array in first.items()}
    again = run_backward(subject, oracle.cotangent)
    same = all(np.array_equal(first[name], again[name], equal_nan=True) for name in first)
    rows = [_purity("same bits twice", same, "a second call gives another gradient: something accumulates between calls")]
    seen = copied(subject.theta)
    call("forward", subject.forward, seen, keep)
    kept = [n for n, a in subject.theta.items() if not (np.array_equal(a, theta[n]) and np.array_equal(a, seen[n]))]
    names = kept + ["the cotangent"] * (not np.array_equal(dout, oracle.cotangent))
    return [*rows, _purity("arguments kept", not names, f"changed in place: {', '.join(names)}")]


def _purity(quantity, good, note):
    return Row("purity", quantity, None, None, None, None, OK if good else WRONG, "" if good else note)


def check_complex(subject, oracle, gradient, lines, witness=True):
    """Every entry of the gradient against its complex step: max|g - c| / max|c| <= 1e-12, and entry by entry.

    Entry by entry the bound is 1e-10 |c_i| + 1e-14 max|c| with the largest entry of the whole of theta, since a small entry is
    the sum of large ones that cancel. A disagreement is put before a ``witness``, plain differences, since the reference may be
    at fault too.
    """
    rows = []
    top = max(np.nanmax(np.abs(c), initial=0.0) for c in oracle.gradient.values())
    for name in subject.parts:
        g, c = part(subject, gradient, name), part(subject, oracle.gradient, name)
        seen = ~np.isnan(c)
        if not seen.any():
            continue
        gap = np.where(seen, np.abs(g - c), 0.0)
        gap = np.where(np.isnan(g), np.inf, gap)
        scale = np.nanmax(np.abs(c)) or top or 1.0
        worst = np.unravel_index(np.argmax(gap), gap.shape)
        error = float(gap.max() / scale)
        bad_entry = (gap > 1e-10 * np.abs(np.where(seen, c, 0.0)) + 1e-14 * top).any()
        verdict, note = OK, ""
        if error > 1e-12 or bad_entry:
            verdict, note = _adjudicate(subject, oracle, gradient, name) if witness else (WRONG, "")
            note = note or explain(g, c, lines, worst)
        rows.append(_row(subject, "complex", gradient_of(name), g[worst], c[worst], error, 1e-12, verdict, note))
    return rows


def _adjudicate(subject, oracle, gradient, name):
    """Who is wrong when gradient and complex step disagree: a third witness, differences along the disagreement itself."""
    key, index = subject.parts[name]
    v = {k: np.zeros_like(a) for k, a in subject.theta.items()}
    gap = np.nan_to_num(part(subject, gradient, name) - part(subject, oracle.gradient, name), posinf=0.0, neginf=0.0)
    length = float(np.sqrt((gap * gap).sum()))
    if not length:
        return WRONG, "not a number"
    v[key][index] = gap / length
    step, said = oracle.along(v), inner(gradient, v)
    plain, doubt = central_difference(oracle.on_line(v))
    if abs(plain - said) < abs(plain - step) and doubt < abs(said - step) / 4:
        return CANNOT_JUDGE, f"differences agree with the gradient, not with the complex step{oracle.blame()}"
    if doubt >= abs(said - step) / 4 and oracle.blame():
        return CANNOT_JUDGE, f"differences are too coarse to say who is right{oracle.blame()}"
    scale = np.nanmax(np.abs(part(subject, oracle.gradient, name))) or 1.0
    if length < 1e-6 * scale and length < 30 * oracle.noise() * scale:
        return CANNOT_JUDGE, "the difference is as small as what rounding does to this function here"
    return WRONG, ""


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
        rows.append(_row(subject, "probe", recorded, got[worst], true[worst], errors[worst], 1e-10, verdict, note))
    return rows + ([_absent(subject, absent)] if absent else [])


def _absent(subject, name):
    note = "this line is never computed, and so nothing behind it"
    return _row(subject, "probe", name, None, None, None, 1e-10, WRONG, note)


def check_dot(subject, oracle, gradient, draws=3):
    """<J u, w> = <u, J^T w> for independent u and w; for a layer also without its residual, and what share that leaves.

    J u is a complex step of the forward. The errors are relative to |J u| |w| and |u| |J^T w|, whichever is larger.
    """
    rows, rng = [], oracle.rng
    pairs = []
    for _ in range(draws):
        u = oracle.direction()
        w = rng.standard_normal(oracle.out.shape) if subject.takes_cotangent else oracle.cotangent
        stepped = oracle.forward(moved(copied(subject.theta), u, 1j * STEP))
        pairs.append((u, w, imaginary(stepped), run_backward(subject, w)))
    rows.append(_dot_row("whole", [(inner_out(Ju, w), inner(u, g), _size(Ju, w, u, g)) for u, w, Ju, g in pairs]))
    if subject.residual:
        parts = [(u, w, Ju - subject.residual(u), Ju, g) for u, w, Ju, g in pairs]
        bare = [(inner_out(rest, w), inner(u, g) - inner_out(Ju - rest, w), _size(rest, w)) for u, w, rest, Ju, g in parts]
        share = min(np.linalg.norm(rest) / np.linalg.norm(Ju) for _, _, rest, Ju, _ in parts)
        note = "" if share > 1e-6 else "the identity drowns the rest: this test says nothing about it"
        if not note:  # what is left carries the rounding of the whole
            rows.append(_dot_row("without residual", bare, max(1e-12, 1e-14 / share)))
        rows.append(Row("dot", "share of the rest", float(share), None, None, None, OK if share > 1e-6 else CANNOT_JUDGE, note))
    return rows


def inner_out(a, b):
    """<a, b> of two outputs."""
    return float((a * b).sum())


def _size(Ju, w, u=None, g=None):
    backward = np.sqrt(inner(u, u) * inner(g, g)) if g else 0.0
    return max(np.linalg.norm(Ju) * np.linalg.norm(w), backward) or 1.0


def _dot_row(quantity, sides, tolerance=1e-12):
    errors = [abs(left - right) / size for left, right, size in sides]
    worst = int(np.argmax(errors))
    verdict = OK if errors[worst] <= tolerance else WRONG
    note = "" if verdict == OK else "<J u, w> is not <u, J^T w>"
    return Row("dot", quantity, float(sides[worst][1]), float(sides[worst][0]), float(errors[worst]), tolerance, verdict, note)


def check_arrays(subject, gradient, reference, tolerance=1e-10):
    """The gradient against arrays that another program computed, name by name."""
    rows = []
    for name, array in reference.items():
        if name not in gradient:
            raise AuditError(f"reference: expected the names {', '.join(gradient)}, got {name!r}")
        g, array = gradient[name], np.asarray(array, np.float64)
        if array.shape != g.shape:
            raise AuditError(f"reference: expected shape {g.shape} for {name}, got {array.shape}")
        rows.append(array_row(gradient_of(name), g, array, tolerance))
    return rows


def array_row(quantity, got, reference, tolerance, check="arrays"):
    """max|got - reference| / max|reference| as a row."""
    got, reference = np.atleast_1d(got), np.atleast_1d(reference)
    gap = np.abs(got - reference)
    at = np.unravel_index(np.argmax(gap), gap.shape)
    error = float(gap[at] / (np.abs(reference).max() or 1.0))
    note = "" if error <= tolerance else f"largest difference at {place(at)}"
    return Row(check, quantity, float(got[at]), float(reference[at]), error, tolerance, WRONG if note else OK, note)


def place(index):
    return "[" + ", ".join(str(int(i)) for i in index) + "]" if index else ""


def _row(subject, check, quantity, got, reference, error, tolerance, verdict, note):
    number = lambda x: None if x is None else float(x)
    equation = subject.equation(quantity)
    return Row(check, quantity, number(got), number(reference), number(error), tolerance, verdict, note, equation)
