"""Functions to be audited, written as a reader of the README would write them, each with the verdict that it must get.

A subject is a function without arguments that returns (forward, backward, theta). ``subject`` says what the audit must answer,
and ``wrong`` plants mistakes in its source: {slip: (old text, new text, name after "first wrong: ")}. A name may be several,
separated by blanks, where the mistake stands in more than one array; an empty one may be any. After a colon stand words that the
report holds.
"""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

COMPLEX, DIFFERENCES = "complex step", "differences"
CASES: dict[str, "Case"] = {}


@dataclass(frozen=True)
class Case:
    """One pair of functions and what must be said of it."""

    make: Callable
    verdict: str  # "ok", "WRONG", "CANNOT JUDGE", or "cannot be run"
    first: tuple = ()  # the names that may stand after "first wrong: "
    oracle: str = ""  # the reference that must have been used; empty where it does not matter
    says: str = ""  # words that the report must hold


def subject(verdict="ok", first="", oracle=COMPLEX, wrong=None, says=""):
    """Register a subject, and for each slip in ``wrong`` a copy of it with that slip."""

    def register(make):
        CASES[make.__name__] = Case(make, verdict, tuple(first.split()), oracle if verdict != "cannot be run" else "", says)
        for slip, (old, new, name) in (wrong or {}).items():
            name, _, words = name.partition(":")
            CASES[f"{make.__name__}, {slip}"] = Case(planted(make, old, new), "WRONG", tuple(name.split()), oracle, words.strip())
        return make

    return register


def planted(make, old, new):
    """The function with one place of its source changed."""
    source = textwrap.dedent(inspect.getsource(make))
    source = source[source.index("def ") :]
    assert source.count(old) == 1, f"{make.__name__}: {old!r} stands {source.count(old)} times"

    def changed():
        scope = dict(make.__globals__)
        exec(compile(source.replace(old, new), f"{make.__name__}.py", "exec"), scope)
        return scope[make.__name__]()

    return changed


def load():
    """All subjects. -> {name: Case}"""
    from . import dense, forms, hostile, impure, linalg, normalised, points, sequences, spatial  # noqa: F401

    return CASES
