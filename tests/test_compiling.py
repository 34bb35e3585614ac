"""The wait for the compiler: announced, once for all sizes, counted apart from the training, whatever threads and Ctrl-C do."""

import threading
import time

import numba
import numpy as np
import pytest

import linattn_np as la
from linattn_np.kernels import compiling
from linattn_np.training import runs

TASK = la.RegressionTask(n=7, d=3)


def fresh_function(module="linattn_np.kernels.linear"):
    """A function that calls another, neither of them compiled yet, as if it stood in that module."""

    def inner(x):
        return x * x

    def outer(x):
        return called(x) + 1.0

    called = numba.njit(inner)
    for function in (inner, outer):
        function.__module__ = module
    return numba.njit(outer)


class CompilesAtStep(la.optimizers.SGD):
    """SGD whose third update calls a function that is compiled then."""

    def update(self, params, grad, state):
        self.__dict__["steps"] = self.__dict__.get("steps", 0) + 1
        if self.steps == 3:
            fresh_function()(2.0)
        return super().update(params, grad, state)


def test_compiling_is_counted_apart_from_training():
    la.train(TASK, la.optimizers.SGD(0.01), 1, batch=5, progress=False)  # what is compiled or loaded for this d is there now
    again = la.train(TASK, la.optimizers.SGD(0.01), 5, batch=5, progress=False)
    assert again.compile_seconds == 0.0 and again.seconds > 0
    began = time.perf_counter()
    history = la.train(TASK, CompilesAtStep(0.01), 5, batch=5, progress=False)
    wall = time.perf_counter() - began
    assert history.params.tobytes() == again.params.tobytes()
    assert history.compile_seconds > 0.005 and history.seconds > 0 and history.seconds + history.compile_seconds <= wall
    assert repr(history).endswith(f"and {history.compile_seconds:.1f} of compiling)") or history.compile_seconds < 0.05


def test_it_is_kept_with_the_run(tmp_path):
    run, folder = runs.Run(TASK, la.optimizers.SGD(0.01), 5, 5), runs.RunFolder(tmp_path)
    history = run.train(progress=False)
    object.__setattr__(history, "compile_seconds", 1.5)  # the record is frozen
    folder.save(run, history)
    assert folder.load(run).compile_seconds == 1.5
    object.__setattr__(history, "compile_seconds", -1.0)
    folder.save(run, history)
    assert folder.load(run) is None


def test_it_is_announced_once_for_each_module_of_kernels_and_for_nothing_else(monkeypatch, capsys):
    monkeypatch.setattr(compiling, "_said", set())
    monkeypatch.setenv("LINATTN_PROGRESS", "1")
    for module in ("linear", "linear", "tokens"):
        fresh_function(f"linattn_np.kernels.{module}")(2.0)
    fresh_function("a.readers.own")(2.0)
    monkeypatch.setenv("LINATTN_PROGRESS", "0")
    fresh_function("linattn_np.kernels.composed")(2.0)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"linattn_np: compiling the kernels ({module}; some seconds, once on this machine for all sizes) ..."
        for module in ("linear", "tokens")
    ]


def test_a_second_d_compiles_nothing():
    for d in (3, 4):
        before = compiling.compiled()
        for settings in ({}, {"full": True}, {"attention": "softmax"}, {"hidden": 2}):
            la.train(la.RegressionTask(n=5, d=d), la.optimizers.SGD(0.01), 1, batch=3, progress=False, **settings)
    assert compiling.compiled() == before


def test_what_was_compiled_is_known_by_name():
    before = compiling.compiled()
    fresh_function()(2.0)
    fresh_function("a.readers.own")(2.0)
    assert compiling.compiled() == [*before, "linattn_np.kernels.linear.outer"]


@pytest.fixture
def clock(monkeypatch):
    """A wait of its own on a clock that the test moves on."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    wait = compiling._Wait()
    monkeypatch.setattr(compiling, "_wait", wait)
    return wait, now


def in_thread(*calls):
    """Call each in one other thread, and wait for it."""
    thread = threading.Thread(target=lambda: [call() for call in calls])
    thread.start()
    thread.join()


def test_nested_and_parallel_waits_count_once(clock):
    wait, now = clock
    wait.start()
    now[0] += 1
    wait.start()  # a function that the first one calls
    now[0] += 2
    wait.end()
    done = threading.Event()
    other = threading.Thread(target=lambda: (wait.start(), done.wait(), wait.end()))
    other.start()
    while len(wait.waiting) < 2:
        pass
    now[0] += 4
    wait.end()
    now[0] += 8  # the other thread still waits
    assert wait.seconds() == 15
    done.set()
    other.join()
    now[0] += 16
    assert wait.seconds() == 15


def test_a_wait_that_was_broken_off_ends_when_its_thread_asks(clock):
    wait, now = clock
    wait.start()  # and Ctrl-C: no end
    now[0] += 3
    assert wait.seconds() == 3
    now[0] += 5
    assert wait.seconds() == 3


def test_a_forked_child_has_no_waits_of_its_parents_threads(clock):
    wait, now = clock
    in_thread(wait.start)
    wait.clear()
    now[0] += 3
    assert wait.seconds() == 0


def test_a_stopwatch_goes_on_from_a_checkpoint(clock):
    wait, now = clock
    now[0] += 1
    wait.start()
    now[0] += 10
    wait.end()  # before the run: none of its business
    watch = compiling.Stopwatch(20.0, 5.0)
    now[0] += 2
    wait.start()
    now[0] += 4
    wait.end()
    assert watch.read() == (22.0, 9.0)


def test_a_checkpoint_keeps_both_times(tmp_path):
    from linattn_np.training.checkpoints import Checkpoint, Standing

    def standing(t, *times):
        some = np.ones(3)
        return Standing(
            t,
            some,
            (np.array(1.0),),
            np.zeros(2),
            np.zeros(2),
            {0: some},
            {},
            times[0],
            np.zeros((1, 4, 64), np.uint64),
            *times[1:],
        )

    checkpoint = Checkpoint(tmp_path / "run.checkpoint", "a run")
    checkpoint.save(standing(1, 2.5, 1.25))
    loaded = checkpoint.load(standing(0, 0.0))
    assert (loaded.t, loaded.seconds, loaded.compile_seconds) == (1, 2.5, 1.25)
