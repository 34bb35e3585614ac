"""How Well Can Transformers Emulate In-context Newton's Method? (Giannou, Yang, Wang, Papailiopoulos, Lee; 2024).

Weights that are typed in make layers of linear attention one step of Newton's iteration, X' = X (2I - A X): one layer where A is
symmetric, two where not, T + 3 for least squares. ``constructions`` has them, made of ``blocks``; ``logistic`` the damped
Newton's method; ``depth`` what is counted. The ReLU layers of the paper's Theorem 5.2 are not rebuilt. Lesson 19.
"""

from .constructions import invert, least_squares
from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "PAPER", "SECONDS", "SOURCE", "TITLE", "draw", "invert", "least_squares", "measure", "sizes",
    "summary",
]  # fmt: skip
SOURCE = "arXiv 2403.03183"
PAPER = "How Well Can Transformers Emulate In-context Newton's Method?"
DERIVED = ("blocks", "constructions", "logistic")
