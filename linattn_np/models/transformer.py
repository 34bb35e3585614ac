"""The linear Transformer: a stack of attention layers, its loss, and the loss's first and second derivatives by hand.

(1.3)  Z_{l+1} = layer(Z_l, P_l, Q_l),  l = 0..L-1          (1.4)  prediction = -[Z_L]_{n+1, d+1}
(1.5)  f = (1/B) sum_b (prediction_b - y_b)^2               (2.14) dprediction = 2 (prediction - y) / B

Parameters are one array (L, H, 2, k, k): [l, h, 0] is P, [l, h, 1] is Q. With k = d only the top-left blocks are trained and
each layer uses P = diag(P', 1), Q = diag(Q', 0), as the paper's code does; with k = d+1 the matrices are used as they are.
The last layer's d x d P never reaches the prediction: its gradient is exactly zero.
"""

import numpy as np

from .._checks import as_count, as_numbers, as_params, as_prompts, as_real, as_rng, check_attention, check_fit, one_of
from ..layers import linear_attention, relu_attention, softmax_attention
from ..layers.marks import keep, within

LAYERS = {"linear": linear_attention, "softmax": softmax_attention, "relu": relu_attention}


def init_params(rng, layers=3, d=5, heads=1, std=0.05, full=False):
    """Random parameters: every entry N(0, std^2).

    rng a numpy.random.Generator -> (layers, heads, 2, k, k), k = d, or d+1 with ``full``.
    The paper's runs use std = 0.05. Raises ValueError for a count below 1 or a negative std.
    """
    as_rng(rng)
    layers, d, heads = as_count("layers", layers), as_count("d", d), as_count("heads", heads)
    k = d + 1 if full else d
    return as_real("std", std, least=0) * rng.standard_normal((layers, heads, 2, k, k))


def embed(params, D):
    """The matrices the layers use, (L, H, 2, D, D): P = diag(P', 1) and Q = diag(Q', 0), or params itself where k = D."""
    if params.shape[-1] == D:
        return params
    full = embed_tangent(params, D)
    full[:, :, 0, -1, -1] = 1.0
    return full


def embed_tangent(vparams, D):
    """The tangent of :func:`embed`: as ``embed``, with 0 in the corner, which is fixed."""
    if vparams.shape[-1] == D:
        return vparams
    full = np.zeros((*vparams.shape[:3], D, D), vparams.dtype)
    full[..., :-1, :-1] = vparams
    return full


def restrict(dfull, k):
    """The adjoint of :func:`embed_tangent`: the entries that are trained, (L, H, 2, k, k)."""
    return dfull[..., :k, :k]


def forward_stack(layer, matrices, X, mark=keep):
    """(1.3)  Run the layers; ``layer`` is the module of one kind. -> the last activation and the tapes."""
    tapes = []
    for l, (P, Q) in enumerate(matrices.swapaxes(1, 2)):
        X, tape = layer.forward(X, P, Q, within(mark, l))
        tapes.append(tape)
    return X, tapes


def backward_stack(layer, tapes, dX, dmatrices, mark=keep):
    """Gradients of all layers, written into ``dmatrices`` (L, H, 2, D, D), from the gradient of the last activation.

    -> the gradient of the first activation, and the gradients dX that entered each layer, last layer last.
    """
    entered = []
    for l in reversed(range(len(tapes))):
        entered.append(dX)
        dX, dmatrices[l, :, 0], dmatrices[l, :, 1] = layer.backward(dX, tapes[l], within(mark, l))
    return dX, entered[::-1]


def prediction_and_tapes(params, X, D, layer, mark=keep):
    """The predictions (B,), the last activation and the tapes."""
    X, tapes = forward_stack(layer, mark("matrices", embed(params, D)), X, mark)
    return mark("prediction", layer.readout(X)), X, tapes


def loss_and_grad_by(layer, params, X, y, D, mark=keep):
    """(1.5) and its gradient for activations X of the kind that ``layer`` works on. -> (loss, like params)"""
    prediction, X, tapes = prediction_and_tapes(params, X, D, layer, mark)
    error = prediction - y  # (B,)
    dprediction = mark("dprediction", 2 * error / len(y))  # (B,)                       (2.14)
    dX = layer.readout_backward(dprediction, X)
    dmatrices = np.zeros((*params.shape[:3], D, D), error.dtype)
    backward_stack(layer, tapes, dX, dmatrices, mark)
    dparams = mark("dparams", restrict(mark("dmatrices", dmatrices), params.shape[-1]))
    return (error * error).mean(), dparams


class Linearization:
    """The gradient's derivative at one point: the forward and backward pass done once, then one product for each direction.

    ``Linearization(layer, params, X, y, D)(v)`` is H v, the tangent of the backward pass along v. Derived in lesson 04.
    """

    def __init__(self, layer, params, X, y, D):
        self.layer, self.D, self.k, self.X0 = layer, D, params.shape[-1], X
        prediction, self.X, self.tapes = prediction_and_tapes(params, X, D, layer)
        dX = layer.readout_backward(2 * (prediction - y) / len(y), self.X)
        dmatrices = np.zeros((*params.shape[:3], D, D), prediction.dtype)
        _, self.dX = backward_stack(layer, self.tapes, dX, dmatrices)

    def __call__(self, v):
        layer, matrices = self.layer, embed_tangent(v, self.D)
        vX, vtapes = self.zero_tangent(), []
        for (vP, vQ), tape in zip(matrices.swapaxes(1, 2), self.tapes, strict=True):
            vX, vtape = layer.tangent(vX, vP, vQ, tape)
            vtapes.append(vtape)
        vprediction = layer.readout(vX)  # the readout is linear
        hX = layer.readout_backward(2 * vprediction / len(vprediction), self.X)  # tangent of (2.14)
        hmatrices = np.zeros(matrices.shape, vprediction.dtype)
        for l in reversed(range(len(vtapes))):
            hX, hmatrices[l, :, 0], hmatrices[l, :, 1] = layer.backward_tangent(self.dX[l], hX, self.tapes[l], vtapes[l])
        return restrict(hmatrices, self.k)

    def zero_tangent(self):
        """The prompts do not move: a zero of the first activation's kind."""
        if isinstance(self.X0, np.ndarray):
            return np.zeros_like(self.X0)
        return self.X0._replace(G=np.zeros_like(self.X0.G), z=np.zeros_like(self.X0.z))


