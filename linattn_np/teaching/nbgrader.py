"""A lesson as nbgrader takes it: the complete notebook, its cells marked as answers and as tests worth points.

nbgrader cuts what stands between the solution markers and the hidden tests itself (``nbgrader generate_assignment``). The student
sees the check with its hints; the hidden one, put back when the notebook is graded, raises where the answer is not right.
"""

import copy
from typing import Any

from .handout import BEGIN, cut_prose
from .points import checks_in, points
from .sources import Notebook

SCHEMA = 3


def to_nbgrader(notebook: Notebook) -> Notebook:
    """A copy of a lesson with nbgrader's metadata, outputs cleared: the instructor's version of an assignment."""
    made, worth = copy.deepcopy(notebook), points(notebook)
    made.metadata.pop("jupytext", None)
    cells = []
    for at, cell in enumerate(made.cells):
        checks = checks_in(cell)
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = cut_prose(cell.source)  # a derivation is nothing that a check can judge
        if (
            cell.cell_type == "code" and BEGIN in cell.source
        ):  # an answer; its check, where there is one, becomes a cell of its own
            cell.source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("check("))
            cell.metadata["nbgrader"] = {**marks(f"answer-{at:02d}"), "solution": True, "locked": False}
        if not checks or BEGIN in cell.source:
            cells.append(cell)
        cells += [test_of(cell, id, expression, worth[id]) for id, expression in checks]
    made.cells = cells
    return made


def test_of(cell: Any, id: str, expression: str, worth: int) -> Any:
    """The cell of one check: the one that a student sees, and the hidden one that raises."""
    name, call = f"check-{id.replace('.', '-')}", f'check("{id}", {expression}'
    test = copy.deepcopy(cell)
    test.id, test.source = name, f"{call})\n### BEGIN HIDDEN TESTS\n{call}, strict=True)\n### END HIDDEN TESTS"
    test.metadata["nbgrader"] = {**marks(name), "grade": True, "points": worth}
    return test


def marks(grade_id: str) -> dict[str, object]:
    """nbgrader's metadata of a locked cell worth nothing."""
    return {"grade": False, "grade_id": grade_id, "locked": True, "schema_version": SCHEMA, "solution": False, "task": False}
