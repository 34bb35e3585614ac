"""python tests/lite/like_a_browser.py [NUMBER ...]: lessons executed with what Python has in a browser, and no more: 01 to 04
unless said.

What Pyodide 314 lacks is taken away: Numba, the modules of its standard library that cannot be imported, threads, processes; one
processor, the platform's name. Every cell must run, every check say right, nothing warn. Run by .ci/run without Numba installed.
"""

import contextlib
import io
import os
import re
import sys
import threading
import types
import warnings

LESSONS = ("01", "02", "03", "04")
MISSING = {  # asked of Pyodide 314.0.6 by importing each module of the standard library
    "numba", "llvmlite", "ipywidgets", "_curses", "_dbm", "_gdbm", "_hashlib", "_multiprocessing", "_posixshmem", "_tkinter",
    "_uuid", "curses", "dbm",
    "ensurepip", "grp", "pwd", "readline", "syslog", "tkinter", "turtle", "venv", "jupytext", "nbformat", "nbclient",
    "jupyter_client",
}  # fmt: skip


class Refuse:
    """An import that a browser could not make."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Python's import asks this first."""
        if name.split(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r} in a browser", name=name)


def no_thread(*args, **kwargs):
    """What starting a thread says there."""
    raise RuntimeError("can't start new thread")


def cells(number):
    """(title, [code]) of a lesson."""
    from linattn_np.teaching.places import lessons_folder
    from linattn_np.teaching.sources import find_lessons, read_source

    (lesson,) = find_lessons(lessons_folder(), [number])
    return lesson.name, [cell.source for cell in read_source(lesson.source).cells if cell.cell_type == "code"]


def become_a_browser():
    """From here on this process has what Pyodide has."""
    for name in [name for name in sys.modules if name.split(".")[0] in MISSING | {"linattn_np"}]:
        del sys.modules[name]
    sys.meta_path.insert(0, Refuse)
    for name in ("fcntl", "resource", "termios"):  # its kernel puts empty ones there
        sys.modules[name] = types.ModuleType(name)
    sys.modules["pyodide_kernel"] = types.ModuleType("pyodide_kernel")
    sys.platform, os.cpu_count = "emscripten", lambda: 1
    threading.Thread.start = no_thread
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"


def execute(shell, name, code):
    """Execute a lesson's code in one namespace, as a notebook's kernel does.

    Raises AssertionError where it is not as it should be.
    """
    shell.reset(new_session=True)
    out, complaints = io.StringIO(), []
    for cell in code:
        with warnings.catch_warnings(record=True) as said, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            warnings.simplefilter("default")
            done = shell.run_cell(cell)
        assert done.success, f"{name}: {done.error_in_exec or done.error_before_exec!r} in\n{cell}"
        complaints += [f"{one.filename}: {one.message}" for one in said]
    checks = re.findall(r'^check\("([^"]+)"', "\n".join(code), re.M)
    wrong = [id for id in checks if f"{id}: right" not in out.getvalue()]
    assert checks and not wrong and not complaints, f"{name}: {wrong} {complaints}"
    print(f"ok: {name}, {len(code)} cells, {len(checks)} checks right")


def main(numbers):
    """Execute the lessons one after the other."""
    lessons = [cells(number) for number in numbers]
    become_a_browser()
    from IPython.core.interactiveshell import InteractiveShell

    for name, code in lessons:
        execute(InteractiveShell.instance(), name, code)


if __name__ == "__main__":
    main(sys.argv[1:] or LESSONS)
