"""python tests/browser/lite.py SITE [FOLDER]: JupyterLite's site in a browser: it opens a lesson, and asks nobody but Pyodide's
home for anything.

Pyodide is not on this machine, so that no cell is executed here: tests/lite/like_a_browser.py executes the lessons with what
Python has in a browser. Needs Chromium; a screenshot goes to FOLDER. Run by .ci/run where Chromium is installed.
"""

import functools
import http.server
import json
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

from chromium import PROGRAM, Page

PYODIDE = {"cdn.jsdelivr.net"}  # JupyterLite's address of Pyodide; its worker asks for more than the page does
LESSONS = ("01_one_prompt_by_hand", "02_the_backward_pass", "03_auditing_a_gradient", "04_second_derivatives")
TEXT = "document.querySelector('.jp-Notebook') ? document.querySelector('.jp-Notebook').innerText : ''"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_):
        pass


def holds_the_wheel(site):
    """The site's own package index has our wheel, and nothing else is asked for by its lessons' first cells."""
    index = json.loads((site / "pypi" / "all.json").read_text(encoding="utf-8"))
    (name,) = index
    for files in index[name]["releases"].values():
        assert all((site / "pypi" / file["filename"]).is_file() for file in files)
    for lesson in LESSONS:
        notebook = json.loads((site / "files" / f"{lesson}.ipynb").read_text(encoding="utf-8"))
        code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        version = next(iter(index[name]["releases"]))
        assert f"%pip install --quiet linattn_np=={version}" in code[0] and not any("%pip" in cell for cell in code[1:])


def main():
    """Open each lesson."""
    site = Path(sys.argv[1]).resolve()
    holds_the_wheel(site)
    if PROGRAM is None:
        print("no Chromium here: nothing is opened")
        return
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"127.0.0.1:{server.server_port}"
    outside = set()
    for lesson in LESSONS:
        with Page() as page:  # a browser of its own, so that nothing is remembered
            page.watch()
            page.open(f"http://{home}/lab/index.html?path={lesson}.ipynb")
            page.until(f"({TEXT}).includes('Lesson {lesson[:2]}')", seconds=240)
            page.until("document.querySelectorAll('.jp-CodeCell').length > 5", seconds=60)
            page.picture(folder / f"lite_{lesson}.png")
            asked, errors = page.requests_and_errors()
        hosts = {urlsplit(url).netloc for url in asked if url.startswith("http")}
        outside |= hosts - {home}
        unknown = [
            error for error in errors if not any(host in error for host in PYODIDE) and "Failed to load resource" not in error
        ]
        assert hosts <= {home} | PYODIDE and not unknown, (lesson, hosts, unknown)
    server.shutdown()
    print(f"{len(LESSONS)} lessons opened in JupyterLite; asked for from outside: {', '.join(sorted(outside)) or 'nothing'}")


if __name__ == "__main__":
    main()
