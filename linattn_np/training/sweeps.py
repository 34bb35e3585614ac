"""Many training runs on any ``concurrent.futures.Executor``: results as they come, kept as they finish, resumable.

The executor may be processes on this machine (:class:`Processes`), a Dask cluster (``Client(..).get_executor()``) or any other
whose workers can import linattn_np. A run's bits are decided by its description, so they are the same on all of them.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing import resource_tracker

from .._checks import as_count
from ..kernels.threads import set_threads
from ..progress import bar
from .runs import Run

TRIES = 3  # how often a run is given to a worker again after its worker died


def train_run(values):
    """What a worker does: train the run that ``Run.to_dict`` described. -> History"""
    return Run.from_dict(values).train(progress=False)


class Inline(Executor):
    """No workers: a run is trained where it is submitted, with its own progress bar."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(Run.from_dict(*arguments).train() if function is train_run else function(*arguments))
        return future


class Processes(Executor):
    """``workers`` processes on this machine with one kernel thread each. A script that makes them needs the usual
    ``if __name__ == "__main__":``, since the processes import it."""

    def __init__(self, workers):
        self.workers, self.pool = as_count("workers", workers), None

    def submit(self, function, *arguments):
        if self.pool is None:
            if function is train_run:  # compile here and once, so that no two workers do it at the same time
                replace(Run.from_dict(*arguments), steps=1, batch=1, record_every=1).train(progress=False)
            context = multiprocessing.get_context("spawn")  # a fork would copy the kernels' threads half alive
            self.pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_begin_worker)
        with _no_interrupts():  # a submit may start a worker
            return self.pool.submit(function, *arguments)

    def restart(self):
        """Forget a pool that lost a worker; the next submit makes another."""
        self.shutdown(cancel_futures=True)

    def __exit__(self, kind, error, trace):
        self.shutdown(cancel_futures=kind is not None)  # after Ctrl-C nobody waits for runs under way

    def shutdown(self, wait=True, *, cancel_futures=False):
        """End the workers: after what they are doing, or at once with ``cancel_futures``."""
        if self.pool is None:
            return
        pool, self.pool = self.pool, None
        if cancel_futures:
            if (
                pool._result_queue is not None
            ):  # else who reads would wait for the rest of a result whose worker ends in its midst
                pool._result_queue._writer.close()
            for process in list((pool._processes or {}).values()):
                process.terminate()
        pool.shutdown(wait=wait, cancel_futures=cancel_futures)


@contextlib.contextmanager
def _no_interrupts():
    """Ctrl-C waits until the block ends, and processes that are started in it never get one: it is their parent's business."""
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # else the first worker would start it, and it would let Ctrl-C in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker():
    """One thread; Ctrl-C is the parent's business; nothing goes on when the parent is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def end_with_parent():
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    set_threads(1)


def sweep(runs, folder, executor=None, progress=None, label="runs"):
    """Train every run that the folder does not hold yet, and yield (run, History) as they come, the kept ones first.

    runs a list of Run, folder a RunFolder, executor any concurrent.futures.Executor (default: this process). Each result is kept
    before it is yielded, so whatever ends the sweep, the next one goes on where it stopped. A run whose worker died is given to
    another, three times at most. Raises what a run raises, and RuntimeError where workers keep dying.
    """
    executor = Inline() if executor is None else executor
    missing = []
    for run in dict.fromkeys(runs):  # each once
        history = folder.load(run)
        if history is None:
            missing.append(run)
        else:
            yield run, history
    pending, tries = {}, dict.fromkeys(missing, 0)
    with bar(len(missing), label, progress, unit="run") as shown:
        try:
            waiting = list(reversed(missing))
            while waiting or pending:
                while waiting and (not pending or not isinstance(executor, Inline)):
                    run = waiting.pop()
                    pending[_submit(executor, run)] = run
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    run = pending.pop(future)
                    try:
                        history = future.result()
                    except Exception as error:
                        tries[run] += 1
                        _try_again(error, run, tries[run], executor, pending)
                        waiting.append(run)
                        continue
                    folder.save(run, history)
                    shown.update()
                    yield run, history
        finally:
            for future in pending:
                future.cancel()


def _submit(executor, run):
    """Submit a run; a pool that broke since the last look is made anew."""
    try:
        return executor.submit(train_run, run.to_dict())
    except BrokenExecutor:
        if not hasattr(executor, "restart"):
            raise
        executor.restart()
        return executor.submit(train_run, run.to_dict())


def _try_again(error, run, tries, executor, pending):
    """Decide whether a run that failed goes to another worker; raise where it does not."""
    worker_died = isinstance(error, BrokenExecutor | CancelledError) or type(error).__name__ == "KilledWorker"
    if not worker_died:
        raise error
    if tries > TRIES:
        raise RuntimeError(f"{run.file_name()}: {tries} workers died over this run; is there enough memory?") from error
    if isinstance(error, BrokenExecutor) and hasattr(executor, "restart") and all(future.done() for future in pending):
        executor.restart()
