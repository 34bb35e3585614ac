"""A dynamic program whose steps are answered by attention, which reads its own earlier answers.

State i is dp_i = s_i dp_h(i) with dp_0 = s_0: a bit that the input gives, times an earlier state, the parent h(i) < i. The model
writes dp_i at position i and needs dp_h(i): it recalls the sign of sum over i' < i of M_{h(i), i'} dp_i', with the dp that it
wrote itself. One wrong answer makes all states wrong that descend from it. The final answer is the last state.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...._checks import as_count, as_numbers
from ...._types import Array


class Programs(NamedTuple):
    """Programs with their bits, their parents, and their states."""

    bits: Array  # (B, L), 1.0 or -1.0
    parents: Array  # (B, L), integers below the place; 0 at place 0, where there is none
    states: Array  # (B, L), 1.0 or -1.0


def programs(count: int, L: int, rng: np.random.Generator, reach: int | None = None) -> Programs:
    """``count`` random programs of length L; each parent is uniform among the last ``reach`` places, None: among all before.

    Raises ValueError for sizes below 1.
    """
    count, L = as_count("count", count), as_count("L", L)
    reach = L if reach is None else as_count("reach", reach)
    bits = rng.integers(2, size=(count, L)) * 2.0 - 1.0
    farthest = np.minimum(np.arange(L), reach)  # how many places there are to choose from
    back = 1 + np.floor(rng.random((count, L)) * farthest).astype(int)  # 1 to farthest
    parents = np.maximum(np.arange(L) - back, 0)
    states = bits.copy()
    for i in range(1, L):
        states[:, i] *= states[np.arange(count), parents[:, i]]
    return Programs(bits, parents, states)


def answers(M: Array, asked: Programs, window: int | None = None) -> Array:
    """The states (B, L) that the model writes, each from its own earlier ones.

    M (L, L), row j what query j does with the items; window: only the last so many items are there, None: all. A recalled 0
    counts as 1. Raises ValueError for an M of another size. Cost O(B L^2).
    """
    M = as_numbers("M", M, 2)
    bits, parents, _ = asked
    if M.shape != (bits.shape[1], bits.shape[1]):
        raise ValueError(f"M: expected shape {(bits.shape[1], bits.shape[1])}, as long as the programs, got {M.shape}")
    written = bits.copy()
    for i in range(1, bits.shape[1]):
        first = 0 if window is None else max(0, i - window)
        recalled = (M[parents[:, i], first:i] * written[:, first:i]).sum(axis=-1)  # (B,)
        written[:, i] *= np.where(recalled < 0, -1.0, 1.0)
    return written


def final_accuracy(M: Array, asked: Programs, window: int | None = None) -> float:
    """The share of programs whose last state is right."""
    return float((answers(M, asked, window)[:, -1] == asked.states[:, -1]).mean())


def recall_accuracy(M: Array, asked: Programs) -> float:
    """The share of single bits recalled right when all items are there and right: the sign of M s against s."""
    return float(((asked.bits @ M.T >= 0) == (asked.bits > 0)).mean())


def multiplications(L: int, D: int, kind: str, window: int | None = None) -> int:
    """Multiplications of L causal steps: "linear" writes and reads a D x D state, "softmax" compares with all items so far.

    2 L D^2 for "linear"; D for a score and 1 for a value at each of the items there, for "softmax" (at most ``window`` of them).
    Raises ValueError for sizes below 1 and another kind.
    """
    L, D = as_count("L", L), as_count("D", D)
    if kind == "linear":
        return 2 * L * D * D
    if kind != "softmax":
        raise ValueError(f"kind: expected 'linear' or 'softmax', got {kind!r}")
    there: Sequence[int] = range(1, L + 1)
    return (D + 1) * sum(min(t, window or L) for t in there)
