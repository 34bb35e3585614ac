"""Pictures of lesson 14b: the slope of negative scores as a dial, and the layer's matrices side by side."""

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import new_figure

BLUE, GREEN, ORANGE = "#0072B2", "#009E73", "#D55E00"


def best_loss(Z: Array, y: Array, alpha: float) -> float:
    """The smallest loss over eta of one layer that weighs labels with max(a, alpha a), a = -eta <x_j, x_q>, on prompts (B, N, D),
    (B,).

    The slot is eta s, so the best eta >= 0 is a least squares fit of -y. Cost O(B n d).
    """
    a = -(Z[:, :-1, :-1] @ Z[:, -1, :-1, None])[..., 0]  # (B, n)
    s = (np.maximum(a, alpha * a) * Z[:, :-1, -1]).sum(axis=1)  # (B,)
    fitted = min(float((s * y).mean()), 0.0)  # a negative eta is another layer
    return float((y * y).mean() - fitted**2 / (s * s).mean())


class Dial:
    """The weight max(a, alpha a) with its two parts, and the smallest loss of one layer at each alpha; prompts (B, N, D),
    (B,).
    """

    def __init__(self, Z: Array, y: Array, alphas: Array) -> None:
        self.alphas, self.prompts = alphas, (Z, y)
        self.losses = [best_loss(Z, y, alpha) for alpha in alphas]

    def __call__(self, alpha: float) -> tuple[Figure, str]:
        """The picture at one slope of the negative scores."""
        figure, axes = new_figure(columns=2, width=3.3, height=2.8)
        left, right = axes[0]
        a, odd, even = np.linspace(-2, 2, 81), (1 + alpha) / 2, (1 - alpha) / 2
        left.plot(a, np.maximum(a, alpha * a), color=GREEN, linewidth=2.2, label="weight")
        left.plot(a, odd * a, color=BLUE, linestyle="--", linewidth=1.2, label="odd part")
        left.plot(a, even * np.abs(a), color=ORANGE, linestyle=":", linewidth=1.6, label="even part")
        left.set(xlabel="score a", ylim=(-2.1, 2.1), title="max(a, alpha a)")
        left.legend(frameon=False, fontsize=8, loc="upper left")
        loss = best_loss(*self.prompts, alpha)
        right.plot(self.alphas, self.losses, color="k", linewidth=1.6)
        right.plot(alpha, loss, "o", color=GREEN, markersize=8)
        right.set(xlabel="slope of negative scores, alpha", ylim=(0.8, 5.4), title="smallest loss, one layer")
        for ax in axes[0]:
            ax.title.set_fontsize(10)
        kind = {1.0: " (linear)", 0.0: " (ReLU)", -1.0: " (even alone)"}.get(round(alpha, 9), "")
        return figure, (
            f"Slope {alpha:.2g}{kind}: odd part {odd:.2g} a, even part {even:.2g} |a|; the smallest loss of one layer is "
            f"{loss:.2f}, linear attention's {self.losses[-1]:.2f}."
        )


def draw_matrices(rng: np.random.Generator, n: int = 7, D: int = 4) -> Figure:
    """A, its step, W and dA of one prompt drawn at random, side by side."""
    Z, dout = rng.standard_normal((2, n + 1, D))
    P, Q = rng.standard_normal((2, D, D))
    A, mask = Z @ Q.T @ Z.T, np.append(np.ones(n), 0.0)
    dA = dout @ (Z @ P.T).T / n * mask * (A > 0)
    panels = {"A": A, "step(A)": (A > 0) * 1.0, "W": A * (A > 0) * mask, "dA": dA}
    figure, axes = new_figure(columns=4, width=2.1, height=2.4)
    for ax, (title, X) in zip(axes[0], panels.items(), strict=True):
        most = np.abs(X).max()
        ax.imshow(X, cmap="RdBu_r", vmin=-most, vmax=most)
        ax.grid(False)
        ax.set(title=title, xticks=[], yticks=[], xlabel="who is read")
    axes[0, 0].set_ylabel("reader")
    return figure
