"""The figures with their captions and verdicts, and the scorecard."""

import json
import shutil
from pathlib import Path

from words import relinked

from linattn_np.experiments import registry


def write(figures: Path, out: Path) -> None:
    """gallery.md, scorecard.md, and the pictures in figures/."""
    rows = json.loads((figures / "scorecard.json").read_text(encoding="utf-8"))["rows"]
    (out / "figures").mkdir()
    lines = [
        "# Gallery",
        "",
        "Every figure, drawn from our own runs by `python -m linattn_np reproduce`; under each what came out, and how the "
        "paper's claims fare.",
        "",
    ]
    for group, names in registry.groups().items():
        drawn = [name for name in names if (figures / f"{name}.png").is_file()]
        lines += [f"## {group.capitalize()}", ""] if drawn else []
        for name in drawn:
            shutil.copy(figures / f"{name}.png", out / "figures")
            numbers = json.loads((figures / f"{name}.json").read_text(encoding="utf-8"))
            lines += [f"### {numbers['title']}", "", f"```{{image}} figures/{name}.png", f":alt: {numbers['alt']}", "```", ""]
            lines += ["```text", registry.experiment(name).summary(numbers), "```", ""]
            verdicts = [f"- **{row['verdict']}**: {row['statement']}" for row in rows if row["figure"] == name]
            lines += [*verdicts, ""]
    (out / "gallery.md").write_text("\n".join(lines), encoding="utf-8")
    card = relinked((figures / "scorecard.md").read_text(encoding="utf-8"), "figures/")
    (out / "scorecard.md").write_text(card, encoding="utf-8")
