"""``lessons grade FOLDER``: run every handed-in notebook in a process of its own and write grades.csv.

A student is a folder in FOLDER, with as many notebooks as wanted, or a notebook in FOLDER itself. Which lesson a notebook belongs
to is read off its first cell. An exercise counts its level, a question of the exit ticket one point; what is not right counts
nothing.
"""

import csv
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from ..progress import bar
from .execute import environment
from .points import points
from .sources import NUMBER, Lesson, read_source

TITLE = re.compile(rf"^# Lesson ({NUMBER})\.", re.M)
HEAD = ("student", "lesson", "points", "of", "right", "not right", "remark")


class Grade(NamedTuple):
    """A row: what one student's notebook is worth."""

    student: str
    lesson: str
    points: int
    of: int
    right: list[str]
    not_right: list[str]
    remark: str  # why nothing could be judged

    @property
    def row(self) -> tuple[object, ...]:
        """The cells of the table."""
        return (*self[:4], " ".join(self.right), " ".join(self.not_right), self.remark)


def handed_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """(student, notebook), in order. Raises ValueError where there is none."""
    found = [(path.stem, path) for path in sorted(folder.glob("*.ipynb"))]
    found += [(path.parent.name, path) for path in sorted(folder.glob("*/*.ipynb"))]
    if not found:
        raise ValueError(f"FOLDER: expected notebooks in {folder} or in a folder for each student there, got none")
    yield from found


def grade_all(folder: Path, lessons: Sequence[Lesson], seconds: float, workers: int, progress: bool | None = None) -> list[Grade]:
    """Grade every notebook of a folder, ``workers`` at a time, each within ``seconds``."""
    known = {lesson.number: lesson for lesson in lessons}
    waiting = list(handed_in(folder))
    with bar(len(waiting), "notebooks", progress, unit="notebook") as shown, ThreadPoolExecutor(workers) as pool:

        def one(job: tuple[str, Path]) -> Grade:
            found = grade_one(*job, known, seconds)
            shown.update()
            return found

        return list(pool.map(one, waiting))


def grade_one(student: str, notebook: Path, known: dict[str, Lesson], seconds: float) -> Grade:
    """Grade one notebook. What is no notebook of a lesson, takes too long or ends its process gets a remark and no points."""
    lesson = lesson_of(notebook)
    if lesson not in known:
        return Grade(student, lesson, 0, 0, [], [], f"{notebook.name}: not the notebook of a lesson")
    worth = points(read_source(known[lesson].source))
    try:
        found = run_apart(known[lesson].source, notebook, seconds)
    except subprocess.TimeoutExpired:
        return Grade(student, lesson, 0, sum(worth.values()), [], list(worth), f"stopped after {seconds:g} s")
    except ValueError as error:
        return Grade(student, lesson, 0, sum(worth.values()), [], list(worth), str(error))
    right = [id for id in worth if found.get(id)]
    return Grade(
        student, lesson, sum(worth[id] for id in right), sum(worth.values()), right, [id for id in worth if id not in right], ""
    )


def lesson_of(notebook: Path) -> str:
    """The number in a notebook's title; "" where it has none or is no notebook."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        found = TITLE.search("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"))
    except (ValueError, KeyError, TypeError, OSError):
        return ""
    return found[1] if found else ""


def run_apart(source: Path, notebook: Path, seconds: float) -> dict[str, bool]:
    """{exercise: right} from ``graded.py`` in a process of its own, in an empty folder. Raises ValueError, or TimeoutExpired."""
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-m", f"{__package__}.graded", str(source.resolve()), str(notebook.resolve())]
        env = {**environment("smoke"), "IPYTHONDIR": empty, "LINATTN_STRICT": "0"}
        done = subprocess.run(
            command, cwd=empty, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds
        )
    try:
        found = json.loads(done.stdout.splitlines()[-1])
        if done.returncode == 0 and isinstance(found, dict):
            return found
    except (ValueError, IndexError):
        pass
    said = done.stderr.strip().splitlines()
    raise ValueError(f"ended with status {done.returncode}{f': {said[-1][:200]}' if said else ''}")


def as_csv(found: Sequence[Grade]) -> str:
    """The table, a row for each notebook."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEAD, *(grade.row for grade in found)])
    return text.getvalue()
