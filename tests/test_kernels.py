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
from linattn_np.kernels import evaluate, interpreter, listing, operations, programs, set_threads, steps, threads, tokens, waiting
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


@SHAPES
def test_each_operand_is_set_before_it_is_added_to_or_read(layers, heads, full):
    for moved in range(layers):
        passes = programs.passes(layers, heads, 5, full, 11, 2, moved)
        outside = [(passes.at.S, 25), (passes.at.s, 5), (passes.at.x, 5), (passes.at.y, 1)]
        summed = [(passes.at.sums, 1 + layers * heads * 50), (passes.at.hsums, layers * heads * 50)]
        known = {at + i for at, size in outside + summed for i in range(size)}
        for step in passes.gradient.steps + passes.hvp.steps:
            for operand in (step.term.a, step.term.b, step.c if step.add else None):
                if operand and not operand.shared:
                    assert set(operations.places_of(operand).ravel().tolist()) <= known, str(step)
            known |= set(operations.places_of(step.c).ravel().tolist())


@SHAPES
def test_a_direction_in_the_later_layers_needs_no_pass_through_those_before(layers, heads, full, monkeypatch):
    params, Z, y = point(layers, heads, full, batch=37)
    lanes, directions = kernels.lanes_from_tokens(Z, y), np.random.default_rng(5).standard_normal((3, *params.shape))
    entries, flops = np.array([0, 7, 11]), []
    for first in range(layers):
        directions[:, :first] = 0.0
        kernel, skipped = kernels.kernel_for(params, lanes, 2, first), params[:first].size
        grad, some = kernels.products(kernel, lanes, directions, skipped + entries, 4)
        assert relative(grad.reshape(params.shape), kernels.loss_and_grad(params, lanes)[1]) < 1e-13
        every = kernels.hvps(params, lanes, directions).reshape(3, -1)
        assert np.array_equal(some, [row[skipped + at : skipped + at + 4] for row, at in zip(every, entries, strict=True)])
        flops.append(kernel.passes.hvp.flops)
    assert flops == sorted(set(flops), reverse=True)
    H = la.hessian(params, Z, y, backend="numba")
    asked, made = [], kernels.kernel_for
    monkeypatch.setattr(kernels, "kernel_for", lambda *given: asked.append(given[2:]) or made(*given))
    assert np.array_equal(kernels.hessian_diagonal(params, lanes), np.diag(H).reshape(params.shape))
    assert asked == [(2, l) for l in range(layers)]  # each layer without those before it


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
