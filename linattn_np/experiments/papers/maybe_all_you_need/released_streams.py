"""The random numbers of the paper's released code, made in NumPy: torch's CPU generator, its initialisation, the order of draws.

The released code draws with torch's CPU generator (and the scale of Setting 3's covariates with ``numpy.random.RandomState``), in
float32. On these numbers the exact gradients of this library give the paper's Setting 2 table to the last printed digit.

How torch makes its numbers from a seed
- Raw 32-bit numbers come from a Mersenne Twister, seeded as ``RandomState(seed)`` seeds it. A uniform is the low 24 bits times
  2^-24.
- ``size`` >= 16 normals take ``size`` uniforms, which are then used in blocks of 16. The first eight of a block, u, give the
  radii sqrt(-2 log(1 - u)), the last eight the angles 2 pi u; radius * cos stands in the first eight places, radius * sin in the
  last (Box and Muller 1958). Where 16 does not divide ``size``, 16 new uniforms are drawn and the last 16 entries are made from
  them.
- ``nn.Linear(inputs, outputs)`` draws its weight (outputs, inputs), then its bias, uniform on +-1/sqrt(inputs).
torch rounds its logarithm and its sine otherwise than NumPy does: the numbers agree to 5e-7.

Order of draws for one seed: the initial weights (L, 1, 2, d, d), whose Q is the transpose of ours, times ``std``; then for each
batch the task vectors (B, d), the examples (B, n, d), the query (B, 1, d). On the sphere and for gamma each covariate is divided
by its norm; for gamma it is then multiplied by the square root of ``RandomState(seed).gamma(shape, scale)``, drawn for (B, n),
then for (B, 1). The test batch is seed 99, a batch without weights before it.
"""

import numpy as np

from ...._checks import as_count, one_of
from ...._types import Array
from ....prompts import Prompts, RegressionTask

BLOCK, TEST_SEED = 16, 99


class TorchGenerator:
    """The numbers that torch's CPU generator gives after ``torch.manual_seed(seed)``, in float32."""

    def __init__(self, seed: int) -> None:
        self.twister = np.random.RandomState(as_count("seed", seed, least=0))

    def uniforms(self, count: int) -> Array:
        """``count`` numbers in [0, 1), multiples of 2^-24. -> (count,) float32"""
        raw = np.frombuffer(self.twister.bytes(4 * count), "<u4")
        return (raw & 0xFFFFFF).astype(np.float32) * np.float32(2.0**-24)

    def normals(self, *shape: int) -> Array:
        """Numbers from N(0, 1), at least 16 of them. -> ``shape`` float32. Raises ValueError for fewer."""
        size = int(np.prod(shape))
        if size < BLOCK:
            raise ValueError(f"shape: expected at least {BLOCK} numbers (torch makes fewer in another way), got {shape}")
        values = self.uniforms(size)
        whole = size // BLOCK * BLOCK
        values[:whole] = box_muller(values[:whole])
        if whole < size:
            values[-BLOCK:] = box_muller(self.uniforms(BLOCK))
        return values.reshape(shape)

    def linear(self, inputs: int, outputs: int) -> tuple[Array, Array]:
        """What ``nn.Linear(inputs, outputs)`` starts from: weight (outputs, inputs) and bias (outputs,), float32."""
        bound = np.float32(1 / np.sqrt(inputs))
        weight, bias = (self.uniforms(count) * (2 * bound) - bound for count in (outputs * inputs, outputs))
        return weight.reshape(outputs, inputs), bias

    def network(self, inputs: int, hidden: int, outputs: int) -> tuple[Array, Array, Array, Array]:
        """What ``Linear(inputs, hidden), ReLU, Linear(hidden, outputs)`` starts from: W1, b1, W2, b2 in float64."""
        arrays = (*self.linear(inputs, hidden), *self.linear(hidden, outputs))
        W1, b1, W2, b2 = (array.astype(np.float64) for array in arrays)
        return W1, b1, W2, b2


def box_muller(uniforms: Array) -> Array:
    """Normals from uniforms, in blocks of 16. (16 m,) -> (16 m,)"""
    blocks = uniforms.reshape(-1, 2, BLOCK // 2)
    radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - blocks[:, 0]))
    angle = np.float32(2 * np.pi) * blocks[:, 1]
    out = np.empty_like(blocks)
    np.multiply(radius, np.cos(angle), out=out[:, 0])
    np.multiply(radius, np.sin(angle), out=out[:, 1])
    return out.reshape(-1)


class ReleasedStream:
    """The initial weights and the batches that the released code draws for one seed of a task.

    task a RegressionTask without covariance and label noise. SGD and Adam see the same batches: make one stream for each run.
    """

    def __init__(self, task: RegressionTask, seed: int) -> None:
        if task.covariance is not None or task.label_noise:
            raise ValueError("task: expected one without covariance and label_noise, as the released code has no other")
        one_of("task.covariates", task.covariates, ("gaussian", "sphere", "gamma"))
        self.task, self.torch, self.scales = task, TorchGenerator(seed), np.random.RandomState(seed)

    def init_params(self, layers: int = 3, std: float = 0.05) -> Array:
        """The initial weights in our convention: (layers, 1, 2, d, d), to be drawn before the first batch."""
        weights = self.torch.normals(layers, 1, 2, self.task.d, self.task.d) * np.float32(std)
        return np.stack([weights[:, :, 0], weights[:, :, 1].mT], axis=2).astype(np.float64)

    def batch(self, size: int = 1000) -> Prompts:
        """The next batch: Z (size, n+1, d+1), y (size,), float64."""
        return self.prompts(*self.normals(size))

    def normals(self, size: int) -> tuple[Array, Array, Array]:
        """The normals of the next batch, the same for every task of this n and d: w (size, d), X (size, n, d), x (size, 1, d)."""
        n, d = self.task.n, self.task.d
        return self.torch.normals(size, d), self.torch.normals(size, n, d), self.torch.normals(size, 1, d)

    def prompts(self, w: Array, examples: Array, query: Array) -> Prompts:
        """The batch that the task makes of these normals; for gamma covariates it draws their scales."""
        n, d = self.task.n, self.task.d
        Z = np.empty((len(w), n + 1, d + 1))
        X = Z[..., :d]
        X[:, :n], X[:, n:] = self.shaped(examples), self.shaped(query)
        labels = (X @ w.astype(np.float64)[..., None])[..., 0]  # (B, n+1)
        Z[..., d] = labels
        Z[:, -1, -1] = 0.0
        return Prompts(Z, labels[:, -1].copy())

    def shaped(self, normals: Array) -> Array:
        """Covariates of the task's law from normals (B, m, d)."""
        if self.task.covariates == "gaussian":
            return normals
        normals = normals.astype(np.float64)
        squares = (normals * normals) @ np.ones((normals.shape[-1], 1))  # (B, m, 1); a sum over so short an axis takes longer
        directions = normals / np.sqrt(squares)
        if self.task.covariates == "sphere":
            return directions
        shape, scale = self.task.gamma_shape, self.task.gamma_scale  # set by the task
        squared = self.scales.gamma(shape, scale, directions.shape[:-1])  # type: ignore[arg-type]
        return directions * np.sqrt(squared)[..., None]


def test_batch(task: RegressionTask, size: int = 1000) -> Prompts:
    """The test batch of the paper's tables and plots: the released code's, torch seed 99."""
    return ReleasedStream(task, TEST_SEED).batch(size)
