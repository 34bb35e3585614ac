"""Schedules: factors by hand, the optimizer made of an optimizer, runs with a schedule, and runs that come back from disk."""

from dataclasses import dataclass

import numpy as np
import pytest

import linattn_np as la
from linattn_np.optimizers import SGD, Adam, Cosine, Linear, Scheduled, WarmUp
from linattn_np.training.runs import Run, RunFolder

TASK = la.RegressionTask(n=7, d=3)


@dataclass(frozen=True)
class Halves:
    """A schedule that a reader wrote: the rate is halved after each ``every`` updates."""

    every: int

    def __call__(self, t):
        return 0.5 ** (t // self.every)


def rates(schedule, updates, lr=0.5):
    """The rates of the first updates, read off the steps of SGD."""
    opt, params, grad = Scheduled(SGD(lr), schedule), np.zeros(2), np.array([1.0, -2.0])
    state, moved = opt.init(params), []
    for _ in range(updates):
        new, state = opt.update(params, grad, state)
        moved.append((params - new) / grad)
        params = new
    assert state.t == updates and np.array_equal(np.array(moved)[:, 0], np.array(moved)[:, 1])
    return np.array(moved)[:, 0]


def test_cosine_is_whole_at_first_half_in_the_middle_and_nothing_after_the_end():
    found = rates(Cosine(4), 6)
    assert np.allclose(found, 0.25 * (1 + np.cos(np.pi * np.array([0, 1, 2, 3, 4, 4]) / 4)), atol=1e-15) and found[5] == 0.0


def test_linear_falls_in_equal_steps_to_nothing_where_it_stays():
    assert rates(Linear(4), 6).tolist() == [0.5, 0.375, 0.25, 0.125, 0.0, 0.0]
    assert Linear(2000)(2000) == 0.0 and Linear(2000)(1999) == pytest.approx(1 / 2000, rel=1e-12)


def test_warm_up_rises_in_equal_steps_and_is_multiplied_with_what_follows():
    assert rates(WarmUp(4), 6).tolist() == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]
    assert rates(WarmUp(2, Linear(4)), 5).tolist() == [0.25, 0.375, 0.25, 0.125, 0.0]


def test_the_state_inside_is_kept_from_step_to_step():
    inside, grads = Adam(0.1), np.random.default_rng(0).standard_normal((5, 3))
    opt = Scheduled(inside, lambda t: 1.0)
    a = b = np.zeros(3)
    state, plain = opt.init(a), inside.init(b)
    for g in grads:
        (a, state), (b, plain) = opt.update(a, g, state), inside.update(b, g, plain)
    assert np.array_equal(a, b) and np.abs(a).min() > 0.01


@pytest.mark.parametrize("name, schedule", [("linear", Linear(40)), ("cosine", Cosine(40))])
def test_a_name_is_the_schedule_that_ends_with_the_run(name, schedule):
    settings = {"batch": 23, "layers": 1, "record_every": 1, "progress": False}
    runs = [la.train(TASK, Adam(0.05), 40, schedule=each, **settings) for each in (name, schedule, schedule.__call__)]
    runs.append(la.train(TASK, Scheduled(Adam(0.05), schedule), 40, **settings))
    assert len({run.params.tobytes() for run in runs}) == 1
    steps = [np.abs(update).max() for _, update in sorted(runs[0].updates.items())]
    assert steps[-1] < 2e-3 < 1e-2 < steps[0]
    constant = [la.train(TASK, Adam(0.05), 40, schedule=each, **settings).params for each in (None, lambda t: 1.0)]
    assert np.array_equal(*constant) and not np.array_equal(constant[0], runs[0].params)


@pytest.mark.parametrize("schedule", ["linear", "cosine", WarmUp(5), WarmUp(5, WarmUp(2, Linear(9))), Halves(3)], ids=repr)
def test_a_run_with_a_schedule_comes_back_from_its_description(schedule, tmp_path):
    run = Run(TASK, SGD(0.01, 0.9), 9, 5, schedule=schedule)
    again = Run.from_dict(run.to_dict())
    assert again == run and again.description() == run.description() and "schedule" in run.to_dict()
    history = RunFolder(tmp_path).train([run], False)[0]
    kept = RunFolder(tmp_path).load(run)
    assert np.array_equal(kept.params, history.params)
    assert np.array_equal(history.params, la.train(TASK, SGD(0.01, 0.9), 9, 5, record_every=10, schedule=schedule).params)


def test_a_run_without_one_keeps_its_name():
    run = Run(TASK, SGD(0.01, 0.9), 9, 5)
    assert "schedule" not in run.to_dict() and "layer_rates" not in run.description() and "second_moment" not in run.description()
    assert (
        len({Run(TASK, SGD(0.01, 0.9), 9, 5, schedule=each).file_name() for each in (None, "linear", "cosine", WarmUp(9))}) == 4
    )


def test_a_schedule_that_is_none_is_refused_and_one_that_leaves_the_numbers_too():
    with pytest.raises(ValueError, match="schedule: expected one of 'linear', 'cosine', got 'liner'; did you mean 'linear'"):
        la.train(TASK, SGD(0.1), 2, 5, schedule="liner")
    for wrong in (0.5, Linear, ["linear"]):
        with pytest.raises(ValueError, match="schedule: expected None, 'linear', 'cosine' or a function of the step"):
            Run(TASK, SGD(0.1), 2, 5, schedule=wrong)
    for factor in (-1.0, np.nan, "half"):
        with pytest.raises(ValueError, match="schedule: expected a finite number at least 0, got"):
            la.train(TASK, SGD(0.1), 2, 5, schedule=lambda t, factor=factor: factor)
    with pytest.raises(ValueError, match="schedule: expected a frozen dataclass that stands in a module, got <function"):
        Run(TASK, SGD(0.1), 2, 5, schedule=lambda t: 1.0).description()
    with pytest.raises(ValueError, match="schedule: expected an optimizer that is a dataclass with a rate lr"):
        Scheduled("adam", Linear(5))
    with pytest.raises(ValueError, match="schedule: expected a function of the step, such as"):
        Scheduled(SGD(0.1), "linear")
    with pytest.raises(ValueError, match="then: expected None or a function"):
        WarmUp(5, "linear")
    with pytest.raises(ValueError, match="steps: expected an integer of at least 1, got 0"):
        Linear(0)
