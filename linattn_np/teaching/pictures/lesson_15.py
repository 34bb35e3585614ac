"""Pictures of lesson 15: what features are worth, a settled cloud with a lag, the two curves, and jumps against the lag."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import STYLES, median_band, new_figure
from ...prompts import NonlinearTask

COORDINATES, SIGMA = 10, 0.5  # of the cloud: curvature 1 each, and the noise of a gradient
FOUND = {"#D55E00": "-", "#009E73": "--", "#0072B2": "-."}  # colours and lines of three rates


def answers(task: NonlinearTask, prompts: int, rng: np.random.Generator) -> dict[str, tuple[Array, Array]]:
    """Answers (prompts,) by least squares on the examples, from raw covariates and from the hidden network's features; and what
    was asked.
    """
    Z, y = task.sample(prompts, rng)
    found = {}
    for name, X in (("raw covariates", Z[..., :-1]), ("hidden features", task.features(Z[..., :-1]))):
        w = (np.linalg.pinv(X[:, :-1]) @ Z[:, :-1, -1:])[..., 0]  # (prompts, d)
        found[name] = ((w * X[:, -1]).sum(axis=1), y)
    return found


def draw_answers(found: Mapping[str, tuple[Array, Array]]) -> Figure:
    """A panel for each kind of input: answers against what was asked."""
    figure, axes = new_figure(columns=len(found), width=3.2, height=2.9)
    for ax, (name, (said, asked)) in zip(axes[0], found.items(), strict=True):
        ax.plot([-2, 2], [-2, 2], color="0.6", linewidth=1)
        ax.plot(asked, said, ".", color="#0072B2", markersize=4)
        ax.set(xlim=(-2, 2), ylim=(-2, 2), xlabel="label asked for", title=f"least squares on {name}")
        ax.title.set_fontsize(10)
    axes[0, 0].set_ylabel("answer")
    return figure


class Cloud:
    """SGD on ten coordinates of curvature 1 after it has settled, f* = 0: losses (steps, copies) for each rate."""

    def __init__(self, rates: Sequence[float], steps: int, copies: int, rng: np.random.Generator) -> None:
        self.losses = {}
        for eta in rates:
            x = np.sqrt(eta * SIGMA**2 / (2 - eta)) * rng.standard_normal((copies, COORDINATES))  # settled: (15.22)
            losses = np.empty((steps, copies))
            for t in range(steps):
                losses[t] = (x * x).sum(axis=1) / 2
                x = (1 - eta) * x - eta * SIGMA * rng.standard_normal(x.shape)
            self.losses[eta] = losses

    def measured(self, rate: float, lag: int) -> tuple[float, float, float]:
        """Over the mean: the width, the jump in ``lag`` steps, and the jump that (15.25) derives."""
        f = self.losses[rate]
        width, jump = f.std() / f.mean(), np.sqrt(((f[lag:] - f[:-lag]) ** 2).mean()) / f.mean()
        return float(width), float(jump), float(np.sqrt(2 / COORDINATES) * np.sqrt(2 * (1 - (1 - rate) ** (2 * lag))))

    def __call__(self, rate: float, lag: int) -> tuple[Figure, str]:
        """One copy's loss, and the losses of all copies against themselves ``lag`` steps later."""
        figure, axes = new_figure(columns=2, width=3.2, height=2.7)
        left, right = axes[0]
        f = self.losses[rate]
        one = f[:, 0] / f.mean()
        left.plot(one, color="#0072B2", linewidth=0.9)
        left.plot([100, 100 + lag], [one[100], one[100 + lag]], "o-", color="#D55E00", markersize=5)
        left.set(yscale="log", ylim=(0.1, 10), xlabel="step", title="one run, settled: f over its mean")
        before, after = (f[at, :150] / f.mean() for at in (100, 100 + lag))
        right.plot([0.1, 10], [0.1, 10], color="0.6", linewidth=1)
        right.plot(before, after, ".", color="#0072B2", markersize=4)
        right.set(xscale="log", yscale="log", xlim=(0.1, 10), ylim=(0.1, 10), xlabel="f at t", title=f"f at t + {lag}, 150 runs")
        for ax in axes[0]:
            ax.title.set_fontsize(10)
        width, jump, derived = self.measured(rate, lag)
        return figure, f"Rate {rate:g}, lag {lag}: width {width:.2f}; jump in {lag} steps {jump:.2f}, derived {derived:.2f}."


def draw_paths(
    times: Array, curves: Mapping[tuple[str, int], Array], typical: Mapping[str, Sequence[Array]], steps: int, every: int
) -> Figure:
    """Test losses of each optimizer and seed, on a linear and a logarithmic axis; below, typical jumps of f and of log f, (seeds,
    windows).
    """
    figure, axes = new_figure(columns=2, rows=2, width=4.2, height=2.6)
    for (name, seed), losses in curves.items():
        for ax in axes[0]:
            ax.plot(times, losses, label=name if seed == 0 else None, linewidth=0.9, **STYLES[name])
    for name, kinds in typical.items():
        for ax, each in zip(axes[1], kinds, strict=True):
            windows = each.shape[1]
            centres = steps * (np.arange(windows) + 0.5) / windows
            median_band(ax, centres, np.quantile(each, [0.25, 0.5, 0.75], axis=0), name)
    axes[0, 0].set(ylim=(0, 0.3), ylabel="test loss, each seed", title="linear axis")
    axes[0, 1].set(yscale="log", ylim=(2e-4, 1), title="logarithmic axis")
    axes[1, 0].set(yscale="log", xlabel="iteration t", ylabel=f"jump of f in {every}")
    axes[1, 1].set(yscale="log", xlabel="iteration t", ylabel=f"jump of log f in {every}")
    axes[0, 0].legend(frameon=False, fontsize=9)
    return figure


def draw_lags(lags: Sequence[int], panels: Mapping[str, Mapping[str, Array]]) -> Figure:
    """A panel for each title: jumps (seeds, lags) of each run, over the level or of the logarithm, medians and ranges."""
    figure, axes = new_figure(columns=len(panels), width=3.9, height=3.0)
    for ax, (title, runs) in zip(axes[0], panels.items(), strict=True):
        for (name, found), (colour, line) in zip(runs.items(), FOUND.items(), strict=False):
            style = STYLES.get(name, {"color": colour, "linestyle": line})
            median_band(ax, lags, np.quantile(found, [0, 0.5, 1], axis=0), name, **style)
        ax.set(xscale="log", yscale="log", xlabel="lag k", title=title)
        ax.set_xticks(lags, [str(lag) for lag in lags])
        ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        ax.title.set_fontsize(10)
        ax.legend(frameon=False, fontsize=9)
    axes[0, 0].set_ylabel("jump in k steps, relative")
    return figure
