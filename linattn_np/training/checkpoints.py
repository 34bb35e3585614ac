"""Where a run stands between two steps, kept while it is under way: killed at any moment it goes on to the same bits."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._types import Array
from .archives import put_aside, read_with_origin, write_arrays
from .provenance import provenance

SUFFIX = ".checkpoint"
EVERY = 9.0  # seconds from the start to the first checkpoint, and from one to the next


@dataclass
class Standing:
    """Everything that decides what the next steps are, and the record so far."""

    t: int  # steps that are done
    params: Array
    optimizer_state: Any
    losses: Array  # (steps,) the first t of them
    norms: Array  # (steps,)
    snapshots: dict[int, Array]
    updates: dict[int, Array]
    seconds: float  # that the steps took
    states: Array  # (chunks, 4, LANES) where the chunks of the batch are in their random streams; changed in place
    compile_seconds: float = 0.0  # that the compiler took beside them


class Checkpoint:
    """The file that keeps the standing of one run.

    ``after`` seconds from the start, then ``every`` so many, it is written anew.
    """

    def __init__(self, path: Path, description: str, after: float = EVERY, every: float = EVERY) -> None:
        self.path, self.description, self.every = path, f"on the way: {description}", every
        self.next = time.monotonic() + after

    def is_due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() >= self.next

    def save(self, standing: Standing) -> None:
        """Keep a standing; the one before stays until this one is whole on the disk."""
        times, done = sorted(standing.snapshots), standing.t
        arrays = {
            "t": done, "params": standing.params, "losses": standing.losses[:done], "norms": standing.norms[:done],
            "times": times,
            "snapshots": np.stack([standing.snapshots[t] for t in times]),
            "updates": np.array([standing.updates[t] for t in sorted(standing.updates)]),
            "random": standing.states, "seconds": standing.seconds, "compile_seconds": standing.compile_seconds,
            **{f"state{k}": leaf for k, leaf in enumerate(leaves(standing.optimizer_state))},
        }  # fmt: skip
        write_arrays(self.path, self.description, arrays)
        self.next = time.monotonic() + self.every

    def load(self, start: Standing) -> Standing:
        """The standing that was kept, or ``start`` where there is none; the random states of ``start`` are brought to where they
        were.

        One that another machine or other versions wrote is not gone on from: a run's bits come from one place.
        """
        found = read_with_origin(self.path, self.description, "checkpoint")
        if found is None or found[1] != provenance():
            return start
        arrays, t = found[0], int(found[0]["t"])
        try:
            times = arrays["times"].tolist()
            losses, norms = start.losses.copy(), start.norms.copy()
            losses[:t], norms[:t] = arrays["losses"], arrays["norms"]
            kept = [arrays[f"state{k}"] for k in range(len(leaves(start.optimizer_state)))]
            standing = Standing(
                t, arrays["params"], regrown(start.optimizer_state, kept), losses, norms,
                dict(zip(times, arrays["snapshots"], strict=True)), dict(zip(times, arrays["updates"], strict=False)),
                float(arrays["seconds"]), start.states, float(arrays["compile_seconds"]),
            )  # fmt: skip
            if not (0 < t <= len(losses) and standing.params.shape == start.params.shape and np.isfinite(standing.params).all()):
                raise ValueError("its params cannot be those of this run")
            if arrays["random"].shape != start.states.shape or arrays["random"].dtype != start.states.dtype:
                raise ValueError("its random states cannot be those of this run")
            start.states[:] = arrays["random"]
            return standing
        except Exception as error:  # as in read_arrays: a file may be wrong in ways that nobody thought of
            put_aside(self.path, "checkpoint", error)
            return start

    def remove(self) -> None:
        """The run is finished."""
        self.path.unlink(missing_ok=True)


def leaves(state: Any) -> list[Any]:
    """The arrays and numbers in an optimizer's state, in order."""
    return [leaf for part in state for leaf in leaves(part)] if isinstance(state, tuple | list) else [state]


def regrown(like: Any, kept: list[Array]) -> Any:
    """A state of the same form as ``like`` with the leaves ``kept``, which are used up."""
    if isinstance(like, tuple | list):
        parts = [regrown(part, kept) for part in like]
        return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)
    leaf = kept.pop(0)
    return leaf if isinstance(like, np.ndarray) else type(like)(leaf.item())
