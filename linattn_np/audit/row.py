"""A row of a report: one comparison with its verdict, and the three verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsInt

OK, WRONG, CANNOT_JUDGE = "ok", "WRONG", "CANNOT JUDGE"
STATUS = {OK: 0, WRONG: 1, CANNOT_JUDGE: 2}  # exit status of the command


@dataclass(frozen=True)
class Row:
    """One comparison: ``got`` against ``reference``, the ``error`` between them and the ``tolerance`` it had to keep."""

    check: str
    quantity: str
    got: float | None
    reference: float | None
    error: float | None
    tolerance: float | None
    verdict: str
    note: str = ""
    equation: str = ""  # derivation number of the line, such as "2.12"

    @property
    def label(self) -> str:
        """The quantity with its derivation number: ``1.dZ_reader (2.12)``."""
        return f"{self.quantity} ({self.equation})" if self.equation else self.quantity

    def cells(self) -> tuple[str, ...]:
        """The row as seven short strings."""
        numbers = (_short(self.got, 2), _short(self.reference, 2), _short(self.error, 1), _short(self.tolerance, 0))
        return (self.check, self.label, *numbers, self.verdict)


def place(index: Sequence[SupportsInt]) -> str:
    """An entry's index in words: ``[1, 0, 2]``; empty for the only entry of a number."""
    return "[" + ", ".join(str(int(i)) for i in index) + "]" if len(index) else ""


def _short(value: float | None, digits: int) -> str:
    """A number for the table; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}e}"
