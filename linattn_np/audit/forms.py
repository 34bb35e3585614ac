"""What theta looks like: an array, or dictionaries, tuples and lists of arrays inside each other, flattened to names and back."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .._types import Array
from .subject import AuditError


class Form:
    """The structure of a theta: ``arrays`` by name, ``pack`` back to what the reader's functions take, ``unpack`` a gradient.

    Names are keys joined by dots and positions in brackets: layer.W, theta[0], layers[1].b. Integers, text and None are kept as
    they are when they are not differentiated (``static``).
    """

    def __init__(self, theta: Any) -> None:
        self.theta = theta
        leaves = dict(_leaves(theta, ""))
        if not leaves:
            raise AuditError("theta: expected an array, or names with arrays, got nothing to differentiate by")
        kinds = {name: _kind(value) for name, value in leaves.items()}
        other = {name for name, kind in kinds.items() if kind not in "biufc"} if len(leaves) > 1 else set()
        whole = {name for name, kind in kinds.items() if kind in "biu"}
        self.static = set(other)
        self.doubtful = whole if len(whole) + len(other) < len(leaves) else set()  # integers beside floats: perhaps indices
        self.arrays = {name: _checked(name, value) for name, value in leaves.items() if name not in other}
        self.single = any(np.asarray(leaves[name]).dtype in (np.float32, np.float16) for name in self.arrays)

    def keep(self, names: set[str]) -> None:
        """These are not to be differentiated."""
        self.static |= names
        self.arrays = {name: array for name, array in self.arrays.items() if name not in names}

    def pack(self, values: dict) -> Any:
        """The theta of the reader's form with these arrays in it."""
        return _rebuilt(self.theta, "", values, self.static)

    def absent(self, gradient: Any) -> set[str]:
        """The doubtful names for which a gradient holds nothing."""
        found = dict(_given(self.theta, gradient, "", self.doubtful, "backward"))
        return {name for name in self.doubtful if found.get(name) is None}

    def unpack(self, what: str, gradient: Any) -> dict[str, Array]:
        """A gradient of the same form as {name: array}, each of the shape of its array."""
        out = {}
        for name, item in _given(self.theta, gradient, "", self.static, what):
            if name in self.static:
                continue
            array = numbers(f"{what}: gradient of {name}", item)
            if array.shape != self.arrays[name].shape:
                raise AuditError(f"{what}: expected a gradient of shape {self.arrays[name].shape} for {name}, got {array.shape}")
            out[name] = np.array(array)  # a copy: a backward may use its buffers again
        return out


def _is_container(value: Any, top: bool) -> bool:
    if isinstance(value, Mapping):
        return True
    if not isinstance(value, tuple | list):
        return False
    return top or isinstance(value, tuple) or any(_is_container(item, False) or isinstance(item, np.ndarray) for item in value)


def _items(value: Any, path: str) -> list[tuple[Any, str, Any]]:
    """(key, name, item) of a container."""
    if hasattr(value, "_fields"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return [(key, f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
    return [(i, f"{path or 'theta'}[{i}]", item) for i, item in enumerate(value)]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not _is_container(value, not path):
        yield path or "theta", value
        return
    for _, name, item in _items(value, path):
        yield from _leaves(item, name)


def _rebuilt(value: Any, path: str, values: dict, static: set) -> Any:
    if not _is_container(value, not path):
        name = path or "theta"
        return value if name in static else values[name]
    made = [(key, _rebuilt(item, name, values, static)) for key, name, item in _items(value, path)]
    if isinstance(value, Mapping):
        return dict(made)
    items = [item for _, item in made]
    return type(value)._make(items) if hasattr(value, "_fields") else type(value)(items)


def _given(value: Any, gradient: Any, path: str, optional: set, what: str) -> Iterator[tuple[str, Any]]:
    """(name, item) of a gradient for every leaf of theta; what is optional may be missing."""
    if not _is_container(value, not path):
        yield path or "theta", gradient
        return
    here, items = path or "theta", _items(value, path)
    if isinstance(value, Mapping):
        if not isinstance(gradient, Mapping):
            kind = type(gradient).__name__
            raise AuditError(f"{what}: {here} is a dictionary, so expected one with the same names, got {kind}")
        may_miss = [key for key, name, item in items if all(leaf in optional for leaf, _ in _leaves(item, name))]
        absent = [str(key) for key, *_ in items if key not in gradient and key not in may_miss]
        unknown = [str(key) for key in gradient if key not in value]
        if absent or unknown:
            names = ", ".join(str(key) for key, *_ in items if key not in may_miss)
            raise AuditError(f"{what}: expected the names {names}; missing {absent}, unknown {unknown}")
        given = [gradient.get(key) for key, *_ in items]
    else:
        wanted = [i for i, (_, name, item) in enumerate(items) if not all(leaf in optional for leaf, _ in _leaves(item, name))]
        count = len(gradient) if isinstance(gradient, tuple | list) else f"a {type(gradient).__name__}"
        if count not in (len(items), len(wanted)):
            raise AuditError(f"{what}: {here} holds {len(items)} arrays, so expected as many gradients, got {count}")
        given = list(gradient)
        if count != len(items):
            given = [given[wanted.index(i)] if i in wanted else None for i in range(len(items))]
    for (_, name, item), part in zip(items, given, strict=True):
        if part is None and all(leaf in optional for leaf, _ in _leaves(item, name)):
            continue
        yield from _given(item, part, name, optional, what)


def _kind(value: Any) -> str:
    """The kind of number that a leaf holds; lists of unequal lengths pass as numbers, and are told of later."""
    try:
        return np.asarray(value).dtype.kind
    except ValueError:
        return "f"


def _checked(name: str, value: Any) -> Array:
    """An array to differentiate by, in double precision."""
    array = numbers(f"theta {name!r}" if name != "theta" else "theta", value)
    if np.iscomplexobj(array):
        raise AuditError(f"theta {name!r}: expected real numbers, got {array.dtype}")
    if not array.size or not np.isfinite(array).all():
        raise AuditError(f"theta {name!r}: expected finite numbers and at least one, got shape {array.shape}")
    return np.array(array, np.float64)


def numbers(what: str, value: Any) -> Array:
    """``value`` as an array of numbers, or one line that says what it is instead."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise AuditError(f"{what}: expected numbers, got lists of unequal lengths") from None
    if array.dtype.kind not in "biufc":
        cause = "; is a return missing?" if value is None else ""
        raise AuditError(f"{what}: expected numbers, got {type(value).__name__}{cause}")
    return array
