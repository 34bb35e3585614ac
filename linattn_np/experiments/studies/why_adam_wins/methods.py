"""The optimizers that are compared: Adam, SGD, and what lies between them, one ingredient at a time.

Two wrappers turn a question into an optimizer. :class:`Sharing` is Adam with one second moment for each of any groups: those of
the claim, and controls of the same number of groups. :class:`Turned` is Adam that sees the parameters through a rotation R:

    w = R x,   the gradient by w is R g,   x <- R^T update(w, R g)

so what depends on the axes depends on R. ``curvature`` has the optimizers that know the Hessian.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...._checks import one_of
from ...._types import Array
from ....optimizers import SGD, SOAP, Adam, Muon, Newton
from .curvature import Curvature, Equalised

SHARINGS = ("P and Q", "last Q", "random")
TURNS = ("blocks", "everything")


def groups(by: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    """The group of each entry of params (L, H, 2, k, k): all P and all Q; the last layer's Q and the rest; L groups at random."""
    one_of("by", by, SHARINGS)
    L, out = shape[0], np.zeros(shape, np.int64)
    if by == "P and Q":
        out[:, :, 1] = 1
    elif by == "last Q":
        out[-1, :, 1] = 1
    else:
        out.ravel()[:] = np.random.default_rng([29, seed]).permutation(out.size) % L
    return out


@dataclass(frozen=True)
class Sharing:
    """Adam with betas 0.9 and one second moment for each of the :func:`groups`."""

    lr: float
    by: str

    def init(self, params: Array) -> Any:
        return self.adam.init(params, groups(self.by, params.shape))

    def update(self, params: Array, grad: Array, state: Any) -> tuple[Array, Any]:
        return self.adam.update(params, grad, state)

    @property
    def adam(self) -> Adam:
        """Adam with one second moment for each group."""
        return Adam(self.lr, 0.9, 0.9, second_moment="layer")


def rotation(by: str, shape: tuple[int, ...], seed: int) -> Array:
    """R (p, p), orthogonal: one for all parameters, or one inside each block P_l,h or Q_l,h."""
    one_of("by", by, TURNS)
    rng, p = np.random.default_rng([2900, seed]), int(np.prod(shape))
    if by == "everything":
        return np.linalg.qr(rng.standard_normal((p, p)))[0]
    size, R = shape[-1] * shape[-2], np.zeros((p, p))
    for first in range(0, p, size):
        R[first : first + size, first : first + size] = np.linalg.qr(rng.standard_normal((size, size)))[0]
    return R


@dataclass(frozen=True)
class Turned:
    """Adam with betas 0.9 on R x. The rotation is part of the state."""

    lr: float
    by: str
    seed: int

    def init(self, params: Array) -> tuple[Array, Any]:
        return rotation(self.by, params.shape, self.seed), Adam(self.lr, 0.9, 0.9).init(params.ravel())

    def update(self, params: Array, grad: Array, state: tuple[Array, Any]) -> tuple[Array, tuple[Array, Any]]:
        R, inside = state
        w, inside = Adam(self.lr, 0.9, 0.9).update(R @ params.ravel(), R @ grad.ravel(), inside)
        return (R.T @ w).reshape(params.shape), (R, inside)


class Method(NamedTuple):
    """A way to train: the optimizer of a rate and a seed, the clipping before it, and the rate that the search begins at."""

    make: Callable[[float, int], Any]
    clip: float
    first: float


def _adam(by: str) -> Callable[[float, int], Any]:
    return lambda rate, seed: Adam(rate, 0.9, 0.9, second_moment=by)


def _sgd(base: float | None = None) -> Callable[[float, int], Any]:
    return lambda rate, seed: SGD(rate, 0.9, None if base is None else tuple(base**l for l in range(3)))


def _newton(kind: str) -> Callable[[float, int], Any]:
    return lambda rate, seed: Newton(rate, Curvature(kind), 0.9, damping=0.1, alpha=0.9, every=20)


METHODS = {
    "SGD": Method(_sgd(), 1.0, 0.32),
    "SGD, tight clip": Method(_sgd(), 0.001, 64.0),
    "SGD, tight clip, rates 4^l": Method(_sgd(4.0), 0.001, 128.0),
    "SGD, rates 16^l": Method(_sgd(16.0), 1.0, 0.01),
    "one scalar": Method(_adam("global"), 1.0, 0.08),
    "P and Q": Method(lambda rate, seed: Sharing(rate, "P and Q"), 1.0, 0.08),
    "random groups": Method(lambda rate, seed: Sharing(rate, "random"), 1.0, 0.08),
    "last Q apart": Method(lambda rate, seed: Sharing(rate, "last Q"), 1.0, 0.06),
    "each layer": Method(_adam("layer"), 1.0, 0.04),
    "each block": Method(_adam("block"), 1.0, 0.04),
    "Adam": Method(_adam("coordinate"), 1.0, 0.04),
    "Adam, blocks turned": Method(lambda rate, seed: Turned(rate, "blocks", seed), 1.0, 0.04),
    "Adam, everything turned": Method(lambda rate, seed: Turned(rate, "everything", seed), 1.0, 0.06),
    "Muon": Method(lambda rate, seed: Muon(rate, 0.9), 1.0, 0.04),
    "SOAP": Method(lambda rate, seed: SOAP(rate, 0.9, 0.9, every=1), 1.0, 0.04),
    "SGD, blocks equally sharp": Method(lambda rate, seed: Equalised(rate), 1.0, 0.1),
    "SGD, sharpness of P and Q swapped": Method(lambda rate, seed: Equalised(rate, swapped=True), 1.0, 0.1),
    "SGD, clip .01, blocks equally sharp": Method(lambda rate, seed: Equalised(rate), 0.01, 2.0),
    "SGD, clip .01, swapped": Method(lambda rate, seed: Equalised(rate, swapped=True), 0.01, 2.0),
    "Newton": Method(_newton("hessian"), 1.0, 0.1),
    "Newton, clip .01": Method(_newton("hessian"), 0.01, 2.0),
    "Gauss-Newton": Method(_newton("gauss_newton"), 1.0, 0.1),
}
