"""``python -m linattn_np bench``: how long each piece takes here, how the cost grows, and what share of the machine's peak it is.

Every figure is a median over rounds, and comparisons are ratios taken within one run: absolute times drift on a shared machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import kernels
from ._checks import as_count
from .batches import chunk_sizes
from .kernels import programs
from .kernels.random_numpy import chunk_states
from .kernels.threads import processors, set_threads
from .layers import gram
from .models.stack import loss_and_grad_by
from .models.transformer import LinearTransformer, hessian, hvp, init_params, loss_and_grad
from .optimizers import Adam, clip
from .progress import bar
from .prompts import RegressionTask
from .training.batch_gradient import BatchGradient
from .training.runs import atomic_file, write_text

BATCH = 1000
GROWTH = {  # what varies -> (values, name, values of --quick); everything else as in Setting 1
    "n": ((20, 60, 200, 600, 1000), (20, 200)),
    "L": ((2, 4, 8, 16), (2, 8)),
    "d": ((3, 5, 8, 12, 16), (3, 8)),
    "batch": ((250, 500, 1000, 2000, 4000), (250, 1000)),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--quick", action="store_true", help="fewer rounds and sizes, in under a minute")
    parser.add_argument("--rounds", type=int, metavar="R", help="rounds of each timing (default: 15, with --quick 5)")
    parser.add_argument("--json", metavar="FILE", help="write the numbers to FILE")
    parser.add_argument("--plot", metavar="FILE", help="write a picture (.png) of the growth to FILE")


def run(args: argparse.Namespace) -> int:
    """-> exit status 0. Raises ValueError, or ModuleNotFoundError, where there is no compiled code to compare with."""
    if not kernels.available():
        raise ValueError("NUMBA_DISABLE_JIT is set: nothing is compiled, so there is nothing to compare")
    rounds = as_count("--rounds", args.rounds) if args.rounds is not None else (5 if args.quick else 15)
    threads = sorted({1, processors()})
    record: dict[str, Any] = {"threads": threads, "batch": BATCH, "rounds": rounds}
    with bar(2 + len(GROWTH) + (not args.quick), "bench", unit="part") as shown:
        for name, part in (("pieces", pieces), ("peak", peak)):
            record[name] = part(threads, rounds)
            shown.update()
        record["growth"] = {}
        for name in GROWTH:
            record["growth"][name] = growth(name, rounds, args.quick)
            shown.update()
        record["share_of_peak"] = share_of_peak(record)
        if not args.quick:
            record["waits"] = waits()
            shown.update()
    print(summary(record))
    if args.json:
        write_text(args.json, json.dumps(record, indent=1) + "\n")
    if args.plot:
        with atomic_file(args.plot) as file:
            draw(record["growth"]).savefig(file, format="png", dpi=150)
    return 0


def median_seconds(function: Callable[[], object], rounds: int) -> float:
    """Median wall time of a call, after one that is not counted; short calls are repeated up to 20 ms a round."""
    function()
    began = time.perf_counter()
    function()
    repeats = max(1, min(1000, int(0.02 / (time.perf_counter() - began + 1e-9))))
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(repeats):
            function()
        times.append((time.perf_counter() - began) / repeats)
    return statistics.median(times)


class Step:
    """One training step at each call: draw, gradient, clip, update."""

    def __init__(self, task: RegressionTask, layers: int, backend: str) -> None:
        model = LinearTransformer(task.d, layers, backend=backend)
        self.gradient = BatchGradient(model, task, BATCH, seed=0)
        self.params, self.optimizer = model.init_params(np.random.default_rng(0), 0.05), Adam(0.02, 0.9, 0.9)
        self.state = self.optimizer.init(self.params)

    def __call__(self) -> None:
        _, grad = self.gradient(self.params)
        self.params, self.state = self.optimizer.update(self.params, clip(grad, 1.0), self.state)


def drawing(task: RegressionTask, backend: str) -> Callable[[], object]:
    """Draws a batch at each call, in the form in which the linear model uses it; one thread."""
    sizes, passes = chunk_sizes(BATCH), LinearTransformer(task.d, backend=backend).passes()
    chunks = chunk_states(0, len(sizes))
    return lambda: list(passes.draw(task, sizes, chunks))


def pieces(threads: Sequence[int], rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of each piece: NumPy over tokens, and the kernels on each number of threads."""
    from .audit import audit_model

    gaussian, gamma = RegressionTask(), RegressionTask(covariates="gamma")
    params = init_params(np.random.default_rng(0))
    Z, y = gaussian.sample(BATCH, np.random.default_rng(1))
    work: dict[str, Callable[[str], Callable[[], object]]] = {
        "step, Setting 1": lambda backend: Step(gaussian, 3, backend),
        "step, Setting 3": lambda backend: Step(gamma, 3, backend),
        "step, bigger model": lambda backend: Step(RegressionTask(n=60, d=20), 8, backend),
        "gradient from tokens": lambda backend: lambda: loss_and_grad(params, Z, y, backend=backend),
        "Hessian-vector product": lambda backend: lambda: hvp(params, Z, y, params, backend=backend),
        "Hessian": lambda backend: lambda: hessian(params, Z, y, backend=backend),
        "drawing, Setting 1": lambda backend: drawing(gaussian, backend),
        "drawing, Setting 3": lambda backend: drawing(gamma, backend),
        "audit of the model": lambda backend: lambda: audit_model(backend=backend),
    }  # fmt: skip
    rows = {}
    for name, make in work.items():
        slow = 1 if name in ("Hessian", "audit of the model", "step, bigger model") else rounds
        rows[name] = {"numpy": median_seconds(make("numpy"), slow)}
        for count in threads:
            set_threads(count)
            rows[name][f"numba, {count} threads"] = median_seconds(make("numba"), rounds if name != "audit of the model" else 1)
        set_threads(None)
    return rows


