"""The figures of section 3.2: kept and repeated to the last bit, their numbers by another road, honest about signs."""

import json

import numpy as np
import pytest

import linattn_np as la
from linattn_np.experiments import measured, registry, scale, search
from linattn_np.experiments.papers.maybe_all_you_need import directional_smoothness, gradient_noise, learning_rates
from linattn_np.experiments.papers.maybe_all_you_need.gradient_noise import initial
from linattn_np.experiments.papers.maybe_all_you_need.settings import SETTINGS
from linattn_np.measures.landscape import Objective
from linattn_np.training.loop import losses_along
from linattn_np.training.runs import RunFolder
from linattn_np.training.sweeps import Inline

NAMES = (
    "adam_vs_sgd", "gradient_noise", "robust_condition_number", "directional_smoothness", "generalized_smoothness",
    "learning_rates",
)  # fmt: skip


@pytest.fixture
def numbers(tiny):
    return {name: tiny.measured(name) for name in NAMES}


def test_a_second_time_nothing_is_computed_and_nothing_changes(tiny, numbers, monkeypatch):
    def never(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr("linattn_np.training.loop.BatchGradient.at_points", never)
    monkeypatch.setattr("linattn_np.measures.landscape.Objective.hessian", never)
    monkeypatch.setattr("linattn_np.measures.landscape.Objective.hvps", never)
    monkeypatch.setattr("linattn_np.measures.noise._Gradients.batches", never)
    for name in NAMES:
        again = registry.experiment(name).measure(tiny.folder, tiny.scale, False)
        assert json.dumps(again) == json.dumps(numbers[name]), name


def test_a_broken_measurement_is_named_and_made_again(tmp_path, capsys):
    folder = RunFolder(tmp_path)
    measured.kept(folder, "what", {"seed": 1}, lambda: {"x": np.arange(101)})
    (file,) = (tmp_path / "measured").glob("what-*.npz")
    file.write_bytes(file.read_bytes()[:200])
    assert len(measured.kept(folder, "what", {"seed": 1}, lambda: {"x": np.arange(101)})["x"]) == 101
    assert "is not a finished measurement" in capsys.readouterr().err
    assert file.exists() and file.with_name(file.name + ".aside1").exists()


def test_a_measurement_of_something_else_is_not_taken(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    assert measured.kept(folder, "what", {"seed": 1}, lambda: {"x": np.arange(3)})["x"].tolist() == [0, 1, 2]
    assert measured.kept(folder, "what", {"seed": 2}, lambda: {"x": np.arange(5)})["x"].tolist() == [0, 1, 2, 3, 4]
    assert measured.kept(folder, "what", {"seed": 1}, lambda: {})["x"].tolist() == [0, 1, 2]
    monkeypatch.setattr("linattn_np.training.runs.FORMAT", 10**6)  # runs with other numbers under the same description
    assert measured.kept(folder, "what", {"seed": 1}, lambda: {"x": np.arange(7)})["x"].tolist() == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("executor", [None, Inline()])
def test_of_several_measurements_only_those_missing_are_made(tmp_path, executor):
    folder, made = RunFolder(tmp_path), []
    folder.executor = executor

    def measure(seed):
        made.append(seed)
        return {"x": np.arange(seed)}

    def each(*seeds):
        found = measured.kept_each(folder, "what", [{"seed": s} for s in seeds], measure, [(s,) for s in seeds], "what", False)
        return [len(arrays["x"]) for arrays in found]

    assert each(3) == [3] and each(2, 3, 5) == [2, 3, 5] and each(5, 2) == [5, 2]
    assert made == [3, 2, 5]


# ---------------------------------------------------------------- each figure's numbers by another road


def history_of(tiny, optimizer, seed=1, setting="setting1"):
    return tiny.folder.load(scale.runs_of(SETTINGS[setting], optimizer, tiny.scale)[seed])


def test_the_ratio_starts_at_one_and_is_a_ratio_of_seeds(tiny, numbers):
    panel = numbers["robust_condition_number"]["panels"]["setting1"]
    assert [check["holds"] for check in numbers["robust_condition_number"]["checks"]] == [True] * 3
    values = {}
    for optimizer in ("SGD", "Adam"):
        x = history_of(tiny, optimizer).snapshots[200]
        diagonal = np.diag(la.hessian(x, *scale.test_batch(SETTINGS["setting1"].task), backend="numpy"))
        values[optimizer] = np.abs(diagonal).max() / np.sort(np.abs(diagonal))[74]
        assert panel[optimizer]["lower"]["each_seed"][1][2] == pytest.approx(values[optimizer], rel=1e-8)
        alive = np.sort(np.abs(diagonal)[np.abs(diagonal) > 0])
        assert len(alive) == 125
        assert panel[optimizer]["alive"]["each_seed"][1][2] == pytest.approx(alive[-1] / alive[62], rel=1e-8)
    assert panel["ratio_curves"]["lower"]["each_seed"][1][2] == pytest.approx(values["SGD"] / values["Adam"], rel=1e-8)
    assert panel["ratios"]["lower"]["0"]["each_seed"] == [1.0, 1.0] and set(panel["ratios"]["lower"]) == {"0"}


def test_negative_curvature_is_counted(tiny):
    kappa = np.tile([-2.0, -1.0, -1.0, 5.0, 7.0] * 2, (2, 3))  # (seeds, 30): 3 of 5 negative
    window = directional_smoothness.windowed(kappa, tiny.scale)
    assert window["median"] == [-1.0] * 3 and window["iterations"] == [50, 150, 250]


def test_smoothness_of_a_recorded_step(tiny, numbers):
    history = history_of(tiny, "SGD")
    surface = Objective(*scale.test_batch(SETTINGS["setting1"].task))
    found = measured.steps(tiny.folder, SETTINGS["setting1"], "SGD", tiny.scale, False)[1]
    k = found["times"].tolist().index(70)
    step, grad = history.updates[70], surface.grad(history.snapshots[70])
    u = step / np.linalg.norm(step)
    assert found["kappa"][k] == pytest.approx((u * surface.hvps(history.snapshots[70], u[None])[0]).sum(), rel=1e-9)
    assert found["cosine"][k] == pytest.approx((u * grad).sum() / np.linalg.norm(grad), rel=1e-9)
    assert found["norm"][k] == pytest.approx(np.linalg.norm(grad), rel=1e-12)
    series = np.concatenate([s["kappa"] for s in measured.steps(tiny.folder, SETTINGS["setting1"], "SGD", tiny.scale, False)])
    share = numbers["directional_smoothness"]["panels"]["setting1"]["SGD"]["negative_share"]["mean"]
    assert share == pytest.approx((series <= 0).mean())


def test_the_generalized_fit_is_that_of_the_points(numbers):
    panel = numbers["generalized_smoothness"]["panels"]["setting3"]
    points = panel["points"][0]
    kappa, norm = np.array(points["kappa"]), np.array(points["norm"])
    slope = np.polyfit(np.log(norm[kappa > 0]), np.log(kappa[kappa > 0]), 1)
    assert panel["Adam"]["b"]["each_seed"][0] == pytest.approx(slope[0], rel=1e-6)
    assert panel["Adam"]["log_norm_high"]["each_seed"][0] == pytest.approx(np.log(norm.max()))


def test_noise_is_measured_where_the_runs_start(tiny, numbers):
    assert np.array_equal(initial(SETTINGS["setting2"].task, 1), history_of(tiny, "Adam", 1, "setting2").snapshots[0])
    batches = numbers["gradient_noise"]["panels"]["setting1"]["batches"]
    assert list(batches) == ["1", "10", "100", "1000"]
    assert batches["1"]["noise"]["mean"]["median"] > batches["1000"]["noise"]["mean"]["median"]
    histogram = numbers["gradient_noise"]["panels"]["setting1"]["histogram"]
    assert len(histogram["edges"]) == len(histogram["noise"]) + 1


def test_the_best_rate_by_the_rule():
    scores = np.full((3, 10), 5.0)
    scores[:, 3], scores[:, 4], scores[:, 9] = [1.0, 9.0, 2.0], [2.2, 2.4, 2.6], [0.1, np.inf, np.inf]
    found = learning_rates.compared(scores, code=1e-2)
    assert found["best"] == 5e-3 and found["close"] == [5e-3, 1e-2] and found["diverged"][9] == 2  # medians 2 and 2.4
    assert not found["at_the_edge"] and found["code_over_best"]["each_seed"][0] == pytest.approx(2.2)
    assert learning_rates.compared(np.arange(1.0, 11.0)[None], 1e-2)["at_the_edge"]


def test_score_of_a_run_is_its_last_fifth(tiny, numbers):
    run = learning_rates.search_runs(SETTINGS["setting1"], "Adam", tiny.scale)[1, 5]
    assert run.optimizer.lr == 2e-2 and run.optimizer.beta2 == 0.9 and run.seed == 1 and run.clip == 1.0
    history, test = tiny.folder.load(run), scale.test_batch(SETTINGS["setting1"].task)
    wanted = np.median([la.loss(history.snapshots[t], *test) for t in (17, 18, 19, 20)])
    assert search.score(history, losses_along(search.late(history, 20), *test), 20) == pytest.approx(wanted, rel=1e-9)
    scored = numbers["learning_rates"]["panels"]["setting1"]["Adam"]
    assert pytest.approx(wanted, rel=1e-9) in (scored["smallest"][5], scored["largest"][5])  # two seeds


def test_the_noise_is_measured_from_the_gradient_of_a_hundred_of_the_largest_batches(monkeypatch):
    monkeypatch.setattr(gradient_noise, "gradient_mean", lambda x, task, prompts, rng: (x, prompts))
    task = SETTINGS["setting2"].task
    at, prompts = gradient_noise.reference.__wrapped__(task, 1)
    assert prompts == 100_000 and np.array_equal(at, initial(task, 1))
