"""Many layers, with the loss averaged over tasks and queries exactly: only S = (1/n) sum_i x_i x_i^T is left of a prompt.

With d x d blocks P', Q' and the fixed corner, covariates never see a label, and labels stay linear in w. So after some layers
every covariate is T x with one matrix T for the prompt, and every label x^T R w; what is wrong with the prediction is -x^T R w.
Before the first layer T = R = I. For queries of covariance Sigma and E[w w^T] = W the mean over both, given S, is tr(Sigma R W
R^T).

Forward, a layer                              Backward, from dT' and dR'
(17.8)   J  = T^T Q' T                        (17.14) dR  = dR' + U dR'          (17.18) dU += (P' T)^T dT'
(17.9)   U  = S J                             (17.15) dU  = R dR'^T              (17.19) dJ  = S dU
(17.10)  T' = T + P' T U                      (17.16) dP' = sum_b dT' (T U)^T    (17.20) dQ' = sum_b T dJ T^T
(17.11)  R' = R + U^T R                       (17.17) dT  = dT' + P'^T dT' U^T   (17.21) dT += Q' T dJ^T + Q'^T T dJ
(17.12)  f  = mean_b tr(Sigma R W R^T)        (17.13) dR_L = (2/B) Sigma R W

A batch of S replaces a batch of prompts: the same mean, with far less noise, since nothing but S is drawn. P' = 0 leaves T = I,
and R' = (I - A S) R is preconditioned descent with A = -Q'^T. Derived in lesson 17.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .... import audit
from ...._checks import as_count, as_numbers, as_prompts, as_rng
from ...._types import Array
from ....layers.marks import Mark, keep
from ....models.model import check_width
from ....models.ties import as_tuples
from ....models.transformer import LinearTransformer
from .closed_form import as_covariance


class Tape(NamedTuple):
    """What the backward pass needs of one layer."""

    P: Array  # (d, d)
    Q: Array  # (d, d)
    S: Array  # (B, d, d)
    T: Array  # (B, d, d)
    R: Array  # (B, d, d)
    U: Array  # (B, d, d)


def forward(P: Array, Q: Array, S: Array, T: Array, R: Array, mark: Mark = keep) -> tuple[Array, Array, Tape]:
    """One layer: (17.8) to (17.11).  P, Q (d, d), S, T, R (B, d, d) -> T', R' and the tape. Cost O(B d^3)."""
    P, Q, T, R = mark("P", P), mark("Q", Q), mark("T", T), mark("R", R)
    # F1  J = T^T Q T                                                            (17.8)
    J = mark("J", T.mT @ Q @ T)  # (B, d, d)
    # F2  U = S J                                                                (17.9)
    U = mark("U", S @ J)  # (B, d, d)
    # F3  T' = T + P T U                                                         (17.10)
    T_out = mark("T_out", T + P @ T @ U)  # (B, d, d)
    # F4  R' = R + U^T R                                                         (17.11)
    R_out = mark("R_out", R + U.mT @ R)  # (B, d, d)
    return T_out, R_out, Tape(P, Q, S, T, R, U)


def backward(dT_out: Array, dR_out: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array, Array]:
    """Gradients of one layer: (17.14) to (17.21).

    dT', dR' (B, d, d) -> dP, dQ (d, d), summed over the batch, dT, dR (B, d, d).
    """
    P, Q, S, T, R, U = tape
    dT_out, dR_out = mark("dT_out", dT_out), mark("dR_out", dR_out)
    # B4  undoes F4  R' = R + U^T R
    dR = mark("dR", dR_out + U @ dR_out)  # (B, d, d)                            (17.14)
    dU_remains = R @ dR_out.mT  # (B, d, d)                                      (17.15) use 1 of 2
    # B3  undoes F3  T' = T + P T U
    dP = mark("dP", (dT_out @ (T @ U).mT).sum(axis=0))  # (d, d)                 (17.16)
    dT_moved = dT_out + P.T @ dT_out @ U.mT  # (B, d, d)                         (17.17) uses 1 and 2 of 4
    dU_moved = (P @ T).mT @ dT_out  # (B, d, d)                                  (17.18) use 2 of 2
    dU = mark("dU", dU_remains + dU_moved)  # (B, d, d)
    # B2  undoes F2  U = S J, S symmetric
    dJ = mark("dJ", S @ dU)  # (B, d, d)                                         (17.19)
    # B1  undoes F1  J = T^T Q T
    dQ = mark("dQ", (T @ dJ @ T.mT).sum(axis=0))  # (d, d)                       (17.20)
    dT_read = Q @ T @ dJ.mT + Q.T @ T @ dJ  # (B, d, d)                          (17.21) uses 3 and 4 of 4
    dT = mark("dT", dT_moved + dT_read)  # (B, d, d)
    return dP, dQ, dT, dR


@dataclass(frozen=True)
class Averaged:
    """The stack as a model: params (L, 1, 2, d, d) as ``la.predict`` takes them, the loss averaged over tasks and queries.

    Of prompts it reads the examples' covariates alone. Sigma and W (d, d) symmetric positive definite, W = Sigma^-1 where none is
    given, else ValueError.
    """

    Sigma: Any
    layers: int = 1
    W: Any = None

    def __post_init__(self) -> None:
        Sigma = as_covariance("Sigma", self.Sigma)
        W = np.linalg.inv(Sigma) if self.W is None else as_covariance("W", self.W, len(Sigma))
        object.__setattr__(self, "layers", as_count("layers", self.layers))
        object.__setattr__(self, "Sigma", as_tuples(Sigma.tolist()))
        object.__setattr__(self, "W", as_tuples(((W + W.T) / 2).tolist()))

    @property
    def d(self) -> int:
        """The number of covariates."""
        return len(self.Sigma)

    def init_params(self, rng: np.random.Generator, std: float = 1e-4) -> Array:
        """Every entry N(0, std^2). -> (L, 1, 2, d, d)"""
        return LinearTransformer(self.d, self.layers).init_params(as_rng(rng), std)

    def as_params(self, params: Any) -> Array:
        """``params`` as an array (L, 1, 2, d, d), real or complex. Raises ValueError for another shape."""
        params = as_numbers("params", params, complex_ok=True)
        if params.shape != (self.layers, 1, 2, self.d, self.d):
            raise ValueError(f"params: expected shape {(self.layers, 1, 2, self.d, self.d)} for {self}, got {params.shape}")
        return params

    def loss_and_grad(self, params: Any, Z: Array, y: Array) -> tuple[float, Array]:
        """The mean of tr(Sigma R W R^T) over the prompts' S, and its gradient. -> (float, like params)"""
        Z, _ = as_prompts(Z, y, complex_ok=True)
        check_width(self, Z)
        X = Z[:, :-1, :-1]  # (B, n, d)
        return self.of_states(params, X.mT @ X / X.shape[1])

    def of_states(self, params: Any, S: Array) -> tuple[float, Array]:
        """The same for S (B, d, d) itself: (17.12), (17.13) and the layers."""
        params, Sigma, W = self.as_params(params), np.array(self.Sigma), np.array(self.W)
        T, R, tapes = self._remains(params, S)
        value = (Sigma @ R * (R @ W)).sum() / len(S)  #                          (17.12)
        dT, dR = np.zeros_like(T), 2 * Sigma @ R @ W / len(S)  # (B, d, d)      (17.13)
        grad = np.zeros_like(params)
        for layer, tape in zip(reversed(range(len(params))), reversed(tapes), strict=True):
            grad[layer, 0, 0], grad[layer, 0, 1], dT, dR = backward(dT, dR, tape)
        return value.item(), grad

    def loss_of(self, params: Any, S: Array) -> float:
        """(17.12) alone, for S (B, d, d)."""
        R = self._remains(self.as_params(params), S)[1]
        return float((np.array(self.Sigma) @ R * (R @ np.array(self.W))).sum() / len(S))

    def _remains(self, params: Array, S: Array) -> tuple[Array, Array, list[Tape]]:
        """T and R (B, d, d) after the last layer, and the tapes."""
        T = np.broadcast_to(np.eye(self.d), S.shape)  # (B, d, d)
        R, tapes = T, []
        for P, Q in params[:, 0]:
            T, R, tape = forward(P, Q, S, T, R)
            tapes.append(tape)
        return T, R, tapes


