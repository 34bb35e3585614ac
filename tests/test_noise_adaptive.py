"""Lesson 18's system: the diagonal layer, its linear models, ridge baselines, the tied models, the theorems, the claims'
numbers.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from shapes import Recorder, complaints

import linattn_np as la
from linattn_np.experiments import scale as scales
from linattn_np.experiments.papers import noise_adaptive as paper
from linattn_np.experiments.papers.noise_adaptive import (
    baselines,
    claims,
    diagonal_layer,
    figure,
    implicit,
    models,
    published,
    task,
    theory,
    training,
)
from linattn_np.models.model import passes_of
from linattn_np.teaching.exercises import lesson_18

B, n, d = 5, 7, 3


def prompts(seed=0):
    """Generic prompts (B, n+1, d+1), the query's slot 0; not of any linear law."""
    Z = np.random.default_rng(seed).standard_normal((B, n + 1, d + 1))
    Z[:, -1, -1] = 0
    return Z


# ---------------------------------------------------------------- the layer


def test_a_layer_by_hand():
    """Examples (1; 2) and (2; -1), query (1; 0): Sig = 5, al = 0, lam = 5. Then examples (1; 1) and (2; -1): al = -1, lam = 2."""
    layer = la.papers.noise_adaptive.layer
    Z = np.array([[[1.0, 2], [2, -1], [1, 0]]])
    assert layer((1, 10, 100, 2), Z).tolist() == [[[6, 22], [12, -11], [6, 0]]]
    Z = np.array([[[1.0, 1], [2, -1], [3, 0]]])  # x' = x + 5 x - 10 y, y' = y - 100 x + 4 y
    assert layer((1, 10, 100, 2), Z).tolist() == [[[-4, -95], [22, -205], [18, -300]]]


def test_the_layer_is_its_scalar_equations():
    weights, Z = np.random.default_rng(1).standard_normal(4), prompts(2)
    out = paper.layer(weights, Z)
    for b in range(B):
        X, y = Z[b, :-1, :-1], Z[b, :-1, -1]
        sig, al, lam = sum(np.outer(x, x) for x in X), sum(y_i * x for x, y_i in zip(X, y, strict=True)), sum(y * y)
        for i in range(n + 1):
            x, label = Z[b, i, :-1], Z[b, i, -1]
            assert np.allclose(out[b, i, :-1], x + weights[0] * sig @ x + weights[1] * label * al, rtol=1e-13, atol=1e-13)
            assert np.isclose(out[b, i, -1], label + weights[2] * al @ x + weights[3] * lam * label, rtol=1e-12)


def test_the_layer_is_general_attention_with_two_heads():
    weights, Z = np.random.default_rng(3).standard_normal((1, 4)), prompts(4)
    P, Q = models.matrices_of("four", weights, d)[0].swapaxes(0, 1)
    attention = la.general_attention.GeneralAttention(np.arange(n + 1) < n, c=1.0, skip=False)
    assert np.abs(attention.forward(Z, P, Q)[0] - paper.layer(weights[0], Z)).max() < 1e-12


@pytest.mark.parametrize("module", [diagonal_layer, implicit])
def test_the_modules_pass_their_own_audits(module):
    assert all(run().ok for run in getattr(module, "AUDITS", {}).values())
    assert all(run() < 1e-13 for run in getattr(module, "CHECKS", {}).values())


@pytest.mark.parametrize("weights, Z, words", [
    ((1, 2, 3), prompts(), "weights: expected the four numbers"),
    ((1, 2, 3, 4), prompts()[0], r"Z: expected shape \(B, n\+1, d\+1\)"),
    ((1, 2, 3, np.nan), prompts(), "weights"),
])  # fmt: skip
def test_bad_input_is_an_error(weights, Z, words):
    with pytest.raises(ValueError, match=words):
        paper.layer(weights, Z)


def test_shape_comments_are_true():
    files = [Path(module.__file__) for module in (diagonal_layer, implicit, baselines, task, theory)]
    recorder, rng = Recorder(files), np.random.default_rng(5)
    sizes = {"B": B, "n": n, "N": n + 1, "d": d, "D": d + 1, "L": 2, "H": 2}
    weights, Z = rng.standard_normal(4), prompts()
    out, tape = recorder.record(sizes, diagonal_layer.forward, weights, Z)
    recorder.record(sizes, diagonal_layer.backward, Z, tape)
    _, vtape = recorder.record(sizes, diagonal_layer.tangent, weights, Z, tape)
    recorder.record(sizes, diagonal_layer.backward_tangent, Z, out, tape, vtape)
    recorder.record({**sizes, "B": 3, "N": 6, "n": 5, "d": 2, "D": 3}, diagonal_layer.audit)
    noisy = task.MixedNoise(n, d)
    recorder.record(sizes, noisy.draw, B, rng)
    found = recorder.record(sizes, baselines.evaluation, noisy, B, rng)
    recorder.record(sizes, baselines.adjusted_of, found, found.b)
    matrices = rng.standard_normal((2, 2, 2, d + 1, d + 1))
    recorder.record(sizes, implicit.implicit_models, matrices, Z)
    recorder.record(sizes, implicit.answers, matrices, found.G, n)
    recorder.record({**sizes, "B": 2}, theory.distance_to_ridge, n, (1.0, 3.0), 0, 2, d)
    assert [each for path in files for each in complaints(path, path.read_text(), dict(recorder.seen), set())] == []


