"""Where the methods are compared, one run, and the search of each method's own best rate on seeds that are not used after."""

import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....measures.landscape import Objective
from ....models.transformer import LinearTransformer
from ....optimizers import global_norm
from ....prompts import RegressionTask
from ....training.history import Diverged
from ....training.loop import train
from ....training.runs import RunFolder
from ...measured import kept_each
from . import noise
from .methods import METHODS

LAYERS, FACTOR, FARTHEST = 3, 1.4, 12  # rates of the search are the first one times a power of the factor, at most this one
COARSE = (-4, -2, 0, 2, 4)  # the powers that each search begins with


class Place(NamedTuple):
    """Data, model and way of the runs; the shares of steps and batch, the schedule and the noise are part of what is asked."""

    task: RegressionTask
    full: bool = False
    heads: int = 1
    share: float = 1.0  # of the steps
    schedule: str | None = "linear"
    batches: float = 1.0  # the batch over the size's
    momentum: bool = True
    noise: str | None = None  # one of ``noise.KINDS``, in the place of fresh batches


PLACES = {
    "Setting 1": Place(RegressionTask()),
    "a quarter of the steps": Place(RegressionTask(), share=0.25),
    "constant rate": Place(RegressionTask(), schedule=None),
    "sphere": Place(RegressionTask(covariates="sphere")),
    "full matrices": Place(RegressionTask(), full=True),
    "Setting 2": Place(RegressionTask(n=5)),
    "n = 40, d = 8": Place(RegressionTask(n=40, d=8)),
    "two heads": Place(RegressionTask(), heads=2),
    "no momentum": Place(RegressionTask(), momentum=False),
    "batch 1000": Place(RegressionTask(), batches=1000 / 256),
    "noise of 64 prompts": Place(RegressionTask(), noise="real"),
    "Gaussian noise": Place(RegressionTask(), noise="Gaussian"),
    "next to no noise": Place(RegressionTask(), noise="none"),
}
NOISES = ("noise of 64 prompts", "Gaussian noise", "next to no noise")
MAIN = ("SGD", "SGD, rates 16^l", "one scalar", "each layer", "Adam")
ASKED = {  # which methods run where
    "Setting 1": tuple(METHODS),
    "a quarter of the steps": MAIN,
    "constant rate": MAIN,
    "sphere": (*MAIN, "P and Q", "each block"),
    "full matrices": (*MAIN, "each block"),
    "Setting 2": MAIN,
    "n = 40, d = 8": MAIN,
    "two heads": (*MAIN, "each block"),
    "no momentum": MAIN,
    "batch 1000": MAIN,
    **dict.fromkeys(NOISES, ("SGD", "Adam")),
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


def optimizer_of(place: str, method: str, rate: float, seed: int) -> Any:
    """The optimizer of a method, without its momentum where the place has none."""
    made = METHODS[method].make(rate, seed)
    if PLACES[place].momentum:
        return made
    return replace(made, **{field.name: 0.0 for field in fields(made) if field.name in ("momentum", "beta1")})


def trained(place: str, method: str, rate: float, seed: int, size: Size) -> dict[str, Array]:
    """One run. -> its test loss, the median over batches, infinite where it is lost; the median and the 99.9 % step length.

    Lengths are those of the updates in the middle 60 % of the run, over the schedule's factor: in units of a constant rate. Under
    a noise of its own a run has none.
    """
    where, lengths = PLACES[place], np.full(2, np.nan)
    steps, batch = max(2, round(where.share * size.steps)), round(where.batches * size.batch)
    model = LinearTransformer(where.task.d, LAYERS, where.heads, full=where.full)
    optimizer, clip = optimizer_of(place, method, rate, seed), METHODS[method].clip
    with warnings.catch_warnings(), np.errstate(all="ignore"):  # a run that is lost is told by its numbers
        warnings.simplefilter("ignore", Diverged)
        if where.noise is not None:
            params = noise.descend(where.noise, where.task, model, optimizer, steps, max(1, batch // 64), clip, seed)
        else:
            history = train(where.task, optimizer, steps, batch, clip=clip, seed=seed, model=model, record_every=1,
                            schedule=where.schedule, progress=False)  # fmt: skip
            if history.diverged_at is not None:
                return {"loss": np.array(np.inf), "lengths": lengths}
            params, lengths = history.params, step_lengths(history.updates, steps, where.schedule)
        if not np.isfinite(params).all():
            return {"loss": np.array(np.inf), "lengths": lengths}
        tests = test_batches(where.task, size.batches, size.prompts)
        loss = np.median([Objective(batch.Z, batch.y, model).loss(params) for batch in tests])
    return {"loss": np.array(loss if np.isfinite(loss) else np.inf), "lengths": lengths}


def step_lengths(updates: dict[int, Array], steps: int, schedule: str | None) -> Array:
    """The median and the 99.9 % length of the updates in the middle 60 % of a run, over the schedule's factor. -> (2,)"""
    inner = [t for t in updates if 0.2 * steps <= t < 0.8 * steps]
    factor = [1 - t / steps if schedule == "linear" else 1.0 for t in inner]
    return np.quantile(np.array([global_norm(updates[t]) for t in inner]) / factor, [0.5, 0.999])


Cell = tuple[str, str, float]  # place, method, rate


def run_all(
    folder: RunFolder, cells: Sequence[Cell], seeds: Sequence[int], size: Size, label: str, progress: bool | None
) -> dict[Cell, list[dict[str, Array]]]:
    """The runs of all cells and seeds, trained now or kept from before. -> {cell: one for each seed}"""
    asked = [(*cell, seed, size) for cell in cells for seed in seeds]
    descriptions = [
        {**PLACES[place]._asdict(), "place": place, "task": vars(PLACES[place].task), "method": method,
         "optimizer": repr(optimizer_of(place, method, rate, seed)), "clip": METHODS[method].clip, "seed": seed, "size": size[:4]}
        for place, method, rate, seed, _ in asked
    ]  # fmt: skip
    found = kept_each(folder, "why_adam_wins", descriptions, trained, asked, label, progress)
    return {cell: found[k * len(seeds) : (k + 1) * len(seeds)] for k, cell in enumerate(cells)}


def rate_at(place: str, method: str, k: int) -> float:
    """The rate at step k of the search. SGD's buffer is not damped: without momentum the first rate is ten times as large."""
    more = 10 if method.startswith("SGD") and not PLACES[place].momentum else 1
    return float(f"{more * METHODS[method].first * FACTOR**k:.4g}")


def score(runs: list[dict[str, Array]]) -> float:
    """What the search compares: the mean of the log losses, infinite where a run is lost."""
    return float(np.mean([np.log(run["loss"]) for run in runs]))


def search(folder: RunFolder, place: str, size: Size, progress: bool | None) -> dict[str, dict[str, float]]:
    """Each method's best rate at a place: of five rates first, then of those next to the best, until two on each side are worse.

    At first one neighbour of the first rate was enough; SGD with rates 16^l then stopped before a hump, behind which the loss is
    half as large. So all searches were made wider alike, after their first results were seen; and wider once more, since on the
    sphere that method's best rate lay at the end.

    -> {method: {rate: mean of the log losses over the seeds of the search}}, the least is the best; {first: 0} without a search.
    """
    scores: dict[str, dict[int, float]] = {method: {} for method in ASKED[place]}
    if not size.search:
        return {method: {f"{rate_at(place, method, 0):g}": 0.0} for method in scores}
    while missing := [(method, k) for method, known in scores.items() for k in wanted(known) if k not in known]:
        cells = [(place, method, rate_at(place, method, k)) for method, k in missing]
        found = run_all(folder, cells, size.search, size, f"rates, {place}", progress)
        for (method, k), cell in zip(missing, cells, strict=True):
            scores[method][k] = score(found[cell])
    return {method: {f"{rate_at(place, method, k):g}": known[k] for k in sorted(known)} for method, known in scores.items()}


def wanted(known: dict[int, float]) -> list[int]:
    """The places that the search looks at next: two neighbours of the best one on each side, as far as it goes."""
    if not known:
        return list(COARSE)
    best = min(known, key=lambda k: (known[k], k))
    return [k for k in (best - 2, best - 1, best + 1, best + 2) if abs(k) <= FARTHEST]


def best_rate(scores: dict[str, float]) -> float:
    """The rate with the least score."""
    return float(min(scores, key=lambda rate: scores[rate]))
