"""Beside pyproject.toml: the wheel brings the course too, lessons and figures' numbers, as linattn_np/course; the README as an
index shows it.
"""

import re
import shutil
import tomllib
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
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.M | re.S)
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)\s]+)\)")  # relative ones


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


def on_an_index(readme, repository):
    """The README without relative links, which lead nowhere on a package index.

    They become links into the repository, where its address is known; else words, and a picture its description and file.
    """

    def whole(link):
        picture, words, target = link.groups()
        if repository:
            return f"{picture}[{words}]({repository}/{'raw' if picture else 'blob'}/HEAD/{target})"
        if picture:
            return f"(Picture: {words}. It is `{target}` in the source distribution.)"
        return words if words == target else f"{words} (`{target}`)"

    return "".join(part if part.startswith("`") else LINK.sub(whole, part) for part in CODE.split(readme))


if __name__ == "__main__":
    urls = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    setup(
        cmdclass={"build_py": WithCourse},
        long_description=on_an_index(Path("README.md").read_text(encoding="utf-8"), urls.get("Repository", "").rstrip("/")),
        long_description_content_type="text/markdown",
    )
