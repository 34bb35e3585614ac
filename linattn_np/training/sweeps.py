"""Many training runs on any ``concurrent.futures.Executor``: results as they come, kept as they finish, resumable.

The executor may be processes on this machine (:class:`Processes`), a Dask cluster (:class:`Cluster`) or any other whose workers
can import linattn_np. A run's bits are decided by its description, so they are the same on all of them. A run is claimed by
whoever trains it: two commands in one folder share the work. Runs that use the same batches are trained side by side.
"""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..endings import Unfinished
from ..progress import bar
from .executors import Cluster, Inline, Processes
from .loop import History, train_together
from .provenance import provenance
from .runs import Run, RunFolder

__all__ = ["Cluster", "Inline", "Processes", "sweep", "train_runs"]
TRIES = 3  # how often runs are given to a worker again after its worker died
POLL = 0.3  # seconds between two looks at what others do
MOST = 8  # runs that a worker trains side by side: with more, what is drawn once for all of them is soon nothing
Answer = tuple[History, dict[str, Any]] | None
Group = tuple[Run, ...]  # runs of the same batches, which a worker trains side by side


def train_runs(
    values: Sequence[dict[str, Any]], folder: str, checkpoints: tuple[float, float], progress: bool | None = False
) -> list[Answer]:
    """What a worker does with runs of the same batches that ``Run.to_dict`` described: claim them, train them, keep them.

    -> for each its History and what computed it, or None where another process is at this run. A worker that cannot reach the
    folder trains and leaves the keeping to whoever asked.
    """
    runs = [Run.from_dict(each) for each in values]
    if not (Path(folder).is_dir() and os.access(folder, os.W_OK)):
        return [(history, provenance()) for history in train_together([run.begun() for run in runs], progress)]
    kept, found = RunFolder(folder, checkpoints=checkpoints), {}
    with ExitStack() as claims:
        ours = [run for run in runs if claims.enter_context(kept.claim(run))]
        for run in ours:
            if (history := kept.load(run)) is not None:  # whoever claimed it before may have finished it
                found[run] = history
        missing = [run for run in ours if run not in found]
        found |= zip(missing, kept.train(missing, progress), strict=True)
        return [(found[run], kept.made_by[run.file_name()]) if run in found else None for run in runs]


