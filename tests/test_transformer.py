"""The stack: by hand, complex step, Taylor orders, the oracle arrays, what each parameterization fixes."""

from pathlib import Path

import numpy as np
import pytest
from points import model_point, relative

import linattn_np as la
from linattn_np.layers import gram
from linattn_np.models import stack, transformer

ORACLE = np.load(Path(__file__).parent / "data" / "oracle.npz", allow_pickle=False)
CASES = sorted({key.split("/")[0] for key in ORACLE})
ATTENTIONS = pytest.mark.parametrize("attention", ["linear", "softmax", "relu"])


def case(name):
    arrays = {key.split("/")[1]: ORACLE[key] for key in ORACLE if key.startswith(name + "/")}
    return arrays, name if name in ("softmax", "relu") else "linear"


@pytest.mark.parametrize("name", CASES)
def test_oracle_prediction_loss_gradient_and_hessian(name):
    arrays, attention = case(name)
    point = arrays["params"], arrays["Z"], arrays["y"]
    assert relative(la.predict(*point[:2], attention), arrays["prediction"]) < 1e-10
    value, grad = la.loss_and_grad(*point, attention, backend="numpy")
    assert abs(value - arrays["loss"]) < 1e-10 * arrays["loss"]
    assert la.loss(*point, attention) == value
    assert relative(grad, arrays["grad"]) < 1e-10
    if "hessian" in arrays:
        assert relative(la.hessian(*point, attention, backend="numpy"), arrays["hessian"]) < 1e-10


def test_prediction_worked_by_hand():
    # one layer, d = 1: P = diag(p, 1), Q = diag(q, 0); prediction = -(q / n) sum_i y_i x_i x_query, whatever p is
    Z = np.array([[[1.0, 2], [3, 1], [2, 0]]])
    params = np.array([[[[[7.0]], [[4.0]]]]])
    assert la.predict(params, Z).tolist() == [-(4 / 2) * (2 * 1 + 1 * 3) * 2]
    value, grad = la.loss_and_grad(params, Z, np.array([10.0]), backend="numpy")
    assert value == 30.0**2
    assert grad.ravel().tolist() == [0.0, 2 * -30.0 * -5.0 * 2.0 / 2]  # df/dq = 2 (prediction - y) d(prediction)/dq


@ATTENTIONS
@pytest.mark.parametrize("full", [False, True])
def test_gradient_equals_complex_step(attention, full):
    params, Z, y = model_point(full=full)
    _, grad = la.loss_and_grad(params, Z, y, attention, backend="numpy")
    step = np.zeros(params.size)
    for i in range(params.size):
        moved = params.astype(complex)
        moved.flat[i] += 1e-30j
        step[i] = la.loss(moved, Z, y, attention).imag / 1e-30
    assert relative(grad.ravel(), step) < 1e-12


@ATTENTIONS
@pytest.mark.parametrize("full", [False, True])
def test_hvp_equals_complex_step_of_the_gradient(attention, full):
    params, Z, y = model_point(full=full)
    v = np.random.default_rng(3).standard_normal(params.shape)
    _, moved = la.loss_and_grad(params + 1e-30j * v, Z, y, attention, backend="numpy")
    assert relative(la.hvp(params, Z, y, v, attention, backend="numpy"), moved.imag / 1e-30) < 1e-12


@ATTENTIONS
def test_taylor_remainders_fall_with_orders_two_and_three(attention):
    params, Z, y = model_point(batch=5)
    value, grad = la.loss_and_grad(params, Z, y, attention, backend="numpy")
    v = np.random.default_rng(5).standard_normal(params.shape)
    curvature = (v * la.hvp(params, Z, y, v, attention, backend="numpy")).sum()
    eps = 2.0 ** -np.arange(9, 14) if attention == "linear" else 2.0 ** -np.arange(12, 16)  # small beside the next kink
    remainders = [la.loss(params + e * v, Z, y, attention) - value - e * (grad * v).sum() for e in eps]
    first, second = np.abs(remainders), np.abs(np.array(remainders) - eps**2 * curvature / 2)
    assert np.all(np.abs(np.diff(np.log2(first)) + 2) < 0.1)
    assert np.all(np.abs(np.diff(np.log2(second)) + 3) < 0.3)


