"""One progress bar with time left for everything that takes more than a moment, in a terminal and in a notebook."""

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from ._checks import one_of


def wanted(progress: bool | None = None) -> bool:
    """Whether to show progress: as asked, or (None) in a terminal and in a notebook, unless LINATTN_PROGRESS=0."""
    one_of("progress", str(progress), ("None", "True", "False"))
    if progress is not None:
        return bool(progress)
    return os.environ.get("LINATTN_PROGRESS", "1") != "0" and (in_notebook() or sys.stderr.isatty())


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel; JupyterLite's, in a browser, is Pyodide's."""
    return "ipykernel.zmqshell" in sys.modules or "pyodide_kernel" in sys.modules


class Counter:
    """A bar that is not drawn: it counts, for the lines of a :class:`Heartbeat`.

    (A disabled tqdm would not do: it makes a lock that a killed worker process would leave behind.)
    """

    under_way: ClassVar[list["Counter"]] = []  # the outermost first

    def __init__(self, total: int, label: str, unit: str) -> None:
        self.total, self.label, self.unit, self.done = total, label, unit, 0

    def __enter__(self) -> "Counter":
        Counter.under_way.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        Counter.under_way.remove(self)

    def update(self, n: int = 1) -> None:
        """Count ``n`` more."""
        self.done += n

    def __str__(self) -> str:
        return f"{self.label}, {self.unit} {self.done} of {self.total}"


class Heartbeat:
    """``with Heartbeat(words):`` where no bar is drawn, a line at least every 15 seconds: ``words()`` and the bars under way.

    So a command whose output goes into a file or a pipe says that it lives. LINATTN_PROGRESS=0 silences it.
    """

    def __init__(self, words: Callable[[], str], every: float = 15.0) -> None:
        self.words, self.every, self.ended = words, every, threading.Event()
        self.thread = threading.Thread(target=self.beat, daemon=True)

    def __enter__(self) -> "Heartbeat":
        if not wanted() and os.environ.get("LINATTN_PROGRESS", "1") != "0":
            self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()

    def beat(self) -> None:
        """What the thread does."""
        while not self.ended.wait(self.every):
            print("; ".join([self.words(), *map(str, list(Counter.under_way)[-1:])]), flush=True)


def bar(total: int, label: str, progress: bool | None = None, unit: str = "step") -> Any:
    """A tqdm bar to be used in a ``with``; it shows itself after a second, so that short work stays quiet.

    Without tqdm it counts.
    """
    if not wanted(progress) or sys.platform == "emscripten":  # in a browser no thread starts, and tqdm wants one
        return Counter(total, label, unit)
    try:
        if in_notebook():
            from tqdm.notebook import tqdm
        else:
            from tqdm import tqdm
        return tqdm(total=total, desc=label, unit=unit, delay=1.0, leave=False, dynamic_ncols=True)
    except ImportError:  # no tqdm, or no widgets for a notebook: the work matters, not its bar
        return Counter(total, label, unit)
