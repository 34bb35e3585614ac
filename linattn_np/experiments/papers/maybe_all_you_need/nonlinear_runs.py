"""Nonlinear regression, what is trained and measured: a network before three layers of full attention
(``nonlinear_regression``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...._types import Array
from ....batches import generators
from ....measures.composed_diagonal import hessian_diagonal
from ....measures.noise import REFERENCE, gaussian_norms
from ....models.composed import Composed
from ....prompts import NonlinearTask
from ....training.batch_gradient import BatchGradient
from ....training.loop import History
from ....training.runs import Run, RunFolder, history_arrays, history_from
from ... import robust
from ...curves import Numbers, condition_numbers, curve, loss_curves, spread
from ...measured import Arrays, kept_each, table
from ...robust import Batches, batches_for, batches_of_seeds, judged, middle, on_batches
from ...scale import TEST_PROMPTS, TEST_SEED, Scale, histories, test_batch, train_side_by_side
from ...search import chosen, score
from ...settings import OPTIMIZERS, with_momentum
from .published import NONLINEAR_RATES
from .released_runs import HIDDEN_SEED
from .released_streams import TorchGenerator

# The labels' network is torch's of seed 7: the numbers that are held against ours belong to it.
TASK = NonlinearTask(n=20, network=TorchGenerator(HIDDEN_SEED).network(5, 10, 5))
SHAPE: dict[str, Any] = {"layers": 3, "std": 0.1, "hidden": 30, "full": False}
RATES = (0.001, 0.01, 0.05, 0.1)
HESSIAN_TIMES = (0, 250, 500, 750, 1_000, 1_250, 1_500, 2_000, 4_000, 6_000, 8_000, 10_000)
LOSS_TIMES = (*range(0, 1_501, 100), 10_000)  # when losses are measured on many test batches
RATIO_TIMES = (0, 750, 1250)  # when condition numbers are compared on more seeds
MORE_SEEDS = 20
WINDOWS = 20  # of the whole run; the steps recorded in each are taken together


def sized(scale: Scale) -> Scale:
    """The released code's batch of 2000 and 5 seeds; fewer draws of the noise than its 100,000."""
    if scale.name == "paper":
        return replace(scale, batch=2_000, seeds=5, record_every=50, noise_draws=2_000, search_steps=400, search_seeds=5)
    return replace(scale, steps=200, batch=64, seeds=2, record_every=10, noise_draws=700, search_steps=30, search_seeds=1)


def runs_for(name: str, rate: float, used: Scale) -> list[Run]:
    """One run for each seed."""
    return [
        Run(TASK, with_momentum(name, rate), used.steps, used.batch, clip=1.0, seed=seed, record_every=used.record_every, **SHAPE)
        for seed in range(used.seeds)
    ]  # fmt: skip


def hessian_times(used: Scale) -> Array:
    """When the Hessian's diagonal is looked at."""
    return np.array(sorted({*(t for t in HESSIAN_TIMES if t <= used.steps), used.steps}))


def model_of(run: Run) -> Composed:
    """The shape of a run's model."""
    return Composed(run.task.d, run.hidden, run.layers, run.heads)


