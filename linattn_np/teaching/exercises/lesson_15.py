"""Exercises of lesson 15: nonlinear regression."""

import numpy as np

from ...layers import mlp
from ..exercise import Exercise, Slip, choice, from_catalogue


def network_of(rng, s):
    """C (B, N, d), W1 (h, d), b1 (h,), W2 (d, h), b2 (d,), all generic."""
    d, h = s["d"], s["n"] + 4
    shapes = ((s["B"], s["n"] + 1, d), (h, d), (h,), (d, h), (d,))
    return tuple(rng.standard_normal(shape) for shape in shapes)


def gradient_inputs(rng, s):
    """dF and C (B, N, .), W1, b1, W2."""
    C, W1, b1, W2, _ = network_of(rng, s)
    return rng.standard_normal((*C.shape[:2], len(W2))), C, W1, b1, W2


def network_gradient(dF, C, W1, b1, W2):
    """(15.4) to (15.9)."""
    return _by(mlp, dF, C, W1, b1, W2)


def _by(module, dF, C, W1, b1, W2):
    _, tape = module.forward(C, W1, b1, W2, np.zeros(len(W2)))
    return tuple(module.backward(dF, tape)[1:])


def _step_of_dE(dF, C, W1, b1, W2):
    _, tape = mlp.forward(C, W1, b1, W2, np.zeros(len(W2)))
    return tuple(mlp.backward(dF, tape._replace(step=(dF @ W2 > 0).astype(float)))[1:])


def _query_out(dF, C, W1, b1, W2):
    return network_gradient(dF[:, :-1], C[:, :-1], W1, b1, W2)


def token_inputs(rng, s):
    """Z (B, N, D), W1, b1, W2, b2; the query's label slot is 0."""
    C, *weights = network_of(rng, s)
    Z = np.concatenate([C, rng.standard_normal((*C.shape[:2], 1))], axis=-1)
    Z[:, -1, -1] = 0.0
    return Z, *weights


def tokens_of(Z, W1, b1, W2, b2):
    """(15.1) to (15.3), (15.11)."""
    return np.concatenate([mlp.forward(Z[..., :-1], W1, b1, W2, b2)[0], Z[..., -1:]], axis=-1)


def _query_raw(Z, W1, b1, W2, b2):
    X = tokens_of(Z, W1, b1, W2, b2)
    X[:, -1] = Z[:, -1]
    return X


def _no_labels(Z, W1, b1, W2, b2):
    X = tokens_of(Z, W1, b1, W2, b2)
    X[..., -1] = 0.0
    return X


def _added(Z, W1, b1, W2, b2):
    X = tokens_of(Z, W1, b1, W2, b2)
    X[..., :-1] += Z[..., :-1]
    return X


def _only_the_query(Z, W1, b1, W2, b2):
    X = Z.copy()
    X[:, -1] = tokens_of(Z, W1, b1, W2, b2)[:, -1]
    return X


def _relu_twice(Z, W1, b1, W2, b2):
    X = tokens_of(Z, W1, b1, W2, b2)
    X[..., :-1] = np.maximum(X[..., :-1], 0.0)
    return X


def second_inputs(rng, s):
    """dF, hF (B, N, o), vW2 (o, h), vE, step, E (B, N, h), C (B, N, d), W2 (o, h)."""
    C, W1, b1, W2, b2 = network_of(rng, s)
    _, tape = mlp.forward(C, W1, b1, W2, b2)
    dF, hF = rng.standard_normal((2, *C.shape[:2], len(W2)))
    vE = rng.standard_normal(tape.E.shape) * tape.step
    return dF, hF, rng.standard_normal(W2.shape), vE, tape.step, tape.E, C, W2


def second_order(dF, hF, vW2, vE, step, E, C, W2):
    """The tangents of (15.4), (15.6) to (15.9), the covariates at rest."""
    tape = mlp.Tape(C, np.zeros((W2.shape[1], C.shape[-1])), W2, step, E)
    vtape = mlp.Tape(0 * C, 0 * tape.W1, vW2, step, vE)
    _, hW1, hb1, hW2, _ = mlp.backward_tangent(dF, hF, tape, vtape)
    return hW1, hb1, hW2


def _second(hE, step, C, hW2):
    hR = hE * step
    return (hR.mT @ C).sum(axis=0), hR.sum(axis=(0, 1)), hW2.sum(axis=0)


def times_and_quadratic(rng, s):
    """t, x0, h, eta, sigma with eta h < 1."""
    h = 0.5 + rng.random()
    return s["n"], 1.0 + rng.random(), h, (0.1 + 0.3 * rng.random()) / h, 0.5 + rng.random()


def excess_after(t, x0, h, eta, sigma):
    """E f - f* after t steps of SGD on h x^2 / 2 with noise sigma, from x0."""
    v = eta * sigma**2 / (h * (2 - eta * h))
    return _excess(t, x0, h, eta, v)


def _excess(t, x0, h, eta, v):
    return h / 2 * (v + (1 - eta * h) ** (2 * t) * (x0**2 - v))


