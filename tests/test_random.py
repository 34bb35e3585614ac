"""Random numbers in lanes: their bits, the two twins, the errors that are stated, and whether they have the laws they should."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from randomness import (
    FREEDOMS,
    NormalQuestions,
    anderson_darling_p,
    kolmogorov_smirnov_p,
    of_gamma,
    of_normal,
    two_sided,
    variance_p,
)

import linattn_np as la
from linattn_np.batches import can_draw_states
from linattn_np.kernels import random, random_numpy
from linattn_np.kernels.interpreter import LANES

TOO_RARE = 1e-6
ROWS = 65_000  # of a block: 4 million numbers
SHAPES = [0.05, 0.1, 0.5, 0.999, 1.0, 1.5, 2.5, 8.0, 9.5, 10.0, 100.0]


def source(seed, rows=ROWS):
    """A function that gives block after block of the compiled normals."""
    state, out = random.lane_states(seed, 0), np.empty((rows, LANES))

    def draw():
        random.fill_normals(state, out)
        return out

    return draw


def gammas(state, shapes):
    """The compiled gamma numbers, (len(shapes), LANES)."""
    out = np.empty((len(shapes), LANES))
    random.fill_gammas(state, np.array(shapes, float), out, np.empty((2, LANES)))
    return out


def answers(draw):
    questions = NormalQuestions()
    questions.take(draw())
    return questions.p_values()


# ---------------------------------------------------------------- bits, twins, stated errors


def test_bits_are_those_of_the_published_generator():
    state = np.array([[1], [2], [3], [4]], np.uint64)  # the first numbers of the authors' C program from this state
    wanted = [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205, 9973669472204895162]
    assert [int(random_numpy.next_bits(state)[0]) for _ in wanted] == wanted


def test_each_lane_is_a_stream_of_its_own():
    state = random.lane_states(3, 5)
    alone, together = state[:, 7:8].copy(), random_numpy.normals(state, 11)
    assert np.array_equal(random_numpy.normals(alone, 11)[:, 0], together[:, 7])


@pytest.mark.parametrize("rows", [1, 2, 7, 40])
def test_normals_have_the_bits_of_their_definition(rows):
    ours, wanted, out = random.lane_states(1, 2), random_numpy.lane_states(1, 2), np.empty((rows, LANES))
    random.fill_normals(ours, out)
    assert np.array_equal(out, random_numpy.normals(wanted, rows)) and np.array_equal(ours, wanted)


@pytest.mark.parametrize("shapes", [[1e-4], SHAPES, [0.3] * 101], ids=str)
def test_gammas_have_the_bits_of_their_definition(shapes):
    ours, wanted = random.lane_states(1, 2), random_numpy.lane_states(1, 2)
    assert np.array_equal(gammas(ours, shapes), random_numpy.gammas(wanted, shapes)) and np.array_equal(ours, wanted)


def test_a_lane_that_draws_again_does_not_move_the_others():
    together = random_numpy.gammas(random.lane_states(3, 5), [0.4] * 97)
    for lane in (0, 7, 63):
        alone = random.lane_states(3, 5)[:, lane : lane + 1].copy()
        assert np.array_equal(random_numpy.gammas(alone, [0.4] * 97)[:, 0], together[:, lane])


def test_normals_from_a_generator_are_made_of_its_bits():
    ours, words = np.random.default_rng(3), np.random.default_rng(3).integers(2**64, size=(2, 5), dtype=np.uint64)
    wanted = np.concatenate(random_numpy.normal_pairs(*words))
    assert np.array_equal(random_numpy.normals_from(ours, (3, 3)), wanted[:9].reshape(3, 3))
    x = random_numpy.normals_from(ours, (40_001,))
    assert min(kolmogorov_smirnov_p(of_normal(x)), two_sided(x.mean() * math.sqrt(x.size))) > TOO_RARE


def test_seeds_and_chunks_give_different_states_and_lanes_too():
    states = [random.lane_states(seed, chunk) for seed in (0, 1, 2**70) for chunk in (0, 1, 1000)]
    words = np.concatenate([state.ravel() for state in states])
    assert len(set(words.tolist())) == len(words)
    assert np.array_equal(states[0], random.lane_states(0, 0))


def test_uniforms_are_never_0_or_1_and_symmetric():
    least, most = random_numpy.uniforms(np.array([0, 2**64 - 1], np.uint64))
    assert least == 2.0**-53 and most == 1 - 2.0**-53 and random.uniform(np.uint64(0)) == least
    assert random.normal_pair(np.uint64(0), np.uint64(0))[0] < math.sqrt(106 * math.log(2)) < 8.58


def test_polynomials_are_right_to_the_stated_error():
    rng, exact = np.random.default_rng(0), np.longdouble
    u = np.concatenate(
        [rng.random(20_000), 2.0 ** -np.arange(1, 54), 1 - 2.0 ** -np.arange(2, 54), [math.sqrt(0.5)], rng.random(99) * 50]
    )
    assert np.abs(random_numpy.log(u) / np.log(u.astype(exact)) - 1).max() < 4e-16
    t = rng.random(20_000) - 0.5
    angle = t.astype(exact) * (exact(np.pi) + exact(1.2246467991473531772e-16)) / 2
    assert np.abs(t * random_numpy.polynomial(random_numpy.SIN, t * t) / np.sin(angle) - 1).max() < 4e-16
    assert np.abs(random_numpy.polynomial(random_numpy.COS, t * t) / np.cos(angle) - 1).max() < 4e-16
    y = -707.9 * rng.random(20_000)
    assert np.abs(random_numpy.exp(y) / np.exp(y.astype(exact)) - 1).max() < 4e-16
    assert np.array_equal(random_numpy.exp(np.array([0.0, -709.0, -np.inf])), [1.0, 0.0, 0.0])


def test_bits_do_not_depend_on_the_vector_unit():
    code = (
        "import hashlib, numpy as np; from linattn_np.kernels import random as r; state, x, g = r.lane_states(4, 1), "
        "np.empty((31, 64)),np.empty((31, 64)); r.fill_normals(state, x); r.fill_gammas(state, np.full(31, 0.3), g, np.empty((2, "
        "64))); print(hashlib.sha256(x.tobytes() + g.tobytes()).hexdigest())"
    )
    hashes = set()
    for extra in ({}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}):
        run = subprocess.run([sys.executable, "-c", code], env={**os.environ, **extra}, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        hashes.add(run.stdout)
    assert len(hashes) == 1


def test_the_definition_needs_no_numba():
    code = (
        "import sys; sys.modules['numba'] = None; from linattn_np.kernels import random_numpy as r; "
        "print(r.normals(r.lane_states(0, 0), 1).sum())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    wanted = random_numpy.normals(random_numpy.lane_states(0, 0), 1).sum()
    assert run.returncode == 0 and float(run.stdout) == wanted, run.stderr


def test_wrong_shapes_and_arguments_are_errors():
    state = random.lane_states(0, 0)
    with pytest.raises(ValueError, match=r"an array to fill of shape \(rows, LANES\)"):
        random.fill_normals(state, np.empty((2, LANES - 1)))
    for shape in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="shapes: expected positive finite numbers"):
            gammas(state, [1.0, shape])
        with pytest.raises(ValueError, match="shapes: expected"):
            random_numpy.gammas(state, [1.0, shape])
    with pytest.raises(ValueError, match="seed: expected"):
        random.lane_states(-1, 0)


# ---------------------------------------------------------------- laws


def test_normals_pass_every_question():
    found = answers(source(20))
    assert min(found.values()) > TOO_RARE, found
    assert variance_p(source(21, 1000), 2400) > TOO_RARE  # 1.5e8 numbers


def test_lanes_that_are_shifted_copies_are_rejected():
    def draw():
        long = source(20)()[:, 3]  # lane j is lane 0, 13 j numbers later
        return np.stack([long[13 * j : 13 * j + 40_000] for j in range(LANES)], axis=1)

    assert answers(draw)["cross-lane correlation"] < TOO_RARE


def test_a_tail_cut_at_4_sigma_is_rejected():
    def draw():
        x = source(20)()
        return np.where(np.abs(x) > 4, np.roll(x, 1, axis=0), x)

    found = answers(draw)
    assert found["beyond 4 sigma"] < TOO_RARE < found["Kolmogorov-Smirnov"]  # a test of the whole law does not see it


def test_a_variance_off_by_a_thousandth_is_rejected():
    draw = source(21, 1000)
    assert variance_p(lambda: draw() * math.sqrt(1.001), 2400) < TOO_RARE


@pytest.mark.parametrize("shape", SHAPES)
def test_gammas_have_their_law(shape):
    x = gammas(random.lane_states(30, 0), [shape] * 3125).ravel()
    u = of_gamma(x[:40_000], shape)
    assert min(kolmogorov_smirnov_p(u), anderson_darling_p(u)) > TOO_RARE
    assert two_sided((x.mean() - shape) / math.sqrt(shape / x.size)) > TOO_RARE
    fourth = 3 * shape**2 + 6 * shape
    assert two_sided(((x - shape) ** 2 - shape).mean() / math.sqrt((fourth - shape**2) / x.size)) > TOO_RARE
    wrong = of_gamma(x[:40_000], shape * 1.05)
    assert min(kolmogorov_smirnov_p(wrong), anderson_darling_p(wrong)) < TOO_RARE


def test_chis_have_their_law_for_every_n_minus_j_in_use():
    drawn = gammas(random.lane_states(31, 0), [freedom / 2 for freedom in FREEDOMS for _ in range(313)]).reshape(-1, 313 * LANES)
    for freedom, squares in zip(FREEDOMS, drawn, strict=True):
        u = of_gamma(squares, freedom / 2)
        assert min(kolmogorov_smirnov_p(u), anderson_darling_p(u)) > TOO_RARE, freedom
        x = np.sqrt(2 * squares).reshape(-1, LANES)
        for array in (x, x.T):  # neighbours across lanes, and in a lane
            serial = array.ravel() - array.mean()
            assert two_sided((serial[1:] @ serial[:-1]) / (serial @ serial) * math.sqrt(x.size)) > TOO_RARE, freedom
    assert kolmogorov_smirnov_p(2 * of_normal(np.sqrt(2 * drawn[0])) - 1) > TOO_RARE  # chi(1): the length of one normal
    wrong = of_gamma(drawn[-1], (FREEDOMS[-1] - 1) / 2)
    assert min(kolmogorov_smirnov_p(wrong), anderson_darling_p(wrong)) < TOO_RARE  # the hardest to tell from its neighbour


def test_no_task_draws_a_chi_that_is_not_tested():
    tasks = [setting.task for setting in la.papers.maybe_all_you_need.SETTINGS.values()] + [la.RegressionTask(n=60, d=20)]
    used = {task.n - j for task in tasks if can_draw_states(task) for j in range(min(task.n, task.d))}
    assert len(used) > 20 and used <= set(FREEDOMS)
