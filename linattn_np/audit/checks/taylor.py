"""The Taylor test: along a line, the remainder after the gradient falls with slope 2, after the Hessian with slope 3.

phi(t) = f(theta + t v),  a_k = phi^(k)(0) / k!
R1(t) = |phi(t) - phi(0) - t <g, v>|           = |a_2| t^2 + ...        slope 2 if and only if <g, v> = a_1
R2(t) = |phi(t) - phi(0) - t <g, v> - t^2 v'Hv / 2| = |a_3| t^3 + ...   slope 3 if also v'Hv / 2 = a_2
A slope read off between any two rungs proves nothing: below, rounding takes over; above, the next power does. Which rungs
count is therefore decided before g or H is looked at, from the forward alone: a_2, a_3 and a_4 come from complex steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..._types import Array
from ..oracle import Oracle
from ..row import CANNOT_JUDGE, OK, WRONG, Row
from ..subject import Subject, call, copied, inner, moved
from ..trust import CannotJudge, OutOfTime

RUNGS = 2.0 ** -np.arange(2, 31)  # t = 2^-k, k = 2..30
FEWEST = 6
BANDS = {2: 0.05, 3: 0.1}
KEPT: WeakKeyDictionary[Oracle, dict[int, Any]] = (
    WeakKeyDictionary()
)  # the lines of an oracle, which serves many backward functions: {oracle: {order: lines}}


@dataclass(frozen=True)
class Rungs:
    """A random line v with what the forward alone says about it: phi(t) - phi(0), and the rungs that count."""

    v: dict
    rise: np.ndarray
    floor: float
    counted: np.ndarray
    straight: bool  # f has no power of this order along v


def find_lines(oracle: Oracle, order: int, wanted: int = 3, draws: int = 60) -> tuple[list[Rungs], str]:
    """Random lines, never the gradient itself, on which a slope of ``order`` can be seen. -> (lines, why not more)

    A line counts when at least six rungs lie between rounding and the next power, and the forward keeps to its own expansion
    there (a kink between two rungs breaks it).
    """
    found: list[Rungs] = []
    why: dict[str, int] = {}
    for _ in range(draws if sum(array.size for array in oracle.subject.theta.values()) < 100_000 else 3):
        v = oracle.direction()
        phi = oracle.on_line(v)
        try:
            a = expansion(oracle, v)
        except OutOfTime:
            raise
        except CannotJudge as error:
            why[str(error)] = why.get(str(error), 0) + 1
            continue
        rise, floor = np.array([phi(t) for t in RUNGS]) - oracle.value, 100 * _rounding(phi)
        true = rise - RUNGS * a[1] - (RUNGS**2 * a[2] if order == 3 else 0.0)  # the remainder that the forward itself has
        counted, straight, reason = usable(np.abs(true), a, order, floor)
        if not reason:
            found.append(Rungs(v, rise, floor, counted, straight))
        why[reason] = why.get(reason, 0) + 1
        if len(found) == wanted:
            return found, ""
    why.pop("", None)
    return (
        found,
        f"{len(found)} of {draws} random lines have {FEWEST} usable rungs; most often {max(why, key=lambda reason: why[reason])}",
    )


def lines_of(oracle: Oracle, order: int) -> tuple[list[Rungs], str]:
    """:func:`find_lines`, once for each oracle and order."""
    kept = KEPT.setdefault(oracle, {})
    if order not in kept:
        kept[order] = find_lines(oracle, order)
    return kept[order]


def check_taylor(subject: Subject, oracle: Oracle, gradient: dict[str, Array]) -> tuple[list[Row], list[dict[str, Any]]]:
    """The slopes along lines chosen without g and H. -> rows and the behind behind them; CANNOT JUDGE where lines are missing"""
    rows, behind = [], []
    for order in (2, 3) if subject.hvp else (2,):
        found, why = lines_of(oracle, order)
        for i, line in enumerate(found):
            seen = _climb(subject, oracle, gradient, line, order)
            behind.append(seen)
            rows.append(_row(seen, f"order {order}, line {i + 1}"))
        if why and order == 3:  # the first derivative has other judges
            rows.append(Row("taylor", f"order {order}", None, None, None, BANDS[order], CANNOT_JUDGE, why))
    return rows, behind


def _climb(subject: Subject, oracle: Oracle, gradient: dict[str, Array], line: Rungs, order: int) -> dict[str, Any]:
    """The remainders along one line, with the slope through the rungs that count."""
    own = RUNGS * inner(gradient, line.v)
    if order == 3 and subject.hvp:
        Hv = call("hvp", subject.hvp, copied(subject.theta), oracle.cotangent, line.v)
        own = own + RUNGS**2 * inner(line.v, Hv) / 2
    remainder, counted = np.abs(line.rise - own), line.counted
    seen = {"order": order, "t": list(RUNGS), "remainder": list(remainder), "counted": [bool(c) for c in counted]}
    if line.straight:
        return {**seen, "slope": None, "left": float(remainder[counted].max() / line.floor)}
    x, y = np.log2(RUNGS[counted]), np.log2(np.maximum(remainder[counted], 1e-300))
    return {**seen, "slope": float(np.polyfit(x, y, 1)[0])}


def _row(seen: dict[str, Any], quantity: str) -> Row:
    order, slope, band = seen["order"], seen["slope"], BANDS[seen["order"]]
    if slope is None:  # no power is left: the remainder itself must vanish
        left = seen["left"]
        note = "" if left <= 10 else "the remainder does not vanish, though f has no higher power here"
        return Row("taylor", quantity, None, None, left, 10.0, WRONG if note else OK, note)
    note = "" if abs(slope - order) <= band else f"the remainder falls with slope {slope:.3f}, not {order}"
    return Row("taylor", quantity, slope, float(order), abs(slope - order), band, WRONG if note else OK, note)


def expansion(oracle: Oracle, v: dict[str, Array], step: float = 2.0**-12) -> Array:
    """a_0..a_4 of phi at 0: phi' by complex steps at five points, and a quartic through them."""
    at = np.arange(-2, 3)
    slopes = np.array([oracle.along(v, moved(oracle.subject.theta, v, k * step)) for k in at])
    powers = np.linalg.solve(np.vander(at, increasing=True).astype(float), slopes)  # of t / step
    powers[np.abs(powers) < 2.0**-46 * np.abs(slopes).max()] = 0.0  # rounding, not a power
    return np.array([oracle.value, *(powers[:4] / (step ** np.arange(4) * np.arange(1, 5)))])


