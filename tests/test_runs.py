"""Runs on disk: what decides the name, the same history back, and files that are not what they should be."""

import json

import numpy as np
import pytest

import linattn_np as la
from linattn_np.optimizers import SGD, Adam
from linattn_np.training import runs


def small_run(**changes):
    return runs.Run(
        **{"task": la.RegressionTask(n=3), "optimizer": SGD(0.01), "steps": 7, "batch": 5, "record_every": 3, **changes}
    )


def same(a, b):
    arrays = all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in ("loss", "grad_norm", "params"))
    tables = all(
        getattr(a, name).keys() == getattr(b, name).keys()
        and all(np.array_equal(getattr(a, name)[t], getattr(b, name)[t]) for t in getattr(a, name))
        for name in ("snapshots", "updates")
    )
    return arrays and tables and a.diverged_at == b.diverged_at


def test_a_run_comes_back_as_it_was(tmp_path):
    folder, run = runs.RunFolder(tmp_path / "new"), small_run()
    assert folder.load(run) is None
    history = run.train()
    folder.save(run, history)
    assert same(folder.load(run), history)


def test_a_diverged_run_comes_back_as_it_was(tmp_path):
    folder, run = runs.RunFolder(tmp_path), small_run(optimizer=SGD(1e4), clip=None, steps=40)
    history = run.train()
    assert history.diverged_at is not None
    folder.save(run, history)
    assert same(folder.load(run), history)


def test_a_run_that_diverged_by_an_earlier_rule_is_trained_again(tmp_path, monkeypatch):
    folder, good, lost = runs.RunFolder(tmp_path), small_run(), small_run(optimizer=SGD(1e4), clip=None, steps=40)
    for run in (good, lost):
        folder.save(run, run.train())
    monkeypatch.setattr(runs, "DIVERGENCE", runs.DIVERGENCE + 1)
    assert folder.load(lost) is None and same(folder.load(good), good.train())
    folder.save(lost, lost.train())
    assert folder.load(lost) is not None


def test_description_survives_and_everything_in_it_decides_the_name():
    run = small_run(task=la.RegressionTask(n=3, covariates="gamma"), optimizer=Adam(0.1))
    assert runs.Run.from_dict(run.to_dict()) == run
    assert json.loads(run.description())["optimizer"] == {"name": "Adam", "lr": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    others = [
        small_run(seed=1), small_run(steps=8), small_run(batch=6), small_run(optimizer=SGD(0.02)),
        small_run(optimizer=Adam(0.01)),
        small_run(task=la.RegressionTask(n=3, covariates="sphere")), small_run(clip=None), small_run(std=0.1),
        small_run(layers=2),
        small_run(record_every=4), small_run(full=True), small_run(heads=2), small_run(attention="relu"),
        small_run(clip_by="block"),
    ]  # fmt: skip
    names = {other.file_name() for other in [small_run(), *others]}
    assert len(names) == 1 + len(others)
    assert small_run().file_name() == small_run().file_name()


@pytest.mark.parametrize("harm", ["empty", "truncated", "foreign", "another run", "pickle"])
def test_a_file_that_is_not_the_run_is_named_and_set_aside(tmp_path, capsys, harm):
    folder, run = runs.RunFolder(tmp_path), small_run()
    file = tmp_path / run.file_name()
    if harm == "another run":
        other = small_run(seed=1)
        folder.save(other, other.train())
        (tmp_path / other.file_name()).rename(file)
    elif harm == "pickle":
        with open(file, "wb") as opened:
            np.savez(opened, description=np.array([{"never": "executed"}], dtype=object))
    else:
        folder.save(run, run.train())
        content = file.read_bytes()
        file.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "foreign": b"not a run\n"}[harm])
    harmed = file.read_bytes()
    assert folder.load(run) is None
    assert file.name in capsys.readouterr().err
    assert not file.exists() and (tmp_path / f"{file.name}.aside1").read_bytes() == harmed
    file.write_bytes(b"again")
    assert folder.load(run) is None and (tmp_path / f"{file.name}.aside2").read_bytes() == b"again"


def test_an_atomic_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with pytest.raises(RuntimeError), runs.atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    runs.write_text(path, "whole")
    assert path.read_text() == "whole" and len(list(path.parent.iterdir())) == 1
