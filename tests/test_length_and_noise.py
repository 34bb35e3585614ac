"""Length and noise: the formulas by hand, test answers beside the library's, spectra that are exchanged, the claims' readers."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from shapes import Recorder, complaints

import linattn_np as la
from linattn_np.experiments.studies import length_and_noise as study
from linattn_np.experiments.studies.length_and_noise import (
    claims,
    few_numbers,
    figure,
    label_noise,
    lengths,
    many_prompts,
    readers,
    size,
    testing,
    theory,
    training,
)  # fmt: skip

FIGURE = Path(__file__).parents[1] / "figures" / "length_and_noise.json"
SMALL = size.Size(2, 0, 2, 40, (30, 16), (30, 16), (20, 16), 5, (20, 1))

# ---------------------------------------------------------------- formulas


def test_one_layer_by_hand():
    """n = 3, d = 2: gain 1/2, loss 2 (1/4 + 1/4) = 1 there and 2 (1/4 + 3/4) = 2 on one example; with noise 1, n = 4: 1/2."""
    assert study.gain(3, 2) == 0.5 and study.one_layer_loss(0.5, 2, 3) == 1.0 and study.one_layer_loss(0.5, 2, 1) == 2.0
    assert study.gain(4, 2, 1.0) == 0.5 and study.one_layer_loss(0.5, 2, 4, 1.0) == 1.0
    gains = np.linspace(0.3, 0.6, 3001)
    best = gains[np.argmin([study.one_layer_loss(g, 5, 6, 0.5) for g in gains])]
    assert abs(best - study.gain(6, 5, 0.5)) < 1e-4


def test_a_filter_in_small_integers():
    """Eigenvalues 1 and 3, filter 1/2: (1/2)^2 + (1/2)^2 of the task; noise 2, n = 4: 1/4 + 3/4 more."""
    assert study.filter_loss([1.0, 3.0], [0.5, 0.5], 4) == 0.5
    assert study.filter_loss([1.0, 3.0], [0.5, 0.5], 4, 2.0) == 1.5
    assert study.bayes_filter(np.array([1.0, 3.0]), 4, 2.0).tolist() == [0.5, 0.25]
    assert theory.least_squares_filter(np.array([0.0, 1e-17, 4.0])).tolist() == [0.0, 0.0, 0.25]


def test_bayes_filter_is_the_best_at_each_eigenvalue():
    lam, q = np.array([[0.2], [1.0], [2.5]]), study.bayes_filter(np.array([[0.2], [1.0], [2.5]]), 5, 0.8)
    least = study.filter_loss(lam, q, 5, 0.8)
    assert (least < np.minimum(*(study.filter_loss(lam, q + step, 5, 0.8) for step in (-0.01, 0.01)))).all()
    assert np.allclose(least, 0.64 / (5 * lam[:, 0] + 0.64), atol=1e-14)


def test_the_residual_in_small_integers():
    """a = (1, .), b = (-1/2, -1): at 1, (1 - 1/2)(1 - 1/4) = 3/8; at 2, 0; at 4, (-1)(-3); at 6, (-2)(1 - 24).

    The degree is 1 + 3 + 9 for three layers.
    """
    assert study.residual(np.array([1.0, 2.0, 4.0, 6.0]), [1.0, 0.0], [-0.5, -1.0]).tolist() == [0.375, 0.0, 3.0, 46.0]
    far = study.residual(np.array([1e3, 2e3]), [1.0, 1.0, 0.0], [1.0, 1.0, 1.0])
    assert round(math.log2(far[1] / far[0])) == 13


def test_least_squares_has_no_mean_where_unknowns_meet_examples():
    assert [study.least_squares_mean(n, 5, 1.0) for n in (3, 4, 5, 6, 7, 11)] == [5, math.inf, math.inf, math.inf, 5, 1]
    assert study.least_squares_mean(5, 5, 0.0) == 0 and study.least_squares_mean(4, 5, 0.0) == 1
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40_000, 12, 3))
    lam = np.linalg.eigvalsh(X.mT @ X / 12)
    found = study.filter_loss(lam, theory.least_squares_filter(lam), 12, 1.0).mean()
    assert abs(found / study.least_squares_mean(12, 3, 1.0) - 1) < 0.02


def test_the_best_matrix_of_one_layer_is_the_gain():
    eye = np.eye(5)
    assert abs(theory.matrix_loss(study.gain(20, 5) * eye, 20) - study.one_layer_loss(study.gain(20, 5), 5, 20)) < 1e-12
    assert theory.matrix_loss(np.zeros((2, 5, 5)), 20).tolist() == [5, 5]


# ---------------------------------------------------------------- answers


def test_answers_are_the_librarys():
    rng = np.random.default_rng(1)
    Z, _ = la.RegressionTask(n=7, d=3, label_noise=0.5).sample(11, rng)
    params = la.init_params(rng, layers=3, d=3, std=0.3)
    assert np.allclose(testing.answers(params, Z), la.predict(params, Z), rtol=1e-12, atol=1e-12)
    assert np.allclose(testing.one_layer_answers(params[0, 0, 1], Z), la.predict(params[:1], Z), rtol=1e-12, atol=1e-12)
    X, labels = Z[0, :-1, :-1], Z[0, :-1, -1]
    w = np.linalg.solve(X.T @ X + 0.25 * np.eye(3), X.T @ labels)
    assert abs(testing.ridge_answers(Z, 0.25)[0] - w @ Z[0, -1, :-1]) < 1e-12
    few = Z[:, [0, 1, 7]]
    w = np.linalg.pinv(few[0, :-1, :-1]) @ few[0, :-1, -1]
    assert abs(testing.least_squares_answers(few)[0] - w @ few[0, -1, :-1]) < 1e-12


def test_one_example_by_hand():
    """x = 1/10, y = 6/5: least squares answers 12 at the query 1, Bayes with noise 1 (12/100) / (101/100)."""
    Z = np.array([[[0.1, 1.2], [1.0, 0.0]]])
    assert abs(testing.least_squares_answers(Z)[0] - 12) < 1e-12 and abs(testing.ridge_answers(Z, 1.0)[0] - 12 / 101) < 1e-15


def test_spectra_are_exchanged_and_decide():
    """Answers depend on the Gram matrix: with the spectra of others the error has the law of the others."""
    rng = np.random.default_rng(2)
    Z, y = la.RegressionTask(n=5).sample(13, rng)
    lam = testing.spectra(la.RegressionTask(n=20).sample(13, rng).Z)
    made = testing.with_spectra(Z, y, lam, rng)
    assert np.allclose(testing.spectra(made.Z), lam, atol=1e-12) and made.Z.shape == Z.shape and not np.array_equal(made.y, y)
    w = np.linalg.solve(made.Z[0, :5, :5], made.Z[0, :5, 5])
    assert abs(w @ made.Z[0, 5, :5] - made.y[0]) < 1e-9 and np.array_equal(made.Z[:, 5, :5], Z[:, 5, :5])


def test_test_prompts_are_fresh_for_each_seed_and_length():
    one, other = (next(testing.batches(la.RegressionTask(n=5), 1, 3, seed)) for seed in (1, 2))
    again = list(testing.batches(la.RegressionTask(n=5), 2, 3, 1))
    assert np.array_equal(one.Z, again[0].Z) and not np.array_equal(one.Z, other.Z) and not np.array_equal(again[0].Z, again[1].Z)


# ---------------------------------------------------------------- runs


def test_a_lost_run_is_nan_and_not_dropped():
    params, losses = training.trained(la.RegressionTask(n=5), 3, "constant", 1e200, 0, 9, 8)
    assert np.isnan(params).all() and len(losses) == 9
    assert np.isnan(training.score("length", "constant", 1e200, 0, SMALL)["score"])


def test_the_search_takes_the_least_score():
    def each(_what, _function, arguments):
        return [{"score": np.array(np.nan if rate > 0.1 else abs(math.log(rate / 0.03)))} for _, _, rate, _, _ in arguments]

    found = training.search(each, SMALL._replace(search=2))
    assert {one["rate"] for one in found.values()} == {0.028} and found["noise, constant"]["scores"][-1] is None
    assert not any(one["at_the_edge"] for one in found.values()) and len(found) == 4


def test_lengths_at_a_tiny_size():
    one = lengths.one_layer(0, SMALL._replace(prompts=300, one=(300, 256)))
    wanted = np.array([[study.one_layer_loss(g, 5, n) for n in lengths.ONE_TESTED] for g in one["gain"]])
    assert np.abs(one["loss"] / wanted - 1).max() < 0.5
    found = lengths.three_layers(0, 20, "linear", 0.04, SMALL._replace(three=(400, 64), prompts=300))
    assert found["medians"].shape == found["means"].shape == (8, 2)
    assert 2.6 < found["window"] < 3.6 and found["removed"][0] > 0.15 > found["removed"][3] >= found["removed"][-1] == 0
    assert (found["inside"] <= found["mean"] * (1 + 1e-12))[[0, 1, 2]].all() and np.median(found["medians"][0]) < 1


def test_label_noise_at_a_tiny_size():
    found = label_noise.compared(0, 5, 1.0, 5, "linear", 0.04, SMALL._replace(noisy=(200, 200), prompts=500))
    bayes = found["ridge"][2].mean()
    assert bayes < min(found["ridge"][k].mean() for k in (0, 1, 3, 4)) and bayes < found["trained"].mean() < 1.3 * bayes
    assert (
        found["distance"].mean(axis=1).argmin() == 2
        and found["least_squares_median"].mean() > 3 * found["ridge_median"][2].mean()
    )


def test_one_layer_on_n_prompts():
    rng = np.random.default_rng(3)
    phi, y = many_prompts.equations(rng, 3, 7, 2, 5)
    fits = many_prompts.ridge_fits(phi, y, (0.0, 2.0))
    wanted = np.linalg.solve(phi[1].T @ phi[1] + 2 * np.eye(4), phi[1].T @ y[1])
    assert np.allclose(fits[1, 1].ravel(), wanted, atol=1e-12)
    assert np.allclose(fits[0, 2].ravel(), np.linalg.lstsq(phi[2], y[2])[0], atol=1e-10)
    few = many_prompts.ridge_fits(phi[:, :3], y[:, :3], (0.0,))[0, 0].ravel()
    assert np.allclose(phi[0, :3] @ few, y[0, :3], atol=1e-10)
    assert {20, 23, 25, 27, 30} <= set(many_prompts.counts(5, 20)) and 250 in many_prompts.counts(5, 20)
    loss = many_prompts.least_norm(0, 4, 20, (0.0,), SMALL._replace(draws=40))["loss"][0]
    assert many_prompts.counts(4, 20)[int(loss.argmax())] == 16


def test_the_answer_to_n_prompts_is_that_of_the_layer():
    """phi . M is s^T M x: the equations are those of the library's layer with Q = -M."""
    rng = np.random.default_rng(4)
    phi, _ = many_prompts.equations(rng, 1, 6, 3, 5)
    rng = np.random.default_rng(4)
    X, w, x = rng.standard_normal((1, 6, 5, 3)), rng.standard_normal((1, 6, 3, 1)), rng.standard_normal((1, 6, 3))
    Z = np.zeros((6, 6, 4))
    Z[:, :5, :3], Z[:, :5, 3], Z[:, 5, :3] = X[0], (X[0] @ w[0])[..., 0], x[0]
    M = rng.standard_normal((3, 3))
    params = np.stack([np.zeros((3, 3)), -M])[None, None]
    assert np.allclose(phi[0] @ M.ravel(), la.predict(params, Z), atol=1e-12)


