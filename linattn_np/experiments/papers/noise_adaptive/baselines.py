"""Ridge regression: the oracle that knows sigma, and the paper's three baselines that do not; how far from the oracle an answer
is.

(18.13)  w(lam) = (Sig + lam I)^-1 al      with lam = sigma^2 the mean of w given the prompt and sigma: the oracle

For any answer v made from the prompt, E |v - w|^2 = E |v - w(sigma^2)|^2 + E |w(sigma^2) - w|^2, because given the prompt w has
mean w(sigma^2) and what is left is independent of v. With x_q ~ N(0, I) the squared error of v.x_q is |v - w|^2 on average, so
the paper's measure, half the squared error minus half the oracle's, is half a squared distance:

(18.14)  adjusted loss = E |v - w(sigma^2)|^2 / 2

It is measured in this form, without the oracle's own noise. In the eigenbasis of Sig ridge is one division, so all is done there.
Baselines: constant, one lam for all, the best one; adaptive, lam = RSS / (n - d); tuned, lam = factor * min(RSS / (n - d), cap),
the best of both numbers. Source: arXiv 2402.14180, sections 2.2 and 6; derived in lesson 18.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...._types import Array
from .task import MixedNoise


class Evaluation(NamedTuple):
    """Prompts in the eigenbasis of their Sig = V diag(s) V^T, with their states for the models."""

    G: Array  # (B, D, D): the examples' sums
    s: Array  # (B, d), eigenvalues of Sig
    V: Array  # (B, d, d)
    b: Array  # (B, d): V^T al
    sigma: Array  # (B,)
    estimate: Array  # (B,): RSS / (n - d), the unbiased estimate of sigma^2


def evaluation(task: MixedNoise, count: int, rng: np.random.Generator) -> Evaluation:
    """``count`` prompts of the task, prepared. Cost O(count (n d^2 + d^3))."""
    prompts = task.draw(count, rng)
    examples = prompts.Z[:, :-1]
    G = examples.mT @ examples  # (B, D, D)
    s, V = np.linalg.eigh(G[:, :-1, :-1])
    b = (V.mT @ G[:, :-1, -1:])[..., 0]  # (B, d)
    residual = np.maximum(G[:, -1, -1] - (b * b / s).sum(axis=1), 0.0)  # RSS = lam - al^T Sig^-1 al
    return Evaluation(G, s, V, b, prompts.sigma, residual / (task.n - task.d))


def ridge(found: Evaluation, lam: Array | float) -> Array:
    """(18.13) in the eigenbasis: b / (s + lam), lam one number or one for each prompt. (B, d)"""
    return found.b / (found.s + np.reshape(lam, (-1, 1)))


def adjusted(found: Evaluation, v: Array) -> Array:
    """(18.14) of answers v (B, d) in the eigenbasis, for each prompt: half the squared distance to the oracle. (B,)"""
    return 0.5 * ((v - ridge(found, found.sigma**2)) ** 2).sum(axis=1)


def adjusted_of(found: Evaluation, w: Array) -> Array:
    """(18.14) of answers w (B, d) in the coordinates of the prompt, such as a model's, for each prompt. (B,)"""
    return adjusted(found, (found.V.mT @ w[..., None])[..., 0])


def tune(found: Evaluation) -> dict[str, float]:
    """The best constant lam, and the best cap and factor, each on a grid that is made finer twice. -> constant, cap, factor"""
    loss = lambda lam: float(adjusted(found, ridge(found, lam)).mean())
    top = float(found.sigma.max()) ** 2
    constant = refined(lambda x: loss(x[0]), ((0.0, top),))[0]
    cap, factor = refined(lambda x: loss(x[1] * np.minimum(found.estimate, x[0])), ((0.0, 3 * top), (0.2, 1.5)))
    return {"constant": constant, "cap": cap, "factor": factor}


def refined(
    function: Callable[[Array], float], ranges: tuple[tuple[float, float], ...], points: int = 13, rounds: int = 3
) -> tuple[float, ...]:
    """The best point of a grid over the ranges, made finer around the best one after each round."""
    best: tuple[float, ...] = ()
    for _ in range(rounds):
        axes = [np.linspace(low, high, points) for low, high in ranges]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
        best = tuple(grid[np.argmin([function(x) for x in grid])].tolist())
        steps = [(high - low) / (points - 1) for low, high in ranges]
        ranges = tuple(
            (max(low, x - step), min(high, x + step)) for x, step, (low, high) in zip(best, steps, ranges, strict=True)
        )
    return best


def baseline(found: Evaluation, name: str, tuned: dict[str, float]) -> Array:
    """The answers of "constant ridge", "adaptive ridge" or "tuned ridge" in the eigenbasis. (B, d)"""
    lam: dict[str, Array | float] = {
        "constant ridge": tuned["constant"], "adaptive ridge": found.estimate,
        "tuned ridge": tuned["factor"] * np.minimum(found.estimate, tuned["cap"]),
    }  # fmt: skip
    return ridge(found, lam[name])
