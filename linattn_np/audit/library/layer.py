"""``audit_layer``: one layer by itself, with generic weights, a random cotangent, and its tangents line by line."""

import inspect
from types import ModuleType
from typing import Any

import numpy as np

from ..._types import Array
from ..checks.tangents import check_tangents
from ..gradient import audit_subject
from ..lines import derivation
from ..report import Report
from ..row import CANNOT_JUDGE
from ..subject import Subject
from .registry import Entry, as_point, entry_of, sizes_of_one


def audit_layer(name: str, *, module: ModuleType | None = None, seed: int = 0, **point: Any) -> Report:
    """Judge one layer by itself, with generic P and Q and a random cotangent. -> Report

    name one of the registered layers; module another module with the same functions, such as your own copy, audited in its
    place. point: d, n, batch, heads, sigma, symmetric. Raises ValueError for an unknown name or a point out of range.
    """
    point = as_point(name, {"heads": 2, **point})  # with one head a mistake of "the first head alone" would not show
    subject = layer_subject(entry_of(name), module, np.random.default_rng([seed, 1]), point)
    report = audit_subject(subject, seed)
    rng, entry = np.random.default_rng([seed, 5]), entry_of(name)
    kinked = any(row.check in ("oracle", "complex") and row.verdict == CANNOT_JUDGE for row in report.rows)
    if point["sigma"] and not kinked:  # with zero weights every score stands at its kink
        report.extend(check_tangents(module or entry.module, layer_inputs(entry, rng, point), rng, entry.options(point)))
    report.point = {"layer": name, "seed": seed, **{k: point[k] for k in ("d", "n", "batch", "heads", "sigma", "symmetric")}}
    report.extend(sizes_of_one(point, layers=False))
    return report


def layer_inputs(entry: Entry, rng: np.random.Generator, point: dict[str, Any]) -> dict[str, Any]:
    """What the layer's forward takes, by name, in its order."""
    drawn = entry.draw(rng, point)
    return {name: drawn[name] for name in inspect.signature(entry.module.forward).parameters if name in drawn}


def layer_subject(entry: Entry, module: ModuleType | None, rng: np.random.Generator, point: dict[str, Any]) -> Subject:
    """One layer as a subject: theta holds every array that its forward takes."""
    module, options = module or entry.module, entry.options(point)
    inputs = layer_inputs(entry, rng, point)
    order = list(inputs)
    theta = {key: array for name in order for key, array in _fields(name, inputs[name]).items()}

    def rebuild(values: dict[str, Array]) -> list[Any]:
        return [_refill(name, inputs[name], values) for name in order]

    def run(values: dict[str, Array], mark: Any) -> Any:
        return _flat(module.forward(*rebuild(values), mark=mark, **options)[0])

    def back(values: dict[str, Array], cotangent: Array, mark: Any) -> Any:
        out, tape = module.forward(*rebuild(values), **options)
        return _collect(order, module.backward(_unflat(cotangent, out), tape, mark))

    def second(values: dict[str, Array], cotangent: Array, v: dict[str, Array]) -> Any:
        out, tape = module.forward(*rebuild(values), **options)
        _, vtape = module.tangent(*rebuild(v), tape)
        dout = _unflat(cotangent, out)
        return _collect(order, module.backward_tangent(dout, _unflat(0.0 * cotangent, out), tape, vtape))

    def carried(u: dict[str, Array]) -> Array:
        return np.concatenate([u[key].ravel() for key in entry.residual])

    title, residual = f"layer {entry.name}", carried if entry.residual else None
    lines = {name: line for part in (*entry.built_on, module) for name, line in derivation(part, "backward").items()}
    return Subject(title, run, back, theta, second, lines=lines, complete=True, source=module.forward, residual=residual)


def _fields(name: str, value: Any) -> dict[str, Array]:
    """The float arrays inside one argument: itself, or the fields of a NamedTuple."""
    if hasattr(value, "_fields"):
        return {key: item for key, item in value._asdict().items() if isinstance(item, np.ndarray)}
    return {name: value}


def _refill(name: str, like: Any, values: dict[str, Array]) -> Any:
    """The argument with its arrays taken from ``values``."""
    if hasattr(like, "_fields"):
        return like._replace(**{key: values[key] for key in _fields(name, like)})
    return values[name]


def _flat(out: Any) -> Array:
    """An output as one array: a NamedTuple's arrays one after the other."""
    return np.concatenate([item.ravel() for item in _fields("out", out).values()])


def _unflat(flat: Array, like: Any) -> Any:
    """The inverse of :func:`_flat`, shaped like ``like``."""
    fields, start = _fields("out", like), 0
    parts: dict[str, Array] = {}
    for key, item in fields.items():
        parts[key] = flat[start : start + item.size].reshape(item.shape)
        start += item.size
    return like._replace(**parts) if hasattr(like, "_fields") else parts["out"]


def _collect(order: list[str], gradients: Any) -> dict[str, Array]:
    """The gradients that a layer's backward returns, by the names of theta; a layer of one array returns it alone."""
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    return {key: array for name, value in zip(order, gradients, strict=True) for key, array in _fields(name, value).items()}
