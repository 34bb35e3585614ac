"""Gradient descent, its relatives that go coordinate by coordinate, and clipping: (6.1) to (6.8) of the package's docstring."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._checks import as_real, one_of
from .._types import Array
from .base import Checked, GroupedMoments, Moments, Momentum, RatedMomentum, Squares, knows_its_arguments, power
from .groups import GROUPINGS, Grouping, group_means, groups_by_shape

CLIPPINGS = ("global", "block", "coordinate")


@dataclass(frozen=True, repr=False)
class _WithBuffer(Checked):
    """What the optimizers with a momentum buffer share: m <- momentum m + g."""

    lr: float
    momentum: float = 0.0

    def init(self, params: Array) -> Momentum:
        return Momentum(np.zeros_like(params))

    def buffer(self, grad: Array, state: Momentum) -> Array:
        return self.momentum * state.m + grad


@knows_its_arguments
@dataclass(frozen=True, repr=False)
class SGD(_WithBuffer):
    """Gradient descent, with momentum where ``momentum`` > 0 (6.1); with ``layer_rates`` (r_0, .., r_L-1) a rate for each layer:

        (29.1)  m <- mu m + g,   x_l <- x_l - lr r_l m_l

    lr, r_l >= 0, 0 <= momentum < 1. The buffer is not damped: with momentum mu a constant gradient is stepped along at lr / (1 -
    mu). What a layer is, ``groups`` says. Source: Polyak 1964, in the form of the paper's code.
    """

    layer_rates: tuple[float, ...] | None = None

    def checked(self, name: str, value: Any) -> Any:
        if name != "layer_rates":
            return super().checked(name, value)
        if value is None:
            return None
        if not isinstance(value, list | tuple | np.ndarray) or getattr(value, "ndim", 1) != 1 or len(value) == 0:
            raise ValueError(f"layer_rates: expected None or a sequence of numbers, one for each layer, got {value!r}")
        return tuple(as_real("layer_rates", rate, least=0) for rate in value)

    @property
    def grouping(self) -> Grouping | None:
        """The groups that ``init`` needs."""
        return None if self.layer_rates is None else Grouping("layer_rates", "layer")

    def init(self, params: Array, groups: Array | None = None) -> Any:
        if self.layer_rates is None or self.grouping is None:
            return Momentum(np.zeros_like(params))
        groups = groups_by_shape(params.shape, self.grouping) if groups is None else groups
        if groups.max() + 1 != len(self.layer_rates):
            raise ValueError(f"layer_rates: expected {groups.max() + 1} numbers, one for each layer, got {len(self.layer_rates)}")
        return RatedMomentum(np.zeros_like(params), np.array(self.layer_rates, dtype=params.dtype)[groups])

    def update(self, params: Array, grad: Array, state: Any) -> tuple[Array, Any]:
        m = self.buffer(grad, state)
        if self.layer_rates is None:
            return params - self.lr * m, Momentum(m)
        return params - self.lr * state.rates * m, RatedMomentum(m, state.rates)


@knows_its_arguments
@dataclass(frozen=True)
class SignDescent(_WithBuffer):
    """A step of the same length along every coordinate (6.2). sign(0) = 0. lr >= 0, 0 <= momentum < 1.

    Source: Riedmiller and Braun 1993; as a model of Adam, Kunstner et al. 2023.
    """

    def update(self, params: Array, grad: Array, state: Momentum) -> tuple[Array, Momentum]:
        m = self.buffer(grad, state)
        return params - self.lr * np.sign(m), Momentum(m)


@knows_its_arguments
@dataclass(frozen=True)
class NormalizedGD(_WithBuffer):
    """A step of length lr, whatever the gradient's length (6.3); no step where m = 0. lr >= 0, 0 <= momentum < 1.

    Source: Nesterov 1984; as a model of clipping, Zhang et al. 2020.
    """

    def update(self, params: Array, grad: Array, state: Momentum) -> tuple[Array, Momentum]:
        m = self.buffer(grad, state)
        norm = global_norm(m)
        return params - (self.lr / norm if norm > 0 else 0.0) * m, Momentum(m)


@knows_its_arguments
@dataclass(frozen=True)
class Adagrad(Checked):
    """Each coordinate's rate falls with the sum of its squared gradients (6.4). lr, eps >= 0. Source: Duchi et al. 2011."""

    lr: float
    eps: float = 1e-10

    def init(self, params: Array) -> Squares:
        return Squares(np.zeros_like(params))

    def update(self, params: Array, grad: Array, state: Squares) -> tuple[Array, Squares]:
        v = state.v + grad * grad
        return params - self.lr * grad / (np.sqrt(v) + self.eps), Squares(v)


@knows_its_arguments
@dataclass(frozen=True)
class RMSProp(Checked):
    """Each coordinate is divided by a running root mean square of its gradient (6.5). lr, eps >= 0, 0 <= alpha < 1.

    Source: Tieleman and Hinton 2012.
    """

    lr: float
    alpha: float = 0.99
    eps: float = 1e-8

    def init(self, params: Array) -> Squares:
        return Squares(np.zeros_like(params))

    def update(self, params: Array, grad: Array, state: Squares) -> tuple[Array, Squares]:
        v = self.alpha * state.v + (1 - self.alpha) * grad * grad
        return params - self.lr * grad / (np.sqrt(v) + self.eps), Squares(v)


