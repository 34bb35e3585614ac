"""How a claim of a paper is judged: its rule, an inequality or an interval, fixed in code before the run that it judges.

A rule looks at one number for each seed. "agrees": the rule's own condition. "agrees in direction": not that, but what the claim
says qualitatively. "does not agree": neither. "not tested": no numbers at the paper's scale.

Where a claim hangs on the test batch, the number of each seed is the median over many (``robust``), and the row also says on how
many of them alone the claim holds, what a batch of the paper's own says, and whether a rounding moves the number (``fragility``).
These decide nothing; neither does what another figure found on the paper's own random numbers, held against the same rule.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..training import runs
from .curves import STATISTICS, spread
from .fragility import BATCHES, SIZE, is_fragile, range_of

VERDICTS = ("agrees", "agrees in direction", "does not agree", "not tested")


@dataclass(frozen=True)
class Within:
    """The statistic lies in [low, high]; in direction: it and the median are above ``beyond`` (None: there is no direction)."""

    low: float
    high: float
    statistic: str = "median"
    beyond: float | None = None

    @property
    def text(self) -> str:
        """The rule in words."""
        statistic = self.statistic.replace("_", " ")
        tail = "" if self.beyond is None else f"; in direction: {statistic} and median above {self.beyond:g}"
        return f"agrees: {statistic} over seeds within {self.low:g} to {self.high:g}{tail}"

    def verdict(self, ours: dict[str, Any]) -> str:
        if ours[self.statistic] is None:  # a geometric mean of numbers that are not all above 0
            return "does not agree"
        right_way = self.beyond is not None and min(ours[self.statistic], ours["median"]) > self.beyond
        if self.low <= ours[self.statistic] <= self.high and (self.beyond is None or right_way):
            return "agrees"
        return "agrees in direction" if right_way else "does not agree"


@dataclass(frozen=True)
class Above:
    """The statistic is at least ``least``; in direction: the median is above ``beyond``."""

    least: float
    beyond: float
    statistic: str = "median"

    @property
    def text(self) -> str:
        statistic = self.statistic.replace("_", " ")
        return f"agrees: {statistic} over seeds at least {self.least:g}; in direction: median above {self.beyond:g}"

    def verdict(self, ours: dict[str, Any]) -> str:
        if ours[self.statistic] is None:
            return "does not agree"
        if ours[self.statistic] >= self.least and ours["median"] > self.beyond:
            return "agrees"
        return "agrees in direction" if ours["median"] > self.beyond else "does not agree"


def around(value: float, factor: float, **more: Any) -> Within:
    """Within a factor of a value."""
    return Within(float(f"{value / factor:.4g}"), float(f"{value * factor:.4g}"), **more)


@dataclass(frozen=True)
class Claim:
    """One claim of a paper or a study, where it stands, what it is held against, and how.

    Theirs is given with how certain it is: ``printed`` was read in the paper's text, ``code`` in the authors' code or its logs,
    ``reported`` is second-hand (an abstract, a review, another paper); of a study of our own, ``predicted`` was derived, or found
    on other seeds, before the run.
    """

    id: str
    statement: str
    where: str
    printed: str | None = None  # the paper's number, in words where it gives none
    code: str | None = None  # the released code's number, where known
    reported: str | None = None  # what others say that the paper's number is
    predicted: str | None = None  # what a study's derivation, or an earlier run on other seeds, says that comes out
    figure: str | None = None  # the experiment whose JSON has our number; None: not measured
    values: Callable[..., Any] | None = None  # the figure's JSON -> {"median": .., "each_seed": [..], ..}
    rule: Within | Above | None = None
    aside: Callable[..., str] | None = None  # the figure's JSON -> what else was looked at, in words; it decides nothing
    untested: str = ""  # why it is not tested


class Row(NamedTuple):
    """A claim as a row of its paper's table, which :func:`in_rows` reads."""

    name: str
    statement: str
    where: str
    theirs: str
    values: Callable[..., Any]
    rule: Within | Above
    aside: Callable[..., str] | None = None
    tag: str | None = None  # how certain theirs is, where it is not what the table says


def in_rows(figure: str, prefix: str, tag: str, rows: Iterable[Row]) -> tuple[Claim, ...]:
    """The claims of a table, all measured by one figure: id is prefix and name; theirs "printed", "code" or "reported" is the
    tag.
    """
    found = []
    for row in rows:
        theirs: dict[str, Any] = {row.tag or tag: row.theirs}
        found.append(
            Claim(prefix + row.name, row.statement, row.where, figure=figure, values=row.values, rule=row.rule,
                  aside=row.aside, **theirs)
        )  # fmt: skip
    return tuple(found)


@dataclass(frozen=True)
class Revision:
    """A claim that did not agree under an earlier protocol: what was found then, and what was at fault, or that nothing was."""

    id: str
    was: str
    why: str


