"""The search for a learning rate by short runs: the score of a run, and the best of the rates.

The score of a run is its median loss over the last fifth of its iterations, so that one spike decides nothing; infinite where it
diverged. The score of a rate is the median over the seeds of the search; the smallest is best. A race gives rates up on the way:
every rate is tried on the first seed, the better half of them on the next, and from then on those whose median over all seeds may
still be the smallest.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .._types import Array
from ..training.loop import History, losses_along
from ..training.runs import RunFolder
from .curves import Numbers
from .scale import Scale, histories, runs_of, test_batch
from .settings import OPTIMIZERS, Setting


def search(
    folder: RunFolder, setting: Setting, rates: Sequence[float], scale: Scale, progress: bool | None = None, race: bool = False
) -> dict[str, Numbers]:
    """The best of the rates for each optimizer by the loss on the test batch: {optimizer: as :func:`chosen` gives it}."""
    every = min(scale.record_every, max(1, scale.search_steps // 20))
    short = replace(scale, steps=scale.search_steps, seeds=scale.search_seeds, record_every=every)
    test, scores = test_batch(setting.task), {o: np.full((len(rates), short.seeds), np.nan) for o in OPTIMIZERS}
    for seed in range(short.seeds):
        asked = {
            (o, k): runs_of(replace(setting, learning_rates={o: rates[k]}), o, short)[seed]
            for o in OPTIMIZERS for k in (going_on(scores[o], seed) if race else range(len(rates)))
        }  # fmt: skip
        trained = histories(folder, list(asked.values()), f"rates of {setting.title}, seed {seed + 1} of {short.seeds}", progress)
        for (o, k), history in zip(asked, trained, strict=True):
            scores[o][k, seed] = score(history, losses_along(late(history, short.steps), *test), short.steps)
    seeds = {o: (~np.isnan(every)).sum(axis=1) if race else None for o, every in scores.items()}
    return {o: chosen(rates, np.nanmedian(every, axis=1), seeds[o]) for o, every in scores.items()}


def going_on(scores: Array, tried: int) -> Array:
    """The rates that a race tries on seed ``tried``: at first all, then the better half of them, then those that may still turn
    out best, whatever the seeds left give.

    scores (rates, seeds), NaN where a rate was not tried. -> their places, ascending
    """
    if tried == 0:
        return np.arange(len(scores))
    if tried == 1:
        return np.sort(np.argsort(scores[:, 0], kind="stable")[: -(-len(scores) // 2)])
    at_least, at_most = (np.median(np.where(np.isnan(scores), left, scores), axis=1) for left in (-np.inf, np.inf))
    so_far = ~np.isnan(scores[:, :tried]).any(axis=1)
    return np.flatnonzero(so_far & (at_least < at_most[so_far].min()))


def late(history: History, steps: int) -> History:
    """The history with the snapshots that decide its score alone, or the last."""
    found = {t: x for t, x in history.snapshots.items() if t > 0.8 * steps}
    return replace(history, snapshots=found or {max(history.snapshots): history.params})


def score(history: History, along: tuple[Array, Array], steps: int) -> float:
    """The median of the losses (times, losses) over the last fifth of the steps; infinite for a run that diverged."""
    times, values = along
    if history.diverged_at is not None:
        return np.inf
    last = values[times > 0.8 * steps]
    return float(np.median(np.where(np.isfinite(last), last, np.inf)))


def chosen(rates: Sequence[float], scores: Any, seeds: Any = None) -> Numbers:
    """The best rate, with everything that decided it: {"rates", "scores", "best", "at_the_edge"}

    ``seeds``: on how many a race tried each rate; the best is one of those tried on most, and "seeds" is told.
    """
    scores = np.asarray(scores, float)
    best = int(np.nanargmin(scores if seeds is None else np.where(seeds == seeds.max(), scores, np.nan)))
    found = {"rates": list(rates), "scores": scores.tolist(), "best": rates[best], "at_the_edge": best in (0, len(rates) - 1)}
    return found if seeds is None else {**found, "seeds": seeds.tolist()}
