"""L-BFGS on a fixed batch: what finds the optimum of a skewed, deterministic loss in hundreds of evaluations.

The inverse Hessian is built from the last pairs s = x' - x, y = g' - g (Nocedal 1980); each step is halved until the loss falls
enough.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...._types import Array

MEMORY, ENOUGH = 30, 1e-4


def direction(g: Array, pairs: list[tuple[Array, Array]]) -> Array:
    """Minus the inverse Hessian of the pairs times g: the two loops. -> like g"""
    q, alphas = g.copy(), []
    for s, y in reversed(pairs):
        alpha = (s @ q) / (s @ y)
        alphas.append(alpha)
        q = q - alpha * y
    if pairs:
        s, y = pairs[-1]
        q = q * ((s @ y) / (y @ y))
    else:
        q = q * min(1.0, 0.1 / np.sqrt(g @ g))  # nothing is known yet: a short step
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        q = q + s * (alpha - (y @ q) / (s @ y))
    return -q


def minimize(value_and_grad: Callable[[Array], tuple[float, Array]], start: Array, steps: int, every: int) -> dict[str, Any]:
    """``steps`` steps from ``start``, or fewer where no step along the direction lowers the loss any more.

    -> times (T,), params (T, ..) at multiples of ``every`` and at the end: the last params are repeated after an early end.
    """
    shape, x = start.shape, start.ravel()
    f, g = value_and_grad(start)
    g, kept = g.ravel(), {0: x}
    pairs: list[tuple[Array, Array]] = []
    for t in range(1, steps + 1):
        move = direction(g, pairs)
        slope, rate, found = g @ move, 1.0, None
        with np.errstate(all="ignore"):  # a step too long may overflow; it is halved
            for _ in range(30):
                f_new, g_new = value_and_grad((x + rate * move).reshape(shape))
                if f_new <= f + ENOUGH * rate * slope:
                    found = x + rate * move, f_new, g_new.ravel()
                    break
                rate /= 2
        if found is None:
            if not pairs:
                break
            pairs = []  # forget, and try along the gradient
            continue
        s, y = found[0] - x, found[2] - g
        if s @ y > 1e-10 * np.sqrt((s @ s) * (y @ y)):
            pairs = [*pairs, (s, y)][-MEMORY:]
        x, f, g = found
        if t % every == 0:
            kept[t] = x
    for t in (*range(every, steps + 1, every), steps):
        kept.setdefault(t, x)
    times = sorted(kept)
    return {"times": np.array(times), "params": np.stack([kept[t].reshape(shape) for t in times])}
