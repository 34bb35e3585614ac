"""Wrong kernels: the machine's operations and the drawing with one place of their source changed, before the checks of
``kernel_checks``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...progress import bar
from .kernel_checks import CHECKS
from .same_kernels import why_same_kernel
from .sources import MODULES, Mutant, interpreted, mutants


@dataclass(frozen=True)
class KernelOutcome:
    """What became of one wrong kernel."""

    mutant: Mutant
    killed_by: str  # the first check that fails; "" for none
    how: str  # what it said
    why_equivalent: str = ""

    @property
    def survived(self) -> bool:
        """Whether no check fails, for no reason."""
        return not (self.killed_by or self.why_equivalent)


def every_mutant() -> list[Mutant]:
    """Every wrong kernel."""
    return [mutant for module in MODULES for mutant in mutants(module)]


def judge_kernel(mutant: Mutant) -> KernelOutcome:
    """One wrong kernel before the checks of its module."""
    with np.errstate(all="ignore"):
        try:
            modules = interpreted(mutant.module, mutant.tree())
        except Exception as error:
            return KernelOutcome(mutant, "import", repr(error))
        for check in CHECKS[mutant.module]:
            try:
                check(modules)
            except Exception as error:  # an index outside, a name that is not there: as good as a wrong number
                return KernelOutcome(mutant, check.__name__.removeprefix("check_"), repr(error))
    return KernelOutcome(mutant, "", "", why_same_kernel(mutant))


def hold_as_they_are() -> None:
    """The kernels as they are pass every check, or what kills a wrong one says nothing: an AssertionError, or what a check
    raised.
    """
    modules = interpreted()
    with np.errstate(all="ignore"):  # random bits are added beyond 2^64
        for check in {check for some in CHECKS.values() for check in some}:
            check(modules)


def judge_kernels(chosen: Iterable[Mutant] | None = None) -> list[KernelOutcome]:
    """All wrong kernels, or some, once the right ones pass. Cost: about 20 ms for each."""
    hold_as_they_are()
    every, found = list(every_mutant() if chosen is None else chosen), []
    with bar(len(every), "wrong kernels", unit="kernel") as shown:
        for mutant in every:
            found.append(judge_kernel(mutant))
            shown.update()
    return found


def table_of_kernels(outcomes: list[KernelOutcome]) -> list[str]:
    """How many wrong kernels of each module are caught, and by which checks."""
    lines = [f"{'kernels':<16}{'wrong':>7}{'caught':>8}{'same':>6}   by"]
    for module in dict.fromkeys(o.mutant.module for o in outcomes):
        some = [o for o in outcomes if o.mutant.module == module]
        same = sum(bool(o.why_equivalent) for o in some)
        by = {check: sum(o.killed_by == check for o in some) for check in dict.fromkeys(o.killed_by for o in some if o.killed_by)}
        said = ", ".join(f"{check} {count}" for check, count in by.items())
        lines.append(f"{module:<16}{len(some) - same:>7}{sum(bool(o.killed_by) for o in some):>8}{same or '-':>6}   {said}")
    return lines


def kernels_to_dict(outcomes: list[KernelOutcome]) -> list[dict[str, Any]]:
    """Plain values."""
    return [{"mutant": str(o.mutant), **{key: value for key, value in vars(o).items() if key != "mutant"}} for o in outcomes]
