"""Prompts drawn in lanes: the two twins, their law, places that are left over, and tasks with a law of their own."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from randomness import two_sided

import linattn_np as la
from linattn_np import batches
from linattn_np.kernels import draws, draws_numpy, linear
from linattn_np.kernels.random_numpy import chunk_states, lane_states
from linattn_np.layers import gram
from linattn_np.models.composed import Composed
from linattn_np.models.fresh import fresh_prompts, is_drawn_in_lanes
from linattn_np.models.model import Passes, passes_of
from linattn_np.training.batch_gradient import BatchGradient

TOO_RARE = 1e-6
COVARIANCE = np.array([[2.0, 0.5, -0.3], [0.5, 1.0, 0.2], [-0.3, 0.2, 0.7]])
TASKS = {
    "gaussian": la.RegressionTask(n=7, d=5), "few examples": la.RegressionTask(n=3, d=5),
    "one covariate": la.RegressionTask(n=2, d=1),
    "sphere": la.RegressionTask(n=7, d=3, covariates="sphere"), "gamma": la.RegressionTask(n=7, d=3, covariates="gamma"),
    "noisy": la.RegressionTask(n=7, d=3, label_noise=0.7), "covariance": la.RegressionTask(n=7, d=3, covariance=COVARIANCE),
    "everything": la.RegressionTask(n=5, d=3, covariates="gamma", gamma_shape=2.5, covariance=COVARIANCE, label_noise=0.3),
    "nonlinear": la.NonlinearTask(n=5, d=3, hidden=11, covariates="sphere"),
    "given network": la.NonlinearTask(n=5, d=3, hidden=2,
                                      network=([[0.1, 0.2, -0.3], [0, 0.5, 0.4]], [0.7, -1], [[0.2, 0], [0.1, -0.3], [0.3, 0.5]],
                                               [0, 0.1, 0.2])),
}  # fmt: skip


# ---------------------------------------------------------------- the twins


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("batch", [1, 64, 131])
def test_compiled_prompts_have_the_bits_of_their_definition(name, batch):
    ours, wanted = lane_states(3, 1), lane_states(3, 1)
    for _ in range(2):  # the second time the states have moved
        compiled, defined = draws.prompts(TASKS[name], batch, ours), draws_numpy.prompts(TASKS[name], batch, wanted)
        if isinstance(TASKS[name], la.NonlinearTask):  # a network's sums have no order in NumPy
            assert np.abs(compiled.Z - defined.Z).max() < 1e-14
            assert np.abs(compiled.y - defined.y).max() < 1e-14
        else:
            assert np.array_equal(compiled.Z, defined.Z) and np.array_equal(compiled.y, defined.y)
        assert np.array_equal(ours, wanted)


def defined_states(task, batch, state):
    """States and labels by the NumPy definition."""
    if batches.can_draw_states(task):
        return draws_numpy.states(task, batch, state)
    Z, y = draws_numpy.prompts(task, batch, state)
    return gram.compress(Z), y


@pytest.mark.parametrize("name", TASKS)
def test_compiled_states_are_those_of_the_definition_and_places_left_over_hold_zeros(name):
    task, batch = TASKS[name], 131
    lanes = linear.drawn_lanes(task, batch, lane_states(3, 1))
    state, y = defined_states(task, batch, lane_states(3, 1))
    assert lanes.n == state.n == task.n
    D = task.d + 1
    for ours, wanted, shape in ((lanes.G, state.G, (D, D)), (lanes.z, state.z, (D,)), (lanes.y, y, ())):
        by_prompt = np.moveaxis(ours, -1, 1).reshape(-1, *shape)
        assert by_prompt[:batch] == pytest.approx(wanted, rel=1e-13, abs=1e-13)
        assert len(by_prompt) == 192 and not by_prompt[batch:].any()


@pytest.mark.parametrize("full, heads", [(False, 2), (True, 1)])
@pytest.mark.parametrize("name", ["gaussian", "few examples", "everything", "nonlinear"])
@pytest.mark.parametrize("batch", [5, 300])
def test_the_one_compiled_call_gives_the_gradient_on_the_prompts_it_says(full, heads, name, batch):
    task = TASKS[name]
    params = la.init_params(np.random.default_rng(1), 2, task.d, heads, 0.3, full)
    gradient = BatchGradient(la.LinearTransformer(task.d, 2, heads, full), task, batch, seed=8)
    states = chunk_states(8, len(gradient.sizes))
    for _ in range(2):
        value, grad = gradient(params)
        drawn = [defined_states(task, *each) for each in zip(gradient.sizes, states, strict=True)]
        G, z, y = (np.concatenate(arrays) for arrays in zip(*((X.G, X.z, y) for X, y in drawn), strict=True))
        wanted = la.stack.loss_and_grad_by(gram, params, gram.State(G, z, task.n), y, task.d + 1)
        assert value == pytest.approx(wanted[0], rel=1e-12)
        assert grad == pytest.approx(wanted[1], rel=1e-10, abs=1e-12 * np.abs(wanted[1]).max())
    assert np.array_equal(gradient.states, states)


MODELS = {
    "linear": la.LinearTransformer(5, 2),
    "linear, full": la.LinearTransformer(5, 1, 2, True),
    **{
        f"{kind} L={layers} H={heads} k={5 + full}": la.LinearTransformer(5, layers, heads, full, attention=kind)
        for kind in ("softmax", "relu")
        for layers, heads, full in ((1, 1, False), (2, 2, False), (3, 1, True), (1, 2, True))
    },
    "network": Composed(5, 7, 2),
    "network, two heads": Composed(5, 3, 1, 2),
}
LAWS = {
    "gaussian": la.RegressionTask(n=20), "gamma": la.RegressionTask(n=3, covariates="gamma", label_noise=0.2),
    "sphere": la.RegressionTask(n=4, covariates="sphere"), "network": la.NonlinearTask(n=4, hidden=6),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("sizes", [(37,), (256, 1), (129, 64, 200)])
def test_prompts_used_in_the_lanes_where_they_are_drawn_give_the_bits_of_prompts_in_arrays(name, law, sizes):
    passes, task, m = passes_of(MODELS[name]), LAWS[law], 3
    points = np.stack([passes.model.init_params(np.random.default_rng(i), 0.3) for i in range(m)])
    lanes, arrays = chunk_states(6, len(sizes)), chunk_states(6, len(sizes))
    before = np.random.default_rng(9).standard_normal((len(sizes), m, 1 + points[0].size))  # sums are added to what is there
    ours, wanted, alone = before.copy(), before.copy(), before.copy()
    for i in range(m):
        passes.drawing_adder(task)(points[i : i + 1], np.array(sizes), chunk_states(6, len(sizes)), alone[:, i : i + 1])
    passes.drawing_adder(task)(points, np.array(sizes), lanes, ours)
    Passes.drawing_adder(passes, task)(points, np.array(sizes), arrays, wanted)
    assert np.array_equal(ours, wanted) and np.array_equal(ours, alone) and np.array_equal(lanes, arrays)
    plain = passes_of(replace(passes.model, backend="numpy"))
    for size, batch, change in zip(sizes, plain.draw(task, sizes, chunk_states(6, len(sizes))), ours - before, strict=True):
        value, grad = plain.loss_and_grad(points[1], batch)
        assert change[1] / size == pytest.approx(np.append(value, grad.ravel()), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("sizes", [(256, 256, 44), (131,), (100,) * 9 + (7, 200)])
def test_chunks_that_are_drawn_together_are_those_drawn_alone(sizes):
    together, alone = chunk_states(2, len(sizes)), chunk_states(2, len(sizes))
    for drawn, size, state in zip(draws_numpy.prompts_of_chunks(TASKS["gamma"], sizes, together), sizes, alone, strict=True):
        wanted = draws.prompts(TASKS["gamma"], size, state)
        assert np.array_equal(drawn.Z, wanted.Z) and np.array_equal(drawn.y, wanted.y)
    assert np.array_equal(together, alone)


def test_lanes_draw_the_same_however_many_lie_beside_them():
    wide = lane_states(3, 1)
    narrow = wide[:, 5:18].copy()
    some, all_of_them = (draws_numpy.prompts(TASKS["gamma"], lanes, state) for lanes, state in ((13, narrow), (64, wide)))
    assert np.array_equal(some.Z, all_of_them.Z[5:18]) and np.array_equal(narrow, wide[:, 5:18])


# ---------------------------------------------------------------- the law


def means_are(samples, wanted):
    """Each column's mean is what is wanted, as far as so many samples can tell."""
    error = samples.std(axis=0) / np.sqrt(len(samples))
    return min(two_sided(z) for z in np.atleast_1d((samples.mean(axis=0) - wanted) / error)) > TOO_RARE


