"""Which mistake explains a wrong answer. Only what people do is named, and nothing that gives the right value away.

A hint is a slip of the exercise, or one of: the sign, a factor 2, n, B or n/(n+1), a transposition, nothing but zeros, an array
that is right to a few digits (of a single number that is never said: it would lead to the right one). It must explain the
answer at every point at which the exercise is tried; a factor that fits at one of them by accident is not named.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .._types import Array
from ..audit.known_mistakes import factor_between
from .answers import agree, off
from .exercise import POINTS, Exercise

FEW_DIGITS = 1e-4  # what differences and float32 reach at least, and no slip


@dataclass
class Point:
    """An exercise at one of its sizes: the inputs, the right results, and what each slip gives there."""

    exercise: Exercise
    sizes: dict[str, int]
    inputs: tuple[Any, ...]

    @cached_property
    def expected(self) -> list[Any]:
        """The right results, in the order of ``exercise.names``."""
        return outputs(self.exercise.reference(*copy.deepcopy(self.inputs)))

    @cached_property
    def slips(self) -> list[list[Any]]:
        """The results of each slip."""
        return [outputs(slip.wrong(*copy.deepcopy(self.inputs))) for slip in self.exercise.slips]

    @cached_property
    def letters(self) -> dict[str, int]:
        """The values of n and B, where the inputs have such a number or an axis of that length."""
        arguments = dict(zip(self.exercise.arguments, self.inputs, strict=True))
        axes = {length for x in self.inputs if isinstance(x, np.ndarray) for length in x.shape}
        first = {x.shape[0] for x in self.inputs if isinstance(x, np.ndarray) and x.ndim}
        found = {}
        for name, there in (("n", {self.sizes["n"], self.sizes["n"] + 1} & axes), ("B", {self.sizes["B"]} & first)):
            if isinstance(arguments.get(name), int):
                found[name] = arguments[name]
            elif there:
                found[name] = self.sizes[name]
        return found


def points_of(exercise: Exercise) -> list[Point]:
    """The exercise at each of POINTS, always the same inputs."""
    draw = exercise.inputs
    assert draw is not None
    return [Point(exercise, sizes, draw(np.random.default_rng(at), sizes)) for at, sizes in enumerate(POINTS)]


def outputs(result: Any) -> list[Any]:
    """What a function returned, as a list."""
    return list(result) if isinstance(result, tuple) else [result]


def explained(points: Sequence[Point], answers: Sequence[Sequence[Array]]) -> str:
    """The mistake that gives these answers at all of the points, or ''."""
    exercise = points[0].exercise
    for at, slip in enumerate(exercise.slips):
        if all(
            all(agree(g, w, exercise.tolerance) for g, w in zip(got, point.slips[at], strict=True))
            for point, got in zip(points, answers, strict=True)
        ):
            return slip.hint
    for at, name in enumerate(exercise.names):
        pairs = [(got[at], np.asarray(point.expected[at], float)) for point, got in zip(points, answers, strict=True)]
        if all(agree(g, e, exercise.tolerance) for g, e in pairs):
            continue
        said = common([known(g, e, point.letters) for (g, e), point in zip(pairs, points, strict=True)])
        return f"{name}: {said}" if said and len(exercise.names) > 1 else said
    return ""


def common(found: Sequence[Sequence[str]]) -> str:
    """The first mistake that is among those of every point."""
    return next((words for words in found[0] if all(words in others for others in found[1:])), "")


def known(g: Array, e: Array, letters: dict[str, int]) -> list[str]:
    """The mistakes that turn ``e`` into ``g``: a sign, a factor, a transposition, in words."""
    if not np.isfinite(g).all():
        return ["not all entries are finite numbers"]
    if not g.any():
        return ["all entries are zero: is the result ever written?"] if g.size > 1 else []
    named = [("the sign is wrong", -1.0), ("twice too large", 2.0), ("half of it: is a factor 2 missing?", 0.5)]
    for letter, k in letters.items():
        named += [(f"off by 1/{letter}", k), (f"divided by {letter} once too often", 1 / k)]
        named += [(f"off by {letter}/({letter}+1): 1/({letter}+1) in place of 1/{letter}", k / (k + 1))]
    factor = factor_between(g, e)
    found = [words for words, k in named if factor is not None and abs(factor / k - 1) < 1e-7]
    if e.ndim >= 2 and e.shape[-1] == e.shape[-2] and agree(g, np.swapaxes(e, -1, -2), 1e-9):
        found.append("transposed")
    if g.size > 1 and agree(g, e, FEW_DIGITS):
        found.append("right to a few digits only: is it a finite difference, or single precision?")
    return found


def where(name: str, g: Array, e: Any, tolerance: float) -> str:
    """How much of one result is off and where; never a value of the right one."""
    wrong = off(g, e, tolerance)
    count = int(wrong.sum())
    if not count:
        return f"{name} is right"
    if wrong.size == 1:
        return f"{name}: not the right value"
    if count == wrong.size:
        return f"{name}: all {wrong.size} entries are off"
    hit = [np.unique(indices) for indices in np.nonzero(wrong)]
    fixed = [str(at[0]) if len(at) == 1 < length else ":" for at, length in zip(hit, wrong.shape, strict=True)]
    place = f", at {name}[{', '.join(fixed)}]" if set(fixed) != {":"} else ""
    return f"{name}: {count} of {wrong.size} entries {'is' if count == 1 else 'are'} off{place}"
