"""Tables written down instead of trained: widths that are enough, and the state that linear attention keeps."""

from collections.abc import Callable
from math import ceil, cos, pi, sqrt

import numpy as np

from ...._checks import as_count, as_numbers
from ...._types import Array
from .readout import forward

SHARP = 3.0  # a softmax key's neighbours weigh exp(-9) of it


def packed(L: int) -> Array:
    """Tables (4, L, D) with D = ceil(sqrt(L)) that recall every bit exactly (23.6): item i stands in row i div D, column i mod D.

    k_i = e_row, r_i = e_column, q_j = sqrt(D) e_row, u_j = e_column, so that M = I and the state is the bits, D to a row.
    Raises ValueError for L below 1. Derived in lesson 23.
    """
    D = ceil(sqrt(as_count("L", L)))
    row, column = np.divmod(np.arange(L), D)
    rows, columns = np.eye(D)[row], np.eye(D)[column]
    return np.stack([sqrt(D) * rows, rows, columns, columns])


def one_hot(L: int) -> Array:
    """Tables (2, L, L) of "plain" attention that recall every bit: a column for each item, which is the least that it can do."""
    eye = np.eye(as_count("L", L))
    return np.stack([sqrt(L) * eye, eye])


def circle(L: int, slots: int) -> Array:
    """Tables (2, L, 2) of softmax attention: item i has the angle 2 pi (i mod slots) / slots, on a circle wide enough.

    Its neighbours weigh exp(-9) of it, so that among any ``slots`` items in a row each is recalled: width 2 for every L.
    Raises ValueError for sizes below 1.
    """
    at = np.arange(as_count("L", L)) % as_count("slots", slots)
    length = SHARP / sqrt(1 - cos(2 * pi / slots)) if slots > 1 else SHARP
    angle = 2 * pi * at / slots
    keys = length * np.stack([np.cos(angle), np.sin(angle)], axis=-1)  # (L, 2)
    return np.stack([keys, keys])


def state_after(tables: Array, bits: Array) -> Array:
    """What linear attention keeps of the items (23.3): sum over i of k_i (s_i r_i)^T.

    tables (4, L, D), bits (..., t) of the first t items -> (..., D, D): its size does not grow with t. Cost O(t D^2).
    """
    _, k, _, r = as_numbers("tables", tables, 3)
    t = np.shape(bits)[-1]
    return k[:t].T @ (np.asarray(bits)[..., None] * r[:t])


def read_state(tables: Array, state: Array) -> Array:
    """The answers of all queries from the state alone (23.3): q_j^T state u_j / sqrt(D). -> (..., L). Cost O(L D^2)."""
    q, _, u, _ = as_numbers("tables", tables, 3)
    return ((q @ state) * u).sum(axis=-1) / sqrt(q.shape[-1])


# ---------------------------------------------------------------- the constructions, judged


def check_packed() -> float:
    """How far M is from I, at a length that is no square."""
    return float(np.abs(forward(packed(23), "linear")[0] - np.eye(23)).max())


def check_one_hot() -> float:
    """How far M is from I."""
    return float(np.abs(forward(one_hot(7), "plain")[0] - np.eye(7)).max())


def check_circle() -> float:
    """How much more than 5 e^-9 the wrong items of a window weigh, beside the right one."""
    A = forward(circle(8, 8), "softmax")[0]
    return float(max(0.0, (1 / A.diagonal() - 1).max() - 5 * np.exp(-9)))


def check_state() -> float:
    """How far the answers from the state are from M s, on generic tables."""
    rng = np.random.default_rng(1)
    tables, bits = rng.standard_normal((4, 11, 3)), rng.standard_normal((2, 11))
    return float(np.abs(read_state(tables, state_after(tables, bits)) - bits @ forward(tables, "linear")[0].T).max())


CHECKS: dict[str, Callable[[], float]] = {
    "packed": check_packed, "one_hot": check_one_hot, "circle": check_circle, "state": check_state,
}  # fmt: skip
