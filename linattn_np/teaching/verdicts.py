"""``check``: one of five verdicts on an answer, and the slip that would explain a wrong one."""

import copy
import inspect
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np

from .._types import Array
from ..audit.known_mistakes import factor_between
from .display import emit, html_box
from .exercise import POINTS, Exercise, find

NOT_ATTEMPTED, WRONG_FORM, WRONG_VALUE = "not attempted", "wrong type or shape", "wrong value"
RIGHT, IMPURE = "right", "right but changes its input"
NOTHING = np.zeros(0)  # in place of an answer that is none
COLOURS = {NOT_ATTEMPTED: "#767676", WRONG_FORM: "#8c510a", WRONG_VALUE: "#b2182b", RIGHT: "#1b7837", IMPURE: "#8c510a"}


@dataclass(frozen=True)
class Verdict:
    """What ``check`` says: ``kind`` is one of the five, ``reasons`` the sentences that say why, ``hint`` the slip that explains a wrong value."""

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


def check(id: str, answer: Any) -> None:
    """Judge an answer to exercise ``id`` and show the verdict. Raises ValueError for an unknown exercise."""
    verdict = judge(id, answer)
    emit(str(verdict), verdict._repr_html_())


def judge(id: str, answer: Any) -> Verdict:
    """The same without showing it. -> Verdict"""
    exercise = find(id)
    if answer is None or answer is ...:
        return Verdict(id, NOT_ATTEMPTED, (exercise.asks,))
    draw = exercise.inputs
    if draw is None:
        return _judge_value(exercise, answer)
    if not callable(answer):
        return Verdict(id, WRONG_FORM, (f"expected a function, got {_kind(answer)}; pass its name, without calling it",))
    for at, sizes in enumerate(POINTS):
        inputs = draw(np.random.default_rng(at), sizes)
        verdict = _judge_function(exercise, answer, inputs, sizes)
        if verdict.kind != RIGHT:
            return verdict
    return verdict


def _judge_value(exercise: Exercise, answer: Any) -> Verdict:
    """A number, an array or a string against the right one, which is not given away."""
    id, right = exercise.id, exercise.reference
    if isinstance(right, str):
        if not isinstance(answer, str):
            return Verdict(id, WRONG_FORM, (f"expected a string, such as a letter in quotes, got {_kind(answer)}",))
        given = answer.strip().lower()
        hint = next((slip.hint for slip in exercise.slips if given == slip.wrong), "")
        return Verdict(id, RIGHT) if given == right else Verdict(id, WRONG_VALUE, (f"not {answer!r}",), hint)
    got, complaint = _as_array("your answer", answer, np.asarray(right))
    if complaint:
        return Verdict(id, WRONG_FORM, (complaint,))
    if _agree(got, right, exercise.tolerance):
        return Verdict(id, RIGHT)
    hint = next((slip.hint for slip in exercise.slips if _agree(got, slip.wrong, exercise.tolerance)), "")
    hint = hint or _factor_hint(got, np.asarray(right, float), {})
    share = _error(got, right)
    far = "more than twice the right value away" if share > 2 else f"{100 * share:.0f} % away from the right value"
    return Verdict(id, WRONG_VALUE, (far,), hint)


def _judge_function(exercise: Exercise, function: Any, inputs: tuple[Any, ...], sizes: dict[str, int]) -> Verdict:
    """The function at one point: does it run, what does it return, is it right, did it leave its inputs alone?"""
    expected = _outputs(exercise.reference(*copy.deepcopy(inputs)))
    given = copy.deepcopy(inputs)
    try:
        with np.errstate(all="ignore"):
            result = function(*given)
    except NotImplementedError:
        return Verdict(exercise.id, NOT_ATTEMPTED, (exercise.asks,))
    except Exception as error:
        return Verdict(exercise.id, WRONG_FORM, (_raised(error), _given(exercise, inputs)))
    got, complaint = _form(exercise.names, result, expected)
    if complaint:
        return Verdict(exercise.id, WRONG_FORM, (complaint, _given(exercise, inputs)))
    for name, g, e in zip(exercise.names, got, expected, strict=True):
        if not _agree(g, e, exercise.tolerance):
            return Verdict(exercise.id, WRONG_VALUE, (_where(name, g, e),), _hint(exercise, inputs, got, expected, sizes))
    changed = [name for name, a, b in zip(_arguments(exercise), inputs, given, strict=True) if not _same(a, b)]
    if changed:
        return Verdict(exercise.id, IMPURE, (f"{', '.join(changed)} came out different; work on a copy",))
    return Verdict(exercise.id, RIGHT, (f"compared at {len(POINTS)} random points: {_sizes_in_words()}",))


def _sizes_in_words() -> str:
    return " and ".join(f"B={s['B']}, n={s['n']}, d={s['d']}" for s in POINTS)


def _form(names: Sequence[str], result: Any, expected: Sequence[Any]) -> tuple[list[Array], str]:
    """The results as arrays, or what is wrong with their form."""
    if len(names) > 1:
        count = f"{len(result)} of them" if isinstance(result, tuple | list) else _kind(result)
        if not isinstance(result, tuple | list) or len(result) != len(names):
            return [], f"expected {len(names)} results ({', '.join(names)}), got {count}"
    results, arrays = (list(result) if len(names) > 1 else [result]), []
    for name, value, e in zip(names, results, expected, strict=True):
        array, complaint = _as_array(name, value, np.asarray(e))
        if complaint:
            return [], complaint
        arrays.append(array)
    return arrays, ""


