"""What section 4 shows of each variant of data or model: losses, gradient noise at initialization, robust condition number."""

import itertools
import warnings
from dataclasses import replace

import numpy as np

from ..batches import generators
from ..measures.landscape import robust_condition_number
from ..measures.noise import gaussian_norms, measure_noise, noise_vectors, statistics
from ..measures.noise import qq_normal as normal_quantiles
from ..models.transformer import init_params
from ..plotting import NOISE_STYLES, STYLES, median_band
from ..training.loop import losses_along
from ..training.runs import Run
from .measured import hessians, kept, spread, table
from .scale import histories, quartiles, runs_of, test_batch

OPTIMIZERS = ("SGD", "Adam")
POINTS, BINS = 100, 50  # of the quantile plot, and of the histogram
HUGE = 1e300  # stands for infinity where one number is subtracted from another
WORDS = {
    "steps": "iterations", "batch": "prompts a batch", "seeds": "seeds", "record_every": "iterations between recorded steps",
    "test_every": "iterations between test losses", "hessian_every": "iterations between Hessians",
    "noise_draws": "noise draws a seed", "search_steps": "iterations of the search", "search_seeds": "seeds of the search",
}  # fmt: skip


def curve(times, values):
    """Quartiles over seeds of (seeds, T), and each seed's numbers; NaN is no number, infinity one above all others."""
    bounded = np.where(np.isinf(values), HUGE, values)  # so that no quartile is the difference of two infinities
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where no seed has a number, NaN says so
        found = quartiles(bounded)
    low, middle, high = np.where(found > 1e-3 * HUGE, np.inf, found)
    return {
        "iterations": np.asarray(times).tolist(), "lower_quartile": low.tolist(), "median": middle.tolist(),
        "upper_quartile": high.tolist(), "each_seed": np.asarray(values).tolist(),
    }  # fmt: skip


def band(values):
    """A curve's quartiles for ``plotting.median_band``; NaN where a JSON file has null."""
    return np.array([values["lower_quartile"], values["median"], values["upper_quartile"]], float)


# ---------------------------------------------------------------- measurements


def losses(folder, setting, scale, progress=None):
    """{optimizer: learning rate, divergences, test loss and the loss of fresh batches as curves}"""
    found, test = {}, test_batch(setting.task)
    for o in OPTIMIZERS:
        trained = histories(folder, runs_of(setting, o, scale), f"{o} on {setting.title}", progress)
        pairs = [losses_along(history, *test, every=scale.test_every) for history in trained]
        found[o] = {"learning_rate": setting.learning_rates[o], **loss_curves(trained, pairs, scale)}
    return found


def loss_curves(trained, pairs, scale):
    """Curves from histories and the (times, losses) of each: test loss, and the median of the fresh batches between two times.

    A run that diverged counts from there on with an infinite loss: the medians say so, instead of speaking for the survivors.
    """
    times = np.array(sorted({*range(0, scale.steps + 1, scale.test_every), scale.steps}))
    tested = np.full((len(pairs), len(times)), np.inf)
    for row, (at, values) in zip(tested, pairs, strict=True):
        known = np.isin(at, times)  # the last snapshot of a run that diverged may lie between
        row[np.searchsorted(times, at[known])] = values[known]
    fresh = [[np.median(h.loss[a:b]) for a, b in itertools.pairwise(times)] for h in trained]
    return {
        "diverged_at": [history.diverged_at for history in trained],
        "test": curve(times, finite_or_infinite(tested)), "fresh": curve(times[1:], finite_or_infinite(fresh)),
    }  # fmt: skip


def finite_or_infinite(losses):
    """NaN, which a loss becomes when a run has diverged, as infinity."""
    return np.where(np.isnan(losses), np.inf, losses)


def noise(folder, setting, scale, progress=None):
    """The norm of the noise of batches of ``scale.batch`` prompts at each seed's initialization, beside its Gaussian control."""
    samples = []
    for seed in range(scale.seeds):
        x = init_params(generators(seed, 1)[0], setting.layers, setting.task.d, std=Run(setting.task, None).std)
        arrays = kept(
            folder, "noise-of-variant", noise_description(setting, seed, scale),
            lambda x=x, seed=seed: noise_arrays(x, setting.task, seed, scale, progress),
        )  # fmt: skip
        control = gaussian_norms(arrays["spectrum"], scale.noise_draws, np.random.default_rng([seed, 1]))
        samples.append((arrays["norms"], control))
    return noise_summary(samples)


def noise_description(setting, seed, scale):
    """Everything that decides the numbers of one seed's noise."""
    return {
        "task": vars(setting.task), "layers": setting.layers, "seed": seed, "batch": scale.batch, "draws": scale.noise_draws,
    }  # fmt: skip


