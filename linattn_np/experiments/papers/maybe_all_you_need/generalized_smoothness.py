"""The paper's fifth result: along a path smoothness and gradient norm grow together (section 3.2)."""

import numpy as np

from ....measures.estimators import fit_l0_l1, fit_log
from ....plotting import new_figure
from ...measured import PATH_STEPS, paths, spread, steps
from .adam_vs_sgd import NAMES
from .settings import SETTINGS

TITLE = "Generalized smoothness along Adam's path"
TIME = "1 minute"
OPTIMIZER = "Adam"
ALT = (
    "Two rows of three panels, one column for each data setting: smoothness against gradient norm on logarithmic axes, one "
    "point for each recorded step of the first 2000 iterations of the Adam runs, shaded by iteration. Top: curvature along "
    "the step, with the fitted power law of the median seed. Bottom: the largest change of the gradient over the step, with "
    "the fitted line L0 + L1 times the gradient norm."
)


def measure(folder, scale, progress=None):
    """The fits of each seed and the points of the picture: plain numbers, ready for JSON."""
    panels = {}
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


def first(series):
    """The part of a series that lies on the first PATH_STEPS iterations."""
    early = series["times"] <= PATH_STEPS
    return {key: values[early] for key, values in series.items()}


def fits(found, along):
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


def draw(numbers, scale):
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


def summary(numbers):
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
