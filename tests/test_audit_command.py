"""``python -m linattn_np audit``: exit statuses, readers' files, what is written and what is said of a mistake."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from linattn_np.__main__ import main

ROOT = Path(__file__).parents[1]
LAYER = """
import numpy as np

def forward(t):
    Z, P, Q = t["Z"], t["P"], t["Q"]
    return Z + (Z @ Q.T @ Z.T) @ (Z @ P.T) / len(Z)

def backward(t, dout):
    Z, P, Q = t["Z"], t["P"], t["Q"]
    A, V = Z @ Q.T @ Z.T, Z @ P.T
    dA, dV = dout @ V.T / len(Z), A.T @ dout / len(Z)
    return {"Z": dout + dV @ P + dA @ Z @ Q + dA.T @ Z @ Q.T, "P": dV.T @ Z, "Q": Z.T @ dA.T @ Z}

def subject(normal=np.random.default_rng(0).standard_normal):
    return forward, backward, {"Z": normal((7, 3)), "P": normal((3, 3)), "Q": normal((3, 3))}
"""
FILES = {  # what is changed in the file above: (old, new, exit status, what is said)
    "correct": ("", "", 0, "my_layer.py:subject: ok"),
    "3 % too large": ('"P": dV.T @ Z,', '"P": 1.03 * dV.T @ Z,', 1, "first wrong: dP, every entry is 1.03 times the derivative"),
    "transposed dQ": ("Z.T @ dA.T @ Z}", "Z.T @ dA @ Z}", 1, "first wrong: dQ, transposed"),
    "missing 1/n": ("dA, dV = dout @ V.T / len(Z)", "dA, dV = dout @ V.T", 1, "first wrong: dQ, every entry is 7 times"),
    "dropped use": (" + dA.T @ Z @ Q.T,", ",", 1, "first wrong: dZ,"),
    "abs": ("return Z + ", "return np.abs(Z) + ", 1, "first wrong: dZ"),
    "wrong shape": ('"P": dV.T @ Z', '"P": (dV.T @ Z)[:2]', 2, "expected a gradient of shape (3, 3) for P, got (2, 3)"),
    "raises": (
        "A, V = Z",
        "A, V = X",
        2,
        "backward(theta, dout) raised NameError: name 'X' is not defined (line 10 of my_layer.py)",
    ),
    "no return": ("    return Z +", "    Z +", 2, "forward: expected numbers, got NoneType; is a return missing?"),
    "not a number": ("return Z +", "return np.nan * Z +", 2, "forward: expected finite numbers, got NaN or infinity"),
    "syntax": ("def forward(t):", "def forward(t)", 2, "my_layer.py cannot be imported: SyntaxError"),
    "subject raises": ("    return forward, backward,", "    return 1 / 0,", 2, "subject() raised ZeroDivisionError"),
    "two of three": ("    return forward, backward,", "    return forward,", 2, "to give (forward, backward, theta)"),
    "dictionary": ("    return forward, backward, {", '    return {"forward": 1}; return {', 2, "missing ['backward', 'theta']"),
    "exits": ("import numpy as np", "import numpy as np; raise SystemExit(0)", 2, "cannot be imported: SystemExit"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_layer", raising=False)
    yield tmp_path
    sys.modules.pop("my_layer", None)


def run(capsys, *arguments):
    """The command's exit status and everything it said, on one line."""
    try:
        status = main(["audit", *arguments])
    except SystemExit as stopped:
        status = stopped.code
    out = capsys.readouterr()
    assert "Traceback" not in out.err
    return status, " ".join((out.out + out.err).split())


@pytest.mark.parametrize("name", FILES)
def test_a_readers_file(name, folder, capsys):
    old, new, expected, said = FILES[name]
    assert not old or LAYER.count(old) == 1
    Path("my_layer.py").write_text(LAYER.replace(old, new) if old else LAYER)
    status, text = run(capsys, "--function", "my_layer.py:subject")
    assert (status, said in text) == (expected, True), text
    if expected == 2:
        assert "complex step" not in text and "WRONG" not in text and "CANNOT" not in text  # no verdict


def test_module_path_and_dictionary(folder, capsys):
    asked = '\ndef asked():\n    return dict(zip(("forward", "backward", "theta"), subject()), equations={"dQ": "7.3"})\n'
    Path("my_layer.py").write_text(LAYER + asked)
    assert run(capsys, "--function", "my_layer:asked")[0] == 0


