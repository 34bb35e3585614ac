"""The audit's own test: every wrong derivation of the catalogue is audited, and none may pass.

Beside the checks of the audit three weak ones are scored on the same mistakes, for lesson 03: does the loss fall, is the cosine
with the true gradient above 0.99, is no entry off by more than 0.02.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from ...layers.marks import keep
from ...progress import bar
from ..checks.complex_step import check_complex
from ..checks.dot import check_dot
from ..checks.point import check_point
from ..checks.probes import check_probes
from ..checks.second import check_second
from ..checks.taylor import check_taylor
from ..library.model import REGISTRY, as_point, model_subject
from ..oracle import CannotJudge, Oracle
from ..report import wrapped
from ..row import CANNOT_JUDGE, WRONG
from ..subject import bare, record
from .mutant import CATALOGUE, apply

STRONG = ("complex", "probe", "dot", "taylor", "second")
WEAK = ("loss falls", "cosine > 0.99", "absolute 2e-2")
GENERIC = ({}, {"layers": 2, "d": 3, "n": 7, "batch": 5}, {"layers": 3, "d": 2, "n": 11, "batch": 3, "heads": 2})
LAYER_OF = {entry.module.__name__.rpartition(".")[2]: name for name, entry in REGISTRY.items()} | {
    "transformer": "linear",
    "composed": "mlp",
}


@dataclass
class Outcome:
    """What became of one mutation."""

    mutation: object
    caught: dict  # check -> bool, strong and weak
    named: str  # the first wrong line as the audit gives it
    equivalent: bool
    explanation: str = ""

    @property
    def killed(self):
        """Whether one of the audit's own checks says WRONG."""
        return any(self.caught[check] for check in STRONG)

    @property
    def line_named(self):
        """Whether the first wrong line is the changed one; true when no line's value changes."""
        return bare(self.named.split(" ")[0]) == self.mutation.line


@dataclass
class MutationRun:
    """The outcomes of all mutations at one point; ``ok`` when all that can change the gradient are killed and named."""

    outcomes: list
    point: dict
    reasons: list = field(default_factory=list)  # why the point hides mistakes

    @property
    def real(self):
        """The mutations that change the gradient."""
        return [o for o in self.outcomes if not o.equivalent]

    @property
    def survivors(self):
        """Real mutations that passed every check, or whose line was not named."""
        return [o for o in self.real if not (o.killed and o.line_named)]

    @property
    def ok(self):
        """Whether the audit may be believed at this point."""
        return not self.survivors and not self.reasons

    def score(self, check):
        """How many real mutations a check catches."""
        return sum(o.caught[check] for o in self.real)

    def table(self):
        """Who caught what, 76 characters wide."""
        checks = (*STRONG, *WEAK)
        lines = [_line("mutation", "first wrong line", ("cpx", "prb", "dot", "tay", "2nd", "los", "cos", "abs"))]
        for o in self.real:
            lines.append(_line(o.mutation.id, o.named, ["x" if o.caught[check] else "." for check in checks]))
        lines.append(_line(f"caught, of {len(self.real)}", "", [str(self.score(check)) for check in checks]))
        legend = "cpx complex step, prb line probes, dot adjoint test, tay Taylor slopes, 2nd second order"
        return "\n".join([*lines, *wrapped([f"{legend} | weak: los loss falls, cos cosine > 0.99, abs within 0.02"])])

    def __str__(self):
        lines = ["", "not counted, since the gradient of the loss stays the same:"]
        lines += [f"{o.mutation.id}: {o.explanation}" for o in self.outcomes if o.equivalent]
        killed, named = sum(o.killed for o in self.real), sum(o.line_named for o in self.real)
        lines += ["", f"killed {killed} of {len(self.real)}, the line named for {named} of {len(self.real)}"]
        lines += [f"survived: {o.mutation.id}, {o.mutation.slip}" for o in self.survivors]
        lines += [f"cannot judge at this point: {reason}" for reason in self.reasons]
        return "\n".join([self.table(), *wrapped(lines)])

    def to_dict(self):
        """Plain values, ready for ``json.dumps``."""
        kept = ("id", "module", "equation", "old", "new", "line", "slip", "hint")
        return {
            "ok": self.ok,
            "point": dict(self.point),
            "reasons": list(self.reasons),
            "killed": sum(o.killed for o in self.real),
            "not_equivalent": len(self.real),
            "scores": {check: self.score(check) for check in (*STRONG, *WEAK)},
            "mutations": [
                {key: getattr(o.mutation, key) for key in kept}
                | {"caught": o.caught, "named": o.named, "equivalent": o.equivalent, "explanation": o.explanation}
                for o in self.outcomes
            ],
        }


def _line(name, named, cells):
    """A line of the table: strong checks before the bar, weak ones behind it."""
    cells = [cell.rjust(3) for cell in cells]
    return f"{name[:22]:<22} {named[:19]:<19} {' '.join(cells[: len(STRONG)])} | {' '.join(cells[len(STRONG) :])}"


