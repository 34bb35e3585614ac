"""``python -m linattn_np reproduce``: train what is missing, draw the figures, say what came out."""

import contextlib
import json
import platform
import time
from importlib import import_module
from io import BytesIO
from pathlib import Path

import numpy as np

from .._checks import as_count
from ..processors import processors
from ..training.runs import RunFolder, atomic_file, write_text
from ..training.sweeps import Processes
from . import scorecard
from .scale import PAPER, QUICK

EXPERIMENTS = (  # each a module here with TITLE, TIME (on two cores), ALT, measure, draw and summary
    "adam_vs_sgd", "gradient_noise", "robust_condition_number", "directional_smoothness", "generalized_smoothness",
    "learning_rates", "data_distribution", "depth", "bigger_model", "attention_kinds", "full_batch", "nonlinear_regression",
)  # fmt: skip


def add_arguments(parser):
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"figures to draw (default: all): {', '.join(EXPERIMENTS)}")
    parser.add_argument(
        "--quick", action="store_true", help="a small version of everything, in under two minutes, into OUT/quick"
    )
    parser.add_argument("--out", default="figures", metavar="OUT", help="folder for pictures and numbers (default: figures)")
    parser.add_argument(
        "--workers", type=int, metavar="K", help="train on K processes (default: one for each processor; 1: none besides this)"
    )
    parser.add_argument("--list", action="store_true", help="say what there is to reproduce and stop")


def run(args):
    """-> exit status: 0 when everything asked for was drawn."""
    unknown = [name for name in args.names if name not in EXPERIMENTS]
    if unknown:
        raise ValueError(f"NAME: expected one of {', '.join(EXPERIMENTS)}, got {unknown[0]!r}")
    if args.list:
        for name in EXPERIMENTS:
            print(f"{name:24s} {experiment(name).TITLE} (about {experiment(name).TIME})")
        return 0
    scale = QUICK if args.quick else PAPER
    out = Path(args.out) / "quick" if args.quick else Path(args.out)
    workers = processors() if args.workers is None else as_count("--workers", args.workers)
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(Processes(workers)) if workers > 1 else None
        folder = RunFolder(out / "runs", executor)
        for name in args.names or EXPERIMENTS:
            reproduce(name, scale, out, folder)
    found = scorecard.write(out)
    tally = ", ".join(f"{number} {verdict}" for verdict, number in scorecard.count(found).items())
    print(f"\n{len(found)} claims of the paper: {tally}; written: {out / 'scorecard'}.json and .md")
    print(f"\nDone in {time.perf_counter() - began:.0f} s.")
    return 0


def experiment(name):
    return import_module(f".papers.maybe_all_you_need.{name}", __package__)


def reproduce(name, scale, out, folder):
    """One figure: OUT/name.png and OUT/name.json; finished runs are kept in the folder."""
    module, began = experiment(name), time.perf_counter()
    folder.seconds.clear()
    print(f"{module.TITLE} ({scale.steps} iterations, batch {scale.batch}, {scale.seeds} seeds) ...", flush=True)
    numbers = module.measure(folder, scale)
    seconds = time.perf_counter() - began
    picture = BytesIO()
    module.draw(numbers, scale).savefig(picture, format="png", dpi=150, metadata={"Software": None})
    with atomic_file(out / f"{name}.png") as file:
        file.write(picture.getvalue())
    record = {
        "title": module.TITLE, "alt": module.ALT, "scale": vars(scale), "seeds": list(range(scale.seeds)),
        "versions": versions(), "seconds": {"this_command": round(seconds, 1), "training_of_its_runs": round(sum(folder.seconds.values()), 1)},
        **rounded(numbers),
    }  # fmt: skip
    write_text(out / f"{name}.json", json.dumps(record, indent=1) + "\n")
    print(f"{module.summary(numbers)}\nwritten: {out / name}.png and .json, in {seconds:.0f} s")


def versions():
    """The versions that the numbers were made with."""
    import matplotlib

    from .. import __version__

    found = {
        "linattn_np": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "matplotlib": matplotlib.__version__,
    }
    try:
        import numba

        found["numba"] = numba.__version__
    except ImportError:
        found["numba"] = None
    return found


def rounded(value):
    """Numbers to six digits, and None for NaN, so that the file stays small and is strict JSON."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
