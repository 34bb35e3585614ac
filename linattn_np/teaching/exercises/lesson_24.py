"""Exercises of lesson 24: softmax attention swapped for features, and a state of constant size."""

import numpy as np

from ..exercise import Exercise, Slip, choice

FLOOR = 0.01


def break_even(k, e):
    """Symbols from which on a cache of 2 e numbers each is as large as a state of k e + k."""
    return (k * e + k) / (2 * e)


def cotangent_and_products(rng, s):
    """dp (T, T) and s (T, T), lower triangular and not negative; some readers' sums lie below the floor."""
    T = s["n"]
    products = np.tril(rng.random((T, T)) + 0.1)
    products[::3] *= 1e-4
    return rng.standard_normal((T, T)), products


def through_normalisation(dp, s):
    """(24.12): ds from dp, for p = s / max(sum of the row, floor)."""
    sums = s.sum(axis=1, keepdims=True)
    S = np.maximum(sums, FLOOR)
    mean = (dp * s).sum(axis=1, keepdims=True) / S
    return np.tril(dp - (sums > FLOOR) * mean) / S


def _through(dp, s, above=None, mask=True, mean=True, power=1):
    """The same with a slip."""
    sums = s.sum(axis=1, keepdims=True)
    S = np.maximum(sums, FLOOR)
    above = (sums > FLOOR) if above is None else above
    out = (dp - mean * above * (dp * s).sum(axis=1, keepdims=True) / S**power) / S
    return np.tril(out) if mask else out


def two_uses(rng, s):
    """Gradients of both features, query and key, and the map: dF, dG (T, k), q, k (T, e), W (k, e), b (k,)."""
    T, e, k = s["n"], s["d"], s["d"] + 3
    normal = rng.standard_normal
    return normal((T, k)), normal((T, k)), normal((T, e)), normal((T, e)), normal((k, e)), normal(k)


def map_gradient(dF, dG, q, k, W, b):
    """dW and db of phi(x) = max(W x + b, 0), used for q and for k."""
    dR_q, dR_k = dF * (q @ W.T + b > 0), dG * (k @ W.T + b > 0)
    return dR_q.T @ q + dR_k.T @ k, (dR_q + dR_k).sum(axis=0)


def _one_use(dF, dG, q, k, W, b):
    dR_q = dF * (q @ W.T + b > 0)
    return dR_q.T @ q, dR_q.sum(axis=0)


def _no_step(dF, dG, q, k, W, b):
    return dF.T @ q + dG.T @ k, (dF + dG).sum(axis=0)


def _exchanged(dF, dG, q, k, W, b):
    dR_q, dR_k = dF * (q @ W.T + b > 0), dG * (k @ W.T + b > 0)
    return dR_q.T @ k + dR_k.T @ q, (dR_q + dR_k).sum(axis=0)


def _one_step(dF, dG, q, k, W, b):
    step = q @ W.T + b > 0
    return (dF * step).T @ q + (dG * step).T @ k, ((dF + dG) * step).sum(axis=0)


def state_and_symbol(rng, s):
    """A state S (k, e), z (k,), and of the next symbol phi(q), phi(k) (k,), v (e,): all features at least 0."""
    k, e = s["d"] + 3, s["d"]
    return rng.random((k, e)), rng.random(k), rng.random(k), rng.random(k), rng.standard_normal(e)


def read_one(S, z, F, G, v):
    """(24.7): the answer, and the state after it."""
    S, z = S + np.outer(G, v), z + G
    return F @ S / max(F @ z, FLOOR), S, z


def _late(S, z, F, G, v):
    return F @ S / max(F @ z, FLOOR), S + np.outer(G, v), z + G


def _plain(S, z, F, G, v):
    S, z = S + np.outer(G, v), z + G
    return F @ S, S, z


def _by_key(S, z, F, G, v):
    S, z = S + np.outer(G, v), z + G
    return G @ S / max(G @ z, FLOOR), S, z


