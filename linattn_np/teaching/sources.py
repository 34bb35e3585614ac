"""A lesson on disk: its text source, the notebook paired with it, its card, its exercises and its equation numbers."""

import re
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

NUMBER = r"\d\d[a-z]?"  # a letter for what was split off: 05b comes after 05 and before 06
NAME = re.compile(rf"({NUMBER})_([a-z0-9_]+)\.py")
FORMATS = "ipynb,source//py:percent"
OPTIONAL = " (optional)"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CARD = re.compile(r"^\| *(\d+) min *\| *(\d+) min *\| *(\d+) min *\| *(\d) of 5 *\| *([\da-z, –-]+?) *\| *(\d+) *\|$", re.M)
EXERCISE = re.compile(rf"^### Exercise ({NUMBER}\.\d+) \(([a-z ]+), level ([1-5]), (\d+) min\)$", re.M)
Notebook: TypeAlias = Any  # an nbformat.NotebookNode: a dictionary whose keys are attributes too
FOLDED = re.compile(r"<details>.*?</details>", re.S)
TAG = re.compile(r"\\tag\{(\d+[a-z]?\.\d+)\}")


@dataclass(frozen=True)
class Lesson:
    """One lesson: number "02" or "05b", slug, and the two files that hold it."""

    number: str
    slug: str
    source: Path
    notebook: Path

    @property
    def name(self) -> str:
        """02_the_backward_pass"""
        return f"{self.number}_{self.slug}"

    @property
    def equations(self) -> str:
        """What its equations' numbers begin with: "2" for (2.1), "5b" for (5b.1)."""
        return self.number.lstrip("0")


@dataclass(frozen=True)
class Card:
    """What the first cell says: title, claim and misconception in a sentence each, minutes, level, what must come before."""

    title: str
    claim: str
    misconception: str
    minutes: tuple[int, ...]  # to read, to code, to run
    level: int
    needs: tuple[str, ...]
    seed: int
    optional: bool  # whether the course can do without it


def find_lessons(folder: str | Path, numbers: Iterable[str | int] = ()) -> list[Lesson]:
    """The lessons in ``folder`` with these numbers (7, 07, 5b), all when none is named. Raises ValueError for any other."""
    folder = Path(folder)
    names = [(path, NAME.fullmatch(path.name)) for path in sorted((folder / "source").glob("*.py"))]
    found = {m[1]: Lesson(m[1], m[2], path, folder / f"{path.stem}.ipynb") for path, m in names if m}
    if not found:
        raise ValueError(
            f"folder: expected lessons as {folder / 'source' / 'NN_slug.py'}, got none; run this where the repository is"
        )
    wanted = [re.sub(r"^(\d)(?!\d)", r"0\1", str(number)) for number in numbers] or list(found)
    for number in wanted:
        if number not in found:
            raise ValueError(f"NUMBER: expected one of {', '.join(found)}, got {number!r}")
    return [found[number] for number in dict.fromkeys(wanted)]


def read_source(path: Path) -> Notebook:
    """The notebook that a text source describes: cells without outputs, always the same ids. Raises ValueError."""
    import jupytext
    import nbformat

    try:
        notebook = jupytext.read(path, fmt="py:percent")
    except Exception as error:  # whatever the parser stumbles over, a teacher needs the file and one line
        raise ValueError(f"{path}: expected a notebook in percent format, and {type(error).__name__}: {error}") from error
    notebook.metadata = nbformat.from_dict(
        {"jupytext": {"cell_metadata_filter": "-all", "formats": FORMATS}, "kernelspec": KERNEL}
    )
    for at, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{at:02d}", nbformat.from_dict({})
        if "### BEGIN SOLUTION" in cell.source and cell.cell_type == "code":
            cell.metadata = nbformat.from_dict({"jupyter": {"source_hidden": True}})  # folded until the student opens it
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def prose(notebook: Notebook) -> str:
    """All markdown of a notebook."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def read_card(notebook: Notebook) -> Card:
    """The card in the first cell. Raises ValueError that says which part is missing."""
    text = notebook.cells[0].source if notebook.cells else ""
    table = CARD.search(text)
    parts = {
        "a title '# Lesson 02. ...'": re.search(rf"^# Lesson {NUMBER}\. (.+)$", text, re.M),
        "a line '**Claim.** ...'": re.search(r"^\*\*Claim\.\*\* (.+?)(?:\n\n|\Z)", text, re.M | re.S),
        "a line '**Misconception.** ...'": re.search(r"^\*\*Misconception\.\*\* (.+?)(?:\n\n|\Z)", text, re.M | re.S),
        "a row '| 20 min | 25 min | 1 min | 1 of 5 | 01, 02 | 0 |'": table,
    }
    missing = [what for what, match in parts.items() if not match]
    if table is None or missing:
        raise ValueError(f"card: expected {missing[0]} in the first cell")
    title, claim, misconception = (" ".join(match[1].split()) for match in list(parts.values())[:3] if match)
    minutes, needs = tuple(int(table[i]) for i in (1, 2, 3)), tuple(re.findall(NUMBER, table[5]))
    optional = title.endswith(OPTIONAL)
    return Card(title.removesuffix(OPTIONAL), claim, misconception, minutes, int(table[4]), needs, int(table[6]), optional)


def exercises_in(notebook: Notebook) -> list[tuple[str, str, int, int]]:
    """The exercise cards, as (id, kind, level, minutes)."""
    return [(id, kind, int(level), int(minutes)) for id, kind, level, minutes in EXERCISE.findall(prose(notebook))]


def main_line(notebook: Notebook) -> list[tuple[str, str]]:
    """What everybody reads, as (cell type, text): without what is folded, and without the parts headed '### Optional. ...'."""
    line, optional, fenced = [], False, False
    for cell in notebook.cells:
        if cell.cell_type == "code":
            line += [] if optional else [("code", cell.source)]
            continue
        kept = []
        for row in FOLDED.sub("", cell.source).splitlines():
            fenced ^= row.startswith("```")
            if not fenced and re.match(r"#{1,4} ", row):
                optional = row.startswith("### Optional.")
            kept += [] if optional else [row]
        line.append(("markdown", "\n".join(kept)))
    return line


def numbered_equations(notebook: Notebook) -> list[str]:
    """The formulas that bear a number."""
    return [formula for formula in re.findall(r"\$\$.*?\$\$", prose(notebook), re.S) if TAG.search(formula)]


def equations_in(notebook: Notebook) -> list[str]:
    """The equation numbers that the lesson sets, in order."""
    return TAG.findall(prose(notebook))


def equations_quoted(package: Path = Path(__file__).parents[1]) -> dict[str, set[str]]:
    """The equation numbers in the package's comments and docstrings, {"2.7": {"attention.py", ...}}; the course's left out."""
    quoted: dict[str, set[str]] = {}
    for path in sorted(package.rglob("*.py")):
        if "teaching" in path.relative_to(package).parts:
            continue
        with path.open("rb") as file:
            said = [
                token.string for token in tokenize.tokenize(file.readline) if token.type in (tokenize.COMMENT, tokenize.STRING)
            ]
        for number in re.findall(r"\(([1-9]\d?[a-z]?\.[1-9]\d?)\)", "\n".join(said)):
            quoted.setdefault(number, set()).add(path.name)
    return quoted
