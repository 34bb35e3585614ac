"""What an error looks like: constant along an axis, a multiple of another array, only some slices, shifted, swapped, small.

Each sentence starts with STARTS, so that a report can put slips that are named exactly before patterns.
"""

from collections.abc import Iterator

import numpy as np

from .._types import Array

STARTS = "the error "
Named = dict[str, Array]


def pattern(g: Array, c: Array, arrays: Named, references: Named) -> str:
    """What the difference between ``g`` and the derivative ``c`` looks like, in words; empty when like nothing known.

    arrays: what the error may be a multiple of, by name. references: the derivatives by the other arrays.
    """
    g, c, arrays = _seen(g, c, arrays)
    e, scale = g - c, np.abs(c).max(initial=0.0) or 1.0
    if np.array_equal(g, np.float32(g)) and np.abs(e).max() < 1e-6 * scale:
        return f"{STARTS}is that of single precision: a float32 inside?"
    for sentence in (*_moved(g, c), *_swapped(g, references), *_slices(g, c, e), *_factors(g, c), *_along(e, arrays)):
        return STARTS + sentence
    if np.abs(e).max() < 1e-6 * scale and np.mean(np.abs(e) > 1e-14 * scale) > 0.3:
        return f"{STARTS}is small, {np.abs(e).max() / scale:.0e}: differences, single precision or a rounded constant inside?"
    return ""


def _seen(g: Array, c: Array, arrays: Named) -> tuple[Array, Array, Named]:
    """The block of entries whose derivative is known."""
    known = ~np.isnan(c)
    same = {name: a for name, a in arrays.items() if np.shape(a) == np.shape(c)}
    if known.all() or not c.ndim:
        return g, c, same
    kept = [np.flatnonzero(known.any(axis=tuple(b for b in range(c.ndim) if b != a))) for a in range(c.ndim)]
    block = np.ix_(*kept)
    return (g[block], c[block], {n: a[block] for n, a in same.items()}) if not np.isnan(c[block]).any() else (g[:0], c[:0], {})


def _close(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.size > 0 and bool(np.abs(a - b).max() <= 1e-7 * np.abs(b).max(initial=0.0))


def _moved(g: Array, c: Array) -> Iterator[str]:
    """Reversed or shifted along an axis."""
    for axis in range(c.ndim):
        if c.shape[axis] > 2 and _close(g, np.flip(c, axis)):
            yield f"is an order: reversed along axis {axis}"
        for k in range(1, min(c.shape[axis], 6)) if c.shape[axis] > 2 else ():
            for way in (k, -k):
                cut = [slice(None)] * c.ndim
                cut[axis] = slice(k, None) if way > 0 else slice(None, -k)
                if _close(g[tuple(cut)], np.roll(c, way, axis)[tuple(cut)]):
                    yield f"is a shift by {way} along axis {axis}"


def _swapped(g: Array, references: Named) -> Iterator[str]:
    """The gradient of another array in this one's place."""
    for name, other in references.items():
        if not np.isnan(other).any() and _close(g, other):
            yield f"is an exchange: this is the gradient of {name}"
        elif other.ndim == 2 and g.ndim == 2 and not np.isnan(other).any() and _close(g, other.T):
            yield f"is an exchange: this is the gradient of {name}, transposed"


def _slices(g: Array, c: Array, e: Array) -> Iterator[str]:
    """Some slices along an axis are right, the others are not."""
    off = np.abs(e) > 1e-7 * np.abs(c).max(initial=0.0)
    for axis in range(c.ndim):
        others = tuple(a for a in range(c.ndim) if a != axis)
        hit = off.any(axis=others)
        if not 0 < hit.sum() < hit.size:
            continue
        at = np.flatnonzero(hit)
        which = ", ".join(map(str, at[:6])) + (", ..." if len(at) > 6 else "")
        unwritten = not np.take(g, at, axis).any()
        why = ", where nothing was written" if unwritten else "; is an index repeated there, and overwritten (np.add.at)?"
        yield f"is in {len(at)} of {hit.size} slices of axis {axis} only: [{which}]{why}"


def _factors(g: Array, c: Array) -> Iterator[str]:
    """One factor for each slice along an axis: a row, a head."""
    for axis in range(c.ndim):
        rows, true = (np.moveaxis(a, axis, 0).reshape(a.shape[axis], -1) for a in (g, c))
        squares = (true * true).sum(1)
        if rows.shape[1] < 2 or rows.shape[0] < 2 or not squares.all():
            continue
        k = (rows * true).sum(1) / squares
        if np.abs(k - 1).max() > 1e-6 and np.abs(rows - k[:, None] * true).max() <= 1e-7 * np.abs(true).max():
            yield (
                f"is one factor for each slice of axis {axis}: "
                f"{', '.join(f'{x:.4g}' for x in k[:4])}{', ...' if len(k) > 4 else ''}"
            )


def _along(e: Array, arrays: Named) -> Iterator[str]:
    """Constant along an axis, or a multiple of an array for each slice of the others."""
    top = np.abs(e).max(initial=0.0)
    for axis in range(e.ndim):
        if e.shape[axis] > 1 and np.abs(e - e.mean(axis, keepdims=True)).max() <= 1e-7 * top:
            yield f"is constant along axis {axis}: a term with a mean or a sum over it?"
        for name, a in arrays.items():
            squares = (a * a).sum(axis, keepdims=True)
            if e.shape[axis] > 1 and squares.all():
                k = (e * a).sum(axis, keepdims=True) / squares
                if np.abs(e - k * a).max() <= 1e-7 * top:
                    yield f"is a multiple of {name} for each slice along axis {axis}: a projection, or a normaliser?"
