"""Lesson 17's system: the best single layer in closed form, stacks averaged over tasks and queries, and what they are held
against.
"""

from pathlib import Path

import numpy as np
import pytest
from shapes import Recorder, complaints

import linattn_np as la
from linattn_np.experiments.curves import curve
from linattn_np.experiments.papers import preconditioned_descent as paper
from linattn_np.experiments.papers.preconditioned_descent import averaged, claims, closed_form, comparison, quasi_newton, training

B, n, d, L = 5, 7, 3, 3


def covariance(seed=0, size=d):
    """A generic covariance and a root of it."""
    C = np.random.default_rng(seed).standard_normal((size, size)) + 2 * np.eye(size)
    return C @ C.T, C


def all_prompts(X, C, Cw):
    """The prompts with examples X (B, n, d), one for each column of C as the query and each of Cw as the task."""
    Z, y = [], []
    for examples in X:
        for w in Cw.T:
            for x in C.T:
                Z.append(np.vstack([np.c_[examples, examples @ w], np.r_[x, 0]]))
                y.append(w @ x)
    return np.array(Z), np.array(y)


# ---------------------------------------------------------------- one layer


def test_the_optimum_by_hand():
    """Sigma = diag(2, 4), n = 2, tasks N(0, I): (n+1)/n Sigma + tr/n I = diag(3 + 3, 6 + 3)."""
    params = la.papers.preconditioned_descent.optimum(np.diag([2.0, 4.0]), 2)
    assert params.shape == (1, 1, 2, 2, 2) and not params[0, 0, 0].any()
    assert np.allclose(params[0, 0, 1], -np.diag([1 / 6, 1 / 9]), atol=1e-16)
    assert abs(paper.least_loss(np.diag([2.0, 4.0]), 2) - (6 - 4 / 6 - 16 / 9)) < 1e-14


def test_known_special_cases():
    for size, count in ((5, 20), (2, 3)):
        share = count / (count + size + 1)
        assert np.allclose(paper.optimum(np.eye(size), count)[0, 0, 1], -share * np.eye(size))
        assert abs(paper.least_loss(np.eye(size), count) - size * (1 - share)) < 1e-13
        Sigma, _ = covariance(1, size)
        inverse = np.linalg.inv(Sigma)
        assert np.allclose(paper.best_preconditioner(Sigma, count, inverse), share * inverse)
        assert abs(paper.least_loss(Sigma, count, inverse) - size * (1 - share)) < 1e-12


def test_derivations_pass_their_audits_and_checks():
    for module in (closed_form, averaged):
        assert all(audit().ok for audit in module.AUDITS.values())
    assert all(check() < 1e-12 for check in closed_form.CHECKS.values())


def test_no_neighbour_of_the_optimum_is_better_on_prompts():
    """On many prompts the library's own loss is lowest near the closed form, and its gradient there nearly zero."""
    Sigma = np.array([[1.0, 0.4], [0.4, 0.5]])
    Z, y = la.RegressionTask(n=4, d=2, covariance=Sigma).sample(100_000, np.random.default_rng(0))
    best = paper.optimum(Sigma, 4)
    value, grad = la.loss_and_grad(best, Z, y)
    assert abs(value / paper.least_loss(Sigma, 4) - 1) < 0.02 and np.abs(grad).max() < 0.03
    assert np.abs(la.loss_and_grad(paper.optimum(np.eye(2), 4), Z, y)[1]).max() > 0.1
    assert la.loss(1.2 * best, Z, y) > value < la.loss(0.8 * best, Z, y)


# ---------------------------------------------------------------- averaged stacks


def test_a_layer_by_hand():
    """d = 1, P = 2, Q = -1, S = 3, T = 2, R = 5: J = -4, U = -12, T' = 2 - 48, R' = 5 - 60. Backward from dT' = 1, dR' = 1."""
    one = lambda value: np.full((1, 1, 1), float(value))
    T, R, tape = averaged.forward(np.array([[2.0]]), np.array([[-1.0]]), one(3), one(2), one(5))
    assert (T.item(), R.item()) == (-46, -55)
    dP, dQ, dT, dR = averaged.backward(one(1), one(1), tape)
    assert dR.item() == 1 - 12 and dP.item() == 2 * -12  # dU = 5 + 2 * 2 = 9, dJ = 27
    assert dQ.item() == 4 * 27 and dT.item() == 1 + 2 * -12 - 2 * 2 * 27


