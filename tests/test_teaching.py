"""check and its five verdicts, guesses, figures and tables. Every registered exercise is fed the right answer and every slip."""

import json
import re
import sys
from fractions import Fraction

import numpy as np
import pytest

import linattn_np as la
from linattn_np import plotting, teaching
from linattn_np.teaching import exercise, figures, guesses, tables
from linattn_np.teaching import verdicts as judge
from linattn_np.teaching.exercise import Exercise, Slip, find, from_catalogue, lessons_with_exercises, of_lesson
from linattn_np.teaching.mistakes import outputs, points_of

EXERCISES = [e for number in lessons_with_exercises() for e in of_lesson(number).values()]
each_exercise = pytest.mark.parametrize("one", EXERCISES, ids=lambda e: e.id)


@each_exercise
def test_the_right_answer_is_right(one):
    assert judge.judge(one.id, one.reference).right


@each_exercise
def test_at_least_three_wrong_answers_each_with_its_own_hint(one):
    hints = [slip.hint for slip in one.slips]
    assert len(hints) >= 3 and len(set(hints)) == len(hints)
    for slip in one.slips:
        verdict = judge.judge(one.id, slip.wrong)
        assert (verdict.kind, verdict.hint) == (judge.WRONG_VALUE, slip.hint)


@each_exercise
def test_no_answer_is_not_attempted(one):
    def stub(*arguments):
        raise NotImplementedError("your answer")

    empty = [..., None] if one.inputs is None else [..., None, stub]
    assert {judge.judge(one.id, answer).kind for answer in empty} == {judge.NOT_ATTEMPTED}


@each_exercise
def test_wrong_types_are_named(one):
    if one.inputs is None:
        answers = [object()] if isinstance(one.reference, str) else ["five", [1.0, 2.0], object()]
    else:
        answers = [
            1.0,
            lambda *a: None,
            lambda *a: "text",
            lambda *a: np.zeros((1, 2, 3, 4)),
            lambda: 0,
            lambda *a: [[1], [1, 2]],
        ]
    for answer in answers:
        verdict = judge.judge(one.id, answer)
        assert verdict.kind == judge.WRONG_FORM and verdict.reasons[0]


@pytest.fixture
def registered(monkeypatch):
    """Register one exercise as 99.1 for a test."""

    def register(**fields):
        one = Exercise(**{"id": "99.1", "asks": "Do it.", **fields})
        monkeypatch.setattr(judge, "find", lambda id: one)
        return one

    return register


def square(X):
    return X @ X


def draw_square(rng, sizes):
    return (rng.standard_normal((sizes["d"], sizes["d"])),)


def test_the_five_verdicts(registered):
    registered(reference=square, inputs=draw_square)

    def spoils(X):
        out = X @ X
        X[0, 0] = 0.0
        return out

    def spoils_once(X):
        return spoils(X) if len(X) == 5 else X @ X

    assert judge.judge("99.1", spoils_once).kind == judge.IMPURE
    answers = {..., lambda X: X[0], lambda X: X, square, spoils}
    kinds = {judge.judge("99.1", answer).kind for answer in answers}
    assert kinds == {judge.NOT_ATTEMPTED, judge.WRONG_FORM, judge.WRONG_VALUE, judge.RIGHT, judge.IMPURE}
    verdict = judge.judge("99.1", spoils)
    assert not verdict.right and "X came out different" in verdict.reasons[0]


def draw_batch(rng, sizes):
    """X (B, n, n)"""
    return (rng.standard_normal((sizes["B"], sizes["n"], sizes["n"])),)


def test_factors_and_transpositions_are_recognised_without_being_listed(registered):
    registered(reference=square, inputs=draw_batch)
    of_size = {
        "the sign is wrong": lambda n, B: -1, "twice too large": lambda n, B: 2,
        "half of it: is a factor 2 missing?": lambda n, B: 0.5,
        "off by 1/n": lambda n, B: n, "divided by n once too often": lambda n, B: 1 / n,
        "off by 1/B": lambda n, B: B, "divided by B once too often": lambda n, B: 1 / B,
        "off by n/(n+1): 1/(n+1) in place of 1/n": lambda n, B: n / (n + 1),
        "all entries are zero: is the result ever written?": lambda n, B: 0,
    }  # fmt: skip
    for words, factor in of_size.items():
        assert judge.judge("99.1", lambda X, factor=factor: factor(X.shape[1], len(X)) * (X @ X)).hint == words
    assert judge.judge("99.1", lambda X: (X @ X).mT).hint == "transposed"
    assert judge.judge("99.1", lambda X: X @ X + np.nan).hint == "not all entries are finite numbers"


