"""Every public function and method of the package says in its signature what it takes and what it gives back."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "linattn_np"
MODULES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py"))
FREE = ("teaching/exercises/lesson_",)  # answers, right and wrong: an exercise names their arguments
NOT_YET: tuple[str, ...] = ()  # nothing is left out


def public_functions(tree):
    """(name, node, whether it is a method) of what a reader may call: module level and methods of classes, nothing private."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node, False
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and (not inner.name.startswith("_") or inner.name == "__init__"):
                    yield f"{node.name}.{inner.name}", inner, True


def untyped(text):
    """The public functions of a module's text that leave an argument or the result without a type."""
    found = []
    for name, node, method in public_functions(ast.parse(text)):
        if any(isinstance(mark, ast.Name) and mark.id in ("compiled", "inlined") for mark in node.decorator_list):
            continue  # Numba infers the types of what it compiles
        taken = node.args
        plain = [*taken.posonlyargs, *taken.args]
        static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in node.decorator_list)
        plain = plain[1:] if method and not static else plain
        every = [*plain, *taken.kwonlyargs, *filter(None, (taken.vararg, taken.kwarg))]
        without = [argument.arg for argument in every if argument.annotation is None]
        if node.returns is None:
            without.append("the result")
        found += [f"line {node.lineno}, {name}: {', '.join(without)}"] * bool(without)
    return found


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith(FREE + NOT_YET)])
def test_signatures_are_typed(module):
    assert untyped((ROOT / module).read_text(encoding="utf-8")) == []


def test_a_signature_without_types_is_found():
    text = """
def right(a: int, *rest: int, b: str = "") -> None: ...
def result(a: int): ...
def argument(a, *, b: int) -> None: ...
def extra(*rest, **named) -> None: ...
def _private(a): ...
@compiled
def kernel(a): ...
class Thing:
    def __init__(self, a) -> None: ...
    def method(self, a: int): ...
    @staticmethod
    def free(a) -> int: ...
"""
    said = [line.split(", ", 1)[1] for line in untyped(text)]
    assert said == [
        "result: the result", "argument: a", "extra: rest, named", "Thing.__init__: a", "Thing.method: the result",
        "Thing.free: a",
    ]  # fmt: skip
