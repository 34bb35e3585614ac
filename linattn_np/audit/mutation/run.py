"""The audit's own test: every mutation is audited, none may pass, and each check must catch what some other check misses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...progress import bar
from ..library.registry import as_point
from ..report import wrapped
from .adds import Added, what_each_check_adds
from .judge import CHECKS, Judge, Outcome, layer_of
from .kernels import KernelOutcome, judge_kernels, kernels_to_dict, table_of_kernels
from .listed import EVERY
from .mutant import Mutation
from .programs import RowOutcome, judge_programs, rows_to_dict, table_of_rows
from .weak import WEAK

OF_OPTIMIZERS = ("recur", "closed", "rotation", "purity")
SHORT = {
    **{
        "complex": "cs",
        "probe": "pr",
        "dot": "do",
        "taylor": "ta",
        "second": "2o",
        "tangent": "tg",
        "purity": "pu",
        "kernel": "ke",
    },
    **{"loss falls": "lo", "cosine > 0.99": "co", "absolute 2e-2": "ab"},
    **{"recur": "re", "closed": "cl", "rotation": "ro"},
}
COLUMNS = tuple(check for check in CHECKS if check in SHORT and check != "kernel")  # programs have a table of their own
LEGEND = (
    "cs complex step, pr line probes, do dot test, ta Taylor slopes, 2o second order, tg tangents line by line, pu purity | "
    "weak: lo loss falls, co cosine > 0.99, ab within 0.02; x caught, . missed, blank not asked"
)


@dataclass
class MutationRun:
    """The outcomes of all mutations at one point; ``ok`` when all that can change the gradient are killed and named."""

    outcomes: list[Outcome]
    point: dict[str, Any]
    reasons: list[str] = field(default_factory=list)  # why the point hides mistakes
    added: list[Added] = field(default_factory=list)  # for each check a mistake that another check misses
    rows: list[RowOutcome] = field(default_factory=list)  # wrong rows of the kernels' programs
    kernels: list[KernelOutcome] = field(default_factory=list)  # wrong kernels: the machine's operations and the drawing

    @property
    def real(self) -> list[Outcome]:
        """The mutations that change what they stand in."""
        return [o for o in self.outcomes if not o.equivalent]

    @property
    def survivors(self) -> list[Outcome]:
        """Real mutations that passed every check, or whose line was not named."""
        return [o for o in self.real if not (o.killed and o.line_named)]

    @property
    def ok(self) -> bool:
        """Whether the audit may be believed at this point."""
        return not (self.survivors or self.reasons or self.surviving_rows or self.surviving_kernels) and all(
            added.holds for added in self.added
        )

    @property
    def surviving_rows(self) -> list[RowOutcome]:
        """Wrong rows of programs that passed, or whose operand was not named; those that are the same for a reason left out."""
        return [row for row in self.rows if not row.why_equivalent and not (row.killed and row.line_named)]

    @property
    def surviving_kernels(self) -> list[KernelOutcome]:
        """Wrong kernels that no check catches, but for those that compute the same for a reason."""
        return [kernel for kernel in self.kernels if kernel.survived]

    def score(self, check: str) -> int:
        """How many real mutations a check catches."""
        return sum(o.caught.get(check, False) for o in self.real)

    def asked(self, check: str) -> int:
        """How many real mutations a check was asked about."""
        return sum(check in o.caught for o in self.real)

    def table(self) -> str:
        """Who caught what, at most 80 characters wide: derivatives first, then optimizers."""
        lines = []
        derivatives = [o for o in self.real if o.mutation.kind != "optimizer"]
        optimizers = [o for o in self.real if o.mutation.kind == "optimizer"]
        if derivatives:
            lines += [*_table(derivatives, "mutation", COLUMNS, WEAK), *wrapped([LEGEND])]
        if optimizers:
            lines += ["", *_table(optimizers, "optimizer", OF_OPTIMIZERS, ())]
            lines += ["re recurrence in scalars, cl closed form, ro rotation, pu purity"]
        return "\n".join(lines)

    def table_of_additions(self) -> str:
        """For each check a mistake that it catches and another check misses."""
        lines = [f"{'check':<10}{'catches':<21}{'as':<20}missed by"]
        return "\n".join([*lines, *(str(added) for added in self.added)])

    def __str__(self) -> str:
        lines = ["", "not counted, since nothing that is asked for changes:"] if len(self.real) < len(self.outcomes) else []
        lines += [f"{o.mutation.id}: {o.explanation}" for o in self.outcomes if o.equivalent]
        killed, named = sum(o.killed for o in self.real), sum(o.line_named for o in self.real)
        lines += ["", f"killed {killed} of {len(self.real)}, the line named for {named} of {len(self.real)}"]
        lines += [f"survived: {o.mutation.id}, {o.mutation.slip}" for o in self.survivors]
        lines += [f"{added.check} adds nothing: {added.why}" for added in self.added if not added.holds]
        lines += [f"cannot judge at this point: {reason}" for reason in self.reasons]
        rows = ["", *table_of_rows(self.rows)] if self.rows else []
        rows += ["", *table_of_kernels(self.kernels)] if self.kernels else []
        lines += [f"survived: {row.shape} {row.program}, {row.wrong}" for row in self.surviving_rows]
        lines += [f"survived: {kernel.mutant}" for kernel in self.surviving_kernels]
        added = ["", "each check catches what some other misses:", self.table_of_additions()] if self.added else []
        return "\n".join([self.table(), *rows, *added, *wrapped(lines)])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for ``json.dumps``."""
        kept = ("id", "module", "kind", "equation", "old", "new", "line", "slip", "hint")
        return {
            "ok": self.ok,
            "point": dict(self.point),
            "reasons": list(self.reasons),
            "killed": sum(o.killed for o in self.real),
            "not_equivalent": len(self.real),
            "scores": {check: self.score(check) for check in (*CHECKS, *WEAK)},
            "adds": [added.to_dict() for added in self.added],
            "rows": rows_to_dict(self.rows),
            "kernels": kernels_to_dict(self.kernels),
            "mutations": [
                {key: getattr(o.mutation, key) for key in kept}
                | {"caught": o.caught, "named": o.named, "equivalent": o.equivalent, "explanation": o.explanation}
                for o in self.outcomes
            ],
        }


