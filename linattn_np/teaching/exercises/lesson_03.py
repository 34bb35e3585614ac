"""Exercises of lesson 03: auditing a gradient."""

import numpy as np

from ...layers import linear_attention as attention
from ..exercise import Exercise, Slip, choice

STEP = 1e-30


def sizes_of_a_value(rng, s):
    """eps, |phi| and |phi'''| of a function of one number."""
    return 2.0**-53, *(float(x) for x in rng.uniform(2.0, 9.0, 2))


def best_central_step(eps, f, f3):
    """Where the bound of (3.4) is smallest."""
    return (3 * eps * f / f3) ** (1 / 3)


def function_and_point(rng, s):
    """An analytic function of a matrix, and the matrix (d, d)."""
    return surface, rng.standard_normal((s["d"], s["d"]))


def surface(x):
    """A number made of a matrix by sums, products and exp."""
    return (np.exp(0.3 * x) * x * x).sum() + (x @ x).sum()


def complex_gradient(f, x):
    """(3.8): one entry stepped at a time."""
    return _entry_by_entry(f, x, STEP)


def _entry_by_entry(f, x, h):
    out = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        stepped = x.astype(complex)
        stepped[at] += 1j * h
        out[at] = f(stepped).imag / h
    return out


def _all_at_once(f, x):
    return np.full(x.shape, f(x + 1j * STEP).imag / STEP)


def _forward_differences(f, x, h=1e-7):
    out = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        stepped = x.copy()
        stepped[at] += h
        out[at] = (f(stepped) - f(x)) / h
    return out


def _central_differences(f, x, h=1e-5):
    return (_forward_differences(f, x, h) + _forward_differences(f, x, -h)) / 2


def layer_and_directions(rng, s):
    """A layer, a backward pass of it that is wrong (so that the two sides differ), Z, u and dout (B, N, D)."""
    D = s["d"] + 1
    P, Q = rng.standard_normal((2, 1, D, D))

    def forward(Z):
        return attention.forward(Z, P, Q)[0]

    def backward(Z, dout):
        return attention.backward(dout, attention.forward(Z, P, Q)[1])[0] - 0.1 * dout

    return forward, backward, *rng.standard_normal((3, s["B"], s["n"] + 1, D))


def dot_sides(forward, backward, Z, u, dout):
    """<J u, dout> and <u, J^T dout>, (3.9)."""
    return float((_pushed(forward, Z, u) * dout).sum()), float((u * backward(Z, dout)).sum())


def _pushed(forward, Z, u):
    return forward(Z + 1j * STEP * u).imag / STEP


def _one_side_twice(forward, backward, Z, u, dout):
    return (dot_sides(forward, backward, Z, u, dout)[0],) * 2


def _cotangent_of_ones(forward, backward, Z, u, dout):
    return dot_sides(forward, backward, Z, u, np.ones_like(dout))


def _without_residual(forward, backward, Z, u, dout):
    return float(((_pushed(forward, Z, u) - u) * dout).sum()), float((u * backward(Z, dout)).sum())


def predictions_and_direction(rng, s):
    """prediction, v and y (B,)."""
    return tuple(rng.standard_normal((3, s["B"])))


def mean_square_slope(prediction, v, y):
    """The derivative of mean((prediction - y)^2) along v."""
    return float(2 * ((prediction - y) * v).mean())


def scores_and_cotangent(rng, s):
    """dA (B, N, N), Z (B, N, D), Q (D, D), all generic."""
    N, D = s["n"] + 1, s["d"] + 1
    return rng.standard_normal((s["B"], N, N)), rng.standard_normal((s["B"], N, D)), rng.standard_normal((D, D))


def scores_backward(dA, Z, Q):
    """dZ (B, N, D) and dQ (D, D) of A = Z Q^T Z^T."""
    return dA @ Z @ Q + dA.mT @ Z @ Q.T, (Z.mT @ dA.mT @ Z).sum(axis=0)


def _as_found(dA, Z, Q):
    return 2 * dA @ Z @ Q, (Z.mT @ dA @ Z).sum(axis=0)


