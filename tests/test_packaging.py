"""What is installed: the extras add up to requirements.txt, one version everywhere, a console script, types that are declared."""

import ast
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import linattn_np as la

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]


def test_requirements_are_the_core_and_what_lessons_and_tests_need():
    extras = PROJECT["optional-dependencies"]
    installed = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert sorted(installed) == sorted(PROJECT["dependencies"] + extras["lessons"] + extras["test"])
    assert set(extras) == {"lessons", "test", "dask", "docs", "lite", "lint"}
    core = {name.split(">=")[0] for name in PROJECT["dependencies"]}
    assert core == {"numpy", "numba", "matplotlib", "tqdm"}
    beside = [name for name in PROJECT["dependencies"] if ";" in name]
    assert [name.split(";")[1].strip() for name in beside] == ["sys_platform != 'emscripten'"] and beside[0].startswith("numba>=")


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


def without_encoding(text):
    """Lines that read or write text in whatever encoding the machine happens to have."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and not any(keyword.arg == "encoding" for keyword in node.keywords):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            modes = [
                argument.value for argument in node.args if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            ]
            of_path = called in ("read_text", "write_text") and isinstance(node.func, ast.Attribute) and len(node.args) < 2
            other = ast.unparse(node.func) in ("Image.open", "os.open")  # a picture, a descriptor: no text
            opened = called in ("open", "fdopen") and not other and not any("b" in mode for mode in modes)
            if of_path or opened:
                yield node.lineno


@pytest.mark.parametrize("path", sorted((ROOT / "linattn_np").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_text_is_read_and_written_as_utf8(path):
    assert list(without_encoding(path.read_text(encoding="utf-8"))) == []


def test_a_file_read_in_the_machines_encoding_is_found():
    text = (
        "path.read_text()\nopen(name)\nopen(name, 'rb')\npath.write_text(text, encoding='utf-8')\npath.write_text(text)\n"
        "open(name, 'w')"
    )
    assert list(without_encoding(text)) == [1, 2, 5, 6]


def test_lessons_are_checked_where_the_locale_is_ascii():
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHONIOENCODING"))}
    ascii_only = {**plain, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "linattn_np", "lessons", "check", "1", "2"]
    answer = subprocess.run(command, cwd=ROOT, env=ascii_only, capture_output=True, text=True, encoding="utf-8")
    assert answer.returncode in (0, 1) and answer.stderr == "", answer.stderr  # what the lessons hold is another test's affair
    assert len(answer.stdout.splitlines()) >= 2