# ---------------------------------------------------------------- the task and the baselines


def test_every_prompt_has_its_own_noise():
    rng = np.random.default_rng(6)
    found = task.MixedNoise(n=400, d=2, levels=(1.0, 3.0)).draw(200, rng)
    residual = found.Z[:, :-1, -1] - (found.Z[:, :-1, :-1] @ found.w[..., None])[..., 0]
    assert set(found.sigma) == {1.0, 3.0} and np.abs(residual.std(axis=1) / found.sigma - 1).max() < 0.2
    assert np.allclose(found.y, (found.Z[:, -1, :-1] * found.w).sum(axis=1)) and not found.Z[:, -1, -1].any()
    uniform = task.MixedNoise(top=5.0).draw(4000, rng).sigma
    assert uniform.min() >= 0 and uniform.max() <= 5 and abs(uniform.mean() - 2.5) < 0.1
    for wrong in ({"top": -1.0}, {"levels": (1.0, -2.0)}, {"d": 0}):
        with pytest.raises(ValueError, match="expected"):
            task.MixedNoise(**wrong)


def test_ridge_by_hand_and_in_the_eigenbasis():
    found = baselines.evaluation(task.MixedNoise(n, d), B, np.random.default_rng(7))
    S, al = found.G[:, :-1, :-1], found.G[:, :-1, -1:]
    for lam in (0.0, 2.0):
        w = np.linalg.solve(S + lam * np.eye(d), al)[..., 0]
        assert np.allclose((found.V @ baselines.ridge(found, lam)[..., None])[..., 0], w, rtol=1e-10)
    w = np.linalg.solve(S, al)[..., 0]
    rss = found.G[:, -1, -1] - 2 * (w * al[..., 0]).sum(axis=1) + (w[:, None] @ S @ w[..., None])[:, 0, 0]
    assert np.allclose(found.estimate, rss / (n - d), rtol=1e-9)
    assert baselines.adjusted(found, baselines.ridge(found, found.sigma**2)).max() == 0


def test_the_adjusted_loss_is_half_a_squared_distance_to_the_oracle():
    """Half the squared error minus half the oracle's, with its own noise, agrees with (18.14) within four standard errors."""
    noisy, rng = task.MixedNoise(n, d, top=3.0), np.random.default_rng(8)
    drawn = noisy.draw(40_000, rng)
    found = baselines.evaluation(noisy, 40_000, np.random.default_rng(8))
    assert np.array_equal(found.sigma, drawn.sigma)  # the same prompts
    answer = baselines.ridge(found, 1.5)
    error = lambda v: ((((found.V @ v[..., None])[..., 0] - drawn.w) ** 2).sum(axis=1)) / 2
    raw = error(answer) - error(baselines.ridge(found, found.sigma**2))
    gap = raw - baselines.adjusted(found, answer)
    assert abs(gap.mean()) < 4 * gap.std() / 200 and baselines.adjusted(found, answer).mean() > 0.02


def test_tuning_finds_what_no_neighbour_beats():
    found = baselines.evaluation(task.MixedNoise(top=3.0), 2000, np.random.default_rng(9))
    tuned = baselines.tune(found)
    loss = lambda name, **moved: baselines.adjusted(found, baselines.baseline(found, name, {**tuned, **moved})).mean()
    for name, knobs in (("constant ridge", ["constant"]), ("tuned ridge", ["cap", "factor"])):
        assert all(loss(name) <= loss(name, **{k: tuned[k] * by}) + 1e-9 for k in knobs for by in (0.9, 1.1))
    assert loss("tuned ridge") < loss("adaptive ridge") < loss("constant ridge")


# ---------------------------------------------------------------- the models


