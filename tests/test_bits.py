"""The bits of a run depend on the seed alone: not on the number of threads, nor on the processor, its BLAS or its C library.

The same runs are done in processes that take their machine for another one: OPENBLAS_CORETYPE chooses BLAS's code, NUMBA_CPU_NAME
what Numba compiles for, GLIBC_TUNABLES what the C library's functions use. What is promised stands in ``training/provenance.py``;
``test_sweeps.py`` holds it for any number of workers.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import linattn_np as la

ROOT = Path(__file__).parents[1]
OTHER_MACHINES = {
    "OpenBLAS for a Prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "compiled for a Nehalem": {"NUMBA_CPU_NAME": "nehalem"},
    "a C library without AVX2 and FMA": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2_Usable,-FMA_Usable,-AVX2,-FMA"},
}
KINDS = {
    "Setting 1": ({}, {}),
    "Setting 3": ({"covariates": "gamma"}, {}),
    "sphere": ({"covariates": "sphere"}, {}),
    "two heads": ({}, {"heads": 2}),
    "full": ({}, {"full": True}),
    "label noise": ({"label_noise": 0.3}, {}),
    "covariance": ({"covariates": "sphere", "covariance": ((2.0, 0.3, 0.1), (0.3, 1.7, -0.6), (0.1, -0.6, 1.1))}, {}),
    "softmax": ({}, {"attention": "softmax"}),
    "ReLU": ({}, {"attention": "relu"}),
    "a network before the attention": ({}, {"hidden": 7}),
}
BATCH, STEPS = 2 * 256 + 7, 20  # three chunks


def digest(kind, seed=3):
    """A hash of the losses and params of a run."""
    task, model = KINDS[kind]
    task = la.RegressionTask(n=7, d=len(task.get("covariance", range(5))), **task)
    history = la.train(task, la.optimizers.Adam(0.02, beta2=0.9), STEPS, BATCH, seed=seed, progress=False, **model)
    return hashlib.sha256(history.loss.tobytes() + history.params.tobytes()).hexdigest()


def digests():
    """{kind: hash}"""
    return {kind: digest(kind) for kind in KINDS}


@pytest.fixture(scope="module")
def here():
    return digests()


@pytest.mark.parametrize("machine", OTHER_MACHINES)
def test_another_machine_trains_to_the_same_bits(machine, here):
    code = "import sys; sys.path.insert(0, 'tests')\nimport json, test_bits as test\nprint(json.dumps(test.digests()))"
    environment = {**os.environ, **OTHER_MACHINES[machine]}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == here and len(set(here.values())) == len(KINDS)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_any_number_of_threads_gives_the_same_bits(threads, here):
    la.kernels.set_threads(threads)
    try:
        assert digests() == here
    finally:
        la.kernels.set_threads(None)