def test_few_digits_are_named_of_an_array_and_never_of_a_number(registered):
    registered(reference=square, inputs=draw_batch)
    for factor in (1 + 1e-7, 1 - 1e-5):
        assert judge.judge("99.1", lambda X, factor=factor: factor * (X @ X)).hint.startswith("right to a few digits only")
    assert judge.judge("99.1", lambda X: X.astype(np.float32) @ X.astype(np.float32)).hint.startswith("right to a few digits")
    registered(reference=lambda X: X.sum(), inputs=draw_batch)
    assert judge.judge("99.1", lambda X: (1 + 1e-7) * X.sum()).hint == ""
    registered(reference=0.2)
    assert judge.judge("99.1", 0.2000001).hint == ""


def test_no_factor_is_named_by_accident(registered):
    registered(reference=square, inputs=draw_batch)
    for factor in (1.7, 3, 7, 1 / 3, 1 / 11, 7 / 8, 1.001):  # n and B at one of the points are no n and B
        assert judge.judge("99.1", lambda X, factor=factor: factor * (X @ X)).hint == ""
    registered(reference=square, inputs=draw_square)  # neither n nor B occurs here
    for at in ("n", "B"):
        sizes = iter(exercise.POINTS)
        assert judge.judge("99.1", lambda X, sizes=sizes, at=at: next(sizes)[at] * (X @ X)).hint == ""
    one = find("13.6")  # its L is as large as B elsewhere
    for divisor, said in (("L", ""), ("n", "divided by n once too often")):
        wrong = lambda L, n, d, mu, divisor=divisor: one.reference(L, n, d, mu) / {"L": L, "n": n}[divisor]
        assert judge.judge_function(one, wrong, points_of(one)).hint == said


def test_a_wrong_value_says_where_and_how_far(registered):
    registered(reference=square, inputs=draw_square)

    def off(X):
        out = X @ X
        out[2, 1] += 5.0
        return out

    verdict = judge.judge("99.1", off)
    assert verdict.reasons == ("result: 1 of 25 entries is off, at result[2, 1]",)

    def row(X):
        out = X @ X
        out[-1] = 0.0
        return out

    registered(reference=lambda X: (X @ X)[None], inputs=draw_square)
    assert judge.judge("99.1", lambda X: off(X)[None]).reasons == ("result: 1 of 25 entries is off, at result[:, 2, 1]",)
    registered(reference=square, inputs=lambda rng, s: (rng.standard_normal((5, 5)),))
    assert judge.judge("99.1", row).reasons == ("result: 5 of 25 entries are off, at result[4, :]",)
    assert judge.judge("99.1", lambda X: X).reasons == ("result: all 25 entries are off",)


def test_exceptions_and_shapes_are_said_in_one_line(registered):
    registered(reference=lambda Z: Z.sum(axis=1), inputs=lambda rng, s: (rng.standard_normal((s["B"], s["n"], s["d"])),))
    raised = judge.judge("99.1", lambda Z: Z @ Z)
    assert "it raised ValueError" in raised.reasons[0] and "called with Z (3, 7, 5)" in raised.reasons[1]
    assert "raised = judge.judge(" in raised.reasons[0], "the line that is cited is the student's"
    assert (
        judge.judge("99.1", lambda Z: Z.sum(axis=1).T).reasons[0]
        == "result: expected shape (3, 5), got shape (5, 3): transposed?"
    )
    assert "is a return missing?" in judge.judge("99.1", lambda Z: None).reasons[0]
    assert "without calling it" in judge.judge("99.1", np.zeros(3)).reasons[0]


def test_several_results_are_compared_by_name(registered):
    registered(reference=lambda X: (X, X @ X), inputs=draw_square, names=("first", "second"))
    assert "expected 2 results (first, second)" in judge.judge("99.1", lambda X: X).reasons[0]
    verdict = judge.judge("99.1", lambda X: (X, -(X @ X)))
    assert verdict.reasons == ("first is right; second: all 25 entries are off",) and verdict.hint == "second: the sign is wrong"


