"""A small lesson that keeps every rule: its source, its notebook as if it had run, its teacher's page.

Tests break it in one place.
"""

import nbformat

from linattn_np.teaching import sources
from linattn_np.teaching.exercise import Exercise, Slip, choice

EXERCISES = {
    one.id: one
    for one in (
        *(Exercise(f"01.{k}", "How many?", 1.0, slips=(Slip("no", 2.0),)) for k in range(1, 5)),
        *(choice(f"01.t{k}", "Which?", "b", a="no") for k in range(1, 4)),
    )
}
CARD = r"""
# Lesson 01. A made lesson

**Claim.** Something holds.

| read | code | run | level | needs | seed |
|---|---|---|---|---|---|
| 25 min | 40 min | 1 min | 1 of 5 | – | 1 |

**Misconception.** It does not.

**Afterwards you can say.** It holds because of that. (t2)

<details><summary>Symbols of this lesson</summary>

| symbol | meaning |
|---|---|
| $\eta$ | step length |
| $P$ (here) | a preconditioner |

</details>
"""
DERIVE = (
    "## 2. Derive\n\n" + "A line of the derivation.\n" * 20 + r"$$ \eta = 1 \tag{1.1} $$" + "\n"
    "<details><summary>Why</summary>\n\n" + "A folded line.\n" * 50 + r"$$ 2 = 2 \tag{1.2} $$" + "\n</details>\n"
)
AFTER = "More of it.\n" * 30 + r"$$ 3 = 3 \tag{1.3} $$"
OPTIONAL = "### Optional. For the curious\n\n" + "\n".join(rf"$$ {k} = {k} \tag{{1.{k}}} $$" for k in range(4, 34))
CELLS = [
    ("md", CARD), ("py", "from linattn_np.teaching import check, moving, show"), ("md", "## 1. Predict"), ("md", DERIVE),
    ("py", 'moving(draw, "A line.", eta=positions)'), ("md", AFTER), ("md", OPTIONAL), ("py", 'print("for the curious")'),
    ("md", "## 3. On paper"), ("md", "## 4. Code it"), ("md", "## 5. Audit it"), ("md", "## 6. Experiment"),
    ("md", "## 7. The paper and us"), ("md", "## 8. Exercises"),
    *(cell for k, kind in enumerate(("derive", "code", "find the bug", "experiment"), 1) for cell in (
        ("md", f"### Exercise 01.{k} ({kind}, level 1, 10 min)"), ("py", f'check("01.{k}", 1.0)'))),
    ("md", "## 9. Exit ticket"), ("py", "\n".join(f'check("01.t{k}", "b")' for k in (1, 2, 3))),
]  # fmt: skip
SOURCE = "\n".join(
    "# %% [markdown]\n" + "\n".join(f"# {row}".rstrip() for row in text.strip().splitlines()) if kind == "md" else f"# %%\n{text}"
    for kind, text in CELLS
)
PAGE = """# Teaching lesson 01. A made lesson

## What to stress

That it holds.

## Three slips, and what they reveal

1. *One.* This.
2. *Two.* That.
3. *Three.* The rest.

## Board plan

Left, right.

## In 50 minutes

Skip it.

## Exit ticket

- **t1: b.** Since it is so.
- **t2: b.** Since it is so.
- **t3: b.** Since it is so.
"""


def write(folder, source=SOURCE, page=PAGE, change=lambda notebook: None):
    """The three files in ``folder``; ``change(notebook)`` breaks the notebook."""
    (folder / "source").mkdir()
    (folder / "source" / "01_made.py").write_text(source, encoding="utf-8")
    if page:
        (folder / "teaching").mkdir()
        (folder / "teaching" / "01.md").write_text(page, encoding="utf-8")
    notebook, count = sources.read_source(folder / "source" / "01_made.py"), 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            if "moving(" in cell.source:
                data = {"text/html": "<div data-film='{}'></div>", "image/png": "iVBORw0KGgo=", "text/plain": "A line."}
                cell.outputs = [nbformat.v4.new_output("display_data", data, metadata={"image/png": {"alt": "A line."}})]
    notebook.metadata["linattn_np"] = {"profile": "class", "seconds": 20, "first_figure": 3}
    change(notebook)
    nbformat.write(notebook, folder / "01_made.ipynb")
