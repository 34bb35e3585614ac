"""What every compiled module shares: how many prompts lie side by side, how functions are compiled, and a thread's memory."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from .._types import Array
from . import compiling
from .tiles import WIDTH

LANES = 64  # prompts side by side: fewer pay more for each step of a program, more fall out of the caches
FEWEST = 16  # and with fewer than that, a step costs more than its work even for large matrices
CACHE = 2**20  # bytes of a usual second cache; a constant, because the order of sums depends on it

_local = threading.local()  # each thread's working memory


def available() -> bool:
    """Whether the kernels can be compiled here (not with NUMBA_DISABLE_JIT=1, where they would crawl)."""
    return not numba.config.DISABLE_JIT  # type: ignore[attr-defined]


compiling.listen()
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, and keep the result on the disk until any module of the kernels changes.

    Numba looks at the function's own file only; a caller kept from before would go on with what it calls as that was.
    """
    dispatcher = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if kept is not None:
        kept._source_stamp = SOURCES
    return dispatcher


def working_memory(slots: int, lanes: int = LANES) -> Array:
    """The calling thread's memory (at least ``slots`` rows, lanes); programs write before they read, so what it holds does not matter.

    It begins at a line of the cache, so that no vector lies across two.
    """
    if getattr(_local, "numbers", None) is None or len(_local.numbers) < slots * lanes:
        numbers = np.zeros(slots * lanes + WIDTH)
        first = -numbers.ctypes.data // numbers.itemsize % WIDTH
        _local.numbers = numbers[first : first + slots * lanes]
    rows = len(_local.numbers) // lanes
    return _local.numbers[: rows * lanes].reshape(rows, lanes)


def lanes_for(slots: int) -> int:
    """How many prompts lie side by side while a program with so many slots runs: the most that the second cache holds."""
    lanes = LANES
    while lanes > FEWEST and slots * lanes * 8 > CACHE:
        lanes //= 2
    return lanes