def test_hard_coded_sizes_do_not_pass(registered):
    registered(reference=lambda Z: Z.mean(axis=1), inputs=lambda rng, s: (rng.standard_normal((s["B"], s["n"])),))
    verdict = judge.judge("99.1", lambda Z: Z.sum(axis=1) / 7)
    assert verdict.kind == judge.WRONG_VALUE and verdict.hint == ""
    assert verdict.reasons[0].endswith("at B=2, n=11, d=3; right at B=3, n=7, d=5: is a number written where an input belongs?")


def test_values_are_not_given_away(registered):
    registered(reference=0.25, slips=(Slip("upside down", 4.0),))
    verdict = judge.judge("99.1", 0.5)
    assert verdict.kind == judge.WRONG_VALUE and "0.25" not in str(verdict)
    assert judge.judge("99.1", 4).hint == "upside down" and judge.judge("99.1", 1 / 4).right


def test_a_crash_inside_a_library_cites_the_line_that_called_it(registered):
    registered(reference=square, inputs=draw_square)

    def crashes(X):
        W = X @ X
        return np.linalg.solve(W, np.zeros(99))

    said = judge.judge("99.1", crashes).reasons[0]
    assert "(your line" in said and said.endswith("return np.linalg.solve(W, np.zeros(99)))")
    by_library = judge.judge("99.1", lambda X: find("nonsense"))
    assert 'find("nonsense")' in by_library.reasons[0]
    assert "does it take the inputs that are given?" in judge.judge("99.1", lambda: 0).reasons[0]


def test_letters_and_numbers_are_taken_as_people_write_them(registered):
    registered(reference="b", slips=(Slip("no", "a"), Slip("nor", "c")))
    assert all(judge.judge("99.1", answer).right for answer in ("b", "B", "(b)", " b) ", "b.", "(B).", "( b )"))
    assert judge.judge("99.1", "(A)").hint == "no" and judge.judge("99.1", "beta").kind == judge.WRONG_VALUE
    registered(reference=0.2)
    for answer in (Fraction(1, 5), np.array([0.2]), [0.2], np.float64(0.2), np.array(0.2), [[Fraction(1, 5)]]):
        assert judge.judge("99.1", answer).right
    registered(reference=np.array([0.5, 2.0]))
    assert judge.judge("99.1", [Fraction(1, 2), 2]).right and judge.judge("99.1", [0.5]).kind == judge.WRONG_FORM
    assert judge.judge("99.1", ["0.5", None]).kind == judge.WRONG_FORM


def test_strict_mode_raises_and_says_nothing_more(registered, monkeypatch, capsys):
    registered(reference=0.2, slips=(Slip("upside down", 5.0),))
    for answer in (5.0, "no number", ...):
        with pytest.raises(AssertionError) as error:
            teaching.check("99.1", answer, strict=True)
        assert str(error.value) == f"99.1: {judge.judge('99.1', answer).kind}"
    monkeypatch.setenv("LINATTN_STRICT", "1")
    with pytest.raises(judge.NotRightError):
        teaching.check("99.1", 5.0)
    teaching.check("99.1", 0.2)
    teaching.check("99.1", 5.0, strict=False)
    assert (
        capsys.readouterr().out == "99.1: right\n99.1: wrong value\n    your answer: not the right value\n    Hint: upside down\n"
    )
    monkeypatch.setenv("LINATTN_STRICT", "yes")
    with pytest.raises(ValueError, match="LINATTN_STRICT: expected one of '0', '1', got 'yes'"):
        teaching.check("99.1", 0.2)


def test_what_an_exercise_asks_for_is_not_called():
    before = sys.getprofile()
    verdict = judge.judge("13.4", lambda params, Z, y: la.loss_and_grad(params, Z, y)[1])
    assert verdict.kind == judge.NOT_ATTEMPTED and "the library's loss_and_grad does the work here" in verdict.reasons[1]
    by_model = lambda params, Z, y: la.LinearTransformer(layers=4, d=params.shape[-1]).loss_and_grad(params, Z, y)[1]
    assert judge.judge("13.4", by_model).kind == judge.NOT_ATTEMPTED
    assert judge.judge("04.5", lambda Z: la.hessian(np.zeros((1, 1, 2, 5, 5)), Z, Z[:, 0, 0])).kind == judge.NOT_ATTEMPTED
    assert sys.getprofile() is before
    one = find("04.5")
    (Z,) = one.inputs(np.random.default_rng(0), exercise.POINTS[0])
    block = (Z.shape[2] - 1) ** 2
    by_library = la.hessian(np.zeros((1, 1, 2, 5, 5)), Z, np.zeros(len(Z)), backend="numpy")[block:, block:]
    assert np.abs(one.reference(Z) - by_library).max() < 1e-12 * np.abs(by_library).max()


