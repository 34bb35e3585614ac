"""Ctrl-C and SIGTERM at any moment: one line, status 130 or 143, nothing lost, nothing left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from linattn_np.endings import Interrupted, Signals

SWEEP = ["sweep", "--steps", "3000", "--batch", "64", "--seeds", "3", "--rates", "0.01,0.02"]
LISTEN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # the tests' shell may ignore Ctrl-C
AT_IMPORT = (  # the signal comes when a module is asked for
    LISTEN + "import os, sys\n"
    "class Finder:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name == {module!r}: os.kill(os.getpid(), {number})\n"
    "sys.meta_path.insert(0, Finder())\n"
    "from linattn_np.__main__ import main\n"
    "sys.argv[1:] = {arguments}\n"
    "sys.exit(main())"
)
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


def test_importing_the_library_changes_no_handler_and_loads_nothing():
    code = (
        "import signal, sys; before = [signal.getsignal(s) for s in range(1, 32)]\n"
        "import linattn_np, linattn_np.__main__; print('numpy' in sys.modules, 'argparse' in sys.modules)\n"
        "import linattn_np as la; la.train, la.sweeps, la.bench, la.audit, la.plotting, la.experiments\n"
        "print([signal.getsignal(s) for s in range(1, 32)] == before, sys.unraisablehook is sys.__unraisablehook__)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.split() == ["False", "False", "True", "True"], answer.stderr


@pytest.mark.parametrize("number", STATUS)
@pytest.mark.parametrize(
    "module",
    ["argparse", "numpy", "numpy.random", "linattn_np.training.runs", "numba", pytest.param("llvmlite", marks=pytest.mark.numba)],
)
def test_a_signal_during_imports_is_one_line(module, number, tmp_path):
    code = AT_IMPORT.format(module=module, number=int(number), arguments=[*SWEEP, "--workers", "1", "--out", str(tmp_path)])
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    lines = [line for line in answer.stderr.splitlines() if line and "compiling" not in line]
    assert answer.returncode == STATUS[number] and len(lines) == 1 and lines[0].startswith("linattn_np sweep: "), answer.stderr


@pytest.mark.parametrize("number", STATUS)
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("after", [0.0, 0.7])
def test_a_signal_during_the_work_is_one_line_and_leaves_nothing(number, workers, after, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", f"{LISTEN}import sys; sys.argv = {['', *SWEEP, '--workers', workers, '--out', str(tmp_path)]}\n"
         "from linattn_np.__main__ import main; sys.exit(main())"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert "cells" in process.stdout.readline()  # the work has begun
    time.sleep(after)
    os.killpg(process.pid, number)  # as a terminal does it: to the workers too
    _, errors = process.communicate(timeout=60)
    lines = [line for line in errors.splitlines() if line and "compiling" not in line]
    word = "interrupted" if number == signal.SIGINT else "terminated"
    assert process.returncode == STATUS[number] and lines == [f"linattn_np sweep: {word}; what was finished is kept"], errors
    left = list((tmp_path / "runs").iterdir()) if (tmp_path / "runs").exists() else []
    assert all(file.suffix in (".npz", ".checkpoint") for file in left), left


def test_an_end_that_python_drops_is_asked_for_again():
    class Dropper:  # what is raised in a destructor, or in a callback from C, comes to nobody
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)

    began = time.monotonic()
    with pytest.raises(Interrupted) as stop, Signals(" test") as signals:
        signals.work()
        dropper = Dropper()
        del dropper
        while time.monotonic() - began < 20:
            time.sleep(0.01)
    assert stop.value.status == 143 and time.monotonic() - began < 10


def test_a_block_that_is_over_gives_the_handlers_back_and_tidying_up_is_not_disturbed():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    tidied = []
    with pytest.raises(Interrupted), Signals(" test") as signals:
        signals.work()
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # ``timeout`` sends a second one at once
            time.sleep(1.5)  # longer than it takes until a dropped end is asked for again
            tidied.append(True)
    assert tidied and before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
