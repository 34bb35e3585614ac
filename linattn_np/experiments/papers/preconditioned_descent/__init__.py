"""Transformers learn to implement preconditioned gradient descent (Ahn et al., NeurIPS 2023): A_l, B_l and what they become.

``optimum`` is the best single layer in closed form; ``averaged`` many layers with the loss averaged over tasks and queries, its gradient
by hand; ``training`` runs and tuned descents. Lesson 17.
"""

from .averaged import Averaged
from .closed_form import best_preconditioner, least_loss, optimum
from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "PAPER", "SECONDS", "SOURCE", "TITLE", "Averaged", "best_preconditioner", "draw", "least_loss", "measure",
    "optimum", "sizes", "summary",
]  # fmt: skip
SOURCE = "arXiv 2306.00297"
PAPER = "Transformers learn to implement preconditioned gradient descent for in-context learning"
DERIVED = ("averaged", "closed_form")