def noise_arrays(x, task, seed, scale, progress):
    """The norms, and the eigenvalues of the noise's second moment.

    With fewer draws than parameters those come from the products of the draws with each other, whose eigenvalues are the same.
    They are then spread wider than the true ones, which makes the control's tail heavier, never lighter.
    """
    if x.size > scale.noise_draws:
        e = noise_vectors(x, task, scale.batch, scale.noise_draws, np.random.default_rng([seed, 0]))
        return {"norms": np.sqrt((e * e).sum(axis=1)), "spectrum": np.maximum(np.linalg.eigvalsh(e @ e.T / len(e)), 0.0)}
    measured = measure_noise(x, task, scale.batch, scale.noise_draws, np.random.default_rng([seed, 0]), progress=progress)
    return {"norms": measured.norms, "spectrum": measured.spectrum}


def noise_summary(samples):
    """Statistics over seeds, the quantile plot and the histogram in units of the median, from (norms, control) of each seed."""
    each = [[statistics(x, ks=(100,)) for x in pair] for pair in samples]
    keys = ("mode", "minimum", "maximum", "skewness", "excess_kurtosis", "p99.9_over_p50")
    found = {
        law: {key: spread([row[which][key] for row in each]) for key in keys} for which, law in enumerate(("noise", "control"))
    }
    for which, law in enumerate(("noise", "control")):
        found[law]["qq"] = np.median([normal_quantiles(pair[which], POINTS)[1] for pair in samples], axis=0).tolist()
    scaled = [norms / np.median(norms) for norms, _ in samples]
    edges = np.linspace(*np.quantile(np.concatenate(scaled), [0.0, 0.997]), BINS + 1)
    density = np.median([np.histogram(x, edges)[0] / (len(x) * np.diff(edges)) for x in scaled], axis=0)
    found["normal_quantiles"] = normal_quantiles(np.arange(2.0), POINTS)[0].tolist()
    found["histogram"] = {"edges": edges.tolist(), "density": density.tolist()}
    return found


def condition(folder, setting, scale, progress=None):
    """R_med (lower median) along both paths and its ratio, from exact Hessians: {optimizer: curve, "ratio": curve, ..}"""
    times = np.arange(0, scale.steps + 1, scale.hessian_every)
    diagonals = {o: table(hessians(folder, setting, o, scale, progress), "diagonals", times) for o in OPTIMIZERS}
    return condition_curves(times, diagonals)


def condition_curves(times, diagonals):
    """The curves from diagonals {optimizer: (seeds, T, p)}; NaN where a run that diverged has none."""
    numbers = {}
    for o, every in diagonals.items():
        numbers[o] = np.full(every.shape[:2], np.nan)
        for at in np.ndindex(every.shape[:2]):
            if np.isfinite(every[at]).all():
                numbers[o][at] = robust_condition_number(every[at])
    ratio = numbers["SGD"] / numbers["Adam"]
    middle = np.exp(np.nanmedian(np.log(ratio[:, 1:]), axis=1))  # over the times after 0, for each seed
    return {**{o: curve(times, numbers[o]) for o in diagonals}, "ratio": curve(times, ratio), "middle_ratio": spread(middle)}


