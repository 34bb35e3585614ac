"""The paper's third result: the robust condition number along both paths, and the table of its ratios (section 3.2).

Drawn are the curves on one fixed test batch, and as points what is judged: R_med of the median over many batches of each H_ii.
The table's two iterations are judged on more seeds, and their ratios by the geometric mean, which one seed does not decide.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...._types import Array
from ....plotting import MEDIAN_STYLES, STYLES, median_band, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, band, condition_numbers, curve, each_seed, spread
from ...fragility import BATCHES, as_spreads, reruns
from ...measured import Arrays, hessians, table
from ...robust import (
    TABLE,
    TIMES,
    condition_alone,
    condition_of_median,
    diagonals,
    judged,
    more_seeds,
    on_batches,
    setting_on_batches,
)
from ...rules import Above, Claim, Within, around
from ...scale import Scale, in_words, train_side_by_side
from ...settings import OPTIMIZERS
from .factors import CONDITION, FAINT, THROUGHOUT
from .published import CODE_RATIOS, CONDITIONS, RATIOS, mean_within_deviation
from .settings import NAMES, SETTINGS, many_batches, train_main_runs

TITLE = "Robust condition number along the paths of SGD and Adam"
SECONDS = {"paper": 210, "quick": 7}
KINDS: dict[str, dict[str, Any]] = {"lower": {}, "usual": {"median": "usual"}, "alive": {"drop_dead": True}}
NAMES_OF_KINDS = {"lower": "lower median", "usual": "usual median", "alive": "without dead parameters"}
AT = (0, 250, 750, 1250, 5000)
PLOTTED = tuple(t for _, t in CONDITIONS)  # where the released code's plot of Setting 1 was read
ALT = (
    "Two rows of three panels, one column for each data setting. Top: robust condition number against iteration, "
    "logarithmic, for SGD with momentum and Adam, median line and quartile band over seeds. Bottom: the ratio of SGD's to "
    "Adam's, seed by seed, for three definitions of the median, with the paper's two values and their standard deviations "
    "as points with bars. Curves are on one fixed test batch; crosses are from the median of each Hessian entry over 25 batches."
)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return f"{in_words(scale)}, an exact Hessian every {scale.hessian_every} iterations"


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Exact Hessians along every run, and what is read off them: plain numbers, ready for JSON."""
    times = np.arange(0, scale.steps + 1, scale.hessian_every)
    panels = {}
    train_main_runs(folder, scale, progress)
    for name in NAMES:
        found = {o: hessians(folder, SETTINGS[name], o, scale, progress) for o in OPTIMIZERS}
        numbers = {o: in_kinds(table(found[o], "diagonals", times)) for o in OPTIMIZERS}
        ratios = {kind: numbers["SGD"][kind] / numbers["Adam"][kind] for kind in KINDS}  # (seeds, T)
        later, at = ratios["lower"][:, 1:], [(k, str(t)) for k, t in enumerate(times.tolist()) if t in AT]
        panels[name] = {
            "title": SETTINGS[name].title,
            **{o: {**{kind: curve(times, numbers[o][kind]) for kind in KINDS}, **spectra(found[o], times)} for o in OPTIMIZERS},
            "ratio_curves": {kind: curve(times, ratios[kind]) for kind in KINDS},
            "ratios": {kind: {t: spread(ratios[kind][:, k]) for k, t in at} for kind in KINDS},
            "share_sgd_above": spread((later > 1).sum(axis=1) / np.isfinite(later).sum(axis=1)),
            "robust": robust(folder, name, scale, progress),
        }  # fmt: skip
    return {"panels": panels, "checks": [start(name, panels[name]) for name in NAMES]}


def start(name: str, panel: Numbers) -> Numbers:
    """Both runs of a seed start from the same params: the first ratio is exactly 1."""
    each = panel["ratios"]["lower"]["0"]["each_seed"]
    off = max(each, key=lambda ratio: abs(ratio - 1.0))
    return {"claim": f"{name}: the ratio at 0 is exactly 1 for every seed", "ours": off, "holds": off == 1.0}


def in_kinds(diagonals: Array) -> Arrays:
    """R_med in its three versions, {kind: (seeds, T)}, from diagonals (seeds, T, p)."""
    return {kind: condition_numbers(diagonals, **how) for kind, how in KINDS.items()}


