"""What a step does along one eigenvector of a quadratic loss, lambda x^2 / 2, and what clipping and warm-up change.

    m <- mu m + lambda x,   x <- x - eta m
    (28.1)  growth = |1 - eta lambda|                                       mu = 0: above 1 for lambda > 2 / eta
    (28.2)  growth = the larger |z| of z^2 - (1 + mu - eta lambda) z + mu = 0     above 1 for lambda > 2 (1 + mu) / eta
    (28.4)  step t of a warm-up over W steps has the rate eta t / W, so it is above the edge from
            t > 2 (1 + mu) W / (eta lambda) on: on a quadratic loss warm-up postpones, and no larger rate trains
    (28.5)  a clipped gradient is at most c long, so a step is at most eta c / (1 - mu)
    (28.7)  mu = 0, eta lambda > 2, clipped at c: |x| ends within eta c - c / lambda, whatever it was, and stays
Source: textbook for (28.1) and (28.2); the others are derived in lesson 28.
"""

import math
from collections.abc import Iterator

import numpy as np

from ...._checks import as_count, as_real

__all__ = ["CHECKS", "crossing", "growth", "longest_step", "trapped"]


def growth(rate: float, curvature: float, momentum: float = 0.0) -> float:
    """By what factor a step multiplies x in the long run (28.1), (28.2). rate > 0, 0 <= momentum < 1 -> float

    Raises ValueError for other numbers.
    """
    rate, momentum = as_real("rate", rate, above=0), as_real("momentum", momentum, least=0, below=1)
    trace = 1 + momentum - rate * as_real("curvature", curvature)
    square = trace * trace - 4 * momentum
    if square < 0:  # a complex pair, whose product is mu
        return math.sqrt(momentum)
    return (abs(trace) + math.sqrt(square)) / 2


def crossing(rate: float, curvature: float, warm_up: int, momentum: float = 0.0) -> int | None:
    """The first step, counted from 1, of a warm-up over ``warm_up`` steps that is above the edge (28.4); None where none is.

    Raises ValueError for a rate, curvature or momentum outside of the range, or no warm-up.
    """
    rate, curvature = as_real("rate", rate, above=0), as_real("curvature", curvature, above=0)
    edge = 2 * (1 + as_real("momentum", momentum, least=0, below=1)) / curvature  # of the rate
    return None if rate <= edge else math.floor(as_count("warm_up", warm_up) * edge / rate) + 1


def longest_step(rate: float, threshold: float, momentum: float = 0.0) -> float:
    """The longest step that clipped gradients allow (28.5). rate, threshold > 0 -> float

    Raises ValueError for other numbers.
    """
    rate, threshold = as_real("rate", rate, above=0), as_real("threshold", threshold, above=0)
    return rate * threshold / (1 - as_real("momentum", momentum, least=0, below=1))


def trapped(rate: float, curvature: float, threshold: float) -> float:
    """The distance from the minimum within which clipped descent ends, without momentum (28.7); 0 at or below the edge.

    Raises ValueError for a rate, curvature or threshold that is not above 0.
    """
    rate, curvature = as_real("rate", rate, above=0), as_real("curvature", curvature, above=0)
    threshold = as_real("threshold", threshold, above=0)
    return 0.0 if rate * curvature <= 2 else rate * threshold - threshold / curvature


# ---------------------------------------------------------------- the same by taking the steps


def steps(
    x: float, rate: float, curvature: float, threshold: float = math.inf, momentum: float = 0.0, warm_up: int = 1
) -> Iterator[float]:
    """x after step 1, 2, .. of descent on curvature x^2 / 2, the gradient clipped at ``threshold``."""
    buffer, t = 0.0, 0
    while True:
        t += 1
        gradient = curvature * x
        if abs(gradient) > threshold:
            gradient = math.copysign(threshold, gradient)
        buffer = momentum * buffer + gradient
        x -= rate * min(1.0, t / warm_up) * buffer
        yield x


def check_growth() -> float:
    """(28.1), (28.2) beside the eigenvalues of one step as a matrix on (m, x)."""
    found = 0.0
    for rate, curvature, mu in ((0.1, 7.0, 0.0), (0.1, 26.0, 0.0), (0.06, 21.0, 0.9), (0.06, 90.0, 0.9), (0.5, -0.3, 0.5)):
        step = np.array([[mu, curvature], [-rate * mu, 1 - rate * curvature]])
        wanted = max(abs(z) for z in np.linalg.eigvals(step).tolist())
        found = max(found, abs(growth(rate, curvature, mu) - wanted))
    return found


def check_crossing() -> float:
    """(28.4) beside the growth of each step of the warm-up: how many steps they differ, summed."""
    found = 0
    for rate, curvature, mu, length in ((0.3, 21.3, 0.0, 50), (0.3, 21.3, 0.9, 200), (0.09, 50.7, 0.5, 77), (0.01, 9.0, 0.0, 5)):
        above = (t for t in range(1, length + 1) if growth(rate * t / length, curvature, mu) > 1 + 1e-12)
        first, said = next(above, None), crossing(rate, curvature, length, mu)
        found += abs((first or 0) - (said or 0))
    return float(found)


def check_longest() -> float:
    """(28.5) beside the step that a constant gradient of the clipped length ends at: a far slope, curvature tiny."""
    path = [1e3]
    for x, _ in zip(steps(1e3, 0.06, 1.0, 0.7, 0.9), range(400), strict=False):
        path.append(x)
    return abs(abs(path[-1] - path[-2]) / longest_step(0.06, 0.7, 0.9) - 1)


def check_trapped() -> float:
    """(28.7) beside the farthest of many clipped descents, after they have come in; and 0 below the edge."""
    rate, curvature, c = 0.3, 17.0, 0.8
    bound, farthest = trapped(rate, curvature, c), 0.0
    for start in np.linspace(-c / curvature, c / curvature, 4001)[1:-1].tolist():
        path = [x for x, _ in zip(steps(start, rate, curvature, c), range(40), strict=False)]
        farthest = max(farthest, *map(abs, path[-20:])) if start else farthest
    outside = max(abs(x) for x, _ in zip(steps(1000.0, rate, curvature, c), range(5000), strict=False) if abs(x) < bound + 1e-9)
    below = abs(trapped(0.1, 17.0, c))
    return float(max(0.0, farthest - bound) + max(0.0, bound - farthest - 2e-4) + max(0.0, outside - bound) + below)


CHECKS = {"growth": check_growth, "crossing": check_crossing, "longest step": check_longest, "trapped": check_trapped}
