"""What a finished lesson keeps: a small made lesson passes, and fails when it is broken in any one place."""

from dataclasses import replace

import made_lesson
import pytest
from made_lesson import PAGE, SOURCE

from linattn_np.__main__ import main
from linattn_np.teaching import course_map, finished, handout, rules, sources
from linattn_np.teaching.film import LIMIT


@pytest.fixture
def checked(tmp_path, monkeypatch, capsys):
    """``checked(source=..., page=..., change=...)`` -> what ``lessons check`` says of the made lesson, and its exit status."""
    monkeypatch.setattr(rules, "of_lesson", lambda number: made_lesson.EXERCISES)
    monkeypatch.setattr(finished, "of_lesson", lambda number: made_lesson.EXERCISES)
    monkeypatch.setattr(rules, "equations_quoted", dict)
    monkeypatch.setattr(rules, "WORDS", (0, 2500))

    def check(*options, **changes):
        made_lesson.write(tmp_path, **changes)
        status = main(["lessons", "check", "--folder", str(tmp_path), *options])
        return capsys.readouterr().out, status

    return check


def test_the_made_lesson_keeps_every_rule(checked):
    assert checked() == (f"{'01_made':36s} ok\n", 0)


CHANGED = {  # before, after, what the check says
    "minutes": ("| 25 min | 40 min", "| 25 min | 30 min", "minutes: the card says 30 min of code, its exercises add up to 40"),
    "no sentence": ("**Afterwards you can say.**", "**Afterwards.**",
                    "card: expected a line '**Afterwards you can say.** ... (t2)'"),
    "a sentence that nothing tests": (" (t2)", "", "card: expected a line '**Afterwards you can say.** ... (t2)'"),
    "no table": ("| $", "| ", "symbols: expected a table"),
    "a letter in no table": (r"| $\eta$ |", r"| $\xi$ |", "symbols: eta of numbered equations in no table"),
    "another meaning": ("| $P$ (here) |", "| $P$ |", "symbols: $P$ is 'value matrix of a layer' since the key"),
    "tags": (r"\tag{1.2}", r"\tag{1.5}", "equations: (1.3) comes after (1.5)"),
    "equations": ("### Optional. For the curious", "### For everybody",
                  "equations: 32 outside folded and optional parts, more than 20"),
    "no picture on the way": ('moving(draw, "A line.", eta=positions)', "1", "derivation: more than 40 lines without a picture"),
    "unfolded": ("<details>", "<b>", "derivation: more than 40 lines without a picture"),
    "no moving picture": ("moving(draw", "show(draw", "moving picture: expected a cell with moving("),
}  # fmt: skip


@pytest.mark.parametrize("fault", CHANGED)
def test_a_broken_source_fails(fault, checked):
    before, after, complaint = CHANGED[fault]
    assert before in SOURCE
    said, status = checked(source=SOURCE.replace(before, after))
    assert complaint in said and status == 1


def test_an_optional_lesson_may_have_more_equations(checked):
    source = SOURCE.replace("### Optional. For the curious", "### For everybody").replace(
        "A made lesson", "A made lesson (optional)"
    )
    assert "outside folded" not in checked(source=source)[0]


def test_an_optional_part_ends_at_the_next_heading(tmp_path):
    made_lesson.write(tmp_path)
    line = sources.main_line(sources.read_source(tmp_path / "source" / "01_made.py"))
    text = "\n".join(words for _, words in line)
    assert (
        "For the curious" not in text
        and "for the curious" not in text
        and "## 3. On paper" in text
        and "A folded line" not in text
    )


def film_of(notebook):
    return next(output for cell in notebook.cells for output in cell.get("outputs", []) if "text/html" in output.get("data", {}))


NOTEBOOKS = {
    "no film": (lambda nb: film_of(nb).data.pop("text/html"), "moving picture: the notebook holds none"),
    "a large film": (
        lambda nb: film_of(nb).data.update({"text/html": "<div data-film=''>" + " " * LIMIT}),
        "moving picture: 300 kB",
    ),
    "no description": (lambda nb: film_of(nb).metadata.clear(), "a picture without a description"),
    "no times": (lambda nb: nb.metadata.pop("linattn_np"), "times: the notebook does not say how long it ran"),
    "slow": (lambda nb: nb.metadata["linattn_np"].update(seconds=91), "times: 91 s, more than 90"),
    "late": (lambda nb: nb.metadata["linattn_np"].update(first_figure=11), "times: first figure after 11 s, more than 10"),
    "a smoke run": (lambda nb: nb.metadata["linattn_np"].update(profile="smoke"), "times: executed in the smoke profile"),
    "large": (lambda nb: nb.metadata.update(title="x" * 700_000), "kB, more than 700"),
}


@pytest.mark.parametrize("fault", NOTEBOOKS)
def test_a_broken_notebook_fails(fault, checked):
    change, complaint = NOTEBOOKS[fault]
    said, status = checked(change=change)
    assert complaint in said and status == 1


