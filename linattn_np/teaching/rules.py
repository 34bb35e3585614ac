"""What a lesson must keep to, each rule a function: lesson, source cells, executed notebook -> complaints, a line each."""

import re
from collections.abc import Iterator
from typing import Any

from . import handout
from .exercise import of_lesson
from .sources import Lesson, Notebook, equations_in, equations_quoted, exercises_in, main_line, prose, read_card

SECTIONS = (
    "1. Predict", "2. Derive", "3. On paper", "4. Code it", "5. Audit it", "6. Experiment", "7. The paper and us", "8. Exercises",
    "9. Exit ticket",
)  # fmt: skip
KINDS = {"derive", "code", "find the bug", "experiment"}
WORDS, CELL, FIGURE_CELL, WIDTH, SIZE = (1200, 2500), 25, 40, 96, 700_000  # a page shows 96 characters of code
PATHS = re.compile(r"(?<![\w.:/])(?:/(?:home|root|Users|tmp|usr|opt|mnt|work|var)/|[A-Z]:\\\\?[A-Za-z])|\.ipynb_checkpoints")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")


def check_source(lesson: Lesson, notebook: Notebook) -> list[str]:
    """Complaints about the text source alone, read as a notebook."""
    found: list[str] = []
    for rule in (_card, _sections, _words, _cells, _exercises, _equations, _markers):
        found += rule(lesson, notebook)
    return found


def check_notebook(lesson: Lesson, source: Notebook, executed: Notebook) -> list[str]:
    """Complaints about the executed notebook, against the source it must agree with."""
    found = []
    ours, theirs = ([(c.cell_type, c.source.strip()) for c in notebook.cells] for notebook in (source, executed))
    if ours != theirs:
        at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
        found.append(
            f"source and notebook differ, first in cell {at}; python -m linattn_np lessons run {lesson.number} renews it"
        )
    code = [cell for cell in executed.cells if cell.cell_type == "code" and cell.source.strip()]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not executed from top to bottom on a fresh kernel")
    for at, cell in enumerate(executed.cells):
        for output in cell.get("outputs", []):
            found += [f"cell {at}: {what}" for what in _output(output)]
    if executed.metadata.get("widgets"):
        found.append("holds the state of live widgets, which a static page cannot show")
    if lesson.notebook.is_file() and lesson.notebook.stat().st_size > SIZE:
        found.append(f"{lesson.notebook.stat().st_size // 1000} kB, more than {SIZE // 1000}")
    return found


def _output(output: Any) -> Iterator[str]:
    """What is wrong with one output."""
    if output.output_type == "error":
        yield f"raised {output.ename}: {output.evalue[:120]}"
    if output.output_type == "stream" and output.name == "stderr":
        yield f"wrote to standard error: {output.text[:120]}"
    data = output.get("data", {})
    text = output.get("text", "") + "".join(data[key] for key in ("text/plain", "text/html") if key in data)
    if "application/vnd.jupyter.widget-view+json" in data:
        yield "shows a live widget; slider() leaves a picture in its place"
    if path := PATHS.search(text):
        yield f"shows a path of one machine, {text[path.start() : path.start() + 40]!r}"
    if address := ADDRESS.search(text):
        yield f"shows a memory address, {text[max(0, address.start() - 30) : address.end()]!r}"
    if "image/png" in data and not output.get("metadata", {}).get("image/png", {}).get("alt"):
        yield "shows a picture without a description; use show(figure, alt)"


def _card(lesson: Lesson, notebook: Notebook) -> list[str]:
    try:
        card = read_card(notebook)
    except ValueError as error:
        return [str(error)]
    late = [number for number in card.needs if number >= lesson.number]
    return [f"card: needs lesson {late[0]}, which comes later"] if late else []


def _sections(lesson: Lesson, notebook: Notebook) -> list[str]:
    found = re.findall(r"^## (.+)$", prose(notebook), re.M)
    return [] if tuple(found) == SECTIONS else [f"sections: expected {', '.join(SECTIONS)}; got {', '.join(found)}"]


def count_words(notebook: Notebook) -> int:
    """Words that everybody reads: folded and optional parts, formulas and code left out."""
    said = "\n\n".join(text for kind, text in main_line(notebook) if kind == "markdown")
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|```.*?```|<[^>]*>", " ", said, flags=re.S)
    return len(re.findall(r"[A-Za-z][\w'’-]*", text))


def _words(lesson: Lesson, notebook: Notebook) -> list[str]:
    words = count_words(notebook)
    return [] if WORDS[0] <= words <= WORDS[1] else [f"{words} words, expected {WORDS[0]} to {WORDS[1]}"]


def _cells(lesson: Lesson, notebook: Notebook) -> list[str]:
    found = []
    for at, cell in enumerate(notebook.cells):
        lines = cell.source.count("\n") + 1
        limit = FIGURE_CELL if re.search(r"\b(show|slider|new_figure)\(", cell.source) else CELL
        if cell.cell_type == "code" and lines > limit:
            found.append(f"cell {at}: {lines} lines, more than {limit}")
        wide = max(map(len, cell.source.splitlines()), default=0)
        if cell.cell_type == "code" and wide > WIDTH:
            found.append(f"cell {at}: a line of {wide} characters, more than {WIDTH}")
        if PATHS.search(cell.source):
            found.append(f"cell {at}: names a path of one machine")
    return found


def _exercises(lesson: Lesson, notebook: Notebook) -> list[str]:
    cards, code = exercises_in(notebook), "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    found, known = [], of_lesson(lesson.number)
    if not 4 <= len(cards) <= 8:
        found.append(
            f"exercises: expected 4 to 8 cards '### Exercise {lesson.number}.1 (code, level 2, 10 min)', got {len(cards)}"
        )
    kinds = {kind for _, kind, _, _ in cards}
    if KINDS - kinds:
        found.append(f"exercises: none of kind {', '.join(sorted(KINDS - kinds))}")
    if kinds - KINDS:
        found.append(f"exercises: expected the kinds {', '.join(sorted(KINDS))}, got {', '.join(sorted(kinds - KINDS))}")
    checked = re.findall(r'^check\("([^"]+)"', code, re.M)
    if sorted(checked) != sorted(known):
        found.append(
            f"check: the lesson calls it for {', '.join(checked) or 'nothing'}; registered are {', '.join(known) or 'none'}"
        )
    silent = [id for id, *_ in cards if id not in known]
    if silent:
        found.append(f"exercises: {', '.join(silent)} not registered in exercises/lesson_{lesson.number}.py")
    if sum(id.startswith(f"{lesson.number}.t") for id in known) != 3:
        found.append(f"exit ticket: expected three questions {lesson.number}.t1 to {lesson.number}.t3")
    return found


def _equations(lesson: Lesson, notebook: Notebook) -> list[str]:
    own, found = equations_in(notebook), []
    number = lesson.equations
    foreign = [tag for tag in own if tag.partition(".")[0] != number]
    if foreign:
        found.append(f"equations: ({foreign[0]}) counts in another lesson")
    if len(set(own)) != len(own):
        found.append(f"equations: ({next(tag for tag in own if own.count(tag) > 1)}) is set twice")
    for quoted, files in equations_quoted().items():
        if quoted.partition(".")[0] == number and quoted not in own:
            found.append(f"equations: ({quoted}) is quoted by {', '.join(sorted(files))} and not set here")
    return found


def _markers(lesson: Lesson, notebook: Notebook) -> list[str]:
    try:
        handout.to_handout(notebook)
    except (ValueError, SyntaxError) as error:
        return [f"solutions: {error}"]
    return []
