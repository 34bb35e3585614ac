"""The data: in-context linear regression prompts, fresh ones for every batch.

A prompt has n labelled examples and one query. Token i is (x_i ; y_i) with y_i = <w, x_i>; the last token is (x_{n+1} ; 0), and
the answer asked for is y = <w, x_{n+1}>. Every prompt has a task vector w ~ N(0, I_d) of its own, which the model never sees.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ._checks import as_count, as_numbers, as_real, as_rng, check_memory, one_of
from ._types import Array
from .layers import mlp

COVARIATES = ("gaussian", "sphere", "gamma")


class Prompts(NamedTuple):
    """A batch of prompts: tokens as rows, the query last with label slot 0, and the label the query should get."""

    Z: Array  # (B, n+1, d+1)
    y: Array  # (B,)


@dataclass(frozen=True)
class RegressionTask:
    """A law of prompts, from which :meth:`sample` draws.

    Covariates, the query's included, are x = C u with u drawn by ``covariates`` and C C^T = ``covariance`` (default: x = u):

    - "gaussian": u ~ N(0, I_d)
    - "sphere":   u uniform on the unit sphere
    - "gamma":    u = sqrt(g) v, v uniform on the unit sphere, one g ~ Gamma(gamma_shape, scale gamma_scale) for each token.
      gamma_scale defaults to sqrt(10 / gamma_shape), which keeps Var[g] = 10, as it is for N(0, I_5); shape 2.5 and scale 2
      give N(0, I_5) itself. The paper's Setting 3 is shape 0.1, scale 10.

    ``label_noise`` is the standard deviation of noise added to the labels of the examples; the asked label y stays clean.
    n >= 1 examples, d >= 1 covariates. Raises ValueError for anything else. Source: paper, sections 3 and 4.1.
    """

    n: int = 20
    d: int = 5
    covariates: str = "gaussian"
    gamma_shape: float = 0.1
    gamma_scale: float | None = None
    covariance: Any = None  # (d, d); kept as a tuple of rows, so that tasks compare and can be keys
    label_noise: float = 0.0

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:  # the dataclass is frozen: this is how __post_init__ may still write
            object.__setattr__(self, name, value)

        put("n", as_count("n", self.n))
        put("d", as_count("d", self.d))
        one_of("covariates", self.covariates, COVARIATES)
        put("gamma_shape", as_real("gamma_shape", self.gamma_shape, above=0))
        scale = (10 / self.gamma_shape) ** 0.5 if self.gamma_scale is None else self.gamma_scale
        put("gamma_scale", as_real("gamma_scale", scale, above=0))
        put("label_noise", as_real("label_noise", self.label_noise, least=0))
        if self.covariance is not None:
            covariance = as_numbers("covariance", self.covariance)
            if covariance.shape != (self.d, self.d) or not np.allclose(covariance, covariance.T):
                raise ValueError(f"covariance: expected a symmetric ({self.d}, {self.d}) matrix, got shape {covariance.shape}")
            put("covariance", tuple(map(tuple, covariance.tolist())))
            self.covariance_root()

    def covariance_root(self) -> Array | None:
        """C, lower triangular with C C^T = covariance (d, d), or None where the covariance is the identity."""
        return None if self.covariance is None else triangular_root(np.array(self.covariance))

    def draw_covariates(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Covariates of the task's law: ``shape`` + (d,)."""
        u = rng.standard_normal((*shape, self.d))
        if self.covariates != "gaussian":
            u /= np.sqrt((u * u).sum(axis=-1, keepdims=True))
        if self.covariates == "gamma":
            u *= np.sqrt(rng.gamma(self.gamma_shape, self.gamma_scale, (*shape, 1)))  # type: ignore[arg-type]  # set above
        root = self.covariance_root()
        return u if root is None else u @ root.T

    def features(self, X: Array) -> Array:
        """What the labels are linear in: here the covariates X (.., d) themselves."""
        return X

    def sample(self, batch: int, rng: np.random.Generator) -> Prompts:
        """Draw ``batch`` independent prompts.

        batch >= 1, rng a numpy.random.Generator -> Prompts(Z (batch, n+1, d+1), y (batch,)), float64.
        Raises ValueError for a bad batch or rng. Cost: about batch (n+2) d random numbers.
        """
        batch, rng = check_memory("batch", as_count("batch", batch), 16 * (self.n + 1) * (self.d + 1)), as_rng(rng)
        Z = np.zeros((batch, self.n + 1, self.d + 1))
        X = self.draw_covariates((batch, self.n + 1), rng)  # (B, n+1, d)
        w = rng.standard_normal((batch, self.d))  # (B, d)
        labels = (self.features(X) @ w[..., None])[..., 0]  # (B, n+1)
        Z[..., :-1] = X
        Z[:, :-1, -1] = labels[:, :-1]
        if self.label_noise:
            Z[:, :-1, -1] += self.label_noise * rng.standard_normal((batch, self.n))
        return Prompts(Z, labels[:, -1].copy())


