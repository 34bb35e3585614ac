"""Curvature: by hand on small matrices, exact against brute force, every estimator as far from the truth as it may be."""

import time

import numpy as np
import pytest
from points import model_point, relative

import linattn_np as la
from linattn_np.measures import landscape


@pytest.fixture(autouse=True)
def threads_as_before():
    yield
    la.kernels.set_threads(None)


@pytest.fixture(scope="module")
def point():
    """Params, prompts, labels and the Hessian by NumPy: 3 layers with one head; 25 of 150 parameters are dead."""
    params, Z, y = model_point(3, 1, False, batch=13, d=5, n=7, std=0.2)
    return params, Z, y, la.hessian(params, Z, y, backend="numpy")


# ---------------------------------------------------------------- worked by hand


def test_robust_condition_number_by_hand():
    diagonal = np.array([-6.0, 3.0, 1.0, 2.0])  # sizes 1 2 3 6
    assert landscape.robust_condition_number(diagonal) == 3.0
    assert landscape.robust_condition_number(diagonal, median="usual") == 6 / 2.5
    assert landscape.robust_condition_number(diagonal[1:]) == landscape.robust_condition_number(diagonal[1:], "usual") == 1.5
    dead = np.array([0.0, 0.0, 5.0, -1.0, 0.0, 4.0])  # sizes 0 0 0 1 4 5
    assert landscape.robust_condition_number(dead) == np.inf
    assert landscape.robust_condition_number(dead, median="usual") == 10.0
    assert landscape.robust_condition_number(dead, drop_dead=True) == 1.25
    assert landscape.robust_condition_number(dead, "usual", drop_dead=True) == 1.25


def test_off_diagonal_share_by_hand():
    assert landscape.off_diagonal_share(np.array([[3.0, 4.0], [4.0, 0.0]])) == pytest.approx(32 / 41)
    assert landscape.off_diagonal_share(np.diag([1.0, -2.0, 3.0])) == pytest.approx(0.0, abs=1e-15)


def test_spectrum_by_hand():
    found = landscape.spectrum(np.diag([2.0, -1.0, 8.0, 0.0]))
    assert found.eigenvalues.tolist() == [-1.0, 0.0, 2.0, 8.0]
    assert (found.sharpness, found.negative, found.condition) == (8.0, 1, 8.0)  # the median of -1 0 2 8 is 1
    turned = landscape.spectrum(np.array([[1.0, 2.0], [2.0, 1.0]]))  # 3 and -1
    assert turned.sharpness == pytest.approx(3.0) and turned.negative == 1


def test_preconditioned_sharpness_by_hand():
    H, v_hat = np.diag([2.0, 8.0]), np.array([4.0, 16.0])  # P = 0.1 (2, 4): 10 and 20
    assert landscape.preconditioned_sharpness(H, v_hat, beta1=0.9, t=1, eps=1e-12) == pytest.approx(20.0)
    assert landscape.preconditioned_sharpness(H, v_hat, beta1=0.9, t=500, eps=1e-12) == pytest.approx(2.0)
    assert landscape.preconditioned_sharpness(H, v_hat, beta1=0.0, t=1, eps=2.0) == pytest.approx(8 / 6)


def test_blocks_by_hand():
    shape = (2, 3, 2, 2, 2)  # 12 matrices of 4 entries
    p = int(np.prod(shape))
    H = np.arange(p * p, dtype=float).reshape(p, p)
    H = H + H.T
    found = landscape.blocks(H, shape)
    for number, at in enumerate(np.ndindex(2, 3, 2)):
        part = slice(4 * number, 4 * number + 4)
        assert np.array_equal(found[at], H[part, part])
    assert np.allclose(landscape.block_spectra(H, shape)[1, 0, 1], np.linalg.eigvalsh(H[28:32, 28:32]))


def test_best_decrease_is_the_minimum_of_the_parabola():
    slope, kappa = -3.0, 2.0
    s = np.linspace(-4, 4, 80_001)
    assert landscape.best_decrease(slope, kappa) == pytest.approx(-(slope * s + 0.5 * kappa * s * s).min(), rel=1e-8)
    assert landscape.best_decrease(slope, -kappa) == np.inf and landscape.best_decrease(slope, 0.0) == np.inf
    assert landscape.best_decrease(0.0, kappa) == 0.0


