"""The layers that the audit knows: kinds of attention from ``models.attentions``, and others, registered in one line each."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ..._checks import as_count, as_real, one_of
from ...layers import causal_softmax, cross_entropy, general_attention, gram, layer_norm, linear_attention, mlp
from ...models.attentions import ATTENTIONS
from ..row import CANNOT_JUDGE, Row
from .composed import draw_network

DEFAULT_POINT = {"layers": 3, "d": 5, "n": 20, "batch": 8, "heads": 1, "sigma": 0.3, "full": False, "symmetric": False}
REGISTRY: dict[str, "Entry"] = {}


@dataclass(frozen=True)
class Entry:
    """A layer as the audit knows it: its module, how to draw its inputs, and the points that suit it."""

    name: str
    module: ModuleType
    draw: Callable[
        [np.random.Generator, dict[str, Any]], dict[str, Any]
    ]  # (rng, point) -> {argument of forward: array or NamedTuple of arrays}
    attention: str  # its name in transformer.loss, or ""
    residual: tuple[str, ...]  # entries of theta that the residual carries through
    smooth: bool  # False: kinks, so the Taylor test needs few scores
    composed: bool  # its model is attention on the features that it makes
    built_on: tuple[ModuleType, ...]  # layers that it calls, whose lines are then among its own
    options: Callable[[dict[str, Any]], dict[str, Any]]  # point -> what its forward is told beside its arrays

    @property
    def stacks(self) -> bool:
        """Whether there is a whole model made of it."""
        return bool(self.attention) or self.composed


def register(
    name: str,
    module: ModuleType,
    draw: Callable[[np.random.Generator, dict[str, Any]], dict[str, Any]],
    attention: str = "",
    residual: tuple[str, ...] = (),
    smooth: bool = True,
    composed: bool = False,
    built_on: tuple[ModuleType, ...] = (),
    options: Callable[[dict[str, Any]], dict[str, Any]] = lambda point: {},
) -> None:
    """Make a layer known to the audit. Its module has forward, backward, tangent, backward_tangent, as linear_attention.py."""
    REGISTRY[name] = Entry(name, module, draw, attention, residual, smooth, composed, built_on, options)


def draw_tokens(rng: np.random.Generator, point: dict[str, Any]) -> dict[str, Any]:
    """Z (B, n+1, d+1) and generic P, Q (H, d+1, d+1)."""
    D, shape = point["d"] + 1, (point["batch"], point["n"] + 1, point["d"] + 1)
    return {"Z": rng.standard_normal(shape), **_matrices(rng, point, D)}


def draw_state(rng: np.random.Generator, point: dict[str, Any]) -> dict[str, Any]:
    """A state with a general G, so that no line can lean on its symmetry, and generic P, Q."""
    B, D, n = point["batch"], point["d"] + 1, point["n"]
    state = gram.State(rng.standard_normal((B, D, D)) * n, rng.standard_normal((B, D)), n)
    return {"state": state, **_matrices(rng, point, D)}


def draw_general(rng: np.random.Generator, point: dict[str, Any]) -> dict[str, Any]:
    """Tokens, P and Q as for linear attention, and a generic skip R (d+1, d+1)."""
    tokens = draw_tokens(rng, point)
    R = point["sigma"] * rng.standard_normal((point["d"] + 1, point["d"] + 1))
    return {**tokens, "R": R + R.mT if point["symmetric"] else R}


def causal(point: dict[str, Any]) -> dict[str, Any]:
    """A mask over pairs and a factor 1/n of no importance, so that no line can lean on the paper's."""
    return {"mask": np.tri(point["n"] + 1), "n": 3.7}


