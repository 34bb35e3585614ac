"""Trains the layers of the paper's first two experiments, and compares what they compute with gradient descent."""

from typing import Any

import numpy as np

from ...._types import Array
from ....models.tied import Looped, tied
from ....models.transformer import LinearTransformer
from ....optimizers import Adam
from ....training.loop import train
from .one_layer import OneLayer, state
from .tasks import UniformTask

RATE, BETA2, CLIP, STD = 0.01, 0.99, 10.0, 0.02  # the paper: rate 0.001, clip 10, and 50 times as many prompts in all
ADAM, SCHEDULE = Adam(RATE, beta1=0.9, beta2=BETA2), "cosine"  # the rate falls to 0, so that the last weights do not tremble


def two_layers(d: int) -> Any:
    """The paper's recurrent Transformer: one layer of full matrices, used twice."""
    return tied(LinearTransformer(d, layers=2, full=True), Looped())


def trained(model: str, task: UniformTask, steps: int, batch: int, seed: int, record_every: int) -> dict[str, Array]:
    """One run of "one" or "two" layers. -> times (T,), params (T, ..) and the losses of the fresh batches (steps,)"""
    made = OneLayer(task.d) if model == "one" else two_layers(task.d)
    history = train(
        task,
        ADAM,
        steps,
        batch,
        model=made,
        clip=CLIP,
        seed=seed,
        std=STD,
        record_every=record_every,
        progress=False,
        schedule=SCHEDULE,
    )
    times, params = history.snapshot_array()
    return {"times": times, "params": params, "losses": history.loss}


def implicit(theta: Array, G: Array) -> Array:
    """The w of each prompt with prediction = w . x: w = -K^T G p.  theta (D, D), G (B, D, D) -> (B, d)"""
    return -(theta[:, 1:].T @ (G @ theta[:, 0])[..., None])[..., 0]


def alignment(theta: Array, eta: float, Z: Array, y: Array) -> dict[str, float]:
    """One layer beside one step of descent with eta, over prompts: losses, and how alike w and the predictions are.

    cosine: mean over prompts of that between the two w; predictions: root mean square of their difference over that of descent's
    predictions; models: mean length of the difference of the w. The paper's three measures, the second relative.
    """
    G, x = state(Z)
    w, v = implicit(theta, G), eta * G[:, :-1, -1]
    ours, theirs = (w * x).sum(axis=1), (v * x).sum(axis=1)
    lengths = np.sqrt((w * w).sum(axis=1) * (v * v).sum(axis=1))
    return {
        "loss": float(((ours - y) ** 2).mean()), "descent": float(((theirs - y) ** 2).mean()),
        "cosine": float(((w * v).sum(axis=1) / lengths).mean()),
        "predictions": float(np.sqrt(((ours - theirs) ** 2).mean() / (theirs**2).mean())),
        "models": float(np.sqrt(((w - v) ** 2).sum(axis=1)).mean()),
    }  # fmt: skip


def step_of(theta: Array) -> float:
    """The eta that one layer has learned: minus the label's entry of p times the mean of K's diagonal.

    Rescaling p and 1/K keeps it.
    """
    return float(-theta[-1, 0] * np.diag(theta[:-1, 1:]).mean())


def rescaled(theta: Array) -> Array:
    """The same layer with the label's entry of p at 1, which is the construction's."""
    return np.concatenate([theta[:, :1] / theta[-1, 0], theta[:, 1:] * theta[-1, 0]], axis=1)


def steps_of_two(params: Array) -> dict[str, float]:
    """eta and c that one looped layer has learned, from the means of the diagonals of P and Q.  params (1, 1, 2, D, D)"""
    P, Q = params[0, 0]
    a, b = np.diag(P)[:-1].mean(), np.diag(Q)[:-1].mean()
    return {"eta": float(-P[-1, -1] * b), "c": float(-a * b)}


def constructed(eta: float, d: int) -> Array:
    """The layer (16.3) in the form of OneLayer's params. -> (D, D)"""
    theta = np.zeros((d + 1, d + 1))
    theta[-1, 0], theta[:-1, 1:] = 1.0, -eta * np.eye(d)
    return theta
