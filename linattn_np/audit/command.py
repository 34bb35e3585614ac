"""``python -m linattn_np audit``: judge the library's gradients, or a reader's own. Exit status 0 ok, 1 wrong, 2 cannot judge."""

import argparse
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import check_memory
from ..progress import bar
from ..training.runs import atomic_file
from .child import audit_in_child
from .library.agreement import audit_arrays
from .library.layer import audit_layer
from .library.model import audit_model
from .library.optimizers import audit_optimizers
from .library.registry import DEFAULT_POINT, entry_of, known_layers
from .mutation import EVERY
from .mutation.run import CHECKS, WEAK, layer_of, run_mutations
from .picture import draw, draw_scores
from .report import Report
from .row import CANNOT_JUDGE, OK, STATUS, WRONG

EXPLANATION = """\
NAME in --function is a function without arguments that returns (forward, backward, theta), or a dictionary of the arguments of
linattn_np.audit.audit_gradient. exit status: 0 ok, 1 wrong, 2 cannot judge, a mutation survived, or wrong usage.
examples: python -m linattn_np audit --layer linear --mutate;  python -m linattn_np audit --function my_layer.py:subject"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = EXPLANATION
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--layer", choices=known_layers(), help="audit this layer only, by itself and in a model")
    what.add_argument("--function", metavar="MODULE:NAME", help="audit your own functions, from a module or a file.py:name")
    what.add_argument("--arrays", metavar="FILE.npz", help="compare with losses, gradients and Hessians computed elsewhere")
    parser.add_argument(
        "--entries", type=int, default=2000, metavar="N", help="of an array with more entries, look at N one by one"
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="stop after S seconds; what is left out is not judged")
    parser.add_argument("--mutate", action="store_true", help="audit wrong derivations instead: none may pass")
    parser.add_argument("--point", default="", metavar="KEY=VALUE,..", help=f"where, of {', '.join(DEFAULT_POINT)}")
    parser.add_argument("--json", metavar="FILE", help="write everything that was found to a JSON file")
    parser.add_argument("--plot", metavar="FILE", help="draw the Taylor tests and the errors to a picture file")
    parser.add_argument("--seed", type=int, default=0, help="seed of the point and of all random directions (default 0)")


def run(args: argparse.Namespace) -> int:
    """Audit what the arguments ask for and print it. -> the exit status"""
    point = parse_point(args.point)
    if args.seed < 0:
        raise ValueError(f"--seed: expected an integer of at least 0, got {args.seed}")
    if args.entries < 1:
        raise ValueError(f"--entries: expected an integer of at least 1, got {args.entries}")
    if args.seconds is not None and not args.seconds >= 0:
        raise ValueError(f"--seconds: expected a number of at least 0, got {args.seconds}")
    if (args.entries != 2000 or args.seconds is not None) and not args.function:
        raise ValueError("--entries and --seconds: these are for --function")
    for path in filter(None, (args.json, args.plot)):
        check_may_be_written(path)
    if (args.function or args.arrays) and (args.mutate or point):
        raise ValueError("--mutate and --point: these are for the library's own layers, not for --function or --arrays")
    start = time.perf_counter()
    if args.mutate:
        return _mutate(args, point, start)
    reports = _reports(args, point)
    for report in reports:
        if len(reports) < 4 or not report.ok:
            print(report, end="\n\n")
    if len(reports) > 1:
        print(overview(reports))
    verdicts = {report.verdict for report in reports}
    verdict = WRONG if WRONG in verdicts else CANNOT_JUDGE if CANNOT_JUDGE in verdicts else OK
    print(f"{verdict} ({time.perf_counter() - start:.1f} s)")
    if args.json:
        found = {"verdict": verdict, "ok": verdict == OK, "audits": [report.to_dict() for report in reports]}
        write_whole(args.json, json.dumps(found, indent=1, allow_nan=False).encode())
    if args.plot:
        write_whole(args.plot, _picture(reports, Path(args.plot).suffix))
    return STATUS[verdict]


def _reports(args: argparse.Namespace, point: dict[str, Any]) -> list[Report]:
    """The audits that were asked for, in order."""
    if args.function:
        return [audit_in_child(args.function, args.seed, args.entries, args.seconds)]
    if args.arrays:
        with np.load(args.arrays, allow_pickle=False) as arrays:
            return [audit_arrays(dict(arrays), args.seed)]
    names = [args.layer] if args.layer else known_layers()
    jobs: list[tuple[Callable[..., Report], str, dict[str, Any]]] = [(audit_layer, name, {}) for name in names]
    for name in (name for name in names if entry_of(name).stacks):
        jobs += [(audit_model, name, {"full": full}) for full in ((True,) if entry_of(name).composed else (False, True))]
    if "full" in point:  # asked for by name: only that parameterization
        jobs = [job for job in jobs if job[0] is audit_layer or job[2]["full"] == bool(point["full"])]
    reports = []
    with bar(len(jobs), "audits", unit="audit") as shown:
        for job, name, extra in jobs:
            reports.append(job(name, seed=args.seed, **{**point, **extra}))
            shown.update()
    return reports if args.layer else [*reports, audit_optimizers(args.seed)]


def _mutate(args: argparse.Namespace, point: dict[str, Any], start: float) -> int:
    """The run of the mutations: exit status 0 when none survives, else 2."""
    chosen = [m for m in EVERY if not args.layer or layer_of(m) == args.layer]
    outcome = run_mutations(args.seed, chosen, everything=not args.layer, kernels=not args.layer, **point)
    print(outcome)
    print(f"{'ok' if outcome.ok else CANNOT_JUDGE} ({time.perf_counter() - start:.1f} s)")
    if args.json:
        write_whole(args.json, json.dumps(outcome.to_dict(), indent=1, allow_nan=False).encode())
    if args.plot:
        strong, weak = ({check: outcome.score(check) for check in checks} for checks in (CHECKS, WEAK))
        picture = _figure(lambda figure: draw_scores(figure.subplots(), strong, weak, len(outcome.real)), (8, 4.5), args.plot)
        write_whole(args.plot, picture)
    return 0 if outcome.ok else 2


def overview(reports: list[Report]) -> str:
    """One line for each audit: the largest error of each kind of check, and the verdict."""
    kinds = ("complex", "probe", "dot", "second", "kernel")
    lines = [f"{'audit':<24}" + "".join(kind.rjust(9) for kind in kinds) + "  verdict"]
    for report in reports:
        worst: dict[str, float] = {}
        for row in report.rows:
            if row.error is not None:
                worst[row.check] = max(worst.get(row.check, 0.0), row.error)
        cells = (f"{worst[kind]:.1e}" if kind in worst else "-" for kind in kinds)
        title = report.title.replace(" blocks", "")
        short = title if len(title) <= 24 else f"{title.split(',')[0]},{title.split(',')[-1]}"
        lines.append(f"{short[:24]:<24}" + "".join(cell.rjust(9) for cell in cells) + f"  {report.verdict}")
    return "\n".join([*lines, ""])


def parse_point(text: str) -> dict[str, float]:
    """``sigma=.3,layers=3`` as a dictionary. Raises ValueError for a name or a number that is not one."""
    point: dict[str, float] = {}
    for item in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = item.partition("=")
        if not equals or key not in DEFAULT_POINT:
            raise ValueError(f"--point: expected KEY=VALUE with a key of {', '.join(DEFAULT_POINT)}, got {item!r}")
        try:
            point[key] = float(value) if key == "sigma" else int(value)
        except ValueError:
            kind = "a number" if key == "sigma" else "a whole number"
            raise ValueError(f"--point: expected {kind} for {key}, got {value!r}") from None
    if "batch" in point:
        check_memory("--point batch", int(point["batch"]), 4096)
    return point


def _picture(reports: list[Report], suffix: str) -> bytes:
    """All reports below each other, as the bytes of a picture file."""
    drawn = [report for report in reports if report.taylor] or reports

    def fill(figure: Any) -> None:
        axes = figure.subplots(len(drawn), 2, squeeze=False)
        for report, pair in zip(drawn, axes, strict=True):
            draw(report, pair)

    return _figure(fill, (11, 4.8 * len(drawn)), f"x{suffix}")


def _figure(fill: Callable[[Any], object], size: tuple[float, float], path: str) -> bytes:
    """A figure as bytes in the format of the file's name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    fill(figure)
    kind, target = Path(path).suffix.lstrip(".").lower() or "png", io.BytesIO()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise ValueError(f"--plot: expected a file name ending in one of {', '.join(sorted(known))}, got .{kind}")
    figure.savefig(target, format=kind, dpi=130)
    return target.getvalue()


def check_may_be_written(path: str) -> None:
    """Raise ValueError unless ``path`` is a regular file that may be replaced, or may be made in a folder that is there.

    A file is written under another name and then put in its place: that would put a file where a device or a pipe was.
    """
    file = Path(path)
    folder = Path(os.path.realpath(file)).parent
    if not folder.is_dir():
        raise ValueError(f"{path}: expected a file in a folder that exists, and there is no {file.parent}")
    if file.is_symlink() or file.exists():
        if not file.is_file():
            kind = "a folder" if file.is_dir() else "a link to nothing" if file.is_symlink() else "a device or a pipe"
            raise ValueError(f"{path}: expected a regular file, or a new name; this is {kind}")
        if not os.access(file, os.W_OK):
            raise ValueError(f"{path}: expected a file that may be replaced, and this one may not be written")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{path}: expected a folder in which files may be made, and {folder} is not one")


def write_whole(path: str, data: bytes) -> None:
    """Write bytes to a file that is there in full or not at all; where ``path`` is a link, to the file that it leads to."""
    with atomic_file(os.path.realpath(path)) as file:
        file.write(data)
