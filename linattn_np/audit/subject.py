"""What is audited: a forward and a backward function at a point, called so that no mistake in them goes unnamed."""

import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._types import Array
from ..layers.marks import keep

STEP = 1e-30  # h of the complex step: (h W)^2 vanishes beside h W, so the imaginary part is the exact first derivative


class AuditError(ValueError):
    """A mistake in how the audit was asked: one line, and no verdict."""


@dataclass(frozen=True)
class Line:
    """One line of a derivation: the intermediate it makes, its number and its formula."""

    name: str
    equation: str
    formula: str
    code: str = ""


@dataclass(frozen=True)
class Subject:
    """Two functions and the point where they are compared.

    forward(theta, mark) -> array; backward(theta, cotangent, mark) -> {name: array}, the gradient of <cotangent, forward>;
    hvp(theta, cotangent, v) -> {name: array}, its derivative along v, or None. ``theta`` maps names to arrays. ``parts`` are
    the pieces a row is made for, {name: (key of theta, index)}; ``lines`` the derivation lines by bare name.
    ``complete`` says that every name the forward marks must be answered by the backward.
    """

    title: str
    forward: Callable
    backward: Callable
    theta: dict
    hvp: Callable | None = None
    takes_cotangent: bool = True
    marks: bool = True
    lines: dict = field(default_factory=dict)
    parts: dict = field(default_factory=dict)
    complete: bool = False
    source: Callable | None = None  # the function to read when asking what breaks a complex step
    single: bool = False  # theta was given in single precision
    residual: Callable | None = None  # u -> the part of the tangent that the residual carries, like the output

    def __post_init__(self) -> None:
        if not self.parts:
            object.__setattr__(self, "parts", {name: (name, ...) for name in self.theta})

    @property
    def asked(self) -> str:
        """How the backward is called, for messages."""
        return "backward(theta, dout)" if self.takes_cotangent else "backward(theta)"

    def equation(self, name: str) -> str:
        """The derivation number of a line, whatever its layer; empty when it has none."""
        line = self.lines.get(bare(name))
        return line.equation if line else ""

    def formula(self, name: str) -> str:
        """What the line should say."""
        line = self.lines.get(bare(name))
        return line.formula if line else ""


def imaginary(z: Array) -> Array:
    """Im z / h. Where the first derivative is zero, what is left, of the order of h^2, counts as zero."""
    out = np.imag(z) / STEP
    return np.where(np.abs(out) < STEP**1.5, 0.0, out)


def bare(name: str) -> str:
    """The name without its layer: ``2.dA`` is ``dA``."""
    head, _, tail = name.partition(".")
    return tail if tail and head.isdigit() else name


def gradient_of(name: str) -> str:
    """The name that the backward gives to the gradient of ``name``: ``2.A`` becomes ``2.dA``."""
    layer = name[: len(name) - len(bare(name))]
    return f"{layer}d{bare(name)}"


def part(subject: Subject, values: dict[str, Array], name: str) -> Any:
    """The piece of ``values`` (like theta) that the row ``name`` is about."""
    key, index = subject.parts[name]
    return values[key][index]


def inner(a: dict[str, Array], b: dict[str, Array]) -> float:
    """<a, b> over all names: the sum of products, without conjugation."""
    return sum((a[name] * b[name]).sum() for name in a)


def copied(theta: dict[str, Array], dtype: Any = np.float64) -> dict[str, Array]:
    """A fresh copy, so that no function under audit can change the caller's arrays."""
    return {name: np.array(value, dtype) for name, value in theta.items()}


def moved(theta: dict[str, Array], direction: dict[str, Array], step: Any) -> dict[str, Array]:
    """theta + step * direction, a fresh copy."""
    return {name: value + step * direction[name] for name, value in theta.items()}


def call(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function under audit; what it raises becomes one line that says where."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            return function(*arguments)
    except AuditError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: no way out of a reader's function may pass for a verdict
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        where = f" (line {frames[-1].lineno} of {frames[-1].filename.rsplit('/', 1)[-1]})" if frames else ""
        message = " ".join(str(error).split()) or "no message"
        if not isinstance(error, Exception):
            message = "it leaves the program"
        raise AuditError(f"{what} raised {type(error).__name__}: {message[:200]}{where}") from error


def run_backward(
    subject: Subject, cotangent: Array, theta: dict[str, Array] | None = None, mark: Any = keep, dtype: Any = np.float64
) -> dict[str, Array]:
    """The gradient {name: array}, from copies of everything."""
    theta = subject.theta if theta is None else theta
    return call(subject.asked, subject.backward, copied(theta, dtype), np.array(cotangent), mark)


def record(subject: Subject, cotangent: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    """The gradient and every line that the backward marks, in its order: {name: array}, {"dA": array}."""
    lines = {}

    def write(name: str, value: Any) -> Any:
        if name in lines:
            raise AuditError(f"mark: the backward uses the name {name!r} twice; each line needs its own")
        lines[name] = np.array(value)
        return value

    gradient = run_backward(subject, cotangent, mark=write)
    for name, array in gradient.items():
        if np.iscomplexobj(array):
            raise AuditError(f"backward: expected real numbers for real theta, got {array.dtype} for {name}")
    return gradient, lines
