"""Exercises of lesson 23: what attention can remember."""

import numpy as np

from ..exercise import BY_HAND, Exercise, Slip, choice


def tables_and_bits(rng, s):
    """Tables q, k, u, r (L, D) and bits (L,), L and D primes apart."""
    L, D = s["n"], s["d"] - 1
    return (*rng.standard_normal((4, L, D)), rng.integers(2, size=L) * 2.0 - 1.0)


def answers_from_state(q, k, u, r, s):
    """(23.3): write all items into the state, then read it with every query."""
    state = k.T @ (s[:, None] * r)
    return ((q @ state) * u).sum(axis=1) / np.sqrt(q.shape[1])


def tables_alone(rng, s):
    """Tables q, k, u, r (L, D)."""
    return tables_and_bits(rng, s)[:4]


def gradient(q, k, u, r):
    """(23.11) to (23.14), (23.17) and (23.18) for linear attention: dq, dk, du, dr."""
    L, D = q.shape
    A, W = q @ k.T / np.sqrt(D), u @ r.T
    dM = 2 * (A * W - np.eye(L)) / L
    dS, dW = dM * W / np.sqrt(D), dM * A
    return dS @ k, dS.T @ q, dW @ r, dW.T @ u


def _gradient(change):
    """A gradient with one thing changed: ``change`` gets (q, k, u, r, dS, dW) and returns the four."""

    def wrong(q, k, u, r):
        L, D = q.shape
        A, W = q @ k.T / np.sqrt(D), u @ r.T
        dM = 2 * (A * W - np.eye(L)) / L
        return change(q, k, u, r, dM * W / np.sqrt(D), dM * A)

    return wrong


def _without_identity(q, k, u, r):
    L, D = q.shape
    A, W = q @ k.T / np.sqrt(D), u @ r.T
    dM = 2 * A * W / L
    dS, dW = dM * W / np.sqrt(D), dM * A
    return dS @ k, dS.T @ q, dW @ r, dW.T @ u


def program(rng, s):
    """M (L, L), bits (L,) and parents (L,), each below its place."""
    L = s["n"]
    parents = np.array([0, *(int(rng.integers(i)) for i in range(1, L))])
    return rng.standard_normal((L, L)), rng.integers(2, size=L) * 2.0 - 1.0, parents


def closed_loop(M, s, h):
    """The states that the model writes, each from its own earlier ones."""
    written = np.array(s)
    for i in range(1, len(s)):
        written[i] = s[i] * (1.0 if M[h[i], :i] @ written[:i] >= 0 else -1.0)
    return written


def _reads_bits(M, s, h):
    written = np.array(s)
    for i in range(1, len(s)):
        written[i] = s[i] * (1.0 if M[h[i], :i] @ s[:i] >= 0 else -1.0)
    return written


def _forgets_bit(M, s, h):
    written = np.array(s)
    for i in range(1, len(s)):
        written[i] = 1.0 if M[h[i], :i] @ written[:i] >= 0 else -1.0
    return written


def _row_of_place(M, s, h):
    written = np.array(s)
    for i in range(1, len(s)):
        written[i] = s[i] * (1.0 if M[i, :i] @ written[:i] >= 0 else -1.0)
    return written


def _reads_ahead(M, s, h):
    written = np.array(s)
    for i in range(1, len(s)):
        written[i] = s[i] * (1.0 if M[h[i]] @ written >= 0 else -1.0)
    return written


def _true_states(M, s, h):
    written = np.array(s)
    for i in range(1, len(s)):
        written[i] = s[i] * written[h[i]]
    return written


def floor_with_heads(L, D, H):
    """The rank of a sum of H matrices of rank D^2 is at most H D^2."""
    return max(0.0, 1.0 - H * D * D / L)


