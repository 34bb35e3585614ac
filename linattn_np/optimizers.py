"""Optimizers from scratch: pure functions on one array, nothing changed in place.

``state = opt.init(params)``, then ``params, state = opt.update(params, grad, state)``. x params, g gradient, m momentum buffer,
v mean of squares, t the number of updates so far, this one included; products, quotients, roots and signs are elementwise.

(6.1) SGD            m <- mu m + g,                            x <- x - lr m
(6.2) sign descent   m <- mu m + g,                            x <- x - lr sign(m)
(6.3) normalized     m <- mu m + g,                            x <- x - lr m / ||m||
(6.4) Adagrad        v <- v + g^2,                             x <- x - lr g / (sqrt(v) + eps)
(6.5) RMSProp        v <- alpha v + (1 - alpha) g^2,           x <- x - lr g / (sqrt(v) + eps)
(6.6) Adam           m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,
                     m_hat = m / (1 - beta1^t),  v_hat = v / (1 - beta2^t),   x <- x - lr m_hat / (sqrt(v_hat) + eps)
(6.7) AdamW          x <- (1 - lr weight_decay) x, then (6.6)
(6.8) clipping       g <- g min(1, threshold / ||g||), with ||g|| of the whole gradient, of each block P or Q, or |g_i|
Derived in lesson 06, where Adam is built from SGD one idea at a time.
"""

from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from ._checks import as_real, one_of
from ._types import Array

CLIPPINGS = ("global", "block", "coordinate")


class Momentum(NamedTuple):
    """State of the optimizers with a momentum buffer."""

    m: Array


class Squares(NamedTuple):
    """State of the optimizers that keep squares of gradients."""

    v: Array


class Moments(NamedTuple):
    """State of Adam and AdamW."""

    t: int
    m: Array
    v: Array


class Optimizer(Protocol):
    """What ``train`` asks of an optimizer: two pure functions. The state is the optimizer's own affair."""

    def init(self, params: Array) -> Any:
        """The state before the first update."""
        ...

    def update(self, params: Array, grad: Array, state: Any) -> tuple[Array, Any]:
        """The params and the state after an update. Nothing is changed in place."""
        ...


ELSEWHERE = {  # what other libraries call an argument, and what it is called here
    "betas": "beta1 and beta2, two numbers", "b1": "beta1", "b2": "beta2", "learning_rate": "lr", "step_size": "lr",
    "epsilon": "eps", "rho": "alpha", "decay": "alpha", "mu": "momentum",
}  # fmt: skip
Kind = TypeVar("Kind")


def _knows_its_arguments(kind: type[Kind]) -> type[Kind]:
    """The dataclass with a constructor that answers another library's argument with the name that it has here."""
    changed: Any = kind
    made, names = changed.__init__, tuple(changed.__dataclass_fields__)

    @wraps(made)
    def __init__(self: Kind, *args: Any, **settings: Any) -> None:
        for name in settings:
            if name not in names:
                here = ELSEWHERE.get(name, "")
                cause = f": it is {here} here" if here.split(" ")[0] in names else ""
                raise TypeError(f"{kind.__name__}: expected arguments among {', '.join(names)}, got {name}{cause}")
        made(self, *args, **settings)

    changed.__init__ = __init__
    return kind


