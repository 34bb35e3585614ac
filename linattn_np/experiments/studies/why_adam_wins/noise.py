"""The same descent under three noises: of 64 prompts, Gaussian with that covariance, and next to none. Do heavy tails matter?

At each step 256 groups of fresh prompts, 4 to a group, give mean gradients g_k, with mean g. A step then follows

    real       the mean of the first 16 groups, 64 prompts
    Gaussian   g + sum_k xi_k (g_k - g) / sqrt(16 * 255),   xi_k ~ N(0, 1)
    none       g, the mean of all 1024 prompts

Given its prompts, the second is Gaussian, with the covariance that the groups show of a mean of 16 of them. How large that
covariance is still changes from step to step, and the noise of g, a sixteenth of it, is added.
"""

from typing import Any

import numpy as np

from ...._checks import one_of
from ...._types import Array
from ....batches import generators
from ....kernels.random_numpy import chunk_states
from ....models.model import passes_of
from ....models.transformer import LinearTransformer
from ....optimizers import Linear, Scheduled, clip
from ....prompts import RegressionTask
from ....training.loop import first_state

KINDS = ("real", "Gaussian", "none")
GROUPS, SHARE = 256, 16  # groups of prompts in a step; of these in a small batch
STD = 0.05  # of the first params, as in the paper


def noisy(kind: str, means: Array, rng: np.random.Generator) -> Array:
    """The gradient that a step follows, from the groups' mean gradients (GROUPS, p). -> (p,)"""
    one_of("kind", kind, KINDS)
    if kind == "real":
        return means[:SHARE].mean(axis=0)
    g = means.mean(axis=0)
    if kind == "none":
        return g
    return g + rng.standard_normal(len(means)) @ (means - g) / np.sqrt(SHARE * (len(means) - 1))


def descend(
    kind: str, task: RegressionTask, model: LinearTransformer, optimizer: Any, steps: int, group: int, threshold: float, seed: int
) -> Array:
    """The last params under a noise of :data:`KINDS`, ``group`` prompts to a group, the rate falling linearly to 0.

    -> like params; those of a run that is lost are not all finite. The seed decides the first params and all prompts, alike for
    the three kinds.
    """
    rng, states, passes = np.random.default_rng([2964, seed]), chunk_states(seed, group), passes_of(model)
    x = model.init_params(generators(seed, 1)[0], STD)
    opt = Scheduled(optimizer, Linear(steps))
    state = first_state(opt, x, model)
    for _ in range(steps):
        drawn = passes.draw(task, [GROUPS] * group, states)
        means = np.concatenate([passes.grouped_gradients(x, each, group) for each in drawn])  # (GROUPS, p)
        x, state = opt.update(x, clip(noisy(kind, means, rng).reshape(x.shape), threshold), state)
        if not np.isfinite(x).all():
            break
    return x
