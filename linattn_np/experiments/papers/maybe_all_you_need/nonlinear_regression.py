"""Nonlinear regression: labels linear in a hidden network's features; a trained network, then three layers of full attention."""

from dataclasses import replace

import numpy as np

from ....batches import generators, part_sizes
from ....measures.composed_diagonal import hessian_diagonal
from ....measures.noise import REFERENCE, gaussian_norms
from ....models.composed import Composed
from ....optimizers import SGD, Adam
from ....plotting import STYLES, median_band, new_figure
from ....prompts import NonlinearTask
from ....training.loop import BatchGradient
from ....training.runs import Run, history_arrays, history_from
from ...measured import kept_each, spread, table
from ...panels import (
    OPTIMIZERS,
    band,
    chosen,
    condition_curves,
    curve,
    draw_condition,
    draw_losses,
    draw_noise,
    draw_quantiles,
    limits_in_words,
    loss_curves,
    losses_in_words,
    noise_in_words,
    noise_summary,
    number,
    score,
)
from ...scale import TEST_PROMPTS, TEST_SEED, differences, histories, test_batch

TITLE = "Nonlinear regression: a ReLU network before three layers of linear attention"
TIME = "15 minutes"
TASK = NonlinearTask(n=20)
RATES = (0.001, 0.01, 0.05, 0.1)
CODE_RATES = {"SGD": 0.05, "Adam": 0.01}  # what the released code found best of them, and everything here is measured at
SEARCHED_SEEDS = 3  # of runs at another rate, where our own search finds one better
HESSIAN_TIMES = (0, 250, 500, 750, 1_000, 1_250, 1_500, 2_000, 4_000, 6_000, 8_000, 10_000)
CODE_RATIOS = {0: (1.07, 0.40), 750: (5.41, 3.96), 1250: (6.61, 2.54)}  # of the released code: mean and standard deviation
WINDOWS = 20  # of the whole run; the steps recorded in each are taken together
SHAPE = {"layers": 3, "std": 0.1, "hidden": 30, "full": False}
ALT = (
    "Six panels. Test loss against iteration for SGD with momentum and Adam at the released code's rates, logarithmic; thin, the "
    "rate that our own search finds, where it is another. Density of the gradient noise norm at "
    "initialization in units of its median. Quantiles of that norm against those of a normal law beside Gaussian noise with the "
    "same covariance. Robust condition number against iteration, logarithmic. Its ratio, SGD's over Adam's, with the released "
    "code's three values and their standard deviations. Curvature along the steps. Lines are medians over seeds, bands quartiles."
)


def sized(scale):
    """The released code's batch of 2000 and 5 seeds; fewer draws of the noise than its 100,000."""
    if scale.name == "paper":
        return replace(scale, batch=2_000, seeds=5, record_every=50, noise_draws=2_000, search_steps=400, search_seeds=1)
    return replace(scale, steps=200, batch=64, seeds=2, record_every=10, noise_draws=700, search_steps=30, search_seeds=1)


def runs_for(name, rate, used):
    """One run for each seed."""
    optimizer = {"SGD": SGD(rate, momentum=0.9), "Adam": Adam(rate, beta1=0.9, beta2=0.9)}[name]
    return [
        Run(TASK, optimizer, used.steps, used.batch, clip=1.0, seed=seed, record_every=used.record_every, **SHAPE)
        for seed in range(used.seeds)
    ]  # fmt: skip


def hessian_times(used):
    """When the Hessian's diagonal is looked at."""
    return np.array(sorted({*(t for t in HESSIAN_TIMES if t <= used.steps), used.steps}))


def model_of(run):
    """The shape of a run's model."""
    return Composed(run.task.d, run.hidden, run.layers, run.heads)


def measure(folder, scale, progress=None):
    """Search the rates, train what is missing and measure everything at the code's rates: plain numbers, ready for JSON."""
    used = sized(scale)
    searched = search(folder, used, progress)
    runs = {o: runs_for(o, CODE_RATES[o], used) for o in OPTIMIZERS}
    at_best = replace(used, seeds=min(SEARCHED_SEEDS, used.seeds))
    better = {o: found["best"] for o, found in searched.items() if found["best"] != CODE_RATES[o]}
    others = {o: runs_for(o, rate, at_best) for o, rate in better.items()}
    every = [run for asked in (*runs.values(), *others.values()) for run in asked]  # handed out together: no worker waits
    trained = dict(zip(every, histories(folder, every, "nonlinear regression", progress), strict=True))
    times = hessian_times(used)
    found = {o: along(folder, runs[o], trained, used, times, f"losses and curvature of {o}", progress) for o in OPTIMIZERS}
    panel = {"title": "nonlinear regression"}
    for o in OPTIMIZERS:
        panel[o] = {"learning_rate": CODE_RATES[o], **curves(runs[o], trained, found[o], used)}
    panel["at_searched_rate"] = {}
    for o, rate in better.items():
        measured = along(folder, others[o], trained, used, (), f"losses of {o} at {rate:g}", progress)
        panel["at_searched_rate"][o] = {"learning_rate": rate, **curves(others[o], trained, measured, used)}
    panel["condition"] = condition_curves(times, {o: table(found[o], "diagonals", times) for o in OPTIMIZERS})
    panel["smoothness"] = smoothness(found, used)
    panel["noise"] = noise_summary(noise(folder, used, progress))
    y = test_batch(TASK)[1]
    return {
        "limits": differences(scale, used), "seeds_used": used.seeds, "batch_used": used.batch, "draws": used.noise_draws,
        "network_seed": TASK.network_seed, "mean_square_of_the_test_labels": float((y * y).mean()),
        "parameters": model_of(every[0]).size, "search": searched, "panel": panel,
    }  # fmt: skip


