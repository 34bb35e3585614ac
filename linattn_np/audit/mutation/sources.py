"""Kernels from their source: run interpreted at tiny sizes, with at most one place of it changed.

``interpreted()`` makes the modules of ``kernels/`` once more, as plain Python, with few prompts side by side; ``mutants`` lists
the ways in which a function can be wrong: an operator for its neighbour, an index or a bound off by one, an add dropped or
flipped, strides or branches exchanged, a statement left out, a coefficient in its last digits.
"""

import ast
import copy
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).parents[2] / "kernels"
PACKAGE = "linattn_np.kernels_interpreted"
MODULES = (
    "random_numpy",
    "draws_numpy",
    "lanes",
    "tiles",
    "random",
    "interpreter",
    "draws",
    "linear",
    "tokens",
)  # as they need each other
SMALL = {"LANES": 4, "WIDTH": 2, "TILE": 3, "FEWEST": 2, "CHUNK_BLOCKS": 2}
ALSO = {  # functions that are no kernels, and belong to them
    "tiles": ("product_tile",), "lanes": ("lanes_for",), "draws": ("law_of",),
    "random_numpy": ("next_bits", "rotated", "uniforms", "polynomial", "log", "exp", "normal_pairs", "normals", "gammas",
                     "is_taken"),
    "draws_numpy": ("prompts", "states", "blocks", "in_order", "examples", "triangle", "tokens", "in_turn"),
}  # fmt: skip
MARKS = ("compiled", "inlined")  # a kernel has one of these decorators
CONSTANTS = ("random_numpy", "random")  # modules whose numbers are kernels' too: coefficients, masks
PATIENCE = 20_000  # rounds of while loops before a function counts as one that does not end


class Endless(Exception):
    """A loop that went on and on."""


@lru_cache(maxsize=1)
def trees() -> dict[str, ast.Module]:
    """The modules' sources as trees, reduced to what can be interpreted: no Numba, small sizes, loops that give up."""
    found = {}
    for name in MODULES:
        tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
        llvm = [i for i, line in enumerate(tree.body) if isinstance(line, ast.Assign) and "ir." in ast.unparse(line)]
        tree.body = tree.body[: llvm[0]] if llvm else tree.body  # what follows is written in LLVM's language
        found[name] = ast.fix_missing_locations(_Interpretable().visit(tree))
    return found


class _Interpretable(ast.NodeTransformer):
    """Takes Numba out of a module; a kernel is marked as such."""

    def visit_Import(self, node: ast.Import) -> Any:
        return None if node.names[0].name == "numba" else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        return None if (node.module or "").split(".")[0] in ("numba", "llvmlite") else node

    def visit_Assign(self, node: ast.Assign) -> Any:
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id in SMALL:
            node.value = ast.Constant(SMALL[node.targets[0].id])
        return node

    def visit_Expr(self, node: ast.Expr) -> Any:
        return None if ast.unparse(node) == "compiling.listen()" else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        if node.name in MARKS:
            node.body = [ast.Return(ast.Name(node.args.args[0].arg, ast.Load()))]
        node.is_kernel = any(ast.unparse(mark) in MARKS for mark in node.decorator_list)  # type: ignore[attr-defined]
        for loop in ast.walk(node):
            if isinstance(loop, ast.While):
                loop.body.insert(0, ast.parse("patience()").body[0])
        return node


@lru_cache(maxsize=len(MODULES))
def _code(name: str) -> Any:
    return compile(trees()[name], f"<{name}, interpreted>", "exec")


def interpreted(name: str = "", tree: ast.Module | None = None) -> dict[str, ModuleType]:
    """The modules in plain Python, ``tree`` in the place of module ``name``. They take the names of an earlier call's modules."""
    package = ModuleType(PACKAGE)
    package.__path__ = [str(FOLDER)]  # what is not interpreted is loaded as it is: operations, programs, threads
    for each in [each for each in sys.modules if each.startswith(PACKAGE + ".") and each.rpartition(".")[2] in MODULES]:
        del sys.modules[each]
    sys.modules[PACKAGE] = package
    left = [PATIENCE]

    def patience() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Endless

    made: dict[str, ModuleType] = {}
    for each in MODULES:
        spec = importlib.util.spec_from_loader(f"{PACKAGE}.{each}", None)
        made[each] = module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        module.__package__, module.__file__ = PACKAGE, str(FOLDER / f"{each}.py")
        module.__dict__.update(patience=patience)
        sys.modules[module.__name__] = module
        setattr(package, each, module)
        code = compile(tree, f"<{each}, changed>", "exec") if each == name and tree is not None else _code(each)
        exec(code, module.__dict__)
    return made


# ---------------------------------------------------------------- one place changed


