"""Tables of a lesson: the symbols, the versions, any other, and the paper's claims beside our numbers."""

import json
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .display import emit, html_table, text_table
from .places import figures_folder
from .profiles import VARIABLE, profile

SYMBOLS = {  # the project's one key, in the order of reading
    "B": ("batch: prompts that are computed together", ""),
    "n": ("examples in a prompt", ""),
    "N": ("tokens of a prompt, n + 1: the query is the last", ""),
    "d": ("covariates of an example", ""),
    "D": ("width of a token, d + 1: the label is the last entry", ""),
    "L": ("layers", ""),
    "H": ("heads of a layer; their outputs add up", ""),
    "x": ("covariates of one token", "(d,)"),
    "w": ("task vector of a prompt, which the model never sees", "(d,)"),
    "y": ("label asked for, <w, x_query>", "(B,)"),
    "Z": ("tokens, as rows here and as columns in the paper", "(B, N, D)"),
    "z": ("the query's token", "(B, D)"),
    "P": ("value matrix of a layer", "(H, D, D)"),
    "Q": ("score matrix of a layer: keys and queries merged", "(H, D, D)"),
    "M": ("mask, diag(1, .., 1, 0): the query is never attended to", "(N, N)"),
    "A": ("scores, A[i, j]: token i reads token j", "(B, H, N, N)"),
    "W": ("scores after the mask", "(B, H, N, N)"),
    "V": ("values", "(B, H, N, D)"),
    "G": ("state, Z M Z^T in the paper's columns", "(B, D, D)"),
    "T": ("what a layer multiplies the state's tokens by", "(B, D, D)"),
    "params": ("all P and Q; [l, h, 0] is P, [l, h, 1] is Q", "(L, H, 2, k, k)"),
    "dX": ("gradient of the loss with respect to X", "as X"),
    "vX": ("tangent: derivative of X along a direction", "as X"),
    "hX": ("tangent of the gradient dX", "as X"),
}


def table(head: Sequence[str], rows: Iterable[Iterable[object]], caption: str = "") -> None:
    """Show rows of strings or numbers under their column names."""
    cells = [[_cell(value) for value in row] for row in rows]
    emit("\n".join([*([caption] if caption else []), text_table(head, cells)]), html_table(head, cells, caption))


def symbols(names: str) -> None:
    """Show the part of the key that a lesson uses: ``symbols("B n Z P Q dX")``. Raises ValueError for an unknown symbol."""
    unknown = [name for name in names.split() if name not in SYMBOLS]
    if unknown:
        raise ValueError(f"names: expected symbols of the key ({' '.join(SYMBOLS)}), got {unknown[0]!r}")
    rows = [(name, *SYMBOLS[name]) for name in SYMBOLS if name in names.split()]
    table(("symbol", "meaning", "shape"), rows)


def versions(seed: int) -> None:
    """One line: what this was made with, so that it can be made again."""
    from .. import __version__

    made = f"linattn_np {__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    line = f"seed {seed}; profile {profile()} (set by {VARIABLE}); {made}"
    emit(line, f"<div>{line}</div>")


def facts(rows: Iterable[tuple[object, object, object, object]]) -> None:
    """Facts of the model, not results of the paper's experiments: (fact, where in the paper, paper, ours)."""
    judged = [(*row, "agrees" if _cell(row[2]) == _cell(row[3]) else "does not agree") for row in rows]
    table(("fact of the model", "where", "paper", "ours", "verdict"), judged, "Facts of the model; no training is involved.")


def paper_and_us(ids: Sequence[str]) -> None:
    """The paper's claims beside our numbers, read from figures/scorecard.json: a row for each id, in the order given.

    Raises ValueError when the file is absent, or when it has no such claim.
    """
    from ..experiments.scorecard import in_words

    claims = {row["id"]: row for row in scorecard()}
    missing = [id for id in ids if id not in claims]
    if missing:
        raise ValueError(f"ids: expected claims of the scorecard ({', '.join(claims)}), got {missing[0]!r}")
    rows = []
    for claim in (claims[id] for id in ids):
        theirs = "; ".join(
            filter(
                None,
                (
                    claim["printed"],
                    claim["code"] and f"released code: {claim['code']}",
                    claim["reported"] and f"second-hand: {claim['reported']}",
                    claim.get("predicted") and f"predicted: {claim['predicted']}",
                ),
            )
        )
        rows.append((claim["statement"], claim["where"], theirs, in_words(claim["ours"]), claim["verdict"], claim["why"]))
    head = ("claim", "where in the paper", "theirs", "ours: median [quartiles]", "verdict", "why")
    table(head, rows, "Loaded from figures/scorecard.json; each rule was fixed before the run that it judges.")


def loaded(name: str) -> dict[str, Any]:
    """The numbers of figures/NAME.json, as ``reproduce`` left them; a line says that they are loaded, and how they were made.

    -> the whole file. Raises ValueError when it is absent or broken.
    """
    file = figures_folder() / f"{name}.json"
    if not file.is_file():
        raise ValueError(f"name: expected a file figures/{name}.json; python -m linattn_np reproduce makes it")
    found = parsed(file, name)
    scale = found["scale"] | {key: used for key, (_, used) in found.get("limits", {}).items()}  # what was cut to fit the time
    usual = f"{scale['seeds']} seeds, {scale['steps']:,} iterations, batch {scale['batch']}"
    made = f"{scale['name']} scale, {found.get('sizes', usual)}"  # an experiment that knows no batch says in words what it ran
    line = f"Loaded from figures/{name}.json, not computed here: {made}"
    emit(line, f"<div>{line}</div>")
    return found


def scorecard() -> list[dict[str, Any]]:
    """The rows of figures/scorecard.json, a dictionary for each claim."""
    file = figures_folder() / "scorecard.json"
    if not file.is_file():
        raise ValueError("figures/scorecard.json is not there; python -m linattn_np reproduce makes it, from the paper-size runs")
    return parsed(file, "")["rows"]


def parsed(file: Path, name: str) -> dict[str, Any]:
    """The dictionary in a file that ``reproduce`` left. Raises ValueError, with the file's name, where it is broken."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict) and ("scale" in found or "rows" in found):
            return found
        words = "it has neither a scale nor rows"
    except ValueError as error:  # cut in the middle, or not text
        words = str(error)
    raise ValueError(f"{file} is broken: {words}; it is made again by: python -m linattn_np reproduce {name}".rstrip())


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
