"""The layer of the electric flow with one number in each block, on one eigenvalue at a time, with its derivatives by hand.

With P = diag(u I, w I, v I), R = diag(rho I, 0, s I) and r I from the demands to the potentials, a layer of ``construction.py``
makes of every block a polynomial in L. Along an eigenvector of L it is a recursion of three numbers: phi of the potentials, psi
of the demands, l the eigenvalue of the present B B^T, which starts at lambda. Six scalars a layer are its weights.

Forward                                              Backward, from dphi', dpsi', dl' (sums over graphs and eigenvalues)
(20.7)  phi' = (1 + s + v l) phi + r psi             (20.12) da = 2 a l dl',   dl += a^2 dl'          use 1 of l
(20.8)  psi' = (1 + w l) psi                         (20.13) drho = sum da,    du = sum l da,    dl += u da    use 2
(20.9)  a = 1 + rho + u l,   l' = a^2 l              (20.14) dw = sum l psi dpsi',  dpsi += (1 + w l) dpsi',
                                                             dl += w psi dpsi'    use 3
(20.10) N = sqrt(sum q phi^2), h = phi / N,          (20.15) dr = sum psi dphi',  ds = sum phi dphi',  dv = sum l phi dphi'
        loss = mean over graphs of sum q (h - h*)^2  (20.16) dphi += (1 + s + v l) dphi', dpsi += r dphi', dl += v phi dphi' use 4
                                                     (20.11) dh = 2 q (h - h*) / graphs,  dphi = (dh - q h sum(h dh)) / N
q is the squared length of the demands along each eigenvector, h* the wanted potentials at length 1. S networks are trained side
by side, each with scalars of its own: weights (S, 6) a layer; phi, psi, l (S, G, E) for G graphs with E eigenvalues. Derived in
lesson 20.
"""

from typing import NamedTuple

import numpy as np

from ...._types import Array
from ....audit import Report, audit_gradient
from ....layers.marks import Mark, keep

NAMES = ("v", "r", "s", "w", "rho", "u")  # the six scalars of a layer, in this order


class State(NamedTuple):
    """What a layer takes and gives: potentials and demands along each eigenvector, and the eigenvalue of the present B B^T."""

    phi: Array  # (S, G, E)
    psi: Array  # (S, G, E)
    l: Array  # (S, G, E)


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    state: State
    scalars: Array  # (6, S, 1, 1)
    a: Array  # (S, G, E)


class LossTape(NamedTuple):
    """What the backward pass of the loss needs."""

    q: Array  # (G, E)
    N: Array  # (S, G, 1)
    h: Array  # (S, G, E)
    error: Array  # (S, G, E)


def start(l: Array) -> State:
    """phi = 0, psi = 1 and the eigenvalues (S, G, E) of L."""
    return State(np.zeros_like(l), np.ones_like(l), l)


def forward(state: State, weights: Array, mark: Mark = keep) -> tuple[State, Tape]:
    """One layer: (20.7) to (20.9).

    State of (S, G, E), weights (S, 6) in the order v, r, s, w, rho, u -> the next state and the tape. Cost O(S G E).
    """
    phi, psi, l = state
    scalars = weights.T[..., None, None]  # (6, S, 1, 1)
    v, r, s, w, rho, u = scalars
    # F1  phi' = (1 + s + v l) phi + r psi                                                       (20.7)
    next_phi = mark("phi_out", (1 + s + v * l) * phi + r * psi)  # (S, G, E)
    # F2  psi' = (1 + w l) psi                                                                   (20.8)
    next_psi = mark("psi_out", (1 + w * l) * psi)  # (S, G, E)
    # F3  a = 1 + rho + u l                                                                      (20.9)
    a = mark("a", 1 + rho + u * l)  # (S, G, E)
    # F4  l' = a^2 l                                                                             (20.9)
    next_l = mark("l_out", a * a * l)  # (S, G, E)
    return State(next_phi, next_psi, next_l), Tape(state, scalars, a)


