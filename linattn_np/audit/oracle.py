"""The reference: what the forward function alone says about its derivatives, and whether that can be trusted.

The complex step: for an analytic f, f(theta + i h v) = f(theta) + i h f'(theta) v + O(h^2), so Im f / h is the derivative with
no subtraction and no rounding to speak of, for h as small as 1e-30. It needs code that is analytic in its argument; abs, vdot,
norm and conj are not, and give 0 or nonsense without a word. So it is held against plain differences before it is believed.
"""

import functools
import math

import numpy as np

from ..layers.marks import keep
from ..progress import bar
from .subject import STEP, AuditError, call, copied, imaginary, inner, moved

NOT_ANALYTIC = (
    *("abs", "absolute", "fabs", "hypot", "vdot", "norm", "conj", "conjugate", "real", "imag", "angle", "float", "float64"),
    *("sign", "heaviside", "round", "floor", "ceil", "rint"),
)


class CannotJudge(Exception):
    """The reference itself is not to be trusted here; the message says why."""


class Oracle:
    """Derivatives of <cotangent, forward(theta)> by complex steps.

    The cotangent is drawn at random, since a vector of ones hides every mistake that cancels in a sum. Up to ``entries``
    entries of each array of theta are differentiated one by one, a random choice beyond that. Cost: a forward each.
    """

    def __init__(self, subject, rng, entries=2000):
        self.subject, self.rng = subject, rng
        self.out = np.array(self.forward(copied(subject.theta)))
        self.cotangent = rng.standard_normal(self.out.shape) if subject.takes_cotangent else np.ones(self.out.shape)
        self.value = self.real(subject.theta)
        self.chosen = {
            name: np.arange(array.size) if array.size <= entries else np.sort(rng.choice(array.size, entries, replace=False))
            for name, array in subject.theta.items()
        }

    def forward(self, theta, mark=keep):
        """The output, with whatever goes wrong named."""
        return np.asarray(call("forward", self.subject.forward, theta, mark))

    def real(self, theta):
        """<cotangent, forward(theta)> for real theta."""
        return float((self.cotangent * self.forward(copied(theta))).sum().real)

    def imaginary(self, theta, mark=keep, cotangent=None):
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

    def along(self, v, theta=None):
        """The directional derivative <dtheta, v> at theta."""
        return self.imaginary(moved(self.subject.theta if theta is None else theta, v, 1j * STEP))

    @functools.cached_property
    def gradient(self):
        """The derivative by each chosen entry, {name: array like theta}; NaN at entries that were not chosen."""
        out, total = {}, sum(map(len, self.chosen.values()))
        with bar(total, "complex steps", unit="entry") as shown:
            for name, array in self.subject.theta.items():
                out[name] = np.full(array.shape, np.nan)
                for i in self.chosen[name]:
                    out[name].flat[i] = self.entry(name, i)
                    shown.update()
        return out

    def entry(self, name, i, theta=None):
        """The derivative by entry ``i`` (flat) of ``name``."""
        stepped = copied(self.subject.theta if theta is None else theta, np.complex128)
        stepped[name].flat[i] += 1j * STEP
        return self.imaginary(stepped)

    @functools.cached_property
    def shapes(self):
        """The names that the forward marks, in order, each with the shape of its value."""
        seen = {}

        def record(name, value):
            if name in seen:
                raise AuditError(f"mark: the forward uses the name {name!r} twice; each intermediate needs its own")
            seen[name] = np.shape(value)
            return value

        self.forward(copied(self.subject.theta), record)
        return seen

    def probe(self, name, W):
        """The derivative when the intermediate ``name`` moves along W: <dname, W>."""
        if name not in self.shapes:  # an argument that the forward does not mark
            return self.along({key: W if key == name else 0.0 * array for key, array in self.subject.theta.items()})
        return self.imaginary(self.subject.theta, lambda at, value: value + 1j * STEP * W if at == name else value)

    @functools.cache  # noqa: B019  one oracle serves many backward functions, and then goes
    def probes(self, name, draws=3):
        """Random W for the intermediate ``name`` with the derivative along each. -> [(W, derivative)]"""
        shape = self.shapes.get(name, np.shape(self.subject.theta.get(name)))
        drawn = [self.rng.standard_normal(shape) for _ in range(draws)]
        return [(W, self.probe(name, W)) for W in drawn]

    def direction(self):
        """A random direction, each array of theta moved in proportion to its own size."""
        sizes = {name: np.sqrt(np.mean(array**2)) for name, array in self.subject.theta.items()}
        fallback = max(sizes.values()) or 1.0
        return {k: (sizes[k] or fallback) * self.rng.standard_normal(a.shape) for k, a in self.subject.theta.items()}

    def on_line(self, v):
        """t -> <cotangent, forward(theta + t v)> for real t; NaN where the line leaves the domain of forward."""

        def phi(t):
            try:
                value = self.real(moved(self.subject.theta, v, t))
            except AuditError:
                return math.nan
            return value if math.isfinite(value) else math.nan

        return phi

    def check(self, directions=3, tolerance=1e-7):
        """Hold the complex step against central differences along random directions.

        -> (complex step, difference, error) of the worst direction. Raises CannotJudge with the reason when they disagree.
        """
        if self.real(self.subject.theta) != self.value:
            raise CannotJudge("forward gives another value when called again: it draws random numbers or keeps a state")
        if np.iscomplexobj(self.out):
            raise CannotJudge(f"forward returns {self.out.dtype} for real theta; return a real number or a real array")
        lines = [self.direction() for _ in range(directions)]
        steps = [self.along(v) for v in lines]
        plain = [central_difference(self.on_line(v)) for v in lines]
        scale = float(np.nanmax(np.abs(steps + [p[0] for p in plain] + [1e-6 * self.spread(v) for v in lines])))
        if scale == 0.0:
            raise CannotJudge(f"the output does not depend on theta here{self.blame()}")
        errors = np.nan_to_num([abs(s - p[0]) / scale for s, p in zip(steps, plain, strict=True)], nan=np.inf)
        worst = int(np.argmax(errors))
        if errors[worst] > tolerance:
            raise CannotJudge(self.why(self.on_line(lines[worst]), steps[worst], *plain[worst], scale))
        self.check_each_array(tolerance)
        return steps[worst], plain[worst][0], errors[worst]

    def spread(self, v):
        """How far the value moves on a line: the size of a derivative that is not zero by chance."""
        phi = self.on_line(v)
        return max(float(np.nan_to_num(abs(phi(t) - self.value))) for t in (-0.125, 0.125))

    def check_each_array(self, tolerance):
        """The same with one array of theta moving at a time, so that a large one cannot drown a small one."""
        for name in self.subject.theta:
            v = {key: value if key == name else 0.0 * value for key, value in self.direction().items()}
            phi, step = self.on_line(v), self.along(v)
            plain, doubt = central_difference(phi)
            scale = max(abs(step), abs(plain), 1e-6 * self.spread(v))
            if not abs(step - plain) <= max(tolerance * scale, 10 * doubt):
                reason = self.why(phi, step, plain, doubt, scale)
                raise CannotJudge(f"{reason} (moving {name} alone)" if len(self.subject.theta) > 1 else reason)

    def why(self, phi, step, plain, doubt, scale):
        """Why the complex step and the differences disagree along one line."""
        t = 2.0**-18
        right = (4 * phi(t) - phi(2 * t) - 3 * phi(0.0)) / (2 * t)
        left = (3 * phi(0.0) - 4 * phi(-t) + phi(-2 * t)) / (2 * t)
        gap = abs(step - plain)
        if math.isnan(right) or math.isnan(left):
            return "forward is not defined on both sides of theta: choose a theta inside its domain"
        if abs(right - left) > gap and min(abs(right - step), abs(left - step)) < gap / 4:
            return f"forward has a kink here: its derivative is {left:.3e} from one side and {right:.3e} from the other"
        if doubt > 1e-7 * scale:
            return f"differences of forward do not settle (they vary by {doubt / scale:.0e}): a kink nearby, or noise"
        return f"the complex step gives {step:.3e} where differences of forward give {plain:.3e}{self.blame()}"

    def blame(self):
        """The functions without a complex derivative that the forward uses, as part of a sentence."""
        found = suspects(self.subject.source or self.subject.forward)
        return f"; forward uses {', '.join(found)}, through which no complex step passes" if found else ""

    def noise(self):
        """How far rounding alone moves the derivatives, relative to the largest: the change when theta moves by one ulp."""
        nudged = {k: a * (1 + 2.0**-52 * self.rng.standard_normal(a.shape)) for k, a in self.subject.theta.items()}
        v = self.direction()
        return abs(self.along(v, nudged) - self.along(v)) / max(abs(self.along(v)), math.sqrt(inner(v, v)) * 1e-300)


