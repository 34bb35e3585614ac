"""Exercises of lesson 04: second derivatives."""

import numpy as np

from ...layers import linear_attention as attention
from ...models import transformer
from ...prompts import RegressionTask
from ..exercise import Exercise, Slip, choice

# two layers, d = 1, all covariates 1: order p of the first layer, q of the first, q of the second; at 1, 1, -1
SLOPES, BENDS, ERROR = np.array([8.0, 11.0, -8.0]), np.array([[4.0, 16, -8], [16, 12, -12], [-8, -12, 0]]), 6.0
TWO_LAYERS = 2 * (np.outer(SLOPES, SLOPES) + ERROR * BENDS)


def layer_and_tangents(rng, s):
    """Z (B, N, D), P and Q (D, D), and a direction vZ, vP, vQ."""
    D = s["d"] + 1
    Z, vZ = rng.standard_normal((2, s["B"], s["n"] + 1, D))
    P, Q, vP, vQ = rng.standard_normal((4, D, D))
    return Z, P, Q, vZ, vP, vQ


def layer_tangent(Z, P, Q, vZ, vP, vQ):
    """(4.1) to (4.4)"""
    return _tangent(Z, P, Q, vZ, vP, vQ)


def _tangent(Z, P, Q, vZ, vP, vQ, reader=1.0, score=1.0, read=1.0, value=1.0, matrix=1.0, residual=1.0, mask=None):
    M, n = attention.key_mask(Z.shape[1]) if mask is None else mask, Z.shape[1] - 1
    W, V = Z @ Q.T @ Z.mT * attention.key_mask(Z.shape[1]), Z @ P.T
    vA = reader * vZ @ Q.T @ Z.mT + score * Z @ vQ.T @ Z.mT + read * Z @ Q.T @ vZ.mT
    vV = value * vZ @ P.T + matrix * Z @ vP.T
    return residual * vZ + (vA * M @ V + W @ vV) / n


def _without(**factors):
    """The tangent with a term left out, or counted twice."""
    return lambda *inputs: _tangent(*inputs, **factors)


def backward_and_tangents(rng, s):
    """dout and hout (B, N, D), then the layer and its direction."""
    dout, hout = rng.standard_normal((2, s["B"], s["n"] + 1, s["d"] + 1))
    return dout, hout, *layer_and_tangents(rng, s)


def backward_tangent(dout, hout, Z, P, Q, vZ, vP, vQ):
    """hZ (B, N, D), hP and hQ (D, D) of one layer with one head: (4.5) to (4.13)."""
    _, tape = attention.forward(Z, P[None], Q[None])
    _, vtape = attention.tangent(vZ, vP[None], vQ[None], tape)
    hZ, hP, hQ = attention.backward_tangent(dout, hout, tape, vtape)
    return hZ, hP[0], hQ[0]


def _by_hand(dout, hout, Z, P, Q, vZ, vP, vQ, drop=()):
    """The same with room for what people leave out."""
    n, M = Z.shape[1] - 1, attention.key_mask(Z.shape[1])
    k = lambda name: float(name not in drop)
    W, V, vV = Z @ Q.T @ Z.mT * M, Z @ P.T, vZ @ P.T + Z @ vP.T
    vW = (vZ @ Q.T @ Z.mT + Z @ vQ.T @ Z.mT + Z @ Q.T @ vZ.mT) * M
    dA, dV = dout @ V.mT / n * M, W.mT @ dout / n
    hA = (hout @ V.mT + k("d in W") * dout @ vV.mT) / n * (M if k("mask") else 1.0)
    hV = (W.mT @ hout + k("d in V") * vW.mT @ dout) / n
    hP = (hV.mT @ Z + k("d in P") * dV.mT @ vZ).sum(axis=0)
    hQ = (k("left in Q") * vZ.mT @ dA.mT @ Z + Z.mT @ hA.mT @ Z + k("right in Q") * Z.mT @ dA.mT @ vZ).sum(axis=0)
    hZ = hout + hV @ P + k("vP in Z") * dV @ vP
    hZ = hZ + hA @ Z @ Q + k("vZ in Z") * dA @ vZ @ Q + k("vQ in Z") * dA @ Z @ vQ
    return hZ + hA.mT @ Z @ Q.T + k("vZ in Z") * dA.mT @ vZ @ Q.T + k("vQ in Z") * dA.mT @ Z @ vQ.T, hP, hQ


