"""The diagonal layer: four numbers, and the same matrix T for every token of a prompt.

The paper writes the layer for each token, with sums over the n examples: Sig = sum x x^T, al = sum y x, lam = sum y^2,

(18.2)  x_i' = x_i + w_xx Sig x_i + w_xy y_i al             (18.3)  y_i' = y_i + w_yx al.x_i + w_yy lam y_i

The three sums are the blocks of G, so with W holding each number in the place of its block this is three lines (tokens z as
rows):

Forward                                    Backward, from dZ' = df/dZ'
(18.4)  G  = Z^T M Z = [[Sig, al],         (18.7)  dT  = dZ'^T Z          (18.10)  dG  = W o dT
                        [al^T, lam]]       (18.8)  dZ  = dZ' T            (18.11)  dZ += M Z (dG + dG^T)
(18.5)  T  = I + W o G                     (18.9)  dw_ab = sum over prompts and over block ab of dT o G
(18.6)  Z' = Z T^T
o is the product entry by entry, M leaves the query out. Z is used twice: moved by T, and read for G. It is general attention with
the heads of ``models.FourScalars``, which trains; here no head and no n^2 appears. Derived in lesson 18; source: arXiv
2402.14180, sections 2.1 and 5. A tangent is vX, the tangent of a gradient hX.
"""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ...._checks import as_numbers
from ...._types import Array
from ....audit import Report, audit_gradient
from ....audit.checks.tangents import check_tangents
from ....layers.marks import Mark, keep


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass (or, of a tangent pass, the tangents of the same)."""

    Z: Array  # (B, N, D)
    W: Array  # (D, D)
    G: Array  # (B, D, D)
    T: Array  # (B, D, D)


def layer(weights: Any, Z: Any) -> Array:
    """(18.2), (18.3)  One layer on plain sums over the examples, not divided by n; the query is moved too, and not read.

    weights (w_xx, w_xy, w_yx, w_yy), Z (B, n+1, d+1) with the query last -> Z' like Z. Raises ValueError for other shapes.
    Cost O(B n d^2).
    """
    weights, Z = as_numbers("weights", weights, complex_ok=True), as_numbers("Z", Z, complex_ok=True)
    if weights.shape != (4,):
        raise ValueError(f"weights: expected the four numbers (w_xx, w_xy, w_yx, w_yy), got shape {weights.shape}")
    if Z.ndim != 3 or Z.shape[1] < 2 or Z.shape[2] < 2:
        raise ValueError(f"Z: expected shape (B, n+1, d+1) with n, d >= 1, got {Z.shape}")
    return forward(weights, Z)[0]


def in_blocks(weights: Array, D: int) -> Array:
    """W of (18.5): w_xx for all pairs of covariates, w_xy and w_yx for a covariate and the label, w_yy for the label. (D, D)"""
    W = np.empty((D, D), weights.dtype)
    W[:-1, :-1], W[:-1, -1], W[-1, :-1], W[-1, -1] = weights
    return W


def block_sums(K: Array) -> Array:
    """The adjoint of :func:`in_blocks`: the sum over prompts and over each block of K (B, D, D). -> (4,)"""
    return np.array([K[:, :-1, :-1].sum(), K[:, :-1, -1].sum(), K[:, -1, :-1].sum(), K[:, -1, -1].sum()])


def forward(weights: Array, Z: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """One layer: (18.4) to (18.6).

    weights (4,), Z (B, N, D) -> Z' (B, N, D) and the tape. Cost O(B N D^2).
    """
    D = Z.shape[-1]
    Z = mark("Z", Z)
    moved, read = mark("Z_moved", Z), mark("Z_read", Z)[:, :-1]
    W = in_blocks(mark("weights", weights), D)  # (D, D)
    # F1  G = Z^T M Z                    the examples' sums Sig, al, lam                          (18.4)
    G = mark("G", read.mT @ read)  # (B, D, D)
    # F2  T = I + W o G                                                                          (18.5)
    T = mark("T", np.eye(D) + W * G)  # (B, D, D)
    # F3  Z' = Z T^T                                                                             (18.6)
    out = mark("out", moved @ T.mT)  # (B, N, D)
    return out, Tape(Z, W, G, T)


def backward(dout: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array]:
    """Gradients of one layer: (18.7) to (18.11), the forward lines undone in reverse.

    dZ' (B, N, D) -> dweights (4,), summed over the batch, and dZ (B, N, D). Cost O(B N D^2).
    """
    Z, W, G, T = tape
    dout = mark("dout", dout)
    # B3  undoes F3  Z' = Z T^T
    dT = mark("dT", dout.mT @ Z)  # (B, D, D)                                  (18.7)
    dZ_moved = mark("dZ_moved", dout @ T)  # (B, N, D)                         (18.8)  use 1 of 2
    # B2  undoes F2  T = I + W o G
    dweights = mark("dweights", block_sums(dT * G))  # (4,)                    (18.9)
    dG = mark("dG", W * dT)  # (B, D, D)                                       (18.10)
    # B1  undoes F1  G = Z^T M Z: each example stands in it twice
    dZ_read = np.zeros_like(dZ_moved)
    dZ_read[:, :-1] = Z[:, :-1] @ (dG + dG.mT)  # (B, n, D)                    (18.11) use 2 of 2
    dZ = mark("dZ", dZ_moved + mark("dZ_read", dZ_read))  # (B, N, D)
    return dweights, dZ


def tangent(vweights: Array, vZ: Array, tape: Tape) -> tuple[Array, Tape]:
    """Derivative of the layer along (vweights, vZ): the tangents of (18.4) to (18.6).

    Shapes as weights, Z -> vZ' (B, N, D) and the tangents of the tape. Cost O(B N D^2).
    """
    Z, W, G, T = tape
    read, vread = Z[:, :-1], vZ[:, :-1]  # (B, n, D)
    vW = in_blocks(vweights, Z.shape[-1])  # (D, D)
    # F1  G = Z^T M Z                                                                            of (18.4)
    vG = vread.mT @ read + read.mT @ vread  # (B, D, D)
    # F2  T = I + W o G                                                                          of (18.5)
    vT = vW * G + W * vG  # (B, D, D)
    # F3  Z' = Z T^T                                                                             of (18.6)
    vout = vZ @ T.mT + Z @ vT.mT  # (B, N, D)
    return vout, Tape(vZ, vW, vG, vT)


def backward_tangent(dout: Array, hout: Array, tape: Tape, vtape: Tape) -> tuple[Array, Array]:
    """Derivative of :func:`backward` along the direction of ``vtape``: the tangents of (18.7) to (18.11).

    dZ' and its tangent hZ' (B, N, D) -> hweights (4,), hZ (B, N, D). Cost O(B N D^2).
    """
    Z, W, G, T = tape
    vZ, vW, vG, vT = vtape
    # B3  of dT = dZ'^T Z and dZ = dZ' T
    dT = dout.mT @ Z  # (B, D, D)
    hT = hout.mT @ Z + dout.mT @ vZ  # (B, D, D)                               of (18.7)
    hZ = hout @ T + dout @ vT  # (B, N, D)                                     of (18.8)
    # B2  of dw = sums of dT o G and dG = W o dT
    hweights = block_sums(hT * G + dT * vG)  # (4,)                            of (18.9)
    dG = W * dT  # (B, D, D)
    hG = vW * dT + W * hT  # (B, D, D)                                         of (18.10)
    # B1  of dZ += M Z (dG + dG^T)
    hZ[:, :-1] += vZ[:, :-1] @ (dG + dG.mT) + Z[:, :-1] @ (hG + hG.mT)  #      of (18.11)
    return hweights, hZ


def audit() -> Report:
    """This module's derivatives at a generic point: B = 3, n = 5, d = 2, every line by its name, first and second order."""
    rng = np.random.default_rng(18)
    theta = {"weights": rng.standard_normal(4), "Z": rng.standard_normal((3, 6, 3))}

    def run(theta: dict[str, Array], mark: Mark = keep) -> Array:
        return forward(theta["weights"], theta["Z"], mark)[0]

    def back(theta: dict[str, Array], dout: Array, mark: Mark = keep) -> dict[str, Array]:
        tape = forward(theta["weights"], theta["Z"])[1]
        return dict(zip(theta, backward(dout, tape, mark), strict=True))

    def second(theta: dict[str, Array], dout: Array, v: dict[str, Array]) -> dict[str, Array]:
        tape = forward(theta["weights"], theta["Z"])[1]
        vtape = tangent(v["weights"], v["Z"], tape)[1]
        return dict(zip(theta, backward_tangent(dout, 0 * dout, tape, vtape), strict=True))

    report = audit_gradient(run, back, theta, hvp=second, title="the diagonal layer")
    functions = SimpleNamespace(forward=forward, backward=backward, tangent=tangent, backward_tangent=backward_tangent)
    return report.extend(check_tangents(functions, theta, rng, {}))


AUDITS = {"diagonal_layer": audit}
