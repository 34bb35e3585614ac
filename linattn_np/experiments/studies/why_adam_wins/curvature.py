"""Optimizers that know the exact curvature: rates that make all blocks equally sharp, and the ideals of Newton and Gauss.

The curvature is that of the loss on fixed prompts of Setting 1, which no run trains or is tested on.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...._checks import one_of
from ...._types import Array
from ....measures.landscape import Objective
from ....prompts import RegressionTask

KINDS = ("hessian", "gauss_newton")
PROMPTS = 256


@lru_cache(maxsize=1)
def objective() -> Objective:
    """The loss on the fixed prompts."""
    return Objective(*RegressionTask().sample(PROMPTS, np.random.default_rng([29, 7])))


@dataclass(frozen=True)
class Curvature:
    """A function params -> (p, p): the Hessian or the Gauss-Newton matrix on the fixed prompts, one of :data:`KINDS`."""

    kind: str

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)

    def __call__(self, params: Array) -> Array:
        found: Array = getattr(objective(), self.kind)(params)
        return found


def sharpness(H: Array, shape: tuple[int, ...]) -> Array:
    """The largest size of an eigenvalue of each diagonal block H_bb, b a matrix P_l,h or Q_l,h. H (p, p) -> (L, H, 2)"""
    p = shape[-1] * shape[-2]
    blocks = np.array([H[first : first + p, first : first + p] for first in range(0, len(H), p)])
    if not np.isfinite(blocks).all():
        return np.full(shape[:3], np.nan)  # a run that diverges: LAPACK would raise
    return np.abs(np.linalg.eigvalsh(blocks)).max(axis=1).reshape(shape[:3])


def exchanged(sizes: Array) -> Array:
    """P's number for Q and Q's for P, in each layer and head where both are above 0. (L, H, 2) -> (L, H, 2)"""
    return np.where((sizes > 0).all(axis=2, keepdims=True), sizes[:, :, ::-1], sizes)


class EqualState(NamedTuple):
    """State of Equalised: the momentum, and the factor of each block's rate."""

    t: int
    m: Array
    rates: Array


@dataclass(frozen=True)
class Equalised:
    """SGD with momentum 0.9 and for each block the rate lr over its own sharpness, measured anew every 100 updates:

        m <- 0.9 m + g,   x_b <- x_b - lr m_b / lambda_b,   lambda_b the largest size of an eigenvalue of H_bb

    In units of its own curvature every block is then equally sharp. A block without curvature stays. ``swapped`` is the control:
    P moves by the curvature of Q and Q by that of P.
    """

    lr: float
    swapped: bool = False
    every: int = 100

    def init(self, params: Array) -> EqualState:
        return EqualState(0, np.zeros_like(params), np.zeros((*params.shape[:3], 1, 1)))

    def update(self, params: Array, grad: Array, state: EqualState) -> tuple[Array, EqualState]:
        rates = state.rates
        if state.t % self.every == 0:
            sizes = sharpness(Curvature("hessian")(params), params.shape)
            sizes = exchanged(sizes) if self.swapped else sizes
            rates = np.divide(1.0, sizes, where=sizes > 0, out=np.zeros_like(sizes))[..., None, None]
        m = 0.9 * state.m + grad
        return params - self.lr * rates * m, EqualState(state.t + 1, m, rates)