PAGES = {
    "title": ("# Teaching lesson 01. A made", "# Lesson 01. A", "expected the title '# Teaching lesson 01. A made lesson'"),
    "a part": ("## Board plan", "## Plan", "expected the parts What to stress"),
    "an empty part": ("Left, right.", "", "nothing stands under Board plan"),
    "two slips": ("3. *Three.*", "*Three.*", "expected three slips, numbered, got 2"),
    "a wrong answer": ("**t2: b.**", "**t2: a.**", "the answers to the exit ticket"),
}


@pytest.mark.parametrize("fault", PAGES)
def test_a_broken_page_fails(fault, checked):
    before, after, complaint = PAGES[fault]
    assert before in PAGE
    said, status = checked(page=PAGE.replace(before, after))
    assert f"teaching/01.md: {complaint}" in said and status == 1


def test_without_a_page_what_is_missing_is_said_and_fails_nothing(checked):
    said, status = checked("--missing", page="", source=SOURCE.replace("| 25 min | 40 min", "| 25 min | 30 min"))
    assert status == 0 and "ok, 2 missing" in said
    assert "    missing: minutes: the card says 30" in said and "    missing: teaching/01.md: expected a page" in said


def test_a_later_lesson_keeps_a_letters_meaning_or_says_that_it_is_here_only(tmp_path):
    (tmp_path / "source").mkdir()
    rows = {
        "01": r"$\eta$ | step length",
        "05b": r"$\eta$ (here) | a rate",
        "06": r"$\eta$ | a rate",
        "07": r"$\kappa$ (here) | curvature",
        "08": r"$\kappa$ | a ratio",
    }
    for number, row in rows.items():
        card = f"# %% [markdown]\n# # Lesson {number}. Made\n#\n# | {row} |\n\n# %%\n1\n"
        (tmp_path / "source" / f"{number}_made.py").write_text(f"# ---\n# jupyter:\n#   x: 1\n# ---\n\n{card}", encoding="utf-8")
    found = {
        lesson.number: list(finished._symbols(lesson, sources.read_source(lesson.source)))
        for lesson in sources.find_lessons(tmp_path)
    }
    assert found["01"] == found["05b"] == found["07"] == found["08"] == []
    assert found["06"][0].startswith(r"symbols: $\eta$ is 'step length' since lesson 01")


def test_a_day_is_never_longer_than_a_hundred_minutes(tmp_path):
    made_lesson.write(tmp_path, source=SOURCE.replace("level 1, 10 min)", "level 1, 40 min)"))
    course = course_map.read(tmp_path)
    assert [sum(minutes for *_, minutes in day) for day in course_map.days(course)] == [66, 80, 40]
    assert course_map.plan_in_words(course).splitlines()[2:4] == [
        "| 1 | 01: the page, 01.1 | 66 |",
        "| 2 | 01: 01.2 to 01.3 | 80 |",
    ]
    long = [course[0]._replace(exercises=[("01.1", 101)])]
    assert course_map.complaints(course) == [] and course_map.complaints(long) == [
        "plan: 01.1 of lesson 01 alone takes 101 minutes, more than 100"
    ]
    assert course_map.days([course[0]._replace(card=replace(course[0].card, optional=True))]) == []


def test_a_plan_that_is_too_long_or_old_fails(checked, tmp_path):
    marks = f"{course_map.BEGIN}\n{course_map.END}\n<!-- days: begin --><!-- days: end -->"
    (tmp_path / "README.md").write_text(marks, encoding="utf-8")
    source = SOURCE.replace("level 1, 10 min)", "level 1, 101 min)").replace("| 25 min | 40 min", "| 25 min | 404 min")
    said, status = checked(source=source)
    assert status == 1 and "README.md: plan: 01.1 of lesson 01 alone takes 101 minutes, more than 100" in said
    assert "README.md: its map or plan differs from the lessons' cards" in said
    assert main(["lessons", "map", "--folder", str(tmp_path)]) == 0
    assert "| 2 | 01: 01.1 | 101 |" in (tmp_path / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text("no marks", encoding="utf-8")
    assert main(["lessons", "map", "--folder", str(tmp_path)]) == 1


def test_the_sitting_is_made_from_the_cards(tmp_path):
    made_lesson.write(tmp_path)
    text = f"{course_map.BEGIN}\n{course_map.END}\n<!-- sitting 01: begin -->old<!-- sitting: end -->"
    new = course_map.renewed(text, course_map.read(tmp_path))
    assert "1. Lesson 01, A made lesson: 25 minutes.\n\nTogether 25 minutes." in new and "old" not in new
    assert course_map.renewed(new, course_map.read(tmp_path)) == new
    with pytest.raises(ValueError, match="expected lessons in the mark of the sitting, got 09"):
        course_map.renewed(text.replace("sitting 01", "sitting 09"), course_map.read(tmp_path))


def test_a_handout_holds_nothing_of_the_teachers_page(tmp_path, capsys):
    made_lesson.write(tmp_path)
    out = tmp_path / "out"
    assert main(["lessons", "handout", "--folder", str(tmp_path), "--out", str(out)]) == 0
    assert [file.name for file in out.rglob("*")] == ["01_made.ipynb"]
    student = handout.to_handout(sources.read_source(tmp_path / "source" / "01_made.py"))
    assert "linattn_np" not in student.metadata and "Board plan" not in str(student)