def test_the_average_is_that_over_prompts():
    """Roots of Sigma and W as queries and tasks make the mean exact; the library's own gradient is the other road."""
    Sigma, C = covariance(2)
    W, Cw = covariance(3)
    rng = np.random.default_rng(4)
    X, params = rng.standard_normal((2, n, d)), 0.1 * rng.standard_normal((L, 1, 2, d, d))
    Z, y = all_prompts(X, C, Cw)
    value, grad = la.loss_and_grad(params, Z, y)
    model = paper.Averaged(Sigma, L, W)
    ours, dparams = model.loss_and_grad(params, Z[:: d * d], y[:: d * d])
    assert abs(ours / (value * d * d) - 1) < 1e-12 and np.abs(dparams - grad * d * d).max() < 1e-11 * np.abs(dparams).max()
    assert not dparams[-1, 0, 0].any() and dparams[0, 0, 0].any()  # the last P' is dead
    assert abs(model.loss_of(params, X.mT @ X / n) / ours - 1) < 1e-14


def test_one_averaged_layer_is_the_closed_form_on_average():
    """The mean over the four S = x x^T of Gauss' points in two dimensions, n = 1."""
    Sigma, C = covariance(5, 2)
    W, _ = covariance(6, 2)
    points = [(s * np.sqrt(3), 1 / 6) for s in (-1, 1)] + [(0.0, 2 / 3)]
    A, total = np.array([[0.3, -0.2], [0.1, 0.25]]), 0.0
    model = paper.Averaged(Sigma, 1, W)
    for a, p in points:
        for b, q in points:
            x = C @ np.array([a, b])
            total += p * q * model.loss_of(training.constant(A.T, 1.0, 1), np.outer(x, x)[None])
    assert abs(total / closed_form.mean_loss(A, Sigma, W, 1) - 1) < 1e-12


def test_without_P_a_stack_is_preconditioned_descent():
    Sigma, C = covariance(7)
    S, A = training.states(Sigma, n, B, np.random.default_rng(8)), 0.1 * np.linalg.inv(Sigma)
    R = np.linalg.matrix_power(np.eye(d) - A @ S, L)
    wanted = np.einsum("ij,bjk,kl,bil->", Sigma, R, np.linalg.inv(Sigma), R) / B
    assert abs(paper.Averaged(Sigma, L).loss_of(training.constant(A, 1.0, L), S) / wanted - 1) < 1e-12


def test_coordinates_change_weights_and_nothing_else():
    """A on prompts of covariance C C^T is C^T A C on plain ones, B is C^-1 B C: predictions and averaged losses agree."""
    _, C = covariance(9)
    Z, y = la.RegressionTask(n=n, d=d).sample(B, np.random.default_rng(10))
    skewed = np.concatenate([Z[..., :-1] @ C.T, Z[..., -1:]], axis=-1)
    params = 0.1 * np.random.default_rng(11).standard_normal((L, 1, 2, d, d))
    plain = params.copy()
    plain[:, 0, 0] = np.linalg.inv(C) @ params[:, 0, 0] @ C
    plain[:, 0, 1] = C.T @ params[:, 0, 1] @ C
    assert np.allclose(la.predict(params, skewed), la.predict(plain, Z), rtol=1e-10)
    S = training.states(np.eye(d), n, B, np.random.default_rng(12))
    one, other = paper.Averaged(C @ C.T, L).loss_of(params, C @ S @ C.T), paper.Averaged(np.eye(d), L).loss_of(plain, S)
    assert abs(one / other - 1) < 1e-10


# ---------------------------------------------------------------- training and comparisons


def test_runs_have_their_kind_and_start_small():
    Sigma, _ = covariance(13)
    for kind, zero in (("all", None), ("A", 0), ("steps", 0), ("scalars", None)):
        run = training.trained(kind, Sigma, n, 2, "few", 4, 8, 0, 2)
        P, Q = run["params"][-1].swapaxes(0, 1)
        assert run["params"].shape == (3, 2, 2, d, d) and run["times"].tolist() == [0, 2, 4]
        assert zero is None or not P.any()
        if kind in ("steps", "scalars"):
            assert np.allclose(Q, Q[:, :1, :1] * np.eye(d)) and np.abs(Q).max() > 0
    start = training.trained("all", Sigma, n, 2, "skewed", 3, 8, 0, 3)["params"][0]
    assert 0 < np.abs(start).max() < 6 * training.STD
    opt, how = training.optimizer("skewed")
    assert how == {"clip": 0.01, "clip_by": "block", "schedule": "cosine"} and (opt.beta1, opt.beta2) == (0.99, 0.9)
    assert training.optimizer("plain")[0] == la.optimizers.Adam(0.001, beta1=0.9, beta2=0.9)


def test_one_trained_layer_finds_the_closed_form():
    Sigma = np.diag([1.0, 0.5])
    run = training.trained("all", Sigma, 4, 1, "few", 250, 64, 0, 250, np.eye(2))
    assert training.one_layer_distance(-run["params"][-1][0, 1], Sigma, 4)[0] < 0.05


