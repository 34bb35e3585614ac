"""A stack of layers and its loss, with the loss's first and second derivatives by hand; any kind of layer.

(1.3)  Z_{l+1} = layer(Z_l, P_l, Q_l),  l = 0..L-1          (1.4)  prediction = -[Z_L]_{n+1, d+1}
(1.5)  f = (1/B) sum_b (prediction_b - y_b)^2               (2.14) dprediction = 2 (prediction - y) / B

``layer`` is a module of ``layers`` or an object with its functions; X is what it works on, tokens or a state. Matrices are
(L, H, 2, D, D): [l, h, 0] is P, [l, h, 1] is Q; params are the trained part of them, (L, H, 2, k, k), k = d or D
(``layers/corner.py``). A layer with other weights is stacked with a list in the place of matrices: for each layer its arrays,
such as (P, Q, R) of ``layers/general_attention.py``; gradients and tangents are then lists like it.
"""

from typing import Any

import numpy as np

from .._types import Array
from ..layers.corner import to_full, to_full_adjoint, to_full_tangent
from ..layers.marks import Mark, keep, within


def of_each_layer(weights: Any) -> Any:
    """For each layer the arrays that its forward takes: of matrices (L, H, 2, D, D) a view (L, 2, H, D, D), of a list the
    list.
    """
    return weights.swapaxes(1, 2) if isinstance(weights, np.ndarray) else weights


def zeros_for(weights: Any, dtype: Any) -> Any:
    """Room for the gradients of all layers, shaped like their weights."""
    if isinstance(weights, np.ndarray):
        return np.zeros(weights.shape, dtype)
    return [[np.zeros(array.shape, dtype) for array in arrays] for arrays in weights]


def forward_stack(layer: Any, weights: Any, X: Any, mark: Mark = keep) -> tuple[Any, list]:
    """(1.3)  Run the layers. -> the last activation and the tapes."""
    tapes = []
    for l, arrays in enumerate(of_each_layer(weights)):
        X, tape = layer.forward(X, *arrays, mark=within(mark, l))
        tapes.append(tape)
    return X, tapes


def backward_stack(layer: Any, tapes: list, dX: Any, dweights: Any, mark: Mark = keep) -> tuple[Any, list]:
    """Gradients of all layers, written into ``dweights``, from the gradient of the last activation.

    -> the gradient of the first activation, and the gradients dX that entered each layer, last layer last.
    """
    entered, room = [], of_each_layer(dweights)
    for l in reversed(range(len(tapes))):
        entered.append(dX)
        dX, *gradients = layer.backward(dX, tapes[l], within(mark, l))
        write(gradients, room[l])
    return dX, entered[::-1]


def write(arrays: Any, room: Any) -> None:
    """Put each array into its place."""
    for array, place in zip(arrays, room, strict=True):
        place[...] = array


def prediction_and_tapes(params: Array, X: Any, D: int, layer: Any, mark: Mark = keep) -> tuple[Array, Any, list]:
    """The predictions (B,), the last activation and the tapes."""
    X, tapes = forward_stack(layer, mark("matrices", to_full(params, D)), X, mark)
    return mark("prediction", layer.readout(X)), X, tapes


def loss_and_grad_by(layer: Any, params: Array, X: Any, y: Array, D: int, mark: Mark = keep) -> tuple[np.floating, Array]:
    """(1.5) and its gradient for activations X of the kind that ``layer`` works on. -> (loss, like params)"""
    prediction, X, tapes = prediction_and_tapes(params, X, D, layer, mark)
    error = prediction - y  # (B,)
    dprediction = mark("dprediction", 2 * error / len(y))  # (B,)                       (2.14)
    dX = layer.readout_backward(dprediction, X)
    dmatrices = np.zeros((*params.shape[:3], D, D), error.dtype)
    backward_stack(layer, tapes, dX, dmatrices, mark)
    dparams = mark("dparams", to_full_adjoint(mark("dmatrices", dmatrices), params.shape[-1]))
    return (error * error).mean(), dparams


class StackLinearization:
    """The gradient's derivative at one point, when weights and first activation both move. Derived in lesson 04.

    The forward and the backward pass are done once, then ``along`` is one tangent of both for each direction. ``dX`` and
    ``dweights`` are the gradients, ``entered`` those that entered each layer, ``last`` the last activation.
    """

    def __init__(self, layer: Any, weights: Any, X: Any, y: Array) -> None:
        self.layer = layer
        self.last, self.tapes = forward_stack(layer, weights, X)
        prediction = layer.readout(self.last)
        dlast = layer.readout_backward(2 * (prediction - y) / len(y), self.last)
        self.dweights = zeros_for(weights, prediction.dtype)
        self.dX, self.entered = backward_stack(layer, self.tapes, dlast, self.dweights)

    def along(self, vX: Any, vweights: Any) -> tuple[Any, Any]:
        """The tangents of the gradients of the first activation and of the weights. -> like X, like the weights"""
        layer, vtapes = self.layer, []
        for varrays, tape in zip(of_each_layer(vweights), self.tapes, strict=True):
            vX, vtape = layer.tangent(vX, *varrays, tape)
            vtapes.append(vtape)
        vprediction = layer.readout(vX)  # the readout is linear
        hX = layer.readout_backward(2 * vprediction / len(vprediction), self.last)  # tangent of (2.14)
        hweights = zeros_for(vweights, vprediction.dtype)
        room = of_each_layer(hweights)
        for l in reversed(range(len(vtapes))):
            hX, *tangents = layer.backward_tangent(self.entered[l], hX, self.tapes[l], vtapes[l])
            write(tangents, room[l])
        return hX, hweights


class Linearization:
    """``Linearization(layer, params, X, y, D)(v)`` is H v, the tangent of the backward pass along v; the prompts do not move."""

    def __init__(self, layer: Any, params: Array, X: Any, y: Array, D: int) -> None:
        self.stack, self.D, self.k = StackLinearization(layer, to_full(params, D), X, y), D, params.shape[-1]
        self.still = zero_like(X)

    def __call__(self, v: Array) -> Array:
        return to_full_adjoint(self.stack.along(self.still, to_full_tangent(v, self.D))[1], self.k)


def zero_like(X: Any) -> Any:
    """The tangent of an activation that does not move: a zero array, or a state of zeros."""
    if isinstance(X, np.ndarray):
        return np.zeros_like(X)
    return X._replace(G=np.zeros_like(X.G), z=np.zeros_like(X.z))
