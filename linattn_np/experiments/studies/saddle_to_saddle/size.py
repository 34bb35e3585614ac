"""How large the study is at each scale, and its seeds: 100 and up, none of which was used to find the rules."""

from typing import NamedTuple

from ...scale import Scale, counted

FIRST_SEED = 100
CASES = (  # (full matrices, layers, heads, d): where the counts of conserved quantities are compared
    (True, 1, 1, 2), (True, 2, 1, 2), (True, 3, 1, 1), (True, 1, 2, 2), (True, 2, 2, 1), (True, 1, 3, 1), (True, 1, 2, 1),
    (True, 1, 3, 2),
    (False, 2, 1, 2), (False, 3, 1, 2), (False, 2, 2, 2), (False, 1, 2, 2), (False, 1, 3, 2), (False, 2, 3, 1), (False, 3, 3, 1),
)  # fmt: skip


class Size(NamedTuple):
    """Seeds, steps and prompts of each measurement."""

    seeds: int = 8
    separate: int = 12_000  # steps of five separate heads
    merged: int = 300
    drops: int = 8_000
    counts: tuple[int, int] = (20_000, 100_000)  # of 1 to 5 heads: where they are judged, and how far they go on
    prompts: int = 4096  # in the place of the moments
    library: tuple[int, int] = (300, 1000)  # steps and prompts
    etas: tuple[float, ...] = (0.002, 0.001, 0.0005)
    time: float = 1.0  # eta times steps of the drift
    drift_prompts: int = 128
    without_p: tuple[int, int, int] = (1500, 256, 4000)  # steps, prompts, most steps to cross
    cases: int = len(CASES)

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds, as many as asked for."""
        return tuple(range(FIRST_SEED, FIRST_SEED + self.seeds))


def size_of(scale: Scale) -> Size:
    """The size at a scale."""
    if scale.name == "paper":
        return Size()
    if scale.name == "quick":
        return Size(
            seeds=2,
            library=(60, 256),
            etas=(0.004, 0.002, 0.001),
            drift_prompts=64,
            without_p=(800, 256, 2000),
            cases=12,
            counts=(20_000, 20_000),
        )
    return Size(
        min(scale.seeds, 2),
        4 * scale.steps,
        200,
        scale.steps,
        (2 * scale.steps, 3 * scale.steps),
        64,
        (20, 29),
        (0.004, 0.002),
        0.04,
        16,
        (40, 16, 60),
        4,
    )


def in_words(size: Size) -> str:
    """What is run."""
    return (
        f"one layer, {counted(size.seeds, 'seed')} from {FIRST_SEED}, {counted(size.separate, 'step')} of separate and "
        f"{size.merged:,} of merged heads, {size.counts[0]:,} of 1 to 5 heads; {counted(size.prompts, 'prompt')} in the place of "
        f"the moments; {size.cases} null spaces"
    )
