"""Pictures of lesson 22: answers after some loops, errors beyond the loops of training, what noise does to the step."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...experiments.papers.looped_transformer.figure import CURVES
from ...plotting import new_figure


def draw_answers(t: int, raw: Array, pre: Array, y: Array) -> tuple[Figure, str]:
    """Answers (T+1, B) after t loops against the true ones (B,), of the raw loop and of the one with a pre-network."""
    figure, axes = new_figure(columns=2, width=2.5, height=2.6)
    for ax, (title, p) in zip(axes[0], (("raw loop", raw), ("pre-network", pre)), strict=True):
        ax.plot([-4, 4], [-4, 4], color="0.7", linewidth=1)
        ax.plot(y, np.clip(p[t], -4, 4), ".", markersize=3, color="#0072B2")
        ax.set(xlim=(-4, 4), ylim=(-4, 4), xlabel="true answer", title=title)
    axes[0, 0].set_ylabel(f"answer, {t} loops")
    errors = [((p[t] - y) ** 2).mean() for p in (raw, pre)]
    return figure, f"{t} loops: error {errors[0]:.3g} for the raw loop, {errors[1]:.3g} with the pre-network."


def draw_beyond(after: Mapping[str, Array]) -> Figure:
    """Errors (seeds, T+1) against the number of loops in the test."""
    figure, axes = new_figure(width=5.4, height=3.3)
    ax = axes[0, 0]
    for name, each in after.items():
        ax.plot(np.median(each, axis=0), label=name, linewidth=1.6, **CURVES[name])
    ax.set(yscale="log", ylim=(3e-3, 30), xlabel="loops in the test", ylabel="error")
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_noise(noise: Mapping[str, Any], sigmas: tuple[str, ...]) -> Figure:
    """Excess risk over ridge's against noise, and the learned step."""
    figure, axes = new_figure(columns=2, width=3.8, height=3.0)
    left, right = axes[0]
    at, ridge = [float(sigma) for sigma in sigmas], np.array([noise["human"][sigma]["ridge"] for sigma in sigmas])
    for which, line in (("least squares", "-."), ("Newton, stopped", ":")):
        left.plot(at, np.array([noise["human"][sigma][which] for sigma in sigmas]) / ridge, line, color="black", label=which)
    for loops, color in (("T = 8", "#0072B2"), ("T = 20", "#D55E00")):
        left.plot(at, np.array([noise[loops][sigma]["stable"]["median"] for sigma in sigmas]) / ridge, color=color, label=loops)
        right.plot(at, [noise[loops][sigma]["eta"]["median"] for sigma in sigmas], color=color, label=loops)
    left.set(xlabel="noise", ylabel="excess risk over ridge's", ylim=(0.9, 2.5))
    right.set(xlabel="noise", ylabel="learned step", ylim=(0, None))
    left.legend(frameon=False, fontsize=8)
    return figure