@pytest.mark.parametrize("kind", models.KINDS)
def test_a_model_answers_with_its_linear_models_weights(kind):
    rng, Z = np.random.default_rng(10), prompts(11)
    params = models.start(kind, 3, d, rng)
    params = params + 0.1 * rng.standard_normal(params.shape)
    matrices = models.matrices_of(kind, params, d)
    w = implicit.implicit_models(matrices, Z)[-1].w
    state = la.gram.compress(Z)
    assert np.allclose(
        models.model_of(kind, 3, d).predict(params, Z) if kind != "full" else la.predict(params, Z),
        (w * Z[:, -1, :-1]).sum(axis=1),
        rtol=1e-9,
    )
    assert np.abs(implicit.answers(matrices, state.G, n) - w).max() < 1e-12


def test_gd_plus_plus_and_one_head_are_special_cases_of_four_numbers():
    two = np.array([-0.03, -0.2, 0.01, -0.4])
    four = np.array([[-0.03, 0, -0.2, 0], [0.01, 0, -0.4, 0]])
    assert np.array_equal(models.matrices_of("GD++", two, d), models.matrices_of("four", four, d))
    p_and_q = np.random.default_rng(12).standard_normal((2, 1, 2, 2))
    (p_x, p_y), (q_x, q_y) = p_and_q[:, 0].swapaxes(0, 1).swapaxes(1, 2)
    products = np.stack([p_x * q_x, p_x * q_y, p_y * q_x, p_y * q_y], axis=1)
    Z = prompts(13)
    same = [models.model_of(kind, 2, d).predict(w, Z) for kind, w in (("diagonal", p_and_q), ("four", products))]
    assert np.allclose(*same, rtol=1e-11)
    with pytest.raises(ValueError, match="FourScalars: expected a model with 2 heads, got 1"):
        models.tied(la.LinearTransformer(d, 2, 1, full=True), models.FourScalars())


def test_the_tied_gradient_is_the_layers_own():
    """T^T of the compiled gradient against the chain of the derived layer's backward passes."""
    rng, Z = np.random.default_rng(14), prompts(15)
    y, weights = rng.standard_normal(B), 0.3 * rng.standard_normal((3, 4))
    model = models.model_of("four", 3, d)
    value, grad = passes_of(model).loss_and_grad(weights, passes_of(model).prepare(Z, y))
    tapes, moved = [], Z
    for each in weights / n:
        moved, tape = diagonal_layer.forward(each, moved)
        tapes.append(tape)
    error = -moved[:, -1, -1] - y
    dZ, by_hand = np.zeros_like(Z), np.empty((3, 4))
    dZ[:, -1, -1] = -2 * error / B
    for l in (2, 1, 0):
        by_hand[l], dZ = diagonal_layer.backward(dZ, tapes[l])
    assert np.isclose(value, (error**2).mean(), rtol=1e-12) and np.allclose(grad, by_hand / n, rtol=1e-10, atol=1e-14)
    assert la.audit.audit_model(model=model, n=n, batch=2).ok


def test_expected_labels_leave_the_expected_gradient_as_it_is():
    noisy, rng = task.MixedNoise(n=9, d=3, top=2.0), np.random.default_rng(16)
    model, params = models.model_of("four", 2, 3), models.start("four", 2, 3, rng)
    gaps, plain = [], []
    for _ in range(150):
        drawn = noisy.draw(64, rng)
        grads = [model.loss_and_grad(params, drawn.Z, y)[1] for y in (drawn.y, training.expected_labels(drawn))]
        gaps.append(grads[0] - grads[1])
        plain.append(grads[0])
    gaps, plain = np.array(gaps).reshape(150, -1), np.array(plain).reshape(150, -1)
    alive = plain.any(axis=0)  # the last layer's covariates are read by nobody
    gaps, plain = gaps[:, alive], plain[:, alive]
    assert alive.sum() == 6 and np.abs(gaps.mean(axis=0) / (gaps.std(axis=0) / np.sqrt(150))).max() < 4
    assert (gaps.std(axis=0) < plain.std(axis=0)).all() and np.abs(plain.mean(axis=0)).max() > 0.1


def test_training_is_adam_by_hand_and_falls():
    noisy = task.MixedNoise(n=8, d=2, top=1.0)
    first = training.train("four", 1, noisy, 1, 32, seed=3)
    rng = np.random.default_rng([3, 1])
    start = models.start("four", 1, 2, rng)
    drawn = noisy.draw(32, rng)
    _, grad = models.model_of("four", 1, 2).loss_and_grad(start, drawn.Z, training.expected_labels(drawn))
    assert np.allclose(first, start - 0.02 * grad / (np.abs(grad) + 1e-8), rtol=1e-6)  # Adam's first step
    found = baselines.evaluation(noisy, 500, np.random.default_rng(0))
    loss = lambda w: baselines.adjusted_of(found, implicit.answers(models.matrices_of("four", w, 2), found.G, 8)).mean()
    assert loss(training.train("four", 2, noisy, 150, 32, seed=0)) < 0.5 * loss(models.start("four", 2, 2, rng))


