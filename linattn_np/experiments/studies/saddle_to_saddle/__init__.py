"""Saddle to saddle: one layer with separate keys and queries learns one eigenvector after the other, and waits before each.

``moments`` is the loss as a quadratic and its levels; ``heads`` merged and separate heads with their gradient by hand;
``training`` descends and finds plateaus; ``laws`` measures; ``conservation`` counts what gradient flow keeps, by two roads;
``paper_form`` is the control in the paper's own parametrization. Lesson 27. The levels are also in the code beside Zhang, Singh,
Latham and Saxe, arXiv 2501.16265.
"""

from .conservation import by_symmetry, null_space
from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary
from .moments import Moments, exact, levels, of_prompts

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "SECONDS", "TITLE", "Moments", "by_symmetry", "draw", "exact", "levels", "measure", "null_space",
    "of_prompts", "sizes", "summary",
]  # fmt: skip
DERIVED = ("moments", "heads", "conservation")
