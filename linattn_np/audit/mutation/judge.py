"""One mutation before the checks: which of them say WRONG, and what they name first."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..._types import Array
from ...layers.marks import keep
from ...models.composed import Composed
from ...prompts import RegressionTask
from ..checks.arrays import array_row
from ..checks.complex_step import check_complex
from ..checks.dot import check_dot
from ..checks.point import check_point
from ..checks.probes import check_probes
from ..checks.purity import check_purity
from ..checks.second import check_second
from ..checks.tangents import check_tangents
from ..checks.taylor import check_taylor
from ..library.layer import layer_inputs, layer_subject
from ..library.model import model_subject
from ..library.optimizers import audit_optimizers
from ..library.registry import as_point, entry_of, layer_of_module
from ..oracle import CannotJudge, Oracle
from ..row import CANNOT_JUDGE, WRONG, Row
from ..subject import Subject, bare, record
from .mutant import Mutation, apply
from .weak import weak_checks

CHECKS = ("complex", "probe", "dot", "taylor", "second", "tangent", "purity", "point", "kernel")
FIRST = ("probe", "purity", "complex", "dot", "tangent", "taylor", "second", "kernel")  # whose word counts for the name
GENERIC: tuple[dict[str, int], ...] = (
    {},
    {"layers": 2, "d": 3, "n": 7, "batch": 5},
    {"layers": 3, "d": 2, "n": 11, "batch": 3, "heads": 2},
)
SMALL = {"d": 3, "n": 5, "batch": 2, "heads": 2}  # one layer by itself
STACKS = {
    "stack": "linear",
    "composed": "mlp",
    "composed_diagonal": "mlp",
}  # what is no layer, and the layer whose model shows it


@dataclass
class Outcome:
    """What became of one mutation."""

    mutation: Mutation
    caught: dict[str, bool]  # check -> whether it says WRONG; a check that was not asked is left out
    named: str  # the first wrong quantity as the audit gives it
    equivalent: bool
    explanation: str = ""

    @property
    def killed(self) -> bool:
        """Whether one of the audit's own checks says WRONG."""
        return any(caught for check, caught in self.caught.items() if check in CHECKS or self.mutation.kind == "optimizer")

    @property
    def line_named(self) -> bool:
        """Whether the first wrong quantity is the one that the mutation changes first."""
        return bare(self.named.partition(" (")[0]) == self.mutation.line


@dataclass
class Ground:
    """The correct subject of a kind of layer with its oracle, and what the point cannot show."""

    subject: Subject
    oracle: Oracle
    reasons: list[str] = field(default_factory=list)


