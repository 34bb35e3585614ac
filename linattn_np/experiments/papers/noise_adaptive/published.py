"""What the paper prints in its Table 1: half the mean squared error, minus half that of ridge regression that knows sigma.

Rows are models, columns the law of sigma, U(0, top) or one of a set of levels. Source: arXiv 2402.14180, appendix B.
"""

from .task import MixedNoise

COLUMNS = {
    "0": MixedNoise(top=0.0), "1": MixedNoise(top=1.0), "3": MixedNoise(top=3.0), "5": MixedNoise(top=5.0),
    "7": MixedNoise(top=7.0), "{1,3}": MixedNoise(levels=(1.0, 3.0)), "{1,3,5}": MixedNoise(levels=(1.0, 3.0, 5.0)),
}  # fmt: skip
_ROWS = {
    ("GD++", 1): (1.768, 1.639, 1.175, 0.907, 0.806, 1.007, 0.819),
    ("diagonal", 1): (1.767, 1.639, 1.175, 0.906, 0.806, 1.007, 0.819),
    ("full", 1): (1.768, 1.640, 1.176, 0.907, 0.806, 1.008, 0.820),
    ("GD++", 2): (0.341, 0.295, 0.265, 0.366, 0.530, 0.305, 0.427),
    ("diagonal", 2): (0.265, 0.214, 0.188, 0.242, 0.259, 0.201, 0.246),
    ("full", 2): (0.264, 0.215, 0.188, 0.245, 0.263, 0.202, 0.276),
    ("GD++", 3): (0.019, 0.021, 0.161, 0.344, 0.530, 0.222, 0.422),
    ("diagonal", 3): (0.013, 0.015, 0.087, 0.118, 0.123, 0.098, 0.119),
    ("full", 3): (0.012, 0.015, 0.075, 0.117, 0.127, 0.076, 0.113),
    ("GD++", 4): (9.91e-05, 0.014, 0.160, 0.344, 0.530, 0.222, 0.422),
    ("diagonal", 4): (1.19e-04, 0.006, 0.041, 0.059, 0.073, 0.043, 0.062),
    ("full", 4): (1.63e-04, 0.005, 0.038, 0.065, 0.076, 0.032, 0.061),
}
BASELINES = ("constant ridge", "adaptive ridge", "tuned ridge")
_BASELINE_ROWS = {
    "constant ridge": (0.0, 0.009, 0.161, 0.365, 0.530, 0.222, 0.422),
    "adaptive ridge": (0.0, 0.003, 0.034, 0.068, 0.092, 0.051, 0.084),
    "tuned ridge": (0.0, 0.002, 0.023, 0.049, 0.068, 0.021, 0.054),
}


def printed(row: str, column: str, layers: int | None = None) -> float:
    """The printed entry of a model with this many layers, or of a baseline (layers None)."""
    entries = _BASELINE_ROWS[row] if layers is None else _ROWS[row, layers]
    return entries[list(COLUMNS).index(column)]


def tolerance(entry: float) -> float:
    """How far from a printed entry ours may be, as a share of it: 6 % where it is at least 0.1, 25 % below."""
    return 0.06 if entry >= 0.1 else 0.25
