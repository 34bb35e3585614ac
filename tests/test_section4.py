"""The experiments of section 4: what they compute by another road, divergence that shows, and the readers behind their claims."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import linattn_np as la
from linattn_np.batches import generators
from linattn_np.experiments import curves, panels, scale, search, variants
from linattn_np.experiments.curves import spread
from linattn_np.experiments.papers.maybe_all_you_need import (
    attention_kinds,
    data_distribution,
    depth,
    full_batch,
    nonlinear_regression,
    nonlinear_runs,
    released_streams,
)
from linattn_np.experiments.papers.maybe_all_you_need.settings import SETTINGS
from linattn_np.experiments.settings import with_momentum
from linattn_np.layers import mlp
from linattn_np.measures import noise
from linattn_np.measures.landscape import robust_condition_number
from linattn_np.models.composed import Composed
from linattn_np.optimizers import SGD, Adam
from linattn_np.training.runs import Run, RunFolder, history_arrays

TINY = scale.Scale(
    "tiny", steps=60, batch=29, seeds=2, record_every=10, test_every=20, hessian_every=30, noise_draws=31, search_steps=20,
    search_seeds=1,
)  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(scale, "TEST_PROMPTS", 37)


def test_limits_and_differences_by_hand():
    used = scale.limited(TINY, {"hessian_every": 60, "record_every": 5}, steps=50, seeds=7)
    assert (used.steps, used.seeds, used.hessian_every, used.record_every) == (50, 2, 60, 10)
    assert scale.differences(TINY, used) == {"steps": [60, 50], "hessian_every": [30, 60]}
    words = panels.limits_in_words(scale.differences(TINY, used))
    assert "iterations: 50 in place of 60" in words and panels.limits_in_words({}).startswith("Nothing")


def test_the_best_rate_by_hand():
    found = search.chosen((0.1, 0.2, 0.5), np.array([3.0, 1.0, np.inf]))
    assert found["best"] == 0.2 and not found["at_the_edge"] and found["scores"] == [3.0, 1.0, np.inf]
    assert search.chosen((0.1, 0.2), np.array([1.0, 3.0]))["at_the_edge"]


def test_a_race_gives_up_the_worse_half_and_then_what_can_no_longer_be_best(monkeypatch):
    rates = (0.1, 0.2, 0.5, 1.0, 2.0)
    known = {0.1: [5, 0, 0], 0.2: [2, 9, 1], 0.5: [1, 6, 8], 1.0: [3, 4, np.inf], 2.0: [np.inf, 0, 0]}
    asked = []

    def histories(folder, runs, label, progress):
        asked.append([(run.optimizer.lr, run.seed) for run in runs if "Adam" in type(run.optimizer).__name__])
        return runs

    monkeypatch.setattr(search, "histories", histories)
    monkeypatch.setattr(search, "late", lambda run, steps: run)
    monkeypatch.setattr(search, "losses_along", lambda run, *test: run)
    monkeypatch.setattr(search, "score", lambda run, along, steps: known[run.optimizer.lr][run.seed])
    found = search.search(None, SETTINGS["setting1"], rates, replace(TINY, search_seeds=3), race=True)["Adam"]
    assert asked == [[(rate, 0) for rate in rates], [(rate, 1) for rate in rates[1:4]], [(rate, 2) for rate in rates[1:4]]]
    assert found["scores"] == [5, 2, 6, 4, np.inf] and found["seeds"] == [1, 3, 3, 3, 1] and found["best"] == 0.2
    known[1.0] = [3, 0.5, 0]  # a median of at most 3, and of at least 0.5; that of 0.5 is now at least 4
    known[0.5] = [1, 6, 0]
    known[0.2] = [4, 9, 0]
    asked.clear()
    found = search.search(None, SETTINGS["setting1"], rates, replace(TINY, search_seeds=3), race=True)["Adam"]
    assert asked[2] == [(0.5, 2), (1.0, 2)] and found["seeds"] == [1, 2, 3, 3, 1] and found["best"] == 1.0
    assert found["scores"] == [5, 6.5, 1, 0.5, np.inf]
    alone = search.search(None, SETTINGS["setting1"], rates, TINY, race=True)["SGD"]
    assert alone["best"] == 0.5 and alone["seeds"] == [1] * 5
    every = search.search(None, SETTINGS["setting1"], rates, replace(TINY, search_seeds=3))["SGD"]
    assert every["scores"] == [0, 4, 1, 0.5, 0] and every["best"] == 0.1 and "seeds" not in every
    lost = dict.fromkeys(rates, [np.inf] * 3)
    monkeypatch.setattr(search, "score", lambda run, along, steps: lost[run.optimizer.lr][run.seed])
    found = search.search(None, SETTINGS["setting1"], rates, replace(TINY, search_seeds=3), race=True)["SGD"]
    assert found["scores"] == [np.inf] * 5 and found["seeds"] == [2, 2, 2, 1, 1]


def test_a_run_that_diverges_is_scored_last_and_shown(tmp_path):
    with pytest.warns(la.training.Diverged):
        history = la.train(la.RegressionTask(n=5), SGD(1e3), 60, batch=5, clip=None, record_every=10)
    good = la.train(la.RegressionTask(n=5), SGD(1e-3), 60, batch=5, record_every=10)
    assert history.diverged_at is not None
    assert search.score(history, (np.array([40]), np.array([1.0])), 40) == np.inf
    pairs = [(np.array([0]), np.array([5.0])), (np.array([0, 20, 40, 60]), np.ones(4))]
    found = curves.loss_curves([history, good], pairs, TINY)
    assert np.isinf(found["test"]["each_seed"][0][1:]).all() and found["test"]["median"] == [3.0, *[np.inf] * 3]
    assert found["test"]["lower_quartile"][1:] == [np.inf] * 3 and found["fresh"]["median"][-1] == np.inf
    most = curves.loss_curves([history, good, good], [*pairs, pairs[1]], TINY)
    assert most["test"]["median"] == [1.0] * 4 and most["test"]["upper_quartile"] == [3.0, *[np.inf] * 3]
    assert found["diverged_at"] == [history.diverged_at, None]
    panel = {"title": "here", "SGD": {"learning_rate": 1e3, **found}, "Adam": {"learning_rate": 0.1, **found}}
    assert "runs that diverged: SGD 1, Adam 1" in panels.losses_in_words(json.loads(json.dumps(panel)))


def test_noise_with_fewer_draws_than_parameters_has_the_same_norms_and_eigenvalues():
    task, x = la.RegressionTask(n=3, d=5), la.init_params(np.random.default_rng(0), 2)
    vectors = noise.noise_vectors(x, task, 29, 31, np.random.default_rng([1, 0]))
    whole = noise.measure_noise(x, task, 29, 31, np.random.default_rng([1, 0]))
    arrays = variants.noise_arrays(x, task, 1, TINY)
    assert x.size > 31 and vectors.shape == (31, 100)
    assert np.allclose(arrays["norms"], whole.norms, rtol=1e-12)
    assert np.allclose(np.sort(arrays["spectrum"])[-20:], whole.spectrum[-20:], rtol=1e-9)


# ---------------------------------------------------------------- nonlinear regression


def test_what_is_measured_along_a_run(small):
    run = Run(nonlinear_runs.TASK, Adam(0.01, 0.9, 0.9), 40, 29, std=0.1, record_every=20, hidden=7, layers=2)
    history, model = run.train(False), Composed(hidden=7, layers=2)
    found = nonlinear_runs.measure_run(run.to_dict(), history_arrays(history), [0, 40], 20)
    Z, y = scale.test_batch(run.task)
    H = model.hessian(history.snapshots[40], Z, y)
    assert found["times"].tolist() == [0, 40] and np.allclose(found["diagonals"][1], np.diag(H), atol=1e-11 * np.abs(H).max())
    assert found["loss_times"].tolist() == [0, 20, 40]
    assert found["losses"] == pytest.approx([model.loss(history.snapshots[t], Z, y) for t in (0, 20, 40)], rel=1e-12)
    u = history.updates[20]
    wanted = u @ model.hessian(history.snapshots[20], Z, y) @ u / (u @ u)
    assert found["step_times"].tolist() == [0, 20] and found["kappa"][1] == pytest.approx(wanted, rel=1e-9)


def test_the_ratio_is_one_at_the_start_and_of_condition_numbers_after():
    diagonals = {"SGD": np.array([[[1.0, 2, 8], [1, 1, 9]]]), "Adam": np.array([[[1.0, 2, 8], [3, 1, 9]]])}
    found = curves.condition_curves([0, 10], diagonals)
    assert robust_condition_number(diagonals["SGD"][0, 0]) == 4.0
    assert found["ratio"]["each_seed"] == [[1.0, 3.0]] and found["middle_ratio"]["median"] == pytest.approx(3.0)


def test_the_noise_starts_where_the_runs_start():
    found = nonlinear_runs.noise_of(1, 29, 31)
    model = Composed(hidden=30, layers=3)
    theta = model.init_params(generators(1, 1)[0], 0.1)
    run = la.train(nonlinear_runs.TASK, SGD(0.0), 1, batch=5, seed=1, std=0.1, hidden=30)
    assert np.array_equal(run.params, theta) and found["norms"].shape == found["control"].shape == (31,)
    again = nonlinear_runs.noise_of(1, 29, 31)
    assert np.array_equal(again["norms"], found["norms"]) and (found["norms"] > 0).all()


def test_the_labels_are_those_of_the_released_codes_network(tmp_path):
    network = released_streams.TorchGenerator(7).network(5, 10, 5)
    Z, y = nonlinear_runs.TASK.sample(7, np.random.default_rng(0))
    w = np.stack([np.linalg.lstsq(mlp.forward(z[:-1, :-1], *network)[0], z[:-1, -1], rcond=None)[0] for z in Z])
    assert np.allclose((mlp.forward(Z[:, -1:, :-1], *network)[0][:, 0] * w).sum(axis=1), y)
    run = Run(nonlinear_runs.TASK, Adam(0.01), 2, 5, hidden=7)
    again = Run.from_dict(json.loads(json.dumps(run.to_dict())))
    assert (
        again == run
        and again.file_name() == run.file_name()
        and np.array_equal(again.train(False).params, run.train(False).params)
    )
    assert run.to_dict() != replace(run, task=la.NonlinearTask(n=20)).to_dict()
    assert not np.array_equal(
        run.train(False).loss, replace(run, task=la.NonlinearTask(n=20)).train(False).loss
    )  # trained on, too
    with pytest.raises(ValueError, match=r"network: expected arrays of shapes \(\(10, 5\), \(10,\), \(5, 10\), \(5,\)\)"):
        la.NonlinearTask(network=[array.T for array in network])


# ---------------------------------------------------------------- how much sooner, floors


def test_how_much_sooner_by_hand():
    fall = 1.0 / np.arange(1.0, 601.0)
    assert variants.running_median(fall)[300] == fall[300] and variants.running_median(fall)[0] == np.median(fall[:26])
    assert variants.first_below(np.array([5.0, 3.0, 2.0, 1.0]), 2.5) == 3 and variants.first_below(np.array([5.0]), 1.0) == 0


def test_speed_up_is_at_equal_loss(tiny):
    setting = SETTINGS["setting1"]
    found = variants.speed_up(tiny.folder, setting, tiny.scale, (300, 10_000), False)
    assert list(found) == ["300"]
    runs = [tiny.folder.load(scale.runs_of(setting, o, tiny.scale)[1]).loss for o in ("SGD", "Adam")]
    bound = np.median(runs[0][274:300])
    sooner = next(t for t in range(300) if np.median(runs[1][max(0, t - 25) : t + 26]) <= bound) + 1
    assert found["300"]["each_seed"][1] == pytest.approx(300 / sooner)


def test_no_softmax_is_below_its_floor():
    Z, y = scale.test_batch(la.RegressionTask())
    bound = attention_kinds.floor(Z, y, 3)
    assert bound == pytest.approx(2.70, abs=0.01)
    best = np.clip(y, *(sign * ((1 + 1 / 20) ** 3 - 1) * np.abs(Z[:, :-1, -1]).max(axis=1) for sign in (-1, 1)))
    assert np.mean((best - y) ** 2) == pytest.approx(bound, rel=1e-12)
    params = la.init_params(np.random.default_rng(0), std=3.0)
    assert la.loss(params, Z[:50], y[:50], "softmax") > attention_kinds.floor(Z[:50], y[:50], 3)


# ---------------------------------------------------------------- full batch


def test_the_fixed_batch_is_the_same_for_every_optimizer_and_step(small, tmp_path):
    folder = RunFolder(tmp_path / "runs")
    numbers = full_batch.measure(folder, TINY, False)
    assert list(numbers["panels"]) == ["10", "100", "29", "full"]
    fixed = numbers["panels"]["full"]
    runs = [full_batch.runs_for(o, fixed[o]["learning_rate"], 29, True, 60, 2)[1] for o in ("SGD", "NormalizedGD")]
    first = [folder.load(run).loss[0] for run in runs]
    assert first[0] == first[1] and folder.load(runs[0]).loss[1] != first[0]
    fresh = full_batch.runs_for("SGD", numbers["panels"]["29"]["SGD"]["learning_rate"], 29, False, 60, 2)[1]
    assert folder.load(fresh).loss[0] == first[0]


# ---------------------------------------------------------------- the claims


def curve(*rows):
    return {"iterations": list(range(0, 10 * len(rows[0]), 10)), "each_seed": [list(row) for row in rows]}


def test_readers_by_hand():
    panel = {"SGD": {"fresh": curve([9.0, 8.0], [9.0, 6.0])}, "Adam": {"fresh": curve([9.0, 2.0], [9.0, None])}}
    found = spread(variants.gap(panel))
    assert found["median"] == 4.0 and np.isnan(found["each_seed"][1])
    tails = {name: {"noise": {"noise": {"p99.9_over_p50": spread(values)}}} for name, values in
             (("sphere", [1.0, 2.0]), ("setting3", [3.0, 4.0]))}  # fmt: skip
    assert data_distribution.heavier_noise({"panels": tails})["each_seed"] == [3.0, 2.0]
    ends = {L: {"each_seed": [2.0**L], "on_batches": [[2.0**L], [2.0**-L]]} for L in (2, 4, 6, 8)}
    depths = {
        str(L): {"end": {"SGD": end, "Adam": {"each_seed": [1.0], "on_batches": [[1.0], [1.0]]}}} for L, end in ends.items()
    }
    found = depth.gap_with_depth({"panels": depths})
    assert found["median"] == pytest.approx(1.0) and np.allclose(found["on_batches"], [[1.0], [-1.0]])
    assert depth.falls_with_depth("SGD", {"panels": depths})["on_batches"] == [[2.0**-6], [2.0**6]]
    full = {o: {"train": curve([1.0, value])} for o, value in (("SGD", 1.0), ("Adam", 0.01), ("SignDescent", 0.1))}
    assert full_batch.sign_share({"panels": {"full": full}})["median"] == pytest.approx(0.5)
    assert full_batch.gap_without_noise({"panels": {"full": full}})["median"] == pytest.approx(100.0)
    judged = {
        str(t): {"each_seed": [loss], "on_batches": [[loss], [4 * loss]]} for t, loss in ((0, 4e-3), (10, 1e-3), (20, 5e-4))
    }
    nonlinear = {"panel": {"Adam": {"judged": judged}}}
    found = nonlinear_regression.below("Adam", 2e-3, 10, nonlinear)
    assert found["median"] == 2.0 and found["on_batches"] == [[2.0], [0.5]]
    assert nonlinear_regression.over("Adam", 4e-3, 0, nonlinear)["median"] == 1.0


def test_both_laws_of_the_data_are_searched_with_the_same_rates():
    numbers = json.loads((Path(__file__).parents[1] / "figures" / "data_distribution.json").read_text(encoding="utf-8"))
    for panel in numbers["panels"].values():
        for found in panel["search"].values():
            scores = [np.inf if value is None else value for value in found["scores"]]
            assert found["rates"] == list(data_distribution.RATES) and not found["at_the_edge"]
            assert found["best"] == found["rates"][int(np.argmin(scores))]
    light, heavy = (panel["search"] for panel in numbers["panels"].values())
    for o in ("SGD", "Adam"):
        assert min(heavy[o]["scores"]) > 100 * min(light[o]["scores"])  # lesson 12: hundreds and thousands of times


@pytest.mark.parametrize("kind", attention_kinds.KINDS)
def test_each_kind_of_attention_has_the_scores_of_its_own_runs(tiny, kind):
    found = tiny.measured("attention_kinds")["panels"][kind]["search"]
    task, last = SETTINGS["setting1"].task, slice(17, None)  # of 20 steps, recorded at each, the last fifth
    adam, clip = with_momentum("Adam", found["rates"][1]), SETTINGS["setting1"].clip
    how = {"batch": tiny.scale.batch, "clip": clip, "attention": kind, "record_every": 1, "progress": False}
    trained = la.train(task, adam, 20, **how)
    losses = [la.loss(x, *scale.test_batch(task), kind) for x in list(trained.snapshots.values())[last]]
    assert found["scores"][1] == pytest.approx(np.median(losses), rel=1e-9)
