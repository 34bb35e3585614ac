"""Why depth favours Adam: layer rates and the covariates' recursion by hand, one run, the search, the claims' readers."""

import json
from pathlib import Path

import numpy as np
import pytest
from shapes import Recorder, complaints

import linattn_np as la
from linattn_np.experiments.studies.why_depth_favours_adam import (
    claims,
    controls,
    figure,
    layers,
    methods,
    readings,
    size,
    training,
)  # fmt: skip
from linattn_np.optimizers import SGD, Adam, Linear
from linattn_np.training.runs import RunFolder

FIGURE = Path(__file__).parents[1] / "figures" / "why_depth_favours_adam.json"
SHAPE = (3, 1, 2, 2, 2)
TINY = training.Run(2, "SGD", 1e-3, 4.0, 3, 40, 8, tests=(2, 16))

# ---------------------------------------------------------------- methods


def test_layer_factors_by_hand():
    assert methods.layer_factors(3, 4.0, 1.0) == (1 / 16, 1 / 4, 1) and methods.layer_factors(3, 4.0, 0.5) == (1 / 4, 1 / 2, 1)
    assert methods.layer_factors(3, 4.0, 1.0, -1) == (1, 1 / 4, 1 / 16)
    assert methods.METHODS["SGD, both"].make(3, 0.5, 4.0) == SGD(0.5, 0.9, (1 / 16, 1 / 4, 1))
    assert methods.METHODS["SGD, tight clip, rates reversed"].make(3, 0.5, 4.0) == SGD(0.5, 0.9, (1, 1 / 4, 1 / 16))
    assert methods.METHODS["Adam, both"].make(3, 0.5, 4.0) == methods.RatedAdam(0.5, (1 / 4, 1 / 2, 1))
    assert methods.METHODS["SGD"].make(3, 0.5, 4.0) == SGD(0.5, 0.9)
    assert methods.METHODS["Adam"].make(3, 0.5, 4.0) == Adam(0.5, 0.9, 0.9)
    assert methods.METHODS["each layer"].make(3, 0.5, 4.0) == Adam(0.5, 0.9, 0.9, second_moment="layer")
    clips = {name: (method.clip(3), method.clip(6), method.clip(8)) for name, method in methods.METHODS.items()}
    assert {name for name, clip in clips.items() if clip == (1e-3, 1e-3, 1e-4)} == {
        "SGD, tight clip", "SGD, both", "Adam, tight clip", "Adam, both", "SGD, tight clip, rates reversed",
    }  # fmt: skip
    assert {clip for clip in clips.values() if clip[0] == 1} == {(1, 1, 1)}


def test_rated_adam_is_adam_with_its_step_multiplied_layer_by_layer():
    rng = np.random.default_rng(0)
    x, gradients = rng.standard_normal(SHAPE), rng.standard_normal((5, *SHAPE))
    ends = []
    for opt in (Adam(0.1, 0.9, 0.9), methods.RatedAdam(0.1, (0.25, 1.0, 3.0))):
        now, state = x, opt.init(x)
        for g in gradients:
            now, state = opt.update(now, g, state)
        ends.append(now - x)
    assert ends[1] == pytest.approx(np.array([0.25, 1, 3]).reshape(3, 1, 1, 1, 1) * ends[0], abs=1e-14)


# ---------------------------------------------------------------- layers


def test_what_a_layer_hands_on_by_hand():
    """d = 1, two examples 1 and 3: S_0 = 5; P' = 2, Q' = -1/20 make T = 1/2, so S_1 = 5/4."""
    Z = np.array([[[1.0, 7.0], [3.0, 8.0], [2.0, 0.0]]])
    params = np.array([2.0, -0.05, 9.0, 9.0]).reshape(2, 1, 2, 1, 1)
    assert layers.handed_on(params, Z).ravel() == pytest.approx([5, 1.25], abs=1e-14)


def test_what_a_layer_hands_on_is_the_librarys_state():
    rng, Z = np.random.default_rng(1), la.RegressionTask(n=7, d=3).sample(4, np.random.default_rng(2)).Z
    params = la.init_params(rng, 4, d=3, std=0.4)
    state, found = la.gram.compress(Z), layers.handed_on(params, Z)
    for l, (P, Q) in enumerate(la.transformer.to_full(params, 4).swapaxes(1, 2)):
        assert found[l] == pytest.approx(state.G[:, :3, :3] / 7, abs=1e-12)
        state, _ = la.gram.forward(state, P, Q)


