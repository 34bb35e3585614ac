"""Nonlinear regression: labels linear in a hidden network's features; a trained network, then three layers of full attention.

The hidden network is the released code's. Losses are judged by the median over many test batches, beside the five seeds that the
code printed; condition numbers on twenty seeds, each with a test batch of its own, as in the code.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....plotting import STYLES, median_band, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, band, condition_curves, each_seed, spread
from ...measured import table
from ...panels import (
    draw_condition,
    draw_losses,
    draw_noise,
    draw_quantiles,
    limits_in_words,
    losses_in_words,
    noise_in_words,
    number,
)
from ...rules import Above, Claim, Within, around
from ...scale import Scale, counted, differences, histories, in_words, test_batch
from ...settings import OPTIMIZERS
from ...variants import noise_summary
from . import published
from .factors import FAINT, LOSS, THROUGHOUT
from .nonlinear_runs import (
    TASK,
    along,
    curves,
    hessian_times,
    model_of,
    noise,
    ratios,
    robust_losses,
    runs_for,
    search,
    sized,
    smoothness,
)
from .published import NONLINEAR_RATES, NONLINEAR_RATIOS
from .released_runs import HIDDEN_SEED

TITLE = "Nonlinear regression: a ReLU network before three layers of linear attention"
SECONDS = {"paper": 570, "quick": 7}
SEARCHED_SEEDS = 2  # of runs at another rate, where our own search finds one better
ALT = (
    "Six panels. Test loss against iteration for SGD with momentum and Adam at the released code's rates, logarithmic; thin, the "
    "rate that our own search finds, where it is another. Density of the gradient noise norm at "
    "initialization in units of its median. Quantiles of that norm against those of a normal law beside Gaussian noise with the "
    "same covariance. Robust condition number against iteration, logarithmic. Its ratio, SGD's over Adam's, with the released "
    "code's three values and their standard deviations. Curvature along the steps. Lines are medians over seeds, bands quartiles."
)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return in_words(sized(scale))


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Search the rates, train what is missing and measure everything at the code's rates: plain numbers, ready for JSON."""
    used = sized(scale)
    searched = search(folder, used, progress)
    runs = {o: runs_for(o, NONLINEAR_RATES[o], used) for o in OPTIMIZERS}
    at_best = replace(used, seeds=min(SEARCHED_SEEDS, used.seeds))
    better = {o: found["best"] for o, found in searched.items() if found["best"] != NONLINEAR_RATES[o]}
    others = {o: runs_for(o, rate, at_best) for o, rate in better.items()}
    every = [run for asked in (*runs.values(), *others.values()) for run in asked]  # handed out together: no worker waits
    trained = dict(zip(every, histories(folder, every, "nonlinear regression", progress), strict=True))
    times = hessian_times(used)
    found = {o: along(folder, runs[o], trained, used, times, f"losses and curvature of {o}", progress) for o in OPTIMIZERS}
    panel: Numbers = {"title": "nonlinear regression"}
    for o in OPTIMIZERS:
        panel[o] = {"learning_rate": NONLINEAR_RATES[o], **curves(runs[o], trained, found[o], used)}
        panel[o]["judged"] = robust_losses(folder, runs[o], used, f"{o}, nonlinear regression", progress)
    panel["ratios"] = ratios(folder, used, progress)
    panel["at_searched_rate"] = {}
    for o, rate in better.items():
        measured = along(folder, others[o], trained, at_best, (), f"losses of {o} at {rate:g}", progress)
        panel["at_searched_rate"][o] = {"learning_rate": rate, **curves(others[o], trained, measured, at_best)}
    panel["condition"] = condition_curves(times, {o: table(found[o], "diagonals", times) for o in OPTIMIZERS})
    panel["smoothness"] = smoothness(found, used)
    panel["noise"] = noise_summary(noise(folder, used, progress))
    y = test_batch(TASK)[1]
    return {
        "limits": differences(scale, used), "seeds_used": used.seeds, "batch_used": used.batch, "draws": used.noise_draws,
        "network_seed": f"torch {HIDDEN_SEED}", "mean_square_of_the_test_labels": float((y * y).mean()),
        "parameters": model_of(every[0]).size, "search": searched, "panel": panel,
    }  # fmt: skip


# ---------------------------------------------------------------- picture and words


