"""A figure as it is kept: NAME.png, and beside it NAME.json with the numbers and everything that decided them."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..training.runs import RunFolder, atomic_file, write_text
from .curves import Numbers
from .registry import Experiment
from .scale import Scale


def write(out: Path, name: str, module: Experiment, numbers: Numbers, scale: Scale, seconds: float, folder: RunFolder) -> None:
    """Draw the numbers into OUT/name.png and write OUT/name.json; each appears whole or not at all."""
    picture = BytesIO()
    module.draw(numbers, scale).savefig(picture, format="png", dpi=150, metadata={"Software": None})
    with atomic_file(out / f"{name}.png") as file:
        file.write(picture.getvalue())
    record = {
        "title": module.TITLE, "alt": module.ALT, "scale": vars(scale), "seeds": list(range(scale.seeds)),
        "versions": versions(), "seconds": {"this_command": round(seconds, 1), "training_of_its_runs": round(sum(folder.seconds.values()), 1)},
        **rounded(numbers),
    }  # fmt: skip
    write_text(out / f"{name}.json", json.dumps(record, indent=1) + "\n")


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
