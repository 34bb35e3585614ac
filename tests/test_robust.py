"""What is judged on many test batches: its numbers by another road, each batch's own, and reruns whose weights a rounding
changed.
"""

from dataclasses import replace

import numpy as np
import pytest

import linattn_np as la
from linattn_np.experiments import fragility, registry, robust, scale
from linattn_np.experiments.papers.maybe_all_you_need import one_test_batch, released_streams
from linattn_np.experiments.papers.maybe_all_you_need.settings import SETTINGS, many_batches
from linattn_np.measures.landscape import robust_condition_number
from linattn_np.optimizers import SGD

released_streams.test_batch.__test__ = False  # a function of the package, not a test


@pytest.fixture
def early(monkeypatch):
    """The table's iterations where the tiny runs have them."""
    monkeypatch.setattr(robust, "TABLE", (100, 200))


def history_of(tiny, optimizer, seed=1, setting="setting2"):
    return tiny.folder.load(scale.runs_of(SETTINGS[setting], optimizer, tiny.scale)[seed])


def batch(task, seed, prompts=37):
    return task.sample(prompts, np.random.default_rng(seed))


def test_the_batches_are_those_of_the_seeds_then_the_papers_own(tiny):
    task, batches = SETTINGS["setting3"].task, many_batches(tiny.scale)
    assert batches.seeds == (1000, 1001, 1002) and batches.prompts == 37 and 99 not in batches.seeds
    surfaces = robust.surfaces(task, batches, None)
    assert len(surfaces) == 4 and np.array_equal(surfaces[1].Z, batch(task, 1001)[0])
    assert np.array_equal(surfaces[3].Z, released_streams.test_batch(task, 37)[0])
    assert robust.batches_for(tiny.scale, count=2).seeds == (1000, 1001)
    assert batches.to_dict()["also"] == ["linattn_np.experiments.papers.maybe_all_you_need.released_streams:test_batch"]


def test_losses_and_their_median_on_many_batches(tiny):
    task = SETTINGS["setting2"].task
    panel = tiny.measured("adam_vs_sgd")["panels"]["setting2"]
    alone = {o: [la.loss(history_of(tiny, o).params, *batch(task, seed)) for seed in (1000, 1001, 1002)] for o in ("SGD", "Adam")}
    found = panel["final_ratio"]
    assert found["each_seed"][1] == pytest.approx(np.median(alone["SGD"]) / np.median(alone["Adam"]), rel=1e-9)
    assert [row[1] for row in found["on_batches"]] == pytest.approx(
        [a / b for a, b in zip(*alone.values(), strict=True)], rel=1e-9
    )
    released = [la.loss(history_of(tiny, o).params, *released_streams.test_batch(task, 37)) for o in ("SGD", "Adam")]
    assert found["on_released"][1] == pytest.approx(released[0] / released[1], rel=1e-9)
    assert panel["SGD"]["judged"]["300"]["each_seed"][1] == pytest.approx(np.median(alone["SGD"]), rel=1e-9)
    assert panel["other_test_batches"]["batches"] == 3 and len(panel["SGD"]["robust"]["median"]) == 7


def test_condition_numbers_are_those_of_the_median_of_each_entry(tiny):
    found = robust.setting_on_batches(
        tiny.folder, SETTINGS["setting2"], "Adam", tiny.scale, robust.diagonals, (0, 250), many_batches(tiny.scale), False
    )
    x, task = history_of(tiny, "Adam").snapshots[250], SETTINGS["setting2"].task
    every = [np.diag(la.hessian(x, *batch(task, seed), backend="numpy")) for seed in (1000, 1001, 1002)]
    assert np.allclose(found[1]["diagonals"][1, :3], every, atol=1e-10 * np.abs(every).max())
    wanted = robust_condition_number(np.median(every, axis=0))
    panel = tiny.measured("robust_condition_number")["panels"]["setting2"]["robust"]
    assert panel["condition"]["Adam"]["250"]["each_seed"][1] == pytest.approx(wanted, rel=1e-7)
    assert [row[1] for row in panel["condition"]["Adam"]["250"]["on_batches"]] == pytest.approx(
        [robust_condition_number(row) for row in every], rel=1e-7
    )
    both = [np.array(panel["condition"][o]["250"]["each_seed"]) for o in ("SGD", "Adam")]
    assert panel["share_sgd_above"]["each_seed"] == pytest.approx((both[0] > both[1]).astype(float))  # one time after 0


