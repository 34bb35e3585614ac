"""A handout with two right and two wrong answers, graded by ``lessons grade`` and by nbgrader itself: the same points.

Run by .ci/run in an environment of its own, as ``python tests/grading/with_nbgrader.py``; nbgrader is no requirement of the
project.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from linattn_np.teaching.grade import grade_all
from linattn_np.teaching.handout import to_handout
from linattn_np.teaching.nbgrader import to_nbgrader
from linattn_np.teaching.places import lessons_folder
from linattn_np.teaching.sources import find_lessons, read_source

LESSON = "01"
RIGHT = ("01.1", "01.2")  # of these the lesson's own solution is handed in
WRONG = {"def my_layer(": "def my_layer(*inputs):\n    return 0.0", "def descend(": "def descend(*inputs):\n    return 1.0"}


def answered(release, lesson):
    """A released notebook with two right and two wrong answers, each in the cell in which the lesson has its solution."""
    answers = {text: text for text in ("eta_exact = ", "def make_tokens(")} | WRONG
    for text, answer in answers.items():
        at, solution = next((k, cell) for k, cell in enumerate(lesson.cells) if cell.cell_type == "code" and text in cell.source)
        right = "\n".join(line for line in solution.source.splitlines() if not line.startswith("check("))
        name = f"answer-{at:02d}"
        by_name = [cell for cell in release.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == name]
        (by_name or [cell for cell in release.cells if cell.id == solution.id])[0].source = right if answer == text else answer
    return release


def nbgrader(course, *arguments):
    """Run one of nbgrader's commands in the folder of the course."""
    done = subprocess.run([sys.executable, "-m", "nbgrader", *arguments], cwd=course, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def main():
    (lesson,) = find_lessons(lessons_folder(), [LESSON])
    complete = read_source(lesson.source)
    os.environ["LINATTN_PROFILE"] = "smoke"
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it calls alembic by name
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder)
        (course / "nbgrader_config.py").write_text(
            'c = get_config()\nc.CourseDirectory.course_id = "course"\nc.ExecutePreprocessor.timeout = 300\n'
        )
        source = course / "source" / "ps" / f"{lesson.name}.ipynb"
        source.parent.mkdir(parents=True)
        nbformat.write(to_nbgrader(complete), source)
        nbgrader(course, "generate_assignment", "ps")
        released = nbformat.read(course / "release" / "ps" / source.name, as_version=4)
        text = "\n".join(cell.source for cell in released.cells)
        assert "BEGIN SOLUTION" not in text and "HIDDEN" not in text and "strict" not in text
        submitted = course / "submitted" / "anna" / "ps" / source.name
        submitted.parent.mkdir(parents=True)
        nbformat.write(answered(released, complete), submitted)
        nbgrader(course, "autograde", "ps")
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
            grades = {
                grade.name: (grade.score, grade.max_score)
                for grade in book.find_submission_notebook(lesson.name, "ps", "anna").grades
            }
        theirs = {name.removeprefix("check-").replace("-", "."): score > 0 for name, (score, _) in grades.items()}
        most = sum(most for _, most in grades.values())

        ours_in = course / "handed_in" / "anna.ipynb"
        ours_in.parent.mkdir()
        nbformat.write(answered(to_handout(complete), complete), ours_in)
        (ours,) = grade_all(ours_in.parent, [lesson], 300, 1, progress=False)
    assert ours.right == list(RIGHT) == [id for id, right in theirs.items() if right], (ours, theirs)
    assert set(ours.right + ours.not_right) == set(theirs) and ours.of == most
    print(f"{ours.points} of {ours.of} points by both: right {', '.join(ours.right)}; of {len(theirs)} checks")


if __name__ == "__main__":
    main()
