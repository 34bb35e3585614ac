"""A sweep on a Dask cluster: a real scheduler and two worker processes on the loopback, killed on the way."""

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
LONG = [*COMMAND, "--steps", "1500", "--seeds", "3"]


def table(folder):
    return json.loads((folder / "sweep.json").read_text())


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
        yield json.loads(file.read_text())["address"], workers, scheduler
    finally:
        for process in [*workers, scheduler]:
            process.kill()
            process.wait()


def test_a_worker_killed_mid_sweep_and_the_table_is_the_same(tmp_path, cluster):
    address, workers, _ = cluster
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
    assert table(tmp_path / "here") == table(out)
    assert [made["backend"] for made in table(out)["computed_by"]] == ["numba"] and table(out)["computed_by"][0]["runs"] == 24
    assert all(table(out)["computed_by"][0][name] for name in ("linattn_np", "numpy", "numba", "blas", "cpu"))


def test_a_lost_scheduler_is_noticed_and_the_same_command_goes_on(tmp_path, cluster):
    """A worker is killed, then the scheduler; what was finished is kept; the same command here ends with the same table."""
    address, workers, scheduler = cluster
    out = tmp_path / "dask"
    process = subprocess.Popen(
        [*LONG, "--dask", address, "--out", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: len(list(out.glob("runs/*.npz"))) >= 1)
    workers[0].kill()
    wait_for(lambda: len(list(out.glob("runs/*.npz"))) >= 2)
    scheduler.kill()
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 30
    lines = [line for line in errors.splitlines() if line]
    assert process.returncode == 1 and len(lines) == 1 and address in lines[0], errors
    assert lines[0].startswith("linattn_np sweep: ") and "what was finished is kept: the same command goes on" in lines[0]
    kept = {file: file.stat().st_mtime_ns for file in out.glob("runs/*.npz")}
    assert len(kept) >= 2 and not (out / "sweep.json").exists()
    workers[1].kill()
    for folder in (out, tmp_path / "here"):
        assert subprocess.run([*LONG, "--workers", "1", "--out", folder], capture_output=True).returncode == 0
    assert all(file.stat().st_mtime_ns == kept[file] for file in kept)
    assert table(out) == table(tmp_path / "here")


def test_a_scheduler_that_hangs_is_noticed_too(tmp_path, cluster):
    address, _, scheduler = cluster
    process = subprocess.Popen(
        [*LONG, "--dask", address, "--out", tmp_path / "out"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: len(list((tmp_path / "out").glob("runs/*.npz"))) >= 1)
    scheduler.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and time.monotonic() - began < 30 and f"the Dask scheduler at {address} is gone" in errors, (
        errors
    )


@pytest.mark.parametrize("address", ["foo", "tcp://", "tcp://127.0.0.1:x", ""])
def test_an_address_that_is_none_is_one_line_and_status_2(tmp_path, address):
    answer = subprocess.run([*COMMAND, "--dask", address, "--out", tmp_path / "out"], capture_output=True, text=True)
    assert answer.returncode == 2 and len(answer.stderr.splitlines()) == 1, answer.stderr
    assert answer.stderr.startswith("linattn_np sweep: --dask: ") and repr(address) in answer.stderr


def test_no_scheduler_is_one_line_and_status_2(tmp_path):
    answer = subprocess.run([*COMMAND, "--dask", "tcp://127.0.0.1:9", "--out", tmp_path / "out"], capture_output=True, text=True)
    assert answer.returncode == 2 and "no Dask scheduler answers at 'tcp://127.0.0.1:9'" in answer.stderr
    assert "Traceback" not in answer.stderr
