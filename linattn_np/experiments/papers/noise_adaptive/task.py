"""Regression prompts with a noise level of their own each: sigma ~ U(0, top), or one of a few values.

(18.1)  w ~ N(0, I),   x_i, x_q ~ N(0, I),   y_i = w.x_i + sigma xi_i,   xi_i ~ N(0, 1),   asked for: w.x_q

All examples of a prompt share sigma, which the model never sees. Source: arXiv 2402.14180, sections 2.2, 2.3 and 6.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...._checks import as_count, as_real, as_rng
from ...._types import Array
from ....prompts import Prompts, RegressionTask


class NoisyPrompts(NamedTuple):
    """A batch of prompts with what the model never sees of them."""

    Z: Array  # (B, n+1, d+1)
    y: Array  # (B,)
    w: Array  # (B, d)
    sigma: Array  # (B,)


@dataclass(frozen=True)
class MixedNoise(RegressionTask):
    """The law (18.1): sigma uniform on (0, top), or with ``levels`` one of those, each as likely as the others.

    top and levels >= 0, n and d as in ``RegressionTask``; raises ValueError otherwise.
    """

    n: int = 20
    d: int = 10
    top: float = 5.0
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "top", as_real("top", self.top, least=0))
        object.__setattr__(self, "levels", tuple(as_real("levels", level, least=0) for level in self.levels))

    def draw(self, batch: int, rng: np.random.Generator) -> NoisyPrompts:
        """``batch`` independent prompts, with w and sigma. Cost: about batch (n+2) (d+1) random numbers."""
        rng, batch = as_rng(rng), as_count("batch", batch)
        sigma = rng.choice(self.levels, batch) if self.levels else self.top * rng.random(batch)  # (B,)
        Z = np.zeros((batch, self.n + 1, self.d + 1))
        Z[..., :-1] = rng.standard_normal((batch, self.n + 1, self.d))
        w = rng.standard_normal((batch, self.d))  # (B, d)
        labels = (Z[..., :-1] @ w[..., None])[..., 0]  # (B, n+1)
        Z[:, :-1, -1] = labels[:, :-1] + sigma[:, None] * rng.standard_normal((batch, self.n))
        return NoisyPrompts(Z, labels[:, -1].copy(), w, sigma)

    def sample(self, batch: int, rng: np.random.Generator) -> Prompts:
        """The same prompts without w and sigma, as every task gives them."""
        return Prompts(*self.draw(batch, rng)[:2])