@dataclass(frozen=True)
class Mutant:
    """A module with one place changed: which statement of the module, which node of it, in which way."""

    module: str
    function: str  # "" for a number at the module's top
    statement: int
    node: int
    way: int

    def tree(self) -> ast.Module:
        """The changed module."""
        body = list(trees()[self.module].body)
        body[self.statement] = copy.deepcopy(body[self.statement])
        changes(places(body[self.statement])[self.node])[self.way]()
        return ast.fix_missing_locations(ast.Module(body, []))

    @property
    def said(self) -> str:
        """The change as lines of the source: before -> after."""
        before, after = (ast.unparse(tree.body[self.statement]).splitlines() for tree in (trees()[self.module], self.tree()))
        parts = [each for each in SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if each[0] != "equal"]
        left = "; ".join(line.strip() for _, i, j, _, _ in parts for line in before[i:j])
        right = "; ".join(line.strip() for _, _, _, k, l in parts for line in after[k:l])
        return f"{left}  ->  {right}"

    def __str__(self) -> str:
        return f"{self.module}.{self.function or 'constants'}: {self.said}"


OPERATORS: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Add,), ast.Div: (ast.Mult,), ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.Add,),
    ast.LShift: (ast.RShift,), ast.RShift: (ast.LShift,), ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitOr,),
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt,), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt,), ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.And: (ast.Or,), ast.Or: (ast.And,), ast.USub: (ast.UAdd,),
}  # fmt: skip
STRIDES = {f"{matrix}_{axis}": f"{matrix}_{other}" for matrix in "ABC" for axis, other in (("ROW", "COLUMN"), ("COLUMN", "ROW"))}
EXCHANGED = {**STRIDES, "ROWS": "COLUMNS", "COLUMNS": "ROWS", "tall": "wide", "wide": "tall", "FULL": "ONE", "ONE": "FULL"}


def places(top: ast.AST) -> list[ast.AST]:
    """The nodes of a statement at which something can be wrong; of a function, those of its body."""
    return list(ast.walk(ast.Module(top.body, []) if isinstance(top, ast.FunctionDef) else top))


def mutants(name: str) -> list[Mutant]:
    """Every way in which a kernel of a module, or a number at its top, can be wrong."""
    found = []
    for statement, top in enumerate(trees()[name].body):
        function = top.name if isinstance(top, ast.FunctionDef) else ""
        if function and not (function in ALSO.get(name, ()) or top.is_kernel):  # type: ignore[attr-defined]
            continue
        if not function and not (name in CONSTANTS and isinstance(top, ast.Assign) and _has_numbers(top)):
            continue
        for index, node in enumerate(places(top)):
            found += [Mutant(name, function, statement, index, way) for way in range(len(changes(node)))]
    return found


def changes(node: ast.AST) -> list[Callable[[], None]]:
    """What can be wrong at one node: functions that make it so."""
    found: list[Callable[[], None]] = []

    def other(owner: Any, field: str, value: Any) -> None:
        found.append(lambda: setattr(owner, field, value))

    if isinstance(node, ast.BinOp | ast.AugAssign | ast.UnaryOp | ast.BoolOp):
        for operator in OPERATORS.get(type(node.op), ()):
            other(node, "op", operator())
    elif isinstance(node, ast.Compare):
        for operator in OPERATORS.get(type(node.ops[0]), ()):
            other(node, "ops", [operator(), *node.ops[1:]])
    elif isinstance(node, ast.IfExp):
        found.append(lambda: node.__dict__.update(body=node.orelse, orelse=node.body))
    elif isinstance(node, ast.Name) and node.id in EXCHANGED:
        other(node, "id", EXCHANGED[node.id])
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        other(node, "value", node.value + 1 if isinstance(node.value, int) else node.value * (1 + 1e-9) if node.value else 1e-9)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        last = min(1, len(node.args) - 1)
        other(node, "args", [_moved(arg, ast.Sub()) if i == last else arg for i, arg in enumerate(node.args)])
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        for i, index in enumerate(node.slice.elts):
            if isinstance(index, ast.Name | ast.BinOp):
                other(node.slice, "elts", [_moved(each, ast.Add()) if j == i else each for j, each in enumerate(node.slice.elts)])
    for i, line in enumerate(getattr(node, "body", ()) if isinstance(node, ast.stmt | ast.Module) else ()):
        body = node.body  # type: ignore[attr-defined]
        if isinstance(line, ast.AugAssign):
            plain = ast.Assign([line.target], line.value)
            found.append(lambda i=i, plain=plain, body=body: body.__setitem__(i, plain))  # type: ignore[misc]
        writes = isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Subscript)
        called = isinstance(line, ast.Expr) and isinstance(line.value, ast.Call) and ast.unparse(line) != "patience()"
        if writes or isinstance(line, ast.AugAssign) or called:
            found.append(lambda i=i, body=body: body.__setitem__(i, ast.Pass()))  # type: ignore[misc]
    return found


def _moved(node: ast.expr, operator: ast.operator) -> ast.expr:
    return ast.BinOp(node, operator, ast.Constant(1))


def _has_numbers(line: ast.Assign) -> bool:
    return any(isinstance(node, ast.Constant) and type(node.value) in (int, float) for node in ast.walk(line.value))
