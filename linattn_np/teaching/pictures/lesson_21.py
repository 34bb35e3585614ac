"""Pictures of lesson 21: the rate of each mode, the heavy ball against depth, the weights of momentum, the loss against the
distance.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...experiments.papers.momentum import heavy_ball, reweighting
from ...plotting import new_figure

BLUE, RED, GREEN, BLACK = "#0072B2", "#D55E00", "#009E73", "#000000"
BALL = {
    "descent": {"color": RED, "linestyle": "--"}, "heavy ball": {"color": BLUE, "linestyle": "-"},
    "steps": {"color": GREEN, "linestyle": "-."}, "whitened": {"color": BLACK, "linestyle": ":"},
}  # fmt: skip


def draw_rate(beta: float, eta: float, eigenvalues: Array) -> tuple[Figure, str]:
    """The factor of each eigenvalue per layer, with and without momentum, and the slowest of the prompt's."""
    figure, axes = new_figure(width=5.2, height=3.3)
    ax, grid = axes[0, 0], np.linspace(0.01, 2.2, 300)
    ax.plot(grid, heavy_ball.rate(eta, 0.0, grid), color=RED, linestyle="--", label="descent")
    ax.plot(grid, heavy_ball.rate(eta, beta, grid), color=BLUE, label="heavy ball")
    ax.plot(eigenvalues, np.zeros(len(eigenvalues)), "k|", markersize=14, label="eigenvalues of C")
    ax.set(ylim=(0, 1.05), xlabel="eigenvalue λ", ylabel="factor of the error a layer")
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    slowest = [heavy_ball.rate(eta, b, eigenvalues).max() for b in (0.0, beta)]
    return (
        figure,
        f"The slowest direction keeps {slowest[1]:.2f} of its error a layer with β = {beta:g}, {slowest[0]:.2f} without.",
    )


def draw_ball(layers: Sequence[int], losses: Mapping[str, Array], betas: Array) -> Figure:
    """Losses (layers, seeds) of each kind against depth, and the learned momentum."""
    figure, axes = new_figure(columns=2, width=4.4, height=3.3)
    for kind, found in losses.items():
        axes[0, 0].plot(layers, np.median(found, axis=1), marker="o", markersize=4, label=kind, **BALL[kind])
    axes[0, 0].set(yscale="log", xlabel="layers L", ylabel="loss f on other prompts")
    axes[0, 0].legend(frameon=False, fontsize=9)
    axes[0, 1].plot(layers, betas, "o", color=BLUE, markersize=4)
    axes[0, 1].plot(layers, np.median(betas, axis=1), color=BLUE)
    axes[0, 1].set(xlabel="layers L", ylabel="learned momentum β", ylim=(0, 1))
    return figure


def draw_weights(beta: float, T: int = 25, far: float = 1.5) -> tuple[Figure, str]:
    """The matrix W at equal far gain, and its last row against the distance."""
    figure, axes = new_figure(columns=2, width=3.4, height=3.0)
    gamma = far * (1 - beta)
    W, tape = reweighting.forward(np.array(beta), np.array(gamma), T)
    axes[0, 0].imshow(np.ma.masked_equal(W, 0), cmap="viridis", vmin=0, vmax=far)
    axes[0, 0].grid(False)
    axes[0, 0].set(xlabel="token j", ylabel="reader i", title="weight")
    axes[0, 1].plot(np.arange(T), tape.a, ".-", color=BLUE)
    axes[0, 1].axhline(far, color="0.5", linestyle=":")
    axes[0, 1].set(ylim=(0, 1.1 * far), xlabel="distance i - j", title=f"β = {beta:g}, γ = {gamma:.3g}")
    return figure, f"At distance 0 a token has weight {tape.a[0]:.2f}, at 3 {tape.a[3]:.2f}, at 12 {tape.a[12]:.2f}."


def draw_lags(lags: Sequence[int], change: Array) -> Figure:
    """What beta .9 changes at equal far gain, (lags, seeds) in nats, against how far back the wanted symbol stands."""
    figure, axes = new_figure(width=5.2, height=3.2)
    ax = axes[0, 0]
    ax.axhline(0, color=BLACK, linewidth=0.8)
    ax.plot(lags, change, "o", color=BLUE, markersize=5)
    ax.plot(lags, np.median(change, axis=1), color=BLUE)
    ax.set(xlabel="places back, k", ylabel="loss of β = .9 less that of β = 0", xticks=lags)
    return figure
