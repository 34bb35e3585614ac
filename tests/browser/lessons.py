"""python tests/browser/lessons.py [FOLDER]: every lesson exported to HTML; each of its moving pictures is moved by the keyboard,
end to end.

Needs Chromium; screenshots of each at its ends go to FOLDER. Run by .ci/run where Chromium is installed.
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from chromium import PROGRAM, Page
from nbconvert import HTMLExporter

LESSONS = sorted((Path(__file__).parents[2] / "lessons").glob("*.ipynb"))


def movie(page, at, name, folder):
    """One moving picture: every knob to its end and back changes the frame, and its description says where it stands."""
    box = f"document.querySelectorAll('[data-film]')[{at}]"
    knobs = page.until(f"{box}.querySelectorAll('input').length")
    assert page.value(f"{box}.textContent.includes('To see it move')") is False
    page.value(f"{box}.scrollIntoView()")
    page.picture(folder / f"{name}_{at}_start.png")
    frame = f"{box}.querySelector('img').src"
    for knob in range(knobs):
        page.value(f"{box}.querySelectorAll('input')[{knob}].focus()")
        seen = []
        for key in ("Home", "End"):
            page.press(key)
            page.until(f"{box}.querySelector('img').complete && {box}.querySelector('img').naturalWidth > 100")
            seen.append(page.value(frame))
        assert seen[0] != seen[1], f"{name}: knob {knob} of picture {at} moves nothing"
        value = page.value(f"{box}.querySelectorAll('input')[{knob}].getAttribute('aria-valuetext')")
        assert f" = {value}" in page.value(f"{box}.querySelector('img').alt")
    page.picture(folder / f"{name}_{at}_end.png")


def main():
    if PROGRAM is None:
        print("no Chromium here: nothing is tested")
        return
    with tempfile.TemporaryDirectory() as temporary, Page() as page:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary).resolve()
        folder.mkdir(exist_ok=True)
        for notebook in LESSONS:
            file = folder / f"{notebook.stem}.html"
            file.write_text(HTMLExporter().from_notebook_node(nbformat.read(notebook, 4))[0], encoding="utf-8")
            page.open(file.as_uri())
            films = page.value("document.querySelectorAll('[data-film]').length")
            for at in range(films):
                movie(page, at, notebook.stem, folder)
            print(f"ok: {notebook.stem}, {films} moving")


if __name__ == "__main__":
    main()
