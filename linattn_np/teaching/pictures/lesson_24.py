"""Pictures of lesson 24: a text, what each reader takes of each symbol, and perplexity after the swap."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..._types import Array
from ...plotting import new_figure

STYLES: dict[str, dict[str, Any]] = {  # of the runs after a swap
    "32 features": {"color": "#0072B2", "linestyle": "-"},
    "8 features": {"color": "#009E73", "linestyle": (0, (1, 1))},
    "4 features": {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    "queries and keys drawn anew": {"color": "#E69F00", "linestyle": "-"},
    "all but queries and keys drawn anew": {"color": "#D55E00", "linestyle": "--"},
    "everything drawn anew": {"color": "0.65", "linestyle": "-."},
    "the map alone trained": {"color": "0.35", "linestyle": ":"},
}


def matching(symbols: Array) -> Array:
    """Where a reader should look, (T, T) for a text (T,): the places j up to i whose symbol followed the one that i reads."""
    before = np.concatenate([[-1], symbols[:-1]])
    return (before[None, :] == symbols[:, None]) & np.tri(len(symbols), dtype=bool)


def draw_text(symbols: Array) -> Figure:
    """A text (T,) as dots, filled where the pair of symbols has been there before."""
    figure, axes = new_figure(width=7.6, height=2.8)
    pairs = list(zip(symbols[:-1].tolist(), symbols[1:].tolist(), strict=True))
    again = np.array([False] + [pair in pairs[:t] for t, pair in enumerate(pairs)])
    places = np.arange(len(symbols))
    for chosen, face, label in ((again, "#0072B2", "the same pair came before"), (~again, "none", "a new pair")):
        axes[0, 0].plot(places[chosen], symbols[chosen], "o", color="#0072B2", markerfacecolor=face, markersize=5, label=label)
    axes[0, 0].set(xlabel="place in the text", ylabel="symbol", ylim=(-0.7, 18.5))
    axes[0, 0].legend(frameon=False, fontsize=9, loc="upper left", ncols=2)
    return figure


def draw_weights(panels: Mapping[str, Array], symbols: Array) -> Figure:
    """A panel for each title: the weights p (T, T) of one head on a text; rings where a reader should look."""
    figure, axes = new_figure(columns=len(panels), width=2.9, height=3.0)
    at = np.argwhere(matching(symbols)[-16:]) + np.array([len(symbols) - 16, 0])
    for ax, (title, p) in zip(axes[0], panels.items(), strict=True):
        ax.imshow(np.sqrt(np.clip(p[-16:], 0, 1)), cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest",
                  extent=(-0.5, len(symbols) - 0.5, len(symbols) - 0.5, len(symbols) - 16.5))  # fmt: skip
        ax.plot(at[:, 1], at[:, 0], "o", color="#D55E00", markerfacecolor="none", markersize=4, linewidth=0.6)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("place that is read")
        ax.grid(visible=False)
    axes[0, 0].set_ylabel("reader (the last 16)")
    return figure


def draw_runs(times: Sequence[int], runs: Mapping[str, Array], levels: Mapping[str, float]) -> Figure:
    """Perplexity (T,) of each run against the iterations after the swap, with levels to compare it with."""
    figure, axes = new_figure(width=6.6, height=3.6)
    ax = axes[0, 0]
    for name, values in runs.items():
        ax.plot(times, values, label=name, linewidth=1.6, **STYLES[name])
    for (name, level), style, below in zip(levels.items(), ("-.", "--", "-"), (False, True, False), strict=True):
        ax.axhline(level, color="0.5", linewidth=0.9, linestyle=style)
        ax.text(times[0], level * (0.99 if below else 1.01), name, fontsize=8, ha="left", va="top" if below else "bottom")
    ax.set(yscale="log", xlabel="iterations after the swap", ylabel="perplexity, second half of texts", ylim=(2.5, 45))
    ax.set_yticks([2.7, 4, 8, 16], ["2.7", "4", "8", "16"])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=8, loc="upper right")
    return figure
