"""The complex step: every entry of the gradient against the derivative that the forward alone gives."""

import numpy as np

from ..known_mistakes import explain
from ..oracle import central_difference
from ..row import CANNOT_JUDGE, OK, WRONG, Row
from ..subject import gradient_of, inner, part


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
        quantity = gradient_of(name)
        values = float(g[worst]), float(c[worst]), error, 1e-12
        rows.append(Row("complex", quantity, *values, verdict, note, subject.equation(quantity)))
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
