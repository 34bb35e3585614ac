"""What holds for the whole package: no automatic differentiation, imports that go down, tests that assert, docstrings."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import linattn_np as la

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "linattn_np").rglob("*.py"))


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_automatic_differentiation(path):
    forbidden = {"torch", "jax", "tensorflow", "autograd", "sympy", "casadi", "theano", "aesara", "pytensor", "mxnet", "tinygrad"}
    assert not {name.split(".")[0] for name in imported(ast.parse(path.read_text(encoding="utf-8")))} & forbidden


@pytest.mark.parametrize("path", sorted((ROOT / "tests").glob("test_*.py")), ids=lambda p: p.name)
def test_every_test_asserts(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            kinds = ast.dump(node)
            assert "Assert(" in kinds or "attr='raises'" in kinds or "attr='fail'" in kinds, (
                f"{path.name}: {node.name} asserts nothing"
            )


def test_import_is_light():
    code = (
        "import sys, linattn_np; print(sorted({'numpy', 'numba', 'matplotlib', 'IPython', 'scipy', 'tqdm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


# ---------------------------------------------------------------- who imports whom

PACKAGE = ROOT / "linattn_np"
FLOORS = (  # an import goes down, or stays on its floor
    ("", "_types", "_checks"),  # "" is the package itself, which imports nothing before a name is used
    ("layers", "prompts", "batches", "optimizers", "plotting", "progress", "endings"),
    ("kernels",),
    ("models",),
    ("measures", "training"),
    ("audit",),
    ("experiments",),
    ("teaching",),
    ("bench", "__main__"),
)
TREES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES}


def runs(tree):
    """Every node of a module that is executed at some time: all but what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from runs(node)


def imports(name, source, modules):
    """The modules of the package that a module's source imports, at the top or inside functions, by ``import`` or import_module.

    Whoever imports a.b.c runs the ``__init__`` of a and of a.b before, unless it stands inside them itself.
    """
    package = name if modules[name].name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in runs(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in modules else base for a in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            said = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
            found.add(package + said if said.startswith(".") else said)
    inside = {".".join(name.split(".")[:i]) for i in range(1, name.count(".") + 2)}
    above = {".".join(each.split(".")[:i]) for each in found for i in range(1, each.count(".") + 1)}
    return ((found | (above - inside)) & set(modules)) - {name}


def circle(graph):
    """A list of modules that import each other in a circle, the first one repeated at the end; empty when there is none."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        path.append(name)
        for each in sorted(graph[name]):
            if found := visit(each):
                return found
        done.add(path.pop())
        return []

    for name in sorted(graph):
        if found := visit(name):
            return found
    return []


def import_graph():
    return {name: imports(name, path.read_text(encoding="utf-8"), TREES) for name, path in TREES.items()}


def floor(name):
    top = f"{name}.".split(".")[1]
    return next(i for i, names in enumerate(FLOORS) if top in names)


def test_no_module_imports_itself_through_others():
    assert " -> ".join(circle(import_graph())) == ""


def test_imports_go_down():
    graph = import_graph()
    up = [f"{name} imports {each}" for name in graph for each in sorted(graph[name]) if floor(each) > floor(name)]
    assert up == []
    assert graph["linattn_np"] == set()


def test_a_circle_is_found_and_named_however_it_is_closed():
    paths = {"p": Path("p/__init__.py"), "p.q": Path("p/q/__init__.py"), "p.a": Path("p/a.py"), "p.q.b": Path("p/q/b.py")}
    sources = {"p": "", "p.q": "", "p.a": "from .q import b", "p.q.b": "x = 1"}

    def closed_by(name, source):
        return circle({each: imports(each, {**sources, name: source}[each], paths) for each in paths})

    assert closed_by("p.q.b", "x = 1") == []
    for source in (
        "from .. import a",
        "from ..a import f",
        "import p.a",
        "def f():\n    from ..a import g",
        "def f():\n    if 1:\n        import p.a as a",
        "from importlib import import_module\ndef f():\n    return import_module('p.a')",
    ):
        assert closed_by("p.q.b", source) == ["p.a", "p.q.b", "p.a"], source
    assert closed_by("p.q", "from .. import a") == ["p.a", "p.q", "p.a"]  # b lies in q, whose __init__ runs first
    assert closed_by("p.q.b", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .. import a") == []
    assert closed_by("p.q", "from .b import x") == []


def test_a_reader_who_opens_the_package_sees_few_names():
    names = [path.name for path in PACKAGE.iterdir() if path.is_file()]
    assert len(names) <= 12, sorted(names)


# ---------------------------------------------------------------- the import and its names


def test_the_example_in_the_package_docstring_runs():
    import doctest

    results = doctest.testmod(la)
    assert results.attempted >= 5 and results.failed == 0


def test_what_the_package_names_has_docstrings():
    for name in la.__all__:
        assert getattr(la, name).__doc__, f"{name} has no docstring"


def undocumented(tree, promised=frozenset()):
    """Public functions, classes and methods without a docstring; a method may rest on another class that documents it."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    if not ast.get_docstring(tree):
        yield "the module"
    for node in tree.body:
        if isinstance(node, functions | ast.ClassDef) and not node.name.startswith("_"):
            overload = any(ast.unparse(each) == "overload" for each in node.decorator_list)  # the types of one case, no function
            if not ast.get_docstring(node) and not overload:
                yield node.name
            for each in node.body if isinstance(node, ast.ClassDef) else ():
                public = isinstance(each, functions) and not each.name.startswith("_")
                if public and not ast.get_docstring(each) and each.name not in promised and not inherits_from_elsewhere(node):
                    yield f"{node.name}.{each.name}"


def inherits_from_elsewhere(node):
    """Whether a base class stands outside the package, whose own documentation says what its methods do: an Executor."""
    return any(ast.unparse(base) in ("Executor", "Listener", "event.Listener") for base in node.bases)


def promises(trees):
    """The names of all methods that some class documents."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {each.name for node in classes for each in node.body if isinstance(each, ast.FunctionDef) and ast.get_docstring(each)}


def test_all_that_is_public_has_a_docstring():
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in TREES.items()}
    promised = promises(trees.values())
    missing = [
        f"{name}: {each}" for name, tree in trees.items() if ".exercises." not in name for each in undocumented(tree, promised)
    ]
    assert missing == []


def test_a_missing_docstring_is_found():
    source = (
        "def f():\n    pass\nclass C:\n    'c'\n    def g(self):\n        pass\nclass D(C):\n    'd'\n    def g(self):\n        "
        "pass\n"
    )
    assert list(undocumented(ast.parse(source))) == ["the module", "f", "C.g", "D.g"]
    assert list(undocumented(ast.parse(source), {"g"})) == ["the module", "f"]
