"""The paper's experiments: the settings, one module for each figure, and the command ``reproduce``."""

from .settings import SETTINGS, Setting

__all__ = ["SETTINGS", "Setting"]
