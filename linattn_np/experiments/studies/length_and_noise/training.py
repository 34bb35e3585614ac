"""One run, and the search of Adam's rate on seeds that are not used after."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...._types import Array
from ....optimizers import Adam
from ....prompts import RegressionTask
from ....training.history import Diverged
from ....training.loop import train
from . import testing
from .size import BETAS, SEARCH_SEEDS, Size

FIRST, FACTOR, POWERS = 0.02, 1.4, tuple(range(-6, 6))
RATES = tuple(float(f"{FIRST * FACTOR**k:.4g}") for k in POWERS)
FIXED = 0.01  # the rate at which the effect of noisy labels was found
SEARCHED = {  # where a rate is searched: task, and which steps and batch of the size
    "length": (RegressionTask(n=20), "three"),
    "noise": (RegressionTask(n=5, label_noise=1.0), "noisy"),
}
SCHEDULES = ("linear", "constant")


def trained(
    task: RegressionTask, layers: int, schedule: str, rate: float, seed: int, steps: int, batch: int, fixed_batch: bool = False
) -> tuple[Array, Array]:
    """Params after ``steps`` of Adam, NaN where the run is lost, and the losses on the way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Diverged)
        history = train(
            task, Adam(rate, *BETAS), steps, batch, layers=layers, seed=seed, progress=False, fixed_batch=fixed_batch,
            schedule=None if schedule == "constant" else schedule,
        )  # fmt: skip
    lost = history.diverged_at is not None
    return np.full_like(history.params, np.nan) if lost else history.params, history.loss


def score(place: str, schedule: str, rate: float, seed: int, size: Size) -> dict[str, Array]:
    """The log of the median squared error on fresh prompts of the training length: the median over batches."""
    task, steps = SEARCHED[place]
    params, _ = trained(task, 3, schedule, rate, seed, *getattr(size, steps))
    found = [np.median((testing.answers(params, Z) - y) ** 2) for Z, y in testing.batches(task, size.batches, size.prompts, seed)]
    return {"score": np.array(np.log(np.median(found)))}


def search(each: Callable[..., list[dict[str, Array]]], size: Size) -> dict[str, Any]:
    """The best of RATES at each place and schedule. -> {"length, linear": {"rate", "scores", "at_the_edge"}, ..}

    Without seeds of the search: the rate is twice the first one, nothing is searched. The search was made wider, down to 0.0027,
    after its first result for noisy labels at a constant rate lay at its edge.
    """
    names = [(place, schedule) for place in SEARCHED for schedule in SCHEDULES]
    if not size.search:
        return {", ".join(name): {"rate": 2 * FIRST, "scores": None, "at_the_edge": False} for name in names}
    seeds = SEARCH_SEEDS[: size.search]
    runs = each("rates", score, [(*name, rate, seed, size) for name in names for rate in RATES for seed in seeds])
    scores = np.array([run["score"] for run in runs], float).reshape(len(names), len(RATES), len(seeds)).mean(axis=2)
    found = {}
    for name, row in zip(names, np.where(np.isfinite(scores), scores, np.inf), strict=True):
        best = int(np.argmin(row))
        found[", ".join(name)] = {
            "rate": RATES[best], "scores": [float(one) if np.isfinite(one) else None for one in row],
            "at_the_edge": best in (0, len(RATES) - 1),
        }  # fmt: skip
    return found
