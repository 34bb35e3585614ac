"""What lesson 03 draws and runs: errors of derivatives, angle and length of a gradient, wrong derivations before weak tests."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ... import plotting
from ..._types import Array
from ...audit.mutation import CATALOGUE, EVERY, Mutation, apply
from ...audit.mutation.adds import Added
from ...layers import linear_attention
from ...models import stack

# ---------------------------------------------------------------- wrong derivations

KIND = {
    "stack": "linear",
    "linear_attention": "linear",
    "gram": "linear",
    "softmax_attention": "softmax",
    "relu_attention": "relu",
}
REAL = [m for m in CATALOGUE if m.module in KIND and not m.why_equivalent]  # those that change the gradient of a loss
KNOWN = {mutation.id: mutation for mutation in CATALOGUE}
_modules: dict[str, ModuleType] = {}


def gradient_with(mutation: Mutation, params: Array, Z: Array, y: Array) -> Array:
    """The gradient of the loss, like params, computed with the wrong line."""
    module = _modules.setdefault(mutation.id, apply(mutation))
    summed, kind = (module, linear_attention) if mutation.module == "stack" else (stack, module)
    tokens = kind.compress(Z) if hasattr(kind, "compress") else Z
    return summed.loss_and_grad_by(kind, params, tokens, y, Z.shape[-1])[1]


def in_words(mutation: Mutation) -> str:
    """The line and what is wrong with it: "dP (2.8): dP^T in place of dP"."""
    number = f" ({mutation.equation})" if mutation.equation else ""
    return f"{mutation.line}{number}: {mutation.slip}"


CHECKS = {
    "complex": "each entry by complex step, (3.8)",
    "probe": "each line by itself, (3.11)",
    "dot": "dot test, (3.9)",
    "taylor": "order of the remainder, (3.7)",
    "second": "H v of the whole gradient (lesson 04)",
    "tangent": "each layer's second derivatives (lesson 04)",
    "purity": "are the inputs left alone?",
    "point": "is the point generic?",
    "kernel": "each line of the compiled code",
}


def added_in_words(one: Added) -> tuple[str, str, str, str]:
    """A mistake that one check catches and another misses: the check, the mistake, the other check, and why it misses it."""
    slips = {mutation.id: mutation.slip for mutation in EVERY}
    slip = slips.get(one.mutation, f"a factor is lost in {one.mutation}, in the compiled code only")
    return CHECKS[one.check], slip, CHECKS[one.other], one.why


# ---------------------------------------------------------------- pictures

LOOKS: tuple[dict[str, Any], ...] = tuple(
    {"color": colour, "linestyle": line}
    for colour, line in (("#CC79A7", ":"), ("#D55E00", "--"), ("#000000", "-."), ("#0072B2", "-"), ("#009E73", (0, (5, 1, 1, 1))))
)
CAUGHT, MISSED = "#0072B2", "#D55E00"


def errors_against_step(steps: Array, errors: dict[str, list[float]], exponent: int) -> Figure:
    """The relative error of each derivative against h, with a mark at one step."""
    figure, axes = plotting.new_figure(width=6.6, height=3.6)
    ax = axes[0, 0]
    at = int(np.argmin(np.abs(np.log10(steps) - exponent)))
    for (name, values), look in zip(errors.items(), LOOKS, strict=False):
        ax.plot(steps, values, label=f"{name}: {values[at]:.0e}", **look)
    ax.axvline(10.0**exponent, color="0.6", linewidth=1)
    ax.set(xscale="log", yscale="log", ylim=(1e-17, 10), xlabel="step h (falls to the right)")
    ax.set(xlim=(1, 1e-30), ylabel="relative error of the derivative")
    ax.legend(frameon=False, fontsize=9, loc="center right", title=f"at h = 1e{exponent}")
    return figure


def angle_and_length(angle: int, length: float) -> tuple[Figure, str]:
    """A gradient g beside the true one c, and which of four tests let it pass."""
    turn = np.deg2rad(angle)
    c, g = np.array([1.0, 0.0]), length * np.array([np.cos(turn), np.sin(turn)])
    apart = float(np.sqrt(((g - c) ** 2).sum()))
    passes = {
        "loss falls": g @ c > 0, "cosine > 0.99": g @ c > 0.99 * length, "difference of 1 %": apart < 0.01,
        "complex step": apart < 1e-12,
    }  # fmt: skip
    figure, axes = plotting.new_figure(width=5.4, height=3.0)
    ax = axes[0, 0]
    ax.grid(False)
    ax.set_axis_off()
    wedge = np.linspace(-np.pi / 2, np.pi / 2, 60)
    ax.fill(2.2 * np.cos(wedge), 2.2 * np.sin(wedge), color="#f0f0f0")
    narrow = np.linspace(-np.arccos(0.99), np.arccos(0.99), 20)
    ax.fill(np.r_[0, 2.2 * np.cos(narrow)], np.r_[0, 2.2 * np.sin(narrow)], color="#d0d0d0")
    for arrow, name, colour in ((c, "c", "k"), (g, "g", CAUGHT)):
        ax.annotate("", xy=tuple(arrow), xytext=(0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2})
        ax.text(
            *(arrow * (1 + 0.12 / max(1e-9, float(np.sqrt(arrow @ arrow))))),
            name,
            color=colour,
            ha="center",
            va="center",
            fontsize=12,
        )
    ax.set(xlim=(-1.3, 5.8), ylim=(-2.3, 2.3), aspect="equal")
    for k, (name, yes) in enumerate(passes.items()):
        ax.text(2.7, 1.0 - 0.65 * k, f"{name}: {'passes' if yes else 'caught'}", color=MISSED if yes else CAUGHT, fontsize=10)
    wrong = "right" if apart < 1e-12 else f"wrong by {100 * apart:.0f} % of |c|"
    let = [name for name, yes in passes.items() if yes]
    said = f"g is {wrong}. Tests that it passes: {', '.join(let) if let else 'none'}."
    return figure, said


def caught_and_missed(names: Sequence[str], answers: Array, tests: Sequence[str]) -> Figure:
    """A row for each wrong derivation, a column for each test: a disc where it is caught, a cross where it passes."""
    figure, axes = plotting.new_figure(width=9.0, height=0.8 + 0.215 * len(names))
    ax = axes[0, 0]
    for (i, j), yes in np.ndenumerate(answers):
        ax.plot(j, i, marker="o" if yes else "x", color=CAUGHT if yes else MISSED, markersize=6 if yes else 5)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_xticks(range(len(tests)), tests, rotation=25, ha="left", fontsize=9)
    ax.xaxis.tick_top()
    ax.set(xlim=(-0.5, len(tests) - 0.5), ylim=(len(names) - 0.4, -0.6))
    ax.spines[["left", "bottom", "top"]].set_visible(False)
    return figure


def caught_against_size(
    sigmas: Array, counts: Array, tests: Sequence[str], deltas: Array, shown: dict[str, Array], seeds: int
) -> Figure:
    """Left: how many each test catches, quartiles (3, sigmas, tests).

    Right: relative errors (sigmas, mutations), a few by name.
    """
    figure, axes = plotting.new_figure(columns=2, width=4.7, height=3.9)
    left, right = axes[0]
    order = (0, 1, 2, 4, 3)
    for k, name in enumerate(tests):
        plotting.median_band(left, sigmas, counts[:, :, k], name, **LOOKS[order[k]])
    left.set(ylabel=f"caught, of {deltas.shape[1]} (median, quartiles, {seeds} seeds)", ylim=(0, deltas.shape[1] + 1.5))
    left.legend(frameon=False, fontsize=8, loc="center", bbox_to_anchor=(0.8, 0.28))
    right.plot(sigmas, deltas, color="0.8", linewidth=0.8)
    for (name, values), look in zip(shown.items(), LOOKS, strict=False):
        right.plot(sigmas, values, label=name, **look)
    right.axhline(0.14, color="0.4", linewidth=1)
    right.text(0.0052, 0.16, "cosine 0.99, (3.13)", fontsize=8)
    right.set(yscale="log", ylim=(1e-9, 1e4), ylabel="relative error of the gradient (median)")
    right.legend(frameon=False, fontsize=7, loc="lower right")
    for ax in axes[0]:
        ax.set(xscale="log", xlabel="size of the weights, sigma")
        ax.axvline(0.05, color="0.6", linewidth=1)
    return figure


STRIP, SIDE, BELOW, ABOVE, SCALE = 15, 380, 52, 30, 100  # pixels of a name's row, of the margins, and of an inch


@lru_cache(maxsize=1)
def written(names: tuple[str, ...]) -> Array:
    """The names as pixels (names, STRIP, SIDE, 4). Letters take most of the time that a picture takes, so they are drawn once."""
    figure = plotting.SelfShowing(figsize=(SIDE / SCALE, STRIP * len(names) / SCALE), dpi=SCALE)
    for k, name in enumerate(names):
        figure.text(0.99, 1 - (k + 0.5) / len(names), name, ha="right", va="center_baseline", fontsize=8)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba()).reshape(len(names), STRIP, SIDE, 4)


def errors_by_name(names: Sequence[str], delta: Array, noticed: Array, sigma: float) -> Figure:
    """A dot for the relative error of each wrong gradient, sorted; blue where the cosine notices it."""
    order, rows = np.argsort(delta), STRIP * len(names)
    width, height = 830, BELOW + rows + ABOVE
    figure = plotting.SelfShowing(figsize=(width / SCALE, height / SCALE), dpi=SCALE)
    figure.figimage(np.concatenate(written(tuple(names))[order[::-1]]), 0, BELOW)  # the largest error at the top
    ax: Axes = figure.add_axes((SIDE / width, BELOW / height, 1 - (SIDE + 20) / width, rows / height))
    ax.spines[["top", "right"]].set_visible(False)
    ax.hlines(range(len(order)), 1e-9, 1e4, color="0.93", linewidth=0.6)
    for yes, colour, mark in ((True, CAUGHT, "o"), (False, MISSED, "x")):
        chosen = [k for k, i in enumerate(order) if noticed[i] == yes]
        ax.plot(delta[order[chosen]], chosen, mark, color=colour, markersize=6)
    ax.set_yticks([])
    ax.set(xscale="log", xlim=(1e-9, 1e4), ylim=(-0.5, len(order) - 0.5))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks([1e-8, 1e-6, 1e-4, 1e-2, 1, 100, 1e4], ["1e-8", "1e-6", "1e-4", "0.01", "1", "100", "1e4"])
    ax.axvline(0.01, color="k", linestyle=":", linewidth=1)
    ax.set_xlabel("relative error of the gradient (dotted: 1 %)")
    ax.set_title(f"sigma = {sigma:.3g}: the cosine misses the {int((~noticed).sum())} crosses", fontsize=10)
    return figure


def trained_downhill(
    mutation: Mutation, params: Array, Z: Array, y: Array, loss: Callable[[Array], float], steps: int = 50
) -> bool:
    """Whether descent with the wrong gradient, clipped at 1 and with rate 0.02, lowers the loss."""
    theta = params
    for _ in range(steps):
        step = gradient_with(mutation, theta, Z, y)
        theta = theta - 0.02 * step / max(1.0, float(np.sqrt((step * step).sum())))
    return bool(loss(theta) < loss(params))
