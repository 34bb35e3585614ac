"""What all optimizers share: the two functions that ``train`` asks for, their states, and how their arguments are checked."""

from dataclasses import fields
from functools import wraps
from typing import Any, NamedTuple, Protocol, TypeVar

from .._checks import as_real
from .._types import Array

LATER = {"second_moment": "coordinate", "layer_rates": None}  # fields that came later: not said at these values


class Momentum(NamedTuple):
    """State of the optimizers with a momentum buffer."""

    m: Array


class Squares(NamedTuple):
    """State of the optimizers that keep squares of gradients."""

    v: Array


class Moments(NamedTuple):
    """State of Adam and AdamW."""

    t: int
    m: Array
    v: Array


class RatedMomentum(NamedTuple):
    """State of SGD with a rate for each layer: the buffer, and each entry's factor of the rate."""

    m: Array
    rates: Array


class GroupedMoments(NamedTuple):
    """State of Adam whose second moment is shared: v holds the same number in all entries of a group, groups says which they
    are.
    """

    t: int
    m: Array
    v: Array
    groups: Array


class Optimizer(Protocol):
    """What ``train`` asks of an optimizer: two pure functions. The state is the optimizer's own affair.

    One whose ``grouping`` is not None (``groups.Grouping``) is handed the model's groups as a second argument of ``init``.
    """

    def init(self, params: Array) -> Any:
        """The state before the first update."""
        ...

    def update(self, params: Array, grad: Array, state: Any) -> tuple[Array, Any]:
        """The params and the state after an update. Nothing is changed in place."""
        ...


ELSEWHERE = {  # what other libraries call an argument, and what it is called here
    "betas": "beta1 and beta2, two numbers", "b1": "beta1", "b2": "beta2", "learning_rate": "lr", "step_size": "lr",
    "epsilon": "eps", "rho": "alpha", "decay": "alpha", "mu": "momentum",
}  # fmt: skip
Kind = TypeVar("Kind")


def knows_its_arguments(kind: type[Kind]) -> type[Kind]:
    """The dataclass with a constructor that answers another library's argument with the name that it has here."""
    changed: Any = kind
    made, names = changed.__init__, tuple(changed.__dataclass_fields__)

    @wraps(made)
    def __init__(self: Kind, *args: Any, **settings: Any) -> None:
        for name in settings:
            if name not in names:
                here = ELSEWHERE.get(name, "")
                cause = f": it is {here} here" if here.split(" ")[0] in names else ""
                raise TypeError(f"{kind.__name__}: expected arguments among {', '.join(names)}, got {name}{cause}")
        made(self, *args, **settings)

    changed.__init__ = __init__
    return kind


class Checked:
    """Raise ValueError for a negative rate or eps, or for a decay outside [0, 1).

    Numbers are kept as floats: SGD(1) is SGD(1.0).
    """

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, self.checked(name, value))  # the dataclass is frozen

    def checked(self, name: str, value: Any) -> Any:
        """The value of an argument as it is kept."""
        decay = name in ("momentum", "alpha", "beta1", "beta2")
        return as_real(name, value, least=0, below=1 if decay else None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in described(self).items())})"


def described(optimizer: Any) -> dict[str, Any]:
    """The fields of an optimizer by name, those that came later only where they say something: older runs keep their names."""
    said = {field.name: getattr(optimizer, field.name) for field in fields(optimizer)}
    return {name: value for name, value in said.items() if name not in LATER or value != LATER[name]}


def power(base: float, exponent: int) -> float:
    """base^exponent by squaring and multiplying: a library's ``pow`` may give other last bits on another machine."""
    result = 1.0
    while exponent:
        if exponent % 2:
            result *= base
        base, exponent = base * base, exponent // 2
    return result
