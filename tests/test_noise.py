"""Gradient noise: its statistics worked by hand, its norms against brute force, its bits whatever the number of threads."""

import tracemalloc

import numpy as np
import pytest
from points import fresh, model_point, relative

import linattn_np as la
from linattn_np.batches import CHUNK
from linattn_np.kernels import linear as kernels
from linattn_np.kernels.random_numpy import chunk_states
from linattn_np.layers import gram
from linattn_np.measures import noise
from linattn_np.models.model import passes_of

HEAVY = la.RegressionTask(n=7, d=5, covariates="gamma")
GAUSSIAN = la.RegressionTask(n=7, d=5)


def model_for(attention, backend):
    return la.LinearTransformer(5, 2, attention=attention, backend=backend)


def params_for(task, seed=3):
    return la.init_params(np.random.default_rng(seed), 2, task.d, 1, 0.3)


@pytest.fixture(autouse=True)
def threads_as_before():
    yield
    la.kernels.set_threads(None)


# ---------------------------------------------------------------- worked by hand


def test_moments_by_hand():
    x = np.array([1.0, 1.0, 1.0, 5.0])  # mean 2, deviations -1 -1 -1 3: m2 = 3, m3 = 6, m4 = 21
    assert noise.skewness(x) == pytest.approx(2 / np.sqrt(3), rel=1e-14)
    assert noise.excess_kurtosis(x) == pytest.approx(-2 / 3, rel=1e-14)


def test_hill_by_hand():
    x = np.array([2.0, 8.0, 1.0, 4.0])  # the two largest over the third: log 4 and log 2
    assert noise.hill(x, 2) == pytest.approx(2 / np.log(8), rel=1e-14)
    assert noise.hill(x, 1) == pytest.approx(1 / np.log(2), rel=1e-14)
    assert noise.hill(np.array([3.0, 3.0, 3.0]), 1) == np.inf


def test_tail_ratio_and_quantiles_by_hand():
    assert noise.tail_ratio(np.arange(1001.0)) == pytest.approx(999 / 500, rel=1e-14)
    normal, ours = noise.qq_normal(np.array([4.0, 0.0]), points=3)  # standardized: -1 and 1
    assert normal == pytest.approx([-0.9674215661, 0.0, 0.9674215661], abs=1e-9)
    assert ours == pytest.approx([-2 / 3, 0.0, 2 / 3])


def test_mode_finds_the_peak():
    x = np.random.default_rng(5).gamma(9.0, size=20_000)  # density ~ x^8 exp(-x): mode 8
    assert noise.mode(x) == pytest.approx(8.0, abs=0.25)
    assert noise.mode(np.array([2.0, 2.0, 2.0])) == 2.0  # no width: the median


def test_statistics_names_what_it_holds():
    x = np.random.default_rng(1).standard_exponential(601)
    found = noise.statistics(x, ks=(50, 600, 601))
    assert found["hill"] == {"50": noise.hill(x, 50), "600": noise.hill(x, 600)}
    assert (found["minimum"], found["maximum"]) == (x.min(), x.max())
    assert found["quantiles"]["0.5"] == np.median(x) and found["p99.9_over_p50"] == noise.tail_ratio(x)
    assert found["skewness"] == noise.skewness(x) and found["excess_kurtosis"] == noise.excess_kurtosis(x)


# ---------------------------------------------------------------- invariants and laws


def test_statistics_do_not_see_the_unit():
    x = np.random.default_rng(2).gamma(1.3, size=997)
    for statistic in (noise.skewness, noise.excess_kurtosis, noise.tail_ratio, lambda x: noise.hill(x, 31)):
        assert statistic(7.0 * x) == pytest.approx(statistic(x), rel=1e-9)
    assert noise.skewness(-x) == pytest.approx(-noise.skewness(x), rel=1e-9)
    assert noise.mode(7.0 * x) == pytest.approx(7.0 * noise.mode(x), rel=1e-9)


def test_hill_finds_a_power_law():
    x = np.random.default_rng(3).pareto(2.5, size=100_000) + 1.0
    assert noise.hill(x, 1000) == pytest.approx(2.5, abs=5 * 2.5 / np.sqrt(1000))  # its standard error is a / sqrt(k)


