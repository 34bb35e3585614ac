"""The doctor: this machine is ready, and each thing that can be wrong is one line with what to do, and status 1."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from linattn_np.__main__ import main
from linattn_np.experiments import doctor
from linattn_np.models import transformer
from linattn_np.training import loop

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.numba
def test_this_machine_is_ready(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(doctor.CHECKS) + 2 and lines[-1].startswith("ready")
    assert all(line.startswith(("ok ", "note ")) for line in lines[:-2])
    assert lines[0].startswith("ok      Python 3.") and "ms each" in lines[-3] and "--quick will take about" in lines[-3]


def test_it_asks_for_what_the_package_asks_for():
    asked = {**doctor.NEEDED, **doctor.FOR_LESSONS}
    declared = dict(
        line.split(";")[0].split(">=") for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["lessons"]
    )
    assert asked == declared


def old_package(patch):
    patch.setattr(doctor, "version", lambda name: "1.26.4")


def no_package(patch):
    def missing(name):
        raise doctor.PackageNotFoundError(name)

    patch.setattr(doctor, "version", missing)


def wrong_compiled_gradient(patch):
    right = transformer.loss_and_grad

    def wrong(*arguments, backend="numba"):
        value, grad = right(*arguments, backend=backend)
        return value, grad * (1 + 1e-9 * (backend == "numba"))

    patch.setattr(transformer, "loss_and_grad", wrong)


def wrong_gradient(patch):
    right = transformer.loss_and_grad
    patch.setattr(transformer, "loss_and_grad", lambda *a, **k: (right(*a, **k)[0], 1.001 * right(*a, **k)[1]))


def no_cache(patch):
    def broken():
        raise RuntimeError("cannot cache function: no locator available for file 'linear.py'")

    patch.setattr(doctor, "gap_of_the_gradients", broken)


def no_learning(patch):
    class History:
        loss = np.ones(doctor.STEPS)

    patch.setattr(loop, "train", lambda *a, **k: History)


def no_room(patch):
    def full(place):
        raise PermissionError(13, "Permission denied", place)

    patch.setattr(doctor, "write_in", full)


BROKEN = {  # what is wrong: (how, which checks say so, what is said, what to do)
    "old packages": (old_package, doctor.packages, "numpy 1.26.4 is older than 2.0", "pip install -r requirements.txt"),
    "packages missing": (no_package, doctor.packages, "numba is not installed", "pip install -r requirements.txt"),
    "a compiled gradient that is off": (wrong_compiled_gradient, doctor.gradient, "NumPy agree to 1e-09",
                                        "delete the compiler's cache"),
    "a gradient that is off": (wrong_gradient, doctor.gradient, "a complex step to 1e-03", "delete the compiler's cache"),
    "no cache": (no_cache, doctor.compiler, "no folder for compiled code", "Set NUMBA_CACHE_DIR"),
    "no learning": (no_learning, doctor.training, "took the loss from 1 to 1", "It must fall to less than half"),
    "no room": (no_room, doctor.folder, "no file can be written", "Change to a folder that is yours"),
}  # fmt: skip


def needs(how):
    """`no_cache` stands for a compiler without a folder, which is looked for only where there is a compiler."""
    return [pytest.mark.numba] if how is no_cache else []


@pytest.mark.parametrize(
    "how, check, said, remedy", [pytest.param(*case, id=name, marks=needs(case[0])) for name, case in BROKEN.items()]
)
def test_what_is_wrong_is_one_line_with_what_to_do(how, check, said, remedy, monkeypatch, capsys):
    how(monkeypatch)
    monkeypatch.setattr(doctor, "CHECKS", (doctor.python, check))
    assert main(["doctor"]) == 1
    first, line, _, last = capsys.readouterr().out.splitlines()
    assert first.startswith("ok ") and line.startswith("not ok ") and said in line and remedy in line
    assert last == "not ready: 1 of 2 are not ok"


@pytest.mark.numba
def test_notes_do_not_make_a_machine_unready(monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert doctor.compiler().mark == doctor.NOTE
    monkeypatch.delenv("NUMBA_DISABLE_JIT")
    no_room(monkeypatch)
    assert doctor.compiler().mark == doctor.NOTE and "NUMBA_CACHE_DIR" in doctor.compiler().remedy
    no_package(monkeypatch)
    assert doctor.lessons().mark == doctor.NOTE


def test_whatever_a_check_raises_is_a_line():
    def broken_check():
        raise ImportError("libsomething.so: not found")

    finding = doctor.examined(broken_check)
    assert finding.mark == doctor.NOT_OK and "broken check: ImportError: libsomething.so" in str(finding)


def test_versions_compare_as_numbers():
    assert doctor.numbers("2.10.1rc1") == (2, 10, 1) > doctor.numbers("2.9") and doctor.numbers("0.61.0") >= doctor.numbers(
        "0.61"
    )