def robust(folder: RunFolder, name: str, scale: Scale, progress: bool | None) -> Numbers:
    """What is judged: R_med of the median over batches of each H_ii; beside it each batch alone, and reruns of the table."""
    setting, batches = SETTINGS[name], many_batches(scale)
    times = sorted({t for t in (*TIMES, *(PLOTTED if name == "setting1" else ())) if t <= scale.steps})
    every = {
        o: table(setting_on_batches(folder, setting, o, scale, diagonals, times, batches, progress), "diagonals", times)
        for o in OPTIMIZERS
    }  # (seeds, T, batches, p)
    medians = {o: condition_of_median(every[o], batches) for o in OPTIMIZERS}  # (seeds, T)
    alone = {o: condition_alone(every[o]) for o in OPTIMIZERS}  # (seeds, T, batches)
    ratio, ratio_alone = medians["SGD"] / medians["Adam"], alone["SGD"] / alone["Adam"]
    later = np.array(times) > 0
    shares, shares_alone = (ratio[:, later] > 1).mean(axis=1), (ratio_alone[:, later] > 1).mean(axis=1)
    found: Numbers = {
        "iterations": times, **{o: curve(times, medians[o]) for o in OPTIMIZERS}, "ratio": curve(times, ratio),
        "condition": {
            o: {str(t): judged(medians[o][:, k], alone[o][:, k], batches) for k, t in enumerate(times)} for o in OPTIMIZERS
        },
        "share_sgd_above": judged(shares, shares_alone, batches), "table": {},
    }  # fmt: skip
    for t in (t for t in TABLE if t <= scale.steps):
        k = times.index(t)
        more, more_alone = extra_seeds(folder, name, scale, t, progress)
        values = np.concatenate([ratio[:, k], more]), np.concatenate([ratio_alone[:, k], more_alone])
        found["table"][str(t)] = judged(*values, batches)
    if scale.reruns and found["table"]:
        rounding(folder, name, scale, found["table"], progress)
    return found


def extra_seeds(folder: RunFolder, name: str, scale: Scale, t: int, progress: bool | None) -> tuple[Array, Array]:
    """The ratio of the seeds after the scale's: by the median over batches (seeds,), and on each batch alone (seeds, batches)."""
    batches, medians, alone = many_batches(scale), {}, {}
    times = [t for t in TABLE if t <= scale.steps]
    runs = {o: more_seeds(SETTINGS[name], o, scale) for o in OPTIMIZERS}
    if not all(runs.values()):
        return np.empty(0), np.empty((0, len(batches.seeds) + len(batches.also)))
    train_side_by_side(folder, runs.values(), f"{SETTINGS[name].title}, more seeds", progress)
    for o in OPTIMIZERS:
        found = on_batches(folder, runs[o], diagonals, times, batches, f"{o} on {SETTINGS[name].title}, more seeds", progress)
        every = table(found, "diagonals", times)[:, [times.index(t)]]
        medians[o], alone[o] = condition_of_median(every, batches)[:, 0], condition_alone(every)[:, 0]
    return medians["SGD"] / medians["Adam"], alone["SGD"] / alone["Adam"]


def rounding(folder: RunFolder, name: str, scale: Scale, rows: Numbers, progress: bool | None) -> None:
    """Put beside each number of the table what it is when the first weights are off by a rounding, on fewer seeds and batches."""
    batches, times = many_batches(scale, BATCHES), [int(t) for t in rows]
    medians: dict[str, list[Array]] = {}
    for o in OPTIMIZERS:
        own = setting_on_batches(folder, SETTINGS[name], o, scale, diagonals, times, batches, progress)
        again = reruns(folder, SETTINGS[name], o, scale, times, batches, "diagonals", scale.reruns, progress)
        medians[o] = [condition_of_median(table(found, "diagonals", times), batches) for found in (own, *again)]  # (seeds, T)
    for k, t in enumerate(times):
        pairs = zip(medians["SGD"], medians["Adam"], strict=True)
        rows[str(t)]["reruns"] = as_spreads(sgd[:, k] / adam[:, k] for sgd, adam in pairs)