def use_kernels(params, attention, backend):
    """Whether the Numba twins compute this: here they serve linear attention in float64; everything else runs in NumPy."""
    return compiles(params, backend) and attention == "linear"


def compiles(params, backend):
    """Whether this may run compiled at all: asked for, float64, and on a machine where Numba works."""
    one_of("backend", backend, ("numba", "numpy"))
    if backend == "numpy" or params.dtype != np.float64:
        return False
    try:
        from ..kernels import interpreter
    except ImportError:  # a machine without Numba: NumPy answers, more slowly
        return False
    return interpreter.available()


def predict(params, Z, attention="linear"):
    """The model's answer for each prompt's query: prediction = -[Z_L]_{n+1, d+1} (1.4).

    params (L, H, 2, k, k), Z (B, n+1, d+1) -> (B,). attention "linear", "softmax" or "relu".
    Raises ValueError when shapes or values do not fit. Cost O(L H B n^2 d). Source: paper, section 2.
    """
    check_attention(attention)
    params, Z = as_params(params), as_prompts(Z, complex_ok=True)
    check_fit(params, Z)
    return prediction_and_tapes(params, Z, Z.shape[-1], LAYERS[attention])[0]


def loss(params, Z, y, attention="linear"):
    """Mean squared error f = (1/B) sum_b (prediction_b - y_b)^2, not halved (1.5).

    params (L, H, 2, k, k), Z (B, n+1, d+1), y (B,) -> float, or complex when params are. Cost O(L H B n^2 d).
    Raises ValueError when shapes or values do not fit. Source: paper, section 2.
    """
    Z, y = as_prompts(Z, y, complex_ok=True)
    error = predict(params, Z, attention) - y
    value = (error * error).mean()  # not abs: a complex step must pass
    return value.item()


def loss_and_grad(params, Z, y, attention="linear", backend="numba"):
    """The loss and its gradient with respect to params, derived by hand: (1.5), (2.5) to (2.15).

    params (L, H, 2, k, k), Z (B, n+1, d+1), y (B,) -> (float, like params). backend "numba" runs the compiled twin where there
    is one (linear attention, float64), "numpy" the definition; they agree to rounding. Raises ValueError when shapes or values
    do not fit. Cost: NumPy O(L H B n^2 d), Numba O(B n d^2 + L H B d^3). Source: derived in lesson 02.
    """
    params, Z, y = _checked(params, Z, y, attention)
    if use_kernels(params, attention, backend) and Z.dtype.kind != "c":
        from ..kernels import linear as kernels

        return kernels.loss_and_grad(params, kernels.lanes_from_tokens(Z, y))
    value, grad = loss_and_grad_by(LAYERS[attention], params, Z, y, Z.shape[-1])
    return value.item(), grad


def hvp(params, Z, y, v, attention="linear", backend="numba"):
    """The Hessian of the loss times a direction, H v: the tangent of the backward pass along v, (4.1) to (4.13).

    v like params -> like params. No finite difference is involved. Backends, errors and shapes as for ``loss_and_grad``.
    Cost: about three gradients. Source: derived in lesson 04.
    """
    params, Z, y = _checked(params, Z, y, attention)
    v = as_numbers("v", v, complex_ok=True)
    if v.shape != params.shape:
        raise ValueError(f"v: expected the shape of params, {params.shape}, got {v.shape}")
    if use_kernels(params, attention, backend) and "c" not in (Z.dtype.kind, v.dtype.kind):
        from ..kernels import linear as kernels

        return kernels.hvps(params, kernels.lanes_from_tokens(Z, y), v[None])[0]
    return Linearization(LAYERS[attention], params, Z, y, Z.shape[-1])(v)


def hessian(params, Z, y, attention="linear", backend="numba"):
    """The exact Hessian of the loss, one Hessian-vector product for each parameter.

    -> (p, p), p = params.size, in the C order of params. Backends, errors and shapes as for ``loss_and_grad``. ReLU attention:
    the Hessian away from its kinks. Cost: p Hessian-vector products. Source: derived in lesson 04.
    """
    params, Z, y = _checked(params, Z, y, attention)
    directions = np.eye(params.size, dtype=params.dtype).reshape(-1, *params.shape)
    if use_kernels(params, attention, backend) and Z.dtype.kind != "c":
        from ..kernels import linear as kernels

        columns = kernels.hvps(params, kernels.lanes_from_tokens(Z, y), directions)
    else:
        product = Linearization(LAYERS[attention], params, Z, y, Z.shape[-1])
        columns = np.stack([product(v) for v in directions])
    return columns.reshape(params.size, params.size)


def _checked(params, Z, y, attention):
    """The arguments as arrays that fit together."""
    check_attention(attention)
    params = as_params(params)
    Z, y = as_prompts(Z, y, complex_ok=True)
    check_fit(params, Z)
    return params, Z, y
