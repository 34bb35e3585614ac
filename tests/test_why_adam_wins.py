"""Why Adam wins: groups and rotations by hand, one run, the search, and the claims' readers."""

import json
from pathlib import Path

import numpy as np
import pytest

import linattn_np as la
from linattn_np.experiments.studies.why_adam_wins import claims, curvature, figure, methods, noise, training
from linattn_np.measures.landscape import Objective
from linattn_np.optimizers import SGD, Adam, Newton
from linattn_np.training.runs import RunFolder

SHAPE = (3, 1, 2, 2, 2)
LOST, NOT_AGREED = 10, {"constant", "constant_one", "tight_swapped", "wide", "still"}
TINY = training.Size(steps=6, batch=8, batches=2, prompts=16, seeds=(3,), search=(1, 2))


def walk(optimizer, x, gradients):
    """The last params along given gradients."""
    state = optimizer.init(x)
    for g in gradients:
        x, state = optimizer.update(x, g, state)
    return x


def test_groups_by_hand():
    of = {by: methods.groups(by, SHAPE).reshape(3, 2, 4) for by in methods.SHARINGS}
    assert of["P and Q"].tolist() == [[[0] * 4, [1] * 4]] * 3
    assert of["last Q"][2, 1].tolist() == [1] * 4 and of["last Q"].sum() == 4
    assert np.bincount(of["random"].ravel()).tolist() == [8, 8, 8]
    assert not np.array_equal(methods.groups("random", SHAPE, 1), methods.groups("random", SHAPE))
    with pytest.raises(ValueError, match="by: expected one of 'P and Q', 'last Q', 'random', got 'rows'"):
        methods.groups("rows", SHAPE)


def test_adam_with_groups_of_its_own_is_between_one_scalar_and_a_coordinate_each():
    rng = np.random.default_rng(0)
    x, gradients = rng.standard_normal(SHAPE), rng.standard_normal((5, *SHAPE))
    end = walk(methods.Sharing(0.1, "last Q"), x, gradients)
    alone = walk(Adam(0.1, 0.9, 0.9, second_moment="global"), x[2:, :, 1:], gradients[:, 2:, :, 1:])
    assert end[2:, :, 1:] == pytest.approx(alone, abs=1e-14)
    assert np.abs(end - walk(Adam(0.1, 0.9, 0.9, second_moment="global"), x, gradients)).max() > 1e-3


def test_rotations_are_orthogonal_inside_their_blocks_and_adam_sees_them():
    rng = np.random.default_rng(1)
    x, gradients = rng.standard_normal(SHAPE), rng.standard_normal((5, *SHAPE))
    for by in methods.TURNS:
        R = methods.rotation(by, SHAPE, 5)
        assert np.abs(R @ R.T - np.eye(24)).max() < 1e-13 and not np.array_equal(R, methods.rotation(by, SHAPE, 6))
        turned = walk(Adam(0.1, 0.9, 0.9), R @ x.ravel(), gradients.reshape(5, 24) @ R.T)
        assert walk(methods.Turned(0.1, by, 5), x, gradients).ravel() == pytest.approx(R.T @ turned, abs=1e-13)
    outside = methods.rotation("blocks", SHAPE, 5) * (1 - np.kron(np.eye(6), np.ones((4, 4))))
    assert not outside.any() and np.count_nonzero(methods.rotation("everything", SHAPE, 5)) == 24 * 24


def test_layer_rates_and_clips_of_the_methods():
    made = {name: method.make(0.5, 7) for name, method in methods.METHODS.items()}
    assert made["SGD, rates 16^l"] == SGD(0.5, 0.9, (1, 16, 256)) and made["SGD, tight clip, rates 4^l"] == SGD(
        0.5, 0.9, (1, 4, 16)
    )
    assert made["SGD"] == made["SGD, tight clip"] == SGD(0.5, 0.9) and made["Adam"] == Adam(0.5, 0.9, 0.9)
    assert made["Adam, blocks turned"] == methods.Turned(0.5, "blocks", 7)
    of = lambda clip: {name for name, method in methods.METHODS.items() if method.clip == clip}
    assert of(0.001) == {"SGD, tight clip", "SGD, tight clip, rates 4^l"} and all("clip .01" in name for name in of(0.01))
    assert made["Newton"] == Newton(0.5, curvature.Curvature("hessian"), 0.9, 0.1, 0.9, 20)
    assert made["Gauss-Newton"].curvature.kind == "gauss_newton" and made["SGD, clip .01, swapped"].swapped


