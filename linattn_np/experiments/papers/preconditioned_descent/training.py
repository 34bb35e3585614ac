"""Trains the stacks, and tunes the descents that they are held against, all on the loss averaged over tasks and queries."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...._types import Array
from ....models.tied import Scalar, StepSize, tied
from ....models.ties import LinearMap, Shape, linear_map, matrices, places
from ....optimizers import Adam
from ....prompts import RegressionTask
from ....training.loop import train
from .averaged import Averaged
from .closed_form import best_preconditioner
from .quasi_newton import minimize

D, N = 5, 20
SCALES = (1.0, 1.0, 0.5, 0.25, 1.0)  # the paper's standard deviations along Sigma's eigenvectors
STD, START = 1e-4, 0.1


@dataclass(frozen=True)
class OnlyQ:
    """P' = 0 and Q' free: covariates stay as they are.  w (L, H, k, k)"""

    def map(self, params: Shape) -> LinearMap:
        """The map to params of this shape."""
        L, H, _, k, _ = matrices(self, params)
        return linear_map(places(params)[:, :, 1], places((L, H, k, k)), (L, H, k, k), params)


def root(seed: int) -> Array:
    """C = U diag(SCALES) with a random rotation U: Sigma = C C^T, as in the paper's demonstration. -> (d, d)"""
    U = np.linalg.svd(np.random.default_rng(seed).uniform(-1, 1, (D, D)))[0]  # (d, d)
    return U * np.array(SCALES)


def states(Sigma: Array, n: int, count: int, rng: np.random.Generator) -> Array:
    """S of some prompts. -> (count, d, d)"""
    X = rng.standard_normal((count, n, len(Sigma))) @ np.linalg.cholesky(Sigma).T  # (B, n, d)
    return X.mT @ X / n


def optimizer(kind: str) -> tuple[Any, dict[str, Any]]:
    """The optimizer of a run, how it clips, and how its rate falls: arguments of ``train``.

    "skewed": the released code's betas, rate and clipping of each matrix; its rate falls in steps, here along a cosine. "plain":
    the released code's for Sigma = I, whose rate does not fall. "few": for models of a few numbers. "L-BFGS": see
    :func:`minimized`.
    """
    if _how_is_fixed(kind):
        return kind, {}
    if kind == "skewed":
        return Adam(0.1, beta1=0.99, beta2=0.9), {"clip": 0.01, "clip_by": "block", "schedule": "cosine"}
    if kind == "plain":
        return Adam(0.001, beta1=0.9, beta2=0.9), {"clip": 1000.0}
    return Adam(0.02, beta1=0.9, beta2=0.99), {"clip": 1.0, "schedule": "cosine"}


def _how_is_fixed(how: str) -> bool:
    """Whether a run uses one fixed batch and no optimizer of ``optimizers``."""
    return how == "L-BFGS"


def model_of(kind: str, Sigma: Array, layers: int, W: Array | None = None) -> Any:
    """ "all": A_l and B_l; "A": B_l = 0; "steps": A_l = a_l I alone; "scalars": A_l = a_l I and B_l = b_l I."""
    whole = Averaged(Sigma, layers, W)
    return {"all": whole, "A": tied(whole, OnlyQ()), "steps": tied(whole, StepSize()), "scalars": tied(whole, Scalar())}[kind]


def trained(
    kind: str, Sigma: Array, n: int, layers: int, how: str, steps: int, batch: int, seed: int, every: int, W: Array | None = None
) -> dict[str, Array]:
    """One run. -> times (T,), params (T, L, 2, d, d) of the stack itself"""
    if _how_is_fixed(how):
        return minimized(Sigma, n, layers, steps, batch, seed, every)
    model, (opt, how_it_trains) = model_of(kind, Sigma, layers, W), optimizer(how)
    task = RegressionTask(n=n, d=len(Sigma), covariance=Sigma)
    start = model.init_params(np.random.default_rng([17, seed]), STD if how != "few" else 0.1)
    history = train(
        task, opt, steps, batch, model=model, params=start, seed=seed, record_every=every, progress=False, **how_it_trains
    )
    times, params = history.snapshot_array()
    whole = params if kind == "all" else np.stack([model.to_model(w) for w in params])
    return {"times": times, "params": whole[:, :, 0]}


def minimized(Sigma: Array, n: int, layers: int, steps: int, batch: int, seed: int, every: int) -> dict[str, Array]:
    """A stack with all its A_l and B_l, by L-BFGS on one batch of S, from weights of size START.

    Small batches and clipping leave out the rare S with a large eigenvalue, on which a stack of three layers then fails: the mean
    loss rises in the end. One batch of some thousand has them in every step.
    """
    model, S = Averaged(Sigma, layers), states(Sigma, n, batch, np.random.default_rng([17, seed, 1]))
    start = model.init_params(np.random.default_rng([17, seed]), START)
    found = minimize(lambda params: model.of_states(params, S), start, steps, every)
    return {"times": found["times"], "params": found["params"][:, :, 0]}


def constant(A: Array, eta: float, layers: int) -> Array:
    """Preconditioned descent: A_l = eta A in every layer, A symmetric, B_l = 0. -> params (L, 1, 2, d, d)"""
    params = np.zeros((layers, 1, 2, *A.shape))
    params[:, 0, 1] = -eta * A
    return params


def tuned(A: Array, model: Averaged, S: Array) -> float:
    """The eta with the least loss on S: by a grid of 12 from 0.05 to 5, and one of 12 around the best of these."""
    etas = np.geomspace(0.05, 5.0, 12)
    for _ in range(2):
        with np.errstate(all="ignore"):  # too long a step diverges
            best = int(np.nanargmin([model.loss_of(constant(A, eta, model.layers), S) for eta in etas]))
        eta = float(etas[best])
        etas = np.geomspace(etas[max(best - 1, 0)], etas[min(best + 1, len(etas) - 1)], 12)
    return eta


def distance_to_identity(M: Array) -> float:
    """||M - (tr M / d) I|| / ||M||, Frobenius: 0 for a multiple of I, 1 where the trace vanishes."""
    rest = M - np.trace(M) / len(M) * np.eye(len(M))
    return float(np.sqrt((rest * rest).sum() / (M * M).sum()))


def one_layer_distance(A: Array, Sigma: Array, n: int, W: Array | None = None) -> tuple[float, float]:
    """How far A is from the closed form (17.6), and how far Sigma^-1 is from it, both relative."""
    best = best_preconditioner(Sigma, n, W)
    size = np.sqrt((best**2).sum())
    return float(np.sqrt(((A - best) ** 2).sum()) / size), float(np.sqrt(((np.linalg.inv(Sigma) - best) ** 2).sum()) / size)
