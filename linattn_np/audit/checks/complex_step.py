"""Every entry of the gradient against the derivative that the forward alone gives, by complex steps or by differences."""

from collections.abc import Iterable

import numpy as np

from ..._types import Array
from ..differences import estimate, has_kink
from ..known_mistakes import explain
from ..oracle import Oracle
from ..row import CANNOT_JUDGE, OK, WRONG, Row
from ..subject import Subject, gradient_of, inner, part
from ..trust import COMPLEX, DIFFERENCES, EPS

LIMIT = {COMPLEX: 1e-12, DIFFERENCES: 1e-8}
COARSE = 1e-6  # where the reference is known to fewer digits than this, nothing is said
SINGLE = 2e-5  # the limit where theta is float32


def check_complex(subject: Subject, oracle: Oracle, gradient: dict, lines: dict, witness: bool = True) -> list[Row]:
    """Every entry of the gradient against its reference: max|g - c| / max|c| <= 1e-12, and entry by entry.

    Entry by entry the bound is 1e-10 |c_i| + 1e-14 max|c| with the largest entry of the whole of theta, since a small entry is
    the sum of large ones that cancel. By differences it is 1e-8 max|c|, and never less than their own doubt. A disagreement is
    put before a ``witness`` (rounding, differences along the disagreement), since the reference may be at fault too.
    """
    tops = [np.nanmax(np.abs(c), initial=0.0) for c in oracle.gradient.values()]
    rows = []
    for name in subject.parts:
        trust = oracle.trust[subject.parts[name][0]]
        g, c = part(subject, gradient, name), part(subject, oracle.gradient, name)
        if not trust.kind or (trust.kink and np.isnan(c).all()):
            finite = np.isfinite(g).all()
            note = trust.reason if finite else "some entries are not finite numbers"
            values = None, None, None, None, CANNOT_JUDGE if finite else WRONG
            rows.append(Row("complex", gradient_of(name), *values, note, subject.equation(gradient_of(name))))
        elif not np.isnan(c).all():
            rows.append(_Comparison(subject, oracle, gradient, name, max(tops)).row(lines, witness))
    return rows


