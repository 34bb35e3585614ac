"""Graph Transformers Dream of Electric Flow (Cheng, Carin, Sra; ICLR 2025): attention on the incidence matrix is the Laplacian.

``potentials`` and its neighbours are algorithms by layers with weights typed in; ``scalar_layer`` is the layer with one number in
each block, with its gradient by hand; ``training`` trains it. The paper's body was not at hand: what is held against it are the
released code's stored numbers, and second-hand accounts. Lesson 20.
"""

from .construction import eigenvectors, heat, potentials, resistive
from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "PAPER", "SECONDS", "SOURCE", "TITLE", "draw", "eigenvectors", "heat", "measure", "potentials",
    "resistive",
    "sizes", "summary",
]  # fmt: skip
SOURCE = "arXiv 2410.16699"
PAPER = "Graph Transformers Dream of Electric Flow"
DERIVED = ("scalar_layer", "construction")
