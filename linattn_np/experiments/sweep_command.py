"""``python -m linattn_np sweep``: a grid of learning rates, seeds, settings and optimizers, on processes or a Dask cluster."""

import argparse
import contextlib
import itertools
import json
import re
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import as_count, as_real, check_memory, one_of
from ..optimizers import KINDS
from ..optimizers.schedules import NAMED
from ..progress import Heartbeat
from ..training.loop import History, losses_along
from ..training.runs import Run, RunFolder, write_text
from ..training.sweeps import Cluster, Inline, Processes, sweep
from .pace import spoken
from .registry import settings
from .scale import counted, quartiles, test_batch
from .settings import with_momentum
from .workers import as_workers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--settings", default="setting1", metavar="A,B", help=f"of {', '.join(settings())} (default: setting1)")
    parser.add_argument("--optimizers", default="SGD,Adam", metavar="A,B", help=f"of {', '.join(KINDS)} (default: SGD,Adam)")
    parser.add_argument(
        "--rates", default="0.005,0.01,0.02,0.05", metavar="R,R", help="learning rates (default: 0.005,0.01,0.02,0.05)"
    )
    parser.add_argument("--schedule", metavar="NAME", help=f"how rates fall, of {', '.join(NAMED)} (default: they do not)")
    parser.add_argument("--seeds", type=int, default=3, metavar="K", help="seeds 0 .. K-1 (default: 3)")
    parser.add_argument("--steps", type=int, default=1000, metavar="T", help="iterations of each run (default: 1000)")
    parser.add_argument("--batch", type=int, default=1000, metavar="B", help="prompts in a batch (default: 1000)")
    parser.add_argument("--out", default="sweep", metavar="OUT", help="folder for the runs and the table (default: sweep)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers",
        type=int,
        metavar="K",
        help="processes on this machine (default: one for each processor; 1: none besides this)",
    )
    where.add_argument(
        "--dask", metavar="ADDRESS", help="a Dask scheduler, such as tcp://127.0.0.1:8786 (pip install 'linattn_np[dask]')"
    )


def run(args: argparse.Namespace) -> int:
    """-> exit status: 0 when every run was done."""
    cells, began = grid(args), time.perf_counter()
    if args.dask is not None:
        as_address("--dask", args.dask)
    out = Path(args.out)
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(make_executor(args))
        folder = RunFolder(out / "runs")
        print(
            f"{counted(len(cells), 'cell')} of {counted(args.seeds, 'seed')}; finished runs are kept in {folder.path}", flush=True
        )
        runs = [run for cell in cells.values() for run in cell]
        found: dict[Run, History] = {}
        stack.enter_context(Heartbeat(lambda: f"{len(found)} of {len(runs)} runs, {spoken(time.perf_counter() - began)} gone"))
        for done, history in sweep(runs, folder, executor):
            found[done] = history
    rows = [row(key, [found[run] for run in cell]) for key, cell in cells.items()]
    computed_by = folder.computed_by()
    record = {"steps": args.steps, "batch": args.batch, "schedule": args.schedule, "rows": rows, "computed_by": computed_by}
    write_text(out / "sweep.json", json.dumps(record, indent=1) + "\n")
    print(table(rows))
    if len(computed_by) > 1:
        print(f"computed in {len(computed_by)} ways, which differ in the last bits: see computed_by in the file")
    print(f"written: {out / 'sweep.json'}")
    return 0


def grid(args: argparse.Namespace) -> dict[tuple[str, str, float], list[Run]]:
    """The runs of each cell: {(setting, optimizer, rate): [one for each seed]}. Raises ValueError before any work."""
    known = settings()
    names = [one_of("--settings", name, tuple(known)) for name in args.settings.split(",")]
    optimizers = [one_of("--optimizers", name, tuple(KINDS)) for name in args.optimizers.split(",")]
    rates = [as_rate(text) for text in args.rates.split(",")]
    seeds, steps, batch = as_count("--seeds", args.seeds), as_count("--steps", args.steps), as_count("--batch", args.batch)
    schedule = None if args.schedule is None else one_of("--schedule", args.schedule, tuple(NAMED))
    check_memory("--seeds", seeds, 8192 * len(names) * len(optimizers) * len(rates))
    cells = {}
    for name, kind, rate in itertools.product(names, optimizers, rates):
        setting, optimizer = known[name], with_momentum(kind, rate)
        cells[name, kind, rate] = [
            Run(setting.task, optimizer, steps, batch, clip=setting.clip, seed=seed, record_every=steps, schedule=schedule)
            for seed in range(seeds)
        ]
    return cells


def as_rate(text: str) -> float:
    """A learning rate from the command line."""
    try:
        rate = float(text)
    except ValueError:
        raise ValueError(f"--rates: expected numbers separated by commas, got {text!r}") from None
    return as_real("--rates", rate, above=0)


def as_address(name: str, text: str) -> str:
    """The address of a Dask scheduler. Raises ValueError for what cannot be one, before anybody looks for it."""
    if not re.fullmatch(r"(\w+://)?([\w.-]+|\[[0-9a-fA-F:.%]+\]):\d{1,5}", text):
        raise ValueError(f"{name}: expected an address such as tcp://127.0.0.1:8786, got {text!r}")
    return text


def make_executor(args: argparse.Namespace) -> contextlib.AbstractContextManager[Executor]:
    """Processes on this machine, or a Dask cluster, to be used in a ``with``."""
    if args.dask is None:
        workers = as_workers("--workers", args.workers)
        return Processes(workers) if workers > 1 else Inline()
    return Cluster(args.dask)


def row(key: tuple[str, str, float], histories: Sequence[History]) -> dict[str, Any]:
    """One row of the table: final test loss, quartiles over seeds of the runs that did not diverge."""
    name, kind, rate = key
    test = test_batch(settings()[name].task)
    losses = [losses_along(history, *test)[1][-1] for history in histories if history.diverged_at is None]
    low, median, high = quartiles(losses) if losses else (np.nan,) * 3
    return {
        "setting": name, "optimizer": kind, "rate": rate, "seeds": len(histories), "diverged": len(histories) - len(losses),
        "lower_quartile": number(low), "median": number(median), "upper_quartile": number(high),
    }  # fmt: skip


def number(value: float) -> float | None:
    """A JSON number, or None where there is none."""
    return float(value) if np.isfinite(value) else None


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text."""
    lines = [f"{'setting':10s} {'optimizer':12s} {'rate':>8s} {'test loss':>11s} {'quartiles':>23s} {'diverged':>9s}"]
    for r in rows:
        median = "-" if r["median"] is None else f"{r['median']:.3e}"
        band = "-" if r["median"] is None else f"{r['lower_quartile']:.3e} {r['upper_quartile']:.3e}"
        lines.append(
            f"{r['setting']:10s} {r['optimizer']:12s} {r['rate']:8g} {median:>11s} {band:>23s} {r['diverged']:4d} of {r['seeds']}"
        )
    return "\n".join(lines)
