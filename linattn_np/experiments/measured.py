"""What was measured along a run, kept beside the runs: an interruption loses one measurement at most.

A measurement is one ``.npz`` file of plain arrays in ``runs/measured``, named by a hash of everything that decides its numbers.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._types import Array
from ..measures.landscape import Objective, directions_at, off_diagonal_share, path_smoothness, step_curvature
from ..optimizers import global_norm
from ..progress import bar
from ..prompts import RegressionTask
from ..training import runs
from ..training.loop import History
from ..training.provenance import backend
from ..training.runs import RunFolder
from .scale import TEST_PROMPTS, TEST_SEED, Scale, histories, runs_of, test_batch
from .settings import Setting

Arrays = dict[str, Array]
FORMAT = 1  # raise it when the same description would give other numbers; so does raising that of the runs
PATH_STEPS = 2_000  # the length of the path that generalized smoothness is measured on, as in the paper's code


def kept(folder: RunFolder, what: str, description: dict[str, Any], compute: Callable[[], Arrays]) -> Arrays:
    """The arrays of a measurement: kept from before, or computed now and kept. -> {name: array}"""
    file, text = place(folder, what, description)
    found = runs.read_arrays(file, text, "measurement")
    return write(file, text, compute()) if found is None else found


def kept_each(
    folder: RunFolder, what: str, descriptions: Sequence[dict[str, Any]], function: Callable[..., Arrays],
    arguments: Sequence[tuple[Any, ...]], label: str, progress: bool | None = None,
) -> list[Arrays]:  # fmt: skip
    """:func:`kept` for each description, by ``function(*arguments[k])``; the folder's executor takes all that are missing."""
    places = [place(folder, what, description) for description in descriptions]
    found: dict[int, Any] = {k: runs.read_arrays(*at, "measurement") for k, at in enumerate(places)}
    missing = [k for k, arrays in found.items() if arrays is None]
    waiting = {k: folder.executor.submit(function, *arguments[k]) for k in missing} if folder.executor else {}
    with bar(len(places), label, progress, unit="run") as shown:
        shown.update(len(places) - len(missing))
        for k in missing:
            found[k] = write(*places[k], waiting[k].result() if k in waiting else function(*arguments[k]))
            shown.update()
    return list(found.values())


def place(folder: RunFolder, what: str, description: dict[str, Any]) -> tuple[Path, str]:
    """The file of a measurement, and the text that its name is a hash of."""
    text = json.dumps({"format": [FORMAT, runs.FORMAT], "backend": backend(), "what": what, **description}, sort_keys=True)
    return folder.path / "measured" / f"{what}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz", text


def write(file: Path, text: str, found: Arrays) -> Arrays:
    """Keep the arrays of a measurement, whole or not at all. -> the arrays"""
    runs.write_arrays(file, text, found)
    return found


def along_runs(
    folder: RunFolder, setting: Setting, optimizer: str, scale: Scale, what: str, compute: Callable[..., Arrays],
    arguments: dict[str, int], progress: bool | None = None,
) -> list[Arrays]:  # fmt: skip
    """A measurement on each seed's run, by the folder's executor: ``compute(surface, history, **arguments)`` on the fixed test
    batch, a function of a module. -> a list of {name: array}
    """
    asked = runs_of(setting, optimizer, scale)
    trained = histories(folder, asked, f"{optimizer} on {setting.title}", progress)
    descriptions = [{"run": run.to_dict(), "test_seed": TEST_SEED, "prompts": TEST_PROMPTS, **arguments} for run in asked]
    given = [(compute, setting.task, history, arguments) for history in trained]
    return kept_each(folder, what, descriptions, on_test_batch, given, f"{what} of {optimizer}, {setting.title}", progress)


def on_test_batch(compute: Callable[..., Arrays], task: RegressionTask, history: History, arguments: dict[str, int]) -> Arrays:
    """What a worker does for one run."""
    return compute(Objective(*test_batch(task)), history, **arguments)


