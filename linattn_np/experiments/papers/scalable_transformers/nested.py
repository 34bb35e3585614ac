"""Nested widths: every narrower model is the leading block of every array of the wide one, and its gradient adds into that
block.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...._types import Array
from . import block
from .block import Params

FUSED = ("Wq", "Wk", "Wv")


def leading(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The slices that take the first so many entries of each axis."""
    return tuple(slice(0, size) for size in shape)


def cropped(params: Params, shapes: dict[str, tuple[int, ...]]) -> Params:
    """The leading block of each array (25.1), as views. Raises ValueError where an array is smaller than its block."""
    for name, shape in shapes.items():
        if any(have < want for have, want in zip(params[name].shape, shape, strict=True)):
            raise ValueError(
                f"width: expected at most that of the parameters, but {name} is {params[name].shape} and not {shape}"
            )
    return {name: params[name][leading(shape)] for name, shape in shapes.items()}


def crop(params: Params, width: int) -> Params:
    """The translating block of a narrower width: the first channels of everything (25.1).

    params as ``block.init`` makes them -> {name: a view of its leading block}; the feed-forward network stays four times as wide,
    and each head keeps its first width / H channels of Wq, Wk and Wv, each by itself. crop(crop(p, a), b) = crop(p, b) for b <=
    a. Raises ValueError for a width above that of the parameters, or one that is no multiple of H.
    """
    return cropped(params, block.shapes(width))


def add(total: Params, grads: Params) -> None:
    """Add a narrow model's gradients into the leading blocks of ``total`` (25.3), in place."""
    for name, grad in grads.items():
        total[name][leading(grad.shape)] += grad


def crop_fused(params: Params, width: int) -> Params:
    """What a crop of one fused matrix gives: the first 3 width rows of [Wq; Wk; Wv], cut in three. A trap, kept to be measured.

    Rows of the wide model's Wq become the narrow model's Wk, and so on; nothing else changes.
    """
    found = crop(params, width)
    wide = params["Wq"].shape[-1]
    fused = np.concatenate([params[name].reshape(wide, wide) for name in FUSED])  # (3 wide, wide)
    rows = fused[: 3 * width, :width].reshape(3, *found["Wq"].shape)
    return {**found, **dict(zip(FUSED, rows, strict=True))}


def add_fused(total: Params, grads: Params) -> None:
    """Add the gradients of :func:`crop_fused` where its rows came from, in place."""
    add(total, {name: grad for name, grad in grads.items() if name not in FUSED})
    width, wide = grads["Wq"].shape[-1], total["Wq"].shape[-1]
    fused = np.zeros((3 * wide, wide))
    fused[: 3 * width, :width] = np.concatenate([grads[name].reshape(width, width) for name in FUSED])
    for name, rows in zip(FUSED, fused.reshape(3, *total["Wq"].shape), strict=True):
        total[name] += rows


def rows_of_fused(wide: int, width: int) -> list[str]:
    """Which rows of which matrix the narrow q, k and v are after a fused crop: "q0" to "v" and so on, 3 width names."""
    return [f"{'qkv'[row // wide]}{row % wide}" for row in range(3 * width)]


# ---------------------------------------------------------------- the nesting, judged


def check_gradient(taken: Callable[..., Params] = crop, added: Callable[..., Any] = add) -> float:
    """How far the gradient of a narrow model's loss by the wide weights is from a complex step, along a direction of all of
    them.
    """
    rng = np.random.default_rng(3)
    params, x, _ = block.point()
    along = {name: rng.standard_normal(array.shape) for name, array in params.items()}
    cotangent = rng.standard_normal((3, block.T, block.V))
    moved = {name: array + 1e-30j * along[name] for name, array in params.items()}
    wanted = (block.forward(taken(moved, 4), x)[0].imag / 1e-30 * cotangent).sum()
    total = {name: np.zeros_like(array) for name, array in params.items()}
    added(total, block.backward(cotangent, block.forward(taken(params, 4), x)[1]))
    return float(abs(sum((total[name] * along[name]).sum() for name in total) - wanted) / abs(wanted))


def check_fused() -> float:
    """The same for the fused crop."""
    return check_gradient(crop_fused, add_fused)


def check_nesting() -> float:
    """How far a crop of a crop is from the crop, and a crop from the leading block written out."""
    params = block.point()[0]
    twice, once = crop(crop(params, 8), 4), crop(params, 4)
    gaps: list[Array] = [np.abs(twice[name] - once[name]).max() for name in once]
    gaps.append(np.abs(once["W1"] - params["W1"][:16, :4]).max())
    gaps.append(np.abs(once["Wo"] - params["Wo"][:, :4, :1]).max())
    return float(np.max(gaps))


CHECKS: dict[str, Callable[[], float]] = {"gradient": check_gradient, "fused": check_fused, "nesting": check_nesting}
