"""The paper's second result: gradient noise at initialization, and how heavy its tail is beside Gaussian noise (section 3.2)."""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...._types import Array
from ....batches import generators
from ....measures.noise import REFERENCE, gaussian_norms, gradient_mean, measure_noise, statistics
from ....measures.noise import qq_normal as normal_quantiles
from ....models.transformer import init_params
from ....plotting import NOISE_STYLES, new_figure
from ....prompts import RegressionTask
from ....training.runs import Run, RunFolder
from ...curves import Numbers, spread
from ...measured import Arrays, kept_each
from ...rules import Above, Claim, around
from ...scale import Scale, counted
from . import factors, published
from .settings import NAMES, SETTINGS

TITLE = "Gradient noise at initialization, beside Gaussian controls"
SECONDS = {"paper": 70, "quick": 2}
BATCHES = (1, 10, 100, 1000)
LAWS = ("noise", "covariance", "diagonal")  # ours; Gaussian with the same covariance; with the same variances
NAMES_OF_LAWS = {"noise": "gradient noise", "covariance": "Gaussian, same covariance", "diagonal": "Gaussian, same variances"}
BINS, POINTS = 60, 100  # of the histogram, and of the quantile plot
TAIL = 1.0 - np.logspace(0, -3.5, 29)  # levels of the tail plot: 10,000 draws show P(X > x) down to about 3e-4
ALT = (
    "Three rows of panels, one column for each data setting. Top: density of the distance between the gradient of a batch "
    "of 1000 prompts and that of a batch 100 times larger, with two Gaussian controls. Middle: quantiles of the same "
    "numbers against those of a normal law. Bottom: the share of batches whose noise exceeds a multiple of its median, on "
    "two logarithmic scales, for batches of 1 to 1000 prompts and one Gaussian control."
)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return f"{scale.noise_draws:,} batches of each size from 1 to {BATCHES[-1]:,}, {counted(scale.seeds, 'seed')}"


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """The noise of every setting, batch size and seed: plain numbers, ready for JSON."""
    panels: Numbers = {}
    for name in NAMES:
        found = setting_noise(folder, SETTINGS[name].task, scale, progress)
        panels[name] = {"title": SETTINGS[name].title, "batches": {}}
        for batch in BATCHES:
            samples = [in_laws(arrays, scale.noise_draws, seed, batch) for seed, arrays in enumerate(found[batch])]
            panels[name]["batches"][str(batch)] = {law: summarized([sample[law] for sample in samples]) for law in LAWS}
            if batch == BATCHES[-1]:
                panels[name]["histogram"] = histogram(samples)
    axes = {"normal_quantiles": normal_quantiles(np.arange(2.0), POINTS)[0].tolist(), "share_above": (1.0 - TAIL).tolist()}
    return {"batches": list(BATCHES), "draws": scale.noise_draws, **axes, "panels": panels, "checks": checks(panels)}


def setting_noise(folder: RunFolder, task: RegressionTask, scale: Scale, progress: bool | None) -> dict[int, list[Arrays]]:
    """{batch: for each seed {norms, diagonal, spectrum}} at each seed's initialization."""
    asked = [(seed, batch) for seed in range(scale.seeds) for batch in BATCHES[::-1]]
    descriptions = [
        {"task": vars(task), "params": initial(task, seed).tolist(), "seed": seed, "batch": batch, "draws": scale.noise_draws}
        for seed, batch in asked
    ]
    arguments = [(task, seed, batch, scale.noise_draws) for seed, batch in asked]
    label = f"noise, {task.covariates} n={task.n}"
    found = dict(zip(asked, kept_each(folder, "noise", descriptions, noise_of, arguments, label, progress), strict=True))
    return {batch: [found[seed, batch] for seed in range(scale.seeds)] for batch in BATCHES}


def noise_of(task: RegressionTask, seed: int, batch: int, draws: int) -> Arrays:
    """The noise of one batch size at one seed's initialization: norms, diagonal, spectrum."""
    rng = np.random.default_rng([seed, batch])
    noise = measure_noise(initial(task, seed), task, batch, draws, rng, reference=reference(task, seed), progress=False)
    return {"norms": noise.norms, "diagonal": noise.diagonal, "spectrum": noise.spectrum}


@lru_cache(maxsize=8)
def reference(task: RegressionTask, seed: int) -> Array:
    """g_ref at a seed's initialization: one for all batch sizes, 100 times the largest of them."""
    return gradient_mean(initial(task, seed), task, REFERENCE * BATCHES[-1], np.random.default_rng([seed, 0]))


def initial(task: RegressionTask, seed: int) -> Array:
    """The params that a run with this seed starts from."""
    run = Run(task, None)
    return init_params(generators(seed, 1)[0], run.layers, task.d, run.heads, run.std, run.full)


def in_laws(arrays: Arrays, draws: int, seed: int, batch: int) -> Arrays:
    """The noise and as many draws of its two controls."""
    rng = np.random.default_rng([seed, batch, 1])
    controls = {"covariance": arrays["spectrum"], "diagonal": arrays["diagonal"]}
    return {"noise": arrays["norms"], **{law: gaussian_norms(variances, draws, rng) for law, variances in controls.items()}}