def hessians(folder: RunFolder, setting: Setting, optimizer: str, scale: Scale, progress: bool | None = None) -> list[Arrays]:
    """times (T,), diagonals (T, p), eigenvalues (T, p) ascending, off_diagonal (T,), for each seed."""
    arguments = {"every": scale.hessian_every}
    return along_runs(folder, setting, optimizer, scale, "hessians", hessians_along, arguments, progress)


def hessians_along(surface: Objective, history: History, every: int) -> Arrays:
    """:func:`hessians` of one run."""
    times = [t for t in sorted(history.snapshots) if t % every == 0]
    matrices = [surface.hessian(history.snapshots[t]) for t in times]
    return {
        "times": np.array(times), "diagonals": np.stack([np.diag(H) for H in matrices]),
        "eigenvalues": np.stack([np.linalg.eigvalsh(H) for H in matrices]),
        "off_diagonal": np.array([off_diagonal_share(H) for H in matrices]),
    }  # fmt: skip


def steps(folder: RunFolder, setting: Setting, optimizer: str, scale: Scale, progress: bool | None = None) -> list[Arrays]:
    """What every recorded step meets at the point before it: times, kappa, cosine, decrease, norm, each (T,), for each seed."""
    return along_runs(folder, setting, optimizer, scale, "steps", steps_along, {}, progress)


def steps_along(surface: Objective, history: History) -> Arrays:
    """:func:`steps` of one run."""
    times = [t for t in sorted(history.updates) if history.updates[t].any()]
    met = [step_curvature(history.snapshots[t], {"step": history.updates[t]}, surface)["step"] for t in times]
    norms = [global_norm(surface.grad(history.snapshots[t])) for t in times]
    kappa, cosine, decrease = np.array(met).T
    return {"times": np.array(times), "kappa": kappa, "cosine": cosine, "decrease": decrease, "norm": np.array(norms)}


def directions(folder: RunFolder, setting: Setting, scale: Scale, progress: bool | None = None) -> list[Arrays]:
    """Every optimizer's direction at the same points, those of the Adam runs: times (T,), then for each direction (T, 3)."""
    arguments = {"every": scale.hessian_every}
    return along_runs(folder, setting, "Adam", scale, "directions", directions_along, arguments, progress)


def directions_along(surface: Objective, history: History, every: int) -> Arrays:
    """:func:`directions` of one run."""
    times = [t for t in sorted(history.updates) if t % every == 0]
    rows = []
    for t in times:
        x = history.snapshots[t]
        rows.append(step_curvature(x, directions_at(surface.grad(x), history.updates[t]), surface))
    return {"times": np.array(times), **{name: np.array([row[name] for row in rows]) for name in rows[0]}}


def paths(folder: RunFolder, setting: Setting, optimizer: str, scale: Scale, progress: bool | None = None) -> list[Arrays]:
    """Smoothness over the whole length of the first steps: times (T,), smoothness (T,), for each seed."""
    return along_runs(folder, setting, optimizer, scale, "paths", paths_along, {"steps": PATH_STEPS}, progress)


def paths_along(surface: Objective, history: History, steps: int) -> Arrays:
    """:func:`paths` of one run."""
    times = [t for t in sorted(history.updates) if t <= steps and history.updates[t].any()]
    values = [path_smoothness(history.snapshots[t], history.updates[t], surface) for t in times]
    return {"times": np.array(times), "smoothness": np.array(values)}


def table(found: Sequence[Arrays], name: str, times: Any) -> Array:
    """One series of all seeds at common times, (seeds, T, ..); NaN where a run that diverged has none."""
    shape = next((np.shape(series[name])[1:] for series in found if len(series["times"])), np.shape(found[0][name])[1:])
    values = np.full((len(found), len(times), *shape), np.nan)
    for row, series in zip(values, found, strict=True):
        known = np.isin(series["times"], times)
        if known.any():
            row[np.searchsorted(times, series["times"][known])] = series[name][known]
    return values
