"""The composed model: against its parts, complex step, Taylor, its Hessian and diagonal, the kernel, training, the audit."""

import numpy as np
import pytest
from points import fresh, relative

import linattn_np as la
from linattn_np.audit import audit_model
from linattn_np.batches import generators
from linattn_np.kernels import composed as kernels_composed
from linattn_np.kernels.random_numpy import chunk_states
from linattn_np.layers import mlp
from linattn_np.measures.composed_diagonal import hessian_diagonal
from linattn_np.models import composed
from linattn_np.optimizers import SGD, Adam, clip
from linattn_np.training.runs import Run

MODEL = composed.Composed(d=5, hidden=7, layers=2, heads=2)
SHAPES = pytest.mark.parametrize("layers, heads, hidden", [(1, 1, 3), (1, 2, 7), (2, 2, 7), (3, 1, 11)])


def point(model=MODEL, batch=13, n=11, std=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return model.init_params(rng, std), *la.NonlinearTask(n=n, d=model.d, hidden=3).sample(batch, rng)


@pytest.fixture(autouse=True)
def threads_as_before():
    yield
    la.kernels.set_threads(None)


def test_it_is_attention_on_features():
    theta, Z, y = point()
    network, matrices = MODEL.split(theta)
    F = mlp.forward(Z[..., :-1], *network)[0]
    tokens = np.concatenate([F, Z[..., -1:]], axis=-1)
    assert relative(MODEL.predict(theta, Z), la.predict(matrices, tokens)) < 1e-13
    assert abs(MODEL.loss(theta, Z, y) - la.loss(matrices, tokens, y)) < 1e-13 * MODEL.loss(theta, Z, y)


def test_theta_is_its_arrays_in_order():
    theta = np.arange(MODEL.size)
    (W1, b1, W2, b2), matrices = MODEL.split(theta)
    assert (W1[0, 1], b1[0], W2[0, 0], b2[0]) == (1, 35, 42, 77) and matrices[0, 0, 0, 0, 0] == 82
    assert matrices.shape == (2, 2, 2, 6, 6) and MODEL.size == 82 + 288
    assert np.array_equal(composed.joined((W1, b1, W2, b2), matrices), theta)


def test_gradient_and_hessian_equal_complex_steps():
    theta, Z, y = point()
    value, grad = MODEL.loss_and_grad(theta, Z, y, backend="numpy")
    stepped = np.array([MODEL.loss(theta + 1e-30j * e, Z, y).imag / 1e-30 for e in np.eye(MODEL.size)])
    assert value == MODEL.loss(theta, Z, y) and relative(grad, stepped) < 1e-12
    H = MODEL.hessian(theta, Z, y)
    columns = [composed.loss_and_grad_by(MODEL, theta + 1e-30j * e, Z, y)[1].imag / 1e-30 for e in np.eye(MODEL.size)]
    assert relative(H, np.array(columns)) < 1e-12 and relative(H, H.T) < 1e-13
    v = np.random.default_rng(1).standard_normal(MODEL.size)
    assert relative(MODEL.hvp(theta, Z, y, v), H @ v) < 1e-12


def test_taylor_remainders_fall_with_slopes_two_and_three():
    theta, Z, y = point(batch=2, n=5)
    v = np.random.default_rng(4).standard_normal(MODEL.size)
    value, grad = MODEL.loss_and_grad(theta, Z, y, backend="numpy")
    second = v @ MODEL.hvp(theta, Z, y, v) / 2
    t = 2.0 ** -np.arange(12, 17)  # below the nearest kink, above rounding
    rise = np.array([MODEL.loss(theta + s * v, Z, y) for s in t]) - value
    first, then = np.abs(rise - t * (grad @ v)), np.abs(rise - t * (grad @ v) - t * t * second)
    assert abs(np.polyfit(np.log2(t), np.log2(first), 1)[0] - 2) < 0.05
    assert abs(np.polyfit(np.log2(t), np.log2(then), 1)[0] - 3) < 0.2


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_diagonal_equals_the_hessians(backend):
    for seed in range(3):
        theta, Z, y = point(seed=seed)
        wanted = np.diag(MODEL.hessian(theta, Z, y))
        assert np.abs(hessian_diagonal(MODEL, theta, Z, y, backend) - wanted).max() < 1e-12 * np.abs(wanted).max()


@SHAPES
@pytest.mark.parametrize("batch", [1, 63, 277])
def test_kernel_equals_numpy(layers, heads, hidden, batch):
    model = composed.Composed(5, hidden, layers, heads)
    theta, Z, y = point(model, batch)
    value, grad = model.loss_and_grad(theta, Z, y, backend="numba")
    wanted, wanted_grad = model.loss_and_grad(theta, Z, y, backend="numpy")
    assert abs(value - wanted) < 1e-12 * wanted and relative(grad, wanted_grad) < 1e-12


def test_bits_do_not_depend_on_threads():
    theta, Z, y = point(batch=1000)
    results = []
    for threads in (1, 2, 4):
        la.kernels.set_threads(threads)
        value, grad = kernels_composed.loss_and_grad(MODEL, theta, Z, y)
        results.append((value, grad.tobytes()))
    assert results[0] == results[1] == results[2]


def test_the_last_layers_dead_rows_have_no_gradient():
    theta, Z, y = point()
    dmatrices = MODEL.split(MODEL.loss_and_grad(theta, Z, y)[1])[1]
    assert not dmatrices[-1, :, 0, :-1].any() and dmatrices[-1, :, 0, -1].all() and dmatrices[0, :, 0, :-1].all()


# ---------------------------------------------------------------- training


def test_training_equals_the_loop_written_out():
    task, optimizer, model = la.NonlinearTask(n=7), SGD(0.05, momentum=0.9), composed.Composed(hidden=11)
    history = la.train(task, optimizer, 3, batch=300, seed=5, std=0.1, hidden=11, record_every=2)
    x, states = model.init_params(generators(5, 1)[0], 0.1), chunk_states(5, 2)
    state = optimizer.init(x)
    for t in range(3):
        Z, y = fresh(task, (256, 44), states)
        value, grad = model.loss_and_grad(x, Z, y, backend="numpy")
        assert abs(history.loss[t] - value) < 1e-12 * value
        x, state = optimizer.update(x, clip(grad, 1.0), state)
    assert relative(history.params, x) < 1e-12 and sorted(history.snapshots) == [0, 2, 3]


def test_a_run_is_described_and_older_names_do_not_change():
    run = Run(la.NonlinearTask(n=7), Adam(0.01), 2, 5, std=0.1, hidden=7)
    assert Run.from_dict(run.to_dict()) == run and run.to_dict()["hidden"] == 7
    plain = Run(la.RegressionTask(), Adam(0.02, 0.9, 0.9))
    assert "hidden" not in plain.to_dict() and "fixed_batch" not in plain.to_dict()
    assert plain.file_name() == "adam-gaussian-n20-seed0-183f565475e3.npz"  # as without other models


def test_a_fixed_batch_is_the_first_batch_at_every_step():
    fixed, fresh = (la.train(la.RegressionTask(n=7), SGD(0.0), 3, batch=300, fixed_batch=kind) for kind in (True, False))
    assert fixed.loss.tolist() == [fresh.loss[0]] * 3 and len(set(fresh.loss.tolist())) == 3
    slow = la.train(la.RegressionTask(n=7), SGD(0.01), 3, batch=300, fixed_batch=True, backend="numpy")
    fast = la.train(la.RegressionTask(n=7), SGD(0.01), 3, batch=300, fixed_batch=True)
    assert relative(fast.params, slow.params) < 1e-12


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"hidden": 3, "attention": "relu"}, "hidden: expected no attention='relu' beside it, got both; its attention is linear"),
        ({"hidden": 3, "full": False}, "hidden: expected no full=False beside it, got both; .* its matrices are full"),
        (
            {"hidden": 3, "clip_by": "block"},
            r"clip_by: expected 'global' or 'coordinate' for params of shape \(\d+,\), got 'block'",
        ),
        ({"hidden": -1}, "hidden: expected an integer of at least 0, got -1"),
    ],
)
def test_training_names_what_does_not_fit(arguments, said):
    with pytest.raises(ValueError, match=said):
        la.train(la.NonlinearTask(n=3), SGD(0.1), 1, batch=3, **arguments)


def test_bad_theta_and_bad_tokens_are_named():
    theta, Z, y = point()
    with pytest.raises(ValueError, match=r"theta: expected shape \(370,\)"):
        MODEL.loss_and_grad(theta[1:], Z, y)
    with pytest.raises(ValueError, match=r"Z: expected tokens of width d\+1 = 6"):
        MODEL.predict(theta, Z[..., 1:])


# ---------------------------------------------------------------- the audit


@pytest.mark.parametrize("seed", range(2))
def test_it_passes_the_whole_audit(seed):
    report = audit_model("mlp", seed=seed)
    assert report.ok and {row.check for row in report.rows} >= {"complex", "probe", "dot", "taylor", "second", "kernel"}
    assert "dtheta numba" in str(report) and "(15.15)" in str(report) and "diagonal of H" in str(report)
