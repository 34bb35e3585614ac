"""``python -m linattn_np.teaching.graded SOURCE NOTEBOOK``: run one handed-in notebook and judge its answers.

It is started by ``grade.py``, in a process of its own, for each notebook: what is in it is somebody else's code. No connection
can be opened and no program started from it; errors end a cell and not the notebook. The lesson's own checks are made, in place
of whatever stands in the student's cells, right after the cell in which the lesson has them. The last line printed is a JSON
object {exercise: right}.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from .points import checks_in
from .sources import Notebook, read_source
from .verdicts import judge

FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "subprocess.Popen", "os.system",
             "os.exec", "os.posix_spawn", "os.spawn", "os.startfile")  # fmt: skip


def refuse(event: str, _: Any) -> None:
    """An audit hook, which Python code cannot take away again: no network, no programs."""
    if event in FORBIDDEN:
        raise PermissionError(f"{event} is not allowed while a notebook is graded")


def plan(lesson: Notebook, handed_in: Notebook) -> list[tuple[str, list[tuple[str, str]]]]:
    """The student's cells in order, as (code, the lesson's checks to make after it).

    A cell is known again by its id, else by the checks in it; checks whose cell is gone are made at the end.
    """
    wanted = {cell.id: checks_in(cell) for cell in lesson.cells if checks_in(cell)}
    steps: list[tuple[str, list[tuple[str, str]]]] = []
    for cell in handed_in.cells:
        if cell.cell_type != "code":
            continue
        at = cell.get("id") if cell.get("id") in wanted else None
        if at is None:
            at = next((id for id, checks in wanted.items() if any(f'check("{name}"' in cell.source for name, _ in checks)), None)
        steps.append((cell.source, wanted.pop(at, []) if at else []))
    return [*steps, ("", [one for checks in wanted.values() for one in checks])]


def grade(lesson: Notebook, handed_in: Notebook) -> dict[str, bool]:
    """{exercise: whether the answer is right}; an answer that cannot be looked at is not."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    found = {}
    for code, checks in plan(lesson, handed_in):
        with contextlib.suppress(SystemExit):
            shell.run_cell(code)
        for id, expression in checks:
            found[id] = is_right(id, expression, shell.user_ns)
    return found


def is_right(id: str, expression: str, names: dict[str, Any]) -> bool:
    """Judge what an expression of the lesson's check is worth in the student's names."""
    try:
        return judge(id, eval(expression, names)).right
    except (Exception, SystemExit):  # whatever a student's function does, it is not right
        return False


def main(source: str, notebook: str) -> None:
    """Grade a notebook by a lesson and print {exercise: right}; what the notebook prints is dropped."""
    import matplotlib
    import nbformat

    matplotlib.use("Agg")
    lesson, handed_in = read_source(Path(source)), nbformat.read(notebook, as_version=4)
    sys.addaudithook(refuse)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        found = grade(lesson, handed_in)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
