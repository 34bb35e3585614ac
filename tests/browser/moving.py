"""python tests/browser/moving.py [FOLDER]: the moving picture in a browser, in the three places where a reader meets it.

Exported HTML and trusted JupyterLab: it moves by the keyboard. Untrusted JupyterLab, and HTML whose scripts are stripped: the
still and the line that says how to see it move. Needs Chromium; screenshots go to FOLDER. Run by .ci/run where Chromium is
installed.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import bleach  # comes with nbconvert
import nbformat
from chromium import PROGRAM, Page

CODE = """
import linattn_np as la
from linattn_np.teaching import knob, moving

def draw(slope, end):
    figure, axes = la.plotting.new_figure(width=4.0, height=2.5)
    axes[0, 0].plot([0, end], [0, slope * end])
    axes[0, 0].set(xlim=(0, 2), ylim=(-4, 4))
    return figure, f"The line's end is at {slope * end:.1f}, which is <4 & fine."

moving(draw, "A line from the 'origin'.", slope=knob((-1.0, 0.5, 1.0, 2.0), 0.5, "slope"), end=knob((1, 2), 1, "end"))
"""
INPUTS, IMG = "document.querySelectorAll('[data-film] input[type=range], input[type=range]').length", "[alt^='A line from']"


def notebook(folder):
    """The notebook of one moving picture, executed."""
    from nbclient import NotebookClient

    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    NotebookClient(made, kernel_name="python3").execute()
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for name in ("trusted", "untrusted"):
        made.metadata["title"] = name  # trust goes by what a notebook holds
        nbformat.write(made, folder / f"{name}.ipynb")
    return made


def moves(page):
    """It moves by the keyboard: one control for each knob, the picture, its description and the words follow."""
    page.until(f"{INPUTS} == 2")
    state = f"""[document.querySelector("{IMG}").src.length + document.querySelector("{IMG}").src.slice(-400),
                 document.querySelector("{IMG}").alt, document.querySelector('[data-said]').textContent]"""
    start = page.value(state)
    assert start[1] == "A line from the 'origin'. Shown at slope = 0.5, end = 1. The line's end is at 0.5, which is <4 & fine."
    assert page.value("document.querySelector('[data-film]').textContent.includes('To see it move')") is False
    first = "document.querySelectorAll('[data-film] input')[0]"
    page.value(f"{first}.focus()")
    page.press("ArrowRight")
    after = page.until(f"(s => s[2] != '{start[2].replace(chr(39), chr(92) + chr(39))}' && s)({state})")
    assert after[0] != start[0] and "slope = 1, end = 1" in after[1] and after[2].startswith("The line's end is at 1.0")
    assert page.value(f"document.activeElement === {first}") and page.value(f"{first}.getAttribute('aria-valuetext')") == "1"
    page.press("End")
    page.until("document.querySelector('[data-said]').textContent.startsWith(\"The line's end is at 2.0\")")
    page.press("Tab")
    page.press("ArrowRight")
    page.until("document.querySelector('[data-said]').textContent.startsWith(\"The line's end is at 4.0\")")
    assert page.value("document.querySelector('[data-said]').getAttribute('aria-live')") == "polite"
    assert page.value(f'document.querySelector("{IMG}").naturalWidth') > 100


def stands(page):
    """The still and the line stand there, and nothing that looks as if it could be moved."""
    page.until(f'(document.querySelector("{IMG}") || 0) && document.querySelector("{IMG}").naturalWidth > 100')
    assert page.value(INPUTS) == 0
    text = page.value(f'document.querySelector("{IMG}").parentElement.innerText')
    assert "Shown at slope = 0.5, end = 1. The line's end is at 0.5" in text and "To see it move" in text
    assert "aria-valuetext" not in page.value("document.body.innerText"), "the script is not to be read"


def exported(page, made, folder):
    """The page that nbconvert makes, and the same with what other sanitizers leave of it."""
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter().from_notebook_node(made)
    part = made.cells[0].outputs[0].data["text/html"]
    tags = [*bleach.sanitizer.ALLOWED_TAGS, "div", "img"]
    kept = {"*": ["role", "aria-label"], "img": ["src", "alt"]}
    cleaned = bleach.clean(part, tags, kept, ["http", "data"], strip=True)
    pages = {"exported": html, "cleaned": f"<!doctype html><meta charset=utf-8><body>{cleaned}"}
    for name, text in pages.items():
        file = folder / f"{name}.html"
        file.write_text(text, encoding="utf-8")
        page.open(file.as_uri())
        moves(page) if name == "exported" else stands(page)
        page.picture(folder / f"{name}.png")
        print(f"ok: {name} HTML")


def in_jupyterlab(folder):
    """JupyterLab, the notebook trusted and not."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_DATA_DIR": str(folder / "data")}
    jupyter = [sys.executable, "-m", "jupyter"]
    subprocess.run([*jupyter, "trust", "trusted.ipynb"], cwd=folder, env=environment, check=True, capture_output=True)
    options = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.token=", "--ServerApp.port_retries=0"]
    server = subprocess.Popen(
        [*jupyter, "lab", *options], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api").close()
                break
            except OSError:
                time.sleep(0.2)
        for name, holds in (("trusted", moves), ("untrusted", stands)):
            with Page() as page:  # a new one each time: JupyterLab asks whoever leaves a notebook
                page.open(f"http://127.0.0.1:{port}/lab/tree/{name}.ipynb?reset")
                page.until(f'Boolean(document.querySelector("{IMG}"))', 120)
                holds(page)
                page.picture(folder / f"{name}.png")
            print(f"ok: {name} JupyterLab")
    finally:
        server.terminate()
        server.wait(timeout=30)


def main():
    if PROGRAM is None:
        print("no Chromium here: nothing is tested")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary).resolve()
        folder.mkdir(exist_ok=True)
        made = notebook(folder)
        with Page() as page:
            exported(page, made, folder)
        in_jupyterlab(folder)


if __name__ == "__main__":
    main()