EXERCISES = (
    Exercise(
        "15.1", "dW1 for section 3's prompt with the query's covariate 2.", np.array([[40.0], [0.0]]),
        slips=(
            Slip("the query's use of the network is missing", np.array([[16.0], [0.0]])),
            Slip("the example's use of the network is missing", np.array([[24.0], [0.0]])),
            Slip("that is db1: each token's dR is multiplied by its covariate", np.array([[28.0], [0.0]])),
            Slip("the second unit is off for both tokens: (15.7)", np.array([[40.0], [120.0]])),
            Slip("that is dW1 for the covariate -2: another unit was on then", np.array([[16.0], [-72.0]])),
        ),
    ),
    Exercise(
        "15.2", "Write network_gradient(dF, C, W1, b1, W2) -> dW1, db1, dW2, db2.", network_gradient, gradient_inputs,
        ("dW1", "db1", "dW2", "db2"),
        (
            *from_catalogue(_by, "mlp_step_missing", "mlp_relu_twice", "db1_before_step", "db2_one_token", "dW1_before_step",
                            "dW2_batch_mean"),
            Slip("the step is that of R, the preactivation; yours is that of dE", _step_of_dE),
            Slip("the query passes through the network as well: its token belongs to every sum", _query_out),
        ),
    ),
    Exercise(
        "15.3", "Repair tokens_of(Z, W1, b1, W2, b2): prompts (B, N, D) -> tokens (features ; label) (B, N, D).", tokens_of,
        token_inputs, ("tokens",),
        (
            Slip("the query's covariates go raw: examples and query must live in the same space", _query_raw),
            Slip("the label column stays: the attention has nothing else to learn from", _no_labels),
            Slip("features replace the covariates, they are not added to them", _added),
            Slip("the examples need their features, too", _only_the_query),
            Slip("no ReLU after the second layer: features may be negative", _relu_twice),
            Slip("b1 belongs inside the ReLU",
                 lambda Z, W1, b1, W2, b2: tokens_of(Z, W1, 0 * b1, W2, b2 + W2 @ b1)),
        ),
    ),
    Exercise(
        "15.4", "Write second_order(dF, hF, vW2, vE, step, E, C, W2) -> hW1, hb1, hW2.", second_order, second_inputs,
        ("hW1", "hb1", "hW2"),
        (
            Slip("(15.6) is a product of two things that move: dF vW2 is missing", lambda dF, hF, vW2, vE, step, E, C, W2:
                 _second(hF @ W2, step, C, hF.mT @ E + dF.mT @ vE)),
            Slip("(15.4) is a product of two things that move: dF' vE is missing", lambda dF, hF, vW2, vE, step, E, C, W2:
                 _second(hF @ W2 + dF @ vW2, step, C, hF.mT @ E)),
            Slip("dF moves itself: the terms with hF are missing", lambda dF, hF, vW2, vE, step, E, C, W2:
                 _second(dF @ vW2, step, C, dF.mT @ vE)),
            Slip("(15.7): the step is missing", lambda dF, hF, vW2, vE, step, E, C, W2:
                 _second(hF @ W2 + dF @ vW2, 1.0, C, hF.mT @ E + dF.mT @ vE)),
            Slip("the product rule has one move in each term; yours moves both at once", lambda dF, hF, vW2, vE, step, E, C, W2:
                 _second(hF @ vW2, step, C, hF.mT @ vE)),
        ),
    ),
    Exercise(
        "15.5", "Write excess_after(t, x0, h, eta, sigma): E f - f* after t steps of SGD from x0.", excess_after,
        times_and_quadratic, ("excess",),
        (
            Slip("what is forgotten is the distance from the fixed point, x0^2 - v, not x0^2", lambda t, x0, h, eta, sigma:
                 excess_after(t, x0, h, eta, sigma) + h / 2 * (1 - eta * h) ** (2 * t) * eta * sigma**2 / (h * (2 - eta * h))),
            Slip("x shrinks by 1 - eta h in a step, its square by the square of that", lambda t, x0, h, eta, sigma:
                 h / 2 * (eta * sigma**2 / (h * (2 - eta * h))
                          + (1 - eta * h) ** t * (x0**2 - eta * sigma**2 / (h * (2 - eta * h))))),
            Slip("that is the part that the noise leaves; the start is missing", lambda t, x0, h, eta, sigma:
                 eta * sigma**2 / (2 * (2 - eta * h))),
            Slip("that is descent without noise", lambda t, x0, h, eta, sigma: _excess(t, x0, h, eta, 0.0)),
            Slip("exactly, please: 2 - eta h is not 2", lambda t, x0, h, eta, sigma:
                 _excess(t, x0, h, eta, eta * sigma**2 / (2 * h))),
            Slip("the loss is h x^2 / 2; yours is the mean square of x", lambda t, x0, h, eta, sigma:
                 2 / h * excess_after(t, x0, h, eta, sigma)),
        ),
    ),
    Exercise(
        "15.6", "The power of sigma in Adam's excess, to 15 %.", 1.0,
        slips=(
            Slip("that is SGD's power; Adam divides by the noise once", 2.0),
            Slip("it is not free of the noise: the step is as long as before, and lasts", 0.0),
            Slip("that is the power of the spread of x; the excess is its square", 0.5),
            Slip("more noise leaves more: the sign", -1.0),
        ),
        tolerance=0.15,
    ),
    choice(
        "15.t1", "A factor of 2 at 0.001, or 5 percent at 0.06: which jump is larger?", "b",
        a="multiply by the level first, (15.21)",
        c="0.001 against 0.003",
        d="the jump can be read from the curve alone",
    ),
    choice(
        "15.t2", "A unit is off for every token: what does the audit say of its db1?", "c",
        a="the kink is where R is exactly 0; here all R are below it",
        b="a weight that changes nothing has the gradient 0",
        d="(15.7) multiplies by a step that is 0",
    ),
    choice(
        "15.t3", "Floor 0, settled, the rate divided by ten, settled again: what does the log plot show?", "a",
        b="by (15.23) the level falls with the rate",
        c="in (15.24) the rate cancels where the floor is 0",
        d="in (15.25) the rate stands beside the number of steps",
    ),
)  # fmt: skip
