"""SGD and Adam with the paper's clip or a tight one, with one rate or one for each layer; what lies between; a control.

Rates for the layers are a base b to a power. Lesson 30 derives that the scale s_l of the covariates that layer l is handed makes
the rate of layer l too small by s_l^2 for SGD and by s_l for Adam, so one base serves both:

    SGD    rate of layer l = lr b^(l - L + 1)                  Adam   rate of layer l = lr b^((l - L + 1) / 2)

The last layer has the rate lr.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....optimizers import SGD, Adam

POWERS = {"SGD": 1.0, "Adam": 0.5}
LOOSE, TIGHT, TIGHT_DEEP = 1.0, 1e-3, 1e-4  # the paper's clip; the tight one; that of eight layers
BASES = {2: 8.0, 3: 8.0, 4: 4.0, 6: 2.0, 8: 2.0}  # where the search begins, by depth


@dataclass(frozen=True)
class RatedAdam:
    """Adam with betas 0.9 whose step is multiplied by a number for each layer."""

    lr: float
    factors: tuple[float, ...]

    def init(self, params: Array) -> Any:
        return self.adam.init(params)

    def update(self, params: Array, grad: Array, state: Any) -> tuple[Array, Any]:
        new, state = self.adam.update(params, grad, state)
        return params + np.reshape(self.factors, (-1, 1, 1, 1, 1)) * (new - params), state

    @property
    def adam(self) -> Adam:
        """Adam with one rate."""
        return Adam(self.lr, 0.9, 0.9)


class Method(NamedTuple):
    """How a method trains, and the rates that its search begins at, by depth: with rates for the layers, those of the last."""

    kind: str  # SGD, Adam, or Adam with one second moment for each "layer" or for all ("global")
    first: dict[int, float]
    tight: bool = False
    layer_rates: int = 0  # 1: rising with the layer; -1: falling

    def clip(self, layers: int) -> float:
        """The threshold of the clip before the optimizer."""
        return (TIGHT_DEEP if layers > 6 else TIGHT) if self.tight else LOOSE

    def make(self, layers: int, rate: float, base: float) -> Any:
        """The optimizer."""
        if self.kind in ("layer", "global"):
            return Adam(rate, 0.9, 0.9, second_moment=self.kind)
        factors = layer_factors(layers, base, POWERS[self.kind], self.layer_rates)
        if self.kind == "SGD":
            return SGD(rate, 0.9, factors if self.layer_rates else None)
        return RatedAdam(rate, factors) if self.layer_rates else Adam(rate, 0.9, 0.9)


def layer_factors(layers: int, base: float, power: float, way: int = 1) -> tuple[float, ...]:
    """What the rate of each layer is multiplied by: b^(power (l - L + 1)), or falling, b^(-power l); at most 1."""
    if way < 0:
        return tuple(base ** (-power * l) for l in range(layers))
    return tuple(base ** (power * (l - layers + 1)) for l in range(layers))


METHODS = {
    "SGD": Method("SGD", {2: 0.04, 3: 0.32, 4: 0.16, 6: 0.16, 8: 0.16}),
    "SGD, tight clip": Method("SGD", {2: 8.0, 3: 64.0, 4: 64.0, 6: 128.0, 8: 1000.0}, True),
    "SGD, layer rates": Method("SGD", {2: 0.1, 3: 2.5, 4: 4.0, 6: 4.0, 8: 2.0}, False, 1),
    "SGD, both": Method("SGD", {2: 16.0, 3: 2000.0, 4: 4000.0, 6: 4000.0, 8: 20_000.0}, True, 1),
    "Adam": Method("Adam", {2: 0.04, 3: 0.04, 4: 0.06, 6: 0.04, 8: 0.02}),
    "Adam, tight clip": Method("Adam", {2: 0.04, 3: 0.04, 4: 0.06, 6: 0.04, 8: 0.02}, True),
    "Adam, layer rates": Method("Adam", {2: 0.04, 3: 0.16, 4: 0.2, 6: 0.25, 8: 0.12}, False, 1),
    "Adam, both": Method("Adam", {2: 0.04, 3: 0.16, 4: 0.2, 6: 0.25, 8: 0.12}, True, 1),
    "each layer": Method("layer", {2: 0.04, 3: 0.04, 4: 0.04, 6: 0.04, 8: 0.02}),
    "one scalar": Method("global", {2: 0.04, 3: 0.08, 4: 0.08, 6: 0.04, 8: 0.04}),
    "SGD, tight clip, rates reversed": Method("SGD", {3: 64.0, 4: 64.0, 6: 128.0}, True, -1),
}