def _matrices(rng: np.random.Generator, point: dict[str, Any], D: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in ("P", "Q"):
        X = point["sigma"] * rng.standard_normal((point["heads"], D, D))
        out[name] = X + X.mT if point["symmetric"] else X
    return out


def draw_norm(rng: np.random.Generator, point: dict[str, Any]) -> dict[str, Any]:
    """Tokens X (B, n+1, d+1), a gain around one, where training begins, and a bias around zero."""
    D, sigma = point["d"] + 1, point["sigma"]
    X = rng.standard_normal((point["batch"], point["n"] + 1, D))
    return {"X": X, "gain": 1 + sigma * rng.standard_normal(D), "bias": sigma * rng.standard_normal(D)}


def draw_heads(rng: np.random.Generator, point: dict[str, Any]) -> dict[str, Any]:
    """Queries, keys and values (B, H, n+1, d+1)."""
    shape = (point["batch"], point["heads"], point["n"] + 1, point["d"] + 1)
    return {name: rng.standard_normal(shape) for name in ("q", "k", "v")}


def draw_logits(rng: np.random.Generator, point: dict[str, Any]) -> dict[str, Any]:
    """Logits (B, n+1, d+1) over d+1 symbols."""
    return {"logits": rng.standard_normal((point["batch"], point["n"] + 1, point["d"] + 1))}


def some_targets(point: dict[str, Any]) -> dict[str, Any]:
    """A target and a weight for every token, each different, so that no line can lean on equal shares; the first counts
    nothing.
    """
    B, N, K = point["batch"], point["n"] + 1, point["d"] + 1
    places = np.arange(B * N).reshape(B, N)
    return {"targets": (places * places + places // 3) % K, "weights": np.sqrt(places)}


register("state", gram, draw_state, "linear", residual=("G", "z"))
register("general", general_attention, draw_general, residual=("Z",), built_on=(linear_attention,), options=causal)
register("mlp", mlp, draw_network, smooth=False, composed=True)
register("layer norm", layer_norm, draw_norm)
register("causal softmax", causal_softmax, draw_heads)
register("cross-entropy", cross_entropy, draw_logits, options=some_targets)


def entry_of(name: str) -> Entry:
    """What the audit knows of a layer. A kind of attention is known as soon as it is entered in ``models.attentions``.

    Raises ValueError for a name that is neither there nor registered.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    attention = ATTENTIONS[one_of("name", name, known_layers())]
    nothing: dict[str, Any] = {}
    return Entry(name, attention.layer, draw_tokens, name, ("Z",), attention.smooth, False, (), lambda point: nothing)


def known_layers(stacks: bool = False) -> tuple[str, ...]:
    """The names of all layers; with ``stacks`` of those of which there is a whole model."""
    names = tuple(dict.fromkeys((*ATTENTIONS, *REGISTRY)))
    return tuple(name for name in names if entry_of(name).stacks) if stacks else names


def layer_of_module(module: str) -> str | None:
    """The layer whose module has this short name; None where it is no layer's."""
    return next((name for name in known_layers() if entry_of(name).module.__name__.rpartition(".")[2] == module), None)


def as_point(name: str, point: dict[str, Any]) -> dict[str, Any]:
    """The default point with what was asked put in its place; few scores where the layer has kinks."""
    few = {} if entry_of(name).smooth else {"batch": 2, "n": 5}
    known = (*DEFAULT_POINT, "hidden") if entry_of(name).composed else tuple(DEFAULT_POINT)
    unknown = [key for key in point if key not in known]
    if unknown:
        raise ValueError(f"point: expected some of {', '.join(DEFAULT_POINT)}, got {', '.join(unknown)}")
    point = {**DEFAULT_POINT, **few, **point}
    for key in ("layers", "d", "n", "batch", "heads"):
        as_count(key, point[key])
    as_real("sigma", point["sigma"], least=0)
    for key in ("full", "symmetric"):
        point[key] = bool(point[key])
    return point


def sizes_of_one(point: dict[str, Any], layers: bool) -> list[Row]:
    """Sizes of one hide what only shows at two: say which, as rows."""
    hidden = {"n": "1/n and 1 are the same", "d": "a matrix and its transpose are the same"}
    if layers:
        hidden["batch"] = "a mean over the batch and a sum are the same"
    ones = [(key, what) for key, what in hidden.items() if point[key] == 1]
    return [Row("point", f"{key} = 1", 1.0, None, None, None, CANNOT_JUDGE, f"at {key} = 1 {what}") for key, what in ones]
