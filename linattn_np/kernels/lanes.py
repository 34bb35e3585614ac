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


def inlined(function: Callable[..., Any]) -> Any:
    """For a function with one caller: it is compiled as a part of that, which spares LLVM optimizing it alone and once again
    there.
    """
    return numba.njit(nogil=True, error_model="numpy", inline="always")(function)


def working_memory(slots: int, lanes: int = LANES) -> Array:
    """The calling thread's memory (slots, lanes); programs write before they read, so what it holds does not matter."""
    return working_memories((slots, lanes))[0]


def working_memories(*shapes: tuple[int, int]) -> list[Array]:
    """The calling thread's memory cut into arrays of these shapes, each from a line of the cache on: no vector lies across
    two.
    """
    kept: dict[Any, list[Array]] = getattr(_local, "kept", {})
    if shapes not in kept:
        ends = [0]
        for slots, lanes in shapes:
            ends.append(ends[-1] + slots * lanes + (-slots * lanes) % WIDTH)
        if not kept or len(_local.numbers) < ends[-1]:
            numbers = np.zeros(ends[-1] + WIDTH)
            first = -numbers.ctypes.data // numbers.itemsize % WIDTH
            _local.numbers, kept = numbers[first : first + ends[-1]], {}  # what was cut from a smaller memory is forgotten
        cut = [_local.numbers[end : end + slots * lanes] for end, (slots, lanes) in zip(ends, shapes, strict=False)]
        kept[shapes] = [numbers.reshape(shape) for numbers, shape in zip(cut, shapes, strict=True)]
        _local.kept = kept
    return kept[shapes]


def lanes_for(slots: int) -> int:
    """How many prompts lie side by side while a program with so many slots runs: the most that the second cache holds."""
    lanes = LANES
    while lanes > FEWEST and slots * lanes * 8 > CACHE:
        lanes //= 2
    return lanes
