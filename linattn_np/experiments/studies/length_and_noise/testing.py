"""Fresh test prompts, and what models and estimators answer to them, from the Gram matrix of each prompt."""

from collections.abc import Iterator

import numpy as np

from ...._types import Array
from ....layers import gram
from ....layers.corner import to_full
from ....prompts import Prompts, RegressionTask


def batches(task: RegressionTask, count: int, prompts: int, seed: int) -> Iterator[Prompts]:
    """Test batches, a stream of their own for each length, noise and seed."""
    rng = np.random.default_rng([31, seed, task.n, task.d, round(100 * task.label_noise)])
    for _ in range(count):
        yield task.sample(prompts, rng)


def answers(params: Array, Z: Array) -> Array:
    """``la.predict`` of linear attention, from the Gram matrices: no cost in n^2.  Z (B, n+1, d+1) -> (B,)"""
    state = gram.compress(Z)
    for P, Q in np.moveaxis(to_full(params, Z.shape[-1]), 2, 1):
        state = gram.forward(state, P, Q)[0]
    return gram.readout(state)


def one_layer_answers(Q: Array, Z: Array) -> Array:
    """The same for one layer with matrix Q (d, d): -s^T Q x, the cheapest.  -> (B,)"""
    s = (Z[:, :-1, -1][:, None] @ Z[:, :-1, :-1])[:, 0] / (Z.shape[1] - 1)  # (B, d)
    return -((s @ Q) * Z[:, -1, :-1]).sum(axis=1)


def ridge_answers(Z: Array, penalty: float) -> Array:
    """x^T (X^T X + penalty I)^-1 X^T y for each prompt. -> (B,)"""
    X, labels = Z[:, :-1, :-1], Z[:, :-1, -1]
    moments = (labels[:, None] @ X).mT  # (B, d, 1)
    w = np.linalg.solve(X.mT @ X + penalty * np.eye(X.shape[-1]), moments)[..., 0]  # (B, d)
    return (w * Z[:, -1, :-1]).sum(axis=1)


def least_squares_answers(Z: Array) -> Array:
    """The minimum-norm least-squares answer for each prompt. -> (B,)"""
    w = (np.linalg.pinv(Z[:, :-1, :-1]) @ Z[:, :-1, -1:])[..., 0]  # (B, d)
    return (w * Z[:, -1, :-1]).sum(axis=1)


def spectra(Z: Array) -> Array:
    """The eigenvalues of S = X^T X / n of each prompt, ascending.  Z (B, n+1, d+1) -> (B, d)"""
    X = Z[:, :-1, :-1]
    return np.linalg.eigvalsh(X.mT @ X / X.shape[1])


def with_spectra(Z: Array, y: Array, lam: Array, rng: np.random.Generator) -> Prompts:
    """Prompts of the length of Z whose S has the eigenvalues lam (B, d), with fresh tasks; their axes stay, n >= d."""
    n, made = Z.shape[1] - 1, Z.copy()
    U, _, Vt = np.linalg.svd(Z[:, :-1, :-1], full_matrices=False)
    made[:, :-1, :-1] = (U * np.sqrt(n * np.maximum(lam, 0))[:, None, ::-1]) @ Vt
    w = rng.standard_normal((len(Z), Z.shape[-1] - 1, 1))
    labels = (made[:, :, :-1] @ w)[..., 0]  # (B, n+1)
    made[:, :-1, -1] = labels[:, :-1]
    return Prompts(made, labels[:, -1].copy())