def search(folder, setting, rates, scale, progress=None):
    """The best of the rates for each optimizer by short runs: {optimizer: {"rates", "scores", "best", "at_the_edge"}}

    The score of a run is the median test loss over the last fifth of its ``scale.search_steps`` iterations, infinite where it
    diverged; of a rate, the median over ``scale.search_seeds`` seeds; the smallest is best.
    """
    every = min(scale.record_every, max(1, scale.search_steps // 20))
    short = replace(scale, steps=scale.search_steps, seeds=scale.search_seeds, record_every=every)
    test, found = test_batch(setting.task), {}
    for o in OPTIMIZERS:
        every = {rate: runs_of(replace(setting, learning_rates={o: rate}), o, short) for rate in rates}
        trained = histories(folder, [run for runs in every.values() for run in runs], f"rates of {o}, {setting.title}", progress)
        scores = np.array([score(history, losses_along(late(history, short.steps), *test), short.steps) for history in trained])
        found[o] = chosen(rates, np.median(scores.reshape(len(rates), -1), axis=1))
    return found


def late(history, steps):
    """The history with the snapshots that decide its score alone, and the last."""
    found = {t: x for t, x in history.snapshots.items() if t > 0.8 * steps}
    return replace(history, snapshots=found or {max(history.snapshots): history.params})


def score(history, along, steps):
    """The median of the losses (times, losses) over the last fifth of the steps; infinite for a run that diverged."""
    times, values = along
    if history.diverged_at is not None:
        return np.inf
    last = values[times > 0.8 * steps]
    return float(np.median(np.where(np.isfinite(last), last, np.inf)))


def chosen(rates, scores):
    """The best rate, with everything that decided it."""
    best = int(np.argmin(scores))
    return {
        "rates": list(rates), "scores": [float(value) for value in scores], "best": rates[best],
        "at_the_edge": best in (0, len(rates) - 1),
    }  # fmt: skip


# ---------------------------------------------------------------- pictures and words


def draw_losses(ax, panel, kind="test"):
    """Loss against iteration for both optimizers; where runs diverged, a cross at the top and their number.

    The panel is as high as the medians need: a band of runs about to diverge goes on above it.
    """
    curves = {o: panel[o][kind] for o in OPTIMIZERS}
    for o, values in curves.items():
        median_band(ax, values["iterations"], band(values), o)
    ax.set(yscale="log")
    middle = finite([values["median"] for values in curves.values()])
    lowest = finite([values["lower_quartile"] for values in curves.values()])
    if len(middle):
        bottom, top = min(lowest.min(), middle.min()), middle.max()
        ax.set_ylim(bottom * (bottom / top) ** 0.05, top * (top / bottom) ** 0.15)
    gone = {o: [t for t in panel[o]["diverged_at"] if t is not None] for o in OPTIMIZERS}
    for o, at in gone.items():
        ax.plot(at, np.full(len(at), 0.97), "x", color=STYLES[o]["color"], markersize=6, transform=ax.get_xaxis_transform())
    words = [f"{o}: {len(at)} of {len(panel[o]['diverged_at'])} diverged (×)" for o, at in gone.items() if at]
    if words:
        ax.text(0.97, 0.91, "\n".join(words), transform=ax.transAxes, fontsize=8, ha="right", va="top")


def finite(curves):
    """The positive finite numbers of some curves, for the limits of a logarithmic axis."""
    numbers = np.array(curves, float).ravel()
    return numbers[np.isfinite(numbers) & (numbers > 0)]


def draw_noise(ax, panel, styles=None):
    """Density of the noise norm in units of its median."""
    found, style = panel["noise"], styles or {"color": "#0072B2"}
    ax.stairs(found["histogram"]["density"], found["histogram"]["edges"], fill=True, alpha=0.45, color=style["color"])
    tail, control = (found[law]["p99.9_over_p50"]["median"] for law in ("noise", "control"))
    ax.text(0.97, 0.95, f"p99.9/p50 = {tail:.3g}\nGaussian: {control:.3g}\nskewness {found['noise']['skewness']['median']:.2g}",
            transform=ax.transAxes, ha="right", va="top", fontsize=9)  # fmt: skip


def draw_quantiles(ax, found):
    """The noise's quantiles and its Gaussian control's against those of a normal law."""
    ax.axline((0, 0), slope=1, color="0.6", linewidth=0.8)
    for law, name, style in (("noise", "gradient noise", "noise"), ("control", "Gaussian, same covariance", "covariance")):
        ax.plot(found["normal_quantiles"], found[law]["qq"], label=name, linewidth=1.6, **NOISE_STYLES[style])
    ax.set(xlabel="quantiles of a normal law", ylabel="quantiles of $||e||$, standardized")
    ax.legend(frameon=False, fontsize=9, loc="upper left")


def draw_condition(ax, panel):
    """R_med against iteration."""
    for o in OPTIMIZERS:
        median_band(ax, panel["condition"][o]["iterations"], band(panel["condition"][o]), o)
    ax.set(yscale="log")


def same_limits(axes, kind="y"):
    """One range for a row of panels, so that they can be compared by eye."""
    get, put = (f"get_{kind}lim", f"set_{kind}lim")
    limits = np.array([getattr(ax, get)() for ax in axes])
    for ax in axes:
        getattr(ax, put)(limits[:, 0].min(), limits[:, 1].max())


def losses_in_words(panel):
    """One line on the losses of a variant."""
    last = {o: panel[o]["test"]["median"][-1] for o in OPTIMIZERS}
    t = panel["SGD"]["test"]["iterations"][-1]
    rates = ", ".join(f"{o} {panel[o]['learning_rate']:g}" for o in OPTIMIZERS)
    gone = [f"{o} {sum(at is not None for at in panel[o]['diverged_at'])}" for o in OPTIMIZERS]
    text = f"{panel['title']} (rates {rates}): median test loss at {t}: Adam {number(last['Adam'])}, SGD {number(last['SGD'])}"
    if len(finite(list(last.values()))) == len(last):
        text += f", {last['SGD'] / last['Adam']:.3g} times"
    return text + ("" if all(word.endswith(" 0") for word in gone) else f"; runs that diverged: {', '.join(gone)}")


def noise_in_words(panel):
    """One line on the noise of a variant."""
    ours, control = panel["noise"]["noise"], panel["noise"]["control"]
    return (
        f"  noise: p99.9/p50 {ours['p99.9_over_p50']['median']:.3g} (control {control['p99.9_over_p50']['median']:.3g}), "
        f"skewness {ours['skewness']['median']:.3g} ({control['skewness']['median']:.3g})"
    )


def number(value):
    """A loss, or words where there is none."""
    return "none" if value is None or not np.isfinite(value) else f"{value:.3g}"


def limits_in_words(limits):
    """What was done at another size than the scale's."""
    words = [f"{WORDS[name]}: {used} in place of {wanted}" for name, (wanted, used) in limits.items() if name != "name"]
    return f"To fit the time, {'; '.join(words)}." if words else "Nothing was made smaller than the scale says."
