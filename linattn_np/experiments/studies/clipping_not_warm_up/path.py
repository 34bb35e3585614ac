"""Curvature and gradient along runs on a fixed batch at one rate, what is clipped, and the linearized model as a control."""

import numpy as np

from ...._types import Array
from ....optimizers import global_norm
from .fixed import Arrays, Way, descend, start_of, surface_of

RATE, MOMENTUM = 0.06, 0.9
EDGE = 2 * (1 + MOMENTUM) / RATE
RUNS = {
    "none": Way("momentum"),
    "warm-up 50": Way("momentum", 50),
    "warm-up 200": Way("momentum", 200),
    "clip 1": Way("momentum", threshold=1.0),
}
EARLY = 20  # steps


def times(steps: int) -> Array:
    """Where the Hessian is taken: densely at first."""
    wanted = np.r_[np.arange(0, 41, 4), np.arange(60, 301, 20), np.arange(400, steps + 1, 100)]
    return np.unique(np.minimum(wanted, steps))


def followed(seed: int, name: str, prompts: int, steps: int, rate: float = RATE) -> Arrays:
    """One run: sharpness, gradient length and loss at ``times`` (T,), NaN after it is lost; lost (-1: not); the share of steps
    with a gradient longer than 1 among the first EARLY and among those from 100 on (2,).
    """
    surface, at, last = surface_of(seed, prompts), times(steps), -1
    found, norms = np.full((3, len(at)), np.nan), []
    for last, x, loss, grad in descend(surface, start_of(seed), RUNS[name], rate, steps):
        norms.append(global_norm(grad))
        if last in at:
            found[:, np.searchsorted(at, last)] = top(surface.hessian(x)), norms[-1], loss
    long = np.array(norms) > 1
    share = [part.mean() if len(part) else np.nan for part in (long[:EARLY], long[100:])]
    return {"sharpness": found[0], "gradient": found[1], "loss": found[2], "lost": np.array(last + 1 if last < steps else -1),
            "share": np.array(share)}  # fmt: skip


def top(H: Array) -> float:
    """The largest eigenvalue, infinite where the Hessian is not finite."""
    return float(np.linalg.eigvalsh(H)[-1]) if np.isfinite(H).all() else np.inf


def linearized(seed: int, prompts: int, steps: int, rate: float = RATE) -> Arrays:
    """The control: the model linearized at the start, whose loss is a quadratic with the Gauss-Newton matrix, at the same rate.

    -> ratio: its loss after the steps over that before; sharpness: its largest eigenvalue
    """
    surface, x = surface_of(seed, prompts), start_of(seed)
    loss, grad = surface.loss_and_grad(x)
    G, g = surface.gauss_newton(x), grad.ravel()
    step, buffer = np.zeros_like(g), np.zeros_like(g)
    for _ in range(steps):
        buffer = MOMENTUM * buffer + g + G @ step
        step = step - rate * buffer
    after = loss + g @ step + 0.5 * step @ G @ step
    return {"ratio": np.array(after / loss), "sharpness": np.array(np.linalg.eigvalsh(G)[-1])}