class _Checked:
    """Raise ValueError for a negative rate or eps, or for a decay outside [0, 1). Numbers are kept as floats: SGD(1) is SGD(1.0)."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            decay = name in ("momentum", "alpha", "beta1", "beta2")
            object.__setattr__(self, name, as_real(name, value, least=0, below=1 if decay else None))  # the dataclass is frozen


@dataclass(frozen=True)
class _WithBuffer(_Checked):
    """What the optimizers with a momentum buffer share: m <- momentum m + g."""

    lr: float
    momentum: float = 0.0

    def init(self, params: Array) -> Momentum:
        return Momentum(np.zeros_like(params))

    def buffer(self, grad: Array, state: Momentum) -> Array:
        return self.momentum * state.m + grad


@_knows_its_arguments
@dataclass(frozen=True)
class SGD(_WithBuffer):
    """Gradient descent, with momentum where ``momentum`` > 0 (6.1).

    lr >= 0, 0 <= momentum < 1. The buffer is not damped: with momentum mu a constant gradient is stepped along at lr / (1 - mu).
    Source: Polyak 1964, in the form of the paper's code.
    """

    def update(self, params: Array, grad: Array, state: Momentum) -> tuple[Array, Momentum]:
        m = self.buffer(grad, state)
        return params - self.lr * m, Momentum(m)


@_knows_its_arguments
@dataclass(frozen=True)
class SignDescent(_WithBuffer):
    """A step of the same length along every coordinate (6.2). sign(0) = 0. lr >= 0, 0 <= momentum < 1.

    Source: Riedmiller and Braun 1993; as a model of Adam, Kunstner et al. 2023.
    """

    def update(self, params: Array, grad: Array, state: Momentum) -> tuple[Array, Momentum]:
        m = self.buffer(grad, state)
        return params - self.lr * np.sign(m), Momentum(m)


@_knows_its_arguments
@dataclass(frozen=True)
class NormalizedGD(_WithBuffer):
    """A step of length lr, whatever the gradient's length (6.3); no step where m = 0. lr >= 0, 0 <= momentum < 1.

    Source: Nesterov 1984; as a model of clipping, Zhang et al. 2020.
    """

    def update(self, params: Array, grad: Array, state: Momentum) -> tuple[Array, Momentum]:
        m = self.buffer(grad, state)
        norm = global_norm(m)
        return params - (self.lr / norm if norm > 0 else 0.0) * m, Momentum(m)


@_knows_its_arguments
@dataclass(frozen=True)
class Adagrad(_Checked):
    """Each coordinate's rate falls with the sum of its squared gradients (6.4). lr, eps >= 0. Source: Duchi et al. 2011."""

    lr: float
    eps: float = 1e-10

    def init(self, params: Array) -> Squares:
        return Squares(np.zeros_like(params))

    def update(self, params: Array, grad: Array, state: Squares) -> tuple[Array, Squares]:
        v = state.v + grad * grad
        return params - self.lr * grad / (np.sqrt(v) + self.eps), Squares(v)


@_knows_its_arguments
@dataclass(frozen=True)
class RMSProp(_Checked):
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


@_knows_its_arguments
@dataclass(frozen=True)
class Adam(_Checked):
    """Momentum divided by a running root mean square, both corrected for their start at zero (6.6).

    lr, eps >= 0, 0 <= beta1, beta2 < 1. The paper uses beta1 = beta2 = 0.9. Source: Kingma and Ba 2015.
    """

    lr: float
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def init(self, params: Array) -> Moments:
        return Moments(0, np.zeros_like(params), np.zeros_like(params))

    def update(self, params: Array, grad: Array, state: Moments) -> tuple[Array, Moments]:
        t = state.t + 1
        m = self.beta1 * state.m + (1 - self.beta1) * grad
        v = self.beta2 * state.v + (1 - self.beta2) * grad * grad
        m_hat = m / (1 - power(self.beta1, t))
        v_hat = v / (1 - power(self.beta2, t))
        return params - self.lr * m_hat / (np.sqrt(v_hat) + self.eps), Moments(t, m, v)


@_knows_its_arguments
@dataclass(frozen=True)
class AdamW(_Checked):
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


def power(base: float, exponent: int) -> float:
    """base^exponent by squaring and multiplying: a library's ``pow`` may give other last bits on another machine."""
    result = 1.0
    while exponent:
        if exponent % 2:
            result *= base
        base, exponent = base * base, exponent // 2
    return result


KINDS = {kind.__name__: kind for kind in (SGD, SignDescent, NormalizedGD, Adagrad, RMSProp, Adam, AdamW)}


def check_optimizer(optimizer: Any) -> Optimizer:
    """Raise ValueError unless ``optimizer`` is an instance with ``init`` and ``update``; a name or a class is answered with what to write."""
    if hasattr(optimizer, "init") and hasattr(optimizer, "update") and not isinstance(optimizer, type):
        return optimizer
    name = optimizer.__name__ if isinstance(optimizer, type) else optimizer
    spelled = {kind.casefold(): kind for kind in KINDS}
    meant = spelled.get(name.casefold()) if isinstance(name, str) else None
    cause = f". Did you mean la.optimizers.{meant}(0.02)?" if meant else ""
    raise ValueError(f"optimizer: expected an instance with init and update, such as Adam(0.02), got {optimizer!r}{cause}")


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
    threshold > 0, or None for no clipping; norm is ||g||, where it is known already -> like grad. Raises ValueError otherwise. Source: Pascanu et al. 2013; paper, 3.1.
    """
    one_of("by", by, CLIPPINGS)
    if isinstance(grad, np.ma.MaskedArray):
        raise ValueError("grad: expected an array without a mask, got a masked one; fill it first")
    if threshold is None:
        return grad
    threshold = as_real("threshold", threshold, above=0)
    if by == "global" and norm is not None:
        return grad * (threshold / norm) if norm > threshold else grad
    if by == "coordinate":
        return np.clip(grad, -threshold, threshold)
    axes = None if by == "global" else (-2, -1)
    norms = norm_over(grad, axes)
    return np.where(norms > threshold, grad * (threshold / np.maximum(norms, threshold)), grad)
