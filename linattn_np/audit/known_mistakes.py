"""What known mistake would explain a wrong number: a factor, a transposition, a missing use. Words for the reader."""

from typing import Any

import numpy as np

from .._types import Array
from .patterns import pattern
from .row import place

UNEXPLAINED = "no factor, transposition or single use explains it"  # the others are closer to the mistake, and are named first


def explain(
    got: Any, true: Array, lines: dict[str, Array], worst: Any, arrays: dict | None = None, references: dict | None = None
) -> str:
    """The known mistake that turns ``true`` into ``got``, in words; where they differ most when none fits.

    arrays: of theta, of which the error may be a multiple; references: the derivatives by the other arrays.
    """
    seen = ~np.isnan(true)
    g, c = np.where(seen, got, 0.0), np.where(seen, true, 0.0)
    if not np.isfinite(g).all():
        return f"{np.sum(~np.isfinite(g))} of {g.size} entries are not finite numbers"
    if not g.any():
        return "all entries are zero: never written"
    factor = factor_between(g, c)
    if factor is not None and np.abs(g - factor * c).max() < 1e-3 * np.abs(g - c).max():
        return factor_in_words(factor)
    if seen.all() and g.ndim >= 2 and g.shape[-1] == g.shape[-2] and close(g.swapaxes(-1, -2), c):
        return "transposed"
    for name, line in lines.items():
        if line.shape != g.shape or not seen.all():
            continue
        times = factor_between(c - g, line)
        if times is not None:
            return use_in_words(name, times)
    looks = pattern(np.asarray(got), np.asarray(true), arrays or {}, references or {})
    if looks:
        return looks
    off = np.mean(np.abs(g - c) > 1e-9 * np.abs(c).max())
    return f"{UNEXPLAINED}: {100 * off:.0f} % of the entries are off, most at {place(worst) or 'the only one'}"


def explain_line(formula: str, dx: Array, W: Any, true: Array, got: Any, lines: dict[str, Array]) -> str:
    """The note of a wrong line: its formula, and the known mistake where a few random products already tell."""
    says = f"should be {formula}" if formula else "this line differs from the derivative"
    with np.errstate(all="ignore"):
        ratios = got / true
    if np.isfinite(ratios).all() and np.ptp(ratios) <= 1e-8 * np.abs(ratios).max():
        return f"{says}; {factor_in_words(ratios.mean())}"
    if dx.ndim >= 2 and dx.shape[-1] == dx.shape[-2]:
        turned = np.array([(dx.swapaxes(-1, -2) * w).sum() for w in W])
        if np.abs(turned - true).max() <= 1e-9 * np.abs(true).max():
            return f"{says}; transposed"
    for name, line in lines.items():
        if line is not dx and line.shape == dx.shape:
            along = np.array([(line * w).sum() for w in W])
            times = factor_between(true - got, along)
            if times is not None:
                return f"{says}; {use_in_words(name, times)}"
    return says


def factor_between(a: Array, b: Array) -> float | None:
    """k when a = k b to nine digits, else None."""
    square = (b * b).sum()
    if not square:
        return None
    k = float((a * b).sum() / square)
    return k if k and np.abs(a - k * b).max() <= 1e-9 * np.abs(a).max() else None


def close(a: Array, b: Array) -> bool:
    """Equal to nine digits of the largest entry."""
    return np.abs(a - b).max() <= 1e-9 * np.abs(b).max()


def factor_in_words(k: float) -> str:
    """A constant factor as a sentence."""
    if abs(k) < 1e-9:
        return "it is zero where the derivative is not"
    if abs(k + 1) < 1e-9:
        return "the sign is wrong"
    if abs(k) > 1.5 and abs(k - round(k)) < 1e-7 * abs(k):
        return f"every entry is {round(k)} times the derivative: is a factor 1/{abs(round(k))} missing?"
    if abs(1 / k) > 1.5 and abs(1 / k - round(1 / k)) < 1e-7 / abs(k):
        return f"every entry is 1/{round(1 / k)} of the derivative: is a factor {abs(round(1 / k))} missing?"
    if abs(k - 1) < 1e-6:
        return f"every entry is off by {k - 1:.1e} of itself: a rounded constant?"
    return f"every entry is {k:.10g} times the derivative"


def fraction(k: float) -> str:
    """A factor in the shortest words: -1, 2, 1/2, 0.7."""
    if abs(k - round(k)) < 1e-7 * abs(k):
        return f"{round(k)} times"
    if abs(1 / k - round(1 / k)) < 1e-7 / abs(k):
        return f"{'-' if k < 0 else ''}1/{abs(round(1 / k))}"
    return f"{k:.6g} times"


def use_in_words(name: str, k: float) -> str:
    """A sum that is off by k times one of its contributions."""
    if abs(k - 1) < 1e-9:
        return f"the contribution {name} is missing"
    if abs(k + 1) < 1e-9:
        return f"the contribution {name} is counted once too often"
    if abs(k - 2) < 1e-9:
        return f"the contribution {name} has the wrong sign"
    return f"off by {k:.6g} times {name}"
