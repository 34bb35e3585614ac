"""The disk fails at each write of a small sweep in turn; afterwards a clean command gives the uninterrupted table."""

import errno
import json
import os
import tempfile
from pathlib import Path

import pytest

from linattn_np.__main__ import main
from linattn_np.optimizers import Adam
from linattn_np.prompts import RegressionTask
from linattn_np.training import files, runs, sweeps

pytestmark = pytest.mark.long
SWEEP = ["sweep", "--steps", "5", "--batch", "8", "--seeds", "1", "--rates", "0.01", "--workers", "1"]
FAILURES = {"full": errno.ENOSPC, "read-only": errno.EROFS, "not permitted": errno.EACCES}


class Disk:
    """Everything by which a file is written, counted; call number ``fails_at`` and, where it ``stays`` so, all later ones
    fail.
    """

    def __init__(self, monkeypatch, folder, number, fails_at, stays):
        self.folder, self.number, self.fails_at, self.stays, self.calls, self.failed = str(folder), number, fails_at, stays, 0, []
        for module, name in ((os, "fsync"), (os, "chmod"), (os, "replace"), (tempfile, "mkstemp"), (Path, "mkdir"), (os, "open")):
            monkeypatch.setattr(module, name, self.guarded(name, getattr(module, name)))
        fdopen = os.fdopen
        monkeypatch.setattr(
            files.os, "fdopen", lambda *given: Written(self, fdopen(*given)) if given[1:] == ("wb",) else fdopen(*given)
        )

    def guarded(self, name, function):
        def call(*given, **named):
            here = name == "fsync" or self.folder in " ".join(map(str, [*given, *named.values()]))
            if here and (name != "open" or given[1] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR)):  # reading works
                self.count(name)
            return function(*given, **named)

        return call

    def count(self, name):
        self.calls += 1
        if self.calls == self.fails_at or (self.stays and self.calls > self.fails_at):
            self.failed.append(name)
            raise OSError(self.number, os.strerror(self.number))


class Written:
    """A file on the failing disk."""

    def __init__(self, disk, file):
        self.disk, self.file = disk, file

    def write(self, data):
        self.disk.count("write")
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


def table(folder):
    return json.loads((folder / "sweep.json").read_text())


@pytest.mark.parametrize("stays", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("failure", FAILURES)
def test_the_disk_fails_at_each_write_in_turn(failure, stays, tmp_path, monkeypatch, capsys):
    assert main([*SWEEP, "--out", str(tmp_path / "whole")]) == 0
    wanted, at, kinds = table(tmp_path / "whole"), 0, set()
    while True:
        at += 1
        out = tmp_path / f"out{at}"
        with monkeypatch.context() as patch:
            disk = Disk(patch, out, FAILURES[failure], at, stays)
            capsys.readouterr()
            status = main([*SWEEP, "--out", str(out)])
            errors = capsys.readouterr().err.splitlines()
        if not disk.failed:
            break
        kinds |= {disk.failed[0]}
        assert status == 2 and len(errors) == 1 and errors[0].startswith("linattn_np sweep: "), (at, disk.failed, errors)
        assert os.strerror(FAILURES[failure]) in errors[0] or "cannot be written" in errors[0]
        left = [file for file in out.rglob("*") if file.is_file()] if out.exists() else []
        assert all(file.suffix in (".npz", ".json") for file in left), (at, left)
        assert main([*SWEEP, "--out", str(out)]) == 0
        assert table(out) == wanted and "kept as" not in capsys.readouterr().err
        assert {file.suffix for file in out.rglob("*") if file.is_file()} == {".npz", ".json"}
    assert at > 40 and status == 0 and "write" in kinds
    assert failure != "full" or stays or kinds == {"open", "mkdir", "mkstemp", "write", "fsync", "chmod", "replace"}


def test_a_checkpoint_that_cannot_be_written_ends_the_run_and_the_one_before_is_gone_on_from(tmp_path, monkeypatch):
    run = runs.Run(RegressionTask(n=3, d=2), Adam(0.02), 40, 5)
    wanted = run.train(False)
    folder = runs.RunFolder(tmp_path, checkpoints=(0.0, 0.0))
    with monkeypatch.context() as patch:
        disk = Disk(patch, tmp_path, errno.ENOSPC, 300, True)
        with pytest.raises(OSError, match="No space left"):
            list(sweeps.sweep([run], folder, progress=False))
    assert disk.failed
    [kept] = tmp_path.iterdir()
    assert kept.suffix == ".checkpoint"
    began = []
    monkeypatch.setattr(runs.Checkpoint, "save", lambda self, standing: began.append(standing.t))
    [(_, history)] = sweeps.sweep([run], folder, progress=False)
    assert (
        began[0] > 1
        and history.params.tobytes() == wanted.params.tobytes()
        and [f.suffix for f in tmp_path.iterdir()] == [".npz"]
    )
