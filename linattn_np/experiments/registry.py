"""Finds what there is to reproduce: the experiments, claims and settings of every paper in ``papers.GROUPS``, and our own
studies.

A paper is a module or a package with the face of an experiment, or a folder of several: ``EXPERIMENTS`` then names its modules
with that face, and its own ``CLAIMS`` are those that none of them measures. A study (``studies.STUDIES``) is an experiment by its
name. Nothing else in the harness knows a paper or a study by name; both are works here.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

from .._checks import one_of
from ..training.runs import RunFolder
from .curves import Numbers
from .papers import GROUPS
from .rules import Claim
from .scale import Scale
from .settings import Setting
from .studies import STUDIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER, STUDY_FOLDER = f"{__package__}.papers", f"{__package__}.studies"
OWN = "studies of our own"  # stands where a paper has its arXiv number


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
    return {name: import_module(f"{FOLDER}.{name}") for names in GROUPS.values() for name in names}


def works() -> dict[str, ModuleType]:
    """{name: module} of every paper and every study."""
    return {**papers(), **{name: import_module(f"{STUDY_FOLDER}.{name}") for name in STUDIES}}


def places() -> dict[str, str]:
    """{name of an experiment: full name of its module}, in the order in which they are drawn."""
    return {name: place for work, module in works().items() for name, place in places_of(work, module).items()}


def places_of(work: str, module: ModuleType) -> dict[str, str]:
    """{name of an experiment of one work: full name of its module}"""
    names, folder = getattr(module, "EXPERIMENTS", None), STUDY_FOLDER if work in STUDIES else FOLDER
    return {work: f"{folder}.{work}"} if names is None else {name: f"{folder}.{work}.{name}" for name in names}


def groups() -> dict[str, tuple[str, ...]]:
    """{group: the names of its experiments}; the first group is the one that ``reproduce`` draws where nothing is asked for."""
    of_papers = {paper: tuple(places_of(paper, module)) for paper, module in papers().items()}
    found = {group: tuple(name for paper in names for name in of_papers[paper]) for group, names in GROUPS.items()}
    return {**found, "studies": STUDIES} if STUDIES else found


def asked(name: str) -> tuple[str, ...]:
    """The experiments that a name stands for: an experiment, a group, or a paper. Raises ValueError for any other name."""
    there = {**{work: tuple(places_of(work, module)) for work, module in works().items()}, **groups()}
    there |= {one: (one,) for one in places()}
    return there[one_of("NAME", name, (*places(), *groups(), *papers()))]


def experiment(name: str) -> Experiment:
    """The experiment of this name."""
    return cast(Experiment, import_module(places()[name]))


def claims() -> tuple[Claim, ...]:
    """Every claim of every work, in the order of :func:`claims_of`."""
    return tuple(claim for found in claims_of().values() for claim in found)


def claims_of() -> dict[str, tuple[Claim, ...]]:
    """{arXiv number of a paper: its claims}, those of its experiments in their order, then those that are only cited; last {OWN:
    ..}.
    """
    found: dict[str, tuple[Claim, ...]] = {}
    for work, module in works().items():
        measured = [claim for name in places_of(work, module) for claim in experiment(name).CLAIMS]
        number = OWN if work in STUDIES else number_of(module)
        found[number] = (*found.get(number, ()), *measured, *cited(module))
    return found


def number_of(module: ModuleType) -> str:
    """The arXiv number in a paper's ``SOURCE``."""
    return module.SOURCE.removeprefix("arXiv ")


def cited(module: ModuleType) -> tuple[Claim, ...]:
    """The claims of a paper's folder that none of its experiments measures."""
    return module.CLAIMS if hasattr(module, "EXPERIMENTS") else ()


def revisions() -> tuple[Any, ...]:
    """The claims that an earlier protocol judged otherwise: ``REVISIONS`` of each paper."""
    return tuple(entry for module in papers().values() for entry in getattr(module, "REVISIONS", ()))


def readers(kind: str) -> dict[str, Any]:
    """{figure: (name of a claim, its JSON) -> numbers or None}: what one figure says of the claims of others.

    kind "RELEASED": the same on a paper's own random numbers; "ROUNDED": runs off by a rounding, from ``fragility.as_spreads``.
    """
    found: dict[str, Any] = {}
    for module in papers().values():
        found |= getattr(module, kind, {})
    return found


def titles() -> dict[str, str]:
    """{arXiv number of a paper: its title}"""
    return {number_of(module): getattr(module, "PAPER", module.TITLE) for module in papers().values()}


def settings() -> dict[str, Setting]:
    """The named settings of all papers."""
    found: dict[str, Any] = {}
    for module in papers().values():
        found |= getattr(module, "SETTINGS", {})
    return found
