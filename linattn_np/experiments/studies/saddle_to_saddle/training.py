"""Gradient descent on exact moments, many networks side by side, and what is read off their losses."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...._types import Array
from .heads import keys_and_queries, merged_loss_and_grad, model, separate_loss_and_grad
from .moments import Moments

KINDS = {"separate": separate_loss_and_grad, "merged": merged_loss_and_grad}
ETA, HEADS = 0.2, 5
NEAR = 0.01  # a loss within this of another is the same plateau, relative
TRUE_RANK = 1.0  # singular values of M above this count: those at a saddle are 0 or at least 2.2


def start(kind: str, std: float, seed: int, d: int, heads: int = HEADS, most: int | None = None) -> list[Array]:
    """The weights of one network, N(0, std^2), with zero heads up to ``most``: their gradient is zero.

    -> v (H,), then Q, or a and b
    """
    rng = np.random.default_rng([27, seed])
    shapes: list[tuple[int, ...]] = [(heads,), *([(heads, d, d)] if kind == "merged" else [(heads, d)] * 2)]
    drawn = [std * rng.standard_normal(shape) for shape in shapes]
    return [np.concatenate([each, np.zeros(((most or heads) - heads, *each.shape[1:]))]) for each in drawn]


def stacked(networks: Sequence[Sequence[Array]]) -> list[Array]:
    """The weights of several networks of one shape as arrays with a first axis for the network."""
    return [np.stack(each) for each in zip(*networks, strict=True)]


def descend(
    kind: str, weights: Sequence[Array], moments: Moments, eta: float, steps: int, every: int,
    schedule: Callable[[int], float] | None = None,
) -> dict[str, Array]:  # fmt: skip
    """Gradient descent from ``weights``, each with a first axis S. -> f (S, steps + 1), M (S, steps // every + 1, d, d) and the
    last weights

    schedule: the factor of the rate after t updates (29.9); None: 1.
    Cost O(steps S (H d^2 + d^4)); some 0.1 ms a step where S is small.
    """
    loss_and_grad: Any = KINDS[kind]
    weights, losses, models = list(weights), [], []
    for step in range(steps + 1):
        f, *grads = loss_and_grad(*weights, moments)
        losses.append(f)
        if step % every == 0:
            models.append(model(weights[0], weights[1] if kind == "merged" else keys_and_queries(weights[1], weights[2])))
        if step < steps:
            rate = eta * (schedule(step) if schedule else 1.0)
            weights = [w - rate * g for w, g in zip(weights, grads, strict=True)]
    found = {"f": np.stack(losses, axis=1), "M": np.stack(models, axis=1)}
    return found | {f"w{k}": w for k, w in enumerate(weights)}


def crossing(f: Array, level: float) -> float:
    """The first step at which a loss curve (T,) is below a level; NaN where it never is."""
    below = np.flatnonzero(f < level)
    return float(below[0]) if len(below) else float("nan")


def plateaus(f: Array, M: Array, levels: Array, every: int) -> dict[str, Array]:
    """The flattest point between two drops, m = 0 .. d - 1 of them: where the loss falls least between the middles of two levels.

    f (T,), M (T', d, d) each ``every`` steps, levels (d + 1,) -> step, loss, error (relative, of the level), lasts (steps on end
    within NEAR of that loss), rank of M; each (d,), NaN where the loss never gets below the middle before it.
    """
    middles = [np.inf, *(levels[:-1] + levels[1:]) / 2]
    speed, found = f[:-1] - f[1:], np.full((5, len(levels) - 1), np.nan)
    for m in range(len(levels) - 1):
        inside = np.flatnonzero((f[:-1] < middles[m]) & (f[:-1] >= middles[m + 1]))
        if len(inside) == 0:
            continue
        at = inside[np.argmin(speed[inside])]
        same = np.abs(f / f[at] - 1) <= NEAR
        begin = 0 if same[:at].all() else at - np.argmin(same[at::-1]) + 1
        end = len(f) if same[at:].all() else at + np.argmin(same[at:])
        found[:, m] = at, f[at], f[at] / levels[m] - 1, end - begin, rank(M[min(round(at / every), len(M) - 1)])
    return dict(zip(("step", "loss", "error", "lasts", "rank"), found, strict=True))


def rank(M: Array) -> int:
    """How many directions a model (d, d) has learned: its singular values above TRUE_RANK."""
    return int((np.linalg.svd(M, compute_uv=False) > TRUE_RANK).sum())
