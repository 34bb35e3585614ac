"""Which reference each array of theta has: the complex step where it agrees with differences, else the differences where they
settle, else none. At a kink there is no derivative, and the entries that are not at it are judged all the same.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .differences import STEPS, estimate, has_kink, sides

COMPLEX, DIFFERENCES = "complex step", "differences"
EPS = 2.0**-52


class CannotJudge(Exception):
    """The reference itself is not to be trusted here; the message says why."""


class OutOfTime(CannotJudge):
    """The time that was given for the audit is over."""


@dataclass(frozen=True)
class Trust:
    """The reference of one array: complex step, differences, either of them beside a kink, or nothing; and why."""

    kind: str  # COMPLEX, DIFFERENCES or "" (none)
    kink: bool = False  # some entries have no derivative
    reason: str = ""
    k: int = STEPS[0]  # the step 2^-k that suits differences


def compare(oracle: Any, name: str, tolerance: float) -> tuple[Trust, float, float, float]:
    """One array moving alone: which reference it has. -> (Trust, complex step, difference, error)"""
    v = oracle.direction([name])
    phi = oracle.on_line(v)
    found = estimate(phi)
    spread = max(float(np.nan_to_num(abs(phi(t) - oracle.value))) for t in (-0.125, 0.125))
    try:
        step, broken = oracle.along(v), ""
    except OutOfTime:
        raise
    except CannotJudge as error:
        step, broken = math.nan, str(error)
    scale = max(abs(x) for x in (step, found.value, 1e-6 * spread) if not math.isnan(x)) or 1e-300
    gap = abs(step - found.value)
    rounding, kinked = 64 * EPS * oracle.size, has_kink(phi, EPS * oracle.size)
    if not kinked and gap <= max(tolerance * scale, 10 * found.doubt * (found.doubt < 1e-3 * scale), rounding):
        return Trust(COMPLEX, k=found.k), step, found.value, gap / scale
    reason = broken or why(oracle, phi, step, found.value, found.doubt, scale)
    if not kinked and found.doubt <= max(1e-6 * scale, rounding):
        return Trust(DIFFERENCES, False, reason, found.k), step, found.value, found.doubt / scale
    moving = f" (moving {name} alone)" if len(oracle.subject.theta) > 1 else ""
    return Trust(beside(oracle, name, broken) if kinked else "", kinked, reason + moving, found.k), step, found.value, gap / scale


def beside(oracle: Any, name: str, broken: str) -> str:
    """What serves the entries of an array that are not at its kink: the complex step when it is right at most of them."""
    if broken:
        return DIFFERENCES
    size = oracle.step_size(name)
    some = oracle.rng.permutation(oracle.chosen[name])[:8]
    pairs = [(oracle.entry(name, i) * size, estimate(oracle.on_line(oracle.unit(name, i, size)))) for i in some]
    good = sum(abs(step - found.value) <= 1e-6 * abs(found.value) + 10 * found.doubt for step, found in pairs)
    return COMPLEX if 2 * good > len(pairs) else DIFFERENCES


def why(oracle: Any, phi: Callable, step: float, plain: float, doubt: float, scale: float) -> str:
    """Why the complex step and the differences disagree along one line."""
    right, left, _ = sides(phi)
    gap = abs(step - plain)
    if math.isnan(right) or math.isnan(left):
        return "forward is not defined on both sides of theta: choose a theta inside its domain"
    if (abs(right - left) > gap and min(abs(right - step), abs(left - step)) < gap / 4) or has_kink(phi):
        return f"forward has a kink here: its derivative is {left:.3e} from one side and {right:.3e} from the other"
    if doubt > 1e-7 * scale:
        return f"differences of forward do not settle (they vary by {doubt / scale:.0e}): a kink nearby, or noise"
    return f"the complex step gives {step:.3e} where differences of forward give {plain:.3e}{oracle.blame()}"
