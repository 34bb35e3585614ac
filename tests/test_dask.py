"""A sweep on a Dask cluster: a real scheduler and two worker processes on the loopback, one of them killed on the way."""

import json
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("distributed", reason="the optional extra linattn_np[dask] is not installed")

COMMAND = [
    sys.executable,
    "-m",
    "linattn_np",
    "sweep",
    "--steps",
    "400",
    "--batch",
    "500",
    "--seeds",
    "6",
    "--rates",
    "0.01,0.02",
]


def start(module, *arguments):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", f"distributed.cli.{module}", *arguments], **quiet)


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


@pytest.fixture
def cluster(tmp_path):
    """The scheduler's address and two workers."""
    file = tmp_path / "scheduler.json"
    scheduler = start(
        "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show", "--scheduler-file", str(file)
    )
    workers = []
    try:
        wait_for(file.exists)
        time.sleep(0.2)  # the file is written in one go, but not atomically
        for name in "ab":
            options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path / name))
            workers.append(start("dask_worker", "--scheduler-file", str(file), *options))
        yield json.loads(file.read_text())["address"], workers
    finally:
        for process in [*workers, scheduler]:
            process.kill()
            process.wait()


def test_a_worker_killed_mid_sweep_and_the_table_is_the_same(tmp_path, cluster):
    address, workers = cluster
    assert subprocess.run([*COMMAND, "--workers", "1", "--out", tmp_path / "here"], capture_output=True).returncode == 0
    out = tmp_path / "dask"
    process = subprocess.Popen(
        [*COMMAND, "--dask", address, "--out", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: len(list(out.glob("runs/*.npz"))) >= 3)
    assert not (out / "sweep.json").exists()  # mid-sweep
    workers[0].send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert workers[0].wait() == -signal.SIGKILL and workers[1].poll() is None
    tables = [json.loads((folder / "sweep.json").read_text()) for folder in (tmp_path / "here", out)]
    assert tables[0] == tables[1]


def test_no_scheduler_is_one_line_and_status_2(tmp_path):
    answer = subprocess.run([*COMMAND, "--dask", "tcp://127.0.0.1:9", "--out", tmp_path / "out"], capture_output=True, text=True)
    assert answer.returncode == 2 and "no Dask scheduler answers at 'tcp://127.0.0.1:9'" in answer.stderr
    assert "Traceback" not in answer.stderr
