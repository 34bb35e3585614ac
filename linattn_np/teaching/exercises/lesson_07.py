"""Exercises of lesson 07: Adam beats SGD."""

import numpy as np

from ... import optimizers
from ...models import transformer
from ...prompts import RegressionTask
from ..exercise import Exercise, Slip, choice


def curvatures(rng, s):
    """h (d,), all positive, and a momentum."""
    return rng.uniform(0.2, 5.0, s["d"]), 0.7


def largest_rate(h, mu):
    """(7.4) for the steepest coordinate."""
    return 2 * (1 + mu) / h.max()


def recorded(rng, s):
    """losses (seeds, T) with a long tail, and a window that does not divide T."""
    return np.exp(2 * rng.standard_normal((s["B"] + 2, 5 * s["n"] + 2))), 5


def fresh_curve(losses, window):
    """Median over the seeds of the medians of consecutive windows."""
    return np.median(np.median(_windows(losses, window), axis=2), axis=0)


def _windows(losses, window):
    k = losses.shape[1] // window
    return losses[:, : k * window].reshape(len(losses), k, window)


def _strided(losses, window):
    k = losses.shape[1] // window
    return np.median(np.median(losses[:, : k * window].reshape(len(losses), window, k), axis=1), axis=0)


def _last_windows(losses, window):
    return fresh_curve(losses[:, losses.shape[1] % window :], window)


def batches(rng, s):
    """params, four batches Z (T, B, N, D) and y (T, B), a rate, a momentum, a threshold that some gradients pass."""
    params = transformer.init_params(rng, layers=2, d=s["d"], std=0.2)
    prompts = [RegressionTask(n=s["n"], d=s["d"]).sample(s["B"], rng) for _ in range(4)]
    Z, y = zip(*prompts, strict=True)
    return params, np.stack(Z), np.stack(y), 0.05, 0.7, 1.0


def record(x, Z, y, lr, mu, threshold):
    """The loss of each batch at the params that met it, trained by (6.8) and (6.1)."""
    return _record(x, Z, y, lr, mu, threshold)


def _record(x, Z, y, lr, mu, threshold, late=False, damped=1.0, clip_buffer=False):
    losses, m = [], np.zeros_like(x)
    for Zt, yt in zip(Z, y, strict=True):
        loss, grad = transformer.loss_and_grad(x, Zt, yt, backend="numpy")
        if clip_buffer:
            m = mu * m + grad
            step = optimizers.clip(m, threshold)
        else:
            m = mu * m + damped * optimizers.clip(grad, threshold)
            step = m
        x = x - lr * step
        losses.append(transformer.loss(x, Zt, yt) if late else loss)
    return np.array(losses)


def rare(rng, s):
    """phi, b, B"""
    return float(rng.uniform(0.01, 0.2)), float(rng.uniform(20, 500)), 10 * s["n"]


def relative_error(phi, b, B):
    """(7.9)"""
    return b * np.sqrt(phi * (1 - phi) / B) / (1 + phi * b)


def gradients(rng, s):
    """g (T, p), a rate, a beta."""
    return rng.standard_normal((s["n"], s["d"])) + 0.5, 0.02, 0.8


def adam_step(g, lr, beta):
    """(7.7) by the weights (7.6)."""
    a = _weights(g, beta)
    return -lr * (a @ g) / np.sqrt(a @ (g * g))


def _weights(g, beta):
    a = beta ** np.arange(len(g))[::-1]
    return a / a.sum()


def _with(g, lr, mean, square):
    return -lr * (mean @ g) / np.sqrt(square @ (g * g))


