"""``check``: one of five verdicts on an answer, and the slip that would explain a wrong one."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import answers
from .display import emit, html_box
from .exercise import POINTS, Exercise, find
from .mistakes import Point, explained, known, points_of, where
from .profiles import strictly

NOT_ATTEMPTED, WRONG_FORM, WRONG_VALUE = "not attempted", "wrong type or shape", "wrong value"
RIGHT, IMPURE = "right", "right but changes its input"
COLOURS = {NOT_ATTEMPTED: "#767676", WRONG_FORM: "#8c510a", WRONG_VALUE: "#b2182b", RIGHT: "#1b7837", IMPURE: "#8c510a"}


@dataclass(frozen=True)
class Verdict:
    """What ``check`` says: ``kind`` is one of the five, ``reasons`` the sentences that say why, ``hint`` the slip that explains a
    wrong value.
    """

    id: str
    kind: str
    reasons: tuple[str, ...] = ()
    hint: str = ""

    @property
    def right(self) -> bool:
        """Whether the answer counts: right, and the inputs left alone."""
        return self.kind == RIGHT

    def _said(self) -> list[str]:
        return [*self.reasons, *([f"Hint: {self.hint}"] if self.hint else [])]

    def __str__(self) -> str:
        return "\n    ".join([f"{self.id}: {self.kind}", *self._said()])

    def _repr_html_(self) -> str:
        return html_box(COLOURS[self.kind], f"{self.id}: {self.kind}", self._said())


class NotRightError(AssertionError):
    """An answer that is not right, in strict mode: the exercise and the verdict, and no hint."""


def check(id: str, answer: Any, strict: bool | None = None) -> None:
    """Judge an answer to exercise ``id`` and show the verdict. Raises ValueError for an unknown exercise.

    ``strict``, for grading: whatever is not right raises NotRightError, an AssertionError, and gives no hint (None: as
    LINATTN_STRICT
    says, 1 or 0).
    """
    verdict = judge(id, answer)
    if strictly(strict) and not verdict.right:
        raise NotRightError(f"{verdict.id}: {verdict.kind}")
    emit(str(verdict), verdict._repr_html_())


def judge(id: str, answer: Any) -> Verdict:
    """The same without showing it. -> Verdict"""
    exercise = find(id)
    if answer is None or answer is ...:
        return Verdict(id, NOT_ATTEMPTED, (exercise.asks,))
    if exercise.inputs is None:
        return _judge_letter(exercise, answer) if isinstance(exercise.reference, str) else _judge_value(exercise, answer)
    if not callable(answer):
        said = f"expected a function, got {answers.kind(answer)}; pass its name, without calling it"
        return Verdict(id, WRONG_FORM, (said,))
    return judge_function(exercise, answer, points_of(exercise))


def _judge_letter(exercise: Exercise, answer: Any) -> Verdict:
    """The letter of a choice."""
    if not isinstance(answer, str):
        said = f"expected a string, such as a letter in quotes, got {answers.kind(answer)}"
        return Verdict(exercise.id, WRONG_FORM, (said,))
    given = answers.letter(answer)
    if given == exercise.reference:
        return Verdict(exercise.id, RIGHT)
    hint = next((slip.hint for slip in exercise.slips if given == slip.wrong), "")
    return Verdict(exercise.id, WRONG_VALUE, ("not the right answer",), hint)


def _judge_value(exercise: Exercise, answer: Any) -> Verdict:
    """A number or an array against the right one, which is not given away."""
    right = np.asarray(exercise.reference, float)
    got, complaint = answers.as_array("your answer", answer, right)
    if complaint:
        return Verdict(exercise.id, WRONG_FORM, (complaint,))
    if answers.agree(got, right, exercise.tolerance):
        return Verdict(exercise.id, RIGHT)
    hint = next((slip.hint for slip in exercise.slips if answers.agree(got, slip.wrong, exercise.tolerance)), "")
    hint = hint or next(iter(known(got, right, {})), "")
    return Verdict(exercise.id, WRONG_VALUE, (where("your answer", got, right, exercise.tolerance),), hint)


def judge_function(exercise: Exercise, function: Any, points: Sequence[Point]) -> Verdict:
    """The function at each point: does it run, what does it return, is it right, did it leave its inputs alone?"""
    found, changed = [], dict[str, None]()
    for point in points:
        given = copy.deepcopy(point.inputs)
        try:
            with np.errstate(all="ignore"), answers.watched(exercise.forbids) as called:
                result = function(*given)
        except NotImplementedError:
            return Verdict(exercise.id, NOT_ATTEMPTED, (exercise.asks,))
        except Exception as error:
            return Verdict(exercise.id, WRONG_FORM, (answers.raised(error, function), _given(exercise, point.inputs)))
        if called:
            said = f"the library's {', '.join(sorted(called))} does the work here; it is yours to write"
            return Verdict(exercise.id, NOT_ATTEMPTED, (exercise.asks, said))
        got, complaint = answers.form(exercise.names, result, point.expected)
        if complaint:
            return Verdict(exercise.id, WRONG_FORM, (complaint, _given(exercise, point.inputs)))
        found.append(got)
        pairs = zip(exercise.arguments, point.inputs, given, strict=True)
        changed |= {name: None for name, a, b in pairs if not answers.same(a, b)}
    wrong = [_where(exercise, point, got) for point, got in zip(points, found, strict=True)]
    if any(wrong):
        first = next(filter(None, wrong))
        if not all(wrong):
            right, off = (points[at].sizes for at in (wrong.index(""), wrong.index(first)))
            first += f" at {_sizes(off)}; right at {_sizes(right)}: is a number written where an input belongs?"
        return Verdict(exercise.id, WRONG_VALUE, (first,), explained(points, found))
    if changed:
        return Verdict(exercise.id, IMPURE, (f"{', '.join(changed)} came out different; work on a copy",))
    return Verdict(exercise.id, RIGHT, (f"compared at {len(POINTS)} random points: {' and '.join(map(_sizes, POINTS))}",))


def _where(exercise: Exercise, point: Point, got: Sequence[Any]) -> str:
    """What is off at one point, result by result; '' when all is right."""
    results = list(zip(exercise.names, got, point.expected, strict=True))
    if all(answers.agree(g, e, exercise.tolerance) for _, g, e in results):
        return ""
    return "; ".join(where(name, g, e, exercise.tolerance) for name, g, e in results)


def _sizes(sizes: dict[str, int]) -> str:
    return f"B={sizes['B']}, n={sizes['n']}, d={sizes['d']}"


def _given(exercise: Exercise, inputs: Iterable[Any]) -> str:
    """What the function was called with, in words."""
    pairs = zip(exercise.arguments, inputs, strict=True)
    said = ", ".join(f"{name} {np.shape(x) if isinstance(x, np.ndarray) else answers.kind(x)}" for name, x in pairs)
    return f"called with {said}"
