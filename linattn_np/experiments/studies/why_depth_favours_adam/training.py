"""One run, all runs of a kind side by side, and the search of each method's own best rate, and base, on other seeds."""

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....measures.landscape import Objective
from ....models.transformer import LinearTransformer, init_params
from ....optimizers import Linear
from ....prompts import RegressionTask
from ....training.history import Diverged
from ....training.loop import train
from ....training.runs import RunFolder
from ...measured import kept_each
from .layers import by_layer
from .methods import BASES, METHODS

TASK = RegressionTask()
FACTOR, COARSE = 1.4, (-4, -2, 0, 2, 4)  # rates are the first one times a power of the factor; those that each search begins with
FARTHEST, FARTHEST_BASE = 12, 3  # powers of the factor, and of 2 for the base, at most
BY_LAYER_PROMPTS = 128  # of the batches on which gradients by layer are measured
LATE = (0.9, 0.95, 1.0)  # with a constant rate the loss is the median of these shares of the run
STARTS = ("usual", "equal", "Chebyshev")


class Run(NamedTuple):
    """Everything that decides one run."""

    layers: int
    method: str
    rate: float
    base: float
    seed: int
    steps: int = 2000
    batch: int = 128
    schedule: str | None = "linear"
    start: str = "usual"
    before: tuple[str, float, int] | None = None  # another method, its rate, and how many steps it goes first
    tests: tuple[int, int] = (25, 1000)  # fresh batches of the test loss, and their prompts


@lru_cache(maxsize=4)
def test_batches(batches: int, prompts: int) -> list[Any]:
    """Fresh batches, the same for every run."""
    rng = np.random.default_rng([30, 99, prompts])
    return [TASK.sample(prompts, rng) for _ in range(batches)]


def step_lengths(start: str, layers: int) -> Array:
    """What Q'_l begins at, times -I: equal lengths, or one over the roots of the Chebyshev polynomial on the bulk of S.

    The bulk of the eigenvalues of S is ((1 - sqrt(d / n))^2, (1 + sqrt(d / n))^2): 0.25 to 2.25.
    """
    if start == "equal":
        return np.full(layers, 0.5)
    low, high = ((1 + sign * math.sqrt(TASK.d / TASK.n)) ** 2 for sign in (-1, 1))
    angles = math.pi * (2 * np.arange(layers) + 1) / (2 * layers)
    return 1 / ((low + high) / 2 + (high - low) / 2 * np.cos(angles))


def first_weights(start: str, layers: int, seed: int) -> Array | None:
    """The weights of a start; None: those that ``train`` draws."""
    if start == "usual":
        return None
    params = init_params(np.random.default_rng([30, seed]), layers)
    params[:, :, 1] -= step_lengths(start, layers)[:, None, None, None] * np.eye(TASK.d)
    return params


