"""Handing out and grading: points, nbgrader's version, copies that keep what is there, and notebooks judged in a process of their
own.
"""

import json
import subprocess
from pathlib import Path

import nbformat
import pytest

from linattn_np.__main__ import main
from linattn_np.teaching import grade, graded, hand_out, nbgrader, places
from linattn_np.teaching.exercise import find
from linattn_np.teaching.handout import to_handout
from linattn_np.teaching.points import checks_in, points
from linattn_np.teaching.sources import find_lessons, read_source

RIGHT = find("01.1").reference
SOURCE = f'''
# %% [markdown]
# # Lesson 01. A small one
#
# <!-- ### BEGIN SOLUTION -->
# What comes out.
# <!-- ### END SOLUTION -->
#
# ### Exercise 01.1 (derive, level 3, 5 min)

# %%
from linattn_np.teaching import check

# %%
### BEGIN SOLUTION
answer = {RIGHT!r}
### END SOLUTION
check("01.1", answer)

# %%
def twice(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %%
### BEGIN SOLUTION
t1 = "{find("01.t1").reference}"
t2 = "{find("01.t2").reference}"
### END SOLUTION
check("01.t1", t1)
check("01.t2", t2)
'''


@pytest.fixture
def lessons(tmp_path):
    """A folder of lessons with one small one: the folder, the lesson, and its notebook as read from the source."""
    folder = tmp_path / "complete"
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "01_small.py").write_text(SOURCE.lstrip())
    (lesson,) = find_lessons(folder)
    return folder, lesson, read_source(lesson.source)


def test_an_exercise_is_worth_its_level_and_a_question_one_point(lessons):
    _, _, notebook = lessons
    assert points(notebook) == {"01.1": 3, "01.t1": 1, "01.t2": 1}
    cell = nbformat.v4.new_code_cell(
        '%matplotlib inline\ncheck("01.2", f(1) + 2)\nprint(check)\ncheck(x, 3)\ncheck("nothing", 1)'
    )
    assert checks_in(cell) == [("01.2", "f(1) + 2")]


def test_the_version_for_nbgrader_has_answers_and_hidden_tests(lessons):
    _, _, notebook = lessons
    made = nbgrader.to_nbgrader(notebook)
    nbformat.validate(made)
    assert len({cell.id for cell in made.cells}) == len(made.cells) and "jupytext" not in made.metadata
    assert "What comes out" not in made.cells[0].source
    kinds = [cell.metadata.get("nbgrader") for cell in made.cells]
    answers = [cell for cell, kind in zip(made.cells, kinds, strict=True) if kind and kind["solution"]]
    tests = [cell for cell, kind in zip(made.cells, kinds, strict=True) if kind and kind["grade"]]
    assert len(answers) == 3 and all("BEGIN SOLUTION" in cell.source and "check(" not in cell.source for cell in answers)
    assert [(cell.metadata["nbgrader"]["grade_id"], cell.metadata["nbgrader"]["points"]) for cell in tests] == [
        ("check-01-1", 3), ("check-01-t1", 1), ("check-01-t2", 1),
    ]  # fmt: skip
    assert tests[0].source.splitlines() == [
        'check("01.1", answer)', "### BEGIN HIDDEN TESTS", 'check("01.1", answer, strict=True)', "### END HIDDEN TESTS",
    ]  # fmt: skip


def test_copies_keep_what_is_there_and_never_touch_the_complete_lessons(lessons, tmp_path, monkeypatch, capsys):
    folder, lesson, notebook = lessons
    monkeypatch.chdir(tmp_path)
    assert main(["lessons", "copy", "mine", "--folder", str(folder)]) == 0
    file = tmp_path / "mine" / "01_small.ipynb"
    assert "answer = ..." in file.read_text()
    file.write_text("my work")
    assert main(["lessons", "copy", "mine", "--folder", str(folder)]) == 0
    assert "kept as it is: mine/01_small.ipynb" in capsys.readouterr().out and file.read_text() == "my work"
    nbformat.write(notebook, lesson.notebook)
    assert main(["lessons", "copy", "whole", "1", "--solutions", "--folder", str(folder)]) == 0
    assert (tmp_path / "whole" / "01_small.ipynb").read_bytes() == lesson.notebook.read_bytes()
    for out in (folder, str(folder)):
        assert main(["lessons", "copy", str(out), "--folder", str(folder)]) == 2
        assert "DIR: expected another folder than" in capsys.readouterr().err
    assert main(["lessons", "handout", "1", "--nbgrader", "--out", "ps", "--folder", str(folder)]) == 0
    assert "HIDDEN TESTS" in (tmp_path / "ps" / "01_small.ipynb").read_text()


def test_open_copies_first_and_starts_jupyterlab(lessons, tmp_path, monkeypatch):
    folder, lesson, notebook = lessons
    nbformat.write(notebook, lesson.notebook)
    monkeypatch.chdir(tmp_path)
    started = []
    monkeypatch.setattr(hand_out, "find_spec", lambda name: name)
    monkeypatch.setattr(subprocess, "run", lambda command: started.append(command[1:]) or subprocess.CompletedProcess(command, 3))
    assert main(["lessons", "open", "1", "--folder", str(folder)]) == 3
    assert main(["lessons", "open", "1", "--solutions", "--folder", str(folder)]) == 3
    assert started == [["-m", "jupyterlab", f"lessons/{where}01_small.ipynb"] for where in ("", "solutions/")]
    assert "answer = ..." in (tmp_path / "lessons" / "01_small.ipynb").read_text()
    assert "BEGIN SOLUTION" in (tmp_path / "lessons" / "solutions" / "01_small.ipynb").read_text()
    monkeypatch.setattr(hand_out, "find_spec", lambda name: None)
    assert main(["lessons", "open", "1", "--folder", str(folder)]) == 2


