"""A reader's own two functions as a subject of the audit: what they may look like, and what is said when they do not."""

import inspect
from collections.abc import Mapping

import numpy as np

from ..layers.marks import keep
from .subject import AuditError, Line, Subject, call, copied


def reader_subject(forward, backward, theta, hvp, equations, title):
    """The :class:`Subject` of two functions that a reader wrote, checked once with real numbers."""
    for name, function in (("forward", forward), ("backward", backward)):
        if not callable(function):
            raise AuditError(f"{name}: expected a function, got {type(function).__name__}")
    arrays, pack = _named(theta)
    if _positional(forward)[0] > 1 or _positional(forward)[1] < 1:
        raise AuditError("forward: it is called with one argument, theta (an array, or a dictionary of arrays), and mark")
    if _positional(backward)[0] > 2 or _positional(backward)[1] < 1:
        raise AuditError("backward: it is called as backward(theta) or backward(theta, dout), and mark if named")
    marks = _takes_mark(forward), _takes_mark(backward)
    if marks[0] != marks[1]:
        raise AuditError("mark: forward and backward must both have a parameter named mark, or neither")

    def extra(mark):
        return {"mark": mark} if marks[0] else {}

    def run(theta, mark):
        return _output(forward(pack(theta), **extra(mark)))

    out = call("forward", run, copied(arrays), keep)
    if not np.isfinite(out).all():
        raise AuditError("forward: expected finite numbers, got NaN or infinity; choose a theta where it is defined")
    needed, taken = _positional(backward)
    with_cotangent = needed >= 2 or (out.ndim > 0 and taken >= 2)
    if out.ndim and not with_cotangent:
        raise AuditError(
            f"backward: forward returns an array of shape {out.shape}, so backward needs a second argument, the cotangent "
            "dout of that shape: def backward(theta, dout)"
        )

    def back(theta, cotangent, mark):
        given = (pack(theta), cotangent) if with_cotangent else (pack(theta),)
        return _gradient("backward", backward(*given, **extra(mark)), theta, pack)

    def second(theta, cotangent, v):
        given = (pack(theta), cotangent, pack(v)) if with_cotangent else (pack(theta), pack(v))
        return _gradient("hvp", hvp(*given), theta, pack)

    lines = {name: Line(name, number, "") for name, number in (equations or {}).items()}
    return Subject(title, run, back, arrays, hvp and second, with_cotangent, marks[0], lines, source=forward)


def _named(theta):
    """theta as {name: float64 array}, and the function that turns such a dictionary back into what the reader uses."""
    if isinstance(theta, Mapping):
        named, pack = dict(theta), dict
    elif hasattr(theta, "_fields"):  # a NamedTuple
        named, pack = theta._asdict(), lambda values: type(theta)._make(values.values())
    elif isinstance(theta, tuple | list):
        kind = tuple if isinstance(theta, tuple) else list
        named = {f"theta[{i}]": value for i, value in enumerate(theta)}
        pack = lambda values: kind(values.values())
    else:
        named, pack = {"theta": theta}, lambda values: values["theta"]
    if not named:
        raise AuditError("theta: expected an array, or names with arrays, got nothing to differentiate by")
    arrays = {}
    for name, value in named.items():
        array = _numbers(f"theta {name!r}" if name != "theta" else "theta", value)
        if np.iscomplexobj(array):
            raise AuditError(f"theta {name!r}: expected real numbers, got {array.dtype}")
        if not array.size or not np.isfinite(array).all():
            raise AuditError(f"theta {name!r}: expected finite numbers and at least one, got shape {array.shape}")
        arrays[str(name)] = np.array(array, np.float64)
    return arrays, pack


def _numbers(what, value):
    """``value`` as an array of numbers, or one line that says what it is instead."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise AuditError(f"{what}: expected numbers, got lists of unequal lengths") from None
    if array.dtype.kind not in "biufc":
        cause = "; is a return missing?" if value is None else ""
        raise AuditError(f"{what}: expected numbers, got {type(value).__name__}{cause}")
    return array


def _output(value):
    """What forward returned, as one array."""
    if isinstance(value, tuple | list | Mapping):
        raise AuditError(f"forward: expected one number or one array, got a {type(value).__name__}; return the output alone")
    return _numbers("forward", value)


def _gradient(what, value, theta, pack):
    """What backward returned, as {name: array} with the shapes of theta."""
    names = list(theta)
    if isinstance(pack(theta), Mapping):
        if not isinstance(value, Mapping):
            raise AuditError(f"{what}: theta is a dictionary, so expected one with the same names, got {type(value).__name__}")
        absent = [name for name in names if name not in value]
        unknown = [str(name) for name in value if name not in theta]
        if absent or unknown:
            raise AuditError(f"{what}: expected the names {', '.join(names)}; missing {absent}, unknown {unknown}")
        given = [value[name] for name in names]
    elif isinstance(pack(theta), tuple | list):
        if not isinstance(value, tuple | list) or len(value) != len(names):
            got = f"{len(value)}" if isinstance(value, tuple | list) else f"a {type(value).__name__}"
            raise AuditError(f"{what}: theta holds {len(names)} arrays, so expected as many gradients, got {got}")
        given = list(value)
    else:
        given = [value]
    out = {}
    for name, item in zip(names, given, strict=True):
        array = _numbers(f"{what}: gradient of {name}", item)
        if array.shape != theta[name].shape:
            raise AuditError(f"{what}: expected a gradient of shape {theta[name].shape} for {name}, got {array.shape}")
        out[name] = np.array(array)  # a copy: a backward may use its buffers again
    return out


def _positional(function):
    """How many arguments a function needs and how many it can take, ``mark`` not counted."""
    try:
        parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "mark"]
    except (TypeError, ValueError):
        return 1, 2
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    endless = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return sum(p.default is p.empty for p in plain), 2 if endless else len(plain)


def _takes_mark(function):
    """Whether a function has a parameter named mark."""
    try:
        return "mark" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
