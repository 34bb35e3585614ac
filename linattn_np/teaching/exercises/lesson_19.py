"""Exercises of lesson 19: a head of three blocks, iterations of higher order, depth, the gradient of logistic loss."""

import numpy as np

from ..exercise import BY_HAND, Exercise, Slip, choice


def head_and_tokens(rng, s):
    """H (w, N) in columns, V, K, Q (w, w) and the mask m (N,), the last token not read."""
    w, N = s["d"], s["n"] + 1
    V, K, Q = rng.standard_normal((3, w, w))
    return rng.standard_normal((w, N)), V, K, Q, (np.arange(N) < N - 1).astype(float)


def one_head(H, V, K, Q, m):
    """(19.3) with one head."""
    return H + V @ (H * m) @ (K @ (H * m)).T @ (Q @ H)


def two_matrices(rng, s):
    """X and A (d, d), generic."""
    return tuple(rng.standard_normal((2, s["d"], s["d"])))


def order_three(X, A):
    """(19.9) with p = 3."""
    gap = np.eye(len(A)) - A @ X
    return X @ (np.eye(len(A)) + gap + gap @ gap)


def _other_side(X, A):
    gap = np.eye(len(A)) - X @ A
    return X @ (np.eye(len(A)) + gap + gap @ gap)


def _on_the_left(X, A):
    gap = np.eye(len(A)) - A @ X
    return (np.eye(len(A)) + gap + gap @ gap) @ X


def degree(L):
    """(19.16)."""
    return (3**L - 1) / 2


def logistic_point(rng, s):
    """A (n, d), y (n,) of 1 and -1, w (d,) and mu."""
    n, d = s["n"], s["d"]
    return rng.standard_normal((n, d)), np.sign(rng.standard_normal(n)), rng.standard_normal(d), 0.1 + rng.random()


def logistic_gradient(A, y, w, mu):
    """(19.11)."""
    return _gradient(A, y, w, mu)


def _gradient(A, y, w, mu, sign=1.0, scale=None, penalty=1.0, label=1.0):
    """The gradient with one thing changed."""
    p = 1 / (1 + np.exp(label * y * (A @ w)))
    return -sign * A.T @ (p * y) / (len(y) if scale is None else scale) + penalty * mu * w


EXERCISES = (
    Exercise(
        "19.1", "The steps after which a residual of 1/2 is 1/65536.", 4.0,
        slips=(
            Slip("that is descent's count, which halves it at each step; here the residual is squared", 15.0),
            Slip("16 is the power of 1/2 that is left, not the number of steps", 16.0),
            Slip("one step too many: the residual at the start is 1/2 itself", 5.0),
            Slip("one step too few: count 1/4, 1/16, 1/256, ..", 3.0),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "19.2", "Write one_head(H, V, K, Q, m): (19.3) with one head, H (w, N) in columns, m (N,) the diagonal of M.", one_head,
        head_and_tokens, ("H'",),
        (
            Slip("the mask stands twice; with entries 0 and 1 once is enough, but it must be there",
                 lambda H, V, K, Q, m: H + V @ H @ (K @ H).T @ (Q @ H)),
            Slip("the token that is not read still reads: only V and K are masked",
                 lambda H, V, K, Q, m: H + V @ (H * m) @ (K @ (H * m)).T @ (Q @ (H * m))),
            Slip("the skip is missing", lambda H, V, K, Q, m: one_head(H, V, K, Q, m) - H),
            Slip("these are plain sums over the tokens that are read, not means",
                 lambda H, V, K, Q, m: H + (one_head(H, V, K, Q, m) - H) / m.sum()),
            Slip("K and Q have changed places: the key is transposed, and it is masked",
                 lambda H, V, K, Q, m: H + V @ (H * m) @ (Q @ (H * m)).T @ (K @ H)),
        ),
    ),
    Exercise(
        "19.3", "Repair order_three(X, A): one step of order 3, (19.9), for any matrices.", order_three, two_matrices, ("X'",),
        (
            Slip("A and X do not commute, and X stands on one side only: which product is near I there?", _other_side),
            Slip("X stands on the other side of the sum", _on_the_left),
            Slip("that is order 2: one term is missing", lambda X, A: 2 * X - X @ A @ X),
            Slip("the first term, I, is missing", lambda X, A: order_three(X, A) - X),
        ),
    ),
    Exercise(
        "19.4", "Write degree(L): the degree in Sigma of the residual of L trained layers with w_xx and w_yx.", degree,
        lambda rng, s: (s["B"],), ("degree",),
        (
            Slip("that is the degree of Sigma itself after L layers; the residual multiplies one factor a layer",
                 lambda L: 3.0**L),
            Slip("a layer multiplies the degree of Sigma by three, not by two", lambda L: 2.0**L - 1),
            Slip("that is descent, without w_xx", lambda L: 1.0 * L),
            Slip("one layer too many", lambda L: (3 ** (L + 1) - 1) / 2),
        ),
    ),
    Exercise(
        "19.5", "Write logistic_gradient(A, y, w, mu): the gradient (d,) of (19.10).", logistic_gradient, logistic_point, ("df",),
        (
            Slip("the sign: the loss falls as the margin grows", lambda A, y, w, mu: _gradient(A, y, w, mu, sign=-1.0)),
            Slip("the loss is a mean over the examples", lambda A, y, w, mu: _gradient(A, y, w, mu, scale=1.0)),
            Slip("the penalty has a gradient too", lambda A, y, w, mu: _gradient(A, y, w, mu, penalty=0.0)),
            Slip("the penalty is mu/2 |w|^2", lambda A, y, w, mu: _gradient(A, y, w, mu, penalty=2.0)),
            Slip("p is the probability of the wrong label: which sign has the exponent?",
                 lambda A, y, w, mu: _gradient(A, y, w, mu, label=-1.0)),
        ),
    ),
    Exercise(
        "19.6", "Further steps of Newton's iteration for each doubling of the condition number, to 15 %.", 2.0,
        slips=(
            Slip("that is for the condition number of A; here it is that of R, and X_0 = eps R", 1.0),
            Slip("that is how the number of steps of descent is multiplied, per 1", 4.0),
            Slip("it does grow: is the error counted to 1e-8 in every case?", 0.0),
        ),
        tolerance=0.15,
    ),
    choice(
        "19.t1", "What does one step of Newton's iteration do to the residual I - XA?", "b",
        a="that is descent with step 1/2",
        c="its powers are those of 2 from step to step, not the whole at once",
        d="that is order 3",
    ),
    choice(
        "19.t2", "The condition number grows from 10 to 1000. Descent needs a hundred times as many layers; Newton's iteration?",
        "b",
        a="it would if each step removed a fixed share",
        c="the phase before the squaring shows takes longer",
        d="two for each doubling, and a factor of 100 is more than six doublings",
    ),
    choice(
        "19.t3", "Why do three trained layers lose less than three steps of order 3 from X_0 = alpha R?", "c",
        a="they have no inverse anywhere",
        b="the prompts are the same ones",
        d="order 3 is exact in the limit, too",
    ),
)  # fmt: skip
