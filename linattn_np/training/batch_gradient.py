"""The gradient of a fresh batch at each step: one object, which holds all that is random in a run after its first params."""

from typing import Any

import numpy as np

from .. import batches
from .._types import Array
from ..kernels.random_numpy import chunk_states
from ..models.model import Model, passes_of
from ..models.passes import run_shares
from ..prompts import RegressionTask


class BatchGradient:
    """The loss and gradient on a fresh batch at each call, chunk by chunk: each chunk is drawn and used by one thread.

    Chunk k always draws from ``states[k]``, which the seed decides, and the chunks' sums are added in order, so the bits do not
    depend on threads. With ``fixed`` the first batch is kept and used at every call.
    """

    def __init__(self, model: Model, task: RegressionTask, batch: int, seed: int, fixed: bool = False) -> None:
        self.passes, self.task, self.batch, self.sizes = passes_of(model), task, batch, np.array(batches.chunk_sizes(batch))
        self.states = chunk_states(seed, len(self.sizes))  # (chunks, 4, LANES)
        self.kept: list[Any] | None = None
        if fixed:
            self.kept = list(self.passes.draw(task, self.sizes.tolist(), self.states))
        else:
            self.draw_and_add = self.passes.drawing_adder(task)

    def __call__(self, params: Array) -> tuple[float, Array]:
        """-> the loss (float) and its gradient (like params) on the next batch."""
        losses, grads = self.at_points(params[None])
        return losses[0], grads[0]

    def at_points(self, points: Array) -> tuple[Array, Array]:
        """-> the losses (m,) and gradients (m, *params.shape) at some points, all on the next batch, which is drawn once."""
        sums, sizes, states, kept = (
            np.zeros((len(self.sizes), len(points), 1 + points[0].size)),
            self.sizes,
            self.states,
            self.kept,
        )
        if kept is None:
            run_shares(self.passes, lambda a, b: self.draw_and_add(points, sizes[a:b], states[a:b], sums[a:b]), len(sizes))
        else:
            adders = [self.passes.adder(params, self.task.n) for params in points]

            def add_kept(first: int, last: int) -> None:
                for batch, each in zip(kept[first:last], sums[first:last], strict=True):
                    for add, out in zip(adders, each, strict=True):
                        add(batch, out)

            run_shares(self.passes, add_kept, len(sizes))
        total = sums.sum(axis=0) / self.batch
        return total[:, 0], total[:, 1:].reshape(points.shape)
