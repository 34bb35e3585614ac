"""Graph algorithms by layers of attention with weights typed in: tokens are nodes, and the attention matrix is the Laplacian.

In columns, tokens Z = [B^T ; Psi^T ; Phi^T] of width m + 2k, one for each node: its row of the incidence matrix, its k demands,
its k potentials. A layer is that of ``layers/general_attention.py`` with all tokens read and c = 1,

    (20.3) Z <- Z + R Z + P Z (Z^T Q Z),      and with Q = diag(I_m, 0, 0)      (20.4) Z^T Q Z = B B^T = L.

P = diag(u I_m, w I_k, v I_k), R = diag(rho I_m, 0, s I_k) with r I_k from the demands to the potentials: six scalars a layer, and

    Phi <- (1 + s + v L) Phi + r Psi,     Psi <- (1 + w L) Psi,     B <- (1 + rho + u L) B.

electric flow          v = -delta, r = delta                                     Phi <- Phi + delta (Psi - L Phi)      (20.5)
resistive embedding    w = -delta, r_l = sqrt(delta) binom(2l, l) / 4^l          Phi  = sum_l r_l (1 - delta L)^l Psi
heat kernel            r = 1 in a first layer, then v = -t / layers              Phi  = (1 - t L / layers)^layers Psi
eigenvectors           s = c - 1, v = -1, then heads that read Phi and normalisation: subspace iteration with c - L

The last: head j has Q = I on the potentials before column j, so that its attention matrix is Phi_<j Phi_<j^T, and P = -1 on
column j: phi_j <- phi_j - sum_{i<j} phi_i <phi_i, phi_j>, a step of Gram and Schmidt for all columns at once; then each column
has length 1. The paper's own matrices were not at hand: these are derived in lesson 20.
"""

from collections.abc import Callable

import numpy as np

from ...._checks import as_count, as_numbers, as_real
from ...._types import Array
from ....layers.general_attention import GeneralAttention
from . import recursions
from .graphs import demands, random_graphs
from .scalar_layer import NAMES


def weights(m: int, k: int, scalars: Array) -> tuple[Array, Array, Array]:
    """P and Q (1, D, D) and R (D, D), D = m + 2k, of the layer with scalars v, r, s, w, rho, u (6,).  Cost O(D^2)."""
    v, r, s, w, rho, u = scalars
    D = m + 2 * k
    demand, potential = np.arange(m, m + k), np.arange(m + k, D)
    P = np.diag(np.repeat([u, w, v], [m, k, k]))  # (D, D)
    Q = np.diag(np.repeat([1.0, 0.0, 0.0], [m, k, k]))  # (D, D)
    R = np.diag(np.repeat([rho, 0.0, s], [m, k, k]))  # (D, D)
    R[potential, demand] = r
    return P[None], Q[None], R


def gram_schmidt(m: int, k: int) -> tuple[Array, Array, Array]:
    """P and Q (k-1, D, D) and R = 0: head j-1 takes from column j of Phi its parts along the columns before it. k at least 2."""
    D = m + 2 * k
    P, Q = np.zeros((2, k - 1, D, D))
    for j in range(1, k):
        before, column = np.arange(m + k, m + k + j), m + k + j
        Q[j - 1, before, before] = 1.0
        P[j - 1, column, column] = -1.0
    return P, Q, np.zeros((D, D))


def attend(Z: Array, layer: tuple[Array, Array, Array]) -> Array:
    """One layer on tokens Z (graphs, n, D): all of them are read, and nothing is divided by n. Cost O(H n^2 D)."""
    return GeneralAttention(mask=np.ones(Z.shape[1]), c=1.0).forward(Z, *layer)[0]


def run(B: Array, Psi: Array, scalars: Array, Phi: Array | None = None) -> Array:
    """Phi (.., n, k) after layers of scalars (layers, 6), from Phi = 0 or the given ones. Cost O(layers n^2 (m + k))."""
    shape = np.shape(Psi)
    B, Psi = graph_and_demands(B, Psi)
    Phi = np.zeros_like(Psi) if Phi is None else Phi.reshape(Psi.shape)
    m, k = B.shape[-1], Psi.shape[-1]
    Z = np.concatenate([B, Psi, Phi], axis=-1).reshape(-1, B.shape[-2], m + 2 * k)
    for each in scalars:
        Z = attend(Z, weights(m, k, each))
    return Z[..., m + k :].reshape(shape)