def test_the_covariance_is_the_papers():
    C = training.root(3)
    assert np.allclose(np.sort(np.linalg.eigvalsh(C @ C.T)), np.sort(np.array(training.SCALES) ** 2))
    assert not np.allclose(C, training.root(4)) and np.allclose(C, training.root(3))
    S = training.states(C @ C.T, 20, 4_000, np.random.default_rng(0))
    assert np.abs(S.mean(axis=0) - C @ C.T).max() < 0.03


def test_distances_and_tuned_steps():
    assert training.distance_to_identity(3 * np.eye(4)) == 0 and training.distance_to_identity(np.diag([1.0, -1.0])) == 1
    assert abs(training.distance_to_identity(np.array([[2.0, 1], [1, 2]])) - np.sqrt(0.2)) < 1e-15
    Sigma, _ = covariance(14)
    near, far = training.one_layer_distance(paper.best_preconditioner(Sigma, n), Sigma, n)
    assert near == 0 < far
    S, model = training.states(np.eye(d), n, 200, np.random.default_rng(1)), paper.Averaged(np.eye(d), 2)
    eta = training.tuned(np.eye(d), model, S)
    losses = [model.loss_of(training.constant(np.eye(d), step, 2), S) for step in (0.9 * eta, eta, 1.1 * eta)]
    assert losses[1] < losses[0] and losses[1] < losses[2]


def test_distances_along_a_run_are_those_of_whitened_weights():
    C = training.root(0)
    params = np.zeros((2, 3, 2, 5, 5))
    params[0] = np.random.default_rng(0).standard_normal(params[0].shape)
    params[1, :, 1], params[1, :, 0] = 2 * np.linalg.inv(C @ C.T), 0.3 * np.eye(5)
    found = comparison.distances([{"times": np.array([0, 9]), "params": params}], [C], True)
    assert {name: len(curves) for name, curves in found.items()} == {"raw": 3, "whitened": 3, "B": 2}
    assert all(values["median"][1] < 1e-12 < 0.1 < values["median"][0] for name in ("whitened", "B") for values in found[name])
    assert found["raw"][0]["median"][1] > 0.5 and "B" not in comparison.distances(
        [{"times": np.array([0, 9]), "params": params}], [C], False
    )
    weights = comparison.shown({"params": params}, C)
    assert np.allclose(weights["whitened"], -2 * np.eye(5)) and np.allclose(weights["A"], -2 * np.linalg.inv(C @ C.T))


def test_a_first_step_is_short_and_one_pair_makes_newtons_step_in_one_dimension():
    assert quasi_newton.direction(np.array([30.0, 40.0]), []).tolist() == pytest.approx([-0.06, -0.08])
    assert quasi_newton.direction(np.array([0.03, 0.04]), []).tolist() == [-0.03, -0.04]
    curvature, g = 5.0, np.array([2.0])  # y = 5 s: the step is -g / 5
    assert quasi_newton.direction(g, [(np.array([0.3]), np.array([0.3 * curvature]))]).tolist() == pytest.approx([-0.4])


def test_a_full_memory_solves_a_parabola_and_a_valley():
    H = np.diag([1.0, 10.0, 100.0, 1000.0])
    found = quasi_newton.minimize(lambda x: (0.5 * (x @ H @ x), H @ x), np.ones(4), 60, 20)
    assert found["times"].tolist() == [0, 20, 40, 60] and found["params"].shape == (4, 4)
    assert np.abs(found["params"][-1]).max() < 1e-6 and found["params"][0].tolist() == [1, 1, 1, 1]

    def valley(x):
        a, b = x[:, 0], x[:, 1]
        r, t = b - a * a, 1 - a
        return float((100 * r * r + t * t).sum()), np.stack([-400 * a * r - 2 * t, 200 * r], axis=1)

    end = quasi_newton.minimize(valley, np.array([[-1.2, 1.0]]), 80, 80)["params"][-1]
    assert end.shape == (1, 2) and np.abs(end - 1).max() < 1e-5


def test_where_nothing_is_lower_the_end_is_kept():
    found = quasi_newton.minimize(lambda x: (1.0, np.ones(2)), np.zeros(2), 5, 2)  # a gradient that lies
    assert found["times"].tolist() == [0, 2, 4, 5] and not found["params"].any()


def test_a_minimized_stack_is_better_than_its_start_on_other_prompts():
    Sigma, _ = covariance(15)
    run = training.trained("all", Sigma, n, 2, "L-BFGS", 25, 200, 0, 25)
    S, model = training.states(Sigma, n, 300, np.random.default_rng(1)), paper.Averaged(Sigma, 2)
    start, end = (model.loss_of(params[:, None], S) for params in run["params"])
    assert run["params"].shape == (2, 2, 2, d, d) and end < 0.6 * start
    assert np.array_equal(run["params"], training.trained("all", Sigma, n, 2, "L-BFGS", 25, 200, 0, 25)["params"])
    assert training.optimizer("L-BFGS") == ("L-BFGS", {})


