"""One tied layer, looped: least squares on features by gradient descent inside the forward pass, with its derivatives by hand.

Tokens are rows: B prompts, n examples with features F (B, n, k) and labels y (B, n), a query with features f (B, k). The layer of
attention with P = [[0, 0], [0, 1]] and Q = -eta [[I, 0], [0, 0]] on tokens (F ; y) leaves the features alone and moves the
labels, so that after t layers the query's label is -<a_t, f>, with a_0 = 0 and

Forward                                          Backward, from dp_t = df/dp_t
(22.2)  G = F^T F / n                            (22.7)  da_t += f dp_t,  df = sum_t a_t dp_t
(22.3)  c = F^T y / n                            (22.8)  deta_t = <da_{t+1}, g_t>,  dg_t = eta_t da_{t+1}
(22.4)  g_t = c - G a_t                          (22.9)  dc += dg_t,  dG -= dg_t a_t^T,  da_t += da_{t+1} - G dg_t
(22.5)  a_{t+1} = a_t + eta_t g_t                (22.10) dF += y dc^T / n,  dy = F dc / n
(22.6)  p_t = <a_t, f>                           (22.11) dF += F (dG + dG^T) / n
G is used in every loop, so dG and dc gather T contributions each. A tied step is one number: its gradient is the sum of the
deta_t. Derived in lesson 22.
"""

from typing import NamedTuple

import numpy as np

