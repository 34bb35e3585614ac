"""Exercises of lesson 06: optimizers from scratch."""

import numpy as np

from ... import optimizers
from ...optimizers import Moments, Momentum
from ..exercise import Exercise, Slip, choice


def decay_and_curvature(rng, s):
    """mu in (0, 1) and a curvature."""
    return rng.uniform(0.3, 0.8), rng.uniform(1.0, 10.0)


def largest_rate(mu, curvature):
    """Where a root of (6.10) reaches -1."""
    return 2 * (1 + mu) / curvature


def momentum_inputs(rng, s):
    """x, g, m (n, d), lr, mu."""
    x, g, m = rng.standard_normal((3, s["n"], s["d"]))
    return x, g, m, 0.3, 0.6


def momentum(x, g, m, lr, mu):
    """x and m after one update of (6.1)."""
    x, state = optimizers.SGD(lr, mu).update(x, g, Momentum(m))
    return x, state.m


def _momentum_scaled(x, g, m, lr, mu, scale):
    m = mu * m + scale * g
    return x - lr * m, m


def _lr_in_buffer(x, g, m, lr, mu):
    m = mu * m + lr * g
    return x - m, m


def adam_inputs(rng, s):
    """x, g, m (n, d), v (n, d) positive, t, lr, beta1, beta2, eps."""
    x, g, m = rng.standard_normal((3, s["n"], s["d"]))
    return x, g, m, rng.uniform(0.5, 2.0, x.shape), 3, 0.3, 0.8, 0.9, 0.1


def adam(x, g, m, v, t, lr, beta1, beta2, eps):
    """x, m, v after update t of (6.6)."""
    x, state = optimizers.Adam(lr, beta1, beta2, eps).update(x, g, Moments(t - 1, m, v))
    return x, state.m, state.v


def _adam(x, g, m, v, t, lr, beta1, beta2, eps, corrected=(True, True), inside=False, square=True, root=True, stored=False):
    """(6.6) with room for mistakes."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g * g if square else np.abs(g))
    m_hat = m / (1 - beta1**t) if corrected[0] else m
    v_hat = v / (1 - beta2**t) if corrected[1] else v
    below = np.sqrt(v_hat + eps) if inside else (np.sqrt(v_hat) if root else v_hat) + eps
    x = x - lr * m_hat / below
    return (x, m_hat, v_hat) if stored else (x, m, v)


def _adam_with(**mistake):
    return lambda *inputs: _adam(*inputs, **mistake)


def _t_too_small(x, g, m, v, t, lr, beta1, beta2, eps):
    return adam(x, g, m, v, t - 1, lr, beta1, beta2, eps)


def _t_too_large(x, g, m, v, t, lr, beta1, beta2, eps):
    return adam(x, g, m, v, t + 1, lr, beta1, beta2, eps)


def _short_form(x, g, m, v, t, lr, beta1, beta2, eps):
    """Kingma and Ba's more efficient order of computation, which moves eps."""
    _, m, v = adam(x, g, m, v, t, lr, beta1, beta2, eps)
    return x - lr * np.sqrt(1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(v) + eps), m, v


def _sums(x, g, m, v, t, lr, beta1, beta2, eps):
    m, v = beta1 * m + g, beta2 * v + g * g
    return x - lr * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


def _sum_of_gradients(x, g, m, v, t, lr, beta1, beta2, eps):
    m, v = beta1 * m + g, beta2 * v + (1 - beta2) * g * g
    return x - lr * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


def _betas_swapped(x, g, m, v, t, lr, beta1, beta2, eps):
    return adam(x, g, m, v, t, lr, beta2, beta1, eps)


def adamw_inputs(rng, s):
    """The inputs of adam, and decay."""
    return *adam_inputs(rng, s), 0.7


def adamw(x, g, m, v, t, lr, beta1, beta2, eps, decay):
    """x after update t of (6.7)."""
    return optimizers.AdamW(lr, beta1, beta2, eps, decay).update(x, g, Moments(t - 1, m, v))[0]


def _decay_in_gradient(x, g, m, v, t, lr, beta1, beta2, eps, decay):
    return adam(x, g + decay * x, m, v, t, lr, beta1, beta2, eps)[0]


