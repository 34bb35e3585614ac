"""A training run as data: what it is, and a folder that keeps finished ones, so that no run is done twice.

A run is one ``.npz`` file of plain arrays (:mod:`archives`). Its name ends in a hash of everything that decides its numbers;
inside stand the same description, what computed it, and a checksum. A run that was not computed by compiled kernels has a name of
its own, because its last bits differ. Files are written under another name and then renamed: a run is there whole or not at all.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .. import optimizers
from .._checks import as_count, as_flag, as_real, one_of
from .._types import Array
from ..models.choose import DEFAULTS, model_from
from ..models.model import Model
from ..optimizers.schedules import as_schedule
from ..prompts import NonlinearTask, RegressionTask
from .archives import put_aside, read_arrays, read_with_origin, write_arrays
from .checkpoints import EVERY, SUFFIX, Checkpoint
from .files import LOCK, atomic_file, lock, remove_leftovers, write_text
from .history import History
from .loop import Training, train_together
from .provenance import backend, provenance

__all__ = ["Run", "RunFolder", "atomic_file", "history_arrays", "history_from", "read_arrays", "write_arrays", "write_text"]
FORMAT = 4  # raise it when the same description would give other numbers. 3: checksum and provenance; 4: prompts drawn in lanes
DIVERGENCE = 1  # raise it when runs that diverged might now go on: those kept with an earlier number are trained again
ADDED = {
    "hidden": 0,
    "fixed_batch": False,
    "model": None,
    "schedule": None,
}  # fields that came later: left out at these values, older runs keep their names


@dataclass(frozen=True)
class Run:
    """Everything that decides the numbers of one training run; the arguments are those of ``train``.

    ``model`` is a frozen dataclass that stands in a module of its own, so that workers can import it, and so is a ``schedule``
    that is neither None nor a name.
    """

    task: RegressionTask
    optimizer: Any
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
    model: Any = None
    schedule: Any = None

    def __post_init__(self) -> None:
        """Numbers as they are kept: clip=1 and clip=1.0 are one run, and so are seed=3 and NumPy's 3."""
        for name in ("steps", "batch", "layers", "seed", "record_every", "heads", "hidden"):
            least = 0 if name in ("seed", "hidden") else 1
            object.__setattr__(self, name, as_count(name, getattr(self, name), least))  # the dataclass is frozen
        for name in ("full", "fixed_batch"):
            object.__setattr__(self, name, as_flag(name, getattr(self, name)))
        object.__setattr__(self, "std", as_real("std", self.std, least=0))
        if self.clip is not None:
            object.__setattr__(self, "clip", as_real("clip", self.clip, above=0))
        as_schedule(self.schedule, self.steps)

    def to_dict(self) -> dict[str, Any]:
        """The run as plain values, with the optimizer's name and the place of a model's class."""
        values = {key: value for key, value in asdict(self).items() if key not in ADDED or value != ADDED[key]}
        said = {name: value for name, value in asdict(self.optimizer).items() if name in optimizers.described(self.optimizer)}
        values["optimizer"] = {"name": type(self.optimizer).__name__, **said}
        if self.model is not None:
            values["model"] = describe_model(self.model)
        if self.schedule is not None and not isinstance(self.schedule, str):
            values["schedule"] = describe_schedule(self.schedule)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Run":
        """The run that :meth:`to_dict` described."""
        values = dict(values)
        settings = dict(values["optimizer"])
        name = one_of("optimizer", settings.pop("name"), tuple(optimizers.KINDS))
        values["optimizer"] = optimizers.KINDS[name](**settings)
        kind = NonlinearTask if "network_seed" in values["task"] else RegressionTask
        values["task"] = kind(**values["task"])
        if values.get("model") is not None:
            values["model"] = model_described(values["model"])
        if isinstance(values.get("schedule"), dict):
            values["schedule"] = schedule_described(values["schedule"])
        return cls(**values)

    def description(self) -> str:
        """:meth:`to_dict` as one line of JSON, always the same for the same run."""
        return json.dumps({"format": FORMAT, **self.to_dict()}, sort_keys=True)

    def file_name(self, computed_by: str | None = None) -> str:
        """A name that a person can read, made unique by a hash of the description; it ends in what computed the run (default:
        this process) where that is not Numba."""
        digest = hashlib.sha256(self.description().encode()).hexdigest()[:12]
        how = backend() if computed_by is None else computed_by
        words = [type(self.optimizer).__name__.lower(), self.task.covariates, f"n{self.task.n}", f"seed{self.seed}", digest]
        return "-".join(words if how == "numba" else [*words, how]) + ".npz"

    def asked(self) -> dict[str, Any]:
        """The arguments of ``train`` that say which model; those left at their default are not said."""
        return {name: getattr(self, name) for name, usual in DEFAULTS.items() if getattr(self, name) != usual}

    def trained_model(self) -> Model:
        """The model that the run trains."""
        return model_from(self.task.d, self.model, **self.asked())

    def batches(self) -> tuple[Any, ...]:
        """What decides the batches and the programs: runs that agree in it may be trained together."""
        shape = self.layers, self.heads, self.full, self.attention, self.hidden, self.model
        return self.task, self.batch, self.seed, self.fixed_batch, shape

    def begun(self, checkpoint: Checkpoint | None = None) -> Training:
        """The run under way: at its start, or where a checkpoint was kept."""
        arguments = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in DEFAULTS}
        if self.clip_by == "global":
            del arguments["clip_by"]
        return Training(**arguments, **self.asked(), checkpoint=checkpoint)

    def train(self, progress: bool | None = None, checkpoint: Checkpoint | None = None) -> History:
        """Do the run, or what is left of it where a checkpoint was kept. Whoever keeps runs reads ``diverged_at``: no warning."""
        return train_together([self.begun(checkpoint)], progress)[0]


