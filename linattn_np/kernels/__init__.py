"""The Numba twins of what is hot: the same mathematics as the NumPy modules, compiled.

``operations`` says what a program is, how to print one (:func:`listing`) and how to run it in NumPy; ``programs`` writes down the
linear model's, from ``operands`` and ``steps``, less what ``pruning`` leaves out; ``interpreter`` runs them compiled. ``linear``
serves linear attention on the state, ``tokens`` softmax and ReLU attention, ``composed`` the network before the attention;
``threads`` shares out chunks, and ``waiting`` waits for them; ``random`` draws random numbers in lanes with the bits that
``random_numpy`` defines. Importing loads no Numba and compiles nothing: the names below load when first used.
"""

from importlib import import_module as _import_module
from typing import Any

_PLACES = {
    "available": "interpreter", "evaluate": "operations", "get_threads": "threads", "hvps": "linear",
    "lanes_from_draws": "linear",
    "lanes_from_tokens": "linear", "listing": "operations", "loss_and_grad": "linear", "set_threads": "threads",
}  # fmt: skip
__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(_import_module(f".{_PLACES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
