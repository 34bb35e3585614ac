"""Tied parameters: T and its adjoint, the chain rule to first and second order, and tied models in place of models."""

import doctest
import pickle

import numpy as np
import pytest
from points import relative
from third_model import Readout

import linattn_np as la
import linattn_np.models.tied
from linattn_np.layers.corner import to_full, to_full_adjoint
from linattn_np.models.composed import Composed
from linattn_np.models.tied import Corner, Diagonal, Free, Looped, Scalar, StepSize, Tied, tied
from linattn_np.models.transformer import LinearTransformer

L, H, k = 3, 2, 5
PARAMS = (L, H, 2, k, k)
SOME = np.random.default_rng(5).random((2, k, k)) < 0.6  # the same entries in every layer and head
TIES = {
    "diagonal": (Diagonal(), (L, H, 2, k)),
    "scalar": (Scalar(), (L, H, 2)),
    "scalar, blocks": (Scalar((2, 3)), (L, H, 2, 2)),
    "step size": (StepSize(), (L, H)),
    "looped": (Looped(), (1, H, 2, k, k)),
    "looped in the middle": (Looped((0, 1, 1)), (2, H, 2, k, k)),
    "corner": (Corner(), (L, H, 2, k - 1, k - 1)),
    "free": (Free(SOME, held=0.7), (L * H * SOME.sum(),)),
}
EVERY = pytest.mark.parametrize("name", TIES)
TASK = la.RegressionTask(n=11, d=4)
MODELS = {
    "diagonal": Tied(LinearTransformer(4, L, H), Diagonal()),
    "scalar, full": Tied(LinearTransformer(4, L, full=True), Scalar((4, 1))),
    "step size, softmax": Tied(LinearTransformer(4, L, attention="softmax"), StepSize()),
    "looped diagonal": tied(LinearTransformer(4, L), Looped(), Diagonal()),
    "corner, free": tied(LinearTransformer(4, L, H, full=True), Corner(), Free(SOME[:, :4, :4], held=0.3)),
    "composed, network fixed": Tied(Composed(4, 3, 2), Free(np.arange(131) >= 31, held=np.linspace(-0.4, 0.5, 131))),
}
EVERY_MODEL = pytest.mark.parametrize("name", MODELS)


def normal(*shape, seed=0):
    return 0.3 * np.random.default_rng(seed).standard_normal(shape)


def prompts(batch=7):
    return TASK.sample(batch, np.random.default_rng(1))


@EVERY
def test_the_adjoint_is_the_transpose_of_the_tangent(name):
    """<T w, p> = <w, T^T p>."""
    tie, shape = TIES[name]
    T, w, p = tie.map(PARAMS), normal(*shape), normal(*PARAMS, seed=1)
    assert T.shape == shape and T.tangent(w).shape == PARAMS and T.adjoint(p).shape == shape
    left, right = (T.tangent(w) * p).sum(), (w * T.adjoint(p)).sum()
    assert abs(left - right) < 1e-14 * np.sqrt((T.tangent(w) ** 2).sum() * (p * p).sum()) and abs(left) > 1e-3


@EVERY
def test_no_number_is_idle_and_complex_numbers_pass(name):
    tie, shape = TIES[name]
    T, w, v = tie.map(PARAMS), normal(*shape), normal(*shape, seed=1)
    assert (T.adjoint(np.ones(PARAMS)) != 0).all()
    moved = T.apply(w + 1e-30j * v)
    assert np.array_equal(moved.real, T.apply(w)) and np.allclose(moved.imag / 1e-30, T.tangent(v), rtol=1e-15)
    assert relative(T.apply(w + v) - T.apply(w), T.tangent(v)) < 1e-14


@EVERY
def test_start_finds_the_numbers_that_made_params(name):
    tie, shape = TIES[name]
    w = normal(*shape)
    assert np.allclose(tie.map(PARAMS).start(tie.map(PARAMS).apply(w)), w, rtol=1e-14, atol=0)


def test_each_tie_makes_what_it_says():
    w = np.arange(1.0, 1 + L * H * 2 * k).reshape(L, H, 2, k)
    assert np.array_equal(Diagonal().map(PARAMS).apply(w)[1, 1, 0], np.diag(w[1, 1, 0]))
    assert np.array_equal(Scalar().map(PARAMS).apply(w[..., 0])[2, 0, 1], w[2, 0, 1, 0] * np.eye(k))
    assert np.array_equal(np.diag(Scalar((2, 3)).map(PARAMS).apply(w[..., :2])[0, 1, 0]), w[0, 1, 0][[0, 0, 1, 1, 1]])
    descent = StepSize().map(PARAMS).apply(w[..., 0, 0])
    assert not descent[:, :, 0].any() and np.array_equal(descent[2, 1, 1], -w[2, 1, 0, 0] * np.eye(k))
    pair = normal(2, H, 2, k, k)
    assert np.array_equal(Looped((0, 1, 1)).map(PARAMS).apply(pair), pair[[0, 1, 1]])
    assert np.array_equal(Looped().map(PARAMS).apply(pair[:1]), pair[[0, 0, 0]])
    free = Free(SOME, held=0.7).map(PARAMS).apply(np.zeros(L * H * SOME.sum()))
    assert np.array_equal(free, np.broadcast_to(np.where(SOME, 0.0, 0.7), PARAMS))


