"""What a paper derives by hand, audited: its own derivations must be right, and wrong ones made of them must be caught.

A paper's package names in ``DERIVED`` its modules with derivations. Such a module has ``AUDITS``, {name: function -> Report of
``la.audit``}, or ``CHECKS``, {name: function -> error against a second road}, so that a changed copy of the module judges itself;
the package's module ``mutations`` has ``MUTATIONS``, {module: ((id, old text, new text, mistake in words[, why it changes
nothing]), ..)}.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from ..audit.lines import source_of
from ..audit.mutation.mutant import changed_module
from .registry import places_of, works

RIGHT, WRONG = 1e-10, 1e-6  # an error below the one is right, above the other wrong; between the two nothing is decided
TAGGED = re.compile(r"#.*\(\d\d?b?\.\d+\)")  # a line that a numbered equation stands beside
BACKWARD = re.compile(r"def \w*(backward|tangent|gradient)\w*\(")

Entry = Sequence[str]


@dataclass
class Judged:
    """What became of a module's audits and of its mutations."""

    name: str
    wrong: list[str]  # audits that do not say ok
    survivors: list[str]  # mutations that nothing caught
    equivalent: list[str]  # mutations that change nothing, with a reason, and were measured to change nothing
    untouched: list[str]  # lines of a derivation that no mutation touches
    audits: int
    mutations: int

    @property
    def ok(self) -> bool:
        """Whether all audits say ok, all mutations that change anything are caught, and every derived line has one."""
        return not (self.wrong or self.survivors or self.untouched)

    def __str__(self) -> str:
        caught = self.mutations - len(self.survivors) - len(self.equivalent)
        words = [f"{self.name}: {self.audits - len(self.wrong)} of {self.audits} audits ok"]
        words.append(f"{caught} of {self.mutations - len(self.equivalent)} wrong derivations caught")
        found = {
            "not ok": self.wrong,
            "survived": self.survivors,
            "no mutation": self.untouched,
            "changes nothing": self.equivalent,
        }
        return ", ".join(words) + "".join(f"\n  {what}: {one}" for what, ones in found.items() for one in ones)


def derived_modules(names: Iterable[str]) -> dict[str, list[ModuleType]]:
    """{paper or study: its modules with derivations}, for those that have an experiment of these names."""
    wanted = set(names)
    return {
        work: [import_module(f"{module.__name__}.{name}") for name in getattr(module, "DERIVED", ())]
        for work, module in works().items()
        if wanted & set(places_of(work, module)) and hasattr(module, "DERIVED")
    }


def judge(module: ModuleType) -> Judged:
    """Run a module's audits, and those of every wrong copy of it."""
    package, _, name = module.__name__.rpartition(".")
    entries = import_module(f"{package}.mutations").MUTATIONS.get(name, ())
    survivors: list[str] = []
    equivalent: list[str] = []
    for key, old, new, slip, *why in entries:
        if not wrong_audits(changed_module(module, key, [(old, new)]), first=True):
            (equivalent if why else survivors).append(f"{key} ({slip}){': ' * bool(why)}{''.join(why)}")
    audits = len(getattr(module, "AUDITS", {})) + len(getattr(module, "CHECKS", {}))
    return Judged(name, wrong_audits(module), survivors, equivalent, untouched(source_of(module), entries), audits, len(entries))


def wrong_audits(module: Any, first: bool = False) -> list[str]:
    """The names of a module's audits and checks that do not say it is right; with ``first`` the first one alone.

    One that cannot be computed, because a shape no longer fits, says so too.
    """
    found = []
    limit = WRONG if first else RIGHT
    runs = {**getattr(module, "CHECKS", {}), **getattr(module, "AUDITS", {})}
    for name, run in runs.items():
        try:
            answer = run()
            wrong = not answer < limit if not hasattr(answer, "ok") else answer.verdict == "WRONG" if first else not answer.ok
        except (ValueError, IndexError, TypeError, ArithmeticError):
            wrong = True
        if wrong:
            found.append(name)
            if first:
                break
    return found


def untouched(source: str, entries: Iterable[Entry]) -> list[str]:
    """The lines of backward passes and tangents that have an equation and that no mutation changes."""
    changed = set()
    for _, old, *_ in entries:
        begin = source.find(old)
        lines = range(source[:begin].count("\n"), source[: begin + len(old)].count("\n") + 1)
        changed |= set(lines)
    found, inside = [], False
    for k, line in enumerate(source.splitlines()):
        if line.lstrip().startswith("def "):
            inside = bool(BACKWARD.search(line))
        elif line and not line.startswith((" ", ")", "#")):
            inside = False
        if inside and TAGGED.search(line) and not line.lstrip().startswith("#") and k not in changed:
            found.append(line.strip())
    return found
