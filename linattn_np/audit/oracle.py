"""The reference: what the forward function alone says about its derivatives, and whether that can be trusted.

The complex step: for an analytic f, f(theta + i h v) = f(theta) + i h f'(theta) v + O(h^2), so Im f / h is the derivative with
no subtraction and no rounding to speak of, for h as small as 1e-30. It needs code that is analytic in its argument; abs, vdot,
norm and conj are not, and give 0 or nonsense without a word. So it is held against plain differences before it is believed, each
array of theta by itself; where it fails and the differences settle, they are the reference, to fewer digits.
"""

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .._types import Array
from ..layers.marks import keep
from ..progress import bar
from .differences import around, estimate, has_kink
from .subject import STEP, AuditError, Subject, call, copied, imaginary, moved
from .suspects import suspects
from .trust import COMPLEX, EPS, CannotJudge, OutOfTime, Trust, compare

Theta = dict[str, Array]


class Oracle:
    """Derivatives of <cotangent, forward(theta)> by complex steps, or by differences.

    The cotangent is drawn at random, since a vector of ones hides every mistake that cancels in a sum. Up to ``entries``
    entries of each array of theta are differentiated one by one, and of a larger array a block of some indices of each axis;
    random directions stand for the rest. Cost: a forward for each entry by complex steps, about ten by differences.
    """

    def __init__(self, subject: Subject, rng: np.random.Generator, entries: int = 2000, seconds: float | None = None) -> None:
        self.subject, self.rng = subject, rng
        self.deadline: float | None = None
        self.out = np.array(self.forward(copied(subject.theta)))
        self.cotangent = rng.standard_normal(self.out.shape) if subject.takes_cotangent else np.ones(self.out.shape)
        self.value = self.real(subject.theta)
        self.size = float(np.abs(self.cotangent * self.out).sum())
        self.limit = 1e-12  # of relative errors; wider where rounding asks for it
        total = sum(array.size for array in subject.theta.values())
        few = min(entries, max(64, 20_000_000 // total))  # of an array too large to be seen whole
        self.large = [name for name, array in subject.theta.items() if array.size > entries]
        self.chosen = {n: _block(a.shape, few, rng) if a.size > entries else np.arange(a.size) for n, a in subject.theta.items()}
        self.trust = {name: Trust(COMPLEX) for name in subject.theta}
        self.deadline = None if seconds is None else time.monotonic() + seconds

    # values -------------------------------------------------------------------------------------------------------------

    def forward(self, theta: Theta, mark: Callable = keep) -> Array:
        """The output, with whatever goes wrong named."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise OutOfTime("left out: the time that was given is over")
        return np.asarray(call("forward", self.subject.forward, theta, mark))

    def real(self, theta: Theta, mark: Callable = keep) -> float:
        """<cotangent, forward(theta)> for real theta."""
        return float((self.cotangent * self.forward(copied(theta), mark)).sum().real)

    def imaginary(self, theta: Theta, mark: Callable = keep, cotangent: Array | None = None) -> float:
        """Im <cotangent, forward(theta)> / h for a theta or a mark that steps by i h."""
        try:
            out = self.forward(copied(theta, np.complex128), mark)
        except AuditError as error:
            raise CannotJudge(f"the complex step needs a forward that takes complex numbers, and {error}") from None
        if out.shape != self.out.shape:
            raise CannotJudge(f"forward gives shape {self.out.shape} for real numbers and {out.shape} for complex ones")
        w = self.cotangent if cotangent is None else cotangent
        value = float(imaginary((w * out).sum()))
        if not math.isfinite(value):
            raise CannotJudge("the derivative is not finite here; choose a theta inside the domain of forward")
        return value

    def along(self, v: Theta, theta: Theta | None = None, cotangent: Array | None = None) -> float:
        """The directional derivative <dtheta, v> at theta, by a complex step."""
        return self.imaginary(moved(self.subject.theta if theta is None else theta, v, 1j * STEP), cotangent=cotangent)

    def on_line(self, v: Theta, theta: Theta | None = None, mark: Callable | None = None) -> Callable[[float], float]:
        """t -> <cotangent, forward(theta + t v)> for real t; NaN where the line leaves the domain of forward."""
        start = self.subject.theta if theta is None else theta

        def phi(t: float) -> float:
            try:
                value = self.real(moved(start, v, t)) if mark is None else self.real(start, mark(t))
            except AuditError:
                return math.nan
            return value if math.isfinite(value) else math.nan

        return phi

    # derivatives --------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def gradient(self) -> Theta:
        """The derivative by each chosen entry, {name: array like theta}; NaN at entries that were not chosen or have none."""
        self.doubts: Theta = {}
        out = {}
        with bar(sum(map(len, self.chosen.values())), "derivatives", unit="entry") as shown:
            for name, array in self.subject.theta.items():
                out[name], self.doubts[name] = np.full(array.shape, np.nan), np.zeros(array.shape)
                for i in self.chosen[name] if self.trust[name].kind else ():
                    out[name].flat[i], self.doubts[name].flat[i] = self.derivative(name, i)
                    shown.update()
        return out

    def derivative(self, name: str, i: int) -> tuple[float, float]:
        """The derivative by entry ``i`` of ``name`` and its doubt, by the reference that serves the array; NaN at a kink."""
        trust = self.trust[name]
        if trust.kind == COMPLEX:
            return self.entry(name, i), 0.0
        phi = self.on_line(self.unit(name, i, self.step_size(name)))
        found = estimate(phi, around(trust.k))
        if found.doubt > 1e-9 * max(abs(found.value), self.slope(name)):
            found = estimate(phi)
            if has_kink(phi):
                return math.nan, 0.0
        return found.value / self.step_size(name), found.doubt / self.step_size(name)

    def entry(self, name: str, i: int, theta: Theta | None = None) -> float:
        """The derivative by entry ``i`` (flat) of ``name``, by a complex step."""
        stepped = copied(self.subject.theta if theta is None else theta, np.complex128)
        stepped[name].flat[i] += 1j * STEP
        return self.imaginary(stepped)

    def unit(self, name: str, i: int, length: float = 1.0) -> Theta:
        """The direction of one entry."""
        v = {key: np.zeros(array.shape) for key, array in self.subject.theta.items()}
        v[name].flat[i] = length
        return v

    def step_size(self, name: str) -> float:
        """The size of the entries of an array, for steps in proportion."""
        return float(np.sqrt(np.mean(self.subject.theta[name] ** 2))) or 1.0

    @functools.cache  # noqa: B019  one oracle serves many backward functions, and then goes
    def slope(self, name: str) -> float:
        """How fast the value moves with one entry of an array, about: the size of a derivative that is not zero by chance."""
        v = self.direction([name])
        moves = max(float(np.nan_to_num(abs(self.on_line(v)(t) - self.value))) for t in (-0.125, 0.125))
        return 8 * moves / math.sqrt(self.subject.theta[name].size) + 1e-300

    # named lines ----------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def shapes(self) -> dict[str, tuple]:
        """The names that the forward marks, in order, each with the shape of its value."""
        seen: dict[str, tuple] = {}

        def record(name: str, value: Any) -> Any:
            if name in seen:
                raise AuditError(f"mark: the forward uses the name {name!r} twice; each intermediate needs its own")
            seen[name] = np.shape(value)
            return value

        self.forward(copied(self.subject.theta), record)
        return seen

    def is_used(self, name: str) -> bool:
        """Whether the forward goes on with what ``mark`` gives back for this name."""
        if name not in self.shapes:
            return True
        rng = np.random.default_rng(len(name))
        shaken = lambda at, value: value * (1.5 + rng.random(np.shape(value))) + 0.1 if at == name else value
        try:
            return not np.array_equal(self.forward(copied(self.subject.theta), shaken), self.out)
        except AuditError:
            return True

    def probe(self, name: str, W: Array) -> float:
        """The derivative when the intermediate ``name`` moves along W: <dname, W>."""
        if name not in self.shapes:  # an argument that the forward does not mark
            return self.along(self.only(name, W))
        return self.imaginary(self.subject.theta, lambda at, value: value + 1j * STEP * W if at == name else value)

    def probe_line(self, name: str, W: Array) -> Callable[[float], float]:
        """The value on the line of a probe, for differences."""
        if name not in self.shapes:
            return self.on_line(self.only(name, W))
        return self.on_line({}, None, lambda t: lambda at, value: value + t * W if at == name else value)

    def only(self, name: str, W: Array) -> Theta:
        """A direction that moves one array of theta."""
        return {key: W if key == name else 0.0 * array for key, array in self.subject.theta.items()}

    @functools.cache  # noqa: B019
    def probes(self, name: str, draws: int = 3) -> list[tuple]:
        """Random W for the intermediate ``name`` with the derivative along each. -> [(W, derivative, doubt)]"""
        shape = self.shapes[name] if name in self.shapes else np.shape(self.subject.theta[name])
        drawn = [self.rng.standard_normal(shape) for _ in range(draws)]
        try:
            return [(W, self.probe(name, W), 0.0) for W in drawn]
        except OutOfTime:
            raise
        except CannotJudge:
            found = [estimate(self.probe_line(name, W)) for W in drawn]
            return [(W, each.value, each.doubt) for W, each in zip(drawn, found, strict=True)]

    # directions -----------------------------------------------------------------------------------------------------------

    def direction(self, names: list[str] | None = None) -> Theta:
        """A random direction, each array in proportion to its own size; arrays that are not named stay. By default all that a
        complex step can judge are moved."""
        names = self.analytic if names is None else names
        sizes = {name: np.sqrt(np.mean(array**2)) for name, array in self.subject.theta.items()}
        fallback = max(sizes.values()) or 1.0
        drawn = {k: (sizes[k] or fallback) * self.rng.standard_normal(a.shape) for k, a in self.subject.theta.items()}
        return {name: array if name in names else 0.0 * array for name, array in drawn.items()}

    @property
    def analytic(self) -> list[str]:
        """The arrays whose reference is the complex step, without kinks."""
        return [name for name, trust in self.trust.items() if trust.kind == COMPLEX and not trust.kink]

    @property
    def judged(self) -> list[str]:
        """The arrays that have a reference along every direction."""
        return [name for name, trust in self.trust.items() if trust.kind and not trust.kink]

    # trust and rounding ---------------------------------------------------------------------------------------------------

    def check(self, tolerance: float = 1e-7) -> tuple[float, float, float]:
        """Find the reference of each array: hold the complex step against differences along random directions.

        -> (complex step, difference, error) of the worst direction that passes. Raises CannotJudge when nothing can be judged.
        """
        if self.real(self.subject.theta) != self.value:
            raise CannotJudge("forward gives another value when called again: it draws random numbers or keeps a state")
        if np.iscomplexobj(self.out):
            raise CannotJudge(f"forward returns {self.out.dtype} for real theta; return a real number or a real array")
        found = {name: compare(self, name, tolerance) for name in self.subject.theta}
        self.trust = {name: trust for name, (trust, *_) in found.items()}
        slopes = [abs(x) for _, step, plain, _ in found.values() for x in (step, plain) if math.isfinite(x)]
        if not any(slopes) and not any(trust.kink for trust in self.trust.values()):
            raise CannotJudge(f"the output does not depend on theta here{self.blame()}")
        if not any(trust.kind for trust in self.trust.values()):
            raise CannotJudge(next(trust.reason for trust in self.trust.values()))
        worst = max(self.judged or found, key=lambda name: found[name][3])
        return found[worst][1:]

    def blame(self) -> str:
        """The functions without a complex derivative that the forward uses, as part of a sentence."""
        found = suspects(self.subject.source or self.subject.forward)
        return f"; forward uses {', '.join(found)}, through which no complex step passes" if found else ""

    def nudged(self) -> Theta:
        """theta with every entry off by about one unit in its last place."""
        return {k: a * (1 + EPS * self.rng.standard_normal(a.shape)) for k, a in self.subject.theta.items()}

    def rounding(self, name: str, entries: Array, draws: int = 3) -> Array:
        """How far rounding moves the derivative by each of these entries: the spread when theta and cotangent move by an ulp."""
        found = []
        for _ in range(draws):
            at, w = self.nudged(), self.cotangent * (1 + EPS * self.rng.standard_normal(self.cotangent.shape))
            found.append([self.along(self.unit(name, i), at, w) for i in entries])
        return np.ptp([[self.entry(name, i) for i in entries], *found], axis=0)

    def natural(self, name: str) -> float:
        """The rounding of a product of the size of the output with one of the size of the cotangent, per unit of the array."""
        return 16 * EPS * float(np.sqrt(np.mean((self.cotangent * self.out) ** 2))) / self.step_size(name)


def _block(shape: tuple, entries: int, rng: np.random.Generator) -> Array:
    """Flat indices of a block of random indices of each axis, at most ``entries`` of them, so that patterns along axes show."""
    picked: list[Array] = [np.arange(1)] * len(shape)
    for done, axis in enumerate(sorted(range(len(shape)), key=lambda a: shape[a])):
        wanted = min(shape[axis], max(1, int(entries ** (1 / (len(shape) - done)))))
        picked[axis], entries = np.sort(rng.choice(shape[axis], wanted, replace=False)), entries // wanted
    return np.ravel_multi_index(np.meshgrid(*picked, indexing="ij"), shape).ravel()
