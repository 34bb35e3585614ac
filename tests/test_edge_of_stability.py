"""Lesson 26's study: the edges, the force of the oscillation, the central flow, the runs, and the readers of the claims."""

import json

import numpy as np
import pytest

import linattn_np as la
from linattn_np.experiments import rules
from linattn_np.experiments.studies import edge_of_stability as study
from linattn_np.experiments.studies.edge_of_stability import claims, cubic, edges, figure, measurements
from linattn_np.optimizers import SGD, Adam

TINY = measurements.Size(29, 40, 13, 20, 5, (10, 10, 10, 10), 10, 10, 64, 20, 10)


# ---------------------------------------------------------------- by hand


def test_the_edges_by_hand():
    assert [study.edge(0.5), study.edge(0.5, 0.5), study.edge(0.1, 0.5)] == [4, 6, 30]
    assert [round(study.adam_edge(1, beta), 12) for beta in (0, 0.5, 0.9, 0.95)] == [2, 6, 38, 78]
    assert edges.companion(2, 1, 0.5, False).tolist() == [[0.5, 2], [-0.5, -1]]
    assert edges.companion(2, 1, 0.5, True).tolist() == [[0.5, 1], [-0.5, 0]]


@pytest.mark.parametrize("optimizer, limit", [(SGD(0.1), 20.0), (SGD(0.1, 0.5), 30.0), (SGD(0.1, 0.9), 38.0)])
def test_the_library_s_optimizers_grow_above_their_edge_and_not_below(optimizer, limit):
    assert limit == pytest.approx(study.edge(0.1, optimizer.momentum))
    ends = [abs(last(optimizer, curvature * limit)) for curvature in (0.98, 1.02)]
    assert ends[0] < 1 < 10 < ends[1]


def last(optimizer, curvature):
    *_, (_, _, after, _) = measurements.descent(lambda x: curvature * x, np.array([1.0]), optimizer, 400)
    return after.item()


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9])
def test_adam_with_its_preconditioner_held_grows_above_its_edge_and_not_below(beta1):
    """A second moment that hardly moves: beta2 next to 1, gradients whose size is set by a constant part."""
    rate = 0.1
    for share in (0.98, 1.02):
        curvature, m, x = share * study.adam_edge(rate, beta1), 0.0, 1.0
        for _ in range(600):
            m = beta1 * m + (1 - beta1) * curvature * x
            x -= rate * m
        assert (abs(x) > 10) == (share > 1)


def test_the_valley_by_hand():
    """eta = 1, rho = 1/2, target 9/4: a = 1/2 * 1/4, so c^2 = 1/4, and descent goes from (1/2, 2) to (-1/2, 2) and back."""
    valley = cubic.Valley(0.5, 2.25)
    assert valley.grad(np.array([0.5, 2.0])).tolist() == [1, 0]
    found = study.balance(valley, np.array([0.0, 2.0]), np.array([1.0, 0.0]))
    assert found.amplitude_squared == pytest.approx(0.25) and found.a == pytest.approx(0.125) and found.b == pytest.approx(1)
    point = np.array([0.5, 2.0])
    assert (point - valley.grad(point)).tolist() == [-0.5, 2]


def test_descent_in_the_valley_finds_the_orbit_and_not_the_minimum():
    valley, point = cubic.Valley(0.5, 2.25), np.array([0.1, 1.25])
    for _ in range(400):
        before, point = point, point - valley.grad(point)
    assert abs(0.5 * (before + point)[0]) < 1e-10 and abs(point[0]) == pytest.approx(0.5) and point[1] == pytest.approx(2)


# ---------------------------------------------------------------- on the model


