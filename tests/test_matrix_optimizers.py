"""Optimizers that see matrices, and the damped ideals: by hand, by closed forms, in runs."""

import numpy as np
import pytest
from third_model import Readout

import linattn_np as la
from linattn_np.measures.landscape import Objective
from linattn_np.models.composed import Composed
from linattn_np.models.model import passes_of
from linattn_np.models.tied import Diagonal, tied
from linattn_np.models.transformer import LinearTransformer
from linattn_np.optimizers import SOAP, Adam, Muon, Newton, Shampoo
from linattn_np.optimizers.matrices import inverse_fourth_root, orthogonalized

TASK = la.RegressionTask(n=7, d=3)


def walk(optimizer, x, gradients):
    """The last params and state along given gradients."""
    state = optimizer.init(x)
    for g in gradients:
        x, state = optimizer.update(x, g, state)
    return x, state


# ---------------------------------------------------------------- Muon


def test_muon_by_hand_where_the_gradient_is_orthogonal():
    """G = 5 R with R orthogonal: X_0 = R / sqrt(2), and numbers go through the polynomial alone."""
    R, s = np.array([[0.6, -0.8], [0.8, 0.6]]), 0.5**0.5
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    end, _ = walk(Muon(0.5, 0.5), np.zeros((1, 1, 2, 2, 2)), [np.array([5 * R, 0 * R])[None, None]])
    assert end[0, 0, 0] == pytest.approx(-0.5 * s * R, rel=1e-6) and not end[0, 0, 1].any()


@pytest.mark.parametrize("shape", [(4, 7, 7), (4, 3, 7), (4, 7, 3)])
def test_singular_values_come_out_in_the_published_band_with_the_vectors_kept(shape):
    rng = np.random.default_rng(5)
    U, S, Vt = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    S = np.geomspace(0.02, 1.0, S.shape[-1]) * np.ones_like(S)
    out = orthogonalized(1e6 * U @ (S[..., None] * Vt))
    inside = U.mT @ out @ Vt.mT
    found = np.diagonal(inside, axis1=-2, axis2=-1)
    assert np.abs(inside - found[..., None] * np.eye(S.shape[-1])).max() < 1e-12
    assert found.min() > 0.68 and found.max() < 1.14
    assert np.abs(out - U @ Vt).max() < 0.32  # the exact polar factor


def test_they_want_matrices_and_muon_learns():
    for kind in (Muon, Shampoo, SOAP):
        with pytest.raises(
            ValueError, match=rf"{kind.__name__}: expected params whose last two axes are matrices, got shape \(31,\)"
        ):
            kind(0.1).init(np.zeros(31))
    history = la.train(TASK, Muon(0.02, 0.9), 150, 100, layers=2, progress=False)
    assert history.diverged_at is None and np.median(history.loss[-20:]) < 0.5 * history.loss[0]
    assert np.array_equal(history.params[-1, :, 0], history.snapshots[0][-1, :, 0])  # the dead P stays


# ---------------------------------------------------------------- Shampoo


def test_one_step_of_shampoo_is_the_gradient_between_inverse_fourth_roots():
    """G = diag(16, 1) R: G G^T = diag(256, 1), roots diag(1/4, 1); G^T G = R^T diag(256, 1) R. The step is R."""
    R = np.array([[0.6, -0.8], [0.8, 0.6]])
    G = np.diag([16.0, 1.0]) @ R
    assert inverse_fourth_root(G @ G.T, 0.0) == pytest.approx(np.diag([0.25, 1.0]), abs=1e-14)
    assert inverse_fourth_root(np.diag([16.0, 0.0]), 0.0) == pytest.approx(np.diag([0.5, 0.0]), abs=1e-15)  # 0 stays
    end, state = walk(Shampoo(0.5, beta2=0.75, eps=0.0), np.zeros((2, 2)), [G])
    assert end == pytest.approx(-0.5 * R, abs=1e-14)
    assert state.left == pytest.approx(0.25 * np.diag([256.0, 1.0]), abs=1e-12) and state.right == pytest.approx(
        0.25 * G.T @ G, abs=1e-12
    )
    damped, _ = walk(Shampoo(0.5, beta2=0.75, eps=65.0), np.zeros((2, 2)), [np.diag([4.0, 0.0])])  # (16 + 65)^-1/4 = 1/3, twice
    assert damped == pytest.approx(np.diag([-0.5 * 4 / 9, 0.0]), abs=1e-15)


def test_two_steps_of_shampoo_along_the_axes_are_adam_without_a_mean():
    """Diagonal G: each entry by itself over the root of its mean square, as v_hat."""
    gradients = [np.diag([3.0, -1.0]), np.diag([1.0, 2.0])]
    end, _ = walk(Shampoo(1.0, beta2=0.5, eps=0.0), np.zeros((2, 2)), gradients)
    wanted = -np.array([1.0, -1.0]) - np.array([1.0, 2.0]) / np.sqrt((np.array([9.0, 1.0]) + 2 * np.array([1.0, 4.0])) / 3)
    assert end == pytest.approx(np.diag(wanted), abs=1e-13)


# ---------------------------------------------------------------- SOAP


@pytest.mark.parametrize("every", [1, 3])
def test_soap_along_diagonal_gradients_is_adam(every):
    rng = np.random.default_rng(6)
    x, gradients = rng.standard_normal((2, 1, 2, 3, 3)), rng.standard_normal((9, 2, 1, 2, 3, 3)) * np.eye(3)
    assert walk(SOAP(0.1, 0.9, 0.8, 1e-3, every), x, gradients)[0] == pytest.approx(
        walk(Adam(0.1, 0.9, 0.8, 1e-3), x, gradients)[0], abs=1e-13
    )