def run_mutations(seed=0, catalogue=CATALOGUE, **point):
    """Audit every mutation at one point. -> MutationRun

    The references depend on the forward alone, which no mutation touches, so they are computed once for each kind of layer.
    """
    grounds, outcomes, reasons = {}, [], []
    with bar(len(catalogue), "mutations", unit="mutation") as shown:
        for mutation in catalogue:
            layer = LAYER_OF[mutation.module]
            if layer not in grounds:
                grounds[layer] = _ground(layer, seed, point)
                reasons += [f"{layer}, {reason}" for reason in grounds[layer][2]]
            outcomes.append(_judge(mutation, layer, *grounds[layer][:2], seed, point))
            shown.update()
    return MutationRun(outcomes, {**as_point("linear", point), "seed": seed}, reasons)


def _ground(layer, seed, point):
    """The correct subject with its oracle, and what the point cannot show."""
    subject = _subject(layer, {}, seed, point)
    oracle = Oracle(subject, np.random.default_rng([seed, 3]))
    gradient, lines = record(subject, oracle.cotangent)
    try:
        oracle.check()
        rows, _ = check_point(subject, oracle, gradient, lines)
    except CannotJudge as reason:
        return subject, oracle, [str(reason)]
    return subject, oracle, [f"{row.label}: {row.note}" for row in rows if row.verdict == CANNOT_JUDGE]


def _subject(layer, replaced, seed, point):
    rng = np.random.default_rng([seed, 2])
    return model_subject(REGISTRY[layer], replaced.get("module"), replaced.get("stack"), rng, as_point(layer, point))[0]


def _replaced(mutation):
    return {"stack" if mutation.module in ("transformer", "composed") else "module": apply(mutation)}


def _judge(mutation, layer, right, oracle, seed, point):
    """One mutation before all checks. The mistake is in the gradient alone, so the Hessian-vector product is the right one."""
    subject = replace(_subject(layer, _replaced(mutation), seed, point), hvp=right.hvp)
    gradient, lines = record(subject, oracle.cotangent)
    probes = check_probes(subject, oracle, lines)
    rows = {
        "complex": check_complex(subject, oracle, gradient, lines, witness=False),
        "probe": probes,
        "dot": check_dot(subject, oracle, gradient),
        "taylor": check_taylor(subject, oracle, gradient)[0],
        "second": check_second(subject, oracle)[0],
    }
    caught = {check: any(row.verdict == WRONG for row in rows[check]) for check in STRONG}
    caught |= weak_checks(subject, oracle, gradient)
    first = next((row.label for row in probes if row.verdict == WRONG), "")
    equivalent = same_gradient(mutation, layer, seed)
    explanation = explain_equivalence(mutation, right, subject, oracle) if equivalent else ""
    return Outcome(mutation, caught, first, equivalent, explanation)


def weak_checks(subject, oracle, gradient, steps=50, lr=0.02):
    """Whether the three weak checks notice: 50 steps downhill, the cosine, an absolute tolerance. -> {name: bool}"""
    g, c = gradient["params"], oracle.gradient["params"]
    params = subject.theta["params"].copy()
    for _ in range(steps):
        step = subject.backward({"params": params}, oracle.cotangent, keep)["params"]
        params = params - lr * step / max(1.0, np.linalg.norm(step))
    after = oracle.real({"params": params})
    cosine = (g * c).sum() / (np.linalg.norm(g) * np.linalg.norm(c) or 1.0)
    values = (not after < oracle.value, cosine <= 0.99, np.abs(g - c).max() > 2e-2)
    return {name: bool(value) for name, value in zip(WEAK, values, strict=True)}


def same_gradient(mutation, layer, seed):
    """Whether the mutation leaves the gradient of the loss as it is, to rounding, at three generic points of several sizes."""
    replaced = _replaced(mutation)
    for i, sizes in enumerate(GENERIC):
        point = {**sizes, "sigma": 0.4}
        right, wrong = (_subject(layer, r, [seed, i], point) for r in ({}, replaced))
        a, b = (subject.backward(subject.theta, np.ones(()), keep)["params"] for subject in (right, wrong))
        if np.abs(a - b).max() > 1e-12 * np.abs(a).max():
            return False
    return True


def explain_equivalence(mutation, right, wrong, oracle):
    """Where the change is lost: which recorded lines differ, and that the gradient does not; with the reason on file."""
    before, after = (record(subject, oracle.cotangent)[1] for subject in (right, wrong))
    differ = [name for name in before if np.abs(before[name] - after[name]).max() > 1e-12 * np.abs(before[name]).max()]
    names = list(dict.fromkeys(bare(name) for name in differ))
    seen = f"of the lines {', '.join(names)} changes, dparams does not" if names else "no line changes its value"
    return f"{seen}: {mutation.why_equivalent or 'no reason on file'}"
