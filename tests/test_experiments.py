"""What holds for every experiment of every paper, and the laws that keep papers apart from each other and from the library."""

import ast
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import linattn_np as la
from linattn_np.__main__ import main
from linattn_np.experiments import curves, record, registry, rules, scale, settings
from linattn_np.experiments.pace import Pace, spoken
from linattn_np.experiments.papers import PAPERS
from linattn_np.experiments.studies import STUDIES
from linattn_np.plotting import new_figure
from linattn_np.training.runs import RunFolder

ROOT = Path(__file__).parents[1] / "linattn_np"
WORKS = {"papers": PAPERS, "studies": STUDIES}
PAPER_FILES = sorted(file for folder in WORKS for file in (ROOT / "experiments" / folder).rglob("*.py"))


def assert_nothing_is_clipped(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box, renderer = figure.bbox, canvas.get_renderer()
    for text in [*figure.texts, *(t for ax in figure.axes for t in (ax.title, ax.xaxis.label, ax.yaxis.label))]:
        extent = text.get_window_extent(renderer)
        assert not text.get_text() or (extent.x0 >= 0 and extent.y0 >= 0 and extent.x1 <= box.x1 and extent.y1 <= box.y1), text
    for ax in figure.axes:
        tight = ax.get_tightbbox(renderer)  # tick labels and legends
        assert tight.x0 >= -1 and tight.y0 >= -1 and tight.x1 <= box.x1 + 1 and tight.y1 <= box.y1 + 1


def has_theirs(claim):
    """Whether a claim says what it is held against."""
    return bool(claim.printed or claim.code or claim.reported or claim.predicted)


# ---------------------------------------------------------------- the harness holds every experiment to the same face


@pytest.mark.parametrize("name", registry.places())
def test_an_experiment_runs_small_draws_speaks_and_is_judged(name, tiny, tmp_path):
    module, numbers = registry.experiment(name), tiny.measured(name)
    assert module.TITLE and 100 < len(module.ALT) < 1000 and set(module.SECONDS) == {"paper", "quick"}
    folder = RunFolder(tmp_path / "runs")
    record.write(tmp_path, name, module, numbers, tiny.scale, 1.0, folder)
    kept = json.loads(
        (tmp_path / f"{name}.json").read_text(), parse_constant=lambda word: pytest.fail(f"{word} is not strict JSON")
    )
    assert {"title", "alt", "scale", "seeds", "versions", "seconds"} <= set(kept) and kept["seeds"] == [0, 1]
    assert kept["title"] == module.TITLE and kept["alt"] == module.ALT and scale.Scale(**kept["scale"]) == tiny.scale
    assert (
        set(kept["versions"]) == {"linattn_np", "python", "numpy", "matplotlib", "numba"}
        and kept["versions"]["numpy"] == np.__version__
    )
    assert module.summary(kept).count("\n") >= 2 and (tmp_path / f"{name}.png").stat().st_size > 10_000
    figure = module.draw(kept, tiny.scale)  # from the JSON alone
    assert len(figure.axes) >= 3
    record.mark(figure, module, kept, tiny.scale)
    words = " ".join(figure.get_supxlabel().split())
    assert words.startswith(
        f"tiny: {module.sizes(tiny.scale)}; not the paper's scale"
    ) and "1 seeds" not in words + module.summary(kept)
    assert_nothing_is_clipped(figure)
    for claim in module.CLAIMS:
        assert claim.figure == name and claim.rule and claim.rule.text.startswith("agrees: ") and has_theirs(claim)
        row = rules.judge(claim, {**kept, "scale": {**kept["scale"], "name": "paper"}})
        assert row["verdict"] in rules.VERDICTS[:3] and row["ours"]["each_seed"]


def test_a_picture_says_its_size_unless_it_is_the_papers(tmp_path):
    figure, _ = new_figure()
    module = SimpleNamespace(
        TITLE="t", ALT="a", CLAIMS=(), sizes=lambda scale: f"{scale.seeds} seeds", draw=lambda numbers, scale: figure
    )
    for used, words in ((scale.PAPER, ""), (scale.QUICK, "quick: 3 seeds; not the paper's scale")):
        record.write(tmp_path, "x", module, {}, used, 1.0, RunFolder(tmp_path / "runs"))
        assert figure.get_supxlabel() == words


def test_claims_have_names_of_their_own_and_those_not_measured_say_why():
    claims = registry.claims()
    assert len({claim.id for claim in claims}) == len(claims) > 40
    assert all(claim.statement and claim.where and has_theirs(claim) for claim in claims)
    assert all(claim.untested and claim.values is None for claim in claims if claim.figure is None)


@pytest.mark.parametrize("paper", PAPERS)
def test_a_paper_is_found_by_name_and_has_its_face(paper):
    module = getattr(la.papers, paper)
    assert module.TITLE and module.SOURCE.startswith("arXiv ") and isinstance(module.CLAIMS, tuple)
    assert registry.titles()[registry.number_of(module)] == (module.PAPER if hasattr(module, "PAPER") else module.TITLE)
    if not hasattr(module, "EXPERIMENTS"):  # it is an experiment itself
        assert module.PAPER != module.TITLE and len(module.CLAIMS) >= 5
    names = getattr(module, "EXPERIMENTS", (paper,))
    assert set(names) <= set(registry.places())
    if hasattr(module, "EXPERIMENTS"):  # each module of the folder with that face is entered
        faces = {
            file.stem for file in (ROOT / "experiments" / "papers" / paper).glob("*.py") if "\ndef summary(" in file.read_text()
        }
        assert faces == set(names)


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_is_found_by_name_and_has_its_face(study):
    module = getattr(la.studies, study)
    assert module.TITLE and len(module.CLAIMS) >= 5 and not hasattr(module, "EXPERIMENTS")
    assert registry.places()[study] == f"linattn_np.experiments.studies.{study}" and study in registry.groups()["studies"]
    assert all(claim.predicted for claim in module.CLAIMS)


def test_an_unknown_study_is_an_unknown_attribute():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        la.studies.nothing  # noqa: B018
    assert set(STUDIES) <= set(dir(la.studies))


def test_a_paper_of_one_file_is_an_experiment(monkeypatch):
    monkeypatch.setattr(registry, "STUDIES", ())
    monkeypatch.setattr(registry, "papers", lambda: {"one_file": rules})  # any module without EXPERIMENTS
    monkeypatch.setattr(registry, "GROUPS", {"first": (), "second": ("one_file",)})
    assert registry.groups() == {"first": (), "second": ("one_file",)}
    assert registry.asked("second") == registry.asked("one_file") == ("one_file",) and registry.asked("first") == ()
    with pytest.raises(ValueError, match="NAME: expected one of 'one_file', 'first', 'second'"):
        registry.asked("one")
    assert registry.places() == {"one_file": "linattn_np.experiments.papers.one_file"} and registry.cited(rules) == ()


# ---------------------------------------------------------------- three laws


def imports_of(file):
    """Full names of the modules that a file imports, wherever in it the import stands."""
    package = [*file.relative_to(ROOT.parent).with_suffix("").parts][:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def paper_of(file):
    """The paper or study that a file belongs to."""
    return file.relative_to(ROOT / "experiments").with_suffix("").parts[1]


def named_paper(module):
    """The paper or study that a module's full name lies in, or None."""
    parts = module.split(".")
    inside = parts[:2] == ["linattn_np", "experiments"] and len(parts) > 3 and parts[3] in WORKS.get(parts[2], ())
    return parts[3] if inside else None


def test_no_paper_imports_another():
    for file in PAPER_FILES:
        others = {named_paper(module) for module in imports_of(file)} - {None, paper_of(file)}
        assert not others, f"{file} imports {others}; what two papers need moves to a shared module"


ARGUMENTS = {"momentum"}  # a paper is called as an argument of the optimizers is


def test_nothing_below_imports_a_paper_and_the_harness_knows_none_by_name():
    below = [file for file in ROOT.rglob("*.py") if file not in PAPER_FILES and "teaching" not in file.parts]
    assert len(below) > 40
    for file in below:
        assert not [module for module in imports_of(file) if named_paper(module)], file
        if "experiments" in file.parts:
            names = {node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)}
            assert not names & ({*PAPERS, *STUDIES} - ARGUMENTS), f"{file} names a paper"
        elif file.name != "__main__.py":  # the table of commands
            assert not [module for module in imports_of(file) if module.startswith("linattn_np.experiments")], file


def layer_functions(files):
    """{body of a layer's function: file} of every forward, backward, tangent and backward_tangent."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name in ("forward", "backward", "tangent", "backward_tangent"):
                yield ast.dump(ast.Module(node.body[1:], [])), file


def test_a_layer_stands_in_its_paper_until_a_second_one_needs_it():
    """Importing it from the other paper is forbidden above; so is a copy.

    One that stands in layers/ is used by models or two papers.
    """
    seen = {}
    for body, file in layer_functions([*sorted((ROOT / "layers").glob("*.py")), *PAPER_FILES]):
        assert seen.setdefault(body, file) == file, f"{file} repeats a layer of {seen[body]}: it moves to layers/"
    imported = {file: set(imports_of(file)) for file in ROOT.rglob("*.py")}
    for layer in {file for _, file in layer_functions(sorted((ROOT / "layers").glob("*.py")))}:
        name = f"linattn_np.layers.{layer.stem}"
        users = [file for file, modules in imported.items() if any(f"{module}.".startswith(f"{name}.") for module in modules)]
        papers = {paper_of(file) for file in users if file in PAPER_FILES}
        assert len(papers) != 1 or set(users) - set(PAPER_FILES), f"only {papers} uses {name}: it belongs there"


def test_the_laws_see_an_import_that_breaks_them(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path / "linattn_np")
    file = tmp_path / "linattn_np" / "experiments" / "panels.py"
    file.parent.mkdir(parents=True)
    file.write_text(f"def f():\n    from .papers.{PAPERS[0]} import depth\n")
    assert [named_paper(module) for module in imports_of(file)] == [PAPERS[0]]
    inside = tmp_path / "linattn_np" / "experiments" / "papers" / "other.py"
    inside.parent.mkdir()
    inside.write_text(f"from .{PAPERS[0]}.settings import SETTINGS\nfrom . import {PAPERS[0]}\n")
    assert {named_paper(module) for module in imports_of(inside)} == {PAPERS[0]} and paper_of(inside) == "other"


# ---------------------------------------------------------------- what experiments share, by hand


def test_one_rule_gives_every_optimizer_its_momentum():
    kinds = {name: settings.with_momentum(name, 0.3) for name in ("SGD", "SignDescent", "Adam", "AdamW", "RMSProp")}
    assert kinds["SGD"] == la.optimizers.SGD(0.3, momentum=0.9) and kinds["SignDescent"].momentum == 0.9
    assert kinds["Adam"] == la.optimizers.Adam(0.3, beta1=0.9, beta2=0.9) and kinds["AdamW"].beta2 == 0.9
    assert kinds["RMSProp"] == la.optimizers.RMSProp(0.3)
    assert registry.settings()["setting2"].optimizer("Adam") == la.optimizers.Adam(0.005, beta1=0.9, beta2=0.9)


def test_a_curve_is_made_and_read_again():
    found = json.loads(json.dumps(record.rounded(curves.curve([0, 10], np.array([[1.0, 2.0], [3.0, np.inf], [5.0, np.inf]])))))
    assert found["median"] == [3.0, None] and found["each_seed"][1] == [3.0, None]
    assert curves.each_seed(found, 0).tolist() == [1.0, 3.0, 5.0] and np.isnan(curves.each_seed(found)[1])
    assert np.isnan(curves.each_seed(found, 5)).all() and np.isnan(curves.band(found)[1][1])
    assert "each_seed" not in curves.curve([0], [[1.0]], each_seed=False)


def test_condition_numbers_of_what_diverged_are_missing():
    diagonals = np.array([[[1.0, 2.0, 8.0], [np.nan, 1.0, 2.0]]])
    found = curves.condition_numbers(diagonals)
    assert found[0, 0] == 4.0 and np.isnan(found[0, 1])
    assert curves.condition_numbers(np.array([[[0.0, 2.0, 8.0, 16.0]]]), drop_dead=True)[0, 0] == 2.0


# ---------------------------------------------------------------- how far a command is


def test_what_is_left_follows_the_pace_of_what_is_done():
    now = [100.0]
    pace = Pace({"a": 10.0, "b": 20.0, "c": 5.0}, clock=lambda: now[0])
    assert pace.left() == 35.0 and pace.words() == "[1 of 3] 1 s gone, about 35 s left"
    now[0] += 20.0
    pace.finish()  # twice as long as expected
    assert pace.left() == 50.0 and pace.where() == "[2 of 3]"
    now[0] += 30.0
    assert pace.left() == 20.0
    now[0] += 40.0  # 70 of 40 expected: slower still
    assert pace.left() == pytest.approx(5.0 * 90 / 30)
    pace.finish()
    now[0] += 3.0
    pace.finish()
    assert pace.left() == 0.0 and pace.where() == "[3 of 3]" and pace.gone() == 93.0


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (60, "1 minute"),
        (80, "1 min 20 s"),
        (500, "8 min 20 s"),
        (480, "8 minutes"),
        (700, "12 minutes"),
        (5400, "1 hour 30 minutes"),
        (7200, "2 hours"),
    ],
)
def test_times_are_spoken(seconds, words):
    assert spoken(seconds) == words


def test_sizes_are_those_that_are_run_in_words():
    assert scale.in_words(scale.PAPER) == "10,000 iterations, batch 1000, 6 seeds" and scale.counted(1, "seed") == "1 seed"
    quick = {name: registry.experiment(name).sizes(scale.QUICK) for name in registry.places()}
    assert quick["adam_vs_sgd"] == "1,000 iterations, batch 200, 3 seeds"
    assert quick["bigger_model"] == "100 iterations, batch 16, 2 seeds" and "1 seed" in quick["learning_rates"]
    assert quick["full_batch"] == "500 iterations, batches of 10, 100, 200 and one fixed batch, 2 seeds"
    assert quick["depth"].startswith("2 and 4 layers") and registry.experiment("depth").sizes(scale.PAPER).startswith("4 depths")


def test_what_numbers_do_not_show_is_named():
    def values(numbers):
        return curves.spread(numbers["each"])

    stated = rules.Claim("a", "it grows", "where", printed="grows", figure="f", values=values, rule=rules.Above(2.0, 1.0))
    printed = rules.Claim("b", "it is 5", "where", code="5", figure="f", values=values, rule=rules.Within(5.0, 5.0))
    assert rules.contradicted([stated, printed], {"each": [0.5]}) == [stated]
    assert rules.contradicted([stated, printed], {"each": [1.5]}) == [] == rules.contradicted([stated], {"each": [np.nan]})


ONE_FILE = '''
"""A paper in one file: the mean of a few numbers."""

import numpy as np

from linattn_np.experiments.curves import spread
from linattn_np.experiments.rules import Claim, around
from linattn_np.plotting import new_figure

SOURCE, TITLE, SECONDS = "arXiv 0000.00000", "A mean", {"paper": 60, "quick": 1}
ALT = "One panel: the mean."


def sizes(scale):
    return f"{scale.seeds} numbers"


def measure(folder, scale, progress=None):
    return {"mean": spread(np.arange(scale.seeds))}


def draw(numbers, scale):
    figure, axes = new_figure()
    axes[0][0].plot(numbers["mean"]["each_seed"])
    return figure


def summary(numbers):
    return f"the mean is {numbers['mean']['mean']}"


CLAIMS = (Claim("mean", "The mean is 1", "nowhere", printed="1", figure="one_file", values=lambda n: n["mean"], rule=around(1.0,
2.0)),)
'''


def test_a_paper_is_one_file_and_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "one_file.py").write_text(ONE_FILE)
    monkeypatch.setattr(la.papers, "__path__", [*la.papers.__path__, str(tmp_path)])
    monkeypatch.setattr(la.papers, "PAPERS", (*PAPERS, "one_file"))
    monkeypatch.setattr(registry, "GROUPS", {**la.papers.GROUPS, "new": ("one_file",)})
    assert la.papers.one_file.TITLE == "A mean"
    assert main(["reproduce", "--quick", "one_file", "--out", str(tmp_path), "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "the mean is 1.0" in out and "(quick: 3 numbers)" in out and (tmp_path / "quick" / "one_file.png").exists()
    rows = json.loads((tmp_path / "quick" / "scorecard.json").read_text())["rows"]
    (row,) = (row for row in rows if row["id"] == "mean")
    assert row["ours"]["median"] == 1.0 and row["paper"] == "0000.00000"
    assert "## A mean (arXiv 0000.00000)" in (tmp_path / "quick" / "scorecard.md").read_text()


def test_a_study_is_one_file_and_one_line(tmp_path, monkeypatch, capsys):
    claim = ONE_FILE.replace('printed="1"', 'predicted="1"').replace('SOURCE = "arXiv 0000.00000"\n', "")
    (tmp_path / "one_study.py").write_text(claim.replace("one_file", "one_study"))
    monkeypatch.setattr(la.studies, "__path__", [*la.studies.__path__, str(tmp_path)])
    monkeypatch.setattr(registry, "STUDIES", (*STUDIES, "one_study"))
    assert registry.groups()["studies"][-1] == "one_study"
    assert main(["reproduce", "--quick", "one_study", "--out", str(tmp_path), "--workers", "1"]) == 0
    assert "the mean is 1.0" in capsys.readouterr().out
    row = json.loads((tmp_path / "quick" / "scorecard.json").read_text())["rows"][-1]
    assert row["id"] == "mean" and row["paper"] == "studies of our own" and row["predicted"] == "1"
    page = (tmp_path / "quick" / "scorecard.md").read_text()
    assert "## Studies of our own" in page and "| Studies of our own |  |" in page and "1 [predicted]" in page
