"""The gradient of a fresh batch at each step: one object, which holds all that is random in a run after its first params."""

from typing import Any

import numpy as np

from .. import batches
from .._types import Array
from ..models.model import Model, passes_of
from ..models.passes import run_parts
from ..prompts import RegressionTask


class BatchGradient:
    """The loss and gradient on a fresh batch at each call, part by part: each part is drawn and used by one thread.

    Part k always draws from ``generators[k]`` and the parts are added in order, so the bits do not depend on threads.
    With ``fixed`` the first batch is kept and used at every call.
    """

    def __init__(
        self, model: Model, task: RegressionTask, batch: int, generators: list[np.random.Generator], fixed: bool = False
    ) -> None:
        self.passes, self.task, self.batch, self.generators, self.fixed = passes_of(model), task, batch, generators, fixed
        self.sizes = batches.part_sizes(batch)
        self.kept: list[Any] = [None] * len(self.sizes)

    def __call__(self, params: Array) -> tuple[float, Array]:
        """-> the loss (float) and its gradient (like params) on the next batch."""
        sums, add = np.zeros((len(self.sizes), 1 + params.size)), self.passes.adder(params, self.task.n)

        def work(k: int) -> None:
            drawn = self.kept[k]
            if drawn is None:
                drawn = self.passes.draw(self.task, self.sizes[k], self.generators[k])
            if self.fixed:
                self.kept[k] = drawn
            add(drawn, sums[k])

        run_parts(self.passes, work, len(self.sizes))
        total = sums.sum(axis=0) / self.batch
        return total[0], total[1:].reshape(params.shape)
