"""The paper's own runs, again: trained on the random numbers of its released code, and its printed table beside what comes out.

Everything else in this folder asks whether the paper's claims hold on other random numbers. Here the numbers are the paper's
(``released_streams``) and the gradients ours: what is printed must come out to its last digit, or it is said that it does not.
Where a change of the initial weights by 1e-7 changes what comes out, rounding decides the printed number and not the method:
such a number is called fragile, and the measurement that says so stands beside it.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...._types import Array
from ....plotting import STYLES, new_figure
from ....training.runs import RunFolder
from ... import scale as sizes_of
from ...curves import Numbers, condition_numbers
from ...scale import Scale, differences, in_words
from ...settings import OPTIMIZERS
from .published import LOSSES, NONLINEAR_LOSSES, RATIOS
from .released_claims import CLAIMS, IN_TABLE, KEYS, parting_in_words, ratio, rounding_in_words
from .released_runs import nonlinear_seeds, seeds
from .settings import NAMES, SETTINGS

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "The paper's own random numbers: its table from hand-derived gradients"
SECONDS = {"paper": 420, "quick": 6}
ROUNDINGS = 6  # runs that differ by 1e-7, the unmoved one among them
UNTIL = 2_500  # iterations up to which runs that differ by 1e-7 are compared: they part before
NONLINEAR = {
    "seeds": 5,
    "steps": 1_001,
    "batch": 2_000,
    "every": 10,
}  # as far as the released code printed Adam's losses of all seeds
TICKS = (250, 750, 1250, 2500, 5000, 10_000)
ALT = (
    "Two rows of panels, one column for each data setting and a last one. Top: SGD's robust condition number over Adam's against "
    "iteration, logarithmic, thin lines for the six seeds, a thick one for their mean, and the paper's two means with their "
    "standard deviations; grey bars: the means of runs that differ by rounding. Bottom: loss on the released test batch, "
    "logarithmic, mean over seeds, for SGD and Adam, and the points that the released code plots. Last column: the printed table "
    "beside ours, and the training losses of nonlinear regression."
)


def sized(scale: Scale) -> Scale:
    """Quick: the table of Setting 2 itself, as the paper has it."""
    return replace(scale, steps=1_500, batch=1_000, seeds=6) if scale.name == "quick" else scale


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return f"{'Setting 2, ' if scale.name == 'quick' else ''}{in_words(sized(scale))}"


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train what is missing on the released streams and measure on the released test batch: plain numbers, ready for JSON."""
    used, quick = sized(scale), scale.name == "quick"
    times = list(IN_TABLE) if quick else list(range(0, used.steps + 1, used.hessian_every))
    common = {"steps": used.steps, "batch": used.batch, "prompts": sizes_of.TEST_PROMPTS, "loss_every": used.test_every}
    parts: dict[str, Numbers] = {name: {} for name in ("condition", "curves", "rounding", "parting")}
    numbers: Numbers = {"limits": differences(scale, used), "seeds": list(range(used.seeds)), **parts}
    groups = [["setting2"]] if quick else [[key for key in SETTINGS if key != "setting2"], ["setting2"]]
    for keys in groups:
        label = f"released streams, {' and '.join(SETTINGS[key].title for key in keys)}"
        what = {**common, "hessian_times": times, "starts": [0]}
        for key, found in seeds(folder, keys, used.seeds, what, label, progress).items():
            numbers[key], numbers["condition"][key], numbers["curves"][key] = panel(found, times, used)
    if not quick:
        ratios = {key: [numbers[key]["condition_ratio"][str(t)] for t in times if t] for key in NAMES}  # (T, seeds)
        numbers["parting"]["setting2"] = parting(folder, "setting2", common, times, ratios["setting2"], used, progress)
        for keys in ([key for key in NAMES if key != "setting2"], ["setting2"]):
            numbers["rounding"] |= rounding(folder, keys, common, times, ratios, used, progress)
        numbers["nonlinear"] = nonlinear(folder, used, progress)
    return numbers


def panel(found: list[dict[str, Array]], times: list[int], used: Scale) -> tuple[Numbers, Numbers, Numbers]:
    """One setting: the ratio and the losses at the same iterations, R_med of both, and the whole loss curves; seed by seed."""
    R = np.stack([condition_numbers(each["diagonals"][0]) for each in found])  # (seeds, 2, T)
    losses = np.stack([each["losses"][0] for each in found])  # (seeds, 2, T)
    every = list(range(0, used.steps + 1, used.test_every))
    kept = {
        "condition_ratio": by_time(times, R[:, 0] / R[:, 1], skip=(0,)),
        "loss": {KEYS[o]: by_time(every, losses[:, k], at=sorted({0, *times})) for k, o in enumerate(OPTIMIZERS)},
    }
    curves = {"iterations": every, **{KEYS[o]: losses[:, k].tolist() for k, o in enumerate(OPTIMIZERS)}}
    return kept, {KEYS[o]: by_time(times, R[:, k]) for k, o in enumerate(OPTIMIZERS)}, curves


