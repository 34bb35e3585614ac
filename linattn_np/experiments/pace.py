"""How far a command is that draws several figures: k of n, the time gone, and about how much is left."""

import time
from collections.abc import Callable, Mapping


class Pace:
    """Measures how fast this machine is by the figures that are done, and says how long the rest will take.

    expected: {name: seconds that a figure takes on two quiet cores}, in the order in which they are drawn.
    """

    def __init__(self, expected: Mapping[str, float], clock: Callable[[], float] = time.perf_counter) -> None:
        self.expected, self.clock, self.began = dict(expected), clock, clock()
        self.done = 0
        self.done_at = self.began  # when the last figure was finished

    def finish(self) -> None:
        """One more figure is done."""
        self.done, self.done_at = self.done + 1, self.clock()

    def gone(self) -> float:
        """Seconds since the command began."""
        return self.clock() - self.began

    def left(self) -> float:
        """Seconds that the rest will take, by the pace so far."""
        times = list(self.expected.values())
        under_way = self.clock() - self.done_at
        pace = (self.done_at - self.began) / sum(times[: self.done]) if self.done else 1.0
        if self.done < len(times) and under_way > pace * times[self.done]:  # it takes longer than it should: so may the rest
            pace = self.gone() / sum(times[: self.done + 1])
        now = max(0.0, pace * times[self.done] - under_way) if self.done < len(times) else 0.0
        return now + pace * sum(times[self.done + 1 :])

    def where(self) -> str:
        """[k of n]"""
        return f"[{min(self.done + 1, len(self.expected))} of {len(self.expected)}]"

    def words(self) -> str:
        """[k of n], the time gone, and about how much is left."""
        return f"{self.where()} {spoken(self.gone())} gone, about {spoken(self.left())} left"


def spoken(seconds: float) -> str:
    """A time in words: 40 s, 1 min 20 s, 8 minutes, 1 hour 30 minutes."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 600 and whole % 60:
        return f"{whole // 60} min {whole % 60} s"
    hours, minutes = divmod(round(whole / 60), 60)
    words = [f"{hours} hour{'s' * (hours > 1)}"] if hours else []
    return " ".join([*words, *([f"{minutes} minute{'s' * (minutes > 1)}"] if minutes else [])])
