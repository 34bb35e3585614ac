"""``python -m linattn_np lessons ACTION``: open, copy, execute, verify, hand out and grade the lessons, and renew their map."""

import argparse
import os
import sys
from pathlib import Path

from .._checks import as_count, as_real
from ..training.runs import write_text
from . import course_map
from .execute import Execution, run_all
from .finished import check_finished, is_finished
from .grade import as_csv, grade_all
from .hand_out import copy_lessons, open_lesson, write_handouts
from .places import is_installed, lessons_folder
from .profiles import PROFILES, profile
from .rules import check_notebook, check_source
from .sources import Lesson, find_lessons, read_source

SLIDER_LIMIT, FIGURE_LIMIT, LESSON_LIMIT = 1 / 3, 10, {"smoke": 15, "class": 90, "paper": float("inf")}  # seconds
ACTIONS = {
    "open": ("open a lesson in JupyterLab; the students' version is copied first where it is not there yet", "lessons open 1"),
    "copy": (
        "copy the students' versions, or with --solutions the complete lessons, into a folder of yours; what is there is kept",
        "lessons copy my_course",
    ),
    "run": ("execute lessons from their sources on fresh kernels and write the notebooks", "lessons run 1 2"),
    "check": ("verify lessons: source and notebook agree, executed, no warnings, within the budgets", "lessons check"),
    "map": (
        "renew the map and the plan of days in the lessons' README from the cards, without executing anything",
        "lessons map",
    ),
    "handout": ("write the students' version: solutions cut to stubs, outputs cleared", "lessons handout 2 --out handouts"),
    "grade": (
        "run each handed-in notebook of FOLDER or of a student's folder in it, apart and without network, and write a table",
        "lessons grade handed_in --out grades.csv",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    for name, (summary, example) in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary, epilog=f"example: python -m linattn_np {example}")
        if name == "copy":
            action.add_argument("out", nargs="?", default="lessons", metavar="DIR", help="where to (default: lessons)")
        if name == "grade":
            action.add_argument("handed_in", metavar="FOLDER", help="the handed-in notebooks")
        if name == "open":
            action.add_argument("numbers", nargs=1, metavar="NUMBER", help="a lesson, such as 2, 02 or 5b")
        elif name not in ("map", "grade"):
            action.add_argument("numbers", nargs="*", metavar="NUMBER", help="lessons, such as 2, 02 or 5b (default: all)")
        action.add_argument(
            "--folder", help="where the complete lessons are (default: lessons here, else those that came with the package)"
        )
        if name in ("copy", "open"):
            action.add_argument("--solutions", action="store_true", help="the complete lesson, with solutions and outputs")
        if name == "open":
            action.add_argument("--out", default="lessons", help="the folder of your copies (default: lessons)")
        if name == "run":
            action.add_argument("--profile", choices=PROFILES, help="how much to compute (default: LINATTN_PROFILE, or class)")
            action.add_argument("--workers", type=int, help="kernels at the same time (default: one for each core)")
            action.add_argument(
                "--out", help="folder for the notebooks (default: in place; a smoke run is written only with --out)"
            )
        if name == "check":
            action.add_argument(
                "--missing", action="store_true", help="list what a lesson without a teacher's page does not keep yet"
            )
        if name == "handout":
            action.add_argument("--out", default="handouts", help="folder for the handouts (default: handouts)")
            action.add_argument("--nbgrader", action="store_true", help="write nbgrader's source version instead, with points")
        if name == "grade":
            action.add_argument("--out", default="grades.csv", metavar="FILE", help="the table (default: grades.csv)")
            action.add_argument("--seconds", type=float, default=300, help="time for one notebook (default: 300)")
            action.add_argument("--workers", type=int, help="notebooks at the same time (default: one for each core)")


def run(args: argparse.Namespace) -> int:
    """-> exit status: 0 when all is well, 1 when a lesson fails."""
    try:
        import jupytext  # noqa: F401
        import nbclient  # noqa: F401
    except ImportError as error:
        raise ValueError(f"the lessons need Jupyter and jupytext: pip install -r requirements.txt ({error})") from None
    args.folder = lessons_folder(args.folder)
    lessons = find_lessons(args.folder, getattr(args, "numbers", ()))  # or say what was expected there
    if args.action == "map":
        return _renew_map(args.folder)
    actions = {
        "run": run_lessons, "check": check_lessons, "handout": write_handouts, "copy": copy_lessons, "open": open_lesson,
        "grade": grade_lessons,
    }  # fmt: skip
    return actions[args.action](args, lessons)


def run_lessons(args: argparse.Namespace, lessons: list[Lesson]) -> int:
    """Execute, write each notebook that ran to its end, print the timing table, renew the map."""
    import nbformat

    if args.workers is not None and args.workers < 1:
        raise ValueError(f"--workers: expected an integer of at least 1, got {args.workers}")
    chosen = args.profile or profile()
    in_place = Path("lessons") if is_installed(args.folder) else args.folder
    folder = Path(args.out) if args.out else None if chosen == "smoke" else in_place

    def keep(done: Execution) -> None:
        if folder and not done.error:
            done.notebook.metadata["linattn_np"] = {
                "profile": chosen,
                "seconds": round(done.seconds),
                "first_figure": None if done.first_figure is None else round(done.first_figure),
            }
            write_text(folder / done.lesson.notebook.name, nbformat.writes(done.notebook) + "\n")

    executions = run_all([(lesson, read_source(lesson.source)) for lesson in lessons], chosen, args.workers, finished=keep)
    print(f"{'lesson':36s} {'seconds':>8s} {'figure':>7s} {'slowest cell':>13s} {'slider':>7s}  verdict")
    failed = False
    for done in executions:
        complaints = problems(done, chosen)
        failed |= bool(complaints)
        slowest = f"{done.slowest[0]:.1f} in {done.slowest[1]:2d}"
        times = f"{done.seconds:8.1f} {_number(done.first_figure, '.1f'):>7s} {slowest:>13s} {_number(done.slider, '.2f'):>7s}"
        print(f"{done.lesson.name:36s} {times}  {'FAILED' if complaints else 'ok'}")
        for complaint in complaints:
            print(f"    {complaint}")
    if folder and folder == args.folder:
        _renew_map(folder)
    print(f"profile {chosen}; {f'written to {folder}' if folder else 'nothing written: give --out FOLDER to keep a smoke run'}")
    return 1 if failed else 0


def problems(execution: Execution, chosen: str) -> list[str]:
    """What a lesson did in its execution that it may not do. Times are held against the budget for two cores."""
    found = [execution.error] if execution.error else []
    found += execution.warnings
    if execution.seconds > LESSON_LIMIT[chosen]:
        found.append(f"took {execution.seconds:.0f} s, more than {LESSON_LIMIT[chosen]} s in profile {chosen}")
    if execution.first_figure is not None and execution.first_figure > FIGURE_LIMIT:
        found.append(f"first figure after {execution.first_figure:.0f} s, more than {FIGURE_LIMIT} s")
    if execution.slider is not None and execution.slider > SLIDER_LIMIT:
        found.append(f"a slider takes {execution.slider:.2f} s to answer, more than {SLIDER_LIMIT:.2f} s")
    return found


def check_lessons(args: argparse.Namespace, lessons: list[Lesson]) -> int:
    """Verify without executing."""
    import nbformat

    failed = False
    for lesson in lessons:
        source = read_source(lesson.source)
        complaints, missing, notebook = check_source(lesson, source), [], None
        if lesson.notebook.is_file():
            notebook = nbformat.read(lesson.notebook, as_version=4)
            complaints += check_notebook(lesson, source, notebook)
        else:
            complaints.append(f"{lesson.notebook.name} is not there; python -m linattn_np lessons run {lesson.number} makes it")
        if not any(complaint.startswith("card:") for complaint in complaints):
            missing = check_finished(lesson, source, notebook)
        if is_finished(lesson):
            complaints, missing = complaints + missing, []
        print(f"{lesson.name:36s} {'FAILED' if complaints else 'ok'}{f', {len(missing)} missing' if missing else ''}")
        for complaint in complaints:
            print(f"    {complaint}")
        for complaint in missing if args.missing else ():
            print(f"    missing: {complaint}")
        failed |= bool(complaints)
    return 1 if _check_map(args.folder) or failed else 0


def _check_map(folder: Path) -> bool:
    """Say what is wrong with the map. -> whether anything is"""
    readme = folder / "README.md"
    if not readme.is_file():
        return False
    text, course = readme.read_text(encoding="utf-8"), course_map.read(folder)
    found = course_map.complaints(course)
    if course_map.renewed(text, course) != text:
        found.append("its map or plan differs from the lessons' cards; python -m linattn_np lessons map renews it")
    for complaint in found:
        print(f"{readme}: {complaint}")
    return bool(found)


def grade_lessons(args: argparse.Namespace, lessons: list[Lesson]) -> int:
    """The table of points, on file and a line for each notebook here. -> 1 where a notebook could not be judged"""
    folder, workers = Path(args.handed_in), as_count("--workers", args.workers or os.cpu_count() or 1)
    if not folder.is_dir():
        raise ValueError(f"FOLDER: expected a folder of handed-in notebooks, got {folder}")
    found = grade_all(folder, lessons, as_real("--seconds", args.seconds, above=0), workers)
    write_text(Path(args.out), as_csv(found))
    for grade in found:
        said = grade.remark or f"not right: {' '.join(grade.not_right) or 'nothing'}"
        print(f"{grade.student:24s} {grade.lesson:4s} {grade.points:3d} of {grade.of:3d}  {said}")
    print(f"written: {args.out}")
    return 1 if any(grade.remark for grade in found) else 0


def _renew_map(folder: Path) -> int:
    """Bring the map up to date where there is one; a card that cannot be read is a matter for ``check``.

    -> 0, or 1 when it is left as it is
    """
    readme = folder / "README.md"
    if not readme.is_file():
        return 0
    try:
        text = course_map.renewed(readme.read_text(encoding="utf-8"), course_map.read(folder))
    except ValueError as error:
        print(f"{readme} is left as it is: {error}", file=sys.stderr)
        return 1
    if text != readme.read_text(encoding="utf-8"):
        write_text(readme, text)
        print(f"written: {readme}")
    return 0


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
