"""How much a lesson computes, and how a check answers, from the environment.

LINATTN_PROFILE is smoke, class (the default) or paper; LINATTN_STRICT=1 makes every check that is not right an error, for
grading.
"""

import os
from typing import TypeVar

from .._checks import one_of

VARIABLE, STRICT = "LINATTN_PROFILE", "LINATTN_STRICT"
PROFILES = ("smoke", "class", "paper")
Size = TypeVar("Size")


def profile() -> str:
    """The profile in force. Raises ValueError when the variable holds something else."""
    return one_of(VARIABLE, os.environ.get(VARIABLE, "class"), PROFILES)


def by_profile(smoke: Size, usual: Size, paper: Size | None = None) -> Size:
    """The size that suits the profile: ``smoke`` for tests, ``usual`` for a class, ``paper`` (default: as usual) for all."""
    return {"smoke": smoke, "class": usual, "paper": usual if paper is None else paper}[profile()]


def strictly(strict: bool | None = None) -> bool:
    """Whether a check that is not right is an error: as asked, or (None) as LINATTN_STRICT says.

    Raises ValueError for other values.
    """
    return one_of(STRICT, os.environ.get(STRICT, "0"), ("0", "1")) == "1" if strict is None else bool(strict)
