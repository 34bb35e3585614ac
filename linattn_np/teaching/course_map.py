"""The map in lessons/README.md: parts of it are made from the lessons' cards, so that they stay true.

Each part stands between two marks. The map and the graph are of all lessons, the sitting of those that its mark names, and the
plan of days of all that are not optional, in units that are not cut: a lesson's page, and each exercise card.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from .sources import OPTIONAL, Card, Lesson, exercises_in, find_lessons, read_card, read_source

BEGIN, END = "<!-- lessons: begin (made by python -m linattn_np lessons run) -->", "<!-- lessons: end -->"
SITTING = re.compile(r"(<!-- sitting ([\da-z ]+): begin.*?-->).*?(<!-- sitting: end -->)", re.S)
DAYS = re.compile(r"(<!-- days: begin.*?-->).*?(<!-- days: end -->)", re.S)
DAY, PAGE = 100, "the page"  # minutes


class Entry(NamedTuple):
    """What the map is made of: a lesson, its card, and its exercises as (id, minutes)."""

    lesson: Lesson
    card: Card
    exercises: list[tuple[str, int]]


def read(folder: str | Path) -> list[Entry]:
    """The course, a lesson after the other. Raises ValueError where a card cannot be read."""
    course = []
    for lesson in find_lessons(folder):
        source = read_source(lesson.source)
        course.append(Entry(lesson, read_card(source), [(id, minutes) for id, _, _, minutes in exercises_in(source)]))
    return course


def graph(course: list[Entry]) -> str:
    """What must come before what, as a Mermaid graph."""
    arrows = [f"  {need} --> {lesson.number}" for lesson, card, _ in course for need in card.needs]
    return "\n".join(["```mermaid", "graph LR", *arrows, "```"])


def block(course: list[Entry]) -> str:
    """The map: the table and the graph."""
    lines = ["| | lesson | minutes to read + code + run | needs | the misconception it is about |", "|---|---|---|---|---|"]
    for lesson, card, _ in course:
        title, minutes = f"[{card.title}]({lesson.notebook.name}){OPTIONAL * card.optional}", " + ".join(map(str, card.minutes))
        lines.append(f"| {lesson.number} | {title} | {minutes} | {', '.join(card.needs) or '–'} | {card.misconception} |")
    return "\n".join([BEGIN, "", *lines, "", graph(course), "", END])


def units(course: list[Entry]) -> Iterator[tuple[str, str, int]]:
    """What is not cut by the end of a day, in order: (lesson, PAGE or the exercise, minutes)."""
    for lesson, card, exercises in course:
        if not card.optional:
            yield lesson.number, PAGE, card.minutes[0] + card.minutes[2]
            yield from ((lesson.number, id, minutes) for id, minutes in exercises)


def days(course: list[Entry]) -> list[list[tuple[str, str, int]]]:
    """The plan: for each day its units, at most DAY minutes together."""
    plan: list[list[tuple[str, str, int]]] = []
    for unit in units(course):
        if not plan or sum(minutes for *_, minutes in plan[-1]) + unit[2] > DAY:
            plan.append([])
        plan[-1].append(unit)
    return plan


def complaints(course: list[Entry]) -> list[str]:
    """What cannot be planned: a unit that alone is longer than a day."""
    return [
        f"plan: {unit} of lesson {number} alone takes {m} minutes, more than {DAY}"
        for number, unit, m in units(course)
        if m > DAY
    ]


def plan_in_words(course: list[Entry]) -> str:
    """The plan as a table."""
    lines = ["| day | what | minutes |", "|---|---|---|"]
    for at, listed in enumerate(days(course), 1):
        said = []
        for number, group in groupby(listed, key=lambda unit: unit[0]):
            parts = [part for _, part, _ in group]
            ids = [part for part in parts if part != PAGE]
            exercises = ids if len(ids) < 2 else [f"{ids[0]} to {ids[-1]}"]
            said.append(f"{number}: {', '.join([PAGE] * (PAGE in parts) + exercises)}")
        lines.append(f"| {at} | {'; '.join(said)} | {sum(minutes for *_, minutes in listed)} |")
    return "\n".join(lines)


def sitting_in_words(course: list[Entry], numbers: list[str]) -> str:
    """The pages of one sitting, each with its minutes, and their sum. Raises ValueError for a lesson that is not there."""
    there = {lesson.number: card for lesson, card, _ in course}
    unknown = [number for number in numbers if number not in there]
    if unknown:
        raise ValueError(f"README.md: expected lessons in the mark of the sitting, got {unknown[0]}")
    lines = [
        f"{at}. Lesson {number}, {there[number].title}: {there[number].minutes[0]} minutes."
        for at, number in enumerate(numbers, 1)
    ]
    return "\n".join([*lines, "", f"Together {sum(there[number].minutes[0] for number in numbers)} minutes."])


def renewed(text: str, course: list[Entry]) -> str:
    """The README's text with its made parts brought up to date. Raises ValueError when the marks of the map are not there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md: expected the lines {BEGIN} and {END}")
    text = before + block(course) + after
    text = SITTING.sub(lambda m: f"{m[1]}\n\n{sitting_in_words(course, m[2].split())}\n\n{m[3]}", text)
    return DAYS.sub(lambda m: f"{m[1]}\n\n{plan_in_words(course)}\n\n{m[2]}", text)
