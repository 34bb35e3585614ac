"""A ReLU network on the covariates, then linear attention: the model of the paper's nonlinear regression, derivatives by hand.

The labels are y = <w, phi(x)> with phi a network that nobody may look into; the model learns features F of its own, and attends
over tokens (F ; label). The attention sees them only through the state of ``gram.py``, and uses full matrices P and Q.
(15.11) tokens = (F ; label), F = network(C), C the covariates      (15.14) dF = the covariates' part of dtokens
(15.12) (G, z) = compress(tokens), as (5.16)                        (15.15) dtokens from (dG, dz), as (5.17)
(15.13) prediction = -label of the query after L layers (5.1) to (5.5)
Parameters are one array theta (p,): W1, b1, W2, b2, then the attention's (L, H, 2, d+1, d+1), each in C order.
The exact diagonal of the Hessian is in ``composed_diagonal.py``. Derived in lesson 15; source: paper, nonlinear regression.
"""

from dataclasses import dataclass

import numpy as np

from .._checks import as_count, as_numbers, as_prompts, as_real, as_rng
from ..layers import gram, mlp
from ..layers.marks import keep
from .transformer import backward_stack, compiles, forward_stack


@dataclass(frozen=True)
class Composed:
    """The shape of a composed model: d covariates, ``hidden`` units, L layers of full matrices with H heads."""

    d: int = 5
    hidden: int = 30
    layers: int = 3
    heads: int = 1

    def __post_init__(self):
        for name in ("d", "hidden", "layers", "heads"):
            object.__setattr__(self, name, as_count(name, getattr(self, name)))

    @property
    def shapes(self):
        """The arrays inside theta, in order: {name: shape}."""
        d, h, D = self.d, self.hidden, self.d + 1
        return {"W1": (h, d), "b1": (h,), "W2": (d, h), "b2": (d,), "attention": (self.layers, self.heads, 2, D, D)}

    @property
    def size(self):
        """p, the number of parameters."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def split(self, theta):
        """The arrays inside theta: (W1, b1, W2, b2), and the attention's (L, H, 2, D, D); views."""
        arrays, start = [], 0
        for shape in self.shapes.values():
            stop = start + int(np.prod(shape))
            arrays.append(theta[start:stop].reshape(shape))
            start = stop
        return arrays[:4], arrays[4]

    def init_params(self, rng, std=0.1):
        """theta (p,): the network uniform as in PyTorch, the attention N(0, std^2). The paper's code has std = 0.1."""
        network = mlp.init_network(as_rng(rng), self.d, self.hidden)
        attention = as_real("std", std, least=0) * rng.standard_normal(self.shapes["attention"])
        return joined(network, attention)

    def predict(self, theta, Z):
        """The answer for each prompt's query (15.13). theta (p,), Z (B, n+1, d+1) -> (B,)"""
        return self._forward(*self._checked(theta, Z), keep, mlp)[0]

    def loss(self, theta, Z, y):
        """Mean squared error (1.5). theta (p,), Z (B, n+1, d+1), y (B,) -> float, or complex when theta is."""
        error = self.predict(theta, Z) - as_prompts(Z, y)[1]
        return (error * error).mean().item()

    def loss_and_grad(self, theta, Z, y, backend="numba"):
        """The loss and its gradient (p,). Backends as for ``transformer.loss_and_grad``. Cost O(B n (h d + d^2) + L H B d^3)."""
        theta, Z = self._checked(theta, Z)
        Z, y = as_prompts(Z, y)
        if compiles(theta, backend) and Z.dtype.kind != "c":
            from ..kernels import composed as kernels_composed

            return kernels_composed.loss_and_grad(self, theta, Z, y)
        value, grad = loss_and_grad_by(self, theta, Z, y)
        return value.item(), grad

    def hvp(self, theta, Z, y, v):
        """H v, the Hessian away from kinks times a direction v (p,): the tangent of the backward pass. -> (p,)"""
        return self.linearization(theta, Z, y)(self.as_theta("v", v))

    def hessian(self, theta, Z, y):
        """The Hessian (p, p) away from kinks: p products. Cost: p Hessian-vector products."""
        product = self.linearization(theta, Z, y)
        return np.stack([product(v) for v in np.eye(self.size)])

    def linearization(self, theta, Z, y):
        """The function v -> H v at one point, with everything that does not depend on v done once."""
        theta, Z = self._checked(theta, Z)
        return Linearization(self, theta, *as_prompts(Z, y))

    def _checked(self, theta, Z):
        Z = as_prompts(Z)
        if Z.shape[2] != self.d + 1:
            raise ValueError(f"Z: expected tokens of width d+1 = {self.d + 1}, got shape {Z.shape}")
        return self.as_theta("theta", theta), Z

    def as_theta(self, name, theta):
        """``theta`` as an array (p,), or ValueError under the argument's ``name``."""
        theta = as_numbers(name, theta, complex_ok=True)
        if theta.shape != (self.size,):
            raise ValueError(f"{name}: expected shape ({self.size},) for {self}, got {theta.shape}")
        return theta

    def _forward(self, theta, Z, mark, network):
        """-> prediction (B,), last state, tapes of the layers, tape of the network, tokens."""
        weights, matrices = self.split(theta)
        F, tape = network.forward(Z[..., :-1], *weights, mark)
        tokens = mark("tokens", np.concatenate([F, np.broadcast_to(Z[..., -1:], (*Z.shape[:2], 1))], axis=-1))  # (15.11)
        state, tapes = forward_stack(gram, mark("matrices", matrices), gram.compress(tokens), mark)  # (15.12)
        return mark("prediction", gram.readout(state)), state, tapes, tape, tokens  # (15.13)