def search(folder: RunFolder, used: Scale, progress: bool | None) -> dict[str, Numbers]:
    """The best of the rates by short runs, as ``search.search``; the paper's code compares the same four rates."""
    short = replace(used, steps=used.search_steps, seeds=used.search_seeds, record_every=max(1, used.search_steps // 20))
    Z, y = test_batch(TASK)
    found, tried = {}, {o: [run for rate in RATES for run in runs_for(o, rate, short)] for o in OPTIMIZERS}
    train_side_by_side(folder, tried.values(), "rates, nonlinear regression", progress)
    for o, runs in tried.items():
        scores = []
        for run, history in zip(runs, histories(folder, runs, f"rates of {o}, nonlinear regression", progress), strict=True):
            times, params = history.snapshot_array()
            losses = np.array([model_of(run).loss_and_grad(theta, Z, y)[0] for theta in params])
            scores.append(score(history, (times, losses), short.steps))
        found[o] = chosen(RATES, np.median(np.reshape(scores, (len(RATES), -1)), axis=1))
    return found


def robust_losses(folder: RunFolder, runs: Sequence[Run], used: Scale, label: str, progress: bool | None) -> dict[str, Numbers]:
    """{iteration: the loss of each seed, the median over test batches}, and what each batch alone says."""
    times, batches = [t for t in LOSS_TIMES if t <= used.steps], batches_for(used)
    every = table(
        on_batches(folder, runs, robust.losses, times, batches, label, progress), "losses", times
    )  # (seeds, T, batches)
    return {str(t): judged(middle(every[:, k], batches), every[:, k], batches) for k, t in enumerate(times)}


def composed_diagonals(task: NonlinearTask, batches: Batches, model: Any, points: Array, steps: Array | None = None) -> Arrays:
    """``robust.diagonals`` for a composed model."""
    surfaces = robust.surfaces(task, batches, model)
    return {"diagonals": np.array([[hessian_diagonal(model, x, surface.Z, surface.y) for surface in surfaces] for x in points])}


def ratios(folder: RunFolder, used: Scale, progress: bool | None) -> dict[str, Numbers]:
    """{iteration: R_med(SGD) / R_med(Adam)} of many seeds at the code's rates, each on a test batch of its own, as the code has
    it.
    """
    times = [t for t in RATIO_TIMES if t <= used.steps]
    count = max(used.seeds, MORE_SEEDS) if used.steps >= RATIO_TIMES[-1] else used.seeds
    R, asked = {}, {}
    short = replace(used, steps=max(times[-1], 1), seeds=count, record_every=np.gcd.reduce(times).item() or 1)
    for o in OPTIMIZERS:
        asked[o] = [*runs_for(o, NONLINEAR_RATES[o], used), *runs_for(o, NONLINEAR_RATES[o], short)[used.seeds :]]
    train_side_by_side(folder, asked.values(), "nonlinear regression, more seeds", progress)
    for o in OPTIMIZERS:
        found = on_batches(
            folder, asked[o], composed_diagonals, times, batches_of_seeds(short), f"{o}, nonlinear, more seeds", progress
        )
        R[o] = condition_numbers(table(found, "diagonals", times)[:, :, 0])  # (seeds, T)
    return {str(t): spread(R["SGD"][:, k] / R["Adam"][:, k]) for k, t in enumerate(times)}


def curves(runs: Sequence[Run], trained: Mapping[Run, History], found: Sequence[Arrays], used: Scale) -> Numbers:
    """The loss curves of some runs, from what was measured along them."""
    pairs = [(each["loss_times"], each["losses"]) for each in found]
    return loss_curves([trained[run] for run in runs], pairs, used)


def along(
    folder: RunFolder, runs: Sequence[Run], trained: Mapping[Run, History], used: Scale, times: Any, label: str,
    progress: bool | None,
) -> list[Arrays]:  # fmt: skip
    """Losses, Hessian diagonals at some times and what the recorded steps meet, for each run; by the folder's executor, and
    kept.
    """
    times = [int(t) for t in times]
    descriptions = [
        {"run": run.to_dict(), "test_seed": TEST_SEED, "prompts": TEST_PROMPTS, "times": times, "test_every": used.test_every}
        for run in runs
    ]  # fmt: skip
    arguments = [(run.to_dict(), history_arrays(trained[run]), times, used.test_every) for run in runs]
    return kept_each(folder, "composed", descriptions, measure_run, arguments, label, progress)


def measure_run(values: dict[str, Any], arrays: Arrays, times: Sequence[int], test_every: int) -> Arrays:
    """What is measured along one run, on the fixed test batch. -> {name: array}"""
    run, history = Run.from_dict(values), history_from(arrays)
    model, (Z, y) = model_of(run), test_batch(run.task)
    loss_times = [t for t in sorted(history.snapshots) if t % test_every == 0]
    times = [t for t in times if t in history.snapshots]
    steps = [t for t in sorted(history.updates) if history.updates[t].any()]
    kappa = []
    for t in steps:
        u = history.updates[t] / np.linalg.norm(history.updates[t])
        kappa.append(u @ model.hvp(history.snapshots[t], Z, y, u))
    return {
        "loss_times": np.array(loss_times),
        "losses": np.array([model.loss_and_grad(history.snapshots[t], Z, y)[0] for t in loss_times]),
        "times": np.array(times), "diagonals": np.array([hessian_diagonal(model, history.snapshots[t], Z, y) for t in times]),
        "step_times": np.array(steps), "kappa": np.array(kappa),
    }  # fmt: skip


def smoothness(found: Mapping[str, Sequence[Arrays]], used: Scale) -> Numbers:
    """Curvature along the recorded steps in windows: quartiles over seeds and steps, and the share of windows with SGD above."""
    times = np.arange(0, used.steps, used.record_every)
    size = max(1, len(times) // WINDOWS)
    panel: Numbers = {}
    middle: Arrays = {}
    for o in OPTIMIZERS:
        kappa = table([{"times": each["step_times"], "kappa": each["kappa"]} for each in found[o]], "kappa", times)
        cut = kappa[:, : size * (len(times) // size)].reshape(len(kappa), -1, size)  # (seeds, windows, steps)
        middle[o] = np.nanmedian(cut, axis=2)
        centres = times[: cut.shape[1] * size].reshape(-1, size).mean(axis=1)
        negative = [float(np.mean(row[np.isfinite(row)] <= 0)) for row in kappa]
        panel[o] = {"kappa": curve(centres, middle[o]), "negative_share": spread(negative)}
    panel["share_sgd_above"] = spread((middle["SGD"] > middle["Adam"]).mean(axis=1))
    return panel


def noise(folder: RunFolder, used: Scale, progress: bool | None = None) -> list[tuple[Array, Array]]:
    """The noise norms of batches of ``used.batch`` at each seed's initialization, and those of the Gaussian control."""
    descriptions = [
        {"task": vars(TASK), "shape": SHAPE, "seed": seed, "batch": used.batch, "draws": used.noise_draws}
        for seed in range(used.seeds)
    ]  # fmt: skip
    arguments = [(seed, used.batch, used.noise_draws) for seed in range(used.seeds)]
    label = f"gradient noise of batches of {used.batch}"
    every = kept_each(folder, "composed-noise", descriptions, noise_of, arguments, label, progress)
    return [(arrays["norms"], arrays["control"]) for arrays in every]


def noise_of(seed: int, batch: int, draws: int) -> Arrays:
    """(8.1) at the params that a run with this seed starts from, g_ref from 100 batches, and its control (8.3)."""
    model = Composed(TASK.d, SHAPE["hidden"], SHAPE["layers"])
    theta = model.init_params(generators(seed, 1)[0], SHAPE["std"])
    gradient = BatchGradient(model, TASK, batch, seed)
    reference = np.mean([gradient(theta)[1] for _ in range(REFERENCE)], axis=0)
    e = np.array([gradient(theta)[1] for _ in range(draws)]) - reference  # (draws, p)
    variances = np.maximum(np.linalg.eigvalsh(e.T @ e / draws), 0.0)
    control = gaussian_norms(variances, draws, np.random.default_rng([seed, 2]))
    return {"norms": np.sqrt((e * e).sum(axis=1)), "control": control}
