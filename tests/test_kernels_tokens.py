"""The compiled softmax and ReLU attention equal their NumPy modules, for every batch, and their bits do not depend on threads."""

import math

import numpy as np
import pytest
from points import model_point, relative

import linattn_np as la
from linattn_np.audit.mutation.programs import wrong_rows
from linattn_np.kernels import evaluate, set_threads
from linattn_np.kernels import tokens as kernels_tokens
from linattn_np.kernels.operations import SOFTMAX, Program
from linattn_np.optimizers import Adam

KINDS = pytest.mark.parametrize("attention", ["softmax", "relu"])


@pytest.fixture(autouse=True)
def threads_as_before():
    yield
    set_threads(None)


@KINDS
@pytest.mark.parametrize("layers, heads, full", [(1, 1, True), (1, 2, False), (2, 2, True), (3, 1, False), (5, 1, True)])
def test_gradient_equals_numpy(attention, layers, heads, full):
    params, Z, y = model_point(layers, heads, full, batch=37)
    value, grad = kernels_tokens.loss_and_grad(params, Z, y, attention)
    wanted, wanted_grad = la.loss_and_grad(params, Z, y, attention, backend="numpy")
    assert abs(value - wanted) < 1e-12 * wanted and relative(grad, wanted_grad) < 1e-12


def loss_and_grad_by_listing(passes, steps, shared, Z, y):
    """The program's operations run in NumPy, with ``steps`` in place of its own; what they find in the memory is arbitrary."""
    mem, at = np.random.default_rng(3).standard_normal((passes.slots, len(y))), passes.at
    for first, array in ((at.X, Z), (at.y, y), (at.present, 0 * y + 1), (at.sums, np.ones((len(y), 1 + shared.size)))):
        rows = array.reshape(len(y), -1).T
        mem[first : first + len(rows)] = rows
    evaluate(Program(steps=steps), mem, shared)
    sums = mem[at.sums : at.sums + 1 + shared.size].mean(axis=1) - 1
    return sums[0], sums[1:]


@KINDS
@pytest.mark.parametrize("layers, heads", [(1, 1), (2, 2)])
def test_a_listing_run_in_numpy_equals_the_kernel(attention, layers, heads):
    params, Z, y = model_point(layers, heads, True, batch=7)
    passes = kernels_tokens.passes(attention, layers, heads, Z.shape[2], Z.shape[1] - 1)
    value, grad = loss_and_grad_by_listing(passes, passes.gradient.steps, params.ravel(), Z, y)
    wanted, wanted_grad = kernels_tokens.loss_and_grad(params, Z, y, attention)
    assert abs(value - wanted) < 1e-12 * value and relative(grad.reshape(params.shape), wanted_grad) < 1e-12


@KINDS
def test_every_wrong_row_of_the_program_gives_a_wrong_gradient(attention):
    """But for two that set or add where there is 0: the examples' dZ3, and the whole of it before dlabel comes."""
    params, Z, y = model_point(2, 2, True, batch=3)
    passes = kernels_tokens.passes(attention, 2, 2, Z.shape[2], Z.shape[1] - 1)
    steps, survivors = passes.gradient.steps, set()
    value, right = loss_and_grad_by_listing(passes, steps, params.ravel(), Z, y)
    judged = 0
    for i, step in enumerate(steps):
        if step.term.operation >= SOFTMAX:  # an activation has no factor and can only be set
            continue
        for _, wrong in wrong_rows(step):
            loss, grad = loss_and_grad_by_listing(passes, [*steps[:i], wrong, *steps[i + 1 :]], params.ravel(), Z, y)
            judged += 1
            if relative(grad, right) < 1e-9 and relative(loss, value) < 1e-9:
                survivors.add(str(wrong))
    assert judged > 100 and survivors == {"dZ2 = dV P2.1", "dZ3[label] += dlabel"}


@KINDS
@pytest.mark.parametrize("batch", [1, 63, 64, 65, 256, 257])
def test_every_batch_size_counts_each_prompt_once(attention, batch):
    params, Z, y = model_point(2, 1, batch=batch)
    grad = kernels_tokens.loss_and_grad(params, Z, y, attention)[1]
    assert relative(grad, la.loss_and_grad(params, Z, y, attention, backend="numpy")[1]) < 1e-12


def test_large_scores_do_not_overflow():
    params, Z, y = model_point(2, 1, batch=101)
    Z = 30 * Z
    scores = Z[..., :-1] @ params[0, 0, 1].T @ Z[..., :-1].mT
    assert scores.max() > math.log(np.finfo(float).max)  # exp of it would be infinite
    value, grad = kernels_tokens.loss_and_grad(params, Z, y, "softmax")
    wanted, wanted_grad = la.loss_and_grad(params, Z, y, "softmax", backend="numpy")
    assert np.abs(wanted_grad).max() > 0 and abs(value - wanted) < 1e-12 * wanted and relative(grad, wanted_grad) < 1e-11


@KINDS
def test_bits_do_not_depend_on_threads(attention):
    params, Z, y = model_point(2, 1, batch=1000)
    results = []
    for threads in (1, 2, 4):
        set_threads(threads)
        value, grad = kernels_tokens.loss_and_grad(params, Z, y, attention)
        results.append((value, grad.tobytes()))
    assert results[0] == results[1] == results[2]


@KINDS
def test_training_uses_them_and_gives_what_numpy_gives(attention, monkeypatch):
    parts = []
    used = kernels_tokens.add_drawn_gradients

    def recorded(points, law, attention, sizes, *others):
        parts.extend(sizes.tolist())
        used(points, law, attention, sizes, *others)

    monkeypatch.setattr(kernels_tokens, "add_drawn_gradients", recorded)
    task = la.RegressionTask(n=11, d=4)
    runs = [la.train(task, Adam(0.02), 3, batch=300, attention=attention, backend=backend) for backend in ("numba", "numpy")]
    assert sorted(parts) == [44] * 3 + [256] * 3  # two parts, three steps
    assert relative(runs[0].params, runs[1].params) < 1e-9
