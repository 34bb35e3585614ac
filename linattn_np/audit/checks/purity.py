"""Purity: a gradient is a function of its arguments and of nothing else, and leaves them as they are."""

import contextlib
import itertools

import numpy as np

from ...layers.marks import keep
from ..oracle import Oracle
from ..row import OK, WRONG, Row
from ..subject import AuditError, Subject, call, copied, run_backward


def check_purity(subject: Subject, oracle: Oracle) -> list[Row]:
    """Called twice, the same bits, also after a forward elsewhere; the arguments unchanged."""
    theta, dout = copied(subject.theta), np.array(oracle.cotangent)
    first = call(subject.asked, subject.backward, theta, dout, keep)
    calls = [{name: np.array(array) for name, array in first.items()}]
    calls += [run_backward(subject, oracle.cotangent) for _ in range(2)]
    note = "" if _same(*calls[:2]) and _same(*calls[1:]) else _why(calls)
    if not note and not _same(calls[0], _after_another_forward(subject, oracle)):
        note = "backward goes by what the last forward left: a stale cache, when that was at another theta; compute it again"
    rows = [_purity("same bits twice", note)]
    seen = copied(subject.theta)
    call("forward", subject.forward, seen, keep)
    kept = [n for n, a in subject.theta.items() if not (np.array_equal(a, theta[n]) and np.array_equal(a, seen[n]))]
    names = kept + ["the cotangent"] * (not np.array_equal(dout, oracle.cotangent))
    return [*rows, _purity("arguments kept", f"changed in place: {', '.join(names)}" if names else "")]


def _same(a: dict, b: dict) -> bool:
    return all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


def _why(calls: list[dict]) -> str:
    """What three calls that differ tell: equal steps are a sum that goes on, anything else is chance."""
    pairs = [(second[n] - first[n]) for first, second in itertools.pairwise(calls) for n in first]
    half = len(pairs) // 2
    steps = [(a, b) for a, b in zip(pairs[:half], pairs[half:], strict=True)]
    if all(np.allclose(a, b, rtol=1e-6) for a, b in steps):
        return "a second call gives another gradient: something accumulates between calls"
    return "a second call gives another gradient: it draws random numbers, or keeps a state between calls"


def _after_another_forward(subject: Subject, oracle: Oracle) -> dict:
    """The gradient at theta when the forward was last called somewhere else."""
    with contextlib.suppress(AuditError):
        call("forward", subject.forward, {name: 1.01 * array for name, array in subject.theta.items()}, keep)
    found = run_backward(subject, oracle.cotangent)
    call("forward", subject.forward, copied(subject.theta), keep)
    return found


def _purity(quantity: str, note: str) -> Row:
    return Row("purity", quantity, None, None, None, None, WRONG if note else OK, note)