def test_the_fixed_corner_is_the_librarys_own():
    w, p = normal(L, H, 2, k - 1, k - 1), normal(*PARAMS, seed=1)
    assert np.array_equal(Corner().map(PARAMS).apply(w), to_full(w, k))
    assert np.array_equal(Corner().map(PARAMS).adjoint(p), to_full_adjoint(p, k - 1))
    other = Corner(p=-2.0, q=0.5).map(PARAMS).apply(w)
    assert (other[:, :, 0, -1, -1] == -2).all() and (other[:, :, 1, -1, -1] == 0.5).all()


def test_ties_compose():
    model = LinearTransformer(k, L, H)
    w = normal(2, H, 2, k)
    both = tied(model, Looped((0, 1, 1)), Diagonal())
    inner = Tied(model, Looped((0, 1, 1)))
    assert both == Tied(inner, Diagonal()) and both.map.shape == w.shape
    assert np.array_equal(inner.to_model(both.to_model(w)), np.eye(k) * w[[0, 1, 1]][..., None])
    Z, y = la.RegressionTask(n=11, d=k).sample(7, np.random.default_rng(1))
    assert both.loss(w, Z, y) == la.loss(np.eye(k) * w[[0, 1, 1]][..., None], Z, y)


# ---------------------------------------------------------------- the chain rule


@EVERY_MODEL
def test_gradient_equals_complex_step(name):
    model, (Z, y) = MODELS[name], prompts()
    w = model.init_params(np.random.default_rng(2), 0.3)
    value, dw = model.loss_and_grad(w, Z, y)
    steps = np.eye(w.size).reshape(-1, *w.shape)
    slopes = [np.imag(model.loss(w + 1e-30j * e, Z, y)) / 1e-30 for e in steps]
    assert dw.shape == w.shape and abs(value - model.loss(w, Z, y)) < 1e-12 * value
    assert relative(dw.ravel(), np.array(slopes)) < 1e-12


@EVERY_MODEL
def test_hessian_equals_complex_step_of_the_gradient(name):
    model, (Z, y) = MODELS[name], prompts()
    w = model.init_params(np.random.default_rng(2), 0.3)
    steps = np.eye(w.size).reshape(-1, *w.shape)
    columns = np.array([np.imag(model.loss_and_grad(w + 1e-30j * e, Z, y)[1]).ravel() / 1e-30 for e in steps])
    assert relative(model.hessian(w, Z, y), columns) < 1e-12
    assert relative(model.hvps(w, Z, y, steps[1:2])[0].ravel(), columns[1]) < 1e-12


def test_hessian_is_T_transposed_H_T():
    model, inner, (Z, y) = MODELS["looped diagonal"], LinearTransformer(4, L), prompts()
    w = model.init_params(np.random.default_rng(2), 0.3)
    full = model.model.to_model(model.to_model(w))
    T = np.stack([(np.eye(4) * e[None, ..., None].repeat(L, 1)).ravel() for e in np.eye(8).reshape(8, 1, 1, 2, 4)], axis=1)
    assert relative(model.hessian(w, Z, y), T.T @ inner.hessian(full, Z, y) @ T) < 1e-13


def test_a_looped_layers_gradient_is_the_sum_over_its_uses():
    inner, (Z, y) = LinearTransformer(4, L, H), prompts()
    once = inner.init_params(np.random.default_rng(2), 0.3)[:1]
    each = inner.loss_and_grad(np.repeat(once, L, axis=0), Z, y)[1]
    assert relative(Tied(inner, Looped()).loss_and_grad(once, Z, y)[1], each.sum(axis=0, keepdims=True)) < 1e-14
    assert np.abs(each[:2]).min(axis=(1, 2, 3, 4)).min() > 0  # every use has a say


@EVERY_MODEL
def test_the_audit_passes(name):
    model = MODELS[name]
    report = la.audit.audit_model(model=model, batch=7, n=11)
    assert report.ok and any(row.quantity == "H v by hand" for row in report.rows), str(report)


def test_a_forgotten_use_fails_the_audit():
    model, (Z, y) = MODELS["looped diagonal"], prompts()
    half = lambda w: (
        model.map.adjoint(model.model.loss_and_grad(model.to_model(w), Z, y)[1]) - model.loss_and_grad(w, Z, y)[1] / L
    )
    report = la.audit.audit_gradient(lambda w: model.loss(w, Z, y), half, model.init_params(np.random.default_rng(2), 0.3))
    assert report.verdict == "WRONG"


# ---------------------------------------------------------------- a model like any other


