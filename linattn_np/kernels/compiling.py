"""What the compiler costs the user: announced, and its seconds counted apart from those of the work.

Importing this loads no Numba, so that training on NumPy needs none: :func:`listen` is called where Numba is loaded.
"""

import gc
import os
import sys
import threading
import time
from typing import Any


class _Wait:
    """The time in which at least one thread waits for the compiler: it compiles, or loads what it compiled before."""

    def __init__(self) -> None:
        self.before, self.began = 0.0, 0.0  # seconds of the waits that are over; when the one under way began
        self.clear()

    def clear(self) -> None:
        """Nobody waits: so it is at the start, and in a forked child, which has none of its parent's other threads."""
        self.guard = threading.Lock()
        self.waiting: dict[int, int] = {}  # {thread: how deep}; compiling one function compiles those that it calls

    def start(self) -> None:
        me = threading.get_ident()
        with self.guard:
            if not self.waiting:
                self.began = time.perf_counter()
            self.waiting[me] = self.waiting.get(me, 0) + 1

    def end(self) -> None:
        me = threading.get_ident()
        with self.guard:
            self._leave(me, self.waiting.get(me, 0) - 1)

    def seconds(self) -> float:
        """So far. A thread that asks does not wait: what a wait that was broken off (Ctrl-C) left open is closed."""
        with self.guard:
            self._leave(threading.get_ident(), 0)
            return self.before + (time.perf_counter() - self.began if self.waiting else 0.0)

    def _leave(self, me: int, depth: int) -> None:
        if depth > 0:
            self.waiting[me] = depth
        elif self.waiting.pop(me, 0) and not self.waiting:
            self.before += time.perf_counter() - self.began


_wait = _Wait()
_said: set[str] = set()  # the modules whose compilation was announced
_compiled: list[str] = []  # the functions that were compiled, in order, without those that they call
quiet = False  # True: who compiles says so in words of their own

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_wait.clear)


def seconds() -> float:
    """How long this process has waited for the compiler so far."""
    return _wait.seconds()


def compiled() -> list[str]:
    """The functions that this process has compiled so far, in order; what it found compiled on the disk is not among them."""
    return list(_compiled)


def folders() -> list[str]:
    """Where Numba keeps what it compiled of this package, as far as this process has loaded it."""
    things = [
        thing for name, module in list(sys.modules.items()) if name.startswith(__package__) for thing in vars(module).values()
    ]
    places = {getattr(getattr(thing, "stats", None), "cache_path", None) for thing in things}
    return sorted(str(place) for place in places if place)


class Stopwatch:
    """Seconds of work and seconds of waiting for the compiler, apart; they go on from what a checkpoint kept."""

    def __init__(self, seconds: float = 0.0, compile_seconds: float = 0.0) -> None:
        self.began, self.compiler = time.perf_counter() - seconds - compile_seconds, _wait.seconds() - compile_seconds

    def read(self) -> tuple[float, float]:
        """-> seconds of work, seconds of compiling"""
        waited = _wait.seconds() - self.compiler
        return time.perf_counter() - self.began - waited, waited


def listen() -> None:
    """Have Numba report what it does."""
    from numba.core import event  # here, because this module is there without Numba too

    class Lock(event.Listener):
        """Numba's lock is held while it compiles and while it loads; who waits for it waits for the compiler."""

        def on_start(self, event: Any) -> None:
            _wait.start()

        def on_end(self, event: Any) -> None:
            _wait.end()

    class Compilation(event.Listener):
        depth, collected = 0, False

        def on_start(self, event: Any) -> None:
            if self.depth == 0:  # the compiler makes many objects and few cycles: looking for those takes a twentieth of its time
                self.collected = gc.isenabled()
                gc.disable()
            self.depth += 1
            function = event.data["dispatcher"].py_func
            if self.depth == 1 and function.__module__.startswith(__package__):
                _compiled.append(f"{function.__module__}.{function.__name__}")
                announce(function.__module__.rsplit(".", 1)[1])

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            if self.depth == 0 and self.collected:
                gc.enable()

    event.register("numba:compiler_lock", Lock())
    event.register("numba:compile", Compilation())


def announce(module: str) -> None:
    """Say on standard error, once for each module of kernels, that the user waits for the compiler."""
    if quiet or module in _said or os.environ.get("LINATTN_PROGRESS", "1") == "0":
        return
    _said.add(module)
    print(f"linattn_np: compiling the kernels ({module}; some seconds, once on this machine for all sizes) ...", file=sys.stderr)