def draw(numbers: Numbers, scale: Scale) -> Figure:
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
    draw_ratio(ratio, panel["condition"]["ratio"], panel.get("ratios", {}))
    for o in OPTIMIZERS:
        values = panel["smoothness"][o]
        label = f"{o}: {values['negative_share']['median']:.1%} negative"
        median_band(steps, values["kappa"]["iterations"], band(values["kappa"]), label, **STYLES[o])
    steps.set_yscale("symlog", linthresh=1e-3)
    steps.axhline(0.0, color="0.5", linewidth=0.8)
    steps.set(xlabel="iteration t", ylabel="directional smoothness\n" + r"$\kappa = u^T H u / u^T u$")
    steps.legend(frameon=False, fontsize=9)
    return figure


def draw_ratio(ax: Axes, values: Numbers, ratios: Numbers) -> None:
    """The ratio seed by seed, and the geometric mean of more seeds, beside the released code's three values."""
    median_band(ax, values["iterations"], band(values), "ours, median and quartiles", color="#0072B2")
    known = {t: value for t, value in NONLINEAR_RATIOS.items() if t <= values["iterations"][-1]}
    mean, std = np.array(list(known.values())).T
    below = np.minimum(std, 0.9 * mean)
    if ratios:
        seeds = max(len(each["each_seed"]) for each in ratios.values())
        means = [each["geometric_mean"] or np.nan for each in ratios.values()]
        ax.plot([int(t) for t in ratios], means, "x", color="#D55E00", markersize=8, label=f"judged: {seeds} seeds")
    label = "code, mean and std"
    ax.errorbar(list(known), mean, yerr=[below, std], fmt="ko", markersize=4, capsize=3, linewidth=1.0, label=label)
    ax.axhline(1.0, color="0.5", linewidth=0.8)
    ax.set(yscale="log", xlabel="iteration t", ylabel=r"ratio $R_{med}$(SGD) / $R_{med}$(Adam)")
    ax.legend(frameon=False, fontsize=9)


def summary(numbers: Numbers) -> str:
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
    for t, each in panel["ratios"].items():
        code = NONLINEAR_RATIOS[int(t)]
        lines.append(f"  R_med(SGD) / R_med(Adam) at {t}, {counted(len(each['each_seed']), 'seed')}: geometric mean "
                     f"{number(each['geometric_mean'])}, mean {number(each['mean'])} ({number(each['std'])}); "
                     f"code {code[0]:g} ({code[1]:g})")  # fmt: skip
    lines.append(noise_in_words(panel) + f", mode {number(panel['noise']['noise']['mode']['median'])}")
    above = panel["smoothness"]["share_sgd_above"]["median"]
    lines.append(f"  SGD's steps meet more curvature than Adam's in {above:.0%} of the windows (median over seeds)")
    lines.append(f"  the labels' mean square on the test batch is {numbers['mean_square_of_the_test_labels']:.3g}")
    return "\n".join(lines)


# ---------------------------------------------------------------- the claims, and where their numbers stand in the JSON


def best_rate(optimizer: str, numbers: Numbers) -> Numbers:
    """The rate that the search chose, as one number."""
    return spread([numbers["search"][optimizer]["best"]])


def loss_at(optimizer: str, iteration: int, numbers: Numbers) -> Numbers:
    """The loss of each seed, the median over test batches."""
    found = numbers["panel"][optimizer]["judged"].get(str(iteration))
    return found or spread([np.nan] * numbers["seeds_used"])


def scaled(numbers: Numbers, change: Any) -> Numbers:
    """Judged numbers with a function of them in their place."""
    kinds = {key: np.array(numbers[key], float) for key in ("each_seed", "on_batches") if key in numbers}
    changed: Numbers = {key: change(values).tolist() for key, values in kinds.items()}
    return {**spread(changed.pop("each_seed")), **changed}


def below(optimizer: str, bound: float, iteration: int, numbers: Numbers) -> Numbers:
    """``bound`` over the smallest loss of each seed up to an iteration: at least 1 where the loss has been below it."""
    rows = [found for t, found in numbers["panel"][optimizer]["judged"].items() if int(t) <= iteration]
    kinds = {key: np.nanmin([np.array(row[key], float) for row in rows], axis=0).tolist() for key in ("each_seed", "on_batches")}
    return scaled(kinds, lambda values: bound / values)


def over(optimizer: str, bound: float, iteration: int, numbers: Numbers) -> Numbers:
    """The loss of each seed at an iteration over ``bound``."""
    return scaled(loss_at(optimizer, iteration, numbers), lambda values: values / bound)