def test_layers_of_two_numbers_on_a_spectrum():
    """One layer finds the gain; the loss is (31.2) of the prompts; Bayes is below, and more layers come nearer."""
    spectrum = few_numbers.spectrum_of(7, 3, 0.5, 0, 4000)
    assert abs(spectrum.weights.sum() - 3) < 1e-12 and abs(spectrum.weights @ spectrum.lam - 3) < 0.05
    b = np.array([[-study.gain(7, 3, 0.5)]])
    f, _ = few_numbers.forward(0 * b, b, spectrum)
    assert abs(f[0] / study.one_layer_loss(-b[0, 0], 3, 7, 0.5) - 1) < 0.03
    one, two = (few_numbers.best(0, layers, 3, 0.5, 7, 8, 300, 4000) for layers in (1, 2))
    assert abs(one["b"][0] - b[0, 0]) < 0.01 and 1 < two["ratio"][0] < 0.8 * one["ratio"][0]
    assert one["ratio"].shape == (8,) and (np.diff(two["ratio"]) >= 0).all()
    few = few_numbers.spectrum_of(2, 5, 1.0, 0, 500)
    assert abs(few.weights.sum() - 2) < 1e-12 and few.lam.min() > 0


# ---------------------------------------------------------------- claims, acceptance, errors