def by_time(times: list[int], values: Array, at: Any = None, skip: Any = ()) -> Numbers:
    """(seeds, T) as {iteration: one number for each seed}."""
    return {str(t): values[:, k].tolist() for k, t in enumerate(times) if t not in skip and (at is None or t in at)}


def ratio_of(diagonals: Array) -> Array:
    """R_med(SGD) / R_med(Adam), lower median. (starts, 2, T, p) -> (starts, T)"""
    R = np.stack([condition_numbers(pair) for pair in diagonals])
    return R[:, 0] / R[:, 1]


def parting(
    folder: RunFolder, key: str, common: Numbers, times: list[int], own: Any, used: Scale, progress: bool | None
) -> Numbers:
    """{iteration: by how much the ratio of a seed differs at most when the initial weights are off by 1e-7}, up to UNTIL."""
    at = [t for t in times if 0 < t <= UNTIL]
    what = {**common, "steps": at[-1], "loss_every": at[-1], "hessian_times": at, "starts": [1]}
    found = seeds(folder, [key], used.seeds, what, f"rounded otherwise, {SETTINGS[key].title}", progress)[key]
    ratios = np.stack([ratio_of(each["diagonals"])[0] for each in found], axis=1)  # (T, seeds)
    return dict(zip(map(str, at), abs(ratios / np.array(own)[: len(at)] - 1).max(axis=1).tolist(), strict=True))


def rounding(
    folder: RunFolder, keys: list[str], common: Numbers, times: list[int], own: Numbers, used: Scale, progress: bool | None
) -> Numbers:
    """The ratio in the table once more, from initial weights that differ by 1e-7.

    -> {setting: {iteration: a row of seeds for each of the runs, the first of them not moved}}
    """
    at, starts = (list(IN_TABLE), ROUNDINGS) if used.name == "paper" else (times[1:2], 2)
    what = {**common, "steps": at[-1], "loss_every": at[-1], "hessian_times": at, "starts": list(range(1, starts))}
    label = f"rounded otherwise, {' and '.join(SETTINGS[key].title for key in keys)}"
    rows: Numbers = {}
    for key, found in seeds(folder, keys, used.seeds, what, label, progress).items():
        ratios = np.stack([ratio_of(each["diagonals"]) for each in found])  # (seeds, starts, times)
        rows[key] = {str(t): [own[key][times.index(t) - 1], *ratios[:, :, k].T.tolist()] for k, t in enumerate(at)}
    return rows


def nonlinear(folder: RunFolder, used: Scale, progress: bool | None) -> Numbers:
    """Training losses of nonlinear regression with the hidden network of the released code."""
    whole = used.name == "paper"
    count, steps, batch = (NONLINEAR[name] for name in ("seeds", "steps", "batch")) if whole else (used.seeds, 21, used.batch)
    found = nonlinear_seeds(folder, count, steps, batch, progress)
    every = list(range(0, steps, NONLINEAR["every"]))
    return {
        "iterations": every,
        **{KEYS[o]: [each["losses"][k, every].tolist() for each in found] for k, o in enumerate(OPTIMIZERS)},
    }


# ---------------------------------------------------------------- picture and words


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: ratio above, losses below; the table and nonlinear regression in the last column."""
    settings = [key for key in SETTINGS if key in numbers]
    figure, axes = new_figure(columns=len(settings) + 1, rows=2, width=3.9, height=3.3)
    for (top, bottom), key in zip(axes.T, settings, strict=False):
        draw_ratio(top, key, numbers)
        draw_losses(bottom, numbers["curves"][key])
        top.set(title=SETTINGS[key].title)
        for (optimizer, t), value in LOSSES.items() if key == "setting1" else ():
            bottom.plot(t, value, "kx" if optimizer == "SGD" else "k+", markersize=7)
        bottom.set(xlabel="iteration t")
    axes[0, 0].set_ylabel(r"$R_{med}$(SGD) / $R_{med}$(Adam)")
    axes[1, 0].set_ylabel("loss f, released test batch")
    axes[0, 0].legend(frameon=False, fontsize=8)
    words = "mean over seeds; thin: each" + "\n×, +: the code's plot" * ("setting1" in settings)
    axes[1, 0].legend(frameon=False, fontsize=8, title=words, title_fontsize=8)
    draw_table(axes[0, -1], numbers)
    if "nonlinear" in numbers:
        draw_losses(axes[1, -1], numbers["nonlinear"])
        axes[1, -1].set(xlabel="iteration t", ylabel="training loss", title="Nonlinear regression")
        for (optimizer, t), value in NONLINEAR_LOSSES.items():
            if optimizer == "Adam":
                axes[1, -1].plot(t, value, "k+", markersize=7)
    else:
        axes[1, -1].axis("off")
    return figure


def draw_ratio(ax: Axes, key: str, numbers: Numbers) -> None:
    """The ratio of each seed, its mean, the paper's points, and what rounding does to the mean."""
    times, values = series(numbers[key]["condition_ratio"])
    ax.plot(times, values.T, color="#56B4E9", linewidth=0.6)
    few = "o" if len(times) < 9 else None
    ax.plot(times, values.mean(axis=0), color="#0072B2", linewidth=1.8, marker=few, label="mean of the seeds")
    for t, rows in numbers["rounding"].get(key, {}).items():
        means = np.mean(rows, axis=1)
        ax.plot([int(t)] * 2, [means.min(), means.max()], color="0.5", linewidth=6, alpha=0.6, solid_capstyle="butt")
    points = [(t, *value) for (setting, t), value in RATIOS.items() if setting == key and t <= times[-1]]
    if points:
        t, mean, std = np.array(points).T
        below = np.minimum(std, 0.9 * mean)  # the bar stops above 0 on the logarithmic axis
        ax.errorbar(t, mean, yerr=[below, std], fmt="ko", markersize=4, capsize=3, linewidth=1.0, label="paper, mean and std")
    ax.axhline(1.0, color="0.5", linewidth=0.8)
    ax.set(xscale="log", yscale="log", xlabel="iteration t, logarithmic")
    ax.set_xticks([], minor=True)
    shown = [t for t in TICKS if times[0] <= t <= times[-1]] or times.tolist()
    ax.set_xticks(shown, map(str, shown))


