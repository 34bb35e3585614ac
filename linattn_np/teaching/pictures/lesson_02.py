"""Pictures of lesson 02: the graph of a layer lit line by line, gradients in blocks, shares of the uses."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ... import plotting
from ..._types import Array

PLACES = {"Z": (0.0, 1.0), "A": (1.3, 1.75), "W": (2.4, 1.75), "V": (1.85, 0.55), "Z'": (3.6, 1.0)}
EDGES = {  # from, to, how much the arrow bends, where its name stands
    "reader": ("Z", "A", 0.25, (0.42, 1.66)),
    "read": ("Z", "A", -0.15, (0.98, 1.17)),
    "value": ("Z", "V", 0.0, (0.85, 0.62)),
    "residual": ("Z", "Z'", -0.45, (1.8, -0.03)),
    "mask": ("A", "W", 0.0, (1.85, 1.87)),
    "weights": ("W", "Z'", 0.0, (3.05, 1.55)),
    "what is read": ("V", "Z'", 0.0, (2.5, 0.84)),
}
LINES: tuple[tuple[str, tuple[str, ...], str], ...] = (  # node or nodes that come to be, arrows that are lit, words
    (
        "A",
        ("reader", "read"),
        "Forward (2.1): A = Z Q^T Z^T uses Z twice, on the left as reader and on the right as what is read.",
    ),
    ("W", ("mask",), "Forward (2.2): W = A M."),
    ("V", ("value",), "Forward (2.3): V = Z P^T uses Z a third time, for its value."),
    ("Z'", ("weights", "what is read", "residual"), "Forward (2.4): Z' = Z + W V / n. The residual is the fourth use of Z."),
    ("dZ'", (), "Backward: dZ' is given."),
    ("dW", ("weights",), "Backward (2.5): dW = dZ' V^T / n."),
    ("dV", ("what is read",), "Backward (2.6): dV = W^T dZ' / n."),
    ("dZ", ("residual",), "Backward (2.7): dZ += dZ', the residual's term, 1 of 4."),
    ("dZ", ("value",), "Backward (2.8), (2.9): dP from dV, and dZ += dV P, the value's term, 2 of 4."),
    ("dA", ("mask",), "Backward (2.10): dA = dW M."),
    ("dZ", ("reader",), "Backward (2.11), (2.12): dQ from dA, and dZ += dA Z Q, the reader's term, 3 of 4."),
    ("dZ", ("read",), "Backward (2.13): dZ += dA^T Z Q^T, the term of what is read, 4 of 4. Now dZ is complete."),
)
FORWARD, BACKWARD, PALE = "#0072B2", "#D55E00", "0.8"


def uses_of_tokens(line: int) -> tuple[Figure, str]:
    """The graph of one layer after this many lines, forward in blue and backward in orange."""
    figure, axes = plotting.new_figure(width=5.6, height=3.2)
    ax = axes[0, 0]
    ax.grid(False)
    ax.set_axis_off()
    ax.set(xlim=(-0.35, 3.95), ylim=(-0.35, 2.1))
    done = LINES[:line]
    forward = {name for _, names, said in done if said.startswith("F") for name in names}
    backward = {name for _, names, said in done if said.startswith("B") for name in names}
    for name, (start, end, bend, place) in EDGES.items():
        back = name in backward
        colour = BACKWARD if back else FORWARD if name in forward else PALE
        now = name in LINES[line - 1][1]
        ends = (PLACES[end], PLACES[start]) if back else (PLACES[start], PLACES[end])
        style = f"arc3,rad={-bend if not back else bend}"
        arrow = {
            "arrowstyle": "-|>",
            "color": colour,
            "linewidth": 3.0 if now else 1.3,
            "connectionstyle": style,
            "shrinkA": 13,
            "shrinkB": 13,
        }
        ax.annotate("", xy=ends[1], xytext=ends[0], arrowprops=arrow)
        ax.text(
            *place, name, color=colour if colour != PALE else "0.6", fontsize=9, ha="center", weight="bold" if now else "normal"
        )
    for name, (x, y) in PLACES.items():
        back = f"d{name}" in {node for node, _, _ in done}
        colour = BACKWARD if back else FORWARD if name == "Z" or name in {node for node, _, _ in done} else PALE
        ax.text(
            x,
            y,
            f"d{name}" if back else name,
            ha="center",
            va="center",
            fontsize=12,
            color="w",
            bbox={"boxstyle": "circle", "color": colour},
        )
    terms = sum(node == "dZ" for node, _, _ in done)
    if terms:
        ax.text(0.0, 0.52, f"{terms} of 4 terms", ha="center", fontsize=9, color=BACKWARD)
    return figure, LINES[line - 1][2]


def signed_blocks(grad: Array, floor: float = 1e-4) -> Figure:
    """The blocks of a gradient (L, 1, 2, d, d), signed and logarithmic, with one key for all."""
    layers = len(grad)
    figure, axes = plotting.new_figure(columns=layers, rows=2, width=2.3, height=2.1)
    top = np.log10(1 + np.abs(grad).max() / floor)
    for layer in range(layers):
        for i, name in enumerate("PQ"):
            block, ax = grad[layer, 0, i], axes[i, layer]
            shade = np.sign(block) * np.log10(1 + np.abs(block) / floor)
            image = ax.imshow(shade, vmin=-top, vmax=top, cmap="RdBu_r")
            largest = f"up to {np.abs(block).max():.1e}" if block.any() else "all zero: dead"
            ax.set_title(f"d{name}', layer {layer}: {largest}", fontsize=9)
            ax.grid(False)
            ax.set_axis_off()
    key = figure.colorbar(image, ax=axes, shrink=0.8)
    values = [v for v in (-1.0, -0.01, 0.0, 0.01, 1.0) if abs(v) <= np.abs(grad).max()]
    key.set_ticks([np.sign(v) * np.log10(1 + abs(v) / floor) for v in values], labels=[f"{v:g}" for v in values])
    return figure


USE_LOOKS: tuple[dict[str, Any], ...] = tuple(
    {"color": colour, "linestyle": line}
    for colour, line in zip(("#000000", "#D55E00", "#0072B2", "#009E73"), ("-", "--", "-.", ":"), strict=True)
)


def shares_against_size(sigmas: Array, quartiles: Array, uses: Sequence[str], seeds: int) -> Figure:
    """Relative change of a gradient without each use, quartiles (3, sigmas, uses, 2): of all parameters, and of the first P'."""
    figure, axes = plotting.new_figure(columns=2)
    for k, (ax, what) in enumerate(zip(axes[0], ("all parameters", "P' of the first layer"), strict=True)):
        for u, (use, look) in enumerate(zip(uses, USE_LOOKS, strict=True)):
            plotting.median_band(ax, sigmas, quartiles[:, :, u, k], use, **look)
        ax.axvline(0.05, color="0.6", linewidth=1)
        ax.set(xscale="log", yscale="log", ylim=(1e-4, 3), title=what, xlabel="size of the weights, sigma")
    axes[0, 0].set_ylabel(f"relative change ({seeds} seeds)")
    axes[0, 1].legend(frameon=False, fontsize=9)
    return figure


def percentages(percent: Array, rows: Sequence[str], columns: Sequence[str], title: str) -> Figure:
    """A table of percentages, darker where larger."""
    figure, axes = plotting.new_figure(width=6.0, height=2.6)
    ax: Axes = axes[0, 0]
    ax.grid(False)
    ax.imshow(percent, vmin=0, vmax=130, cmap="Blues", aspect="auto")
    for (i, j), value in np.ndenumerate(percent):
        ax.text(j, i, f"{value:.3g} %", ha="center", va="center", color="w" if value > 80 else "k")
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_title(title, fontsize=10)
    return figure
