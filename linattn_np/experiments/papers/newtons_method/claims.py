"""What the paper says, each with the rule that judges it, written before the full run."""

from functools import partial

import numpy as np

from ...curves import Numbers, numbers_or_nan, spread
from ...rules import Above, Claim, Row, Within, in_rows

EXACT = 1e-10  # what "is" means for two computations of one number


def named(name: str, numbers: Numbers) -> Numbers:
    """A number of each seed."""
    return numbers["each"][name]


def growth(name: str, numbers: Numbers) -> Numbers:
    """How depth grows from the smallest condition number of 10 or more to the largest, for each seed.

    Newton: further layers for each doubling. Descent: the power of the condition number.
    """
    kappas = np.array(numbers["kappas"])
    depths = np.array([numbers_or_nan(each) for each in numbers["depths"][name]])  # (seeds, kappas)
    first = int(np.argmax(kappas >= 10))
    doublings = np.log2(kappas[-1] / kappas[first])
    low, high = depths[:, first], depths[:, -1]
    return spread((high - low) / doublings if name == "Newton" else np.log2(high / low) / doublings)


def place_between(numbers: Numbers) -> Numbers:
    """Where the trained models' losses lie between order 2 (0) and order 3 (1) on a logarithmic scale: the median over depths."""
    found = numbers["orders"]
    low, high = (np.log(found[f"order {p}"][1 : 1 + len(found["trained"])]) for p in (2, 3))
    trained = np.log([numbers_or_nan(each) for each in found["trained"]])  # (layers, seeds)
    return spread(np.median((low[:, None] - trained) / (low - high)[:, None], axis=0))


def from_best_start(numbers: Numbers) -> str:
    """The same losses beside those of iterations that begin as well as a constant lets them."""
    found, words = numbers["orders"], []
    for L, each in enumerate(found["trained"], 1):
        beside = ", ".join(f"order {p} {found[f'order {p}, best start'][L - 1]:.2g}" for p in (2, 3, 4))
        words.append(f"L = {L}: {np.median(numbers_or_nan(each)):.2g} ({beside})")
    return (
        f"beside L - 1 steps from the best c I: {'; '.join(words)}; one seed's model has 4 numbers a layer, the paper's a width "
        "of 64"
    )


ROWS: tuple[Row, ...] = (
    Row("symmetric", "One layer of width 3d makes a step of Newton's iteration for a symmetric matrix", "section 4, Lemma 4.1",
        "exact", partial(named, "symmetric"), Within(0.0, EXACT)),
    Row("general", "Two layers with two heads and width 4d make a step for any matrix", "section 4, Lemma 4.1",
        "exact", partial(named, "general"), Within(0.0, EXACT)),
    Row("least_squares", "T + 3 layers of width 4d + 3 answer with the inverse after T steps", "section 4, Theorem 4.2",
        "exact", partial(named, "least_squares"), Within(0.0, EXACT)),
    Row("squared", "The residual is squared at each step", "section 3.2.1",
        "order 2: r' = r^2", partial(named, "squared"), Within(0.0, 1 + 1e-6)),
    Row("orders", "The iteration of order n raises the residual I - XA to the power n", "section 3.2.1, (3.4)",
        "exact", partial(named, "orders"), Within(0.0, EXACT)),
    Row("newton_depth", "Newton's iteration needs layers as the logarithm of the condition number: further layers for each "
                        "doubling",
        "section 3.2.1", "O(log2 kappa); from X_0 = eps R it is 2", partial(growth, "Newton"), Within(1.7, 2.3)),
    Row("descent_depth", "Descent needs layers in proportion to the condition number: the power of kappa", "section 3.2.1",
        "O(kappa log(1/eps)): 1", partial(growth, "descent"), Within(0.95, 1.05)),
    Row("first_phase", "While the decrement is at least 1/4 a damped step lowers f / (4 mu) by at least 0.02", "section 3.2.2",
        "at least 0.02", partial(named, "decrease"), Above(0.02, 0.0)),
    Row("second_phase", "Below 1/4 the decrement is squared at each step: the largest lam' / lam^2", "section 5.2",
        "lam' <= c lam^2; 2 in Nesterov's book", partial(named, "decrement"), Within(0.0, 2.0)),
)  # fmt: skip
CLAIMS = (
    *in_rows("newtons_method", "newtons_method_", "printed", ROWS),
    Claim(
        id="newtons_method_trained", statement="Trained layers lie between the second and the third order, l layers beside l "
                                               "steps",
        where="section 6, Figure 3", printed="between 0 (order 2) and 1 (order 3)", figure="newtons_method", values=place_between,
        rule=Within(0.0, 1.0), aside=from_best_start,
    ),
)  # fmt: skip
