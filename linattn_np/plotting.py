"""One look for all figures: the same colour and line style for an optimizer everywhere, readable in grey."""

import numpy as np
from matplotlib.figure import Figure

STYLES = {  # Okabe and Ito's colour-blind safe colours, told apart in grey by their lines
    "SGD": {"color": "#D55E00", "linestyle": "--"},
    "Adam": {"color": "#0072B2", "linestyle": "-"},
    "gradient": {"color": "#000000", "linestyle": "-."},
    "sign": {"color": "#009E73", "linestyle": (0, (1, 1))},
    "normalized": {"color": "#E69F00", "linestyle": "-."},
    "coordinate-clipped": {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
}
NOISE_STYLES = {  # laws of gradient noise, and batch sizes
    "noise": {"color": "#0072B2", "linestyle": "-"},
    "covariance": {"color": "#000000", "linestyle": "--"},
    "diagonal": {"color": "#D55E00", "linestyle": ":"},
    1: {"color": "#D55E00", "linestyle": ":"},
    10: {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    100: {"color": "#009E73", "linestyle": "-."},
    1000: {"color": "#0072B2", "linestyle": "-"},
}
MEDIAN_STYLES = {  # the three versions of the robust condition number
    "lower": {"color": "#0072B2", "linestyle": "-"},
    "usual": {"color": "#D55E00", "linestyle": "--"},
    "alive": {"color": "#009E73", "linestyle": ":"},
}


def new_figure(columns=1, rows=1, width=4.2, height=3.4):
    """A figure with a grid of axes (rows, columns); it belongs to no window and needs no backend."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def median_band(ax, x, quartiles, label, **style):
    """A line through the medians and a band between the quartiles; quartiles (3, T) from ``paper.scale.quartiles``."""
    low, median, high = np.asarray(quartiles)
    style = {**STYLES.get(label, {}), **style}
    ax.plot(x, median, label=label, linewidth=1.6, **style)
    ax.fill_between(x, low, high, color=style.get("color"), alpha=0.2, linewidth=0)