def describe_schedule(schedule: Any) -> dict[str, Any]:
    """A schedule as plain values, as :func:`describe_model`; ``then``, where it has that field, is described too."""
    values = describe_model(schedule, "schedule")
    then = getattr(schedule, "then", None)
    return values if then is None else {**values, "fields": {**values["fields"], "then": describe_schedule(then)}}


def schedule_described(values: dict[str, Any]) -> Any:
    """The schedule that :func:`describe_schedule` described."""
    inside = values["fields"]
    if isinstance(inside.get("then"), dict):
        inside = {**inside, "then": schedule_described(inside["then"])}
    return model_described({**values, "fields": inside}, "schedule")


def describe_model(model: Any, argument: str = "model") -> dict[str, Any]:
    """A model as plain values: its module, its class and its fields. Raises ValueError where a worker could not make it again."""
    kind: Any = type(model)
    if not is_dataclass(model) or not kind.__dataclass_params__.frozen or "<locals>" in kind.__qualname__:
        raise ValueError(f"{argument}: expected a frozen dataclass that stands in a module, got {model!r} of {kind.__qualname__}")
    fields = asdict(model)  # type: ignore[arg-type]  # an instance
    return {"module": kind.__module__, "class": kind.__qualname__, "fields": fields}


def model_described(values: dict[str, Any], argument: str = "model") -> Any:
    """The model that :func:`describe_model` described; its module is imported."""
    kind: Any = getattr(import_module(values["module"]), values["class"], None)
    if not hasattr(kind, "__dataclass_fields__"):
        raise ValueError(f"{argument}: expected a dataclass {values['class']} in the module {values['module']}, found none")
    return kind(**values["fields"])


