"""The numbers of the heavy ball learned: one step and one momentum for all layers, against what it must be told apart from.

Prompts with covariates x = D x_0, D = diag(1, 1, 1/2, 1/4, 1), and tasks w = D^{-1} w_0, x_0 and w_0 normal: every label has the
same size along every axis, and C has eigenvalues near 1, 1/4 and 1/16. Kinds, all from w = 0:

- "descent": one step eta for all layers, beta = 0;             - "heavy ball": one eta and one beta for all layers;
- "steps": a step eta_l for each layer, beta = 0;               - "whitened": "descent" on x_0, D^{-2} before the gradient.
"""

from typing import NamedTuple

import numpy as np

from ...._types import Array
from ....optimizers import Adam, clip
from . import heavy_ball

SCALES = (1.0, 1.0, 0.5, 0.25, 1.0)  # the paper of lesson 17 has them
EXAMPLES = 20
KINDS = ("descent", "heavy ball", "steps", "whitened")
RATE, CLIP = 0.05, 1.0
ETAS = np.linspace(0.2, 2.0, 19)  # the grid of the adaptive rule


class Moments(NamedTuple):
    """Prompts as the heavy ball sees them, with the examples themselves for the rule by token."""

    C: Array  # (B, d, d)
    b: Array  # (B, d)
    query: Array  # (B, d)
    y: Array  # (B,)
    X: Array  # (B, n, d)
    labels: Array  # (B, n)


def prompts(batch: int, rng: np.random.Generator, whitened: bool = False) -> Moments:
    """Random prompts; ``whitened``: D = I."""
    scales = np.ones(len(SCALES)) if whitened else np.array(SCALES)
    X = rng.standard_normal((batch, EXAMPLES + 1, len(scales))) * scales
    w = rng.standard_normal((batch, len(scales))) / scales
    labels = (X @ w[..., None])[..., 0]
    X, query = X[:, :-1], X[:, -1]
    b = (X.mT @ labels[:, :-1, None])[..., 0]
    return Moments(X.mT @ X / EXAMPLES, b / EXAMPLES, query, labels[:, -1], X, labels[:, :-1])


def spread_out(kind: str, theta: Array, layers: int) -> tuple[Array, Array]:
    """The learned numbers as eta (L,) and beta (L,)."""
    beta = np.full(layers, theta[1] if kind == "heavy ball" else 0.0)
    return (theta if kind == "steps" else np.full(layers, theta[0])), beta


def gathered(kind: str, deta: Array, dbeta: Array) -> Array:
    """The gradient of the learned numbers: those of a number that serves all layers add up."""
    if kind == "steps":
        return deta
    return np.array([deta.sum(), dbeta.sum()] if kind == "heavy ball" else [deta.sum()])


def loss_and_grad(kind: str, theta: Array, layers: int, drawn: Moments) -> tuple[float, Array]:
    """The mean squared error of the query's answer, and its gradient like theta."""
    w, tape = heavy_ball.forward(drawn.C, drawn.b, *spread_out(kind, theta, layers))
    error = (w * drawn.query).sum(axis=-1) - drawn.y
    deta, dbeta = heavy_ball.backward(2 * error[:, None] * drawn.query / len(error), tape)
    return float((error * error).mean()), gathered(kind, deta, dbeta)


def train(kind: str, layers: int, iterations: int, count: int, seed: int) -> dict[str, Array]:
    """Adam with a cosine down to zero on one set of ``count`` prompts, from eta = 0.5 and beta = 0. -> theta, losses there and on
    others.

    A large set: the rare prompts whose largest eigenvalue forbids a step decide how long it may be. Steps of their own begin
    spread over 0.25 to 1, since equal ones have equal gradients and stay equal.
    """
    drawn, test = (prompts(count, np.random.default_rng([seed, k]), kind == "whitened") for k in (0, 1))
    theta = np.linspace(0.25, 1.0, layers) if kind == "steps" else np.array([0.5, 0.0][: 2 if kind == "heavy ball" else 1])
    state = Adam(RATE, beta1=0.9, beta2=0.99).init(theta)
    for t in range(iterations):
        _, grad = loss_and_grad(kind, theta, layers, drawn)
        optimizer = Adam(float(RATE * (1 + np.cos(np.pi * t / iterations)) / 2), beta1=0.9, beta2=0.99)
        theta, state = optimizer.update(theta, clip(grad, CLIP), state)
    found = [loss_and_grad(kind, theta, layers, each)[0] for each in (drawn, test)]
    return {"theta": theta, "trained": np.array(found[0]), "loss": np.array(found[1])}


def adapted(layers: int, count: int, seed: int, by_token: bool = False) -> dict[str, Array]:
    """The adaptive momentum (21.7) at the best step of a grid, chosen on other prompts than it is tested on.

    -> eta, loss, mean beta
    """
    chosen, test = (prompts(count, np.random.default_rng([seed, k])) for k in (0, 1))
    answer = tokens_adapted if by_token else prompts_adapted
    with np.errstate(all="ignore"):  # a step that is too long
        losses = [float(np.nan_to_num(((answer(chosen, eta, layers)[0] - chosen.y) ** 2).mean(), nan=np.inf)) for eta in ETAS]
    eta = ETAS[int(np.argmin(losses))]
    found, beta = answer(test, eta, layers)
    return {"eta": np.array(eta), "loss": np.array(((found - test.y) ** 2).mean()), "beta": np.array(beta)}


def prompts_adapted(drawn: Moments, eta: float, layers: int) -> tuple[Array, float]:
    """Answers (B,) with a momentum for each prompt and layer, and its mean over prompts and the layers that have one."""
    w, beta = heavy_ball.adaptive(drawn.C, drawn.b, eta, layers)
    return (w * drawn.query).sum(axis=-1), float(beta[1:].mean()) if layers > 1 else 0.0


def tokens_adapted(drawn: Moments, eta: float, layers: int) -> tuple[Array, float]:
    """The same with a momentum for each token, as the released code has it: tokens then no longer share one w."""
    X = np.concatenate([drawn.X, drawn.query[:, None]], axis=1)  # (B, N, d)
    e = before = np.concatenate([drawn.labels, np.zeros((len(X), 1))], axis=1)  # labels of the tokens, (B, N)
    last, betas = None, []
    for _ in range(layers):
        g = (X[:, :-1].mT @ e[:, :-1, None]) / EXAMPLES  # (B, d, 1)
        out = (X @ g)[..., 0]  # what attention gives each token, (B, N)
        ratio = np.ones_like(out) if last is None else np.abs(out - last) / np.maximum(np.abs(last), 1e-300)
        beta = np.minimum((1 - np.sqrt(ratio)) ** 2, heavy_ball.MOST)
        e, before, last = e - eta * out + beta * (e - before), e, out
        betas.append(beta)
    return -e[:, -1], float(np.mean(betas[1:])) if layers > 1 else 0.0
