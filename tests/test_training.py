"""The training loop: against the loop written out, the record, divergence, and the same bits from any number of threads."""

import time
from dataclasses import replace

import numpy as np
import pytest
from points import fresh, relative

import linattn_np as la
from linattn_np import batches, progress
from linattn_np.kernels.random_numpy import chunk_states
from linattn_np.optimizers import SGD, Adam, clip, global_norm
from linattn_np.training.loop import train_together
from linattn_np.training.runs import Run


def test_loop_equals_the_loop_written_out():
    task, optimizer = la.RegressionTask(n=7, d=5, covariates="sphere"), SGD(0.3, momentum=0.5)
    history = la.train(task, optimizer, 3, batch=300, clip=0.1, seed=5)
    x, states = la.init_params(batches.generators(5, 1)[0]), chunk_states(5, 2)
    state, clipped = optimizer.init(x), 0
    for t in range(3):
        Z, y = fresh(task, (256, 44), states)
        value, grad = la.loss_and_grad(x, Z, y, backend="numpy")
        assert abs(history.loss[t] - value) < 1e-12 * value and abs(history.grad_norm[t] - global_norm(grad)) < 1e-10
        clipped += global_norm(grad) > 0.1
        x, state = optimizer.update(x, clip(grad, 0.1), state)
    assert clipped and relative(history.params, x) < 1e-12


@pytest.mark.parametrize("covariates", ["gaussian", "gamma"])
def test_numpy_and_numba_train_on_the_same_numbers(covariates):
    task = la.RegressionTask(n=7, covariates=covariates)
    runs = [la.train(task, Adam(0.02), 5, batch=300, backend=backend) for backend in ("numpy", "numba")]
    assert relative(runs[1].params, runs[0].params) < 1e-9


@pytest.mark.parametrize("model", [{}, {"attention": "softmax"}, {"hidden": 3}, {"fixed_batch": True}], ids=str)
def test_runs_side_by_side_have_the_bits_that_each_has_alone(model):
    run = Run(la.RegressionTask(n=7, d=3), Adam(0.02), 9, 300, seed=3, record_every=4, **model)
    others = {"optimizer": SGD(1e300), "clip": None}, {"optimizer": SGD(0.1), "schedule": "linear", "steps": 5}, {"std": 0.2}
    asked = [run, *(replace(run, **changes) for changes in others)]
    began = time.perf_counter()
    together = train_together([each.begun() for each in asked])
    taken = time.perf_counter() - began
    for each, found in zip(asked, together, strict=True):
        alone = each.train()
        assert found.loss.tobytes() == alone.loss.tobytes() and found.grad_norm.tobytes() == alone.grad_norm.tobytes()
        assert found.params.tobytes() == alone.params.tobytes() and found.diverged_at == alone.diverged_at
        assert list(found.snapshots) == list(alone.snapshots) and list(found.updates) == list(alone.updates)
    assert together[1].diverged_at is not None and len(set(map(id, together))) == 4
    assert 0 < sum(found.seconds + found.compile_seconds for found in together) < taken


def test_same_seed_same_bits_whatever_the_threads():
    try:
        results = []
        for threads in (1, 2, 4):
            la.kernels.set_threads(threads)
            results.append(la.train(la.RegressionTask(), Adam(0.02), 20, seed=3).params.tobytes())
    finally:
        la.kernels.set_threads(None)
    assert results[0] == results[1] == results[2]
    assert results[0] != la.train(la.RegressionTask(), Adam(0.02), 20, seed=4).params.tobytes()


def test_snapshots_and_updates():
    history = la.train(la.RegressionTask(n=3), SGD(0.01), 7, batch=5, record_every=3)
    assert sorted(history.snapshots) == [0, 3, 6, 7] and sorted(history.updates) == [0, 3, 6]
    assert np.array_equal(history.snapshots[7], history.params)
    assert np.allclose(history.snapshots[6] + history.updates[6], history.snapshots[7], rtol=0, atol=1e-17)
    again = la.train(la.RegressionTask(n=3), SGD(0.01), 1, batch=5)
    assert np.array_equal(again.params - again.snapshots[0], history.updates[0])
    times, params = history.snapshot_array()
    assert times.tolist() == [0, 3, 6, 7] and params.shape == (4, 3, 1, 2, 5, 5)


