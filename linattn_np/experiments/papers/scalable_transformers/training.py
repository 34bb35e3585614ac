"""Training all widths at once: the wide model and a narrower one at each step, with labels or with the wide model's own
answers.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...._checks import one_of
from ...._types import Array
from ....layers.softmax_attention import softmax
from ....optimizers import Adam, Cosine, Scheduled
from .block import Params
from .nested import add, cropped

STAGES = ("full", "joint", "word", "sequence")
SHARE = 0.5  # of the wide model's probabilities in the targets of "word"

Draw = Callable[[np.random.Generator], tuple[Array, Array]]


class Net(NamedTuple):
    """What is trained: its shapes at a width, its first weights, and its loss, gradient and logits."""

    shapes: Callable[[int], dict[str, tuple[int, ...]]]
    init: Callable[[np.random.Generator, int], Params]
    loss_and_grad: Callable[[Params, Array, Array], tuple[float, Params, Array]]
    logits: Callable[[Params, Array], Array]


class Crop(NamedTuple):
    """How a narrower model is taken, and how its gradient goes back."""

    take: Callable[[Params, int], Params]
    add: Callable[[Params, Params], None]


def plain_crop(net: Net) -> Crop:
    """The leading block of every array."""
    return Crop(lambda params, width: cropped(params, net.shapes(width)), add)


def views(vector: Array, shapes: dict[str, tuple[int, ...]]) -> Params:
    """A vector cut into named arrays, which share its memory."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(vector, ends[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def targets_for(stage: str, y: Array, logits: Array) -> Array:
    """What a narrower model is to answer: the labels; a mixture with the wide model's probabilities (25.4); or its answers."""
    if stage == "word":
        return (1 - SHARE) * (y[..., None] == np.arange(logits.shape[-1])) + SHARE * softmax(logits)
    return logits.argmax(axis=-1) if stage == "sequence" else y


def train(
    net: Net, params: Params, draw: Draw, iterations: int, lr: float, rng: np.random.Generator, stage: str = "full",
    narrow: Sequence[int] = (), crop: Crop | None = None,
) -> Params:  # fmt: skip
    """One stage of Adam, the rate falling along half a cosine: the wide model on its labels and, but for "full", one narrower
    model (25.2).

    params of the wide model; draw(rng) -> inputs and labels; narrow the other widths, one drawn at each step -> params. No
    gradient goes into the wide model's answers. Raises ValueError for another stage.
    """
    one_of("stage", stage, STAGES)
    crop = crop or plain_crop(net)
    shapes = {name: array.shape for name, array in params.items()}
    theta = np.concatenate([array.ravel() for array in params.values()])
    optimizer = Scheduled(Adam(lr), Cosine(iterations))
    state: Any = optimizer.init(theta)
    for _ in range(iterations):
        x, y = draw(rng)
        now, gradient = views(theta, shapes), np.zeros_like(theta)
        _, grads, logits = net.loss_and_grad(now, x, y)
        total = views(gradient, shapes)
        add(total, grads)
        if stage != "full":
            smaller = crop.take(now, narrow[int(rng.integers(len(narrow)))])
            crop.add(total, net.loss_and_grad(smaller, x, targets_for(stage, y, logits))[1])
        theta, state = optimizer.update(theta, gradient, state)
    return views(theta, shapes)


def accuracy(net: Net, params: Params, x: Array, y: Array) -> float:
    """The share of symbols or classes answered right."""
    return float((net.logits(params, x).argmax(axis=-1) == y).mean())
