"""The linear-attention layer on the state (G, z), which is all that the layer ever sees of a prompt.

In the paper's columns the layer is Z + (1/n) sum_h P_h Z M Z^T Q_h Z = T Z, and Z enters T only through G = Z M Z^T. So the
examples can be forgotten: (D, D) numbers and the query's token z carry everything, whatever n is. D = d+1.

Forward                                          Backward, from dG' and dz'
(5.1)  U  = G Q_h                                (5.6)  dX  = dG' T              (5.11)  dz   = T^T dz'
(5.2)  T  = I + (1/n) sum_h P_h U_h              (5.7)  dT  = dG'^T X            (5.12)  dU_h = P_h^T dT / n
(5.3)  z' = T z                                  (5.8)  dT += dX G^T             (5.13)  dP_h = sum_b dT U_h^T / n
(5.4)  X  = T G                                  (5.9)  dG  = T^T dX             (5.14)  dG  += sum_h dU_h Q_h^T
(5.5)  G' = X T^T                                (5.10) dT += dz' z^T            (5.15)  dQ_h = sum_b G^T dU_h
T is used three times and G twice. G is treated as a general matrix, so no line relies on its symmetry.
The state is made from tokens (rows) by (5.16) G = Z^T M Z, with (5.17) dZ = M Z (dG + dG^T). Derived in lesson 05.
"""

from typing import NamedTuple

import numpy as np

from .._types import Array
from .marks import Mark, keep


class State(NamedTuple):
    """A batch of prompts as a linear layer sees them. A gradient or tangent of a state has the same fields."""

    G: Array  # (B, D, D)
    z: Array  # (B, D)
    n: int  # number of examples behind G


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass (or, of a tangent pass, the tangents of the same)."""

    state: State
    P: Array  # (H, D, D)
    Q: Array  # (H, D, D)
    U: Array  # (B, H, D, D)
    T: Array  # (B, D, D)
    X: Array  # (B, D, D)


def compress(Z: Array) -> State:
    """(5.16)  The state of prompts Z (B, N, D): G = sum of z_i z_i^T over the examples, z the query's token. O(B N D^2)."""
    examples = Z[:, :-1]  # (B, n, D)
    return State(examples.mT @ examples, Z[:, -1], examples.shape[1])


def compress_backward(dstate: State, Z: Array) -> Array:
    """(5.17)  dZ (B, N, D) from the gradient of the state: each example is used twice in z_i z_i^T."""
    dexamples = Z[:, :-1] @ (dstate.G + dstate.G.mT)  # (B, n, D)
    return np.concatenate([dexamples, dstate.z[:, None]], axis=1)  # (B, N, D)


def readout(state: State) -> Array:
    """(1.4)  prediction = minus the label entry of the query.  -> (B,)"""
    return -state.z[:, -1]


def readout_backward(dprediction: Array, state: State) -> State:
    """(2.15)  Gradient of the state from that of the prediction (B,)."""
    dz = np.zeros(state.z.shape, np.result_type(dprediction, state.z))
    dz[:, -1] = -dprediction
    return State(np.zeros(state.G.shape, dz.dtype), dz, state.n)


def times(T: Array, z: Array) -> Array:
    """The matrix-vector products T z for each prompt: (B, D, D), (B, D) -> (B, D)."""
    return (T @ z[..., None])[..., 0]


def outer(a: Array, b: Array) -> Array:
    """The outer products a b^T for each prompt: (B, D), (B, D) -> (B, D, D)."""
    return a[..., :, None] * b[..., None, :]


def forward(state: State, P: Array, Q: Array, mark: Mark = keep) -> tuple[State, Tape]:
    """One layer: (5.1) to (5.5).

    state of B prompts, P and Q (H, D, D) -> the next state and the tape. Cost O(B H D^3), whatever n.
    Paper section 2; derived in lesson 05.
    """
    G, z, n = state
    G, P, Q = mark("G", G), mark("P", P), mark("Q", Q)
    G_scores, G_moved = mark("G_scores", G), mark("G_moved", G)
    # F1  U = G Q                                                                                (5.1)
    U = mark("U", G_scores[:, None] @ Q)  # (B, H, D, D)
    # F2  T = I + sum_h P U / n                                                                  (5.2)
    T = mark("T", np.eye(G.shape[-1], dtype=G.dtype) + (P @ U).sum(axis=1) / n)  # (B, D, D)
    T_query, T_left, T_right = mark("T_query", T), mark("T_left", T), mark("T_right", T)
    # F3  z' = T z                                                                               (5.3)
    z_out = mark("z_out", times(T_query, mark("z", z)))  # (B, D)
    # F4  X = T G                                                                                (5.4)
    X = mark("X", T_left @ G_moved)  # (B, D, D)
    # F5  G' = X T^T                                                                             (5.5)
    G_out = mark("G_out", X @ T_right.mT)  # (B, D, D)
    return State(G_out, z_out, n), Tape(state, P, Q, U, T, X)


