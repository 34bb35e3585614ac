"""The paper's third result: the robust condition number along both paths, and the table of its ratios (section 3.2)."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...._types import Array
from ....plotting import MEDIAN_STYLES, median_band, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, band, condition_numbers, curve, each_seed, spread
from ...measured import Arrays, hessians, other_diagonals, table
from ...rules import Above, Claim, Within, around
from ...scale import Scale, in_words
from ...settings import OPTIMIZERS, Setting
from .factors import CONDITION, FAINT, THROUGHOUT
from .published import CODE_RATIOS, CONDITIONS, RATIOS, mean_within_deviation
from .settings import NAMES, SETTINGS

TITLE = "Robust condition number along the paths of SGD and Adam"
SECONDS = {"paper": 240, "quick": 5}
KINDS: dict[str, dict[str, Any]] = {"lower": {}, "usual": {"median": "usual"}, "alive": {"drop_dead": True}}
NAMES_OF_KINDS = {"lower": "lower median", "usual": "usual median", "alive": "without dead parameters"}
AT = (0, 250, 750, 1250, 5000)
IN_TABLE = (750, 1250)  # where the paper gives numbers: here also on other test batches, since much hangs on the one fixed batch
ALT = (
    "Two rows of three panels, one column for each data setting. Top: robust condition number against iteration, "
    "logarithmic, for SGD with momentum and Adam, median line and quartile band over seeds. Bottom: the ratio of SGD's to "
    "Adam's, seed by seed, for three definitions of the median, with the paper's two values and their standard deviations "
    "as points with bars."
)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return f"{in_words(scale)}, an exact Hessian every {scale.hessian_every} iterations"


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Exact Hessians along every run, and what is read off them: plain numbers, ready for JSON."""
    times = np.arange(0, scale.steps + 1, scale.hessian_every)
    panels = {}
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
            "other_batches": other_batches(folder, SETTINGS[name], scale, progress),
            "share_sgd_above": spread((later > 1).sum(axis=1) / np.isfinite(later).sum(axis=1)),
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


def other_batches(folder: RunFolder, setting: Setting, scale: Scale, progress: bool | None) -> dict[str, list[float]]:
    """The mean over seeds of the ratio, lower median, on each of as many other test batches. -> {t: [a number for each batch]}"""
    times, seeds = [t for t in IN_TABLE if t <= scale.steps], range(1000, 1000 + scale.seeds)
    each: Arrays = {}
    if not times:
        return {}
    for o in OPTIMIZERS:
        found = other_diagonals(folder, setting, o, scale, times, seeds, progress)
        diagonals = table(found, "diagonals", times)  # (seeds, T, batches, p)
        each[o] = condition_numbers(diagonals.reshape(len(found), -1, diagonals.shape[-1]))
    means = np.nanmean(each["SGD"] / each["Adam"], axis=0).reshape(len(times), -1)
    return {str(t): row for t, row in zip(times, means.tolist(), strict=True)}


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
        draw_paper(bottom, name)
        bottom.axhline(1.0, color="0.5", linewidth=0.8)
        top.set(yscale="log", title=panel["title"])
        bottom.set(yscale="log", xlabel="iteration t")
    axes[0][0].set_ylabel("robust condition number\n" + r"$R_{med} = \max|H_{ii}| / \mathrm{median}|H_{ii}|$")
    axes[1][0].set_ylabel(r"ratio $R_{med}$(SGD) / $R_{med}$(Adam)")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False,
                  title=f"top: median and quartiles of {scale.seeds} seeds, lower median")  # fmt: skip
    figure.legend(*axes[1][0].get_legend_handles_labels(), loc="outside upper right", ncols=4, frameon=False,
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
        for t, row in panel["other_batches"].items():
            lines.append(f"  lower median {t:>16s}  mean on {len(row)} other test batches: {min(row):.3g} to {max(row):.3g}")
    lines += [f"  {'holds' if check['holds'] else 'DOES NOT HOLD'}: {check['claim']}" for check in numbers["checks"]]
    return "\n".join(lines)


# ---------------------------------------------------------------- the claims, and where their numbers stand in the JSON


def condition(setting: str, optimizer: str, iteration: int, numbers: Numbers) -> Numbers:
    """R_med of each seed at an iteration."""
    return spread(each_seed(numbers["panels"][setting][optimizer]["lower"], iteration))


def ratio(setting: str, iteration: int, numbers: Numbers, kind: str = "lower") -> Numbers:
    """R_med(SGD) / R_med(Adam) at an iteration."""
    found = numbers["panels"][setting]["ratios"][kind].get(str(iteration))
    return found or spread([float("nan")] * numbers["scale"]["seeds"])


def other_ratios(setting: str, iteration: int, numbers: Numbers) -> str:
    """The ratio with the other two definitions of R_med, on other test batches, and later."""
    words = []
    for kind, name in (("usual", "usual median"), ("alive", "without dead parameters")):
        value = ratio(setting, iteration, numbers, kind)
        if value["mean"] is not None:
            words.append(f"{name}: mean {value['mean']:.3g} ({value['std']:.3g})")
    other = numbers["panels"][setting]["other_batches"].get(str(iteration))
    if other:
        words.append(f"mean on {len(other)} other test batches: {min(other):.3g} to {max(other):.3g}")
    later = ratio(setting, 5000, numbers)
    if later["mean"] is not None:
        words.append(f"at iteration 5000: {later['mean']:.3g} ({later['std']:.3g})")
    return "; ".join(words)


def share_above(setting: str, numbers: Numbers) -> Numbers:
    """The share of the measured iterations at which SGD's R_med is above Adam's."""
    return numbers["panels"][setting]["share_sgd_above"]


def claims() -> Iterator[Claim]:
    """The table of ratios, lower for Adam, and the points of the released code's plot."""
    for (setting, t), (mean, std) in RATIOS.items():
        yield Claim(
            id=f"condition_ratio.{setting}.{t}", figure="robust_condition_number", where="section 3.2, table of R_med ratios",
            statement=f"{NAMES[setting]}: R_med(SGD) / R_med(Adam) at iteration {t} is {mean:g} ({std:g})",
            paper=f"{mean:g} ({std:g})", code=CODE_RATIOS.get((setting, t)),
            values=partial(ratio, setting, t), aside=partial(other_ratios, setting, t),
            rule=Within(**mean_within_deviation(mean, std), beyond=1.0),
        )  # fmt: skip
    for setting, title in NAMES.items():
        yield Claim(
            id=f"condition_lower_for_adam.{setting}", figure="robust_condition_number", where="section 3.2, R_med plots",
            statement=f"{title}: after the start Adam's R_med stays below SGD's (share of the measured iterations)",
            paper="lower for Adam (plot)", values=partial(share_above, setting), rule=Above(THROUGHOUT, FAINT),
        )  # fmt: skip
    for (optimizer, t), value in CONDITIONS.items():
        yield Claim(
            id=f"condition.setting1.{optimizer.lower()}.{t}", figure="robust_condition_number", where="released code, R_med plot",
            statement=f"Setting 1: {optimizer}'s R_med at iteration {t} is about {value:g}", code=f"{value:g}",
            values=partial(condition, "setting1", optimizer, t), rule=around(value, CONDITION),
        )  # fmt: skip


CLAIMS = tuple(claims())