def test_the_claims_read_their_numbers():
    T = lengths.TESTED
    at5, at20, at40 = T.index(5), T.index(20), T.index(40)

    def row(**places):
        return [places.get(f"n{n}", 1.0) for n in T]

    case = {
        "mean": [row(n5=1e6, n20=0.01, n40=0.002), row(n5=1e5, n20=0.01, n40=0.001)],
        "median": [row(n5=0.1), row(n5=0.2)], "inside": [row(n5=0.7), row(n5=0.85)], "removed": [row(n5=0.3), row(n5=0.3)],
        "short_queries": [row(n5=2e5), row(n5=2e4)], "top": [row(n5=0.9), row(n5=0.7)],
        "predicted": [row(n5=0.7, n7=1.1), row(n5=0.85, n10=0.95)], "window": [3.0, 3.2],
    }  # fmt: skip
    assert (at5, at20, at40) == (0, 4, 5)
    noise = {
        "n": [4, 5, 6, 12], "noise": 1.0, "ratio": [[1.01, 1.02, 1.0, 1.05], [1.0, 1.0, 1.01, 1.06]],
        "least_squares_median": [[1.5, 4.5, 1, 0.3], [1, 4.5, 1.5, 0.3]],
        "least_squares_mean": [[9, 1e4, 9, 1], [9, 1e5, 9, 1]],
        "trained_loss": [[2.4, 1.8, 1.6, 0.6], [2.0, 1.8, 1.6, 0.6]], "trained_mean": [[2, 2, 2, 1]] * 2,
        "bayes_mean": [[1, 2, 2, 1]] * 2,
        "distance": [[[3, 2, 1, 2, 3]] * 4, [[3, 2, 1, 2, 3]] * 3 + [[1, 2, 3, 4, 5]]],
    }  # fmt: skip
    few = {"ratio": [[1.01, 1.02, 1.05], [1.02, 1.04, 1.1]]} | {
        key: value if key in ("n", "noise") else [row[:3] for row in value] for key, value in noise.items() if key != "ratio"
    }
    many = {f"{d}, {n}": {"counts": [d * d + k for k in many_prompts.NEAR], "penalties": [0.0],
                          "loss": [[[2, 5, 30, 6, 3]], [[4, 5, 10, 4, 1]]]} for d, n in many_prompts.CASES}  # fmt: skip
    with_penalty = [[9, 8, 7, 6, 6, 5, 4, 3]] * 3, [[9, 8, 7, 2, 7, 5, 4, 3]] * 3
    many["5, 20"] = {
        "counts": [10, 20, 23, 25, 27, 30, 50, 100], "penalties": [0.0, 0.1, 1.0, 10.0],
        "loss": [[[1, 2, 5, peak, 6, 3, 1, 1], *more] for peak, more in zip((30, 40), with_penalty, strict=True)],
    }  # fmt: skip
    theirs = [study.one_layer_loss(5 / 11, 5, n) for n in (5, 10)]
    numbers = {
        "one_layer": {"trained": [5], "tested": [5, 10],
                      "loss": (np.array([[[1.1, 1.0]], [[1.0, 0.97]]]) * theirs).tolist()},
        "lengths": {"20, linear": case, "20, constant": case},
        "exchanged": {"median": [[1, 9, 1.1, 9]] * 2, "mean": [[1, 9, 1, 8], [1, 9, 1, 7]]},
        "noise": {"main, linear": noise, "main, constant": noise, "main, fixed rate": noise, "less noise, linear": few,
                  "other d, linear": few | {"n": [2, 3, 4]}},
        "many": many,
        "few": {"cases": [list(case) for case in few_numbers.CASES],
                "best": [[1, 1.002, 1.001, 1.003, 1.005, 1.01, 1.04, 3, 1.5, 1.01],
                         [1, 1, 1, 1.001, 1.01, 1.02, 1.05, 3, 1.2, 1.005]],
                "median": [[2.0] * 10, [3.0] * 10]},
    }  # fmt: skip
    read = {claim.id.split(".")[1]: claim.values(numbers) for claim in study.CLAIMS}
    assert np.allclose(read["one_layer"]["each_seed"], [0.1, 0.03]) and abs(read["one_layer"]["largest"] - 0.1) < 1e-12
    assert np.allclose(read["longer"]["each_seed"], [0.2, 0.1]) and read["longer"]["largest"] == 0.2
    assert read["explodes"]["smallest"] == 1e5 and read["median"]["largest"] == 0.2 and read["queries"]["smallest"] == 2e4
    assert read["window"]["farthest"] == 0.85 and read["one_prompt"]["median"] == 0.8 and read["polynomial"]["farthest"] == 1.1
    assert read["exchanged"]["median"] == 1.1 and read["exchanged_long"]["smallest"] == 7
    assert read["peak"]["smallest"] == 3 and read["bayes"]["each_seed"] == [1.02, 1.01] and read["bayes_12"]["largest"] == 1.06
    assert read["wrong"]["each_seed"] == [1, 0.75] and read["no_peak"]["largest"] == 0.9 and read["other_d_peak"]["smallest"] == 3
    assert read["prompts_d4"]["each_seed"] == [5, 2] and read["prompts_d5"]["smallest"] == 5
    assert read["prompts_far"]["each_seed"] == [10, 40 / 3]
    assert read["penalty"]["each_seed"] == [5, 20] and read["penalty_falls"]["each_seed"] == [0, 1]
    assert read["few"]["each_seed"] == [1.003, 1.001] and read["few_less_noise"]["each_seed"] == [1.04, 1.05]
    assert np.allclose(read["few_share"]["each_seed"], [0.5, 0.5]) and np.allclose(read["few_layers"]["each_seed"], [4, 4])
    words = {claim.id.split(".")[1]: claim.aside(numbers) for claim in study.CLAIMS if claim.aside}
    assert words["few_less_noise"] == "the median start ends at 2.500 (n = 6)" and "1.350 with 2" in words["few_layers"]
    assert words["window"].startswith("30% of the prompts removed") and "1e+04 to 1e+05" in words["peak"]
    assert words["prompts_d4"] == "largest of all 5 numbers of prompts at N = d^2 in 2 of 2 seeds" and "up to 2" in words["bayes"]
    lost = numbers["noise"]["main, linear"] | {
        "ratio": [[None] * 4, [1.0, 1.0, 1.01, 1.06]],
        "trained_mean": [[None] * 4, [2, 2, 2, 1]],
    }
    found = numbers | {"noise": numbers["noise"] | {"main, linear": lost}}
    assert np.isnan(readers.over_bayes(found, "main, linear", (4, 5))["each_seed"][0])
    assert readers.over_bayes_in_words(found, "main, linear", (4, 5)).endswith("; 1 runs lost")


