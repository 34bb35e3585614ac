"""Training of the language model: Adam with a cosine from its rate down to zero, fresh texts every iteration; and its perplexity.

In single precision, which halves the time; the gradients are audited in double. Adam's state begins anew in every call, so also
after a swap, as in the released code.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ...._types import Array
from ....optimizers import Adam, Cosine, Scheduled, clip
from .language_model import LanguageModel
from .text import texts

BATCH, CLIP = 32, 1.0
PRETRAINED, FINETUNED = 1000, 300  # iterations of the softmax model, and after the swap
FIRST_RATE, SECOND_RATE = 4e-3, 3e-3  # Adam's, from random weights and after the swap
CHUNK = 64  # texts whose logits are computed at once


def perplexity(model: LanguageModel, params: Array, symbols: Array) -> float:
    """exp of the mean cross-entropy over the second half of texts (count, T), where a reader has seen enough to know the
    permutation.
    """
    places = np.arange(1, symbols.shape[1])
    weights = np.broadcast_to(places >= symbols.shape[1] // 2, (len(symbols), len(places))).astype(float)
    total = 0.0
    for first in range(0, len(symbols), CHUNK):
        part = slice(first, first + CHUNK)
        total += float(model.loss(params, symbols[part], weights[part])) * len(symbols[part])
    return float(np.exp(total / len(symbols)))


def train(
    model: LanguageModel, params: Array, iterations: int, rate: float, rng: np.random.Generator, batch: int = BATCH,
    marks: Sequence[int] = (), measured: Callable[[Array], float] | None = None, only: Sequence[str] = (),
    after: Callable[[], object] = lambda: None,
) -> tuple[Array, Array]:  # fmt: skip
    """Adam for some iterations on fresh texts, lr_t = rate (1 + cos(pi t / iterations)) / 2, gradients clipped to norm 1.

    ``measured(params)`` is taken at the iterations ``marks``; ``only`` names the weights that are trained (all by default);
    ``after`` is called after each iteration. -> the params and what was measured (marks,)
    """
    params = params.astype(np.float32)
    free = np.concatenate([np.full(int(np.prod(s)), not only or name in only) for name, s in model.shapes.items()])
    optimizer = Scheduled(Adam(rate, beta1=0.9, beta2=0.99), Cosine(max(1, iterations)))  # of no iterations none asks
    state, found = optimizer.init(params), np.full(len(marks), np.nan)
    for t in range(iterations + 1):
        if t in marks and measured is not None:
            found[list(marks).index(t)] = measured(params)
        if t == iterations:
            break
        _, grad = model.loss_and_grad(params, texts(rng, batch, model.symbols))
        params, state = optimizer.update(params, clip(grad * free, CLIP), state)
        after()
    return params, found
