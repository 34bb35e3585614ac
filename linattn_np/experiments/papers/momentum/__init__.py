"""Momentum Transformer (Nguyen et al., MSML 2022): momentum between layers, and within causal linear attention.

``layers`` is a stack of linear attention with momentum between its layers, ``heavy_ball`` what it does to the implicit weights,
``scalars`` its learned step and momentum; ``reweighting`` and ``causal_attention`` the momentum within attention;
``copy_network`` and ``copy_task`` the copy task. Lesson 21.
"""

from .causal_attention import attention, attention_recurrent
from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary
from .layers import heavy_ball_params, loss_and_grad, predict, predict_on_the_state

__all__ = [
    "ALT", "CLAIMS", "DERIVED", "PAPER", "SECONDS", "SOURCE", "TITLE", "attention", "attention_recurrent", "draw",
    "heavy_ball_params", "loss_and_grad",
    "measure", "predict", "predict_on_the_state", "sizes", "summary",
]  # fmt: skip
SOURCE = "arXiv 2208.00579"
PAPER = "Momentum Transformer: closing the performance gap between self-attention and its linearization"
DERIVED = ("heavy_ball", "layers", "reweighting", "causal_attention", "copy_network")