def _as_array(name: str, value: Any, like: Array) -> tuple[Array, str]:
    """``value`` as numbers of the shape of ``like``, or what is wrong with it."""
    if value is None:
        return NOTHING, f"{name}: expected {_shape(like)}, got None: is a return missing?"
    try:
        array = np.asarray(value)
    except ValueError:
        return NOTHING, f"{name}: expected {_shape(like)}, got a ragged list"
    if array.dtype.kind not in "biuf":
        return NOTHING, f"{name}: expected {_shape(like)}, got {_kind(value)}"
    if array.shape != like.shape:
        turned = ": transposed?" if array.ndim >= 2 and array.shape == (*like.shape[:-2], *like.shape[:-3:-1]) else ""
        return NOTHING, f"{name}: expected {_shape(like)}, got {_shape(array)}{turned}"
    return array.astype(float), ""


def _hint(exercise: Exercise, inputs: Sequence[Any], got: Sequence[Array], expected: Sequence[Any], sizes: dict[str, int]) -> str:
    """The first slip whose result is the student's, or a factor or transposition that explains it."""
    for slip in exercise.slips:
        wrong = _outputs(slip.wrong(*copy.deepcopy(inputs)))
        if all(np.shape(g) == np.shape(w) and _agree(g, w, exercise.tolerance) for g, w in zip(got, wrong, strict=True)):
            return slip.hint
    for name, g, e in zip(exercise.names, got, expected, strict=True):
        if not _agree(g, e, exercise.tolerance):
            said = _factor_hint(g, np.asarray(e, float), sizes)
            return f"{name}: {said}" if said and len(exercise.names) > 1 else said
    return ""


def _factor_hint(g: Array, e: Array, sizes: dict[str, int]) -> str:
    """A sign, a factor made of the sizes, or a transposition, in words."""
    if not np.isfinite(g).all():
        return "not all entries are finite numbers"
    if not g.any():
        return "all entries are zero: is the result ever written?"
    named = {-1.0: "the sign is wrong", 2.0: "twice too large", 0.5: "half of it: is a factor 2 missing?"}
    for letter in ("n", "B"):
        if letter in sizes:
            k = sizes[letter]
            named |= {float(k): f"off by 1/{letter}", 1 / k: f"divided by {letter} once too often"}
            named |= {k / (k + 1): f"off by {letter}/({letter}+1): 1/({letter}+1) in place of 1/{letter}"}
    factor = factor_between(g, e)
    if factor is not None:
        return next((words for k, words in named.items() if abs(factor / k - 1) < 1e-7), f"{factor:.6g} times the right result")
    if e.ndim >= 2 and e.shape[-1] == e.shape[-2]:
        turned = factor_between(g, np.swapaxes(e, -1, -2))
        if turned is not None and abs(turned - 1) < 1e-7:
            return "transposed"
    return ""


def _where(name: str, g: Any, e: Any) -> str:
    """The worst entry: where, what stands there, what should, and how many are off."""
    g, e = np.asarray(g, float), np.asarray(e, float)
    gap = np.where(np.isfinite(g), np.abs(g - e), np.inf)
    at = np.unravel_index(int(np.argmax(gap)), gap.shape)
    place = f"{name}[{', '.join(str(int(i)) for i in at)}]" if at else name
    off = int(np.sum(gap > 1e-9 * (np.abs(e).max() or 1.0)))
    return f"{place}: expected {e[at]:.6g}, got {g[at]:.6g}; {off} of {e.size} entries are off"


def _error(g: Any, e: Any) -> float:
    """max|g - e| / max|e|"""
    e = np.asarray(e, float)
    return float(np.abs(np.asarray(g, float) - e).max() / (np.abs(e).max() or 1.0))


def _agree(g: Any, e: Any, tolerance: float) -> bool:
    return bool(np.isfinite(g).all()) and np.shape(g) == np.shape(e) and _error(g, e) <= tolerance


def _same(a: Any, b: Any) -> bool:
    """Whether an input is unchanged, bit for bit."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and np.array_equal(a, b)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return not isinstance(a, Number | str) or a == b


def _outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


def _arguments(exercise: Exercise) -> list[str]:
    """The names of the inputs, as the reference calls them."""
    return list(inspect.signature(exercise.reference).parameters)


def _given(exercise: Exercise, inputs: Iterable[Any]) -> str:
    """What the function was called with, in words."""
    pairs = zip(_arguments(exercise), inputs, strict=True)
    return "called with " + ", ".join(f"{name} {np.shape(x) if isinstance(x, np.ndarray) else _kind(x)}" for name, x in pairs)


def _raised(error: BaseException) -> str:
    """An exception of the student's function, with the line it comes from."""
    line = traceback.extract_tb(error.__traceback__)[-1].lineno
    return f"it raised {type(error).__name__}: {' '.join(str(error).split())[:160]} (line {line})"


def _shape(array: Array) -> str:
    return "a number" if array.ndim == 0 else f"shape {array.shape}"


def _kind(value: Any) -> str:
    """A type in words."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, shape {value.shape}"
    return f"{value!r}" if isinstance(value, Number | bool) else f"a {type(value).__name__}"
