"""The gradient at a second point: what is right only where a value happens to be one, or equal to another, shows there."""

import numpy as np

from ..._types import Array
from ..differences import estimate, has_kink
from ..oracle import Oracle
from ..row import OK, WRONG, Row
from ..subject import AuditError, Subject, gradient_of, run_backward
from ..trust import COMPLEX, EPS, CannotJudge, OutOfTime

LIMIT = {COMPLEX: 1e-9}  # of directional derivatives; a mistake that waits for a second point is not that small


def check_elsewhere(subject: Subject, oracle: Oracle) -> tuple[list[Row], list[str]]:
    """<g, v> against the derivative along v, each array moving alone, at a point where every value has moved. -> rows, notes"""
    for step in (0.3, 0.1, 0.03, 1e-3):
        there = {name: move(array, step, oracle.rng) for name, array in subject.theta.items()}
        try:
            gradient = run_backward(subject, oracle.cotangent, there)
            value = oracle.real(there)
            if np.isfinite(value) and all(np.isfinite(array).all() for array in gradient.values()):
                break
        except AuditError:
            continue
    else:
        return [], ["no second point was found near theta, so the gradient was looked at only here"]
    rows = [_row(subject, oracle, gradient, there, name) for name in oracle.judged]
    return [row for row in rows if row], []


def move(array: Array, step: float, rng: np.random.Generator) -> Array:
    """Every entry times a factor around one, with what an array may be asked to be kept: zeros, whole numbers, 0 and 1,
    symmetry, rows that sum to one or have length one."""
    if array.size > 1 and not (array - np.round(array)).any():
        return array.copy()
    factors = np.exp(step * rng.standard_normal(array.shape))
    square = array.ndim >= 2 and array.shape[-1] == array.shape[-2]
    if square and np.allclose(array, array.swapaxes(-1, -2), rtol=1e-9):
        return array * (factors + factors.swapaxes(-1, -2)) / 2
    out = array * factors
    for axis in range(array.ndim) if array.size > 1 else ():
        if array.shape[axis] == 1:
            continue
        if np.allclose(array.sum(axis), 1, rtol=1e-9):
            return out / out.sum(axis, keepdims=True)
        if np.allclose((array * array).sum(axis), 1, rtol=1e-9):
            return out / np.sqrt((out * out).sum(axis, keepdims=True))
    return out


def _row(subject: Subject, oracle: Oracle, gradient: dict, there: dict, name: str) -> Row | None:
    """One array; None where the second point has no reference for it."""
    size = float(np.sqrt((gradient[name] ** 2).sum()))
    worst = None
    for _ in range(2):
        v = oracle.direction([name])
        phi = oracle.on_line(v, there)
        said, length = float((gradient[name] * v[name]).sum()), float(np.sqrt((v[name] ** 2).sum()))
        try:
            found = None if oracle.trust[name].kind == COMPLEX else estimate(phi)
            true = found.value if found else oracle.along(v, there)
        except OutOfTime:
            raise
        except CannotJudge:
            return None
        scale = max(size * length, abs(true), 1e10 * EPS * oracle.size) or 1.0
        limit = max(LIMIT[COMPLEX], oracle.limit) if not found else max(1e-7, 20 * found.doubt / scale)
        error = abs(said - true) / scale
        if error > limit:
            found = found or estimate(phi)
            off = abs(said - found.value)
            if has_kink(phi) or found.doubt > 1e-3 * scale or off <= 10 * found.doubt + 1e-7 * scale:
                return None
        if worst is None or error > worst[2]:
            worst = said, true, error, limit
    if worst is None:
        return None
    if worst is None:
        return None
    said, true, error, limit = worst
    note = (
        "" if error <= limit else "right at theta, but not at a second point: a value that is one, or equal to another, hides it"
    )
    quantity = gradient_of(name)
    return Row("moved", quantity, said, true, error, limit, WRONG if note else OK, note, subject.equation(quantity))
