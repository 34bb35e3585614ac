"""The lessons as pages: outputs as they are kept, solutions folded, and the teacher's pages."""

from pathlib import Path

import nbformat
from words import formulas_in_html, relinked

from linattn_np.teaching.sources import find_lessons, read_card, read_source

FOLDED = "hide-input"  # MyST-NB shows a button in the place of a cell's code
PARTS = {  # the course's parts, by the number of a lesson
    "Part I. The machine, by hand": range(1, 7),
    "Part II. The phenomena": range(7, 12),
    "Part III. Turning the knobs": range(12, 16),
    "Part IV. What the layers compute": range(16, 26),
    "Part V. Why": range(26, 100),
}


def write(lessons: Path, out: Path) -> None:
    """lessons/index.md, a page for each lesson, lessons/teaching/NN.md."""
    (out / "teaching").mkdir(parents=True)
    found = find_lessons(lessons)
    for lesson in found:
        notebook = nbformat.read(lesson.notebook, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = formulas_in_html(relinked(cell.source, "lessons/"))
            elif "### BEGIN SOLUTION" in cell.source:
                cell.metadata["tags"] = [FOLDED]
        nbformat.write(notebook, out / lesson.notebook.name)
    text = relinked((lessons / "README.md").read_text(encoding="utf-8"), "lessons/").replace("```mermaid", "```text")
    lines = [text]
    for part, numbers in PARTS.items():
        names = [lesson.name for lesson in found if int(lesson.number[:2]) in numbers]
        if names:
            lines += ["", "```{toctree}", ":hidden:", f":caption: {part}", "", *names, "```"]
    pages = sorted((lessons / "teaching").glob("*.md"))
    for page in pages:
        (out / "teaching" / page.name).write_text(
            relinked(page.read_text(encoding="utf-8"), "lessons/teaching/"), encoding="utf-8"
        )
    (out / "index.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    titles = {lesson.number: read_card(read_source(lesson.source)).title for lesson in found}
    listed = [f"- [{page.stem}. {titles.get(page.stem, '')}]({page.name})" for page in pages]
    toc = ["```{toctree}", ":hidden:", "", *(page.stem for page in pages), "```"]
    words = "A page for each lesson: what to stress, three slips, a board plan, what to skip, the exit ticket's answers."
    (out / "teaching" / "index.md").write_text(
        "\n".join(["# For teachers", "", words, "", *listed, "", *toc]) + "\n", encoding="utf-8"
    )
