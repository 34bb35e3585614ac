"""Reading an answer: what a student returned as numbers or a letter, what is wrong with its form, and which of its lines
crashed.
"""

import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Number, Real
from pathlib import Path
from typing import Any

import numpy as np

from .._types import Array

NOTHING = np.zeros(0)  # in place of an answer that is none
LETTER = re.compile(r"\(?\s*([a-z])[\s).:]*")
LIBRARIES = (str(Path(__file__).parents[1]), str(Path(np.__file__).parents[1]), sysconfig.get_path("stdlib"))  # nobody's exercise


def letter(answer: str) -> str:
    """The letter of a choice, however it is written: b, "B", "(b)", "b)"."""
    given = answer.strip().lower()
    found = LETTER.fullmatch(given)
    return found[1] if found else given


def form(names: Sequence[str], result: Any, expected: Sequence[Any]) -> tuple[list[Array], str]:
    """The results as arrays, or what is wrong with their form."""
    if len(names) > 1:
        count = f"{len(result)} of them" if isinstance(result, tuple | list) else kind(result)
        if not isinstance(result, tuple | list) or len(result) != len(names):
            return [], f"expected {len(names)} results ({', '.join(names)}), got {count}"
    results, arrays = (list(result) if len(names) > 1 else [result]), []
    for name, value, e in zip(names, results, expected, strict=True):
        array, complaint = as_array(name, value, np.asarray(e))
        if complaint:
            return [], complaint
        arrays.append(array)
    return arrays, ""


def as_array(name: str, value: Any, like: Array) -> tuple[Array, str]:
    """``value`` as numbers of the shape of ``like``, or what is wrong with it.

    Fractions count, and an array of one number as a number.
    """
    if value is None:
        return NOTHING, f"{name}: expected {shape(like)}, got None: is a return missing?"
    try:
        array = np.asarray(value)
    except ValueError:
        return NOTHING, f"{name}: expected {shape(like)}, got a ragged list"
    if array.dtype.kind == "O" and all(isinstance(entry, Real) for entry in array.flat):  # fractions, among others
        array = array.astype(float)
    if array.dtype.kind not in "biuf":
        return NOTHING, f"{name}: expected {shape(like)}, got {kind(value)}"
    if like.ndim == 0 and array.size == 1:
        array = array.reshape(())
    if array.shape != like.shape:
        turned = ": transposed?" if array.ndim >= 2 and array.shape == (*like.shape[:-2], *like.shape[:-3:-1]) else ""
        return NOTHING, f"{name}: expected {shape(like)}, got {shape(array)}{turned}"
    return array.astype(float), ""


def agree(g: Any, e: Any, tolerance: float) -> bool:
    """Equal within ``tolerance`` relative to the largest entry of ``e``."""
    g, e = np.asarray(g, float), np.asarray(e, float)
    return g.shape == e.shape and bool(np.isfinite(g).all()) and bool((np.abs(g - e) <= tolerance * _size(e)).all())


def off(g: Array, e: Any, tolerance: float) -> Array:
    """Which entries are off, by the measure of :func:`agree`."""
    e = np.asarray(e, float)
    return ~(np.abs(g - e) <= tolerance * _size(e))  # an entry that is no number is off


def _size(e: Array) -> float:
    return float(np.abs(e).max(initial=0.0)) or 1.0


def same(a: Any, b: Any) -> bool:
    """Whether an input is unchanged, bit for bit."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and np.array_equal(a, b)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return not isinstance(a, Number | str) or a == b


def raised(error: BaseException, function: Callable[..., Any]) -> str:
    """An exception in words, with the last of the student's own lines on its way: not the library's where it was noticed."""
    own = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is the call by the check
    theirs = [f for f in frames if f.filename == own or not f.filename.startswith(("<", *LIBRARIES))]
    said = f"it raised {type(error).__name__}: {' '.join(str(error).split())[:160]}"
    if not theirs:
        return f"{said} (when it was called: does it take the inputs that are given?)"
    return f"{said} (your line {theirs[-1].lineno}{f': {theirs[-1].line}' if theirs[-1].line else ''})"


@contextmanager
def watched(functions: Sequence[Callable[..., Any]]) -> Iterator[set[str]]:
    """The names of those among ``functions`` that are called inside."""
    codes, called = {function.__code__: function.__name__ for function in functions}, set[str]()

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code in codes:
            called.add(codes[frame.f_code])

    before = sys.getprofile()
    if codes:
        sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before)


def shape(array: Array) -> str:
    """A shape in words."""
    return "a number" if array.ndim == 0 else f"shape {array.shape}"


def kind(value: Any) -> str:
    """A type in words."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, shape {value.shape}"
    return f"{value!r}" if isinstance(value, Number | bool) else f"a {type(value).__name__}"