def summarized(samples: Sequence[Array]) -> Numbers:
    """Each statistic over the seeds, and the curves of the picture: medians over the seeds of quantiles."""
    each = [statistics(x) for x in samples]
    scalars = ("mode", "mean", "standard_deviation", "skewness", "excess_kurtosis", "p99.9_over_p50", "minimum", "maximum")
    return {
        **{key: spread([row[key] for row in each]) for key in scalars},
        "hill": {k: spread([row["hill"][k] for row in each]) for k in each[0]["hill"]},
        "qq": np.median([normal_quantiles(x, POINTS)[1] for x in samples], axis=0).tolist(),
        "tail": np.median([np.quantile(x, TAIL) / np.median(x) for x in samples], axis=0).tolist(),
    }  # fmt: skip


def histogram(samples: Sequence[Arrays]) -> Numbers:
    """Densities on common bins: the median over seeds."""
    pooled = np.concatenate([sample["noise"] for sample in samples])
    low, high = np.quantile(pooled, [0.0, 0.997])
    edges = np.linspace(low, high, BINS + 1)
    density = {}
    for law in LAWS:
        rows = [np.histogram(sample[law], edges)[0] / (len(sample[law]) * np.diff(edges)) for sample in samples]
        density[law] = np.median(rows, axis=0).tolist()
    return {"edges": edges.tolist(), **density}


