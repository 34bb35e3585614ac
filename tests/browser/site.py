"""python tests/browser/site.py SITE [FOLDER [AXE]]: the built site in a browser, page by page.

Every page opens without an error, asks for nothing outside, draws its formulas, and has no sideways scroll on a telephone;
pictures have words; the sliders of "Turn the knobs" and of the lessons move; the search finds "robust condition number". AXE is
axe.min.js of axe-core: with it each page is also held to the rules of accessibility, contrast among them. Needs Chromium;
screenshots go to FOLDER.
"""

import re
import sys
import tempfile
from pathlib import Path

from chromium import PROGRAM, Page

PHONE = 390  # pixels
LIMIT = 40e6  # bytes of the whole site
MOVING = 5  # pages whose sliders are moved, at least
FORMULAS = "document.querySelectorAll('.math').length"
DRAWN = "document.querySelectorAll('.math mjx-container').length"
BARE = "[...document.images].filter(i => !i.alt && i.closest('article')).map(i => i.src.slice(-60))"
LOCAL = re.compile(r"file:|data:|blob:|about:")


def look(page, file, axe):
    """One page: errors, requests, formulas, words of pictures, accessibility, and its width on a telephone."""
    page.width(1100)
    page.open(file.as_uri())
    if page.value(FORMULAS):
        page.until(f"{DRAWN} >= {FORMULAS}")
        wrong = page.value("[...document.querySelectorAll('mjx-merror, [data-mjx-error]')].map(e => e.textContent.slice(0, 80))")
        assert not wrong, f"{file}: formulas that are not drawn: {wrong}"
    assert not (bare := page.value(BARE)), f"{file}: pictures without words: {bare}"
    asked, errors = page.requests_and_errors()
    outside = [url for url in asked if not LOCAL.match(url)]
    assert not outside, f"{file} asks for {outside}"
    assert not errors, f"{file}: {errors}"
    if axe:
        page.value(f"{axe};1")
        page.value(
            "axe.run(document, {resultTypes: ['violations'], preload: false}).then(found => { window.judged = found.violations; "
            "}); 1"
        )
        page.until("window.judged !== undefined")
        found = page.value("window.judged.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 120)).join(' | '))")
        assert not found, f"{file}: {found}"
    page.width(PHONE)
    wide = page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 1, f"{file}: {wide} pixels wider than a telephone"


def move(page, file):
    """Every slider of a page to its end and back changes what stands beside it. -> how many there are"""
    page.width(1100)
    page.open(file.as_uri())
    count = page.value("document.querySelectorAll('article input[type=range]').length")
    for k in range(count):
        slider = f"document.querySelectorAll('article input[type=range]')[{k}]"
        box = f"{slider}.closest('[data-film], .knob')"
        picture = f"({box}.querySelector('img') || {{}}).src || {box}.querySelector('svg').innerHTML"
        seen = []
        page.value(f"{slider}.focus()")
        for key in ("Home", "End"):
            page.press(key)
            seen.append(page.value(picture))
        assert seen[0] != seen[1], f"{file}: slider {k} moves nothing"
        assert page.value(f"{slider}.getAttribute('aria-label')") and page.value(f"{slider}.getAttribute('aria-valuetext')")
    return count


def search(page, site):
    """The search finds the lesson and its words."""
    page.open((site / "search.html").as_uri() + "?q=robust+condition+number")
    page.until("document.querySelectorAll('#search-results li').length > 0")
    found = page.value("document.querySelector('#search-results').textContent")
    assert "Robust condition number" in found, found[:300]


def main():
    """Look at the whole site."""
    if PROGRAM is None:
        print("no Chromium here: nothing is tested")
        return
    site = Path(sys.argv[1]).resolve()
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    axe = Path(sys.argv[3]).read_text(encoding="utf-8") if len(sys.argv) > 3 else ""
    size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    assert size < LIMIT, f"{size / 1e6:.0f} MB"
    pages = [file for file in sorted(site.rglob("*.html")) if "_static" not in file.parts]
    with Page() as page:
        page.watch()
        page.requests_and_errors()
        for file in pages:
            look(page, file, axe)
        moved = {file.stem: move(page, file) for file in [site / "knobs.html", *sorted((site / "lessons").glob("[0-9]*.html"))]}
        assert sum(count > 0 for count in moved.values()) >= MOVING and moved["knobs"] == 5, moved
        search(page, site)
        for name, width in (("index", 1100), ("knobs", 1100), ("gallery", PHONE), ("lessons/index", PHONE)):
            page.width(width)
            page.open((site / f"{name}.html").as_uri())
            page.picture(folder / f"{name.replace('/', '_')}_{width}.png")
    print(f"{len(pages)} pages, {sum(moved.values())} sliders on {sum(map(bool, moved.values()))} pages, {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
