"""Guesses made before anything is run, and shown beside the result later."""

from typing import Any

from .display import emit, html_box, html_table, text_table

COLOUR = "#5e3c99"
_guesses: dict[str, tuple[str, Any]] = {}


def predict(id: str, question: str, guess: Any) -> None:
    """Keep the student's guess until :func:`reveal`. ``guess`` may still be ``...``: then there is none to compare with."""
    _guesses[id] = (question, guess)
    said = "no guess yet: write one in place of the dots" if _missing(guess) else f"kept: {_words(guess)}"
    emit(f"Predict {id}: {question}\n    {said}", html_box(COLOUR, f"Predict {id}", [question, said]))


def reveal(id: str, result: Any, note: str = "") -> None:
    """Show the guess beside the result; ``note`` says in a sentence why it came out so. Raises ValueError for an unknown id."""
    if id not in _guesses:
        raise ValueError(f"id: expected one of {', '.join(_guesses) or 'the guesses stored by predict: none so far'}, got {id!r}")
    question, guess = _guesses[id]
    rows = [(question, "none" if _missing(guess) else _words(guess), _words(result))]
    head = ("question", "your guess", "result")
    page = html_table(head, rows) + (html_box(COLOUR, "", [note]) if note else "")
    emit("\n".join([text_table(head, rows), *([note] if note else [])]), page)


def _missing(guess: Any) -> bool:
    return guess is None or guess is ...


def _words(value: object) -> str:
    """A number to four digits, anything else as it prints."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