@ATTENTIONS
def test_hessian_is_symmetric_and_holds_the_products(attention):
    params, Z, y = model_point(layers=2, heads=1)
    H = la.hessian(params, Z, y, attention, backend="numpy")
    v = np.random.default_rng(2).standard_normal(params.shape)
    assert relative(H, H.T) < 1e-12
    assert relative(H @ v.ravel(), la.hvp(params, Z, y, v, attention, backend="numpy").ravel()) < 1e-12


@pytest.mark.parametrize("full", [False, True])
def test_state_stack_equals_token_stack(full):
    params, Z, y = model_point(full=full)
    v = np.random.default_rng(3).standard_normal(params.shape)
    state = gram.compress(Z)
    value, grad = stack.loss_and_grad_by(gram, params, state, y, Z.shape[-1])
    wanted, wanted_grad = la.loss_and_grad(params, Z, y, backend="numpy")
    assert abs(value - wanted) < 1e-13 * wanted
    assert relative(grad, wanted_grad) < 1e-12
    product = stack.Linearization(gram, params, state, y, Z.shape[-1])(v)
    assert relative(product, la.hvp(params, Z, y, v, backend="numpy")) < 1e-12


def test_last_layers_p_is_dead_with_blocks_and_alive_with_full_matrices():
    _, grad = la.loss_and_grad(*model_point(), backend="numpy")
    assert np.all(grad[-1, :, 0] == 0) and np.all(grad[:-1, :, 0] != 0) and np.all(grad[:, :, 1] != 0)
    _, grad = la.loss_and_grad(*model_point(full=True), backend="numpy")
    assert np.all(grad[-1, :, 0, -1] != 0)


def test_embedding_fixes_the_corners_and_restriction_is_its_adjoint():
    params, rng = model_point()[0], np.random.default_rng(1)
    full = transformer.to_full(params, 5)
    assert np.array_equal(full[:, :, 0, -1], np.broadcast_to([0, 0, 0, 0, 1.0], full[:, :, 0, -1].shape))
    assert np.all(full[:, :, 1, -1] == 0) and np.all(full[..., :-1, -1] == 0)
    v, dfull = rng.standard_normal(params.shape), rng.standard_normal(full.shape)
    assert np.isclose(
        (transformer.to_full_tangent(v, 5) * dfull).sum(), (v * transformer.to_full_adjoint(dfull, 4)).sum(), rtol=1e-13
    )


def test_init_params_has_the_shape_and_the_standard_deviation():
    params = la.init_params(np.random.default_rng(0), layers=31, d=7, heads=3, std=0.05)
    assert params.shape == (31, 3, 2, 7, 7)
    assert abs(params.std() - 0.05) < 0.05 / np.sqrt(params.size) * 3
    assert la.init_params(np.random.default_rng(0), d=7, full=True).shape == (3, 1, 2, 8, 8)


def test_integers_are_converted_and_float32_stays():
    params, Z, y = model_point()
    integers = np.round(Z * 2).astype(int)
    assert la.loss(params, integers, y) == la.loss(params, integers.astype(float), y)
    _, grad = la.loss_and_grad(params.astype(np.float32), Z.astype(np.float32), y.astype(np.float32))
    assert grad.dtype == np.float32


def test_inputs_stay_as_they_were():
    params, Z, y = model_point()
    before = [a.copy() for a in (params, Z, y)]
    for backend in ("numpy", "numba"):
        la.loss_and_grad(params, Z, y, backend=backend)
        la.hvp(params, Z, y, params, backend=backend)
    assert all(np.array_equal(a, b) for a, b in zip(before, (params, Z, y), strict=True))
