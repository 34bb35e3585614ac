"""The types that signatures speak of."""

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]  # real or complex numbers; the shape stands in the docstring
