"""How much a lesson computes, from one environment variable: LINATTN_PROFILE = smoke, class (the default) or paper."""

import os
from typing import TypeVar

from .._checks import one_of

VARIABLE = "LINATTN_PROFILE"
PROFILES = ("smoke", "class", "paper")
Size = TypeVar("Size")


def profile() -> str:
    """The profile in force. Raises ValueError when the variable holds something else."""
    return one_of(VARIABLE, os.environ.get(VARIABLE, "class"), PROFILES)


def by_profile(smoke: Size, usual: Size, paper: Size | None = None) -> Size:
    """The size that suits the profile: ``smoke`` for tests, ``usual`` for a class, ``paper`` (default: as usual) for all."""
    return {"smoke": smoke, "class": usual, "paper": usual if paper is None else paper}[profile()]