def test_the_base_that_the_covariates_say():
    """s falls by a half with each layer: rates of SGD rise by 4, those of Adam by 2."""
    assert layers.predicted_base(np.array([1.0, 0.5, 0.25])) == pytest.approx(4, abs=1e-14)
    assert layers.predicted_base(np.array([8.0, 7.0, 9.0, 1.0])) == pytest.approx(4, abs=1e-13)


def test_a_layer_with_smaller_covariates_has_a_smaller_gradient_and_needs_a_larger_q():
    """What the base rests on: covariates times a make of Q the layer of a^2 Q: a step a^-4 times as long is the same step."""
    a, prompts = 0.5, la.RegressionTask(n=6, d=3).sample(5, np.random.default_rng(3))
    small = prompts.Z * np.array([a, a, a, 1.0])
    params = la.init_params(np.random.default_rng(4), 1, d=3, std=0.3)
    scaled = params.copy()
    scaled[:, :, 1] /= a**2
    (loss, grad), (same, less) = la.loss_and_grad(params, *prompts[:2]), la.loss_and_grad(scaled, small, prompts.y)
    assert same == pytest.approx(loss, rel=1e-12) and less[:, :, 1] == pytest.approx(a**2 * grad[:, :, 1], abs=1e-13)
    step, longer = params - 0.1 * grad, scaled - 0.1 * a**-4 * less
    assert longer[:, :, 1] == pytest.approx(step[:, :, 1] / a**2, abs=1e-13)


def test_by_layer_reads_scale_length_and_gradient():
    batch = la.RegressionTask(n=6, d=3).sample(9, np.random.default_rng(5))
    params = la.init_params(np.random.default_rng(6), 3, d=3, std=0.3)
    found, grad = layers.by_layer(params, [batch]), la.loss_and_grad(params, batch.Z, batch.y)[1]
    assert found.shape == (3, 3)
    assert found[0, 0] == pytest.approx((batch.Z[:, :-1, :-1] ** 2).mean(), rel=1e-12)
    assert found[1] == pytest.approx([np.sqrt((Q**2).sum()) for Q in params[:, 0, 1]], rel=1e-12)
    assert found[2] == pytest.approx([np.sqrt((dQ**2).sum()) for dQ in grad[:, 0, 1]], rel=1e-10)


# ---------------------------------------------------------------- runs


def test_chebyshev_lengths_make_the_chebyshev_polynomial():
    """Largest on the bulk 0.25 to 2.25: 1 / T_L(1.25), by the recursion T_L+1 = 2.5 T_L - T_L-1."""
    T = [1.0, 1.25]
    for L in range(1, 6):
        c = np.linspace(0.25, 2.25, 20_001)
        residual = np.prod([1 - eta * c for eta in training.step_lengths("Chebyshev", L)], axis=0)
        assert np.abs(residual).max() == pytest.approx(1 / T[L], rel=1e-6)
        T.append(2.5 * T[L] - T[L - 1])
    assert training.step_lengths("equal", 4).tolist() == [0.5] * 4
    weights = training.first_weights("equal", 2, 7)
    assert weights[:, :, 1] + 0.5 * np.eye(5) == pytest.approx(
        la.init_params(np.random.default_rng([30, 7]), 2)[:, :, 1], abs=1e-15
    )
    assert training.first_weights("usual", 2, 7) is None


def median_loss(params):
    """The median over the tiny runs' batches."""
    return np.median([la.loss(params, batch.Z, batch.y) for batch in training.test_batches(2, 16)])


def plainly(steps, optimizer=SGD(1e-3, 0.9), **how):  # noqa: B008 - frozen
    """A run by ``train`` alone."""
    return la.train(la.RegressionTask(), optimizer, steps, 8, layers=2, seed=3, progress=False, **how)


def test_one_run_is_that_of_train():
    found = training.trained(TINY)
    assert found["loss"] == pytest.approx(median_loss(plainly(40, schedule="linear").params), rel=1e-12)
    assert found["by_layer"].shape == (3, 2) and np.isfinite(found["by_layer"]).all()
    history = plainly(40, record_every=2)
    late = np.median([median_loss(history.snapshots[t]) for t in (36, 38, 40)])
    assert training.trained(TINY._replace(schedule=None))["loss"] == pytest.approx(late, rel=1e-12)
    lost = training.trained(TINY._replace(rate=1e300))
    assert lost["loss"] == np.inf and np.isnan(lost["by_layer"]).all()


