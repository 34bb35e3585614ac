"""Exercises of lesson 20: electric flow."""

import numpy as np

from ..exercise import BY_HAND, Exercise, Slip, choice


def block_sizes(rng, s):
    """m, k and a step."""
    return s["n"], s["d"] - 1, float(rng.uniform(0.1, 0.9))


def flow_weights(m, k, delta):
    """P, Q, R (D, D) of one step of the electric flow, tokens (B row ; demands ; potentials)."""
    D = m + 2 * k
    P, Q, R = np.zeros((3, D, D))
    Q[range(m), range(m)] = 1.0
    P[range(m + k, D), range(m + k, D)] = -delta
    R[range(m + k, D), range(m, m + k)] = delta
    return P, Q, R


def _scores_of_all(m, k, delta):
    P, _, R = flow_weights(m, k, delta)
    return P, np.eye(m + 2 * k), R


def _demands_shrink(m, k, delta):
    P, Q, R = flow_weights(m, k, delta)
    P[range(m, m + k), range(m, m + k)] = -delta
    return P, Q, R


def layer_point(rng, s):
    """phi, psi, l (n,), the six scalars, and dphi', dpsi', dl' (n,)."""
    phi, psi, l, dphi, dpsi, dl = rng.uniform(0.3, 1.7, (6, s["n"]))
    return phi, psi, l, rng.standard_normal(6), dphi, dpsi, dl


def eigenvalue_gradient(phi, psi, l, scalars, dphi, dpsi, dl):
    """The four uses of l in (20.7) to (20.9)."""
    v, _, _, w, rho, u = scalars
    a = 1 + rho + u * l
    return a * a * dl + u * 2 * a * l * dl + w * psi * dpsi + v * phi * dphi


def _uses(scaled=1.0, in_a=1.0, in_psi=1.0, in_phi=1.0, two=2.0):
    """The gradient with a factor on each use; 0 drops it."""

    def wrong(phi, psi, l, scalars, dphi, dpsi, dl):
        v, _, _, w, rho, u = scalars
        a = 1 + rho + u * l
        return scaled * a * a * dl + in_a * u * two * a * l * dl + in_psi * w * psi * dpsi + in_phi * v * phi * dphi

    return wrong


