"""What a finished lesson keeps beyond the form of ``rules``: true minutes, its pace, a moving picture, one meaning a letter, a
page for the teacher.

A lesson is held to these rules once its teacher's page, ``lessons/teaching/NN.md``, is there; before that they are what is
missing.
"""

import re
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

from .exercise import of_lesson
from .film import LIMIT
from .sources import TAG, Lesson, Notebook, exercises_in, main_line, numbered_equations, prose, read_card
from .tables import SYMBOLS

EQUATIONS, LINES, SECONDS, FIRST_FIGURE = 20, 40, 90, 10
PICTURE = re.compile(r"\b(show|slider|moving)\(")
SENTENCE = re.compile(r"^\*\*Afterwards you can say\.\*\* (.+?) \((t[123])\)(?:\n\n|\Z)", re.M | re.S)
SYMBOL = re.compile(r"^(?:# )?\| *\$(.+?)\$ *(\(here\))? *\| *(.+?) *\|$", re.M)
GREEK = re.compile(
    r"\\((?:var)?(?:alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|phi|chi|psi|omega"
    r"|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Phi|Psi|Omega))(?![A-Za-z])"
)
PARTS = ("What to stress", "Three slips, and what they reveal", "Board plan", "In 50 minutes", "Exit ticket")


def page_of(lesson: Lesson) -> Path:
    """The teacher's page of a lesson."""
    return lesson.notebook.parent / "teaching" / f"{lesson.number}.md"


def is_finished(lesson: Lesson) -> bool:
    """Whether all rules hold the lesson: its teacher's page is there."""
    return page_of(lesson).is_file()


def check_finished(lesson: Lesson, source: Notebook, executed: Notebook | None) -> list[str]:
    """Complaints, a line each, about a lesson that wants to be finished; ``executed`` is its notebook, None where there is
    none.
    """
    found: list[str] = []
    for rule in (_minutes, _sentence, _symbols, _tags, _pace, _moving, partial(_kept, executed=executed), _page):
        found += rule(lesson, source)
    return found


def _minutes(lesson: Lesson, source: Notebook) -> Iterator[str]:
    total, said = sum(minutes for *_, minutes in exercises_in(source)), read_card(source).minutes[1]
    if total != said:
        yield f"minutes: the card says {said} min of code, its exercises add up to {total}"


def _sentence(lesson: Lesson, source: Notebook) -> Iterator[str]:
    if not SENTENCE.search(source.cells[0].source):
        yield (
            "card: expected a line '**Afterwards you can say.** ... (t2)', which names the question of the exit ticket that "
            "tests it"
        )


def symbols_of(text: str) -> list[tuple[str, bool, str]]:
    """The rows of a card's table of symbols: (symbol, whether it holds here only, meaning)."""
    return [(symbol.strip(), bool(here), " ".join(meaning.split())) for symbol, here, meaning in SYMBOL.findall(text)]


def owned_before(lesson: Lesson) -> dict[str, tuple[str, str]]:
    """What letters mean when the lesson begins, {symbol: (meaning, since)}: the project's key, then the earlier lessons'
    tables.
    """
    owned = {name: (meaning, "the key") for name, (meaning, _) in SYMBOLS.items()}
    for path in sorted(lesson.source.parent.glob("*.py")):
        if path.name >= lesson.source.name:
            break
        card = path.read_text(encoding="utf-8").split("\n# %%")[1]
        for symbol, here, meaning in symbols_of(card):
            if not here:
                owned.setdefault(symbol, (meaning, f"lesson {path.name.partition('_')[0]}"))
    return owned


def _symbols(lesson: Lesson, source: Notebook) -> Iterator[str]:
    owned, rows = owned_before(lesson), symbols_of(source.cells[0].source)
    if not rows:
        yield "symbols: expected a table | symbol | meaning | in the first cell, folded"
    for symbol, here, meaning in rows:
        before, since = owned.get(symbol, (meaning, ""))
        if not here and before != meaning:
            yield (
                f"symbols: ${symbol}$ is {before!r} since {since}; another meaning is marked (here), the same one has the same "
                "words"
            )
    named = {letter for symbol in [*owned, *(symbol for symbol, _, _ in rows)] for letter in GREEK.findall(symbol)}
    used = {letter for equation in numbered_equations(source) for letter in GREEK.findall(equation)}
    if used - named:
        yield f"symbols: {', '.join(sorted(used - named))} of numbered equations in no table"