def test_equal_sharpness_by_hand():
    """Blocks of one number each: the rate is over the size of the curvature, exchanged only where both are above 0."""
    sizes = curvature.sharpness(np.diag([4.0, -8.0, 2.0, 0.0]), (2, 1, 2, 1, 1))
    assert sizes.ravel().tolist() == [4, 8, 2, 0] and sizes.shape == (2, 1, 2)
    assert curvature.exchanged(sizes).ravel().tolist() == [8, 4, 2, 0]
    assert np.isnan(curvature.sharpness(np.full((4, 4), np.nan), (2, 1, 2, 1, 1))).all()
    full = curvature.sharpness(np.array([[0, 2, 9, 9], [2, 0, 9, 9], [9, 9, 3, 0], [9, 9, 0, 1.0]]), (1, 1, 2, 1, 2))
    assert full.ravel() == pytest.approx([2, 3])  # what lies between blocks is left out


@pytest.mark.parametrize("swapped", [False, True])
def test_a_step_in_units_of_the_sharpness_which_is_measured_every_so_often(swapped):
    rng = np.random.default_rng(2)
    x, g = 0.3 * rng.standard_normal((3, 1, 2, 5, 5)), rng.standard_normal((3, 3, 1, 2, 5, 5))
    sizes = curvature.sharpness(curvature.objective().hessian(x), x.shape)
    assert sizes[2, 0, 0] == 0 and (np.delete(sizes.ravel(), 4) > 0).all()
    sizes = curvature.exchanged(sizes) if swapped else sizes
    rates = np.where(sizes > 0, 0.1 / np.where(sizes > 0, sizes, 1), 0)[..., None, None]
    wanted = x - rates * (g[0] + (0.9 * g[0] + g[1]))
    optimizer = curvature.Equalised(0.1, swapped, every=2)
    assert walk(optimizer, x, g[:2]) == pytest.approx(wanted, abs=1e-12)
    anew = curvature.sharpness(curvature.objective().hessian(wanted), x.shape)
    anew = curvature.exchanged(anew) if swapped else anew
    last = walk(optimizer, x, g)[0] - wanted[0]
    m = 0.81 * g[0, 0] + 0.9 * g[1, 0] + g[2, 0]
    assert last == pytest.approx(-0.1 * m / anew[0, :, :, None, None], abs=1e-12)


def test_the_curvatures_are_those_of_the_fixed_prompts():
    x = 0.3 * np.random.default_rng(3).standard_normal((3, 1, 2, 5, 5))
    prompts = la.RegressionTask().sample(256, np.random.default_rng([29, 7]))
    for kind in curvature.KINDS:
        assert np.array_equal(curvature.Curvature(kind)(x), getattr(Objective(prompts.Z, prompts.y), kind)(x))
    with pytest.raises(ValueError, match="kind: expected one of 'hessian', 'gauss_newton', got 'fisher'"):
        curvature.Curvature("fisher")


def test_gaussian_noise_has_the_mean_and_the_covariance_of_a_small_batch():
    """Groups of very unequal gradients: the mean stays; over many draws the covariance is a sixteenth of that of a group."""
    rng = np.random.default_rng(4)
    means = rng.standard_normal((noise.GROUPS, 3)) ** 3 + [1, 2, 3]
    assert np.array_equal(noise.noisy("real", means, rng), means[:16].mean(axis=0))
    assert np.array_equal(noise.noisy("none", means, rng), means.mean(axis=0))
    drawn = np.array([noise.noisy("Gaussian", means, rng) for _ in range(40_000)]) - means.mean(axis=0)
    wanted = np.cov(means.T) / 16
    assert np.cov(drawn.T) == pytest.approx(wanted, abs=0.04 * wanted.max())
    kurtosis = (drawn**4).mean(axis=0) / (drawn**2).mean(axis=0) ** 2
    assert kurtosis == pytest.approx(3 * np.ones(3), abs=0.2)
    with pytest.raises(ValueError, match="kind: expected one of 'real', 'Gaussian', 'none', got 'heavy'"):
        noise.noisy("heavy", means, rng)