from ...._types import Array
from ....audit import Report, audit_gradient
from ....layers.marks import Mark, keep


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass."""

    F: Array  # (B, n, k)
    y: Array  # (B, n)
    f: Array  # (B, k)
    etas: Array  # (T,)
    G: Array  # (B, k, k)
    a: Array  # (T+1, B, k)
    g: Array  # (T, B, k)


def forward(F: Array, y: Array, f: Array, etas: Array, mark: Mark = keep) -> tuple[Array, Tape]:
    """T loops: (22.2) to (22.6).

    F (B, n, k), y (B, n), f (B, k), a step for each loop etas (T,) -> the predictions after 0 to T loops (T+1, B) and the tape.
    Cost O(B n k^2 + T B k^2). Derived in lesson 22.
    """
    n = F.shape[1]
    # F1  G = F^T F / n                                                                          (22.2)
    G = mark("G", F.mT @ F / n)  # (B, k, k)
    # F2  c = F^T y / n                                                                          (22.3)
    c = mark("c", times(F.mT, y) / n)  # (B, k)
    a, g = [np.zeros_like(c)], []
    for eta in etas:
        # F3  g_t = c - G a_t                                                                    (22.4)
        g.append(c - times(G, a[-1]))
        # F4  a_{t+1} = a_t + eta_t g_t                                                          (22.5)
        a.append(a[-1] + eta * g[-1])
    path = mark("a", np.stack(a))  # (T+1, B, k)
    # F5  p_t = <a_t, f>                                                                         (22.6)
    p = mark("p", (path * f).sum(axis=-1))  # (T+1, B)
    return p, Tape(F, y, f, etas, G, path, np.array(g).reshape(len(etas), *c.shape))


def backward(dp: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array, Array]:
    """Gradients of the loops: (22.7) to (22.11), the forward lines undone in reverse, the loops from the last to the first.

    dp (T+1, B) -> dF (B, n, k), dy (B, n), df (B, k), detas (T,). Cost O(B n k^2 + T B k^2).
    """
    F, y, f, etas, G, a, g = tape
    n, T = F.shape[1], len(etas)
    dp = mark("dp", dp)  # (T+1, B)
    # B5  undoes F5  p_t = <a_t, f>
    da_read = mark("da", dp[..., None] * f)  # (T+1, B, k)                     (22.7)
    df = (a * dp[..., None]).sum(axis=0)  # (B, k)                             (22.7)
    da, dc, dG = da_read[T], np.zeros_like(f * dp[0][:, None]), np.zeros_like(G * dp[0][:, None, None])
    detas = np.zeros(T, dp.dtype)
    for t in reversed(range(T)):
        # B4  undoes F4  a_{t+1} = a_t + eta_t g_t
        detas[t] = (da * g[t]).sum()  # (22.8)
        dg = etas[t] * da  # (B, k)                                            (22.8)
        # B3  undoes F3  g_t = c - G a_t
        dc = dc + dg  # (B, k)                                                 (22.9)
        dG = dG - dg[:, :, None] * a[t][:, None, :]  # (B, k, k)               (22.9)
        da = da_read[t] + da - times(G.mT, dg)  # (B, k)                       (22.9) read at t, kept, and in g_t
    dc, dG = mark("dc", dc), mark("dG", dG)
    # B2  undoes F2  c = F^T y / n
    dF_label = y[:, :, None] * dc[:, None, :] / n  # (B, n, k)                 (22.10) use 1 of 3
    dy = times(F, dc) / n  # (B, n)                                            (22.10)
    # B1  undoes F1  G = F^T F / n: F is used on both sides
    dF_gram = F @ (dG + dG.mT) / n  # (B, n, k)                                (22.11) uses 2 and 3 of 3
    return dF_label + dF_gram, dy, df, detas


def tangent(vF: Array, vy: Array, vf: Array, vetas: Array, tape: Tape) -> Array:
    """Derivative of the predictions along (vF, vy, vf, vetas): the tangents of (22.2) to (22.6). -> vp (T+1, B)"""
    F, y, f, etas, G, a, g = tape
    n = F.shape[1]
    # F1  G = F^T F / n
    vG = (vF.mT @ F + F.mT @ vF) / n  # (B, k, k)                              of (22.2)
    # F2  c = F^T y / n
    vc = (times(vF.mT, y) + times(F.mT, vy)) / n  # (B, k)                     of (22.3)
    va = [np.zeros_like(vc)]
    for t, eta in enumerate(etas):
        # F3  g_t = c - G a_t
        vg = vc - times(vG, a[t]) - times(G, va[t])  # (B, k)                  of (22.4)
        # F4  a_{t+1} = a_t + eta_t g_t
        va.append(va[t] + vetas[t] * g[t] + eta * vg)  # (22.5)
    # F5  p_t = <a_t, f>
    vp = (np.stack(va) * f + a * vf).sum(axis=-1)  # (T+1, B)                  of (22.6)
    return vp


def times(M: Array, v: Array) -> Array:
    """M v for each prompt: (B, r, s) and (B, s) -> (B, r)"""
    return (M @ v[..., None])[..., 0]


# ---------------------------------------------------------------- its audits and checks, at a small generic point


def _point() -> dict[str, Array]:
    """Two prompts of five examples with three features, four loops."""
    rng = np.random.default_rng(22)
    shapes = {"F": (2, 5, 3), "y": (2, 5), "f": (2, 3)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()} | {"etas": rng.uniform(0.2, 0.6, 4)}


def _forward(theta: dict[str, Array], mark: Mark = keep) -> Array:
    return forward(theta["F"], theta["y"], theta["f"], theta["etas"], mark)[0]


def _backward(theta: dict[str, Array], dp: Array, mark: Mark = keep) -> dict[str, Array]:
    tape = forward(theta["F"], theta["y"], theta["f"], theta["etas"])[1]
    return dict(zip(theta, backward(dp, tape, mark), strict=True))


def audit_loop() -> Report:
    """The backward pass of four loops."""
    return audit_gradient(_forward, _backward, _point(), title="looped layer")


def check_tangent() -> float:
    """The tangent against a complex step."""
    point, rng = _point(), np.random.default_rng(23)
    along = {name: rng.standard_normal(value.shape) for name, value in point.items()}
    by_step = _forward({name: value + 1e-30j * along[name] for name, value in point.items()}).imag / 1e-30
    tape = forward(point["F"], point["y"], point["f"], point["etas"])[1]
    return float(np.abs(tangent(along["F"], along["y"], along["f"], along["etas"], tape) - by_step).max())


AUDITS = {"loop": audit_loop}
CHECKS = {"tangent": check_tangent}