def test_the_course_is_found_here_in_the_repository_or_in_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert places.lessons_folder("else") == Path("else")
    assert places.lessons_folder() == places.PACKAGE.parent / "lessons"
    installed = tmp_path / "site" / "linattn_np"
    monkeypatch.setattr(places, "PACKAGE", installed)
    monkeypatch.setattr(places, "INSTALLED", installed / "course")
    assert places.lessons_folder() == Path("lessons")  # nowhere: the error names what was expected here
    (installed / "course" / "lessons" / "source").mkdir(parents=True)
    assert places.lessons_folder() == installed / "course" / "lessons" and places.is_installed(places.lessons_folder())
    (installed / "course" / "figures").mkdir()
    (installed / "course" / "figures" / "scorecard.json").write_text("{}")
    assert places.figures_folder() == installed / "course" / "figures"
    (tmp_path / "lessons" / "source").mkdir(parents=True)
    assert places.lessons_folder() == Path("lessons") and not places.is_installed(Path("lessons"))


# ---------------------------------------------------------------- grading


def hand_in(notebook, file, **answers):
    """Write a notebook with answers in the place of cells, found by a text in them."""
    for text, answer in answers.items():
        next(cell for cell in notebook.cells if cell.cell_type == "code" and text in cell.source).source = answer
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, file)


def test_notebooks_are_graded_apart_and_come_back_as_a_table(lessons, tmp_path, monkeypatch, capsys):
    folder, _, notebook = lessons
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "handed_in"
    offline = (
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9))\nexcept PermissionError:\n"
        f"    answer = {RIGHT!r}\nimport sys\nsys.exit(0)"
    )
    hand_in(to_handout(notebook), place / "anna" / "one.ipynb", answer=offline)  # an error, and an exit, end a cell only
    cheating, right = "check = lambda *given: None\nanswer = 17", f't1 = "{find("01.t1").reference}"\nt2 = 5'
    hand_in(to_handout(notebook), place / "ben" / "01_small.ipynb", answer=cheating, t2=right)
    (place / "carl.ipynb").write_text("{")
    assert main(["lessons", "grade", "handed_in", "--folder", str(folder), "--out", "points.csv"]) == 1
    assert (tmp_path / "points.csv").read_text().splitlines() == [
        "student,lesson,points,of,right,not right,remark",
        "carl,,0,0,,,carl.ipynb: not the notebook of a lesson",
        "anna,01,3,5,01.1,01.t1 01.t2,",
        "ben,01,1,5,01.t1,01.1 01.t2,",
    ]
    out = capsys.readouterr().out
    assert "anna" in out and "3 of   5  not right: 01.t1 01.t2" in out and "written: points.csv" in out


def test_what_takes_too_long_or_dies_is_a_remark(lessons, tmp_path, monkeypatch):
    _, lesson, notebook = lessons
    file = tmp_path / "anna.ipynb"
    hand_in(to_handout(notebook), file, answer="import os\nos._exit(7)")
    died = grade.grade_one("anna", file, {"01": lesson}, 60)
    assert (died.points, died.of, died.not_right, died.remark) == (0, 5, ["01.1", "01.t1", "01.t2"], "ended with status 7")

    def late(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", late)
    assert grade.grade_one("anna", file, {"01": lesson}, 60).remark == "stopped after 60 s"


def test_checks_are_the_lessons_own_and_follow_the_cell_that_has_them(lessons):
    _, _, notebook = lessons
    handed_in = to_handout(notebook)
    del handed_in.cells[-1]  # the questions were deleted
    next(cell for cell in handed_in.cells if 'check("01.1"' in cell.source).id = "renamed"  # another editor gave it another id
    steps = graded.plan(notebook, handed_in)
    assert [checks for _, checks in steps] == [
        [], [], [("01.1", "answer")], [], [("01.t1", "t1"), ("01.t2", "t2")],
    ]  # fmt: skip
    assert graded.is_right("01.1", "answer", {"answer": RIGHT}) and not graded.is_right("01.1", "answer", {})
    assert not graded.is_right("01.2", "f", {"f": lambda *inputs: exit()})


@pytest.mark.parametrize("event", graded.FORBIDDEN)
def test_no_network_and_no_programs(event):
    with pytest.raises(PermissionError, match=f"{event} is not allowed"):
        graded.refuse(event, ())
    graded.refuse("open", ())


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["grade", "nowhere"], "FOLDER: expected a folder of handed-in notebooks, got nowhere"),
        (["grade", "."], "FOLDER: expected notebooks in . or in a folder for each student there, got none"),
        (["grade", ".", "--seconds", "0"], "--seconds: expected a finite number above 0, got 0.0"),
    ],
)
def test_wrong_usage_is_said(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["lessons", *arguments]) == 2 and said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_lesson_of_a_notebook_is_read_off_its_title(tmp_path):
    for text, number in (("# Lesson 05b. The blocks", "05b"), ("# Lesson five", "")):
        (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": [text]}]}))
        assert grade.lesson_of(tmp_path / "a.ipynb") == number