def draw_losses(ax: Axes, curves: Numbers) -> None:
    """The losses of both optimizers."""
    for o in OPTIMIZERS:
        values = np.array(curves[KEYS[o]], float)
        ax.plot(curves["iterations"], values.T, linewidth=0.4, alpha=0.4, color=STYLES[o]["color"])
        ax.plot(curves["iterations"], values.mean(axis=0), label=o, linewidth=1.6, **STYLES[o])
    ax.set(yscale="log")


def draw_table(ax: Axes, numbers: Numbers) -> None:
    """The printed table beside ours."""
    ax.axis("off")
    lines = [*table(numbers), "", "grey bars: rounding by 1e-7"] if numbers["rounding"] else table(numbers)
    ax.text(-0.1, 0.98, "\n".join(lines), family="monospace", fontsize=8.5, va="top", transform=ax.transAxes)


def table(numbers: Numbers) -> list[str]:
    """The lines of the printed table, each beside ours."""
    lines = ["R_med(SGD) / R_med(Adam), mean (std)", f"{'iteration':16s}" + "".join(f"{t:14d}" for t in IN_TABLE)]
    for key, name in NAMES.items():
        if key in numbers:
            ours = [ratio(key, t, numbers) for t in IN_TABLE]
            cells = ["not run" if row["mean"] is None else printed(row["mean"], row["std"]) for row in ours]
            paper = [printed(*RATIOS[key, t]) for t in IN_TABLE]
            lines += [f"{name}, paper".ljust(16) + "".join(cell.rjust(14) for cell in paper),
                      f"{'':9s}, ours".ljust(16).replace(",", " ") + "".join(cell.rjust(14) for cell in cells)]  # fmt: skip
    return lines


def printed(mean: float, std: float) -> str:
    """Mean and standard deviation in the paper's digits: two decimals below ten, one above."""
    words, deviation = (f"{value:.{1 if value >= 10 else 2}f}" for value in (mean, std))
    return f"{words} ({deviation})"


def series(values: Numbers) -> tuple[Array, Array]:
    """{iteration: each seed} as (T,) and (seeds, T); NaN where the JSON has None."""
    return np.array([int(t) for t in values]), np.array(list(values.values()), float).T


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = table(numbers)
    for key, name in NAMES.items():
        for t in IN_TABLE if key in numbers else ():
            words = rounding_in_words(key, t, numbers)
            each = " ".join(f"{value:.2f}" for value in numbers[key]["condition_ratio"].get(str(t), ()))
            lines.append(f"  {name} at {t}, seed by seed: {each or 'not run'}{'; ' + words if words else ''}")
    lines += [f"  {parting_in_words(key, numbers)}" for key in numbers["parting"]]
    for key in numbers["curves"]:
        t = numbers["curves"][key]["iterations"][-1]
        means = ", ".join(f"{o} {np.mean(numbers['curves'][key][KEYS[o]], axis=0)[-1]:.3g}" for o in OPTIMIZERS)
        lines.append(f"  {SETTINGS[key].title}: mean loss at {t}: {means}")
    if "nonlinear" in numbers:
        t = numbers["nonlinear"]["iterations"][-1]
        each = " ".join(f"{row[-1]:.2g}" for row in numbers["nonlinear"]["adam"])
        lines.append(f"  nonlinear regression, Adam's training loss at {t}, seed by seed: {each}")
    return "\n".join(lines)
