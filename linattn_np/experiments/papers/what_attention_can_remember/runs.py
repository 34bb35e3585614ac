"""What is trained for the figure: which widths at which lengths, each with all its seeds, and what is read from the tables."""

from collections.abc import Callable, Iterator, Sequence
from math import isqrt
from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....training.runs import RunFolder
from ...curves import Numbers
from ...measured import kept_each
from ...scale import Scale
from .closed_loop import final_accuracy, programs, recall_accuracy
from .constructions import circle
from .readout import forward
from .recall import ITERATIONS, fit, floor, local_weights

TEST_SEED = 99  # of the random programs
LOCAL = 4  # how far back a local program looks
SPARSE_LENGTHS = (16, 64, 256, 1024)  # of the local programs that sparse attention answers


class Sizes(NamedTuple):
    """What a scale runs."""

    lengths: tuple[int, ...]  # all squares, so that sqrt(L) is a width
    seeds: int
    iterations: int
    problems: int
    local_length: int
    reaches: tuple[int, ...]  # of the local errors; the last is the local length: everything is asked for


class Job(NamedTuple):
    """Tables of one kind, length and width; ``reach`` None: all bits are asked for when all are there, else a causal error."""

    kind: str
    L: int
    D: int
    reach: int | None = None


def sized(scale: Scale) -> Sizes:
    """The sizes of a scale."""
    iterations, seeds = min(ITERATIONS, scale.steps), scale.seeds
    if scale.name == "paper":
        return Sizes((16, 36, 64, 100, 144), seeds, iterations, 2000, 100, (LOCAL, 16, 100))
    if scale.name == "quick":
        return Sizes((16, 36, 64), seeds, iterations, 500, 36, (LOCAL, 36))
    return Sizes((16, 25), seeds, iterations, 100, 16, (LOCAL, 16))


def widths(kind: str, L: int) -> list[int]:
    """The widths at which a kind is trained on L bits."""
    root = isqrt(L)
    return {
        "linear": list(range(1, root + 2)),
        "elu": sorted({root // 2, root - 1, root, root + 1}),
        "plain": [L // 2, *range(L - 3, L + 1)],
        "softmax": [1, 2, 3, 4],
    }[kind]


def local_widths(reach: int, L: int) -> list[int]:
    """The widths at which a causal error is trained: around the root of the reach."""
    root = isqrt(min(reach, L))
    return list(range(1, root + 5)) if reach < L else sorted({max(1, root // 2), *range(max(1, root - 2), root + 2)})


def jobs(sizes: Sizes) -> Iterator[Job]:
    """Everything that is trained, the longest first."""
    for L in sorted(sizes.lengths, reverse=True):
        for kind in ("linear", "elu", "plain", "softmax"):
            yield from (Job(kind, L, D) for D in reversed(widths(kind, L)))
    for reach in sizes.reaches:
        L = sizes.local_length
        yield from (Job("linear", L, D, reach) for D in local_widths(reach, L))


def run(job: Job, seeds: int, iterations: int, problems: int) -> dict[str, Array]:
    """errors, recall and final, each (seeds,): the error, single bits recalled, and programs answered right in closed loop."""
    kind, L, D, reach = job
    weights = None if reach is None else local_weights(L, reach)
    tables, errors = fit(L, D, kind, range(seeds), weights, iterations)
    asked = programs(problems, L, np.random.default_rng([TEST_SEED, L]), reach)
    read: Callable[[Any], Array] = lambda measure: np.array([measure(M, asked) for M in forward(tables, kind)[0]])
    return {"errors": errors, "recall": read(recall_accuracy), "final": read(final_accuracy)}


def trained(folder: RunFolder, sizes: Sizes, progress: bool | None = None) -> dict[Job, dict[str, Array]]:
    """{job: what came out}, those kept from before or trained now."""
    every = list(jobs(sizes))
    shared = (sizes.seeds, sizes.iterations, sizes.problems)
    descriptions = [{"job": list(job), "shared": list(shared), "test_seed": TEST_SEED} for job in every]
    found = kept_each(folder, "recall", descriptions, run, [(job, *shared) for job in every], "tables", progress)
    return dict(zip(every, found, strict=True))


def series(found: dict[Job, dict[str, Array]], kind: str, L: int, reach: int | None = None) -> Numbers:
    """What came out at all widths of a kind: {"widths", "floor", "errors", "recall", "final"}, a list of seeds for each width."""
    rows = sorted((job.D, arrays) for job, arrays in found.items() if (job.kind, job.L, job.reach) == (kind, L, reach))
    least = [floor(L, D, kind) if reach is None else causal_floor(L, D, reach) for D, _ in rows]
    return {
        "widths": [D for D, _ in rows], "floor": least,
        **{name: [arrays[name].tolist() for _, arrays in rows] for name in ("errors", "recall", "final")},
    }  # fmt: skip


def causal_floor(L: int, D: int, reach: int) -> float | None:
    """The floor of the causal error where everything is asked for: the mean over time of max(0, 1 - D^2 / t); else none is
    known.
    """
    return float(np.maximum(0, 1 - D * D / np.arange(1, L + 1)).mean()) if reach >= L else None


def sparse(sizes: Sizes) -> Numbers:
    """Local programs answered by softmax attention over a window, keys on a circle, width 2: {"lengths", "final"} (lengths x
    seeds).
    """
    lengths = SPARSE_LENGTHS if sizes.problems > 100 else SPARSE_LENGTHS[:2]
    M = {L: forward(circle(L, LOCAL), "softmax")[0] for L in lengths}

    def share(L: int, seed: int) -> float:
        asked = programs(sizes.problems // 4, L, np.random.default_rng([TEST_SEED, L, seed]), LOCAL)
        return final_accuracy(M[L], asked, LOCAL)

    return {"lengths": list(lengths), "width": 2, "final": [[share(L, seed) for seed in range(sizes.seeds)] for L in lengths]}


def pairs(seeds: int) -> list[Sequence[int]]:
    """Seeds two by two: that one of two tables reaches an error shows that the width is enough."""
    return [range(first, min(first + 2, seeds)) for first in range(0, seeds, 2)]
