"""Outside of this repository: what a package index shows, and what a handout says and does where nothing is installed."""

import builtins
import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
import yaml  # comes with jupytext

import linattn_np as la
from linattn_np import progress
from linattn_np.__main__ import COMMANDS
from linattn_np.teaching import figures, links
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
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:  # setuptools itself need not be here
        for name in ("setuptools", "setuptools.command", "setuptools.command.build_py"):
            patch.setitem(sys.modules, name, SimpleNamespace(setup=None, build_py=object))
        spec.loader.exec_module(module)
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
                "https://mybinder.org/v2/git/https%3A%2F%2Fgit.example.org%2Fcourse/HEAD"
                "?urlpath=lab%2Ftree%2Fhandouts%2F01_a.ipynb"
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


def test_without_widgets_a_slider_is_its_picture_at_the_start(monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "in_notebook", lambda: True)
    monkeypatch.setattr(figures, "display_picture", lambda picture, alt, *others: shown.append((picture, alt, others)))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    figures.slider(
        lambda size: la.plotting.new_figure(width=size, height=1.0)[0], "A frame.", size=figures.knob((1.0, 2.0), 2.0, "width")
    )
    ((picture, alt, others),) = shown
    assert picture.startswith(b"\x89PNG") and others == ()
    assert alt == "A frame. Shown at width = 2; with a kernel that has ipywidgets a slider changes it."


def test_in_a_browser_pictures_are_shown_and_no_bar_is_drawn(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyodide_kernel", ModuleType("pyodide_kernel"))
    assert progress.in_notebook() and progress.wanted()
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert isinstance(progress.bar(3, "steps"), progress.Counter)


# ---------------------------------------------------------------- workflows, Binder, issue forms, pre-commit


def read(path):
    """A YAML file of the repository; ``on`` stays a word."""
    return yaml.load((ROOT / path).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def unknown_in(command):
    """What a workflow's command names and the repository does not have: files, steps of .ci/run, commands and extras of the
    package.
    """
    steps = re.search(r"^ALL=\((.*)\)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.M)[1].split()
    asked = re.search(r"\.ci/run((?: [a-z]+)*)$", command)
    found = [name for name in (asked[1].split() if asked else []) if name not in steps]
    found += [
        path for path in re.findall(r"(?<![\w/$])(?:\.ci|docs|tests|lessons)/[\w./]+", command) if not (ROOT / path).exists()
    ]
    found += [name for name in re.findall(r"-m linattn_np (\w+)", command) if name not in COMMANDS]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    return found + [name for name in re.findall(r"'?\.\[(\w+)\]", command) if name not in extras]


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_workflows_name_what_is_there(path):
    workflow = read(path)
    assert workflow["on"] and workflow["permissions"] and workflow["name"]
    for job in workflow["jobs"].values():
        assert int(job["timeout-minutes"]) <= 120 and job["steps"][0]["uses"].startswith("actions/checkout@")
        commands = [step["run"] for step in job["steps"] if "run" in step]
        assert commands and [unknown_in(command) for command in commands] == [[]] * len(commands)
        assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)
    for pattern in workflow["on"]["push"].get("paths", []):
        assert (ROOT / pattern.removesuffix("/**")).exists()


def test_a_command_that_names_what_is_not_there_is_found():
    assert unknown_in("bash .ci/run tests nothing") == ["nothing"] and unknown_in("bash .ci/runs") == [".ci/runs"]
    assert unknown_in("python -m linattn_np lesson") == ["lesson"] and unknown_in("pip install '.[lesson]'") == ["lesson"]
    assert unknown_in("bash .ci/run") == []


def test_the_workflow_covers_three_systems_and_two_sets_of_versions():
    jobs = read(".github/workflows/ci.yml")["jobs"]
    assert jobs["all"]["runs-on"] == "ubuntu-latest" and jobs["all"]["steps"][-1]["run"] == "bash .ci/run"
    assert jobs["systems"]["strategy"]["matrix"]["system"] == ["macos-latest", "windows-latest"]
    assert (
        jobs["systems"]["defaults"]["run"]["shell"] == "bash"
        and jobs["versions"]["steps"][-1]["run"] == "bash .ci/run lowest newest"
    )
    pythons = jobs["versions"]["steps"][1]["with"]["python-version"].split()
    assert pythons[-1] == tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "requires-python"
    ].strip(">=")


def test_every_step_of_ci_is_a_function_of_it():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    steps = re.search(r"^ALL=\((.*)\)$", script, re.M)[1].split()
    assert len(steps) == len(set(steps)) > 10 and all(f"\n{name}() {{\n    step " in script for name in steps)
    named = re.findall(r"(?<![\w/$\"])(?:tests|docs)/[\w/]+\.py", script)
    assert named and all((ROOT / path).is_file() for path in named)
    tried = (
        re.findall(r"tests/test_\{([\w,]+)\}", script)[0].split(",")
        + re.search(r"for name in (.*); do\n +echo", script)[1].split()
    )
    assert all((ROOT / "tests" / f"test_{name}.py").is_file() for name in tried)


def test_the_lowest_versions_are_the_declared_ones():
    said = subprocess.run([sys.executable, ".ci/lowest.py"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    declared = {line.split(";")[0].strip() for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()}
    assert {line.replace("==", ">=") for line in said} == declared and "numpy==2.0" in said


def test_binder_installs_the_lessons_and_writes_what_the_badges_open():
    assert [unknown_in(line) for line in (ROOT / ".binder" / "requirements.txt").read_text(encoding="utf-8").split()] == [[]]
    build = ROOT / ".binder" / "postBuild"
    script = build.read_text(encoding="utf-8")
    assert build.stat().st_mode & 0o111 and script.startswith("#!") and "lessons copy handouts\n" in script
    assert unknown_in(script) == [] and "tree%2Fhandouts%2F01_a.ipynb" in links.badges("01_a.ipynb", ADDRESS)


def test_issue_forms_ask_for_what_is_needed():
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("a_*.yml"))
    assert [form.stem for form in forms] == ["a_check_accepted_a_wrong_answer", "a_number_differs", "a_step_lost_me"]
    for form in forms:
        asked = read(form)
        assert {"name", "description", "title", "labels", "body"} <= set(asked)
        ids = [part["id"] for part in asked["body"]]
        assert len(ids) == len(set(ids)) and all(part["type"] in ("input", "textarea", "dropdown") for part in asked["body"])
        assert all(part["attributes"]["label"] for part in asked["body"])
        assert sum(part["validations"]["required"] == "true" for part in asked["body"]) >= 3
    assert read(".github/ISSUE_TEMPLATE/config.yml")["contact_links"][0]["url"].startswith("https://arxiv.org/abs/")


def test_pre_commit_uses_the_declared_versions_and_files_that_exist():
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]["lint"]
    hooks = {hook["id"]: hook for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]}
    assert set(hooks) == {"ruff", "ruff-format", "lessons", "package"}
    assert all(hooks[id]["additional_dependencies"] == [lint[0]] for id in ("ruff", "ruff-format"))
    assert unknown_in(hooks["package"]["entry"]) == [] == unknown_in(hooks["lessons"]["entry"])


def test_the_browser_has_what_the_trial_takes_for_granted():
    trial = (ROOT / "tests" / "lite" / "like_a_browser.py").read_text(encoding="utf-8")
    lessons = re.search(r"LESSONS = (\(.*?\))", trial)[1]
    assert lessons in (ROOT / "docs" / "lite.py").read_text(encoding="utf-8") and '"numba"' in trial
