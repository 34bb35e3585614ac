"""How many processes a command trains on."""

from .._checks import as_count
from ..kernels.threads import processors

MOST_PER_PROCESSOR = 8  # more only wait for each other, and each takes the memory of a Python with Numba


def as_workers(name: str, value: int | None) -> int:
    """The number asked for, or (None) one for each processor. Raises ValueError for less than one and for absurdly many."""
    if value is None:
        return processors()
    most = MOST_PER_PROCESSOR * processors()
    if as_count(name, value) > most:
        raise ValueError(f"{name}: expected at most {most}, {MOST_PER_PROCESSOR} for each processor here, got {value}")
    return value
