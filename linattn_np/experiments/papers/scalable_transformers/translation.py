"""The toy translation: the input reversed, each symbol replaced by one of two permutations, as the parity of its left neighbour
says.
"""

from functools import partial

import numpy as np

from ...._types import Array
from . import block
from .block import T, V
from .training import Net

TASK_SEED = 25  # of the permutations
TEST_SEED = (25, 2)  # of the sequences judged on; the settings below were chosen on those of (25, 1)
WIDTHS = (4, 8, 16, 32)
RATE, BATCH, ITERATIONS = 0.01, 48, 1500
NET = Net(block.shapes, block.init, block.loss_and_grad, lambda params, x: block.forward(params, x)[0])


def permutations() -> Array:
    """The two permutations of the symbols, (2, V): the same in every run."""
    rng = np.random.default_rng(TASK_SEED)
    return np.stack([rng.permutation(V) for _ in range(2)])


def translate(x: Array) -> Array:
    """x (B, T) -> y (B, T): y_t is the symbol x_i at i = T-1-t, after permutation number x_{i-1} mod 2; the last is left of the
    first.
    """
    return permutations()[np.roll(x, 1, axis=1) % 2, x][:, ::-1]


def draw(rng: np.random.Generator, batch: int = BATCH) -> tuple[Array, Array]:
    """Random sequences and their translations."""
    x = rng.integers(V, size=(batch, T))
    return x, translate(x)


def test_set(size: int = 500) -> tuple[Array, Array]:
    """The sequences on which accuracy is measured, none of which a setting was chosen on."""
    return draw(np.random.default_rng(TEST_SEED), size)


draw_batch = partial(draw, batch=BATCH)
