"""What holds for the whole package: no automatic differentiation, true shape comments, tests that assert, light imports."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from points import LAYERS, layer_point, like, like_all

import linattn_np as la
from linattn_np.layers.general_attention import GeneralAttention

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "linattn_np").rglob("*.py"))
SIZES = {"B": 7, "H": 2, "n": 11, "N": 12, "D": 5, "d": 4, "1": 1, "k": 5}  # of points.layer_point


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_automatic_differentiation(path):
    forbidden = {"torch", "jax", "tensorflow", "autograd", "sympy", "casadi", "theano", "aesara", "pytensor", "mxnet", "tinygrad"}
    assert not {name.split(".")[0] for name in imported(ast.parse(path.read_text()))} & forbidden


@pytest.mark.parametrize("path", sorted((ROOT / "tests").glob("test_*.py")), ids=lambda p: p.name)
def test_every_test_asserts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            kinds = ast.dump(node)
            assert "Assert(" in kinds or "attr='raises'" in kinds or "attr='fail'" in kinds, (
                f"{path.name}: {node.name} asserts nothing"
            )


def test_import_is_light():
    code = (
        "import sys, time; start = time.perf_counter(); import numpy; between = time.perf_counter(); import linattn_np;"
        "mine = time.perf_counter() - between; heavy = {'numba', 'matplotlib', 'IPython', 'scipy'} & set(sys.modules);"
        "print(sorted(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_example_in_the_package_docstring_runs():
    import doctest

    results = doctest.testmod(la)
    assert results.attempted >= 5 and results.failed == 0


def test_public_functions_have_docstrings():
    for name in la.__all__:
        assert getattr(la, name).__doc__, f"{name} has no docstring"


# ---------------------------------------------------------------- shape comments


def claims(function):
    """{line number: (names made there, sizes its comment claims)} of a function's lines that end in '# (B, N, D) ..'."""
    found, source = {}, Path(function.__code__.co_filename).read_text().splitlines()
    for node in ast.walk(ast.parse("\n".join(source))):
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            for statement in node.body:
                comment = re.search(r"#\s*\(((?:\w+, ?)+\w*)\)", source[statement.end_lineno - 1])
                if isinstance(statement, ast.Assign) and comment:
                    target = statement.targets[0]
                    names = [
                        n.id for n in (target.elts if isinstance(target, ast.Tuple) else [target]) if isinstance(n, ast.Name)
                    ]
                    found[statement.lineno] = names, [part.strip() for part in comment[1].split(",") if part.strip()]
    return found


def wrong_shapes(function, *arguments):
    """Run the function and compare every claimed shape, right after its line; -> (claims met, complaints)."""
    wanted, complaints, met = claims(function), [], set()
    pending = []

    def settle(frame):
        while pending:
            line = pending.pop()
            names, symbols = wanted[line]
            for name in names:
                if not isinstance(frame.f_locals[name], np.ndarray):
                    continue  # a tape beside the array that the comment speaks of
                met.add((line, name))
                shape, claimed = frame.f_locals[name].shape, tuple(SIZES[s] for s in symbols)
                if shape != claimed:
                    complaints.append(f"{function.__module__}:{line} {name} is {shape}, the comment claims {claimed}")

    def tracer(frame, event, _):
        if frame.f_code is not function.__code__:
            return None
        settle(frame)
        if event == "line" and frame.f_lineno in wanted:
            pending.append(frame.f_lineno)
        return tracer

    sys.settrace(tracer)
    try:
        result = function(*arguments)
    finally:
        sys.settrace(None)
    return result, met, complaints


@pytest.mark.parametrize("name", [name for name in LAYERS if not isinstance(LAYERS[name], GeneralAttention)])
def test_shape_comments_are_true(name):
    layer = LAYERS[name]
    X, weights, normal = layer_point(name)
    (out, tape), met, complaints = wrong_shapes(layer.forward, X, *weights)
    dout, hout = like(out, normal), like(out, normal)
    _, more, wrong = wrong_shapes(layer.backward, dout, tape)
    (_, vtape), third, bad = wrong_shapes(layer.tangent, like(X, normal), *like_all(weights, normal), tape)
    _, fourth, false = wrong_shapes(layer.backward_tangent, dout, hout, tape, vtape)
    assert complaints + wrong + bad + false == []
    for function, seen in zip(
        (layer.forward, layer.backward, layer.tangent, layer.backward_tangent), (met, more, third, fourth), strict=True
    ):
        assert {line for line, _ in seen} == set(claims(function)), f"a line of {function.__name__} was not run"
    assert len(met) >= 3 and len(more) >= 5 and len(third) >= 3 and len(fourth) >= 3


def test_a_wrong_shape_comment_is_caught(tmp_path):
    module = tmp_path / "wrong.py"
    module.write_text("import numpy as np\n\ndef forward(Z):\n    A = Z @ Z.mT  # (B, N, D)\n    return A\n")
    namespace = {"__name__": "wrong"}
    exec(compile(module.read_text(), str(module), "exec"), namespace)
    _, met, complaints = wrong_shapes(namespace["forward"], np.zeros((SIZES["B"], SIZES["N"], SIZES["D"])))
    assert len(met) == 1 and len(complaints) == 1