def backward(dstate: State, tape: Tape, mark: Mark = keep) -> tuple[State, Array]:
    """Gradients of one layer: (20.12) to (20.16), the forward lines undone in reverse.

    dphi', dpsi', dl' (S, G, E) -> dphi, dpsi, dl (S, G, E) and dweights (S, 6), summed over graphs and eigenvalues. Cost O(S G
    E).
    """
    (phi, psi, l), (v, r, s, w, _, u), a = tape
    dphi_out, dpsi_out, dl_out = (mark(name, each) for name, each in zip(("dphi_out", "dpsi_out", "dl_out"), dstate, strict=True))
    # B4  undoes F4  l' = a^2 l
    da = mark("da", 2 * a * l * dl_out)  # (S, G, E)                           (20.12)
    dl_scaled = a * a * dl_out  # (S, G, E)                                    (20.12) use 1 of 4
    # B3  undoes F3  a = 1 + rho + u l
    drho = total(da)  # (S,)                                                   (20.13)
    du = total(l * da)  # (S,)                                                 (20.13)
    dl_in_a = u * da  # (S, G, E)                                              (20.13) use 2 of 4
    # B2  undoes F2  psi' = (1 + w l) psi
    dw = total(l * psi * dpsi_out)  # (S,)                                     (20.14)
    dpsi_kept = (1 + w * l) * dpsi_out  # (S, G, E)                            (20.14) use 1 of 2
    dl_in_psi = w * psi * dpsi_out  # (S, G, E)                                (20.14) use 3 of 4
    # B1  undoes F1  phi' = (1 + s + v l) phi + r psi
    dr = total(psi * dphi_out)  # (S,)                                         (20.15)
    ds = total(phi * dphi_out)  # (S,)                                         (20.15)
    dv = total(l * phi * dphi_out)  # (S,)                                     (20.15)
    dphi = (1 + s + v * l) * dphi_out  # (S, G, E)                             (20.16)
    dpsi_read = r * dphi_out  # (S, G, E)                                      (20.16) use 2 of 2
    dl_in_phi = v * phi * dphi_out  # (S, G, E)                                (20.16) use 4 of 4
    dpsi, dl = dpsi_kept + dpsi_read, dl_scaled + dl_in_a + dl_in_psi + dl_in_phi
    return State(dphi, dpsi, dl), np.stack([dv, dr, ds, dw, drho, du], axis=-1)


def tangent(vstate: State, vweights: Array, tape: Tape) -> State:
    """Derivative of the layer along (vphi, vpsi, vl) and vweights (S, 6): the tangents of (20.7) to (20.9). Cost O(S G E)."""
    (phi, psi, l), (v, r, s, w, _, u), a = tape
    vphi, vpsi, vl = vstate
    vv, vr, vs, vw, vrho, vu = vweights.T[..., None, None]
    # F1  phi' = (1 + s + v l) phi + r psi
    vnext_phi = (vs + vv * l + v * vl) * phi + (1 + s + v * l) * vphi + vr * psi + r * vpsi  # (S, G, E)       of (20.7)
    # F2  psi' = (1 + w l) psi
    vnext_psi = (vw * l + w * vl) * psi + (1 + w * l) * vpsi  # (S, G, E)      of (20.8)
    # F3, F4  a = 1 + rho + u l, l' = a^2 l
    va = vrho + vu * l + u * vl  # (S, G, E)                                   of (20.9)
    vnext_l = 2 * a * va * l + a * a * vl  # (S, G, E)                         of (20.9)
    return State(vnext_phi, vnext_psi, vnext_l)


def total(each: Array) -> Array:
    """The sum over graphs and eigenvalues: (S, G, E) -> (S,)"""
    return each.sum(axis=(1, 2))


def wanted(l: Array, q: Array, power: float) -> Array:
    """h*: l^power at length 1, -1 the electric potentials, -1/2 the resistive embedding. l, q (G, E) -> (G, E)"""
    target = l**power
    return target / np.sqrt((q * target * target).sum(axis=-1, keepdims=True))


def loss_forward(phi: Array, q: Array, target: Array, mark: Mark = keep) -> tuple[Array, LossTape]:
    """(20.10) The loss of each network; it does not see the length of phi. phi (S, G, E); q, h* (G, E) -> (S,) and the tape."""
    # F1  N = sqrt(sum q phi^2)                                                                  (20.10)
    N = mark("N", np.sqrt((q * phi * phi).sum(axis=-1, keepdims=True)))  # (S, G, 1)
    # F2  h = phi / N                                                                            (20.10)
    h = mark("h", phi / N)  # (S, G, E)
    # F3  loss = mean of sum q (h - h*)^2                                                        (20.10)
    error = h - target  # (S, G, E)
    return (q * error * error).sum(axis=(1, 2)) / len(q), LossTape(q, N, h, error)


def loss_backward(tape: LossTape, mark: Mark = keep) -> Array:
    """(20.11) dphi (S, G, E): a change along phi itself changes no loss, so that part is taken out. Cost O(S G E)."""
    q, N, h, error = tape
    # B3  undoes F3
    dh = mark("dh", 2 * q * error / len(q))  # (S, G, E)                       (20.11)
    # B2 and B1  undo F2 and F1: phi is used in h and, through N, in h again
    dphi = (dh - q * h * (h * dh).sum(axis=-1, keepdims=True)) / N  # (S, G, E)    (20.11)
    return dphi