EVERY = ("d in W", "d in V", "d in P", "left in Q", "right in Q", "vP in Z", "vZ in Z", "vQ in Z")


def _dropping(*names):
    return lambda *inputs: _by_hand(*inputs, drop=names)


def product_and_shape(rng, s):
    """A linear map of arrays like params, not symmetric so that rows and columns differ, and their shape."""
    shape = (2, 1, 2, s["d"], s["d"])
    p = int(np.prod(shape))
    K = rng.standard_normal((p, p))
    return (lambda v: (K @ np.ravel(v)).reshape(shape)), shape


def hessian_from(product, shape):
    """(p, p), column j the product with the j-th unit vector."""
    p = int(np.prod(shape))
    return np.stack([np.ravel(product(e.reshape(shape))) for e in np.eye(p)], axis=1)


def _fortran_order(product, shape):
    p = int(np.prod(shape))
    return np.stack([np.ravel(product(e.reshape(shape, order="F"))) for e in np.eye(p)], axis=1)


def _symmetrised(product, shape):
    H = hessian_from(product, shape)
    return 0.5 * (H + H.T)


def prompts(rng, s):
    """Z (B, N, D)"""
    return (RegressionTask(n=s["n"], d=s["d"]).sample(s["B"], rng).Z,)


def one_layer_hessian(Z):
    """The Hessian by Q' (d d, d d) of a one-layer model, for any Q' and y."""
    return _outer_products(Z)


def _outer_products(Z, labels=True, turned=False, total=False):
    X, query = Z[:, :-1, :-1], Z[:, -1, :-1]
    read = (Z[:, :-1, -1:] * X).mean(axis=1) if labels else X.mean(axis=1)
    J = np.einsum("ba,bc->bac", *((query, read) if turned else (read, query))).reshape(len(Z), -1)
    return 2 * J.T @ J / (1 if total else len(Z))


