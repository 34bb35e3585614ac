"""What a run does to the process it runs in: threads, forked children and memory.

A child forked after training, threads that train at once, and a fork while another thread trains give the bits of one run alone,
whatever Numba's threading layer is; memory grows with the record alone.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import linattn_np as la
from linattn_np import _checks

ROOT = Path(__file__).parents[1]
CHUNKS = 3 * 256 + 7  # prompts of a batch: four chunks, so that threads have something to share


def bits(seed=3):
    """The bits of a short run, its loss and its params."""
    history = la.train(la.RegressionTask(n=7), la.optimizers.Adam(0.02), 5, CHUNKS, seed=seed, progress=False)
    return (history.loss.tobytes() + history.params.tobytes()).hex()


def in_fork(work):
    """What ``work()`` returns in a forked child, or how the child ended."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # one that waits for ever is ended
        try:
            os.write(write, work().encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitpid(child, 0)[1]
    return said if status == 0 else f"ended with status {status}"


def at_once(*work):
    """What each returns, one thread for each."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(work)) as threads:
        return [future.result() for future in [threads.submit(one) for one in work]]


def resident():
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(steps):
    """How many bytes this process grows by in a run of so many steps, beyond its record."""

    def train(steps):
        return la.train(la.RegressionTask(n=7), la.optimizers.Adam(0.02), steps, 5, record_every=steps, progress=False)

    train(50)
    before = resident()
    history = train(steps)
    return resident() - before - history.loss.nbytes - history.grad_norm.nbytes


def everything():
    """-> plain values, in a process of its own"""
    la.kernels.set_threads(2)
    alone, other = bits(), bits(seed=5)
    return {
        "alone": [alone, other],
        "at once": at_once(bits, lambda: bits(seed=5)),
        "forked": in_fork(bits),
        "a thread of a forked child": in_fork(lambda: at_once(bits)[0]),
        "a child of a forked child": in_fork(lambda: in_fork(bits)),
        "forked while another thread trains": at_once(lambda: [bits() for _ in range(20)][-1], lambda: in_fork(bits)),
        "growth": growth(4000) if sys.platform == "linux" else 0,
    }


@pytest.fixture(scope="module", params=["omp", "workqueue"])
def found(request):
    code = "import sys; sys.path.insert(0, 'tests')\nimport json, test_resources as test\nprint(json.dumps(test.everything()))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env={**os.environ, "NUMBA_THREADING_LAYER": request.param},
        capture_output=True, text=True, cwd=ROOT, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("how", ["forked", "a thread of a forked child", "a child of a forked child"])
def test_a_forked_child_trains_to_the_same_bits(how, found):
    assert found[how] == found["alone"][0]


def test_a_fork_while_another_thread_trains(found):
    assert found["forked while another thread trains"] == [found["alone"][0]] * 2


def test_threads_that_train_at_once_give_the_same_bits(found):
    assert found["at once"] == found["alone"] and found["alone"][0] != found["alone"][1]


def test_memory_grows_with_the_record_alone(found):
    assert found["growth"] < 2**20  # 4000 steps: a quarter of a kilobyte lost at each would show


@pytest.mark.parametrize("measure", ["train", "noise"])
def test_a_batch_beyond_the_memory_is_refused_with_what_it_would_take(measure, monkeypatch):
    monkeypatch.setattr(_checks, "MEMORY", 2**36)
    task, rng = la.RegressionTask(), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"batch: expected less than would fill the memory, got 1000000000, which takes \d+ GiB"):
        if measure == "train":
            la.train(task, la.optimizers.SGD(0.1), 1, batch=10**9)
        else:
            la.noise.gradient_noise(la.init_params(rng), task, 10**9, 3, rng)
