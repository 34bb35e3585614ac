"""What is installed: the extras add up to requirements.txt, one version everywhere, a console script, types that are declared."""

import tomllib
from importlib import import_module
from pathlib import Path

import linattn_np as la

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]


def test_requirements_are_the_core_and_what_lessons_and_tests_need():
    extras = PROJECT["optional-dependencies"]
    installed = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    assert sorted(installed) == sorted(PROJECT["dependencies"] + extras["lessons"] + extras["test"])
    assert set(extras) == {"lessons", "test", "dask", "docs", "lint"}
    core = {name.split(">=")[0] for name in PROJECT["dependencies"]}
    assert core == {"numpy", "numba", "matplotlib", "tqdm"}


def test_the_console_script_returns_the_status():
    module, name = PROJECT["scripts"]["linattn_np"].split(":")
    assert getattr(import_module(module), name)(["reproduce", "--list"]) == 0


def test_one_version_everywhere():
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {la.__version__}\n" in cited and f"\n## {la.__version__}" in changes
    assert changes.index(f"\n## {la.__version__}") == changes.index("\n## "), "the newest version comes first"


def test_types_are_declared():
    assert (ROOT / "linattn_np" / "py.typed").is_file()
    assert SETTINGS["tool"]["setuptools"]["package-data"]["linattn_np"] == ["py.typed"]
    assert "Typing :: Typed" in PROJECT["classifiers"] and SETTINGS["tool"]["mypy"]["disallow_untyped_defs"]


def test_names_that_the_changelog_promises_are_there():
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    names = [line.split("`")[3] for line in lines if line.startswith("| `linattn_np.") and line.count("`") == 4]
    assert len(names) >= 20
    for name in names:
        assert import_module(name), name
