"""Handouts: a lesson with its solutions cut to stubs and its outputs cleared, which installs what it needs.

Nothing pairs it with the source.
"""

import ast
import copy
import re

from .links import badges, install_cell
from .sources import Notebook

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = 'raise NotImplementedError("your answer")'
FOLDED = re.compile(rf"<!-- {BEGIN} -->.*?<!-- {END} -->", re.S)


def to_handout(notebook: Notebook, file: str = "") -> Notebook:
    """A copy of a notebook for students, after its card a cell that installs the course. Raises ValueError where a solution's
    markers do not fit.

    ``file`` is the name that it will have: links to open it go by that, where the repository's address is known.
    """
    import nbformat

    handout = copy.deepcopy(notebook)
    handout.metadata.pop("jupytext", None)
    for at, cell in enumerate(handout.cells):
        cell.metadata.clear()
        try:
            cell.source = cut_code(cell.source) if cell.cell_type == "code" else cut_prose(cell.source)
        except ValueError as error:
            raise ValueError(f"cell {at}: {error}") from None
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    if file and (links := badges(file)):
        handout.cells[0].source += f"\n\n{links}"
    handout.cells.insert(1, nbformat.v4.new_code_cell(install_cell(), id="install"))
    return handout


def cut_prose(text: str) -> str:
    """Markdown without what stands between the markers, which are HTML comments there."""
    text = FOLDED.sub("*Your answer:*", text)
    if BEGIN in text or END in text:
        raise ValueError(f"expected <!-- {BEGIN} --> before <!-- {END} -->, in pairs")
    return text


def cut_code(code: str) -> str:
    """Code with each solution replaced by its stub.

    Inside a function the stub raises NotImplementedError; at the top of a cell, where that would stop the notebook, each name
    that the solution assigns is set to ``...``, which ``check`` takes for "not attempted".
    """
    out: list[str] = []
    solution: list[str] | None = None
    for line in code.splitlines():
        mark = line.strip()
        if mark == BEGIN:
            if solution is not None:
                raise ValueError(f"expected {END}, got a second {BEGIN}")
            solution, indent = [], line[: len(line) - len(line.lstrip())]
        elif mark == END:
            if solution is None:
                raise ValueError(f"expected {BEGIN}, got {END}")
            out += [f"{indent}{STUB}"] if indent else [f"{name} = ..." for name in assigned("\n".join(solution))]
            solution = None
        else:
            (out if solution is None else solution).append(line)
    if solution is not None:
        raise ValueError(f"expected {END} before the cell ends")
    return "\n".join(out)


def assigned(code: str) -> list[str]:
    """The names that a solution at the top of a cell assigns; it may do nothing else."""
    names: list[str] = []
    for statement in ast.parse(code).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        found = [target.id for target in targets if isinstance(target, ast.Name)]
        if not targets or len(found) < len(targets):
            raise ValueError("a solution outside a function may only assign names; put the rest into a function")
        names += found
    return names