def test_a_switched_run_goes_on_along_the_same_schedule():
    """The second optimizer stands still at rate 0; at its own rate it starts at the factor 1 - 10/40."""
    first = plainly(10, Adam(0.04, 0.9, 0.9), schedule=Linear(40)).params
    switched = TINY._replace(before=("Adam", 0.04, 10))
    assert training.trained(switched._replace(rate=0.0))["loss"] == pytest.approx(median_loss(first), rel=1e-12)
    rest = la.train(la.RegressionTask(), SGD(1e-3, 0.9), 30, 8, seed=10_003, params=first, progress=False,
                    schedule=lambda t: 1 - (t + 10) / 40)  # fmt: skip
    assert training.trained(switched)["loss"] == pytest.approx(median_loss(rest.params), rel=1e-12)


def test_the_search_walks_over_rates_and_bases(monkeypatch, tmp_path):
    """Bowls with their least at places (1, 3) and, where the base stays, (0, -5); nothing is run."""
    asked = []

    def bowl(run):
        asked.append(run)
        at = (1, 3) if run.method == "SGD, both" else (0, -5)
        rate = np.log(run.rate / training.rate_at(3, run.method, at[1])) / np.log(1.4)
        return {"loss": np.array(np.exp(rate**2 + 3 * np.log2(run.base / training.base_at(3, at[0])) ** 2))}

    monkeypatch.setattr(training, "trained", bowl)
    cases = {("linear", 3, "SGD, both"): ((1, 2), None), (None, 3, "Adam"): ((1,), 8.0)}
    found = training.search(RunFolder(tmp_path), cases, TINY, False)
    both, adam = found.values()
    assert training.best_point(both) == (1, 3) and {j for j, _ in both} == {0, 1, 2, -1} and len(both) < 30
    assert training.best_point(adam) == (0, -5) and {j for j, _ in adam} == {0}
    assert {run.schedule for run in asked if run.method == "Adam"} == {None} and {run.seed for run in asked} == {1, 2}
    lost = dict.fromkeys([(0, k) for k in training.COARSE], np.inf)
    assert training.wanted(lost, False) == [(0, -6), (0, -5), (0, -3), (0, -2)]
    assert training.wanted({(3, 12): 0.0}, True) == [(3, 10), (3, 11), (2, 10), (2, 12)]
    assert set(size.Size().search).isdisjoint(size.Size().seeds)


