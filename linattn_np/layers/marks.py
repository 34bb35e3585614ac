"""Names for the intermediates of a layer, so that an audit can look at each line by itself.

A layer passes each intermediate through ``mark(name, value)``. In ordinary use ``mark`` is :func:`keep` and does nothing; an
audit passes a function that perturbs the value of that name in the forward pass, or writes it down in the backward pass.
"""

from collections.abc import Callable
from typing import Any

Mark = Callable[[str, Any], Any]  # a name and an array -> the array, or what an audit puts in its place


def keep(name: str, value: Any) -> Any:
    """Return ``value`` unchanged: the mark of ordinary use."""
    return value


def within(mark: Mark, layer: int) -> Mark:
    """The mark of one layer of a stack: the name ``A`` of layer 2 becomes ``2.A``."""
    return mark if mark is keep else lambda name, value: mark(f"{layer}.{name}", value)