EXERCISES = (
    Exercise(
        "03.1", "Write best_central_step(eps, f, f3): the step at which the bound of the central difference is smallest.",
        best_central_step, sizes_of_a_value, ("h",),
        (
            Slip("that is the best step of the forward difference: the central one's error begins with h^2",
                 lambda eps, f, f3: 2 * (eps * f / f3) ** 0.5),
            Slip("the 3 is lost: the derivative of h^2 f3 / 6 is h f3 / 3", lambda eps, f, f3: (eps * f / f3) ** (1 / 3)),
            Slip("6 in place of 3: two values, each off by eps f, are divided by 2 h and not by h",
                 lambda eps, f, f3: (6 * eps * f / f3) ** (1 / 3)),
            Slip("a cube root is asked for: both terms are equal up to a factor when h^3 is eps f / f3",
                 lambda eps, f, f3: (3 * eps * f / f3) ** 0.5),
            Slip("upside down: a larger third derivative asks for a smaller step",
                 lambda eps, f, f3: (3 * eps * f3 / f) ** (1 / 3)),
        ),
    ),
    Exercise(
        "03.2", "Write gradient_from_values(f, x): the gradient of f, a number, by the array x, like x.", complex_gradient,
        function_and_point,
        ("gradient",),
        (
            Slip("all entries were stepped at once: that is the sum of the gradient, everywhere", _all_at_once),
            Slip("that is a difference quotient: seven digits, and the check asks for twelve", _forward_differences),
            Slip("that is a central difference: ten digits at best, and the check asks for twelve", _central_differences),
            Slip("the step is so large that its square shows: 1e-30 is safe", lambda f, x: _entry_by_entry(f, x, 1e-3)),
            Slip("the imaginary part is not divided by h", lambda f, x: STEP * complex_gradient(f, x)),
            Slip("a real step of 1e-30 vanishes beside x: the step must be imaginary, and x complex", lambda f, x: 0.0 * x),
        ),
        tolerance=1e-13,  # no difference quotient of numbers with 16 digits comes so far
    ),
    Exercise(
        "03.3", "Write dot_sides(forward, backward, Z, u, dout): the two sides of (3.9), <J u, dout> and <u, J^T dout>.",
        dot_sides,
        layer_and_directions, ("<J u, dout>", "<u, J^T dout>"),
        (
            Slip("the second side must come from backward: a side compared with itself judges nothing", _one_side_twice),
            Slip("u and dout are swapped: u is the direction of the input, dout the cotangent of the output",
                 lambda forward, backward, Z, u, dout: dot_sides(forward, backward, Z, dout, u)),
            Slip("the sides have changed places: the forward pass makes the first one",
                 lambda forward, backward, Z, u, dout: dot_sides(forward, backward, Z, u, dout)[::-1]),
            Slip("a cotangent of ones was used in place of dout", _cotangent_of_ones),
            Slip("the residual is missing in J u, and not in J^T dout", _without_residual),
        ),
    ),
    Exercise(
        "03.4", "Repair mean_square_slope(prediction, v, y), which returns 0 for every input.", mean_square_slope,
        predictions_and_direction, ("slope",),
        (
            Slip("abs of a complex number is its length, which has no imaginary part: square the error by a product",
                 lambda prediction, v, y: 0.0),
            Slip("a sum in place of the mean", lambda prediction, v, y: 2 * ((prediction - y) * v).sum()),
            Slip("the derivative of a square carries a factor 2", lambda prediction, v, y: ((prediction - y) * v).mean()),
            Slip("the step goes along v, entry by entry, and not along ones",
                 lambda prediction, v, y: 2 * (prediction - y).mean()),
        ),
    ),
    Exercise(
        "03.5", "Repair scores_backward(dA, Z, Q) -> dZ, dQ of A = Z Q^T Z^T; its author's test used ones and a symmetric Q.",
        scores_backward, scores_and_cotangent, ("dZ", "dQ"),
        (
            Slip("that is the function as you found it: run complex_step on it at generic dA and Q", _as_found),
            Slip("dZ: the two uses of Z in the score differ, unless dA and Q are symmetric",
                 lambda dA, Z, Q: (_as_found(dA, Z, Q)[0], scores_backward(dA, Z, Q)[1])),
            Slip("dQ: transposed, which a symmetric dA hides",
                 lambda dA, Z, Q: (scores_backward(dA, Z, Q)[0], _as_found(dA, Z, Q)[1])),
            Slip("dZ: in the second use dA is turned, and Q is not", lambda dA, Z, Q:
                 (dA @ Z @ Q + dA.mT @ Z @ Q, scores_backward(dA, Z, Q)[1])),
            Slip("dZ: in the second use Q is turned, and dA is not", lambda dA, Z, Q:
                 (dA @ Z @ Q + dA @ Z @ Q.T, scores_backward(dA, Z, Q)[1])),
        ),
    ),
    Exercise(
        "03.6", "The power of sigma with which the error of value_P_transposed falls, to 10 %.", 4.0,
        slips=(
            Slip("that is the power of dropping the value's use altogether", 1.0),
            Slip("that is the power of a mistake in the reader's or the read's use", 2.0),
            Slip("close, but the fit reaches sigmas at which the layers are not near the identity, or one factor is not counted",
                 3.0),
        ),
        tolerance=0.1,
    ),
    choice(
        "03.t1", "A model trains for 1000 steps and its loss falls. What is known of the gradient?", "c",
        a="a gradient that is wrong in one line of a layer usually trains",
        b="factors are the easiest mistakes to survive, but not the only ones: any g within 90 degrees descends",
        d="something is known: a gradient with the wrong sign would not have done it",
    ),
    choice(
        "03.t2", "Why may the complex step use h = 1e-30, and a difference quotient not?", "a",
        b="complex numbers have the same 53 bits in each part",
        c="the truncation error falls with h for both; it is the rounding that differs",
        d="the function is evaluated once in each case; what is done with the value differs",
    ),
    choice(
        "03.t3", "All weights symmetric, and every entry agrees with its complex step. What follows for P^T in place of P?", "d",
        a="at this point both give the same numbers, so the test cannot have decided",
        b="a wrong line would not have shown either",
        c="the complex step is exact here; it is the point that tells nothing",
    ),
)  # fmt: skip
