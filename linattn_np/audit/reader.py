"""A reader's own two functions as a subject of the audit: what they may look like, and what is said when they do not."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .._types import Array
from ..layers.marks import keep
from .forms import Form, numbers
from .subject import AuditError, Line, Subject, call, copied


def reader_subject(
    forward: Callable, backward: Callable, theta: Any, hvp: Callable | None, equations: dict | None, title: str
) -> Subject:
    """The :class:`Subject` of two functions that a reader wrote, checked once with real numbers."""
    for name, function in (("forward", forward), ("backward", backward)):
        if not callable(function):
            raise AuditError(f"{name}: expected a function, got {type(function).__name__}")
    form = Form(theta)
    if _positional(forward)[0] > 1 or _positional(forward)[1] < 1:
        raise AuditError("forward: it is called with one argument, theta (an array, or a dictionary of arrays), and mark")
    if _positional(backward)[0] > 2 or _positional(backward)[1] < 1:
        raise AuditError("backward: it is called as backward(theta) or backward(theta, dout), and mark if named")
    marks = _takes_mark(forward), _takes_mark(backward)
    if marks[0] != marks[1]:
        raise AuditError("mark: forward and backward must both have a parameter named mark, or neither")

    def extra(mark: Any) -> dict[str, Any]:
        return {"mark": mark} if marks[0] else {}

    def run(theta: dict[str, Array], mark: Any) -> Array:
        return _output(forward(form.pack(theta), **extra(mark)))

    def raw(theta: dict[str, Array], cotangent: Array, mark: Any) -> Any:
        given = (form.pack(theta), cotangent) if with_cotangent else (form.pack(theta),)
        return backward(*given, **extra(mark))

    def back(theta: dict[str, Array], cotangent: Array, mark: Any) -> Any:
        return form.unpack("backward", raw(theta, cotangent, mark))

    def second(theta: dict[str, Array], cotangent: Array, v: dict[str, Array]) -> Any:
        given = (form.pack(theta), cotangent, form.pack(v)) if with_cotangent else (form.pack(theta), form.pack(v))
        return form.unpack("hvp", hvp(*given) if hvp else None)

    out = _first_output(form, run)
    if not np.isfinite(out).all():
        raise AuditError("forward: expected finite numbers, got NaN or infinity; choose a theta where it is defined")
    needed, taken = _positional(backward)
    with_cotangent = needed >= 2 or (out.ndim > 0 and taken >= 2)
    if out.ndim and not with_cotangent:
        raise AuditError(
            f"backward: forward returns an array of shape {out.shape}, so backward needs a second argument, the cotangent "
            "dout of that shape: def backward(theta, dout)"
        )
    if form.doubtful - form.static:
        form.keep(form.absent(call("backward", raw, copied(form.arrays), np.ones(out.shape), keep)))
    lines = {name: Line(name, number, "") for name, number in (equations or {}).items()}
    return Subject(
        *(title, run, back, form.arrays, hvp and second, with_cotangent, marks[0], lines),
        source=forward,
        single=form.single,
    )


def _first_output(form: Form, run: Callable) -> Array:
    """The output at theta; where it does not take integers as floating-point numbers, they are indices, and stay as they are."""
    try:
        return call("forward", run, copied(form.arrays), keep)
    except AuditError:
        if not form.doubtful:
            raise
    form.keep(set(form.doubtful))
    return call("forward", run, copied(form.arrays), keep)


def _output(value: Any) -> Array:
    """What forward returned, as one array."""
    if isinstance(value, tuple | list | Mapping):
        raise AuditError(f"forward: expected one number or one array, got a {type(value).__name__}; return the output alone")
    return numbers("forward", value)


def _positional(function: Callable) -> tuple[int, int]:
    """How many arguments a function needs and how many it can take, ``mark`` not counted."""
    try:
        parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "mark"]
    except (TypeError, ValueError):
        return 1, 2
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    endless = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return sum(p.default is p.empty for p in plain), 2 if endless else len(plain)


def _takes_mark(function: Callable) -> bool:
    """Whether a function has a parameter named mark."""
    try:
        return "mark" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