@knows_its_arguments
@dataclass(frozen=True, repr=False)
class Adam(Checked):
    """Momentum divided by a running root mean square, both corrected for their start at zero (6.6).

    ``second_moment`` "coordinate"; or one number for each "block" P_l,h or Q_l,h, each "layer", or "global": in a group G of
    entries

        (29.2)  v_G <- beta2 v_G + (1 - beta2) mean of g_i^2 over the i in G with g_i != 0,   v_i = v_G

    in the place of v in (6.6). Entries that no prediction depends on, such as the last layer's P, have g_i = 0 always: with them
    in the mean a layer's rate would hang on how many it has.
    lr, eps >= 0, 0 <= beta1, beta2 < 1. The paper uses beta1 = beta2 = 0.9. Source: Kingma and Ba 2015; for blocks, which there
    are rows and heads, Adam-mini, Zhang et al. 2024 (arXiv 2406.16793).
    """

    lr: float
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    second_moment: str = "coordinate"

    def checked(self, name: str, value: Any) -> Any:
        return one_of(name, value, GROUPINGS) if name == "second_moment" else super().checked(name, value)

    @property
    def grouping(self) -> Grouping | None:
        """The groups that ``init`` needs."""
        return None if self.second_moment == "coordinate" else Grouping("second_moment", self.second_moment)

    def init(self, params: Array, groups: Array | None = None) -> Any:
        moments = Moments(0, np.zeros_like(params), np.zeros_like(params))
        if self.grouping is None:
            return moments
        return GroupedMoments(*moments, groups_by_shape(params.shape, self.grouping) if groups is None else groups)

    def update(self, params: Array, grad: Array, state: Any) -> tuple[Array, Any]:
        t = state.t + 1
        m = self.beta1 * state.m + (1 - self.beta1) * grad
        squares = (1 - self.beta2) * grad * grad
        if self.second_moment != "coordinate":
            squares = group_means(squares, grad != 0, state.groups)
        v = self.beta2 * state.v + squares
        m_hat = m / (1 - power(self.beta1, t))
        v_hat = v / (1 - power(self.beta2, t))
        return params - self.lr * m_hat / (np.sqrt(v_hat) + self.eps), state._replace(t=t, m=m, v=v)


@knows_its_arguments
@dataclass(frozen=True)
class AdamW(Checked):
    """Adam with weight decay that does not pass through the preconditioner (6.7). Ranges as for Adam, weight_decay >= 0.

    Source: Loshchilov and Hutter 2019.
    """

    lr: float
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.01

    def init(self, params: Array) -> Moments:
        return Moments(0, np.zeros_like(params), np.zeros_like(params))

    def update(self, params: Array, grad: Array, state: Moments) -> tuple[Array, Moments]:
        adam = Adam(self.lr, self.beta1, self.beta2, self.eps)
        return adam.update((1 - self.lr * self.weight_decay) * params, grad, state)


def global_norm(grad: Array) -> float:
    """||g||_2 over all entries, as a float."""
    return norm_over(grad).item()


def norm_over(grad: Array, axes: tuple[int, ...] | None = None) -> Array:
    """||g||_2 over some axes (None: all), which stay as axes of length 1.

    Where the squares overflow, beyond 1e154, the largest entry is taken out first: eight layers give such gradients, they are
    doubles, and clipping makes ordinary steps of them.
    """
    with np.errstate(over="ignore"):
        squares = (grad * grad).sum(axis=axes, keepdims=True)
    if not np.isinf(squares).any():
        return np.sqrt(squares)
    largest = np.where(np.isinf(squares), np.abs(grad).max(axis=axes, keepdims=True), 1.0)
    with np.errstate(invalid="ignore"):  # an infinite entry gives NaN: that gradient has no direction
        scaled = grad / largest
    return largest * np.sqrt((scaled * scaled).sum(axis=axes, keepdims=True))


def clip(grad: Array, threshold: float | None, by: str = "global", norm: float | None = None) -> Array:
    """Shorten the gradient to at most ``threshold`` (6.8), keeping its direction, or that of each part.

    by "global": the norm of everything; "block": of each matrix P or Q (the last two axes) by itself; "coordinate": |g_i|.
    threshold > 0, or None for no clipping; norm is ||g||, where it is known already -> like grad. Raises ValueError otherwise.
    Source: Pascanu et al. 2013; paper, 3.1.
    """
    one_of("by", by, CLIPPINGS)
    if isinstance(grad, np.ma.MaskedArray):
        raise ValueError("grad: expected an array without a mask, got a masked one; fill it first")
    if threshold is None:
        return grad
    threshold = as_real("threshold", threshold, above=0)
    if by == "global":
        norm = global_norm(grad) if norm is None else norm
        return grad * (threshold / norm) if norm > threshold else grad
    if by == "coordinate":
        return np.clip(grad, -threshold, threshold)
    norms = norm_over(grad, (-2, -1))
    return np.where(norms > threshold, grad * (threshold / np.maximum(norms, threshold)), grad)
