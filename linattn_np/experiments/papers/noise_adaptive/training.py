"""Training a row of the table and measuring it: what one worker does for one model, one law of noise and one seed.

The paper trains 200,000 steps of Adam at rate 1e-4 on 2,048 prompts each. Here thousands of steps must do, so two things differ.
The rate is larger and falls to zero along a cosine. And the label y = w.x_q is replaced by its mean given the prompt and sigma,

(18.15)  y -> w(sigma^2).x_q              E (p - y) grad p = E (p - w(sigma^2).x_q) grad p

which leaves the expected gradient as it is, since the prediction p depends on the prompt alone, and takes most of its noise away.
"""

from functools import lru_cache

import numpy as np

from ...._types import Array
from ....models.model import passes_of
from ....optimizers import Adam, Cosine, Scheduled, clip
from . import baselines, implicit, models
from .published import COLUMNS
from .task import MixedNoise, NoisyPrompts

RATE, BETAS, CLIP, BATCH = 0.02, (0.9, 0.99), 1.0, 256
STEPS = {1: 400, 2: 1200, 3: 1800, 4: 3000}  # at full scale, for each depth
SIGMAS = tuple(np.arange(0.0, 6.25, 0.5).tolist())  # of the profile, for models trained on U(0, 5)


def recipe(kind: str, layers: int) -> tuple[float, int]:
    """The rate and the steps of full scale. One head learns products of its numbers, and at three layers or more runs away at
    RATE: half the rate, and half as many steps again. The paper, too, lowered rates of deep models.
    """
    careful = kind == "diagonal" and layers > 2
    return (RATE / 2, STEPS[layers] * 3 // 2) if careful else (RATE, STEPS[layers])


def expected_labels(prompts: NoisyPrompts) -> Array:
    """(18.15)  The mean of the label given the prompt and sigma: the oracle's answer. (B,)"""
    X, d = prompts.Z[:, :-1, :-1], prompts.w.shape[1]
    ridge = X.mT @ X + prompts.sigma[:, None, None] ** 2 * np.eye(d)  # (B, d, d)
    w = np.linalg.solve(ridge, X.mT @ prompts.Z[:, :-1, -1:])[..., 0]  # (B, d)
    return (w * prompts.Z[:, -1, :-1]).sum(axis=1)


def train(kind: str, layers: int, task: MixedNoise, steps: int, batch: int, seed: int, expected: bool = True) -> Array:
    """Adam on fresh prompts, the rate falling to zero along a cosine. -> the params after the last step

    expected: labels by (18.15); False trains on w.x_q itself, as the paper does.
    """
    rng = np.random.default_rng([seed, layers])
    model, params = models.model_of(kind, layers, task.d), models.start(kind, layers, task.d, rng)
    passes, optimizer = passes_of(model), Scheduled(Adam(recipe(kind, layers)[0], *BETAS), Cosine(steps))
    state = optimizer.init(params)
    for _ in range(steps):
        prompts = task.draw(batch, rng)
        y = expected_labels(prompts) if expected else prompts.y
        _, grad = passes.loss_and_grad(params, passes.prepare(prompts.Z, y))
        params, state = optimizer.update(params, clip(grad, CLIP), state)
    return params


@lru_cache(maxsize=1)
def prompts_of(task: MixedNoise, count: int) -> baselines.Evaluation:
    """The prompts that a column's losses are measured on, the same for every model."""
    return baselines.evaluation(task, count, np.random.default_rng(402_14180))


@lru_cache(maxsize=1)
def profile_prompts(count: int) -> tuple[baselines.Evaluation, ...]:
    """For each sigma of the profile, prompts that all have it."""
    return tuple(baselines.evaluation(MixedNoise(levels=(sigma,)), count, np.random.default_rng(7)) for sigma in SIGMAS)


def row(
    kind: str, layers: int, column: str, steps: int, batch: int, seed: int, count: int, expected: bool = True
) -> dict[str, Array]:
    """Train one model and measure it: params, loss (18.14), and for the column "5" the profile of the loss over sigma."""
    task = COLUMNS[column]
    params = train(kind, layers, task, steps, batch, seed, expected)
    matrices = models.matrices_of(kind, params, task.d)

    def loss(found: baselines.Evaluation) -> float:
        return float(baselines.adjusted_of(found, implicit.answers(matrices, found.G, task.n)).mean())

    profile = [loss(found) for found in profile_prompts(max(count // 12, 50))] if column == "5" else []
    return {"params": params, "loss": np.array(loss(prompts_of(task, count))), "profile": np.array(profile)}
