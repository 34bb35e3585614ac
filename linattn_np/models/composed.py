"""A ReLU network on the covariates, then linear attention: the model of the paper's nonlinear regression, derivatives by hand.

The labels are y = <w, phi(x)> with phi a network that nobody may look into; the model learns features F of its own, and attends
over tokens (F ; label). The attention sees them only through the state of ``gram.py``, and uses full matrices P and Q.
(15.11) tokens = (F ; label), F = network(C), C the covariates      (15.14) dF = the covariates' part of dtokens
(15.12) (G, z) = compress(tokens), as (5.16)                        (15.15) dtokens from (dG, dz), as (5.17)
(15.13) prediction = -label of the query after L layers (5.1) to (5.5)
Parameters are one array theta (p,): W1, b1, W2, b2, then the attention's (L, H, 2, d+1, d+1), each in C order.
The exact diagonal of the Hessian is in ``composed_diagonal.py``. Derived in lesson 15; source: paper, nonlinear regression.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from .._checks import as_count, as_numbers, as_prompts, as_real, as_rng, check_memory, one_of
from .._types import Array
from ..kernels.random_numpy import normals_from
from ..layers import gram, mlp
from ..layers.marks import keep
from ..prompts import RegressionTask
from .fresh import is_drawn_in_lanes
from .model import Passes, check_width
from .passes import BACKENDS, can_compile, kernels
from .stack import StackLinearization, backward_stack, forward_stack


@dataclass(frozen=True)
class Composed:
    """A composed model: d covariates, ``hidden`` units, L layers of full matrices with H heads; a model as ``model.py`` says.

    ``backend`` "numba" runs the compiled gradient, "numpy" the definition; they agree to rounding.
    """

    d: int = 5
    hidden: int = 30
    layers: int = 3
    heads: int = 1
    backend: str = "numba"

    def __post_init__(self) -> None:
        for name in ("d", "hidden", "layers", "heads"):
            object.__setattr__(self, name, as_count(name, getattr(self, name)))
        largest = max(("d", "hidden", "layers", "heads"), key=lambda name: getattr(self, name))
        numbers = 2 * self.d * self.hidden + 2 * self.layers * self.heads * (self.d + 1) ** 2
        check_memory(largest, getattr(self, largest), 16 * numbers // getattr(self, largest))
        one_of("backend", self.backend, BACKENDS)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The arrays inside theta, in order: {name: shape}."""
        d, h, D = self.d, self.hidden, self.d + 1
        return {"W1": (h, d), "b1": (h,), "W2": (d, h), "b2": (d,), "attention": (self.layers, self.heads, 2, D, D)}

    @property
    def size(self) -> int:
        """p, the number of parameters."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def groups(self, by: str) -> Array:
        """The number of each entry's "block", an array W1, b1, W2, b2, P_l,h or Q_l,h, or "layer": W1 and b1, W2 and b2, then l.

        -> (p,)
        """
        L, H, _, D, _ = self.shapes["attention"]
        network = [int(np.prod(shape)) for shape in list(self.shapes.values())[:4]]
        inside = [D * D] * (2 * H * L)
        count, layers = len(network) + len(inside), [0, 0, 1, 1, *(2 + np.arange(2 * H * L) // (2 * H))]
        return np.repeat(np.arange(count) if by == "block" else np.array(layers), [*network, *inside])

    def split(self, theta: Array) -> tuple[list[Array], Array]:
        """The arrays inside theta: (W1, b1, W2, b2), and the attention's (L, H, 2, D, D); views."""
        arrays, start = [], 0
        for shape in self.shapes.values():
            stop = start + int(np.prod(shape))
            arrays.append(theta[start:stop].reshape(shape))
            start = stop
        return arrays[:4], arrays[4]

    def init_params(self, rng: np.random.Generator, std: float = 0.1) -> Array:
        """theta (p,): the network uniform as in PyTorch, the attention N(0, std^2). The paper's code has std = 0.1.

        ``train`` and ``Run`` start every model at their own std, 0.05 unless they are told another.
        """
        network = mlp.init_network(as_rng(rng), self.d, self.hidden)
        attention = as_real("std", std, least=0) * normals_from(rng, self.shapes["attention"])
        return joined(network, attention)

    def predict(self, theta: Array, Z: Array) -> Array:
        """The answer for each prompt's query (15.13). theta (p,), Z (B, n+1, d+1) -> (B,)"""
        return self._forward(*self._checked(theta, Z), keep, mlp)[0]

    def loss(self, theta: Array, Z: Array, y: Array) -> float:
        """Mean squared error (1.5). theta (p,), Z (B, n+1, d+1), y (B,) -> float, or complex when theta is."""
        error = self.predict(theta, Z) - as_prompts(Z, y)[1]
        return (error * error).mean().item()

    def loss_and_grad(self, theta: Array, Z: Array, y: Array, backend: str | None = None) -> tuple[float, Array]:
        """The loss and its gradient (p,). ``backend`` in the place of the model's. Cost O(B n (h d + d^2) + L H B d^3)."""
        theta, Z = self._checked(theta, Z)
        Z, y = as_prompts(Z, y)
        model = self if backend is None else replace(self, backend=backend)
        value, grad = model.passes(theta, Z).loss_and_grad(theta, (Z, y))
        number = value if isinstance(value, float | complex) else value.item()  # complex as params are
        return number, grad  # type: ignore[return-value]

    def hvp(self, theta: Array, Z: Array, y: Array, v: Array) -> Array:
        """H v, the Hessian away from kinks times a direction v (p,): the tangent of the backward pass. -> (p,)"""
        return self.linearization(theta, Z, y)(self.as_params(v, "v"))

    def hessian(self, theta: Array, Z: Array, y: Array) -> Array:
        """The Hessian (p, p) away from kinks: p products. Cost: p Hessian-vector products."""
        product = self.linearization(theta, Z, y)
        return np.stack([product(v) for v in np.eye(self.size)])

    def linearization(self, theta: Array, Z: Array, y: Array) -> "Linearization":
        """The function v -> H v at one point, with everything that does not depend on v done once."""
        theta, Z = self._checked(theta, Z)
        return Linearization(self, theta, *as_prompts(Z, y))

    def _checked(self, theta: Array, Z: Array) -> tuple[Array, Array]:
        Z = as_prompts(Z)
        check_width(self, Z)
        return self.as_params(theta, "theta"), Z

    def as_params(self, params: Any, name: str = "params") -> Array:
        """``params`` as an array (p,), or ValueError under the argument's ``name``; real or complex."""
        params = as_numbers(name, params, complex_ok=True)
        if params.shape != (self.size,):
            raise ValueError(f"{name}: expected shape ({self.size},) for {self}, got {params.shape}")
        return params

    def passes(self, *arrays: Array) -> Passes:
        """What computes this model's numbers, for params and other arrays of these types."""
        return (CompiledPasses if can_compile(self.backend, *arrays) else NumpyPasses)(self)

    def tokens(self, weights: list[Array], Z: Array, mark: Callable, network: ModuleType) -> tuple[Array, Any]:
        """The tokens (F ; label) that the attention sees (15.11), and the network's tape."""
        F, tape = network.forward(Z[..., :-1], *weights, mark)
        return mark("tokens", np.concatenate([F, np.broadcast_to(Z[..., -1:], (*Z.shape[:2], 1))], axis=-1)), tape

    def _forward(self, theta: Array, Z: Array, mark: Callable, network: ModuleType) -> tuple[Array, Any, list, Any, Array]:
        """-> prediction (B,), last state, tapes of the layers, tape of the network, tokens."""
        weights, matrices = self.split(theta)
        tokens, tape = self.tokens(weights, Z, mark, network)  # (15.11)
        state, tapes = forward_stack(gram, mark("matrices", matrices), gram.compress(tokens), mark)  # (15.12)
        return mark("prediction", gram.readout(state)), state, tapes, tape, tokens  # (15.13)


