"""The control in the paper's own parametrization: P = diag(P', 1) is no product at zero, so P' = 0 is no saddle.

Three layers on fixed prompts. With P' held at 0 the loss is minimized over Q'; at that point the gradient by P' is not zero. And
gradient descent from P' of 1e-5 comes below that loss as soon as from P' of 0.1, where a saddle would cost it a waiting time.
"""

import numpy as np

from ...._types import Array
from ....models.transformer import LinearTransformer
from ....optimizers import Adam, clip
from ....prompts import RegressionTask

MODEL = LinearTransformer(d=5, layers=3)
STD, SMALL, LARGE = 0.05, 1e-5, 0.1  # of Q'; of P'
RATE, ETA, CLIP = 0.02, 0.03, 1.0


def norms(grad: Array) -> list[float]:
    """The lengths of the gradient by P' and by Q'."""
    return [float(np.sqrt((grad[:, :, which] ** 2).sum())) for which in (0, 1)]


def without_p(seed: int, steps: int, prompts: int, longest: int) -> dict[str, Array]:
    """One seed. -> best (the least loss with P' = 0), by_P and by_Q (lengths of the gradient there), crossings (2,): from SMALL
    and LARGE
    """
    rng = np.random.default_rng([27, seed])
    Z, y = RegressionTask(n=20, d=5).sample(prompts, rng)
    only_q = np.zeros(MODEL.shape)
    only_q[:, :, 1] = 1.0
    drawn = rng.standard_normal(MODEL.shape)
    theta, optimizer = STD * only_q * drawn, Adam(RATE, 0.9, 0.99)
    state = optimizer.init(theta)
    for step in range(steps):
        grad = MODEL.loss_and_grad(theta, Z, y)[1] * only_q
        optimizer = Adam(RATE * (1 - step / steps), 0.9, 0.99)  # falls to 0, so that the last weights do not tremble
        theta, state = optimizer.update(theta, grad, state)
    best, grad = MODEL.loss_and_grad(theta, Z, y)
    by_p, by_q = norms(grad)
    crossings = [crossing(np.where(only_q > 0, STD, small) * drawn, best, Z, y, longest) for small in (SMALL, LARGE)]
    return {"best": np.array(best), "by_P": np.array(by_p), "by_Q": np.array(by_q), "crossings": np.array(crossings)}


def crossing(theta: Array, level: float, Z: Array, y: Array, longest: int) -> float:
    """The first step of gradient descent, clipped at CLIP, with a loss below a level; NaN where it takes more than
    ``longest``.
    """
    for step in range(longest + 1):
        loss, grad = MODEL.loss_and_grad(theta, Z, y)
        if loss < level:
            return float(step)
        theta = theta - ETA * clip(grad, CLIP)
    return float("nan")