def loss(weights: Array, l: Array, q: Array, target: Array) -> Array:
    """The loss (S,) of networks of scalars (S, layers, 6) on spectra (G, E). Cost O(S layers G E)."""
    return _forward(weights, l, q, target)[0]


def loss_and_grad(weights: Array, l: Array, q: Array, target: Array) -> tuple[Array, Array]:
    """The loss (S,) of networks of scalars (S, layers, 6), and the gradient of their sum, like weights. Cost O(S layers G E)."""
    value, tapes, loss_tape = _forward(weights, l, q, target)
    dphi = loss_backward(loss_tape)
    dstate, dweights = State(dphi, np.zeros_like(dphi), np.zeros_like(dphi)), np.empty_like(weights)
    for layer in reversed(range(len(tapes))):
        dstate, dweights[:, layer] = backward(dstate, tapes[layer])
    return value, dweights


def run(weights: Array, l: Array) -> tuple[State, list[Tape]]:
    """The last state and the tapes of networks (S, layers, 6) on eigenvalues (G, E)."""
    state, tapes = start(np.broadcast_to(l, (len(weights), *l.shape)).astype(np.result_type(weights, l))), []
    for layer in range(weights.shape[1]):
        state, tape = forward(state, weights[:, layer])
        tapes.append(tape)
    return state, tapes


def _forward(weights: Array, l: Array, q: Array, target: Array) -> tuple[Array, list[Tape], LossTape]:
    state, tapes = run(weights, l)
    value, loss_tape = loss_forward(state.phi, q, target)
    return value, tapes, loss_tape


# ---------------------------------------------------------------- its audit, at a small generic point


def _point() -> dict[str, Array]:
    """Two networks on two graphs of three eigenvalues."""
    rng = np.random.default_rng(20)
    names = ("phi", "psi", "l")
    return {name: rng.uniform(0.4, 1.6, (2, 2, 3)) for name in names} | {"weights": 0.3 * rng.standard_normal((2, 6))}


def _layer(theta: dict[str, Array], mark: Mark = keep) -> tuple[Array, Tape]:
    out, tape = forward(State(theta["phi"], theta["psi"], theta["l"]), theta["weights"], mark)
    return np.stack(out), tape


def audit_layer() -> Report:
    """The layer's backward pass."""

    def back(theta: dict[str, Array], dout: Array, mark: Mark = keep) -> dict[str, Array]:
        dstate, dweights = backward(State(*dout), _layer(theta)[1], mark)
        return {**dstate._asdict(), "weights": dweights}

    return audit_gradient(lambda theta, mark=keep: _layer(theta, mark)[0], back, _point(), title="electric flow, scalar layer")


def audit_tangent() -> Report:
    """The tangent, asked along every entry of a network at once: its products with dout are the gradient."""

    def back(theta: dict[str, Array], dout: Array) -> dict[str, Array]:
        S, G, E = theta["phi"].shape
        units = np.eye(3 * G * E + 6)  # one direction a row, asked of each of the S networks
        copies = {name: np.tile(each, (len(units), *[1] * (each.ndim - 1))) for name, each in theta.items()}
        moved = np.repeat(units, S, axis=0)
        vstate = State(*np.moveaxis(moved[:, :-6].reshape(-1, 3, G, E), 1, 0))
        along = np.stack(tangent(vstate, moved[:, -6:], _layer(copies)[1])).reshape(3, len(units), S, G, E)
        grad = np.einsum("kisge,ksge->si", along, dout)
        state = np.moveaxis(grad[:, :-6].reshape(S, 3, G, E), 1, 0)
        return {"phi": state[0], "psi": state[1], "l": state[2], "weights": grad[:, -6:]}

    return audit_gradient(lambda theta: _layer(theta)[0], back, _point(), title="electric flow, tangent of the scalar layer")


def audit_loss() -> Report:
    """The whole sweep: two layers and the loss."""
    rng = np.random.default_rng(21)
    l, q = rng.uniform(0.5, 2.0, (2, 3)), rng.uniform(0.5, 2.0, (2, 3))
    target, weights = wanted(l, q, -1.0), 0.3 * rng.standard_normal((2, 2, 6))
    return audit_gradient(
        lambda weights: loss(weights, l, q, target).sum(), lambda weights: loss_and_grad(weights, l, q, target)[1], weights,
        title="electric flow, two layers and the loss",
    )  # fmt: skip


AUDITS = {"layer": audit_layer, "tangent": audit_tangent, "loss": audit_loss}