@pytest.mark.parametrize("n", [3, 20])
def test_drawn_states_have_the_moments_of_the_wishart_law(n):
    d, count = 5, 20_032
    lanes = linear.drawn_lanes(la.RegressionTask(n=n, d=d), count, lane_states(40, n))
    G, z, y = (np.moveaxis(a, -1, 1).reshape(count, *a.shape[1:-1]) for a in (lanes.G, lanes.z, lanes.y))
    S, s, c, x = G[:, :d, :d], G[:, :d, d], G[:, d, d], z[:, :d]
    eye, square = np.eye(d), S @ S
    assert means_are(S.reshape(count, -1)[:, np.triu(eye + 1).ravel() > 0], (n * eye)[np.triu_indices(d)])
    assert means_are(square.reshape(count, -1), (n * (n + d + 1) * eye).ravel())  # (1.9)
    assert means_are(S[:, 0, 0] * S[:, 4, 4], n**2) and means_are(S[:, 0, 4] ** 2, n)
    if n >= d:
        assert means_are(np.linalg.det(S), np.prod(n - np.arange(d)))  # a chi-square too many degrees of freedom shows here
    else:
        assert np.all(np.linalg.matrix_rank(S[:50], tol=1e-9) == n)
    assert means_are(s, 0.0) and means_are(s**2, n * (n + d + 1)) and means_are(c, n * d)
    assert means_are(x, 0.0) and means_are(x**2, 1.0) and means_are(x[:, 0] * x[:, 1], 0.0)
    assert means_are(y, 0.0) and means_are(y**2, d) and means_are(y[:, None] * (s * x), n)
    assert not z[:, d].any()