def contradicted(claims: Iterable[Claim], numbers: dict[str, Any]) -> list[Claim]:
    """What the paper says, and numbers of any scale do not show, not even in direction."""
    found = []
    for claim in claims:
        if (claim.printed or claim.reported or claim.predicted) and claim.rule and claim.values:
            ours = claim.values(numbers)
            if ours["median"] is not None and claim.rule.verdict(ours) == "does not agree":
                found.append(claim)
    return found


def judge(
    claim: Claim, numbers: dict[str, Any] | None, released: dict[str, Any] | None = None, reruns: Sequence[Any] | None = None
) -> dict[str, Any]:
    """One row of the scorecard. numbers: the figure's JSON, or None where there is none.

    released: the same quantity as another figure of the paper has it on the paper's own random numbers, or None; reruns: as
    another figure has it of runs whose weights are off by a rounding, where the claim's own numbers do not have ``reruns``.
    """
    row: dict[str, Any] = {
        "id": claim.id, "statement": claim.statement, "where": claim.where, "printed": claim.printed, "code": claim.code,
        "reported": claim.reported, "predicted": claim.predicted, "figure": claim.figure,
        "rule": claim.rule.text if claim.rule else None, "ours": None, "verdict": "not tested",
        "batches": None, "released": None, "fragile": None,
    }  # fmt: skip
    if claim.rule is None or claim.values is None:
        return {**row, "why": claim.untested}
    if released is not None:
        row["released"] = {**in_short(released), "seeds": len(released["each_seed"]), "verdict": claim.rule.verdict(released)}
    if numbers is None:
        return {**row, "why": f"not run yet: python -m linattn_np reproduce {claim.figure}"}
    try:
        ours = claim.values(numbers)
        aside = claim.aside(numbers) if claim.aside else ""
    except KeyError:
        if numbers.get("format") == runs.FORMAT:
            raise
        return {
            **row,
            "why": f"drawn by an earlier format, which lacks this number: python -m linattn_np reproduce {claim.figure}",
        }
    row["ours"] = {**in_short(ours), "each_seed": ours["each_seed"], "seeds": len(ours["each_seed"])}
    if numbers["scale"]["name"] != "paper":
        return {**row, "why": f"measured at the {numbers['scale']['name']} scale only, not the paper's"}
    row |= {"batches": on_batches(claim.rule, ours), "fragile": under_rounding(claim.rule, ours.get("reruns", reruns))}
    seeds = ours["each_seed"]
    finite = sum(value is not None and np.isfinite(value) for value in seeds)
    judged = 2 * finite >= len(seeds)  # fewer speak for themselves only
    words = [f"{name.replace('_', ' ')} {ours[name]:.3g}" for name in dict.fromkeys([claim.rule.statistic, "median"]) if judged]
    if finite < len(seeds):
        words.append(f"{finite} of {len(seeds)} seeds gave a finite number")
    if row["fragile"] and row["fragile"]["fragile"]:
        words.append(rounding_in_words(row["fragile"]))
    why = ", ".join(words) + (f"; {aside}" if aside else "")
    return {**row, "verdict": claim.rule.verdict(ours) if judged else "does not agree", "why": why}


def in_short(ours: dict[str, Any]) -> dict[str, Any]:
    """The statistics of the seeds' numbers alone."""
    return {key: ours.get(key) for key in STATISTICS}


def on_batches(rule: Within | Above, ours: dict[str, Any]) -> dict[str, Any] | None:
    """On how many test batches alone the rule says "agrees", or at least the direction, and what the paper's own batch says."""
    if "on_batches" not in ours:
        return None
    verdicts = [rule.verdict(alone) for alone in map(spread, ours["on_batches"]) if alone["median"] is not None]
    found: dict[str, Any] = {
        "of": len(ours["on_batches"]), "agrees": verdicts.count("agrees"), "in_direction": verdicts.count("agrees in direction"),
        "released_batch": None,
    }  # fmt: skip
    if "on_released" in ours:
        alone = spread(ours["on_released"])
        if alone["median"] is not None:
            found["released_batch"] = {"verdict": rule.verdict(alone), rule.statistic: alone[rule.statistic]}
    return found


def under_rounding(rule: Within | Above, reruns: Sequence[Any] | None) -> dict[str, Any] | None:
    """Whether the reruns whose weights are off by a rounding move the rule's statistic, and from where to where."""
    if reruns is None:
        return None
    low, high = range_of(reruns, rule.statistic)
    return {
        "fragile": is_fragile(reruns, rule.statistic), "low": low, "high": high, "reruns": len(reruns) - 1,
        "size": SIZE, "batches": BATCHES,
    }  # fmt: skip


def rounding_in_words(found: dict[str, Any]) -> str:
    """From where to where a rounding moves a number."""
    return (
        f"fragile: {found['low']:.3g} to {found['high']:.3g} on {found['batches']} test batches over {found['reruns'] + 1} runs "
        f"of the same seeds that differ by {found['size']:g} at the start"
    )
