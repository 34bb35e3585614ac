"""The scorecard: every claim beside our number, judged by a rule that was fixed before the run.

It is made from the figures' JSON files alone, so that each number in it stands in a figure that a command draws.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..training.runs import write_text
from .record import read, rounded
from .registry import claims, places, sources
from .rules import VERDICTS, judge
from .scale import counted

Row = dict[str, Any]


def rows(folder: Path) -> list[Row]:
    """One row for each claim, from the figures' JSON files in a folder: dictionaries of plain values.

    Raises ValueError, with the file's name, where one is not what ``reproduce`` writes.
    """
    found: dict[str | None, Any] = {None: None, **{name: read(folder, name) for name in places()}}
    return [judge(claim, found[claim.figure]) for claim in claims()]


def count(found: Sequence[Row]) -> dict[str, int]:
    """How many rows have each verdict."""
    return {verdict: sum(row["verdict"] == verdict for row in found) for verdict in VERDICTS}


def markdown(found: Sequence[Row]) -> str:
    """The rows as a page."""
    tally = ", ".join(f"{number} {verdict}" for verdict, number in count(found).items())
    lines = ["# Scorecard", "", introduction(), "", f"**{len(found)} claims: {tally}.**", ""]
    lines += ["| claim | paper | released code | ours | verdict | why |", "|---|---|---|---|---|---|"]
    for row in found:
        cells = (row["statement"], row["paper"], row["code"], in_words(row["ours"]), f"**{row['verdict']}**", row["why"])
        lines.append("| " + " | ".join(str(cell or "").replace("|", "\\|") for cell in cells) + " |")
    lines += ["", "## Rules", "", "| claim | where in the paper | rule | figure |", "|---|---|---|---|"]
    for row in found:
        if row["rule"]:
            picture = f"[{row['figure']}]({row['figure']}.png)"
            lines.append(f"| `{row['id']}` | {row['where']} | {row['rule']} | {picture} |")
    return "\n".join(lines) + "\n"


def introduction() -> str:
    """What the page is."""
    return (
        f"Each claim of the paper ({', '.join(sources())}) beside what came out here. Made by `python -m linattn_np reproduce` from "
        "the figures' JSON files. The rule of each verdict is code (`CLAIMS` in each module of `linattn_np/experiments/papers/`), "
        "written before the runs at the paper's scale. Ours: the median over seeds and, in brackets, the quartiles."
    )


def in_words(ours: Row | None) -> str:
    """Our number in one cell."""
    if ours is None or ours["median"] is None:
        return "" if ours is None else "no finite number"
    return f"{ours['median']:.3g} [{ours['lower_quartile']:.3g}, {ours['upper_quartile']:.3g}], {counted(ours['seeds'], 'seed')}"


def write(folder: Path) -> list[Row]:
    """FOLDER/scorecard.json and FOLDER/scorecard.md; returns the rows."""
    found = rounded(rows(folder))
    record = {"title": "Scorecard", "verdicts": count(found), "rows": found}
    write_text(folder / "scorecard.json", json.dumps(record, indent=1) + "\n")
    write_text(folder / "scorecard.md", markdown(found))
    return found
