"""The paper's fourth result: the curvature that each optimizer's steps meet, with its sign, and the descent (section 3.2).

Drawn is what one fixed test batch says, and dotted what is judged: the median over many test batches of a few steps in each
window.
"""

import statistics
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...._types import Array
from ....plotting import STYLES, median_band, new_figure
from ....training.runs import RunFolder
from ...curves import Curve, Numbers, band, curve, spread
from ...measured import Arrays, directions, steps, table
from ...robust import curvatures, judged, middle, setting_on_batches
from ...rules import Above, Claim
from ...scale import Scale, in_words
from ...settings import OPTIMIZERS, Setting
from .factors import FAINT, THROUGHOUT
from .settings import NAMES, SETTINGS, many_batches, train_main_runs

TITLE = "Directional smoothness of the steps of SGD and Adam"
SECONDS = {"paper": 140, "quick": 3}
EARLY = 2_000  # iterations that are also looked at alone: the start decides how far Adam gets ahead
WINDOW = 100  # iterations whose recorded steps are taken together
JUDGED = (0, 30, 60)  # the steps of a window that are measured on many test batches: each costs as much there as a whole window
DIRECTIONS = ("gradient", "sign", "coordinate-clipped", "Adam")  # normalized and clipped gradients are parallel to the gradient
ALT = (
    "Three rows of three panels, one column for each data setting. Top: curvature along the step, u^T H u over u^T u, "
    "against iteration for SGD with momentum and Adam on a scale that is logarithmic on both sides of zero; medians and "
    "quartiles of windows of 100 iterations and all seeds. Middle: the cosine of the angle between step and gradient. "
    "Bottom: the curvature along four directions at the same points of Adam's path: gradient, its sign, the gradient "
    "clipped by coordinate, and Adam's step."
)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return f"{in_words(scale)}, every {scale.record_every}th step"


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """What every recorded step meets, and every direction at the same points: plain numbers, ready for JSON."""
    times = np.arange(0, scale.steps, scale.record_every)
    panels: Numbers = {}
    train_main_runs(folder, scale, progress)
    for name in NAMES:
        found = {o: steps(folder, SETTINGS[name], o, scale, progress) for o in OPTIMIZERS}
        kappa = {o: table(found[o], "kappa", times) for o in OPTIMIZERS}  # (seeds, T)
        middle = {o: np.nanmedian(in_windows(kappa[o], scale), axis=2) for o in OPTIMIZERS}  # (seeds, windows)
        panels[name] = {"title": SETTINGS[name].title}
        for o in OPTIMIZERS:
            cosine, decrease = table(found[o], "cosine", times), table(found[o], "decrease", times)
            negative = np.where(np.isnan(kappa[o]), np.nan, kappa[o] <= 0)
            panels[name][o] = {
                "kappa": windowed(kappa[o], scale), "cosine": windowed(cosine, scale), "decrease": windowed(decrease, scale),
                "negative_share": spread(np.nanmean(negative, axis=1)),
            }  # fmt: skip
        above = middle["SGD"] > middle["Adam"]  # (seeds, windows)
        panels[name]["share_sgd_above"] = spread(above.mean(axis=1))
        panels[name]["share_sgd_above_early"] = spread(above[:, : EARLY // WINDOW].mean(axis=1))
        panels[name] |= robust(folder, SETTINGS[name], scale, progress)
        panels[name]["adam_over_sgd"] = spread(np.median(middle["Adam"] / middle["SGD"], axis=1))
        panels[name]["at_one_point"] = at_one_point(directions(folder, SETTINGS[name], scale, progress), scale)
    return {"window": WINDOW, "panels": panels}


def robust(folder: RunFolder, setting: Setting, scale: Scale, progress: bool | None) -> Numbers:
    """What is judged: of a few steps of each window, the median over test batches; and what each batch alone says."""
    starts, batches = np.arange(0, scale.steps, WINDOW), many_batches(scale)
    times = (starts[:, None] + np.array(JUDGED)).ravel()
    every = {}  # (seeds, windows, batches)
    for o in OPTIMIZERS:
        found = setting_on_batches(folder, setting, o, scale, curvatures, times.tolist(), batches, progress)
        kappa = table(found, "kappa", times)  # (seeds, windows * steps, batches)
        every[o] = kappa.reshape(len(kappa), len(starts), len(JUDGED), -1)
    alone = {o: np.nanmedian(every[o], axis=2) for o in OPTIMIZERS}
    medians = {o: np.nanmedian(middle(every[o], batches), axis=2) for o in OPTIMIZERS}
    above, above_alone = medians["SGD"] > medians["Adam"], alone["SGD"] > alone["Adam"]
    return {
        "robust": {o: curve(starts + WINDOW // 2, medians[o], each_seed=False) for o in OPTIMIZERS},
        "judged": judged(above.mean(axis=1), above_alone.mean(axis=1), batches),
        "judged_early": spread(above[:, : EARLY // WINDOW].mean(axis=1)),
        "other_batches": above_alone[..., : len(batches.seeds)].mean(axis=(0, 1)).tolist(),
    }  # fmt: skip


def in_windows(values: Array, scale: Scale) -> Array:
    """(seeds, T) -> (seeds, windows, steps of a window)"""
    return values.reshape(len(values), -1, WINDOW // scale.record_every)


def windowed(values: Array, scale: Scale) -> Curve:
    """Quartiles over the seeds and the recorded steps of each window; an infinite decrease counts as the largest."""
    cut = in_windows(values, scale).swapaxes(0, 1)
    cut = cut.reshape(len(cut), -1)
    low, middle, high = np.nanquantile(cut, [0.25, 0.5, 0.75], axis=1, method="inverted_cdf")
    centres = (np.arange(len(cut)) * WINDOW + WINDOW // 2).tolist()
    return {"iterations": centres, "lower_quartile": low.tolist(), "median": middle.tolist(), "upper_quartile": high.tolist()}


def at_one_point(found: Sequence[Arrays], scale: Scale) -> Numbers:
    """The curvature, cosine and allowed decrease of each direction at the points of Adam's runs: medians over seeds."""
    times = np.arange(0, scale.steps, scale.hessian_every)
    rows = {}
    for name in DIRECTIONS:
        values = table(found, name, times)  # (seeds, T, 3)
        kappa, cosine, decrease = np.nanquantile(values, 0.5, axis=0, method="inverted_cdf").T
        known = np.isfinite(values[..., 0])
        rows[name] = {
            "iterations": times.tolist(), "kappa": kappa.tolist(), "cosine": cosine.tolist(), "decrease": decrease.tolist(),
            "negative_share": float((values[..., 0] <= 0).sum() / known.sum()),
        }  # fmt: skip
    return rows


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: curvature along the steps, their angle with the gradient, and all directions at the same points."""
    figure, axes = new_figure(columns=len(NAMES), rows=3, height=2.8)
    for (top, centre, bottom), name in zip(axes.T, NAMES, strict=True):
        panel = numbers["panels"][name]
        for o in OPTIMIZERS:
            label = f"{o}: {panel[o]['negative_share']['median']:.1%} negative"
            median_band(top, panel[o]["kappa"]["iterations"], band(panel[o]["kappa"]), label, **STYLES[o])
            values = panel["robust"][o]
            top.plot(values["iterations"], values["median"], ":", color=STYLES[o]["color"], linewidth=1.2, label=f"{o}, judged")
            median_band(centre, panel[o]["cosine"]["iterations"], band(panel[o]["cosine"]), o)
        for direction in DIRECTIONS:
            row = panel["at_one_point"][direction]
            bottom.plot(row["iterations"], row["kappa"], label=direction, linewidth=1.6, **STYLES[direction])
        for ax in (top, bottom):
            ax.set_yscale("symlog", linthresh=threshold(panel))
            ax.axhline(0.0, color="0.5", linewidth=0.8)
        head_room(top, 0.5, threshold(panel))
        head_room(bottom, 0.25, threshold(panel))
        top.legend(frameon=False, fontsize=8, loc="upper right", handlelength=2.6)
        centre.axhline(0.0, color="0.5", linewidth=0.8)
        top.set_title(panel["title"])
        bottom.set_xlabel("iteration t")
    axes[0][0].set_ylabel("directional smoothness\n" + r"$\kappa = u^T H u / u^T u$")
    axes[1][0].set_ylabel("cosine of step and gradient\ncos(u, g)")
    axes[2][0].set_ylabel(r"$\kappa$ of every direction" + "\nat Adam's points")
    axes[2][0].legend(frameon=False, fontsize=8, loc="upper right", ncols=2, handlelength=2.6)
    what = f"Medians and quartiles of windows of {WINDOW} iterations and {scale.seeds} seeds"
    figure.suptitle(f"{what}; bottom: medians over seeds", fontsize=11)
    return figure


def threshold(panel: Numbers) -> float:
    """Where the scale turns linear: a power of ten below nearly all medians."""
    size = np.abs([panel[o]["kappa"]["median"] for o in OPTIMIZERS])
    return 10.0 ** np.floor(np.log10(max(np.quantile(size, 0.05), 1e-6)))


def head_room(ax: Axes, share: float, linear: float) -> None:
    """Room for the legend above the lines, on a scale that is logarithmic above ``linear``: a share of what it spans."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * (high / linear) ** share)


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = []
    for panel in numbers["panels"].values():
        above, ratio = panel["share_sgd_above"], panel["adam_over_sgd"]
        early = min(EARLY, panel["SGD"]["kappa"]["iterations"][-1] + WINDOW // 2)
        lines.append(
            f"{panel['title']}: SGD's kappa is above Adam's in {above['median']:.0%} of the windows "
            f"[{above['lower_quartile']:.0%}, {above['upper_quartile']:.0%}], in "
            f"{panel['share_sgd_above_early']['median']:.0%} of those in the first {early} iterations; "
            f"Adam's over SGD's, median window: {ratio['median']:.3g}"
        )
        for o in OPTIMIZERS:
            share, cosine = panel[o]["negative_share"], panel[o]["cosine"]["median"]
            lines.append(
                f"  {o}: {share['median']:.2%} of the steps meet negative curvature (quartiles {share['lower_quartile']:.2%} to "
                f"{share['upper_quartile']:.2%}); cosine with the gradient, median {np.median(cosine):.2f}"
            )
        own, other = panel["judged"], panel["other_batches"]
        lines.append(
            f"  judged, by the median over {len(other)} test batches: above in {own['median']:.0%} of the windows; on each of "
            f"them alone in {min(other):.0%} to {max(other):.0%}"
        )
        middle = {name: [np.median(row[key]) for key in ("kappa", "cosine")] for name, row in panel["at_one_point"].items()}
        words = [f"{name} kappa {kappa:.3g} cos {cosine:.2f}" for name, (kappa, cosine) in middle.items()]
        lines.append(f"  at Adam's points, medians: {', '.join(words)}")
    return "\n".join(lines)


# ---------------------------------------------------------------- the claims, and where their numbers stand in the JSON


def share_above(setting: str, numbers: Numbers) -> Numbers:
    """The share of the windows in which SGD's step meets more curvature than Adam's, by the median over test batches."""
    return numbers["panels"][setting]["judged"]


def other_views(setting: str, numbers: Numbers) -> str:
    """The same claim at the start, on the one fixed test batch, and at one point; how many steps meet negative curvature."""
    panel = numbers["panels"][setting]
    shares = ", ".join(f"{o} {panel[o]['negative_share']['median']:.2%}" for o in OPTIMIZERS)
    rows, other = panel["at_one_point"], panel["other_batches"]
    same = statistics.median(a / g for a, g in zip(rows["Adam"]["kappa"], rows["gradient"]["kappa"], strict=True))
    return (
        f"first 2000 iterations alone: median share {panel['judged_early']['median']:.2g}; share on each batch alone: "
        f"{min(other):.2g} to {max(other):.2g}, on the one fixed batch, windows of all steps: "
        f"{panel['share_sgd_above']['median']:.2g}; at the same points, those of Adam's path, Adam's step meets {same:.2g} times "
        f"the curvature of the gradient's direction; steps that meet negative curvature, counted like the others: {shares}"
    )


def claims() -> Iterator[Claim]:
    """Adam's steps meet less curvature."""
    for setting, title in NAMES.items():
        yield Claim(
            id=f"directional_smoothness.{setting}", figure="directional_smoothness", where="section 3.2, smoothness plots",
            statement=f"{title}: the directional smoothness of Adam's steps is below that of SGD's (share of the windows)",
            printed="lower for Adam (plot)", values=partial(share_above, setting), aside=partial(other_views, setting),
            rule=Above(THROUGHOUT, FAINT),
        )  # fmt: skip


CLAIMS = tuple(claims())
