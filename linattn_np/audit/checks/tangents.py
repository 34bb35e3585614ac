"""The tangents of a layer, line by line: vX of every array of the tape and of the output, hX of every gradient.

Im forward(x + i h v) / h gives the tangent of each array that the forward keeps, Im backward(dout + i h hout) / h on that stepped
tape the tangent of each gradient. ``check_second`` sees only their sum in H v, and only where no tangent enters from behind.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..._types import Array
from ..row import OK, WRONG, Row, place
from ..subject import STEP, call, imaginary


def check_tangents(module: Any, inputs: dict[str, Any], rng: np.random.Generator, options: dict[str, Any]) -> list[Row]:
    """A layer's ``tangent`` and ``backward_tangent`` along random directions, in the order of the computation. -> rows

    inputs: what its forward takes, by name; each entry an array or a NamedTuple of arrays. options: what it is told beside them,
    such as a mask.
    """
    v = {name: _random(value, rng) for name, value in inputs.items()}
    out, tape = module.forward(*inputs.values(), **options)
    vout, vtape = call("tangent", module.tangent, *v.values(), tape)
    stepped_out, stepped = module.forward(*(_moved(value, v[name]) for name, value in inputs.items()), **options)
    rows = []
    kept = _arrays("", tape), _arrays("", vtape), _arrays("", stepped)
    for (name, x), (_, got), (_, moving) in zip(*kept, strict=True):
        if got is not x:  # such as the ReLU's step, which a tangent's tape carries as it is
            rows.append(_row(f"v{name}", got, imaginary(moving)))
    for (name, got), (_, moving) in zip(_arrays("out", vout), _arrays("out", stepped_out), strict=True):
        rows.append(_row(f"v{name}" if name == "out" else f"v{name}'", got, imaginary(moving)))
    dout, hout = _random(out, rng), _random(out, rng)
    hand = call("backward_tangent", module.backward_tangent, dout, hout, tape, vtape)
    true = module.backward(_moved(dout, hout), stepped)
    hand, true = (each if isinstance(each, tuple) else (each,) for each in (hand, true))  # a layer of one array returns it alone
    both = zip(inputs, hand, true, strict=True)
    found = [
        (name, got, imaginary(moving))
        for key, h, g in both
        for (name, got), (_, moving) in zip(_arrays(key, h), _arrays(key, g), strict=True)
    ]
    order = _order(module, dout, tape)
    for name, got, expected in sorted(found, key=lambda item: order.get(f"d{item[0]}", len(order))):
        rows.append(_row(f"h{name}", got, expected))
    return rows


def _order(module: Any, dout: Any, tape: Any) -> dict[str, int]:
    """The lines of the backward pass in its order, {"dP": 3}: what it makes first can be blamed first."""
    order: dict[str, int] = {}

    def note(name: str, value: Any) -> Any:
        order[name] = len(order)
        return value

    module.backward(dout, tape, note)
    return order


def _arrays(name: str, value: Any) -> Iterator[tuple[str, Array]]:
    """The arrays inside a value, with the names of their fields: itself, or those of a NamedTuple and of what is inside it."""
    if hasattr(value, "_fields"):
        for field, item in value._asdict().items():
            yield from _arrays(field, item)
    elif isinstance(value, np.ndarray):
        yield name, value


def _random(like: Any, rng: np.random.Generator) -> Any:
    """Normal numbers in the form of ``like``; what is no array stays as it is."""
    if hasattr(like, "_fields"):
        return like._replace(**{name: rng.standard_normal(item.shape) for name, item in _arrays("", like)})
    return rng.standard_normal(like.shape)


def _moved(value: Any, v: Any) -> Any:
    """value + i h v."""
    if hasattr(value, "_fields"):
        moves = dict(_arrays("", v))
        return value._replace(**{name: item + 1j * STEP * moves[name] for name, item in _arrays("", value)})
    return value + 1j * STEP * v


def _row(quantity: str, got: Array, expected: Array) -> Row:
    """max|got - expected| / max|expected| as a row."""
    gap = np.abs(got - expected)
    at = np.unravel_index(np.argmax(gap), gap.shape)
    error = float(gap[at] / (np.abs(expected).max() or 1.0))
    verdict, note = (OK, "") if error <= 1e-11 else (WRONG, f"largest difference at {place(at)}")
    values = float(got[at]), float(expected[at]), error, 1e-11
    return Row("tangent", quantity, *values, verdict, note)