def test_three_gradients_are_the_derivative_of_the_hessian_along_its_top_vector():
    """Against a complex step of the Hessian-vector product, and against the change of the top eigenvalue itself."""
    surface, x = measurements.surface_of(3, 29), np.random.default_rng(5).normal(scale=0.3, size=(3, 1, 2, 5, 5))
    values, vectors = cubic.top_pairs(surface.hessian(x))
    u = vectors[0].reshape(x.shape)
    found = study.grad_of_sharpness(surface, x, u)
    exact = surface.hvps(x + 1e-20j * u, u[None].astype(complex))[0].imag / 1e-20
    assert np.abs(found - exact).max() < 1e-5 * np.abs(exact).max()
    v, h = np.random.default_rng(6).standard_normal(x.shape), 1e-5
    change = [np.linalg.eigvalsh(surface.hessian(x + s * h * v))[-1] for s in (1, -1)]
    assert (change[0] - change[1]) / (2 * h) == pytest.approx((exact * v).sum(), rel=1e-5)


def test_the_followed_eigenvalue_stays_the_largest_along_a_flow():
    surface, x = measurements.surface_of(3, 29), measurements.start_of(3)
    for _ in range(30):
        x = x - 0.02 * surface.grad(x)
    basis = cubic.top_pairs(surface.hessian(x), 3)[1].reshape(-1, *x.shape)
    end, sharpness = study.central_flow(surface, x, basis, 0.02, 5)
    assert sharpness == pytest.approx(np.linalg.eigvalsh(surface.hessian(end))[-1], rel=0.05)


def test_the_runs_are_those_of_the_optimizers_and_the_midpoint_is_between_two_iterates():
    surface = measurements.surface_of(20, TINY.prompts)
    x = measurements.start_of(20)
    for _ in range(13):
        x = x - 0.03 * surface.grad(x)
    new = x - 0.03 * surface.grad(x)
    found = measurements.hover(20, 0.03, 0.0, TINY)
    assert found["times"].tolist() == [0, 13, 26, 39]
    assert np.isclose(found["met"][1, 0], np.linalg.eigvalsh(la.hessian(0.5 * (x + new), surface.Z, surface.y))[-1], rtol=1e-10)
    assert np.isclose(found["met"][1, 2], np.linalg.eigvalsh(la.hessian(x, surface.Z, surface.y))[-1], rtol=1e-10)
    assert np.isclose(found["losses"][1], la.loss(x, surface.Z, surface.y), rtol=1e-10)


def test_adam_s_ratio_is_the_preconditioned_sharpness_of_the_update_s_own_second_moment():
    found = measurements.adams(20, 0.003, 0.5, 0.9, TINY)
    surface, x, state = measurements.surface_of(20, TINY.prompts), measurements.start_of(20), None
    optimizer = Adam(0.003, 0.5, 0.9)
    state = optimizer.init(x)
    for t in range(16):
        new, state = optimizer.update(x, surface.grad(x), state)
        if t < 15:
            x = new
    v_hat = state.v / (1 - 0.9**16)
    wanted = la.landscape.preconditioned_sharpness(surface.hessian(0.5 * (x + new)), v_hat, 0.5, 16) * 0.003 / 6
    assert found["times"].tolist() == [10, 15] and found["ratio"][1] == pytest.approx(wanted, rel=1e-9)


def test_the_rate_is_halved_and_ramped_back():
    found = measurements.follow(20, 0.03, TINY._replace(phases=(4, 4, 3, 4), every=1))
    assert np.allclose(found["rates"] / 0.03, [1] * 4 + [0.5] * 4 + [0.625, 0.75, 0.875] + [1] * 4)
    assert np.isfinite(found["sharpness"]).all()


def test_a_rate_that_falls_to_0_is_the_library_s_schedule():
    found = measurements.decaying(20, 0.03, TINY._replace(steps=20, every=13))
    surface, x, optimizer = measurements.surface_of(20, TINY.prompts), measurements.start_of(20), SGD(0.03)
    scheduled = la.optimizers.Scheduled(optimizer, la.optimizers.Linear(20))
    state = scheduled.init(x)
    for _ in range(14):
        before, (x, state) = x, scheduled.update(x, surface.grad(x), state)
    wanted = np.linalg.eigvalsh(surface.hessian(0.5 * (before + x)))[-1]
    assert found["times"].tolist() == [0, 13] and found["rates"] == pytest.approx([0.03, 0.03 * 7 / 20])
    assert found["sharpness"][1] == pytest.approx(wanted, rel=1e-9)


