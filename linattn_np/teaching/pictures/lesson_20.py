"""Pictures of lesson 20: currents in a town's streets, log loss against depth, conditioning, a molecule placed by its
encoding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...experiments.papers.electric_flow.figure import STYLES, draw_molecule, draw_town
from ...plotting import new_figure


def draw_streets(streets: Mapping[str, Any], potentials: Mapping[str, Array]) -> Figure:
    """A panel for each title: crossings coloured by potential, streets as wide as their current."""
    figure, axes = new_figure(columns=len(potentials), width=3.0, height=2.4)
    for ax, (title, phi) in zip(axes[0], potentials.items(), strict=True):
        draw_town(ax, dict(streets), phi, title)
    return figure


def draw_layers(streets: Mapping[str, Any], phi: Array, exact: Array, layers: int) -> tuple[Figure, str]:
    """The currents after some layers, and how far they are from the answer."""
    figure = draw_streets(streets, {f"layers: {layers}": phi})
    figure.set_size_inches(4.4, 3.0)
    reached, error = int((np.abs(phi) > 0).sum()), np.sqrt(((phi - exact) ** 2).sum() / (exact**2).sum())
    return figure, f"{layers} layers: {reached} of {len(phi)} crossings are reached, relative error {error:.2g}."


def draw_depths(depths: Sequence[int], losses: Mapping[str, Array]) -> Figure:
    """Log loss (seeds, depths) of each kind of layer."""
    figure, axes = new_figure(width=5.4, height=3.4)
    ax = axes[0, 0]
    for name, each in losses.items():
        look = STYLES.get(name.removesuffix(", tuned"), {"color": "#000000"})
        ax.plot(depths, np.median(each, axis=0), label=name, linewidth=1.6, marker="o", markersize=3, **look)
        ax.fill_between(depths, each.min(axis=0), each.max(axis=0), color=look["color"], alpha=0.2, linewidth=0)
    ax.set(xlabel="layers", ylabel="log loss", xticks=list(depths))
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_squeeze(maps: Mapping[float, tuple[Array, Array]]) -> Figure:
    """l (1 - gamma l)^2 against l for a few gamma, {gamma: (l, l')}, and the line on which an eigenvalue stays."""
    figure, axes = new_figure(width=5.0, height=3.2)
    ax = axes[0, 0]
    for (gamma, (l, after)), line in zip(maps.items(), ("-", "--", ":"), strict=False):
        ax.plot(l, after, line, linewidth=1.6, label=f"gamma = {gamma:.2g}")
    ax.plot([0, 0.35], [0, 0.35], color="0.7", linewidth=1)
    ax.set(xlabel="eigenvalue before the layer", ylabel="after it", ylim=(0, 0.35))
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_encoding(encoding: Array) -> Figure:
    """The molecule with its first two eigenvectors as places and the third as colour."""
    figure, axes = new_figure(width=4.6, height=3.2)
    draw_molecule(axes[0, 0], {"encoding": encoding})
    axes[0, 0].set_title("")
    return figure
