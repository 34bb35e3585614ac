"""The paper's fifth result: along a path smoothness and gradient norm grow together (section 3.2).

The extremes of a path are rare steps, so every one of its first 2000 is looked at, on one fixed test batch (and, where the
released code's plot is held against it, on a few others). That the two grow together is judged by the median over many batches of
both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from ...._types import Array
from ....measures.smoothness_fits import fit_l0_l1, fit_log
from ....plotting import new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, numbers_or_nan, spread
from ...measured import PATH_STEPS, Arrays, paths, steps, table
from ...robust import curvatures, judged, middle, on_batches, setting_on_batches
from ...rules import Above, Claim, Within
from ...scale import Scale, counted, runs_of
from .published import LOGARITHMS
from .settings import NAMES, SETTINGS, many_batches

TITLE = "Generalized smoothness along Adam's path"
SECONDS = {"paper": 75, "quick": 5}
OPTIMIZER = "Adam"
EXTREMES = {"log_norm": "norm", "log_kappa": "kappa"}
EXTREME_BATCHES = 5  # test batches on which every step is looked at, beside the one fixed batch: each costs as much as a path
ALT = (
    "Two rows of three panels, one column for each data setting: smoothness against gradient norm on logarithmic axes, one "
    "point for each recorded step of the first 2000 iterations of the Adam runs, shaded by iteration. Top: curvature along "
    "the step, with the fitted power law of the median seed. Bottom: the largest change of the gradient over the step, with "
    "the fitted line L0 + L1 times the gradient norm."
)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return (
        f"the first {counted(min(PATH_STEPS, scale.steps), 'iteration')} of Adam, batch {scale.batch}, "
        f"{counted(scale.seeds, 'seed')}"
    )


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """The fits of each seed and the points of the picture: plain numbers, ready for JSON."""
    panels: Numbers = {}
    for name in NAMES:
        found = [first(series) for series in steps(folder, SETTINGS[name], OPTIMIZER, scale, progress)]
        along = paths(folder, SETTINGS[name], OPTIMIZER, scale, progress)
        panels[name] = {
            "title": SETTINGS[name].title,
            OPTIMIZER: fits(found, along),
            "judged": growing(folder, name, scale, progress),
            "every_step": extremes(folder, name, scale, progress),
            "points": [
                {
                    "iterations": a["times"].tolist(), "norm": a["norm"].tolist(), "kappa": a["kappa"].tolist(),
                    "path": b["smoothness"].tolist(),
                }
                for a, b in zip(found, along, strict=True)
            ],
        }  # fmt: skip
    return {"path_steps": PATH_STEPS, "panels": panels}


def growing(folder: RunFolder, name: str, scale: Scale, progress: bool | None) -> Numbers:
    """The correlation of log kappa and log ||g||, both the median over test batches; and on each batch alone."""
    batches, times = many_batches(scale), np.arange(0, min(PATH_STEPS, scale.steps), scale.record_every)
    found = setting_on_batches(folder, SETTINGS[name], OPTIMIZER, scale, curvatures, times.tolist(), batches, progress)
    kappa, norm = (table(found, key, times) for key in ("kappa", "norm"))  # (seeds, T, batches)
    pairs = zip(middle(kappa, batches), middle(norm, batches), strict=True)
    alone = [[correlation(k, g) for k, g in zip(kappa[s].T, norm[s].T, strict=True)] for s in range(len(kappa))]
    return judged(np.array([correlation(k, g) for k, g in pairs]), np.array(alone), batches)


def correlation(kappa: Array, norm: Array) -> float:
    """That of the logarithms, where both are numbers and kappa is above 0."""
    known = np.isfinite(kappa)
    return float(fit_log(kappa[known], norm[known]).correlation)


def extremes(folder: RunFolder, name: str, scale: Scale, progress: bool | None) -> Numbers:
    """Of every step of the first 2000, log ||g|| and log kappa where they are smallest and largest, seed by seed.

    For Setting 1, which the released code's plot shows: on each of a few batches, as that plot has it, and their median over
    these.
    """
    if name != "setting1":
        return {}
    short = replace(scale, steps=min(PATH_STEPS, scale.steps), record_every=1)
    runs, batches = (
        runs_of(SETTINGS[name], OPTIMIZER, short),
        many_batches(scale, EXTREME_BATCHES if scale.name == "paper" else 1),
    )
    times = np.arange(short.steps)
    found = on_batches(
        folder, runs, curvatures, times.tolist(), batches, f"every step of {OPTIMIZER}, {SETTINGS[name].title}", progress
    )
    numbers: Numbers = {}
    for what, key in EXTREMES.items():
        every = table(found, key, times)  # (seeds, T, batches)
        for end, pick in (("low", np.nanmin), ("high", np.nanmax)):
            alone = np.log(pick(np.where(every > 0, every, np.nan), axis=1))  # (seeds, batches)
            numbers[f"{what}_{end}"] = judged(middle(alone, batches), alone, batches)
    return numbers


def first(series: Arrays) -> Arrays:
    """The part of a series that lies on the first PATH_STEPS iterations."""
    early = series["times"] <= PATH_STEPS
    return {key: values[early] for key, values in series.items()}


def fits(found: Sequence[Arrays], along: Sequence[Arrays]) -> Numbers:
    """Each fit, seed by seed, in short."""
    logs = [fit_log(series["kappa"], series["norm"]) for series in found]
    lines = [fit_l0_l1(series["kappa"], series["norm"]) for series in found]
    path_logs = [fit_log(b["smoothness"], a["norm"]) for a, b in zip(found, along, strict=True)]
    path_lines = [fit_l0_l1(b["smoothness"], a["norm"]) for a, b in zip(found, along, strict=True)]
    positive = [series["kappa"][series["kappa"] > 0] for series in found]
    return {
        "a": spread([fit.a for fit in logs]), "b": spread([fit.b for fit in logs]),
        # the correlation, which has the slope's sign: growing together means that both are positive
        "signed_correlation": spread([fit.correlation for fit in logs]),
        "negative_share": spread([fit.negative_share for fit in logs]),
        "L0": spread([line[0] for line in lines]), "L1": spread([line[1] for line in lines]),
        "path_a": spread([fit.a for fit in path_logs]), "path_b": spread([fit.b for fit in path_logs]),
        "path_correlation": spread([fit.correlation for fit in path_logs]),
        "path_L0": spread([line[0] for line in path_lines]), "path_L1": spread([line[1] for line in path_lines]),
        "log_norm_low": spread([np.log(series["norm"].min()) for series in found]),
        "log_norm_high": spread([np.log(series["norm"].max()) for series in found]),
        "log_kappa_low": spread([np.log(values.min()) for values in positive]),
        "log_kappa_high": spread([np.log(values.max()) for values in positive]),
    }  # fmt: skip


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: curvature along the step above, smoothness over its length below."""
    figure, axes = new_figure(columns=len(NAMES), rows=2, height=3.2)
    for (top, bottom), name in zip(axes.T, NAMES, strict=True):
        panel = numbers["panels"][name]
        fit = {key: value["median"] for key, value in panel[OPTIMIZER].items()}
        norm, path, t = (np.concatenate([seed[key] for seed in panel["points"]]) for key in ("norm", "path", "iterations"))
        kappa = np.concatenate([seed["kappa"] for seed in panel["points"]])
        good = kappa > 0
        shown = {"s": 5, "cmap": "cividis", "vmin": 0, "vmax": min(PATH_STEPS, scale.steps), "linewidths": 0, "rasterized": True}
        top.scatter(norm[good], kappa[good], c=t[good], **shown)
        points = bottom.scatter(norm, path, c=t, **shown)
        x = np.geomspace(norm.min(), norm.max(), 100)
        words = f"r = {fit['signed_correlation']:.2f}; κ ≤ 0 left out: {fit['negative_share']:.1%}"
        law = f"log κ = a + b log ‖g‖, b = {fit['b']:.2f}\n{words}"
        line = f"L0 + L1 ‖g‖: L0 = {fit['path_L0']:.2g}, L1 = {fit['path_L1']:.2g}"
        top.plot(x, np.exp(fit["a"]) * x ** fit["b"], "k--", linewidth=1.6, label=law)
        bottom.plot(x, fit["path_L0"] + fit["path_L1"] * x, "k-", linewidth=1.6, label=line)
        top.set(title=panel["title"])
        bottom.set_xlabel("gradient norm ‖g‖")
        for ax, values in ((top, kappa[good]), (bottom, path)):
            ax.set(xscale="log", yscale="log", ylim=(0.6 * values.min(), 12 * values.max()))
            ax.legend(frameon=False, fontsize=8, loc="upper left")
    axes[0][0].set_ylabel("directional smoothness\n" + r"$\kappa = u^T H u / u^T u$")
    axes[1][0].set_ylabel("smoothness over the step\n" + r"$\max_\gamma \Vert g(x+\gamma u)-g(x)\Vert / \gamma\Vert u\Vert$")
    figure.colorbar(points, ax=axes, label="iteration t", aspect=40)
    what = f"The first {min(PATH_STEPS, scale.steps)} iterations of Adam, {scale.seeds} seeds"
    figure.suptitle(f"{what}; lines: medians of each seed's fit", fontsize=11)
    return figure


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = []
    for panel in numbers["panels"].values():
        fit = {key: value["median"] for key, value in panel[OPTIMIZER].items()}
        lines.append(
            f"{panel['title']}: log kappa = {fit['a']:.2f} + {fit['b']:.2f} log ||g||, correlation "
            f"{fit['signed_correlation']:.2f}, {fit['negative_share']:.1%} of the points negative and left out; "
            f"on all kappa = {fit['L0']:.3g} + {fit['L1']:.3g} ||g||\n"
            f"  over the whole step: slope {fit['path_b']:.2f}, correlation {fit['path_correlation']:.2f}, "
            f"L0 = {fit['path_L0']:.3g}, L1 = {fit['path_L1']:.3g} (medians over seeds)"
        )
    return "\n".join(lines)