@EVERY_MODEL
def test_training_moves_the_numbers_and_only_them(name):
    model = MODELS[name]
    start = model.init_params(np.random.default_rng(3), 0.05)
    history = la.train(TASK, la.optimizers.Adam(0.02), steps=20, batch=64, model=model, params=start, seed=4, fixed_batch=True)
    assert history.loss[-1] < 0.98 * history.loss[0] and (history.params != start).any()
    after, held = model.to_model(history.params).ravel(), np.ones(model.map.offset.size, bool)
    held[model.map.rows] = False
    assert np.array_equal(after[held], model.map.offset.ravel()[held])


def test_training_equals_training_all_weights_and_projecting_by_hand():
    model, inner, lr = Tied(LinearTransformer(4, L), Looped()), LinearTransformer(4, L), 0.01
    start = model.init_params(np.random.default_rng(3), 0.1)
    same = {"batch": 300, "seed": 4, "fixed_batch": True, "clip": None}
    found = la.train(TASK, la.optimizers.SGD(lr), steps=3, model=model, params=start, **same).params
    w = start
    for _ in range(3):
        full = np.repeat(w, L, axis=0)
        moved = la.train(TASK, la.optimizers.SGD(lr), steps=1, model=inner, params=full, **same).params
        w = w + (moved - full).sum(axis=0, keepdims=True)
    assert relative(found - start, w - start) < 1e-12


@pytest.mark.numba
def test_kernels_serve_a_tied_model():
    w = normal(1, 1, 2, 4)
    models = [tied(LinearTransformer(4, L, backend=backend), Looped(), Diagonal()) for backend in ("numba", "numpy")]
    fast, plain = (model.passes() for model in models)
    assert fast.parallel == la.kernels.available() and not plain.parallel
    sums = []
    for passes in (fast, plain):
        batch, out = passes.prepare(*prompts()), np.zeros(9)
        passes.adder(w, 11)(batch, out)
        rows = passes.grouped_gradients(w, passes.prepare(*prompts(6)), 3)
        sums.append([out, rows, passes.hvps(w, batch, w[None]), passes.loss_and_grad(w, batch)[1]])
    assert all(relative(a, b) < 1e-12 for a, b in zip(*sums, strict=True))
    assert relative(sums[1][0][1:] / 7, sums[1][3].ravel()) < 1e-13 and sums[0][1].shape == (2, 8)


def test_a_model_that_the_library_does_not_know_is_tied_too():
    model = Tied(Readout(4, 7), Free(np.arange(9) < 8, held=0.5))  # the readout's weights are held, features are learned
    w, (Z, y) = model.init_params(np.random.default_rng(2), 0.5), prompts()
    assert w.shape == (56,) and model.d == 4 and (model.to_model(w)[:, -1] == 0.5).all()
    assert la.audit.audit_model(model=model).ok
    columns = np.array([np.imag(model.loss_and_grad(w + 1e-30j * e, Z, y)[1]) / 1e-30 for e in np.eye(56)])
    assert relative(model.hessian(w, Z, y), columns) < 1e-12
    history = la.train(TASK, la.optimizers.Adam(0.02), steps=20, batch=64, model=model, params=w, seed=4, fixed_batch=True)
    assert history.loss[-1] < history.loss[0]


def test_noise_and_landscape_take_a_tied_model():
    model = MODELS["diagonal"]
    w = model.init_params(np.random.default_rng(2), 0.3)
    norms = la.noise.gradient_noise(w, TASK, 16, 5, np.random.default_rng(0), model=model)
    assert norms.shape == (5,) and (norms > 0).all()


def test_the_example_in_the_docstring_runs():
    results = doctest.testmod(linattn_np.models.tied)
    assert results.attempted >= 3 and results.failed == 0


def test_a_tied_model_is_a_value_that_can_be_sent():
    for model in MODELS.values():
        again = pickle.loads(pickle.dumps(model))
        assert again == model and hash(again) == hash(model) and again.map.shape == model.map.shape
    assert MODELS["diagonal"] != Tied(LinearTransformer(4, L, H), Scalar())


@pytest.mark.parametrize("tie, says", [
    (Scalar((2, 3)), r"blocks: expected sizes that add up to k = 4, got \(2, 3\)"),
    (Looped((0, 1)), r"uses: expected 3 numbers, one for each layer, .* got \(0, 1\)"),
    (Looped((0, 2, 2)), "uses: expected 3 numbers"),
    (Free(np.zeros((4, 4))), "free: expected at least one entry that is learned"),
    (Free(np.ones((3, 3))), r"free, held: expected arrays that broadcast to the shape of params, \(3, 1, 2, 4, 4\)"),
])  # fmt: skip
def test_a_tie_that_does_not_fit_is_named(tie, says):
    with pytest.raises(ValueError, match=says):
        Tied(LinearTransformer(4, L), tie)


def test_matrices_are_asked_for_and_shapes_are_checked():
    with pytest.raises(ValueError, match=r"Diagonal: expected a model with params \(L, H, 2, k, k\), k at least 1, got \(131,\)"):
        Tied(Composed(4, 3, 2), Diagonal())
    with pytest.raises(ValueError, match=r"params: expected shape \(3, 2, 2, 4\) for Tied\(.*, got \(3, 2, 2\)"):
        MODELS["diagonal"].loss_and_grad(np.zeros((3, 2, 2)), *prompts())