def test_medians_leave_the_papers_own_batch_out(tiny):
    batches = robust.Batches((5, 6), 37, (released_streams.test_batch,))
    values = np.array([[[1.0, 3.0, 1e9]]])
    assert robust.middle(values, batches).tolist() == [[2.0]]
    diagonals = np.array([1.0, 2.0, 8.0])[None, None, None] * np.array([1.0, 3.0, 1e9])[:, None]
    diagonals[0, 0, 2, 0] = 1e-9
    assert robust.condition_of_median(diagonals, batches).tolist() == [[4.0]]
    assert robust.condition_alone(diagonals).tolist() == [[[4.0, 4.0, 4.0]]]
    found = robust.judged(np.array([2.0]), values[0], batches)
    assert found["on_batches"] == [[1.0], [3.0]] and found["on_released"] == [1e9]


def test_curvature_on_many_batches(tiny):
    history, task = history_of(tiny, "SGD"), SETTINGS["setting2"].task
    arrays = robust.curvatures(task, many_batches(tiny.scale), None, [history.snapshots[30]], [history.updates[30]])
    Z, y = batch(task, 1002)
    wanted = la.landscape.directional_smoothness(history.snapshots[30], history.updates[30], Z, y)
    assert arrays["kappa"][0, 2] == pytest.approx(wanted, rel=1e-9)
    assert arrays["norm"][0, 2] == pytest.approx(np.linalg.norm(la.loss_and_grad(history.snapshots[30], Z, y)[1]), rel=1e-9)
    assert robust.known_times(history, [30, 33, 300], of_steps=True) == [30]  # the last point has no step
    assert robust.known_times(history, [30, 33, 300], of_steps=False) == [30, 300]


def test_more_seeds_follow_the_scales_own(tiny, early):
    more = robust.more_seeds(SETTINGS["setting1"], "Adam", tiny.scale)
    assert [run.seed for run in more] == [2] and more[0].steps == 200 and more[0].optimizer.lr == 0.02
    name = "linattn_np.experiments.papers.maybe_all_you_need.robust_condition_number"
    module = registry.experiment("robust_condition_number")
    assert module.__name__ == name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TABLE", (100, 200))
        patch.setattr(module, "TIMES", (0, 100, 200))
        found = module.robust(tiny.folder, "setting2", tiny.scale, False)["table"]
    assert list(found) == ["100", "200"] and [len(row) for row in found["100"]["on_batches"]] == [3] * 3
    R, task = {}, SETTINGS["setting2"].task
    for o in ("SGD", "Adam"):
        x = tiny.folder.load(robust.more_seeds(SETTINGS["setting2"], o, tiny.scale)[0]).snapshots[100]
        R[o] = robust_condition_number(
            np.median([np.diag(la.hessian(x, *batch(task, seed))) for seed in (1000, 1001, 1002)], axis=0)
        )
    assert found["100"]["each_seed"][2] == pytest.approx(R["SGD"] / R["Adam"], rel=1e-7)
    assert len(found["100"]["reruns"]) == 2 and found["100"]["reruns"][0]["geometric_mean"] > 0


# ---------------------------------------------------------------- a rounding


def test_a_rerun_differs_from_its_run_by_the_change_alone(tiny, monkeypatch):
    run, batches = scale.runs_of(SETTINGS["setting2"], "Adam", tiny.scale)[1], many_batches(tiny.scale, 2)
    first = history_of(tiny, "Adam").snapshots[0]
    monkeypatch.setattr(fragility, "SIZE", 0.0)
    same = fragility.rerun(run.to_dict(), first, 1, [100, 300], batches, "losses")
    wanted = [la.loss(history_of(tiny, "Adam").snapshots[100], *batch(run.task, seed)) for seed in (1000, 1001)]
    assert same["times"].tolist() == [100, 300] and same["losses"].shape == (1, 2, 3)
    assert same["losses"][0, 0, :2] == pytest.approx(wanted, rel=1e-12)
    monkeypatch.setattr(fragility, "SIZE", 1e-7)
    more, one = (fragility.rerun(run.to_dict(), first, k, [100], batches, "losses")["losses"][:, 0, 0] for k in (2, 1))
    assert (more != wanted[0]).all() and more == pytest.approx(wanted[0], rel=1e-3) and more[1] != more[0] == one[0]
    lost = replace(run, optimizer=SGD(1e9), clip=None)
    found = fragility.rerun(lost.to_dict(), first, 2, [0, 100], batches, "losses")["losses"]
    assert np.isfinite(found[:, 0]).all() and np.isnan(found[:, 1]).all()