def search(folder, used, progress):
    """The best of the rates by short runs, as ``three_rows.search``; the paper's code compares the same four rates."""
    short = replace(used, steps=used.search_steps, seeds=used.search_seeds, record_every=max(1, used.search_steps // 20))
    Z, y = test_batch(TASK)
    found = {}
    for o in OPTIMIZERS:
        runs = [run for rate in RATES for run in runs_for(o, rate, short)]
        scores = []
        for run, history in zip(runs, histories(folder, runs, f"rates of {o}, nonlinear regression", progress), strict=True):
            times, params = history.snapshot_array()
            losses = np.array([model_of(run).loss_and_grad(theta, Z, y)[0] for theta in params])
            scores.append(score(history, (times, losses), short.steps))
        found[o] = chosen(RATES, np.median(np.reshape(scores, (len(RATES), -1)), axis=1))
    return found


def curves(runs, trained, found, used):
    """The loss curves of some runs, from what was measured along them."""
    pairs = [(each["loss_times"], each["losses"]) for each in found]
    return loss_curves([trained[run] for run in runs], pairs, used)


def along(folder, runs, trained, used, times, label, progress):
    """Losses, Hessian diagonals at some times and what the recorded steps meet, for each run; by the folder's executor, and kept."""
    times = [int(t) for t in times]
    descriptions = [
        {"run": run.to_dict(), "test_seed": TEST_SEED, "prompts": TEST_PROMPTS, "times": times, "test_every": used.test_every}
        for run in runs
    ]  # fmt: skip
    arguments = [(run.to_dict(), history_arrays(trained[run]), times, used.test_every) for run in runs]
    return kept_each(folder, "composed", descriptions, measure_run, arguments, label, progress)


def measure_run(values, arrays, times, test_every):
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


def smoothness(found, used):
    """Curvature along the recorded steps in windows: quartiles over seeds and steps, and the share of windows with SGD above."""
    times = np.arange(0, used.steps, used.record_every)
    size = max(1, len(times) // WINDOWS)
    panel, middle = {}, {}
    for o in OPTIMIZERS:
        kappa = table([{"times": each["step_times"], "kappa": each["kappa"]} for each in found[o]], "kappa", times)
        cut = kappa[:, : size * (len(times) // size)].reshape(len(kappa), -1, size)  # (seeds, windows, steps)
        middle[o] = np.nanmedian(cut, axis=2)
        centres = times[: cut.shape[1] * size].reshape(-1, size).mean(axis=1)
        negative = [float(np.mean(row[np.isfinite(row)] <= 0)) for row in kappa]
        panel[o] = {"kappa": curve(centres, middle[o]), "negative_share": spread(negative)}
    panel["share_sgd_above"] = spread((middle["SGD"] > middle["Adam"]).mean(axis=1))
    return panel


def noise(folder, used, progress=None):
    """The noise norms of batches of ``used.batch`` at each seed's initialization, and those of the Gaussian control."""
    descriptions = [
        {"task": vars(TASK), "shape": SHAPE, "seed": seed, "batch": used.batch, "draws": used.noise_draws}
        for seed in range(used.seeds)
    ]  # fmt: skip
    arguments = [(seed, used.batch, used.noise_draws) for seed in range(used.seeds)]
    label = f"gradient noise of batches of {used.batch}"
    every = kept_each(folder, "composed-noise", descriptions, noise_of, arguments, label, progress)
    return [(arrays["norms"], arrays["control"]) for arrays in every]


def noise_of(seed, batch, draws):
    """(8.1) at the params that a run with this seed starts from, g_ref from 100 batches, and its control (8.3)."""
    model = Composed(TASK.d, SHAPE["hidden"], SHAPE["layers"])
    theta = model.init_params(generators(seed, 1)[0], SHAPE["std"])
    children = np.random.SeedSequence([seed, 1]).spawn(len(part_sizes(batch)))
    parts = [np.random.default_rng(child) for child in children]
    gradient = BatchGradient(TASK, batch, parts, theta, "linear", "numba", model)
    reference = np.mean([gradient(theta)[1] for _ in range(REFERENCE)], axis=0)
    e = np.array([gradient(theta)[1] for _ in range(draws)]) - reference  # (draws, p)
    variances = np.maximum(np.linalg.eigvalsh(e.T @ e / draws), 0.0)
    control = gaussian_norms(variances, draws, np.random.default_rng([seed, 2]))
    return {"norms": np.sqrt((e * e).sum(axis=1)), "control": control}


# ---------------------------------------------------------------- picture and words


def draw(numbers, scale):
    """The figure: loss, noise, its quantiles; condition numbers, their ratio, curvature along the steps."""
    panel = numbers["panel"]
    figure, axes = new_figure(columns=3, rows=2, height=3.2)
    (loss, density, quantiles), (condition, ratio, steps) = axes
    draw_losses(loss, panel)
    for o, other in panel["at_searched_rate"].items():
        label = f"{o}, η {other['learning_rate']:g}: our search"
        loss.plot(other["test"]["iterations"], other["test"]["median"], label=label, linewidth=0.8, color=STYLES[o]["color"])
    rates = ", ".join(f"{o} {panel[o]['learning_rate']:g}" for o in OPTIMIZERS)
    loss.set(ylabel="test loss f, fixed batch", xlabel="iteration t", title=f"η: {rates}")
    loss.legend(title=f"median and quartiles,\n{numbers['seeds_used']} seeds", frameon=False, fontsize=9)
    draw_noise(density, panel)
    density.set(xlabel=r"noise norm $||e||$ / its median", ylabel=f"density, batch {numbers['batch_used']}")
    draw_quantiles(quantiles, panel["noise"])
    draw_condition(condition, panel)
    condition.set(xlabel="iteration t", ylabel="robust condition number\n" + r"$\max|H_{ii}| / \mathrm{median}|H_{ii}|$")
    draw_ratio(ratio, panel["condition"]["ratio"])
    for o in OPTIMIZERS:
        values = panel["smoothness"][o]
        label = f"{o}: {values['negative_share']['median']:.1%} negative"
        median_band(steps, values["kappa"]["iterations"], band(values["kappa"]), label, **STYLES[o])
    steps.set_yscale("symlog", linthresh=1e-3)
    steps.axhline(0.0, color="0.5", linewidth=0.8)
    steps.set(xlabel="iteration t", ylabel="directional smoothness\n" + r"$\kappa = u^T H u / u^T u$")
    steps.legend(frameon=False, fontsize=9)
    return figure


def draw_ratio(ax, values):
    """The ratio seed by seed, beside the released code's three values."""
    median_band(ax, values["iterations"], band(values), "ours, median and quartiles", color="#0072B2")
    known = {t: value for t, value in CODE_RATIOS.items() if t <= values["iterations"][-1]}
    mean, std = np.array(list(known.values())).T
    below = np.minimum(std, 0.9 * mean)
    label = "code, mean and std"
    ax.errorbar(list(known), mean, yerr=[below, std], fmt="ko", markersize=4, capsize=3, linewidth=1.0, label=label)
    ax.axhline(1.0, color="0.5", linewidth=0.8)
    ax.set(yscale="log", xlabel="iteration t", ylabel=r"ratio $R_{med}$(SGD) / $R_{med}$(Adam)")
    ax.legend(frameon=False, fontsize=9)


def summary(numbers):
    """What came out, in words."""
    panel, search = numbers["panel"], numbers["search"]
    lines = [limits_in_words(numbers["limits"]), losses_in_words(panel)]
    for o in OPTIMIZERS:
        pairs = zip(search[o]["rates"], search[o]["scores"], strict=True)
        tried, losses = ", ".join(f"{rate:g}: {number(value)}" for rate, value in pairs), panel[o]["test"]
        shown = [k for k, t in enumerate(losses["iterations"]) if t in (0, 100, 400, 1000, 1500, 5000, 10_000)]
        path = ", ".join(f"{losses['iterations'][k]}: {number(losses['median'][k])}" for k in shown)
        lines.append(f"  {o}: rates searched {tried}; median test loss at {path}")
        if o in panel["at_searched_rate"]:
            other = panel["at_searched_rate"][o]
            seeds = len(other["test"]["each_seed"])
            lines.append(f"  {o} at {other['learning_rate']:g}, {seeds} seeds: {number(other['test']['median'][-1])} at the end")
    ratio = panel["condition"]["ratio"]
    for t in (0, 750, 1250):
        if t in ratio["iterations"]:
            each = spread([row[ratio["iterations"].index(t)] for row in ratio["each_seed"]])
            code = CODE_RATIOS[t]
            lines.append(f"  R_med(SGD) / R_med(Adam) at {t}: mean {number(each['mean'])} ({number(each['std'])}), "
                         f"median {number(each['median'])}; code {code[0]:g} ({code[1]:g})")  # fmt: skip
    lines.append(noise_in_words(panel) + f", mode {number(panel['noise']['noise']['mode']['median'])}")
    above = panel["smoothness"]["share_sgd_above"]["median"]
    lines.append(f"  SGD's steps meet more curvature than Adam's in {above:.0%} of the windows (median over seeds)")
    lines.append(f"  the labels' mean square on the test batch is {numbers['mean_square_of_the_test_labels']:.3g}")
    return "\n".join(lines)
