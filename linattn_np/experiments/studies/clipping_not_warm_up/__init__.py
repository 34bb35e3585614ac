"""Clipping, not warm-up: what lets a run keep a large rate, how often, and by which mechanism.

``quadratic`` is what a step does to a quadratic loss, with and without a clipped gradient; ``fixed`` finds the rates that train
on a fixed batch; ``fresh`` counts what survives on fresh batches, and compares Adam and the thresholds at each one's own best
rate; ``path`` follows curvature and gradient. Lesson 28.
"""

from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary
from .quadratic import crossing, growth, longest_step, trapped

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "SECONDS", "TITLE", "crossing", "draw", "growth", "longest_step", "measure", "sizes", "summary",
    "trapped",
]  # fmt: skip
DERIVED = ("quadratic",)
