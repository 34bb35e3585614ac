"""Clipping, not warm-up: growth by hand, runs beside the library's training, the search, the claims' readers."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import linattn_np as la
from linattn_np.experiments.rules import judge
from linattn_np.experiments.studies import clipping_not_warm_up as study
from linattn_np.experiments.studies.clipping_not_warm_up import claims, figure, fixed, fresh, path, quadratic, readers, size
from linattn_np.optimizers import SGD

FIGURE = Path(__file__).parents[1] / "figures" / "clipping_not_warm_up.json"

# ---------------------------------------------------------------- a quadratic loss


def test_growth_by_hand():
    """eta lambda = 1/2, 3; mu = 1/4 with eta lambda = 1/4: a double root 1/2; 4: z^2 + 11/4 z + 1/4."""
    assert study.growth(0.5, 1.0) == 0.5 and study.growth(1.0, 3.0) == 2.0 and study.growth(1.0, 2.0) == 1.0
    assert study.growth(0.25, 1.0, 0.25) == 0.5
    assert abs(study.growth(1.0, 4.0, 0.25) - (2.75 + np.sqrt(6.5625)) / 2) < 1e-15
    assert abs(study.growth(0.1, 38.0, 0.9) - 1) < 1e-14 and study.growth(0.1, 37.0, 0.9) == np.sqrt(0.9)


def test_clipped_descent_by_hand():
    """Lambda = 4, eta = 1, c = 2: from 5 by 2 to 1, then between 1 and -1; from 1/4 over -3/4 to 5/4, within 3/2."""
    assert list(itertools.islice(quadratic.steps(5.0, 1.0, 4.0, 2.0), 5)) == [3, 1, -1, 1, -1]
    assert list(itertools.islice(quadratic.steps(0.25, 1.0, 4.0, 2.0), 3)) == [-0.75, 1.25, -0.75]
    assert study.trapped(1.0, 4.0, 2.0) == 1.5 and study.trapped(1.0, 2.0, 2.0) == 0
    assert study.longest_step(0.5, 2.0) == 1 and abs(study.longest_step(0.06, 1.0, 0.9) - 0.6) < 1e-15


def test_a_warm_up_crosses_the_same_edge_later():
    """Edge 2: a rate of 4 is above it from the first step after half of the warm-up."""
    assert study.crossing(4.0, 1.0, 10) == 6 and study.crossing(4.0, 1.0, 1) == 1 and study.crossing(2.0, 1.0, 10) is None
    ends = [abs(list(itertools.islice(quadratic.steps(1.0, 4.0, 1.0, warm_up=w), 300))[-1]) for w in (1, 50)]
    assert min(ends) > 1e50


@pytest.mark.parametrize("name", quadratic.CHECKS)
def test_the_checks_of_the_derivations(name):
    assert quadratic.CHECKS[name]() < 1e-10


# ---------------------------------------------------------------- the fixed batch


def test_descent_is_the_librarys_training():
    """The same steps as ``train`` on a fixed batch: schedule, clipping and momentum."""
    way = fixed.Way("momentum", 5, 0.5, True)
    task, seed = fixed.TASK, 3
    history = la.train(task, SGD(0.05, 0.9), 12, 29, clip=0.5, seed=seed, fixed_batch=True, record_every=1, progress=False,
                       schedule=la.optimizers.WarmUp(5, la.optimizers.Linear(12)))  # fmt: skip
    x0 = history.snapshots[0]
    drawn = la.training.batch_gradient.BatchGradient(fixed.MODEL, task, 29, seed, True)
    surface = type("Surface", (), {"loss_and_grad": staticmethod(lambda x: drawn(x))})()
    found = list(fixed.descend(surface, x0, way, 0.05, 12))
    assert len(found) == 13 and np.abs(found[-1][1] - history.params).max() < 1e-12
    assert np.abs([row[2] for row in found[:-1]] - history.loss).max() < 1e-12


def test_rates_that_train_are_read_off():
    rates, losses = [0.1, 0.2, 0.4, 0.8], [0.1, 0.2, np.inf, 0.3]
    assert fixed.largest(rates, losses) == 0.8 and fixed.safe(rates, losses) == 0.2
    assert fixed.safe(rates, [0.1] * 4) == 0.8 and np.isnan(fixed.safe(rates, [0.9, 0, 0, 0]))
    assert np.isnan(fixed.largest(rates, [0.9] * 4)) and fixed.largest(rates, [0.4, 0.5, 0.6, np.inf]) == 0.1


def test_a_scan_finds_what_is_lost_and_when():
    found = fixed.tried(0, "descent, none", 64, 40, 3)
    assert found["rates"].shape == (3,) and np.isinf(found["loss"][-1]) and 0 < found["lost"][-1] < 40
    assert found["lost"][0] == -1 and np.isfinite(found["loss"][0])
    clipped = fixed.tried(0, "descent, clip 1", 64, 40, 3)
    assert (clipped["lost"] == -1).all()  # a step is no longer than the rate


def test_small_steps_lead_to_another_place():
    surface, x = fixed.surface_of(1, 64), fixed.start_of(1)
    wanted = x
    for _ in range(20):
        wanted = wanted - 0.005 * surface.grad(wanted)
    assert np.array_equal(fixed.placed(surface, x, 0.1), wanted)
    assert fixed.start_facts(1, 32)["sharpness"].shape == (3,)


def test_every_grid_is_of_one_factor_or_of_its_square_or_cube():
    for way in fixed.WAYS.values():
        steps = np.diff(np.log2(fixed.rates(way))) * 6
        assert np.allclose(steps, way.ks[2])
    assert {way.ks[2] for way in fixed.WAYS.values() if way.kind == "Adam"} == {3}


# ---------------------------------------------------------------- the path


def test_the_linearized_model_is_the_loss_near_the_start():
    """Its first steps are those of the loss for a tiny rate, and its sharpness is that of the Gauss-Newton matrix."""
    surface, x = fixed.surface_of(2, 64), fixed.start_of(2)
    loss = surface.loss_and_grad(x)[0]
    found = path.linearized(2, 64, 30, 1e-5)
    after = [row[2] for row in fixed.descend(surface, x, fixed.Way("momentum"), 1e-5, 30)][-1]
    assert abs((1 - found["ratio"]) / (1 - after / loss) - 1) < 2e-2
    assert found["sharpness"] > 0 and found["ratio"] < 1


def test_a_run_is_followed_until_it_is_lost():
    found = path.followed(0, "none", 64, 60, 0.2)
    assert 0 < found["lost"] < 60 and np.isfinite(found["sharpness"][0]) and np.isnan(found["sharpness"][-1])
    kept = path.followed(0, "clip 1", 64, 60, 0.06)
    assert kept["lost"] == -1 and np.isfinite(kept["sharpness"]).all() and 0 < kept["share"][0] <= 1
    assert path.times(600)[-1] == 600 and path.times(10).tolist() == [0, 4, 8, 10]


# ---------------------------------------------------------------- fresh batches

TINY = fresh.Fresh((12, 8), (12, 8), (12, 8), 2, 16)


def test_what_diverges_is_lost_and_counted():
    assert fresh.survived("none", False, 50.0, 0, TINY)["lost"] >= 0
    kept = fresh.survived("clip 1", True, 0.001, 0, TINY)
    assert kept["lost"] == -1 and np.isfinite(kept["loss"])
    lost = fresh.trained("Setting 1, SGD, constant, none", 50.0, 0, TINY)
    assert np.isinf(lost["loss"]) and lost["lost"] >= 0 and lost["clipped"] == 0
    assert np.isfinite(fresh.trained("beta2 0.999, decay, warm-up 200", 0.01, 0, TINY)["loss"])


def test_the_search_goes_where_it_is_low_and_down_where_all_is_lost():
    assert fresh.wanted({}) == [-4, -2, 0, 2, 4] and fresh.wanted(dict.fromkeys(fresh.COARSE, np.inf)) == [-5, -6]
    known = {-4: 3.0, -2: 2.0, 0: 1.0, 2: np.inf, 4: np.inf}
    assert fresh.wanted(known) == [-2, -1, 1, 2] and fresh.wanted({fresh.FARTHEST: 0.0}) == [8, 9]
    assert fresh.score([1.0, np.e**2]) == 1 and fresh.score([1.0, np.inf]) == np.inf
    assert fresh.rate_at("beta2 0.9, decay, none", 1) == 0.056


# ---------------------------------------------------------------- claims


def test_the_claims_read_their_numbers():
    two = {"rates": [1.0, 2.0, 4.0], "loss": [[0.1, 0.9, 0.1], [0.1, 0.1, None]]}
    one = {"rates": [1.0, 2.0, 4.0], "loss": [[0.1, None, None], [0.1, None, None]]}
    numbers = {
        "fixed": {"a": two, "b": one, "descent, none": one, "momentum, none": two, "momentum, warm-up 200": two,
                  "x, clip 4": one, "x, clip 1": one, "x, clip 0.25": two},
        "start": {"sharpness": [[4.0], [1.0]]},
        "survival": {"rates": [0.02, 0.06], "constant": {
            "none": {"loss": [[0.1, None], [0.1, 0.7]], "lost": [[-1, 10], [-1, -1]]},
            "warm-up 50": {"loss": [], "lost": [[-1, -1]]}, "clip 1": {"loss": [], "lost": [[-1, -1]]},
            "warm-up 200": {"loss": [[0.1, 0.1], [0.1, None]], "lost": [[-1, -1], [-1, 50]]}}},
        "own": {"c": {"loss": [2.0, None, 3.0], "rate": 0.1, "at_the_edge": True, "lost": [-1, 7, -1]},
                "d": {"loss": [1.0, 1.0, 2.0], "rate": 0.2, "lost": [-1] * 3}},
        "path": {"none": {"lost": [3, -1], "sharpness": [[1, None], [2, 63.3]]}, "times": [0, 9],
                 "clip 1": {"share": [[0.7, 0.1], [0.6, 0.3]]}},
        "linearized": {"ratio": [0.1, 0.3]},
    }  # fmt: skip
    assert readers.ratio(numbers, "a", "b")["each_seed"] == [4, 2] and readers.ratio(numbers, "a", "b")["smallest"] == 2
    assert readers.ratio(numbers, "a", "b", "safe")["each_seed"] == [1, 2]
    assert readers.ratios_in_words(numbers, "a", "b") == "largest 2 to 4; safe 1 to 2"
    assert readers.inside(numbers, "a", "b", 1.2, 2.2)["each_seed"] == [0, 1]
    assert readers.over_edge(numbers, "descent", "smallest")["each_seed"] == [2, 0.5]
    assert readers.islands(numbers, "momentum, warm-up 200")["each_seed"] == [4, 1]
    assert readers.length_ratio(numbers, "x")["each_seed"] == [4, 8]
    assert readers.lengths_in_words(numbers, "x") == "largest rate times threshold, at 0.25: 0.75, 1: 1, 4: 4"
    assert readers.correlation(numbers, "momentum")["each_seed"] == [-1]
    assert readers.ranks(np.array([3.0, 1.0, 3.0])).tolist() == [1.5, 0, 1.5]
    assert readers.survivors(numbers, "none", 0.06)["each_seed"] == [0, 0]
    assert readers.survivors(numbers, "warm-up 200", 0.06)["mean"] == 0.5
    assert readers.postponed(numbers, 0.06)["each_seed"] == [5]
    assert "warm-up 200: 1 lost at steps 50 to 50" in readers.deaths_in_words(numbers, 0.06)
    found = readers.loss_ratio(numbers, "own", "c", "d")
    assert found["median"] == 1.75 and np.isnan(found["each_seed"][1])
    assert readers.losses_in_words(numbers, "own", "c", "d") == (
        "c: 3 at rate 0.1, at the end of its search, 1 of 3 lost; d: 1 at rate 0.2"
    )
    assert readers.lost_share(numbers, "own", "c")["each_seed"] == [0, 1, 0]
    assert readers.lost_on_path(numbers, "none")["each_seed"] == [1, 0]
    assert readers.share(numbers, 1, "largest")["largest"] == 0.3 and readers.linear_ratio(numbers)["largest"] == 0.3
    assert readers.path_in_words(numbers, "none") == "lost at steps 3 to 3; sharpness at the end 1 to 1 of the edge"


def test_what_must_come_out_does():
    """The acceptance lines on the committed figure, seeds from 500; what does not agree stands in the scorecard and is named
    here: warm-up's gains scatter more than the rules allow, on both sides, and for Adam it costs more.
    """
    numbers = json.loads(FIGURE.read_text())
    assert len(numbers["seeds_used"]) == 8 and min(numbers["seeds_used"]) == 500
    verdicts = {row.name: judge(claim, numbers)["verdict"] for row, claim in zip(claims.ROWS, study.CLAIMS, strict=True)}
    assert {name for name, verdict in verdicts.items() if verdict != "agrees"} == {
        "gd.warm_up", "gd.long", "fresh.warm_up", "adam.constant", "adam.at_005", "threshold.none.1", "threshold.own_constant",
    }  # fmt: skip
    assert readers.ratio(numbers, "momentum, clip 1", "momentum, none")["smallest"] > 6
    assert max(readers.ratio(numbers, "momentum, warm-up 50", "momentum, none")["each_seed"]) < 1.5


@pytest.mark.parametrize("call, says", [
    (lambda: study.growth(0.0, 1.0), "rate: expected"),
    (lambda: study.growth(0.1, 1.0, 1.0), "momentum: expected"),
    (lambda: study.crossing(0.1, -1.0, 5), "curvature: expected"),
    (lambda: study.longest_step(0.1, 0.0), "threshold: expected"),
    (lambda: study.trapped(0.1, 0.0, 1.0), "curvature: expected"),
])  # fmt: skip
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_the_picture_names_its_sizes():
    assert figure.sizes(la.experiments.scale.PAPER).startswith("three layers, 8 seeds from 500; 600 steps on 512 fixed prompts")
    assert not set(size.SEARCH) & set(size.Size().all_seeds)
