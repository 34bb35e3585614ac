"""Pictures of lesson 05: the two bracketings to scale, and what a state looks like."""

import numpy as np
from matplotlib.figure import Figure

from ... import plotting
from ..._types import Array

TOKENS, STATE = {"color": "#D55E00", "linestyle": "--"}, {"color": "#0072B2", "linestyle": "-"}
ROOM = 65  # the largest number of tokens that the picture is drawn for


def layer_by_tokens(n: int, D: int = 6) -> int:
    """Multiply-adds of one layer with one head by scores: Z Q^T, times Z^T, Z P^T, W V."""
    return 2 * (n + 1) * D * D + 2 * (n + 1) ** 2 * D


def layer_by_state(n: int, D: int = 6) -> int:
    """The same by the state: its sum (5.16) with symmetry, then (5.1) to (5.5)."""
    return n * D * (D + 1) // 2 + 4 * D**3 + D * D


def gradient_counts(n: int, D: int = 6, L: int = 3) -> tuple[float, float]:
    """Multiply-adds of a gradient of one prompt: by tokens, 14 products in each layer; by the state, its sum (5.16), then 12 in
    each.
    """
    N = n + 1
    return 7 * L * (N * N * D + N * D * D), n * D * (D + 1) / 2 + 12 * L * D**3


def brackets(n: int, D: int = 6) -> tuple[Figure, str]:
    """The scores and the state of a prompt to scale, and beside them what a layer costs against n."""
    figure, axes = plotting.new_figure(columns=2, width=3.8, height=3.2)
    shapes, costs = axes[0]
    for x, y, side, name, look in ((0, 0, n + 1, "scores", TOKENS), (0, -26, D, "state", STATE)):
        shapes.fill([x, x + side, x + side, x], [y, y, y + side, y + side], color=look["color"])
        shapes.text(x + side + 3, y, f"{name}: {side} x {side}", fontsize=9)
    shapes.set(xlim=(-2, ROOM + 42), ylim=(-28, ROOM + 2), aspect="equal")
    shapes.grid(False)
    shapes.set_axis_off()
    sizes = 2 ** np.arange(11)
    for count, label, look in ((layer_by_tokens, "by scores", TOKENS), (layer_by_state, "by the state", STATE)):
        costs.plot(sizes, [count(int(m)) for m in sizes], label=label, **look)
        costs.plot(n, count(n), "o", color=look["color"])
    costs.set(xscale="log", yscale="log", xlabel="examples in a prompt, n", ylabel="multiply-adds of a layer")
    costs.set(xlim=(0.8, 1300), ylim=(1e2, 2e7))
    costs.legend(frameon=False, fontsize=9)
    both = f"{layer_by_tokens(n):,} multiply-adds by scores, {layer_by_state(n):,} by the state"
    return figure, f"{n} example{'s' * (n > 1)}: {(n + 1) ** 2:,} scores, or the {D * D} numbers of the state; {both}."


def state_beside_limit(state: Array, limit: Array, n: int) -> Figure:
    """The state divided by n and what it tends to, each a table of numbers (D, D)."""
    figure, axes = plotting.new_figure(columns=2, width=3.9, height=3.5)
    titles = (f"G / n from {n} examples", "its limit: I, w, |w|²")
    for ax, table, title in zip(axes[0], (state, limit), titles, strict=True):
        ax.imshow(table, vmin=-2.5, vmax=2.5, cmap="PuOr")
        for (i, j), value in np.ndenumerate(table):
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=9, color="w" if abs(value) > 1.6 else "k")
        for line in (ax.axhline, ax.axvline):
            line(len(table) - 1.5, color="k", linewidth=1)
        ax.set_axis_off()
        ax.set_title(title, fontsize=10)
    return figure


def mean_squares(squares: Array, n: int) -> Figure:
    """Mean squares of a triangular factor's entries (d, d): as a table, and the diagonal against its place."""
    figure, axes = plotting.new_figure(columns=2, width=3.6, height=2.8)
    left, right = axes[0]
    left.imshow(squares, vmin=0, vmax=1.5 * n, cmap="Oranges")
    for (i, j), value in np.ndenumerate(squares):
        if i >= j:
            left.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=9)
    left.set_axis_off()
    left.set_title("mean of the square of R's entries", fontsize=10)
    places = np.arange(len(squares))
    right.plot(places, n - places, color="0.5", linestyle="--", label="n - j")
    right.plot(places, np.diag(squares), "o", color=TOKENS["color"], label="measured")
    right.set(xlabel="place j on the diagonal", ylabel="mean of the square", xticks=places)
    right.legend(frameon=False, fontsize=9)
    return figure


LOOKS = (
    TOKENS,
    {"color": "#0072B2", "linestyle": "-."},
    {"color": "#000000", "linestyle": "-"},
    {"color": "#009E73", "linestyle": ":"},
)


def slope_of_last(x: Array, y: Array) -> float:
    """The exponent a of y ~ x^a, fitted to the last four places."""
    return float(np.polyfit(np.log(x[-4:]), np.log(y[-4:]), 1)[0])


def times_and_counts(
    sizes: Array, quartiles: Array, names: tuple[str, ...], counts: Array, seeds: int
) -> tuple[Figure, list[list[float]]]:
    """Measured times, quartiles (3, sizes, ways), over thin lines in proportion to the counted multiply-adds (sizes, 2).

    -> the figure, and for each way the exponents at its largest n: of the time and of its count (that of drawn states is
    constant).
    """
    figure, axes = plotting.new_figure(width=8.4, height=4.0)
    ax, exponents = axes[0, 0], []
    for k, (name, look) in enumerate(zip(names, LOOKS, strict=True)):
        seen = np.isfinite(quartiles[1, :, k])
        x, times = sizes[seen], quartiles[:, seen, k]
        count = counts[seen, min(k, 1)] if k < 3 else np.ones(len(x))
        exponents.append([slope_of_last(x, times[1]), slope_of_last(x, count)])
        plotting.median_band(ax, x, times, f"{name}: n^{exponents[-1][0]:.2f}", **look)
        if k in (0, 2):
            ax.plot(
                x, count * times[1, -1] / count[-1], color="0.6", linewidth=0.8, label="its multiply-adds" if k == 0 else None
            )
    ax.set(xscale="log", yscale="log", xlabel="examples in a prompt, n")
    ax.set_ylabel(f"milliseconds for 16 prompts ({seeds} seeds)")
    ax.legend(frameon=False, fontsize=9, title="way: growth at its largest n", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure, exponents