@pytest.mark.parametrize("name", ["sphere", "gamma", "noisy", "covariance", "everything"])
def test_drawn_tokens_have_the_covariance_and_the_labels_of_their_law(name):
    task, count = TASKS[name], 40_000
    Z, y = draws.prompts(task, count, lane_states(41, 0))
    X, labels, d, n = Z[..., :-1], Z[:, :-1, -1], task.d, task.n
    length = {"sphere": 1.0, "gamma": 1.0, "everything": 5.0}.get(
        name, d
    )  # the mean of |u|^2; of a gamma number shape times scale
    C = length / d * (np.eye(d) if task.covariance is None else np.array(task.covariance))
    for t in (0, n - 1, n):
        assert means_are(X[:, t], 0.0) and means_are((X[:, t, :, None] * X[:, t, None, :]).reshape(count, -1), C.ravel())
    assert means_are(X[:, 0, 0] * X[:, 1, 0], 0.0) and means_are(X[:, 0, 1] * X[:, n, 1], 0.0)
    if name == "sphere":
        assert np.abs((X**2).sum(axis=-1) - 1).max() < 1e-15
    w = np.linalg.lstsq(X[0], np.r_[labels[0], y[0]], rcond=None)[0]
    clean = np.abs(X[0] @ w - np.r_[labels[0], y[0]]).max()
    assert (clean < 1e-12) == (task.label_noise == 0)
    trace = np.trace(C)
    assert means_are(y**2, trace) and means_are(labels**2, trace + task.label_noise**2)
    assert means_are(labels[:, 0] * labels[:, n - 1], 0.0) and means_are(labels[:, 0] * y, 0.0)
    assert not Z[:, n, d].any()


def test_gamma_tokens_have_the_variance_of_their_squared_lengths():
    task = TASKS["gamma"]
    X = draws.prompts(task, 40_000, lane_states(42, 0)).Z[..., :-1]
    g = (X**2).sum(axis=-1)
    assert means_are(g, task.gamma_shape * task.gamma_scale) and means_are((g - 1.0) ** 2, 10.0)
    assert means_are(g[:, 0] * g[:, 1], 1.0)


