"""The noise panel: nested feed-forward networks that learn from labels of which some are wrong, judged on right ones.

Two networks of ``layers.mlp`` in a row, all hidden layers as wide as the width. The labels are those of a fixed random network of
the same kind; a share of those seen in training is replaced by random classes.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...._types import Array
from ....layers import cross_entropy, mlp
from .block import Params, four
from .training import Draw, Net

INPUTS, CLASSES, POINTS, TEST = 20, 10, 4000, 4000
WIDTHS = (4, 8, 16, 32, 64, 128)
RATE, BATCH, ITERATIONS, NOISE = 3e-3, 128, 800, 0.4
TEACHER, TASK_SEED = 24, 26
FIRST, SECOND = ("W1", "b1", "W2", "b2"), ("W3", "b3", "W4", "b4")


def shapes(width: int) -> dict[str, tuple[int, ...]]:
    """The shape of each array at a width."""
    w = width
    return {
        "W1": (w, INPUTS),
        "b1": (w,),
        "W2": (w, w),
        "b2": (w,),
        "W3": (w, w),
        "b3": (w,),
        "W4": (CLASSES, w),
        "b4": (CLASSES,),
    }


def init(rng: np.random.Generator, width: int) -> Params:
    """First weights: normal, with variance 2 over the inputs of a unit; shifts are 0."""
    return {
        name: np.zeros(shape) if len(shape) == 1 else (2 / shape[1]) ** 0.5 * rng.standard_normal(shape)
        for name, shape in shapes(width).items()
    }


def logits(params: Params, x: Array) -> Array:
    """x (1, B, 20) -> (1, B, 10)."""
    middle = mlp.forward(x, *four(params, FIRST))[0]
    return mlp.forward(middle, *four(params, SECOND))[0]


def loss_and_grad(params: Params, x: Array, targets: Array) -> tuple[float, Params, Array]:
    """Cross-entropy and its gradient, one network after the other and back. targets as in ``cross_entropy`` -> f, gradient,
    logits.
    """
    middle, first = mlp.forward(x, *four(params, FIRST))
    out, second = mlp.forward(middle, *four(params, SECOND))
    f, kept = cross_entropy.forward(out, targets)
    dmiddle, *dsecond = mlp.backward(cross_entropy.backward(np.ones(()), kept), second)
    _, *dfirst = mlp.backward(dmiddle, first)
    return float(f), dict(zip((*FIRST, *SECOND), (*dfirst, *dsecond), strict=True)), out


NET = Net(shapes, init, loss_and_grad, logits)


class Data(NamedTuple):
    """What is learned from and what is judged on."""

    x: Array  # (POINTS, 20)
    y: Array  # (POINTS,), some of them wrong
    test_x: Array  # (1, TEST, 20)
    test_y: Array  # (1, TEST), all of them right


def labels_of_the_task() -> Callable[[Array], Array]:
    """The fixed random network's classes: its logits, each with mean 0 and spread 1 over many inputs, so that all classes
    occur.
    """
    rng = np.random.default_rng(TASK_SEED)
    teacher = init(rng, TEACHER)
    many = logits(teacher, rng.standard_normal((1, POINTS, INPUTS)))
    mean, spread = many.mean(axis=(0, 1)), many.std(axis=(0, 1))
    return lambda x: ((logits(teacher, x) - mean) / spread).argmax(axis=-1)


def data(seed: int, noise: float) -> Data:
    """Inputs, normal, with the labels of the fixed network; ``noise`` is the share of training labels replaced by random
    classes.
    """
    label = labels_of_the_task()
    rng = np.random.default_rng([TASK_SEED, seed])
    x, test_x = rng.standard_normal((POINTS, INPUTS)), rng.standard_normal((1, TEST, INPUTS))
    y, test_y = label(x[None])[0], label(test_x)
    wrong, anything = rng.random(POINTS) < noise, rng.integers(CLASSES, size=POINTS)
    return Data(x, np.where(wrong, anything, y), test_x, test_y)


def draw_from(known: Data) -> Draw:
    """Batches of the training points."""

    def draw(rng: np.random.Generator) -> tuple[Array, Array]:
        at = rng.integers(len(known.x), size=BATCH)
        return known.x[None, at], known.y[None, at]

    return draw