def _table(outcomes: Iterable[Outcome], title: str, strong: Sequence[str], weak: Sequence[str]) -> list[str]:
    """A line for each outcome, and the sums: strong checks before the bar, weak ones behind it."""
    outcomes = list(outcomes)

    def line(name: str, named: str, cells: list[str]) -> str:
        cells = [cell.rjust(3) for cell in cells]
        bar_and_weak = f" |{''.join(cells[len(strong) :])}" if weak else ""
        return f"{name[:24]:<24} {named[:18]:<18}{''.join(cells[: len(strong)])}{bar_and_weak}".rstrip()

    checks = (*strong, *weak)
    lines = [line(title, "first wrong", [SHORT[check] for check in checks])]
    for o in outcomes:
        lines.append(line(o.mutation.id, o.named, [{True: "x", False: ".", None: ""}[o.caught.get(c)] for c in checks]))
    asked = {check: [o.caught[check] for o in outcomes if check in o.caught] for check in checks}
    sums = [f"{SHORT[check]} {sum(answers)} of {len(answers)}" for check, answers in asked.items() if answers]
    return [*lines, *wrapped([f"caught, of those asked: {', '.join(sums)}"])]


def run_mutations(
    seed: int = 0, catalogue: Iterable[Mutation] = EVERY, everything: bool = False, kernels: bool = False, **point: Any
) -> MutationRun:
    """Audit every mutation at one point. -> MutationRun

    catalogue: which of them. everything: also every wrong row of the kernels' programs, what each check adds to the others, and
    ``kernels``: every wrong kernel, run interpreted. point: as for ``audit_model``; single layers, optimizers, programs and
    kernels are judged at sizes of their own. Cost: about 0.1 s for each mutation, 3 s for the programs, 25 s for the kernels.
    """
    judge, outcomes, chosen = Judge(seed, point), [], list(catalogue)
    with bar(len(chosen), "mutations", unit="mutation") as shown:
        for mutation in chosen:
            outcomes.append(judge(mutation))
            shown.update()
    added, rows = (what_each_check_adds(seed), judge_programs()) if everything else ([], [])
    wrong_kernels = judge_kernels() if kernels else []
    return MutationRun(outcomes, {**as_point("linear", point), "seed": seed}, judge.reasons, added, rows, wrong_kernels)


__all__ = ["CHECKS", "WEAK", "MutationRun", "layer_of", "run_mutations"]