def test_soap_begins_as_adam_and_its_bases_find_the_eigenvectors():
    rng = np.random.default_rng(7)
    x, G = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    assert walk(SOAP(0.1, 0.9, 0.8), x, [G])[0] == pytest.approx(walk(Adam(0.1, 0.9, 0.8), x, [G])[0], rel=1e-14)
    U, _, Vt = np.linalg.svd(G)
    _, state = walk(SOAP(0.1, 0.9, 0.8, every=2), x, [G] * 80)
    assert np.abs(np.abs(state.left_basis.T @ U)[:3, :3] - np.eye(3)).max() < 1e-8
    assert np.abs(np.abs(state.right_basis.T @ Vt.T) - np.eye(3)).max() < 1e-8


# ---------------------------------------------------------------- Newton and Gauss-Newton


def test_newton_by_hand():
    """C = diag(4, -2, 0): |C| + 4 / 2 = diag(6, 4, 2); without damping the direction without curvature stays."""
    x, g = np.zeros(3), np.array([6.0, -4.0, 2.0])
    assert walk(Newton(1.0, lambda x: np.diag([4.0, -2.0, 0.0]), damping=0.5), x, [g])[0].tolist() == [-1.0, 1.0, -1.0]
    assert walk(Newton(1.0, lambda x: np.diag([4.0, -2.0, 0.0]), damping=0.0), x, [g])[0].tolist() == [-1.5, 2.0, 0.0]


def test_the_curvature_is_asked_for_where_the_params_are_and_every_so_often():
    asked = []
    opt = Newton(
        0.5, lambda x: asked.append(x.copy()) or np.diag(1 + x.ravel() ** 2), momentum=0.5, damping=0.0, alpha=0.25, every=2
    )
    x, state = walk(opt, np.ones((1, 2)), np.ones((5, 1, 2)))
    assert len(asked) == 3 and asked[0].tolist() == [[1.0, 1.0]] and state.t == 5
    # m 1, 1.5, 1.75, 1.875: x 1 - 1/4, - 3/8 with C = 2; then C = 0.25 2 + 0.75 (1 + (3/8)^2)
    assert asked[1] == pytest.approx(np.full((1, 2), 0.375)) and asked[2][0, 0] == pytest.approx(
        0.375 - 0.5 * (1.75 + 1.875) / (0.5 + 0.75 * (1 + 0.375**2))
    )


@pytest.mark.parametrize(
    "model",
    [
        LinearTransformer(3, 2, 2),
        LinearTransformer(3, 2, full=True, attention="softmax"),
        Composed(3, 4, 2),
        tied(LinearTransformer(3, 2), Diagonal()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_gauss_newton_is_the_sum_over_prompts_of_the_squares_of_the_predictions_gradients(model):
    rng = np.random.default_rng(8)
    Z, y = TASK.sample(11, rng)
    x = model.init_params(rng, 0.4)
    passes, aside = passes_of(model, x), model.predict(x, Z) - 0.5  # labels half below: a prompt's gradient is J itself
    J = passes.grouped_gradients(x, passes.prepare(Z, aside), 1)
    found = Objective(Z, y, model).gauss_newton(x)
    assert (
        found == pytest.approx(2 * J.T @ J / 11, abs=1e-12 * np.abs(found).max())
        and np.linalg.eigvalsh(found)[0] > -1e-12 * np.abs(found).max()
    )
    H = Objective(Z, y, model).hessian(x)
    assert np.abs(H - found).max() > 1e-3 * np.abs(H).max()


@pytest.mark.parametrize("name", ["hessian", "gauss_newton"])
def test_one_layer_is_a_quadratic_of_q_and_solved_in_one_step(name):
    """The prediction of one layer is linear in Q, and P is dead: both curvatures are the loss's, and lr = 1 arrives."""
    objective = Objective(*TASK.sample(50, np.random.default_rng(9)), LinearTransformer(3, 1))
    x = LinearTransformer(3, 1).init_params(np.random.default_rng(10), 0.3)
    opt = Newton(1.0, getattr(objective, name), damping=0.0)
    end, _ = opt.update(x, objective.grad(x), opt.init(x))
    assert np.abs(objective.grad(end)).max() < 1e-12 < 1e-2 < np.abs(objective.grad(x)).max()
    assert np.array_equal(end[0, 0, 0], x[0, 0, 0]) and objective.loss_and_grad(end)[0] < objective.loss_and_grad(x)[0]


def test_a_curvature_that_is_none_and_a_model_without_predictions_are_refused():
    with pytest.raises(ValueError, match=r"curvature: expected a function of params, such as Objective\(Z, y\).hessian, got 3"):
        Newton(0.1, 3)
    with pytest.raises(ValueError, match=r"curvature: expected a matrix of shape \(3, 3\), got \(2, 2\)"):
        walk(Newton(0.1, lambda x: np.eye(2)), np.zeros(3), [np.ones(3)])
    Z, y = TASK.sample(5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="model: expected one with a method predict, got Readout"):
        Objective(Z, y, Readout(3, 7)).gauss_newton(np.ones((7, 7)))


@pytest.mark.parametrize(
    "optimizer",
    [Shampoo(0.1), SOAP(0.1, every=1), Muon(0.1), Newton(0.1, lambda x: np.full((18, 18), np.nan))],
    ids=lambda o: type(o).__name__,
)
def test_a_gradient_that_is_no_number_ends_in_params_that_are_none(optimizer):
    x, state = walk(optimizer, np.zeros((1, 1, 2, 3, 3)), [np.full((1, 1, 2, 3, 3), np.nan)] * 2)
    assert np.isnan(x).all()
