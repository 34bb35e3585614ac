"""Wrong derivations as data: each one line of the source changed, with the slip it stands for in words.

A mutation replaces ``old`` by ``new`` in a module's source, and the text is run as a fresh module; nothing of the library
changes. ``line`` is the name that the audit must give: the first intermediate in backward order that comes out wrong.
``hint`` is what a lesson says to a reader whose answer equals the mutation's.
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np

from ..lines import NUMBER, source_of
from . import catalogue


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

    @property
    def equation(self):
        """The derivation number beside the changed line, read from the source; empty where it has none."""
        source = source_of(_module(self.module))
        changed = source[source.index(self.old) :].partition("\n")[0]
        found = NUMBER.search(changed.partition("#")[2])
        return found.group(1) if found else ""


def _module(name):
    """The module of the package that is reached by a short name."""
    return getattr(import_module("linattn_np"), name)


def apply(mutation):
    """The mutated module. Raises ValueError when the line to change does not stand in the source exactly once."""
    original = _module(mutation.module)
    source = source_of(original)
    count = source.count(mutation.old)
    if count != 1:
        raise ValueError(f"mutation {mutation.id}: expected its line once in {mutation.module}.py, found it {count} times")
    changed = source.replace(mutation.old, mutation.new)
    module = ModuleType(f"{original.__name__}__{mutation.id}", original.__doc__)
    module.__package__, module.__file__, module.__mutated__ = original.__package__, original.__file__, changed
    exec(compile(changed, f"<{mutation.id}>", "exec"), module.__dict__)
    return module


CATALOGUE = tuple(
    Mutation(key, module, old, new, line, slip, hint, *why)
    for module, entries in catalogue.MODULES.items()
    for key, line, slip, hint, old, new, *why in entries
)


def find_slip(module, function, answer, *arguments):
    """The mutation whose ``function`` gives ``answer``, for a hint to a reader; None when no mutation does.

    ``find_slip("linear_attention", "backward", (dZ, dP, dQ), dout, tape).hint`` may be "one use of Z is missing". Cost: one call each.
    """
    answer = answer if isinstance(answer, tuple) else (answer,)
    for mutation in CATALOGUE:
        if mutation.module != module or not mutation.hint or _function_of(mutation) != function:
            continue
        made = getattr(apply(mutation), function)(*arguments)
        made = made if isinstance(made, tuple) else (made,)
        if len(made) == len(answer) and all(_agree(a, b) for a, b in zip(made, answer, strict=True)):
            return mutation
    return None


def _function_of(mutation):
    """The name of the function in which the mutation's line stands."""
    source = source_of(_module(mutation.module))
    return source[: source.index(mutation.old)].rpartition("\ndef ")[2].partition("(")[0]


def _agree(a, b):
    """Equal to ten digits, field by field for a state."""
    if hasattr(a, "_fields"):
        return all(_agree(x, y) for x, y in zip(a, b, strict=True))
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-10, atol=1e-10 * np.max(np.abs(a)))
