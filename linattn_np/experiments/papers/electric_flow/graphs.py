"""The graphs: random weighted ones as in the released code, their spectra and demands, and a molecule written by hand.

A graph of n nodes and m edges is its incidence matrix B (n, m): edge e of weight c_e has +sqrt(c_e) at one end and -sqrt(c_e) at
the other, so that (20.1) L = B B^T is the graph's Laplacian. Which end has the minus is arbitrary, and L does not see it.
"""

from typing import NamedTuple

import numpy as np

from ...._checks import as_count, as_rng, one_of
from ...._types import Array

KINDS = ("skip-circle", "full")
SKIPS = (2, 4, 6, 8)  # how far the second edge of a node jumps, one of these for a whole graph
# Cholesterol without its hydrogens, atoms by their usual numbers, the oxygen 28: rings A to D, two methyls, the side chain, C-O.
CHOLESTEROL = (
    (1, 2), (2, 3), (3, 4), (4, 5), (5, 10), (10, 1), (5, 6), (6, 7), (7, 8), (8, 9), (9, 10), (9, 11), (11, 12), (12, 13),
    (13, 14), (14, 8), (14, 15), (15, 16), (16, 17), (17, 13), (13, 18), (10, 19), (17, 20), (20, 21), (20, 22), (22, 23),
    (23, 24), (24, 25), (25, 26), (25, 27), (3, 28),
)  # fmt: skip


class Spectra(NamedTuple):
    """All that a scalar network sees of many graphs with demands, see ``scalar_layer.py``."""

    l: Array  # (graphs, n-1) eigenvalues of L above 0, ascending
    q: Array  # (graphs, n-1) squared length of the demands along each eigenvector


def incidence(n: int, ends: Array, scale: Array) -> Array:
    """B (.., n, m) from the two ends of each edge (.., m, 2) and sqrt(c_e) (.., m). Cost O(n m) a graph."""
    nodes = np.arange(n)[:, None]
    signs = (nodes == ends[..., None, :, 0]).astype(float) - (nodes == ends[..., None, :, 1])
    return signs * scale[..., None, :]


def random_graphs(rng: np.random.Generator, count: int, n: int = 10, kind: str = "skip-circle") -> Array:
    """B (count, n, m) of random graphs with sqrt(c_e) = exp(u), u ~ U(-1, 1), as the released code draws them.

    "skip-circle": edges i to i-1 and i to i-s, one s of 2, 4, 6, 8 for each graph, m = 2n. "full": all pairs. Nodes and edges are
    in order: nothing that is computed here depends on it. Raises ValueError for n below 3, or 9 for a jump of 8. Source: released
    code.
    """
    one_of("kind", kind, KINDS)
    rng, count, n = as_rng(rng), as_count("count", count), as_count("n", n, least=9 if kind == "skip-circle" else 3)
    i = np.arange(n)
    if kind == "full":
        ends = np.broadcast_to(np.stack(np.triu_indices(n, 1), axis=-1), (count, n * (n - 1) // 2, 2))
    else:
        far = (i - rng.choice(SKIPS, (count, 1))) % n
        near = np.broadcast_to((i - 1) % n, far.shape)
        ends = np.stack([np.tile(i, (count, 2)), np.concatenate([near, far], axis=1)], axis=-1)
    return incidence(n, ends, np.exp(rng.uniform(-1, 1, ends.shape[:2])))


def molecule(edges: tuple[tuple[int, int], ...] = CHOLESTEROL) -> Array:
    """B (n, m) of a graph with nodes 1..n and all weights 1. Cost O(n m)."""
    ends = np.array(edges) - 1
    return incidence(int(ends.max()) + 1, ends, np.ones(len(ends)))


def laplacian(B: Array) -> Array:
    """(20.1) L = B B^T.  (.., n, m) -> (.., n, n)"""
    return B @ B.mT


def demands(rng: np.random.Generator, count: int, n: int = 10, k: int = 10) -> Array:
    """Psi (count, n, k) ~ N(0, 1), each column centred: a current that goes in comes out."""
    Psi = as_rng(rng).standard_normal((count, n, k))
    return Psi - Psi.mean(axis=1, keepdims=True)


def spectra(B: Array, Psi: Array) -> Spectra:
    """Eigenvalues of L above 0 and the squared lengths of Psi (graphs, n, k) along the eigenvectors. Cost O(n^3) a graph."""
    values, vectors = np.linalg.eigh(laplacian(B))
    along = (vectors.mT @ Psi)[:, 1:]
    return Spectra(values[:, 1:], (along * along).sum(axis=-1))


def random_spectra(rng: np.random.Generator, count: int, kind: str = "skip-circle", n: int = 10) -> Spectra:
    """The spectra of random graphs with n random demands each."""
    B = random_graphs(rng, count, n, kind)
    return spectra(B, demands(rng, count, n, n))


def town(rng: np.random.Generator, across: int = 7, up: int = 5, closed: int = 9) -> tuple[Array, Array, Array]:
    """A town's streets: a grid of crossings with some streets closed so that it stays in one piece, of random widths.

    -> ends (m, 2), widths c_e (m,), places of the crossings (n, 2). Cost O(closed n^3).
    """
    places = np.stack(np.meshgrid(np.arange(across), np.arange(up)), axis=-1).reshape(-1, 2).astype(float)
    number = np.arange(across * up).reshape(up, across)
    ends = np.concatenate([
        np.stack([number[:, :-1], number[:, 1:]], axis=-1).reshape(-1, 2),
        np.stack([number[:-1], number[1:]], axis=-1).reshape(-1, 2),
    ])  # fmt: skip
    is_open = np.ones(len(ends), bool)
    for street in rng.permutation(len(ends)):
        without = is_open & (np.arange(len(ends)) != street)
        L = laplacian(incidence(len(places), ends[without], np.ones(without.sum())))
        if closed and np.linalg.eigvalsh(L)[1] > 1e-9:  # still in one piece
            is_open, closed = without, closed - 1
    ends = ends[is_open]
    return ends, np.exp(rng.uniform(-1, 1, len(ends))), places
