"""Length, noise and the number of prompts: what a model trained on one law of prompts does under another.

``theory`` has the loss of a filter on a spectrum, and what follows from it for one layer, least squares and Bayes; ``testing``
draws prompts and answers them from their Gram matrices; ``lengths`` tests at other lengths than in training; ``label_noise``
compares with ridge and least squares; ``many_prompts`` fits one layer to N prompts; ``few_numbers`` is the best
that layers of two numbers can do; ``training`` trains and searches learning rates. Lesson 31.
"""

from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary
from .theory import bayes_filter, filter_loss, gain, least_squares_mean, one_layer_loss, residual

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "SECONDS", "TITLE", "bayes_filter", "draw", "filter_loss", "gain", "least_squares_mean",
    "measure", "one_layer_loss", "residual", "sizes", "summary",
]  # fmt: skip
DERIVED = ("theory", "few_numbers")
