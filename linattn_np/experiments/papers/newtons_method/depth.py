"""How many layers descent and Newton's iteration need, and how large the answer's error is after each; iterations of higher
order.

With R = X^T X of condition number kappa and X_0 = R / lam_max(R)^2, the residual has norm r_0 = 1 - kappa^-2 and

(19.14)  r_t = r_0^(2^t)                 below a small eps once 2^t >= kappa^2 log(1/eps): t = 2 log2 kappa + log2 log(1/eps)
(19.15)  descent's is ((kappa - 1) / (kappa + 1))^t at its best step: t = (kappa / 2) log(1/eps)

(19.16)  L trained layers with w_xx and w_yx: the examples' labels are multiplied by 1 + w_yx Sig_l, of degree 3^l in Sig, so
         the residual is a polynomial of degree 1, 4, 13, .., (3^L - 1) / 2; that of order p after t steps from X_0 = c I has p^t

Source: arXiv 2403.03183, sections 3.2.1, 4 and 6; derived in lesson 19.
"""

import itertools

import numpy as np

from ...._types import Array
from ....models.tied import tied
from ....models.ties import Scalar
from ....models.transformer import LinearTransformer
from ....optimizers import Adam, Cosine, Scheduled, clip
from ....prompts import RegressionTask
from .constructions import answers, descent_answers, inverses, recursion

ENOUGH = 1e-8  # the relative error that depths are counted to


def problem(kappa: float, rng: np.random.Generator, n: int = 20, d: int = 5) -> tuple[Array, Array, Array]:
    """Examples X (n, d) with X^T X of condition number kappa, labels of a random w, and a query."""
    left, _, right = np.linalg.svd(rng.standard_normal((n, d)), full_matrices=False)
    X = left * np.geomspace(1.0, kappa**-0.5, d) @ right
    return X, X @ rng.standard_normal(d), rng.standard_normal(d)


def errors(kappa: float, steps: int, descent_steps: int, seeds: int) -> dict[str, Array]:
    """|answer - that of least squares|, relative to the largest, after each step by layers.

    {"Newton", "descent"} (seeds, steps + 1)
    """
    found: dict[str, list[Array]] = {"Newton": [], "descent": []}
    for seed in range(seeds):
        X, y, query = problem(kappa, np.random.default_rng([19, seed]))
        true = query @ np.linalg.lstsq(X, y, rcond=None)[0]
        found["Newton"].append(np.abs(answers(X, y, query, steps) / true - 1))
        found["descent"].append(np.abs(descent_answers(X, y, query, descent_steps) / true - 1))
    return {name: np.array(each) for name, each in found.items()}


def depth_of(path: Array) -> float:
    """The first step from which on the error stays below ENOUGH; NaN where the path ends before."""
    above = np.flatnonzero(~(path < ENOUGH))
    first = 0 if len(above) == 0 else above[-1] + 1
    return float(first) if first < len(path) else np.nan


def residuals(kappa: float, steps: int, seed: int, d: int = 6) -> Array:
    """The spectral norm of I - X_t A along the layers of a symmetric A of this condition number. (steps + 1,)"""
    rng = np.random.default_rng([191, seed])
    V, _ = np.linalg.qr(rng.standard_normal((d, d)))
    A = V * np.geomspace(1.0, 1 / kappa, d) @ V.T
    return np.array([np.linalg.norm(np.eye(d) - X @ A, 2) for X in inverses((A + A.T) / 2, steps, True)])


def order_error(order: int, seed: int, d: int = 4) -> float:
    """How far I - X_{t+1} A is from (I - X_t A)^p over three steps, in the largest entry, relative to the first residual's."""
    rng = np.random.default_rng([192, seed])
    A = rng.standard_normal((d, d))
    gaps = [np.eye(d) - X @ A for X in recursion(A, A.T / np.linalg.norm(A, 2) ** 2, 3, order)]
    return float(max(np.abs(np.linalg.matrix_power(a, order) - b).max() for a, b in itertools.pairwise(gaps)))


# ---------------------------------------------------------------- trained layers beside the iterations


TASK = RegressionTask(n=50, d=10)


def iteration_losses(order: int, steps: int, best_start: bool = False, prompts: int = 1000) -> Array:
    """The mean squared error of the answers of an iteration of an order on TASK. (steps + 1,)

    From X_0 = R / (lam_max^2 + lam_min^2), as the paper's code begins; with ``best_start`` from X_0 = c I, after t steps the best
    c for t.
    """
    Z, y = TASK.sample(prompts, np.random.default_rng(193))
    X, labels = Z[:, :-1, :-1], Z[:, :-1, -1:]
    lam, V = np.linalg.eigh(X.mT @ X)
    weights = (V.mT @ (X.mT @ labels))[..., 0] * (V.mT @ Z[:, -1, :-1, None])[..., 0]  # of the eigenvalues of X_t in the answer
    starts = [lam / (lam[:, -1:] ** 2 + lam[:, :1] ** 2)]
    if best_start:
        starts = [np.full_like(lam, c / TASK.n) for c in np.linspace(0.4, 1.0, 31)]
    paths = []
    for x in starts:
        path = []
        with np.errstate(over="ignore", invalid="ignore"):  # a start that is too large leaves the finite numbers
            for _ in range(steps + 1):
                path.append(float((((x * weights).sum(axis=1) - y) ** 2).mean()))
                x = x * sum((1 - lam * x) ** m for m in range(order))
        paths.append(path)
    return np.nanmin(paths, axis=0)


def trained_loss(layers: int, steps: int, batch: int, seed: int, prompts: int = 1000) -> dict[str, Array]:
    """The mean squared error on the same prompts of a trained linear Transformer, P = diag(p_x I, p_y) and Q likewise in each
    layer.
    """
    rng = np.random.default_rng([194, seed, layers])
    model = tied(LinearTransformer(TASK.d, layers, 1, full=True), Scalar((TASK.d, 1)))
    params = np.array([[0.03, 0.3], [-0.3, 0.0]]) * (1 + 0.1 * rng.standard_normal((layers, 1, 2, 2)))
    passes, optimizer = model.passes(), Scheduled(Adam(0.02, 0.9, 0.99), Cosine(steps))
    state = optimizer.init(params)
    for _ in range(steps):
        _, grad = passes.loss_and_grad(params, passes.prepare(*TASK.sample(batch, rng)))
        params, state = optimizer.update(params, clip(grad, 1.0), state)
    return {"loss": np.array(model.loss(params, *TASK.sample(prompts, np.random.default_rng(193)))), "params": params}