def _decay_without_lr(x, g, m, v, t, lr, beta1, beta2, eps, decay):
    return adam(x, g, m, v, t, lr, beta1, beta2, eps)[0] - decay * x


def _decay_after(x, g, m, v, t, lr, beta1, beta2, eps, decay):
    return (1 - lr * decay) * adam(x, g, m, v, t, lr, beta1, beta2, eps)[0]


def _decay_beside_m(x, g, m, v, t, lr, beta1, beta2, eps, decay):
    root = np.sqrt((beta2 * v + (1 - beta2) * g * g) / (1 - beta2**t)) + eps
    return adam(x, g, m, v, t, lr, beta1, beta2, eps)[0] - lr * decay * x / root


def gradient_and_threshold(rng, s):
    """grad (L, H, 2, d, d) with blocks of many sizes, and a threshold that a quarter of them stays below."""
    grad = rng.standard_normal((3, s["H"], 2, s["d"], s["d"])) * rng.uniform(0.2, 3.0, (3, s["H"], 2, 1, 1))
    return grad, float(np.quantile(np.sqrt((grad**2).sum(axis=(-2, -1))), 0.25))


def clip_blocks(grad, threshold):
    """(6.8) for each block."""
    return optimizers.clip(grad, threshold, by="block")


def _clip_along(grad, threshold, axis):
    return grad * np.minimum(1, threshold / np.sqrt((grad**2).sum(axis=axis, keepdims=True)))


def _always_scaled(grad, threshold):
    return grad * threshold / np.sqrt((grad**2).sum(axis=(-2, -1), keepdims=True))


