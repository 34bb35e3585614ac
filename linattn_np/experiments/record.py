"""A figure as it is kept: NAME.png, and beside it NAME.json with the numbers and everything that decided them."""

import json
import platform
import textwrap
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..training import runs
from ..training.files import atomic_file, read_regular, set_aside, write_text
from ..training.runs import RunFolder
from .curves import Numbers
from .registry import Experiment, experiment
from .rules import contradicted, judge
from .scale import Scale, counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = 9  # of the mark, that an inch has room for
LARGEST = 100_000_000  # bytes: more is not a figure's JSON


def write(out: Path, name: str, module: Experiment, numbers: Numbers, scale: Scale, seconds: float, folder: RunFolder) -> None:
    """Draw the numbers into OUT/name.png and write OUT/name.json; each appears whole or not at all."""
    picture = BytesIO()
    figure = module.draw(numbers, scale)
    record = {
        "title": module.TITLE, "alt": module.ALT, "scale": vars(scale), "seeds": list(range(scale.seeds)),
        "format": runs.FORMAT, "versions": versions(),
        "seconds": {"this_command": round(seconds, 1), "training_of_its_runs": round(sum(folder.seconds.values()), 1)},
        **rounded(numbers),
    }  # fmt: skip
    if scale.name != "paper":
        mark(figure, module, record, scale)
    figure.savefig(picture, format="png", dpi=150, metadata={"Software": None})
    with atomic_file(out / f"{name}.png") as file:
        file.write(picture.getvalue())
    write_text(out / f"{name}.json", json.dumps(record, indent=1) + "\n")


def mark(figure: "Figure", module: Experiment, record: Numbers, scale: Scale) -> None:
    """Write under a picture that it is not at the paper's scale, what was run, and how much of what the paper says it lacks."""
    stated = [claim for claim in module.CLAIMS if claim.printed or claim.reported]
    missing = len(contradicted(stated, record))
    words = [f"{scale.name}: {module.sizes(scale)}; not the paper's scale"]
    if missing:
        words.append(
            f"of the paper's {counted(len(stated), 'statement')} {missing} {'does' if missing == 1 else 'do'} not show at this "
            "size"
        )
    width = int(LETTERS * figure.get_figwidth())
    lines = [line for sentence in words for line in textwrap.wrap(sentence, width)]
    figure.supxlabel("\n".join(lines), fontsize=11, color="#D55E00", fontweight="bold")


def read(folder: Path, name: str) -> Numbers | None:
    """The numbers of FOLDER/name.json, or None where there is none.

    Raises ValueError where it is not what :func:`write` wrote.
    """
    file = folder / f"{name}.json"
    module = experiment(name)
    try:
        text = read_regular(file, LARGEST)
        if text is None:
            return None
        numbers: Numbers = json.loads(text)
        Scale(**numbers["scale"])
        if not is_earlier(numbers):
            module.summary(numbers)
        for claim in module.CLAIMS:
            judge(claim, numbers)
        return numbers
    except OSError:
        raise
    except Exception as error:  # whatever is missing or of another kind shows as the error of who looks for it
        raise ValueError(f"{file} is not what reproduce writes ({type(error).__name__}: {error})") from error


def is_earlier(numbers: Numbers) -> bool:
    """Whether a figure was drawn from runs of an earlier format, whose numbers the same description no longer gives."""
    return bool(numbers["format"] != runs.FORMAT)


def broken(folder: Path, name: str) -> str:
    """Set a figure's JSON aside that cannot be read. -> what to say about it, or nothing where it is whole or absent"""
    try:
        read(folder, name)
    except ValueError as error:
        aside = set_aside(folder / f"{name}.json")
        return f"{error}; {f'kept as {aside.name}, ' if aside else ''}and {name} is drawn again"
    return ""


def versions() -> dict[str, str | None]:
    """The versions that the numbers were made with."""
    found: dict[str, str | None] = {"linattn_np": __version__, "python": platform.python_version()}
    for package in ("numpy", "matplotlib", "numba"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def rounded(value: Any) -> Any:
    """Numbers to six digits, and None for NaN, so that the file stays small and is strict JSON."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
