"""``warmup``: each part is compiled once, what was there already is told apart, and where nothing can be compiled it says so."""

import numpy as np
import pytest

import linattn_np as la
from linattn_np.__main__ import main
from linattn_np.experiments import warmup
from linattn_np.kernels import compiling, interpreter


@pytest.fixture(autouse=True)
def announcements(monkeypatch):
    """The command silences the compiler's announcement; the tests after it have theirs."""
    monkeypatch.setattr(compiling, "quiet", False)


def test_it_compiles_what_is_missing_and_says_what_was_there(monkeypatch, capsys):
    import numba

    def missing():
        def kernel(x):
            return x + 1

        kernel.__module__ = "linattn_np.kernels.linear"
        numba.njit(kernel)(3)

    monkeypatch.setattr(warmup, "PARTS", {"something": missing, "another": lambda: None, "a third": missing})
    assert main(["warmup"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["[1 of 3] something", "[2 of 3] another", "[3 of 3] a third"]
    assert [": compiled in " in line for line in lines[:3]] == [True, False, True] and "was there already" in lines[1]
    assert lines[-1].startswith("ready after ") and "2 compiled, 1 there already; kept in /" in lines[-1]
    assert "compiling the kernels" not in err  # it is said once


def test_after_it_nothing_is_compiled():
    for work in warmup.PARTS.values():
        warmup.warm(work)
    before = compiling.compiled()
    task, rng = la.RegressionTask(n=5, d=2), np.random.default_rng(0)
    for settings in ({}, {"full": True, "heads": 2}, {"attention": "softmax"}, {"attention": "relu"}, {"hidden": 2}):
        for covariates in ("gaussian", "gamma"):
            some = la.RegressionTask(n=5, d=2, covariates=covariates)
            history = la.train(some, la.optimizers.SGD(0.01), 1, batch=3, progress=False, **settings)
    params = la.init_params(rng, d=2)
    Z, y = task.sample(3, rng)
    la.hessian(params, Z, y), la.losses_along(history, Z, y), la.noise.gradient_noise(params, task, 3, 2, rng)
    assert compiling.compiled() == before


def test_where_nothing_can_be_compiled(monkeypatch, capsys):
    monkeypatch.setattr(interpreter, "available", lambda: False)
    assert main(["warmup"]) == 2
    assert "there is no Numba here, or NUMBA_DISABLE_JIT is set" in capsys.readouterr().err


def test_where_compiled_code_cannot_be_kept(monkeypatch, capsys):
    def nowhere():
        raise RuntimeError("cannot cache function 'run': no locator available for file 'interpreter.py'")

    monkeypatch.setattr(warmup, "PARTS", {"something": nowhere})
    assert main(["warmup"]) == 2
    assert "set NUMBA_CACHE_DIR to a folder that you may write" in capsys.readouterr().err
