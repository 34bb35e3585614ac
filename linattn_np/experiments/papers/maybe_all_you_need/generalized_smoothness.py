"""The paper's fifth result: along a path smoothness and gradient norm grow together (section 3.2)."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from ....measures.smoothness_fits import fit_l0_l1, fit_log
from ....plotting import new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, spread
from ...measured import PATH_STEPS, Arrays, paths, steps
from ...rules import Above, Claim, Within
from ...scale import Scale, counted
from .published import LOGARITHMS
from .settings import NAMES, SETTINGS

TITLE = "Generalized smoothness along Adam's path"
SECONDS = {"paper": 60, "quick": 1}
OPTIMIZER = "Adam"
ALT = (
    "Two rows of three panels, one column for each data setting: smoothness against gradient norm on logarithmic axes, one "
    "point for each recorded step of the first 2000 iterations of the Adam runs, shaded by iteration. Top: curvature along "
    "the step, with the fitted power law of the median seed. Bottom: the largest change of the gradient over the step, with "
    "the fitted line L0 + L1 times the gradient norm."
)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return f"the first {counted(min(PATH_STEPS, scale.steps), 'iteration')} of Adam, batch {scale.batch}, {counted(scale.seeds, 'seed')}"


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """The fits of each seed and the points of the picture: plain numbers, ready for JSON."""
    panels: Numbers = {}
    for name in NAMES:
        found = [first(series) for series in steps(folder, SETTINGS[name], OPTIMIZER, scale, progress)]
        along = paths(folder, SETTINGS[name], OPTIMIZER, scale, progress)
        panels[name] = {
            "title": SETTINGS[name].title,
            OPTIMIZER: fits(found, along),
            "points": [
                {
                    "iterations": a["times"].tolist(), "norm": a["norm"].tolist(), "kappa": a["kappa"].tolist(),
                    "path": b["smoothness"].tolist(),
                }
                for a, b in zip(found, along, strict=True)
            ],
        }  # fmt: skip
    return {"path_steps": PATH_STEPS, "panels": panels}


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


def fitted(setting: str, key: str, numbers: Numbers) -> Numbers:
    """A number of the fits."""
    return numbers["panels"][setting][OPTIMIZER][key]


def left_out(setting: str, numbers: Numbers) -> str:
    """How many points the logarithm leaves out."""
    share = numbers["panels"][setting][OPTIMIZER]["negative_share"]["median"]
    return f"points with negative curvature, which the logarithm leaves out: {share:.2%} (median over seeds)"


def claims() -> Iterator[Claim]:
    """Smoothness and gradient norm grow together; the ranges of the released code's plot."""
    for setting, title in NAMES.items():
        yield Claim(
            id=f"generalized_smoothness.{setting}", figure="generalized_smoothness", where="section 3.2, generalized smoothness",
            statement=f"{title}: along Adam's path smoothness grows with the gradient norm (correlation of the logarithms)",
            paper="they grow together (plot)", values=partial(fitted, setting, "signed_correlation"),
            aside=partial(left_out, setting), rule=Above(0.5, 0.0),
        )  # fmt: skip
    for key, value in LOGARITHMS.items():
        words = f"{'smallest' if key.endswith('low') else 'largest'} log {'gradient norm' if 'norm' in key else 'smoothness'}"
        yield Claim(
            id=f"generalized_smoothness.setting1.{key}", figure="generalized_smoothness",
            where="released code, generalized smoothness plot",
            statement=f"Setting 1: the {words} along Adam's path is about {value}", code=f"{value}",
            values=partial(fitted, "setting1", key), rule=Within(value - 1.0, value + 1.0),
        )  # fmt: skip


CLAIMS = tuple(claims())
