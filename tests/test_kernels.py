"""The Numba twins equal their NumPy definitions to rounding, and their bits do not depend on the number of threads."""

import os
import subprocess
import sys

import numpy as np
import pytest
from points import model_point, relative

import linattn_np as la
from linattn_np import batches
from linattn_np.kernels import linear as kernels
from linattn_np.kernels import programs
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
    kernels.set_threads(None)


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
    for threads in (1, 2, 4):
        kernels.set_threads(threads)
        value, grad = la.loss_and_grad(params, Z, y)
        results.append((value, grad.tobytes(), la.hvp(params, Z, y, grad).tobytes()))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("operation", range(17))
def test_each_operation_of_the_machine(operation):
    k, rng = 5, np.random.default_rng(operation)
    mem, shared = rng.standard_normal((100, kernels.LANES)), rng.standard_normal(60)
    A, B, C = (mem[at : at + k * k].reshape(k, k, -1).copy() for at in (0, 25, 50))
    a, b, c = mem[0:k].copy(), mem[25 : 25 + k].copy(), mem[50 : 50 + k].copy()
    W, V = shared[7 : 7 + k * k].reshape(k, k), shared[30 : 30 + k * k].reshape(k, k)
    wanted = {
        programs.AB: np.einsum("iml,mjl->ijl", A, B), programs.ABt: np.einsum("iml,jml->ijl", A, B),
        programs.AtB: np.einsum("mil,mjl->ijl", A, B), programs.AW: np.einsum("iml,mj->ijl", A, V),
        programs.WA: np.einsum("im,mjl->ijl", W, B), programs.Av: np.einsum("iml,ml->il", A, b),
        programs.Atv: np.einsum("mil,ml->il", A, b), programs.Wv: np.einsum("im,ml->il", W, b),
        programs.OUTER: np.einsum("il,jl->ijl", a, b), programs.SCALED: a[0] * b, programs.DOT: (a * b).sum(axis=0)[None],
        programs.SYMMETRIZED: (A + A.swapaxes(0, 1)) / 2, programs.VECTOR: a,
        programs.IDENTITY: np.repeat(np.eye(k)[..., None], kernels.LANES, axis=2), programs.NUMBER: a[:1],
        programs.TIMES: a[:1] * b[:1],
        programs.CLEAR: np.zeros((k, kernels.LANES)),
    }[operation]  # fmt: skip
    first = 7 if operation in (programs.WA, programs.Wv) else 0
    second = 30 if operation == programs.AW else 25
    only_set = (programs.SYMMETRIZED, programs.IDENTITY, programs.CLEAR)
    factor = 1.0 if operation in only_set else 1.7
    for add in (0, 1):
        if add and operation in only_set:
            continue
        work = mem.copy()
        kernels.run((0,) * k, np.array([[operation, first, second, 50, add]], np.uint64), np.array([factor]), shared, work)
        before = add * (C if wanted.ndim == 3 else c if len(wanted) == k else mem[50:51])
        size = wanted.size // kernels.LANES
        assert np.allclose(work[50 : 50 + size], (before + factor * wanted).reshape(size, -1), rtol=1e-13)
        assert np.array_equal(np.delete(work, range(50, 50 + size), axis=0), np.delete(mem, range(50, 50 + size), axis=0))


@SHAPES
def test_programs_write_before_they_read(layers, heads, full):
    params, Z, y = point(layers, heads, full)
    clean = la.loss_and_grad(params, Z, y)[1], la.hvp(params, Z, y, params)
    kernels.set_threads(1)
    kernels.working_memory(1)[:] = np.nan
    assert np.array_equal(la.loss_and_grad(params, Z, y)[1], clean[0])
    kernels.working_memory(1)[:] = np.nan
    assert np.array_equal(la.hvp(params, Z, y, params), clean[1])


def test_chunks_inside_chunks_do_not_wait_for_each_other():
    kernels.set_threads(2)
    done = []
    kernels.run_chunks(lambda outer: kernels.run_chunks(lambda inner: done.append((outer, inner)), 4), 4)
    assert sorted(done) == [(outer, inner) for outer in range(4) for inner in range(4)]


def test_set_threads_refuses_nonsense():
    with pytest.raises(ValueError, match="threads: expected an integer of at least 1, or None, got 0"):
        kernels.set_threads(0)


def test_importing_compiles_nothing_and_loads_no_numba():
    code = "import linattn_np, sys; sys.exit(any(m == 'numba' or m.startswith('matplotlib') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


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