# ---------------------------------------------------------------- exact against brute force


def test_diagonal_equals_a_complex_step_of_the_gradient(point):
    params, Z, y, _ = point
    wanted = np.empty(params.size)
    for i in range(params.size):
        x = params.astype(complex)
        x.flat[i] += 1e-30j
        wanted[i] = la.loss_and_grad(x, Z, y)[1].flat[i].imag / 1e-30
    assert relative(landscape.hessian_diagonal(params, Z, y), wanted) < 1e-12
    assert np.all(wanted[100:125] == 0.0)  # the last layer's P


@pytest.mark.parametrize("attention, full", [("linear", True), ("softmax", True), ("relu", False)])
def test_objective_serves_every_attention(attention, full):
    params, Z, y = model_point(2, 2, full, batch=3, d=4, n=7)
    model = la.LinearTransformer(4, 2, 2, full, attention)
    objective = landscape.Objective(Z, y, model)
    v = np.random.default_rng(1).standard_normal((3, *params.shape))
    assert relative(objective.grad(params), la.loss_and_grad(params, Z, y, attention, "numpy")[1]) < 1e-12
    wanted = np.stack([la.hvp(params, Z, y, u, attention, "numpy") for u in v])
    assert relative(objective.hvps(params, v), wanted) < 1e-11
    H = la.hessian(params, Z, y, attention, "numpy")
    assert relative(objective.hessian(params), H) < 1e-11 and relative(objective.diagonal(params), np.diag(H)) < 1e-11
    assert landscape.directional_smoothness(params, v[0], Z, y, model) == pytest.approx(
        v[0].ravel() @ H @ v[0].ravel() / (v[0] ** 2).sum(), rel=1e-9
    )


def test_directional_smoothness_has_the_hessians_value_and_sign(point):
    params, Z, y, H = point
    values, vectors = np.linalg.eigh(H)
    assert values[0] < -1e-3  # there is negative curvature at this point
    for k in (0, -1):
        u = vectors[:, k].reshape(params.shape)
        assert landscape.directional_smoothness(params, u, Z, y) == pytest.approx(values[k], rel=1e-9)
        assert landscape.directional_smoothness(params, -7.0 * u, Z, y) == pytest.approx(values[k], rel=1e-9)
    u = np.random.default_rng(2).standard_normal(params.shape)
    h = 1e-4 / np.sqrt((u * u).sum())
    second = (la.loss(params + h * u, Z, y) - 2 * la.loss(params, Z, y) + la.loss(params - h * u, Z, y)) / 1e-8
    assert landscape.directional_smoothness(params, u, Z, y) == pytest.approx(second, rel=1e-4)


def test_what_directions_meet(point):
    params, Z, y, H = point
    objective, grad = landscape.Objective(Z, y), la.loss_and_grad(params, Z, y)[1]
    step = np.random.default_rng(3).standard_normal(params.shape)
    found = landscape.step_curvature(params, landscape.directions_at(grad, step), objective)
    assert list(found) == ["gradient", "normalized", "clipped", "sign", "coordinate-clipped", "Adam"]
    for name in ("normalized", "clipped"):  # parallel: only the length differs
        assert np.allclose(found[name], found["gradient"], rtol=1e-9)
    assert found["gradient"].cosine == pytest.approx(-1.0, rel=1e-12)
    u, g = step.ravel(), grad.ravel()
    kappa, slope = u @ H @ u / (u @ u), u @ g / np.sqrt(u @ u)
    assert found["Adam"].kappa == pytest.approx(kappa, rel=1e-9)
    assert found["Adam"].cosine == pytest.approx(slope / np.sqrt(g @ g), rel=1e-9)
    wanted = slope**2 / (2 * kappa) if kappa > 0 else np.inf
    assert found["Adam"].decrease == pytest.approx(wanted, rel=1e-9)
    assert max(abs(meeting.cosine) for meeting in found.values()) <= 1 + 1e-12


