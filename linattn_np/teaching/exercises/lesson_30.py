"""Exercises of lesson 30: why depth favours Adam."""

import numpy as np

from ..exercise import Exercise, Slip, choice


def scalars(rng, s):
    """s_0, and numbers p and q (L,) of the layers, none large."""
    L = s["d"]
    return float(rng.uniform(0.7, 1.4)), rng.uniform(-0.4, 0.9, L), rng.uniform(0.2, 0.8, L)


def handed_on(s, p, q):
    """s_l before each layer, (L,), by s <- s (1 - p q s)^2."""
    return _scalars(lambda s, p, q: s * (1 - p * q * s) ** 2)(s, p, q)


def _scalars(step):
    """Every s_l by a step; the last p and q are not used."""

    def found(s, p, q):
        out = [s]
        for p_l, q_l in zip(p[:-1], q[:-1], strict=True):
            out.append(step(out[-1], p_l, q_l))
        return np.array(out)

    return found


def layer(rng, s):
    """S (B, d, d), P' and Q' (d, d)."""
    X = rng.standard_normal((s["B"], s["n"], s["d"]))
    return X.mT @ X / s["n"], 0.5 * rng.standard_normal((s["d"], s["d"])), 0.5 * rng.standard_normal((s["d"], s["d"]))


def next_moment(S, P, Q):
    """T S T^T with T = I + P' S Q'."""
    T = np.eye(len(P)) + P @ S @ Q
    return T @ S @ T.mT


def scales(rng, s):
    """s_l (L,), falling."""
    return (np.cumprod(rng.uniform(0.3, 0.9, s["d"])),)


def two_rates(s):
    """The factors of the layers' rates, the last 1: for SGD and for Adam."""
    return (s[-1] / s) ** 2, s[-1] / s


def spike(rng, s):
    """How many times as large a spike is, and beta2."""
    return float(rng.uniform(200, 9000)), float(rng.uniform(0.8, 0.97))


def recovery(R, beta2):
    """Steps until a spike of R times the usual gradient is down to the usual one in Adam's mean of squares."""
    return np.log(R**2 * (1 - beta2)) / np.log(1 / beta2)


def first_step(rng, s):
    """params and gradient (L, 1, 2, k, k), lr, and factors of the layers (L,)."""
    L = s["d"]
    return (*rng.standard_normal((2, L, 1, 2, 2, 2)), float(rng.uniform(0.01, 0.1)), rng.uniform(0.1, 2, L))


def rated_step(params, grad, lr, factors):
    """The first step of Adam with eps 0, each layer's times its factor."""
    return params - lr * factors.reshape(-1, 1, 1, 1, 1) * np.sign(grad)


