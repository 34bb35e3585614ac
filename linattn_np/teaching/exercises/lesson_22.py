"""Exercises of lesson 22: a pre-network and a looped layer."""

import numpy as np

from ..exercise import BY_HAND, Exercise, Slip, choice


def point(rng, s):
    """F (n, d), y (n,), f (d,), a step and a number of loops."""
    return rng.standard_normal((s["n"], s["d"])), rng.standard_normal(s["n"]), rng.standard_normal(s["d"]), 0.2, s["B"] + 2


def predict(F, y, f, eta, loops):
    """(22.2) to (22.6) for one prompt."""
    n, a = len(F), np.zeros(F.shape[1])
    for _ in range(loops):
        a = a + eta * F.T @ (y - F @ a) / n
    return a @ f


def _loop(change):
    def wrong(F, y, f, eta, loops):
        a = np.zeros(F.shape[1])
        for _ in range(loops):
            a = change(F, y, eta, a)
        return a @ f

    return wrong


def step_gradient(F, y, f, eta, loops):
    """dp/deta of a tied step: the sum over the loops."""
    n = len(F)
    G, c = F.T @ F / n, F.T @ y / n
    a, residuals = np.zeros(F.shape[1]), []
    for _ in range(loops):
        residuals.append(c - G @ a)
        a = a + eta * residuals[-1]
    da, deta = f, 0.0
    for g in reversed(residuals):
        deta += da @ g
        da = da - eta * G @ da
    return deta


def _gradient(last=False, carried=True, step=1.0):
    def wrong(F, y, f, eta, loops):
        n = len(F)
        G, c = F.T @ F / n, F.T @ y / n
        a, residuals = np.zeros(F.shape[1]), []
        for _ in range(loops):
            residuals.append(c - G @ a)
            a = a + eta * residuals[-1]
        da, deta = f, 0.0
        for g in reversed(residuals[-1:] if last else residuals):
            deta += step * (da @ g)
            da = da - eta * G @ da if carried else da
        return deta

    return wrong


def largest_step(rng, s):
    """F (n, d)."""
    return (rng.standard_normal((s["n"], s["d"])),)


def safe_step(F):
    """2 over the largest eigenvalue of F^T F / n."""
    return 2 / np.linalg.eigvalsh(F.T @ F / len(F))[-1]


EXERCISES = (
    Exercise(
        "22.1", "The prompt of section 3 at eta = 1/10: the prediction after two loops.", 2.1,
        slips=(
            Slip("that is one loop", 1.4),
            Slip("the second loop starts at a_1, and its residual is smaller", 2.8),
            Slip("that is the coefficient; the prediction is its product with the query", 1.05),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "22.2", "Write predict(F, y, f, eta, loops): the answer of one prompt after the loops.", predict, point, ("answer",),
        (
            Slip("the 1/n of G and c is missing", _loop(lambda F, y, eta, a: a + eta * F.T @ (y - F @ a))),
            Slip("the sign: the residual is y - F a", _loop(lambda F, y, eta, a: a - eta * F.T @ (y - F @ a) / len(F))),
            Slip("the residual has to be taken at the present a", _loop(lambda F, y, eta, a: a + eta * F.T @ y / len(F))),
            Slip("a is kept in each loop, and the step is added", _loop(lambda F, y, eta, a: eta * F.T @ (y - F @ a) / len(F))),
        ),
    ),
    Exercise(
        "22.3", "Repair step_gradient(F, y, f, eta, loops): the derivative of the answer by a step that all loops share.",
        step_gradient, point, ("deta",),
        (
            Slip("the step is used in every loop: its gradients add up", _gradient(last=True)),
            Slip("da changes from loop to loop: a_t stands in g_t too", _gradient(carried=False)),
            Slip("the sign: a grows by eta times g", _gradient(step=-1.0)),
        ),
    ),
    Exercise(
        "22.4", "Write safe_step(F): the step above which looping on diverges, for features F (n, d).", safe_step, largest_step,
        ("step",),
        (
            Slip("that step makes the largest factor 0; it may still be twice as long", lambda F: safe_step(F) / 2),
            Slip("the 1/n of G is missing", lambda F: safe_step(F) / len(F)),
            Slip("the largest eigenvalue decides, not the smallest", lambda F: 2 / np.linalg.eigvalsh(F.T @ F / len(F))[0]),
            Slip("eigenvalues of G, not singular values of F", lambda F: 2 / np.linalg.svd(F)[1][0]),
        ),
    ),
    choice(
        "22.t1", "The raw loop stops at the error of least squares on x. What would lower it?", "c",
        a="the loop has arrived there, more loops stay",
        b="the step decides how fast it arrives, not where",
        d="more examples bring least squares nearer to the best linear answer, which is not good",
    ),
    choice(
        "22.t2", "What do pre-network and loop do?", "b",
        a="the loop alone is linear in the labels, and the network sees no label",
        c="the network is the same for all prompts, and w differs from prompt to prompt",
        d="the loop's weights are the same in every loop and for every prompt",
    ),
    choice(
        "22.t3", "A model trained with 8 loops is run with 32, and its mean error explodes. Why?", "a",
        b="on all other prompts the error goes on falling",
        c="digits are lost far more slowly",
        d="the same happens on the prompts of training",
    ),
)  # fmt: skip