def degree(layers):
    """3 + 9 + .. + 3^(layers - 1)."""
    return float((3**layers - 3) // 2)


def interval(rng, s):
    """Two ends and a number of layers."""
    low = float(rng.uniform(0.1, 0.5))
    return low, low + float(rng.uniform(1.0, 3.0)), s["d"]


def chebyshev(low, high, layers):
    """1 / root of T_layers on [low, high]."""
    roots = np.cos(np.pi * (np.arange(layers) + 0.5) / layers)
    return np.sort(1 / ((high + low) / 2 + (high - low) / 2 * roots))


EXERCISES = (
    Exercise(
        "20.1", "The path of section 3 at delta = 1/4: the potential of node a after two layers.", 7 / 16,
        slips=(
            Slip("the demand enters in every layer, not in the first alone", 3 / 16),
            Slip("the sign: L Phi is taken away", 9 / 16),
            Slip("that is where the layers arrive, not where two of them get", 3 / 4),
            Slip("that is one layer", 1 / 4),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "20.2", "Write flow_weights(m, k, delta): P, Q, R (m + 2k, m + 2k) of one step of the electric flow.",
        flow_weights, block_sizes, ("P", "Q", "R"),
        (
            Slip("Q: all blocks are read there; the scores must be B B^T alone", _scores_of_all),
            Slip("P: the demands are moved too, and they have to stay", _demands_shrink),
            Slip("P: the sign; L Phi is taken away from the potentials",
                 lambda m, k, delta: (-flow_weights(m, k, delta)[0], *flow_weights(m, k, delta)[1:])),
            Slip("R is transposed: a row is what receives, and the potentials receive",
                 lambda m, k, delta: (*flow_weights(m, k, delta)[:2], flow_weights(m, k, delta)[2].T)),
            Slip("R: the demands come in with the factor delta",
                 lambda m, k, delta: (*flow_weights(m, k, delta)[:2], flow_weights(m, k, 1.0)[2])),
        ),
    ),
    Exercise(
        "20.3", "Repair eigenvalue_gradient: dl of one scalar layer from dphi', dpsi', dl'.", eigenvalue_gradient, layer_point,
        ("dl",),
        (
            Slip("l stands in a, too: one use is missing", _uses(in_a=0.0)),
            Slip("the potentials were multiplied by l: one use is missing", _uses(in_phi=0.0)),
            Slip("the demands were multiplied by l: one use is missing", _uses(in_psi=0.0)),
            Slip("a stands there squared: its derivative has a factor 2", _uses(two=1.0)),
            Slip("l' = a^2 l: the factor l itself is a use", _uses(scaled=0.0)),
        ),
    ),
    Exercise(
        "20.4", "Write degree(layers): the degree in lambda of phi after layers that all update B.", degree,
        lambda rng, s: (s["d"],), ("degree",),
        (
            Slip("that is with B frozen: one degree a layer after the first", lambda layers: float(layers - 1)),
            Slip("the first layer only copies the demand, phi is 0 before it", lambda layers: float((3**layers - 1) // 2)),
            Slip("that is the degree of l, and phi is a product of several of them", lambda layers: float(3**layers)),
            Slip("a is squared, and l stands there once more: the degree triples", lambda layers: float(2**layers - 2)),
        ),
    ),
    Exercise(
        "20.5", "Write chebyshev(low, high, layers): Chebyshev's steps (layers,) on the interval, sorted.", chebyshev, interval,
        ("steps",),
        (
            Slip("those are the roots: a step is one over a root",
                 lambda low, high, layers: np.sort(1 / chebyshev(low, high, layers))),
            Slip("the roots are at odd multiples of half the angle pi / layers: where are the half ones?",
                 lambda low, high, layers: np.sort(
                     1 / ((high + low) / 2 + (high - low) / 2 * np.cos(np.pi * np.arange(layers) / layers)))),
            Slip("the half of high - low is missing: the roots leave the interval",
                 lambda low, high, layers: np.sort(
                     1 / ((high + low) / 2 + (high - low) * np.cos(np.pi * (np.arange(layers) + 0.5) / layers)))),
            Slip("equal distances are not Chebyshev's: the roots crowd at both ends",
                 lambda low, high, layers: np.sort(1 / np.linspace(low, high, layers + 2)[1:-1])),
        ),
    ),
    Exercise(
        "20.6", "How many loops of c = 4 bring the molecule's three eigenvectors within 0.001? To 10 %.", 357.0,
        slips=(
            Slip("with c = 8 every eigenvalue is damped less: is yours 4?", 722.0),
            Slip("that is the third vector alone; the slowest of the three decides", 195.0),
            Slip("is your distance 0.01 in place of 0.001?", 261.0),
        ),
        tolerance=0.1,
    ),
    choice(
        "20.t1", "Why is the attention matrix of these layers the Laplacian?", "b",
        a="nothing is learned about graphs there: the weights are typed in",
        c="softmax would make rows that add up to 1, and those of L add up to 0",
        d="the edges between two nodes are in B, no token is told of its neighbours",
    ),
    choice(
        "20.t2", "What does a layer gain by rewriting B?", "c",
        a="a common factor changes no ratio of eigenvalues: that was the control",
        b="the graph and its answer stay the same, only the route changes",
        d="frozen and updated layers have about as many scalars, and the control has four",
    ),
    choice(
        "20.t3", "B is scaled by a learned factor in every layer. The log loss against B frozen is", "a",
        b="the degree of the polynomial is what it was",
        c="the factor can be undone by v, so no layer is worse off",
        d="the ratio of the eigenvalues is the same at every depth",
    ),
)  # fmt: skip