def test_adam_with_a_rate_that_falls_is_held_to_the_edge_of_the_moment():
    found = measurements.decaying_adams(20, 0.003, 0.5, 0.9, TINY)
    surface, x = measurements.surface_of(20, TINY.prompts), measurements.start_of(20)
    scheduled = la.optimizers.Scheduled(Adam(0.003, 0.5, 0.9), la.optimizers.Linear(20))
    state = scheduled.init(x)
    for _ in range(16):
        before, (x, state) = x, scheduled.update(x, surface.grad(x), state)
    H = surface.hessian(0.5 * (before + x))
    sharpness = la.landscape.preconditioned_sharpness(H, state.inside.v / (1 - 0.9**16), 0.5, 16)
    assert found["times"].tolist() == [10, 15]
    assert found["ratio"][1] == pytest.approx(sharpness * 0.003 * (1 - 15 / 20) / 6, rel=1e-9)


def test_batches_come_from_the_fixed_set_and_a_whole_one_is_descent():
    whole = measurements.batches(20, 0.03, TINY.many, TINY)
    again = measurements.hover(20, 0.03, 0.0, TINY._replace(prompts=TINY.many, steps=20, every=10))
    assert whole["ratio"][0] == pytest.approx(again["met"][1, 0] / study.edge(0.03), rel=1e-9)
    part = measurements.batches(20, 0.03, 8, TINY)
    assert part["times"].tolist() == whole["times"].tolist() and not np.allclose(part["ratio"], whole["ratio"])


def test_a_run_that_diverges_says_so_and_counts_against_every_seed():
    found = measurements.hover(20, 50.0, 0.0, TINY)
    assert np.isnan(found["met"][-1]).all()
    numbers = {"hover": {"50": figure.along([found, measurements.hover(21, 0.03, 0.0, TINY)], study.edge(50.0))}}
    numbers["hover"]["50"]["midpoint"][1] = [1.0] * 4
    assert claims.below_ceiling("50", numbers)["smallest"] == 0 and claims.below_ceiling("50", numbers)["each_seed"][1] == 1
    assert claims.lost_in_words("50", numbers) == "1 of 2 runs diverged"


def test_the_quadratic_model_is_the_loss_to_second_order():
    surface, x = measurements.surface_of(20, 29), measurements.start_of(20)
    moved, walked, sharpness, loss = measurements.control(surface, x, x, 1e-5)
    assert moved == pytest.approx(walked, rel=1e-2) and 0 < sharpness < 1 and 0 < loss < 1


# ---------------------------------------------------------------- claims


def made(**changes):
    """Numbers as a figure's JSON has them, made so that each reader's answer is known."""
    level = [[1.01] * 8, [0.5] * 8]
    run = {
        "midpoint": level,
        "second": [[0.5] * 8] * 2,
        "iterate": [[1.2] * 8] * 2,
        "measured": [[3.0] * 8] * 2,
        "predicted": [[2.0] * 8] * 2,
    }
    numbers = {
        "run_seeds": [20, 21], "hover": {f"{rate:g}": run for rate in claims.RATES} | {"momentum": run},
        "follow": {"times": list(range(8)), "rates": [0.06, 0.06, 0.03, 0.03, 0.04, 0.05, 0.06, 0.06],
                   "midpoint": [[1, 1, 2, 2, 1.5, 1.2, 1, 1.04], [1, 1, 1.3, 1.3, 1.3, 1.2, 0.7, 0.7]]},
        "adam": {f"{b1:g}, {b2:g}": [1.0, 0.9] for b1 in claims.BETAS for b2 in claims.BETA2},
        "decay": {"times": list(range(8)), "rates": [0.08, 0.07, 0.06, 0.05, 0.04, 0.03, 0.02, 0.01],
                  "sharpness": [[1, 1, 1.02 / 0.03, 1 / 0.025, 1 / 0.02, 1.2 / 0.015, 50, 50], [10] * 8]},
        "decay_adam": {f"{b1:g}": [0.6 + b1 / 10, 0.5] for b1 in claims.BETAS},
        "flows": {"edges": [[[1.0, 0.5], [0.97, 0.6]], [[1.0, 0.95], [1.0, 0.5]]], "central": [0.01, 1.0], "gradient": [0.3, 1.0],
                  "moved": [2.0, 1.0], "control": [[5000.0, 2.0, 1.01, 0.9], [1.0, 1.0, 1.0, 1.0]]},
        "batches": {"1024": [1.0, 0.9], "256": [0.5, 0.6], "64": [0.2, 0.5], "16": [None, None]},
    }  # fmt: skip
    return json.loads(json.dumps({**numbers, **changes}))


