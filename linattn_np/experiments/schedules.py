"""Learning rates that fall during a run: an optimizer made of an optimizer, so that ``train`` needs to know nothing of it."""

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .._types import Array


class Scheduled(NamedTuple):
    """The number of updates so far, and the state of the optimizer inside."""

    t: int
    inside: Any


@dataclass(frozen=True)
class Cosine:
    """The optimizer inside, an instance with a rate ``lr``, with that rate times (1 + cos(pi t / steps)) / 2 after t updates.

    The rate is lr at first and 0 after ``steps`` updates, where it stays.
    """

    optimizer: Any
    steps: int

    def init(self, params: Array) -> Scheduled:
        return Scheduled(0, self.optimizer.init(params))

    def update(self, params: Array, grad: Array, state: Scheduled) -> tuple[Array, Scheduled]:
        factor = (1 + math.cos(math.pi * min(state.t / self.steps, 1.0))) / 2
        now = replace(self.optimizer, lr=self.optimizer.lr * factor)
        params, inside = now.update(params, grad, state.inside)
        return params, Scheduled(state.t + 1, inside)