def checks(panels: Numbers) -> list[Numbers]:
    """Noise of one prompt is heavy-tailed beyond its control, that of 1000 prompts much less so; bounds set before the run."""
    found = []
    for name in NAMES:
        excess = {}
        for batch in (BATCHES[0], BATCHES[-1]):
            laws = panels[name]["batches"][str(batch)]
            excess[batch] = laws["noise"]["p99.9_over_p50"]["median"] / laws["covariance"]["p99.9_over_p50"]["median"]
        heavy, less = excess[BATCHES[0]] >= 2.0, excess[BATCHES[-1]] - 1.0 <= 0.5 * (excess[BATCHES[0]] - 1.0)
        claim = f"{name}: batch 1, p99.9/p50 at least 2 times its control's"
        found.append({"claim": claim, "ours": excess[BATCHES[0]], "holds": bool(heavy)})
        claim = f"{name}: batch 1000, p99.9/p50 over its control's at most half as far above 1"
        found.append({"claim": claim, "ours": excess[BATCHES[-1]], "holds": bool(less)})
    return found


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: density, quantiles against a normal law, tails."""
    figure, axes = new_figure(columns=len(NAMES), rows=3, height=3.1)
    for column, name in zip(axes.T, NAMES, strict=True):
        panel = numbers["panels"][name]
        draw_density(column[0], panel)
        draw_quantiles(column[1], panel["batches"][str(BATCHES[-1])], numbers["normal_quantiles"])
        draw_tails(column[2], panel["batches"], numbers["share_above"])
        column[0].set_title(panel["title"])
    axes[0][0].set_ylabel("density, batch 1000")
    axes[1][0].set_ylabel("quantiles of $||e||$, standardized,\nbatch 1000")
    axes[2][0].set_ylabel(r"share of batches with $||e|| > c \cdot$ median")
    for ax, place, columns in zip(axes[:, 0], ("upper right", "upper left", "upper right"), (1, 1, 2), strict=True):
        ax.legend(frameon=False, fontsize=8, loc=place, handlelength=2.6, ncols=columns)
    what = "Gradient noise $e = g_{batch} - g_{ref}$ at initialization"
    figure.suptitle(f"{what}, {scale.seeds} seeds, {numbers['draws']} batches each", fontsize=11)
    return figure


def draw_density(ax: Axes, panel: Numbers) -> None:
    """The noise of batches of 1000 beside both controls."""
    edges = np.array(panel["histogram"]["edges"])
    for law in LAWS:
        style = NOISE_STYLES[law]
        filled = {"fill": True, "alpha": 0.35} if law == "noise" else {"linestyle": style["linestyle"], "linewidth": 1.5}
        ax.stairs(panel["histogram"][law], edges, color=style["color"], label=NAMES_OF_LAWS[law], **filled)
    ax.set(xlabel="noise norm $||e||$")
    ax.set_ylim(top=1.35 * max(max(panel["histogram"][law]) for law in LAWS))


def draw_quantiles(ax: Axes, laws: Numbers, normal: Sequence[float]) -> None:
    """The same numbers against a normal law."""
    ax.axline((0, 0), slope=1, color="0.6", linewidth=0.8)
    for law in LAWS:
        ax.plot(normal, laws[law]["qq"], label=NAMES_OF_LAWS[law], linewidth=1.6, **NOISE_STYLES[law])
    ax.set(xlabel="quantiles of a normal law")


def draw_tails(ax: Axes, batches: Numbers, share: Sequence[float]) -> None:
    """How often the noise exceeds a multiple of its median."""
    for batch in BATCHES:
        ax.plot(batches[str(batch)]["noise"]["tail"], share, label=f"batch {batch}", linewidth=1.6, **NOISE_STYLES[batch])
    control = batches[str(BATCHES[-1])]["covariance"]["tail"]
    ax.plot(control, share, label="Gaussian control\nof batch 1000", linewidth=1.6, **NOISE_STYLES["covariance"])
    right = 1.2 * batches[str(BATCHES[0])]["noise"]["tail"][-1]
    ax.set(xscale="log", yscale="log", xlabel="multiple c of the median", xlim=(0.8, right), ylim=(None, 30.0))
    ax.set_yticks([1.0, 0.1, 0.01, 0.001])  # room above for the legend, but no share above 1


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = []
    for panel in numbers["panels"].values():
        last = panel["batches"][str(BATCHES[-1])]["noise"]
        lines.append(f"{panel['title']}: batch 1000, mode {last['mode']['median']:.3g}, from {last['minimum']['median']:.3g} to "
                     f"{last['maximum']['median']:.3g} (medians over seeds)")  # fmt: skip
        lines.append("  batch   skewness (control)   excess kurtosis (control)   p99.9/p50 (control)   Hill(100) (control)")
        for batch, laws in panel["batches"].items():
            ours, control = laws["noise"], laws["covariance"]
            keys = ("skewness", "excess_kurtosis", "p99.9_over_p50")
            cells = [f"{ours[key]['median']:8.2f} ({control[key]['median']:.2f})" for key in keys]
            cells.append(f"{ours['hill']['100']['median']:8.2f} ({control['hill']['100']['median']:.1f})")
            lines.append(f"  {batch:>5s}   " + "   ".join(f"{cell:>20s}" for cell in cells))
    for check in numbers["checks"]:
        lines.append(f"  {'holds' if check['holds'] else 'DOES NOT HOLD'}: {check['claim']} (ours {check['ours']:.3g})")
    return "\n".join(lines)


# ---------------------------------------------------------------- the claims, and where their numbers stand in the JSON


def noise(setting: str, batch: int, key: str, numbers: Numbers) -> Numbers:
    """A statistic of the noise norm."""
    return numbers["panels"][setting]["batches"][str(batch)]["noise"][key]


def control_skewness(setting: str, batch: int, numbers: Numbers) -> str:
    """The skewness beside that of the control."""
    control = numbers["panels"][setting]["batches"][str(batch)]["covariance"]["skewness"]["median"]
    return f"the norm of Gaussian noise with the same covariance has {control:.3g}"


def noise_over_control(setting: str, batch: int, numbers: Numbers) -> Numbers:
    """p99.9 / p50 of the noise over the same of its control with the whole covariance, seed by seed."""
    found = numbers["panels"][setting]["batches"][str(batch)]
    ours, control = (found[law]["p99.9_over_p50"]["each_seed"] for law in ("noise", "covariance"))
    return spread([a / b for a, b in zip(ours, control, strict=True)])


def at_batches(setting: str, numbers: Numbers) -> str:
    """The same quantity for the other batch sizes."""
    found = {b: noise_over_control(setting, b, numbers)["median"] for b in numbers["panels"][setting]["batches"]}
    return "times the control's p99.9/p50, by batch size: " + ", ".join(f"{b}: {value:.3g}" for b, value in found.items())


def claims() -> Iterator[Claim]:
    """Skewed, heavy-tailed beyond a Gaussian control, and where the released code's histogram lies."""
    for setting, title in NAMES.items():
        yield Claim(
            id=f"noise_skewed.{setting}", figure="gradient_noise", where="section 3.2, noise histograms",
            statement=f"{title}: gradient noise at initialization, batch 1000, is skewed to the right",
            printed="skewed to the right (histogram)", code="skewed to the right" if setting == "setting1" else None,
            values=partial(noise, setting, 1000, "skewness"), aside=partial(control_skewness, setting, 1000),
            rule=Above(0.0, 0.0, "lower_quartile"),
        )  # fmt: skip
        yield Claim(
            id=f"noise_heavy_tailed.{setting}", figure="gradient_noise", where="section 3.2, noise histograms",
            statement=f"{title}: that noise is heavy-tailed, beyond Gaussian noise with the same covariance",
            printed="heavy-tailed (in words, no control)",
            values=partial(noise_over_control, setting, 1000), aside=partial(at_batches, setting),
            rule=Above(factors.TAIL, 1.0),
        )  # fmt: skip
    for (key, value), name in zip(published.NOISE.items(), ("mode", "smallest", "largest"), strict=True):
        yield Claim(
            id=f"noise_{key}.setting1", figure="gradient_noise", where="released code, noise histogram",
            statement=f"Setting 1: the {name} of 10,000 noise norms is about {value:g}", code=f"{value:g}",
            values=partial(noise, "setting1", 1000, key), rule=around(value, factors.NOISE),
        )  # fmt: skip


CLAIMS = tuple(claims())
