"""Pictures of lesson 01: one layer on the pencil prompt step by step, predictions against labels, loss against the step."""

import numpy as np
from matplotlib.figure import Figure

from ... import plotting
from ..._types import Array

NEW, OLD, NONE = "#D55E00", "#0072B2", "0.75"
STEPS = 9  # of the pencil prompt


def pencil_prompt(step: int) -> tuple[Figure, str]:
    """The layer of section 3 after this many steps: tokens, scores, masked scores, what is read, new tokens."""
    Z, n = np.array([[1.0, 2], [3, 6], [1, 0]]), 2
    Q = np.diag([-1.0, 0.0])
    A = Z @ Q.T @ Z.T
    W = A * np.array([1.0, 1, 0]) + 0.0  # no minus zero
    read = W @ Z / n
    out = Z + read
    said = (
        "Three tokens: covariate and label of two examples, then the query, whose label slot is 0.",
        "Token 1 reads: -1 times its covariate 1 times each covariate 1, 3, 1.",
        "Token 2 reads: -1 times its covariate 3 times each covariate 1, 3, 1.",
        "The query reads too: -1 times its covariate 1 times each covariate.",
        "The mask clears the last column: nobody reads the query.",
        "Token 1 has read (-1)(1, 2) + (-3)(3, 6) = (-10, -20), divided by n = 2.",
        "The same for all three tokens.",
        "What is read is added to the tokens.",
        "The query's label slot holds -10; the prediction is minus that, +10.",
    )
    known = np.full(A.shape, np.nan)
    known[: min(max(step - 1, 0), 3)] = A[: min(max(step - 1, 0), 3)]
    masked = W if step >= 5 else np.full(W.shape, np.nan)
    seen = np.full(read.shape, np.nan)
    seen[: 0 if step < 6 else 1 if step == 6 else 3] = read[: 0 if step < 6 else 1 if step == 6 else 3]
    new = out if step >= 8 else np.full(out.shape, np.nan)
    figure, axes = plotting.new_figure(columns=5, width=1.75, height=1.7)
    fresh = {
        1: (0, range(3)),
        2: (1, [0]),
        3: (1, [1]),
        4: (1, [2]),
        5: (2, range(3)),
        6: (3, [0]),
        7: (3, [1, 2]),
        8: (4, range(3)),
        9: (4, [2]),
    }
    names = ("tokens Z", "scores A", "masked W", "W V / n", "new tokens Z'")
    for k, (ax, name, table) in enumerate(zip(axes[0], names, (Z, known, masked, seen, new), strict=True)):
        panel, rows = fresh[step]
        for (i, j), value in np.ndenumerate(table):
            now = panel == k and i in rows
            ax.fill([j, j + 1, j + 1, j], [-i, -i, -i - 1, -i - 1], color="#fbe3d0" if now else "#f4f4f4", edgecolor="w")
            if np.isfinite(value):
                ax.text(j + 0.5, -i - 0.5, f"{value:g}", ha="center", va="center", fontsize=10, color=NEW if now else "k")
        ax.set(xlim=(0, 3), ylim=(-3, 0), aspect="equal")
        ax.grid(False)
        ax.set_axis_off()
        ax.set_title(name, fontsize=10, color=NEW if panel == k else OLD if np.isfinite(table).all() else NONE)
    return figure, said[step - 1]


def answers_against_labels(y: Array, answers: Array, title: str, limit: float = 8.0) -> Figure:
    """A dot for each prompt: its label to the right, the prediction upwards.

    What lies outside is drawn at the edge, and counted.
    """
    figure, axes = plotting.new_figure(width=5.0, height=3.8)
    ax = axes[0, 0]
    outside = np.abs(answers) > limit
    ax.plot([-limit, limit], [-limit, limit], color="0.5", linestyle="--", linewidth=1)
    ax.plot(y[~outside], answers[~outside], "o", markersize=3, color=OLD, alpha=0.6)
    for up, mark in ((True, "^"), (False, "v")):
        which = outside & ((answers > 0) == up)
        ax.plot(y[which], np.full(which.sum(), limit if up else -limit), mark, markersize=5, color=NEW, clip_on=False)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="label asked for, y", ylabel="prediction")
    more = f"; {outside.sum()} of {len(y)} outside" if outside.any() else ""
    ax.set_title(title + more, fontsize=10)
    return figure


def loss_against_step(etas: Array, theory: Array, quartiles: Array, best: float, seeds: int) -> Figure:
    """The derived parabola, and the measured losses on it."""
    figure, axes = plotting.new_figure(width=5.6, height=3.6)
    ax = axes[0, 0]
    ax.plot(etas, theory, color="0.4", linestyle=":", linewidth=2, label="derived, (1.8)")
    plotting.median_band(ax, etas, quartiles, f"measured, median and quartiles of {seeds} seeds", color=OLD)
    ax.axvline(best, color="0.6", linewidth=1)
    ax.set(xlabel="step length of the layer, eta", ylabel="loss, f", ylim=(0, 8))
    ax.text(best + 0.02, 5.2, "best step, (1.10)", fontsize=9)
    ax.legend(frameon=False, fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure
