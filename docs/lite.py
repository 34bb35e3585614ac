"""python docs/lite.py: lessons 01 to 04 as a JupyterLite site, on which Python runs in the reader's browser, into
docs/_build/lite.

Needs `python -m pip install '.[lite]'`; the package's wheel is made, or given with --wheel, and becomes part of the site.
Building asks for nothing from outside. Reading does: Pyodide, its NumPy and its Matplotlib come from the address that JupyterLite
has for them, unless --pyodide names a file or an address of Pyodide's release, which then becomes part of the site too. There is
no Numba in a browser.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from linattn_np.teaching.handout import to_handout  # noqa: E402
from linattn_np.teaching.links import install_cell  # noqa: E402
from linattn_np.teaching.sources import find_lessons, read_source  # noqa: E402

LESSONS = ("01", "02", "03", "04")


def write_lessons(folder: Path) -> None:
    """Handouts whose first cell takes the package from the site itself."""
    folder.mkdir(parents=True)
    for lesson in find_lessons(ROOT / "lessons", LESSONS):
        handout = to_handout(read_source(lesson.source))
        next(cell for cell in handout.cells if cell.id == "install").source = install_cell("")
        handout.metadata["kernelspec"] = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}
        nbformat.write(handout, folder / lesson.notebook.name)


def make_wheel(folder: Path) -> Path:
    """The package's wheel. Raises CalledProcessError where it cannot be built."""
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    return next(folder.glob("linattn_np-*.whl"))


def build(out: Path, wheel: Path, folder: Path, pyodide: str | None) -> None:
    """JupyterLite's own build. Raises CalledProcessError where it fails."""
    command = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", folder, "--contents", folder / "contents"]
    command += ["--piplite-wheels", wheel, "--apps", "lab", "--apps", "notebooks", "--no-sourcemaps", "--output-dir", out]
    subprocess.run([*command, *(["--pyodide", pyodide] if pyodide else [])], cwd=folder, check=True)


def main() -> int:
    """-> exit status"""
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: python docs/lite.py --out lite")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs" / "_build" / "lite", help="the site (default: docs/_build/lite)"
    )
    parser.add_argument("--wheel", type=Path, help="the package's wheel (default: made here)")
    parser.add_argument("--pyodide", help="Pyodide's release, a file or an address, to be part of the site (default: none is)")
    args = parser.parse_args()
    out, pyodide = args.out.resolve(), args.pyodide
    if pyodide and Path(pyodide).exists():
        pyodide = str(Path(pyodide).resolve())
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_lessons(folder / "contents")
        build(out, (args.wheel or make_wheel(folder)).resolve(), folder, pyodide)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    print(f"{out}: {len(LESSONS)} lessons, {size / 1e6:.0f} MB; to read: python -m http.server --directory {out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
