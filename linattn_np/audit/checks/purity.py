"""Purity: a gradient is a function of its arguments and of nothing else, and leaves them as they are."""

import numpy as np

from ...layers.marks import keep
from ..row import OK, WRONG, Row
from ..subject import call, copied, run_backward


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