# ---------------------------------------------------------------- claims and errors


def test_the_claims_read_their_numbers():
    def seeds(*values):
        return {"each_seed": list(values), "median": float(np.median(values))}

    def ends(*values):
        return curve([0, 9], [[1.0, value] for value in values])

    losses = {
        kind: {str(layers): seeds(value * layers, 2 * value * layers) for layers in (1, 2, 3, 4)}
        for kind, value in (("gd", 8.0), ("preconditioned", 4.0), ("steps", 2.0), ("A", 3.0), ("scalars", 0.5), ("all", 1.0))
    }
    numbers = {
        "losses": losses, "one": {"5": {"inverse": seeds(8.0, 9.0), "distance": seeds(2.0, 1.0)}},
        "distances": {
            "all": {"raw": [ends(0.6, 0.8), ends(0.6, 0.4)], "whitened": [ends(0.1, 0.2), ends(0.2, 0.1)],
                    "B": [ends(0.15, 0.4)]},
            "A": {"raw": [], "whitened": [ends(0.01, 0.02), ends(0.03, 0.01)], "B": []},
        },
        "plain": curve([0, 1000, 4000, 8000], [[5.0, 0.394, 0.0105, 0.00133], [5.0, 0.197, 0.0035, 0.00133]]),
    }  # fmt: skip
    each = lambda read: read(numbers)["each_seed"]
    assert each(claims.shrinks) == [4.0, 9.0] and np.allclose(each(claims.whitening), [4.0, 4.0])
    assert np.allclose(each(claims.whitened_alone), [0.03, 0.02]) and np.allclose(each(claims.whitened_together), [0.2, 0.4])
    assert each(claims.as_many_steps) == [1.0, 2.0] and each(claims.below_constant) == [6.0, 3.0]
    assert each(claims.preconditioning_helps) == [2.0] and each(claims.beside_plus) == [3 / 2.25, 6 / 2.25]
    assert each(claims.three_layers) == [3.0, 6.0] and np.allclose(each(claims.demonstration), [2.0, 3.0])
    assert "iteration 8000: 0.00133 (logged 0.00133)" in claims.demonstration_in_words(numbers)


@pytest.mark.parametrize("call, says", [
    (lambda: paper.optimum(np.ones((2, 3)), 5), r"Sigma: expected a symmetric positive definite \(d, d\) matrix, got shape \(2, "
                                                r"3\)"),
    (lambda: paper.optimum(np.array([[1.0, 0.2], [0.0, 1.0]]), 5), "Sigma: expected a symmetric"),
    (lambda: paper.optimum(-np.eye(2), 5), "Sigma: expected a symmetric"), (lambda: paper.optimum(np.eye(2), 0), "n: expected"),
    (lambda: paper.optimum(np.eye(2), 5, np.eye(3)), r"W: expected a symmetric positive definite \(2, 2\) matrix"),
    (lambda: paper.Averaged(np.eye(2), 0), "layers: expected"), (lambda: paper.Averaged(np.eye(2), 1, np.eye(3)), "W: expected"),
    (lambda: paper.Averaged(np.eye(2), 2).as_params(np.zeros((1, 1, 2, 2, 2))), r"params: expected shape \(2, 1, 2, 2, 2\)"),
    (lambda: paper.Averaged(np.eye(2)).loss_and_grad(np.zeros((1, 1, 2, 2, 2)), np.ones((2, 5, 6)), np.ones(2)),
     "Z: expected tokens of"),
])  # fmt: skip
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_shape_comments_are_true():
    files = [Path(module.__file__) for module in (averaged, closed_form, training)]
    recorder, sizes, rng = Recorder(files), {"B": B, "n": n, "d": d}, np.random.default_rng(0)
    run = lambda function, *arguments: recorder.record(sizes, function, *arguments)
    P, Q = rng.standard_normal((2, d, d))
    S, T, R = rng.standard_normal((3, B, d, d))
    _, _, tape = run(averaged.forward, P, Q, S, T, R)
    run(averaged.backward, T, R, tape)
    Sigma, _ = covariance()
    run(
        paper.Averaged(Sigma, 2).loss_and_grad,
        rng.standard_normal((2, 1, 2, d, d)),
        rng.standard_normal((B, n + 1, d + 1)),
        np.ones(B),
    )
    run(closed_form.backward, P, Sigma, Sigma, n)
    run(training.states, Sigma, n, B, rng)
    recorder.record({"d": training.D}, training.root, 0)
    assert [each for file in files for each in complaints(file, file.read_text(), dict(recorder.seen))] == []