def test_directions_are_what_their_names_say():
    grad = np.array([[3.0, -4.0], [0.0, 1.0]])
    found = landscape.directions_at(grad, threshold=1.0, quantile=2 / 3)  # sizes 0 1 3 4: two thirds of the way lies 3
    assert np.allclose(found["gradient"], -grad) and np.allclose(found["normalized"], -grad / np.sqrt(26))
    assert np.allclose(found["clipped"], -grad / np.sqrt(26)) and np.allclose(found["sign"], [[-1, 1], [0, -1]])
    assert np.allclose(found["coordinate-clipped"], [[-3, 3], [0, -1]]) and "Adam" not in found


def test_path_smoothness_over_short_and_long_steps(point):
    params, Z, y, H = point
    objective, u = landscape.Objective(Z, y), np.random.default_rng(4).standard_normal(params.shape)
    short = landscape.path_smoothness(params, 1e-6 * u, objective)
    assert short == pytest.approx(np.linalg.norm(H @ u.ravel()) / np.linalg.norm(u), rel=1e-3)
    grads = {gamma: la.loss_and_grad(params + gamma * u, Z, y, backend="numpy")[1] for gamma in (0.0, 0.3, 1.0)}
    each = {gamma: np.linalg.norm(grads[gamma] - grads[0.0]) / (gamma * np.linalg.norm(u)) for gamma in (0.3, 1.0)}
    assert landscape.path_smoothness(params, u, objective, gammas=(0.3,)) == pytest.approx(each[0.3], rel=1e-9)
    assert landscape.path_smoothness(params, u, objective, gammas=(0.3, 1.0)) == pytest.approx(max(each.values()), rel=1e-9)


def test_preconditioned_sharpness_equals_the_eigenvalues_of_the_product(point):
    _, _, _, H = point
    v_hat = np.random.default_rng(5).uniform(0.1, 2.0, len(H))
    P = (1 - 0.9**3) * (np.sqrt(v_hat) + 1e-8)
    wanted = np.linalg.eigvals(H / P[:, None]).real.max()
    assert landscape.preconditioned_sharpness(H, v_hat, 0.9, 3) == pytest.approx(wanted, rel=1e-9)


def test_invariants_of_a_true_hessian(point):
    params, Z, y, H = point
    found = landscape.spectrum(H)
    assert found.eigenvalues.sum() == pytest.approx(np.trace(H), rel=1e-9)
    rounding = 1e-12 * found.sharpness
    assert found.negative == (found.eigenvalues < -rounding).sum() > 0  # the dead parameters' zeros are not negative
    blocks = landscape.block_spectra(H, params.shape)
    assert blocks.min() >= found.eigenvalues[0] - rounding and blocks.max() <= found.sharpness + rounding
    assert blocks.sum() == pytest.approx(np.trace(H), rel=1e-9) and np.all(blocks[2, 0, 0] == 0.0)
    assert np.abs(np.diag(H)).max() <= np.abs(found.eigenvalues).max()
    alive = landscape.robust_condition_number(np.diag(H), drop_dead=True)
    assert alive < landscape.robust_condition_number(np.diag(H))  # leaving zeros out moves the median up


# ---------------------------------------------------------------- estimators beside the truth


def test_power_iteration_keeps_its_bound(point):
    H = point[3]
    values, vectors = np.linalg.eigh(H)
    assert values[-1] > -values[0]  # the largest magnitude is positive here
    second = np.sort(np.abs(values))[-2]
    start = np.random.default_rng(6).standard_normal(len(H))
    tangent2 = (start @ start) / (start @ vectors[:, -1]) ** 2 - 1.0
    for steps in (1, 3, 10, 40):
        value, vector = landscape.power_iteration(lambda v: H @ v, len(H), steps, np.random.default_rng(6))
        error = values[-1] - value
        bound = (values[-1] - values[0]) * tangent2 * (second / values[-1]) ** (2 * (steps - 1))
        assert -1e-9 * values[-1] <= error <= bound + 1e-9 * values[-1]
        assert vector @ vector == pytest.approx(1.0) and vector @ H @ vector == pytest.approx(value, rel=1e-9)
    assert value == pytest.approx(values[-1], rel=1e-3)
    negative = landscape.power_iteration(lambda v: -H @ v, len(H), 200, np.random.default_rng(6))[0]
    assert negative == pytest.approx(-values[-1], rel=1e-6)


