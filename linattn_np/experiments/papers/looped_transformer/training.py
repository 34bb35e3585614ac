"""Training the looped models and what they are compared with: the same prompts, optimizer and number of updates."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...._types import Array
from ....models.composed import Composed
from ....models.tied import Tied
from ....models.ties import LinearMap
from ....optimizers import Adam, Cosine, Scheduled
from . import loop, tasks
from .model import LoopedTransformer, model

RATE, CLIP = 3e-3, 1.0
STD, FULL_STD = 0.1, 0.05  # of the first steps, and of first full matrices: eight of them multiply, and rare prompts are long
HIDDEN, LOOPS, MOST = 48, 8, 32  # units of the pre-network, loops in training, loops in the test
TEST_SEED = 99
NOISE_RATE, NOISE_BATCH = 0.02, 256
NEWTON_STEPS = 16


@dataclass(frozen=True)
class LoopedTail:
    """A composed model whose layers are all the same: w is the network and one layer (1, H, 2, D, D), in this order."""

    layers: int
    layer: int  # how many numbers a layer has

    def map(self, params: tuple[int, ...]) -> LinearMap:
        """The map to theta (p,). Raises ValueError for params that are too few."""
        network = params[0] - self.layers * self.layer
        if len(params) != 1 or network < 0:
            raise ValueError(f"layers: expected {self.layers} layers of {self.layer} numbers in params, got shape {params}")
        columns = np.concatenate([np.arange(network), network + np.tile(np.arange(self.layer), self.layers)])
        return LinearMap(np.arange(params[0]), columns, np.ones(params[0]), np.zeros(params), (network + self.layer,))


def full_looped(d: int, hidden: int, loops: int) -> Tied:
    """A pre-network and one layer of full matrices P and Q, looped: the library's composed model, tied."""
    return Tied(Composed(d, hidden, loops, backend="numpy"), LoopedTail(loops, 2 * (d + 1) ** 2))


def models() -> dict[str, Any]:
    """The models by name."""
    d = tasks.D
    return {
        "raw loop": model(d, 0, LOOPS), "pre + 1 loop": model(d, HIDDEN, 1), "pre + 4 loops": model(d, HIDDEN, 4),
        "pre + 8 loops": model(d, HIDDEN, LOOPS), "pre + 8 loops, random T": model(d, HIDDEN, LOOPS),
        "8 steps, untied": LoopedTransformer(d, HIDDEN, LOOPS, tied=False), "full layer, 8 loops": full_looped(d, HIDDEN, LOOPS),
        "4 full layers, untied": Composed(d, 28, 4, backend="numpy"), "8 full layers, untied": Composed(d, 2, 8, backend="numpy"),
    }  # fmt: skip


def size_of(which: Any) -> int:
    """The number of parameters of a model."""
    return int(which.init_params(np.random.default_rng(0), STD).size)


def trained(
    which: Any, task: Any, steps: int, batch: int, seed: int, random_loops: tuple[int, int] | None = None, rate: float = RATE
) -> Array:
    """Parameters after ``steps`` updates on fresh prompts. random_loops: the loops of each update, uniform on this range."""
    rng = np.random.default_rng([seed, steps])
    theta = which.init_params(rng, STD if isinstance(which, LoopedTransformer) else FULL_STD)
    optimizer = Scheduled(Adam(rate), Cosine(steps))
    state = optimizer.init(theta)
    for _ in range(steps):
        now = which if random_loops is None else which.with_loops(int(rng.integers(random_loops[0], random_loops[1] + 1)))
        with np.errstate(all="ignore"):
            _, grad = now.loss_and_grad(theta, *task.sample(batch, rng))
            size = np.sqrt((grad * grad).sum())
        if np.isfinite(size):  # eight full layers overflow on a rare prompt: that update is left out
            theta, state = optimizer.update(theta, grad * min(1.0, CLIP / max(size, 1e-300)), state)
    return theta


