"""Output that reads well in a notebook and in a terminal: each piece is sent as text and as HTML."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from ..progress import in_notebook

CELL = "text-align:left;vertical-align:top;padding:2px 10px 2px 0;white-space:normal"


def emit(text: str, page: str, **others: Any) -> None:
    """Show one thing: ``text`` in a terminal, ``page`` (HTML) and other forms {mime type: data} in a notebook."""
    if not in_notebook():
        print(text)
        return
    from IPython.display import display

    display({"text/plain": text, "text/html": page, **others}, raw=True)


def text_table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Rows of strings as lines of text, columns aligned."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    lines = [list(head), ["-" * width for width in widths], *cells]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines)


def html_table(head: Iterable[str], rows: Iterable[Iterable[object]], caption: str = "") -> str:
    """The same as an HTML table, left-aligned, that keeps its look where styles are stripped."""
    title = f"<caption style='text-align:left'>{escape(caption)}</caption>" if caption else ""
    top = "".join(f"<th style='{CELL}'>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td style='{CELL}'>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def html_box(colour: str, title: str, sentences: Iterable[str]) -> str:
    """A short message with a coloured edge; the words alone carry the meaning."""
    said = "".join(f"<div>{escape(sentence)}</div>" for sentence in sentences)
    return f"<div style='border-left:5px solid {colour};padding:4px 12px;margin:4px 0'><b>{escape(title)}</b>{said}</div>"


def escape(value: object) -> str:
    """Text that HTML shows as it is."""
    return html.escape(str(value))