def trained(run: Run) -> dict[str, Array]:
    """One run. -> its test loss, the median over batches, infinite where it is lost; (3, L) of ``by_layer`` at its end."""
    params: Any = first_weights(run.start, run.layers, run.seed)
    gone = 0
    lost = {"loss": np.array(np.inf), "by_layer": np.full((3, run.layers), np.nan)}
    parts = [(run.method, run.rate, run.steps)]
    if run.before is not None:
        parts = [run.before, (run.method, run.rate, run.steps - run.before[2])]
    for part, (method, rate, steps) in enumerate(parts):
        how, whole = METHODS[method], Linear(run.steps)
        schedule = (lambda t, gone=gone, whole=whole: whole(t + gone)) if run.schedule == "linear" else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Diverged)
            history = train(
                TASK, how.make(run.layers, rate, run.base), steps, run.batch, clip=how.clip(run.layers),
                seed=run.seed + 10_000 * part, params=params, layers=run.layers if params is None else None,
                record_every=max(1, run.steps // 20), schedule=schedule, progress=False,
            )  # fmt: skip
        if history.diverged_at is not None:
            return lost
        params, gone = history.params, gone + steps
    model = LinearTransformer(TASK.d, run.layers)
    tests = [Objective(batch.Z, batch.y, model) for batch in test_batches(*run.tests)]
    ends = [params]
    if run.schedule is None:
        ends = [history.snapshots[min(history.snapshots, key=lambda t: abs(t - share * run.steps))] for share in LATE]
    loss = np.median([np.median([test.loss(end) for test in tests]) for end in ends])
    if not np.isfinite(loss):
        return lost
    return {"loss": np.array(loss), "by_layer": by_layer(params, test_batches(run.tests[0], BY_LAYER_PROMPTS))}


def run_all(folder: RunFolder, runs: Sequence[Run], label: str, progress: bool | None) -> list[dict[str, Array]]:
    """The runs, trained now or kept from before, in order."""
    descriptions = [
        {**run._asdict(), "optimizer": repr(METHODS[run.method].make(run.layers, run.rate, run.base)),
         "clip": METHODS[run.method].clip(run.layers), "task": vars(TASK)}
        for run in runs
    ]  # fmt: skip
    return kept_each(folder, "why_depth_favours_adam", descriptions, trained, [(run,) for run in runs], label, progress)


# ---------------------------------------------------------------- the search

Case = tuple[str | None, int, str]  # schedule, layers, method
Point = tuple[int, int]  # powers of 2 in the base, of FACTOR in the rate


def rate_at(layers: int, method: str, k: int) -> float:
    """The rate at place k of the search."""
    return float(f"{METHODS[method].first[layers] * FACTOR**k:.4g}")


def base_at(layers: int, j: int, base: float | None = None) -> float:
    """The base at place j of the search, which begins at ``base``, or at that of the depth."""
    return (BASES[layers] if base is None else base) * 2.0**j


def score(runs: Sequence[dict[str, Array]]) -> float:
    """What the search compares: the mean of the log losses, infinite where a run is lost."""
    return float(np.mean([np.log(run["loss"]) for run in runs]))


def wanted(known: dict[Point, float], bases: bool) -> list[Point]:
    """The points that a search looks at next: two rates on each side of the best one, and where there are bases, both next to
    its own, each at three rates; as far as it goes.
    """
    if not known:
        return [(0, k) for k in COARSE]
    j, k = best_point(known)
    near = [(j, k - 2), (j, k - 1), (j, k + 1), (j, k + 2)]
    if bases:
        near += [(j + way, k + by) for way in (-1, 1) for by in (-2, 0, 2)]
    return [(j, k) for j, k in near if abs(k) <= FARTHEST and abs(j) <= FARTHEST_BASE]


def best_point(known: dict[Point, float]) -> Point:
    """The point with the least score; where all runs are lost, the smallest rate."""
    return min(known, key=lambda at: (known[at], at[1], at[0]))


def search(
    folder: RunFolder, cases: dict[Case, tuple[Sequence[int], float | None]], like: Run, progress: bool | None
) -> dict[Case, dict[Point, float]]:
    """Search every case until nothing around its best point is better; all cases side by side.

    cases: the seeds of a case's search, and the base where it begins and stays, None to search that too. like: the size of the
    runs. -> {case: {point: mean of the log losses over the seeds}}
    """
    found: dict[Case, dict[Point, float]] = {case: {} for case in cases}
    open_cases = {case: bool(METHODS[case[2]].layer_rates > 0 and base is None) for case, (_, base) in cases.items()}
    while missing := [(case, at) for case in found for at in wanted(found[case], open_cases[case]) if at not in found[case]]:
        runs = [
            like._replace(layers=L, method=method, rate=rate_at(L, method, k), base=base_at(L, j, cases[case][1]),
                          seed=seed, schedule=schedule)
            for case, (j, k) in missing for schedule, L, method in [case] for seed in cases[case][0]
        ]  # fmt: skip
        done = iter(run_all(folder, runs, "rates", progress))
        for case, at in missing:
            found[case][at] = score([next(done) for _ in cases[case][0]])
    return found
