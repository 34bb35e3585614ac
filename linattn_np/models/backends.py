"""Which backend serves: NumPy, the definition, or a compiled twin. The one place where Numba is asked for.

A twin answers where backend "numba" is asked for, for float64, and on a machine where Numba works.
"""

from functools import cache
from typing import Any

import numpy as np

from .._checks import one_of
from .._types import Array

BACKENDS = ("numba", "numpy")


def can_compile(backend: str, *arrays: Array) -> bool:
    """Whether this may run compiled at all: asked for, real, params (the first array) in float64, and Numba at work."""
    one_of("backend", backend, BACKENDS)
    if backend == "numpy" or any(a.dtype.kind == "c" for a in arrays) or any(a.dtype != np.float64 for a in arrays[:1]):
        return False
    try:
        return kernels("interpreter").available()
    except ImportError:  # a machine without Numba: NumPy answers, more slowly
        return False


@cache
def kernels(name: str) -> Any:
    """A module of ``kernels``, imported when first used: linattn_np loads without Numba."""
    from ..kernels import composed, draws, interpreter, linear, threads, tokens

    return {
        "composed": composed,
        "draws": draws,
        "interpreter": interpreter,
        "linear": linear,
        "threads": threads,
        "tokens": tokens,
    }[name]
