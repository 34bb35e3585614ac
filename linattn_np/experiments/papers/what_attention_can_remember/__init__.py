"""How wide must attention be to remember L bits? After "Do Efficient Transformers Really Save Computation?" (lesson 23).

``readout`` is one attention read-out from learned tables with its gradient by hand and its error without sampling, ``recall`` the
floor and the training, ``constructions`` tables that are enough, ``closed_loop`` a dynamic program that reads its own states,
``runs`` what the figure trains, ``claims`` what is held against the paper.

In the spirit of the paper: this is the memory argument behind its theorems alone. Its chain-of-thought Transformers trained on
arithmetic, longest increasing subsequence and edit distance are not reproduced, and what is known of its numbers here is
second-hand.
"""

from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary
from .recall import floor, train

SOURCE = "arXiv 2402.13934"
PAPER = "Do Efficient Transformers Really Save Computation?"
DERIVED = ("readout", "constructions")

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "PAPER", "SECONDS", "SOURCE", "TITLE", "draw", "floor", "measure", "sizes", "summary", "train",
]  # fmt: skip
