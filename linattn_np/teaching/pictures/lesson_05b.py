"""Pictures of lesson 05b: a program that runs operation by operation, and times against the batch."""

import time
import timeit
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ... import plotting
from ..._types import Array
from ...kernels import operations, programs

WRITTEN, READ, OTHER = "#D55E00", "#0072B2", "#eeeeee"
BESIDE = 2  # operations shown before and after the present one


class Running:
    """The gradient program of two layers with d = 1 on one prompt, its memory kept after every operation.

    ``params`` are p0, q0, p1, q1; ``S``, ``s``, ``x``, ``y`` the prompt's numbers.
    """

    def __init__(self, params: Array, S: float, s: float, x: float, y: float, n: int) -> None:
        passes = programs.passes(2, 1, 1, False, n)
        self.steps, memory = passes.gradient.steps, np.zeros((passes.slots, 1))
        for place, value in zip((passes.at.S, passes.at.s, passes.at.x, passes.at.y), (S, s, x, y), strict=True):
            memory[place] = value
        self.memories = []
        for step in self.steps:
            one = operations.Program(steps=[step])
            operations.evaluate(one, memory, params)
            self.memories.append(memory[:, 0].copy())
        self.names: dict[int, str] = {}  # where each name stands, in the order in which the program meets them
        for step in self.steps:
            for operand in (step.term.a, step.term.b, step.c):
                if operand is not None and not operand.shared:
                    self.names.setdefault(operand.at, operand.name.removesuffix("^T"))

    def __call__(self, operation: int) -> tuple[Figure, str]:
        """The picture after this operation, counted from 1, and what it did in words."""
        at = operation - 1
        step, memory = self.steps[at], self.memories[at]
        figure, axes = plotting.new_figure(columns=2, width=3.2, height=2.3)
        for ax in axes[0]:
            ax.grid(False)
            ax.set_axis_off()
        self._listing(axes[0, 0], at)
        read = [operand.at for operand in (step.term.a, step.term.b) if operand is not None and not operand.shared]
        axes[0, 1].set(xlim=(0, 4), ylim=(1.4, 7.6))
        for k, (place, name) in enumerate(self.names.items()):
            column, row = k % 4, 7 - k // 4
            colour = WRITTEN if place == step.c.at else READ if place in read else OTHER
            axes[0, 1].fill(column + np.array([0.03, 0.97, 0.97, 0.03]), row + np.array([-0.42, -0.42, 0.42, 0.42]), color=colour)
            ink = "k" if colour == OTHER else "w"
            words = f"{name}\n{_number(memory[place])}"
            axes[0, 1].text(column + 0.5, row, words, ha="center", va="center", fontsize=8, color=ink)
        said = operations.EQUATIONS[step.equation]
        return figure, f"{step}, which is now {_number(memory[step.c.at])}; from ({step.equation}), {said}."

    def _listing(self, ax: Axes, at: int) -> None:
        """The operations around the present one."""
        for k in range(max(0, at - BESIDE), min(len(self.steps), at + BESIDE + 1)):
            step, here = self.steps[k], k == at
            colour, weight = (WRITTEN, "bold") if here else ("0.4", "normal")
            ax.text(
                0.0,
                0.5 - 0.17 * (k - at),
                f"{k + 1:2d}  {step}",
                fontsize=8.5,
                va="center",
                color=colour,
                weight=weight,
                family="monospace",
            )
            ax.text(1.0, 0.5 - 0.17 * (k - at), f"({step.equation})", fontsize=8, va="center", ha="right", color=colour)


def _number(value: float) -> str:
    return f"{value:g}"


def against_batch(batches: Array, quartiles: Array, names: tuple[str, ...], seeds: int) -> Figure:
    """Microseconds for a prompt against the batch: quartiles (3, batches, ways)."""
    figure, axes = plotting.new_figure(width=6.2, height=3.8)
    looks: tuple[dict[str, str], ...] = (
        {"color": "#D55E00", "linestyle": "--"}, {"color": "#0072B2", "linestyle": "-."},
        {"color": "#009E73", "linestyle": ":"}, {"color": "#000000", "linestyle": "-"},
    )  # fmt: skip
    for k, (name, look) in enumerate(zip(names, looks, strict=True)):
        plotting.median_band(axes[0, 0], batches, quartiles[:, :, k], name, **look)
    axes[0, 0].set(xscale="log", yscale="log", xlabel="prompts in a batch, B")
    axes[0, 0].set_ylabel(f"microseconds a prompt ({seeds} seeds)")
    axes[0, 0].legend(frameon=False, fontsize=9)
    return figure


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """The shortest of some runs by the processor's own clock, without what other programs take of it."""
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=repeats))
