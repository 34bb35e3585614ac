"""The Numba twins of what is hot: the same mathematics as the NumPy modules, compiled.

Nothing is compiled when it is imported. ``linear`` serves linear attention on the state, ``tokens`` softmax and ReLU attention,
``composed`` the network before the attention; ``programs`` writes down the lists of operations that they run.
"""

from .linear import available, get_threads, hvps, lanes_from_draws, lanes_from_tokens, loss_and_grad, set_threads

__all__ = ["available", "get_threads", "hvps", "lanes_from_draws", "lanes_from_tokens", "loss_and_grad", "set_threads"]