def test_descent_under_a_noise_is_a_loop_of_clipped_steps_on_fresh_prompts():
    task, model = la.RegressionTask(), la.LinearTransformer()
    run = lambda kind, steps, rate=0.5, seed=3: noise.descend(kind, task, model, SGD(rate, 0.9), steps, 1, 1.0, seed)
    first = model.init_params(la.batches.generators(3, 1)[0], 0.05)
    one, two = run("real", 1), run("real", 2)
    assert 0 < la.optimizers.global_norm(one - first) <= 0.5 + 1e-12 and not np.array_equal(run("none", 1), one)
    later = two - one  # the second step has half the rate, and new prompts
    assert la.optimizers.global_norm(later) > 0 and np.isfinite(later).all()
    states = la.kernels.random_numpy.chunk_states(3, 1)
    drawn = [next(iter(model.passes(first).draw(task, [256], states))) for _ in range(2)]
    means = [model.passes(first).grouped_gradients(at, each, 1) for at, each in zip((first, one), drawn, strict=True)]
    g = [la.optimizers.clip(each[:16].mean(axis=0).reshape(first.shape), 1.0) for each in means]
    assert one == pytest.approx(first - 0.5 * g[0], abs=1e-12)
    half = first - 0.5 * g[0] - 0.5 * (0.9 * g[0] + g[1])  # steps = 2: the factors are 1 and 1/2
    assert two == pytest.approx(one + (half - one) / 2, abs=1e-12)
    assert not np.isfinite(run("Gaussian", 5, 1e200)).all()


def test_places_change_the_model_the_batch_and_the_momentum(monkeypatch):
    assert training.optimizer_of("no momentum", "SGD, rates 16^l", 0.5, 1) == SGD(0.5, 0.0, (1, 16, 256))
    assert training.optimizer_of("no momentum", "each layer", 0.5, 1) == Adam(0.5, 0.0, 0.9, second_moment="layer")
    assert training.optimizer_of("two heads", "Adam", 0.5, 1) == Adam(0.5, 0.9, 0.9)
    fields = lambda method: vars(training.optimizer_of("no momentum", method, 1.0, 1))
    assert all({"momentum", "beta1"} & set(fields(method)) for method in training.ASKED["no momentum"])
    assert training.rate_at("no momentum", "SGD", 1) == 4.48 and training.rate_at("no momentum", "Adam", 0) == 0.04
    assert round(training.PLACES["batch 1000"].batches * training.Size().batch) == 1000
    asked, train = [], training.train
    spied = lambda task, optimizer, steps, batch, **more: (
        asked.append((more["model"], steps, batch)) or train(task, optimizer, steps, batch, **more)
    )
    monkeypatch.setattr(training, "train", spied)
    places, losses = ("two heads", "n = 40, d = 8", "batch 1000", "full matrices", *training.NOISES), []
    for place in places:
        found = training.trained(place, "Adam", 0.01, 3, TINY)
        assert np.isfinite(found["loss"]) and np.isnan(found["lengths"]).any() == (place in training.NOISES)
        losses.append(found["loss"])
    assert len(set(map(float, losses))) == len(places)  # each noise is its own
    made = la.LinearTransformer
    assert asked == [(made(heads=2), 6, 8), (made(d=8), 6, 8), (made(), 6, 31), (made(full=True), 6, 8)]


def test_one_run_is_that_of_train_and_its_steps_are_in_units_of_a_constant_rate():
    size = TINY._replace(steps=40)
    found = training.trained("Setting 1", "SGD", 1e-6, 3, size)
    history = la.train(la.RegressionTask(), SGD(1e-6, 0.9), 40, 8, seed=3, schedule="linear", progress=False, record_every=1)
    tests = training.test_batches(la.RegressionTask(), 2, 16)
    assert found["loss"] == pytest.approx(
        np.median([la.loss(history.params, Z, y) for Z, y in (t[:2] for t in tests)]), rel=1e-12
    )
    lengths = [la.optimizers.global_norm(history.updates[t]) / (1 - t / 40) for t in range(8, 32)]
    assert found["lengths"] == pytest.approx(np.quantile(lengths, [0.5, 0.999]), rel=1e-9)
    lost = training.trained("Setting 1", "SGD, tight clip", 1e300, 3, TINY)
    assert lost["loss"] == np.inf and np.isnan(lost["lengths"]).all()


