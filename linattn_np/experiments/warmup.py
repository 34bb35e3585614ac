"""``python -m linattn_np warmup``: compile now what lessons and figures need, so that nobody waits for the compiler later.

Each part does on two prompts what the course does on many, and the compiled code stays on the disk, for every size of model.
Nothing here knows how a kernel is made: what a part compiles is what training, curvature and noise ask for.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from ..kernels import compiling
from ..measures.composed_diagonal import hessian_diagonal
from ..measures.noise import gradient_noise
from ..models.backends import can_compile
from ..models.composed import Composed
from ..models.transformer import hvp, init_params
from ..optimizers import Adam
from ..prompts import RegressionTask
from ..training.loop import train

TASK = RegressionTask(n=7, d=3)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no options."""
    parser.epilog = f"{parser.epilog}; half a minute, once on a machine; compiled code is kept where NUMBA_CACHE_DIR says"


def run(args: argparse.Namespace) -> int:
    """-> exit status 0. Raises ValueError where nothing can be compiled."""
    began, compiled = time.perf_counter(), 0
    if not can_compile("numba"):
        raise ValueError(
            "there is no Numba here, or NUMBA_DISABLE_JIT is set: NumPy computes everything, and nothing is compiled"
        )
    compiling.quiet = True  # what is compiled is said here
    for number, (name, work) in enumerate(PARTS.items(), 1):
        print(f"[{number} of {len(PARTS)}] {name}: ", end="", flush=True)
        functions, seconds = warm(work)
        compiled += functions > 0
        print(f"compiled in {seconds:.1f} s" if functions else f"was there already ({seconds:.1f} s)", flush=True)
    said = f"{compiled} compiled, {len(PARTS) - compiled} there already; kept in {', '.join(compiling.folders())}"
    print(f"\nready after {time.perf_counter() - began:.0f} s: {said}")
    return 0


def warm(work: Callable[[], object]) -> tuple[int, float]:
    """Do some work. -> how many functions had to be compiled, seconds"""
    before, began = len(compiling.compiled()), time.perf_counter()
    work()
    return len(compiling.compiled()) - before, time.perf_counter() - began


def training() -> None:
    """On prompts that are drawn on the way."""
    train(TASK, Adam(0.01), 1, 2, progress=False)


def curvature() -> None:
    """Loss, gradient and a Hessian-vector product on prompts that are given."""
    rng = np.random.default_rng(0)
    params = init_params(rng, d=TASK.d)
    hvp(params, *TASK.sample(2, rng), params)


def noise() -> None:
    """The gradients of many small batches."""
    rng = np.random.default_rng(0)
    gradient_noise(init_params(rng, d=TASK.d), TASK, 2, 2, rng)


def tokens() -> None:
    """Softmax and ReLU attention, trained."""
    for attention in ("softmax", "relu"):
        train(TASK, Adam(0.01), 1, 2, attention=attention, progress=False)


def composed() -> None:
    """A network before the attention: trained, and the diagonal of its Hessian."""
    model = Composed(TASK.d, hidden=3)
    params = train(TASK, Adam(0.01), 1, 2, model=model, progress=False).params
    hessian_diagonal(model, params, *TASK.sample(2, np.random.default_rng(0)))


PARTS: dict[str, Callable[[], None]] = {
    "training of linear attention": training,
    "its loss and curvature on a given batch": curvature,
    "its gradient noise": noise,
    "softmax and ReLU attention": tokens,
    "a network before the attention": composed,
}
