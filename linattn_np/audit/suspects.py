"""Which functions in a reader's code let no complex step pass: read from the code, for the messages."""

from collections.abc import Callable
from typing import Any

NOT_ANALYTIC = (
    *("abs", "absolute", "fabs", "hypot", "vdot", "norm", "conj", "conjugate", "real", "imag", "angle", "float", "float64"),
    *("sign", "heaviside", "round", "floor", "ceil", "rint", "svd", "slogdet", "eigh", "eigvalsh", "cholesky", "math"),
)


def suspects(function: Callable, depth: int = 4) -> list[str]:
    """Names in the code of a function, and of functions it calls, that have no complex derivative."""
    found: list[str] = []
    seen: list[Any] = []

    def visit(item: Any, level: int) -> None:
        item = getattr(item, "__wrapped__", getattr(item, "func", getattr(item, "__func__", item)))
        code = getattr(item, "__code__", None)
        if code is None or code in seen or level > depth:
            return
        seen.append(code)
        names = list(code.co_names)
        for constant in code.co_consts:
            if hasattr(constant, "co_names"):
                names += constant.co_names
        found.extend(name for name in names if name in NOT_ANALYTIC and name not in found)
        reach = item.__globals__
        inside = [reach[name] for name in names if name in reach]
        for cell in item.__closure__ or ():
            try:
                inside.append(cell.cell_contents)
            except ValueError:  # a name that is not bound yet
                continue
        for other in inside:
            visit(other, level + 1)

    visit(function, 0)
    return found
