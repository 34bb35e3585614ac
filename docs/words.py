"""Texts of the repository made into pages: a section of a file, links that hold on the site, formulas inside HTML."""

import html
import re

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
PAGES = {  # file of the repository: page of the site
    "lessons/README.md": "/lessons/index.md", "figures/scorecard.md": "/scorecard.md", "CONTRIBUTING.md": "/contributing.md",
    "CHANGELOG.md": "/changelog.md", "README.md": "/index.md",
}  # fmt: skip


def section(text: str, title: str) -> str:
    """What stands under a heading ``## title``, up to the next one. Raises ValueError where there is none."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    if not found:
        raise ValueError(f"expected a heading '## {title}'")
    return found[1].strip() + "\n"


def relinked(text: str, folder: str = "") -> str:
    """A page's text with links to files of the repository turned to pages of the site; where there is no page the words
    remain.
    """

    def link(match: re.Match[str]) -> str:
        words, target = match[1], match[2]
        if target.startswith(("http", "#", "/")):
            return match[0]
        name, _, place = target.partition("#")
        path = (folder + name).removeprefix("lessons/../")
        if path in PAGES:
            return f"[{words}]({PAGES[path]}{'#' * bool(place)}{place})"
        if path.startswith("figures/") and path.endswith((".png", ".json")):
            return f"[{words}](/gallery.md)"
        if path.startswith("lessons/") and path.endswith(".ipynb"):
            return f"[{words}](/{path})"
        return words

    text = IMAGE.sub(lambda m: f"![{m[1]}](/{m[2]})" if m[2].startswith("figures/") else m[0], text)
    parts = re.split(r"(^```.*?^```|`[^`\n]+`)", text, flags=re.M | re.S)
    return "".join(part if part.startswith("`") else LINK.sub(link, part) for part in parts)


def formulas_in_html(text: str) -> str:
    """Markdown in which formulas on lines of raw HTML are marked for MathJax, since Markdown does not look into them."""
    rows = []
    for row in text.splitlines():
        if row.lstrip().startswith("<"):
            row = re.sub(r"\$\$(.+?)\$\$", lambda m: marked(rf"\[{m[1]}\]"), row)
            row = re.sub(r"(?<![\\$])\$([^$\n]+?)\$(?!\$)", lambda m: marked(rf"\({m[1]}\)"), row)
        rows.append(row)
    return "\n".join(rows)


def marked(formula: str) -> str:
    """A formula as Sphinx marks it."""
    return f'<span class="math notranslate nohighlight">{html.escape(formula, quote=False)}</span>'
