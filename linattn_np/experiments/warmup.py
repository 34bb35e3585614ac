"""``python -m linattn_np warmup``: compile now what lessons and figures need, so that nobody waits for the compiler later.

Each part does on two prompts what the course does on many, and the compiled code stays on the disk. Nothing here knows how a
kernel is made: what a part compiles is what training, curvature and noise ask for.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from .._checks import as_count
from ..kernels import compiling
from ..measures.composed_diagonal import hessian_diagonal
from ..measures.noise import gradient_noise
from ..models.composed import Composed
from ..models.passes import can_compile
from ..models.transformer import hvp
from ..optimizers import Adam
from ..prompts import RegressionTask
from ..training.loop import train

N = 20  # examples in a prompt; softmax attention is compiled for each (n, d), everything else for each d
COURSE = {  # {kind of model: the d's of the lessons and the quick figures}
    "linear attention": (1, 3, 5, 20),
    "full linear attention": (5,),
    "softmax and ReLU attention": (5,),
    "a network before the attention": (5,),
}


class Part(NamedTuple):
    """What is compiled together: its name, and work that needs it."""

    name: str
    work: Callable[[], object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--d", type=int, nargs="+", metavar="D", help="these numbers of covariates, instead of the course's")
    parser.add_argument(
        "--n", type=int, default=N, metavar="N", help=f"length of a prompt (default: {N}); matters to softmax and ReLU"
    )
    parser.epilog = f"{parser.epilog}; for other numbers of covariates: python -m linattn_np warmup --d 5 8 12"


def run(args: argparse.Namespace) -> int:
    """-> exit status 0. Raises ValueError where nothing can be compiled."""
    n, began, compiled = as_count("--n", args.n), time.perf_counter(), 0
    if not can_compile("numba"):
        raise ValueError(
            "there is no Numba here, or NUMBA_DISABLE_JIT is set: NumPy computes everything, and nothing is compiled"
        )
    kinds = COURSE if args.d is None else dict.fromkeys(COURSE, tuple(as_count("--d", d) for d in args.d))
    parts = [Part(f"{kind}, d = {d}", partial(KINDS[kind], n, d)) for kind, some in kinds.items() for d in some]
    compiling.quiet = True  # what is compiled is said here
    for number, part in enumerate(parts, 1):
        print(f"[{number} of {len(parts)}] {part.name}: ", end="", flush=True)
        functions, seconds = warm(part)
        compiled += functions > 0
        print(f"compiled in {seconds:.1f} s" if functions else f"was there already ({seconds:.1f} s)", flush=True)
    there = len(parts) - compiled
    print(
        f"\nready after {time.perf_counter() - began:.0f} s: {compiled} compiled, {there} there already; kept in {', '.join(compiling.folders())}"
    )
    return 0


def warm(part: Part) -> tuple[int, float]:
    """Do the work of a part. -> how many functions had to be compiled, seconds"""
    before, began = len(compiling.compiled()), time.perf_counter()
    part.work()
    return len(compiling.compiled()) - before, time.perf_counter() - began


def linear(n: int, d: int, full: bool = False) -> None:
    """Training on drawn states and on tokens, a Hessian-vector product, gradient noise."""
    for covariates in ("gaussian", "sphere"):
        task = RegressionTask(n, d, covariates)
        params = train(task, Adam(0.01), 1, 2, full=full, progress=False).params
    rng = np.random.default_rng(0)
    hvp(params, *task.sample(2, rng), params)
    gradient_noise(params, task, 2, 2, rng)


def tokens(n: int, d: int) -> None:
    """Training of softmax and of ReLU attention."""
    for attention in ("softmax", "relu"):
        train(RegressionTask(n, d), Adam(0.01), 1, 2, attention=attention, progress=False)


def composed(n: int, d: int) -> None:
    """Training of a network before the attention, and the diagonal of its Hessian."""
    task = RegressionTask(n, d)
    model = Composed(d, hidden=3)
    params = train(task, Adam(0.01), 1, 2, model=model, progress=False).params
    hessian_diagonal(model, params, *task.sample(2, np.random.default_rng(0)))


KINDS: dict[str, Callable[[int, int], None]] = {
    "linear attention": linear,
    "full linear attention": partial(linear, full=True),
    "softmax and ReLU attention": tokens,
    "a network before the attention": composed,
}