def test_gaussian_control_has_its_law():
    rng = np.random.default_rng(4)
    x = noise.gaussian_norms(np.array([9.0]), 20_011, rng)  # |N(0, 9)|
    assert x.mean() == pytest.approx(3 * np.sqrt(2 / np.pi), abs=5 * 3 * 0.603 / np.sqrt(len(x)))
    variances = np.array([1.0, 4.0, 0.0, 0.25])
    squares = noise.gaussian_norms(variances, 20_011, rng) ** 2
    assert squares.mean() == pytest.approx(5.25, abs=5 * np.sqrt(2 * (variances**2).sum() / len(squares)))
    few, many = noise.gaussian_norms(np.ones(2), 9_973, rng), noise.gaussian_norms(np.ones(150), 9_973, rng)
    assert noise.skewness(few) > 0.4 > 0.15 > noise.skewness(many)  # skewed without any heavy tail, when few directions count


def test_controls_carry_the_noise_energy():
    found = noise.measure_noise(params_for(GAUSSIAN), GAUSSIAN, 5, 311, np.random.default_rng(0))
    energy = (found.norms**2).mean()
    assert found.diagonal.sum() == pytest.approx(energy, rel=1e-12) and found.spectrum.sum() == pytest.approx(energy, rel=1e-9)
    assert found.moment.shape == (100, 100) and np.all(found.diagonal[50:75] == 0.0)  # the last layer's P never moves


def test_noise_falls_with_the_root_of_the_batch():
    x = la.init_params(np.random.default_rng(3), 1, 5, 1, 0.3)  # one layer: the variance is that of a polynomial of low degree
    exact = noise.gradient_mean(x, GAUSSIAN, 400_000, np.random.default_rng(9))

    def energy(batch):
        found = noise.measure_noise(x, GAUSSIAN, batch, 3000, np.random.default_rng(batch), reference=exact)
        return (found.norms**2).mean()

    assert energy(50) / energy(200) == pytest.approx(4.0, rel=0.15)


def test_one_prompt_is_noisier_in_the_tail_than_many():
    x = params_for(GAUSSIAN)
    one, many = (noise.gradient_noise(x, GAUSSIAN, b, 2000, np.random.default_rng(0)) for b in (1, 1000))
    assert noise.tail_ratio(one) > 2 * noise.tail_ratio(many)
    assert noise.hill(one, 50) < noise.hill(many, 50)


# ---------------------------------------------------------------- exact against brute force


