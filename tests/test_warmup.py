"""``warmup``: each part is compiled once, what was there already is told apart, and where nothing can be compiled it says so."""

import pytest

from linattn_np.__main__ import main
from linattn_np.experiments import warmup
from linattn_np.kernels import compiling, interpreter


@pytest.fixture(autouse=True)
def announcements(monkeypatch):
    """The command silences the compiler's announcement; the tests after it have theirs."""
    monkeypatch.setattr(compiling, "quiet", False)


def test_it_compiles_what_is_missing_and_says_what_was_there(monkeypatch, capsys):
    import numba

    def missing(n, d):
        def kernel(x):
            return x + 1

        kernel.__module__ = "linattn_np.kernels.linear"
        numba.njit(kernel)(n * d)

    monkeypatch.setattr(warmup, "KINDS", {"missing": missing, "there": lambda n, d: None})
    monkeypatch.setattr(warmup, "COURSE", {"missing": (3, 5), "there": (5,)})
    assert main(["warmup"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == [
        "[1 of 3] missing, d = 3", "[2 of 3] missing, d = 5", "[3 of 3] there, d = 5",
    ]  # fmt: skip
    assert [": compiled in " in line for line in lines[:3]] == [True, True, False] and "was there already" in lines[2]
    assert lines[-1].startswith("ready after ") and "2 compiled, 1 there already; kept in /" in lines[-1]
    assert "compiling the kernels" not in err  # it is said once
    assert main(["warmup", "--d", "2"]) == 0
    assert "[2 of 2] there, d = 2" in capsys.readouterr().out


def test_after_it_nothing_is_compiled():  # sizes that other tests compile too
    assert set(warmup.COURSE) == set(warmup.KINDS)
    for kind, n, d in (
        ("linear attention", 7, 5),
        ("softmax and ReLU attention", 11, 4),
        ("a network before the attention", 7, 5),
    ):
        part = warmup.Part(kind, lambda kind=kind, n=n, d=d: warmup.KINDS[kind](n, d))
        warmup.warm(part)
        assert warmup.warm(part)[0] == 0


@pytest.mark.parametrize("arguments, said", [
    (["--d", "0"], "--d: expected an integer of at least 1, got 0"), (["--n", "0"], "--n: expected an integer of at least 1, got 0"),
])  # fmt: skip
def test_wrong_sizes(arguments, said, capsys):
    assert main(["warmup", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_where_nothing_can_be_compiled(monkeypatch, capsys):
    monkeypatch.setattr(interpreter, "available", lambda: False)
    assert main(["warmup"]) == 2
    assert "there is no Numba here, or NUMBA_DISABLE_JIT is set" in capsys.readouterr().err


def test_where_compiled_code_cannot_be_kept(monkeypatch, capsys):
    def nowhere(n, d):
        raise RuntimeError("cannot cache function 'run': no locator available for file 'interpreter.py'")

    monkeypatch.setattr(warmup, "KINDS", dict.fromkeys(warmup.COURSE, nowhere))
    assert main(["warmup"]) == 2
    assert "set NUMBA_CACHE_DIR to a folder that you may write" in capsys.readouterr().err
