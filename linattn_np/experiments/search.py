"""The search for a learning rate by short runs: the score of a run, and the best of the rates.

The score of a run is its median loss over the last fifth of its iterations, so that one spike decides nothing; infinite where it
diverged. The score of a rate is the median over the seeds of the search; the smallest is best.
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
    folder: RunFolder, setting: Setting, rates: Sequence[float], scale: Scale, progress: bool | None = None
) -> dict[str, Numbers]:
    """The best of the rates for each optimizer by the loss on the test batch: {optimizer: as :func:`chosen` gives it}."""
    every = min(scale.record_every, max(1, scale.search_steps // 20))
    short = replace(scale, steps=scale.search_steps, seeds=scale.search_seeds, record_every=every)
    test, found = test_batch(setting.task), {}
    for o in OPTIMIZERS:
        asked = [run for rate in rates for run in runs_of(replace(setting, learning_rates={o: rate}), o, short)]
        trained = histories(folder, asked, f"rates of {o}, {setting.title}", progress)
        scores = np.array([score(history, losses_along(late(history, short.steps), *test), short.steps) for history in trained])
        found[o] = chosen(rates, np.median(scores.reshape(len(rates), -1), axis=1))
    return found


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


def chosen(rates: Sequence[float], scores: Any) -> Numbers:
    """The best rate, with everything that decided it: {"rates", "scores", "best", "at_the_edge"}"""
    best = int(np.argmin(scores))
    return {
        "rates": list(rates), "scores": [float(value) for value in scores], "best": rates[best],
        "at_the_edge": best in (0, len(rates) - 1),
    }  # fmt: skip