class _Comparison:
    """One array (or part of one) against its reference."""

    def __init__(self, subject: Subject, oracle: Oracle, gradient: dict[str, Array], name: str, top: float) -> None:
        self.subject, self.oracle, self.gradient, self.name, self.top = subject, oracle, gradient, name, top
        self.key, self.index = subject.parts[name]
        self.trust = oracle.trust[self.key]
        self.g, self.c = part(subject, gradient, name), np.array(part(subject, oracle.gradient, name))
        self.doubt = part(subject, oracle.doubts, name)
        self.limit = LIMIT[self.trust.kind]
        self.measure()

    def measure(self) -> None:
        """The gap at each entry that has a reference, and the largest derivative."""
        seen = ~np.isnan(self.c)
        with np.errstate(invalid="ignore"):
            self.gap = np.where(seen, np.abs(self.g - self.c), 0.0)
        self.gap = np.where(np.isnan(self.g), np.inf, self.gap)
        self.scale = float(np.nanmax(np.abs(self.c), initial=0.0)) or self.top or 1.0
        allowed = 1e-10 * np.abs(np.where(seen, self.c, 0.0)) + 1e-14 * self.top
        if self.trust.kind == DIFFERENCES:
            allowed = np.maximum(self.limit * self.scale, 20 * self.doubt)
        self.bad = (self.gap > allowed) | (self.gap > max(self.limit * self.scale, 20 * float(self.doubt.max(initial=0.0))))

    def row(self, lines: dict[str, Array], witness: bool) -> Row:
        """The comparison as a row of the report."""
        verdict, note = self.judge() if witness else ((WRONG, "") if self.bad.any() else (OK, ""))
        worst = np.unravel_index(np.argmax(self.gap), self.gap.shape)
        if verdict == WRONG and not note:
            arrays = {**self.subject.theta, **lines} if self.index is ... else {}
            others = {name: c for name, c in self.oracle.gradient.items() if name != self.key}
            note = explain(self.g, self.c, lines, worst, arrays, others)
        quantity = gradient_of(self.name)
        values = float(self.g[worst]), float(self.c[worst]), float(self.gap.max() / self.scale), self.limit
        return Row("complex", quantity, *values, verdict, note, self.subject.equation(quantity))

    def judge(self) -> tuple[str, str]:
        """-> verdict and note; an empty note of a wrong array asks for an explanation."""
        if self.trust.kink:
            return self.beside_a_kink()
        if self.trust.kind == DIFFERENCES:
            return self.by_differences()
        worst = np.argsort(-np.abs(np.nan_to_num(self.c)), axis=None)[:3]
        noise = self.rounding(worst)
        if 0 < np.nanmax(np.abs(self.c), initial=0.0) <= 30 * noise and self.gap.max() <= 100 * noise + self.oracle.natural(
            self.key
        ):
            return CANNOT_JUDGE, "its derivative is zero here but for rounding: choose a point where it is not, if there is one"
        if not self.bad.any():
            return OK, ""
        allowed = max(40 * max(noise, self.rounding(self.worst(8))), self.oracle.natural(self.key))
        allowed = max(allowed, SINGLE * self.scale * self.subject.single)
        if self.gap.max() <= COARSE * self.scale:  # rounding of numbers of order one on the way, as in p - 1 for p near 1
            allowed = max(allowed, 16 * EPS * float(np.abs(self.oracle.cotangent).max()))
        if self.gap.max() > allowed:
            return self.adjudicate()
        if allowed > COARSE * self.scale and not self.subject.single:
            return CANNOT_JUDGE, "the difference is as small as what rounding does to this function here"
        self.limit = allowed / self.scale
        self.oracle.limit = max(self.oracle.limit, 10 * self.limit)
        return OK, ""

    def worst(self, count: int) -> Array:
        """The entries (flat, of the part) with the largest gaps."""
        return np.argsort(-self.gap, axis=None)[:count]

    def rounding(self, entries: Iterable[int]) -> float:
        """How far rounding moves the reference at these entries of the part."""
        size = self.subject.theta[self.key].size
        flat = np.arange(size).reshape(self.subject.theta[self.key].shape)[self.index].ravel()
        known = [flat[i] for i in entries if not np.isnan(self.c.flat[i])]
        return float(self.oracle.rounding(self.key, np.array(known)).max(initial=0.0)) if known else 0.0

    def by_differences(self) -> tuple[str, str]:
        """The verdict where plain differences are the reference."""
        doubt = 20 * float(self.doubt.max(initial=0.0)) / self.scale
        if self.gap.max() > max(self.limit, doubt) * self.scale:
            return self.adjudicate()
        if doubt > (COARSE if not self.subject.single else 1e-2):
            return CANNOT_JUDGE, f"differences are good to {doubt:.0e} only. {self.trust.reason}"
        self.limit = max(self.limit, doubt)
        return OK, f"ok to {self.limit:.0e} by differences"

    def beside_a_kink(self) -> tuple[str, str]:
        """WRONG when an entry that is not at the kink is wrong beyond doubt; else nothing can be said of the array."""
        certain = []
        size, flat = self.oracle.step_size(self.key), np.arange(self.subject.theta[self.key].size)
        flat = flat.reshape(self.subject.theta[self.key].shape)[self.index].ravel()
        for i in self.worst(200):
            if not self.bad.flat[i]:
                break
            phi = self.oracle.on_line(self.oracle.unit(self.key, flat[i], size))
            found = estimate(phi)
            off = abs(self.g.flat[i] * size - found.value)
            if has_kink(phi):
                self.c.flat[i] = np.nan
            elif off > 20 * found.doubt + 1e-7 * size * self.scale:
                certain.append(i)
        self.measure()
        return (WRONG, "") if certain else (CANNOT_JUDGE, self.trust.reason)

    def adjudicate(self) -> tuple[str, str]:
        """Who is wrong when gradient and reference disagree: a third witness, differences along the disagreement itself."""
        v = {k: np.zeros_like(a) for k, a in self.subject.theta.items()}
        gap = np.nan_to_num(self.g - self.c, posinf=0.0, neginf=0.0)
        length = float(np.sqrt((gap * gap).sum()))
        if not length or not np.isfinite(self.g).all():
            return WRONG, "not a number" if not length else ""
        v[self.key][self.index] = gap / length * self.oracle.step_size(self.key)
        said, true = inner(self.gradient, v), float((np.nan_to_num(self.c) * v[self.key][self.index]).sum())
        if np.isnan(self.c).any():  # only some entries are known, and v moves only these
            said = float((np.where(np.isnan(self.c), 0.0, self.g) * v[self.key][self.index]).sum())
        phi = self.oracle.on_line(v)
        found = estimate(phi)
        if abs(found.value - said) < abs(found.value - true) and found.doubt < abs(said - true) / 4:
            return CANNOT_JUDGE, f"differences agree with the gradient, not with the {self.trust.kind}{self.oracle.blame()}"
        if found.doubt >= abs(said - true) / 4 and (self.trust.kind == DIFFERENCES or self.oracle.blame()):
            return CANNOT_JUDGE, f"differences are too coarse to say who is right{self.oracle.blame()}"
        return WRONG, ""