EXERCISES = (
    Exercise(
        "04.1", "The 3 x 3 Hessian of the two-layer model with d = 1, in the order p0, q0, q1.", TWO_LAYERS,
        slips=(
            Slip("the error times the second derivative of the prediction is missing: that is the Gauss-Newton part",
                 2 * np.outer(SLOPES, SLOPES)),
            Slip("the products of first derivatives are missing", 2 * ERROR * BENDS),
            Slip("the square's factor 2 is lost", TWO_LAYERS / 2),
            Slip("only the diagonal is there", np.diag(np.diag(TWO_LAYERS))),
            Slip("the second derivatives must be multiplied by the error, which is 6", 2 * (np.outer(SLOPES, SLOPES) + BENDS)),
        ),
    ),
    Exercise(
        "04.2", "Write layer_tangent(Z, P, Q, vZ, vP, vQ): the derivative of one layer along a direction, like Z.", layer_tangent,
        layer_and_tangents, ("vZ'",),
        (
            Slip("the score's tangent has three terms: that of the reader is missing", _without(reader=0.0)),
            Slip("the score's tangent has three terms: that of the token that is read is missing", _without(read=0.0)),
            Slip("the score's tangent has three terms: that of vQ is missing", _without(score=0.0)),
            Slip("the value's tangent has two terms: vZ P^T is missing", _without(value=0.0)),
            Slip("the value's tangent has two terms: Z vP^T is missing", _without(matrix=0.0)),
            Slip("the residual has a tangent too", _without(residual=0.0)),
            Slip("the reader's term stands there twice: in one of the two vZ is the token that is read",
                 _without(reader=2.0, read=0.0)),
            Slip("the mask is missing in vW", _without(mask=1.0)),
        ),
    ),
    Exercise(
        "04.3", "Repair backward_tangent(dout, hout, Z, P, Q, vZ, vP, vQ) -> hZ, hP, hQ; its Hessian comes out symmetric and "
                "wrong.",
        backward_tangent, backward_and_tangents, ("hZ", "hP", "hQ"),
        (
            Slip("that is the function as you found it: the Gauss-Newton product", _dropping(*EVERY)),
            Slip("hZ: in the value's use (4.9) P moves too", _dropping("vP in Z")),
            Slip("hZ: in the score's two uses (4.12), (4.13) Q moves too", _dropping("vQ in Z")),
            Slip("hZ: in the score's two uses (4.12), (4.13) the other Z moves too", _dropping("vZ in Z")),
            Slip("hQ: the terms with vZ are missing in (4.11)", _dropping("left in Q", "right in Q")),
            Slip("dV^T vZ is missing in (4.8)", _dropping("d in P")),
            Slip("dout vV^T is missing in (4.5)", _dropping("d in W")),
            Slip("vW^T dout is missing in (4.6)", _dropping("d in V")),
        ),
    ),
    Exercise(
        "04.4", "Write hessian_from(product, shape): the matrix (p, p) of a linear map of arrays of this shape, in C order.",
        hessian_from,
        product_and_shape, ("H",),
        (
            Slip("the products were stacked as rows; they are columns. Of a Hessian you would not have noticed",
                 lambda product, shape: hessian_from(product, shape).T),
            Slip("half of the sum with the transpose: that hides an asymmetry that a test should see", _symmetrised),
            Slip("the unit vectors are in Fortran order: reshape with the default order", _fortran_order),
            Slip("only the diagonal is there: keep all of each product",
                 lambda product, shape: np.diag(np.diag(hessian_from(product, shape)))),
        ),
    ),
    Exercise(
        "04.5", "Write one_layer_hessian(Z): the Hessian (d d, d d) of a one-layer model by its block Q', without any pass.",
        one_layer_hessian, prompts, ("H",), forbids=(transformer.hessian, transformer.LinearTransformer.hvp), slips=(
            Slip("the factor 2 of the square is lost", lambda Z: _outer_products(Z) / 2),
            Slip("the mean over the batch is missing", lambda Z: _outer_products(Z, total=True)),
            Slip("rows and columns of Q' are swapped: the row counts the covariate of the example that is read",
                 lambda Z: _outer_products(Z, turned=True)),
            Slip("the labels of the examples are missing: they are what is read", lambda Z: _outer_products(Z, labels=False)),
            Slip("1/n is missing: what is read is a mean, and it enters twice",
                 lambda Z: (Z.shape[1] - 1) ** 2 * _outer_products(Z)),
        ),
    ),
    Exercise(
        "04.6", "The power of sigma with which the block of the first layer's P' shrinks, to 10 %.", 3.0,
        slips=(
            Slip("that is the power of the Gauss-Newton part alone; the other part is larger here", 4.0),
            Slip("that is the power of the block between P' and Q'", 1.0),
            Slip("that is the power of the gradient with respect to P': a second derivative can be smaller still", 2.0),
            Slip("that is the power of the blocks of Q'", 0.0),
        ),
        tolerance=0.1,
    ),
    choice(
        "04.t1", "What does one Hessian-vector product cost?", "b",
        a="no entry of H is ever formed",
        c="that is the cost of all of H, one product for each parameter",
        d="it is more: the tangents of both passes are computed too",
    ),
    choice(
        "04.t2", "H comes out symmetric to the last digit. What follows?", "c",
        a="the Gauss-Newton product is symmetric, and not the Hessian",
        b="positive is something else: a Hessian may have eigenvalues of both signs",
        d="something follows: most dropped terms break the symmetry",
    ),
    choice(
        "04.t3", "Why is the diagonal block of the last layer's Q' without negative eigenvalues?", "a",
        b="the dead block is that of P', and its eigenvalues are zero",
        c="the weights may be large: the argument does not need them small",
        d="H has negative eigenvalues at the start too",
    ),
)  # fmt: skip
