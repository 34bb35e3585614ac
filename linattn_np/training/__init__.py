"""Training: the loop, a run as data that is kept, many runs on any executor."""

from .history import Diverged, History
from .loop import losses_along, train

__all__ = ["Diverged", "History", "losses_along", "train"]
