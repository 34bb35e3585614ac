"""Exercises of lesson 12: the law of the covariates, its scale and its tail."""

import numpy as np

from ...models.transformer import init_params
from ..exercise import Exercise, Slip, choice


def normals_and_squares(rng, s):
    """e (B, N, d), standard normal, and g (B, N), positive."""
    shape = s["B"], s["n"] + 1
    return rng.standard_normal((*shape, s["d"])), rng.gamma(0.5, 2.0, shape)


def stretch(e, g):
    """(12.1) with the direction of e and the squared length g."""
    return _stretch(e, np.sqrt(g))


def _stretch(e, lengths, axis=-1):
    return e / np.sqrt((e * e).sum(axis=axis, keepdims=True)) * lengths[..., None]


def _query_short(e, g):
    g = g.copy()
    g[:, -1] = 1.0
    return stretch(e, g)


def mean_and_kappa(rng, s):
    """A mean squared length and a kappa above 1."""
    return float(rng.uniform(0.5, 4.0)), float(rng.uniform(1.2, 6.0))


def gamma_for(mean, kappa):
    """The shape and the scale with this mean and this kappa: (12.3) and (12.6)."""
    return 1 / (kappa - 1), mean * (kappa - 1)


def prompts_and_mean(rng, s):
    """Z (B, N, D) with labels w^T x, y (B,), and the mean squared length that is wanted."""
    X, w = rng.standard_normal((s["B"], s["n"] + 1, s["d"])) ** 3, rng.standard_normal((s["B"], s["d"]))
    labels = np.einsum("bnd,bd->bn", X, w)
    Z = np.concatenate([X, labels[..., None]], axis=2)
    Z[:, -1, -1] = 0.0
    return Z, labels[:, -1].copy(), 2.5


def match(Z, y, mean):
    """One factor for all tokens and labels, so that the mean squared length of the covariates is ``mean``."""
    c = np.sqrt(mean / _mean_square(Z))
    return c * Z, c * y


def _mean_square(Z):
    return (Z[..., :-1] ** 2).sum(axis=-1).mean()


def _unlabelled(Z, y, mean):
    out = match(Z, y, mean)[0]
    out[..., -1] = Z[..., -1]
    return out, y


def _per_prompt(Z, y, mean):
    c = np.sqrt(mean / (Z[..., :-1] ** 2).sum(axis=-1).mean(axis=1))
    return c[:, None, None] * Z, c * y


def _by(Z, y, c):
    return c * Z, c * y


def kappa_and_sizes(rng, s):
    """kappa, n, d"""
    return float(rng.uniform(1.1, 8.0)), s["n"], s["d"]


def one_layer_share(kappa, n, d):
    """(12.9) at the best step, over the loss without a step."""
    k = kappa * d - 1
    return k / (n + k)


def weights_and_factor(rng, s):
    """params (L, H, 2, d, d) and a factor c."""
    return init_params(rng, layers=3, d=s["d"], std=0.5), 1.7


def undo_scale(params, c):
    """(12.11): the weights that answer prompts c times as long as these weights answer the prompts themselves."""
    return params / _blocks(1.0, c * c)


def _blocks(of_P, of_Q):
    return np.array([of_P, of_Q])[:, None, None]


