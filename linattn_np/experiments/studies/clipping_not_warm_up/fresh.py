"""Fresh batches: what survives, Adam with and without a warm-up, and thresholds, each at one rate and at its own best rate."""

import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ....measures.landscape import Objective
from ....models.transformer import LinearTransformer
from ....optimizers import SGD, Adam, Linear, WarmUp
from ....prompts import RegressionTask
from ....training.history import Diverged
from ....training.loop import train
from .fixed import TRAINED, Arrays

FACTOR, FARTHEST, COARSE = 1.4, 10, (-4, -2, 0, 2, 4)  # a search: rates first * FACTOR^k
RATES = (0.01, 0.02, 0.03, 0.04, 0.06)  # of momentum, where survivors are counted
SURVIVAL = {"none": (0, None), "warm-up 50": (50, None), "warm-up 200": (200, None), "clip 1": (0, 1.0)}
MODEL = LinearTransformer(d=5, layers=3)


class Cell(NamedTuple):
    """A way to train on fresh batches, all but its rate, seed and length."""

    optimizer: str  # "SGD", with momentum 0.9, or "Adam"
    n: int = 20  # examples of a prompt: 20 in Setting 1, 5 in Setting 2
    beta2: float = 0.9
    warm_up: int = 0
    threshold: float | None = 1.0
    decay: bool = True
    part: str = "adam"  # which steps and batch of a Size it has
    first: float = 0.04  # where its search begins


def _adam() -> Iterator[tuple[str, Cell]]:
    for decay in (True, False):
        for beta2 in (0.9, 0.999):
            for steps in (0, 200):
                yield (
                    f"beta2 {beta2:g}, {'decay' if decay else 'constant'}, {f'warm-up {steps}' if steps else 'none'}",
                    Cell("Adam", 20, beta2, steps, 1.0, decay),
                )


def _thresholds() -> Iterator[tuple[str, Cell]]:
    for decay in (True, False):
        for setting, n in (("Setting 1", 20), ("Setting 2", 5)):
            for optimizer in ("SGD", "Adam"):
                for threshold in (0.1, 1.0, 10.0, None):
                    first = 0.02 if optimizer == "Adam" else {0.1: 0.3, 1.0: 0.1, 10.0: 0.02, None: 0.005}[threshold]
                    name = f"{setting}, {optimizer}, {'decay' if decay else 'constant'}, {threshold_in_words(threshold)}"
                    yield name, Cell(optimizer, n, 0.9, 0, threshold, decay, "thresholds", first)


def threshold_in_words(threshold: float | None) -> str:
    """Its name."""
    return "none" if threshold is None else f"clip {threshold:g}"


ADAM, THRESHOLDS = dict(_adam()), dict(_thresholds())
CELLS = ADAM | THRESHOLDS


class Fresh(NamedTuple):
    """Steps and batches, and how losses are tested."""

    survival: tuple[int, int] = (600, 1000)  # steps, batch
    adam: tuple[int, int] = (800, 1000)
    thresholds: tuple[int, int] = (1500, 256)
    batches: int = 25
    prompts: int = 1000


@lru_cache(maxsize=4)
def test_batches(n: int, batches: int, prompts: int) -> list[Any]:
    """Fresh batches, the same for every run of a setting."""
    rng = np.random.default_rng([28, 99])
    return [RegressionTask(n=n, d=5).sample(prompts, rng) for _ in range(batches)]


def trained(name: str, rate: float, seed: int, fresh: Fresh) -> Arrays:
    """One run of a cell. -> loss: the median over the test batches, infinite where it is lost; lost: the step at which, else -1;
    clipped: the share of its gradients longer than the threshold
    """
    cell = CELLS[name]
    steps, batch = fresh.adam if cell.part == "adam" else fresh.thresholds
    last = Linear(steps) if cell.decay else None
    schedule = WarmUp(cell.warm_up, last) if cell.warm_up else last
    optimizer = Adam(rate, 0.9, cell.beta2) if cell.optimizer == "Adam" else SGD(rate, 0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Diverged)
        history = train(RegressionTask(n=cell.n, d=5), optimizer, steps, batch, clip=cell.threshold, seed=seed, model=MODEL,
                        schedule=schedule, progress=False)  # fmt: skip
    share = np.nanmean(history.grad_norm > cell.threshold) if cell.threshold else 0.0
    if history.diverged_at is not None:
        return {"loss": np.array(np.inf), "lost": np.array(history.diverged_at), "clipped": np.array(share)}
    with np.errstate(all="ignore"):
        tests = test_batches(cell.n, fresh.batches, fresh.prompts)
        loss = np.median([Objective(batch.Z, batch.y, MODEL).loss(history.params) for batch in tests])
    loss = loss if np.isfinite(loss) else np.inf
    return {"loss": np.array(loss), "lost": np.array(-1), "clipped": np.array(share)}


def survived(name: str, decay: bool, rate: float, seed: int, fresh: Fresh) -> Arrays:
    """SGD with momentum on fresh batches. -> lost: the step at which a number is not finite, else -1; loss: the median over the
    last tenth of the batches, infinite where it is lost
    """
    (steps, batch), (warm_up, threshold) = fresh.survival, SURVIVAL[name]
    last = Linear(steps) if decay else None
    schedule = WarmUp(warm_up, last) if warm_up else last
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Diverged)
        history = train(RegressionTask(n=20, d=5), SGD(rate, 0.9), steps, batch, clip=threshold, seed=seed, model=MODEL,
                        schedule=schedule, progress=False)  # fmt: skip
    if history.diverged_at is not None:
        return {"loss": np.array(np.inf), "lost": np.array(history.diverged_at)}
    return {"loss": np.array(np.median(history.loss[-max(1, steps // 10) :])), "lost": np.array(-1)}


def alive(losses: Any) -> Any:
    """Which runs survived: not lost, and trained."""
    return np.asarray(losses, float) < TRAINED


# ---------------------------------------------------------------- the search


def rate_at(name: str, k: int) -> float:
    """The rate at place k of a search."""
    return float(f"{CELLS[name].first * FACTOR**k:.4g}")


def wanted(known: dict[int, float]) -> list[int]:
    """What the search looks at next: the coarse places, then two neighbours of the best one on each side; while all are lost, two
    places farther down.
    """
    if not known:
        return list(COARSE)
    if not np.isfinite(list(known.values())).any():
        return [k for k in (min(known) - 1, min(known) - 2) if k >= -FARTHEST]
    best = min(known, key=lambda k: (known[k], k))
    return [k for k in (best - 2, best - 1, best + 1, best + 2) if abs(k) <= FARTHEST]


def score(losses: Sequence[float]) -> float:
    """What the search compares: the mean of the log losses, infinite where a run is lost."""
    return float(np.mean(np.log(np.asarray(losses, float))))