WRONG_USE = {
    "no name": (["--function", "my_layer.py"], "expected MODULE:NAME or FILE.py:NAME, got 'my_layer.py'"),
    "no file": (["--function", "nothing.py:f"], "there is no file nothing.py"),
    "no module": (["--function", "nothing:f"], "nothing cannot be imported: ModuleNotFoundError"),
    "no attribute": (["--function", "my_layer.py:f"], "my_layer.py has no 'f'; it has np, forward, backward, subject"),
    "no subject": (["--function", "my_layer.py:np"], "got module"),
    "both": (["--function", "my_layer.py:subject", "--layer", "linear"], "not allowed with argument"),
    "mutate a file": (["--function", "my_layer.py:subject", "--mutate"], "not for --function"),
    "layer": (["--layer", "linaer"], "invalid choice: 'linaer'"),
    "key": (["--point", "depth=3"], "expected KEY=VALUE with a key of layers, d, n"),
    "value": (["--point", "layers=three"], "expected a whole number for layers, got 'three'"),
    "sigma": (["--point", "sigma=x"], "expected a number for sigma, got 'x'"),
    "range": (["--point", "n=0"], "n: expected an integer of at least 1, got 0"),
    "seed": (["--seed", "-1"], "--seed: expected an integer of at least 0"),
    "folder": (["--json", "nowhere/a.json"], "expected a file in a folder that exists"),
    "plot": (["--layer", "relu", "--plot", "a.xyz"], "--plot: expected a file name ending in"),
    "arrays": (["--arrays", "none.npz"], "No such file"),
}


@pytest.mark.parametrize("name", WRONG_USE)
def test_wrong_use_is_one_line_and_status_2(name, folder, capsys):
    Path("my_layer.py").write_text(LAYER)
    arguments, said = WRONG_USE[name]
    status, text = run(capsys, *arguments)
    assert status == 2 and said in text, text
    assert "Traceback" not in text and not [path for path in folder.iterdir() if path.suffix not in (".py", "")]


def test_layer_with_json_and_plot(folder, capsys):
    status, text = run(capsys, "--layer", "state", "--point", "d=5,full=0", "--json", "a.json", "--plot", "a.png", "--seed", "3")
    assert status == 0, text
    found = json.loads(Path("a.json").read_text())
    assert found["verdict"] == "ok" and [audit["verdict"] for audit in found["audits"]] == ["ok", "ok"]
    assert found["audits"][1]["point"]["seed"] == 3 and found["audits"][1]["rows"]
    assert Path("a.png").read_bytes().startswith(b"\x89PNG") and len(list(folder.iterdir())) == 2