EXERCISES = (
    Exercise(
        "23.1", "The least error of linear attention of width 7 on 100 bits.", 0.51,
        slips=(
            Slip("that is the share that fits in; the error is what is left over", 0.49),
            Slip("that is the floor of plain attention: with values the rank is at most D squared", 0.93),
            Slip("the width is counted against the root of L there; the floor counts D squared against L", 0.3),
            Slip("from rank 100 on it is 0, and 49 is less", 0.0),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "23.2", "Write answers_from_state(q, k, u, r, s): the answers (L,) of linear attention from a D x D state alone.",
        answers_from_state, tables_and_bits, ("answers",),
        (
            Slip("the factor 1/sqrt(D) of (23.8) is missing",
                 lambda q, k, u, r, s: answers_from_state(q, k, u, r, s) * np.sqrt(q.shape[1])),
            Slip("the state is transposed: its rows belong to the keys", lambda q, k, u, r, s: answers_from_state(u, k, q, r, s)),
            Slip("the values and their readers have changed places", lambda q, k, u, r, s: answers_from_state(q, k, r, u, s)),
            Slip("the bits are not in the state", lambda q, k, u, r, s: answers_from_state(q, k, u, r, np.ones_like(s))),
            Slip("the query's own item alone was written: the state is a sum over all items",
                 lambda q, k, u, r, s: (q * k).sum(axis=1) * (u * r).sum(axis=1) * s / np.sqrt(q.shape[1])),
        ),
    ),
    Exercise(
        "23.3", "Repair gradient(q, k, u, r): the gradient of (23.2) by the four tables of linear attention, in this order.",
        gradient, tables_alone, ("dq", "dk", "du", "dr"),
        (
            Slip("dr: dW has a row for each query, and r belongs to the items",
                 _gradient(lambda q, k, u, r, dS, dW: (dS @ k, dS.T @ q, dW @ r, dW @ u))),
            Slip("dk: dS has a row for each query, and k belongs to the items",
                 _gradient(lambda q, k, u, r, dS, dW: (dS @ k, dS @ q, dW @ r, dW.T @ u))),
            Slip("the factor 1/sqrt(D) reaches q and k",
                 _gradient(lambda q, k, u, r, dS, dW: (dS @ k * np.sqrt(q.shape[1]), dS.T @ q * np.sqrt(q.shape[1]), dW @ r,
                                                       dW.T @ u))),
            Slip("what is wanted, I, is missing: the error is M - I", _without_identity),
            Slip("dS and dW: each is dM times the other factor, so they have changed places",
                 _gradient(lambda q, k, u, r, dS, dW: (dW @ k, dW.T @ q, dS @ r, dS.T @ u))),
        ),
    ),
    Exercise(
        "23.4", "Write closed_loop(M, s, h): the states (L,) that the model writes, reading its own earlier ones.",
        closed_loop, program, ("states",),
        (
            Slip("the model reads what it wrote, its states, and not the bits of the input", _reads_bits),
            Slip("a state is the bit of its place times the one recalled", _forgets_bit),
            Slip("the row of M is that of the place that is asked for, h(i)", _row_of_place),
            Slip("only the items before place i are there yet", _reads_ahead),
            Slip("that is the program itself; the model has to recall the state through M", _true_states),
        ),
    ),
    Exercise(
        "23.5", "Write floor_with_heads(L, D, H): the least error of H heads of width D each, whose answers are added.",
        floor_with_heads, lambda rng, s: (9 * s["n"], s["d"], s["H"]), ("floor",),
        (
            Slip("the ranks of a sum add up; they do not multiply", lambda L, D, H: max(0.0, 1 - H * H * D * D / L)),
            Slip("each head brings a rank of its own", lambda L, D, H: max(0.0, 1 - D * D / L)),
            Slip("one head has rank D squared, not D", lambda L, D, H: max(0.0, 1 - H * D / L)),
            Slip("that is what fits in, and the error is the rest", lambda L, D, H: min(1.0, H * D * D / L)),
        ),
    ),
    Exercise(
        "23.6", "The smallest width whose causal error is below 0.05 when the last 4 of 36 bits are asked for.", 3.0,
        slips=(
            Slip("that is enough when everything is asked for: are your weights those of m = 4?", 6.0),
            Slip("four slots fit in a state of width 2 only if each old item is overwritten, which this state cannot do", 2.0),
            Slip("is a smaller one enough, too? Try each width from 1 on", 4.0),
        ),
        tolerance=BY_HAND,
    ),
    choice(
        "23.t1", "Linear attention answers 400 bits without error. Its width is at least", "b",
        a="that is plain attention, whose matrix has rank D only",
        c="the state has D times D numbers: D has to be squared, not doubled",
        d="that is enough for softmax, which keeps all keys",
    ),
    choice(
        "23.t2", "Width 5 on 36 bits stays at 0.3056 however long it is trained. Why?", "c",
        a="every start and every rate ends there: no point is lower",
        b="doubles hold far more digits than the answers need",
        d="softmax meets the same bits with the same optimizer and reaches 0",
    ),
    choice(
        "23.t3", "At the width that it needs, how does linear attention's cost grow with L, and what would change that?", "a",
        b="the width grows with the root of L, and enters the cost squared",
        c="a faster program changes the factor and not the power",
        d="only what must be remembered counts, and a local program needs less",
    ),
)  # fmt: skip
