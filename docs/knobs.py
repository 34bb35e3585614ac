"""The page "Turn the knobs": training curves of stored runs as numbers, drawn in the page by static/knobs.js."""

import json
from pathlib import Path
from typing import Any

POINTS = 80  # of a curve: enough for its shape
CURVES = ("fresh", "train", "robust", "test")  # the first of these that a figure has
QUESTIONS = (  # figure, what is asked, the knob's name, {panel: the knob's position in words}
    ("adam_vs_sgd", "Adam against SGD on three kinds of data", "setting",
     {"setting1": "1: n = 20, Gaussian", "setting2": "2: n = 5, Gaussian", "setting3": "3: n = 20, heavy tails"}),
    ("data_distribution", "The tails of the covariates", "covariates", {"sphere": "on a sphere", "setting3": "with heavy tails"}),
    ("depth", "The number of layers", "layers L", {"2": "2", "4": "4", "6": "6", "8": "8"}),
    ("full_batch", "The batch, each optimizer at its best rate", "prompts in a batch",
     {"10": "10", "100": "100", "1000": "1000", "full": "one fixed batch of 1000"}),
    ("heads", "The number of heads", "heads H", {"1": "1", "2": "2", "4": "4"}),
)  # fmt: skip


def write(figures: Path, out: Path) -> None:
    """knobs.md with its numbers inside."""
    asked = [question(figures, *each) for each in QUESTIONS]
    page = (out / "knobs.md").read_text(encoding="utf-8")
    parts = []
    for each in asked:
        data = json.dumps(each, ensure_ascii=False).replace("</", "<\\/")
        parts.append(
            f'## {each["title"]}\n\n```{{raw}} html\n<div class="knob"><script type="application/json">{data}</script></div>\n'
            "```\n"
        )
    (out / "knobs.md").write_text(page + "\n" + "\n".join(parts), encoding="utf-8")


def question(figures: Path, name: str, title: str, knob: str, positions: dict[str, str]) -> dict[str, Any]:
    """One question: for each position of its knob the curves of both optimizers."""
    folder = figures if (figures / f"{name}.json").is_file() else Path(__file__).parent / "pages"
    numbers = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    frames = []
    for panel, words in positions.items():
        found = {optimizer: curve(numbers["panels"][panel][optimizer]) for optimizer in ("SGD", "Adam")}
        frames.append({"words": words, **found})
    seeds = numbers.get("seeds_used", len(numbers["seeds"]))
    return {"title": title, "knob": knob, "seeds": seeds, "frames": frames}


def curve(panel: dict[str, Any]) -> dict[str, Any]:
    """Iterations, quartiles and the rate of one optimizer, thinned out and rounded."""
    found = next(panel[kind] for kind in CURVES if kind in panel)
    times = found["iterations"]
    at = [k for k in range(len(times)) if times[k] > 0]
    at = [at[round(j * (len(at) - 1) / (min(POINTS, len(at)) - 1))] for j in range(min(POINTS, len(at)))]
    bands = {
        name: [rounded(found[key][k]) for k in at]
        for name, key in (("low", "lower_quartile"), ("mid", "median"), ("high", "upper_quartile"))
    }
    return {"t": [times[k] for k in at], **bands}


def rounded(value: float | None) -> float | None:
    """Three digits; None where a run diverged."""
    return None if value is None else float(f"{value:.3g}")