def backward(dstate: State, tape: Tape, mark: Mark = keep) -> tuple[State, Array, Array]:
    """Gradients of one layer: (5.6) to (5.15), the forward lines undone in reverse.

    gradient of the next state -> gradient of the state, dP and dQ (H, D, D), summed over the batch. Cost O(B H D^3).
    Derived in lesson 05.
    """
    (G, z, n), P, Q, U, T, X = tape
    dG_out, dz_out = mark("dG_out", dstate.G), mark("dz_out", dstate.z)
    # B5  undoes F5  G' = X T^T
    dX = mark("dX", dG_out @ T)  # (B, D, D)                                   (5.6)
    dT_right = mark("dT_right", dG_out.mT @ X)  # (B, D, D)                    (5.7)  use 1 of 3
    # B4  undoes F4  X = T G
    dT_left = mark("dT_left", dX @ G.mT)  # (B, D, D)                          (5.8)  use 2 of 3
    dG_moved = mark("dG_moved", T.mT @ dX)  # (B, D, D)                        (5.9)  use 1 of 2
    # B3  undoes F3  z' = T z
    dT_query = mark("dT_query", outer(dz_out, z))  # (B, D, D)                 (5.10) use 3 of 3
    dz = mark("dz", times(T.mT, dz_out))  # (B, D)                             (5.11)
    # B2  undoes F2  T = I + sum_h P U / n
    dT = mark("dT", dT_right + dT_left + dT_query)[:, None]  # (B, 1, D, D)
    dU = mark("dU", P.mT @ dT / n)  # (B, H, D, D)                             (5.12)
    dP = mark("dP", (dT @ U.mT).sum(axis=0) / n)  # (H, D, D)                  (5.13)
    # B1  undoes F1  U = G Q
    dG_scores = mark("dG_scores", (dU @ Q.mT).sum(axis=1))  # (B, D, D)        (5.14) use 2 of 2
    dQ = mark("dQ", (G[:, None].mT @ dU).sum(axis=0))  # (H, D, D)             (5.15)
    dG = mark("dG", dG_moved + dG_scores)  # (B, D, D)
    return State(dG, dz, n), dP, dQ


def tangent(vstate: State, vP: Array, vQ: Array, tape: Tape) -> tuple[State, Tape]:
    """Derivative of the layer along a direction: the tangents of (5.1) to (5.5).

    vstate, vP, vQ as state, P, Q -> the tangent of the next state and the tangents of the tape. Cost O(B H D^3).
    """
    (G, z, n), P, Q, U, T, X = tape
    vG, vz, _ = vstate
    # F1  U = G Q                                                                                of (5.1)
    vU = vG[:, None] @ Q + G[:, None] @ vQ  # (B, H, D, D)
    # F2  T = I + sum_h P U / n                                                                  of (5.2)
    vT = (vP @ U + P @ vU).sum(axis=1) / n  # (B, D, D)
    # F3  z' = T z                                                                               of (5.3)
    vz_out = times(vT, z) + times(T, vz)  # (B, D)
    # F4  X = T G                                                                                of (5.4)
    vX = vT @ G + T @ vG  # (B, D, D)
    # F5  G' = X T^T                                                                             of (5.5)
    vG_out = vX @ T.mT + X @ vT.mT  # (B, D, D)
    return State(vG_out, vz_out, n), Tape(vstate, vP, vQ, vU, vT, vX)


def backward_tangent(dstate: State, hstate: State, tape: Tape, vtape: Tape) -> tuple[State, Array, Array]:
    """Derivative of :func:`backward` along the direction of ``vtape``: the tangents of (5.6) to (5.15).

    gradient of the next state and its tangent -> the tangents of what :func:`backward` returns. Cost O(B H D^3).
    """
    (G, z, n), P, Q, U, T, X = tape
    (vG, vz, _), vP, vQ, vU, vT, vX = vtape
    dG_out, dz_out, _ = dstate
    hG_out, hz_out, _ = hstate
    # B5  of dX = dG' T and dT = dG'^T X
    dX = dG_out @ T  # (B, D, D)
    hX = hG_out @ T + dG_out @ vT  # (B, D, D)                                 of (5.6)
    dT = dG_out.mT @ X  # (B, D, D)
    hT = hG_out.mT @ X + dG_out.mT @ vX  # (B, D, D)                           of (5.7)
    # B4  of dT += dX G^T and dG = T^T dX
    dT = dT + dX @ G.mT  # (B, D, D)
    hT = hT + hX @ G.mT + dX @ vG.mT  # (B, D, D)                              of (5.8)
    hG = T.mT @ hX + vT.mT @ dX  # (B, D, D)                                   of (5.9)
    # B3  of dT += dz' z^T and dz = T^T dz'
    dT = dT + outer(dz_out, z)  # (B, D, D)
    hT = hT + outer(hz_out, z) + outer(dz_out, vz)  # (B, D, D)                of (5.10)
    hz = times(T.mT, hz_out) + times(vT.mT, dz_out)  # (B, D)                  of (5.11)
    # B2  of dU = P^T dT / n and dP = sum_b dT U^T / n
    dT, hT = dT[:, None], hT[:, None]  # (B, 1, D, D)
    dU = P.mT @ dT / n  # (B, H, D, D)
    hU = (P.mT @ hT + vP.mT @ dT) / n  # (B, H, D, D)                          of (5.12)
    hP = (hT @ U.mT + dT @ vU.mT).sum(axis=0) / n  # (H, D, D)                 of (5.13)
    # B1  of dG += sum_h dU Q^T and dQ = sum_b G^T dU
    hG = hG + (hU @ Q.mT + dU @ vQ.mT).sum(axis=1)  # (B, D, D)                of (5.14)
    hQ = (G[:, None].mT @ hU + vG[:, None].mT @ dU).sum(axis=0)  # (H, D, D)   of (5.15)
    return State(hG, hz, n), hP, hQ