def central_difference(phi, rungs=range(3, 22)):
    """phi'(0) by the five-point rule at the step where it varies least. -> (derivative, how much it varies there)"""
    values = []
    for k in rungs:
        t = 2.0**-k
        values.append((8 * (phi(t) - phi(-t)) - (phi(2 * t) - phi(-2 * t))) / (12 * t))
    with np.errstate(all="ignore"):
        varies = np.fmax(np.abs(np.diff(values[:-1])), np.abs(np.diff(values[1:])))
    varies = np.where(np.isfinite(varies), varies, np.inf)
    best = int(np.argmin(varies))
    return float(values[best + 1]), float(varies[best])


def suspects(function, depth=4):
    """Names in the code of a function, and of functions it calls, that have no complex derivative."""
    found, seen = [], set()

    def visit(item, level):
        item = getattr(item, "__wrapped__", getattr(item, "func", getattr(item, "__func__", item)))
        code = getattr(item, "__code__", None)
        if code is None or code in seen or level > depth:
            return
        seen.add(code)
        names = list(code.co_names)
        for constant in code.co_consts:
            if hasattr(constant, "co_names"):
                names += constant.co_names
        found.extend(name for name in names if name in NOT_ANALYTIC and name not in found)
        reach = item.__globals__
        inside = [reach[name] for name in names if name in reach]
        for cell in item.__closure__ or ():
            inside.append(cell.cell_contents)
        for other in inside:
            visit(other, level + 1)

    visit(function, 0)
    return found
