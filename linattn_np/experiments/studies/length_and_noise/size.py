"""How large the study is at each scale, and its seeds: none of them was used to find the rules."""

from typing import NamedTuple

from ...scale import Scale, counted

FIRST_SEED, SEARCH_SEEDS = 500, (400, 401)
BETAS = (0.9, 0.9)  # Adam's, as in the paper


class Size(NamedTuple):
    """Seeds, steps, batches and prompts of each measurement."""

    seeds: int = 8
    search: int = 2  # seeds of the search of rates; 0: the middle rate is used
    batches: int = 25  # fresh test batches, of ``prompts`` each
    prompts: int = 1000
    one: tuple[int, int] = (600, 1000)  # steps and batch of one layer
    three: tuple[int, int] = (1500, 256)  # of three layers, on lengths
    noisy: tuple[int, int] = (800, 1000)  # of three layers, on noisy labels
    draws: int = 160  # sets of N prompts
    many: tuple[int, int] = (4000, 4)  # steps on N prompts and the seeds of three layers

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds, as many as asked for."""
        return tuple(range(FIRST_SEED, FIRST_SEED + self.seeds))


def size_of(scale: Scale) -> Size:
    """The size at a scale."""
    if scale.name == "paper":
        return Size()
    if scale.name == "quick":
        return Size(2, 0, 3, 300, (200, 128), (400, 128), (300, 200), 40, (300, 1))
    return Size(min(scale.seeds, 2), 0, 2, 40, (30, 16), (30, 16), (20, 16), 5, (20, 1))


def few_of(scale: Scale) -> tuple[int, int, int]:
    """For layers of two numbers: the starts, the steps, and the prompts of a spectrum."""
    return {"paper": (96, 1500, 100_000), "quick": (12, 200, 5000)}.get(scale.name, (4, 20, 500))


def in_words(size: Size) -> str:
    """What is run."""
    return (
        f"{counted(size.seeds, 'seed')} from {FIRST_SEED}; one layer {size.one[0]:,} and three layers {size.three[0]:,} steps of "
        f"Adam, {size.noisy[0]:,} on noisy labels; tests on {size.batches} batches of {size.prompts:,} prompts; "
        f"{size.draws} sets of N prompts a seed"
    )
