"""``python -m linattn_np doctor``: is this machine ready? Versions, compiler cache, threads, a gradient, a picture, a timed run.

Each check imports what it needs by itself, so that a package that is missing or broken is one line of the answer and not a
traceback.
"""

import argparse
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

NEEDED = {"numpy": "2.0", "numba": "0.61", "matplotlib": "3.9", "tqdm": "4.66.5"}  # as in pyproject.toml: a test compares
FOR_LESSONS = {"jupyter": "1.1", "jupytext": "1.16.4"}
INSTALL = "python -m pip install -r requirements.txt"
STEP = 0.34e-3  # seconds of a step of Setting 1 on the two cores on which the experiments' SECONDS were measured
STEPS = 200
OK, NOT_OK, NOTE = "ok", "not ok", "note"


class Finding(NamedTuple):
    """What a check found: OK, NOT_OK, or a NOTE, which hinders only what it names; and, unless it is OK, what to do."""

    mark: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.mark:7s} {self.what}{f'. {self.remedy}' if self.remedy else ''}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = f"{parser.epilog}; it takes less than a minute, most of it the first compilation"


def run(args: argparse.Namespace) -> int:
    """-> exit status: 0 when the machine is ready, 1 when a line says what to do first."""
    failed = 0
    for check in CHECKS:
        finding = examined(check)
        failed += finding.mark == NOT_OK
        print(finding, flush=True)
    print(
        "\nready: python -m linattn_np reproduce --quick" if not failed else f"\nnot ready: {failed} of {len(CHECKS)} are not ok"
    )
    return 1 if failed else 0


def examined(check: Callable[[], Finding]) -> Finding:
    """The check's finding; where it raised, that, in one line."""
    try:
        return check()
    except Exception as error:  # whatever a broken installation raises: it is what is being looked for
        words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return Finding(NOT_OK, f"{check.__name__.replace('_', ' ')}: {words}", f"Is something above not ok? If not: {INSTALL}")


def python() -> Finding:
    """Python 3.11 or newer."""
    said = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return Finding(OK, said) if sys.version_info >= (3, 11) else Finding(NOT_OK, said, "Install Python 3.11 or newer")


def packages() -> Finding:
    """What the library needs, new enough."""
    said, wrong = stand(NEEDED)
    return Finding(NOT_OK, f"{said}: {'; '.join(wrong)}", INSTALL) if wrong else Finding(OK, said)


def lessons() -> Finding:
    """What only the lessons need."""
    said, wrong = stand(FOR_LESSONS)
    return (
        Finding(NOTE, f"the lessons cannot be opened: {'; '.join(wrong)}", INSTALL)
        if wrong
        else Finding(OK, f"for the lessons {said}")
    )


def stand(needed: dict[str, str]) -> tuple[str, list[str]]:
    """The versions that are there in words, and what is missing or too old among ``needed`` {package: oldest version}."""
    said, wrong = [], []
    for name, oldest in needed.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            wrong.append(f"{name} is not installed")
            continue
        said.append(f"{name} {found}")
        if numbers(found) < numbers(oldest):
            wrong.append(f"{name} {found} is older than {oldest}")
    return ", ".join(said), wrong


def numbers(text: str) -> tuple[int, ...]:
    """A version as numbers that compare: 2.10.1rc1 -> (2, 10, 1)."""
    return tuple(int(found[0]) for part in text.split(".") if (found := re.match(r"\d+", part)))


def folder() -> Finding:
    """The working folder takes files: figures and runs go into it."""
    try:
        write_in(".")
    except OSError as error:
        return Finding(NOT_OK, f"no file can be written in {Path.cwd()}: {error}", "Change to a folder that is yours")
    return Finding(OK, f"files can be written in {Path.cwd()}")


def write_in(place: str) -> None:
    """Raise OSError unless a file can be made in a folder; nothing stays there."""
    with tempfile.TemporaryFile(dir=place):
        pass


