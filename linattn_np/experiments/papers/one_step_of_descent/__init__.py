"""Transformers learn in-context by gradient descent (von Oswald et al., ICML 2023): one layer of linear attention is one step.

``construction`` is the layer; ``one_layer`` all that a prediction sees of a layer, with its gradient by hand; ``tasks`` the
prompts and the best step in closed form; ``descent`` gradient descent and GD++ by eigenvalues. Lesson 16.
"""

from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary
from .one_layer import OneLayer
from .tasks import UniformTask, best_step
from .weights import construction, gd_plus_plus, step_from

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "PAPER", "SECONDS", "SOURCE", "TITLE", "OneLayer", "UniformTask", "best_step", "construction",
    "draw", "gd_plus_plus",
    "measure", "sizes", "step_from", "summary",
]  # fmt: skip
SOURCE = "arXiv 2212.07677"
PAPER = "Transformers learn in-context by gradient descent"
DERIVED = ("one_layer", "weights", "descent")
