"""The exact diagonal of the composed model's Hessian, without a Hessian-vector product for each parameter of its network.

E is piecewise linear, so along one parameter of the network the tokens of a prompt move on a straight line, tokens + t V. With
s = (G, z) the state, K = d^2 f / ds^2 and dG = df/dG for one prompt, and sums of products over its examples:
(15.16) s(t) = s + t vs + t^2 ws,  vG = V^T tokens + tokens^T V,  wG = V^T V,  vz = V of the query,  wz = 0
(15.17) H_ii = sum over prompts of vs^T K vs + 2 <dG, wG>
V is an outer product of one number for each token and one row for all: (15.18) W2_ca: E_a e_c^T, and b2_c: 1 e_c^T;
(15.19) W1_ab: (step_a C_b) W2_a^T, and b1_a: step_a W2_a^T. So with V = m r^T
(15.20) vG = r u^T + u r^T,  u = tokens^T m,  wG = |m|^2 r r^T,  vz = m_query r
is linear in the D + 1 numbers (u ; m_query), and K has D (D+1) / 2 + D columns for each prompt, G being symmetric. The entries of
the attention's matrices come from Hessian-vector products at fixed features. Derived in lesson 15.

It is the Hessian of a batch away from its kinks. Along W1 and b1 the loss of all prompts bends also because prompts cross their
kinks, one after another; no second derivative at a point sees that part.
"""

from dataclasses import replace

import numpy as np

from .._types import Array
from ..layers import gram
from ..models.composed import Composed, Linearization
from ..models.passes import can_compile, kernels


def hessian_diagonal(model: Composed, theta: Array, Z: Array, y: Array, backend: str | None = None) -> Array:
    """The diagonal (p,) of the Hessian away from kinks: (15.17), exact.

    model a Composed, theta (p,), Z (B, n+1, d+1), y (B,); ``backend`` in the place of the model's. Cost: about 30 Hessian-vector
    products of the attention for the network's part, and one for each of the attention's parameters. Derived in lesson 15.
    """
    if backend is not None:
        model = replace(model, backend=backend)
    at = model.linearization(theta, Z, y)
    K, basis = state_hessian(at, model.d + 1)
    tape, examples, dG = at.tape, at.tokens[:, :-1], at.dstate.G
    ones = np.ones((*at.tokens.shape[:2], 1))
    W1, _, W2, _ = at.weights
    d, D = model.d, model.d + 1
    # (15.18)  W2_ca and b2_c: m = E_a or 1, r = e_c
    m = np.concatenate([tape.E, ones], axis=-1)  # (B, N, h+1)
    at_W2 = np.array([curvature(K, basis, np.eye(D)[c], m, examples, dG) for c in range(d)])  # (d, h+1)
    # (15.19)  W1_ab and b1_a: m = step_a C_b or step_a, r = W2_a
    at_W1 = np.zeros((model.hidden, d + 1))
    for a in range(model.hidden):
        m = tape.step[..., a : a + 1] * np.concatenate([tape.C, ones], axis=-1)  # (B, N, d+1)
        at_W1[a] = curvature(K, basis, np.append(W2[:, a], 0.0), m, examples, dG)
    parts = at_W1[:, :-1], at_W1[:, -1], at_W2[:, :-1], at_W2[:, -1]
    return np.concatenate([*(part.ravel() for part in parts), attention_diagonal(model, theta, at, y)])


def state_hessian(at: Linearization, D: int) -> tuple[Array, Array]:
    """K in the coordinates of a symmetric G (upper triangle) and of z. -> (B, q, q), and the basis (q, D, D+1)

    q = D (D+1) / 2 + D; basis[k] holds direction k: its G, and in the last column its z.
    """
    rows, columns = np.triu_indices(D)
    q = len(rows) + D
    basis = np.zeros((q, D, D + 1))
    basis[np.arange(len(rows)), rows, columns] = basis[np.arange(len(rows)), columns, rows] = 1.0
    basis[np.arange(len(rows), q), np.arange(D), D] = 1.0
    B, nothing = len(at.tokens), np.zeros(at.model.shapes["attention"])
    K = np.zeros((B, q, q))
    for k, direction in enumerate(basis):
        vstate = gram.State(np.tile(direction[:, :D], (B, 1, 1)), np.tile(direction[:, D], (B, 1)), at.attention.last.n)
        hstate, _ = at.attention.along(vstate, nothing)
        both = np.concatenate([hstate.G, hstate.z[..., None]], axis=-1)  # (B, D, D+1)
        K[:, k] = both.reshape(B, -1) @ basis.reshape(q, -1).T
    return K, basis


def curvature(K: Array, basis: Array, r: Array, m: Array, examples: Array, dG: Array) -> Array:
    """(15.17) for V = m r^T, one entry for each column of m (B, N, count). -> (count,)"""
    u = m[:, :-1].mT @ examples  # (B, count, D)                                                          (15.20)
    numbers = np.concatenate([u, m[:, -1][..., None]], axis=-1)  # (B, count, D+1)
    A = coordinates(basis, r)  # (q, D+1)
    small = A.T @ (K @ A)  # (B, D+1, D+1)
    first = ((numbers @ small) * numbers).sum(axis=(0, 2))  # (count,)
    squares = (m[:, :-1] ** 2).sum(axis=1)  # (B, count)
    return first + 2 * (r @ dG @ r) @ squares


def coordinates(basis: Array, r: Array) -> Array:
    """The map from (u ; m_query) to the coordinates of (vG, vz) (15.20). r (D,) -> (q, D+1)"""
    q, D = basis.shape[:2]
    A = np.zeros((q, D + 1))
    rows, columns = np.triu_indices(D)
    for k, (i, j) in enumerate(zip(rows, columns, strict=True)):  # vG_ij = r_i u_j + u_i r_j
        A[k, j] += r[i]
        A[k, i] += r[j]
    A[len(rows) :, D] = r
    return A


def attention_diagonal(model: Composed, theta: Array, at: Linearization, y: Array) -> Array:
    """The entries of the attention's matrices: with the features fixed, the Hessian of ``transformer``'s full model."""
    params = np.ascontiguousarray(model.split(theta)[1])
    directions = np.eye(params.size).reshape(-1, *params.shape)
    if can_compile(model.backend, params):
        linear = kernels("linear")
        products = linear.hvps(params, linear.lanes_from_tokens(at.tokens, y), directions)
        return np.diag(products.reshape(params.size, -1)).copy()
    still = gram.State(np.zeros_like(at.dstate.G), np.zeros_like(at.dstate.z), at.attention.last.n)
    return np.array([(at.attention.along(still, v)[1] * v).sum() for v in directions])
