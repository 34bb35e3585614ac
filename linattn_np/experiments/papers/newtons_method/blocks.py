"""Weights that are typed in: layers whose tokens hold matrices in blocks of rows, and heads that multiply these blocks.

In columns, as the paper writes it, a layer of linear attention without a factor is

(19.3)  H' = H + sum_h V_h H M (K_h H M)^T (Q_h H)

which is ``general_attention`` with P_h = V_h and Q_h = K_h^T Q_h there, c = 1 and no skip. Let e[a] be the matrix that reads
block a of H, and let V write c times block a into block b. One head then adds to block b a product of three blocks:

(19.4)  V = c e[b]^T e[a],   K = e[k],   Q = e[q]:      b += c (a M) (k M)^T q

Nothing is learned and no gradient is taken: the numbers are 0, 1 and -1. Tokens are rows in our arrays. Source: arXiv 2403.03183,
sections 3.1 and 4; derived in lesson 19.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....layers.general_attention import GeneralAttention

Rows = dict[str, tuple[int, int]]  # {block: its first row and the one after its last}


class Head(NamedTuple):
    """One head of (19.4): into += factor (source M) (key M)^T query."""

    source: str
    into: str
    factor: float
    key: str
    query: str


def rows_of(**sizes: int) -> Rows:
    """Blocks one below the other, each of its number of rows."""
    ends = np.cumsum([0, *sizes.values()]).tolist()
    return dict(zip(sizes, itertools.pairwise(ends), strict=True))


def matrices(rows: Rows, heads: Sequence[Head]) -> tuple[Array, Array]:
    """P and Q of (19.4) for each head, as ``general_attention`` takes them. -> (heads, w, w) twice, w the width of a token

    Source and target of a head have the same number of rows, and so have key and query.
    """
    width = max(end for _, end in rows.values())
    P, Q = np.zeros((2, len(heads), width, width))
    for h, head in enumerate(heads):
        P[h, slice(*rows[head.into]), slice(*rows[head.source])] = head.factor * np.eye(height(rows, head.source))
        Q[h, slice(*rows[head.key]), slice(*rows[head.query])] = np.eye(height(rows, head.key))
    return P, Q


def height(rows: Rows, block: str) -> int:
    """The number of rows of a block."""
    return rows[block][1] - rows[block][0]


def run(Z: Array, layers: Sequence[tuple[Array, Array]], mask: Any = None) -> Array:
    """Tokens Z (B, N, w) after the layers, each with its P and Q. mask: which tokens are read, by default all. -> like Z"""
    attention = GeneralAttention(np.ones(Z.shape[1]) if mask is None else mask, c=1.0, skip=False)
    for P, Q in layers:
        Z, _ = attention.forward(Z, P, Q)
    return Z


def error() -> float:
    """How far a layer of two heads with generic blocks is from (19.4) by matrix products, relative, with a token that is not
    read.
    """
    rng = np.random.default_rng(19)
    rows, H, M = rows_of(a=2, b=2, k=3), rng.standard_normal((7, 5)), np.diag([1.0, 1, 1, 1, 0])
    a, b, k = H[:2], H[2:4], H[4:]
    by_hand = H.copy()
    by_hand[2:4] += -0.7 * (a @ M) @ (k @ M).T @ k
    by_hand[:2] += 1.3 * (b @ M) @ (a @ M).T @ b
    got = run(H.T[None], [matrices(rows, [Head("a", "b", -0.7, "k", "k"), Head("b", "a", 1.3, "a", "b")])], np.diag(M))[0].T
    return float(np.abs(got - by_hand).max() / np.abs(by_hand).max())


CHECKS = {"blocks": error}