def check_large(subject: Subject, oracle: Oracle, gradient: dict) -> list[Row]:
    """Arrays of which only a block was looked at entry by entry: random directions for the rest, and bisection to the entry."""
    rows = []
    for key in (key for key in oracle.large if key in oracle.judged):
        quantity = gradient_of(key)
        found: list[tuple[float, float, float, float, Array]] = []
        for _ in range(3):
            v = oracle.direction([key])[key]
            said, true, limit = _both(oracle, gradient, key, v)
            size = float(np.sqrt((v * v).sum() * (gradient[key] ** 2).sum())) or 1.0
            found.append((said, true, abs(said - true) / size, limit / size, v))
        said, true, error, limit, v = max(found, key=lambda one: one[2])
        verdict = OK if error <= limit else WRONG
        note = "" if verdict == OK else _bisect(oracle, gradient, key, v)
        rows.append(Row("complex", quantity, said, true, error, limit, verdict, note, subject.equation(quantity)))
    return rows


def _both(oracle: Oracle, gradient: dict, key: str, v: Array) -> tuple[float, float, float]:
    """What the gradient and the reference say along v, and how far they may be apart."""
    said, size = float((gradient[key] * v).sum()), float(np.sqrt((v * v * gradient[key] ** 2).sum()))
    if oracle.trust[key].kind == COMPLEX:
        return said, oracle.along(oracle.only(key, v)), 100 * max(oracle.limit, 1e-12) * max(size, abs(said))
    found = estimate(oracle.on_line(oracle.only(key, v)))
    return said, found.value, max(1e-8 * size, 20 * found.doubt)


def _bisect(oracle: Oracle, gradient: dict, key: str, v: Array) -> str:
    """Halve the entries that move until one is left, each time the half that is further off. -> the note"""
    low, high = 0, v.size
    while high - low > 1:
        middle = (low + high) // 2
        half = np.zeros(v.size)
        half[low:middle] = v.ravel()[low:middle]
        said, true, _ = _both(oracle, gradient, key, half.reshape(v.shape))
        rest = np.zeros(v.size)
        rest[middle:high] = v.ravel()[middle:high]
        other = _both(oracle, gradient, key, rest.reshape(v.shape))
        low, high = (low, middle) if abs(said - true) >= abs(other[0] - other[1]) else (middle, high)
    at = np.unravel_index(low, v.shape)
    true, _ = oracle.derivative(key, low)
    where = "[" + ", ".join(str(int(i)) for i in at) + "]"
    return f"entry {where} is {gradient[key][at]:.6g} where the derivative is {true:.6g}"
