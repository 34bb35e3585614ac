"""What lesson 04 draws and counts: the Hessian, its two parts, what happens to it while the model learns, products of
matrices.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ... import plotting
from ..._types import Array
from ...models import transformer

BLOCKS = ("P0", "Q0", "P1", "Q1", "P2", "Q2")
BLUE, RED = {"color": "#0072B2"}, {"color": "#D55E00", "linestyle": "--"}


# ---------------------------------------------------------------- the Hessian


def _signed_log(values: Array, floor: float) -> Array:
    return np.sign(values) * np.log10(1 + np.abs(values) / floor)


def draw_hessian(ax: Axes, H: Array, floor: float = 1e-3) -> AxesImage:
    """H (150, 150) in signed logarithmic colours; what is exactly zero is grey."""
    ax.set_facecolor("0.8")
    ax.grid(False)
    shades = np.ma.masked_where(H == 0, _signed_log(H, floor))
    image = ax.imshow(shades, cmap="RdBu_r", vmin=-5, vmax=5, interpolation="nearest")
    for edge in range(25, 150, 25):
        ax.axhline(edge - 0.5, color="0.3", linewidth=0.6)
        ax.axvline(edge - 0.5, color="0.3", linewidth=0.6)
    ax.set_xticks(np.arange(12, 150, 25), BLOCKS)
    ax.set_yticks(np.arange(12, 150, 25), BLOCKS)
    return image


def hessian_with_key(H: Array, title: str, floor: float = 1e-3, width: float = 6.6) -> Figure:
    """One Hessian and what its colours say."""
    figure, axes = plotting.new_figure(width=width, height=0.79 * width)
    image = draw_hessian(axes[0, 0], H, floor)
    values = np.array([-100, -1, -0.01, 0, 0.01, 1, 100])
    key = figure.colorbar(image, ax=axes[0, 0], shrink=0.8)
    key.set_ticks(list(_signed_log(values, floor)), labels=[f"{v:g}" for v in values])
    axes[0, 0].set_title(title, fontsize=10)
    return figure


def arrows_on_tokens(path: Array, tangents: Array, reach: float) -> Figure:
    """The tokens (N, 2) in the middle of a path (T, N, 2), each with its tangent times ``reach`` as an arrow."""
    figure, axes = plotting.new_figure(width=5.0, height=3.4)
    ax = axes[0, 0]
    now = path[len(path) // 2]
    for k, name in enumerate(("token 1", "token 2", "query")):
        colour = (RED["color"], "#000000", BLUE["color"])[k]
        ax.plot(path[:, k, 0], path[:, k, 1], color=colour, linewidth=1, linestyle=":")
        ax.plot(*now[k], "o", color=colour, label=name)
        arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", xy=tuple(now[k] + reach * tangents[k]), xytext=tuple(now[k]), arrowprops=arrow)
    ax.set(xlabel="covariate", ylabel="label")
    ax.legend(frameon=False, fontsize=9)
    return figure


# ---------------------------------------------------------------- its two parts


def gauss_newton(params: Array, Z: Array, y: Array) -> Array:
    """(2/B) sum_b grad p_b grad p_b^T: with the label p - 1/2 the loss of one prompt has the gradient of its prediction p."""
    answers = transformer.predict(params, Z)
    rows = [transformer.loss_and_grad(params, Z[b : b + 1], answers[b : b + 1] - 0.5)[1].ravel() for b in range(len(y))]
    J = np.array(rows)  # (B, 150)
    return 2 / len(y) * J.T @ J


def two_parts(found: dict[int, tuple[Array, Array]]) -> Callable[[int, float], tuple[Figure, str]]:
    """Draws Gauss-Newton plus a share of the error part; ``found`` has {iteration: (H, Gauss-Newton)}."""

    def draw(iteration: int, share: float) -> tuple[Figure, str]:
        H, gauss = found[iteration]
        now = gauss + share * (H - gauss)
        values = np.linalg.eigvalsh(now)
        rounding = 1e-12 * np.abs(values).max()
        figure, axes = plotting.new_figure(columns=2, width=3.5, height=3.0)
        norms = np.sqrt((now.reshape(6, 25, 6, 25) ** 2).sum(axis=(1, 3)))
        left, right = axes[0]
        left.grid(False)
        left.imshow(np.log10(norms + 1e-3), vmin=-3, vmax=2, cmap="Purples")
        for (i, j), value in np.ndenumerate(norms):
            left.text(j, i, f"{value:.2g}", ha="center", va="center", fontsize=7, color="w" if value > 1.5 else "k")
        left.set_xticks(range(6), BLOCKS)
        left.set_yticks(range(6), BLOCKS)
        left.set_title("norm of each block", fontsize=10)
        places = np.arange(1, len(values) + 1)
        for which, colour in ((values > rounding, RED["color"]), (values < -rounding, BLUE["color"])):
            right.plot(places[which], _signed_log(values[which], 1e-3), ".", color=colour, markersize=4)
        ticks = np.array([-1, -0.01, 0, 0.01, 1, 100])
        right.set_yticks(list(_signed_log(ticks, 1e-3)), [f"{v:g}" for v in ticks])
        right.set(xlim=(0, 151), ylim=(-4, 5.5), xlabel="eigenvalues, sorted")
        count = int((values < -rounding).sum())
        return figure, (
            f"After {iteration} iterations, Gauss-Newton plus {share:g} of the error part: {count} negative eigenvalues; "
            f"the smallest is {values[0] if count else 0.0:.2g}, the largest {values[-1]:.3g}."
        )

    return draw


# ---------------------------------------------------------------- what it costs


class Counted(np.ndarray[Any, Any]):
    """An array that counts the matrix products it takes part in, and their multiply-adds."""

    products = 0
    multiply_adds = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [np.asarray(x) if isinstance(x, Counted) else x for x in inputs]
        result = getattr(ufunc, method)(*plain, **options)
        if ufunc is np.matmul:
            Counted.products += 1
            Counted.multiply_adds += result.size * plain[0].shape[-1]
        return result.view(Counted) if isinstance(result, np.ndarray) else result


def count_products(function: Callable[..., object], *arrays: Array) -> tuple[int, int]:
    """The matrix products in ``function(*arrays)`` and their multiply-adds."""
    Counted.products = Counted.multiply_adds = 0
    function(*(np.asarray(array).view(Counted) for array in arrays))
    return Counted.products, Counted.multiply_adds


# ---------------------------------------------------------------- differences, and learning


def errors_of_differences(steps: Array, errors: dict[str, list[float]], exact: float) -> Figure:
    """The relative error of H v by differences of gradients, and that of the exact product."""
    figure, axes = plotting.new_figure(width=6.0, height=3.2)
    ax = axes[0, 0]
    looks: tuple[dict[str, Any], ...] = (RED, {"color": "#000000", "linestyle": "-."})
    for (name, values), look in zip(errors.items(), looks, strict=True):
        ax.plot(steps, values, label=name, **look)
    ax.axhline(exact, color="#0072B2", label="exact product against complex step")
    ax.set(xscale="log", yscale="log", xlim=(0.1, 1e-12), ylim=(1e-17, 1e6), xlabel="step h")
    ax.set_ylabel("relative error of H v")
    ax.legend(frameon=False, fontsize=9, loc="upper right")
    return figure


def while_learning(times: Sequence[float], quartiles: dict[str, Array], seeds: int) -> Figure:
    """Eigenvalues, how many are negative, and shares of the squared norm; quartiles (3, times) by name."""
    figure, axes = plotting.new_figure(columns=3, width=3.2, height=3.0)
    panels = (
        (0, "largest", RED),
        (0, "minus smallest", BLUE),
        (1, "negative", BLUE),
        (2, "six blocks", BLUE),
        (2, "diagonal entries", RED),
    )
    for column, name, look in panels:
        plotting.median_band(axes[0, column], times, quartiles[name], name, **look)
    axes[0, 0].set(yscale="log", title="eigenvalues")
    axes[0, 1].set(ylim=(0, 75), title="how many are negative")
    axes[0, 2].set(ylim=(0, 1), title="share of |H|² on the diagonal")
    for ax in axes[0]:
        ax.set_xlabel(f"iteration ({seeds} seeds)")
        ax.title.set_fontsize(10)
    axes[0, 0].legend(frameon=False, fontsize=9)
    axes[0, 2].legend(frameon=False, fontsize=9)
    return figure
