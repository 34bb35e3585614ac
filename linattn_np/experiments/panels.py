"""One panel of a figure drawn, and put in words, from its plain numbers (``variants``, ``curves``)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .._types import Array
from ..plotting import NOISE_STYLES, STYLES, median_band
from .curves import Numbers, band
from .settings import OPTIMIZERS

HIGHER = 10.0  # times the first losses: what rises above that is about to diverge
WORDS = {
    "steps": "iterations", "batch": "prompts a batch", "seeds": "seeds", "record_every": "iterations between recorded steps",
    "test_every": "iterations between test losses", "hessian_every": "iterations between Hessians",
    "noise_draws": "noise draws a seed", "search_steps": "iterations of the search", "search_seeds": "seeds of the search",
}  # fmt: skip


def draw_losses(ax: Axes, panel: Numbers, kind: str = "test") -> None:
    """Loss against iteration for both optimizers; where runs diverged, a cross at the top and their number.

    The panel is as high as the medians need, but not much higher than the losses start: runs about to diverge go on above it.
    """
    curves = {o: panel[o][kind] for o in OPTIMIZERS}
    for o, values in curves.items():
        median_band(ax, values["iterations"], band(values), o)
    ax.set(yscale="log")
    middle = finite([values["median"] for values in curves.values()])
    lowest = finite([values["lower_quartile"] for values in curves.values()])
    if len(middle):
        starts = finite([values["median"][:1] for values in curves.values()])
        bottom, top = min(lowest.min(), middle.min()), min(middle.max(), HIGHER * max(starts, default=np.inf))
        ax.set_ylim(bottom * (bottom / top) ** 0.05, top * (top / bottom) ** 0.15)
    gone = {o: [t for t in panel[o]["diverged_at"] if t is not None] for o in OPTIMIZERS}
    for o, at in gone.items():
        ax.plot(at, np.full(len(at), 0.97), "x", color=STYLES[o]["color"], markersize=6, transform=ax.get_xaxis_transform())
    words = [f"{o}: {len(at)} of {len(panel[o]['diverged_at'])} diverged (×)" for o, at in gone.items() if at]
    if words:
        ax.text(0.03, 0.03, "\n".join(words), transform=ax.transAxes, fontsize=8, ha="left", va="bottom")


def finite(curves: Sequence[Any]) -> Array:
    """The positive finite numbers of some curves, for the limits of a logarithmic axis."""
    numbers = np.array(curves, float).ravel()
    return numbers[np.isfinite(numbers) & (numbers > 0)]


def draw_noise(ax: Axes, panel: Numbers) -> None:
    """Density of the noise norm in units of its median."""
    found, color = panel["noise"], "#0072B2"
    ax.stairs(found["histogram"]["density"], found["histogram"]["edges"], fill=True, alpha=0.45, color=color)
    tail, control = (found[law]["p99.9_over_p50"]["median"] for law in ("noise", "control"))
    ax.text(0.97, 0.95, f"p99.9/p50 = {tail:.3g}\nGaussian: {control:.3g}\nskewness {found['noise']['skewness']['median']:.2g}",
            transform=ax.transAxes, ha="right", va="top", fontsize=9)  # fmt: skip


def draw_quantiles(ax: Axes, found: Numbers) -> None:
    """The noise's quantiles and its Gaussian control's against those of a normal law."""
    ax.axline((0, 0), slope=1, color="0.6", linewidth=0.8)
    for law, name, style in (("noise", "gradient noise", "noise"), ("control", "Gaussian, same covariance", "covariance")):
        ax.plot(found["normal_quantiles"], found[law]["qq"], label=name, linewidth=1.6, **NOISE_STYLES[style])
    ax.set(xlabel="quantiles of a normal law", ylabel="quantiles of $||e||$, standardized")
    ax.legend(frameon=False, fontsize=9, loc="upper left")


def draw_condition(ax: Axes, panel: Numbers) -> None:
    """R_med against iteration."""
    for o in OPTIMIZERS:
        median_band(ax, panel["condition"][o]["iterations"], band(panel["condition"][o]), o)
    ax.set(yscale="log")


def same_limits(axes: Sequence[Axes], kind: str = "y") -> None:
    """One range for a row of panels, so that they can be compared by eye."""
    get, put = (f"get_{kind}lim", f"set_{kind}lim")
    limits = np.array([getattr(ax, get)() for ax in axes])
    for ax in axes:
        getattr(ax, put)(limits[:, 0].min(), limits[:, 1].max())


def losses_in_words(panel: Numbers) -> str:
    """One line on the losses of a variant."""
    last = {o: panel[o]["test"]["median"][-1] for o in OPTIMIZERS}
    t = panel["SGD"]["test"]["iterations"][-1]
    rates = ", ".join(f"{o} {panel[o]['learning_rate']:g}" for o in OPTIMIZERS)
    gone = [f"{o} {sum(at is not None for at in panel[o]['diverged_at'])}" for o in OPTIMIZERS]
    text = f"{panel['title']} (rates {rates}): median test loss at {t}: Adam {number(last['Adam'])}, SGD {number(last['SGD'])}"
    if len(finite(list(last.values()))) == len(last):
        text += f", {last['SGD'] / last['Adam']:.3g} times"
    return text + ("" if all(word.endswith(" 0") for word in gone) else f"; runs that diverged: {', '.join(gone)}")


def noise_in_words(panel: Numbers) -> str:
    """One line on the noise of a variant."""
    ours, control = panel["noise"]["noise"], panel["noise"]["control"]
    return (
        f"  noise: p99.9/p50 {ours['p99.9_over_p50']['median']:.3g} (control {control['p99.9_over_p50']['median']:.3g}), "
        f"skewness {ours['skewness']['median']:.3g} ({control['skewness']['median']:.3g})"
    )


def number(value: float | None) -> str:
    """A loss, or words where there is none."""
    return "none" if value is None or not np.isfinite(value) else f"{value:.3g}"


def limits_in_words(limits: dict[str, Sequence[Any]]) -> str:
    """What was done at another size than the scale's."""
    words = [f"{WORDS[name]}: {used} in place of {wanted}" for name, (wanted, used) in limits.items() if name != "name"]
    return f"To fit the time, {'; '.join(words)}." if words else "Nothing was made smaller than the scale says."