def test_the_search_looks_wide_and_walks_until_two_neighbours_on_each_side_are_worse(monkeypatch, tmp_path):
    """A bowl whose least lies at places 4 and -2 of two methods; nothing is run."""
    asked = []
    bowl = lambda place, method, rate, seed, size: (
        asked.append((method, rate, seed))
        or {
            "loss": np.array(
                np.exp((np.log(rate / training.rate_at(place, method, 4 if method == "SGD" else -2)) / np.log(1.4)) ** 2)
            )
        }
    )
    monkeypatch.setattr(training, "trained", bowl)
    monkeypatch.setitem(training.ASKED, "Setting 1", ("SGD", "Adam"))
    found = training.search(RunFolder(tmp_path), "Setting 1", TINY, False)
    assert training.best_rate(found["SGD"]) == training.rate_at("Setting 1", "SGD", 4) and list(found["SGD"]) == [
        f"{training.rate_at('Setting 1', 'SGD', k):g}" for k in (-4, -2, 0, 2, 3, 4, 5, 6)
    ]
    assert training.best_rate(found["Adam"]) == training.rate_at("Setting 1", "Adam", -2) and len(found["Adam"]) == 7
    assert len(asked) == 2 * (8 + 7) and {seed for _, _, seed in asked} == {1, 2}
    assert training.search(RunFolder(tmp_path), "Setting 1", TINY._replace(search=()), False) == {
        "SGD": {"0.32": 0.0},
        "Adam": {"0.04": 0.0},
    }
    assert training.wanted({11: 3.0, 12: 1.0}) == [10, 11] and set(training.Size().search).isdisjoint(training.Size().seeds)


def test_the_readers_read_ratios_of_the_same_seed_and_count_what_is_lost():
    each = lambda rate, loss: {"rate": rate, "loss": loss, "lengths": [[0.5, 4.0]] * len(loss)}
    numbers = {"places": {"Setting 1": {"methods": {"SGD": each(0.3, [4.0, None, 9.0]), "Adam": each(0.04, [2.0, 1.0, 3.0])}}}}
    found = claims.ratio(numbers, "Setting 1", "SGD", "Adam")
    assert np.array_equal(np.array(found["each_seed"], float), [2.0, np.nan, 3.0], equal_nan=True) and found["median"] == 2.5
    said = claims.lost_in_words(numbers, "Setting 1", "SGD", "Adam")
    assert said == "SGD 9 at rate 0.3, 2 of 3 lost; Adam 2 at rate 0.04"  # 9 is worse than answering 0
    assert claims.lengths(numbers, "SGD")["median"] == 8.0
    numbers["places"] |= {place: {"methods": {"SGD": each(1, [8.0 * k, 8.0, 6.0]), "Adam": each(1, [2.0, None, 3.0])}}
                          for k, place in ((2, "Gaussian noise"), (1, "noise of 64 prompts"))}  # fmt: skip
    assert claims.widening(numbers, "Gaussian noise")["each_seed"][::2] == [2.0, 1.0]
    asked = [(row.where, row.values.keywords) for row in claims.ROWS if "place" in row.values.keywords]
    wanted = {(where, by[name]) for where, by in asked for name in ("method", "over")}
    assert len(asked) == len(claims.ROWS) - 3
    assert all(method in training.ASKED[place] for place, method in wanted) and figure.number(np.inf) is None


def test_labels_of_a_logarithmic_axis_stay_apart():
    for last, wanted in ((3e-3, ["0.0005", "0.001", "0.002"]), (10.0, ["0.001", "0.01", "0.1", "1"])):
        plot, axes = la.plotting.new_figure()
        axes[0, 0].set(xscale="log", xlim=(4e-4, last))
        la.plotting.plain_ticks(axes[0, 0])
        plot.draw_without_rendering()
        shown = [tick.get_text() for tick in axes[0, 0].get_xticklabels() if 4e-4 <= float(tick.get_text()) <= last]
        assert shown[: len(wanted)] == wanted


FIGURE = Path(__file__).parents[1] / "figures" / "why_adam_wins.json"


def test_what_the_committed_figure_says():
    """Eight seeds that no search saw; runs are lost by rates of curvature and Gauss-Newton alone; what fails is named."""
    numbers = json.loads(FIGURE.read_text())
    assert numbers["scale"]["name"] == "paper" and len(numbers["seeds_used"]) == 8
    assert set(numbers["seeds_used"]).isdisjoint(numbers["seeds_of_the_search"])
    every = [found for place in numbers["places"].values() for found in place["methods"].values()]
    assert len(every) == sum(map(len, training.ASKED.values())) and all(len(found["loss"]) == 8 for found in every)
    lost = {(place, m): claims.gone(numbers, place, m) for place, methods in training.ASKED.items() for m in methods}
    assert sum(lost.values()) == LOST and not any(count for (place, m), count in lost.items() if place != "Setting 1")
    assert all("sharp" in m or "swapped" in m or m == "Gauss-Newton" for (_, m), count in lost.items() if count)
    edges = [(place, m) for place, at in numbers["places"].items() for m, found in at["methods"].items() if found["at_the_edge"]]
    assert edges == []
    verdicts = {claim.id.partition(".")[2]: claim.rule.verdict(claim.values(numbers)) for claim in claims.CLAIMS}
    assert {name for name, verdict in verdicts.items() if verdict != "agrees"} == NOT_AGREED
