"""Pictures of lesson 14: a row of weights, the plane with a second head, one layer at each size of its scores, and what was
trained.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._types import Array
from ...layers.softmax_attention import softmax
from ...plotting import median_band, new_figure

BLUE, GREEN, ORANGE, PINK, BLACK = "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#000000"
KINDS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda a: a, "ReLU": lambda a: np.maximum(a, 0), "softmax": softmax,
}  # fmt: skip


def draw_row(scores: Array, rise: float) -> Figure:
    """One reader's row of E for three attentions, (N,), and the same after the query's score rose."""
    figure, axes = new_figure(columns=3, width=2.9, height=2.7)
    at = np.arange(len(scores))
    for ax, (name, kind), colour in zip(axes[0], KINDS.items(), (BLUE, GREEN, ORANGE), strict=True):
        before, after = kind(scores), kind(scores + rise * (at == at[-1]))
        ax.bar(at, before, color=[colour] * (len(at) - 1) + ["0.8"], width=0.7)
        ax.bar(at, after, facecolor="none", edgecolor="k", linestyle="--", width=0.7)
        ax.axhline(0, color="0.4", linewidth=0.8)
        ax.set(title=name, xticks=at, xticklabels=[*map(str, at[1:]), "query"], xlabel="token that is read")
    axes[0, 0].set_ylabel("E, one reader's row")
    return figure


class Plane:
    """Prompts in the plane: where the weighted examples of softmax attention add up, with one head or two, and how far that is
    from -x_q.

    ``X`` (prompts, n, 2) are the examples' covariates, ``queries`` (prompts, 2); Q' = -beta I and c = n, so that the 1/n is
    dropped. The first prompt is drawn, of the others the miss alone.
    """

    def __init__(self, X: Array, queries: Array) -> None:
        self.X, self.queries, self.order = X, queries, np.argsort(X[0] @ queries[0])
        own = (queries * queries).sum(axis=1, keepdims=True)
        self.products = np.concatenate([(X @ queries[:, :, None])[..., 0], own], axis=1)  # (prompts, N)

    def weights(self, beta: float, second: str) -> tuple[Array, Array]:
        """What the first head and the second one weigh each example with, (prompts, n) each; the second is zero where it is
        off.
        """
        a = -beta * self.products
        return softmax(a)[:, :-1], (-softmax(-a) if second == "on" else 0 * a)[:, :-1]

    def sums(self, beta: float, second: str) -> Array:
        """The weighted examples, added up (prompts, 2)."""
        first, other = self.weights(beta, second)
        return ((first + other)[:, None] @ self.X)[:, 0]

    def miss(self, beta: float, second: str) -> float:
        """The root of the mean square of how far they are from -x_q."""
        return float(np.sqrt(((self.sums(beta, second) + self.queries) ** 2).sum(axis=1).mean()))

    def __call__(self, second: str, beta: float) -> tuple[Figure, str]:
        """The weights, the plane and the misses at one size of the scores."""
        figure, axes = new_figure(columns=3, width=2.7, height=2.8)
        left, middle, right = axes[0]
        first, other = (head[0, self.order] for head in self.weights(beta, second))
        sums, net, at = self.sums(beta, second), first + other, np.arange(1, self.X.shape[1] + 1)
        left.bar(at, first, color=ORANGE)
        left.bar(at, other, color=PINK)
        left.plot(at, net, "kD", markersize=3.5)
        left.axhline(0, color="0.4", linewidth=0.8)
        left.set(xlabel="example, by <x_j, x_q>", xticks=at[2::3], ylim=(-0.75, 0.75), title="weights, one prompt")
        middle.plot(*self.X[0].T, "o", color="0.7", markersize=4)
        path = np.array([self.sums(b, second)[0] for b in np.linspace(0, 3, 46)])
        middle.plot(*path.T, color=PINK if second == "on" else ORANGE, linewidth=1.6)
        middle.plot(*sums[0], "kD", markersize=5)
        middle.plot(*-self.queries[0], "k*", markersize=12)
        middle.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), title="what they add up to")
        right.plot(*(sums + self.queries).T, ".", color="0.45", markersize=3)
        right.plot(0, 0, "k*", markersize=12)
        right.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), title=f"{len(self.X)} prompts: the miss")
        for ax in axes[0]:
            ax.title.set_fontsize(10)
        return figure, (
            f"Second head {second}, scores of size {beta:g}: the weights go from {net.min():.2f} to {net.max():.2f}, and the "
            f"typical miss is {self.miss(beta, second):.2f}."
        )


LOOKS = {
    "linear": (BLUE, "-"), "sinh, not normalized": (GREEN, "-."), "softmax, two heads": (PINK, "-"),
    "softmax, one head": (ORANGE, "--"),
}  # fmt: skip


def draw_one_layer(betas: Array, best: Mapping[str, Array]) -> Figure:
    """The loss of one layer with the best c at each size of the scores."""
    figure, axes = new_figure(width=5.8, height=3.3)
    ax = axes[0, 0]
    for name, losses in best.items():
        colour, line = LOOKS[name]
        ax.plot(betas, losses, color=colour, linestyle=line, linewidth=1.8, label=name)
    ax.set(xscale="log", ylim=(1, 5.2), xlabel="size of the scores, beta", ylabel="loss with the best c")
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_ways(rows: Mapping[str, tuple[Sequence[float], Sequence[float], float | None]]) -> Figure:
    """A line for each way: scores of the searched rates, test losses of the seeds, and the floor or None."""
    figure, axes = new_figure(width=7.4, height=0.42 * len(rows) + 1.1)
    ax = axes[0, 0]
    for at, (tried, tests, floor) in enumerate(rows.values()):
        seen = np.array([value for value in tried if np.isfinite(value)])
        ax.plot(seen, np.full(len(seen), at), "o", color="0.75", markersize=5, label="search: each rate" if at == 0 else None)
        ax.plot(tests, np.full(len(tests), at), "D", color=BLUE, markersize=5, label="test loss: each seed" if at == 0 else None)
        if floor is not None:
            ax.plot([floor, floor], [at - 0.35, at + 0.35], color=ORANGE, linewidth=2.5)
            ax.text(floor, at - 0.38, "floor", color=ORANGE, fontsize=8, ha="center", va="bottom")
    ax.set(xscale="log", xlim=(5e-3, 100), yticks=range(len(rows)), yticklabels=list(rows), xlabel="loss")
    ax.invert_yaxis()
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def curve_on(ax: Axes, name: str, losses: Array, colour: str, line: str) -> None:
    """Losses (seeds, steps): medians of twenty windows of each seed, then quartiles over the seeds."""
    steps = losses.shape[1]
    each = np.median(losses.reshape(len(losses), 20, -1), axis=2)
    at = steps // 20 * (np.arange(20) + 0.5)
    median_band(ax, at, np.quantile(each, [0.25, 0.5, 0.75], axis=0), name, color=colour, linestyle=line)


def draw_curves(panels: Mapping[str, Mapping[str, Array]], looks: Mapping[str, tuple[str, str]]) -> Figure:
    """A panel for each title: losses (seeds, steps) of each way."""
    figure, axes = new_figure(columns=len(panels), width=4.0, height=3.3)
    for ax, (title, ways) in zip(axes[0], panels.items(), strict=True):
        for name, losses in ways.items():
            curve_on(ax, name, losses, *looks[name])
        ax.set(yscale="log", ylim=(5e-3, 50), xlabel="iteration t", title=title)
    seeds = len(next(iter(next(iter(panels.values())).values())))
    axes[0, 0].set_ylabel(f"loss of fresh batches, {seeds} seeds")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure
