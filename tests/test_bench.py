"""The benchmark: its arithmetic, and one small run of the command."""

import json

import numpy as np
import pytest

from linattn_np import bench
from linattn_np.__main__ import main
from linattn_np.kernels import programs, threads
from linattn_np.kernels.operations import Operand, Program


def test_exponent_of_a_power_law():
    sizes = np.array([2.0, 3.0, 7.0])
    assert bench.exponent(sizes, 5 * sizes**1.5) == pytest.approx(1.5)


def test_flops_of_one_product_and_growth_with_d():
    A, x = Operand("A", 0, 3, 3, 3, 1), Operand("x", 9, 3, 1, 1, 0)
    program = Program()
    program.set(A, A @ A, "5b.5")
    program.set(x, A @ x, "5b.3")
    assert program.flops == 2 * (27 + 9)
    small, large = (programs.passes(3, 1, k, False, 20).gradient.flops for k in (5, 40))
    assert 6.5 < np.log2(large / small) < 9  # cubic, with a square part


def test_command_writes_numbers_and_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "BATCH", 50)
    monkeypatch.setattr(bench, "GROWTH", {"n": ((5, 20), (5, 20))})
    arguments = ["bench", "--quick", "--rounds", "1", "--json", str(tmp_path / "b.json"), "--plot", str(tmp_path / "b.png")]
    assert main(arguments) == 0
    words, record = capsys.readouterr().out, json.loads((tmp_path / "b.json").read_text())
    assert "step, Setting 1" in words and record["pieces"].keys() >= {
        "step, Setting 1",
        "Hessian",
        "drawing, Setting 1",
        "audit of the model",
    }
    assert all(seconds > 0 for row in record["pieces"].values() for seconds in row.values())
    assert 0 < record["share_of_peak"]["gradient"] < 5 and (tmp_path / "b.png").stat().st_size > 10_000
    assert threads._threads is None


def test_waits_are_those_of_two_fresh_processes_with_one_cache():
    code = """
import json, os, pathlib
file = pathlib.Path(os.environ["NUMBA_CACHE_DIR"], "compiled")
print(json.dumps({"first step": [float(file.exists()), 0.5]}))
file.touch()
"""
    rows = bench.waits(code)
    assert rows == {"nothing compiled": {"first step": [0, 0.5]}, "compiled before": {"first step": [1, 0.5]}}