def random_like(e, rng):
    return rng.standard_normal(np.shape(e)) * 10 ** rng.uniform(-1, 2) * np.abs(e).max()


@each_exercise
def test_a_hundred_random_answers_get_one_and_the_same_message(one):
    """Named mistakes excepted: no ratio, no distance and no entry of the right result is ever shown."""
    rng, said = np.random.default_rng(0), set()
    points = None if one.inputs is None else points_of(one)
    for _ in range(100):
        if points:
            wrong = [[random_like(e, rng) for e in point.expected] for point in points]
            given = iter([tuple(w) if len(one.names) > 1 else w[0] for w in wrong])
            verdict = judge.judge_function(one, lambda *inputs, given=given: next(given), points)
        else:
            verdict = judge.judge(one.id, "".join(rng.choice(list("efghxyz"), 3)) if isinstance(one.reference, str) else
                                  random_like(one.reference, rng))  # fmt: skip
        if verdict.kind == judge.WRONG_VALUE and not verdict.hint:
            said.add(str(verdict))
    assert len(said) == 1
    assert not re.search(r"\d\.\d|%|expected|times", said.pop().partition("\n")[2])


@each_exercise
def test_the_right_answer_is_right_in_four_forms(one):
    if isinstance(one.reference, str):
        forms = [one.reference.upper(), f"({one.reference})", f"{one.reference})", f" {one.reference}. "]
    elif one.inputs is None:
        value = np.asarray(one.reference, float)
        exact = np.vectorize(Fraction, otypes=[object])(value)
        forms = [value, value.tolist(), exact, value[None] if value.ndim == 0 else np.asfortranarray(value)]
    else:

        def as_form(change):
            def answer(*inputs):
                results = [change(np.asarray(r)) for r in outputs(one.reference(*inputs))]
                return results if len(results) > 1 else results[0]

            return answer

        changes = [np.array, lambda r: r.tolist(), np.asfortranarray, lambda r: r.reshape(1) if r.ndim == 0 else r.astype(float)]
        forms = [as_form(change) for change in changes]
    assert len(forms) == 4 and all(judge.judge(one.id, form).right for form in forms)


def test_verdicts_read_as_text_and_as_html(capsys):
    teaching.check("01.1", 5)
    assert capsys.readouterr().out.startswith("01.1: wrong value\n    ")
    page = judge.judge("01.2", lambda X, w: X)._repr_html_()
    assert "01.2: wrong type or shape" in page and "<div" in page
    assert "&lt;" in judge.Verdict("01.1", judge.RIGHT, ("a < b",))._repr_html_()


def test_an_exercise_may_have_a_letter_in_its_lesson(monkeypatch):
    one = exercise.choice("05b.t1", "Which?", "a", b="not that")
    monkeypatch.setattr(exercise, "of_lesson", {"05b": {"05b.t1": one}}.__getitem__)
    assert find("05b.t1") is one and judge.judge("05b.t1", "a").right
    with pytest.raises(ValueError, match=r"id: expected one of 05b\.t1, got '05b\.2'"):
        find("05b.2")


@pytest.mark.parametrize("id", ["01.99", "77.1", "1.1", "02", 3, None])
def test_an_unknown_exercise_is_said(id):
    with pytest.raises(ValueError, match="id: expected"):
        find(id)


def test_bad_exercises_are_refused():
    with pytest.raises(ValueError, match="reference of 03.1"):
        Exercise("03.1", "", 1.0, inputs=draw_square)
    with pytest.raises(ValueError, match="ids: expected entries of the audit's catalogue"):
        from_catalogue(lambda module: 0, "no_such_mutation")
    assert exercise.of_lesson("98") == {}


def test_guesses_are_kept_and_shown_beside_the_result(capsys):
    guesses.predict("99.p1", "How many", 7)
    guesses.predict("99.p2", "How far", ...)
    guesses.reveal("99.p1", 25, "so it is")
    guesses.reveal("99.p2", 0.123456)
    out = capsys.readouterr().out
    assert "kept: 7" in out and "no guess yet" in out and "so it is" in out
    assert out.splitlines()[-1].split() == ["How", "far", "none", "0.1235"]
    with pytest.raises(ValueError, match="id: expected one of 99.p1"):
        guesses.reveal("99.p9", 1)


