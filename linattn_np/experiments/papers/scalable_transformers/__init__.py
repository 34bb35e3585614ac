"""One set of weights for several widths. After "Scalable Transformers for Neural Machine Translation" (lesson 25).

``block`` is a small translating Transformer with its gradient by hand, ``nested`` the crops and where their gradients go,
``training`` the stages (full, joint, word, sequence), ``translation`` and ``noisy`` the two tasks, ``runs`` what the figure
trains, ``claims`` what is held against the paper. In the spirit of the paper: toys in place of its translation benchmarks, whose
numbers were not to be had.
"""

from .block import init
from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary
from .nested import crop

SOURCE = "arXiv 2106.02242"
PAPER = "Scalable Transformers for Neural Machine Translation"
DERIVED = ("block", "nested")

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "PAPER", "SECONDS", "SOURCE", "TITLE", "crop", "draw", "init", "measure", "sizes", "summary",
]  # fmt: skip