def usable(true: Array, a: Array, order: int, floor: float) -> tuple[Array, bool, str]:
    """Which rungs count for a slope of ``order``. -> (mask, whether f has no such power, why not)

    Above the floor of rounding: |a_k| t^k >= floor. Below the next power: its share of the remainder at most 3 % for slope 2,
    10 % for slope 3, so that the slope stays inside its band. And the remainder of the forward keeps to a_k t^k + a_(k+1)
    t^(k+1): from the first rung that does not, upwards, none counts.
    """
    powers = np.abs(a)[:, None] * RUNGS ** np.arange(5)[:, None]  # (power, rung)
    lead, following = powers[order], powers[order + 1 :].sum(axis=0)
    straight = bool(lead[0] + following[0] < floor)
    if straight:
        counted, keeps = np.arange(len(RUNGS)) < 2 * FEWEST, true <= 5 * floor
    else:
        share = {2: 0.03, 3: 0.1}[order]
        counted = (lead >= floor) & (following <= share * lead)
        keeps = np.abs(true - lead) <= 2 * share * lead + floor
    broken = np.flatnonzero(counted & ~keeps)  # rungs are in falling order of t
    if len(broken):
        counted[: broken[-1] + 1] = False
    if counted.sum() >= FEWEST:
        return counted, straight, ""
    if len(broken):
        return counted, straight, "forward leaves its own expansion between the rungs: a kink nearby"
    return counted, straight, f"only {counted.sum()} rungs lie between rounding and the next power"


def _rounding(phi: Callable[[float], float]) -> float:
    """The rounding of phi near 0: what is left of values at neighbouring points when a straight line is taken away."""
    t = np.arange(-6, 7)
    values = np.array([phi(k * 2.0**-46) for k in t])
    left = values - np.polyval(np.polyfit(t, values, 1), t)
    return max(float(np.sqrt(np.mean(left**2))), 2.0**-53 * float(np.abs(values).max()), 1e-300)
