"""Lesson 16's system: the layer that is one step of gradient descent, what a prediction sees of a layer, GD++, the best steps."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shapes import Recorder, complaints

import linattn_np as la
from linattn_np.experiments.papers import one_step_of_descent as paper
from linattn_np.experiments.papers.one_step_of_descent import claims, comparison, descent, one_layer, tasks, training, weights
from linattn_np.models.transformer import LinearTransformer

B, n, d = 5, 7, 3


def prompts(seed=0, slot=0.0):
    """Generic prompts (B, n+1, d+1); not of any linear law."""
    Z = np.random.default_rng(seed).standard_normal((B, n + 1, d + 1))
    Z[:, -1, -1] = slot
    return Z


# ---------------------------------------------------------------- the construction


def test_the_construction_by_hand():
    """Two examples, (1, 2) -> 3 and (0, 1) -> -1, and the query (2, 1): w = (eta/2) (3, 5), so the answer is 11 eta / 2."""
    Z = np.array([[[1.0, 2, 3], [0, 1, -1], [2, 1, 0]]])
    params = la.papers.one_step_of_descent.construction(2, 4.0)
    assert params.shape == (1, 1, 2, 2, 2) and params[0, 0].tolist() == [[[0, 0], [0, 0]], [[-4, 0], [0, -4]]]
    assert la.predict(params, Z).tolist() == [22.0]


@pytest.mark.parametrize("sizes", [(1, 1), (3, 7), (11, 2), (5, 13)])
def test_the_construction_is_the_step(sizes):
    count, wide = sizes
    Z = np.random.default_rng(count).standard_normal((B, count + 1, wide + 1))
    Z[:, -1, -1] = 0
    w = 1.7 / count * (Z[:, :-1, -1:] * Z[:, :-1, :-1]).sum(axis=1)
    assert np.abs(la.predict(paper.construction(wide, 1.7), Z) - (w * Z[:, -1, :-1]).sum(axis=1)).max() < 1e-12


def test_a_step_from_another_start_by_hand():
    """w_0 = (1, -1): residuals (1 - 2) - 3 = -4 and -1 + 1 = 0, so w = w_0 + (eta/2) 4 (1, 2) = (3, 3) at eta = 1: 9 for (2,
    1).
    """
    Z = np.array([[[1.0, 2, 3], [0, 1, -1], [2, 1, -1]]])  # the query's slot is -w_0 . x
    assert la.predict(paper.step_from(np.array([1.0, -1.0]), 1.0), Z).tolist() == [9.0]


@pytest.mark.parametrize("module", [weights, descent])
def test_the_checks_of_the_derivations(module):
    assert module.CHECKS and all(check() < 1e-13 for check in module.CHECKS.values())


def test_gd_plus_plus_without_c_is_descent():
    Z = prompts()
    twice = np.repeat(paper.construction(d, 0.3), 2, axis=0)
    assert np.array_equal(la.predict(paper.gd_plus_plus(d, 0.3, 0.0), Z), la.predict(twice, Z))


# ---------------------------------------------------------------- what the prediction sees


def test_the_layer_by_hand():
    """p = (1, 0), K = (2; 1), one example (1, 1) and the query 3: u = (6, 3), a = (9, 9), prediction -9; with dprediction 1:
    dp = (-9, -9), da = (-1, 0), du = (-1, -1), dK = (-3; -3)."""
    G, x = one_layer.state(np.array([[[1.0, 1], [3, 0]]]))
    prediction, tape = one_layer.forward(np.array([1.0, 0]), np.array([[2.0], [1]]), G, x)
    dp, dK = one_layer.backward(np.ones(1), tape)
    assert prediction.tolist() == [-9] and dp.tolist() == [-9, -9] and dK.tolist() == [[-3], [-3]]
    assert one_layer.tangent(np.array([1.0, 2]), np.array([[1.0], [0]]), tape).tolist() == [
        -30
    ]  # -(va . p) = -3, -(a . vp) = -27


def test_it_is_a_layer_of_full_matrices_and_the_rest_has_gradient_zero():
    model, Z, y = paper.OneLayer(d), prompts(), np.arange(5.0)
    theta = np.random.default_rng(1).standard_normal((d + 1, d + 1))
    full = model.full(theta)
    full[0, 0, 0, :-1], full[0, 0, 1, :, -1] = 0.7, -0.4  # what no prediction sees
    value, grad = la.loss_and_grad(full, Z, y)
    ours, dtheta = model.loss_and_grad(theta, Z, y)
    assert abs(value - ours) < 1e-12 and np.abs(model.predict(theta, Z) - la.predict(full, Z)).max() < 1e-12
    assert np.abs(grad[0, 0, 0, -1] - dtheta[:, 0]).max() < 1e-12 and np.abs(grad[0, 0, 1, :, :-1] - dtheta[:, 1:]).max() < 1e-12
    assert not grad[0, 0, 0, :-1].any() and not grad[0, 0, 1, :, -1].any()


def test_its_gradient_is_the_complex_steps():
    assert all(audit().ok for audit in one_layer.AUDITS.values())
    assert la.audit.audit_model(model=paper.OneLayer(d), n=n).ok


def test_training_the_layer_is_training_the_whole_matrices():
    """The same start, the same batches, Adam: p and K go the same way."""
    task, opt = paper.UniformTask(n=5, d=2), la.optimizers.Adam(0.05)
    theta = paper.OneLayer(2).init_params(np.random.default_rng(3), 0.3)
    settings = {"task": task, "optimizer": opt, "steps": 12, "batch": 11, "seed": 4, "clip": None, "progress": False}
    small = la.train(model=paper.OneLayer(2), params=theta, **settings).params
    whole = la.train(model=LinearTransformer(2, 1, full=True), params=paper.OneLayer(2).full(theta), **settings).params
    assert np.abs(paper.OneLayer(2).full(small) - whole).max() < 1e-10 and np.abs(small - theta).max() > 0.1


# ---------------------------------------------------------------- the best step, GD++


def test_the_moments_exactly():
    """Covariates of +-1 with n = d = 2: all 16 prompts, kurtosis 1."""
    S = [np.array(bits).reshape(2, 2).T @ np.array(bits).reshape(2, 2) / 2 for bits in itertools.product((-1.0, 1), repeat=4)]
    first, second = (np.mean([np.trace(M) for M in each]) for each in (S, [M @ M for M in S]))
    eta, value = paper.best_step(2, 2, 1.0, kurtosis=1.0)
    assert abs(eta - first / second) < 1e-14 and abs(value - (2 - 2 * eta * first + eta**2 * second)) < 1e-14


def test_the_numbers_of_the_paper_and_those_of_gaussian_covariates():
    assert (
        np.allclose(paper.best_step(10, 10, 1 / 3), (1.515151515, 1.649831650))
        and abs(paper.UniformTask().variance - 1 / 3) < 1e-15
    )
    assert np.allclose(paper.best_step(10, 10, 1 / 12), (4 * 1.515151515, 1.649831650 / 4))
    assert paper.best_step(20, 5, 1.0, kurtosis=3.0) == (20 / 26, 5 * (1 - 20 / 26))


def test_uniform_prompts_keep_their_width():
    Z, y = replace(paper.UniformTask(n=3, d=2), width=2.0).sample(4_000, np.random.default_rng(0))
    X = Z[..., :-1]
    assert np.abs(X).max() <= 2 and abs(X.var() - 4 / 3) < 0.03 and abs((X**4).mean() / X.var() ** 2 - tasks.KURTOSIS) < 0.03
    assert not Z[:, -1, -1].any() and y.std() > 1


def test_a_line_search_finds_where_no_neighbour_is_lower():
    lam = descent.eigenvalues(paper.UniformTask(n=n, d=d), 50, np.random.default_rng(0))
    one = descent.line_search(lam, 1 / 3)
    assert abs(one["eta"] - lam.sum() / (lam**2).sum()) < 1e-7 and one["c"] == 0
    two = descent.line_search(lam, 1 / 3, 2, plus=True)
    assert two["loss"] < descent.line_search(lam, 1 / 3, 2)["loss"] < one["loss"]
    for eta, c in itertools.product((-0.02, 0, 0.02), repeat=2):
        assert descent.loss(lam, 1 / 3, two["eta"] + eta, two["c"] + c, 2) >= two["loss"]


def test_losses_by_eigenvalues_are_losses_of_predictions():
    task, rng = paper.UniformTask(n=4, d=2), np.random.default_rng(2)
    by_eigenvalues = descent.loss(descent.eigenvalues(task, 20_000, rng), task.variance, 1.0, 0.4, 2)
    by_predictions = la.loss(paper.gd_plus_plus(2, 1.0, 0.4), *task.sample(20_000, rng))
    assert abs(by_predictions / by_eigenvalues - 1) < 0.05


# ---------------------------------------------------------------- comparisons


def test_the_construction_is_perfectly_aligned_and_a_scaled_layer_is_not_moved():
    Z, y = paper.UniformTask(n=n, d=d).sample(30, np.random.default_rng(0))
    step = training.constructed(0.9, d)
    found = training.alignment(step, 0.9, Z, y)
    assert abs(found["cosine"] - 1) < 1e-14 and found["predictions"] < 1e-14 and found["models"] < 1e-14
    assert (
        abs(found["loss"] - la.loss(paper.construction(d, 0.9), Z, y)) < 1e-13 and abs(found["loss"] - found["descent"]) < 1e-13
    )
    scaled = np.concatenate([-2 * step[:, :1], -step[:, 1:] / 2], axis=1)
    assert np.allclose(training.rescaled(scaled), step, atol=1e-15)
    assert abs(training.step_of(scaled) - 0.9) < 1e-15 == abs(training.step_of(step) - 0.9) + 1e-15
    half = training.alignment(np.concatenate([step[:, :1], step[:, 1:] / 2], axis=1), 0.9, Z, y)
    assert abs(half["cosine"] - 1) < 1e-14 and abs(half["predictions"] - 0.5) < 1e-14
    assert abs(half["models"] - np.sqrt(((0.9 * one_layer.state(Z)[0][:, :-1, -1]) ** 2).sum(axis=1)).mean() / 2) < 1e-14


def test_sensitivities_are_the_implicit_models():
    task = comparison.TASK
    Z, _ = task.sample(B, np.random.default_rng(1))
    params = paper.construction(task.d, 1.2)
    w = comparison.sensitivities(lambda asked: la.predict(params, asked), Z)
    assert np.allclose(w, 1.2 / task.n * (Z[:, :-1, -1:] * Z[:, :-1, :-1]).sum(axis=1), atol=1e-13)
    assert abs(comparison.mean_cosine(w, 3 * w) - 1) < 1e-14 and abs(comparison.mean_cosine(w, -w) + 1) < 1e-14


def test_a_repeated_layer_is_descent_with_as_many_steps():
    task = paper.UniformTask(n=n, d=d)
    Z, y = task.sample(B, np.random.default_rng(3))
    layer = paper.OneLayer(d).full(training.constructed(0.8, d))
    losses = comparison.repeated(layer, 0.5, Z, y)
    assert len(losses) == comparison.ROLLED + 1 and abs(losses[0] - (y**2).mean()) < 1e-14
    for k in (1, 3):
        assert abs(losses[k] - la.loss(np.repeat(paper.construction(d, 0.4), k, axis=0), Z, y)) < 1e-13


def test_what_two_looped_layers_have_learned_is_read_off_their_diagonals():
    full = la.transformer.to_full(paper.gd_plus_plus(d, 0.7, 0.2, 1), d + 1)
    scaled = full * np.array([-2.0, -0.5])[:, None, None]
    for params in (full, scaled):
        assert np.allclose(list(training.steps_of_two(params).values()), [0.7, 0.2], atol=1e-15)


# ---------------------------------------------------------------- claims and errors


def test_the_claims_read_their_numbers():
    def seeds(*values):
        return {"each_seed": list(values), "median": float(np.median(values))}

    line = {"iterations": [0.5, 1.0, 2.0]}
    numbers = {
        "one": {
            "descent": 2.0, "end": {"loss": seeds(2.0, 3.0)}, "halfway": seeds(2.2, 2.2), "eta": seeds(1.0, 3.0),
            "elsewhere": {
                kind: {"trained": {**line, "each_seed": [[1.0, 2.2, 9.0], [2.0, 2.0, 2.0]]},
                       "descent": {**line, "median": [1.0, 2.0, 3.0]}}
                for kind in ("covariates", "task vectors")
            },
            "repeated": {
                "0.75": {"trained": {"each_seed": [[9.0, 4.0, 1.0]]}}, "1": {"trained": {"median": [9.0, 4.0, None]}},
            },
        },
        "theory": {"eta": 2.0},
        "two": {
            "losses": {"GD": 6.0, "GD++": 2.0}, "along": {"iterations": [0, 9], "each_seed": [[7.0, 3.0], [7.0, 2.0]]},
            "cosines": {"GD": {"each_seed": [[0.1, 0.5]]}, "GD++": {"each_seed": [[0.1, 0.9]]}}, "c": seeds(0.4, 0.6),
        },
        "gammas": {"10": 0.179, "25": 0.198, "50": 0.056, "100": 0.029},
    }  # fmt: skip
    read = {name: getattr(claims, name)(numbers)["each_seed"] for name in (
        "one_ratio", "halfway_ratio", "step_ratio", "plateau", "beyond_descent", "beside_plus", "trained_gamma", "worst_gamma",
        "falls_when_damped")}  # fmt: skip
    assert read["one_ratio"] == [1.0, 1.5] and read["halfway_ratio"] == [1.1, 1.1] and read["step_ratio"] == [0.5, 1.5]
    assert read["plateau"] == [0.25, 0.375] and read["beyond_descent"] == [2.0, 3.0] and read["beside_plus"] == [1.5, 1.0]
    assert (
        np.allclose(read["trained_gamma"], [0.16, 0.24])
        and np.allclose(read["worst_gamma"], [2.0])
        and read["falls_when_damped"] == [4.0]
    )
    assert np.allclose(claims.elsewhere_gap(numbers)["each_seed"], [0.1, 1.0]) and claims.better_aligned(numbers)[
        "each_seed"
    ] == [0.4]
    assert claims.undamped(numbers).endswith("infinite") and "25: 0.198 (paper 0.099)" in claims.all_gammas(numbers)
    assert claims.worst_gamma({"gammas": {**numbers["gammas"], "10": -0.1}})["median"] is None


@pytest.mark.parametrize("call, says", [
    (lambda: paper.construction(0, 1.0), "d: expected"), (lambda: paper.construction(3, np.inf), "eta: expected"),
    (lambda: paper.step_from(np.ones((2, 2)), 1.0), r"w0: expected shape \(d,\), got \(2, 2\)"),
    (lambda: paper.gd_plus_plus(3, 0.0, 0.1), "eta: expected a number that is not 0"),
    (lambda: paper.gd_plus_plus(3, 1.0, 0.1, layers=0), "layers: expected"), (lambda: paper.best_step(0, 3, 1.0), "n: expected"),
    (lambda: paper.best_step(2, 3, -1.0), "variance: expected"), (lambda: paper.UniformTask(width=0.0), "width: expected"),
    (lambda: paper.OneLayer(3).as_params(np.ones((3, 3))), r"params: expected shape \(4, 4\)"),
    (lambda: paper.OneLayer(3).loss_and_grad(np.ones((4, 4)), np.ones((2, 5, 6)), np.ones(2)), "Z: expected tokens of width"),
])  # fmt: skip
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_shape_comments_are_true():
    files = [Path(module.__file__) for module in (one_layer, descent, training)]
    recorder = Recorder(files)
    sizes = {"B": B, "n": n, "d": d, "D": d + 1}
    Z, y, rng = prompts(), np.zeros(B), np.random.default_rng(0)
    theta = rng.standard_normal((d + 1, d + 1))
    G, x = recorder.record(sizes, one_layer.state, Z)
    _, tape = recorder.record(sizes, one_layer.forward, theta[:, 0], theta[:, 1:], G, x)
    recorder.record(sizes, one_layer.backward, np.ones(B), tape)
    recorder.record(sizes, one_layer.tangent, theta[:, 0], theta[:, 1:], tape)
    recorder.record(sizes, paper.OneLayer(d).loss_and_grad, theta, Z, y)
    recorder.record(sizes, descent.eigenvalues, paper.UniformTask(n=n, d=d), B, rng)
    assert [each for file in files for each in complaints(file, file.read_text(), dict(recorder.seen))] == []
