"""A training run as data: what it is, and a folder that keeps finished ones, so that no run is done twice.

A run is one ``.npz`` file of plain arrays, read with ``allow_pickle=False``. Its name ends in a hash of everything that decides
its numbers, and the same description stands inside. Files are written under another name and then renamed: a run is there whole
or not at all.
"""

import hashlib
import json
import os
import socket
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .. import optimizers
from .._checks import one_of
from ..prompts import NonlinearTask, RegressionTask
from .loop import History, train

FORMAT = 2  # raise it when the same description would give other numbers
DIVERGENCE = 1  # raise it when runs that diverged might now go on: those kept with an earlier number are trained again
ADDED = {"hidden": 0, "fixed_batch": False}  # fields that came later: left out at these values, older runs keep their names


@dataclass(frozen=True)
class Run:
    """Everything that decides the numbers of one training run; the arguments are those of ``train``."""

    task: RegressionTask
    optimizer: object
    steps: int = 10_000
    batch: int = 1000
    layers: int = 3
    clip: float | None = 1.0
    seed: int = 0
    std: float = 0.05
    record_every: int = 10
    heads: int = 1
    full: bool = False
    attention: str = "linear"
    clip_by: str = "global"
    hidden: int = 0
    fixed_batch: bool = False

    def to_dict(self):
        """The run as plain values, with the optimizer's name."""
        values = {key: value for key, value in asdict(self).items() if key not in ADDED or value != ADDED[key]}
        values["optimizer"] = {"name": type(self.optimizer).__name__, **asdict(self.optimizer)}
        return values

    @classmethod
    def from_dict(cls, values):
        """The run that :meth:`to_dict` described."""
        values = dict(values)
        settings = dict(values["optimizer"])
        name = one_of("optimizer", settings.pop("name"), tuple(optimizers.KINDS))
        values["optimizer"] = optimizers.KINDS[name](**settings)
        kind = NonlinearTask if "network_seed" in values["task"] else RegressionTask
        values["task"] = kind(**values["task"])
        return cls(**values)

    def description(self):
        """:meth:`to_dict` as one line of JSON, always the same for the same run."""
        return json.dumps({"format": FORMAT, **self.to_dict()}, sort_keys=True)

    def file_name(self):
        """A name that a person can read, made unique by a hash of the description."""
        digest = hashlib.sha256(self.description().encode()).hexdigest()[:12]
        return f"{type(self.optimizer).__name__.lower()}-{self.task.covariates}-n{self.task.n}-seed{self.seed}-{digest}.npz"

    def train(self, progress=None):
        """Do the run."""
        arguments = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return train(**arguments, progress=progress)


class RunFolder:
    """Finished runs in a folder, and the executor that trains those it does not hold (None: this process)."""

    def __init__(self, path, executor=None):
        self.path, self.executor = Path(path), executor
        self.seconds = {}  # wall time of each run that was loaded or saved, by file name
        remove_leftovers(self.path)

    def load(self, run):
        """The history of a finished run, or None. A file that is not that run is set aside, and named on standard error."""
        file = self.path / run.file_name()
        arrays = read_arrays(file, run.description(), "run")
        if arrays is None:
            return None
        history = history_from(arrays)
        if history.diverged_at is not None and arrays.get("divergence", 0) < DIVERGENCE:
            return None
        self.seconds[file.name] = history.seconds
        return history

    def save(self, run, history):
        """Keep a finished run."""
        with atomic_file(self.path / run.file_name()) as file:
            named = {"description": np.array(run.description()), "divergence": np.array(DIVERGENCE)}
            np.savez(file, **named, **history_arrays(history))
        self.seconds[run.file_name()] = history.seconds


def read_arrays(file, description, what):
    """{name: array} of a ``.npz`` file with this description, or None where there is none; another file is set aside and named."""
    if not file.exists():
        return None
    try:
        with open(file, "rb") as opened:  # np.load would leave a truncated file open
            if not zipfile.is_zipfile(opened):
                raise ValueError("it is not a whole .npz file")
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as found:  # a pickle could run anything
                arrays = dict(found)
        if arrays.pop("description").item() != description:
            raise ValueError(f"it describes another {what}")
        return arrays
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        aside = set_aside(file)
        print(f"linattn_np: {file} is not a finished {what} ({error}); kept as {aside.name}", file=sys.stderr)
        return None


def history_arrays(history):
    """A history as plain arrays, which :func:`history_from` undoes."""
    times, params = history.snapshot_array()
    diverged_at = -1 if history.diverged_at is None else history.diverged_at
    return {
        "loss": history.loss, "grad_norm": history.grad_norm, "params": history.params, "diverged_at": np.array(diverged_at),
        "times": times, "snapshots": params, "updates": np.array([history.updates[t] for t in sorted(history.updates)]),
        "seconds": np.array(history.seconds),
    }  # fmt: skip


def history_from(arrays):
    """The history in the arrays of a file."""
    diverged_at = int(arrays["diverged_at"])
    snapshots = dict(zip(arrays["times"].tolist(), arrays["snapshots"], strict=True))
    updates = dict(zip(arrays["times"].tolist(), arrays["updates"], strict=False))  # the last snapshot may have none
    diverged = None if diverged_at < 0 else diverged_at
    seconds = float(arrays["seconds"])
    return History(arrays["loss"], arrays["grad_norm"], arrays["params"], diverged, snapshots, updates, seconds)


def set_aside(file):
    """Rename a file that is not what it should be, never over another."""
    count = 1
    while (aside := file.with_name(f"{file.name}.aside{count}")).exists():
        count += 1
    file.rename(aside)
    return aside


class atomic_file:
    """``with atomic_file(path) as file``: a binary file that appears at ``path`` whole when the block ends well, or not at all."""

    def __init__(self, path):
        self.path = Path(path)

    def __enter__(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{self.path.name}.{socket.gethostname()}-{os.getpid()}-"
        descriptor, self.name = tempfile.mkstemp(prefix=prefix, suffix=LEFTOVER, dir=self.path.parent)
        self.file = os.fdopen(descriptor, "wb")
        return self.file

    def __exit__(self, kind, error, trace):
        try:
            self.file.close()  # may find the disk full
            if kind is None:
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(self.name, 0o666 & ~umask)  # mkstemp makes files that only their owner may read
                os.replace(self.name, self.path)
        finally:
            if os.path.exists(self.name):
                os.unlink(self.name)


LEFTOVER = ".unfinished"


def remove_leftovers(folder):
    """Remove the unfinished files of processes of this machine that are gone: a killed process could not do it itself."""
    for file in Path(folder).glob(f".*-*-*{LEFTOVER}"):
        host, pid, _ = file.name.rsplit("-", 2)
        if host.endswith(f".{socket.gethostname()}") and not is_alive(int(pid)):
            file.unlink(missing_ok=True)


def is_alive(pid):
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs, and it is somebody else's
        return True
    return True


def write_text(path, text):
    """Write a text file whole or not at all."""
    with atomic_file(path) as file:
        file.write(text.encode())
