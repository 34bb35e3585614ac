"""The Numba twins equal their NumPy definitions to rounding, and their bits do not depend on the number of threads."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from points import model_point, relative

import linattn_np as la
from linattn_np import batches
from linattn_np.kernels import composed as kernels_composed
from linattn_np.kernels import (
    evaluate,
    interpreter,
    listing,
    operations,
    programs,
    pruning,
    set_threads,
    steps,
    threads,
    tokens,
    waiting,
)
from linattn_np.kernels import linear as kernels
from linattn_np.kernels.interpreter import LANES
from linattn_np.kernels.lanes import SOURCES
from linattn_np.kernels.operations import Operand, copy, multiply, outer, symmetrized
from linattn_np.layers import gram

# d = 5 blocks and d = 4 full matrices share one compilation (k = 5); 277 prompts leave a part of a block and of a chunk over
SHAPES = pytest.mark.parametrize(
    "layers, heads, full", [(1, 1, False), (1, 2, True), (2, 2, False), (3, 1, False), (3, 2, True), (5, 1, True), (5, 2, False)]
)


def point(layers, heads, full, batch=277):
    return model_point(layers, heads, full, batch=batch, d=4 if full else 5, n=11)


@pytest.fixture(autouse=True)
def threads_as_before():
    yield
    set_threads(None)


@SHAPES
def test_gradient_equals_numpy(layers, heads, full):
    params, Z, y = point(layers, heads, full)
    value, grad = la.loss_and_grad(params, Z, y, backend="numba")
    wanted, wanted_grad = la.loss_and_grad(params, Z, y, backend="numpy")
    assert abs(value - wanted) < 1e-12 * wanted
    assert relative(grad, wanted_grad) < 1e-12


@SHAPES
def test_hvp_equals_numpy(layers, heads, full):
    params, Z, y = point(layers, heads, full, batch=37)
    v = np.random.default_rng(4).standard_normal(params.shape)
    wanted = la.hvp(params, Z, y, v, backend="numpy")
    assert relative(la.hvp(params, Z, y, v, backend="numba"), wanted) < 1e-12


def test_hessian_equals_numpy():
    params, Z, y = point(3, 1, False, batch=37)
    assert relative(la.hessian(params, Z, y), la.hessian(params, Z, y, backend="numpy")) < 1e-12


@pytest.mark.parametrize("batch", [1, 15, 16, 17, 256, 257])
def test_every_batch_size_counts_each_prompt_once(batch):
    params, Z, y = point(3, 1, False, batch)
    assert relative(la.loss_and_grad(params, Z, y)[1], la.loss_and_grad(params, Z, y, backend="numpy")[1]) < 1e-12


def test_lanes_hold_the_state_and_zeros_in_the_places_left_over():
    _, Z, y = point(1, 1, False, 19)
    lanes, state = kernels.lanes_from_tokens(Z, y), gram.compress(Z)
    G = lanes.G.transpose(0, 3, 1, 2).reshape(-1, 6, 6)
    assert relative(G[:19], state.G) < 1e-14 and np.all(G[19:] == 0)
    assert np.array_equal(lanes.z.transpose(0, 2, 1).reshape(-1, 6)[:19], state.z)
    assert np.array_equal(lanes.y.ravel()[:19], y)


@pytest.mark.parametrize("n", [3, 5, 20])
def test_lanes_from_draws_equal_the_numpy_states(n):
    task = la.RegressionTask(n=n, d=5)
    draws = batches.draw_gaussian(task, 37, np.random.default_rng(0))
    lanes, (state, y) = kernels.lanes_from_draws(task, draws), batches.gaussian_state(task, draws)
    assert relative(lanes.G.transpose(0, 3, 1, 2).reshape(-1, 6, 6)[:37], state.G) < 1e-13
    assert np.array_equal(lanes.z.transpose(0, 2, 1).reshape(-1, 6)[:37], state.z)
    assert relative(lanes.y.ravel()[:37], y) < 1e-13 and np.all(lanes.y.ravel()[37:] == 0)


def test_bits_do_not_depend_on_the_number_of_threads():
    params, Z, y = point(3, 1, False, 1000)
    results = []
    for count in (1, 2, 4):
        set_threads(count)
        value, grad = la.loss_and_grad(params, Z, y)
        results.append((value, grad.tobytes(), la.hvp(params, Z, y, grad).tobytes()))
    assert results[0] == results[1] == results[2]


k = 5
BIG = Operand("big", 0, k, k, k, 1)
OTHER = Operand("other", 25, k, k, k, 1)
VECTOR, TURN, NUMBER = Operand("v", 50, k, 1, 1, 0), Operand("u", 57, k, 1, 1, 0), Operand("n", 63, 1, 1, 1, 0)
SHARED = Operand("W", 7, k, k, k, 1, shared=True)
TERMS = {
    "product": BIG @ OTHER, "product, A turned": BIG.T @ OTHER, "product, B turned": BIG @ OTHER.T,
    "product with a vector": BIG.T @ VECTOR,
    "dot": VECTOR.T @ TURN, "shared left": SHARED @ BIG, "shared left, turned": SHARED.T @ VECTOR, "shared right": BIG @ SHARED.T,
    "outer": outer(VECTOR, TURN), "number times vector": multiply(NUMBER, TURN), "copy": copy(VECTOR),
    "symmetrized": symmetrized(BIG),
    "identity": steps.I, "clear": steps.ZERO,
}  # fmt: skip


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("add", [False, True])
def test_each_operation_compiled_equals_numpy(name, add):
    term, rng = TERMS[name], np.random.default_rng(list(TERMS).index(name))
    mem, shared = rng.standard_normal((100, LANES)), rng.standard_normal(60)
    shape = {"dot": (1, 1)}.get(name, (k, 1) if (term.b in (VECTOR, TURN) and name != "outer") or name == "copy" else (k, k))
    c, program = Operand("c", 70, *shape, shape[1], 1), operations.Program()
    only_set = name in ("symmetrized", "identity", "clear")
    if add and only_set:
        with pytest.raises(ValueError, match="can only be set"):
            program.add(c, term, "5b.1")
        return
    program.put(c, term if only_set else 1.7 * term, "5b.1", add)
    work, wanted = mem.copy(), mem.copy()
    interpreter.run(*program.code, 0, 1, shared, work)
    evaluate(program, wanted, shared)
    assert not np.allclose(wanted[70:95], mem[70:95])
    assert np.allclose(work, wanted, rtol=1e-13, atol=1e-13)
    assert np.array_equal(
        np.delete(work, range(70, 70 + c.rows * c.columns), axis=0), np.delete(mem, range(70, 70 + c.rows * c.columns), axis=0)
    )


def test_products_by_hand():
    mem, W = np.zeros((12, 2)), np.array([1.0, 2.0, 3.0, 4.0])
    mem[:4, 0], mem[:4, 1], mem[4:8] = [1, 2, 3, 4], [0, 1, 1, 0], 1.0  # A = [[1, 2], [3, 4]] and [[0, 1], [1, 0]]; B = ones
    A, B, C = (Operand(name, at, 2, 2, 2, 1) for name, at in zip("ABC", (0, 4, 8), strict=True))
    program = operations.Program()
    program.set(C, A @ Operand("W", 0, 2, 2, 2, 1, shared=True), "5b.1")  # A W = [[7, 10], [15, 22]] and [[3, 4], [1, 2]]
    program.add(C, 2 * (A.T @ B), "5b.6")  # 2 A^T B = [[8, 8], [12, 12]] and [[2, 2], [2, 2]]
    evaluate(program, mem, W)
    assert mem[8:].T.tolist() == [[15.0, 18.0, 27.0, 34.0], [5.0, 6.0, 3.0, 4.0]]
    assert listing(program).splitlines() == ["C = A W        (5b.1)", "C += 2 A^T B   (5b.6)"]


def memory_with(passes, Z, y, k):
    """The memory of a linear program with the state of prompts in it, one column a prompt."""
    mem, (G, z, _) = np.full((passes.slots, len(y)), np.nan), gram.compress(Z)
    places = (passes.at.S, G[:, :k, :k]), (passes.at.s, G[:, :k, -1]), (passes.at.x, z[:, :k]), (passes.at.y, y)
    for at, array in places:
        rows = array.reshape(len(y), -1).T
        mem[at : at + len(rows)] = rows
    return mem


@SHAPES
def test_a_listing_run_in_numpy_equals_the_kernel(layers, heads, full):
    params, Z, y = point(layers, heads, full, batch=37)
    size, direction = params.size, np.random.default_rng(4).standard_normal(params.shape)
    passes = programs.passes(layers, heads, params.shape[-1], full, Z.shape[1] - 1, 2)
    mem, shared = memory_with(passes, Z, y, params.shape[-1]), np.concatenate([params.ravel(), direction.ravel()])
    for first, count in ((passes.at.sums, 1 + size), (passes.at.hsums, size)):
        mem[first : first + count] = 0.0
    evaluate(passes.gradient, mem, shared)
    evaluate(passes.hvp, mem, shared)
    value, grad = la.loss_and_grad(params, Z, y, backend="numba")
    sums = mem[passes.at.sums : passes.at.sums + 1 + size].mean(axis=1)
    assert abs(sums[0] - value) < 1e-12 * value and relative(sums[1:].reshape(params.shape), grad) < 1e-12
    product = mem[passes.at.hsums : passes.at.hsums + size].mean(axis=1).reshape(params.shape)
    assert relative(product, la.hvp(params, Z, y, direction, backend="numba")) < 1e-12


def test_the_listing_of_setting_1_counts_its_operations_and_quotes_derived_equations():
    lines = listing(programs.passes(3, 1, 5, False, 20).gradient).splitlines()
    assert len(lines) == 55 and lines[0].split() == ["A1", "=", "I", "(5b.1)"]
    assert "dA1 += 2 dS2 V1" in " ".join(lines) and all(re.search(r"\(\d+[a-z]?\.\d+\)$", line) for line in lines)
    assert listing(programs.passes(3, 1, 5, False, 20, 2).hvp).splitlines()[0].split() == [
        "vU1",
        "=",
        "S1",
        "vQ1",
        "of",
        "(5b.1)",
    ]


def test_every_equation_of_a_listing_is_derived_in_its_lesson():
    sources = (Path(__file__).parents[1] / "lessons" / "source").glob("*.py")
    derived = {tag for source in sources for tag in re.findall(r"\\tag\{(\d+[a-z]?\.\d+)\}", source.read_text())}
    assert set(operations.EQUATIONS) <= derived
    quoted = {
        step.equation
        for full in (False, True)
        for p in [programs.passes(3, 2, 5, full, 20, 2)]
        for part in (p.gradient, p.hvp, programs.state(21, 5, 5 + full, 0))
        for step in part.steps
    }
    on_tokens = [tokens.passes(kind, 2, 2, 5, 7) for kind in tokens.KINDS] + [kernels_composed.passes(5, 3, 2, 2, 7)]
    quoted |= {step.equation for p in on_tokens for step in p.gradient.steps}
    assert quoted == set(operations.EQUATIONS)
    with pytest.raises(ValueError, match="equation: expected a number in EQUATIONS, got '9.99'"):
        operations.Program().set(BIG, copy(OTHER), "9.99")


def parts_of(passes):
    """The programs that hvp has one after the other."""
    return [passes.hvp.steps[first:end] for first, end in zip(passes.starts, passes.starts[1:], strict=False)]


def places_in(operands):
    """The places in the memory of some operands."""
    return {at for operand in operands if not operand.shared for at in operations.places_of(operand).ravel().tolist()}


def read_by(step):
    """The operands that a step reads."""
    return [operand for operand in (step.term.a, step.term.b, step.c if step.add else None) if operand]


@SHAPES
def test_each_operand_is_set_before_it_is_added_to_or_read(layers, heads, full):
    for passes in programs.passes(layers, heads, 5, full, 11, 2), programs.diagonal(layers, heads, 5, full, 11):
        outside = [(passes.at.S, 25), (passes.at.s, 5), (passes.at.x, 5), (passes.at.y, 1)]
        summed = [(passes.at.sums, 1 + layers * heads * 50), (passes.at.hsums, layers * heads * 50)]
        for part in parts_of(passes):
            known = {at + i for at, size in outside + summed for i in range(size)}
            for step in passes.gradient.steps + part:
                assert places_in(read_by(step)) <= known, str(step)
                known |= places_in([step.c])


@SHAPES
def test_each_step_of_a_diagonal_moves_with_its_matrix_and_is_read(layers, heads, full):
    passes, every = programs.diagonal(layers, heads, 5, full, 11), programs.passes(layers, heads, 5, full, 11, 2)
    size = layers * heads * 50
    assert every.starts == (0, len(every.hvp.steps)) and passes.gradient == every.gradient and passes.at == every.at
    assert len(passes.starts) == 1 + size // 25 and passes.starts[-1] == len(passes.hvp.steps) and passes.hvp.tangent
    for matrix, part in enumerate(parts_of(passes)):
        result = Operand("result", passes.at.hsums + 25 * matrix, 5, 5, 5, 1)
        moving, read = set(), places_in([result])
        for step in part:
            directions = {
                operand.at for operand in (step.term.a, step.term.b) if operand and operand.shared and operand.at >= size
            }
            assert directions <= {size + 25 * matrix}, f"{step}: the direction is 0 there"
            moves = directions or moving & places_in([each for each in (step.term.a, step.term.b) if each])
            assert moves or step.term.operation == operations.CLEAR, f"{step}: nothing moves in it"
            moving |= places_in([step.c])
        for step in reversed(part):
            assert places_in([step.c]) & read, f"{step}: nobody reads it"
            read = (read if step.add else read - places_in([step.c])) | places_in(read_by(step))
    reaching = [bool(part) for part in parts_of(passes)]
    assert reaching == [full or matrix // 2 < size // 50 - heads or matrix % 2 == 1 for matrix in range(size // 25)]


def test_a_diagonal_of_setting_1_counts_its_operations():
    passes, every = programs.diagonal(3, 1, 5, False, 20), programs.passes(3, 1, 5, False, 20, 2)
    assert len(every.hvp.steps) == 85 and passes.starts == (0, 53, 118, 133, 160, 160, 165)
    assert listing(operations.Program(True, parts_of(passes)[-1])).splitlines() == [
        "vb3 = vQ3^T s3 / 20    of (5b.2)",
        "vlabel = vb3^T x3      of (5b.3)",
        "hlabel = 2 vlabel      of (2.14)",
        "hb3 = hlabel x3        of (5b.7)",
        "hQ3 += s3 hb3^T / 20   of (5b.12)",
    ]


@SHAPES
@pytest.mark.parametrize("batch", [1, 37, 3001])
def test_a_diagonal_has_the_bits_of_the_hessian(layers, heads, full, batch, monkeypatch):
    params, Z, y = point(layers, heads, full, batch)
    H = la.hessian(params, Z, y, backend="numba")
    made, used = kernels.kernel_for, []
    monkeypatch.setattr(kernels, "kernel_for", lambda *given, **named: used.append(made(*given, **named)) or used[-1])
    found = kernels.hessian_diagonal(params, kernels.lanes_from_tokens(Z, y))
    assert np.array_equal(found, np.diag(H).reshape(params.shape)) and np.any(found != 0)
    short = programs.diagonal(layers, heads, params.shape[-1], full, Z.shape[1] - 1)
    assert [kernel.passes for kernel in used] == [short]  # or the same numbers later


@SHAPES
@pytest.mark.parametrize("diagonal", [False, True])
def test_products_have_the_entries_that_are_asked_for_of_directions_given_there(layers, heads, full, diagonal):
    params, Z, y = point(layers, heads, full, batch=300)
    lanes, k, rng = kernels.lanes_from_tokens(Z, y), params.shape[-1], np.random.default_rng(5)
    entries, given = np.arange(0, params.size, k * k) + 2, rng.standard_normal((params.size // k**2, k * k - 3))
    directions = np.zeros((len(given), params.size))
    for row, at, some in zip(directions, entries, given, strict=True):
        row[at : at + len(some)] = some
    grad, found = kernels.products(kernels.kernel_for(params, lanes, 2, diagonal), lanes, given, entries)
    wanted_grad, wanted = kernels.grad_and_hvps(params, lanes, directions.reshape(-1, *params.shape))
    assert np.array_equal(grad.reshape(params.shape), wanted_grad)
    rows = wanted.reshape(directions.shape)
    assert np.array_equal(found, [row[at : at + len(some)] for row, at, some in zip(rows, entries, given, strict=True)])


def test_directions_of_any_layout_and_type_run_what_is_compiled():
    params, Z, y = point(2, 1, False, 37)
    lanes, whole = kernels.lanes_from_tokens(Z, y), np.random.default_rng(2).integers(-3, 4, (2, *params.shape))
    wanted, compiled = kernels.hvps(params, lanes, whole.astype(float)), len(kernels.chunk_sums.signatures)
    for given in (whole, np.asfortranarray(whole.astype(float))):
        assert np.array_equal(kernels.hvps(params, lanes, given), wanted)
    flat = np.asfortranarray(whole.reshape(2, -1))
    found = kernels.products(kernels.kernel_for(params, lanes, 2), lanes, flat, np.zeros(2, np.int64))[1]
    assert np.array_equal(found, wanted.reshape(2, -1)) and len(kernels.chunk_sums.signatures) == compiled


W, V = (Operand(name, at, 2, 2, 2, 1, shared=True) for name, at in (("W", 0), ("V", 4)))
M1, M2, M3, M4 = (Operand(f"M{i}", 4 * i, 2, 2, 2, 1) for i in range(1, 5))
u, w = Operand("u", 20, 2, 1, 1, 0), Operand("w", 22, 2, 1, 1, 0)


def small_program(*rows):
    """A program of rows (operand, term, "=" or "+=")."""
    program = operations.Program(tangent=True)
    for c, term, sign in rows:
        program.put(c, term, "5b.1", add=sign == "+=")
    return program


def lines_of(program):
    """What the steps of a program say."""
    return [str(step) for step in program.steps]


PRUNED = {  # rows, zeros, what is left of them where zeros are known; what is read, what is left where only that is read
    "a term of a zero matrix": (
        [(M2, M1 @ W, "="), (M2, V @ M1, "+="), (M2, M1 @ M3, "+=")], [V], ["M2 = M1 W", "M2 += M1 M3"],
        [M2], ["M2 = M1 W", "M2 += V M1", "M2 += M1 M3"],
    ),
    "the first term of a sum": (
        [(M2, M1 @ V, "="), (M2, M3 @ W, "+="), (M2, M3 @ M3, "+=")], [V], ["M2 = 0", "M2 = M3 W", "M2 += M3 M3"],
        [M3], [],
    ),
    "what is made of zeros is zero until it is set or added to": (
        [(M2, M1 @ V, "="), (M3, M2.T @ M1, "="), (M4, symmetrized(M3), "="), (M3, copy(M1), "+="), (M4, M3 @ M2, "="),
         (M4, copy(M3), "+="), (M4, copy(M2), "+="), (M2, M4 @ M3, "=")],
        [V], ["M2 = 0", "M3 = 0", "M4 = 0", "M3 = M1", "M4 = 0", "M4 = M3", "M2 = M4 M3"],
        [M3], ["M2 = M1 V", "M3 = M2^T M1", "M3 += M1"],
    ),
    "zeros in the memory": (
        [(M2, M1 @ M3, "="), (M1, M2 @ W, "+="), (M3, M1.T @ W, "=")], [M1], ["M2 = 0", "M3 = 0"],
        [M1, M4], ["M2 = M1 M3", "M1 += M2 W"],
    ),
    "a place is zero, and its neighbours are not": (
        [(u, M1 @ w, "="), (u.entry(1), copy(w.entry(0)), "="), (w, M2 @ u, "="), (u.entry(0), copy(w.entry(1)), "+="),
         (u.entry(1), copy(w.entry(1)), "+=")],
        [w], ["u = 0", "u[2] = 0", "w = 0"],
        [u.entry(0)], ["u = M1 w", "u[2] = w[1]", "w = M2 u", "u[1] += w[2]"],
    ),
    "a vector that is zero in part": (
        [(u, steps.ZERO, "="), (u.entry(1), copy(w.entry(0)), "="), (M1, outer(u, w), "="), (u, copy(w), "+="),
         (u.entry(0), copy(w.entry(0)), "+=")],
        [], ["u = 0", "u[2] = w[1]", "M1 = u w^T", "u += w", "u[1] += w[1]"],
        [u.entry(1)], ["u = 0", "u[2] = w[1]", "u += w"],
    ),
    "what is set once more before it is read": (
        [(M2, M1 @ W, "="), (M3, copy(M2), "="), (M2, M3 @ W, "="), (M3, M2 @ W, "="), (M3, copy(M3), "+=")], [], None,
        [M3], ["M2 = M1 W", "M3 = M2", "M2 = M3 W", "M3 = M2 W", "M3 += M3"],
    ),
    "a sum that is read, and what was there before": (
        [(M4, M1 @ W, "="), (M1, M2 @ W, "="), (M3, M1 @ W, "+="), (M1, M3 @ V, "=")], [], None,
        [M3], ["M1 = M2 W", "M3 += M1 W"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRUNED)
def test_terms_of_zeros_and_unread_results_are_left_out(name):
    rows, zeros, without_zeros, read, without_unread = PRUNED[name]
    program, marks = small_program(*rows), (pruning.Places(24, 8), pruning.Places(24, 8))
    before = lines_of(program)
    for some, operands in zip(marks, (zeros, read), strict=True):
        for operand in operands:
            some.mark(operand)
    rng = np.random.default_rng(3)
    mem, shared = rng.standard_normal((24, 3)), rng.standard_normal(8)
    for operand in zeros:
        (shared if operand.shared else mem)[operations.places_of(operand)] = 0.0
    left = pruning.without_zeros(program, marks[0])
    assert lines_of(left) == (before if without_zeros is None else without_zeros) and left.tangent
    needed = pruning.without_unread(program, marks[1])
    assert lines_of(needed) == without_unread and lines_of(program) == before and needed.tangent
    whole, some, few = mem.copy(), mem.copy(), mem.copy()
    for each, memory in ((program, whole), (left, some), (needed, few)):
        evaluate(each, memory, shared)
    assert np.array_equal(whole, some)
    for operand in read:
        assert np.array_equal(whole[operations.places_of(operand)], few[operations.places_of(operand)])


def test_marks_lie_on_the_places_of_an_operand_and_nowhere_else():
    marks = pruning.Places(24, 8)
    marks.mark(M2)
    marks.mark(V)
    assert marks.marks == (bytearray(8 * [0] + 4 * [1] + 12 * [0]), bytearray(4 * [0] + 4 * [1]))
    marks.mark(M2.T, False)
    marks.mark(u.entry(1))
    assert marks.marks[0] == bytearray(21 * [0] + [1, 0, 0]) and marks.of(u) == bytearray([0, 1]) and marks.of(W) == bytearray(4)
    assert [pruning.extent(each) for each in (M2, M2.T, u, u.T, u.entry(1), multiply(u.entry(1), w).a)] == [
        (8, 12), (8, 12), (20, 22), (20, 22), (21, 22), (21, 22)
    ]  # fmt: skip


@SHAPES
@pytest.mark.parametrize("batch", [1, 37, 3001])
def test_the_loss_alone_has_the_bits_of_the_loss_with_its_gradient(layers, heads, full, batch):
    params, Z, y = point(layers, heads, full, batch)
    lanes = kernels.lanes_from_tokens(Z, y)
    assert kernels.loss(params, lanes) == kernels.loss_and_grad(params, lanes)[0]


@SHAPES
def test_programs_write_before_they_read(layers, heads, full):
    params, Z, y = point(layers, heads, full)
    clean = la.loss_and_grad(params, Z, y)[1], la.hvp(params, Z, y, params)
    set_threads(1)
    interpreter.working_memory(5000)[:] = np.nan
    assert np.array_equal(la.loss_and_grad(params, Z, y)[1], clean[0])
    interpreter.working_memory(5000)[:] = np.nan
    assert np.array_equal(la.hvp(params, Z, y, params), clean[1])


def test_chunks_inside_chunks_do_not_wait_for_each_other():
    set_threads(2)
    done = []
    threads.run_chunks(lambda outer: threads.run_chunks(lambda inner: done.append((outer, inner)), 4), 4)
    assert sorted(done) == [(outer, inner) for outer in range(4) for inner in range(4)]


def test_who_looks_sees_what_another_thread_writes_and_gives_up_after_a_while():
    numbers = np.zeros(1, np.int64)
    for wanted, looks in ((2, 1000), (0, 1000), (1, 2**60)):
        looking = threading.Thread(target=waiting.look, args=(numbers, wanted, looks, 10), daemon=True)
        looking.start()
        if wanted == 1:  # it would look for ever
            time.sleep(0.05)
            assert looking.is_alive()
            numbers[0] = 1
        looking.join(20)
        assert not looking.is_alive()


@pytest.mark.parametrize("count, patient", [(1, False), (2, True), (3, True)])
def test_threads_look_before_they_sleep_where_each_has_a_processor(count, patient, monkeypatch):
    looked: list[tuple[int, int]] = []
    monkeypatch.setattr(threads, "processors", lambda: count)
    monkeypatch.setattr(waiting, "wait_for", lambda numbers, wanted: looked.append((int(numbers[0]), int(wanted))))
    monkeypatch.setattr(threads, "_team", threads._Team())
    set_threads(2)
    for _ in range(3):
        threads.run_shares(lambda first, last: None, 4)
    [helper] = threads._team.helpers
    helper.start(None)
    assert (len(looked) > 2) == patient and all(wanted - found in (0, 1) for found, wanted in looked)


def test_set_threads_refuses_nonsense():
    with pytest.raises(ValueError, match="threads: expected an integer of at least 1, or None, got 0"):
        set_threads(0)


def test_importing_compiles_nothing_and_loads_no_numba():
    code = "import linattn_np, sys; sys.exit(any(m == 'numba' or m.startswith('matplotlib') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_was_compiled_is_kept_until_any_kernel_changes():
    for function in (interpreter.run, interpreter.clear, kernels.chunk_sums):
        assert function._cache._cache_file._source_stamp == SOURCES


def test_without_compiler_numpy_answers():
    code = (
        "import numpy as np, linattn_np as la\n"
        "Z, y = la.RegressionTask(n=7).sample(9, np.random.default_rng(0))\n"
        "params = la.init_params(np.random.default_rng(1), std=0.3)\n"
        "a, b = (la.loss_and_grad(params, Z, y, backend=k)[1] for k in ('numba', 'numpy'))\n"
        "assert np.array_equal(a, b)\n"
        "h = la.train(la.RegressionTask(n=7), la.optimizers.SGD(0.01), 3, batch=9)\n"
        "print(repr(h.loss[-1]))"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    compiled = la.train(la.RegressionTask(n=7), la.optimizers.SGD(0.01), 3, batch=9).loss[-1]
    printed = float(answer.stdout.strip().removeprefix("np.float64(").removesuffix(")"))
    assert abs(printed - compiled) < 1e-12 * compiled


def wrong_calls():
    params, Z, y = point(2, 1, False, 37)
    lanes, composed = kernels.lanes_from_tokens(Z, y), la.composed.Composed(d=4, hidden=3, layers=2)
    theta, task = composed.init_params(np.random.default_rng(0)), la.RegressionTask(n=7)
    return {
        "a short y": (lambda: kernels.lanes_from_tokens(Z, y[:5]), "y: expected shape (37,)"),
        "tokens without a batch": (lambda: kernels.lanes_from_tokens(Z[0], y[:1]), "Z: expected shape (batch, n+1, d+1)"),
        "tokens that are not finite": (lambda: kernels.lanes_from_tokens(Z * np.nan, y), "Z: expected finite numbers"),
        "complex tokens": (lambda: kernels.lanes_from_tokens(Z + 0j, y), "Z: expected real numbers"),
        "params of another width": (lambda: kernels.loss_and_grad(params[..., :3, :3], lanes),
                                    "params: expected float64 and k = 5 or 6"),
        "params of float32": (lambda: kernels.loss_and_grad(params.astype(np.float32), lanes), "params: expected float64"),
        "params without heads": (lambda: kernels.loss_and_grad(params[:, 0], lanes),
                                 "params: expected shape (layers, heads, 2, k, k)"),
        "prompts for lanes": (lambda: kernels.loss_and_grad(params, (Z, y)),
                              "lanes: expected what lanes_from_tokens(Z, y) gives"),
        "lanes with a short y": (lambda: kernels.loss_and_grad(params, lanes._replace(y=lanes.y[:0])),
                                 "lanes: expected G, z, y of shapes"),
        "lanes with a large batch": (lambda: kernels.grouped_gradients(params, lanes._replace(batch=999), 3),
                                     "lanes: expected G, z, y"),
        "one direction": (lambda: kernels.hvps(params, lanes, params), "directions: expected shape (m, 2, 1, 2, 5, 5)"),
        "draws of another task": (lambda: kernels.lanes_from_draws(task, np.ones((7, 3))), "draws: expected 25 rows"),
        "tokens: a short y": (lambda: tokens.loss_and_grad(params, Z, y[:5], "softmax"), "y: expected shape (37,)"),
        "tokens: no kind": (lambda: tokens.loss_and_grad(params, Z, y, "sigmoid"),
                            "attention: expected one of 'softmax', 'relu'"),
        "tokens: another width": (lambda: tokens.loss_and_grad(params, Z[..., :3], y, "relu"), "params: expected k = d = 2"),
        "composed: a short y": (lambda: kernels_composed.loss_and_grad(composed, theta, Z[..., :5], y[:5]),
                                "y: expected shape (37,)"),
        "composed: a short theta": (lambda: kernels_composed.loss_and_grad(composed, theta[:9], Z[..., :5], y),
                                    "params: expected shape (131,)"),
        "composed: another width": (lambda: kernels_composed.loss_and_grad(composed, theta, Z, y),
                                    "Z: expected tokens of width d+1 = 5"),
    }  # fmt: skip


@pytest.mark.parametrize("name", wrong_calls())
def test_nothing_is_read_outside_an_array(name):
    call, message = wrong_calls()[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
