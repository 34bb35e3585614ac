"""The audit's own test: wrong derivations as data (``catalogue``), made into modules (``mutant``) and audited (``run``)."""

from .mutant import CATALOGUE, Mutation, apply, find_slip

__all__ = ["CATALOGUE", "Mutation", "apply", "find_slip"]
