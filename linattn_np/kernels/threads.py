"""The kernels' threads: fixed chunks of a batch are shared out among them, so that what they compute does not depend on them."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral

_local = threading.local()  # whether this thread is at work on a chunk
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}  # {(process, threads): pool}; a forked child must not use its parent's
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


def run_chunks(work: Callable[[int], None], count: int) -> None:
    """Call ``work(chunk)`` for chunk = 0 .. count-1, on the kernels' threads, and wait for all. Calls may be nested."""
    threads = min(get_threads(), count)
    if threads == 1 or getattr(_local, "busy", False):  # a thread that waited for its own pool would wait for ever
        for chunk in range(count):
            work(chunk)
        return
    key = (os.getpid(), threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads - 1, thread_name_prefix="linattn_np")

    def share(first: int) -> None:
        _local.busy = True
        try:
            for chunk in range(first, count, threads):
                work(chunk)
        finally:
            _local.busy = False

    others = [_pools[key].submit(share, first) for first in range(1, threads)]
    share(0)
    for other in others:
        other.result()
