"""The papers that are rebuilt here, one module or folder each; no paper imports another."""

from importlib import import_module as _import_module

PAPERS = ("maybe_all_you_need",)


def __getattr__(name):
    if name in PAPERS:
        return _import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *PAPERS])