def test_lanczos_lies_inside_and_beats_power_iteration(point):
    H = point[3]
    exact = np.linalg.eigvalsh(H)
    before, rounding = -np.inf, 1e-12 * exact[-1]
    for steps in (1, 4, 9, 16):
        ritz = landscape.lanczos(lambda v: H @ v, len(H), steps, np.random.default_rng(7))
        power = landscape.power_iteration(lambda v: H @ v, len(H), steps, np.random.default_rng(7))[0]
        assert len(ritz) == steps
        assert exact[0] - rounding <= ritz[0] and before - rounding <= ritz[-1]
        assert power - rounding <= ritz[-1] <= exact[-1] + rounding
        before = ritz[-1]
    assert ritz[-1] == pytest.approx(exact[-1], rel=1e-6)
    ritz = landscape.lanczos(lambda v: H @ v, len(H), len(H), np.random.default_rng(7))
    alive = exact[np.abs(exact) > rounding]  # of the dead parameters' equal zeros it sees one
    assert len(ritz) <= len(H)
    assert max(np.abs(ritz - value).min() for value in alive) < 1e-8 * exact[-1]


def test_lanczos_stops_where_there_is_no_more_to_see():
    H = np.diag([1.0, 2.0, 2.0, 2.0, 5.0])  # a start sees each different eigenvalue once
    assert landscape.lanczos(lambda v: H @ v, 5, 5, np.random.default_rng(11)) == pytest.approx([1.0, 2.0, 5.0])


def test_hutchinson_errs_as_much_as_it_says(point):
    H, probes = point[3], 997
    trace, diagonal = landscape.hutchinson(lambda v: H @ v, len(H), probes, np.random.default_rng(8))
    off = H - np.diag(np.diag(H))
    trace_error, diagonal_error = np.sqrt(2 * (off**2).sum() / probes), np.sqrt((off**2).sum(axis=1) / probes)
    assert abs(trace.value - np.trace(H)) < 5 * trace_error
    assert np.all(np.abs(diagonal.value - np.diag(H)) <= 5 * diagonal_error + 1e-12)
    assert trace.error == pytest.approx(trace_error, rel=0.15)  # its own account of its error is right as well
    assert np.allclose(diagonal.error, diagonal_error, rtol=0.25, atol=1e-12)


def test_hutchinson_is_exact_for_a_diagonal():
    H = np.diag([3.0, -1.0, 0.5])
    trace, diagonal = landscape.hutchinson(lambda v: H @ v, 3, 2, np.random.default_rng(9))
    assert trace.value == pytest.approx(2.5) and diagonal.value == pytest.approx([3.0, -1.0, 0.5])
    assert trace.error == pytest.approx(0.0, abs=1e-15) and np.all(diagonal.error < 1e-15)


# ---------------------------------------------------------------- generalized smoothness


def test_log_fit_recovers_a_power_law_and_counts_what_it_leaves_out():
    norms = np.array([0.5, 1.0, 2.0, 3.0, 4.0])
    kappa = np.exp(0.7) * norms**1.3
    kappa[2] = -5.0
    fit = landscape.fit_log(kappa, norms)
    assert fit.a == pytest.approx(0.7) and fit.b == pytest.approx(1.3) and fit.correlation == pytest.approx(1.0)
    assert fit.negative_share == pytest.approx(0.2)
    assert landscape.fit_log(np.ones(4), norms[:4]).correlation == 0.0


@pytest.mark.parametrize(
    "kappa, wanted",
    [
        ([2.5, 4.0, 5.5], (1.0, 1.5)),  # on a line: both free
        ([3.0, 2.0, 1.0], (2.0, 0.0)),  # falling: L1 at its bound, L0 the mean
        ([0.0, 1.0, 2.0], (0.0, 8 / 14)),  # through -1 at 0: L0 at its bound, sum of k n over sum of n^2
        ([-1.0, -2.0, -3.0], (0.0, 0.0)),
    ],
)
def test_l0_l1_by_hand(kappa, wanted):
    assert landscape.fit_l0_l1(np.array(kappa), np.array([1.0, 2.0, 3.0])) == pytest.approx(wanted, abs=1e-12)


