"""Outside of this repository: what a package index shows, and what a handout says and does where nothing is installed."""

import builtins
import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

import linattn_np as la
from linattn_np.teaching import links
from linattn_np.teaching.handout import to_handout
from linattn_np.teaching.sources import find_lessons, read_source

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "https://github.com/someone/course"
RELATIVE = re.compile(r"\]\((?!https?:|#)")


@pytest.fixture(scope="module")
def on_an_index():
    """The function of setup.py, which is executed there alone where it is the program."""
    spec = importlib.util.spec_from_file_location("setup_of_the_project", ROOT / "setup.py")
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module.on_an_index


# ---------------------------------------------------------------- the README on an index


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_the_readme_on_an_index_has_no_link_that_leads_nowhere(on_an_index, address):
    shown = on_an_index(README, address)
    assert RELATIVE.search(README) and not RELATIVE.search(re.sub(r"```.*?```|`[^`\n]+`", "", shown, flags=re.S))
    assert shown.count("```") == README.count("```") and "Z, y = task.sample(1000" in shown


def test_with_an_address_links_and_pictures_lead_into_the_repository(on_an_index):
    shown = on_an_index(
        "See [all](figures/a.json), ![A curve](figures/a.png) and [x](https://arxiv.org), `[kept](as code)`.", ADDRESS
    )
    assert f"[all]({ADDRESS}/blob/HEAD/figures/a.json)" in shown and f"![A curve]({ADDRESS}/raw/HEAD/figures/a.png)" in shown
    assert "[x](https://arxiv.org)" in shown and "`[kept](as code)`" in shown


def test_without_an_address_words_stand_for_them(on_an_index):
    shown = on_an_index("See [all](figures/a.json), [b.md](b.md), ![A curve](figures/a.png).", "")
    assert shown == "See all (`figures/a.json`), b.md, (Picture: A curve. It is `figures/a.png` in the source distribution.)."


def test_what_the_readme_names_is_in_the_source_distribution():
    named = {target.split("/")[0] for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", README)}
    manifest = (ROOT / "MANIFEST.in").read_text(encoding="utf-8")
    assert named and all(re.search(rf"^(graft|include)\b.*(?<!\S){re.escape(name)}(?!\S)", manifest, re.M) for name in named)


# ---------------------------------------------------------------- links and the first cell of handouts


def test_the_address_stands_in_one_place(tmp_path, monkeypatch):
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"].get("Repository", "")
    assert links.repository() == declared.rstrip("/")
    assert ("Open in Colab" in README) == bool(declared), f"README's badges: {links.badges('01_one_prompt_by_hand.ipynb')}"
    monkeypatch.setattr(links, "PACKAGE", tmp_path / "linattn_np")  # as in site-packages
    urls = ["Paper, https://arxiv.org/abs/2310.01082", f"Repository, {ADDRESS}/"]
    monkeypatch.setattr(links, "metadata", lambda name: SimpleNamespace(get_all=lambda key: urls))
    assert links.repository() == ADDRESS
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "linattn_np"\nurls = {{ Repository = "{ADDRESS}/here" }}\n')
    assert links.repository() == f"{ADDRESS}/here"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\nurls = { Repository = "https://other" }\n')
    assert links.repository() == ADDRESS


def test_what_is_not_installed_has_no_address(tmp_path, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(links, "PACKAGE", tmp_path / "linattn_np")
    monkeypatch.setattr(links, "metadata", missing)
    assert links.repository() == "" == links.badges("01_a.ipynb")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            ADDRESS,
            [
                "https://colab.research.google.com/github/someone/course/blob/handouts/01_a.ipynb",
                "https://mybinder.org/v2/gh/someone/course/HEAD?urlpath=lab%2Ftree%2Fhandouts%2F01_a.ipynb",
            ],
        ),
        (
            "https://gitlab.com/group/sub/course",
            ["https://mybinder.org/v2/gl/group%2Fsub%2Fcourse/HEAD?urlpath=lab%2Ftree%2Fhandouts%2F01_a.ipynb"],
        ),
        (
            "https://git.example.org/course",
            [
                "https://mybinder.org/v2/git/https%3A%2F%2Fgit.example.org%2Fcourse/HEAD?urlpath=lab%2Ftree%2Fhandouts%2F01_a.ipynb"
            ],
        ),
        ("", []),
    ],
)
def test_badges_open_the_handout(address, expected):
    assert re.findall(r"\)\]\((\S+?)\)", links.badges("01_a.ipynb", address)) == expected


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_a_handout_installs_in_five_lines_what_is_not_there(address, monkeypatch):
    monkeypatch.setattr(links, "repository", lambda: address)
    (lesson,) = find_lessons(ROOT / "lessons", ["01"])
    handout = to_handout(read_source(lesson.source), lesson.notebook.name)
    nbformat.validate(handout)
    first = next(cell for cell in handout.cells if cell.cell_type == "code")
    assert len(first.source.splitlines()) <= 5
    assert first.source.endswith(f"%pip install --quiet {f'git+{ADDRESS}' if address else f'linattn_np=={la.__version__}'}")
    assert ("Open in Colab" in handout.cells[0].source) == bool(address)
    assert len({cell.id for cell in handout.cells}) == len(handout.cells)


@pytest.mark.parametrize("there", [True, False])
def test_the_first_cell_installs_only_what_is_not_there(there, monkeypatch):
    transformed = (
        pytest.importorskip("IPython.core.inputtransformer2").TransformerManager().transform_cell(links.install_cell(""))
    )
    asked = []
    shell = SimpleNamespace(run_line_magic=lambda *what: asked.append(what))
    monkeypatch.setattr(builtins, "get_ipython", lambda: shell, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if there else None)
    exec(transformed, {})
    assert asked == ([] if there else [("pip", f"install --quiet linattn_np=={la.__version__}")])


# ---------------------------------------------------------------- the package without what it does not need


def test_no_module_of_a_run_needs_processes_where_python_has_none():
    code = (
        "import sys; sys.modules['_multiprocessing'] = None\n"
        "import linattn_np as la, linattn_np.training.sweeps\n"
        "papers = la.papers\n"
        "from linattn_np.training.executors import Inline\n"
        "assert papers.maybe_all_you_need and Inline().submit(int, '3').result() == 3"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
