"""The map in lessons/README.md: a part of it is made from the lessons' cards, so that it stays true."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from .sources import find_lessons, read_card, read_source

BEGIN, END = "<!-- lessons: begin (made by python -m linattn_np lessons run) -->", "<!-- lessons: end -->"


def rows(folder: str | Path) -> Iterator[tuple[str, str, str, str, str]]:
    """A row for each lesson: number, title with its link, minutes, needs, misconception."""
    for lesson in find_lessons(folder):
        card = read_card(read_source(lesson.source))
        title, minutes = f"[{card.title}]({lesson.notebook.name})", " + ".join(map(str, card.minutes))
        yield lesson.number, title, minutes, ", ".join(card.needs), card.misconception


def graph(listed: Iterable[tuple[str, str, str, str, str]]) -> str:
    """What must come before what, as a Mermaid graph."""
    lines = ["```mermaid", "graph LR"]
    for number, _, _, needs, _ in listed:
        before = [need.strip() for need in needs.split(",") if need.strip()]
        lines += [f"  {need} --> {number}" for need in before]
    return "\n".join([*lines, "```"])


def block(folder: str | Path) -> str:
    """The part of the README that is made: the table and the graph."""
    listed = list(rows(folder))
    head = ["| | lesson | minutes to read + code + run | needs | the misconception it is about |", "|---|---|---|---|---|"]
    table = head + [
        f"| {number} | {title} | {minutes} | {needs or '–'} | {wrong} |" for number, title, minutes, needs, wrong in listed
    ]
    return "\n".join([BEGIN, "", *table, "", graph(listed), "", END])


def renewed(text: str, folder: str | Path) -> str:
    """The README's text with its made part brought up to date. Raises ValueError when the marks are not there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md: expected the lines {BEGIN} and {END}")
    return before + block(folder) + after
