"""Sweeps: the same bits on any executor, dead workers, killed commands, full disks, two commands at once, no Numba."""

import contextlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import linattn_np as la
from linattn_np.optimizers import SGD, Adam
from linattn_np.training import runs, sweeps
from linattn_np.training.batch_gradient import BatchGradient

RUNS = [
    runs.Run(la.RegressionTask(n=3), optimizer, 30, 40, seed=seed, record_every=10)
    for optimizer in (SGD(0.01, momentum=0.9), Adam(0.01), SGD(1e6)) for seed in range(2)
]  # fmt: skip
COMMAND = [sys.executable, "-m", "linattn_np", "sweep", "--steps", "60", "--batch", "64", "--seeds", "12", "--rates", "0.01,0.02"]


def bits(histories):
    """What a sweep found, without the wall times."""
    return {run: (h.loss.tobytes(), h.params.tobytes(), h.diverged_at) for run, h in histories.items()}


@pytest.fixture(scope="module")
def wanted():
    return bits({run: run.train() for run in RUNS})


def test_same_bits_here_in_threads_and_in_processes(tmp_path, wanted):
    assert bits(dict(sweeps.sweep(RUNS, runs.RunFolder(tmp_path / "here")))) == wanted
    with ThreadPoolExecutor(3) as executor:
        assert bits(dict(sweeps.sweep(RUNS, runs.RunFolder(tmp_path / "threads"), executor))) == wanted
    with sweeps.Processes(3) as executor:
        assert bits(dict(sweeps.sweep(RUNS, runs.RunFolder(tmp_path / "processes"), executor))) == wanted