class NumpyPasses(Passes):
    """A composed model by its definition."""

    def loss_and_grad(self, params: Array, batch: Any) -> tuple[Any, Array]:
        return loss_and_grad_by(self.model, params, *batch)

    def hvps(self, params: Array, batch: Any, directions: Array) -> Array:
        product = Linearization(self.model, params, *batch)
        return np.stack([product(v) for v in directions])


class CompiledPasses(NumpyPasses):
    """A composed model by its compiled twin; second order by NumPy."""

    parallel = True

    def loss_and_grad(self, params: Array, batch: Any) -> tuple[Any, Array]:
        return kernels("composed").loss_and_grad(self.model, params, *batch)

    def adder(self, params: Array, n: int) -> Callable[[Any, Array], None]:
        add, model = kernels("composed").add_gradient, self.model
        return lambda batch, out: add(model, params, *batch, 0, len(batch[1]), out)

    def drawing_adder(self, task: RegressionTask) -> Callable[[Array, Array, Array, Array], None]:
        if not is_drawn_in_lanes(task):
            return super().drawing_adder(task)
        add, law, model = kernels("composed").add_drawn_gradients, kernels("draws").law_of(task), self.model
        return lambda points, sizes, chunks, out: add(model, points, law, sizes, chunks, out)


def joined(network: Iterable[Array], attention: Array) -> Array:
    """theta (p,) from its arrays."""
    return np.concatenate([array.ravel() for array in (*network, attention)])


def loss_and_grad_by(
    model: Composed, theta: Array, Z: Array, y: Array, mark: Callable = keep, network: ModuleType = mlp
) -> tuple[np.floating, Array]:
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

    def __init__(self, model: Composed, theta: Array, Z: Array, y: Array, network: ModuleType = mlp) -> None:
        self.model, self.network = model, network
        self.weights, matrices = model.split(theta)
        self.tokens, self.tape = model.tokens(self.weights, Z, keep, network)
        self.attention = StackLinearization(gram, matrices, gram.compress(self.tokens), y)
        self.dstate = self.attention.dX  # the gradient of the first state
        self.dtokens = gram.compress_backward(self.dstate, self.tokens)

    def __call__(self, v: Array) -> Array:
        vweights, vmatrices = self.model.split(v)
        no_move = np.zeros((*self.tokens.shape[:2], self.model.d))
        vF, vtape = self.network.tangent(no_move, *vweights, self.tape)
        vtokens = np.concatenate([vF, np.zeros((*vF.shape[:2], 1))], axis=-1)  # labels do not move          of (15.11)
        hstate, hmatrices = self.attention.along(compress_tangent(self.tokens, vtokens), vmatrices)
        htokens = gram.compress_backward(hstate, self.tokens) + gram.compress_backward(
            self.dstate._replace(z=np.zeros_like(self.dstate.z)), vtokens
        )  # of (15.15)
        _, *hnetwork = self.network.backward_tangent(self.dtokens[..., :-1], htokens[..., :-1], self.tape, vtape)
        return joined(hnetwork, hmatrices)


def compress_tangent(tokens: Array, vtokens: Array) -> gram.State:
    """The tangent of the state when the tokens move along V: vG = V^T tokens + tokens^T V, vz = V of the query."""
    examples, vexamples = tokens[:, :-1], vtokens[:, :-1]  # (B, n, D)
    cross = vexamples.mT @ examples  # (B, D, D)
    return gram.State(cross + cross.mT, vtokens[:, -1], examples.shape[1])
