"""The point: a mistake that cannot show is not a mistake found absent. What this theta can reveal, measured line by line."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..._types import Array
from ..oracle import Oracle
from ..row import CANNOT_JUDGE, OK, Row
from ..subject import Subject, bare, gradient_of, moved, part, run_backward
from ..trust import COMPLEX, CannotJudge, OutOfTime

FAINT = 1e-9  # a line whose total loss changes the gradient by less than this is out of reach of a limit of 1e-12


def check_point(
    subject: Subject, oracle: Oracle, gradient: dict[str, Array], lines: dict[str, Array]
) -> tuple[list[Row], list[str]]:
    """Lines that reach nothing, parameters without influence, and matrices too special to tell X from X^T. -> rows, notes"""
    dead, notes = _dead(subject, oracle)
    return _influence(subject, oracle, gradient, lines) + dead + check_values(subject), notes


def _influence(subject: Subject, oracle: Oracle, gradient: dict[str, Array], lines: dict[str, Array]) -> list[Row]:
    """How far the gradient moves when a line is wrong: every entry of it multiplied by a random factor around 1.

    The largest over the layers counts, since the layers share their code.
    """
    top = max(np.abs(g).max(initial=0.0) for g in gradient.values()) or 1.0
    reach: dict[str, float] = {}
    seen: dict[str, str] = {}
    for name in lines:
        rng = np.random.default_rng(len(name))

        def change(at: str, value: Any, name: str = name, rng: np.random.Generator = rng) -> Any:
            return value * (1 + rng.standard_normal(np.shape(value))) if at == name else value

        moved_gradient = run_backward(subject, oracle.cotangent, mark=change)
        shift = max(np.abs(moved_gradient[k] - gradient[k]).max(initial=0.0) for k in gradient) / top
        if bare(name) not in reach or shift > reach[bare(name)]:
            reach[bare(name)], seen[bare(name)] = shift, name
    rows = []
    for name, shift in reach.items():
        note = "" if shift > FAINT else "a mistake in this line could not show: it changes no gradient at this point"
        verdict = CANNOT_JUDGE if note else OK
        rows.append(Row("point", name, float(shift), None, None, FAINT, verdict, note, subject.equation(name)))
    return rows


def _dead(subject: Subject, oracle: Oracle) -> tuple[list[Row], list[str]]:
    """Parameters whose derivative is exactly zero: by structure when it is zero at other points too, of either sign."""
    rows, notes = [], []
    alive: dict[str, list[bool]] = {}
    for name in subject.parts:
        key, index = subject.parts[name]
        if oracle.trust[key].kind != COMPLEX or oracle.trust[key].kink:
            continue
        c = part(subject, oracle.gradient, name)
        flat = np.arange(subject.theta[key].size).reshape(subject.theta[key].shape)[index]
        zero = flat[c == 0.0][:200]
        structural = sum(all(_dead_at(oracle, key, i, there) for there in _points(subject, oracle)) for i in zero)
        alive.setdefault(bare(name), []).append(len(zero) < c.size)
        if structural:
            said = "their derivative is zero at every point that was tried"
            notes.append(f"structurally dead: {structural} of {c.size} entries of {name}; {said}")
        if len(zero) == c.size and structural < c.size:
            note = "its derivative is zero here and not in general: choose a generic point"
            dname = gradient_of(name)
            rows.append(Row("point", dname, 0.0, None, None, None, CANNOT_JUDGE, note, subject.equation(dname)))
    for name in (name for name, some in alive.items() if not any(some)):
        note = f"every entry of {name} is without influence, so nothing is known of its gradient's derivation"
        rows.append(Row("point", f"all of d{name}", 0.0, None, None, None, CANNOT_JUDGE, note, subject.equation(f"d{name}")))
    return rows, notes


def _points(subject: Subject, oracle: Oracle) -> Iterator[dict[str, Array]]:
    """Where a derivative that is zero is looked at again: near theta, and at random points of the same size and either sign."""
    yield moved(subject.theta, oracle.direction(), 0.7)
    rng = np.random.default_rng(len(subject.theta))
    for _ in range(7):
        yield {name: 2 * oracle.step_size(name) * rng.standard_normal(a.shape) for name, a in subject.theta.items()}


def _dead_at(oracle: Oracle, key: str, i: int, theta: dict[str, Array]) -> bool:
    """Whether the derivative by one entry is zero at theta too; unknown, so not against it, where forward is not defined."""
    try:
        return oracle.entry(key, i, theta) == 0.0
    except OutOfTime:
        raise
    except CannotJudge:
        return True


def check_values(subject: Subject) -> list[Row]:
    """Values at which X and X^T, or X and Y, or X and nothing are the same, in every layer."""
    groups: dict[str, list[Array]] = {}
    rows = []
    for name in subject.parts:
        groups.setdefault(bare(name), []).append(part(subject, subject.theta, name))
    for name, arrays in groups.items():
        whole = np.concatenate([array.ravel() for array in arrays])
        square = arrays[0].ndim >= 2 and arrays[0].shape[-1] == arrays[0].shape[-2]
        note = ""
        if not whole.any():
            note = f"{name} is zero, so a term that it multiplies could not show"
        elif whole.size > 1 and np.ptp(whole) == 0.0:
            note = f"all entries of {name} are equal, so no swapped axis could show"
        elif square and all(np.abs(X - X.swapaxes(-1, -2)).max() <= 1e-9 * np.abs(X).max() for X in arrays):
            note = f"{name} is symmetric, so a transposition of it could not show in the gradient"
        if note:
            rows.append(_degenerate(name, note))
    names = list(groups)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            pairs = zip(groups[a], groups[b], strict=False)
            if all(x.shape == y.shape and x.any() and np.array_equal(x, y) for x, y in pairs):
                rows.append(_degenerate(f"{a} and {b}", f"{a} equals {b}, so one in the place of the other could not show"))
    return rows


def _degenerate(quantity: str, note: str) -> Row:
    return Row("point", quantity, None, None, None, None, CANNOT_JUDGE, note)