def compiler() -> Finding:
    """Numba compiles, and keeps what it compiled for the next process."""
    from ..kernels.compiling import folders

    try:
        import_module("numba")
    except ImportError:
        return Finding(NOTE, "there is no Numba: NumPy computes everything, right and some fifty times slower", INSTALL)
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return Finding(NOTE, "NUMBA_DISABLE_JIT is set: right numbers, a hundred times slower", "Unset it")
    remedy, began = "Set NUMBA_CACHE_DIR to a folder that you may write", time.perf_counter()
    try:
        gap_of_the_gradients()
    except RuntimeError as error:
        if "locator" not in str(error):  # Numba's word for a place to keep what it compiled
            raise
        return Finding(NOT_OK, f"there is no folder for compiled code: {error}", remedy)
    seconds = time.perf_counter() - began
    places = folders()
    try:
        for place in places:
            write_in(place)
    except OSError as error:
        return Finding(NOTE, f"compiled code cannot be kept, each process compiles again: {error}", remedy)
    said = f"compiled in {seconds:.1f} s and kept in {', '.join(places)}; the next process only loads it"
    return Finding(OK, f"{said}. All that the course needs: python -m linattn_np warmup")


def threads() -> Finding:
    """How many threads the compiled code uses."""
    from ..kernels.threads import get_threads, processors

    used, there = get_threads(), processors()
    said = f"{used} threads on {there} processors"
    return Finding(OK, said) if used <= there else Finding(NOTE, said, "More threads than processors only cost time")


def gap_of_the_gradients() -> tuple[float, float]:
    """How far the compiled gradient is from NumPy's, and NumPy's from a complex step along a direction; relative."""
    import numpy as np

    from ..models.transformer import init_params, loss, loss_and_grad
    from ..prompts import RegressionTask

    rng = np.random.default_rng(0)
    Z, y = RegressionTask(n=7, d=5).sample(11, rng)
    params = init_params(rng, layers=3, d=5, heads=2, std=0.3)
    compiled, defined = (loss_and_grad(params, Z, y, backend=backend)[1] for backend in ("numba", "numpy"))
    direction = rng.standard_normal(params.shape)
    along = complex(loss(params + 1e-30j * direction, Z, y)).imag / 1e-30
    by_gradient = float((defined * direction).sum())
    return float(np.abs(compiled - defined).max() / np.abs(defined).max()), abs(along - by_gradient) / abs(along)


def gradient() -> Finding:
    """The gradient by hand, compiled and in NumPy, and a complex step agree."""
    compiled, defined = gap_of_the_gradients()
    said = f"a gradient: compiled and NumPy agree to {compiled:.0e}, NumPy and a complex step to {defined:.0e}"
    good = compiled < 1e-10 and defined < 1e-10  # rounding gives about 1e-15; a wrong compiler or BLAS gives any number
    return (
        Finding(OK, said)
        if good
        else Finding(NOT_OK, said, "They must agree to 1e-10: delete the compiler's cache; update numpy and numba")
    )


def picture() -> Finding:
    """A figure can be drawn without a window."""
    from ..plotting import new_figure

    figure, axes = new_figure()
    axes[0, 0].plot([0, 1], [1, 0])
    out = BytesIO()
    figure.savefig(out, format="png")
    size = len(out.getvalue())
    return (
        Finding(OK, f"a picture of {size // 1000} kB was drawn")
        if size > 1000
        else Finding(NOT_OK, "the picture is empty", INSTALL)
    )


def training() -> Finding:
    """A short run learns, and its time says how long the figures will take."""
    from ..optimizers import Adam
    from ..prompts import RegressionTask
    from ..training.loop import train

    train(RegressionTask(), Adam(0.02), 1, progress=False)  # whatever is compiled at the first step is not counted
    began = time.perf_counter()
    history = train(RegressionTask(), Adam(0.02, beta2=0.9), STEPS, progress=False)
    step = (time.perf_counter() - began) / STEPS
    first, last = history.loss[:10].mean(), history.loss[-10:].mean()
    said = f"{STEPS} steps of Setting 1, {1000 * step:.2f} ms each, took the loss from {first:.2g} to {last:.2g}"
    if not last < first / 2:
        return Finding(NOT_OK, said, "It must fall to less than half: see the lines above")
    return Finding(OK, f"{said}; {forecast(step)}")


def forecast(step: float) -> str:
    """How long the figures will take where a step of Setting 1 takes ``step`` seconds."""
    from .pace import spoken
    from .registry import experiment, groups

    quick, paper = (
        spoken(step / STEP * sum(experiment(name).SECONDS[scale] for name in next(iter(groups().values()))))
        for scale in ("quick", "paper")
    )
    return f"reproduce --quick will take about {quick}, the paper's scale about {paper}"


CHECKS = (python, packages, lessons, folder, compiler, threads, gradient, picture, training)
