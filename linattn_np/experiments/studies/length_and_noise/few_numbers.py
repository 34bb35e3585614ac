"""The best that layers P' = a_l I, Q' = b_l I can do: their numbers trained on a spectrum, without prompts, by hand.

Forward, at each eigenvalue                     Backward, from df (S,)
(31.6)  t_l = 1 + a_l b_l lambda_l              (31.16) du_l = dr prod_{m != l} u_m,  dt_l = 2 lambda_l t_l dlambda_{l+1}
        lambda_{l+1} = lambda_l t_l^2           (31.17) da_l = b_l lambda_l dt_l,     db_l = lambda_l du_l + a_l lambda_l dt_l
(31.7)  u_l = 1 + b_l lambda_l,  r = prod u_l   (31.18) dlambda_l = b_l du_l + t_l^2 dlambda_{l+1} + a_l b_l dt_l
(31.2)  f = sum_k weight_k (r^2 + (sigma^2/n) lambda q^2),  q = (1 - r)/lambda,  so dr = 2 df weight (r - (sigma^2/n) q)

Nothing reads the spectrum after the last layer: dlambda_{L+1} = 0, and a_L changes nothing. S networks are trained side by side:
a, b (S, L). Derived in lesson 31.
"""

from typing import NamedTuple

import numpy as np

from ...._types import Array
from ....audit import Report, audit_gradient
from ....optimizers import Adam
from .theory import bayes_filter, filter_loss

BODY, TAIL = 200, 60  # bins of a spectrum below and above the 99 % quantile
RATE, BETAS = 0.03, (0.9, 0.99)
CASES = (  # layers, d, noise, n
    *((3, 5, 1.0, n) for n in (4, 5, 6, 12)),
    *((3, 5, 0.5, n) for n in (4, 5, 6)),
    *((layers, 5, 0.5, 6) for layers in (1, 2, 4)),
)


class Spectrum(NamedTuple):
    """The eigenvalues above 0 of the prompts of a task, in bins: weights sum up to the number of such eigenvalues in a prompt."""

    lam: Array  # ascending
    weights: Array
    n: int
    noise: float


class Tape(NamedTuple):
    """What the backward pass needs."""

    a: Array  # (S, L)
    b: Array  # (S, L)
    lams: list[Array]  # of the layers, each (S, K)
    us: list[Array]
    ts: list[Array]
    r: Array  # (S, K)
    spectrum: Spectrum


def spectrum_of(n: int, d: int, noise: float, seed: int, prompts: int) -> Spectrum:
    """Bins of equal weight, and above the 99 % quantile ever smaller ones up to the largest eigenvalue alone."""
    X = np.random.default_rng([31, seed, n, d]).standard_normal((prompts, n, d))
    lam = np.linalg.eigvalsh(X.mT @ X / n if n >= d else X @ X.mT / n)
    lam = np.sort(lam.ravel())
    body, tail = np.linspace(0, 0.99 * len(lam), BODY), len(lam) - np.geomspace(0.01 * len(lam), 1, TAIL)
    edges = np.unique(np.r_[body, tail, len(lam)].astype(int))
    weights = np.diff(edges)
    return Spectrum(np.add.reduceat(lam, edges[:-1]) / weights, weights / prompts, n, noise)


def forward(a: Array, b: Array, spectrum: Spectrum) -> tuple[Array, Tape]:
    """(31.6), (31.7), (31.2).  a, b (S, L) -> f (S,) and the tape. Cost O(S L K)."""
    lam, us, ts = spectrum.lam, [], []
    first = lam + 0 * a[:, :1]  # (S, K)
    lams = [first]
    for a_l, b_l in zip(a.T[..., None], b.T[..., None], strict=True):
        us.append(1 + b_l * lams[-1])
        ts.append(1 + a_l * b_l * lams[-1])
        lams.append(lams[-1] * ts[-1] ** 2)
    r = np.prod(us, axis=0)
    q = (1 - r) / lam
    f = ((r * r + spectrum.noise**2 / spectrum.n * lam * q * q) * spectrum.weights).sum(axis=1)
    return f, Tape(a, b, lams, us, ts, r, spectrum)


