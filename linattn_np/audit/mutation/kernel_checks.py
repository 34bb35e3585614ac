"""Checks of interpreted kernels at tiny sizes, each against its definition in NumPy or in mathematics: AssertionError where it
fails.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..._types import Array
from ...kernels import programs as linear_programs
from ...kernels.operations import (
    CLEAR,
    IDENTITY,
    RELU,
    RELU_BACKWARD,
    SOFTMAX,
    SOFTMAX_BACKWARD,
    Operand,
    Program,
    Term,
    copy,
    evaluate,
    multiply,
    outer,
    symmetrized,
)  # fmt: skip
from ...models.transformer import hvp, init_params, loss_and_grad
from ...prompts import RegressionTask
from .drawing_checks import (
    Modules,
    check_bits,
    check_functions,
    check_gammas,
    check_normals,
    check_pairs,
    check_prompts,
    check_states,
    same,
    states_of,
)  # fmt: skip


def check_operations(m: Modules) -> None:
    """Each operation, in shapes of whole tiles and of parts of them, leaves the memory as ``operations.evaluate`` does."""
    program, guards, scores, memory = _operations()
    matrices = Program(steps=[step for step in program.steps if step.term.operation not in FUNCTIONS])
    for run, steps in (("run", program), ("run_matrices", matrices)):
        rng = np.random.default_rng(0)
        mem, shared = rng.standard_normal((memory, int(m["lanes"].LANES))), rng.standard_normal(40)
        mem[scores] = np.abs(mem[scores])
        mem[guards] = -1e6 - np.arange(len(guards))[:, None]  # no two alike, and none that max(., 0) leaves
        wanted = mem.copy()
        evaluate(Program(steps=steps.steps[1:-1]), wanted, shared)
        if run == "run":
            m["interpreter"].run(steps.operations, steps.factors, 1, len(steps.steps) - 1, shared, mem)
        else:
            m["interpreter"].run_matrices(steps.operations[1:-1], steps.factors[1:-1], shared, mem)
        kept = [i for i in range(memory) if i not in SCRATCH]
        same(mem[kept], wanted[kept], 1e-14)


FUNCTIONS = (SOFTMAX, SOFTMAX_BACKWARD, RELU, RELU_BACKWARD)  # ``run_matrices`` knows none of them
SCRATCH = (3, 4)  # rows


def _operations() -> tuple[Program, list[int], range, int]:
    """A program with every operation, rows that nothing may touch, rows of positive numbers, and the size of its memory.

    The first and the last step are not to be run. No two steps in a row are alike in anything.
    """
    guards: list[int] = []
    program, used = Program(), 5
    scratch = Operand("scratch", SCRATCH[0], 2, 1, 1, 1)

    def new(rows: int, columns: int) -> Operand:
        nonlocal used
        used += rows * columns + 9
        guards.extend(range(used - 9, used))
        return Operand("M", used - rows * columns - 9, rows, columns, columns, 1)

    def put(rows: int, columns: int, term: Term, add: bool = False) -> Operand:
        made = new(rows, columns)
        program.put(new(1, 1), copy(number), "5b.5", not add)
        program.put(made, term, "5b.5", add)
        return made

    program.set(Operand("outside", 0, 1, 1, 1, 1), Term(CLEAR), "5b.5")
    A, B, big, wide, sure, v, u = new(3, 2), new(2, 5), new(4, 4), new(2, 4), new(2, 4), new(4, 1), new(5, 1)
    for name, at, size in (("last", sure.at + 3, 2.5), ("first", sure.at + 4, 9.0)):  # the largest scores of the two rows
        largest = Operand(name, at, 1, 1, 1, 1)
        program.set(largest, Term(IDENTITY), "5b.5")
        program.set(largest, size * copy(largest), "5b.5")
    number = Operand("n", new(1, 1).at, 1, 1, 7, 9)
    W = Operand("W", 1, 4, 3, 5, 1, shared=True)
    program.set(new(3, 5), A @ B, "5b.5")
    for add in (False, True):
        for term, rows, columns in (
            (1.7 * (A @ B), 3, 5), ((B.T @ A.T) / 3, 5, 3), (v.T @ big, 1, 4), (big @ v, 4, 1), (v.T @ v, 1, 1),
            (W.T @ wide.T, 3, 2),
            (2 * (big @ W), 4, 3), (W @ A, 4, 2), (outer(v, u) / 3, 4, 5), (multiply(number, u), 5, 1), (1.3 * copy(B), 2, 5),
        ):  # fmt: skip
            put(rows, columns, term, add)
            program.put(new(columns, rows).T, term, "5b.5", add)
    for term in (symmetrized(big), Term(IDENTITY), Term(CLEAR)):
        put(4, 4, term)
    square = new(4, 4)
    program.set(square.T, Term(IDENTITY), "5b.5")
    program.set(square.block(1, 2), copy(B.block(0, 2, 4)), "5b.5")
    for factor in (1, 900, -900, 1e-12):  # exp would overflow; all but 0
        scores, mixed = put(2, 4, factor * copy(sure)), put(2, 4, factor * copy(wide))
        E = put(2, 4, Term(SOFTMAX, scores, scratch=scratch))
        put(2, 4, Term(SOFTMAX_BACKWARD, E, wide, scratch=scratch))
        positive = put(2, 4, Term(RELU, mixed))
        put(2, 4, Term(RELU_BACKWARD, positive, wide))
    high, low = put(2, 4, 900 * copy(sure)), put(2, 4, -900 * copy(sure))
    for scores in (high, low):  # what the scratch rows hold from the first is far above the second
        put(2, 4, Term(SOFTMAX, scores, scratch=scratch))
    program.set(new(2, 2), Term(CLEAR), "5b.5")
    return program, guards, range(sure.at, sure.at + 8), used


def check_sums(m: Modules) -> None:
    """``clear`` and ``add_lane_sums`` touch the rows that they are given, and add in the order of their tree."""
    mem = np.arange(1.0, 29.0).reshape(7, 4) ** 3 / 7
    before, out = mem.copy(), np.array([0.5, 0.25])
    m["interpreter"].add_lane_sums(mem, 2, out)
    a, b, c, d = before[2:4].T
    same(out, np.array([0.5, 0.25]) + ((a + c) + (b + d)))
    same(mem[[0, 1, 4, 5, 6]], before[[0, 1, 4, 5, 6]])
    m["interpreter"].clear(mem, 4, 2)
    same(mem[4:], np.stack([0 * before[4], 0 * before[5], before[6]]))


def check_lanes(m: Modules) -> None:
    """How many prompts lie side by side: all while the memory fits, the fewest for the largest program."""
    lanes: Any = m["lanes"]
    lanes.LANES, most = 16, lanes.CACHE // (8 * 16)
    same([lanes.lanes_for(slots) for slots in (1, most, most + 1, 2 * most, 2 * most + 1, 100 * most)], [16, 16, 8, 8, 4, 2])
    lanes.LANES = 4


# ---------------------------------------------------------------- chunks


def check_chunks(m: Modules) -> None:
    """Sums over chunks of states, half of them side by side: the gradient, products with the Hessian, groups, drawn prompts."""
    linear, lanes = m["linear"], int(m["lanes"].LANES)
    for full in (False, True):
        task, rng = RegressionTask(n=4, d=3), np.random.default_rng(6)
        batch = 2 * lanes + 1
        Z, y = task.sample(batch, rng)
        params = init_params(rng, 1, 3, std=0.5, full=full)
        made, p, k = linear.empty_lanes(batch, 4, 4), params.size, params.shape[-1]
        linear.compress_chunk(Z, y, 0, 3, made.G, made.z, made.y)
        passes, shared = linear_programs.passes(1, 1, k, full, 4, 2), np.zeros(2 * p)
        program, gradient, mem = passes.at, passes.gradient.code, np.full((passes.slots, lanes // 2), np.nan)
        shared[:p] = params.ravel()
        value, grad = loss_and_grad(params, Z, y, backend="numpy")
        for hvps, entries, count in (  # of each direction and product; of the diagonal's in one matrix
            (passes, np.array([0, 3]), p - 5),
            (linear_programs.diagonal(1, 1, k, full, 4), np.array([1, k * k, k * k + 2]), k * k - 2),
        ):
            directions, start = rng.standard_normal((2, len(entries), count))
            code, starts, sums, hsums = hvps.hvp.code, np.array(hvps.starts), np.arange(1.0 + p), start.copy()
            for first, last in ((0, 2), (2, 3)):
                batch_of = (made.G, made.z, made.y, first, last)
                linear.chunk_sums(k, gradient, code, starts, program, shared, directions, entries, *batch_of, mem, sums, hsums)
            same(sums - np.arange(1.0 + p), batch * np.append(value, grad.ravel()), 1e-12)
            for at, some, found in zip(entries, directions, hsums - start, strict=True):
                v = np.zeros(p)
                v[at : at + count] = some
                wanted = batch * hvp(params, Z, y, v.reshape(params.shape), backend="numpy").ravel()
                same(found, wanted[at : at + count], 1e-12)
        for size in (2, 3, batch):
            out = np.ones((-(-batch // size), p))
            linear.group_sums(k, gradient, program, shared, made.G, made.z, made.y, batch, size, mem, out)
            groups = [slice(i, min(batch, i + size)) for i in range(0, batch, size)]
            same(out - 1, [len(y[g]) * loss_and_grad(params, Z[g], y[g], backend="numpy")[1].ravel() for g in groups], 1e-12)
        m["draws"].law_of.cache_clear()
        law, (ours, state), (others, other) = m["draws"].law_of(task), states_of(m), states_of(m, 1)
        sizes, points, streams = np.array([batch, lanes - 1]), rng.standard_normal((3, p)), np.array([ours, others])
        prompts = [m["draws_numpy"].prompts(task, int(size), each) for size, each in zip(sizes, (state, other), strict=True)]
        both = linear_programs.state(law.N, 3, k, law.rows).code, gradient
        for count, blocks in ((1, 1), (3, 3)):
            room = np.full((law.rows + blocks * (k + 1) ** 2, lanes), np.nan)
            totals: Any = np.tile(np.arange(1.0 + p), (2, count, 1))
            linear.drawn_sums(k, *both, program, law, law.rows, points[:count], sizes, streams.copy(), mem, room, totals)
            for size, (Z, y), rows in zip(sizes, prompts, totals, strict=True):
                for point, found in zip(points, rows, strict=False):
                    value, grad = loss_and_grad(point.reshape(params.shape), Z, y, backend="numpy")
                    same(found - np.arange(1.0 + p), size * np.append(value, grad.ravel()), 1e-12)


def check_loads(m: Modules) -> None:
    """``load`` and ``load_rows`` put each number of some lanes in its place."""
    linear, rng = m["linear"], np.random.default_rng(8)
    at = SimpleNamespace(S=2, s=7, x=10, y=13)
    G, z, y = rng.standard_normal((3, 3, 4)), rng.standard_normal((3, 4)), rng.standard_normal(4)
    states = np.concatenate([G[:2, :2].reshape(4, 4), G[:2, 2], z[:2], y[None]])
    for load, arguments in ((linear.load, (G, z, y)), (linear.load_rows, (states,))):
        mem = np.zeros((15, 2))
        load(2, at, *arguments, 1, mem)
        wanted = np.zeros((15, 2))
        wanted[2:6], wanted[7:9], wanted[10:12], wanted[13] = states[:4, 1:3], states[4:6, 1:3], states[6:8, 1:3], states[8, 1:3]
        same(mem, wanted)


def check_token_chunks(m: Modules) -> None:
    """Sums over prompts of tokens, given and drawn, with a place left over."""
    tokens, lanes = m["tokens"], int(m["lanes"].LANES)
    task, rng = RegressionTask(n=2, d=1), np.random.default_rng(7)
    Z, y = task.sample(2 * lanes + 3, rng)
    params, half = init_params(rng, 1, 1, std=0.5, full=True), lanes // 2
    program = tokens.passes("relu", 1, 1, 2, 2)
    first, last = 2, 2 * lanes + 3  # two blocks and one prompt
    laid, mem = np.full((18, lanes), np.nan), np.full((program.slots, half), np.nan)
    tokens.fill_lanes(Z, y, first, last, laid)
    sums, count = np.arange(1.0 + params.size), last - first
    tokens.lane_sums(program.gradient.code, program.at, params.ravel(), laid, 6, count, mem, sums)
    value, grad = loss_and_grad(params, Z[first:last], y[first:last], "relu", backend="numpy")
    same(sums - np.arange(1.0 + params.size), count * np.append(value, grad.ravel()), 1e-12)
    wanted = Z[first:last].reshape(count, 6).T.copy()
    wanted[5] = y[first:last]
    same(laid[:12], [*wanted[:, :lanes], *wanted[:, lanes : 2 * lanes]])
    same(laid[12:, 0], wanted[:, -1])
    assert np.isnan(laid[12:, 1:]).all(), "more prompts than asked for"
    check_places(m, laid, wanted)
    check_drawn_tokens(m, task)


def check_places(m: Modules, laid: Array, wanted: Array) -> None:
    """What an empty program finds after the last part of some prompts, and that nothing else was touched."""
    nothing, half = SimpleNamespace(operations=np.zeros((0, 14), np.uint64), factors=np.zeros(0)), laid.shape[1] // 2
    at = SimpleNamespace(X=2, y=1, present=9, sums=11)
    for prompts in (1, half, half + 1, 2 * half + 1, 4 * half - 1):
        mem, sums = np.full((14, half), 7.0), np.full(2, 0.5)
        m["tokens"].lane_sums(nothing, at, np.zeros(0), laid, 6, prompts, mem, sums)
        begin = (prompts - 1) // half * half
        found, taken = wanted[:, begin:prompts], prompts - begin
        same(mem[2:7, :taken], found[:5])
        same(mem[1, :taken], found[5])
        same(mem[9], np.arange(half) < taken)
        assert not mem[1:8, taken:].any() and not mem[7].any(), "a place left over or the query's label is not zero"
        assert np.all(mem[[0, 8, 10, 13]] == 7.0), "a row that is nobody's was touched"
        same(mem[11:13], 0 * mem[11:13])
        same(sums, [0.5, 0.5])


def check_drawn_tokens(m: Modules, task: RegressionTask) -> None:
    """Blocks drawn one behind the other are the prompts of the definition, and so are the states after them."""
    lanes, N, D = int(m["lanes"].LANES), task.n + 1, task.d + 1
    m["draws"].law_of.cache_clear()
    law, (ours, state) = m["draws"].law_of(task), states_of(m)
    for prompts in (1, 2 * lanes, 2 * lanes + 1):
        blocks = -(-prompts // lanes)
        room = np.full(((blocks - 1) * N * D + law.rows, lanes), np.nan)
        m["tokens"].draw_lanes(law, ours, prompts, room)
        Z, y = m["draws_numpy"].prompts(task, blocks * lanes, state)
        Z[:, -1, -1] = y
        same(room[: blocks * N * D], Z.reshape(blocks, lanes, N * D).transpose(0, 2, 1).reshape(-1, lanes), 1e-14)
        same(ours, state)


# which checks judge the kernels of a module, the cheap and the sharp ones first
CHECKS: dict[str, tuple[Callable[[Modules], None], ...]] = {
    "random_numpy": (check_bits, check_functions, check_pairs, check_normals, check_gammas),
    "random": (check_bits, check_functions, check_pairs, check_normals, check_gammas),
    "lanes": (check_lanes,),
    "tiles": (check_operations,),
    "interpreter": (check_operations, check_sums),
    "draws": (check_prompts, check_states),
    "draws_numpy": (check_prompts, check_states),
    "linear": (check_loads, check_states, check_chunks),
    "tokens": (check_token_chunks,),
}
