"""What a symbol is made into: a row for the symbol, a row for the one before it, and the place in the text.

Forward                                          Backward, from dX = df/dX
(24.1)  X_t = C[a_t] + D[a_{t-1}] + s_t          (24.18) dC[v] = sum of dX_t over the t with a_t = v
                                                         dD[v] = sum of dX_t over the t with a_{t-1} = v

a_t symbols, C (V, w) and D (V+1, w); the first symbol of a text has none before it and reads row V of D. The places s_t are fixed
sines and cosines of t (Vaswani et al. 2017), so a text may be of any length. X is linear in C and D. Derived in lesson 24.
"""

from typing import NamedTuple

import numpy as np

from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers.marks import Mark, keep


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    symbols: Array  # (B, T)
    before: Array  # (B, T), the symbols one place earlier
    V: int


def places(first: int, count: int, width: int) -> Array:
    """s_t for ``count`` places from ``first`` on, (count, w): sines and cosines of wavelengths from 2 pi to 20000 pi."""
    t = np.arange(first, first + count)[:, None]
    angle = t / 10_000.0 ** (2 * np.arange((width + 1) // 2) / width)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(count, -1)[:, :width]


def forward(symbols: Array, C: Array, D: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """Tokens of the symbols of texts: (24.1).

    symbols (B, T) of integers in 0 .. V-1, C (V, w), D (V+1, w) -> X (B, T, w) and the tape. Cost O(B T w).
    """
    V, width = C.shape
    T = symbols.shape[1]
    before = np.concatenate([np.full((len(symbols), 1), V), symbols[:, :-1]], axis=1)  # (B, T)
    # F1  X_t = C[a_t] + D[a_{t-1}] + s_t                                                        (24.1)
    X = mark("X", C[symbols] + D[before] + places(0, T, width).astype(C.real.dtype))  # (B, T, w)
    return X, Tape(symbols, before, V)


def backward(dX: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array]:
    """Gradients of the two tables: (24.18). dX (B, T, w) -> dC (V, w), dD (V+1, w). Cost O(B T V w) as a product."""
    symbols, before, V = tape
    flat = mark("dX", dX).reshape(-1, dX.shape[-1])
    # B1  undoes F1  X_t = C[a_t] + D[a_{t-1}] + s_t: a row collects the places that read it
    dC = mark("dC", one_hot(symbols, V, dX).T @ flat)  # (V, w)                (24.18)
    dD = mark("dD", one_hot(before, V + 1, dX).T @ flat)  # (V + 1, w)         (24.18)
    return dC, dD


def tangent(vC: Array, vD: Array, tape: Tape) -> Array:
    """Derivative of the tokens along (vC, vD): (24.1) without the places. -> vX (B, T, w)"""
    # F1  X_t = C[a_t] + D[a_{t-1}] + s_t                                                        of (24.1)
    return vC[tape.symbols] + vD[tape.before]  # (B, T, w)


def one_hot(symbols: Array, count: int, like: Array) -> Array:
    """1 where a place has the symbol of the column, else 0: (B T, count), of the type of ``like``."""
    return (symbols.reshape(-1, 1) == np.arange(count)).astype(like.real.dtype)


def audited() -> Report:
    """The audit of both tables, with symbols that occur several times and one that never does."""
    rng = np.random.default_rng(0)
    symbols = rng.integers(5, size=(3, 7))
    theta = {"C": rng.standard_normal((7, 5)), "D": rng.standard_normal((8, 5))}

    def run(theta: dict[str, Array], mark: Mark = keep) -> Array:
        return forward(symbols, theta["C"], theta["D"], mark)[0]

    def back(theta: dict[str, Array], dX: Array, mark: Mark = keep) -> dict[str, Array]:
        return dict(zip(theta, backward(dX, forward(symbols, theta["C"], theta["D"])[1], mark), strict=True))

    return audit_gradient(run, back, theta, title="embedding")


def tangent_error() -> float:
    """How far the tangent is from a complex step of the forward."""
    rng = np.random.default_rng(1)
    symbols = rng.integers(5, size=(3, 7))
    C, D, vC, vD = (rng.standard_normal((rows, 5)) for rows in (7, 8, 7, 8))
    stepped = forward(symbols, C + 1e-30j * vC, D + 1e-30j * vD)[0].imag / 1e-30
    return float(np.abs(tangent(vC, vD, forward(symbols, C, D)[1]) - stepped).max())


AUDITS = {"embedding": audited}
CHECKS = {"tangent": tangent_error}
