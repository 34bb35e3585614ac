"""How large the study is at each scale, and its seeds: 500 and up are judged, 600 and 601 choose rates; none found the rules."""

from typing import NamedTuple

from ...scale import Scale, counted
from .fresh import Fresh

FIRST_SEED, SEARCH = 500, (600, 601)


class Size(NamedTuple):
    """Seeds, steps and prompts of each part."""

    seeds: int = 8
    prompts: int = 512  # of the fixed batch
    steps: int = 600
    most: int | None = None  # rates tried of each grid
    search: tuple[int, ...] = SEARCH  # none: each search's first rate is used
    fresh: Fresh = Fresh()

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds, as many as asked for."""
        return tuple(range(FIRST_SEED, FIRST_SEED + self.seeds))


def size_of(scale: Scale) -> Size:
    """The size at a scale."""
    if scale.name == "paper":
        return Size()
    if scale.name == "quick":
        return Size(2, 128, 300, 6, (), Fresh((200, 100), (200, 100), (200, 64), 3, 200))
    steps = max(10, scale.steps // 10)
    return Size(min(scale.seeds, 2), 16, steps, 3, (), Fresh((steps, 8), (steps, 8), (steps, 8), 1, 16))


def in_words(size: Size) -> str:
    """What is run."""
    searched = "rates not searched"
    if size.search:
        searched = f"own rates searched by factors of 1.4 on {counted(len(size.search), 'other seed')}"
    fresh = size.fresh
    return (
        f"three layers, {counted(size.seeds, 'seed')} from {FIRST_SEED}; {size.steps:,} steps on {size.prompts:,} fixed prompts, "
        f"rates by factors of 2^(1/6); fresh batches: {fresh.survival[0]:,} steps of {fresh.survival[1]:,} for survivors, "
        f"{fresh.adam[0]:,} of {fresh.adam[1]:,} for Adam, {fresh.thresholds[0]:,} of {fresh.thresholds[1]:,} for thresholds, "
        f"{searched}, median over {'1 test batch' if fresh.batches == 1 else f'{fresh.batches} test batches'}"
    )
