"""How much a lesson computes, from one environment variable: LINATTN_PROFILE = smoke, class (the default) or paper."""

import os

from .._checks import one_of

VARIABLE = "LINATTN_PROFILE"
PROFILES = ("smoke", "class", "paper")


def profile():
    """The profile in force. Raises ValueError when the variable holds something else."""
    return one_of(VARIABLE, os.environ.get(VARIABLE, "class"), PROFILES)


def by_profile(smoke, usual, paper=None):
    """The size that suits the profile: ``smoke`` for tests, ``usual`` for a class, ``paper`` (default: as usual) for all."""
    return {"smoke": smoke, "class": usual, "paper": usual if paper is None else paper}[profile()]
