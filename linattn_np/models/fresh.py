"""Fresh prompts of a task from the random state of a chunk, for whichever model."""

from collections.abc import Iterator, Sequence

import numpy as np

from .._types import Array
from ..kernels import draws_numpy, random_numpy
from ..prompts import NonlinearTask, Prompts, RegressionTask
from .backends import can_compile, kernels

LAW = ("sample", "draw_covariates", "covariance_root", "features", "weights")  # the methods that say what a task's law is


def is_drawn_in_lanes(task: RegressionTask) -> bool:
    """Whether the law is one that ``draws_numpy`` knows: no method that says what it is has been replaced."""
    known = NonlinearTask if isinstance(task, NonlinearTask) else RegressionTask
    return all(getattr(type(task), name, None) is getattr(known, name, None) for name in LAW)


def fresh_prompts(task: RegressionTask, sizes: Sequence[int], chunks: Array, backend: str = "numba") -> Iterator[Prompts]:
    """sizes[c] prompts drawn from the state chunks[c] (4, lanes), which is moved on in place: the same bits by either backend.

    A task with a law of its own is asked for a ``sample``, with a generator seeded from the state.
    """
    if not is_drawn_in_lanes(task):
        for size, state in zip(sizes, chunks, strict=True):
            yield task.sample(size, np.random.default_rng(random_numpy.next_bits(state)[:4]))
    elif can_compile(backend):
        for size, state in zip(sizes, chunks, strict=True):
            yield kernels("draws").prompts(task, size, state)
    else:
        yield from draws_numpy.prompts_of_chunks(task, sizes, chunks)