class RunFolder:
    """Finished runs in a folder, and the executor that trains those it does not hold (None: this process).

    ``checkpoints``: seconds until the first checkpoint of a run under way, and from one to the next.
    """

    def __init__(
        self, path: str | os.PathLike[str], executor: Executor | None = None, checkpoints: tuple[float, float] = (EVERY, EVERY)
    ) -> None:
        self.path, self.executor, self.checkpoints = Path(path), executor, checkpoints
        self.seconds: dict[str, float] = {}  # wall time of each run that was loaded or saved, by file name
        self.made_by: dict[str, dict[str, Any]] = {}  # what computed it
        self.tidy()

    def tidy(self) -> None:
        """Remove what killed processes left half written, and checkpoints of runs that are finished."""
        remove_leftovers(self.path)
        for file in self.path.glob(f"*{SUFFIX}"):
            if file.with_suffix(".npz").is_file() and file.is_file():
                file.unlink(missing_ok=True)

    def train(self, runs: Sequence[Run], progress: bool | None = None) -> list[History]:
        """Train runs of the same batches that the folder does not hold, each from its checkpoint where there is one, and keep
        them.
        """
        places = [(self.path / run.file_name()).with_suffix(SUFFIX) for run in runs]
        kept = [Checkpoint(place, run.description(), *self.checkpoints) for place, run in zip(places, runs, strict=True)]
        histories = train_together([run.begun(checkpoint) for run, checkpoint in zip(runs, kept, strict=True)], progress)
        for run, history, checkpoint in zip(runs, histories, kept, strict=True):
            self.save(run, history)
            checkpoint.remove()
        return histories

    def claim(self, run: Run) -> AbstractContextManager[bool]:
        """``with folder.claim(run) as ours``: whether this block may train the run; another process is at it otherwise."""
        return lock(self.path / f".{run.file_name()}{LOCK}")

    def holds(self, run: Run, computed_by: str | None = None) -> bool:
        """Whether a file stands where the run would; :meth:`load` says whether it is good."""
        return (self.path / run.file_name(computed_by)).is_file()

    def load(self, run: Run) -> History | None:
        """The history of a finished run, or None. A file that is not that run is set aside, and named on standard error."""
        file = self.path / run.file_name()
        found = read_with_origin(file, run.description(), "run")
        if found is None:
            return None
        arrays, made_by = found
        try:
            history = history_from(arrays, run.trained_model())
            check_history(run, history)
            divergence = int(arrays["divergence"])
        except Exception as error:  # as in read_arrays
            put_aside(file, "run", error)
            return None
        if history.diverged_at is not None and divergence < DIVERGENCE:
            return None
        self._remember(file.name, history, made_by)
        return history

    def save(self, run: Run, history: History, made_by: Mapping[str, Any] | None = None) -> None:
        """Keep a finished run; ``made_by`` its :func:`provenance` where another process computed it."""
        made = provenance() if made_by is None else dict(made_by)
        file = self.path / run.file_name(made["backend"])
        write_arrays(file, run.description(), {"divergence": np.array(DIVERGENCE), **history_arrays(history)}, made)
        self._remember(file.name, history, made)

    def keep(self, run: Run, history: History, made_by: dict[str, Any]) -> None:
        """Keep what a worker computed, where the worker did not do so itself."""
        if self.holds(run, made_by["backend"]):
            self._remember(run.file_name(made_by["backend"]), history, made_by)
        else:
            self.save(run, history, made_by)

    def computed_by(self) -> list[dict[str, Any]]:
        """What computed the runs that were loaded or saved: each :func:`provenance` once, with the number of its runs."""
        counted = Counter(json.dumps(made, sort_keys=True) for made in self.made_by.values())
        return [{**json.loads(made), "runs": count} for made, count in sorted(counted.items())]

    def _remember(self, name: str, history: History, made_by: dict[str, Any]) -> None:
        self.seconds[name], self.made_by[name] = history.seconds, made_by


def history_arrays(history: History) -> dict[str, Array]:
    """A history as plain arrays, which :func:`history_from` undoes."""
    times, params = history.snapshot_array()
    diverged_at = -1 if history.diverged_at is None else history.diverged_at
    return {
        "loss": history.loss, "grad_norm": history.grad_norm, "params": history.params, "diverged_at": np.array(diverged_at),
        "times": times, "snapshots": params, "updates": np.array([history.updates[t] for t in sorted(history.updates)]),
        "seconds": np.array(history.seconds), "compile_seconds": np.array(history.compile_seconds),
    }  # fmt: skip


def history_from(arrays: Mapping[str, Array], model: Model | None = None) -> History:
    """The history in the arrays of a file."""
    diverged_at = int(arrays["diverged_at"])
    snapshots = dict(zip(arrays["times"].tolist(), arrays["snapshots"], strict=True))
    updates = dict(zip(arrays["times"].tolist(), arrays["updates"], strict=False))  # the last snapshot may have none
    diverged = None if diverged_at < 0 else diverged_at
    seconds, compiling = float(arrays["seconds"]), float(arrays.get("compile_seconds", 0.0))  # added later: older files lack it
    return History(arrays["loss"], arrays["grad_norm"], arrays["params"], diverged, snapshots, updates, seconds, model, compiling)


def check_history(run: Run, history: History) -> None:
    """Raise ValueError unless a history can be that of the run: lengths, times, and numbers where training leaves numbers."""
    done = run.steps if history.diverged_at is None else history.diverged_at
    times, shape = list(history.snapshots), history.params.shape
    arrays = [history.params, *history.snapshots.values()]
    wanted = {
        "loss": history.loss.shape == (run.steps,) and np.isfinite(history.loss[:done]).all(),
        "grad_norm": history.grad_norm.shape == (run.steps,) and np.isfinite(history.grad_norm[:done]).all(),
        "diverged_at": 0 <= done <= run.steps,
        "times": times == [t for t in range(done + 1) if t % run.record_every == 0 or t in (0, run.steps)],
        "snapshots": all(x.shape == shape and np.isfinite(x).all() for x in arrays),
        "updates": all(x.shape == shape for x in history.updates.values())
        and list(history.updates) == [t for t in times if t < done],
        "seconds": all(np.isfinite(s) and s >= 0 for s in (history.seconds, history.compile_seconds)),
    }  # fmt: skip
    wrong = [name for name, good in wanted.items() if not good]
    if wrong:
        raise ValueError(f"its {', '.join(wrong)} cannot be those of this run")
