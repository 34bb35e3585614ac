"""Running lessons on fresh kernels, several at a time, and cleaning what comes out."""

import asyncio
import atexit
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from ..progress import bar
from .profiles import VARIABLE

WIDGET = "application/vnd.jupyter.widget-view+json"
SLIDER = "linattn_slider_seconds"
CELL_LIMIT = 1800  # seconds, in the paper profile


@dataclass
class Run:
    """What became of one lesson: the executed notebook, or why it stopped, and where the time went."""

    lesson: object
    notebook: object
    seconds: float = 0.0
    first_figure: float | None = None
    slowest: tuple = (0.0, 0)  # seconds, cell
    slider: float | None = None
    error: str = ""
    warnings: list = field(default_factory=list)


def run_all(jobs, profile, workers=None, progress=None, finished=None):
    """Execute (lesson, notebook) pairs on fresh kernels. -> [Run] in the order of ``jobs``

    The notebooks are changed: they get their outputs, cleaned. ``finished(run)`` is called as each one ends. An interrupt stops
    the kernels and is passed on.
    """
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    total = sum(cell.cell_type == "code" for _, notebook in jobs for cell in notebook.cells)
    running, lock = [], threading.Lock()
    with bar(total, "lessons", progress, unit="cell") as shown, ThreadPoolExecutor(workers) as pool:

        def tick(**_):
            with lock:
                shown.update()

        futures = [pool.submit(run_one, lesson, notebook, profile, tick, running) for lesson, notebook in jobs]
        try:
            for future in as_completed(futures):
                run = future.result()
                if finished:
                    finished(run)
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            for client in list(running):  # a kernel is a process of its own: stop it, so that its thread ends
                stop(client)
            raise


def run_one(lesson, notebook, profile, tick=None, running=None):
    """Execute one notebook in place. What goes wrong in a cell is in the result, not raised."""
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    folder = lesson.notebook.parent
    marks = []

    def executed(cell, cell_index, execute_reply):  # on_cell_complete comes earlier, when the cell has only been sent
        marks.append((cell_index, time.perf_counter() - began))
        if tick:
            tick(cell=cell, cell_index=cell_index, execute_reply=execute_reply)

    client = NotebookClient(
        notebook, timeout=CELL_LIMIT, kernel_name="python3", coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}}, on_cell_executed=executed,
        extra_arguments=["--IPKernelApp.log_level=40"],  # a kernel's remarks on itself belong to no lesson
    )  # fmt: skip
    if running is not None:
        running.append(client)
    run, began = Run(lesson, notebook), time.perf_counter()
    try:
        asyncio.run(client.async_execute(env=environment(profile)))
    except CellExecutionError as error:
        last = next((at for at in reversed(range(len(notebook.cells))) if notebook.cells[at].get("execution_count")), 0)
        run.error = f"cell {last} raised {error.ename}: {' '.join(error.evalue.split())[:200]}"
    except (CellTimeoutError, DeadKernelError, NoSuchKernel, RuntimeError) as error:  # the last two: no kernel to begin with
        run.error = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        atexit.unregister(getattr(client, "_cleanup_kernel", None))  # there is nothing left to clean up
    finally:
        if running is not None:
            running.remove(client)
    run.seconds = time.perf_counter() - began
    _read_times(run, marks)
    clean(notebook)
    return run


def environment(profile):
    """What a kernel is told: the profile, no progress bars, and where this package is, installed or not."""
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, VARIABLE: profile, "LINATTN_PROGRESS": "0", "PYTHONPATH": os.pathsep.join(paths)}


def stop(client):
    """End a client's kernel at once. -> whether it had one"""
    process = getattr(getattr(client.km, "provisioner", None), "process", None)
    if process is not None:
        process.kill()
    return process is not None


def _read_times(run, marks):
    """First figure, slowest cell and slowest slider; what was written to standard error."""
    before = 0.0
    for at, after in marks:
        cell = run.notebook.cells[at]
        if cell.cell_type == "code":
            run.slowest = max(run.slowest, (after - before, at))
            for output in cell.outputs:
                if run.first_figure is None and "image/png" in output.get("data", {}):
                    run.first_figure = after
                if SLIDER in output.get("metadata", {}):
                    run.slider = max(run.slider or 0.0, output.metadata[SLIDER])
                if output.output_type == "stream" and output.name == "stderr":
                    run.warnings.append(f"cell {at} wrote to standard error: {' '.join(output.text.split())[:160]}")
        before = after


def clean(notebook):
    """Leave nothing in the outputs that is of this run only: no times, no live widgets, which a static page cannot show."""
    import nbformat

    language = notebook.metadata.get("language_info", {})
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = nbformat.from_dict(
        {key: language[key] for key in ("name", "file_extension") if key in language}
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            output.get("metadata", {}).pop(SLIDER, None)
            live = output.get("data", {}).pop(WIDGET, None)
            if not live or "image/png" in output["data"]:
                kept.append(output)
        cell.outputs = kept