EXERCISES = (
    Exercise(
        "12.1", "The mean of ||x||^4 for shape 0.4 with the code's scale.", 14.0,
        slips=(
            Slip(
                "that is the variance of the squared length; its mean square is the variance and the square of the mean together",
                10.0,
            ),
            Slip("that is the square of the mean; the variance must be added", 4.0),
            Slip("that is the mean of the squared length", 2.0),
            Slip("the scale is the root of 10 / shape; yours is 10 / shape", 350.0),
            Slip("that is the second moment for scale 10: the code changes the scale with the shape", 56.0),
        ),
        tolerance=0.001,
    ),
    Exercise(
        "12.2", "Write stretch(e, g): normals e (B, N, d) and squared lengths g (B, N) -> covariates (B, N, d).", stretch,
        normals_and_squares, ("X",),
        (
            Slip("g is the squared length: the length is its root", lambda e, g: _stretch(e, g)),
            Slip("e is not of length 1: divide each token by its own length first", lambda e, g: e * np.sqrt(g)[..., None]),
            Slip("each token has a length of its own; yours takes the sum over the tokens",
                 lambda e, g: _stretch(e, np.sqrt(g), axis=1)),
            Slip("each token has a g of its own; yours takes the first one for the whole prompt",
                 lambda e, g: stretch(e, np.broadcast_to(g[:, :1], g.shape))),
            Slip("the query, too, has a g of its own", _query_short),
            Slip("divide by the length of e, the root of the sum of squares",
                 lambda e, g: e / (e * e).sum(axis=-1, keepdims=True) * np.sqrt(g)[..., None]),
        ),
    ),
    Exercise(
        "12.3", "Write gamma_for(mean, kappa): the mean of g and kappa -> shape and scale of the Gamma law.", gamma_for,
        mean_and_kappa, ("shape", "scale"),
        (
            Slip("does shape times scale give the mean that was asked for?",
                 lambda mean, kappa: (1 / (kappa - 1), mean / (kappa - 1))),
            Slip("that keeps the variance at 10, as the code does, whatever mean was asked for",
                 lambda mean, kappa: (1 / (kappa - 1), np.sqrt(10 * (kappa - 1)))),
            Slip("the 1 of (12.6) is missing: on the sphere kappa is 1, and no shape is that large",
                 lambda mean, kappa: (1 / kappa, mean * kappa)),
            Slip("kappa falls when the shape grows; yours grows with it: solve (12.6) for the shape once more",
                 lambda mean, kappa: (kappa - 1, mean / (kappa - 1))),
            Slip("first the shape, then the scale", lambda mean, kappa: gamma_for(mean, kappa)[::-1]),
        ),
    ),
    Exercise(
        "12.4", "Repair match(Z, y, mean): tokens (B, N, D) and labels (B,) -> both, with mean squared length `mean`.", match,
        prompts_and_mean, ("Z", "y"),
        (
            Slip("a factor c for x is a factor c^2 for its squared length: take the root",
                 lambda Z, y, mean: _by(Z, y, mean / _mean_square(Z))),
            Slip("labels are w^T x: they stretch with the covariates", _unlabelled),
            Slip("the label that is asked for stretches, too", lambda Z, y, mean: (match(Z, y, mean)[0], y)),
            Slip("one factor for the whole batch: a factor for each prompt changes the tail as well", _per_prompt),
            Slip("the squared length is the sum over the d covariates, not their mean",
                 lambda Z, y, mean: _by(Z, y, np.sqrt(mean / (Z[..., :-1] ** 2).mean()))),
            Slip("the label is no covariate: leave the last column out of the length",
                 lambda Z, y, mean: _by(Z, y, np.sqrt(mean / (Z**2).sum(axis=-1).mean()))),
            Slip("the query is a token like the others and counts in the mean",
                 lambda Z, y, mean: _by(Z, y, np.sqrt(mean / _mean_square(Z[:, :-1])))),
        ),
    ),
    Exercise(
        "12.5", "Write one_layer_share(kappa, n, d): the share of the loss that the best single step (1.6) leaves.",
        one_layer_share,
        kappa_and_sizes, ("share",),
        (
            Slip("that is the part that the step removes, not the part that it leaves",
                 lambda kappa, n, d: 1 - one_layer_share(kappa, n, d)),
            Slip("that is right for Gaussian covariates only, (1.10)", lambda kappa, n, d: (d + 1) / (n + d + 1)),
            Slip("in (12.9) it is kappa d - 1: the 1 comes from the n(n-1) pairs",
                 lambda kappa, n, d: kappa * d / (n + kappa * d)),
            Slip("kappa belongs to the whole squared length: it is multiplied by d",
                 lambda kappa, n, d: (kappa - 1) / (n + kappa - 1)),
            Slip("that is the loss at step 1; take the best one", lambda kappa, n, d: (kappa * d - 1) / n),
        ),
    ),
    Exercise(
        "12.6", "Write undo_scale(params, c): weights (L, H, 2, d, d) -> the weights that make up for prompts c times as long.",
        undo_scale, weights_and_factor, ("params",),
        (
            Slip("those are the old weights: what has become of a score?", lambda params, c: params.copy()),
            Slip("a score holds two covariates: c twice", lambda params, c: params / _blocks(1.0, c)),
            Slip("P takes values, and they are as long as the token they are added to: it stays",
                 lambda params, c: params / _blocks(c * c, c * c)),
            Slip("longer prompts need a smaller Q: divide", lambda params, c: params * _blocks(1.0, c * c)),
            Slip("index 1 of the third axis is Q, index 0 is P", lambda params, c: params / _blocks(c * c, 1.0)),
            Slip("every layer meets the longer tokens, not only the first", lambda params, c: np.concatenate(
                [undo_scale(params[:1], c), params[1:]])),
        ),
    ),
    Exercise(
        "12.7", "The power of the mean squared length with which the median noise norm grows, to 10 %.", 2.0,
        slips=(
            Slip("that is the power of c; the squared length grows like c^2", 4.0),
            Slip("that is the power of the loss", 1.0),
            Slip("that is the power of the gradient of P, which is much smaller than that of Q", 3.0),
            Slip("the noise keeps its tail when the scale changes, not its size", 0.0),
        ),
        tolerance=0.1,
    ),
    choice(
        "12.t1", "Covariates from Gamma(0.1, 10) in place of N(0, I_5): what of the squared length is kept?", "b",
        a="shape times scale is 1 in the one case and 5 in the other",
        c="the median falls from about 4 to less than a hundredth",
        d="kappa is 1 + 1/shape, and the shape has changed",
    ),
    choice(
        "12.t2", "All covariates and labels are doubled; weights near 0. What becomes of p99.9/p50 of the noise norm?", "d",
        a="the norms themselves grow so; a ratio of two of them does not",
        b="that is the power of the loss, and it is not scale-free",
        c="nothing gets rarer when all prompts are doubled",
    ),
    choice(
        "12.t3", "Why can SGD take a rate of 5 on the sphere and 0.02 for N(0, I_5)?", "c",
        a="kappa changes the curvature of Q by the factor 1.3 / 1.2 only",
        b="clipping shortens steps where gradients are long; at a minimum they are not",
        d="both have twenty examples and fresh prompts for every batch",
    ),
)  # fmt: skip