def test_workers_multiply_matrices_on_one_thread_and_keep_memory_unless_told(monkeypatch):
    """Waiting BLAS threads keep the processors busy. Here nothing is changed, and what the user has set stands."""
    for name in ("OPENBLAS_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with sweeps.Processes(1) as executor:
        assert executor.submit(os.getenv, "OPENBLAS_NUM_THREADS").result() == "1"
        assert executor.submit(os.getenv, "OMP_NUM_THREADS").result() == "3"
        assert int(executor.submit(os.getenv, "MALLOC_TRIM_THRESHOLD_").result()) >= 1 << 28
    assert "OPENBLAS_NUM_THREADS" not in os.environ and "MALLOC_TRIM_THRESHOLD_" not in os.environ
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_results_come_one_by_one_and_are_kept_before_they_are_shown(tmp_path):
    folder = runs.RunFolder(tmp_path)
    for count, (run, _) in enumerate(sweeps.sweep(RUNS, folder), start=1):
        assert len(list(tmp_path.glob("*.npz"))) == -(-count // 3) * 3 and (tmp_path / run.file_name()).exists()
        if count == 2:  # of the three that share a seed
            break
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert len(list(sweeps.sweep(RUNS, folder))) == len(RUNS)
    assert all(file.stat().st_mtime_ns == kept[file] for file in kept)


def test_runs_of_one_seed_are_trained_side_by_side_on_batches_drawn_once(tmp_path, wanted, monkeypatch):
    drawn, real = [], BatchGradient.at_points

    def counted(self, points):
        drawn.append(len(points))
        return real(self, points)

    monkeypatch.setattr(BatchGradient, "at_points", counted)
    assert bits(dict(sweeps.sweep(RUNS, runs.RunFolder(tmp_path)))) == wanted
    assert drawn == [3] * 60  # three optimizers, for each of two seeds 30 steps


@pytest.mark.parametrize(
    "seeds, rates, workers, sizes",
    [
        (1, 24, 2, [6] * 4),
        (6, 2, 2, [2] * 6),
        (3, 2, 2, [2, 2, 1, 1]),
        (5, 9, 4, [5, 4, 5, 4, 5, 4, 5, 4, 3, 2, 2, 2]),
        (1, 3, 8, [1] * 3),
        (2, 17, 1, [6, 6, 5] * 2),
        (2, 3, None, [1] * 6),
    ],
)
def test_as_many_groups_for_each_worker(seeds, rates, workers, sizes):
    asked = [replace(RUNS[0], optimizer=SGD(0.01 * (k + 1)), seed=seed) for seed in range(seeds) for k in range(rates)]
    groups = sweeps.grouped(asked, workers)
    assert [len(group) for group in groups] == sizes and sorted(map(asked.index, sum(groups, ()))) == list(range(len(asked)))
    assert all(run.batches() == group[0].batches() for group in groups for run in group)


CHANGES = {
    "task": la.RegressionTask(n=4), "batch": 41, "seed": 7, "fixed_batch": True, "layers": 2, "heads": 2, "full": True,
    "attention": "relu", "hidden": 3, "model": la.LinearTransformer(5, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_runs_that_differ_in_what_they_draw_or_compute_are_not_trained_side_by_side(name):
    other = replace(RUNS[0], **{name: CHANGES[name]})
    assert [len(group) for group in sweeps.grouped([RUNS[0], other], 1)] == [1, 1]
    like = replace(
        RUNS[0], optimizer=Adam(0.3), steps=7, clip=None, std=0.1, record_every=3, clip_by="coordinate", schedule="linear"
    )
    assert [len(group) for group in sweeps.grouped([RUNS[0], like], 1)] == [2]


def kill_a_worker(executor):
    """Whether there was one: the pool may be broken already, and not made anew yet."""
    for pid in list((executor.pool and executor.pool._processes) or ()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def test_dead_workers_are_replaced(tmp_path, wanted):
    found, killed = {}, 0
    with sweeps.Processes(2) as executor:
        for run, history in sweeps.sweep(RUNS, runs.RunFolder(tmp_path), executor):
            found[run] = history
            killed += len(found) in (1, 3) and kill_a_worker(executor)
    assert bits(found) == wanted and killed >= 1


def die_while_sending():
    """In a worker: send half of a result and be killed."""
    frame = sys._getframe()
    while "result_queue" not in frame.f_locals:
        frame = frame.f_back
    queue = frame.f_locals["result_queue"]
    queue._wlock.acquire()
    os.write(queue._writer.fileno(), struct.pack("!i", 10**6) + b"half of it")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_killed_while_it_sends_leaves_nobody_waiting(tmp_path, monkeypatch):
    began = time.monotonic()
    with sweeps.Processes(2) as executor, pytest.raises(BrokenExecutor):
        executor.submit(die_while_sending).result(timeout=30)
    assert time.monotonic() - began < 25
    with sweeps.Processes(2) as executor:  # the sweep goes on with other workers
        first, real = [True], sweeps._submit
        monkeypatch.setattr(
            sweeps,
            "_submit",
            lambda executor, *rest: executor.submit(die_while_sending) if first and first.pop() else real(executor, *rest),
        )
        assert {run for run, _ in sweeps.sweep(RUNS, runs.RunFolder(tmp_path), executor)} == set(RUNS)


def test_a_run_that_kills_every_worker_ends_with_an_error(tmp_path, monkeypatch):
    with sweeps.Processes(1) as executor:
        monkeypatch.setattr(sweeps, "_submit", lambda executor, run, *rest: executor.submit(os._exit, 1))
        with pytest.raises(RuntimeError, match="4 workers died over this run"):
            list(sweeps.sweep(RUNS[:1], runs.RunFolder(tmp_path), executor))
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_a_run_is_raised_and_not_tried_again(tmp_path):
    wrong = runs.Run(la.RegressionTask(n=3), SGD(0.01), 30, 40, attention="cosine")
    with pytest.raises(ValueError, match="attention: expected one of"):
        list(sweeps.sweep([wrong], runs.RunFolder(tmp_path)))


def table(folder):
    return json.loads((folder / "sweep.json").read_text())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    subprocess.run([*COMMAND, "--out", folder, "--workers", "1"], check=True, capture_output=True)
    return table(folder)


def test_killed_at_20_random_moments_it_ends_with_the_same_table(tmp_path, uninterrupted):
    moments, killed, kept = random.Random(1), 0, []
    for _ in range(20):
        process = subprocess.Popen(
            [*COMMAND, "--out", tmp_path, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(0.3, 1.1))
        if process.poll() is not None:  # a fast machine was done: begin again, so that there is something to interrupt
            shutil.rmtree(tmp_path / "runs")
            kept = [0]
            continue
        killed += 1
        process.kill()
        process.wait()
        kept.append(len(list(tmp_path.glob("runs/*.npz"))))
    assert killed >= 10 and kept == sorted(kept)
    last = subprocess.run([*COMMAND, "--out", tmp_path, "--workers", "2"], capture_output=True, text=True)
    assert last.returncode == 0 and "kept as" not in last.stderr, last.stderr
    assert table(tmp_path) == uninterrupted
    assert not [file for file in (tmp_path / "runs").iterdir() if file.suffix != ".npz"]


def test_two_commands_in_one_folder_do_not_disturb_each_other(tmp_path, uninterrupted):
    both = [
        subprocess.Popen([*COMMAND, "--out", tmp_path, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in "ab"
    ]
    errors = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert table(tmp_path) == uninterrupted


LOGGED = (  # a command that writes down which runs it trains
    "import os, sys, time; from linattn_np.training import runs; from linattn_np.__main__ import main; begun = runs.Run.begun\n"
    "def logged(run, *rest, **named):\n"
    "    if run.steps > 1: os.write(log, (run.file_name() + chr(10)).encode())\n"
    "    time.sleep(0.05); return begun(run, *rest, **named)\n"
    "runs.Run.begun = logged; log = os.open(sys.argv.pop(), os.O_CREAT | os.O_WRONLY | os.O_APPEND); sys.exit(main(sys.argv[1:]))"
)


def test_two_commands_in_one_folder_never_train_the_same_run(tmp_path, uninterrupted):
    """A third one is killed on the way: its runs are trained again, and only those."""
    log, arguments = tmp_path / "log", [*COMMAND[3:], "--out", str(tmp_path / "out"), "--workers", "1", str(tmp_path / "log")]
    three = [
        subprocess.Popen([sys.executable, "-c", LOGGED, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in "abc"
    ]
    while not log.exists() or log.read_text().count("\n") < 9:
        time.sleep(0.02)
    three[2].kill()
    errors = [process.communicate()[1] for process in three]
    assert [process.returncode for process in three[:2]] == [0, 0], errors
    trained = log.read_text().split()
    assert 48 <= len(trained) <= 52 and len(set(trained)) == 48  # twice at most the four of one seed, which the killed one was at
    assert table(tmp_path / "out")["rows"] == uninterrupted["rows"]
    assert all(file.suffix == ".npz" for file in (tmp_path / "out" / "runs").iterdir())


def test_runs_that_are_asked_for_twice_are_trained_once(tmp_path, monkeypatch):
    trained, begun = [], runs.Run.begun
    monkeypatch.setattr(runs.Run, "begun", lambda run, *rest, **named: (trained.append(run), begun(run, *rest, **named))[1])
    found = list(sweeps.sweep([*RUNS[:2], *RUNS[:2]], runs.RunFolder(tmp_path)))
    assert [run for run, _ in found] == RUNS[:2] and trained == RUNS[:2]
    assert [run for run, _ in sweeps.sweep([RUNS[1], RUNS[1]], runs.RunFolder(tmp_path))] == [RUNS[1]]


def test_no_worker_outlives_a_killed_command(tmp_path):
    process = subprocess.Popen([*COMMAND, "--steps", "100000", "--out", tmp_path, "--workers", "2"], stdout=subprocess.DEVNULL)
    children, deadline = [], time.monotonic() + 60
    while len(children) < 3 and time.monotonic() < deadline:  # two workers and the tracker of their semaphores
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        time.sleep(0.05)
    time.sleep(1.0)
    process.kill()
    process.wait()
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children) == 3 and not any(Path(f"/proc/{child}").exists() for child in children)


HALF_A_RESULT = """
import os, pathlib, sys, time
from multiprocessing.connection import Connection
from linattn_np.training.sweeps import Processes

def answer(path):
    def half(self, data):
        os.write(self._handle, bytes(data)[: len(data) // 2])
        pathlib.Path(path).touch()
        time.sleep(100)

    Connection._send = half
    return list(range(1000))

if __name__ == "__main__":
    processes = Processes(1)
    processes.submit(answer, sys.argv[1])
    while not pathlib.Path(sys.argv[1]).exists():
        time.sleep(0.01)
    processes.shutdown(cancel_futures=True)
"""


def test_a_worker_that_ends_in_the_midst_of_a_result_leaves_nobody_waiting(tmp_path):
    (tmp_path / "half.py").write_text(HALF_A_RESULT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    answer = subprocess.run([sys.executable, tmp_path / "half.py", tmp_path / "began"], env=environment, timeout=60)
    assert answer.returncode == 0 and (tmp_path / "began").exists()


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path):
    resource = pytest.importorskip("resource")  # Windows has none

    def limit():  # a file that grows beyond this fails as on a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    answer = subprocess.run(
        [*COMMAND, "--out", tmp_path, "--workers", "1"], preexec_fn=limit, env=environment, capture_output=True, text=True
    )
    assert answer.returncode == 2 and answer.stderr.strip().splitlines()[-1].startswith("linattn_np sweep: [Errno 27]")
    assert "Traceback" not in answer.stderr
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    answer = subprocess.run([*COMMAND, "--out", "/proc/sweep", "--workers", "1"], capture_output=True, text=True)
    assert answer.returncode == 2 and "Traceback" not in answer.stderr and "/proc/sweep" in answer.stderr


def test_a_machine_without_numba_trains_on_numpy(tmp_path):
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from linattn_np.__main__ import main\n"
        "sys.exit(main(['sweep', '--steps', '3', '--batch', '20', '--seeds', '1', '--rates', '0.01', '--workers', '1', '--out', "
        f"{str(tmp_path)!r}]))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    compiled = tmp_path / "compiled"
    arguments = ["--steps", "3", "--batch", "20", "--seeds", "1", "--rates", "0.01", "--workers", "1"]
    subprocess.run([sys.executable, "-m", "linattn_np", "sweep", *arguments, "--out", compiled], check=True, capture_output=True)
    ours, theirs = ([row["median"] for row in table(folder)["rows"]] for folder in (tmp_path, compiled))
    assert np.allclose(ours, theirs, rtol=1e-9)