EXERCISES = (
    Exercise(
        "07.1", "The first step after which the buffer holds 90 % of its final value, for momentum 0.9.", 22.0,
        slips=(
            Slip("after 1/(1-mu) steps it holds 1 - 0.9^10, which is about 65 percent", 10.0),
            Slip("0.9^21 is still above 0.1", 21.0),
            Slip("0.9^k counts from the second step on: after t steps the buffer holds 1 - 0.9^t", 23.0),
            Slip("that is where 99 percent is reached", 44.0),
        ),
    ),
    Exercise(
        "07.2", "Write largest_rate(h, mu): curvatures (d,) and a momentum -> the limit of the learning rate.", largest_rate,
        curvatures, ("rate",),
        (
            Slip("that is the limit without momentum", lambda h, mu: 2 / h.max()),
            Slip("the effective rate is not what limits convergence; go back to the roots of (7.3)",
                 lambda h, mu: 2 * (1 - mu) / h.max()),
            Slip("1/(1 - mu) is by how much momentum speeds up the flat coordinates; the limit is where a root of (7.3) reaches "
                 "-1",
                 lambda h, mu: 2 / ((1 - mu) * h.max())),
            Slip("every coordinate must converge, not just the flattest", lambda h, mu: 2 * (1 + mu) / h.min()),
            Slip("a mean curvature limits nothing: one coordinate is enough to diverge", lambda h, mu: 2 * (1 + mu) / h.mean()),
            Slip("at lr h = 1 + mu the roots are still inside the unit circle; they leave it at -1",
                 lambda h, mu: (1 + mu) / h.max()),
        ),
    ),
    Exercise(
        "07.3", "Write fresh_curve(losses, window): losses (seeds, T) -> (T // window,).", fresh_curve, recorded, ("curve",),
        (
            Slip("means over the window: one rare batch moves the whole point",
                 lambda losses, window: np.median(_windows(losses, window).mean(axis=2), axis=0)),
            Slip("a mean over the seeds: one seed that met a rare prompt decides",
                 lambda losses, window: np.median(_windows(losses, window), axis=2).mean(axis=0)),
            Slip("all seeds of a window pooled: first each seed's own median, then the median of the seeds",
                 lambda losses, window: np.median(_windows(losses, window), axis=(0, 2))),
            Slip("a window holds consecutive steps; the axes of the reshape are the other way round", _strided),
            Slip("what is left over is dropped at the end, not at the beginning", _last_windows),
        ),
    ),
    Exercise(
        "07.4", "Repair record(x, Z, y, lr, mu, threshold), which returns the T losses.", record, batches, ("losses",),
        (
            Slip("that loss is taken after the update, by params that have seen the batch: (7.8) does not hold",
                 lambda *inputs: _record(*inputs, late=True)),
            Slip("the gradients are not clipped", lambda x, Z, y, lr, mu, threshold: _record(x, Z, y, lr, mu, None)),
            Slip("the buffer is not damped: m = mu m + g", lambda x, Z, y, lr, mu, threshold:
                 _record(x, Z, y, lr, mu, threshold, damped=1 - mu)),
            Slip("the gradient is clipped, not the buffer", lambda *inputs: _record(*inputs, clip_buffer=True)),
            Slip("the momentum is missing", lambda x, Z, y, lr, mu, threshold: _record(x, Z, y, lr, 0.0, threshold)),
        ),
    ),
    Exercise(
        "07.5", "Write relative_error(phi, b, B): standard deviation of the mean of B losses over their true mean.",
        relative_error,
        rare, ("error",),
        (
            Slip("that is the variance; the standard deviation is its root",
                 lambda phi, b, B: b * b * phi * (1 - phi) / B / (1 + phi * b)),
            Slip("a mean of B is less uncertain than one loss", lambda phi, b, B: b * np.sqrt(phi * (1 - phi)) / (1 + phi * b)),
            Slip("the standard deviation falls like 1/sqrt(B), not like 1/B",
                 lambda phi, b, B: b * np.sqrt(phi * (1 - phi)) / B / (1 + phi * b)),
            Slip("phi b^2 is the mean square; subtract the square of the mean",
                 lambda phi, b, B: b * np.sqrt(phi / B) / (1 + phi * b)),
            Slip("divide by the true mean, which is not 1", lambda phi, b, B: b * np.sqrt(phi * (1 - phi) / B)),
            Slip("the rare prompts cost b more, and b is missing", lambda phi, b, B: np.sqrt(phi * (1 - phi) / B)),
            Slip("the ordinary loss of 1 belongs to the mean too", lambda phi, b, B: np.sqrt((1 - phi) / (phi * B))),
        ),
    ),
    Exercise(
        "07.6", "Write adam_step(g, lr, beta): gradients (T, p), oldest first -> the last change of the parameters (p,).",
        adam_step,
        gradients, ("step",),
        (
            Slip("the newest gradient has the largest weight, and it stands last",
                 lambda g, lr, beta: adam_step(g[::-1], lr, beta)),
            Slip("the weights do not add up to 1: the correction for the start is missing in both",
                 lambda g, lr, beta: _with(g, lr, *[(1 - beta) * beta ** np.arange(len(g))[::-1]] * 2)),
            Slip("v is not corrected for its start", lambda g, lr, beta:
                 _with(g, lr, _weights(g, beta), (1 - beta) * beta ** np.arange(len(g))[::-1])),
            Slip("the root of v is missing", lambda g, lr, beta: -lr * (_weights(g, beta) @ g) / (_weights(g, beta) @ (g * g))),
            Slip("the step goes against the gradient", lambda g, lr, beta: -adam_step(g, lr, beta)),
            Slip("v is the mean of the squares, not the square of the mean",
                 lambda g, lr, beta: -lr * np.sign(_weights(g, beta) @ g)),
            Slip("the variance is subtracted: v is the mean of squares about 0", lambda g, lr, beta:
                 -lr * (_weights(g, beta) @ g) / np.sqrt(_weights(g, beta) @ (g - _weights(g, beta) @ g) ** 2)),
        ),
    ),
    Exercise(
        "07.7", "The loss with rate 0.02 and momentum 0.9 over that at the same effective rate without momentum, to 20 %.", 1.0,
        slips=(
            Slip("that is about what the same lr without momentum gives: raise it to the effective rate", 0.18),
            Slip("upside down, and with the same lr: which rate does (7.2) name?", 5.5),
            Slip("that is the ratio of the rates, not of the losses", 10.0),
            Slip("that is the ratio of the rates, upside down", 0.1),
        ),
        tolerance=0.2,
    ),
    choice(
        "07.t1", "Mean 9.2 against 0.5, median half as large. What next?", "b",
        a="a handful of prompts may hold nearly all of that 9.2; on the others the first is better",
        c="the rare loss is real; leaving it out hides it",
        d="means that agree may just have missed the rare prompts, see (7.10)",
    ),
    choice(
        "07.t2", "All gradients times 100, no clipping: Adam's steps?", "d",
        a="that is SGD; look at (7.7)",
        b="the root of v grows by 100, not by 10: v holds squares",
        c="m grows as well",
    ),
    choice(
        "07.t3", "Far lower at 2,000, level at 10,000: what explains both?", "a",
        b="fresh batches say the same, on every seed",
        c="the loss does not rise again; it stays level, and falls when the rate is lowered",
        d="the buffer is full after some tens of steps, (7.1)",
    ),
)  # fmt: skip