# ---------------------------------------------------------------- the theorems and the claims


def test_the_theorems_numbers():
    found = theory.condition_numbers(10.0, 8)
    lam, gaps = np.geomspace(1.0, 0.1, 10), [9.0]
    for _ in range(8):
        lam = lam * (1 - lam / (3 * lam.max())) ** 2
        gaps.append(lam.max() / lam.min() - 1)
    assert np.allclose(found[:7], gaps[:7], rtol=1e-6) and found[8] < 1e-13
    first, second = theory.two_layers((1.0, 3.0), 50)
    assert np.isclose(first[2], -11 / 20) and np.isclose(second[3], -1 / 550)
    for variance in (1.0, 9.0):  # the two equations: -w_yx (1 + n sigma^2 w_yy) = 1 / (1 + sigma^2)
        assert np.isclose(-first[2] * (1 + 50 * variance * second[3]), 1 / (1 + variance))
    near, far = (theory.distance_to_ridge(size, (1.0, 3.0), 0, 20, 4) for size in (20, 500))
    assert (far < 0.5 * near).all()


def test_the_readers_of_the_claims():
    entry = lambda *each, theirs=None: {"each_seed": list(each), "median": float(np.median(each)), "printed": theirs}
    numbers = {
        "table": {
            "5": {"GD++ 2": entry(0.4, 0.5), "diagonal 2": entry(0.2, 0.3), "GD++ 4": entry(0.36, 0.38),
                  "diagonal 4": entry(0.06, 0.1)},
            "3": {"GD++ 1": entry(1.0, theirs=1.05), "GD++ 2": entry(0.5, theirs=0.4), "four 3": entry(0.5)},
        },
        "baselines": {"5": {"constant ridge": 0.365, "adaptive ridge": 0.068, "tuned ridge": 0.0588}},
        "profile": {"layers": 4, "GD++": {"each_seed": [[0.6, 0.8]]}, "diagonal": {"each_seed": [[0.2, 0.1]]}},
        "sigmas": [0.0, 5.0],
    }  # fmt: skip
    assert claims.share_within(numbers)["median"] == 0.5 and "GD++ 2 at 3: 0.5 for 0.4" in claims.those_outside(numbers)
    assert claims.best_of_seeds("diagonal 4", numbers)["each_seed"] == [0.06]
    assert claims.all_seeds("diagonal 4", numbers).endswith("0.06, 0.1")
    assert np.isclose(claims.shallow_gain(numbers)["median"], 0.55) and np.isclose(claims.above_at(5.0, numbers)["median"], 8.0)
    assert np.isclose(claims.deep_gain(numbers)["each_seed"][0], 0.06 / 0.36)
    assert np.isclose(claims.worst_baseline(numbers)["median"], 0.2 / 0.25)  # 0.0588 for 0.049
    assert np.isclose(claims.like_one_ridge(numbers)["each_seed"][0], 0.36 / 0.365)
    assert np.isclose(claims.over_adaptive(numbers)["each_seed"][1], 0.68)
    assert published.printed("full", "{1,3}", 3) == 0.076 and published.printed("tuned ridge", "7") == 0.068
    assert published.tolerance(0.1) == 0.06 and published.tolerance(0.099) == 0.25


def test_every_required_cell_is_trained():
    scale = scales.PAPER
    cells = {(kind, L, column) for kind, L, column, *_ in figure.jobs(scale)}
    wanted = {(kind, L, "5") for kind in ("GD++", "diagonal") for L in (1, 2, 3, 4)}
    wanted |= {(kind, L, column) for column in published.COLUMNS for kind in ("GD++", "diagonal") for L in (1, 2, 3)}
    wanted |= {("full", L, column) for column in published.COLUMNS for L in (1, 2)}
    assert wanted <= cells and len(published.COLUMNS) == 7
    seeds = {job[5] for job in figure.jobs(scale) if job[:3] == ("diagonal", 4, "5")}
    assert seeds == {0, 1, 2}
    small = replace(scale, name="tiny", batch=5, seeds=1)
    assert all(job[3] == 12 for job in figure.jobs(small)) and partial(figure.sizes, small)().endswith("1 seed")


def test_the_exercise_that_forbids_the_librarys_gradient_wants_the_same():
    rng = np.random.default_rng(18)
    weights, Z, dout = rng.standard_normal(4), rng.standard_normal((3, 8, 6)), rng.standard_normal((3, 8, 6))
    wanted = diagonal_layer.backward(dout, diagonal_layer.forward(weights, Z)[1])[0]
    assert np.allclose(lesson_18.weight_gradient(weights, Z, dout), wanted, rtol=1e-12)
