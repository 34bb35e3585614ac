"""The kernels' threads: fixed chunks of a batch are shared out among them, so that what they compute does not depend on them.

Helpers wait for work behind a lock, which hands over a share in a quarter of the time that a pool of the standard library takes:
as much as a training step would gain. They are plain threads of Python that run compiled code without the interpreter's lock;
so neither a fork nor a second thread that trains at the same time can do what it does to Numba's own threads: end the process.
"""

import os
import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from numbers import Integral

import numpy as np

_local = threading.local()  # whether this thread is at work on a share
_threads: int | None = None


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_threads() -> int:
    """The number of threads the kernels use: what ``set_threads`` said, or else the processors this process may use."""
    return processors() if _threads is None else _threads


def set_threads(threads: int | None) -> None:
    """Use this many threads (None: all processors). The results do not depend on it, only the time."""
    global _threads
    if threads is not None and (not isinstance(threads, Integral) or isinstance(threads, bool) or threads < 1):
        raise ValueError(f"threads: expected an integer of at least 1, or None, got {threads!r}")
    _threads = None if threads is None else int(threads)


class _Helper:
    """A thread that waits for shares of the work: one lock hands a share over, another says that it is done.

    Who sleeps before a lock is woken late. Where each thread has a processor, both look for a moment whether the number of the
    round has changed before they go to sleep.
    """

    def __init__(self) -> None:
        from .waiting import wait_for  # here, because this module is there without Numba too

        self.go, self.done, self.wait_for = threading.Lock(), threading.Lock(), wait_for
        self.asked, self.answered, self.patient = np.zeros(1, np.int64), np.zeros(1, np.int64), False
        self.error: BaseException | None = None
        self.go.acquire()
        self.done.acquire()
        threading.Thread(target=self._serve, name="linattn_np", daemon=True).start()

    def start(self, share: Callable[[], None] | None, patient: bool = False) -> None:
        """Hand over a share; None ends the thread. ``patient``: look before sleeping."""
        self.share, self.error, self.patient = share, None, patient
        self.asked += 1
        self.go.release()

    def wait(self) -> None:
        """Wait until the share is done, and raise what it raised."""
        if self.patient:
            self.wait_for(self.answered, self.asked[0])
        self.done.acquire()
        self.share, error = None, self.error
        if error is not None:
            raise error

    def _serve(self) -> None:
        _local.busy = True
        while True:
            if self.patient:
                self.wait_for(self.asked, self.answered[0] + 1)
            self.go.acquire()
            if self.share is None:
                return
            try:
                self.share()
            except BaseException as error:  # wait raises it again
                self.error = error
            self.done.release()
            self.answered += 1


class _Team:
    """The helpers of this process; one thread at a time has them."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """Without helpers: so at the start, in a forked child, which has none of its parent's threads, and after Ctrl-C."""
        self.helpers: list[_Helper] = []
        self.taken = threading.Lock()

    def run(self, shares: list[Callable[[], None]]) -> None:
        """Call each of the shares, the first one in this thread, and wait for all; ``taken`` is held."""
        while len(self.helpers) < len(shares) - 1:
            self.helpers.append(_Helper())
        used = self.helpers[: len(shares) - 1]
        _local.busy = True
        try:
            for helper, share in zip(used, shares[1:], strict=True):
                helper.start(share, len(shares) <= processors())
            try:
                shares[0]()
            finally:
                for helper in used:
                    helper.wait()
        except BaseException:
            self.helpers = []  # one may still be at work: it is left to itself
            raise
        finally:
            _local.busy = False


_team = _Team()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_team.start_anew)


def run_shares(work: Callable[[int, int], None], count: int) -> None:
    """Call ``work(first, last)`` for ranges of chunks that make up 0 .. count-1, on the kernels' threads, and wait for all.

    Calls may be nested, and several threads of Python may call at once: whoever finds the helpers taken does all by itself.
    """
    threads = min(get_threads(), count)
    if threads <= 1 or getattr(_local, "busy", False) or not _team.taken.acquire(blocking=False):
        work(0, count)
        return
    taken = _team.taken
    try:
        ends = [-(-count * k // threads) for k in range(threads + 1)]  # the first share, which begins at once, is the largest
        _team.run([partial(work, *share) for share in pairwise(ends)])
    finally:
        taken.release()


def run_chunks(work: Callable[[int], None], count: int) -> None:
    """Call ``work(chunk)`` for chunk = 0 .. count-1, on the kernels' threads, and wait for all. Calls may be nested."""

    def share(first: int, last: int) -> None:
        for chunk in range(first, last):
            work(chunk)

    run_shares(share, count)
