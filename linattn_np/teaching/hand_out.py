"""Copies of the lessons for students and teachers: handouts, complete lessons, nbgrader's version, and a lesson opened in
JupyterLab.
"""

import argparse
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from ..training.runs import write_text
from .handout import to_handout
from .nbgrader import to_nbgrader
from .sources import Lesson, Notebook, read_source


def write(file: Path, notebook: Notebook) -> None:
    """A notebook's file, whole or not at all."""
    import nbformat

    write_text(file, nbformat.writes(notebook) + "\n")
    print(f"written: {file}")


def other_folder(name: str, out: str, folder: Path) -> Path:
    """``out``, which may not be where complete lessons are. Raises ValueError."""
    if Path(out).resolve() == folder.resolve() or (Path(out) / "source").is_dir():
        raise ValueError(f"{name}: expected another folder than {out}, where the complete lessons are")
    return Path(out)


def write_handouts(args: argparse.Namespace, lessons: list[Lesson]) -> int:
    """The students' version, or nbgrader's, never beside the lesson itself."""
    out = other_folder("--out", args.out, args.folder)
    for lesson in lessons:
        name, complete = lesson.notebook.name, read_source(lesson.source)
        write(out / name, to_nbgrader(complete) if args.nbgrader else to_handout(complete, name))
    return 0


def copy_lessons(args: argparse.Namespace, lessons: list[Lesson]) -> int:
    """Handouts, or complete lessons, into a folder; a file that is there may hold somebody's answers and is kept."""
    out = other_folder("DIR", args.out, args.folder)
    for lesson in lessons:
        place(lesson, out, args.solutions)
    return 0


def place(lesson: Lesson, out: Path, solutions: bool) -> Path:
    """Copy one lesson unless a file of its name is there. -> the file"""
    file = out / lesson.notebook.name
    if file.exists():
        print(f"kept as it is: {file}")
    elif solutions:
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(lesson.notebook, file)
        print(f"written: {file}")
    else:
        write(file, to_handout(read_source(lesson.source), file.name))
    return file


def open_lesson(args: argparse.Namespace, lessons: list[Lesson]) -> int:
    """JupyterLab with one lesson, in a copy of it. -> JupyterLab's exit status"""
    if find_spec("jupyterlab") is None:
        raise ValueError("JupyterLab is not installed: python -m pip install 'linattn_np[lessons]'")
    out = args.folder if (Path(args.out) / "source").is_dir() else Path(args.out)
    file = place(lessons[0], out / "solutions" if args.solutions and out != args.folder else out, args.solutions)
    return subprocess.run([sys.executable, "-m", "jupyterlab", str(file)]).returncode