def _tags(lesson: Lesson, source: Notebook) -> Iterator[str]:
    tags = [int(tag.partition(".")[2]) for tag in TAG.findall(prose(source))]
    for before, after in pairwise(tags):
        if after <= before:
            yield f"equations: ({lesson.equations}.{after}) comes after ({lesson.equations}.{before})"
            return


def _pace(lesson: Lesson, source: Notebook) -> Iterator[str]:
    line = main_line(source)
    count = sum(len(TAG.findall(text)) for kind, text in line if kind == "markdown")
    if count > EQUATIONS and not read_card(source).optional:
        yield f"equations: {count} outside folded and optional parts, more than {EQUATIONS}"
    section, lines, first = "", 0, ""
    for kind, text in line:
        if kind == "code" and PICTURE.search(text):
            lines = 0
        for row in text.splitlines() if kind == "markdown" else ():
            if row.startswith("## "):
                section, lines = row, 0
            elif row.strip() and section.startswith("## 2. "):
                first = first if lines else row
                lines += 1
                if lines == LINES + 1:
                    yield f"derivation: more than {LINES} lines without a picture, from {first[:50]!r} to {row[:50]!r}"


def _moving(lesson: Lesson, source: Notebook) -> Iterator[str]:
    if not any(re.search(r"^moving\(", cell.source, re.M) for cell in source.cells if cell.cell_type == "code"):
        yield "moving picture: expected a cell with moving(draw, alt, name=knob(...))"


def _kept(lesson: Lesson, source: Notebook, executed: Notebook | None) -> Iterator[str]:
    """What the notebook holds: the moving picture within its limit, and the times of the run."""
    if executed is None:
        return
    pages = [output.get("data", {}).get("text/html", "") for cell in executed.cells for output in cell.get("outputs", [])]
    films = [page for page in pages if "data-film=" in page]
    if not films:
        yield "moving picture: the notebook holds none"
    for page in films:
        if len(page) > LIMIT:
            yield f"moving picture: {len(page) // 1000} kB, more than {LIMIT // 1000}"
    times = executed.metadata.get("linattn_np", {})
    if not times:
        yield f"times: the notebook does not say how long it ran; python -m linattn_np lessons run {lesson.number} writes it down"
        return
    if times["profile"] == "smoke":
        yield "times: executed in the smoke profile"
    if times["profile"] == "class" and times["seconds"] > SECONDS:
        yield f"times: {times['seconds']} s, more than {SECONDS}"
    if times["first_figure"] is None or times["first_figure"] > FIRST_FIGURE:
        yield f"times: first figure after {times['first_figure']} s, more than {FIRST_FIGURE}"


def _page(lesson: Lesson, source: Notebook) -> Iterator[str]:
    """The teacher's page: its title, its five parts, three slips, the answers to the exit ticket."""
    file = page_of(lesson)
    name = f"teaching/{file.name}"
    if not file.is_file():
        yield f"{name}: expected a page for the teacher, with the parts {', '.join(PARTS)}"
        return
    text = file.read_text(encoding="utf-8")
    title = f"# Teaching lesson {lesson.number}. {read_card(source).title}"
    if text.partition("\n")[0] != title:
        yield f"{name}: expected the title {title!r}"
    pieces = re.split(r"^## (.+)\n", text, flags=re.M)
    parts = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    if tuple(parts) != PARTS:
        yield f"{name}: expected the parts {', '.join(PARTS)}; got {', '.join(parts) or 'none'}"
        return
    empty = [part for part, words in parts.items() if not words.strip()]
    if empty:
        yield f"{name}: nothing stands under {', '.join(empty)}"
    slips = re.findall(r"^\d+\. ", parts[PARTS[1]], re.M)
    if len(slips) != 3:
        yield f"{name}: expected three slips, numbered, got {len(slips)}"
    answers = dict(re.findall(r"^- \*\*(t\d): (.+?)\.\*\*", parts[PARTS[4]], re.M))
    right = {id.partition(".")[2]: str(one.reference) for id, one in of_lesson(lesson.number).items() if ".t" in id}
    if answers != right:
        yield f"{name}: the answers to the exit ticket, '- **t1: b.** why' and so on, are not those of the exercises"
