"""A wrong derivation, and the module that it makes: a text of the source changed, with the mistake it stands for in words.

A mutation replaces ``old`` by ``new`` in a module's source, and the text is run as a fresh module; nothing of the library
changes. ``line`` is the name that the audit must give: the first quantity in backward order that comes out wrong.
``hint`` is what a lesson says to a reader whose answer equals the mutation's.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from types import ModuleType
from typing import Any

from ..lines import NUMBER, source_of


@dataclass(frozen=True)
class Mutation:
    """One wrong derivation. ``why_equivalent`` is set when it cannot change the gradient of the loss; that is measured too."""

    id: str
    module: str
    old: str
    new: str
    line: str
    slip: str
    hint: str
    why_equivalent: str = ""
    kind: str = "gradient"  # how it is judged: one of run.JUDGES
    also: tuple[tuple[str, str], ...] = ()  # further texts (old, new) that belong to the same mistake

    @property
    def equation(self) -> str:
        """The derivation number beside the changed line, read from the source; empty where it has none."""
        source = source_of(module_of(self.module))
        changed = source[source.index(self.old) :].partition("\n")[0]
        found = NUMBER.search(changed.partition("#")[2])
        return found.group(1) if found else ""

    @property
    def function(self) -> str:
        """The name of the function in which the changed line stands."""
        source = source_of(module_of(self.module))
        return source[: source.index(self.old)].rpartition("\ndef ")[2].partition("(")[0]


def module_of(name: str) -> Any:
    """The module of the package that is reached by a short name, or by one with dots."""
    return reduce(getattr, name.split("."), import_module("linattn_np"))


def apply(mutation: Mutation) -> Any:
    """The mutated module. Raises ValueError when the line to change does not stand in the source exactly once."""
    return changed_module(module_of(mutation.module), mutation.id, ((mutation.old, mutation.new), *mutation.also))


def changed_module(original: ModuleType, name: str, pairs: Iterable[tuple[str, str]]) -> Any:
    """A fresh module from a module's source with texts replaced, (old, new) each; the name says which mutation it is.

    Raises ValueError when an old text does not stand in the source exactly once.
    """
    changed = source_of(original)
    for old, new in pairs:
        count = changed.count(old)
        if count != 1:
            short = original.__name__.rpartition(".")[2]
            raise ValueError(f"mutation {name}: expected its line once in {short}.py, found it {count} times: {old!r}")
        changed = changed.replace(old, new)
    module: Any = ModuleType(f"{original.__name__}__{name}", original.__doc__)
    module.__package__, module.__file__, module.__mutated__ = original.__package__, getattr(original, "__file__", None), changed
    sys.modules[module.__name__] = module  # classes look their module up while they are made
    try:
        exec(compile(changed, f"<{name}>", "exec"), module.__dict__)
    finally:
        del sys.modules[module.__name__]
    return module
