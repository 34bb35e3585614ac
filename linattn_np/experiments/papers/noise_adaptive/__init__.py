"""Linear Transformers are Versatile In-Context Learners (Vladymyrov, von Oswald, Sandler, Ge; NeurIPS 2024).

Each layer of a linear Transformer keeps a linear model of the prompt. Trained where the noise differs from prompt to prompt, four
numbers a layer are enough for steps and a shrinkage that follow the noise; GD++, two of the four, settles on ridge for one noise.
``layer`` is the layer in the paper's form, ``models`` what is trained, ``implicit`` the linear models, ``theory`` the theorems.
"""

from .diagonal_layer import layer
from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary

__all__ = ["ALT", "CLAIMS", "DERIVED", "PAPER", "SECONDS", "SOURCE", "TITLE", "draw", "layer", "measure", "sizes", "summary"]

SOURCE = "arXiv 2402.14180"
PAPER = "Linear Transformers are Versatile In-Context Learners"
DERIVED = ("diagonal_layer", "implicit")
