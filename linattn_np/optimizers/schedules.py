"""Learning rates that change during a run: a schedule is a function of the step, the factor of the rate.

(29.9)  rate of update t + 1 = lr s(t), t = 0, 1, .. the number of updates before it

    linear     s(t) = max(0, 1 - t / T)                    1 at first, 0 after T updates
    cosine     s(t) = (1 + cos(pi min(t / T, 1))) / 2      the same ends, flat at both
    warm-up    s(t) = min(1, (t + 1) / W) then(t)          W equal steps up to the schedule that follows

``train`` takes one as ``schedule``; :class:`Scheduled` is an optimizer made of an optimizer and a schedule, for loops of your
own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, NamedTuple

from .._checks import as_count, as_real, one_of
from .._types import Array
from .base import Optimizer
from .groups import Grouping

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Linear:
    """The factor max(0, 1 - t / steps): the rate falls in equal steps, to 0 after ``steps`` updates, where it stays."""

    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", as_count("steps", self.steps))  # the dataclass is frozen

    def __call__(self, t: int) -> float:
        return max(0.0, 1 - t / self.steps)


@dataclass(frozen=True)
class Cosine:
    """The factor (1 + cos(pi t / steps)) / 2: the rate falls along half a cosine, to 0 after ``steps`` updates, where it stays.

    Source: Loshchilov and Hutter 2017, without restarts.
    """

    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", as_count("steps", self.steps))  # the dataclass is frozen

    def __call__(self, t: int) -> float:
        return (1 + math.cos(math.pi * min(t / self.steps, 1.0))) / 2


@dataclass(frozen=True)
class WarmUp:
    """The factor min(1, (t + 1) / steps), times that of the schedule ``then`` where there is one: ``WarmUp(50,
    Linear(2000))``.
    """

    steps: int
    then: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", as_count("steps", self.steps))  # the dataclass is frozen
        if self.then is not None and not callable(self.then):
            raise ValueError(f"then: expected None or a function of the step, such as Linear(2000), got {self.then!r}")

    def __call__(self, t: int) -> float:
        return min(1.0, (t + 1) / self.steps) * (1.0 if self.then is None else self.then(t))


NAMED: dict[str, Callable[[int], Schedule]] = {"linear": Linear, "cosine": Cosine}


def as_schedule(schedule: Any, steps: int) -> Schedule | None:
    """None, or a schedule by its name, which then ends at ``steps``, or any function of the step.

    Raises ValueError for anything else.
    """
    if schedule is None or (callable(schedule) and not isinstance(schedule, type)):
        return schedule
    if isinstance(schedule, str):
        return NAMED[one_of("schedule", schedule, NAMED)](steps)
    raise ValueError(
        f"schedule: expected None, {', '.join(map(repr, NAMED))} or a function of the step, such as WarmUp(50), got {schedule!r}"
    )


class ScheduledState(NamedTuple):
    """The number of updates so far, and the state of the optimizer inside."""

    t: int
    inside: Any


@dataclass(frozen=True)
class Scheduled:
    """The optimizer inside, a dataclass with a rate ``lr``, with that rate times schedule(t) after t updates (29.9).

    Raises ValueError for an optimizer without a rate, and in ``update`` where the factor is no finite number of at least 0.
    """

    optimizer: Any
    schedule: Any

    def __post_init__(self) -> None:
        if not is_dataclass(self.optimizer) or not hasattr(self.optimizer, "lr"):
            raise ValueError(f"schedule: expected an optimizer that is a dataclass with a rate lr, got {self.optimizer!r}")
        if not callable(self.schedule):
            raise ValueError(f"schedule: expected a function of the step, such as Cosine(2000), got {self.schedule!r}")

    @property
    def grouping(self) -> Grouping | None:
        """The groups that the optimizer inside needs."""
        return getattr(self.optimizer, "grouping", None)

    def init(self, params: Array, *groups: Array) -> ScheduledState:
        return ScheduledState(0, self.optimizer.init(params, *groups))

    def update(self, params: Array, grad: Array, state: ScheduledState) -> tuple[Array, ScheduledState]:
        factor = as_real("schedule", self.schedule(state.t), least=0)
        now: Optimizer = replace(self.optimizer, lr=self.optimizer.lr * factor)
        params, inside = now.update(params, grad, state.inside)
        return params, ScheduledState(state.t + 1, inside)