def _with_query(S, z, F, G, v):
    S, z = S + np.outer(F, v), z + F
    return F @ S / max(F @ z, FLOOR), S, z


def _half(S, z, F, G, v):
    S = S + np.outer(G, v)
    return F @ S / max(F @ z, FLOOR), S, z


EXERCISES = (
    Exercise(
        "24.1", "Write break_even(k, e): the length of a text at which one head's cache is as large as its state.", break_even,
        lambda rng, s: (s["n"] + 2, s["d"]), ("symbols",),
        (
            Slip("z belongs to the state too: k numbers more than S has", lambda k, e: k / 2),
            Slip("the cache keeps a key and a value of each symbol", lambda k, e: (k * e + k) / e),
            Slip("that is the size of the state; how many symbols of the cache is it?", lambda k, e: k * e + k),
            Slip("z has one number for each feature, not one for each entry of a value", lambda k, e: (k * e + e) / (2 * e)),
        ),
    ),
    Exercise(
        "24.2", "Write through_normalisation(dp, s): ds (T, T) from dp, where p = s / max(row sum of s, 0.01).",
        through_normalisation,
        cotangent_and_products, ("ds",),
        (
            Slip("the denominator depends on s as well: its term is missing", lambda dp, s: _through(dp, s, mean=False)),
            Slip("where the floor holds, the denominator does not move", lambda dp, s: _through(dp, s, above=True)),
            Slip("the future is not read: entries above the diagonal are 0", lambda dp, s: _through(dp, s, mask=False)),
            Slip("the mean of dp is weighted by p, not by s", lambda dp, s: _through(dp, s, power=0)),
        ),
    ),
    Exercise(
        "24.3", "Repair map_gradient(dF, dG, q, k, W, b): dW (k, e) and db (k,) of a map that query and key share.", map_gradient,
        two_uses, ("dW", "db"),
        (
            Slip("one use is missing: the map is applied to keys as well", _one_use),
            Slip("the slope of the ReLU is missing", _no_step),
            Slip("query and key have changed places beside the gradients", _exchanged),
            Slip("each use has a slope of its own: which features are on differs between a query and a key", _one_step),
        ),
    ),
    Exercise(
        "24.4", "Write read_one(S, z, F, G, v): one step of (24.7) for one head -> O (e,), and the new S (k, e), z (k,).",
        read_one,
        state_and_symbol, ("O", "S", "z"),
        (
            Slip("a symbol reads itself too: the state is brought up to date first", _late),
            Slip("the answer is not divided by the sum of the weights", _plain),
            Slip("the state is read with the query's features", _by_key),
            Slip("what is kept are the key's features", _with_query),
            Slip("z is a sum over the symbols as well: it must grow", _half),
        ),
    ),
    Exercise(
        "24.5", "The perplexity of a reader who counts, second half of the texts, to 4 %.", 3.52,
        slips=(
            Slip("that is the floor: your reader knows the permutation before it reads", 2.69),
            Slip("that counts all places; take the second half", 4.93),
            Slip("that is the uniform guess", 16.0),
            Slip("a pair once seen may be noise: weigh it by its likelihood, do not trust it", 3.75),
        ),
        tolerance=0.04,
    ),
    choice(
        "24.t1", "Why is perplexity near 16 right after the swap?", "c",
        a="16 or 32 features are many enough: after finetuning they do",
        b="the other weights are untouched by the swap",
        d="the logits of both ways of reading are the same to rounding",
    ),
    choice(
        "24.t2", "Which control says what pretraining saves?", "b",
        a="few features end high however they are trained: that is about capacity",
        c="that is about the machine that reads, not about training",
        d="training the map alone says that the rest can stay, not what it is worth",
    ),
    choice(
        "24.t3", "A converted model reads a text ten times as long. What grows?", "a",
        b="S and z are sums: longer sums, not more numbers",
        c="each symbol costs one update and one reading of the state",
        d="the map is a property of the model",
    ),
)  # fmt: skip