@pytest.mark.parametrize("layers, heads, full", [(1, 1, True), (2, 3, False), (3, 2, True)])
@pytest.mark.parametrize("size", [1, 5, 16, 37])
def test_grouped_gradients_equal_numpy(layers, heads, full, size):
    params, Z, y = model_point(layers, heads, full, batch=37, d=4 if full else 5, n=11)
    ours = kernels.grouped_gradients(params, kernels.lanes_from_tokens(Z, y), size)
    by_numpy = passes_of(la.LinearTransformer(Z.shape[2] - 1, layers, heads, full, backend="numpy"))
    wanted = by_numpy.grouped_gradients(params, (gram.compress(Z), y), size)
    assert ours.shape == (37 // size, params.size)
    assert relative(ours, wanted) < 1e-12


@pytest.mark.parametrize("attention, backend", [("linear", "numba"), ("linear", "numpy"), ("softmax", "numpy")])
def test_norms_equal_brute_force(attention, backend):
    x, batch, draws = params_for(HEAVY), 13, 5
    seeds = np.random.default_rng(17).integers(2**63, size=2).tolist()
    ours = noise.gradient_noise(x, HEAVY, batch, draws, np.random.default_rng(17), model_for(attention, backend))

    reference = la.loss_and_grad(x, *fresh(HEAVY, [256] * 5 + [20], chunk_states(seeds[0], 8)), attention, "numpy")[1]
    Z, y = fresh(HEAVY, [draws * batch], chunk_states(seeds[1], 1))
    for k in range(draws):
        part = slice(k * batch, (k + 1) * batch)
        wanted = np.linalg.norm(la.loss_and_grad(x, Z[part], y[part], attention, "numpy")[1] - reference)
        assert ours[k] == pytest.approx(wanted, rel=1e-11)


def test_gaussian_states_give_the_same_noise_by_numpy():
    x = params_for(GAUSSIAN)
    by_numba = noise.gradient_noise(x, GAUSSIAN, 7, 11, np.random.default_rng(1))
    by_numpy = noise.gradient_noise(x, GAUSSIAN, 7, 11, np.random.default_rng(1), model_for("linear", "numpy"))
    assert by_numba == pytest.approx(by_numpy, rel=1e-11)


def test_a_large_batch_is_the_mean_of_chunks_that_no_other_batch_uses():
    x, sizes, draws = params_for(HEAVY), (256, 256, 101), 5  # 15 chunks: the eight states take turns
    ours = noise.measure_noise(x, HEAVY, sum(sizes), draws, np.random.default_rng(23), reference=np.zeros(x.size)).norms
    seed = int(np.random.default_rng(23).integers(2**63, size=2)[1])
    Z, y = fresh(HEAVY, sizes * draws, chunk_states(seed, noise.SIDE_BY_SIDE))
    gradients = [
        la.loss_and_grad(x, *batch, backend="numpy")[1] for batch in zip(np.split(Z, draws), np.split(y, draws), strict=True)
    ]
    assert ours == pytest.approx([np.linalg.norm(g) for g in gradients], rel=1e-11)


# ---------------------------------------------------------------- determinism and memory


@pytest.mark.parametrize("task", [GAUSSIAN, HEAVY])
@pytest.mark.parametrize("batch, draws", [(1, 5003), (37, 211), (600, 7)])
def test_threads_do_not_change_a_bit(task, batch, draws):
    found = []
    for threads in (1, 2, 4):
        la.kernels.set_threads(threads)
        found.append(noise.gradient_noise(params_for(task), task, batch, draws, np.random.default_rng(6)))
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
    assert len(np.unique(found[0])) > 0.9 * draws  # no batch is drawn twice; tiny covariates can give equal norms
    assert not np.array_equal(found[0], noise.gradient_noise(params_for(task), task, batch, draws, np.random.default_rng(7)))


def test_memory_does_not_grow_with_draws():
    la.kernels.set_threads(1)

    def peak(draws):
        tracemalloc.start()
        noise.gradient_noise(params_for(GAUSSIAN), GAUSSIAN, 10, draws, np.random.default_rng(0))
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    waves = noise.SIDE_BY_SIDE * (CHUNK // 10)
    peak(2 * waves)
    assert peak(62 * waves) - peak(2 * waves) < 8 * 60 * waves + 100_000  # what is returned, and small change


# ---------------------------------------------------------------- bad input


def at(params=None, task=GAUSSIAN, batch=5, draws=5, rng=None, **more):
    """A call whose other arguments are good."""
    params = params_for(GAUSSIAN) if params is None else params
    return noise.measure_noise(params, task, batch, draws, np.random.default_rng() if rng is None else rng, **more)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: at(batch=0), "batch: expected an integer"),
        (lambda: at(draws=0), "draws: expected an integer"),
        (lambda: at(rng=7), "rng: expected a numpy.random.Generator"),
        (lambda: at(task="setting1"), "task: expected a RegressionTask"),
        (lambda: at(np.zeros((2, 1, 2, 7, 7))), "params: expected k = d = 5"),
        (lambda: at(model="linear"), "model: expected an instance with init_params, as_params and loss_and_grad, got 'linear'"),
        (lambda: at(reference=np.zeros(3)), "reference: expected shape"),
        (lambda: noise.hill(np.ones(5), 5), "k: expected less than len"),
        (lambda: noise.hill(np.array([2.0, 0.0, 1.0]), 2), "x: expected its 3 largest"),
        (lambda: noise.skewness(np.ones((2, 3))), "x: expected 1 axes"),
        (lambda: noise.tail_ratio(np.array([1.0])), "x: expected at least 2"),
        (lambda: noise.gaussian_norms(np.array([-1.0]), 5, np.random.default_rng()), "variances: expected numbers of at least 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_constant_has_no_skewness():
    assert np.isnan(noise.skewness(np.full(5, 3.0)))
