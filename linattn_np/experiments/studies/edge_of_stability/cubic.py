"""What the third derivative does at the edge: the force of an oscillation, its amplitude, and the flow of its middle.

Iterates at the edge are m + c u and m - c u in turn: u is the top unit eigenvector of H(m), lambda = u^T H u, g the gradient.

    (26.8)   (g(m + c u) + g(m - c u)) / 2 = g(m) + (c^2 / 2) grad lambda + O(c^4)
    (26.9)   grad lambda = (g(m + h u) - 2 g(m) + g(m - h u)) / h^2 + O(h^2)          three gradients
    (26.10)  a = -g . grad lambda,   b = |grad lambda|^2,        both without their parts along u
    (26.11)  c^2 = 2 a / b                                     where lambda neither rises nor falls
    (26.12)  dm/dt = -eta (g + (a / b) grad lambda)            at the edge, while a > 0; else -eta g: the central flow
In the code a + K (lambda - 2/eta) takes the place of a where lambda >= 2/eta: it pulls lambda back to the edge at the rate eta K.
Source: derived in lesson 26, after Damian, Nichani and Lee 2023 and Cohen et al. 2025.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._types import Array

__all__ = ["CHECKS", "Balance", "Valley", "balance", "central_flow", "grad_of_sharpness", "gradient_flow", "top_pairs"]

STEP = 1e-3  # h of (26.9): its error is of order h^2, the rounding's of order 1e-16 / h^2
PULL = 0.1  # eta K of the central flow: a distance from the edge shrinks by this share in one step of descent
BLOCK = 3  # vectors that follow the top of the spectrum along a flow


class Balance(NamedTuple):
    """The two sides of (26.11) at a point, and the vectors they are made of."""

    a: float  # how fast gradient flow would raise lambda
    b: float  # how fast the force (26.8) lowers it, for c^2 = 2
    grad: Array  # like params, without its part along u
    grad_lambda: Array  # like params, without its part along u

    @property
    def amplitude_squared(self) -> float:
        """c^2 of (26.11); negative where sharpness falls by itself."""
        return 2 * self.a / self.b


def top_pairs(H: Array, count: int = 2) -> tuple[Array, Array]:
    """The largest eigenvalues of H (p, p), descending, and their unit eigenvectors as rows. -> (count,), (count, p)"""
    values, vectors = np.linalg.eigh(H)
    return values[::-1][:count], vectors[:, ::-1][:, :count].T


def grad_of_sharpness(surface: Any, x: Array, u: Array, h: float = STEP, middle: Array | None = None) -> Array:
    """The gradient of lambda = u^T H u, u held fixed, which is that of the top eigenvalue for its eigenvector (26.9).

    surface has ``grad``; x, u alike, u of length 1; middle: grad at x where it is known -> like x. Cost: three gradients.
    """
    middle = surface.grad(x) if middle is None else middle
    return (surface.grad(x + h * u) - 2 * middle + surface.grad(x - h * u)) / (h * h)  # (26.9)


def balance(surface: Any, x: Array, u: Array, h: float = STEP) -> Balance:
    """a and b of (26.10) at x, for the top unit eigenvector u, like x."""
    grad = surface.grad(x)
    grad_lambda = grad_of_sharpness(surface, x, u, h, grad)
    grad, grad_lambda = grad - (grad * u).sum() * u, grad_lambda - (grad_lambda * u).sum() * u
    return Balance(float(-(grad * grad_lambda).sum()), float((grad_lambda * grad_lambda).sum()), grad, grad_lambda)  # (26.10)


def followed(surface: Any, x: Array, basis: Array) -> tuple[float, Array]:
    """One block power step from a basis (k, *x.shape) that was good nearby. -> lambda at x, the new basis, top first"""
    products = surface.hvps(x, basis).reshape(len(basis), -1)
    q = np.linalg.qr(products.T)[0].T
    small = q @ surface.hvps(x, q.reshape(basis.shape)).reshape(len(basis), -1).T
    values, turns = np.linalg.eigh(0.5 * (small + small.T))
    return float(values[-1]), (turns[:, ::-1].T @ q).reshape(basis.shape)


def central_flow(surface: Any, x: Array, basis: Array, rate: float, steps: int, euler: float = 0.5) -> tuple[Array, float]:
    """The middle of descent's oscillation after ``steps`` steps of descent, by Euler's method (26.12). -> like x, its lambda

    basis (k, *x.shape): unit eigenvectors at x, top first. Cost of an Euler step: 3 gradients, 2k products.
    """
    sharpness = 0.0
    for _ in range(round(steps / euler)):
        sharpness, basis = followed(surface, x, basis)
        if sharpness >= 2 / rate:
            found = balance(surface, x, basis[0])
            force = max(0.0, (found.a + PULL / rate * (sharpness - 2 / rate)) / found.b)
            x = x - euler * rate * (found.grad + force * found.grad_lambda)  # (26.12)
        else:
            x = x - euler * rate * surface.grad(x)
    return x, sharpness


def gradient_flow(surface: Any, x: Array, rate: float, steps: int, euler: float = 0.25) -> Array:
    """dx/dt = -eta g by Euler's method, stable up to the curvature 2 / (euler rate). -> like x"""
    for _ in range(round(steps / euler)):
        x = x - euler * rate * surface.grad(x)
    return x