# ---------------------------------------------------------------- tasks with a law of their own


@dataclass(frozen=True)
class Shifted(la.RegressionTask):
    """A task that draws its covariates itself."""

    def draw_covariates(self, shape, rng):
        return rng.random((*shape, self.d))


@dataclass(frozen=True)
class Named(la.RegressionTask):
    """A task with another field and the same law."""

    name: str = "a"


def test_a_task_with_a_law_of_its_own_is_asked_for_samples():
    assert is_drawn_in_lanes(Named()) and is_drawn_in_lanes(la.NonlinearTask()) and not is_drawn_in_lanes(Shifted())
    Z, y = next(fresh_prompts(Shifted(n=3, d=2), [100], chunk_states(0, 1)))
    assert Z.shape == (100, 4, 3) and y.shape == (100,) and 0 <= Z[..., :-1].min() < Z[..., :-1].max() < 1
    histories = [
        la.train(Shifted(n=3, d=2), la.optimizers.SGD(0.01), 4, 300, backend=backend, seed=seed, progress=False)
        for backend, seed in (("numba", 1), ("numba", 1), ("numpy", 1), ("numba", 2))
    ]
    one, again, by_numpy, other = (history.params for history in histories)
    assert np.array_equal(one, again) and one == pytest.approx(by_numpy, rel=1e-10) and not np.array_equal(one, other)
    same = [next(fresh_prompts(task, [5], chunk_states(0, 1))).Z for task in (Named(n=3, d=2), la.RegressionTask(n=3, d=2))]
    assert np.array_equal(*same)


@pytest.mark.parametrize("model", [{}, {"full": True}, {"attention": "softmax"}, {"attention": "relu"}, {"hidden": 3}], ids=str)
def test_every_model_trains_on_the_same_run_by_numpy(model):
    task = TASKS["everything"]
    runs = [
        la.train(task, la.optimizers.Adam(0.02), 50, 70, backend=backend, progress=False, **model)
        for backend in ("numba", "numpy")
    ]
    assert runs[0].params == pytest.approx(runs[1].params, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "model", [la.LinearTransformer(2, 1, attention="softmax"), Composed(2, 3, 1)], ids=["softmax", "network"]
)
def test_points_of_a_task_with_a_law_of_its_own_are_served_by_its_samples(model):
    task, passes = Shifted(n=3, d=2), passes_of(model)
    points = np.stack([model.init_params(np.random.default_rng(i), 0.3) for i in range(2)])
    out = np.zeros((1, 2, 1 + points[0].size))
    passes.drawing_adder(task)(points, np.array([70]), chunk_states(0, 1), out)
    Z, y = next(fresh_prompts(task, [70], chunk_states(0, 1)))
    for params, sums in zip(points, out[0], strict=True):
        value, grad = model.loss_and_grad(params, Z, y)
        assert sums / 70 == pytest.approx(np.append(value, grad.ravel()), rel=1e-12)


def test_params_of_another_shape_are_refused_where_batches_are_drawn():
    gradient = BatchGradient(la.LinearTransformer(5, 3), TASKS["gaussian"], 30, 0)
    with pytest.raises(ValueError, match=r"points: expected shape \(m, 3, 1, 2, 5, 5\), got \(1, 2, 1, 2, 5, 5\)"):
        gradient(la.init_params(np.random.default_rng(0), 2, 5))


def test_a_fixed_batch_is_the_first_one_drawn():
    task, params = TASKS["gaussian"], la.init_params(np.random.default_rng(0), d=5)
    model = la.LinearTransformer(5)
    fixed, going_on = BatchGradient(model, task, 300, 4, fixed=True), BatchGradient(model, task, 300, 4)
    first = going_on(params)[1]
    assert fixed(params)[1] == pytest.approx(first, rel=1e-12) and np.array_equal(fixed(params)[1], fixed(params)[1])
    assert not np.allclose(going_on(params)[1], first)
    assert passes_of(model).parallel