def grouped(runs: Sequence[Run], workers: int | None) -> list[Group]:
    """The runs in groups of the same batches, at most MOST in each; None: each run for itself.

    Where the kinds of batches cannot be dealt out evenly, the last ones are cut: no worker waits for another's last group.
    """
    alike: dict[Any, list[Run]] = {}
    for run in runs:
        alike.setdefault(run.batches() if workers else run, []).append(run)
    if workers is None:
        return [tuple(some) for some in alike.values()]
    groups, even = [], len(alike) - len(alike) % workers
    for number, some in enumerate(alike.values()):
        parts = -(-len(some) // MOST)
        if number >= even:
            parts = min(len(some), -(-parts // workers) * workers)
        groups += [tuple(some[part::parts]) for part in range(parts)]
    return groups


def sweep(
    runs: Sequence[Run], folder: RunFolder, executor: Executor | None = None, progress: bool | None = None, label: str = "runs"
) -> Iterator[tuple[Run, History]]:
    """Train every run that the folder does not hold yet, and yield (run, History) as they come, the kept ones first.

    runs a list of Run, folder a RunFolder, executor any concurrent.futures.Executor (default: this process). Each result is kept
    before it is yielded, so whatever ends the sweep, the next one goes on where it stopped. Where the executor says how many
    ``workers`` it has, runs of the same batches are trained side by side. Runs whose worker died are given to another, three
    times at most. Raises what a run raises, and Unfinished where workers keep dying or the cluster is gone.
    """
    missing = []
    for run in dict.fromkeys(runs):  # each once
        history = folder.load(run)
        if history is None:
            missing.append(run)
        else:
            yield run, history
    if not missing:
        return
    folder.path.mkdir(parents=True, exist_ok=True)
    if not os.access(folder.path, os.W_OK):
        raise PermissionError(f"{folder.path}: this folder cannot be written, and {len(missing)} runs would be kept there")
    work = _Work(missing, folder, Inline() if executor is None else executor, progress)
    with bar(len(missing), label, progress, unit="run") as shown:
        try:
            while work.is_left():
                for found in work.next():
                    shown.update()
                    yield found
        except BaseException:  # an error, Ctrl-C, or nobody wants the rest
            work.end()
            raise


class _Work:
    """Groups of runs on their way: waiting to be submitted, pending at a worker, or busy, because another command trains them."""

    def __init__(self, missing: list[Run], folder: RunFolder, executor: Executor, progress: bool | None) -> None:
        self.folder, self.executor, self.progress = folder, executor, progress
        self.waiting = grouped(missing, getattr(executor, "workers", None))[::-1]
        self.tries = dict.fromkeys(missing, 0)
        self.pending: dict[Future[list[Answer]], Group] = {}
        self.busy: list[Run] = []
        if isinstance(executor, Processes):  # compile here and once, so that no two workers do it at the same time
            replace(missing[0], steps=1, batch=1, record_every=1).train(progress=False)

    def is_left(self) -> bool:
        return bool(self.waiting or self.pending or self.busy)

    def next(self) -> Iterator[tuple[Run, History]]:
        """Submit what is waiting, wait a moment, and yield what was finished, here or by others."""
        while self.waiting and not (self.pending and isinstance(self.executor, Inline)):
            group = self.waiting.pop()
            self.pending[_submit(self.executor, group, self.folder, self.progress)] = group
        if self.pending:
            done = wait(self.pending, timeout=POLL, return_when=FIRST_COMPLETED).done
        else:
            done = set()
            time.sleep(POLL)
        for future in done:
            group = self.pending.pop(future)
            try:
                answers = future.result()
            except Exception as error:
                self.tries |= {run: self.tries[run] + 1 for run in group}
                _try_again(error, group, max(self.tries[run] for run in group), self.executor, self.pending)
                self.waiting.append(group)
                continue
            for run, answer in zip(group, answers, strict=True):
                if answer is None:
                    self.busy.append(run)
                    continue
                history, made_by = answer
                self.folder.keep(run, history, made_by)
                yield run, history
        if not done:
            yield from self.of_others()
            if hasattr(self.executor, "check"):
                self.executor.check()

    def end(self) -> None:
        """Cancel what is pending, and remove what workers that were killed on the way have left."""
        if isinstance(self.executor, Processes):
            self.executor.restart()
            self.folder.tidy()
        else:
            for future in self.pending:
                future.cancel()

    def of_others(self) -> Iterator[tuple[Run, History]]:
        """What other commands have finished since; what they have given up waits for us again."""
        busy, self.busy = self.busy, []
        for run in busy:
            history = self.folder.load(run)
            if history is not None:
                yield run, history
                continue
            with self.folder.claim(run) as free:
                if free:
                    self.waiting.append((run,))
                else:
                    self.busy.append(run)


def _submit(executor: Executor, group: Group, folder: RunFolder, progress: bool | None = None) -> Future[list[Answer]]:
    """Submit a group of runs; a pool that broke since the last look is made anew."""
    arguments = (
        [run.to_dict() for run in group],
        str(folder.path.resolve()),
        folder.checkpoints,
        progress if isinstance(executor, Inline) else False,
    )
    try:
        return executor.submit(train_runs, *arguments)
    except BrokenExecutor:
        if not hasattr(executor, "restart"):
            raise
        executor.restart()
        return executor.submit(train_runs, *arguments)


def _try_again(error: Exception, group: Group, tries: int, executor: Executor, pending: dict[Future[Any], Group]) -> None:
    """Decide whether runs that failed go to another worker; raise where they do not."""
    worker_died = isinstance(error, BrokenExecutor | CancelledError) or type(error).__name__ in (
        "KilledWorker",
        "FutureCancelledError",
    )
    if not worker_died:
        raise error
    if hasattr(executor, "check"):
        executor.check()  # a cluster that is gone cancels everything
    if tries > TRIES:
        names, these = ", ".join(run.file_name() for run in group), "this run" if len(group) == 1 else "these runs"
        raise Unfinished(f"{names}: {tries} workers died over {these}; is there enough memory?") from error
    if isinstance(error, BrokenExecutor) and hasattr(executor, "restart") and all(future.done() for future in pending):
        executor.restart()
