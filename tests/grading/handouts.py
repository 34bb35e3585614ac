"""python tests/grading/handouts.py: every handout, executed as a student meets it: it runs through, warns of nothing, attempts
nothing.

Run by .ci/run after the tests, which execute the lessons themselves.
"""

import re

from linattn_np.teaching import execute, handout, sources
from linattn_np.teaching.places import lessons_folder


def shown(notebook):
    """All that a notebook's outputs say as text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)


def main():
    """Execute and look."""
    lessons = sources.find_lessons(lessons_folder())
    runs = execute.run_all(
        [(lesson, handout.to_handout(sources.read_source(lesson.source))) for lesson in lessons], "smoke", progress=False
    )
    for run in runs:
        assert not run.error and not run.warnings, f"{run.lesson.name}: {run.error} {run.warnings}"
        text = shown(run.notebook)
        assert not re.search(r"\d+b?\.\w+: right\b", text) and text.count(": not attempted") >= 7, run.lesson.name
    print(f"{len(runs)} handouts run through and attempt nothing")


if __name__ == "__main__":
    main()
