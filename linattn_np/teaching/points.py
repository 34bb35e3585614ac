"""How many points an answer is worth: an exercise its level, a question of the exit ticket one."""

import ast
import re
from typing import Any

from .exercise import FORM
from .sources import Notebook, exercises_in


def points(notebook: Notebook) -> dict[str, int]:
    """{exercise or question: points}, in the order of the lesson's checks."""
    levels = {id: level for id, _, level, _ in exercises_in(notebook)}
    return {id: levels.get(id, 1) for cell in notebook.cells for id, _ in checks_in(cell)}


def checks_in(cell: Any) -> list[tuple[str, str]]:
    """The checks of a cell, as (exercise, the answer's expression): lines ``check("09.1", lower_r_med)``."""
    if cell.cell_type != "code" or "check(" not in cell.source:
        return []
    found = []
    for statement in ast.parse(re.sub(r"^\s*[%!].*$", "", cell.source, flags=re.M)).body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "check" and len(call.args) >= 2:
            id = call.args[0].value if isinstance(call.args[0], ast.Constant) else ""
            if isinstance(id, str) and FORM.fullmatch(id):
                found.append((id, ast.unparse(call.args[1])))
    return found