def potentials(B: Array, Psi: Array, deltas: Array) -> Array:
    """Electric potentials by layers: Phi <- Phi + delta (Psi - L Phi) from Phi = 0, a layer for each delta (20.5).

    B (n, m) incidence matrix, Psi (n, k) demands, deltas (layers,) -> Phi (n, k); with graphs in front of n, or Psi (n,), alike.
    For columns of Psi that add up to 0 and 0 < delta < 2 / lambda_max, Phi tends to L^+ Psi. Raises ValueError for shapes that do
    not belong together. Cost O(layers n^2 (m + k)). Derived in lesson 20.
    """
    return run(B, Psi, electric(as_numbers("deltas", deltas, 1)))


def resistive(B: Array, Psi: Array, delta: float, layers: int) -> Array:
    """The resistive embedding L^{+1/2} Psi by its power series, shapes as :func:`potentials`. delta > 0."""
    delta, layers = as_real("delta", delta, above=0), as_count("layers", layers)
    factors = np.sqrt(delta) * recursions.central_binomials(layers)
    return run(B, Psi, rows(layers, w=-delta, r=factors))


def heat(B: Array, Psi: Array, t: float, layers: int) -> Array:
    """The heat kernel exp(-t L) Psi as (1 - t L / layers)^layers Psi: one layer that copies, then ``layers``. Shapes as above."""
    step = as_real("t", t, least=0) / as_count("layers", layers)
    return run(B, Psi, np.concatenate([rows(1, r=1.0), rows(layers, v=-step)]))


def eigenvectors(B: Array, Phi: Array, c: float, loops: int) -> Array:
    """Subspace iteration with c - L by two looped layers and normalisation: the eigenvectors of the smallest eigenvalues of L.

    B (n, m), Phi (n, k) to start from, c above half of lambda_max -> Phi (n, k) after ``loops``. Its first column tends to the
    constant where Phi's does not add up to 0. Raises ValueError as :func:`potentials`. Cost O(loops k n^2 (m + k)).
    """
    B, Phi = graph_and_demands(B, Phi)
    c, loops, (m, k) = as_real("c", c), as_count("loops", loops), (B.shape[-1], Phi.shape[-1])
    multiply, orthogonalise = weights(m, k, rows(1, s=c - 1, v=-1.0)[0]), gram_schmidt(m, k)
    Z = np.concatenate([B, np.zeros_like(Phi), Phi], axis=-1)[None]
    for _ in range(loops):
        for layer in (multiply, orthogonalise):
            Z = attend(Z, layer)
            Z[..., m + k :] = recursions.unit_columns(Z[..., m + k :])
    return Z[0, :, m + k :]


def electric(deltas: Array) -> Array:
    """The scalars (layers, 6) of the electric flow."""
    return rows(len(deltas), v=-deltas, r=deltas)


def rows(layers: int, **values: float | Array) -> Array:
    """Scalars (layers, 6) by their names, 0 where not named; a number stands for all layers."""
    out = np.zeros((layers, len(NAMES)))
    for name, value in values.items():
        out[:, NAMES.index(name)] = value
    return out


def graph_and_demands(B: Array, Psi: Array) -> tuple[Array, Array]:
    """B (.., n, m) and Psi (.., n, k), or ValueError; Psi (.., n) is one demand, k = 1."""
    B, Psi = as_numbers("B", B), as_numbers("Psi", Psi)
    if B.ndim < 2:
        raise ValueError(f"B: expected an incidence matrix (n, m), got shape {B.shape}")
    Psi = Psi[..., None] if Psi.shape == B.shape[:-1] else Psi
    if Psi.ndim != B.ndim or Psi.shape[: B.ndim - 1] != B.shape[:-1]:
        raise ValueError(f"Psi: expected demands at n = {B.shape[-2]} nodes, shape {(*B.shape[:-1], 'k')}, got {Psi.shape}")
    return B, Psi


# ---------------------------------------------------------------- its checks: by layers = the recursion, at a generic point


def _difference(by_layers: Callable[..., Array], recursion: Callable[..., Array], *arguments: object) -> float:
    rng = np.random.default_rng(20)
    B, Psi = 0.4 * random_graphs(rng, 1, 11)[0], demands(rng, 1, 11, 3)[0]
    wanted = recursion(B, Psi, *arguments)
    return float(np.abs(by_layers(B, Psi, *arguments) - wanted).max() / np.abs(wanted).max())


def _scalars() -> Array:
    return 0.2 * np.random.default_rng(21).standard_normal((4, 6))


CHECKS = {
    "electric flow": lambda: _difference(potentials, recursions.potentials, np.array([0.1, 0.25, 0.05])),
    "resistive embedding": lambda: _difference(resistive, recursions.resistive, 0.1, 4),
    "heat kernel": lambda: _difference(heat, recursions.heat, 0.3, 4),
    "eigenvectors": lambda: _difference(eigenvectors, recursions.eigenvectors, 5.0, 4),
    "six scalars": lambda: _difference(run, recursions.six_scalars, _scalars()),
}
