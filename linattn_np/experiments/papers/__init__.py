"""The papers that are rebuilt here, a module or a folder each; no paper imports another. A new one is entered in ``GROUPS``."""

from importlib import import_module as _import_module
from types import ModuleType

GROUPS: dict[str, tuple[str, ...]] = {  # what ``reproduce GROUP`` draws; the first is drawn where nothing is asked for
    "paper": ("maybe_all_you_need",),
    "systems": (
        "one_step_of_descent",
        "preconditioned_descent",
        "noise_adaptive",
        "newtons_method",
        "electric_flow",
        "momentum",
        "looped_transformer",
        "what_attention_can_remember",
        "transformers_into_rnns",
        "scalable_transformers",
    ),
}
PAPERS = tuple(name for names in GROUPS.values() for name in names)


def __getattr__(name: str) -> ModuleType:
    if name in PAPERS:
        return _import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *PAPERS])
