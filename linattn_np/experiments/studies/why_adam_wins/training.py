"""Where the methods are compared, one run, and the search of each method's own best rate on seeds that are not used after."""

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....measures.landscape import Objective
from ....models.transformer import LinearTransformer
from ....optimizers import global_norm
from ....prompts import RegressionTask
from ....training.history import Diverged, History
from ....training.loop import train
from ....training.runs import RunFolder
from ...measured import kept_each
from .methods import METHODS

LAYERS, FACTOR, FARTHEST = 3, 1.4, 9  # rates of the search are the first one times a power of the factor, at most this one
COARSE = (-4, -2, 0, 2, 4)  # the powers that each search begins with


class Place(NamedTuple):
    """Data, model and length of the runs; the shares of the steps and the schedule are part of what is asked."""

    task: RegressionTask
    full: bool = False
    share: float = 1.0  # of the steps
    schedule: str | None = "linear"


PLACES = {
    "Setting 1": Place(RegressionTask()),
    "a quarter of the steps": Place(RegressionTask(), share=0.25),
    "constant rate": Place(RegressionTask(), schedule=None),
    "sphere": Place(RegressionTask(covariates="sphere")),
    "full matrices": Place(RegressionTask(), full=True),
}
MAIN = ("SGD", "SGD, rates 16^l", "one scalar", "each layer", "Adam")
ASKED = {  # which methods run where
    "Setting 1": tuple(METHODS),
    "a quarter of the steps": MAIN,
    "constant rate": MAIN,
    "sphere": (*MAIN, "P and Q", "each block"),
    "full matrices": (*MAIN, "each block"),
}


class Size(NamedTuple):
    """How large the study is."""

    steps: int = 2000
    batch: int = 256
    batches: int = 25  # fresh batches of the test loss, of ``prompts`` each
    prompts: int = 1000
    seeds: tuple[int, ...] = tuple(range(300, 308))
    search: tuple[int, ...] = (200, 201)  # seeds of the search; none: the first rates are used


@lru_cache(maxsize=2)
def test_batches(task: RegressionTask, batches: int, prompts: int) -> list[Any]:
    """Fresh batches, the same for every run of a task."""
    rng = np.random.default_rng([29, 99])
    return [task.sample(prompts, rng) for _ in range(batches)]


def trained(place: str, method: str, rate: float, seed: int, size: Size) -> dict[str, Array]:
    """One run. -> its test loss, the median over batches, infinite where it is lost; the median and the 99.9 % step length.

    Lengths are those of the updates in the middle 60 % of the run, over the schedule's factor: in units of a constant rate.
    """
    where, how = PLACES[place], METHODS[method]
    steps = max(2, round(where.share * size.steps))
    model = LinearTransformer(where.task.d, LAYERS, full=where.full)
    history = _quietly(where, how.make(rate, seed), steps, size.batch, how.clip, seed, model)
    if history.diverged_at is not None:
        return {"loss": np.array(np.inf), "lengths": np.full(2, np.nan)}
    tests = test_batches(where.task, size.batches, size.prompts)
    loss = np.median([Objective(batch.Z, batch.y, model).loss_and_grad(history.params)[0] for batch in tests])
    inner = [t for t in history.updates if 0.2 * steps <= t < 0.8 * steps]
    factor = [1 - t / steps if where.schedule == "linear" else 1.0 for t in inner]
    lengths = np.array([global_norm(history.updates[t]) for t in inner]) / factor
    loss = loss if np.isfinite(loss) else np.inf
    return {"loss": np.array(loss), "lengths": np.quantile(lengths, [0.5, 0.999])}


def _quietly(where: Place, optimizer: Any, steps: int, batch: int, clip: float, seed: int, model: Any) -> History:
    """A run whose divergence is read off its record."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Diverged)
        return train(
            where.task, optimizer, steps, batch, clip=clip, seed=seed, model=model, record_every=1, schedule=where.schedule,
            progress=False,
        )  # fmt: skip


Cell = tuple[str, str, float]  # place, method, rate


def run_all(
    folder: RunFolder, cells: Sequence[Cell], seeds: Sequence[int], size: Size, label: str, progress: bool | None
) -> dict[Cell, list[dict[str, Array]]]:
    """The runs of all cells and seeds, trained now or kept from before. -> {cell: one for each seed}"""
    asked = [(*cell, seed, size) for cell in cells for seed in seeds]
    descriptions = [
        {"place": place, "task": vars(PLACES[place].task), "full": PLACES[place].full, "share": PLACES[place].share,
         "schedule": PLACES[place].schedule, "method": method, "optimizer": repr(METHODS[method].make(rate, seed)),
         "clip": METHODS[method].clip, "seed": seed, "size": size[:4]}
        for place, method, rate, seed, _ in asked
    ]  # fmt: skip
    found = kept_each(folder, "why_adam_wins", descriptions, trained, asked, label, progress)
    return {cell: found[k * len(seeds) : (k + 1) * len(seeds)] for k, cell in enumerate(cells)}


def rate_at(method: str, k: int) -> float:
    """The rate at place k of the search."""
    return float(f"{METHODS[method].first * FACTOR**k:.4g}")


def score(runs: list[dict[str, Array]]) -> float:
    """What the search compares: the mean of the log losses, infinite where a run is lost."""
    return float(np.mean([np.log(run["loss"]) for run in runs]))


def search(folder: RunFolder, place: str, size: Size, progress: bool | None) -> dict[str, dict[str, float]]:
    """Each method's best rate at a place: of five rates first, then of those next to the best, until two on each side are worse.

    At first one neighbour of the first rate was enough; SGD with rates 16^l then stopped before a hump, behind which the loss is
    half as large. So all searches were made wider alike, after their first results were seen.

    -> {method: {rate: mean of the log losses over the seeds of the search}}, the least is the best; {first: 0} without a search.
    """
    scores: dict[str, dict[int, float]] = {method: {} for method in ASKED[place]}
    if not size.search:
        return {method: {f"{rate_at(method, 0):g}": 0.0} for method in scores}
    while missing := [(method, k) for method, known in scores.items() for k in wanted(known) if k not in known]:
        cells = [(place, method, rate_at(method, k)) for method, k in missing]
        found = run_all(folder, cells, size.search, size, f"rates, {place}", progress)
        for (method, k), cell in zip(missing, cells, strict=True):
            scores[method][k] = score(found[cell])
    return {method: {f"{rate_at(method, k):g}": known[k] for k in sorted(known)} for method, known in scores.items()}


def wanted(known: dict[int, float]) -> list[int]:
    """The places that the search looks at next: two neighbours of the best one on each side, as far as it goes."""
    if not known:
        return list(COARSE)
    best = min(known, key=lambda k: (known[k], k))
    return [k for k in (best - 2, best - 1, best + 1, best + 2) if abs(k) <= FARTHEST]


def best_rate(scores: dict[str, float]) -> float:
    """The rate with the least score."""
    return float(min(scores, key=lambda rate: scores[rate]))