def test_divergence_is_recorded_and_is_not_an_exception():
    with pytest.warns(la.training.Diverged):
        history = la.train(la.RegressionTask(n=5), SGD(1e3), 50, batch=5, clip=None)
    t = history.diverged_at
    assert t is not None and 0 < t < 50
    assert np.isfinite(history.params).all() and np.isfinite(history.loss[:t]).all() and np.isnan(history.loss[t + 1 :]).all()
    assert max(history.snapshots) == 0


def test_a_gradient_whose_squares_overflow_is_clipped_like_any_other():
    x = 3e4 * la.init_params(np.random.default_rng(1))
    history = la.train(la.RegressionTask(), SGD(0.5, momentum=0.0), 1, batch=30, params=x)
    with np.errstate(over="ignore"):
        assert history.diverged_at is None and history.grad_norm[0] > 1e154 and np.isinf(history.grad_norm[0] ** 2)
    step = history.updates[0]
    assert np.sqrt((step * step).sum()) == pytest.approx(0.5, rel=1e-9)


def test_training_learns_and_starts_from_given_params():
    first = la.train(la.RegressionTask(), Adam(0.02, 0.9, 0.9), 200, batch=100)
    assert first.diverged_at is None and np.median(first.loss[-20:]) < 0.1 * first.loss[0]
    more = la.train(la.RegressionTask(), Adam(0.02, 0.9, 0.9), 1, batch=100, params=first.params)
    assert np.array_equal(more.snapshots[0], first.params)


@pytest.mark.parametrize(
    "settings", [{"attention": "softmax"}, {"attention": "relu"}, {"full": True}, {"heads": 2}, {"clip_by": "block"}]
)
def test_every_kind_of_model_trains_as_the_loop_with_its_own_gradient(settings):
    task, optimizer, by = la.RegressionTask(n=3, d=2, covariates="sphere"), Adam(0.02), settings.get("clip_by", "global")
    history = la.train(task, optimizer, 3, batch=7, layers=2, clip=0.01, **settings)
    states = chunk_states(0, 1)
    x = la.init_params(batches.generators(0, 1)[0], 2, 2, settings.get("heads", 1), full=settings.get("full", False))
    state = optimizer.init(x)
    for t in range(3):
        value, grad = la.loss_and_grad(x, *fresh(task, (7,), states), settings.get("attention", "linear"), backend="numpy")
        assert history.loss[t] == pytest.approx(value, rel=1e-12) and history.grad_norm[t] > 0.01
        x, state = optimizer.update(x, clip(grad, 0.01, by), state)
    assert relative(history.params, x) < 1e-9  # Adam divides by the root of squares: where they are tiny, rounding grows


def test_losses_along_equals_the_loss_at_each_snapshot():
    history = la.train(la.RegressionTask(n=3), SGD(0.01), 7, batch=5, record_every=3)
    test = la.RegressionTask(n=3).sample(50, np.random.default_rng(9))
    times, losses = la.losses_along(history, *test)
    assert times.tolist() == [0, 3, 6, 7]
    assert losses == pytest.approx([la.loss(history.snapshots[t], *test) for t in (0, 3, 6, 7)], rel=1e-12)
    assert la.losses_along(history, *test, every=6)[0].tolist() == [0, 6, 7]


def test_progress_shows_only_where_asked(capsys):
    with progress.bar(3, "label", False) as shown:
        shown.update()
    assert capsys.readouterr().err == ""
    with progress.bar(3, "label", True) as shown:
        shown.delay = 0
        shown.refresh()
    assert "label" in capsys.readouterr().err


def test_where_no_bar_is_drawn_a_heartbeat_says_how_far_the_work_is(capsys, monkeypatch):
    with progress.Heartbeat(lambda: "two of three", every=0.05), progress.bar(7, "here", None, unit="run") as shown:
        shown.update(5)
        deadline = time.monotonic() + 20
        while "\n" not in (said := capsys.readouterr().out) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert said.splitlines()[0] == "two of three; here, run 5 of 7"
    monkeypatch.setenv("LINATTN_PROGRESS", "0")
    with progress.Heartbeat(lambda: "never", every=0.01):
        time.sleep(0.1)
    assert capsys.readouterr().out.count("never") == 0 and not progress.Counter.under_way
