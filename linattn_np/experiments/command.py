"""``python -m linattn_np reproduce``: train what is missing, draw the figures, say what came out."""

import argparse
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from .._checks import one_of
from ..progress import Heartbeat
from ..training.runs import RunFolder
from ..training.sweeps import Processes
from . import record, scorecard
from .pace import Pace, spoken
from .registry import experiment, places
from .rules import contradicted
from .scale import PAPER, QUICK, Scale, counted
from .workers import as_workers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
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
    if args.list:
        print_list(there)
        return 0
    asked = [one_of("NAME", name, there) for name in args.names] or list(there)
    scale = QUICK if args.quick else PAPER
    out = Path(args.out) / "quick" if args.quick else Path(args.out)
    workers = as_workers("--workers", args.workers)
    for name in there:  # the scorecard reads all of them
        words = record.broken(out, name)
        if words:
            print(words, flush=True)
            asked += [] if name in asked else [name]
    names = list(dict.fromkeys(asked))
    pace = Pace({name: experiment(name).SECONDS["quick" if args.quick else "paper"] for name in names})
    print(f"{counted(len(names), 'figure')}{', quick' * args.quick}: about {spoken(pace.left())} on two quiet cores", flush=True)
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(Processes(workers)) if workers > 1 else None
        folder = RunFolder(out / "runs", executor)
        stack.enter_context(Heartbeat(pace.words))
        for name in names:
            reproduce(name, scale, out, folder, pace)
            pace.finish()
    print_end(names, Path(args.out), scorecard.write(out), args.quick)
    print(f"Done in {spoken(pace.gone())}.")
    return 0


def print_list(names: Sequence[str]) -> None:
    """What there is to reproduce, where it stands in its paper, and how long it takes."""
    for name in names:
        module = experiment(name)
        places = dict.fromkeys(claim.where for claim in module.CLAIMS)
        print(f"{name:24s} {module.TITLE} (about {spoken(module.SECONDS['paper'])})")
        if places:
            print(f"{'':24s} {'; '.join(places)}")
    print("\nTimes: at the paper's scale on two cores; --quick takes two minutes for all of them.")
    print("In the paper's preprint the plots of section 3.2 are its Figures 2, 4, 5 and 6.")


def reproduce(name: str, scale: Scale, out: Path, folder: RunFolder, pace: Pace) -> None:
    """One figure: OUT/name.png and OUT/name.json; finished runs are kept in the folder."""
    module, began = experiment(name), time.perf_counter()
    folder.seconds.clear()
    size = f"{'' if scale.name == 'paper' else scale.name + ': '}{module.sizes(scale)}"
    print(f"\n{pace.where()} {module.TITLE} ({size}); about {spoken(pace.left())} left", flush=True)
    numbers = module.measure(folder, scale)
    seconds = time.perf_counter() - began
    record.write(out, name, module, numbers, scale, seconds, folder)
    print(module.summary(numbers))
    if scale.name != "paper":
        for claim in contradicted(module.CLAIMS, {**record.rounded(numbers), "scale": vars(scale)}):
            print(f"  does not show at this size: {claim.statement}")
    print(f"written: {out / name}.png and .json, in {spoken(seconds)}", flush=True)


def print_end(names: Sequence[str], out: Path, found: list[scorecard.Row], quick: bool) -> None:
    """What to look at now."""
    if not quick:
        tally = ", ".join(f"{number} {verdict}" for verdict, number in scorecard.count(found).items())
        print(f"\n{len(found)} claims of the paper: {tally}; written: {out / 'scorecard'}.json and .md")
        return
    print(f"\nOpen first: {out / 'quick' / names[0]}.png ({experiment(names[0]).TITLE})")
    verdicts = out / "scorecard.md"
    if verdicts.is_file():
        print(f"A quick look decides nothing; the verdicts at the paper's scale are in {verdicts}")
    else:
        whole = sum(experiment(name).SECONDS["paper"] for name in places())
        print(
            f"A quick look decides nothing; the verdicts at the paper's scale come with: python -m linattn_np reproduce ({spoken(whole)})"
        )