def test_l0_l1_beats_every_point_of_a_grid():
    rng = np.random.default_rng(10)
    for _ in range(20):
        norms, kappa = rng.gamma(1.0, size=17), rng.standard_normal(17) + rng.standard_normal()
        L0, L1 = landscape.fit_l0_l1(kappa, norms)
        ours = ((kappa - L0 - L1 * norms) ** 2).sum()
        a, b = np.meshgrid(np.linspace(0, 3, 61), np.linspace(0, 3, 61))
        grid = ((kappa - a[..., None] - b[..., None] * norms) ** 2).sum(axis=-1)
        assert L0 >= 0 and L1 >= 0 and ours <= grid.min() + 1e-12


# ---------------------------------------------------------------- determinism and speed


def test_threads_do_not_change_a_bit():
    params, Z, y = model_point(3, 1, False, batch=601, d=5, n=11)
    found = []
    for threads in (1, 2, 4):
        la.kernels.set_threads(threads)
        found.append(landscape.Objective(Z, y).hessian(params))
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
    assert np.array_equal(found[0], found[0].T)


@pytest.mark.numba
def test_a_diagonal_at_the_papers_size_takes_a_moment():
    params, Z, y = model_point(3, 1, False, batch=1000, d=5, n=20)
    landscape.hessian_diagonal(params, Z[:17], y[:17])  # compiled
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        landscape.hessian_diagonal(params, Z, y)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.9  # 0.3 s is asked of two free cores; a test may run on one busy one


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda p, Z, y: landscape.robust_condition_number(np.eye(3)), "diagonal: expected 1 axes"),
        (lambda p, Z, y: landscape.robust_condition_number(np.zeros(3)), "diagonal: expected an entry other than 0"),
        (lambda p, Z, y: landscape.robust_condition_number(np.ones(3), "mean"), "median: expected one of 'lower', 'usual'"),
        (lambda p, Z, y: landscape.robust_condition_number(np.array([1.0, np.nan])), "diagonal: expected finite"),
        (lambda p, Z, y: landscape.directional_smoothness(p, 0 * p, Z, y), "direction: expected a direction other than 0"),
        (lambda p, Z, y: landscape.directional_smoothness(p, p[0], Z, y), "direction: expected the shape of params"),
        (lambda p, Z, y: landscape.directional_smoothness(p[0], p[0], Z, y), "params: expected shape"),
        (lambda p, Z, y: landscape.directional_smoothness(p, p, Z, y[1:]), "y: expected shape"),
        (lambda p, Z, y: landscape.spectrum(np.array([[1.0, 2.0], [0.0, 1.0]])), "H: expected a symmetric matrix"),
        (lambda p, Z, y: landscape.off_diagonal_share(np.zeros((2, 2))), "H: expected an entry other than 0"),
        (lambda p, Z, y: landscape.blocks(np.eye(5), p.shape), "shape: expected 5 parameters"),
        (lambda p, Z, y: landscape.preconditioned_sharpness(np.eye(2), -np.ones(2), 0.9, 1), "v_hat: expected 2 numbers"),
        (lambda p, Z, y: landscape.path_smoothness(p, 0 * p, landscape.Objective(Z, y)), "step: expected a step other than 0"),
        (lambda p, Z, y: landscape.lanczos(lambda v: v, 3, 4, np.random.default_rng()), "steps: expected at most p = 3"),
        (lambda p, Z, y: landscape.hutchinson(lambda v: v, 3, 1, np.random.default_rng()), "probes: expected an integer of at"),
        (lambda p, Z, y: landscape.fit_log(np.array([1.0, -1.0, 2.0]), np.ones(3)), "kappa: expected at least 3 positive"),
        (lambda p, Z, y: landscape.fit_log(np.ones(3), np.ones(3)), "norms: expected more than one value"),
        (lambda p, Z, y: landscape.fit_l0_l1(np.ones(3), np.ones(4)), "norms: expected the shape of kappa"),
    ],
)
def test_bad_input_is_named(point, call, message):
    with pytest.raises(ValueError, match=message):
        call(*point[:3])