def test_what_is_fragile_by_hand():
    steady, moved = fragility.as_spreads([[2.0], [2.1]]), fragility.as_spreads([[2.0], [2.5]])
    assert not fragility.is_fragile(steady, "median") and fragility.is_fragile(moved, "median")
    assert fragility.range_of(moved, "median") == (2.0, 2.5) and fragility.is_fragile(
        fragility.as_spreads([[-1.0], [1.0]]), "mean"
    )


# ---------------------------------------------------------------- the lottery


def test_the_lottery_counts_prompts_and_batches(tiny):
    numbers, task = tiny.measured("one_test_batch"), SETTINGS["setting3"].task
    panel = numbers["panels"]["setting3"]
    Z, y = batch(task, 10_003)
    X = Z[:, :-1, :-1]
    assert panel["eigenvalues"][3] == pytest.approx(max(np.linalg.eigvalsh(x.T @ x / 20)[-1] for x in X))
    shares, means = [], {}
    for o in ("SGD", "Adam"):
        losses = [(la.predict(history_of(tiny, o, seed, "setting3").params, Z) - y) ** 2 for seed in (0, 1)]
        shares.append(np.median([each.max() / each.sum() for each in losses]))
        means[o] = np.mean(losses)
    assert [panel[o]["share_of_largest"][3] for o in ("SGD", "Adam")] == pytest.approx(shares, rel=1e-9)
    xs = {o: [history_of(tiny, o, seed, "setting3").params for seed in (0, 1)] for o in ("SGD", "Adam")}
    prompts = [batch(task, seed) for seed in range(10_000, 10_050)]
    ahead = [sum(la.loss(x, *each) for x in xs["Adam"]) < sum(la.loss(x, *each) for x in xs["SGD"]) for each in prompts]
    assert panel["share"]["300"] == pytest.approx(np.mean(ahead)) and 0 < np.mean(ahead) != 0.5
    again = numbers["rounding"]["setting3"]
    assert again["SGD"]["300"][0]["median"] == pytest.approx(again["SGD"]["300"][1]["median"], rel=1e-3)
    assert again["SGD"]["300"][0]["median"] != again["SGD"]["300"][1]["median"] and len(again["final_ratio"]) == 2
    batches = [batch(task, seed) for seed in (1000, 1001, 1002)]
    wanted = [np.median([la.loss(x, *each) for each in batches]) for x in xs["Adam"]]
    assert again["Adam"]["300"][0]["median"] == pytest.approx(np.median(wanted), rel=1e-9)
    groups = panel["group_share"]["300"]
    assert len(panel["eigenvalues"]) == 50 and len(groups) == 10 and np.mean(groups) == pytest.approx(panel["share"]["300"])
    arrays = one_test_batch.carried(
        task, ["10003", "released"], 37, np.array([[[history_of(tiny, "Adam", 0, "setting3").params]]])
    )
    losses = (la.predict(history_of(tiny, "Adam", 0, "setting3").params, Z) - y) ** 2
    assert arrays["loss"][0].item() == pytest.approx(losses.mean(), rel=1e-9) and arrays["largest"][0].item() == pytest.approx(
        losses.max()
    )
    assert np.array_equal(one_test_batch.batch_of(task, "released", 37)[0], released_streams.test_batch(task, 37)[0])


def test_the_fixed_batch_is_the_one_on_which_losses_are_measured(tiny):
    task = SETTINGS["setting3"].task
    (surface,) = robust.surfaces(task, robust.fixed_batch(), la.LinearTransformer(5, 3))
    assert all(np.array_equal(ours, wanted) for ours, wanted in zip((surface.Z, surface.y), scale.test_batch(task), strict=True))