def test_what_must_come_out_does():
    """The acceptance lines on the committed figure, seeds from 500; what does not agree stands in the scorecard and is named
    here.
    """
    numbers = json.loads(FIGURE.read_text())
    assert len(numbers["seeds_used"]) == 8 and min(numbers["seeds_used"]) == 500
    assert not any(found["at_the_edge"] for name, found in numbers["rates"].items() if name != "tried")
    verdicts = {claim.id.split(".")[1]: claim.rule.verdict(claim.values(numbers)) for claim in study.CLAIMS}
    assert {name for name, verdict in verdicts.items() if verdict != "agrees"} == {"longer_constant"}
    every = [readers.at(numbers, f"{n}, {schedule}", "median", 5) for n, schedule in lengths.CASES]
    assert np.isfinite(every).all() and np.isfinite(readers.noisy(numbers, "main, constant", "trained_mean", (4, 5, 6, 12))).all()


@pytest.mark.parametrize("call, says", [
    (lambda: study.gain(0, 5), "n: expected an integer of at least 1"),
    (lambda: study.one_layer_loss(0.5, 5, 0), "test_n: expected an integer of at least 1"),
    (lambda: study.filter_loss([1.0], [1.0], 5, -1.0), "noise: expected"),
    (lambda: study.bayes_filter([1.0], 5, 0.0), "noise: expected"),
    (lambda: study.least_squares_mean(5, 0, 1.0), "d: expected an integer of at least 1"),
])  # fmt: skip
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_shape_comments_are_true():
    file, other = Path(testing.__file__), Path(theory.__file__)
    rng = np.random.default_rng(5)
    Z, y = la.RegressionTask(n=7, d=3).sample(11, rng)
    made, of_numbers, least = Path(few_numbers.__file__), Recorder([Path(few_numbers.__file__)]), rng.uniform(0.2, 0.5, (2, 3))
    spectrum = few_numbers.Spectrum(rng.uniform(0.3, 1.7, 7), np.ones(7), 5, 0.8)
    f, tape = of_numbers.record({"S": 2, "L": 3, "K": 7}, few_numbers.forward, least, -least, spectrum)
    of_numbers.record({"S": 2, "L": 3, "K": 7}, few_numbers.backward, f, tape)
    recorder, of_theory, numbers = Recorder([file]), Recorder([other]), {"B": 11, "n": 7, "d": 3}
    recorder.record(numbers, testing.one_layer_answers, rng.standard_normal((3, 3)), Z)
    recorder.record(numbers, testing.ridge_answers, Z, 0.5)
    recorder.record(numbers, testing.least_squares_answers, Z)
    recorder.record(numbers, testing.with_spectra, Z, y, testing.spectra(Z), rng)
    of_theory.record({"L": 5, "d": 3}, theory.layer_numbers, la.init_params(rng, layers=5, d=3))
    for path, seen in ((file, recorder.seen), (other, of_theory.seen), (made, of_numbers.seen)):
        assert complaints(path, path.read_text(), dict(seen)) == []


def test_the_picture_names_its_sizes():
    assert figure.sizes(la.experiments.scale.PAPER).startswith("8 seeds from 500; one layer 600 and three layers 1,500 steps")
    assert len({claim.id for claim in claims.CLAIMS}) == len(claims.CLAIMS)