def triangular_root(covariance: Array) -> Array:
    """Cholesky's C (d, d), lower triangular with C C^T = covariance, row by row; LAPACK's last bits depend on the processor.

    Raises ValueError where the covariance is not positive definite.
    """
    C = np.zeros_like(covariance)  # (d, d)
    for i in range(len(C)):
        for j in range(i):
            C[i, j] = (covariance[i, j] - (C[i, :j] * C[j, :j]).sum()) / C[j, j]
        square = covariance[i, i] - (C[i, :i] ** 2).sum()
        if not square > 0:
            raise ValueError("covariance: expected a positive definite matrix, got one with an eigenvalue <= 0")
        C[i, i] = np.sqrt(square)
    return C


@dataclass(frozen=True)
class NonlinearTask(RegressionTask):
    """Prompts whose labels are y = <w, phi(x)>, phi a fixed random ReLU network from d covariates over ``hidden`` units to d.

    Everything else as in :class:`RegressionTask`. ``network_seed`` decides the network, whose weights and biases are uniform on
    +-1/sqrt(inputs), or ``network`` (W1, b1, W2, b2) is the network itself. The model sees covariates and labels only.
    Source: paper, nonlinear regression (5-10-5).
    """

    hidden: int = 10
    network_seed: int = 0
    network: Any = None  # kept as tuples, so that tasks compare and can be keys

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden", as_count("hidden", self.hidden))
        object.__setattr__(self, "network_seed", as_count("network_seed", self.network_seed, least=0))
        if self.network is not None:
            object.__setattr__(self, "network", as_network(self.network, self.d, self.hidden))

    def features(self, X: Array) -> Array:
        """phi(X): (B, n+1, d) -> (B, n+1, d)."""
        return mlp.forward(X, *self.weights())[0]

    def weights(self) -> tuple[Array, Array, Array, Array]:
        """The network (W1, b1, W2, b2), read only."""
        return fixed_network(self.d, self.hidden, self.network_seed, self.network)


def as_network(network: Any, d: int, hidden: int) -> tuple[Any, ...]:
    """(W1 (hidden, d), b1 (hidden,), W2 (d, hidden), b2 (d,)) as nested tuples. Raises ValueError for other shapes."""
    shapes, arrays = ((hidden, d), (hidden,), (d, hidden), (d,)), [as_numbers("network", array) for array in network]
    if tuple(array.shape for array in arrays) != shapes:
        raise ValueError(f"network: expected arrays of shapes {shapes}, got {tuple(array.shape for array in arrays)}")
    return tuple(tuple(map(tuple, array.tolist())) if array.ndim == 2 else tuple(array.tolist()) for array in arrays)


@lru_cache(maxsize=16)
def fixed_network(d: int, hidden: int, seed: int, given: Any = None) -> tuple[Array, Array, Array, Array]:
    """The network (W1, b1, W2, b2) of a :class:`NonlinearTask`, the given one or that of the seed; read only."""
    W1, b1, W2, b2 = (
        mlp.init_network(np.random.default_rng(seed), d, hidden) if given is None else (np.array(array, float) for array in given)
    )
    for array in (W1, b1, W2, b2):
        array.flags.writeable = False
    return W1, b1, W2, b2