EXERCISES = (
    Exercise(
        "30.1", "Write handed_on(s, p, q): s_l before each of L layers, (30.3), from s_0 = s and p, q (L,).", handed_on, scalars,
        ("s_l",),
        (
            Slip("S is a mean of squares: what multiplies a covariate multiplies it twice",
                 _scalars(lambda s, p, q: s * (1 - p * q * s))),
            Slip("a layer reads the covariates that it was handed: its own s stands in the bracket", lambda s, p, q: (
                s * np.concatenate([[1.0], np.cumprod((1 - p * q * s)[:-1] ** 2)]))),
            Slip("Q' = -q I: mind the sign", _scalars(lambda s, p, q: s * (1 + p * q * s) ** 2)),
            Slip("that is the factor of the labels: covariates change by P' as well",
                 _scalars(lambda s, p, q: s * (1 - q * s) ** 2)),
        ),
    ),
    Exercise(
        "30.2", "Write next_moment(S, P, Q): (30.2) for S (B, d, d) and the blocks P' and Q' (d, d).", next_moment, layer, ("S",),
        (
            Slip("P' stands on the left of S, Q' on the right", lambda S, P, Q: _sandwich(np.eye(len(P)) + Q @ S @ P, S)),
            Slip("the skip connection is missing: T begins with I", lambda S, P, Q: _sandwich(P @ S @ Q, S)),
            Slip("T stands on both sides of S, once transposed", lambda S, P, Q: (np.eye(len(P)) + P @ S @ Q) @ S),
            Slip("the second T is transposed", lambda S, P, Q: (np.eye(len(P)) + P @ S @ Q) @ S @ (np.eye(len(P)) + P @ S @ Q)),
        ),
    ),
    Exercise(
        "30.3", "Repair rated_step(params, grad, lr, factors): Adam's first step, with eps 0, that of layer l times factors[l].",
        rated_step, first_step, ("params",),
        (
            Slip("Adam divides by the size of what it is handed: a factor on the gradient is gone after the division",
                 lambda params, grad, lr, factors: params - lr * np.sign(grad)),
            Slip("the layer is the first of five axes, and NumPy aligns the last ones",
                 lambda params, grad, lr, factors: params - lr * np.sign(grad) * np.resize(factors, 2)),
            Slip("a factor multiplies the step, not what is left of the weights",
                 lambda params, grad, lr, factors: factors.reshape(-1, 1, 1, 1, 1) * (params - lr * np.sign(grad))),
            Slip("this is the step of SGD: Adam's first one has the same size everywhere",
                 lambda params, grad, lr, factors: params - lr * factors.reshape(-1, 1, 1, 1, 1) * grad),
        ),
    ),
    Exercise(
        "30.4", "Write two_rates(s): the factors of the layers' rates from s_l (L,), the last one 1, for SGD and for Adam.",
        two_rates, scales, ("for SGD", "for Adam"),
        (
            Slip("SGD's step in the weight is short by s, and what a weight does is short by s once more",
                 lambda s: (s[-1] / s, s[-1] / s)),
            Slip("Adam's step does not follow the gradient: one of the two powers is gone",
                 lambda s: ((s[-1] / s) ** 2, (s[-1] / s) ** 2)),
            Slip("where s is small the rate must be large", lambda s: ((s / s[-1]) ** 2, s / s[-1])),
            Slip("the last layer's factor is 1, the others are measured by it", lambda s: ((s[0] / s) ** 2, s[0] / s)),
        ),
    ),
    Exercise(
        "30.5", "Write recovery(R, beta2): after how many steps, (30.11), a spike of R times the usual gradient is"
                " down to 1 in v.",
        recovery, spike, ("steps",),
        (
            Slip("v is a mean of squares: R enters it squared", lambda R, beta2: np.log(R * (1 - beta2)) / np.log(1 / beta2)),
            Slip("the spike enters the mean with a weight", lambda R, beta2: np.log(R**2) / np.log(1 / beta2)),
            Slip("the weight is that of the new square, not of the old mean",
                 lambda R, beta2: np.log(R**2 * beta2) / np.log(1 / beta2)),
            Slip("each step multiplies v by beta2, not by its root", lambda R, beta2: 2 * recovery(R, beta2)),
        ),
    ),
    Exercise(
        "30.6", "Four layers, Adam, 2000 steps: what base do the covariates say? To 15 %.", 5.1,
        slips=(
            Slip("that is the base of Adam's own rates: the base is that of SGD's", 2.26),
            Slip("that is the ratio of first to last, for SGD: it is shared by three gaps between layers", 132.0),
            Slip("that is the ratio of first to last: square it, and share it by the gaps between layers", 11.5),
            Slip("four layers have three gaps between them", 3.4),
        ),
        tolerance=0.15,
    ),
    choice(
        "30.t1", "A trick lifts SGD to the loss that Adam has without it. What follows?", "c",
        a="perhaps Adam gains as much by the same trick: nobody has looked",
        b="a loss that is reached by another road says nothing about which road Adam takes",
        d="it is one comparison at one horizon and depth",
    ),
    choice(
        "30.t2", "Why does the last layer need a larger rate than the first?", "a",
        b="its gradient is the smaller one, not the larger",
        c="the dead P of the last layer has no gradient at any rate",
        d="Adam's covariates shrink as well: it is no matter of the optimizer",
    ),
    choice(
        "30.t3", "From three layers to six the ratio of the losses grows from 7 to hundreds. How much faster is Adam?", "b",
        a="a ratio of losses is no ratio of steps: read along the horizontal axis",
        c="both need the same steps only where the ratio of the losses is 1",
        d="the budgets of section 6 answer it for the losses that SGD reaches",
    ),
)  # fmt: skip


def _sandwich(T, S):
    return T @ S @ T.mT
