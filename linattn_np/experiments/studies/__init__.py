"""Studies of our own: why training goes as it does, a folder each on the harness of the papers; no study imports another or a
paper.
"""

from importlib import import_module as _import_module
from types import ModuleType

STUDIES: tuple[str, ...] = (  # one name a line, in the order of their lessons
    "edge_of_stability",
    "saddle_to_saddle",
    "clipping_not_warm_up",
    "why_adam_wins",
    "why_depth_favours_adam",
    "length_and_noise",
)


def __getattr__(name: str) -> ModuleType:
    if name in STUDIES:
        return _import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *STUDIES])
