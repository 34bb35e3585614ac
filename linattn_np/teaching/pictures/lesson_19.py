"""Pictures of lesson 19: what a step leaves of each eigenvalue, errors of descent and of Newton's iteration, the figure at full
scale.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import new_figure


def draw_residual(steps: int) -> tuple[Figure, str]:
    """The residual 1 - x lambda of each eigenvalue after some steps from x = lambda, and descent's at step 1 beside it."""
    figure, axes = new_figure(width=4.8, height=3.3)
    ax, lam = axes[0, 0], np.linspace(0, 1, 400)
    newton, descent = (1 - lam**2) ** (2**steps), (1 - lam) ** (steps + 1)
    ax.plot(lam, newton, color="#0072B2", linewidth=1.8, label="Newton's iteration")
    ax.plot(lam, descent, "--", color="#D55E00", linewidth=1.5, label="descent")
    ax.set(xlabel="eigenvalue, the largest is 1", ylabel="what is left", ylim=(-0.03, 1.05))
    ax.legend(frameon=False, fontsize=9)
    left = (1 - 0.01) ** (2**steps)
    return figure, (
        f"After {steps} steps {left:.2g} of the eigenvalue 1/10 is left by Newton's iteration, {0.9 ** (steps + 1):.2g} by "
        "descent."
    )


def draw_errors(found: Mapping[float, Mapping[str, Array]]) -> Figure:
    """Relative error (steps + 1,) of the answer against steps, for each condition number."""
    figure, axes = new_figure(width=5.8, height=3.5)
    ax = axes[0, 0]
    for (kappa, paths), color in zip(found.items(), ("#009E73", "#0072B2", "#D55E00"), strict=False):
        for name, style in (("descent", "--"), ("Newton", "-")):
            path = np.maximum(paths[name], 1e-16)
            ax.plot(np.arange(1, len(path) + 1), path, style, color=color, label=f"{name}, kappa = {kappa:g}")
    ax.set(xscale="log", yscale="log", xlabel="steps + 1", ylabel="relative error of the answer", ylim=(1e-13, 10))
    ax.legend(frameon=False, fontsize=8)
    return figure
