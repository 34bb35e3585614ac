"""Groups of parameters that share one number: a block is a matrix P_l,h or Q_l,h, a layer all matrices of one l.

For params (L, H, 2, k, k) the shape says what they are. A model whose params have another form may have a method ``groups(by)``,
by "block" or "layer", that numbers the groups of its entries from 0: integers, like params.
"""

from typing import NamedTuple

import numpy as np

from .._types import Array

GROUPINGS = ("coordinate", "block", "layer", "global")


class Grouping(NamedTuple):
    """The groups that an optimizer asks for, and the argument that made it ask."""

    argument: str
    by: str


def groups_by_shape(shape: tuple[int, ...], asked: Grouping, whose: str = "") -> Array:
    """The number of each entry's group for params of a shape. -> integers of that shape

    Raises ValueError for blocks or layers of anything but (L, H, 2, k, k), with the words ``whose`` in it.
    """
    if asked.by == "global":
        return np.zeros(shape, dtype=np.int64)
    if len(shape) != 5 or shape[2] != 2 or shape[3] != shape[4]:
        raise ValueError(
            f"{asked.argument}: expected params of shape (layers, heads, 2, k, k), or a model with a method groups, "
            f"for one number for each {asked.by}, got params of shape {shape}{whose}"
        )
    axes = 1 if asked.by == "layer" else 3
    count = int(np.prod(shape[:axes]))
    return np.broadcast_to(np.arange(count).reshape(shape[:axes] + (1,) * (5 - axes)), shape).copy()


def group_means(values: Array, live: Array, groups: Array) -> Array:
    """Each entry replaced by the mean of ``values`` over the live entries of its group, 0 where there are none. -> like values

    Sums run in the order of the entries, so the bits are the same on every machine.
    """
    labels = groups.ravel()
    sums, counts = np.bincount(labels, values.ravel()), np.bincount(labels, live.ravel())
    return (sums / np.maximum(counts, 1))[groups].astype(values.dtype)
