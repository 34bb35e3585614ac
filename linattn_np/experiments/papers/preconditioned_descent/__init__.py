"""Transformers learn to implement preconditioned gradient descent (Ahn et al., NeurIPS 2023): A_l, B_l and what they become.

``optimum`` is the best single layer in closed form; ``averaged`` many layers with the loss averaged over tasks and queries, its
gradient by hand; ``training`` runs and tuned descents. Lesson 17.
"""

from ...rules import Revision
from .averaged import Averaged
from .closed_form import best_preconditioner, least_loss, optimum
from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "PAPER", "REVISIONS", "SECONDS", "SOURCE", "TITLE", "Averaged", "best_preconditioner", "draw",
    "least_loss", "measure",
    "optimum", "sizes", "summary",
]  # fmt: skip
SOURCE = "arXiv 2306.00297"
PAPER = "Transformers learn to implement preconditioned gradient descent for in-context learning"
DERIVED = ("averaged", "closed_form")
_WHY = (
    "The first protocol trained the stacks with A_l and B_l by Adam on 256 covariances a step, each matrix's gradient clipped at "
    "0.01 as in the released code, whose batches are of 20,000 prompts. Clipped small batches leave out the rare prompts with a "
    "large eigenvalue: from iteration 5,000 on the mean loss of three layers rose. L-BFGS on one batch of 2,048 has them in "
    "every step; the rules are the same."
)
REVISIONS = (
    Revision("preconditioned_descent.together", "median 0.993", _WHY),
    Revision("preconditioned_descent.beyond", "median 0.00401", _WHY),
    Revision("preconditioned_descent.three_layers", "median 19.6", _WHY),
)
