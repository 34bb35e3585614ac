"""python docs/build.py: the site, from lessons/, figures/, the README and the docstrings, into docs/_build/html.

Needs `python -m pip install -e '.[docs]'` and no network. Pages that say the same as a file of the repository are made from that
file.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SOURCE, SITE = HERE / "_build" / "source", HERE / "_build" / "html"
sys.path[:0] = [str(ROOT), str(HERE)]

import api  # noqa: E402
import course  # noqa: E402
import gallery  # noqa: E402
import knobs  # noqa: E402
from words import relinked, section  # noqa: E402


def write_sources(folder: Path) -> None:
    """All pages as Markdown and notebooks, what Sphinx reads."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "pages", folder)
    shutil.copy(HERE / "conf.py", folder)
    shutil.copytree(HERE / "static", folder / "static")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    audit = section(readme, "Audit your own gradient")
    (folder / "audit.md").write_text(relinked(f"# Audit your own gradient\n\n{audit}"), encoding="utf-8")
    for name in ("CONTRIBUTING", "CHANGELOG"):
        text = (ROOT / f"{name}.md").read_text(encoding="utf-8")
        (folder / f"{name.lower()}.md").write_text(relinked(text), encoding="utf-8")
    course.write(ROOT / "lessons", folder / "lessons")
    gallery.write(ROOT / "figures", folder)
    knobs.write(ROOT / "figures", folder)
    api.write(ROOT / "linattn_np", folder / "api")


def main() -> int:
    """-> Sphinx's exit status; a warning is an error"""
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: python docs/build.py --out site")
    parser.add_argument("--out", type=Path, default=SITE, help="where the pages go (default: docs/_build/html)")
    out = parser.parse_args().out
    write_sources(SOURCE)
    shutil.rmtree(out, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-W",
        "--keep-going",
        "-q",
        "-j",
        "auto",
        "-d",
        SOURCE.parent / "doctrees",
        SOURCE,
        out,
    ]
    status = subprocess.run(command).returncode
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) if out.is_dir() else 0
    print(
        f"{out / 'index.html'}: {len(list(out.rglob('*.html')))} pages, {size / 1e6:.0f} MB"
        if status == 0
        else "the site was not built"
    )
    return status


if __name__ == "__main__":
    raise SystemExit(main())
