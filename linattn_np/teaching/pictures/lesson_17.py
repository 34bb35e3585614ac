"""Pictures of lesson 17: the best preconditioner along Sigma's eigenvectors, trained ones beside it, and distances to the
identity.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import new_figure

COLOURS = ("#D55E00", "#009E73", "#0072B2")
LINE = np.geomspace(0.04, 1.3, 60)


def step_along(lam: Array, trace: float, n: int) -> Array:
    """(17.6) with W = I, along an eigenvector of eigenvalue lam."""
    return 1 / ((n + 1) / n * lam + trace / n)


def axes_of(ax: Axes) -> None:
    """The curve 1/lambda and the axes that all such pictures share."""
    ax.plot(LINE, 1 / LINE, color="black", linestyle=":", linewidth=1, label=r"$1/\lambda$")
    ax.set(
        xscale="log",
        yscale="log",
        ylim=(0.3, 25),
        xlabel=r"eigenvalue $\lambda$ of $\Sigma$",
        ylabel="step along its eigenvector",
    )
    ax.legend(frameon=False, fontsize=9)


def draw_closed_form(n: int, variances: Array) -> tuple[Figure, str]:
    """The best steps for n examples, and where the given variances lie on the curve."""
    figure, axes = new_figure(width=5.0, height=3.3)
    ax, trace = axes[0, 0], float(variances.sum())
    ax.plot(LINE, step_along(LINE, trace, n), color=COLOURS[2], linewidth=1.6, label=f"best, n = {n}")
    ax.plot(variances, step_along(variances, trace, n), "o", color=COLOURS[2], markersize=6)
    axes_of(ax)
    shares = step_along(variances, trace, n) * variances
    return (
        figure,
        f"n = {n}: along the smallest variance the best step is {100 * shares[-1]:.0f} % of 1/lambda, along the largest "
        f"{100 * shares[0]:.0f} %.",
    )


def draw_one_layer(found: Mapping[int, Sequence[Array]], variances: Array) -> Figure:
    """Trained steps of all seeds on the curves of the closed form."""
    figure, axes = new_figure(width=5.4, height=3.4)
    ax, trace = axes[0, 0], float(variances.sum())
    for (n, runs), colour in zip(found.items(), COLOURS, strict=False):
        ax.plot(LINE, step_along(LINE, trace, n), color=colour, linewidth=1.3, label=f"(17.6), n = {n}")
        for k, steps in enumerate(runs):
            ax.plot(variances, steps, "o", color=colour, markersize=5, fillstyle="none", label=None if k else f"trained, n = {n}")
    axes_of(ax)
    return figure


def draw_distances(rows: Array) -> Figure:
    """Rows (delta, then A_l, whitened A_l and B_0 for tasks Sigma^-1, then the same for tasks I): a panel for each law of
    tasks.
    """
    figure, axes = new_figure(columns=2, width=3.7, height=3.1)
    for ax, first, title in ((axes[0, 0], 1, r"tasks of covariance $\Sigma^{-1}$"), (axes[0, 1], 4, "tasks N(0, I)")):
        looks = (("$A_l$", COLOURS[0], "--"), ("$C^T A_l C$", COLOURS[2], "-"), ("$B_0$", COLOURS[1], ":"))
        for k, (label, colour, style) in enumerate(looks):
            ax.plot(rows[:, 0], rows[:, first + k], color=colour, linestyle=style, marker="o", markersize=4, label=label)
        ax.set(ylim=(0, 1), xlabel=r"smallest deviation $\delta$", title=title)
        ax.invert_xaxis()
    axes[0, 0].set_ylabel("distance to a multiple of I")
    axes[0, 0].legend(frameon=False, fontsize=9)
    return figure