def test_the_best_of_a_few_rates_is_chosen_on_the_seeds_of_the_search(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(training, "trained", lambda run: asked.append(run) or {"loss": np.array(run.rate + run.seed)})
    small = size.size_of(la.experiments.scale.QUICK)._replace(search=(1, 2), seeds=(5, 6))
    found = controls.best_of(RunFolder(tmp_path), {"a": TINY, "b": TINY._replace(rate=1.0)}, (-2, 0), small, "rates", False)
    assert found["a"]["rate"] == pytest.approx(1e-3 / 1.96, rel=1e-3) and found["b"]["loss"] == pytest.approx([5.5102, 6.5102])
    assert [run.seed for run in asked] == [1, 2] * 4 + [5, 6] * 2


# ---------------------------------------------------------------- readers


def made():
    """A made-up figure: SGD falls as 1/T, Adam as 1/T^2, two seeds, one run lost."""
    each = lambda loss, base=None: {"loss": loss, "rate": 0.5, "base": base, "by_layer": [
        [[1.0, 0.5, 0.25], [1, 2, 12.0], [9, 6, 3.0]], [[1.0, 0.5, 0.25], [1, 2, 24.0], [9, 6, 3.0]]]}  # fmt: skip
    runs = {"3": {"SGD": each([0.5, 1.0]), "Adam": each([0.25, 0.25]), "SGD, both": each([0.1, None], 8.0),
                  "Adam, both": each([0.05, 0.1], 2.0)}}  # fmt: skip
    budgets = {"SGD": {"steps": [250, 500, 1000, 4000], "loss": [[4.0, 8.0], [2.0, 4.0], [1.0, 2.0], [0.25, 0.5]]},
               "Adam": {"steps": [250, 500, 1000], "loss": [[16.0, 16.0], [4.0, 4.0], [1.0, 1.0]]}}  # fmt: skip
    return {"seeds_used": [7, 8], "steps": 2000, "runs": {"linear": runs, "constant": {}}, "budgets": {"3": budgets},
            "controls_at": 3, "controls": {"Adam, then SGD": {"loss": [1.0, None]}, "SGD, larger batch": {"loss": [6.0, 9.0]},
                                           "Adam, larger batch": {"loss": [2.0, 1.0]}}}  # fmt: skip


def test_the_readers_by_hand():
    numbers = made()
    both = readings.ratio(numbers, 3, "SGD, both", "Adam, both")
    assert both["median"] == 2.0 and np.isnan(both["each_seed"][1])
    assert readings.in_words(numbers, 3, "SGD, both", "Adam, both") == (
        "SGD, both inf at rate 0.5, base 8, 1 of 2 lost; Adam, both 0.075 at rate 0.5, base 2"
    )
    assert readings.ratio(numbers, 4, "SGD", "Adam")["median"] is None and readings.in_words(numbers, 4, "SGD", "Adam") == ""
    assert readings.exponents(numbers, 3, "SGD") == pytest.approx([-1, -1], abs=1e-12)
    assert readings.exponents(numbers, 3, "Adam") == pytest.approx([-2, -2], abs=1e-12)
    assert readings.steps_needed(numbers, 3, "Adam", "SGD") == pytest.approx([1000 * np.sqrt(2), 1000], rel=1e-12)
    assert readings.speed_up(numbers, 3)["each_seed"] == pytest.approx([np.sqrt(2), 2], rel=1e-12)
    assert np.isnan(readings.steps_needed(numbers, 3, "SGD", "Adam, both")).all()
    assert readings.last_over_first(numbers, 3, 0)["median"] == 0.25 and readings.last_over_first(numbers, 3, 1)["median"] == 18
    assert readings.whole_step(numbers, 3)["each_seed"] == pytest.approx([3 / np.sqrt(5), 6 / np.sqrt(5)])
    assert readings.bases(numbers, 3, "SGD, both")["each_seed"] == [2, 2] and readings.last_q(numbers, 3)["median"] == 1
    assert readings.bases_in_words(numbers, 3, "SGD, both") == "found 8, said 4"
    assert readings.control(numbers, "Adam, then SGD", "SGD")["median"] == 2.0
    assert readings.larger_batch(numbers)["each_seed"] == [3.0, 9.0]


def test_every_claim_reads_what_the_full_scale_runs():
    full = size.Size()
    for row in claims.ROWS:
        asked = getattr(row.values, "keywords", {})
        if "than" in asked and "layers" in asked:
            run = size.CONSTANT if asked["schedule"] == "constant" else full.methods(asked["layers"])
            assert {asked["method"], asked["than"]} <= set(run), row.name
    assert len({claim.id for claim in figure.CLAIMS}) == len(figure.CLAIMS)
    assert figure.plain({"a": np.array([1.0, np.inf]), "b": (2, np.nan)}) == {"a": [1.0, None], "b": [2, None]}
    assert figure.sizes(la.experiments.scale.PAPER).startswith("2, 3, 4, 6, 8 layers, 2,000 iterations, batch 128, 8 seeds from")


def test_what_the_committed_figure_says():
    """Eight seeds that no search saw; lost runs are counted and lie at six and eight layers; what does not agree is named."""
    numbers = json.loads(FIGURE.read_text())
    assert numbers["scale"]["name"] == "paper" and numbers["seeds_used"] == list(range(400, 408))
    runs = {(schedule, L, name): found for schedule, depths in numbers["runs"].items() for L, each in depths.items()
            for name, found in each.items()}  # fmt: skip
    assert len(runs) == 4 + 3 * 11 + 10 + 3 * 6 and all(len(found["loss"]) == 8 for found in runs.values())
    assert not any(found["at_the_edge"] for found in runs.values())
    lost = {key[1:]: sum(loss is None for loss in found["loss"]) for key, found in runs.items() if None in found["loss"]}
    assert sum(lost.values()) == 15 and {L for L, _ in lost} == {"6", "8"} and lost["8", "SGD, tight clip"] == 5
    verdicts = {claim.id.partition(".")[2]: claim.rule.verdict(claim.values(numbers)) for claim in figure.CLAIMS}
    assert {name: verdict for name, verdict in verdicts.items() if verdict != "agrees"} == {
        "rates_help_6": "agrees in direction", "constant_both_6": "does not agree", "base_adam_4": "does not agree",
    }  # fmt: skip


def test_shape_comments_are_true():
    file = Path(layers.__file__)
    recorder = Recorder([file])
    Z = la.RegressionTask(n=7, d=3).sample(4, np.random.default_rng(2)).Z
    recorder.record({"B": 4, "n": 7, "d": 3, "L": 2}, layers.handed_on, la.init_params(np.random.default_rng(0), 2, d=3), Z)
    assert complaints(file, file.read_text(), dict(recorder.seen)) == []
