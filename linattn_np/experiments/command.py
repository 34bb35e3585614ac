"""``python -m linattn_np reproduce``: train what is missing, draw the figures, say what came out."""

import argparse
import contextlib
import time
from pathlib import Path

from .._checks import as_count
from ..kernels.threads import processors
from ..training.runs import RunFolder
from ..training.sweeps import Processes
from . import record, scorecard
from .registry import experiment, places
from .scale import PAPER, QUICK, Scale


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"figures to draw (default: all): {', '.join(places())}")
    parser.add_argument(
        "--quick", action="store_true", help="a small version of everything, in under two minutes, into OUT/quick"
    )
    parser.add_argument("--out", default="figures", metavar="OUT", help="folder for pictures and numbers (default: figures)")
    parser.add_argument(
        "--workers", type=int, metavar="K", help="train on K processes (default: one for each processor; 1: none besides this)"
    )
    parser.add_argument("--list", action="store_true", help="say what there is to reproduce and stop")


def run(args: argparse.Namespace) -> int:
    """-> exit status: 0 when everything asked for was drawn."""
    there = tuple(places())
    unknown = [name for name in args.names if name not in there]
    if unknown:
        raise ValueError(f"NAME: expected one of {', '.join(there)}, got {unknown[0]!r}")
    if args.list:
        for name in there:
            print(f"{name:24s} {experiment(name).TITLE} (about {experiment(name).TIME})")
        return 0
    scale = QUICK if args.quick else PAPER
    out = Path(args.out) / "quick" if args.quick else Path(args.out)
    workers = processors() if args.workers is None else as_count("--workers", args.workers)
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(Processes(workers)) if workers > 1 else None
        folder = RunFolder(out / "runs", executor)
        for name in args.names or there:
            reproduce(name, scale, out, folder)
    found = scorecard.write(out)
    tally = ", ".join(f"{number} {verdict}" for verdict, number in scorecard.count(found).items())
    print(f"\n{len(found)} claims of the paper: {tally}; written: {out / 'scorecard'}.json and .md")
    print(f"\nDone in {time.perf_counter() - began:.0f} s.")
    return 0


def reproduce(name: str, scale: Scale, out: Path, folder: RunFolder) -> None:
    """One figure: OUT/name.png and OUT/name.json; finished runs are kept in the folder."""
    module, began = experiment(name), time.perf_counter()
    folder.seconds.clear()
    print(f"{module.TITLE} ({scale.steps} iterations, batch {scale.batch}, {scale.seeds} seeds) ...", flush=True)
    numbers = module.measure(folder, scale)
    seconds = time.perf_counter() - began
    record.write(out, name, module, numbers, scale, seconds, folder)
    print(f"{module.summary(numbers)}\nwritten: {out / name}.png and .json, in {seconds:.0f} s")
