"""Where Numba is not installed the library imports, trains, measures, audits and keeps runs, on NumPy and with the same numbers.

``.ci/run`` runs most of the other tests in an environment without Numba; here its import is refused in a process of its own.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import linattn_np as la
from linattn_np.experiments import doctor
from linattn_np.models.passes import can_compile

ROOT = Path(__file__).parents[1]
REFUSE = """
import sys


class NoNumba:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, NoNumba)
"""
KINDS = {
    "Setting 1": ({}, {}),
    "Setting 3": ({"covariates": "gamma"}, {}),
    "sphere": ({"covariates": "sphere"}, {}),
    "label noise": ({"label_noise": 0.3}, {}),
    "full, two heads": ({}, {"full": True, "heads": 2}),
    "softmax": ({"d": 3}, {"attention": "softmax", "layers": 2}),
    "ReLU": ({"d": 3}, {"attention": "relu", "layers": 2}),
    "composed": ({"d": 3}, {"hidden": 4, "std": 0.1}),
}


def histories():
    """{kind: history of 50 steps of a small batch}"""
    return {
        kind: la.train(la.RegressionTask(**{"n": 7, **task}), la.optimizers.Adam(0.02), 50, 11, seed=3, progress=False, **model)
        for kind, (task, model) in KINDS.items()
    }


def everything():
    """What is done without Numba: it trains, measures noise and curvature, audits, and keeps a run. -> plain values"""
    task, params = la.RegressionTask(n=7), la.init_params(np.random.default_rng(0), std=0.3)
    Z, y = task.sample(11, np.random.default_rng(1))
    from linattn_np.training.runs import Run

    return {
        "trained": {kind: [*history.loss.tolist(), *history.params.ravel().tolist()] for kind, history in histories().items()},
        "noise": la.noise.gradient_noise(params, task, 7, 11, np.random.default_rng(2)).tolist(),
        "hessian": la.hessian(params, Z, y).ravel().tolist(),
        "audit": la.audit.audit_model().verdict,
        "name": Run(task, la.optimizers.SGD(0.1), 3, 5).file_name(),
        "compiles": can_compile("numba"),
    }


@pytest.fixture(scope="module")
def without():
    code = f"{REFUSE}\nsys.path.insert(0, 'tests')\nimport json, test_without_numba as test\nprint(json.dumps(test.everything()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_does_everything(without):
    assert without["audit"] == "ok" and not without["compiles"]
    assert without["name"].endswith("-numpy.npz")  # its last bits are others: a run of its own


@pytest.mark.numba
@pytest.mark.parametrize("kind", KINDS)
def test_fifty_steps_are_those_of_the_compiled_code(kind, without, compiled):
    ours, theirs = np.array(compiled["trained"][kind]), np.array(without["trained"][kind])
    assert np.abs(ours - theirs).max() < 1e-9 * np.abs(ours).max()


@pytest.mark.numba
@pytest.mark.parametrize("what", ["noise", "hessian"])
def test_what_is_measured_is_that_of_the_compiled_code(what, without, compiled):
    ours, theirs = np.array(compiled[what]), np.array(without[what])
    assert np.abs(ours - theirs).max() < 1e-9 * np.abs(ours).max()


@pytest.fixture(scope="module")
def compiled():
    found = everything()
    assert found["compiles"] and not found["name"].endswith("-numpy.npz")
    return found


@pytest.mark.parametrize("command", ["bench --quick", "warmup"])
def test_commands_about_compiled_code_say_in_one_line_that_there_is_none(command):
    code = f"{REFUSE}\nfrom linattn_np.__main__ import main\nsys.argv[1:] = {command.split()!r}\nsys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert {"bench --quick": "this needs Numba", "warmup": "there is no Numba here"}[command] in done.stderr


def test_the_doctor_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    assert doctor.compiler().mark == doctor.NOTE and "NumPy computes everything" in doctor.compiler().what
