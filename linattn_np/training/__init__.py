"""Training: the loop, a run as data that is kept, many runs on any executor."""

from .loop import History, losses_along, train

__all__ = ["History", "losses_along", "train"]
