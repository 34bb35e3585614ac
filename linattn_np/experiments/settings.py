"""What the runs of an experiment are made with: a task, learning rates, clipping, and optimizers with momentum 0.9."""

from dataclasses import dataclass, fields
from typing import Any

from ..optimizers import KINDS
from ..prompts import RegressionTask

OPTIMIZERS = ("SGD", "Adam")  # the two that are compared
MOMENTUM = 0.9


def with_momentum(name: str, rate: float) -> Any:
    """The optimizer of this name with momentum 0.9; Adam and AdamW with both betas at 0.9, so that all average over as many
    steps.
    """
    kind: Any = KINDS[name]
    return kind(rate, **{field.name: MOMENTUM for field in fields(kind) if field.name in ("momentum", "beta1", "beta2")})


@dataclass(frozen=True)
class Setting:
    """One variant of data and model: the task, and what it is trained with."""

    title: str
    task: RegressionTask
    learning_rates: dict[str, float]  # {"SGD": .., "Adam": ..}
    clip: float
    layers: int = 3

    def optimizer(self, name: str) -> Any:
        """SGD or Adam at this setting's rate, by :func:`with_momentum`."""
        return with_momentum(name, self.learning_rates[name])
