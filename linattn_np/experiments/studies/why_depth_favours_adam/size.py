"""How large the study is at each scale, and its seeds: 400 and up, none of which was used to find the rules."""

from typing import NamedTuple

from ...scale import Scale, counted
from .methods import METHODS

PAIRS = ("SGD", "Adam", "SGD, tight clip", "Adam, tight clip", "SGD, layer rates", "Adam, layer rates", "SGD, both", "Adam, both")
SHALLOW, CONSTANT = PAIRS[:4], (*PAIRS[:4], *PAIRS[6:])
DEEPEST = 8  # shown, not graded: its rates are searched on one seed, its base is not


class Size(NamedTuple):
    """Depths, steps, prompts and seeds."""

    depths: tuple[int, ...] = (2, 3, 4, 6, 8)
    constant: tuple[int, ...] = (3, 4, 6)  # depths at a constant rate
    budgets: tuple[int, ...] = (3, 4, 6)  # depths of the budgets
    steps: int = 2000
    batch: int = 128
    tests: tuple[int, int] = (25, 1000)
    seeds: tuple[int, ...] = tuple(range(400, 408))
    search: tuple[int, ...] = (500, 501)  # seeds of the search; none: the first rates are used

    def methods(self, layers: int) -> tuple[str, ...]:
        """What runs at a depth with a falling rate."""
        if layers == 2:
            return SHALLOW
        return tuple(METHODS) if layers != DEEPEST else tuple(METHODS)[:-1]

    def searched(self, layers: int) -> tuple[int, ...]:
        """The seeds of the search at a depth."""
        return self.search[:1] if layers == DEEPEST else self.search

    def shares(self, method: str) -> tuple[float, ...]:
        """The budgets of a method, of the steps."""
        return (0.125, 0.25, 0.5, 2.0) if method == "SGD" else (0.0625, 0.125, 0.25, 0.5)

    @property
    def early(self) -> int:
        """How many steps the first of two optimizers goes."""
        return round(0.15 * self.steps)


def size_of(scale: Scale) -> Size:
    """The size at a scale; no rate is searched but at the paper's."""
    if scale.name == "paper":
        return Size()
    if scale.name == "quick":
        return Size((2, 3, 4, 6), (3, 6), (3, 6), 400, 64, (5, 200), (400, 401), ())
    return Size((2, 3), (3,), (3,), min(scale.steps, 40), 8, (1, 16), tuple(range(400, 400 + min(scale.seeds, 2))), ())


def in_words(size: Size) -> str:
    """What is run."""
    searched = "rates not searched"
    if size.search:
        searched = f"rates searched by factors of 1.4 on {counted(len(size.search), 'other seed')}"
    return (
        f"{', '.join(map(str, size.depths))} layers, {counted(size.steps, 'iteration')}, batch {size.batch}, "
        f"{counted(len(size.seeds), 'seed')} from {size.seeds[0]}, {searched}, "
        f"median over {counted(size.tests[0], 'test batch').replace('batchs', 'batches')}"
    )
