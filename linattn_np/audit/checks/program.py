"""A kernel's program, operation by operation: every operand that it writes against what the definition says of it.

The programs of a gradient and of a Hessian-vector product (``kernels/programs.py``) are data, and ``operations.value_of``
computes a row in NumPy. So no compiler is needed to judge one. What an operand must be, for each prompt:
    X            the layer's tape on the state (``layers/gram.py``), cut into the blocks of (5b.1) to (5b.5)
    dX           along a random W, how error^2 moves when X moves: a complex step of the program's own forward
    dP, dQ       the gradient of error^2 in NumPy
    vX, hX       Im X / h and Im dX / h when the weights move along the direction: a complex step of the gradient's program
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..._types import Array
from ...kernels.operations import Program, places_of, value_of
from ...kernels.programs import Passes, passes
from ...layers import gram
from ...layers.corner import to_full
from ...models.stack import forward_stack, loss_and_grad_by
from ...prompts import RegressionTask
from ..row import OK, WRONG, Row
from ..subject import STEP

LIMIT = 1e-10
SUMS = ("squares", "dP", "dQ", "hP", "hQ")  # what goes on from block to block


@dataclass(frozen=True)
class ProgramCase:
    """Prompts, weights and a direction for the programs of one shape, with what every operand must be."""

    passes: Passes
    params: Array
    v: Array
    state: gram.State
    y: Array
    junk: Array  # what the memory holds before: a program may not rely on it
    values: dict[str, Array] = field(default_factory=dict)  # name -> (rows, columns, prompts)
    probes: dict[str, tuple[Array, Array]] = field(default_factory=dict)  # dX -> (W, the derivative for each prompt)

    def memory(self) -> Array:
        """A memory with the prompts in it, complex so that a step can pass, and junk elsewhere. (slots, prompts)"""
        at, k, (G, z, _) = self.passes.at, self.params.shape[-1], self.state
        mem = self.junk.astype(complex)
        mem[at.S : at.S + k * k] = G[:, :k, :k].reshape(len(self.y), -1).T
        if k < G.shape[-1]:
            mem[at.s : at.s + k] = G[:, :k, k].T
        mem[at.x : at.x + k], mem[at.y] = z[:, :k].T, self.y
        return mem

    def run(
        self, program: Program, mem: Array, moving: complex = 0.0, nudge: Callable[[str, Array], Array] | None = None
    ) -> dict[str, Array]:
        """Run a program in NumPy, in place. -> the last value of each operand; of a sum, what was added to it

        moving: how far the weights have moved along the direction. nudge(name, value): what goes on in the place of a last value.
        """
        shared = np.concatenate([self.params.ravel() + moving * self.v.ravel(), self.v.ravel()])
        last = {step.c.name: i for i, step in enumerate(program.steps)}
        before, written = mem.copy(), {}
        for i, step in enumerate(program.steps):
            places, value = places_of(step.c), step.term.factor * value_of(step.term, step.c, mem, shared)
            mem[places] = mem[places] + value if step.add else value
            if last[step.c.name] == i:
                if nudge:
                    mem[places] = nudge(step.c.name, mem[places])
                written[step.c.name] = mem[places] - before[places] if step.c.name.startswith(SUMS) else mem[places]
        return written


def program_case(L: int, H: int, d: int, full: bool, n: int, batch: int = 3, seed: int = 0) -> ProgramCase:
    """The programs of a shape of model, at random prompts, with what every operand must be."""
    rng = np.random.default_rng([seed, 7])
    k = d + 1 if full else d
    params, v = (0.4 * rng.standard_normal((L, H, 2, k, k)) for _ in range(2))
    Z, y = RegressionTask(n=n, d=d).sample(batch, rng)
    both = passes(L, H, k, full, n, order=2)
    case = ProgramCase(both, params, v, gram.compress(Z), y, rng.standard_normal((both.slots, batch)))
    values = case.run(both.gradient, case.memory())
    for name, value in values.items():
        if name[1:] in values and name.startswith("d") and f"{name}[{value.shape[0]}]" not in values:  # an entry comes later
            case.probes[name] = _probe(case, name[1:], value, rng)
    moved = case.run(both.gradient, case.memory(), 1j * STEP)
    case.values.update({f"h{name[1:]}" if name.startswith("d") else f"v{name}": x.imag / STEP for name, x in moved.items()})
    for name in [name for name in case.values if f"{name}[{len(case.values[name])}]" in case.values]:
        del case.values[name]
    case.values.update(_forward_values(case))
    case.values.update(_gradients(case))
    return case


def check_programs(case: ProgramCase, gradient: Program, hvp: Program) -> list[Row]:
    """Both programs, one after the other as they run, on a case: a row for each operand, in the order of its last write."""
    mem = case.memory()
    rows = []
    for program in (gradient, hvp):
        equations = {step.c.name: step.equation for step in program.steps}
        for name, value in case.run(program, mem).items():
            if name in case.probes:
                W, true = case.probes[name]
                rows.append(_row(name, (value.real * W).sum(axis=(0, 1)), true, equations[name]))
            elif name in case.values:
                rows.append(_row(name, value.real, case.values[name], equations[name]))
    return rows


def _row(name: str, got: Array, expected: Array, equation: str) -> Row:
    gap = np.abs(got - expected)
    at = np.unravel_index(np.argmax(np.where(np.isnan(gap), np.inf, gap)), gap.shape)
    error = float(gap[at] / (np.abs(expected).max() or 1.0))
    verdict = OK if error <= LIMIT else WRONG
    return Row("kernel", name, float(got[at]), float(expected[at]), error, LIMIT, verdict, "", equation)


def _probe(case: ProgramCase, name: str, like: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """A random W, symmetric for S, and d error^2 along it when the operand ``name`` moves, for each prompt."""
    W = rng.standard_normal(like.shape)
    W = W + W.swapaxes(0, 1) if name.startswith("S") else W
    nudge = lambda at, value: value + 1j * STEP * W if at == name else value
    return W, case.run(case.passes.gradient, case.memory(), nudge=nudge)["squares"].imag[0, 0] / STEP


def _forward_values(case: ProgramCase) -> dict[str, Array]:
    """The blocks of the layers' tapes, by the names of the operands."""
    k, found = case.params.shape[-1], {}
    D = case.state.G.shape[-1]
    last, tapes = forward_stack(gram, to_full(case.params, D), case.state)
    for l, tape in enumerate(tapes, start=1):
        following = tapes[l].state if l < len(tapes) else last
        for name, block in (("A", tape.T), ("V", tape.X), ("S", following.G)):
            found[f"{name}{l + (name == 'S')}"] = np.moveaxis(block[:, :k, :k], 0, -1)
        for h in range(case.params.shape[1]):
            found[f"U{l}.{h + 1}" if case.params.shape[1] > 1 else f"U{l}"] = np.moveaxis(tape.U[:, h, :k, :k], 0, -1)
        found[f"x{l + 1}"] = following.z[:, :k].T[:, None]
        if k < D:  # the label's row of T is b^T, that of X = T G is r^T, that of G' is s'^T
            for name, row in ((f"b{l}", tape.T[:, k, :k]), (f"r{l}", tape.X[:, k, :k]), (f"s{l + 1}", following.G[:, k, :k])):
                found[name] = row.T[:, None]
    found["label"] = last.z[:, -1][None, None]
    found["squares"] = ((gram.readout(last) - case.y) ** 2)[None, None]
    return found


def _gradients(case: ProgramCase) -> dict[str, Array]:
    """dP and dQ of error^2 for each prompt, by the NumPy definition."""
    G, z, n = case.state
    grads = [
        loss_and_grad_by(gram, case.params, gram.State(G[b : b + 1], z[b : b + 1], n), case.y[b : b + 1], G.shape[-1])[1]
        for b in range(len(case.y))
    ]
    L, H = case.params.shape[:2]
    named = lambda name, l, h: f"d{name}{l + 1}.{h + 1}" if H > 1 else f"d{name}{l + 1}"
    return {
        named(name, l, h): np.stack([grad[l, h, which] for grad in grads], axis=-1)
        for l in range(L) for h in range(H) for which, name in enumerate("PQ")
    }  # fmt: skip
