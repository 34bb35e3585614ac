"""The adjoint dot test: <J u, w> = <u, J^T w>, where J u comes from the forward and J^T w from the backward."""

import numpy as np

from ..._types import Array
from ..oracle import Oracle
from ..row import CANNOT_JUDGE, OK, WRONG, Row
from ..subject import STEP, Subject, copied, imaginary, inner, moved, run_backward


def check_dot(subject: Subject, oracle: Oracle, gradient: dict[str, Array], draws: int = 3) -> list[Row]:
    """<J u, w> = <u, J^T w> for independent u and w; for a layer also without its residual, and what share that leaves.

    J u is a complex step of the forward. The errors are relative to |J u| |w| and |u| |J^T w|, whichever is larger.
    """
    rows, rng = [], oracle.rng
    pairs = []
    for _ in range(draws):
        u = oracle.direction()
        w = rng.standard_normal(oracle.out.shape) if subject.takes_cotangent else oracle.cotangent
        stepped = oracle.forward(moved(copied(subject.theta), u, 1j * STEP))
        pairs.append((u, w, imaginary(stepped), run_backward(subject, w)))
    rows.append(_dot_row("whole", [(inner_out(Ju, w), inner(u, g), _size(Ju, w, u, g)) for u, w, Ju, g in pairs], oracle.limit))
    if subject.residual:
        parts = [(u, w, Ju - subject.residual(u), Ju, g) for u, w, Ju, g in pairs]
        bare = [(inner_out(rest, w), inner(u, g) - inner_out(Ju - rest, w), _size(rest, w)) for u, w, rest, Ju, g in parts]
        share = min(float(np.linalg.norm(rest) / np.linalg.norm(Ju)) for _, _, rest, Ju, _ in parts)
        note = "" if share > 1e-6 else "the identity drowns the rest: this test says nothing about it"
        if not note:  # what is left carries the rounding of the whole
            rows.append(_dot_row("without residual", bare, max(1e-12, 1e-14 / share)))
        rows.append(Row("dot", "share of the rest", float(share), None, None, None, OK if share > 1e-6 else CANNOT_JUDGE, note))
    return rows


def inner_out(a: Array, b: Array) -> float:
    """<a, b> of two outputs."""
    return float((a * b).sum())


def _size(Ju: Array, w: Array, u: dict[str, Array] | None = None, g: dict[str, Array] | None = None) -> float:
    backward = np.sqrt(inner(u, u) * inner(g, g)) if u and g else 0.0
    return float(max(np.linalg.norm(Ju) * np.linalg.norm(w), backward)) or 1.0


def _dot_row(quantity: str, sides: list[tuple[float, float, float]], tolerance: float) -> Row:
    errors = [abs(left - right) / size for left, right, size in sides]
    worst = int(np.argmax(errors))
    verdict = OK if errors[worst] <= tolerance else WRONG
    note = "" if verdict == OK else "<J u, w> is not <u, J^T w>"
    return Row("dot", quantity, float(sides[worst][1]), float(sides[worst][0]), float(errors[worst]), tolerance, verdict, note)
