"""Why Adam wins: of a second moment for each coordinate, one for each layer does the work; and where that is not enough.

``methods`` are the optimizers, with controls of the same number of groups and rotations; ``training`` the places, one run,
and the search of each method's own best rate. Kin: Adam-mini, Zhang et al. 2024 (arXiv 2406.16793).
"""

from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]