def run(name: str, steps: int, batch: int, seed: int, prompts: int) -> dict[str, Array]:
    """Train one model on the task of a seed and test it.

    -> {"error": its test error (), "after" (33,): the error after 0 to 32 loops, "examples" (6,): at other numbers of examples,
    where the model is a loop; "stable", "unstable" (33,): the same on the prompts where eta lambda_max is below 2, or not;
    "share" of the latter}.
    """
    which, task = models()[name], tasks.representation_task(seed)
    ranged = (4, MOST) if name.endswith("random T") else None
    theta = trained(which, task, steps, batch, seed, ranged)
    Z, y = task.sample(prompts, np.random.default_rng(TEST_SEED))
    with np.errstate(all="ignore"):  # loops that diverge say so by their error
        found = {"error": np.array(which.loss(theta, Z, y))}
        if isinstance(which, LoopedTransformer) and which.tied:
            found |= on_and_on(which, theta, Z, y) | {"examples": fewer_examples(which, theta, seed, prompts)}
    return found


def on_and_on(which: LoopedTransformer, theta: Array, Z: Array, y: Array) -> dict[str, Array]:
    """Errors after 0 to 32 loops, on all prompts and apart for those that are stable under further loops."""
    errors = (which.with_loops(MOST).predictions(theta, Z) - y) ** 2  # (33, B)
    features = which.features(theta, Z)[0][:, :-1]
    stable = theta[-1] * np.linalg.eigvalsh(features.mT @ features / features.shape[1])[:, -1] < 2
    apart = {"stable": errors[:, stable], "unstable": errors[:, ~stable]}
    return {
        "after": errors.mean(axis=1), "share": np.mean(~stable), "eta": theta[-1],
        **{name: each.mean(axis=1) if each.size else np.full(len(errors), np.nan) for name, each in apart.items()},
    }  # fmt: skip


def fewer_examples(which: LoopedTransformer, theta: Array, seed: int, prompts: int) -> Array:
    """The error with 5, 10, .., 30 examples."""
    found = [
        which.loss(theta, *tasks.representation_task(seed, n).sample(prompts, np.random.default_rng(TEST_SEED))) for n in EXAMPLES
    ]
    return np.array(found)


EXAMPLES = (5, 10, 15, 20, 25, 30)


def on_raw_covariates(seed: int, prompts: int) -> dict[str, Array]:
    """The variance of the labels, and the error of least squares on the covariates themselves."""
    Z, y = tasks.representation_task(seed).sample(prompts, np.random.default_rng(TEST_SEED))
    a = tasks.least_squares(Z[:, :-1, :-1], Z[:, :-1, -1])
    return {"variance": y.var(), "error": (((a * Z[:, -1, :-1]).sum(axis=1) - y) ** 2).mean()}


def noisy(sigma: float, loops: int, steps: int, seed: int, prompts: int) -> dict[str, Array]:
    """Learn the step of a raw loop on noisy prompts: {"eta": the step, "risk": |a - w|^2 after the loops, on fixed prompts}."""
    eta = trained(model(tasks.NOISY_D, 0, loops), tasks.noisy_task(sigma), steps, NOISE_BATCH, seed, rate=NOISE_RATE)[0]
    return {"eta": eta, "risk": loop_risk(eta, sigma, loops, prompts)}


def loop_risk(eta: float, sigma: float, loops: int, prompts: int, stable: bool = False) -> Array:
    """The excess risk of the loop with a given step; ``stable``: on the prompts alone where eta lambda_max is below 2."""
    F, y, w = tasks.noisy_prompts(sigma, prompts, np.random.default_rng(TEST_SEED))
    tape = loop.forward(F, y, F[:, 0], np.full(loops, eta))[1]
    counted = eta * np.linalg.eigvalsh(tape.G)[:, -1] < 2 if stable else np.ones(prompts, bool)
    return tasks.excess(tape.a[-1][counted], w[counted])


def human(sigma: float, prompts: int) -> dict[str, float]:
    """Excess risks of least squares, of ridge that knows sigma, of Newton's iteration at its end and stopped at its best step."""
    F, y, w = tasks.noisy_prompts(sigma, prompts, np.random.default_rng(TEST_SEED))
    newton = tasks.excess(tasks.newton(F, y, NEWTON_STEPS), w)
    ridge = tasks.excess(tasks.least_squares(F, y, sigma**2 / tasks.NOISY_N), w)
    return {
        "least squares": float(tasks.excess(tasks.least_squares(F, y), w)), "ridge": float(ridge), "Newton": float(newton[-1]),
        "Newton, stopped": float(newton.min()), "stopped at": int(newton.argmin()),
    }  # fmt: skip
