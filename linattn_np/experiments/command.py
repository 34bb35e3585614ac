"""``python -m linattn_np reproduce``: train what is missing, draw the figures, say what came out."""

import argparse
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from ..progress import Heartbeat
from ..training.runs import RunFolder
from ..training.sweeps import Processes
from . import record, scorecard
from .derivations import derived_modules, judge
from .pace import Pace, spoken
from .registry import asked, experiment, groups, places
from .rules import contradicted
from .scale import PAPER, QUICK, Scale, counted
from .workers import as_workers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"figures to draw, or a group of them (default: {default_group()}): {', '.join((*groups(), *places()))}",
    )
    parser.add_argument("--all", action="store_true", help="draw the figures of all groups")
    parser.add_argument("--quick", action="store_true", help="a small version, of the paper in under two minutes, into OUT/quick")
    parser.add_argument("--out", default="figures", metavar="OUT", help="folder for pictures and numbers (default: figures)")
    parser.add_argument(
        "--workers", type=int, metavar="K", help="train on K processes (default: one for each processor; 1: none besides this)"
    )
    parser.add_argument("--list", action="store_true", help="say what there is to reproduce and stop")
    parser.add_argument(
        "--audit", action="store_true", help="draw nothing: audit the papers' own derivations, and wrong ones made of them"
    )


def default_group() -> str:
    """The group that is drawn where nothing is asked for."""
    return next(iter(groups()))


def run(args: argparse.Namespace) -> int:
    """-> exit status: 0 when everything asked for was drawn."""
    there = tuple(places())
    if args.list:
        print_list()
        return 0
    wanted = there if args.all else tuple(name for given in args.names or [default_group()] for name in asked(given))
    if args.audit:
        return print_audits(wanted if args.names else there)
    scale = QUICK if args.quick else PAPER
    out = Path(args.out) / "quick" if args.quick else Path(args.out)
    workers = as_workers("--workers", args.workers)
    for name in there:  # the scorecard reads all of them
        words = record.broken(out, name)
        if words:
            print(words, flush=True)
            wanted += (name,)
    names = list(dict.fromkeys(wanted))
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


def print_list() -> None:
    """What there is to reproduce in each group, where it stands in its paper, and how long it takes."""
    for group, names in groups().items():
        whole, quick = (spoken(sum(experiment(name).SECONDS[scale] for name in names)) for scale in ("paper", "quick"))
        print(f"Group {group}: {counted(len(names), 'figure')}, about {whole}; with --quick about {quick}")
        for name in names:
            module = experiment(name)
            where = dict.fromkeys(claim.where for claim in module.CLAIMS)
            print(f"  {name:28s} {module.TITLE} (about {spoken(module.SECONDS['paper'])})")
            if where:
                print(f"  {'':28s} {'; '.join(where)}")
        print()
    print(f"Without a name, reproduce draws the group {default_group()}; reproduce GROUP draws another, --all every one.")
    print("Times: at the paper's scale on two quiet cores.")
    print("In the preprint of Linear attention is (maybe) all you need the plots of section 3.2 are its Figures 2, 4, 5 and 6.")


def print_audits(names: Sequence[str]) -> int:
    """Audit the derivations of the papers of these experiments, and the mutations of them. -> 0, or 1 where something is wrong"""
    good = True
    for paper, modules in derived_modules(names).items():
        for module in modules:
            began = time.perf_counter()
            judged = judge(module)
            good &= judged.ok
            print(f"{paper}: {judged}, {spoken(time.perf_counter() - began)}", flush=True)
    return 0 if good else 1


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
        print(f"\n{scorecard.tally(found)}; written: {out / 'scorecard'}.json and .md")
        return
    print(f"\nOpen first: {out / 'quick' / names[0]}.png ({experiment(names[0]).TITLE})")
    verdicts = out / "scorecard.md"
    if verdicts.is_file():
        print(f"A quick look decides nothing; the verdicts at the paper's scale are in {verdicts}")
    else:
        whole = sum(experiment(name).SECONDS["paper"] for name in groups()[default_group()])
        print(
            "A quick look decides nothing; the verdicts at the paper's scale come with: python -m linattn_np reproduce "
            f"({spoken(whole)})"
        )
