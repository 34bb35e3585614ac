"""The scorecard: every claim of the paper beside our number, judged by a rule that was fixed before the run.

It is made from the figures' JSON files alone, so that each number in it stands in a figure that a command draws.
"""

import json

from ..training.runs import write_text
from .papers.maybe_all_you_need.claims import CLAIMS
from .rules import VERDICTS, judge

INTRODUCTION = (
    "Each claim of the paper (arXiv 2310.01082) beside what came out here. Made by `python -m linattn_np reproduce` from "
    "the figures' JSON files. The rule of each verdict is code (`linattn_np/experiments/papers/maybe_all_you_need/claims.py`), written before the runs at "
    "the paper's scale. Ours: the median over seeds and, in brackets, the quartiles."
)


def rows(folder):
    """One row for each claim, from the figures' JSON files in a folder. -> a list of dictionaries of plain values"""
    read = {}
    for claim in CLAIMS:
        if claim.figure not in read:
            file = folder / f"{claim.figure}.json"
            read[claim.figure] = json.loads(file.read_text(encoding="utf-8")) if claim.figure and file.exists() else None
    return [judge(claim, read[claim.figure]) for claim in CLAIMS]


def count(found):
    """How many rows have each verdict."""
    return {verdict: sum(row["verdict"] == verdict for row in found) for verdict in VERDICTS}


def markdown(found):
    """The rows as a page."""
    tally = ", ".join(f"{number} {verdict}" for verdict, number in count(found).items())
    lines = ["# Scorecard", "", INTRODUCTION, "", f"**{len(found)} claims: {tally}.**", ""]
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


def in_words(ours):
    """Our number in one cell."""
    if ours is None or ours["median"] is None:
        return "" if ours is None else "no finite number"
    return f"{ours['median']:.3g} [{ours['lower_quartile']:.3g}, {ours['upper_quartile']:.3g}], {ours['seeds']} seeds"


def write(folder):
    """FOLDER/scorecard.json and FOLDER/scorecard.md; returns the rows."""
    from .command import rounded

    found = rounded(rows(folder))
    record = {"title": "Scorecard", "verdicts": count(found), "rows": found}
    write_text(folder / "scorecard.json", json.dumps(record, indent=1) + "\n")
    write_text(folder / "scorecard.md", markdown(found))
    return found
