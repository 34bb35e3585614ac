"""The paper's prompts, covariates uniform on a cube, and the closed form of the best single step of gradient descent on them.

One step from w = 0 with step eta predicts x . eta S w, S = (1/n) sum_i x_i x_i^T. For w ~ N(0, I) and covariates with independent
entries of mean 0, variance s and kurtosis k = E[x^4] / s^2, the mean squared error is

(16.12)  f(eta) = s E tr (I - eta S)^2 = s (d - 2 eta E tr S + eta^2 E tr S^2)
(16.13)  E tr S = d s,     E tr S^2 = d s^2 (n + d - 2 + k) / n
(16.14)  eta* = n / (s (n + d - 2 + k)),     f(eta*) = s d (1 - n / (n + d - 2 + k))

Gaussian covariates have k = 3, uniform ones 9/5. Derived in lesson 16.
"""

from dataclasses import dataclass

import numpy as np

from ...._checks import as_count, as_real
from ...._types import Array
from ....prompts import RegressionTask

KURTOSIS = 1.8  # of a uniform law, whatever its width


@dataclass(frozen=True)
class UniformTask(RegressionTask):
    """Prompts with covariates uniform on [-width, width]^d, everything else as in RegressionTask. width > 0, else ValueError."""

    n: int = 10
    d: int = 10
    width: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "width", as_real("width", self.width, above=0))

    def draw_covariates(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Covariates: ``shape`` + (d,)."""
        return rng.uniform(-self.width, self.width, (*shape, self.d))

    @property
    def variance(self) -> float:
        """s, the variance of one entry: width^2 / 3."""
        return self.width**2 / 3


def best_step(n: int, d: int, variance: float, kurtosis: float = KURTOSIS) -> tuple[float, float]:
    """(16.14): the step eta* that is best on average, and its mean squared error, not halved.

    n, d at least 1, variance and kurtosis of one entry above 0, else ValueError. -> (eta*, f(eta*))
    """
    n, d = as_count("n", n), as_count("d", d)
    s, k = as_real("variance", variance, above=0), as_real("kurtosis", kurtosis, above=0)
    share = n / (n + d - 2 + k)
    return share / s, s * d * (1 - share)
