"""The README says what is true: its example runs, its numbers are the figure's, its commands are the ones that exist."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from linattn_np.__main__ import COMMANDS
from linattn_np.experiments.papers.maybe_all_you_need import released_code
from linattn_np.experiments.papers.maybe_all_you_need.published import RATIOS
from linattn_np.experiments.registry import titles
from linattn_np.experiments.scorecard import tally

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def test_the_python_example_runs_and_prints(capsys):
    (example,) = (block for block in re.findall(r"```python\n(.*?)```", TEXT, re.S) if "la.train" in block)
    assert len(example.strip().splitlines()) <= 10
    exec(compile(example, "README.md", "exec"), {})
    assert float(re.search(r"test loss (\S+),", capsys.readouterr().out)[1]) < 0.01


def test_losses_in_the_caption_are_the_figures():
    panel = json.loads((ROOT / "figures" / "adam_vs_sgd.json").read_text())["panels"]["setting1"]
    adam, sgd = (panel[name]["robust"]["median"][-1] for name in ("Adam", "SGD"))
    assert f"{adam:.2e} with Adam and {sgd:.2e} with SGD" in " ".join(TEXT.split())


def test_the_counts_of_verdicts_are_the_scorecards():
    rows = json.loads((ROOT / "figures" / "scorecard.json").read_text())["rows"]
    assert tally([row for row in rows if row["paper"] == "2310.01082"]) in " ".join(TEXT.split())


def test_the_table_of_papers_is_the_scorecards():
    card = (ROOT / "figures" / "scorecard.md").read_text()
    lines = card[card.index("| paper | arXiv |") :].split("\n\n")[0].splitlines()
    assert (
        len(titles()) == 11 and len(lines) == 2 + len(titles()) + ("## Studies of our own" in card) and "\n".join(lines) in TEXT
    )
    assert tally(json.loads((ROOT / "figures" / "scorecard.json").read_text())["rows"]) in " ".join(TEXT.split())


def test_the_opening_is_what_the_command_prints_and_the_figure_holds():
    numbers = json.loads((ROOT / "figures" / "released_code.json").read_text())
    quick = {key: value for key, value in numbers.items() if key not in ("setting1", "setting3")}  # --quick runs Setting 2 alone
    opening = TEXT[: TEXT.index("## Start")]
    assert "\n".join(released_code.table(quick)) in opening and "reproduce released_code --quick" in opening
    for t in released_code.IN_TABLE:
        ours, paper = np.mean(numbers["setting1"]["condition_ratio"][str(t)]), RATIOS["setting1", t][0]
        assert re.search(rf"{ours:.2f} against (the printed )?{paper:.2f}", opening)
        means = np.mean(numbers["rounding"]["setting1"][str(t)], axis=1)
        assert not means.min() <= paper <= means.max()  # no rounding bridges it
        means = np.mean(numbers["rounding"]["setting3"][str(t)], axis=1)
        assert re.search(rf"from {means.min():.3g}\s+to\s+{means.max():.3g}", opening)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"python -m linattn_np (\w+)", TEXT))))
def test_commands_exist(command):
    assert command in COMMANDS


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", TEXT)) | set(re.findall(r"`(linattn_np/\S+?)`", TEXT)))
)
def test_files_that_it_names_exist(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "path",
    sorted(set(re.findall(r"`((?:linattn_np|tests|figures)/[\w./]*?)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))),
)
def test_files_that_contributing_names_exist(path):
    assert (ROOT / path).exists()


def test_the_map_has_every_folder_and_file_of_the_package():
    table = TEXT[TEXT.index("## What is where") : TEXT.index("## Larger than one machine")]
    there = {path.name for path in (ROOT / "linattn_np").iterdir() if not path.name.startswith(("_", "py.typed"))}
    assert there - set(re.findall(r"\b(\w+(?:\.py)?)\b", table)) == set()
