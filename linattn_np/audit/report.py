"""What an audit found: rows, one verdict, and four ways to look at them (text, HTML, dictionary, picture)."""

import html
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .known_mistakes import UNEXPLAINED
from .patterns import STARTS
from .picture import draw
from .row import CANNOT_JUDGE, OK, WRONG, Row
from .subject import bare, gradient_of
from .trust import COMPLEX

COLUMNS = ("check", "quantity", "got", "reference", "error", "limit", "verdict")
WIDTHS = (8, 21, 9, 9, 7, 5, 12)  # 77 characters with the blanks between


@dataclass
class Report:
    """The result of one audit. ``.ok`` and ``.verdict`` answer, ``.rows`` tell why, ``.first_wrong`` is where to look."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    taylor: list[dict[str, Any]] = field(default_factory=list)  # the Taylor remainders behind the slopes, for the picture
    point: dict = field(default_factory=dict)
    oracle: str = COMPLEX  # what the gradient was held against: "complex step", or "differences" for some arrays or all
    names: list[str] = field(default_factory=list)  # the arrays of theta

    @property
    def verdict(self) -> str:
        """WRONG if any row is wrong, else CANNOT JUDGE if any row says so (or there is none), else ok."""
        return worst([row.verdict for row in self.rows] or [CANNOT_JUDGE])

    @property
    def arrays(self) -> dict[str, str]:
        """The verdict of each array of theta by its name (``W`` or ``dW``): the worst of the rows that are about it."""
        found = Verdicts()
        everything = [row.verdict for row in self.rows if row.check == "oracle" and row.verdict == CANNOT_JUDGE]
        for name in self.names:
            own = (name, gradient_of(name), f"all of {gradient_of(name)}")
            rows = [row.verdict for row in self.rows if row.quantity in own] + everything
            judged = [row for row in self.rows if row.quantity == gradient_of(name)]
            found[name] = worst(rows if judged else [*rows, CANNOT_JUDGE])
        return found

    @property
    def ok(self) -> bool:
        """Whether every check was made and passed."""
        return self.verdict == OK

    @property
    def first_wrong(self) -> Row | None:
        """The first wrong row: a function that gives another answer twice, a probed line in backward order, a quantity whose
        slip is known, any other. None when all is well."""
        wrong = [row for row in self.rows if row.verdict == WRONG]
        impure = [row for row in wrong if row.quantity == "same bits twice"]
        lines = [row for row in wrong if row.check == "probe"]
        quantities = [row for row in wrong if row.check == "complex"]
        known = [row for row in quantities if not row.note.startswith((UNEXPLAINED, STARTS))]
        elsewhere = [row for row in wrong if row.check == "moved"]
        by_hand = [row for row in wrong if row.quantity == "H v by hand"]
        return next(iter([*impure, *lines, *known, *quantities, *elsewhere, *by_hand, *wrong]), None)

    def extend(self, rows: Iterable[Row]) -> "Report":
        """Add rows and return the report."""
        self.rows.extend(rows)
        return self

    def summary(self) -> list[str]:
        """The verdict, the first wrong line and the reasons, a line each."""
        lines = [f"{self.title}: {self.verdict}"]
        first = self.first_wrong
        if first:
            lines.append(f"first wrong: {first.label}" + (f", {first.note}" if first.note else ""))
            quantities = [row for row in self.rows if row.verdict == WRONG and row.note and row.check in ("complex", "second")]
            lines += [f"  {row.label}: {row.note}" for row in quantities if row is not first]
        reasons = [f"cannot judge {row.label}: {row.note}" for row in self.rows if row.verdict == CANNOT_JUDGE]
        return lines + list(dict.fromkeys(reasons)) + [f"note: {note}" for note in self.notes]

    def shown(self, every: bool = False) -> list[Row]:
        """The rows of the table: all, or of the rows that are ok only the worst of each line whatever its layer."""
        if every:
            return list(self.rows)
        kept: dict[Any, Row] = {}
        for row in self.rows:
            key = (row.check, bare(row.quantity)) if row.verdict == OK else (row.check, row.quantity, id(row))
            if key not in kept or (row.error or 0) > (kept[key].error or 0):
                kept[key] = row
        return list(kept.values())

    def table(self, every: bool = False) -> str:
        """The table as text, 77 characters wide; ``every`` shows each layer by itself."""
        lines = [_line(COLUMNS), _line(["-" * width for width in WIDTHS])]
        return "\n".join(lines + [_line(row.cells()) for row in self.shown(every)])

    def __str__(self) -> str:
        return "\n".join([self.table(), "", *wrapped(self.summary())])

    def _repr_html_(self) -> str:
        colours = {OK: "#1b7837", WRONG: "#b2182b", CANNOT_JUDGE: "#8c510a"}
        head = "".join(f"<th>{name}</th>" for name in COLUMNS)
        body = ""
        for row in self.shown():
            *cells, verdict = (html.escape(cell) for cell in row.cells())
            tip = html.escape(row.note, quote=True)
            body += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells)
            body += f'<td title="{tip}" style="color:{colours[row.verdict]}"><b>{verdict}</b></td></tr>'
        said = "<br>".join(html.escape(line) for line in self.summary())
        return f"<div><p>{said}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, strings and lists, ready for ``json.dumps``."""
        first = self.first_wrong
        return {
            "title": self.title,
            "verdict": self.verdict,
            "ok": self.ok,
            "first_wrong": first and first.label,
            "oracle": self.oracle,
            "arrays": dict(self.arrays),
            "point": dict(self.point),
            "rows": [_plain(vars(row)) for row in self.rows],
            "notes": list(self.notes),
            "taylor": [_plain(line) for line in self.taylor],
        }

    def plot(self, axes: Any = None) -> Any:
        """Taylor remainders with their guide lines, and the error of each line against its limit. -> the two axes."""
        return draw(self, axes)


class Verdicts(dict):
    """Verdicts by the name of an array; the name of its gradient finds it too."""

    def __missing__(self, name: str) -> str:
        for key in self:
            if gradient_of(key) == name:
                return self[key]
        raise KeyError(name)


def worst(verdicts: list[str]) -> str:
    """WRONG beats CANNOT JUDGE, which beats ok."""
    return max(verdicts, key=(OK, CANNOT_JUDGE, WRONG).index)


def _plain(entries: Any) -> Any:
    """Numbers that JSON can hold: NaN and infinity become None, NumPy scalars Python's."""
    if isinstance(entries, dict):
        return {key: _plain(value) for key, value in entries.items()}
    if isinstance(entries, list | tuple):
        return [_plain(value) for value in entries]
    if isinstance(entries, str) or entries is None:
        return entries
    number = float(entries)
    if number != number or number in (float("inf"), float("-inf")):
        return None
    return int(number) if isinstance(entries, int) else number


def _line(cells: Sequence[str]) -> str:
    """One line of the table. Names are at the left, numbers at the right; a name too long is cut in the middle."""
    out = []
    for cell, width, name in zip(cells, WIDTHS, COLUMNS, strict=True):
        if len(cell) > width:
            cell = f"{cell[: width - 10]}..{cell[-8:]}"
        out.append(cell.rjust(width) if name in ("got", "reference", "error", "limit") else cell.ljust(width))
    return " ".join(out).rstrip()


def wrapped(lines: Iterable[str], width: int = 78) -> list[str]:
    """The lines broken at blanks so that none is longer than ``width``."""
    return [part for line in lines for part in textwrap.wrap(line, width, subsequent_indent="    ", break_on_hyphens=False)]
