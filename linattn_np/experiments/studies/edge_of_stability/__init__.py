"""The edge of stability: a study of our own of where the largest curvature stops along descent, heavy ball and Adam, and why.

``edges`` has the edges and the 2 x 2 matrix that they come from; ``cubic`` the force of the oscillation, its amplitude and the
central flow; ``measurements`` the runs. Lesson 26.
"""

from .cubic import Valley, balance, central_flow, grad_of_sharpness, gradient_flow
from .edges import adam_edge, edge
from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "SECONDS", "TITLE", "Valley", "adam_edge", "balance", "central_flow", "draw", "edge",
    "grad_of_sharpness",
    "gradient_flow", "measure", "sizes", "summary",
]  # fmt: skip
DERIVED = ("edges", "cubic")
