"""Finetuning pretrained Transformers into RNNs: softmax attention of a trained language model is swapped for a learned feature
map.

A small language model (``language_model``) learns in-context Markov text (``text``); its softmax attention
(``layers.causal_softmax``) is swapped for one through features (``feature_attention``, ``feature_weights``, ``maps``) and all is
finetuned; then it reads with a state of constant size (``recurrent``). In the spirit of the paper, on a task that one block can
learn: what is held is its sentences, not its numbers.
"""

from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary
from .language_model import LanguageModel
from .recurrent import Model, Reader, generate, generate_parallel, generate_recurrent, model
from .text import counting_reader, floor, texts

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "PAPER", "SECONDS", "SOURCE", "TITLE", "LanguageModel", "Model", "Reader", "counting_reader",
    "draw", "floor", "generate",
    "generate_parallel", "generate_recurrent", "measure", "model", "sizes", "summary", "texts",
]  # fmt: skip
SOURCE = "arXiv 2103.13076"
PAPER = "Finetuning Pretrained Transformers into RNNs"
DERIVED = ("embedding", "maps", "feature_weights", "feature_attention", "causal_attention", "language_model")