def audit_layer() -> audit.Report:
    """One layer's backward, each line of it."""
    rng = np.random.default_rng(17)
    X = rng.standard_normal((5, 7, 3))
    S = X.mT @ X / 7
    theta = {
        name: rng.standard_normal(shape) for name, shape in (("P", (3, 3)), ("Q", (3, 3)), ("T", (5, 3, 3)), ("R", (5, 3, 3)))
    }

    def ahead(theta: dict[str, Array], mark: Mark = keep) -> Array:
        T, R, _ = forward(theta["P"], theta["Q"], S, theta["T"], theta["R"], mark)
        return np.stack([T, R])

    def back(theta: dict[str, Array], dout: Array, mark: Mark = keep) -> dict[str, Array]:
        tape = forward(theta["P"], theta["Q"], S, theta["T"], theta["R"])[2]
        return dict(zip("PQTR", backward(dout[0], dout[1], tape, mark), strict=True))

    equations = {"dR": "17.14", "dP": "17.16", "dJ": "17.19", "dQ": "17.20"}
    return audit.audit_gradient(ahead, back, theta, equations=equations, title="one layer on S, T and R")


def audit_model() -> audit.Report:
    """The loss of three layers, (17.12) and (17.13) included."""
    rng = np.random.default_rng(18)
    X, C = rng.standard_normal((2, 5, 3)), np.array([[1.0, 0, 0], [0.4, 0.8, 0], [-0.3, 0.5, 0.6]])
    model, S = Averaged(C @ C.T, 3, W=C.T @ C), X.mT @ X / 5
    params = 0.5 * rng.standard_normal((3, 1, 2, 3, 3))
    return audit.audit_gradient(
        lambda w: model.of_states(w, S)[0], lambda w: model.of_states(w, S)[1], params, title="three layers, averaged"
    )


AUDITS = {"layer": audit_layer, "model": audit_model}
