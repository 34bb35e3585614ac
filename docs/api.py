"""The reference: every public module with its docstring, and of each public function and class the signature and the
docstring.
"""

import ast
from pathlib import Path

OPEN = {
    "prompts",
    "optimizers",
    "layers",
    "models",
    "measures",
    "training",
    "audit",
    "kernels",
    "teaching",
    "plotting",
    "experiments",
}
LEFT_OUT = {"exercises", "pictures", "mutation"}  # data of the course and of the audit's own test


def write(package: Path, out: Path) -> None:
    """api/index.md and a page for each module or folder of the package."""
    out.mkdir()
    pages = {}
    for path in sorted(package.iterdir()):
        if path.stem not in OPEN:
            continue
        files = [path] if path.is_file() else [file for file in sorted(path.rglob("*.py")) if not LEFT_OUT & set(file.parts)]
        text = [f"# {path.stem}", ""]
        for file in files:
            text += module(file, package)
        pages[path.stem] = "\n".join(text) + "\n"
    for name, text in pages.items():
        (out / f"{name}.md").write_text(text, encoding="utf-8")
    key = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    toc = ["```{toctree}", ":maxdepth: 1", "", *pages, "```"]
    (out / "index.md").write_text("\n".join(["# Reference", "", "```text", key, "```", "", *toc]) + "\n", encoding="utf-8")


def module(file: Path, package: Path) -> list[str]:
    """A module's part of a page; empty where nothing in it is public."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    name = ".".join(("linattn_np", *file.relative_to(package).with_suffix("").parts)).removesuffix(".__init__")
    found = [entry for node in tree.body for entry in entries(node)]
    if not found and file.name == "__init__.py":
        return []
    return [f"## {name}", "", "```text", ast.get_docstring(tree) or "", "```", "", *found]


def entries(node: ast.stmt, owner: str = "") -> list[str]:
    """The lines of a public function, or of a public class and its methods."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
        return []
    said = ast.get_docstring(node)
    if not said:
        return []
    if isinstance(node, ast.ClassDef):
        fields = [ast.unparse(each) for each in node.body if isinstance(each, ast.AnnAssign)]
        head = "\n".join([f"class {node.name}", *(f"    {field}" for field in fields)])
    else:
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        head = f"{owner}{node.name}({ast.unparse(node.args)}){returns}"
    lines = [f"### {owner}{node.name}", "", "```python", head, "```", "", "```text", said, "```", ""]
    if isinstance(node, ast.ClassDef):
        lines += [line for each in node.body for line in entries(each, f"{node.name}.")]
    return lines
