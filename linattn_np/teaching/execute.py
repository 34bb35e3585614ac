"""Running lessons on fresh kernels, several at a time, and cleaning what comes out."""

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..progress import bar
from .profiles import VARIABLE
from .sources import Lesson, Notebook

WIDGET = "application/vnd.jupyter.widget-view+json"
SLIDER = "linattn_slider_seconds"
CELL_LIMIT = 1800  # seconds, in the paper profile


@dataclass
class Execution:
    """What became of one lesson: the executed notebook, or why it stopped, and where the time went."""

    lesson: Lesson
    notebook: Notebook
    seconds: float = 0.0
    first_figure: float | None = None
    slowest: tuple[float, int] = (0.0, 0)  # seconds, cell
    slider: float | None = None
    error: str = ""
    warnings: list[str] = field(default_factory=list)


def run_all(
    jobs: list[tuple[Lesson, Notebook]], profile: str, workers: int | None = None, progress: bool | None = None,
    finished: Callable[[Execution], object] | None = None,
) -> list[Execution]:  # fmt: skip
    """Execute (lesson, notebook) pairs on fresh kernels. -> [Execution] in the order of ``jobs``

    The notebooks are changed: they get their outputs, cleaned. ``finished(execution)`` is called as each one ends. An interrupt
    stops the kernels and is passed on.
    """
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    total = sum(cell.cell_type == "code" for _, notebook in jobs for cell in notebook.cells)
    running: list[Any] = []  # the clients whose kernels are alive
    lock = threading.Lock()
    with bar(total, "lessons", progress, unit="cell") as shown, ThreadPoolExecutor(workers) as pool:

        def tick(**_: Any) -> None:
            with lock:
                shown.update()

        futures = [pool.submit(run_one, lesson, notebook, profile, tick, running) for lesson, notebook in jobs]
        try:
            for future in as_completed(futures):
                if finished:
                    finished(future.result())
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            for client in list(running):  # a kernel is a process of its own: stop it, so that its thread ends
                stop(client)
            raise


def run_one(
    lesson: Lesson, notebook: Notebook, profile: str, tick: Callable[..., None] | None = None, running: list[Any] | None = None
) -> Execution:
    """Execute one notebook in place. What goes wrong in a cell is in the result, not raised."""
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    folder = lesson.notebook.parent
    marks: list[tuple[int, float]] = []  # cell, seconds since the beginning by the clock or of the kernel, whichever are fewer

    def executed(
        cell: Any, cell_index: int, execute_reply: Any
    ) -> None:  # on_cell_complete comes earlier, when the cell has only been sent
        marks.append((cell_index, min(time.perf_counter() - began, _worked(client))))
        if tick:
            tick(cell=cell, cell_index=cell_index, execute_reply=execute_reply)

    client = NotebookClient(
        notebook, timeout=CELL_LIMIT, kernel_name="python3", coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}}, on_cell_executed=executed,
        extra_arguments=["--IPKernelApp.log_level=40"],  # a kernel's remarks on itself belong to no lesson
    )  # fmt: skip
    if running is not None:
        running.append(client)
    execution, began = Execution(lesson, notebook), time.perf_counter()
    try:
        asyncio.run(client.async_execute(env=environment(profile)))
    except CellExecutionError as error:
        last = next((at for at in reversed(range(len(notebook.cells))) if notebook.cells[at].get("execution_count")), 0)
        execution.error = f"cell {last} raised {error.ename}: {' '.join(error.evalue.split())[:200]}"
    except (CellTimeoutError, DeadKernelError, NoSuchKernel, RuntimeError) as error:  # the last two: no kernel to begin with
        execution.error = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        atexit.unregister(getattr(client, "_cleanup_kernel", lambda: None))  # there is nothing left to clean up
    finally:
        if running is not None:
            running.remove(client)
    execution.seconds = marks[-1][1] if marks else time.perf_counter() - began
    _read_times(execution, marks)
    clean(notebook)
    return execution


def environment(profile: str) -> dict[str, str]:
    """What a kernel is told: the profile, no progress bars, and where this package is, installed or not."""
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, VARIABLE: profile, "LINATTN_PROGRESS": "0", "PYTHONPATH": os.pathsep.join(paths)}


def _worked(client: Any) -> float:
    """The processor time of a client's kernel in seconds: on a busy machine less than the clock says, and what a budget is
    about.
    """
    import psutil  # comes with Jupyter's kernel

    try:
        times = psutil.Process(client.km.provisioner.process.pid).cpu_times()
        return float(times.user + times.system)
    except (AttributeError, psutil.Error):  # a kernel elsewhere, or one that has ended
        return float("inf")


def stop(client: Any) -> bool:
    """End a client's kernel at once. -> whether it had one"""
    process = getattr(getattr(client.km, "provisioner", None), "process", None)
    if process is not None:
        process.kill()
    return process is not None


def _read_times(execution: Execution, marks: Iterable[tuple[int, float]]) -> None:
    """First figure, slowest cell and slowest slider; what was written to standard error."""
    before = 0.0
    for at, after in marks:
        cell = execution.notebook.cells[at]
        if cell.cell_type == "code":
            execution.slowest = max(execution.slowest, (after - before, at))
            for output in cell.outputs:
                if execution.first_figure is None and "image/png" in output.get("data", {}):
                    execution.first_figure = after
                if SLIDER in output.get("metadata", {}):
                    execution.slider = max(execution.slider or 0.0, output.metadata[SLIDER])
                if output.output_type == "stream" and output.name == "stderr":
                    execution.warnings.append(f"cell {at} wrote to standard error: {' '.join(output.text.split())[:160]}")
        before = after


def clean(notebook: Notebook) -> None:
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