def backward(df: Array, tape: Tape) -> tuple[Array, Array]:
    """(31.16) to (31.18), the layers in reverse.  df (S,) -> da, db (S, L). Cost O(S L^2 K)."""
    a, b, lams, us, ts, r, (lam, weights, n, noise) = tape
    da, db = np.zeros_like(a), np.zeros_like(b)
    q = (1 - r) / lam
    dr = 2 * df[:, None] * weights * (r - noise**2 / n * q)  # (31.2)
    dlam = 0 * r
    for l in reversed(range(a.shape[1])):
        a_l, b_l = a[:, l, None], b[:, l, None]
        du = dr * np.prod([u for m, u in enumerate(us) if m != l], axis=0)  # (31.16)
        dt = 2 * lams[l] * ts[l] * dlam  # (31.16)
        da[:, l] = (b_l * lams[l] * dt).sum(axis=1)  # (31.17)
        db[:, l] = (lams[l] * du + a_l * lams[l] * dt).sum(axis=1)  # (31.17)
        dlam = b_l * du + ts[l] ** 2 * dlam + a_l * b_l * dt  # (31.18)
    return da, db


def best(seed: int, layers: int, d: int, noise: float, n: int, starts: int, steps: int, prompts: int) -> dict[str, Array]:
    """Adam with linear decay from ``starts`` random first numbers. -> ratio (starts,), losses over Bayes', sorted; the best a, b

    The gradient is clipped at 1 for each start; one that leaves the finite numbers has ratio infinity.
    """
    spectrum, rng = spectrum_of(n, d, noise, seed, prompts), np.random.default_rng([31, seed, layers])
    unseen = max(d - n, 0)  # directions without an eigenvalue cost 1 each, whoever answers
    a = 0.4 * np.abs(rng.standard_normal((starts, layers)))
    b = -np.sort(np.exp(rng.uniform(np.log(0.2), np.log(4.0), (starts, layers))), axis=1)
    theta, optimizer = np.concatenate([a, b], axis=1), Adam(RATE, *BETAS)
    state = optimizer.init(theta)
    with np.errstate(all="ignore"):
        for step in range(steps):
            f, tape = forward(theta[:, :layers], theta[:, layers:], spectrum)
            grad = np.concatenate(backward(np.ones_like(f), tape), axis=1)
            grad = np.nan_to_num(grad / np.maximum(1, np.sqrt((grad**2).sum(axis=1, keepdims=True))), posinf=0, neginf=0)
            new, state = optimizer.update(theta, grad, state)
            theta = theta + (1 - step / steps) * (new - theta)
        f = forward(theta[:, :layers], theta[:, layers:], spectrum)[0]
    least = filter_loss(spectrum.lam[:, None], bayes_filter(spectrum.lam, n, noise)[:, None], n, noise) @ spectrum.weights
    ratio = np.where(np.isfinite(f), (unseen + f) / (unseen + least), np.inf)
    found = theta[np.argmin(ratio)]
    return {"ratio": np.sort(ratio), "a": found[:layers], "b": found[layers:]}


def audit_numbers() -> Report:
    """The backward pass at a generic point: S = 2, L = 3, seven eigenvalues with weights, noise."""
    rng = np.random.default_rng(31)
    spectrum = Spectrum(rng.uniform(0.3, 1.7, 7), rng.uniform(0.5, 1.5, 7), 5, 0.8)
    theta = {"a": rng.uniform(0.2, 0.6, (2, 3)), "b": -rng.uniform(0.3, 0.8, (2, 3))}

    def ahead(theta: dict[str, Array]) -> Array:
        return forward(theta["a"], theta["b"], spectrum)[0]

    def back(theta: dict[str, Array], dout: Array) -> dict[str, Array]:
        return dict(zip("ab", backward(dout, forward(theta["a"], theta["b"], spectrum)[1]), strict=True))

    return audit_gradient(ahead, back, theta, title="layers of two numbers on a spectrum")


AUDITS = {"numbers": audit_numbers}
