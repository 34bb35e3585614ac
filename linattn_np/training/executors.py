"""Where runs are trained: here, on processes of this machine, on a Dask cluster. Each is a ``concurrent.futures.Executor``.

An executor may have ``check()``, which is called while its results are waited for, and raises Unfinished where none will come.
Python in a browser has no processes: what imports them stands inside the functions that start some.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .._checks import as_count
from ..endings import Unfinished
from ..kernels.threads import set_threads

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

LOOK, LOOKS_AT_LOST = 0.5, 4  # seconds between two looks at the workers, and how many a pool has to notice that one is gone
SECONDS_LOST = 10.0  # how long a scheduler may be silent
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")  # read when NumPy loads
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": 1 << 25, "MALLOC_TRIM_THRESHOLD_": 1 << 28}  # bytes; read by glibc when a process begins
WORKERS_HAVE = {**dict.fromkeys(BLAS_THREADS, "1"), **{name: str(size) for name, size in KEPT_MEMORY.items()}}


class Inline(Executor):
    """No workers: what is submitted is done at once, by one thread of Python."""

    workers = 1

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **named))
        return future


class Processes(Executor):
    """``workers`` processes on this machine with one thread each, NumPy's products included. A script that makes them needs the
    usual ``if __name__ == "__main__":``, since the processes import it."""

    def __init__(self, workers: int) -> None:
        self.workers = as_count("workers", workers)
        self.pool: ProcessPoolExecutor | None = None

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        if self.pool is None:
            from concurrent.futures import ProcessPoolExecutor

            context = multiprocessing.get_context("spawn")  # a fork would copy the kernels' threads half alive
            self.pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_begin_worker)
            self.done = threading.Event()
            self.watcher = threading.Thread(target=_watch, args=(self.pool, self.done), daemon=True)
            self.watcher.start()
        with _no_interrupts(), _workers_environment():  # a submit may start a worker
            return self.pool.submit(function, *arguments, **named)

    def restart(self) -> None:
        """Forget a pool that lost a worker; the next submit makes another."""
        self.shutdown(cancel_futures=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.shutdown(cancel_futures=kind is not None)  # after Ctrl-C nobody waits for runs under way

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers: after what they are doing, or at once with ``cancel_futures``, which a Ctrl-C does not cut short.

        Workers that were neither ended nor known any more would keep this process from ending.
        """
        with _no_interrupts() if cancel_futures else contextlib.nullcontext():
            pool, self.pool = self.pool, None
            if pool is None:
                return
            self.done.set()
            self.watcher.join()
            workers = _Workers(pool)
            if cancel_futures:
                workers.kill()
            pool.shutdown(wait=False, cancel_futures=cancel_futures)
            if wait:
                workers.join()


def _watch(pool: "ProcessPoolExecutor", done: threading.Event) -> None:
    """End a pool that lost a worker and does not notice."""
    lost = 0
    while not done.wait(LOOK):
        workers = _Workers(pool)
        lost = lost + 1 if workers.lost_one() else 0
        if lost > LOOKS_AT_LOST:
            workers.kill()
            return


class _Workers:
    """The processes of a pool, which the pool itself forgets when it is shut down.

    One that was killed while it sent a result, or took its next task, leaves the others and us waiting for the rest for ever.
    """

    def __init__(self, pool: "ProcessPoolExecutor") -> None:
        self.processes = list((getattr(pool, "_processes", None) or {}).values())
        self.results, self.manager = getattr(pool, "_result_queue", None), getattr(pool, "_executor_manager_thread", None)

    def lost_one(self) -> bool:
        """Whether one of them was killed."""
        return any(process.exitcode not in (None, 0) for process in self.processes)

    def join(self) -> None:
        """Wait until the pool is done, or kill what is left of it where it lost a worker."""
        looks = 0
        while self.manager is not None and self.manager.is_alive():
            self.manager.join(LOOK)
            looks += self.lost_one()
            if looks > LOOKS_AT_LOST:
                self.kill()

    def kill(self) -> None:
        """Kill them. One may have sent half of a result: the pool waits for the rest until nobody can send it."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.join(10)
        if self.results is not None:
            with contextlib.suppress(OSError):
                self.results._writer.close()


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Ctrl-C waits until the block ends, and processes that are started in it never get one: it is their parent's business."""
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else the first worker would start it, and it would let Ctrl-C in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _workers_environment() -> Iterator[None]:
    """What is said to processes that are started in it, unless the environment says it already.

    They multiply matrices on one thread: with more threads than processors those that wait keep the processors busy, and small
    products take ten times as long. And they keep memory that they free for the next array of that size: handing a megabyte back
    to the system and asking for it again takes as long as what is computed in it.
    """
    unsaid = [name for name in WORKERS_HAVE if name not in os.environ]
    os.environ.update({name: WORKERS_HAVE[name] for name in unsaid})
    try:
        yield
    finally:
        for name in unsaid:
            os.environ.pop(name, None)


def _begin_worker() -> None:
    """One thread; Ctrl-C is the parent's business; nothing goes on when the parent is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    set_threads(1)


class Cluster(Executor):
    """The workers of a Dask scheduler at ``address``, such as tcp://127.0.0.1:8786.

    Raises ValueError where Dask is not installed or nobody answers. What is under way is cancelled when the block is left.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise ValueError("--dask: needs dask.distributed; install it with: pip install 'linattn_np[dask]'") from None
        for name in list(logging.root.manager.loggerDict):
            if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what we have to say of it is one line
        try:
            self.client = Client(address, timeout="6s")
        except Exception as error:  # a name nobody knows, a port that is closed, something else that answers there
            said = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"--dask: no Dask scheduler answers at {address!r}: {said}") from None
        self.address, self.heard, self.asked = address, time.monotonic(), time.monotonic()
        self.executor, self.told = self.client.get_executor(pure=False), False

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        if self.client.status != "running":
            self._lost()
        future: Future[Any] = self.executor.submit(function, *arguments, **named)
        return future

    def check(self) -> None:
        """Ask the scheduler now and then whether it is there. Raises Unfinished where it has been silent for too long."""
        now = time.monotonic()
        if now - self.asked < 1:
            return
        self.asked = now
        try:
            scheduler: Any = self.client.scheduler
            workers = self.client.sync(scheduler.identity, callback_timeout=5)["workers"]
            self.heard = time.monotonic()
        except Exception:  # a connection that broke, or no answer in time: whichever way it is told
            if self.client.status == "closed" or time.monotonic() - self.heard > SECONDS_LOST:
                self._lost()
            return
        if not workers and not self.told:
            self.told = True
            print(f"linattn_np: the scheduler at {self.address} has no workers now; waiting for one", file=sys.stderr)

    def _lost(self) -> None:
        raise Unfinished(
            f"the Dask scheduler at {self.address} is gone; what was finished is kept: the same command goes on from there"
        )

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.shutdown()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go of the cluster."""
        with contextlib.suppress(Exception):  # it may be gone
            self.executor.shutdown(wait=False)
        with contextlib.suppress(Exception):
            self.client.close(timeout=2)
