"""Where the course is: in the folder one stands in, beside the package in its repository, or inside the installed package."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
INSTALLED = PACKAGE / "course"  # what the wheel brings: lessons/ and figures/ (setup.py)


def lessons_folder(given: str | None = None) -> Path:
    """The folder of the lessons: what was given, else ./lessons, the repository's, or the installed one."""
    if given is not None:
        return Path(given)
    places = [Path("lessons"), PACKAGE.parent / "lessons", INSTALLED / "lessons"]
    return next((place for place in places if (place / "source").is_dir()), places[0])


def is_installed(folder: Path) -> bool:
    """Whether a folder is the installed package's own, in which nothing is written."""
    return folder.resolve().is_relative_to(INSTALLED.resolve())


def figures_folder() -> Path:
    """The folder figures: above the working folder, beside the package in its repository, or the installed one."""
    places = [
        *(folder / "figures" for folder in (Path.cwd(), *Path.cwd().parents)),
        PACKAGE.parent / "figures",
        INSTALLED / "figures",
    ]
    return next((place for place in places if (place / "scorecard.json").is_file()), PACKAGE.parent / "figures")
