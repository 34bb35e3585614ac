"""AlgoFormer (arXiv 2402.13572): pre-network, one layer looped, read-out; the loop is a fit on the features of the pre-network.

``model`` is the model; ``loop`` its loop with the gradient by hand; ``training`` what it is compared with. The paper's
hyper-parameters are not known here, and no number of its figures: it is tested in its spirit, at sizes of our own. Lesson 22.
"""

from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary
from .model import LoopedTransformer, layer_params, model

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "PAPER", "SECONDS", "SOURCE", "TITLE", "LoopedTransformer", "draw", "layer_params", "measure",
    "model", "sizes",
    "summary",
]  # fmt: skip
SOURCE = "arXiv 2402.13572"
PAPER = "On the Expressive Power of a Variant of the Looped Transformer (AlgoFormer)"
DERIVED = ("loop",)
