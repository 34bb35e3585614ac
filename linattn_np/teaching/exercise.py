"""Exercises as data: what is asked, the right answer, the inputs it is tried on, and the classic slips, each with its hint.

The exercises of lesson 03 stand in ``exercises/lesson_03.py`` as a tuple ``EXERCISES``; a new lesson needs no
more than a new file there.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from ..audit import mutation as planted
from . import exercises

BY_DIFFERENCES, BY_HAND = 1e-5, 5e-3  # tolerances of Exercise, beside 1e-9: a second difference, three digits
POINTS = ({"B": 3, "n": 7, "d": 5, "H": 2}, {"B": 2, "n": 11, "d": 3, "H": 1})  # n, N = n+1, d, D = d+1, B all differ
FORM = re.compile(r"(\d\d[a-z]?)\.t?\d+")


@dataclass(frozen=True)
class Slip:
    """A classic wrong answer: a function like the reference (or a value), and the hint for whoever gives it."""

    hint: str
    wrong: Any


@dataclass(frozen=True)
class Exercise:
    """One exercise, "03.4", or one question of an exit ticket, "03.t1".

    With ``inputs`` the answer is a function: ``reference(*inputs(rng, sizes))`` is the right result, ``sizes`` one of POINTS and
    ``names`` what is returned, in order. Without, the answer is a value, ``reference``: a number, an array, or a string, such as
    the letter of a choice. ``forbids`` names functions of the library that the answer may not call, where one of them is the
    answer.

    ``tolerance`` is relative to the largest entry of each result. 1e-9 is what is left of 1e-16 by some thousand operations on
    generic numbers, and far below any slip; a finite difference (1e-5), a number worked by hand to three digits (5e-3) and one
    that is measured from random prompts (as the exercise says) are accepted where the exercise does not forbid them.
    """

    id: str
    asks: str
    reference: Any
    inputs: Callable[..., tuple] | None = None
    names: tuple[str, ...] = ("result",)
    slips: tuple[Slip, ...] = ()
    tolerance: float = 1e-9
    forbids: tuple[Callable[..., Any], ...] = ()

    def __post_init__(self) -> None:
        if not FORM.fullmatch(self.id):
            raise ValueError(f"id: expected a form such as 03.4, 03.t1 or 05b.2, got {self.id!r}")
        if self.inputs is not None and not callable(self.reference):
            raise ValueError(f"reference of {self.id}: expected a function, since there are inputs")

    @property
    def arguments(self) -> list[str]:
        """The names of the inputs, as the reference calls them."""
        return list(inspect.signature(self.reference).parameters)


def choice(id: str, asks: str, right: str, **wrong: str) -> Exercise:
    """A question with lettered answers: ``right`` is a letter, ``wrong`` maps each other letter to what it overlooks."""
    return Exercise(id, asks, right, slips=tuple(Slip(hint, letter) for letter, hint in wrong.items()))


def from_catalogue(call: Callable[..., Any], *ids: str) -> tuple[Slip, ...]:
    """Slips from the audit's catalogue of wrong derivations: ``call(module, *inputs)`` answers with the mutated module.

    The hint names the slip, the line to look at, and its equation.
    """
    known = {mutation.id: mutation for mutation in planted.CATALOGUE}
    slips = []
    for id in ids:
        if id not in known:
            raise ValueError(f"ids: expected entries of the audit's catalogue, got {id!r}")
        mutation = known[id]
        words = dict.fromkeys(filter(None, (mutation.hint, mutation.slip)))
        equation = f" ({mutation.equation})" if mutation.equation else ""
        slips.append(Slip(f"{'; '.join(words)}. Look at {mutation.line}{equation}", _mutated(call, mutation)))
    return tuple(slips)


def _mutated(call: Callable[..., Any], mutation: Any) -> Callable[..., Any]:
    """A function like the reference that answers as the mutated module does."""

    def wrong(*inputs: Any) -> Any:
        return call(planted.apply(mutation), *inputs)

    return wrong


def lessons_with_exercises() -> list[str]:
    """The numbers of the lessons that have exercises, in order."""
    return sorted(module.name.removeprefix("lesson_") for module in iter_modules(exercises.__path__))


def of_lesson(number: str) -> dict[str, Exercise]:
    """The exercises of a lesson, {id: Exercise}; none when it has no file."""
    if number not in lessons_with_exercises():
        return {}
    listed = import_module(f".exercises.lesson_{number}", __package__).EXERCISES
    found = {exercise.id: exercise for exercise in listed}
    if len(found) != len(listed) or any(not id.startswith(f"{number}.") for id in found):
        raise ValueError(f"EXERCISES of lesson {number}: expected distinct ids that begin with {number}.")
    return found


def find(id: str) -> Exercise:
    """The exercise ``id``. Raises ValueError that lists what there is."""
    form = FORM.fullmatch(id) if isinstance(id, str) else None
    if form is None:
        raise ValueError(f"id: expected a string such as '02.3' or '02.t1', got {id!r}")
    known = of_lesson(form[1])
    if id not in known:
        raise ValueError(f"id: expected one of {', '.join(known) or f'none, as lesson {form[1]} has no exercises'}, got {id!r}")
    return known[id]
