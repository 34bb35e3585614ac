"""A run that is killed on its way goes on from its checkpoint to the same bits."""

import itertools
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import linattn_np as la
from linattn_np.optimizers import SGD, SOAP, Adagrad, Adam, AdamW, Muon, NormalizedGD, RMSProp, Shampoo, SignDescent, WarmUp
from linattn_np.training import checkpoints, runs, sweeps
from linattn_np.training.loop import train_together

TASK = la.RegressionTask(n=3, d=2)


def bits(history):
    arrays = runs.history_arrays(history)
    return {name: array.tobytes() for name, array in arrays.items() if "seconds" not in name}


class Stop(Exception):
    """The process is gone."""


class Stopping(checkpoints.Checkpoint):
    """A checkpoint that is written after each of some steps; after the last of them the process is gone."""

    def __init__(self, path, description, steps):
        super().__init__(path, description, 0.0, 0.0)
        self.steps = list(steps)

    def is_due(self):
        return True

    def save(self, standing):
        if standing.t in self.steps:
            super().save(standing)
            if standing.t == self.steps[-1]:
                raise Stop


KINDS = {  # every optimizer has a state of its own; every way of drawing its own random numbers
    "SGD": {"optimizer": SGD(0.02, momentum=0.9)}, "Adam": {"optimizer": Adam(0.02)}, "AdamW": {"optimizer": AdamW(0.02)},
    "Adagrad": {"optimizer": Adagrad(0.02)}, "RMSProp": {"optimizer": RMSProp(0.02)},
    "SignDescent": {"optimizer": SignDescent(0.01, 0.5)},
    "NormalizedGD": {"optimizer": NormalizedGD(0.01, 0.5)}, "tokens": {"task": la.RegressionTask(n=3, d=2, covariates="gamma")},
    "softmax": {"attention": "softmax"}, "fixed batch": {"fixed_batch": True}, "composed": {"hidden": 3},
    "Adam by layer": {"optimizer": Adam(0.02, second_moment="layer")},
    "SGD with layer rates": {"optimizer": SGD(0.01, 0.9, (1, 2, 4))},
    "Muon": {"optimizer": Muon(0.02)}, "Shampoo": {"optimizer": Shampoo(0.01, 0.5, 0.9)},
    "SOAP": {"optimizer": SOAP(0.02, every=2)}, "linear": {"schedule": "linear"},
    "warm-up": {"optimizer": Adam(0.02, second_moment="block"), "schedule": WarmUp(9)},
    "many parts": {"batch": 600, "steps": 9}, "diverges": {"optimizer": SGD(0.1), "clip": None, "seed": 2},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_in_three_pieces_has_the_bits_of_one(kind, tmp_path):
    run = runs.Run(**{"task": TASK, "optimizer": Adam(0.02), "steps": 23, "batch": 5, "record_every": 4, **KINDS[kind]})
    whole, path = run.train(False), tmp_path / f"run{checkpoints.SUFFIX}"
    assert (whole.diverged_at is not None) == (kind == "diverges")
    for piece in ((2,), (3, 5)):
        with pytest.raises(Stop):
            run.train(False, Stopping(path, run.description(), piece))
    last = Stopping(path, run.description(), ())
    assert bits(run.train(False, last)) == bits(whole)
    start = checkpoints.Standing(
        0,
        whole.params,
        run.optimizer.init(whole.params),
        np.full(run.steps, np.nan),
        np.full(run.steps, np.nan),
        {},
        {},
        0.0,
        np.zeros((7, 4, 64), np.uint64),
    )
    assert last.load(start) is start  # the states are another number: set aside


@pytest.mark.parametrize("first, second", [((4,), (4,)), ((4,), (9,)), ((9,), ())])
def test_runs_that_were_ended_at_other_steps_go_on_together_to_the_same_bits(first, second, tmp_path):
    every = [runs.Run(TASK, optimizer, 23, 300, record_every=4) for optimizer in (Adam(0.02), SGD(0.1), Adam(0.03))]
    paths = [tmp_path / f"{k}{checkpoints.SUFFIX}" for k in range(3)]
    for run, path, steps in zip(every, paths, (first, second, second), strict=True):
        if steps:
            with pytest.raises(Stop):
                run.train(False, Stopping(path, run.description(), steps))
    kept = [checkpoints.Checkpoint(path, run.description()) for run, path in zip(every, paths, strict=True)]
    begun = [run.begun(checkpoint) for run, checkpoint in zip(every, kept, strict=True)]
    assert [training.now.t for training in begun] == [(steps or (0,))[0] for steps in (first, second, second)]
    assert list(map(bits, train_together(begun, False))) == [bits(run.train(False)) for run in every]


def test_a_run_that_diverged_where_another_goes_on_does_not_lend_it_its_batches(tmp_path):
    lost, run = (runs.Run(TASK, optimizer, 23, 300, clip=None, seed=2) for optimizer in (SGD(2.0), Adam(0.02)))
    at, path = lost.train(False).diverged_at, tmp_path / f"run{checkpoints.SUFFIX}"
    assert 1 < at < 22
    with pytest.raises(Stop):
        run.train(False, Stopping(path, run.description(), (at,)))
    begun = [lost.begun(), run.begun(checkpoints.Checkpoint(path, run.description()))]
    assert list(map(bits, train_together(begun, False))) == [bits(lost.train(False)), bits(run.train(False))]


def test_runs_side_by_side_are_kept_and_go_on_from_there(tmp_path):
    every = [runs.Run(TASK, optimizer, 23, 300, record_every=4) for optimizer in (Adam(0.02), SGD(0.1))]
    kept = [
        Stopping(tmp_path / f"{k}{checkpoints.SUFFIX}", run.description(), steps)
        for k, (run, steps) in enumerate(zip(every, ((11, 99), (11,)), strict=True))
    ]
    with pytest.raises(Stop):
        train_together([run.begun(checkpoint) for run, checkpoint in zip(every, kept, strict=True)], False)
    begun = [run.begun(checkpoint) for run, checkpoint in zip(every, kept, strict=True)]
    assert [training.now.t for training in begun] == [11, 11]
    kept[1].steps = [99]
    assert list(map(bits, train_together(begun, False))) == [bits(run.train(False)) for run in every]


@pytest.mark.parametrize(
    "harm", ["flipped", "cut", "other run", "other machine", "params NaN", "no state", "folder", "more states"]
)
def test_a_checkpoint_that_is_not_good_is_not_gone_on_from(harm, tmp_path, capsys, monkeypatch):
    run = runs.Run(TASK, Adam(0.02), 23, 5, record_every=4)
    path, whole = tmp_path / f"run{checkpoints.SUFFIX}", run.train(False)
    checkpoint = Stopping(path, run.description(), (7,))
    if harm == "folder":
        path.mkdir()
    else:
        with pytest.raises(Stop):
            run.train(False, checkpoint)
    data = bytearray(path.read_bytes()) if path.is_file() else None
    if harm == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif harm == "cut":
        path.write_bytes(data[:-30])
    elif harm == "other run":
        checkpoint.description += " "
    elif harm == "other machine":
        monkeypatch.setattr(checkpoints, "provenance", lambda: {"cpu": "another"})
    elif harm in ("params NaN", "no state", "more states"):
        arrays, _ = checkpoints.read_with_origin(path, checkpoint.description, "checkpoint")
        change = {
            "params NaN": ("params", arrays["params"] * np.nan),
            "no state": ("state1", None),
            "more states": ("random", np.concatenate([arrays["random"]] * 2)),
        }
        arrays.update([change[harm]])
        checkpoints.write_arrays(
            path, checkpoint.description, {name: array for name, array in arrays.items() if array is not None}
        )
    checkpoint.steps = []
    assert bits(run.train(False, checkpoint)) == bits(whole)
    said = capsys.readouterr().err
    assert ("is not a finished checkpoint" in said) == (harm != "other machine") and "Traceback" not in said


CODE = """
import sys
from linattn_np.training import runs, sweeps
import linattn_np as la
run = runs.Run(la.RegressionTask(n=5, d=3), la.optimizers.Adam(0.02), 20_000, 40, record_every=500)
la.train(run.task, run.optimizer, 1, 40, progress=False)
folder = runs.RunFolder(sys.argv[1], checkpoints=(0.05, 0.1))
print("go", flush=True)
list(sweeps.sweep([run], folder, progress=False))
"""


def test_killed_at_20_random_moments_inside_a_run_it_ends_with_the_same_bits(tmp_path):
    run = runs.Run(la.RegressionTask(n=5, d=3), Adam(0.02), 20_000, 40, record_every=500)
    wanted, folder = bits(run.train(False)), runs.RunFolder(tmp_path)
    chance, killed, went_on, path = random.Random(2), 0, 0, (tmp_path / run.file_name()).with_suffix(checkpoints.SUFFIX)
    while killed < 20:
        before = path.stat().st_mtime_ns if path.exists() else None
        process = subprocess.Popen([sys.executable, "-c", CODE, tmp_path], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(chance.uniform(0.05, 0.6))
        finished = process.poll() is not None
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if finished or folder.holds(run):  # a fast machine was done: what it found is right; begin again
            assert bits(folder.load(run)) == wanted
            (tmp_path / run.file_name()).unlink()
            path.unlink(missing_ok=True)
            killed += 1
            continue
        killed += 1
        went_on += before is not None and path.exists() and path.stat().st_mtime_ns != before
    assert went_on >= 3  # a checkpoint was made by a process that had begun from one
    [(_, history)] = sweeps.sweep([run], folder, progress=False)
    assert bits(history) == wanted and not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == [run.file_name()]


def test_a_run_that_takes_long_is_kept_on_its_way(tmp_path, monkeypatch):
    """20 s of work in no time: the clock is ours."""
    clock, saved = [0.0], []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: clock.__setitem__(0, clock[0] + 0.5) or clock[0])
    monkeypatch.setattr(
        checkpoints.Checkpoint,
        "save",
        lambda self, standing: (saved.append(clock[0]), setattr(self, "next", clock[0] + self.every)),
    )
    runs.RunFolder(tmp_path).train([runs.Run(TASK, Adam(0.02), 60, 5)], False)
    assert len(saved) >= 3 and saved[0] <= 10.0 and all(b - a <= 10.0 for a, b in itertools.pairwise(saved))


def test_a_checkpoint_of_a_finished_run_is_removed(tmp_path):
    folder, run = runs.RunFolder(tmp_path), runs.Run(TASK, Adam(0.02), 3, 5)
    folder.train([run], False)
    stale = (tmp_path / run.file_name()).with_suffix(checkpoints.SUFFIX)
    stale.write_bytes(b"left by a kill between two lines")
    (tmp_path / "another.checkpoint").write_bytes(b"of a run under way")
    runs.RunFolder(tmp_path)
    assert not stale.exists() and (tmp_path / "another.checkpoint").exists()
