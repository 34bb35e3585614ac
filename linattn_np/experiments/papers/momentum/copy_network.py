"""A small causal Transformer whose attention is softmax, linear, or linear with momentum; the whole of its backward pass.

Forward, of a layer X -> X''                               Backward
(21.44) X   = [E[a_t] ; s_t]  the first layer's            (21.48) dU = sum dlogits^T X,  dc = sum dlogits,  dX = dlogits U
(21.45) q, k, v = X W^T cut in three, then into heads      (21.49) dX' = dY'' + what the network hands down, so dX of dY'
        X'  = norm(X + O Wo^T),  O attention               (21.50) dWo = sum dY'^T O,  dO = dY' Wo
(21.46) X'' = norm(X' + network(X'))                       (21.51) dW = sum dqkv^T X,  dX += dqkv W
(21.47) logits = X U^T + c,  loss the cross-entropy        (21.52) dE[v] = sum of dX_t over the t with a_t = v

Its parts are ``layers.causal_softmax`` or ``causal_attention`` with ``reweighting``, ``layers.layer_norm``, ``layers.mlp`` and
``layers.cross_entropy``. Half of a token's width is its symbol, half the sines and cosines s_t of its place, side by side as in
the authors' code; norms stand behind the sums. All numbers lie in one array, so that any optimizer takes them. Derived in lesson
21.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...._checks import as_count, as_numbers, as_real, as_rng, one_of
from ...._types import Array
from ....audit import audit_gradient
from ....audit.report import Report
from ....layers import causal_softmax, cross_entropy, layer_norm, mlp
from ....layers.marks import Mark, keep, within
from . import causal_attention, reweighting

KINDS = ("softmax", "linear")


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    symbols: Array  # (B, T)
    layers: list[Any]  # (X, O and the tapes of attention, norm, network, norm) of each layer
    X: Array  # (B, T, w), the last tokens


@dataclass(frozen=True)
class CopyNetwork:
    """The network of these sizes: K symbols, width w, H heads, h hidden units; beta = 0, gamma = 1 is plain linear attention.

    ``released`` weights by the distance to the end of the text, as the authors' parallel code does. Raises ValueError for sizes
    below 1, an odd width or one that the heads do not divide, and another kind of attention.
    """

    kind: str = "linear"
    beta: float = 0.0
    gamma: float = 1.0
    layers: int = 1
    released: bool = False
    symbols: int = 11
    width: int = 32
    heads: int = 4
    hidden: int = 128

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        for name in ("layers", "symbols", "width", "heads", "hidden"):
            as_count(name, getattr(self, name))
        as_real("beta", self.beta, least=0, below=1)
        as_real("gamma", self.gamma)
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width: expected an even multiple of heads = {self.heads}, got {self.width}")

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """{name: shape} of the weights, in the order in which they lie in the array."""
        w, h = self.width, self.hidden
        found: dict[str, tuple[int, ...]] = {"E": (self.symbols, w // 2)}
        for l in range(self.layers):
            found |= {
                f"{l}.W": (3 * w, w),
                f"{l}.Wo": (w, w),
                f"{l}.gain1": (w,),
                f"{l}.bias1": (w,),
                f"{l}.W1": (h, w),
                f"{l}.b1": (h,),
            }
            found |= {f"{l}.W2": (w, h), f"{l}.b2": (w,), f"{l}.gain2": (w,), f"{l}.bias2": (w,)}
        return {**found, "U": (self.symbols, w), "c": (self.symbols,)}

    @cached_property
    def size(self) -> int:
        """How many numbers are trained."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def split(self, params: Array) -> dict[str, Array]:
        """The weights by name: views of the array."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes.values()])
        pieces = np.split(params, ends[:-1])
        return {name: piece.reshape(shape) for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)}

    def init_params(self, rng: np.random.Generator) -> Array:
        """Random weights (size,): symbols normal, matrices and biases uniform on +-1/sqrt(inputs), norms 1 and 0, as PyTorch
        begins.
        """
        rng, found = as_rng(rng), []
        for name, shape in self.shapes.items():
            inputs = self.hidden if name.endswith(("W2", "b2")) else self.width
            if name == "E":
                found.append(rng.standard_normal(shape))
            elif "gain" in name or "bias" in name:
                found.append(np.full(shape, float("gain" in name)))
            else:
                found.append(rng.uniform(-1, 1, shape) / inputs**0.5)
        return np.concatenate([array.ravel() for array in found])

    def as_params(self, params: Any) -> Array:
        """``params`` as an array (size,), real or complex; ValueError for another shape."""
        params = as_numbers("params", params, complex_ok=True)
        if params.shape != (self.size,):
            raise ValueError(f"params: expected shape ({self.size},) for {self}, got {params.shape}")
        return params

    def attend(self, q: Array, k: Array, v: Array) -> tuple[Array, Any]:
        """This network's attention on heads (B, H, T, D). -> O and its tape"""
        if self.kind == "softmax":
            return causal_softmax.forward(q, k, v)
        W, _ = reweighting.forward(np.array(self.beta), np.array(self.gamma), q.shape[-2], self.released)
        return causal_attention.forward(q, k, v, W.astype(q.real.dtype))

    def forward(self, w: dict[str, Array], symbols: Array, mark: Mark = keep) -> tuple[Array, Tape]:
        """Logits (B, T, K) for symbols (B, T), from the weights by name: (21.44) to (21.47). Cost O(layers B T w (w + h + T))."""
        # F1  X = [E[a_t] ; s_t]                                                                 (21.44)
        place = places(symbols.shape[1], self.width // 2).astype(w["E"].real.dtype)
        place = np.broadcast_to(place, (*symbols.shape, self.width // 2))
        X, tapes = mark("X", np.concatenate([w["E"][symbols], place], axis=-1)), []  # (B, T, w)
        for l in range(self.layers):
            use, own = within(mark, l), lambda name, l=l: w[f"{l}.{name}"]
            # F2  q, k, v = X W^T, cut in three, then into heads                                 (21.45)
            qkv = use("qkv", mapped(X, own("W").T))  # (B, T, 3 w)
            O, attended = self.attend(*heads_of(qkv, self.heads))
            O = use("O", joined(O))  # (B, T, w)
            # F3  X' = norm(X + O Wo^T)                                                          (21.45)
            Y1 = use("Y1", X + mapped(O, own("Wo").T))  # (B, T, w)
            X1, norm1 = layer_norm.forward(Y1, own("gain1"), own("bias1"))  # (B, T, w)
            # F4  X'' = norm(X' + network(X'))                                                   (21.46)
            M, network = mlp.forward(one_row(X1), own("W1"), own("b1"), own("W2"), own("b2"))  # (1, B T, w)
            Y2 = use("Y2", X1 + M.reshape(X1.shape))  # (B, T, w)
            before, (X, norm2) = X, layer_norm.forward(Y2, own("gain2"), own("bias2"))  # (B, T, w)
            tapes.append((before, O, attended, norm1, network, norm2))
        # F5  logits = X U^T + c                                                                 (21.47)
        return mark("logits", mapped(X, w["U"].T) + w["c"]), Tape(symbols, tapes, X)

    def backward(self, dlogits: Array, w: dict[str, Array], tape: Tape, mark: Mark = keep) -> dict[str, Array]:
        """The gradients of the weights by name, from that of the logits (B, T, K): (21.48) to (21.52)."""
        dlogits = mark("dlogits", dlogits)  # (B, T, K)
        # B5  undoes F5  logits = X U^T + c
        d = {"U": over_tokens(dlogits, tape.X), "c": dlogits.sum(axis=(0, 1))}  # (21.48)
        dX = mapped(dlogits, w["U"])  # (B, T, w)                                               (21.48)
        for l in reversed(range(self.layers)):
            X, O, attended, norm1, network, norm2 = tape.layers[l]
            use, name = within(mark, l), f"{l}."
            # B4  undoes F4  X'' = norm(X' + network(X')): to the sum, and through the network
            dY2, d[f"{name}gain2"], d[f"{name}bias2"] = layer_norm.backward(dX, norm2)
            dY2 = use("dY2", dY2)  # (B, T, w)
            dM, d[f"{name}W1"], d[f"{name}b1"], d[f"{name}W2"], d[f"{name}b2"] = mlp.backward(one_row(dY2), network)
            dX1 = dY2 + dM.reshape(dY2.shape)  # (B, T, w)                                                  (21.49)
            # B3  undoes F3  X' = norm(X + O Wo^T)
            dY1, d[f"{name}gain1"], d[f"{name}bias1"] = layer_norm.backward(dX1, norm1)
            dY1 = use("dY1", dY1)  # (B, T, w)
            d[f"{name}Wo"] = over_tokens(dY1, O)  # (w, w)                               (21.50)
            dO = use("dO", mapped(dY1, w[f"{name}Wo"]))  # (B, T, w)                            (21.50)
            # B2  undoes F2  attention on heads, then q, k, v = X W^T
            kind: Any = causal_softmax if self.kind == "softmax" else causal_attention
            dq, dk, dv = kind.backward(one_head(dO, self.heads), attended)[:3]
            dqkv = use("dqkv", np.concatenate([joined(dq), joined(dk), joined(dv)], axis=-1))  # (B, T, 3 w)
            d[f"{name}W"] = over_tokens(dqkv, X)  # (3 w, w)                             (21.51)
            dX = dY1 + mapped(dqkv, w[f"{name}W"])  # (B, T, w)                                 (21.51)
        # B1  undoes F1  X = [E[a_t] ; s_t]: a row collects the places that read it
        dX = mark("dX", dX)  # (B, T, w)
        hot = (tape.symbols[..., None] == np.arange(self.symbols)).astype(dX.real.dtype)
        d["E"] = over_tokens(hot, dX[..., : self.width // 2])  # (K, w/2)                (21.52)
        return d

    def loss(self, params: Array, symbols: Array, targets: Array, weights: Array, mark: Mark = keep) -> Any:
        """The mean cross-entropy of the targets (B, T) that count: weights (B, T)."""
        logits, _ = self.forward(self.split(params), symbols, mark)
        return cross_entropy.forward(logits, targets, weights)[0]

    def loss_and_grad(
        self, params: Array, symbols: Array, targets: Array, weights: Array, mark: Mark = keep
    ) -> tuple[Any, Array, Array]:
        """The same with its gradient (size,) and the logits (B, T, K)."""
        w = self.split(params)
        logits, tape = self.forward(w, symbols)
        value, last = cross_entropy.forward(logits, targets, weights)
        dlogits = cross_entropy.backward(np.ones(()), last).astype(logits.dtype)  # single precision stays what it is
        d = self.backward(dlogits, w, tape, mark)
        return value, np.concatenate([d[name].ravel() for name in self.shapes]), logits


def places(T: int, width: int) -> Array:
    """s_t, (T, width): sines and cosines of wavelengths from 2 pi to 20000 pi."""
    angle = np.arange(T)[:, None] / 10_000.0 ** (2 * np.arange((width + 1) // 2) / width)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(T, -1)[:, :width]


def one_head(X: Array, H: int) -> Array:
    """(B, T, w) cut into heads (B, H, T, w / H)."""
    return X.reshape(*X.shape[:2], H, -1).swapaxes(1, 2)


def heads_of(qkv: Array, H: int) -> list[Array]:
    """Queries, keys and values (B, T, 3 w) as three arrays of heads."""
    return [one_head(part, H) for part in np.split(qkv, 3, axis=-1)]


def joined(O: Array) -> Array:
    """Heads (B, H, T, w / H) side by side again, (B, T, w)."""
    return O.swapaxes(1, 2).reshape(O.shape[0], O.shape[2], -1)


def one_row(X: Array) -> Array:
    """The tokens of all texts in one row, (1, B T, w): one large product is faster than many small ones."""
    return X.reshape(1, -1, X.shape[-1])


def mapped(X: Array, W: Array) -> Array:
    """X W for the tokens of all texts at once. (B, T, w), (w, u) -> (B, T, u)"""
    return (X.reshape(-1, X.shape[-1]) @ W).reshape(*X.shape[:-1], -1)


def over_tokens(dY: Array, X: Array) -> Array:
    """The sum over texts and places of dY^T X: the gradient of W in Y = X W^T."""
    return dY.reshape(-1, dY.shape[-1]).T @ X.reshape(-1, X.shape[-1])


# ---------------------------------------------------------------- its audits


def _audited(kind: str, seed: int) -> Report:
    model = CopyNetwork(kind, 0.6, 0.7, symbols=3, width=4, heads=2, hidden=3)
    rng = np.random.default_rng(seed)
    symbols, targets, weights = *rng.integers(3, size=(2, 2, 5)), rng.random((2, 5))
    w = model.split(model.init_params(rng))
    theta = {name: array + 0.3 * rng.standard_normal(array.shape) for name, array in w.items()}

    def flat(theta: dict[str, Array]) -> Array:
        return np.concatenate([array.ravel() for array in theta.values()])

    def run(theta: Any, mark: Mark = keep) -> Any:
        return model.loss(flat(theta), symbols, targets, weights, mark)

    def back(theta: Any, mark: Mark = keep) -> dict[str, Array]:
        return model.split(model.loss_and_grad(flat(theta), symbols, targets, weights, mark)[1])

    return audit_gradient(run, back, theta, title=f"copy network, {kind}")


def step_error() -> float:
    """How far the gradient along a random direction is from a complex step of the loss, each array by itself."""
    model, rng = CopyNetwork("linear", 0.6, 0.7, layers=2, symbols=5, width=8, heads=2, hidden=7), np.random.default_rng(22)
    symbols, targets, weights = *rng.integers(5, size=(2, 3, 6)), rng.random((3, 6))
    params, v = model.init_params(rng) + 0.3 * rng.standard_normal(model.size), rng.standard_normal(model.size)
    grad, worst = model.split(model.loss_and_grad(params, symbols, targets, weights)[1]), 0.0
    for name, direction in model.split(v).items():
        along = np.zeros(model.size)
        model.split(along)[name][...] = direction
        slope = model.loss(params + 1e-30j * along, symbols, targets, weights).imag / 1e-30
        worst = max(worst, float(abs((grad[name] * direction).sum() - slope)))
    return worst


AUDITS = {"softmax": lambda: _audited("softmax", 21), "linear": lambda: _audited("linear", 22)}
CHECKS = {"complex step": step_error}