def test_profiles(monkeypatch):
    monkeypatch.delenv("LINATTN_PROFILE", raising=False)
    assert teaching.profile() == "class" and teaching.by_profile(1, 2, 3) == 2
    monkeypatch.setenv("LINATTN_PROFILE", "smoke")
    assert teaching.by_profile(1, 2) == 1
    monkeypatch.setenv("LINATTN_PROFILE", "paper")
    assert teaching.by_profile(1, 2) == 2 and teaching.by_profile(1, 2, 3) == 3
    monkeypatch.setenv("LINATTN_PROFILE", "fast")
    with pytest.raises(ValueError, match="LINATTN_PROFILE: expected one of 'smoke', 'class', 'paper', got 'fast'"):
        teaching.profile()


def test_the_key_agrees_with_the_package_docstring(capsys):
    import linattn_np as la

    teaching.symbols("Z B dX")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["B", "Z", "dX"]
    for name in ("B", "n", "N", "d", "D", "L", "H", "Z", "P", "Q", "M", "G", "dX", "vX", "hX"):
        assert name in tables.SYMBOLS and re.search(rf"\b{name}\b", la.__doc__)
    with pytest.raises(ValueError, match="names: expected symbols"):
        teaching.symbols("Z nonsense")


def test_the_paper_and_us_reads_the_scorecard(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tables, "figures_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="figures/scorecard.json is not there"):
        teaching.paper_and_us(["a"])
    ours = {"median": 10.0, "lower_quartile": 9.0, "upper_quartile": 11.0, "seeds": 6}
    words = {"id": "a", "statement": "Adam wins", "where": "3.2", "printed": "faster", "code": "12", "reported": None}
    row = {**words, "ours": ours, "verdict": "agrees", "why": "-"}
    (tmp_path / "scorecard.json").write_text(
        json.dumps({"rows": [row, {**row, "id": "c", "ours": None, "code": None, "reported": "1.5"}]})
    )
    teaching.paper_and_us(["a", "c"])
    out = capsys.readouterr().out
    assert (
        "faster; released code: 12" in out
        and "10 [9, 11], 6 seeds" in out
        and "faster; second-hand: 1.5" in out
        and out.count("Adam wins") == 2
    )
    with pytest.raises(ValueError, match="ids: expected claims of the scorecard"):
        teaching.paper_and_us(["b"])


def test_a_loaded_figure_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tables, "figures_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="name: expected a file figures/a.json"):
        teaching.loaded("a")
    found = {"scale": {"name": "paper", "seeds": 6, "steps": 10_000, "batch": 1000}, "panels": {}}
    (tmp_path / "a.json").write_text(json.dumps(found))
    assert teaching.loaded("a") == found
    assert "Loaded from figures/a.json, not computed here: paper scale, 6 seeds, 10,000 iter" in capsys.readouterr().out
    (tmp_path / "a.json").write_text(json.dumps({**found, "limits": {"seeds": [6, 5], "batch": [1000, 2000]}}))
    teaching.loaded("a")
    assert "paper scale, 5 seeds, 10,000 iterations, batch 2000" in capsys.readouterr().out
    for broken in (b"{", b"[]", b"\xff"):
        (tmp_path / "a.json").write_bytes(broken)
        with pytest.raises(ValueError, match=r"a.json is broken: .*python -m linattn_np reproduce a"):
            teaching.loaded("a")


def test_facts_judge_themselves(capsys):
    teaching.facts([("same", "here", 150, 150), ("not", "there", 25, 24)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].endswith("  agrees") and lines[-1].endswith("does not agree")


def draw_line(slope):
    figure, axes = plotting.new_figure()
    axes[0, 0].plot([0, 1], [0, slope])
    return figure


def test_a_slider_in_a_terminal_is_its_description(capsys):
    figures.slider(draw_line, "A line.", slope=figures.knob((1.0, 2.0), 1.0, "slope"))
    assert capsys.readouterr().out == "[figure] A line.\n"
    with pytest.raises(ValueError, match="start: expected one of the 2 values"):
        figures.knob((1.0, 2.0), 3.0)


def test_a_slider_redraws_its_picture():
    knobs = {"slope": figures.knob((1.0, 2.0), 1.0, "slope")}
    before = figures.png(draw_line(1.0))
    box = figures._widget(draw_line, before, knobs)
    turned, image = box.children[0], box.children[1]
    assert image.value == before
    turned.value = 2.0
    assert image.value != before and image.value[:4] == b"\x89PNG"
