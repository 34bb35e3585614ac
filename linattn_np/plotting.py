"""One look for all figures: the same colour and line style for an optimizer everywhere, readable in grey."""

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ._types import Array

STYLES: dict[str, dict[str, Any]] = {  # Okabe and Ito's colour-blind safe colours, told apart in grey by their lines
    "SGD": {"color": "#D55E00", "linestyle": "--"},
    "Adam": {"color": "#0072B2", "linestyle": "-"},
    "gradient": {"color": "#000000", "linestyle": "-."},
    "sign": {"color": "#009E73", "linestyle": (0, (1, 1))},
    "normalized": {"color": "#E69F00", "linestyle": "-."},
    "coordinate-clipped": {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
}
NOISE_STYLES: dict[str | int, dict[str, Any]] = {  # laws of gradient noise, and batch sizes
    "noise": {"color": "#0072B2", "linestyle": "-"},
    "covariance": {"color": "#000000", "linestyle": "--"},
    "diagonal": {"color": "#D55E00", "linestyle": ":"},
    1: {"color": "#D55E00", "linestyle": ":"},
    10: {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    100: {"color": "#009E73", "linestyle": "-."},
    1000: {"color": "#0072B2", "linestyle": "-"},
}
MEDIAN_STYLES: dict[str, dict[str, Any]] = {  # the three versions of the robust condition number
    "lower": {"color": "#0072B2", "linestyle": "-"},
    "usual": {"color": "#D55E00", "linestyle": "--"},
    "alive": {"color": "#009E73", "linestyle": ":"},
}


class SelfShowing(Figure):
    """A figure that a notebook shows where it is the last thing in a cell, without a backend and without pyplot."""

    def _repr_png_(self) -> bytes:
        out = BytesIO()
        self.savefig(out, format="png", dpi=100, metadata={"Software": None})
        return out.getvalue()


def new_figure(columns: int = 1, rows: int = 1, width: float = 4.2, height: float = 3.4) -> tuple[Figure, Array]:
    """A figure with a grid of axes (rows, columns); it belongs to no window and needs no backend."""
    figure = SelfShowing(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def median_band(ax: Axes, x: npt.ArrayLike, quartiles: npt.ArrayLike, label: str, **style: Any) -> None:
    """A line through the medians and a band between the quartiles: ``quartiles`` (3, T) are lower, median, upper at the T places
    x.
    """
    low, median, high = np.asarray(quartiles)
    style = {**STYLES.get(label, {}), **style}
    ax.plot(x, median, label=label, linewidth=1.6, **style)
    ax.fill_between(x, low, high, color=style.get("color"), alpha=0.2, linewidth=0)


def plain_ticks(ax: Axes) -> None:
    """A logarithmic x axis whose labels stay apart over one or two decades: at 1, 2 and 5, at 1 alone over more than two."""
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 100 * low else (1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
