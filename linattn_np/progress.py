"""One progress bar with time left for everything that takes more than a moment, in a terminal and in a notebook."""

import os
import sys

from ._checks import one_of


def wanted(progress=None):
    """Whether to show progress: as asked, or (None) in a terminal and in a notebook, unless LINATTN_PROGRESS=0."""
    one_of("progress", str(progress), ("None", "True", "False"))
    if progress is not None:
        return progress
    return os.environ.get("LINATTN_PROGRESS", "1") != "0" and (in_notebook() or sys.stderr.isatty())


def in_notebook():
    """Whether this process is a notebook's kernel."""
    return "ipykernel.zmqshell" in sys.modules


class Quiet:
    """A bar that shows nothing. (A disabled tqdm still makes a lock that a killed worker process would leave behind.)"""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def update(self, n=1):
        return None


def bar(total, label, progress=None, unit="step"):
    """A tqdm bar to be used in a ``with``; it shows itself after a second, so that short work stays quiet."""
    if not wanted(progress):
        return Quiet()
    if in_notebook():
        from tqdm.notebook import tqdm
    else:
        from tqdm import tqdm
    return tqdm(total=total, desc=label, unit=unit, delay=1.0, leave=False, dynamic_ncols=True)
