"""Beside pyproject.toml: the wheel brings the course too, lessons and figures' numbers, as linattn_np/course."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

COURSE = (
    "lessons/*.ipynb",
    "lessons/README.md",
    "lessons/source/*.py",
    "lessons/teaching/*.md",
    "figures/*.json",
    "LICENSE-lessons",
)


class WithCourse(build_py):
    """Copies the course into the package that is built; an editable install uses the repository's own."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        for pattern in COURSE:
            for file in sorted(Path().glob(pattern)):
                place = Path(self.build_lib) / "linattn_np" / "course" / file
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, place)


setup(cmdclass={"build_py": WithCourse})