def joined(network, attention):
    """theta (p,) from its arrays."""
    return np.concatenate([array.ravel() for array in (*network, attention)])


def loss_and_grad_by(model, theta, Z, y, mark=keep, network=mlp):
    """The loss and its gradient (p,) in NumPy; ``network`` is the module of the network."""
    prediction, state, tapes, tape, tokens = model._forward(theta, Z, mark, network)
    error = prediction - y  # (B,)
    dprediction = mark("dprediction", 2 * error / len(y))  # (B,)                                         (2.14)
    dmatrices = np.zeros(model.shapes["attention"], error.dtype)
    dstate, _ = backward_stack(gram, tapes, gram.readout_backward(dprediction, state), dmatrices, mark)
    dmatrices = mark("dmatrices", dmatrices)
    dtokens = mark("dtokens", gram.compress_backward(dstate, tokens))  # (B, N, D)                        (15.15)
    _, *dnetwork = network.backward(dtokens[..., :-1], tape, mark)  # the covariates' part                (15.14)
    return (error * error).mean(), joined(dnetwork, dmatrices)


class Linearization:
    """The gradient's derivative at one point: ``Linearization(model, theta, Z, y)(v)`` is H v."""

    def __init__(self, model, theta, Z, y, network=mlp):
        self.model, self.network, self.batch = model, network, len(y)
        prediction, self.last, self.tapes, self.tape, self.tokens = model._forward(theta, Z, keep, network)
        dmatrices = np.zeros(model.shapes["attention"], prediction.dtype)
        dlast = gram.readout_backward(2 * (prediction - y) / len(y), self.last)
        self.dstate, self.entered = backward_stack(gram, self.tapes, dlast, dmatrices)
        self.dtokens = gram.compress_backward(self.dstate, self.tokens)
        self.weights = model.split(theta)[0]

    def __call__(self, v):
        vweights, vmatrices = self.model.split(v)
        no_move = np.zeros((*self.tokens.shape[:2], self.model.d))
        vF, vtape = self.network.tangent(no_move, *vweights, self.tape)
        vtokens = np.concatenate([vF, np.zeros((*vF.shape[:2], 1))], axis=-1)  # labels do not move          of (15.11)
        hstate, hmatrices = self.through_attention(compress_tangent(self.tokens, vtokens), vmatrices)
        htokens = gram.compress_backward(hstate, self.tokens) + gram.compress_backward(
            self.dstate._replace(z=np.zeros_like(self.dstate.z)), vtokens
        )  # of (15.15)
        _, *hnetwork = self.network.backward_tangent(self.dtokens[..., :-1], htokens[..., :-1], self.tape, vtape)
        return joined(hnetwork, hmatrices)

    def through_attention(self, vstate, vmatrices):
        """The tangents of the gradients of the first state and of the matrices, when both move. -> State, (L, H, 2, D, D)"""
        vtapes = []
        for (vP, vQ), tape in zip(vmatrices.swapaxes(1, 2), self.tapes, strict=True):
            vstate, vtape = gram.tangent(vstate, vP, vQ, tape)
            vtapes.append(vtape)
        hstate = gram.readout_backward(2 * gram.readout(vstate) / self.batch, self.last)  # tangent of (2.14)
        hmatrices = np.zeros(vmatrices.shape)
        for l in reversed(range(len(vtapes))):
            hstate, hmatrices[l, :, 0], hmatrices[l, :, 1] = gram.backward_tangent(
                self.entered[l], hstate, self.tapes[l], vtapes[l]
            )
        return hstate, hmatrices


def compress_tangent(tokens, vtokens):
    """The tangent of the state when the tokens move along V: vG = V^T tokens + tokens^T V, vz = V of the query."""
    examples, vexamples = tokens[:, :-1], vtokens[:, :-1]  # (B, n, D)
    cross = vexamples.mT @ examples  # (B, D, D)
    return gram.State(cross + cross.mT, vtokens[:, -1], examples.shape[1])
