"""Exercises of lesson 09: the robust condition number."""

import numpy as np

from ...measures.landscape import robust_condition_number
from ..exercise import BY_HAND, Exercise, Slip, choice


def diagonal_with_zeros(rng, s):
    """A diagonal (p,), p even: an even number of zeros, a few negative entries, the largest in size among them."""
    p = 4 * s["n"]
    h = np.exp(rng.standard_normal(p))
    order = rng.permutation(p)
    h[order[: p // 4 // 2 * 2]] = 0.0
    h[order[-3:]] *= -1.0
    h[order[-1]] = -2.0 * np.abs(h).max()
    return (h,)


def three_r_med(diagonal):
    """(9.1) with the three medians."""
    return tuple(robust_condition_number(diagonal, **kind) for kind in ({}, {"median": "usual"}, {"drop_dead": True}))


def _three(size, largest=None, dead=0.0):
    """The three numbers from given sizes; a slip changes the sizes, the largest, or what counts as dead."""
    a = np.sort(size)
    alive = a[a > dead]
    top = a[-1] if largest is None else largest
    return top / a[(len(a) - 1) // 2], top / np.median(a), top / alive[(len(alive) - 1) // 2]


def _upper(diagonal):
    a = np.sort(np.abs(diagonal))
    alive = a[a > 0]
    return a[-1] / a[len(a) // 2], a[-1] / np.median(a), a[-1] / alive[len(alive) // 2]


def _swapped(diagonal):
    lower, usual, alive = three_r_med(diagonal)
    return usual, lower, alive


def _alive_usual(diagonal):
    a = np.abs(diagonal)
    return (*three_r_med(diagonal)[:2], a.max() / np.median(a[a > 0]))


def hessian_and_probes(rng, s):
    """A symmetric H (p, p) and sign vectors V (m, p)."""
    p = s["d"] + 2
    A = rng.standard_normal((p, p))
    return A + A.T, 2.0 * rng.integers(2, size=(s["n"], p)) - 1.0


def estimate_diagonal(H, V):
    """The mean of v * Hv over the probes."""
    return (V * (V @ H)).mean(axis=0)


def hessian_and_count(rng, s):
    """A symmetric H (p, p) and a number of probes."""
    return hessian_and_probes(rng, s)[0], s["n"]


def noise_of(H, probes):
    """The root of (9.6) over the number of probes."""
    return np.sqrt(((H**2).sum(axis=1) - np.diag(H) ** 2) / probes)


def along_identity(n, d):
    """u^T H u for u = I / sqrt(d) in one layer's Q, at weights near 0."""
    return 2 * (1 + (d + 1) / n)


EXERCISES = (
    Exercise(
        "09.1", "R_med with the lower median for the prompt of section 3, at q_1 = -2.", 1730 / 128,
        slips=(
            Slip("that is the usual median: of an even count the lower one is the smaller of the two in the middle", 1730 / 432),
            Slip("that is the median without the dead p_1; the lower median of all four counts its zero", 1730 / 736),
            Slip("that is the value at q_1 = -1", 386 / 128),
            Slip("in (9.2) the second term is missing: s has second derivatives too", 1058 / 128),
            Slip("the factor 2 of the first term is not in the second", (1058 + 336) / 128),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "09.2", "Write three_r_med(diagonal): R_med with the lower, the usual and the alive median of a diagonal (p,).",
        three_r_med, diagonal_with_zeros, ("lower", "usual", "alive"),
        (
            Slip("the sizes: |H_ii| is missing, and negative entries sort first", lambda diagonal: _three(diagonal)),
            Slip("the largest entry must be the largest in size; yours is the largest with its sign",
                 lambda diagonal: _three(np.abs(diagonal), diagonal.max())),
            Slip("that is the upper of the two middle ones", _upper),
            Slip("lower: that is the upper of the two middle ones",
                 lambda diagonal: (_upper(diagonal)[0], *three_r_med(diagonal)[1:])),
            Slip("alive: that is the upper of the two middle ones",
                 lambda diagonal: (*three_r_med(diagonal)[:2], _upper(diagonal)[2])),
            Slip("lower and usual have changed places", _swapped),
            Slip("alive: the lower median of the living, not their usual one", _alive_usual),
            Slip("alive: the zeros are still there", lambda diagonal: _three(np.abs(diagonal), dead=-1.0)),
        ),
    ),
    Exercise(
        "09.3", "Repair estimate_diagonal(H, V): H (p, p) symmetric, probes V (m, p) of 1 and -1 -> the estimate (p,).",
        estimate_diagonal, hessian_and_probes, ("diagonal",),
        (
            Slip("the size is taken before the mean: noise of mean 0 then adds up",
                 lambda H, V: np.abs(V * (V @ H)).mean(axis=0)),
            Slip("the size is taken after the mean: the diagonal has a sign", lambda H, V: np.abs((V * (V @ H)).mean(axis=0))),
            Slip("that is the trace, spread evenly over the entries",
                 lambda H, V: np.full(len(H), (V * (V @ H)).sum(axis=1).mean() / len(H))),
            Slip("the factor V in front is missing: without it the diagonal averages out, too",
                 lambda H, V: (V @ H).mean(axis=0)),
            Slip("it is the mean over the probes, not their sum", lambda H, V: (V * (V @ H)).sum(axis=0)),
            Slip("that is the exact diagonal: here H may be used in products with V only", lambda H, V: np.diag(H).copy()),
        ),
    ),
    Exercise(
        "09.4", "Write noise_of(H, probes): the standard deviation (p,) of the estimated diagonal of H (p, p).", noise_of,
        hessian_and_count, ("noise",),
        (
            Slip("the diagonal entry itself makes no noise: v_i^2 = 1", lambda H, probes: np.sqrt((H**2).sum(axis=1) / probes)),
            Slip("that is the variance, not its root", lambda H, probes: noise_of(H, probes) ** 2),
            Slip("that is the noise of a single probe", lambda H, probes: noise_of(H, 1)),
            Slip("the variance falls with the number of probes, its root with the root of it",
                 lambda H, probes: noise_of(H, 1) / probes),
            Slip("the factor 2 belongs to the trace, where every pair occurs twice",
                 lambda H, probes: np.sqrt(2) * noise_of(H, probes)),
        ),
    ),
    Exercise(
        "09.5", "Write along_identity(n, d): the curvature along I / sqrt(d) in one layer's Q near zero weights.", along_identity,
        lambda rng, s: (s["n"], s["d"]), ("curvature",),
        (
            Slip("u has length 1: I / sqrt(d), and its square carries 1/d", lambda n, d: 2 * d * (1 + (d + 1) / n)),
            Slip("the loss is a square, and not halved: its second derivative carries a factor 2", lambda n, d: 1 + (d + 1) / n),
            Slip("for finitely many examples C is not I: use (1.9)", lambda n, d: 2.0),
            Slip("E[C^2] is (1 + (d+1)/n) I: the fourth moment of a Gaussian adds 1 to d", lambda n, d: 2 * (1 + d / n)),
        ),
    ),
    Exercise(
        "09.6", "The power of sigma in R_med with the lower median, two layers, to 10 %.", -3.0,
        slips=(
            Slip("the sign: smaller weights make a larger R_med", 3.0),
            Slip("that would be the first term of (9.2) for P; the second one is larger", -4.0),
            Slip("with the usual median it hardly depends on sigma; the question is about the lower one", 0.0),
            Slip("too flat: is a sigma so large in the fit that the weights are no longer small?", -2.0),
        ),
        tolerance=0.1,
    ),
    choice(
        "09.t1", "Before training, which number is the lower median of the 150 sizes?", "a",
        b="that is the 76th: half of the usual median",
        c="only 25 of 150 are zero, and the middle lies at 75",
        d="that is where the 75 entries of Q lie, above the middle",
    ),
    choice(
        "09.t2", "A layer whose output is never used is added: what happens to R_med with the usual median?", "c",
        a="the loss is the same, and yet zeros are counted in the median",
        b="zeros lower the median, and the median stands below the line",
        d="the largest entry is what it was, and the median is not the largest",
    ),
    choice(
        "09.t3", "R_med of 100 at a rate of 0.02, 10 at SGD's best rate, 30 along Adam: what does 100 and 30 show?", "b",
        a="with the rate alone changed most of the difference is gone; compare each at its own best rate",
        c="after a few hundred steps the three medians tell the same",
        d="both are clipped at the same threshold",
    ),
)  # fmt: skip
