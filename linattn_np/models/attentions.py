"""The kinds of attention, in one place: what is entered here works in everything that takes a model.

A kind is a module with ``forward, backward, tangent, backward_tangent, readout, readout_backward`` on tokens, as
``layers/linear_attention.py``. ``ATTENTIONS["name"] = Attention(module)`` is all that a new one needs.
"""

from dataclasses import dataclass
from types import ModuleType

from .._checks import one_of
from ..layers import gram, linear_attention, relu_attention, softmax_attention


@dataclass(frozen=True)
class Attention:
    """One kind: its layer on tokens, the same layer on the state (G, z) where it sees no more of a prompt, its compiled twin."""

    layer: ModuleType
    state: ModuleType | None = None
    kernel: str | None = None  # "lanes" or "tokens": see passes.py
    smooth: bool = True  # False: it has kinks, so checks by finite steps stay close to the point


ATTENTIONS = {
    "linear": Attention(linear_attention, state=gram, kernel="lanes"),
    "softmax": Attention(softmax_attention, kernel="tokens"),
    "relu": Attention(relu_attention, kernel="tokens", smooth=False),
}


def attention_of(name: str) -> Attention:
    """The kind of that name. Raises ValueError for a name that is not entered."""
    return ATTENTIONS[one_of("attention", name, tuple(ATTENTIONS))]