def spectra(found: Sequence[Arrays], times: Array) -> Numbers:
    """What else the Hessian says: how far it is from diagonal, its negative eigenvalues, the text's condition number."""
    values = table(found, "eigenvalues", times)  # (seeds, T, p)
    rounding = values.shape[-1] * np.finfo(float).eps * np.abs(values).max(axis=-1, keepdims=True)
    return {
        "off_diagonal_share": curve(times, table(found, "off_diagonal", times)),
        "negative_eigenvalues": curve(times, (values < -rounding).sum(axis=-1).astype(float)),
        "sharpness": curve(times, values[..., -1]),
        "largest_over_median_eigenvalue": curve(times, values[..., -1] / np.median(values, axis=-1)),
    }  # fmt: skip


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: both paths above, their ratio below."""
    figure, axes = new_figure(columns=len(NAMES), rows=2, height=3.0)
    for (top, bottom), name in zip(axes.T, NAMES, strict=True):
        panel = numbers["panels"][name]
        for optimizer in OPTIMIZERS:
            median_band(top, panel[optimizer]["lower"]["iterations"], band(panel[optimizer]["lower"]), optimizer)
        for kind in KINDS:
            values = panel["ratio_curves"][kind]
            bottom.plot(values["iterations"], values["median"], label=NAMES_OF_KINDS[kind], linewidth=1.6, **MEDIAN_STYLES[kind])
        values = band(panel["ratio_curves"]["lower"])
        bottom.fill_between(panel["ratio_curves"]["lower"]["iterations"], values[0], values[2], alpha=0.2, linewidth=0,
                            color=MEDIAN_STYLES["lower"]["color"])  # fmt: skip
        for o in OPTIMIZERS:
            values = panel["robust"][o]
            top.plot(values["iterations"], values["median"], "x", color=STYLES[o]["color"], markersize=7)
        values = panel["robust"]["ratio"]
        bottom.plot(values["iterations"], values["median"], "kx", markersize=7)
        draw_paper(bottom, name)
        bottom.axhline(1.0, color="0.5", linewidth=0.8)
        top.set(yscale="log", title=panel["title"])
        bottom.set(yscale="log", xlabel="iteration t")
    axes[0][0].plot([], [], "kx", markersize=7, label="judged: each entry the median over batches")
    axes[0][0].set_ylabel("robust condition number\n" + r"$R_{med} = \max|H_{ii}| / \mathrm{median}|H_{ii}|$")
    axes[1][0].set_ylabel(r"ratio $R_{med}$(SGD) / $R_{med}$(Adam)")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=9, frameon=False,
                  title=f"top: median and quartiles of {scale.seeds} seeds, lower median")  # fmt: skip
    figure.legend(*axes[1][0].get_legend_handles_labels(), loc="outside upper right", ncols=4, fontsize=9, frameon=False,
                  title="bottom: ratio, median over seeds; band: quartiles, lower median")  # fmt: skip
    return figure


def draw_paper(ax: Axes, name: str) -> None:
    """The paper's mean and standard deviation; the bar stops above 0 on the logarithmic axis."""
    points = [(t, *value) for (setting, t), value in RATIOS.items() if setting == name]
    t, mean, std = np.array(points).T
    below = np.minimum(std, 0.9 * mean)
    ax.errorbar(t, mean, yerr=[below, std], fmt="ko", markersize=4, capsize=3, linewidth=1.0, label="paper, mean and std")


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = []
    for name, panel in numbers["panels"].items():
        lines.append(f"{panel['title']}: R_med(SGD) / R_med(Adam), mean (std), median [quartiles] over seeds")
        for kind in KINDS:
            for t, row in panel["ratios"][kind].items():
                if row["mean"] is None:
                    continue
                paper = RATIOS.get((name, int(t)))
                beside = f"   paper {paper[0]:g} ({paper[1]:g})" if paper and kind == "lower" else ""
                lines.append(f"  {NAMES_OF_KINDS[kind]:24s} {t:>5s}  {row['mean']:7.3g} ({row['std']:.3g})   {row['median']:.3g} "
                             f"[{row['lower_quartile']:.3g}, {row['upper_quartile']:.3g}]{beside}")  # fmt: skip
        for t, row in panel["robust"]["table"].items():
            lines.append(f"  judged, {len(row['each_seed'])} seeds, {len(row['on_batches'])} batches, {t:>5s}: geometric mean "
                         f"{row['geometric_mean'] or float('nan'):.3g}, median {row['median']:.3g}")  # fmt: skip
    lines += [f"  {'holds' if check['holds'] else 'DOES NOT HOLD'}: {check['claim']}" for check in numbers["checks"]]
    return "\n".join(lines)


