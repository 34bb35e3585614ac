"""How a command ends before its work is done: by Ctrl-C, by SIGTERM, or because what it works with is gone.

Nothing heavy is imported here: a command is ready for both signals before it loads NumPy.
"""

import os
import signal
import sys
import time

TYPE_CHECKING = False  # typing itself takes as long as everything else here
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any, NoReturn

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}  # 128 + the signal's number, as a shell counts
WORDS = {130: "interrupted", 143: "terminated"}
PATIENCE = 2.0  # seconds: a signal that comes again within them is the same one (``timeout`` sends two)


class Unfinished(RuntimeError):
    """The work cannot go on from here, through nobody's mistake; the message says how to take it up again. Exit status 1."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM came while the work was under way."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class Signals:
    """``with Signals(name) as signals``: Ctrl-C and SIGTERM end the block with one line and their status, whenever they come.

    Before ``signals.work()`` there is nothing to tidy up, and the process ends at once; after it they raise Interrupted, so that
    workers are ended and half-written files removed. Signals that are ignored already, as under nohup, stay so. With ``last`` the
    process ends after the block: it then finishes in peace. Without, the handlers that were there before come back.
    """

    def __init__(self, name: str, last: bool = False) -> None:
        self.name, self.last, self.phase, self.since = name, last, "loading", 0.0
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        self.hook = sys.unraisablehook
        try:
            for number in STATUS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self.before[number] = signal.signal(number, self.answer)
            if hasattr(signal, "setitimer"):
                self.before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self.insist)
        except ValueError:  # not the main thread: signals are somebody else's
            pass
        return self

    def work(self) -> None:
        """From here on there is something to tidy up."""
        self.phase = "working"
        sys.unraisablehook = lambda found: None if isinstance(found.exc_value, Interrupted) else self.hook(found)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None") -> None:
        self.phase, self.since = "over", time.monotonic()
        if signal.SIGALRM in self.before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if not self.last:
            sys.unraisablehook = self.hook
            for number, handler in self.before.items():
                signal.signal(number, handler)

    def answer(self, number: int, frame: "FrameType | None") -> None:
        """The handler of both signals."""
        status = STATUS[signal.Signals(number)]
        if self.phase == "loading":
            self.leave(status, "interrupted before it began" if status == 130 else "terminated before it began")
        if self.phase == "working":
            self.phase, self.since, self.status = "ending", time.monotonic(), status
            if signal.SIGALRM in self.before:
                signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)
            raise Interrupted(status)
        if time.monotonic() - self.since > PATIENCE:  # asked again, because the end takes too long
            self.leave(status, f"{WORDS[status]} twice; ended at once")

    def insist(self, number: int, frame: "FrameType | None") -> None:
        """Raise again where Interrupted was lost: Python drops what is raised in a callback from C or in a destructor."""
        if self.phase != "ending":
            return
        error = sys.exception()
        while error is not None:  # an end that is under way is left alone
            if isinstance(error, Interrupted):
                return
            error = error.__context__
        raise Interrupted(self.status)

    def leave(self, status: int, words: str) -> "NoReturn":
        """End the process here and now."""
        os.write(2, f"linattn_np{self.name}: {words}\n".encode())
        os._exit(status)