def ratio(iteration: int, numbers: Numbers) -> Numbers:
    """R_med(SGD) / R_med(Adam) of each seed."""
    found = numbers["panel"]["ratios"].get(str(iteration))
    return found or spread([np.nan] * numbers["seeds_used"])


def ratio_in_words(iteration: int, numbers: Numbers) -> str:
    """The mean of the code's kind."""
    found = ratio(iteration, numbers)
    each = spread(each_seed(numbers["panel"]["condition"]["ratio"], iteration))
    if found["mean"] is None or each["mean"] is None:
        return ""
    return (
        f"mean {found['mean']:.3g} ({found['std']:.3g}); on the one fixed batch, {len(each['each_seed'])} seeds: mean "
        f"{each['mean']:.3g} ({each['std']:.3g})"
    )


def noise_statistic(statistic: str, numbers: Numbers) -> Numbers:
    """A statistic of the noise norm at initialization."""
    return numbers["panel"]["noise"]["noise"][statistic]


def share_above(numbers: Numbers) -> Numbers:
    """The share of the windows in which SGD's steps meet more curvature than Adam's."""
    return numbers["panel"]["smoothness"]["share_sgd_above"]


def claims() -> Iterator[Claim]:
    """What the released code found for its rates, losses, condition numbers, noise and steps."""
    common: dict[str, Any] = {"figure": "nonlinear_regression", "where": "nonlinear regression, released code"}
    for optimizer, rate in NONLINEAR_RATES.items():
        yield Claim(
            id=f"nonlinear.rate.{optimizer.lower()}",
            statement=f"400 iterations choose the rate {rate:g} for {optimizer}", code=f"{rate:g}",
            values=partial(best_rate, optimizer), rule=Within(rate, rate), **common,
        )  # fmt: skip
    for (optimizer, t), value in published.NONLINEAR_LOSSES.items():
        five = published.NONLINEAR_SEEDS.get((optimizer, t))
        among = f", five seeds from {five[0]:g} to {five[1]:g}" if five else ""
        yield Claim(
            id=f"nonlinear.loss.{optimizer.lower()}.{t}",
            statement=f"{optimizer}'s loss at iteration {t} is about {value:g}{among}", code=f"{value:g}{among}",
            values=partial(loss_at, optimizer, t), rule=Within(*five) if five else around(value, LOSS), **common,
        )  # fmt: skip
    yield Claim(
        id="nonlinear.adam_falls", statement="Adam's loss has been below 2e-3 by iteration 1500 (2e-3 over its smallest)",
        code="9.6e-4 at 1000", values=partial(below, "Adam", 2e-3, 1_500), rule=Above(1.0, 1.0), **common,
    )  # fmt: skip
    yield Claim(
        id="nonlinear.sgd_stays", statement="SGD's loss is still above 4e-3 at iteration 10,000 (its loss over 4e-3)",
        code=published.NONLINEAR_SGD, values=partial(over, "SGD", 4e-3, 10_000), rule=Above(1.0, 1.0), **common,
    )  # fmt: skip
    for t, (mean, std) in NONLINEAR_RATIOS.items():
        yield Claim(
            id=f"nonlinear.condition_ratio.{t}", statement=f"R_med(SGD) / R_med(Adam) at iteration {t} is {mean:g} ({std:g})",
            code=f"{mean:g} ({std:g})", values=partial(ratio, t), aside=partial(ratio_in_words, t),
            rule=Within(**published.mean_within_deviation(mean, std, "geometric_mean"), beyond=None if t == 0 else 1.0), **common,
        )  # fmt: skip
    mode = published.NONLINEAR_NOISE_MODE
    yield Claim(
        id="nonlinear.noise_mode", statement=f"The mode of the noise norm at initialization is about {mode:g}", code=f"{mode:g}",
        values=partial(noise_statistic, "mode"), rule=around(mode, LOSS), **common,
    )  # fmt: skip
    yield Claim(
        id="nonlinear.noise_skewed",
        statement="That noise is clearly skewed to the right (skewness)", code="clearly skewed (QQ plot)",
        values=partial(noise_statistic, "skewness"), rule=Above(0.5, 0.0), **common,
    )  # fmt: skip
    yield Claim(
        id="nonlinear.directional_smoothness",
        statement="The directional smoothness of Adam's steps is below that of SGD's (share of the windows)",
        printed="lower for Adam (plot)", values=share_above, rule=Above(THROUGHOUT, FAINT), **common,
    )  # fmt: skip


CLAIMS = tuple(claims())