FIRST = """
import json, time
clocks = time.perf_counter, time.process_time
began = [clock() for clock in clocks]
found = {}

def note(what):
    now = [clock() for clock in clocks]
    found[what], began[:] = [end - start for start, end in zip(began, now)], now

import numpy as np, linattn_np as la
step = lambda d: la.train(la.RegressionTask(d=d), la.optimizers.Adam(0.02), 1, progress=False)
history = step(5)
note("import and first step")
Z, y = la.RegressionTask().sample(1000, np.random.default_rng(0))
la.losses_along(history, Z, y), la.hvp(history.params, Z, y, history.params)
note("loss and curvature")
la.noise.gradient_noise(history.params, la.RegressionTask(), 2, 2, np.random.default_rng(0))
note("gradient noise")
step(7)
note("first step at another d")
print(json.dumps(found))
"""


def waits(code: str = FIRST) -> dict[str, dict[str, tuple[float, float]]]:
    """A user's waits in a fresh process, with nothing compiled, and where an earlier process compiled everything.

    -> {when: {for what: (seconds, seconds of the processor)}}; on a busy machine the second is what a quiet one would take.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder, "LINATTN_PROGRESS": "0"}
        rows = {}
        for when in ("nothing compiled", "compiled before"):
            done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
            rows[when] = json.loads(done.stdout)
    return rows


def peak(threads: Sequence[int], rounds: int) -> dict[str, float]:
    """What the machine can do at most: double-precision multiply-adds of large matrices, and normal random numbers."""
    rng, out = np.random.default_rng(0), np.empty(1_000_000)
    A, B = rng.standard_normal((2, 1000, 1000))
    return {
        "gflop_per_second": 2e-9 * 1000**3 / median_seconds(lambda: A @ B, rounds),
        "normals_per_second_one_thread": out.size / median_seconds(lambda: rng.standard_normal(out=out), rounds),
    }


def share_of_peak(record: dict[str, Any]) -> dict[str, float]:
    """The gradient's arithmetic and the sampling's random numbers as shares of what the machine can do."""
    params, task = init_params(np.random.default_rng(0)), RegressionTask()
    lanes = kernels.lanes_from_tokens(*task.sample(BATCH, np.random.default_rng(1)))
    seconds = median_seconds(lambda: kernels.loss_and_grad(params, lanes), record["rounds"])
    from .kernels.draws import law_of  # here, because it needs Numba

    numbers = law_of(task, triangle=True)
    rate = BATCH * (numbers.normals + len(numbers.shapes)) / record["pieces"]["drawing, Setting 1"]["numba, 1 threads"]
    gflop = programs.passes(3, 1, 5, False, task.n).gradient.flops * BATCH / seconds / 1e9
    return {
        "gradient_gflop_per_second": gflop,
        "gradient": gflop / record["peak"]["gflop_per_second"],
        "random_numbers": rate / record["peak"]["normals_per_second_one_thread"],
    }


def growth(name: str, rounds: int, quick: bool) -> dict[str, Any]:
    """Seconds of the gradient over a range of one size: over tokens, on the state with NumPy, and by the kernels."""
    values = GROWTH[name][1] if quick else GROWTH[name][0]
    seconds: dict[str, list[float]] = {"tokens, NumPy": [], "state, NumPy": [], "state, Numba": []}
    for value in values:
        size = {"n": 20, "L": 3, "d": 5, "batch": 250, name: value}
        rng = np.random.default_rng(0)
        Z, y = RegressionTask(n=size["n"], d=size["d"]).sample(size["batch"], rng)
        params, state = init_params(rng, size["L"], size["d"]), gram.compress(Z)
        lanes = kernels.lanes_from_tokens(Z, y)
        few = max(1, rounds // 5)
        for key, call, times in (
            ("tokens, NumPy", partial(loss_and_grad, params, Z, y, backend="numpy"), few),
            ("state, NumPy", partial(loss_and_grad_by, gram, params, state, y, size["d"] + 1), few),
            ("state, Numba", partial(kernels.loss_and_grad, params, lanes), rounds),
        ):
            seconds[key].append(median_seconds(call, times))
    return {
        "values": list(values),
        "seconds": seconds,
        "exponents": {key: exponent(values, times) for key, times in seconds.items()},
    }


def exponent(values: Sequence[int], seconds: Sequence[float]) -> float:
    """The slope of log seconds against log size: seconds grow as size to this power."""
    return float(np.polyfit(np.log(values), np.log(seconds), 1)[0])


def summary(record: dict[str, Any]) -> str:
    """The numbers as text."""
    columns = ["numpy", *(f"numba, {count} threads" for count in record["threads"])]
    lines = [
        f"{'milliseconds, batch ' + str(BATCH):26s} {'NumPy':>9s}"
        + "".join(f" {'Numba, ' + str(c):>10s}" for c in record["threads"])
        + f" {'ratio':>8s}"
    ]
    for name, row in record["pieces"].items():
        times = "".join(f" {row[column] * 1e3:10.3f}" for column in columns)
        lines.append(f"{name:25s}{times} {row['numpy'] / row[columns[-1]]:8.1f}")
    top, share = record["peak"], record["share_of_peak"]
    lines += [
        f"peak: {top['gflop_per_second']:.0f} Gflop/s in matrix products, {top['normals_per_second_one_thread'] / 1e6:.0f} "
        "million normals a second from NumPy's generator",
        f"gradient on the state: {share['gradient_gflop_per_second']:.1f} Gflop/s, {share['gradient']:.0%} of that peak; "
        f"random numbers in lanes, made into states: {share['random_numbers']:.1f} times that many a second",
        "the gradient's cost grows as",
    ]
    for name, row in record["growth"].items():
        powers = ", ".join(f"{name}^{value:.2f} ({key})" for key, value in row["exponents"].items())
        ratio = row["seconds"]["tokens, NumPy"][-1] / row["seconds"]["state, Numba"][-1]
        lines.append(f"  {powers}; at {name} = {row['values'][-1]} the kernels are {ratio:.0f} times faster than tokens")
    for when, row in record.get("waits", {}).items():
        each = ", ".join(f"{what} {wall:.2f} ({processor:.2f})" for what, (wall, processor) in row.items())
        lines.append(f"seconds (of the processor) in a fresh process, {when}: {each}")
    return "\n".join(lines)


def draw(growths: dict[str, Any]) -> Any:
    """Cost against each size, on logarithmic axes."""
    from .plotting import new_figure

    figure, axes = new_figure(columns=len(growths), width=3.4, height=3.2)
    words = {"n": "examples n", "L": "layers L", "d": "covariates d", "batch": "batch B"}
    for ax, (name, row) in zip(axes[0], growths.items(), strict=True):
        for (key, seconds), style in zip(row["seconds"].items(), ("k:o", "k--s", "k-^"), strict=True):
            ax.loglog(row["values"], np.array(seconds) * 1e3, style, label=key, markersize=4)
        ax.set_xlabel(words[name])
        ax.set_xticks(row["values"], [str(value) for value in row["values"]])
        ax.minorticks_off()
    axes[0][0].set_ylabel("gradient, milliseconds")
    axes[0][0].legend(frameon=False)
    return figure
