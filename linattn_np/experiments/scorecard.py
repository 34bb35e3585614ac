"""The scorecard: every claim beside our number, judged by a rule that was fixed before the run.

It is made from the figures' JSON files alone, so that each number in it stands in a figure that a command draws.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..training.runs import write_text
from .record import is_earlier, read, rounded
from .registry import OWN, claims_of, places, readers, revisions, titles
from .rules import VERDICTS, Claim, judge
from .scale import counted

Row = dict[str, Any]


def rows(folder: Path) -> list[Row]:
    """One row for each claim, from the figures' JSON files in a folder: dictionaries of plain values, ``paper`` an arXiv number
    or OWN.

    Raises ValueError, with the file's name, where one is not what ``reproduce`` writes.
    """
    found: dict[str | None, Any] = {None: None, **{name: read(folder, name) for name in places()}}
    return [
        {
            "paper": paper,
            **judge(claim, found[claim.figure], *(said_elsewhere(kind, claim, found) for kind in ("RELEASED", "ROUNDED"))),
            **drawn_by(found[claim.figure]),
        }
        for paper, claims in claims_of().items()
        for claim in claims
    ]


def said_elsewhere(kind: str, claim: Claim, found: Mapping[str | None, Any]) -> Any:
    """What another figure says of a claim (``registry.readers``), or None."""
    for figure, reader in readers(kind).items():
        if found.get(figure) is not None and claim.figure != figure:
            numbers = reader(claim.id, found[figure])
            if numbers is not None:
                return numbers
    return None


def drawn_by(numbers: Row | None) -> Row:
    """The format of the runs that a row's figure was drawn from, and whether it is an earlier one."""
    return {} if numbers is None else {"format": numbers["format"], "earlier_format": is_earlier(numbers)}


def count(found: Sequence[Row]) -> dict[str, int]:
    """How many rows have each verdict."""
    return {verdict: sum(row["verdict"] == verdict for row in found) for verdict in VERDICTS}


def markdown(found: Sequence[Row]) -> str:
    """The rows as a page: how many of each paper, then a section for each paper."""
    lines = ["# Scorecard", "", introduction(), "", f"**{tally(found)}.**", ""]
    earlier = sorted({row["figure"] for row in found if row.get("earlier_format")})
    if earlier:
        lines += [f"Drawn from runs of an earlier format than this library's, to be drawn again: {', '.join(earlier)}.", ""]
    works = {paper: [row for row in found if row["paper"] == paper] for paper in (*titles(), OWN)}
    lines += table(
        ("paper", "arXiv", *VERDICTS),
        [
            (titles().get(paper, OWN.capitalize()), paper.replace(OWN, ""), *count(rows).values())
            for paper, rows in works.items()
            if rows
        ],
    )
    for paper, rows in works.items():
        if rows:
            head = OWN.capitalize() if paper == OWN else f"{titles()[paper]} (arXiv {paper})"
            lines += ["", f"## {head}", "", *section(rows)]
    lines += ["", *revisited(found)]
    rules = [row for row in found if row["rule"]]
    lines += ["", "## Rules", ""]
    lines += table(
        ("claim", "where in the paper", "rule", "figure"),
        [(f"`{row['id']}`", row["where"], row["rule"], f"[{row['figure']}]({row['figure']}.png)") for row in rules],
    )
    return "\n".join(lines) + "\n"


def tally(found: Sequence[Row]) -> str:
    """How many claims there are, and how many of them have each verdict."""
    return f"{len(found)} claims: " + ", ".join(f"{number} {verdict}" for verdict, number in count(found).items())


def section(found: Sequence[Row]) -> list[str]:
    """The rows of one paper as a table; the columns about test batches are there where a row has something in them."""
    head = ["claim", "theirs", "ours", "verdict", "test batches alone", "released batch", "released streams", "why"]
    lines = [
        (row["statement"], theirs(row), in_words(row["ours"]), f"**{row['verdict']}**", *beside(row), row["why"]) for row in found
    ]
    full = [k for k, name in enumerate(head) if name in ("theirs", "ours", "verdict") or any(line[k] for line in lines)]
    return table([head[k] for k in full], [[line[k] for k in full] for line in lines])


def theirs(row: Row) -> str:
    """What is claimed, each number with where it was read."""
    tags = {"printed": "text", "code": "code", "reported": "second-hand", "predicted": "predicted"}
    return "; ".join(f"{row[name]} [{tag}]" for name, tag in tags.items() if row[name])


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """The lines of a table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell or "").replace("|", "\\|") for cell in row) + " |" for row in rows]


def beside(row: Row) -> tuple[str, str, str]:
    """What stands beside the verdict: single test batches, the released code's test batch, the runs on its random numbers."""
    batches, released = row["batches"], row["released"]
    alone = batch = streams = ""
    if batches:
        direction = f", {batches['in_direction']} in direction" if batches["in_direction"] else ""
        alone = f"agrees on {batches['agrees']} of {batches['of']}{direction}"
        if batches["released_batch"]:
            batch = statistic_in_words(batches["released_batch"])
    if released:
        streams = statistic_in_words({"verdict": released["verdict"], **{k: released[k] for k in shown(released)}})
    fragile = row["fragile"]
    if fragile and fragile["fragile"]:
        alone += f"{'; ' * bool(alone)}**fragile**"
    return alone, batch, streams


def shown(found: Row) -> tuple[str, ...]:
    """The statistic that is shown of numbers."""
    return ("geometric_mean",) if found.get("geometric_mean") is not None else ("median",)


def statistic_in_words(found: Row) -> str:
    """A statistic and the verdict that it alone would give."""
    name = next(key for key in found if key != "verdict")
    return f"{found[name]:.3g} ({found['verdict']})"


def introduction() -> str:
    """What the page is."""
    return (
        "Each claim of each paper beside what came out here. Made by `python -m linattn_np reproduce` from the figures' JSON "
        "files. Theirs: read in the paper's text [text], in its authors' code or logs [code], or known from an abstract, a "
        "review or another paper [second-hand]; in a study of our own, what a derivation or an earlier run says beforehand "
        "[predicted]. The rule of each verdict is code (`CLAIMS` in each module of `linattn_np/experiments/papers/` and "
        "`studies/`), written before the runs at the paper's scale. Ours: the median over seeds and, in brackets, the quartiles. "
        "Where a claim hangs on the test batch, the number of each seed is the median over many test batches of 1000 prompts, "
        "and this is what is judged. Beside it: on how many of them alone the same rule says the same; what it says on the "
        "released code's test batch; and what it says of runs on the released code's own random numbers. **Fragile**: runs whose "
        "first weights are off by a rounding, 1e-7, move the number by more than a tenth; from where to where is said under why."
    )


def revisited(found: Sequence[Row]) -> list[str]:
    """Each claim that once did not agree: what was judged then, what is now, and why it may have changed."""
    rows = {row["id"]: row for row in found}
    known = [entry for entry in revisions() if entry.id in rows]
    if not known:
        return []
    lines = ["## Claims that did not agree, revisited", ""]
    lines += ["Under the first protocol these did not agree. A claim that fails by the better statistic still does not.", ""]
    cells = [
        (
            rows[e.id]["statement"],
            f"{e.was}: **does not agree**",
            f"{in_words(rows[e.id]['ours'])}: **{rows[e.id]['verdict']}**",
            e.why,
        )
        for e in known
    ]
    return lines + table(("claim", "was", "is", "why"), cells)


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