def test_files_are_written_in_full_or_not_at_all(folder, monkeypatch):
    from linattn_np.audit import command

    Path("a.json").write_text("old")

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("linattn_np.training.runs.os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        command.write_whole("a.json", b"new")
    assert Path("a.json").read_text() == "old" and len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_only_regular_files_are_written(option, folder, capsys):
    os.mkfifo("pipe.json")
    Path("folder.json").mkdir()
    Path("nowhere.json").symlink_to("nothing")
    for path, kind in (
        ("/dev/null", "a device or a pipe"),
        ("pipe.json", "a device or a pipe"),
        ("folder.json", "a folder"),
        ("nowhere.json", "a link to nothing"),
    ):
        status, text = run(capsys, "--layer", "relu", option, path)
        assert status == 2 and f"{path}: expected a regular file, or a new name; this is {kind}" in text and "verdict" not in text
    assert Path("/dev/null").is_char_device() and Path("pipe.json").is_fifo() and Path("nowhere.json").is_symlink()


def test_a_link_stays_one_and_its_file_is_replaced(folder):
    from linattn_np.audit import command

    Path("real.json").write_text("old")
    Path("link.json").symlink_to("real.json")
    command.check_may_be_written("link.json")
    command.write_whole("link.json", b"new")
    assert Path("link.json").is_symlink() and Path("real.json").read_text() == "new"


@pytest.mark.parametrize("point", ["layers=1", "sigma=0", "symmetric=1"])
def test_degenerate_points_exit_with_2(point, capsys):
    status, text = run(capsys, "--layer", "softmax", "--point", f"d=3,n=7,full=0,{point}")
    assert status == 2 and "CANNOT JUDGE" in text and "could not show" in text


@pytest.mark.long
def test_mutate_exits_with_0_and_with_2_where_mistakes_hide(folder, capsys):
    status, text = run(capsys, "--mutate", "--layer", "softmax", "--json", "m.json", "--plot", "m.svg", "--point", "sigma=0.05")
    counted = re.search(r"killed (\d+) of (\d+), the line named for (\d+) of", text)
    assert status == 0 and len(set(counted.groups())) == 1
    assert json.loads(Path("m.json").read_text())["killed"] == int(counted[1]) >= 24 and Path("m.svg").read_text().startswith(
        "<?xml"
    )
    assert run(capsys, "--mutate", "--layer", "softmax", "--point", "layers=1")[0] == 2


def test_oracle_arrays(folder, capsys):
    import numpy as np

    arrays = dict(np.load(ROOT / "tests/data/oracle.npz"))
    few = {key: array for key, array in arrays.items() if key.startswith(("one_layer", "softmax", "two_heads"))}
    np.savez("few.npz", **few)
    status, text = run(capsys, "--arrays", "few.npz")
    assert status == 0, text
    np.savez("off.npz", **{**few, "two_heads/grad": few["two_heads/grad"] * (1 + 1e-9)})
    status, text = run(capsys, "--arrays", "off.npz")
    assert status == 1 and "first wrong: two_heads grad" in text
    np.savez("less.npz", **{key: array for key, array in few.items() if key != "softmax/y"})
    status, text = run(capsys, "--arrays", "less.npz")
    assert status == 2 and "missing y" in text


def test_as_a_program(tmp_path):
    (tmp_path / "my_layer.py").write_text(LAYER.replace("dV.T @ Z,", "2 * dV.T @ Z,"))
    command = [sys.executable, "-m", "linattn_np", "audit"]
    how = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}, "capture_output": True, "text": True}
    done = subprocess.run([*command, "--function", "my_layer:subject"], **how)
    assert done.returncode == 1 and "first wrong: dP, every entry is 2 times the derivative" in done.stdout and not done.stderr
    shown = subprocess.run([*command, "--help"], **how)
    assert shown.returncode == 0 and "python -m linattn_np audit --layer linear --mutate" in " ".join(shown.stdout.split())


WAYS_OUT = {  # name of a subject in audit_subjects/impure.py: what must be said
    "leaves_by_sys_exit": "forward raised SystemExit",
    "leaves_by_sys_exit_in_backward": "backward(theta) raised SystemExit",
    "leaves_by_os_exit": "ended the process with exit status 0",
    "leaves_by_keyboard_interrupt": "KeyboardInterrupt",
    "leaves_by_abort": "ended the process by the signal SIGABRT",
    "prints_a_verdict_and_leaves": "before there was a verdict",
    "never_ends_to_call_itself": "RecursionError",
}


@pytest.mark.parametrize("name", WAYS_OUT)
def test_no_way_out_passes_for_a_verdict(name, folder, capsys):
    Path("ways.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\nfrom audit_subjects.impure import {name}\n"
    )
    status, text = run(capsys, "--function", f"ways.py:{name}")
    assert status == 2 and WAYS_OUT[name] in text, text
    assert "CANNOT JUDGE" not in text and ": ok" not in text and "WRONG" not in text


def test_what_a_reader_prints_is_kept_apart(folder, capfd):
    Path("my_layer.py").write_text(LAYER.replace("    return Z +", '    print("WRONG")\n    return Z +'))
    assert main(["audit", "--function", "my_layer.py:subject"]) == 0
    shown = capfd.readouterr()
    assert "WRONG" not in shown.out and "WRONG" in shown.err and "my_layer.py:subject: ok" in shown.out


def test_limits_of_time_and_entries(folder, capsys):
    Path("my_layer.py").write_text(LAYER)
    status, text = run(capsys, "--function", "my_layer.py:subject", "--seconds", "0")
    assert status == 2 and "left out" in text and "CANNOT JUDGE" in text
    assert run(capsys, "--function", "my_layer.py:subject", "--entries", "4")[0] == 0
    assert run(capsys, "--layer", "linear", "--entries", "4")[0] == 2