class Valley:
    """The smallest loss with an edge: f(x, s) = s x^2 / 2 + rho (s - target)^2 / 2, a valley along s of curvature s across.

    On x = 0 the top eigenvector is that of x, lambda = s, grad lambda = (0, 1), a = rho (target - s), b = 1. Points are (x, s).
    Its minimum has sharpness ``target``; where that is above 2/eta, descent ends in x, -x, .. with s = 2/eta instead (26.14).
    """

    def __init__(self, rho: float, target: float) -> None:
        self.rho, self.target = rho, target

    def loss_and_grad(self, point: Array) -> tuple[float, Array]:
        """-> the loss, its gradient (2,)"""
        x, s = point
        return 0.5 * s * x * x + 0.5 * self.rho * (s - self.target) ** 2, np.array(
            [s * x, 0.5 * x * x + self.rho * (s - self.target)]
        )

    def grad(self, point: Array) -> Array:
        """-> (2,)"""
        return self.loss_and_grad(point)[1]

    def hvps(self, point: Array, directions: Array) -> Array:
        """H times each row of directions (m, 2). -> (m, 2)"""
        x, s = point
        return directions @ np.array([[s, x], [x, self.rho]])


# ---------------------------------------------------------------- second roads


class Cubic:
    """A loss of third degree, T[x, x, x] / 6 + x^T A x / 2 + c^T x, on which (26.8) and (26.9) are exact."""

    def __init__(self, rng: np.random.Generator, p: int) -> None:
        T, A = rng.standard_normal((p, p, p)), rng.standard_normal((p, p))
        self.T = sum(T.transpose(axes) for axes in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)))
        self.A, self.c = A + A.T, rng.standard_normal(p)

    def grad(self, x: Array) -> Array:
        return 0.5 * (self.T @ x) @ x + self.A @ x + self.c

    def hessian(self, x: Array) -> Array:
        return self.T @ x + self.A

    def hvps(self, x: Array, directions: Array) -> Array:
        return directions @ self.hessian(x)


def at_a_point() -> tuple[Cubic, Array, Array, Array]:
    """A cubic loss, a point, its top eigenvector, and the exact gradient of the top eigenvalue there."""
    rng = np.random.default_rng(26)
    surface, x = Cubic(rng, 7), rng.standard_normal(7)
    u = top_pairs(surface.hessian(x))[1][0]
    return surface, x, u, (surface.T @ u) @ u


def error_of_gradient() -> float:
    """(26.9) against the third derivative itself."""
    surface, x, u, wanted = at_a_point()
    return float(np.abs(grad_of_sharpness(surface, x, u, 0.1) - wanted).max() / np.abs(wanted).max())


def error_of_force() -> float:
    """(26.10), (26.11): with the amplitude that ``balance`` says, the mean of two gradients (26.8) leaves lambda where it is."""
    surface, x, u, grad_lambda = at_a_point()
    surface.c -= surface.grad(x) + 0.3 * grad_lambda  # so that sharpness rises by itself
    c = np.sqrt(max(0.0, balance(surface, x, u, 0.1).amplitude_squared))
    mean = 0.5 * (surface.grad(x + c * u) + surface.grad(x - c * u))
    across = grad_lambda - (grad_lambda @ u) * u
    return float(abs(mean @ across) / (across @ across))


def error_of_flow() -> float:
    """(26.12) on a valley: from anywhere along it the central flow ends at s = 2 / eta, gradient flow at the target."""
    valley, rate, basis = Valley(0.5, 2.25), 1.0, np.eye(2)
    (x, s), sharpness = central_flow(valley, np.array([0.0, 1.5]), basis, rate, 400)
    ends = gradient_flow(valley, np.array([0.0, 1.5]), rate, 400)
    return float(max(abs(x), abs(s - 2), abs(sharpness - 2), abs(ends[1] - 2.25)))


def error_of_orbit() -> float:
    """(26.11) on a valley: with that amplitude a step of descent goes to the mirror image."""
    valley, rate = Valley(0.5, 2.25), 1.0
    c = np.sqrt(max(0.0, balance(valley, np.array([0.0, 2.0]), np.array([1.0, 0.0])).amplitude_squared))
    start = np.array([c, 2 / rate])
    once = start - rate * valley.grad(start)
    return float(np.abs(once - start * [-1, 1]).max())


def error_below() -> float:
    """(26.12) below the edge: the central flow is gradient flow."""
    valley, start = Valley(0.5, 2.25), np.array([0.1, 1.5])
    central = central_flow(valley, start, np.eye(2), 1.0, 2, 0.25)[0]
    return float(np.abs(central - gradient_flow(valley, start, 1.0, 2, 0.25)).max())


def error_of_valley() -> float:
    """The valley's gradient and curvature against a complex step of its loss and of its gradient."""
    valley, point, h = Valley(0.7, 2.3), np.array([0.6, -1.1]), 1e-30
    stepped = point + 1j * h * np.eye(2)  # a row for each coordinate
    grad = np.array([valley.loss_and_grad(each)[0].imag / h for each in stepped])
    H = np.array([valley.grad(each).imag / h for each in stepped])
    return float(max(np.abs(valley.grad(point) - grad).max(), np.abs(valley.hvps(point, np.eye(2)) - H).max()))


CHECKS = {
    "gradient of sharpness": error_of_gradient, "force": error_of_force, "central flow": error_of_flow, "orbit": error_of_orbit,
    "below the edge": error_below, "valley": error_of_valley,
}  # fmt: skip
