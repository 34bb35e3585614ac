"""The record of a training run: what it holds, how it prints and is drawn, and the warning where it left the finite numbers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import one_of
from .._types import Array
from ..models.model import Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 100  # of a drawn curve: each stands for a block of steps
SERIES = {"loss": "loss of the batch", "grad_norm": "norm of the gradient, before clipping"}


class Diverged(UserWarning):
    """A run left the finite numbers and stopped. Where that is expected: ``warnings.simplefilter("ignore", Diverged)``."""


@dataclass(frozen=True)
class History:
    """What a training run leaves behind.

    loss          (steps,) of the batch of step t, before its update; NaN from ``diverged_at`` on
    grad_norm     (steps,) the norm of its gradient, before clipping
    params        the last finite ones, shaped as the model's: (L, H, 2, k, k) for a linear Transformer, (p,) for a composed model
    diverged_at   the first step whose loss, gradient or update was not finite, or None
    snapshots     {t: params after t updates}: t = 0, every record_every, and the last
    updates       {t: what update t+1 added to snapshot t}, for every snapshot but the last
    seconds       wall time of the training alone
    model         what was trained
    compile_seconds  beside that, the wait for the compiler: seconds, once on a machine; later a moment for loading
    """

    loss: Array
    grad_norm: Array
    params: Array
    diverged_at: int | None
    snapshots: dict[int, Array]
    updates: dict[int, Array]
    seconds: float
    model: Model | None = None
    compile_seconds: float = 0.0

    def snapshot_array(self) -> tuple[Array, Array]:
        """The times (T,) and parameters (T, *params.shape) of the snapshots, in order."""
        times = sorted(self.snapshots)
        return np.array(times), np.stack([self.snapshots[t] for t in times])

    def plot(self, ax: "Axes | None" = None, what: str = "loss", label: str = "", **style: Any) -> "Figure":
        """Draw the loss, or ``what="grad_norm"``, against the step: the median of blocks of steps, and a band between their
        quartiles.

        ``ax`` and ``style`` as in matplotlib; a new figure when there is no ``ax``. -> the figure, which a notebook shows.
        Raises ValueError for another ``what``. A run that diverged ends in a dotted line.
        """
        from ..plotting import median_band, new_figure  # here, because training needs no matplotlib

        series = getattr(self, one_of("what", what, SERIES))
        ax = new_figure()[1][0, 0] if ax is None else ax
        steps = self.steps_done()
        blocks = np.array_split(np.arange(steps), min(POINTS, steps)) if steps else []
        quartiles = np.array([np.quantile(series[block], (0.25, 0.5, 0.75)) for block in blocks]).reshape(-1, 3).T  # (3, T)
        median_band(ax, [block.mean() for block in blocks], quartiles, label, **style)
        if self.diverged_at is not None:
            ax.axvline(self.diverged_at, color="black", linestyle=":", linewidth=1)
            ax.annotate(
                f"diverged at step {self.diverged_at}", (self.diverged_at, 0.5), xycoords=("data", "axes fraction"), rotation=90
            )
        ax.set(xlabel="step", ylabel=SERIES[what], yscale="log" if (quartiles > 0).any() else "linear")
        if label:
            ax.legend(frameon=False)
        return ax.figure  # type: ignore[return-value]  # or the part of a figure that the axes belong to

    def steps_done(self) -> int:
        """How many steps have a finite loss and update."""
        return len(self.loss) if self.diverged_at is None else self.diverged_at

    def how_it_diverged(self) -> str:
        """What the warning says."""
        return (
            f"the run diverged at step {self.diverged_at} of {len(self.loss)}: its loss, gradient or update was not finite "
            "there; params are those before it. A smaller learning rate or clip may help"
        )

    def in_words(self) -> dict[str, str]:
        """The record in a few words each: what prints, and what a notebook shows."""
        done = self.steps_done()
        ran = f"{len(self.loss)}" if self.diverged_at is None else f"diverged at step {self.diverged_at} of {len(self.loss)}"
        along = {
            name: "none" if not done else f"{s[0]:.3g} -> {s[done - 1]:.3g}"
            for name, s in (("loss", self.loss), ("norm", self.grad_norm))
        }
        return {
            "steps": ran, "loss": along["loss"], "gradient norm": along["norm"], "params": "x".join(map(str, self.params.shape)),
            "snapshots": f"{len(self.snapshots)}", "seconds": f"{self.seconds:.1f}" + (f" and {self.compile_seconds:.1f} of "
                "compiling" if self.compile_seconds >= 0.05 else ""),
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"History({', '.join(f'{name} {value}' for name, value in self.in_words().items())})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td style='text-align:left'>{value}</td></tr>"
            for name, value in self.in_words().items()
        )
        return f"<table><caption style='text-align:left'>History of a training run</caption>{rows}</table>".replace(
            "->", "&rarr;"
        )