# ---------------------------------------------------------------- the claims, and where their numbers stand in the JSON


def condition(setting: str, optimizer: str, iteration: int, numbers: Numbers) -> Numbers:
    """R_med of each seed at an iteration, from the median over batches of each H_ii."""
    found = numbers["panels"][setting]["robust"]["condition"][optimizer].get(str(iteration))
    return found or spread([float("nan")] * numbers["scale"]["seeds"])


def ratio(setting: str, iteration: int, numbers: Numbers) -> Numbers:
    """R_med(SGD) / R_med(Adam) at an iteration of the table, each from the median over batches of H_ii."""
    found = numbers["panels"][setting]["robust"]["table"].get(str(iteration))
    return found or spread([float("nan")] * numbers["scale"]["seeds"])


def other_ratios(setting: str, iteration: int, numbers: Numbers) -> str:
    """The mean over seeds of the paper's kind, on the one fixed batch, with the three definitions of R_med, and later."""
    panel, words = numbers["panels"][setting], []
    for kind, name in NAMES_OF_KINDS.items():
        value = panel["ratios"][kind].get(str(iteration))
        if value and value["mean"] is not None:
            words.append(f"{name} {value['mean']:.3g} ({value['std']:.3g})")
    own = panel["robust"]["table"].get(str(iteration))
    mean = f"mean over seeds {own['mean']:.3g} ({own['std']:.3g}); " if own and own["mean"] is not None else ""
    later = each_seed(panel["robust"]["ratio"], 5000)
    tail = f"; at iteration 5000, judged alike: median {np.nanmedian(later):.3g}" if np.isfinite(later).any() else ""
    return f"{mean}mean on the one fixed batch, {len(panel['ratios']['lower']['0']['each_seed'])} seeds: {', '.join(words)}{tail}"


def share_above(setting: str, numbers: Numbers) -> Numbers:
    """The share of the iterations at which SGD's R_med is above Adam's, from the median over batches of each H_ii."""
    return numbers["panels"][setting]["robust"]["share_sgd_above"]


def claims() -> Iterator[Claim]:
    """The table of ratios, lower for Adam, and the points of the released code's plot."""
    for (setting, t), (mean, std) in RATIOS.items():
        yield Claim(
            id=f"condition_ratio.{setting}.{t}", figure="robust_condition_number", where="section 3.2, table of R_med ratios",
            statement=f"{NAMES[setting]}: R_med(SGD) / R_med(Adam) at iteration {t} is {mean:g} ({std:g})",
            printed=f"{mean:g} ({std:g})", code=CODE_RATIOS.get((setting, t)),
            values=partial(ratio, setting, t), aside=partial(other_ratios, setting, t),
            rule=Within(**mean_within_deviation(mean, std, "geometric_mean"), beyond=1.0),
        )  # fmt: skip
    for setting, title in NAMES.items():
        yield Claim(
            id=f"condition_lower_for_adam.{setting}", figure="robust_condition_number", where="section 3.2, R_med plots",
            statement=f"{title}: after the start Adam's R_med stays below SGD's (share of the measured iterations)",
            printed="lower for Adam (plot)", values=partial(share_above, setting), rule=Above(THROUGHOUT, FAINT),
        )  # fmt: skip
    for (optimizer, t), value in CONDITIONS.items():
        yield Claim(
            id=f"condition.setting1.{optimizer.lower()}.{t}", figure="robust_condition_number", where="released code, R_med plot",
            statement=f"Setting 1: {optimizer}'s R_med at iteration {t} is about {value:g}", code=f"{value:g}",
            values=partial(condition, "setting1", optimizer, t), rule=around(value, CONDITION),
        )  # fmt: skip


CLAIMS = tuple(claims())