EXERCISES = (
    Exercise(
        "06.1", "Write largest_rate(mu, curvature): the learning rate beyond which momentum diverges.", largest_rate,
        decay_and_curvature,
        ("lr",),
        (
            Slip("that is the border without momentum", lambda mu, curvature: 2 / curvature),
            Slip("the steps are 1/(1 - mu) times as long on a slope, but on the bench gradients alternate at the border",
                 lambda mu, curvature: 2 * (1 - mu) / curvature),
            Slip("that is where the roots become real again, and they are still inside the unit circle",
                 lambda mu, curvature: (1 + mu**0.5) ** 2 / curvature),
            Slip("put the root -1 into the quadratic: it has three terms", lambda mu, curvature: (1 + mu) / curvature),
            Slip("1/(1 - mu) belongs to the slope, where gradients add up; at the border on the bench they alternate",
                 lambda mu, curvature: 2 / ((1 - mu) * curvature)),
        ),
    ),
    Exercise(
        "06.2", "Write momentum(x, g, m, lr, mu): one update of SGD with momentum -> the next x and m.", momentum,
        momentum_inputs,
        ("x", "m"),
        (
            Slip("the buffer of (6.1) is a sum, not a mean: g is not damped",
                 lambda x, g, m, lr, mu: _momentum_scaled(x, g, m, lr, mu, 1 - mu)),
            Slip("the step is taken along the new buffer", lambda x, g, m, lr, mu: (x - lr * m, mu * m + g)),
            Slip("that is Nesterov's step, which looks one gradient ahead",
                 lambda x, g, m, lr, mu: (x - lr * (g + mu * (mu * m + g)), mu * m + g)),
            Slip("lr stands in the step, not in the buffer", _lr_in_buffer),
            Slip("uphill: the step is subtracted", lambda x, g, m, lr, mu: (x + lr * (mu * m + g), mu * m + g)),
        ),
    ),
    Exercise(
        "06.3", "Write adam(x, g, m, v, t, lr, beta1, beta2, eps): update number t -> the next x, m, v.", adam, adam_inputs,
        ("x", "m", "v"),
        (
            Slip("both bias corrections are missing", _adam_with(corrected=(False, False))),
            Slip("v starts at zero too: its correction is missing", _adam_with(corrected=(True, False))),
            Slip("m starts at zero too: its correction is missing", _adam_with(corrected=(False, True))),
            Slip("eps stands outside the root", _adam_with(inside=True)),
            Slip("v is a mean of squares", _adam_with(square=False)),
            Slip("the root of v_hat is missing", _adam_with(root=False)),
            Slip("the corrected means are for this step only; keep m and v", _adam_with(stored=True)),
            Slip("t counts this update as well", _t_too_small),
            Slip("t is the number of this update, not of the next one", _t_too_large),
            Slip("eps stands beside the root of v_hat; in the short form with one factor for both corrections it stands beside "
                 "that of v",
                 _short_form),
            Slip("beta1 belongs to m and beta2 to v", _betas_swapped),
            Slip("m and v are running means here, not sums as in (6.1)", _sums),
            Slip("m is a running mean here, not a sum as in (6.1)", _sum_of_gradients),
        ),
    ),
    Exercise(
        "06.4", "Repair adamw(x, g, m, v, t, lr, beta1, beta2, eps, decay) -> the next x.", adamw, adamw_inputs, ("x",),
        (
            Slip("the decay is still part of the gradient, and divided by the scale with it", _decay_in_gradient),
            Slip("the decay of a step is lr times decay", _decay_without_lr),
            Slip("shrink the old weights, not the ones that have moved", _decay_after),
            Slip("the decay no longer enters m and v, but it is still divided by the scale", _decay_beside_m),
        ),
    ),
    Exercise(
        "06.5", "Write clip_blocks(grad, threshold): shorten each (d, d) block to at most the threshold.", clip_blocks,
        gradient_and_threshold, ("grad",),
        (
            Slip("one norm for everything: that is global clipping", lambda grad, threshold: optimizers.clip(grad, threshold)),
            Slip("that clips each entry and changes the direction of a block",
                 lambda grad, threshold: optimizers.clip(grad, threshold, by="coordinate")),
            Slip("a block has two axes: that is the norm of each row", lambda grad, threshold: _clip_along(grad, threshold, -1)),
            Slip("P and Q are blocks of their own: that is one norm for a head",
                 lambda grad, threshold: _clip_along(grad, threshold, (-3, -2, -1))),
            Slip("a block that is short enough stays as it is", _always_scaled),
        ),
    ),
    Exercise(
        "06.6", "The alpha for which RMSProp's first step is five times as long as lr.", 0.96,
        slips=(
            Slip("the root is missing: v is a mean of squares", 0.8),
            Slip("that is 1 - alpha", 0.04),
            Slip("that makes the first step ten times as long as lr", 0.99),
            Slip("the root is taken on the wrong side: a step five times as long needs a v of a twenty-fifth", 1 - 5**-0.5),
            Slip("upside down: v stands below the line, and a longer step needs a smaller v", -24.0),
        ),
    ),
    Exercise(
        "06.7", "Steps of momentum at (6.11) on curvatures 1 and 400, until the distance has fallen by a million, to 5 %.", 194,
        slips=(
            Slip("that is what the rate alone promises; count", 138),
            Slip("that is gradient descent at its best rate: is mu in your optimizer?", 2764),
            Slip("did you stop at a loss of a millionth, or at a thousandth of the distance?", 122),
            Slip("(6.11) gives the root of mu: is mu its square in your optimizer?", 251),
            Slip("that is the count for curvatures 1 and 100", 93),
        ),
        tolerance=0.05,
    ),
    choice(
        "06.t1", "The loss is multiplied by 1,000: which method makes the same steps?", "c",
        a="its step is proportional to the gradient",
        b="its buffer is a sum of gradients",
        d="m_hat and the root of v_hat grow by the same factor in one of them",
    ),
    choice(
        "06.t2", "The parameters are turned: which method makes the same steps, turned?", "a",
        b="a sign belongs to an axis",
        c="it divides each coordinate by a scale of its own",
        d="a mean of squares of each coordinate is not turned along with the gradient",
    ),
    choice(
        "06.t3", "Adam, beta1 = 0.9, beta2 = 0.999, without corrections: how long is the first step?", "c",
        a="that is so with both corrections",
        b="m is a tenth of g, but v is too small as well",
        d="v is too small by 1000 and its root by about 30, but m is too small as well",
    ),
)  # fmt: skip
