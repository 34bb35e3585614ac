"""The audit's own test: wrong derivations as data, made into modules (``mutant``), listed (``listed``) and audited (``run``)."""

from .adds import what_each_check_adds
from .listed import CATALOGUE, EVERY, find_slip
from .mutant import Mutation, apply

__all__ = ["CATALOGUE", "EVERY", "Mutation", "apply", "find_slip", "what_each_check_adds"]
