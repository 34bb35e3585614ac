"""The copy task and its control, and how the network is trained on them.

A text is 0 w 0 w: a separator, a word of random symbols 1 to 10, the separator, the word again. The network reads all but the
last symbol and answers each with the next one; places count from the second separator on. The symbol asked for stands |w| places
back. In the control the texts are random and the symbol asked for stands ``LAG`` = 3 places back, or as many as one likes: near,
where the copy
task's is far.
"""

from dataclasses import dataclass

import numpy as np

from ...._types import Array
from ....optimizers import Adam
from .copy_network import CopyNetwork

SYMBOLS, LAG = 10, 3
BATCH, RATE = 32, 2e-3
LAST = 6  # the losses that are compared are means over the last sixth of the iterations


@dataclass(frozen=True)
class CopyTask:
    """Words of ``shortest`` to ``longest`` symbols; with ``lag`` > 0 the control, random texts of the same length."""

    shortest: int = 12
    longest: int = 12
    lag: int = 0

    @property
    def length(self) -> int:
        """The symbols that the network reads, T."""
        return 2 * self.longest + 1

    def sample(self, batch: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """What is read, what is asked for, and which places count: integers and 0/1, each (batch, T)."""
        T = self.length
        if self.lag:
            symbols = rng.integers(1, SYMBOLS + 1, (batch, T))
            counts = np.arange(T) >= self.lag
            return symbols, np.roll(symbols, self.lag, axis=1), np.broadcast_to(counts, (batch, T)).astype(float)
        word = rng.integers(1, SYMBOLS + 1, (batch, self.longest))
        size = rng.integers(self.shortest, self.longest + 1, batch)[:, None]
        place = np.arange(T + 1)
        inside = (place % (size + 1) > 0) & (place < 2 * (size + 1))
        rows = np.arange(batch)[:, None]
        text = np.where(inside, word[rows, np.maximum(place % (size + 1) - 1, 0)], 0)
        counts = (place[:-1] > size) & (place[:-1] < 2 * size + 1)
        return text[:, :-1], text[:, 1:], counts.astype(float)


def train(model: CopyNetwork, task: CopyTask, iterations: int, seed: int) -> dict[str, Array]:
    """Adam with a cosine down to zero on fresh texts, in single precision. -> loss and accuracy of each iteration, and the
    params.

    beta1 = .9, beta2 = .99, rate 2e-3 (1 + cos(pi t / iterations)) / 2, batches of 32.
    """
    start, texts = (np.random.default_rng([seed, k]) for k in (0, 1))
    params = model.init_params(start).astype(np.float32)
    state = Adam(RATE, beta1=0.9, beta2=0.99).init(params)
    loss, accuracy = np.empty((2, iterations))
    for t in range(iterations):
        symbols, targets, weights = task.sample(BATCH, texts)
        value, grad, logits = model.loss_and_grad(params, symbols, targets, weights)
        loss[t], accuracy[t] = value, ((logits.argmax(axis=-1) == targets) * weights).sum() / weights.sum()
        optimizer = Adam(float(RATE * (1 + np.cos(np.pi * t / iterations)) / 2), beta1=0.9, beta2=0.99)
        params, state = optimizer.update(params, grad, state)
    return {"loss": loss, "accuracy": accuracy, "params": params}


def unseen_loss(model: CopyNetwork, params: Array, task: CopyTask, batch: int = 256, seed: int = 2**20) -> float:
    """The loss of these params, by this network, on a batch that no training has seen."""
    return float(model.loss(params, *task.sample(batch, np.random.default_rng([seed, 2]))))


def at_the_end(series: Array) -> float:
    """The mean of the last sixth."""
    return float(series[-max(1, len(series) // LAST) :].mean())