def test_the_readers_of_the_claims():
    numbers = made()
    assert claims.hovering("0.06", numbers)["each_seed"] == [1, 0]
    assert claims.hovering("0.06", numbers)["share of seeds at half of the times"] == 0.5
    assert claims.below_ceiling("0.06", made(hover={"0.06": {"midpoint": [[1.0] * 8, [1.0] * 4 + [1.2] * 4]}}))[
        "smallest"
    ] == pytest.approx(1 / 3)
    assert claims.ends_of_phases(numbers).tolist() == [[1, 2, 1.04], [1, 1.3, 0.7]]
    assert claims.reach_halved(numbers)["each_seed"] == [1, 0] and claims.back_again(numbers)["each_seed"] == [1.04]
    assert claims.ceiling_after_ramp(numbers)["largest"] == 1.04
    assert claims.decay_hovers(numbers)["each_seed"] == pytest.approx([3 / 6, 0])
    assert claims.decay_below(numbers)["each_seed"] == pytest.approx([5 / 6, 1])
    assert claims.decay_adam(numbers)["each_seed"] == pytest.approx([0.695, 0.5])
    assert claims.decay_adam_in_words(numbers).endswith("0.55, 0.57, 0.59, 0.60")
    assert claims.adam_ratio(0.9, numbers)["farthest from 1"] == pytest.approx(0.1)
    assert claims.adam_medians(numbers)["each_seed"] == [0.95] * 4
    assert claims.flow_ratio(numbers)["each_seed"] == pytest.approx([30]) and claims.flow_error(numbers)[
        "median"
    ] == pytest.approx(0.005)
    assert claims.quadratic(numbers)["each_seed"] == [2500] and claims.raised(numbers)["largest"] == 1.01
    assert claims.in_order(numbers)["smallest"] == pytest.approx(1.2) and claims.at_batch(64, numbers)["largest"] == 0.5
    assert claims.at_batch(16, numbers)["largest"] == np.inf


def test_the_amplitude_is_read_where_one_curvature_is_at_the_edge(monkeypatch):
    monkeypatch.setattr(claims, "LEAST_POINTS", 5)
    assert claims.amplitudes((0.06,), made())["each_seed"] == [1.5]
    monkeypatch.setattr(claims, "LEAST_POINTS", 7)  # the first quarter does not count
    assert claims.amplitudes((0.06,), made())["each_seed"][0] is None


def test_what_no_run_meets_does_not_agree():
    nowhere = made(flows={**made()["flows"], "edges": [[[None, None], [None, None]], [[0.5, 0.1], [0.5, 0.1]]]})
    judged = {claim.id: rules.judge(claim, {**nowhere, "scale": {"name": "paper"}}) for claim in study.CLAIMS}
    for name in ("flow.ratio", "flow.error", "control.quadratic", "amplitude"):
        assert judged[f"edge_of_stability.{name}"]["verdict"] == "does not agree", name
    assert judged["edge_of_stability.flow.ratio"]["why"].endswith("0 runs chosen by the rule")
    assert judged["edge_of_stability.returns"]["verdict"] == "agrees"


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="rate"):
        study.edge(0.0)
    with pytest.raises(ValueError, match="beta1"):
        study.adam_edge(0.1, 1.0)
    with pytest.raises(ValueError, match="momentum"):
        study.edge(0.1, -0.1)
