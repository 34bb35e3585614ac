"""How a claim of the paper is judged: its rule, an inequality or an interval, fixed in code before the run that it judges.

A rule looks at one number for each seed. "agrees": the rule's own condition. "agrees in direction": not that, but what the claim
says qualitatively. "does not agree": neither. "not tested": no numbers at the paper's scale.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

VERDICTS = ("agrees", "agrees in direction", "does not agree", "not tested")


@dataclass(frozen=True)
class Within:
    """The statistic lies in [low, high]; in direction: median and mean are above ``beyond`` (None: there is no direction)."""

    low: float
    high: float
    statistic: str = "median"
    beyond: float | None = None

    @property
    def text(self) -> str:
        """The rule in words."""
        tail = "" if self.beyond is None else f"; in direction: mean and median above {self.beyond:g}"
        return f"agrees: {self.statistic} over seeds within {self.low:g} to {self.high:g}{tail}"

    def verdict(self, ours: dict[str, Any]) -> str:
        right_way = self.beyond is not None and min(ours["mean"], ours["median"]) > self.beyond
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
        if ours[self.statistic] >= self.least and ours["median"] > self.beyond:
            return "agrees"
        return "agrees in direction" if ours["median"] > self.beyond else "does not agree"


def around(value: float, factor: float, **more: Any) -> Within:
    """Within a factor of a value."""
    return Within(float(f"{value / factor:.4g}"), float(f"{value * factor:.4g}"), **more)


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, where it stands, what it is held against, and how."""

    id: str
    statement: str
    where: str
    paper: str | None = None  # the paper's number, in words where it gives none
    code: str | None = None  # the released code's number, where known
    figure: str | None = None  # the experiment whose JSON has our number; None: not measured
    values: Callable[..., Any] | None = None  # the figure's JSON -> {"median": .., "each_seed": [..], ..}
    rule: Within | Above | None = None
    aside: Callable[..., str] | None = None  # the figure's JSON -> what else was looked at, in words; it decides nothing
    untested: str = ""  # why it is not tested


def contradicted(claims: Iterable[Claim], numbers: dict[str, Any]) -> list[Claim]:
    """What the paper says, and numbers of any scale do not show, not even in direction."""
    found = []
    for claim in claims:
        if claim.paper and claim.rule and claim.values:
            ours = claim.values(numbers)
            if ours["median"] is not None and claim.rule.verdict(ours) == "does not agree":
                found.append(claim)
    return found


def judge(claim: Claim, numbers: dict[str, Any] | None) -> dict[str, Any]:
    """One row of the scorecard. numbers: the figure's JSON, or None where there is none."""
    row: dict[str, Any] = {
        "id": claim.id, "statement": claim.statement, "where": claim.where, "paper": claim.paper, "code": claim.code,
        "figure": claim.figure, "rule": claim.rule.text if claim.rule else None, "ours": None, "verdict": "not tested",
    }  # fmt: skip
    if claim.rule is None or claim.values is None:
        return {**row, "why": claim.untested}
    if numbers is None:
        return {**row, "why": f"not run yet: python -m linattn_np reproduce {claim.figure}"}
    ours = claim.values(numbers)
    ours = {key: ours[key] for key in ("median", "lower_quartile", "upper_quartile", "mean", "std", "each_seed")}
    row["ours"] = {**ours, "seeds": len(ours["each_seed"])}
    if numbers["scale"]["name"] != "paper":
        return {**row, "why": f"measured at the {numbers['scale']['name']} scale only, not the paper's"}
    seeds = ours["each_seed"]
    finite = sum(value is not None and np.isfinite(value) for value in seeds)
    judged = 2 * finite >= len(seeds)  # fewer speak for themselves only
    words = [f"{name.replace('_', ' ')} {ours[name]:.3g}" for name in dict.fromkeys([claim.rule.statistic, "median"]) if judged]
    if finite < len(seeds):
        words.append(f"{finite} of {len(seeds)} seeds gave a finite number")
    why = ", ".join(words) + (f"; {claim.aside(numbers)}" if claim.aside else "")
    return {**row, "verdict": claim.rule.verdict(ours) if judged else "does not agree", "why": why}