class Judge:
    """All mutations at one point. The references depend on the forward alone, so they are computed once for each layer."""

    def __init__(self, seed: int, point: dict[str, Any]) -> None:
        self.seed, self.point = seed, point
        self.grounds: dict[tuple[str, str], Ground] = {}

    def __call__(self, mutation: Mutation) -> Outcome:
        return JUDGES[mutation.kind](self, mutation)

    @property
    def reasons(self) -> list[str]:
        """Why the point hides mistakes, for the layers that were asked about."""
        return [f"{layer}, {reason}" for (_, layer), ground in self.grounds.items() for reason in ground.reasons]

    def ground(self, level: str, layer: str) -> Ground:
        """The correct code, as a "model" or as one "layer"."""
        if (level, layer) not in self.grounds:
            self.grounds[level, layer] = self._ground(level, layer)
        return self.grounds[level, layer]

    def _ground(self, level: str, layer: str) -> Ground:
        subject = self.model(layer, {}) if level == "model" else self.layer(layer, None)
        ground = Ground(subject, Oracle(subject, np.random.default_rng([self.seed, 3])))
        gradient, lines = record(subject, ground.oracle.cotangent)
        try:
            ground.oracle.check()
            rows, _ = check_point(subject, ground.oracle, gradient, lines)
            ground.reasons = [f"{row.label}: {row.note}" for row in rows if row.verdict == CANNOT_JUDGE]
        except CannotJudge as reason:
            ground.reasons = [str(reason)]
        return ground

    def model(self, layer: str, replaced: dict[str, Any], seed: Any = None, **point: Any) -> Subject:
        """The loss of a whole model as a subject, with some module in the place of the library's."""
        rng = np.random.default_rng([self.seed, 2] if seed is None else seed)
        at = as_point(layer, point or self.point)
        return model_subject(entry_of(layer), replaced.get("module"), replaced.get("stack"), rng, at)[0]

    def layer(self, layer: str, module: Any) -> Subject:
        """One layer as a subject."""
        return layer_subject(entry_of(layer), module, np.random.default_rng([self.seed, 1]), as_point(layer, SMALL))

    def gradient(self, mutation: Mutation) -> Outcome:
        """A wrong line of a gradient, in the loss of a model; the Hessian-vector product beside it is the right one."""
        layer = layer_of(mutation)
        ground = self.ground("model", layer)
        subject = replace(self.model(layer, replaced(mutation)), hvp=ground.subject.hvp)
        rows, gradient, lines = judged(subject, ground.oracle)
        caught = verdicts(rows) | weak_checks(subject, ground.oracle, gradient)
        equivalent = self.same_gradient(mutation, layer)
        explanation = explain_equivalence(mutation, ground, lines) if equivalent else ""
        return Outcome(mutation, caught, first_named(rows), equivalent, explanation)

    def one_layer(self, mutation: Mutation) -> Outcome:
        """A wrong tangent, or a mistake of habit, in one layer by itself."""
        layer, module = layer_of(mutation), apply(mutation)
        ground = self.ground("layer", layer)
        subject = self.layer(layer, module)
        rows, _, _ = judged(subject, ground.oracle)
        rng = np.random.default_rng([self.seed, 5])
        entry, point = entry_of(layer), as_point(layer, SMALL)
        rows["tangent"] = check_tangents(module, layer_inputs(entry, rng, point), rng, entry.options(point))
        caught = verdicts(rows)
        explanation = "" if any(caught.values()) else f"no check sees a change: {mutation.why_equivalent or 'no reason on file'}"
        return Outcome(mutation, caught, first_named(rows), bool(explanation and mutation.why_equivalent), explanation)

    def product(self, mutation: Mutation) -> Outcome:
        """A wrong Hessian-vector product of a model whose gradient is right."""
        layer = layer_of(mutation)
        ground = self.ground("model", layer)
        rows, _, _ = judged(self.model(layer, replaced(mutation)), ground.oracle)
        return Outcome(mutation, verdicts(rows), first_named({"second": rows["second"]}), False)

    def diagonal(self, mutation: Mutation) -> Outcome:
        """A wrong exact diagonal of the composed model's Hessian, against the Hessian."""
        rng = np.random.default_rng([self.seed, 2])
        model = Composed(d=3, hidden=5, layers=2, backend="numpy")
        Z, y = RegressionTask(n=7, d=3).sample(5, rng)
        theta = model.init_params(rng, 0.3)
        made = apply(mutation).hessian_diagonal(model, theta, Z, y)
        row = array_row("diagonal of H", made, np.diag(model.hessian(theta, Z, y)), 1e-12, "second")
        return Outcome(mutation, verdicts({"second": [row]}), first_named({"second": [row]}), False)

    def optimizer(self, mutation: Mutation) -> Outcome:
        """A wrong optimizer or clipping, before the audit of the optimizers."""
        report = audit_optimizers(self.seed, apply(mutation))
        caught = dict.fromkeys(dict.fromkeys(row.check for row in report.rows), False)
        caught |= {row.check: True for row in report.rows if row.verdict == WRONG}
        first = report.first_wrong
        return Outcome(mutation, caught, first.quantity if first else "", False)

    def same_gradient(self, mutation: Mutation, layer: str) -> bool:
        """Whether the mutation leaves the gradient of the loss as it is, to rounding, at generic points of several sizes."""
        changed = replaced(mutation)
        for i, sizes in enumerate(GENERIC):
            right, wrong = (self.model(layer, r, [self.seed, i], sigma=0.4, **sizes) for r in ({}, changed))
            a, b = (subject.backward(subject.theta, np.ones(()), keep)["params"] for subject in (right, wrong))
            if np.abs(a - b).max() > 1e-12 * np.abs(a).max():
                return False
        return True


JUDGES: dict[str, Callable[[Judge, Mutation], Outcome]] = {
    "gradient": Judge.gradient,
    "tangent": Judge.one_layer,
    "habit": Judge.one_layer,
    "layer": Judge.one_layer,
    "product": Judge.product,
    "diagonal": Judge.diagonal,
    "optimizer": Judge.optimizer,
}


def layer_of(mutation: Mutation) -> str:
    """The layer whose audit, or whose model's audit, shows a mutation; the module's name where it is no layer's."""
    return STACKS.get(mutation.module) or layer_of_module(mutation.module) or mutation.module


def replaced(mutation: Mutation) -> dict[str, Any]:
    """The mutated module and the place that it takes in a model."""
    return {"stack" if mutation.module in STACKS else "module": apply(mutation)}


def judged(subject: Subject, oracle: Oracle) -> tuple[dict[str, list[Row]], dict[str, Array], dict[str, Array]]:
    """The rows of every check, the gradient, and the lines that the backward records."""
    gradient, lines = record(subject, oracle.cotangent)
    rows = {
        "purity": check_purity(subject, oracle),
        "complex": check_complex(subject, oracle, gradient, lines, witness=False),
        "probe": check_probes(subject, oracle, lines),
        "dot": check_dot(subject, oracle, gradient),
        "taylor": check_taylor(subject, oracle, gradient)[0],
        "second": check_second(subject, oracle)[0],
    }
    return rows, gradient, lines


def verdicts(rows: dict[str, list[Row]]) -> dict[str, bool]:
    """Which checks say WRONG."""
    return {check: any(row.verdict == WRONG for row in found) for check, found in rows.items()}


def first_named(rows: dict[str, list[Row]]) -> str:
    """What is wrong first, as the audit gives it: the first wrong line, else the first wrong quantity."""
    return next((row.label for check in FIRST for row in rows.get(check, ()) if row.verdict == WRONG), "")


def explain_equivalence(mutation: Mutation, ground: Ground, lines: dict[str, Array]) -> str:
    """Where the change is lost: which recorded lines differ, and that the gradient does not; with the reason on file."""
    before = record(ground.subject, ground.oracle.cotangent)[1]
    differ = [name for name in before if np.abs(before[name] - lines[name]).max() > 1e-12 * np.abs(before[name]).max()]
    names = list(dict.fromkeys(bare(name) for name in differ))
    seen = f"of the lines {', '.join(names)} changes, dparams does not" if names else "no line changes its value"
    return f"{seen}: {mutation.why_equivalent or 'no reason on file'}"
