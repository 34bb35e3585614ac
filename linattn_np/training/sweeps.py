"""Many training runs on any ``concurrent.futures.Executor``: results as they come, kept as they finish, resumable.

The executor may be processes on this machine (:class:`Processes`), a Dask cluster (:class:`Cluster`) or any other whose workers
can import linattn_np. A run's bits are decided by its description, so they are the same on all of them. A run is claimed by
whoever trains it: two commands in one folder share the work.
"""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..endings import Unfinished
from ..progress import bar
from .executors import Cluster, Inline, Processes
from .loop import History
from .provenance import provenance
from .runs import Run, RunFolder

__all__ = ["Cluster", "Inline", "Processes", "sweep", "train_run"]
TRIES = 3  # how often a run is given to a worker again after its worker died
POLL = 0.3  # seconds between two looks at what others do
Answer = tuple[History, dict[str, Any]] | None


def train_run(values: dict[str, Any], folder: str, checkpoints: tuple[float, float], progress: bool | None = False) -> Answer:
    """What a worker does with a run that ``Run.to_dict`` described: claim it, train it, keep it.

    -> its History and what computed it, or None where another process is at this run. A worker that cannot reach the folder
    trains and leaves the keeping to whoever asked.
    """
    run = Run.from_dict(values)
    if not (Path(folder).is_dir() and os.access(folder, os.W_OK)):
        return run.train(progress), provenance()
    kept = RunFolder(folder, checkpoints=checkpoints)
    with kept.claim(run) as ours:
        if not ours:
            return None
        history = kept.load(run)  # whoever claimed it before may have finished it
        if history is None:
            history = kept.train(run, progress)
        return history, kept.made_by[run.file_name()]


def sweep(
    runs: Sequence[Run], folder: RunFolder, executor: Executor | None = None, progress: bool | None = None, label: str = "runs"
) -> Iterator[tuple[Run, History]]:
    """Train every run that the folder does not hold yet, and yield (run, History) as they come, the kept ones first.

    runs a list of Run, folder a RunFolder, executor any concurrent.futures.Executor (default: this process). Each result is kept
    before it is yielded, so whatever ends the sweep, the next one goes on where it stopped. A run whose worker died is given to
    another, three times at most. Raises what a run raises, and Unfinished where workers keep dying or the cluster is gone.
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
    """Runs on their way: waiting to be submitted, pending at a worker, or busy, because another command trains them."""

    def __init__(self, missing: list[Run], folder: RunFolder, executor: Executor, progress: bool | None) -> None:
        self.folder, self.executor, self.progress = folder, executor, progress
        self.waiting, self.tries = missing[::-1], dict.fromkeys(missing, 0)
        self.pending: dict[Future[Answer], Run] = {}
        self.busy: list[Run] = []
        if isinstance(executor, Processes):  # compile here and once, so that no two workers do it at the same time
            replace(missing[0], steps=1, batch=1, record_every=1).train(progress=False)

    def is_left(self) -> bool:
        return bool(self.waiting or self.pending or self.busy)

    def next(self) -> Iterator[tuple[Run, History]]:
        """Submit what is waiting, wait a moment, and yield what was finished, here or by others."""
        while self.waiting and not (self.pending and isinstance(self.executor, Inline)):
            run = self.waiting.pop()
            self.pending[_submit(self.executor, run, self.folder, self.progress)] = run
        if self.pending:
            done = wait(self.pending, timeout=POLL, return_when=FIRST_COMPLETED).done
        else:
            done = set()
            time.sleep(POLL)
        for future in done:
            run = self.pending.pop(future)
            try:
                answer = future.result()
            except Exception as error:
                self.tries[run] += 1
                _try_again(error, run, self.tries[run], self.executor, self.pending)
                self.waiting.append(run)
                continue
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
                (self.waiting if free else self.busy).append(run)


def _submit(executor: Executor, run: Run, folder: RunFolder, progress: bool | None = None) -> Future[Answer]:
    """Submit a run; a pool that broke since the last look is made anew."""
    arguments = (
        run.to_dict(),
        str(folder.path.resolve()),
        folder.checkpoints,
        progress if isinstance(executor, Inline) else False,
    )
    try:
        return executor.submit(train_run, *arguments)
    except BrokenExecutor:
        if not hasattr(executor, "restart"):
            raise
        executor.restart()
        return executor.submit(train_run, *arguments)


def _try_again(error: Exception, run: Run, tries: int, executor: Executor, pending: dict[Future[Answer], Run]) -> None:
    """Decide whether a run that failed goes to another worker; raise where it does not."""
    worker_died = isinstance(error, BrokenExecutor | CancelledError) or type(error).__name__ in (
        "KilledWorker",
        "FutureCancelledError",
    )
    if not worker_died:
        raise error
    if hasattr(executor, "check"):
        executor.check()  # a cluster that is gone cancels everything
    if tries > TRIES:
        raise Unfinished(f"{run.file_name()}: {tries} workers died over this run; is there enough memory?") from error
    if isinstance(error, BrokenExecutor) and hasattr(executor, "restart") and all(future.done() for future in pending):
        executor.restart()
