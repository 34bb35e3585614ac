"""How large an experiment is: at the paper's scale, or small and quick."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._types import Array
from ..prompts import Prompts, RegressionTask
from ..training.loop import History
from ..training.runs import Run, RunFolder
from ..training.sweeps import sweep
from .settings import Setting

TEST_SEED = 99  # of the one fixed batch; drawn by NumPy, so that it is nobody else's batch of that seed
TEST_PROMPTS = 1000


@dataclass(frozen=True)
class Scale:
    """The size of every experiment of one ``reproduce``."""

    name: str
    steps: int
    batch: int
    seeds: int
    record_every: int  # distance of the snapshots that all figures share
    test_every: int  # distance of the test losses
    hessian_every: int  # distance of the exact Hessians
    noise_draws: int  # batches whose gradient noise is measured, for each seed
    search_steps: int  # the learning-rate search: iterations and seeds of each rate
    search_seeds: int
    test_batches: int = 25  # the batches over which a median is taken, beside the one fixed batch
    table_seeds: int = 20  # seeds of what a table gives at early iterations
    reruns: int = 3  # of what a table gives, the first weights off by a rounding; 0: none


PAPER = Scale("paper", steps=10_000, batch=1000, seeds=6, record_every=10, test_every=50,
              hessian_every=250, noise_draws=10_000, search_steps=2_000, search_seeds=3)  # fmt: skip
QUICK = Scale("quick", steps=1_000, batch=200, seeds=3, record_every=10, test_every=50,
              hessian_every=250, noise_draws=500, search_steps=200, search_seeds=1,
              test_batches=3, table_seeds=3, reruns=0)  # fmt: skip


def limited(scale: Scale, every: Mapping[str, int] | None = None, **at_most: int) -> Scale:
    """A scale with numbers of at most these; ``every``: record_every and hessian_every of at least these."""
    changed = {name: min(getattr(scale, name), most) for name, most in at_most.items()}
    return replace(scale, **changed, **{name: max(getattr(scale, name), least) for name, least in (every or {}).items()})


def differences(scale: Scale, used: Scale) -> dict[str, list[Any]]:
    """What an experiment did at another size than the scale says, for its JSON and its summary. -> {name: [scale's, used]}"""
    return {name: [value, getattr(used, name)] for name, value in vars(scale).items() if value != getattr(used, name)}


def runs_of(setting: Setting, name: str, scale: Scale) -> list[Run]:
    """The runs of one optimizer on one setting, one for each seed."""
    return [
        Run(
            setting.task, setting.optimizer(name), scale.steps, scale.batch, setting.layers,
            clip=setting.clip, seed=seed, record_every=scale.record_every,
        )
        for seed in range(scale.seeds)
    ]  # fmt: skip


def test_batch(task: RegressionTask, seed: int = TEST_SEED) -> Prompts:
    """Our fixed batch, which losses and curvatures are measured on; the paper's tables and plots rest on another one."""
    return task.sample(TEST_PROMPTS, np.random.default_rng(seed))


def histories(folder: RunFolder, runs: Sequence[Run], label: str, progress: bool | None = None) -> list[History]:
    """The histories of the runs, in order; those not yet in the folder are trained by its executor and kept."""
    found = dict(sweep(runs, folder, folder.executor, progress, label))
    return [found[run] for run in runs]


def train_side_by_side(folder: RunFolder, runs: Iterable[Sequence[Run]], label: str, progress: bool | None = None) -> None:
    """Train what is missing of several lists of runs at once: those of one seed, as SGD's and Adam's, share their batches."""
    histories(folder, [run for some in runs for run in some], label, progress)


def quartiles(values: Any) -> Array:
    """Lower quartile, median and upper quartile over the first axis (seeds); NaN only where every seed is NaN."""
    return np.nanquantile(np.asarray(values), [0.25, 0.5, 0.75], axis=0)


def counted(number: int, noun: str) -> str:
    """A number and its noun: 1 seed, 3 seeds, 10,000 iterations."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def in_words(scale: Scale) -> str:
    """The size of the training runs."""
    return f"{counted(scale.steps, 'iteration')}, batch {scale.batch}, {counted(scale.seeds, 'seed')}"