# ---------------------------------------------------------------- the claims, and where their numbers stand in the JSON


def growing_together(setting: str, numbers: Numbers) -> Numbers:
    """The correlation of the logarithms, both the median over test batches."""
    return numbers["panels"][setting]["judged"]


def extreme(key: str, numbers: Numbers) -> Numbers:
    """The smallest or largest logarithm over every step of Setting 1's paths."""
    return numbers["panels"]["setting1"]["every_step"][key]


def every_tenth(key: str, numbers: Numbers) -> str:
    """How far the seeds differ, since a plot shows one; and the same from every recorded step alone, on the one fixed batch."""
    panel = numbers["panels"]["setting1"]
    found = panel["every_step"][key]
    each, alone = numbers_or_nan(found["each_seed"]), panel[OPTIMIZER][key]["median"]
    return (
        f"of every step, the median over {len(found['on_batches'])} batches, seed by seed from {min(each):.3g} to "
        f"{max(each):.3g} (the code's plot shows one run); from recorded steps alone, on the one fixed batch: {alone:.3g}"
    )


def left_out(setting: str, numbers: Numbers) -> str:
    """The same on the one fixed batch, and how many points the logarithm leaves out."""
    found = numbers["panels"][setting][OPTIMIZER]
    return (
        f"on the one fixed batch {found['signed_correlation']['median']:.3g}; points with negative curvature, which the "
        f"logarithm leaves out: {found['negative_share']['median']:.2%} (median over seeds)"
    )


def claims() -> Iterator[Claim]:
    """Smoothness and gradient norm grow together; the ranges of the released code's plot."""
    for setting, title in NAMES.items():
        yield Claim(
            id=f"generalized_smoothness.{setting}", figure="generalized_smoothness", where="section 3.2, generalized smoothness",
            statement=f"{title}: along Adam's path smoothness grows with the gradient norm (correlation of the logarithms)",
            printed="they grow together (plot)", values=partial(growing_together, setting),
            aside=partial(left_out, setting), rule=Above(0.5, 0.0),
        )  # fmt: skip
    for key, value in LOGARITHMS.items():
        words = f"{'smallest' if key.endswith('low') else 'largest'} log {'gradient norm' if 'norm' in key else 'smoothness'}"
        yield Claim(
            id=f"generalized_smoothness.setting1.{key}", figure="generalized_smoothness",
            where="released code, generalized smoothness plot",
            statement=f"Setting 1: the {words} along Adam's path is about {value}", code=f"{value}",
            values=partial(extreme, key), aside=partial(every_tenth, key), rule=Within(value - 1.0, value + 1.0),
        )  # fmt: skip


CLAIMS = tuple(claims())
