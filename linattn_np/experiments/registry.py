"""Finds what there is to reproduce: the experiments, claims and settings of every paper in ``papers.PAPERS``.

A paper is a module with the face of an experiment, or a folder: ``EXPERIMENTS`` then names its modules with that face, and its own
``CLAIMS`` are those that none of them measures. Nothing else in the harness knows a paper by name.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

from ..training.runs import RunFolder
from .curves import Numbers
from .papers import PAPERS
from .rules import Claim
from .scale import Scale
from .settings import Setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = f"{__package__}.papers"


class Experiment(Protocol):
    """The face of an experiment: a module with these names."""

    TITLE: str  # what the picture shows
    SECONDS: dict[str, float]  # how long it takes on two quiet cores, at the "paper" scale and "quick"
    ALT: str  # the picture in words
    CLAIMS: tuple[Claim, ...]  # what the paper says, each with the rule that judges it, beside the function that reads its number

    def sizes(self, scale: Scale) -> str:
        """What is run at this scale, in words."""

    def measure(self, folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
        """Train what is missing and measure: plain numbers, ready for JSON."""

    def draw(self, numbers: Numbers, scale: Scale) -> "Figure":
        """The picture, from the numbers alone."""

    def summary(self, numbers: Numbers) -> str:
        """What came out, in words."""


def papers() -> dict[str, ModuleType]:
    """{name: module} of every paper."""
    return {name: import_module(f"{FOLDER}.{name}") for name in PAPERS}


def places() -> dict[str, str]:
    """{name of an experiment: full name of its module}, in the order in which they are drawn."""
    found: dict[str, str] = {}
    for paper, module in papers().items():
        names = getattr(module, "EXPERIMENTS", None)
        found |= {paper: f"{FOLDER}.{paper}"} if names is None else {name: f"{FOLDER}.{paper}.{name}" for name in names}
    return found


def experiment(name: str) -> Experiment:
    """The experiment of this name."""
    return cast(Experiment, import_module(places()[name]))


def claims() -> tuple[Claim, ...]:
    """Every claim: those of the experiments in their order, then those that are only cited."""
    measured = [claim for name in places() for claim in experiment(name).CLAIMS]
    return (*measured, *(claim for module in papers().values() for claim in cited(module)))


def cited(module: ModuleType) -> tuple[Claim, ...]:
    """The claims of a paper's folder that none of its experiments measures."""
    return module.CLAIMS if hasattr(module, "EXPERIMENTS") else ()


def revisions() -> tuple[Any, ...]:
    """The claims that an earlier protocol judged otherwise: ``REVISIONS`` of each paper."""
    return tuple(entry for module in papers().values() for entry in getattr(module, "REVISIONS", ()))


def released_readers() -> dict[str, Any]:
    """{figure: (name of a claim, its JSON) -> numbers or None}: what was measured on a paper's own random numbers, ``RELEASED``."""
    found: dict[str, Any] = {}
    for module in papers().values():
        found |= getattr(module, "RELEASED", {})
    return found


def sources() -> tuple[str, ...]:
    """Where each paper is to be found."""
    return tuple(module.SOURCE for module in papers().values())


def settings() -> dict[str, Setting]:
    """The named settings of all papers."""
    found: dict[str, Any] = {}
    for module in papers().values():
        found |= getattr(module, "SETTINGS", {})
    return found
