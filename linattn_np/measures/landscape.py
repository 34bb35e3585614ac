"""The shape of the loss around a point: its exact Hessian, what is read off it, and the curvature along a step.

H is the Hessian of the loss on one fixed batch, p x p, in the C order of params; g its gradient; u a direction.
(9.1)  R_med = max_i |H_ii| / median_i |H_ii|           robust condition number
(10.1) kappa(u) = u^T H u / u^T u                       directional smoothness, with its sign
(10.3) ||g||^2 cos^2(u, g) / (2 kappa(u))               the best decrease that the quadratic model allows along u
(10.6) S = (1 - beta1^t) (sqrt(v_hat) + eps)            Adam's preconditioner; its sharpness is lambda_1(S^-1/2 H S^-1/2)
(10.7) lambda_1 < 2 (1 + beta1) / ((1 - beta1) lr)      where that sharpness stops, 38 / lr for beta1 = 0.9
(11.11) max over gamma of ||g(x + gamma u) - g(x)|| / (gamma ||u||)     smoothness along the path of a step
At 150 parameters all of it is exact; ``estimators.py`` has what one uses where it is not. Derived in lessons 09 to 11.
Source: paper, section 3.2, for (9.1) and (10.1); Cohen et al. 2022 for (10.6).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._checks import as_numbers, as_prompts, as_real, one_of
from .._types import Array
from ..models.model import Passes, as_model, check_width, passes_of
from ..models.transformer import transformer_for
from ..optimizers import clip, global_norm
from .estimators import hutchinson, lanczos, power_iteration
from .smoothness_fits import fit_l0_l1, fit_log

__all__ = [
    "Objective", "Spectrum", "StepCurvature", "best_decrease", "block_spectra", "blocks", "directional_smoothness",
    "directions_at",
    "fit_l0_l1", "fit_log", "hessian_diagonal", "hutchinson", "lanczos", "off_diagonal_share", "path_smoothness",
    "power_iteration",
    "preconditioned_sharpness", "robust_condition_number", "spectrum",
    "step_curvature",
]  # fmt: skip


class Objective:
    """The loss on one fixed batch, with its derivatives at any params; the batch is prepared once.

    ``model`` is any model; None: the linear Transformer whose params are given.
    """

    def __init__(self, Z: Array, y: Array, model: Any = None) -> None:
        self.Z, self.y = as_prompts(Z, y)
        self.model = None if model is None else as_model(model)
        check_width(model, self.Z)
        self._prepared: dict[type, Any] = {}

    def at(self, params: Any) -> tuple[Array, Passes, Any]:
        """The params as an array, the passes that serve them, and the batch in their form."""
        model: Any
        if self.model is None:
            model, params = transformer_for(params, self.Z.shape[-1] - 1, Z=self.Z)
        else:
            model, params = self.model, self.model.as_params(params)
        passes = passes_of(model, params)
        if type(passes) not in self._prepared:
            self._prepared[type(passes)] = passes.prepare(self.Z, self.y)
        return params, passes, self._prepared[type(passes)]

    def loss(self, params: Array) -> float:
        """-> float"""
        params, passes, batch = self.at(params)
        return passes.loss(params, batch)

    def loss_and_grad(self, params: Array) -> tuple[float, Array]:
        """-> (float, like params)"""
        params, passes, batch = self.at(params)
        return passes.loss_and_grad(params, batch)

    def grad(self, params: Array) -> Array:
        """-> like params"""
        return self.loss_and_grad(params)[1]

    def hvps(self, params: Array, directions: Array) -> Array:
        """H times each of the directions (m, *params.shape). -> the same shape"""
        params, passes, batch = self.at(params)
        return passes.hvps(params, batch, directions)

    def grad_and_hvps(self, params: Array, directions: Array) -> tuple[Array, Array]:
        """The gradient, like params, and :meth:`hvps`, for less than both one after the other."""
        params, passes, batch = self.at(params)
        return passes.grad_and_hvps(params, batch, directions)

    def hessian(self, params: Array) -> Array:
        """The exact Hessian (p, p), symmetric to the last bit."""
        params = np.asarray(params)
        H = self.hvps(params, np.eye(params.size).reshape(-1, *params.shape)).reshape(params.size, params.size)
        return 0.5 * (H + H.T)

    def gauss_newton(self, params: Array) -> Array:
        """The Gauss-Newton matrix (2 / B) sum_b J_b J_b^T (p, p), J_b the gradient of prediction b: H without its second part.

        (29.8)  H = (2 / B) sum_b [J_b J_b^T + (prediction_b - y_b) (the Hessian of prediction b)],
        so it is the Hessian where the labels are the predictions. Raises ValueError for a model without ``predict``.
        """
        params, passes, _ = self.at(params)
        if not callable(getattr(passes.model, "predict", None)):
            raise ValueError(f"model: expected one with a method predict, got {passes.model!r}")
        return Objective(self.Z, passes.model.predict(params, self.Z), passes.model).hessian(params)

    def diagonal(self, params: Array) -> Array:
        """The exact diagonal of the Hessian (p,)."""
        params, passes, batch = self.at(params)
        return passes.hessian_diagonal(params, batch).ravel()


def hessian_diagonal(params: Array, Z: Array, y: Array, model: Any = None) -> Array:
    """The exact diagonal of the loss's Hessian, from hand-derived second order. -> (p,)

    Cost: p Hessian-vector products, of linear attention only through the layers from each parameter's own on: about 0.02 s for
    1000 prompts, L = 3, d = 5 on two cores. Derived in lesson 04.
    """
    params = as_numbers("params", params)
    if params.size == 0:
        raise ValueError(f"params: expected at least one number, got shape {params.shape}")
    return Objective(Z, y, model).diagonal(params)


# ---------------------------------------------------------------- read off the Hessian


def robust_condition_number(diagonal: Array, median: str = "lower", drop_dead: bool = False) -> float:
    """R_med = max |H_ii| / median |H_ii| (9.1).

    diagonal (p,); median "lower": of an even count the lower of the two middle values, as the paper's code computes it,
    "usual": their mean; drop_dead leaves out entries that are exactly 0, parameters that never reach the prediction.
    -> float, infinite where the median is 0. Raises ValueError for anything else, or when every entry is 0. Source: paper, 3.2.
    """
    one_of("median", median, ("lower", "usual"))
    size = np.sort(np.abs(as_numbers("diagonal", diagonal, ndim=1)))
    if drop_dead:
        size = size[size > 0]
    if len(size) == 0 or size[-1] == 0:
        raise ValueError("diagonal: expected an entry other than 0, got none; R_med is not defined")
    middle = size[(len(size) - 1) // 2]
    if median == "usual":
        middle = 0.5 * (middle + size[len(size) // 2])
    return float(size[-1] / middle) if middle > 0 else float("inf")


def off_diagonal_share(H: Array) -> float:
    """The share of ||H||_F^2 that lies off the diagonal: 0 for a diagonal matrix. H (p, p), not zero -> float"""
    H = _as_hessian(H)
    total, diagonal = (H * H).sum(), np.diag(H)
    if total == 0:
        raise ValueError("H: expected an entry other than 0, got none")
    return float(1.0 - (diagonal * diagonal).sum() / total)


class Spectrum(NamedTuple):
    """What the eigenvalues say."""

    eigenvalues: Array  # (p,) ascending
    sharpness: float  # the largest
    negative: int  # how many are below -rounding
    condition: float  # lambda_max / lambda_median, the median of all p, usual; the text's condition number


def spectrum(H: Array) -> Spectrum:
    """The eigenvalues of H (p, p) and what is read off them; rounding is p eps times the largest |eigenvalue|."""
    H = _as_hessian(H)
    values = np.linalg.eigvalsh(H)
    middle, rounding = np.median(values), len(H) * np.finfo(float).eps * np.abs(values).max()
    condition = float(values[-1] / middle) if middle != 0 else float("inf")
    return Spectrum(values, float(values[-1]), int((values < -rounding).sum()), condition)


def blocks(H: Array, shape: Sequence[int]) -> Array:
    """The diagonal blocks of H (p, p), one for each matrix: (L, H, 2, k k, k k) for params of ``shape`` (L, H, 2, k, k)."""
    H = _as_hessian(H)
    L, heads, _, k, _ = shape
    if len(H) != np.prod(shape):
        raise ValueError(f"shape: expected {len(H)} parameters, as H has rows, got {shape}")
    count = L * heads * 2
    every = H.reshape(count, k * k, count, k * k)
    return np.stack([every[i, :, i] for i in range(count)]).reshape(L, heads, 2, k * k, k * k)


def block_spectra(H: Array, shape: Sequence[int]) -> Array:
    """The eigenvalues of each block, ascending: (L, H, 2, k k)."""
    return np.linalg.eigvalsh(blocks(H, shape))


def preconditioned_sharpness(H: Array, v_hat: Array, beta1: float, t: int, eps: float = 1e-8) -> float:
    """The largest eigenvalue of S^-1/2 H S^-1/2, S = (1 - beta1^t) (sqrt(v_hat) + eps) (10.6).

    H (p, p); v_hat Adam's corrected mean of squares, like params, >= 0; t >= 1 updates so far, the coming one included.
    Without noise Adam with rate lr holds it near (10.7). Source: Cohen et al. 2022.
    """
    H = _as_hessian(H)
    v_hat = as_numbers("v_hat", v_hat).ravel()
    if v_hat.shape != (len(H),) or (v_hat < 0).any():
        raise ValueError(f"v_hat: expected {len(H)} numbers of at least 0, got shape {v_hat.shape}")
    as_real("eps", eps, above=0)
    root = 1.0 / np.sqrt((1.0 - as_real("beta1", beta1, least=0, below=1) ** t) * (np.sqrt(v_hat) + eps))
    return float(np.linalg.eigvalsh(root[:, None] * H * root)[-1])


def _as_hessian(H: Any) -> Array:
    H = as_numbers("H", H, ndim=2)
    if H.shape[0] != H.shape[1] or not np.allclose(H, H.T, rtol=1e-6, atol=1e-9 * np.abs(H).max(initial=0.0)):
        raise ValueError(f"H: expected a symmetric matrix, got shape {H.shape}")
    return H


# ---------------------------------------------------------------- the curvature along a step


class StepCurvature(NamedTuple):
    """The loss along a direction u at a point, to second order."""

    kappa: float  # directional smoothness (10.1)
    cosine: float  # cos(u, g): -1 along steepest descent
    decrease: float  # (10.3); infinite where kappa <= 0, 0 where u is orthogonal to g


def directional_smoothness(params: Array, direction: Array, Z: Array, y: Array, model: Any = None) -> float:
    """kappa(u) = u^T H u / u^T u, the curvature along a direction at params, with its sign (10.1).

    params, direction (L, H, 2, k, k), or those of any ``model``, direction not zero; Z (B, n+1, d+1), y (B,) -> float.
    Raises ValueError for bad arguments. Cost: one Hessian-vector product. Source: paper, section 3.2, with u the step from the
    point.
    """
    return step_curvature(params, {"direction": direction}, Objective(Z, y, model))["direction"].kappa


def step_curvature(params: Array, directions: Mapping[str, Array], objective: Objective) -> dict[str, StepCurvature]:
    """The curvature and slope along each of the named directions {name: like params} at params. -> {name: StepCurvature}"""
    params = objective.at(as_numbers("params", params))[0]
    u = np.stack([_unit(name, value, params) for name, value in directions.items()])  # (m, *params.shape)
    grad, products = objective.grad_and_hvps(params, u)
    kappa = (u * products).reshape(len(u), -1).sum(axis=1)
    slopes, norm = u.reshape(len(u), -1) @ grad.ravel(), global_norm(grad)
    return {
        name: StepCurvature(float(k), float(slope / norm) if norm > 0 else 0.0, best_decrease(slope, k))
        for name, k, slope in zip(directions, kappa, slopes, strict=True)
    }


def best_decrease(slope: float, kappa: float) -> float:
    """(10.3) for a unit direction: slope^2 / (2 kappa), slope = u^T g; infinite where kappa <= 0 and the slope is not 0."""
    if slope == 0:
        return 0.0
    return float(slope * slope / (2 * kappa)) if kappa > 0 else float("inf")


def _unit(name: str, direction: Any, params: Array) -> Array:
    direction = as_numbers(name, direction)
    if direction.shape != params.shape:
        raise ValueError(f"{name}: expected the shape of params, {params.shape}, got {direction.shape}")
    norm = global_norm(direction)
    if not norm > 0:
        raise ValueError(f"{name}: expected a direction other than 0, got 0")
    return direction / norm


def directions_at(grad: Array, adam_step: Array | None = None, threshold: float = 1.0, quantile: float = 0.9) -> dict[str, Array]:
    """The directions in which the optimizers would leave one point, given its gradient. -> {name: like grad}

    gradient, normalized and clipped are parallel: what they change is the length. sign moves every live coordinate alike;
    "coordinate-clipped" cuts |g_i| at a quantile of the |g_i|; "Adam" is ``adam_step``, the update that its state makes.
    """
    grad = as_numbers("grad", grad)
    found = {
        "gradient": -grad, "normalized": -grad / global_norm(grad), "clipped": -clip(grad, threshold),
        "sign": -np.sign(grad),
        "coordinate-clipped": -clip(grad, float(np.quantile(np.abs(grad), quantile)), "coordinate"),
    }  # fmt: skip
    return found if adam_step is None else {**found, "Adam": adam_step}


def path_smoothness(params: Array, step: Array, objective: Objective, gammas: Iterable[float] = (0.25, 0.5, 0.75, 1.0)) -> float:
    """max over gamma of ||g(x + gamma u) - g(x)|| / (gamma ||u||), u the step: smoothness over its length (11.11). -> float"""
    gammas = [as_real("gammas", gamma, above=0) for gamma in gammas]
    if not gammas:
        raise ValueError("gammas: expected at least one number above 0, got none")
    params, step = as_numbers("params", params), as_numbers("step", step)
    if step.shape != params.shape:
        raise ValueError(f"step: expected the shape of params, {params.shape}, got {step.shape}")
    norm, grad = global_norm(step), objective.grad(params)
    if not norm > 0:
        raise ValueError("step: expected a step other than 0, got 0")
    return max(global_norm(objective.grad(params + gamma * step) - grad) / (gamma * norm) for gamma in gammas)
