"""The lines of a derivation, read from the source: the name that ``mark`` gives, the number beside it, its formula.

Nothing is kept twice. The number stands in the comment of the marked line, the formula in the docstring of the module.
"""

import ast
import inspect
import re
from types import ModuleType

from .subject import Line

NUMBER = re.compile(r"\((\d+[a-z]?\.\d+)\)")


def formulas(docstring: str | None) -> dict[str, str]:
    """{"2.12": "dZ += dA Z Q, reader"} from the table in a module's docstring; tables of several columns are understood."""
    found: dict[str, str] = {}
    for text in (docstring or "").splitlines():
        for number, says in re.findall(r"\((\d+[a-z]?\.\d+)\)\s+(.+?)(?=\s{2,}\(\d+[a-z]?\.\d+\)|\s*$)", text):
            found.setdefault(number, ", ".join(re.split(r"\s{2,}", re.sub(r"\s+=", " =", says.strip()))))
    return found


def derivation(module: ModuleType, function: str | None = None, source: str | None = None) -> dict[str, Line]:
    """The marked lines of a module (or of one function of it) as {name: Line}, in the order of the source."""
    source = source_of(module) if source is None else source
    table, text = formulas(module.__doc__), source.splitlines()
    lines: dict[str, Line] = {}
    tree: ast.AST = ast.parse(source)
    if function:
        tree = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "mark" and len(node.args) == 2):
            continue
        if not isinstance(node.args[0], ast.Constant):
            continue
        name, found = str(node.args[0].value), NUMBER.search(_comment(text, node.lineno))
        number = found.group(1) if found else ""
        code = ast.get_source_segment(source, node.args[1]) or ""
        lines[name] = Line(name, number, table.get(number, f"{name} = {code}"), code)
    return lines


def source_of(module: ModuleType) -> str:
    """The source text of a module; a mutated one carries its own."""
    return getattr(module, "__mutated__", None) or inspect.getsource(module)


def _comment(text: list[str], lineno: int) -> str:
    """The comment of a line; when it has no number, the comment in the line above, which announces it."""
    own = text[lineno - 1].partition("#")[2]
    above = text[lineno - 2].strip() if lineno >= 2 else ""
    return own if NUMBER.search(own) or not above.startswith("#") else above
