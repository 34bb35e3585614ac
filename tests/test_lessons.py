"""Every lesson runs without a warning, agrees with its notebook, keeps the rules; handouts run; a broken one is caught."""

import copy
import itertools
import re
import time
from fractions import Fraction
from pathlib import Path

import nbformat
import numpy as np
import pytest

import linattn_np as la
from linattn_np.__main__ import main
from linattn_np.teaching import command, course_map, execute, finished, handout, rules, sources
from linattn_np.teaching.exercise import of_lesson
from linattn_np.teaching.exercises.lesson_14b import HALF_WAY, smallest_loss
from linattn_np.teaching.pictures.lesson_14b import best_loss
from linattn_np.teaching.pictures.lesson_15 import Cloud, answers

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "lessons"
LESSONS = sources.find_lessons(FOLDER)
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


@pytest.fixture(scope="module")
def executed():
    """Every lesson, executed side by side in the smoke profile: {number: its run}; handouts are run by
    tests/grading/handouts.py.
    """
    runs = execute.run_all([(lesson, sources.read_source(lesson.source)) for lesson in LESSONS], "smoke", progress=False)
    return {lesson.number: run for lesson, run in zip(LESSONS, runs, strict=True)}


@each_lesson
def test_a_lesson_runs_in_the_smoke_profile_without_warnings(lesson, executed):
    run = executed[lesson.number]
    assert not run.error and not run.warnings
    assert run.first_figure is not None
    assert rules.check_notebook(lesson, sources.read_source(lesson.source), run.notebook) == []


@each_lesson
def test_every_check_in_a_lesson_says_right(lesson, executed):
    said = shown(executed[lesson.number].notebook)
    known = re.findall(r'^check\("([^"]+)"', "\n".join(c.source for c in executed[lesson.number].notebook.cells), re.M)
    assert known and all(f"{id}: right" in said for id in known)


@each_lesson
def test_a_handout_holds_no_solution_and_is_not_paired(lesson):
    source = sources.read_source(lesson.source)
    student = handout.to_handout(source)
    assert "SOLUTION" not in "".join(cell.source for cell in student.cells) and "jupytext" not in student.metadata
    assert not any(cell.outputs for cell in student.cells if cell.cell_type == "code")
    assert any("SOLUTION" in cell.source for cell in source.cells), "the lesson itself is left alone"


@each_lesson
def test_source_and_notebook_agree_and_every_rule_is_kept(lesson):
    source, notebook = sources.read_source(lesson.source), nbformat.read(lesson.notebook, 4)
    assert rules.check_source(lesson, source) + rules.check_notebook(lesson, source, notebook) == []
    assert not finished.is_finished(lesson) or finished.check_finished(lesson, source, notebook) == []


@each_lesson
def test_a_lesson_runs_as_a_script_too(lesson):
    code = "\n".join(cell.source for cell in sources.read_source(lesson.source).cells if cell.cell_type == "code")
    compile(code, lesson.source.name, "exec")
    assert "%" not in [line[:1] for line in code.splitlines()] and "!" not in [line[:1] for line in code.splitlines()]


@each_lesson
def test_jupytext_pairs_the_two_files(lesson):
    from jupytext.paired_paths import paired_paths

    metadata = nbformat.read(lesson.notebook, 4).metadata
    paths = {
        Path(path) for path, _ in paired_paths(str(lesson.notebook), {"extension": ".ipynb"}, metadata["jupytext"]["formats"])
    }
    assert paths == {lesson.notebook, lesson.source}


def shown(notebook):
    """All that a notebook's outputs say as text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)


def test_every_equation_that_code_quotes_of_a_written_lesson_is_set_there():
    quoted = sources.equations_quoted()
    assert {"1.4", "2.7", "2.13", "2.15"} <= set(quoted)
    for lesson in LESSONS:
        number = lesson.equations
        own = set(sources.equations_in(sources.read_source(lesson.source)))
        assert {tag for tag in quoted if tag.partition(".")[0] == number} <= own


def test_the_map_is_made_from_the_cards():
    readme = (FOLDER / "README.md").read_text()
    assert course_map.renewed(readme, course_map.read(FOLDER)) == readme
    linked = re.findall(r"\]\((\d\d[a-z]?_\w+\.ipynb)\)", readme)
    assert linked == [lesson.notebook.name for lesson in LESSONS]
    assert re.findall(r"^\| (\d\d[a-z]?) \| \[", readme, re.M) == [lesson.number for lesson in LESSONS]


# ---------------------------------------------------------------- the numbers on paper


def paper_prompt():
    Z = np.array([[[1.0, 2], [3, 6], [1, 0]]])
    return Z, np.diag([1.0, 1.0])[None], np.diag([-1.0, 0.0])[None]


def test_integer_example_of_lesson_01():
    Z, P, Q = paper_prompt()
    out, tape = la.attention.forward(Z, P, Q)
    assert (tape.W[0, 0] == [[-1, -3, 0], [-3, -9, 0], [-1, -3, 0]]).all() and (tape.V[0, 0] == Z[0]).all()
    assert (tape.W @ tape.V / 2 == [[-5, -10], [-15, -30], [-5, -10]]).all()
    assert (out[0] == [[-4, -8], [-12, -24], [-4, -10]]).all() and la.attention.readout(out) == [10]
    params = np.array([0.0, -0.2]).reshape(1, 1, 2, 1, 1)
    assert abs(la.predict(params, Z)[0] - 2) < 1e-15  # exercise 01.1


def test_integer_example_of_lesson_02():
    Z, P, Q = paper_prompt()
    out, tape = la.attention.forward(Z, P, Q)
    dout = la.attention.readout_backward(2 * (la.attention.readout(out) - 2.0), out)
    seen = {}
    dZ, dP, dQ = la.attention.backward(dout, tape, lambda name, value: seen.setdefault(name, value))
    assert (dout[0] == [[0, 0], [0, 0], [0, -16]]).all()
    assert (seen["dW"][0, 0] == [[0, 0, 0], [0, 0, 0], [-16, -48, 0]]).all() and (
        seen["dV"][0, 0] == [[0, 8], [0, 24], [0, 0]]
    ).all()
    assert (dP[0] == [[0, 0], [80, 160]]).all() and (dQ[0] == [[-160, 0], [-320, 0]]).all()
    assert (seen["dZ_value"][0] == [[0, 8], [0, 24], [0, 0]]).all()
    assert (seen["dZ_reader"][0] == [[0, 0], [0, 0], [160, 0]]).all() and (seen["dZ_read"][0] == [[16, 0], [48, 0], [0, 0]]).all()
    assert (dZ[0] == [[16, 8], [48, 24], [160, -16]]).all()
    for q, slope in ((-1.0, -160.0), (-2.0, -360.0)):  # exercise 02.1
        _, grad = la.loss_and_grad(np.array([1.0, q]).reshape(1, 1, 2, 1, 1), Z, np.array([2.0]), backend="numpy")
        assert (grad.ravel() == [0, slope]).all()


def test_integer_examples_of_lesson_05():
    Z, P, Q = paper_prompt()
    state = la.gram.compress(Z)
    after, tape = la.gram.forward(state, P, Q)
    assert (state.G[0] == [[10, 20], [20, 40]]).all() and (tape.U[0, 0] == [[-10, 0], [-20, 0]]).all()
    assert (
        (tape.T[0] == [[-4, 0], [-10, 1]]).all()
        and (after.z[0] == [-4, -10]).all()
        and (after.G[0] == [[160, 320], [320, 640]]).all()
    )
    seen = {}
    mark = lambda name, value: seen.setdefault(name, value)
    dstate, dP, dQ = la.gram.backward(la.gram.readout_backward(np.array([16.0]), after), tape, mark)
    assert (seen["dT"][0] == [[0, 0], [-16, 0]]).all() and (seen["dU"][0, 0] == [[0, 0], [-8, 0]]).all()
    assert (dP[0] == [[0, 0], [80, 160]]).all() and (dQ[0] == [[-160, 0], [-320, 0]]).all()
    assert (dstate.G[0] == [[0, 0], [8, 0]]).all() and (dstate.z[0] == [160, -16]).all()
    assert (la.gram.compress_backward(dstate, Z)[0] == [[16, 8], [48, 24], [160, -16]]).all()
    blocks, prompt = np.array([1.0, 1, 0, -1]).reshape(2, 1, 2, 1, 1), np.array([[[1.0, 1], [-1, -1], [1, 0]]])
    assert la.predict(blocks, prompt)[0] == 7
    for backend in ("numpy", "numba"):
        value, grad = la.loss_and_grad(blocks, prompt, np.array([1.0]), backend=backend)
        assert value == 36 and (grad.ravel() == [96, 132, 0, -96]).all()


def test_integer_examples_of_lesson_06():
    o = la.optimizers
    cases = [
        (o.SGD(1, momentum=1 / 2), (2, -5), (8, 12)),
        (o.SignDescent(3), (2, -5), (7, 10)),
        (o.Adagrad(5, eps=0), (3, -4), (5, 9)),
        (o.RMSProp(1, alpha=3 / 4, eps=0), (2, -1), (8, 9)),
        (o.Adam(3, 1 / 2, 3 / 4, eps=0), (2, -5), (7, 9)),
        (o.AdamW(3, 1 / 2, 3 / 4, eps=0, weight_decay=1 / 6), (2, -5), (2, 3)),
    ]
    for optimizer, gradients, points in cases:
        x = np.array(10.0)
        state = optimizer.init(x)
        for g, point in zip(gradients, points, strict=True):
            x, state = optimizer.update(x, np.array(float(g)), state)
            assert abs(x - point) < 1e-14
    grad = np.array([[[45.0, 60], [0, 0]], [[0, 100], [0, 0]]])
    clipped = {by: np.round(o.clip(grad, 25, by), 12)[:, 0].tolist() for by in o.CLIPPINGS}
    assert clipped == {"global": [[9, 12], [0, 20]], "block": [[15, 20], [0, 25]], "coordinate": [[25, 25], [0, 25]]}


def test_integer_example_of_lesson_07():
    def last_step(optimizer, gradients):
        x, state = np.zeros(1), optimizer.init(np.zeros(1))
        for g in gradients:
            before, (x, state) = x, optimizer.update(x, np.array([float(g)]), state)
        return (before - x).item()

    momentum, adam = la.optimizers.SGD(1.0, 0.5), la.optimizers.Adam(1.0, 0.5, 0.5, eps=0.0)
    assert [last_step(momentum, [8] * t) for t in (1, 2, 3)] == [8, 12, 14]
    assert np.allclose([last_step(adam, g) for g in ([5], [5, 1], [5000, 1000])], [1, 7 / 9, 7 / 9], rtol=1e-14, atol=0)
    X = np.array(list(itertools.product([1] * 9 + [301], repeat=3)))  # all cases of model X; Y's losses are 1 higher
    for summary, right in ((X.mean(axis=1), 0.20439), (np.median(X, axis=1), 0.027216)):
        assert abs((summary[:, None] > summary + 1).mean() - right) < 1e-12
    assert np.unique(X.mean(axis=1), return_counts=True)[1].tolist() == [729, 243, 27, 1]


def two_layers(p0, q0, p1, q1):
    """Weights of two layers with d = 1 and the prompt of lessons 09 to 11, whose answer is 1."""
    return np.array([p0, q0, p1, q1], float).reshape(2, 1, 2, 1, 1), np.array([[[1.0, 1], [-1, -1], [1, 0]]]), np.ones(1)


def test_integer_example_of_lesson_09():
    for q1, expected in ((-1, [176, 386, 0, 128]), (-2, [736, 1730, 0, 128])):  # the second one is exercise 09.1
        diagonal = np.diag(la.hessian(*two_layers(1, 1, 0, q1)))
        assert (diagonal == expected).all()
    diagonal = np.diag(la.hessian(*two_layers(1, 1, 0, -1)))
    found = [la.landscape.robust_condition_number(diagonal, **kind) for kind in ({}, {"median": "usual"}, {"drop_dead": True})]
    assert np.allclose(found, [386 / 128, 386 / 152, 386 / 176], rtol=1e-15)


def test_the_curvature_of_small_weights_of_lesson_09():
    """(9.3) and (9.4): Q's entries are 2 (1 + (d+1)/n), P's are cubic in the weights, within sampling."""
    d, n, sigma = 3, 8, 1e-3
    Z, y = la.RegressionTask(n=n, d=d).sample(40_000, np.random.default_rng(0))
    params = la.init_params(np.random.default_rng(1), layers=2, d=d, std=sigma)
    H = la.landscape.hessian_diagonal(params, Z, y).reshape(2, 2, d, d)
    assert abs(H[:, 1].mean() / (2 * (1 + (d + 1) / n)) - 1) < 0.03
    X = Z[:, :-1, :-1]
    C, Q = np.einsum("bna,bnc->bac", X, X) / n, params[:, 0, 1]
    middle = np.diag((C @ Q[0] @ C @ Q[0].T @ C).mean(axis=0))
    derived = 4 * np.outer(np.diag(Q[1]), middle)
    assert np.abs(H[0, 0] - derived).max() < 0.1 * np.abs(derived).max() and not H[1, 0].any()


def test_integer_example_of_lesson_10():
    params, Z, y = two_layers(1, 1, 0, -1)
    H, g = la.hessian(params, Z, y), la.loss_and_grad(params, Z, y, backend="numpy")[1].ravel()
    assert (H == [[176, 368, 0, -224], [368, 386, 0, -320], [0, 0, 0, 0], [-224, -320, 0, 128]]).all()
    assert (g == [96, 132, 0, -96]).all()
    rows = {(1, 1, 0, -1): (3, 324, 2514), (8, 11, 0, -8): (249, 2988, 215922), (0, 0, 0, 1): (1, -96, 128),
            (0, 0, 1, 0): (1, 0, 0), (1, -1, 0, 0): (2, -36, -174), (1, 0, 0, -1): (2, 192, 752)}  # fmt: skip
    surface = la.landscape.Objective(Z, y)
    for u, expected in rows.items():
        u = np.array(u, float)
        assert (u @ u, g @ u, u @ H @ u) == expected
        met = la.landscape.step_curvature(params, {"u": u.reshape(params.shape)}, surface)["u"]
        decrease = 0.0 if expected[1] == 0 else expected[1] ** 2 / (2 * expected[2]) if expected[2] > 0 else np.inf
        assert np.isclose(met.kappa, expected[2] / expected[0], rtol=1e-12) and np.isclose(met.decrease, decrease, rtol=1e-12)


def test_integer_example_of_lesson_11():
    slopes, u = {}, np.array([0.0, 1, 0, 1])
    for t in (0, 1, 2, 3, 4, -12):
        at = two_layers(0, t - 1, 0, t - 1)
        slopes[t] = la.loss_and_grad(*at, backend="numpy")[1].ravel() @ u
        assert (la.loss(*at), slopes[t], u @ la.hessian(*at) @ u) == (t**4, 4 * t**3, 12 * t**2)
        assert 12 * t**2 <= 16 + abs(slopes[t])
    assert 4 - slopes[4] / 16 == -12 and -12 - slopes[-12] / 16 == 420 and 1 - slopes[1] / 16 == 0.75


def test_integer_example_of_lesson_13():
    Z, y = np.array([[[2.0, 2], [0, 0], [1, 0]]]), np.ones(1)
    for t, rho in ((0, 1), (0.5, 0), (1, 1), (2, 585), (-1, 9)):  # the last one is exercise 13.1
        params = t * np.array([1.0, -1, 1, -1]).reshape(2, 1, 2, 1, 1)
        prediction = 4 * t - 4 * t**2 - 8 * t**3 + 16 * t**4 + 8 * t**5 - 16 * t**6
        assert la.predict(params, Z) == prediction == 1 - rho and la.loss(params, Z, y) == rho**2
    _, grad = la.loss_and_grad(np.array([1.0, -1, 1, -1]).reshape(2, 1, 2, 1, 1), Z, y, backend="numpy")
    assert (grad.ravel() == [16, -20, 0, -4]).all()


def test_the_first_steps_of_lesson_13():
    """(13.7) and (13.9): the gradient and the curvature along equal multiples of I at small weights, within sampling."""
    d, n = 3, 8
    Z, y = la.RegressionTask(n=n, d=d).sample(40_000, np.random.default_rng(0))
    for layers in (1, 2, 5):
        x = la.init_params(np.random.default_rng(1), layers=layers, d=d, std=1e-4)
        u = np.zeros(x.shape)
        u[:, 0, 1] = np.eye(d) / np.sqrt(d * layers)
        assert abs((u * la.hvp(x, Z, y, u)).sum() / (2 * (2 * layers - 1) * (1 + (d + 1) / n)) - 1) < 0.05
        assert abs(np.linalg.norm(la.loss_and_grad(x, Z, y)[1]) / (2 * np.sqrt(d * layers)) - 1) < 0.03


def test_adams_first_step_of_lesson_13():
    """(13.10): the parabola of a step -eta (I + N_l) with independent signs N_l; and a polynomial of degree L is L steps of
    descent.
    """
    d, n, rng = 3, 8, np.random.default_rng(0)
    X = rng.standard_normal((20_000, n, d))
    C = X.mT @ X / n
    for layers in (1, 2, 4):
        second = []
        for _ in range(30):
            A = [(np.eye(d) + (1 - np.eye(d)) * rng.choice([-1.0, 1.0], (d, d))) @ C for _ in range(layers)]
            total, pairs = (
                sum(A),
                sum((np.trace(A[j] @ A[i], axis1=1, axis2=2) for i in range(layers) for j in range(i + 1, layers)), 0),
            )
            second.append((np.einsum("bij,bij->b", total, total) + 2 * pairs).mean())
        derived = d * layers * (2 * layers + d - 2) * (1 + (d + 1) / n)
        assert abs(np.mean(second) / derived - 1) < 4 * np.std(second) / 30**0.5 / derived + 0.03
    c = np.linalg.eigvalsh(C[:500]).ravel()
    powers = c[:, None] ** np.arange(1, 5)
    best = np.concatenate([[1.0], np.linalg.lstsq(powers, -np.ones_like(c))[0]])
    lengths = 1 / np.polynomial.polynomial.polyroots(best)
    assert not lengths.imag.any() and (lengths.real > 0).all()
    assert np.allclose(np.prod([1 - length * c for length in lengths.real], axis=0), np.polynomial.polynomial.polyval(c, best))


def test_integer_example_of_lesson_14():
    def by_machine(module, x, w, q):
        """The query's row of E, dE and dA, the slot and dq, for two examples and the query 1, P = 1."""
        Z, seen = np.array([[[x[0], w * x[0]], [x[1], w * x[1]], [1.0, 0.0]]]), {}
        mark = lambda name, value: seen.setdefault(name, value)
        out, tape = module.forward(Z, np.eye(2)[None], np.diag([q, 0.0])[None], mark)
        dout = module.readout_backward(2 * (module.readout(out) - w), out)
        _, dP, dQ = module.backward(dout, tape, mark)
        assert not dP[0, 0].any()  # a last layer's trained block is dead
        return [*(seen[name][0, 0, -1] for name in ("E", "dE", "dA")), out[0, -1, -1], dQ[0, 0, 0]]

    cases = [
        (la.softmax_attention, (1, 2), 16, np.log(2), [(1 / 4, 1 / 2, 1 / 4), (416, 832, 0), (-26, 156, -130), 10, 156]),
        (la.relu_attention, (-1, 2), 16, 1.0, [(0, 2, 1), (-768, 1536, 0), (0, 1536, 0), 32, 3072]),
        (la.softmax_attention, (1, 2), 10, np.log(3), [(0.2, 0.6, 0.2), (170, 340, 0), (-13.6, 61.2, -47.6), 7, 61.2]),  # 14.1
    ]
    for module, x, w, q, expected in cases:
        for got, right in zip(by_machine(module, x, w, q), expected, strict=True):
            assert np.allclose(got, right, rtol=1e-13, atol=1e-13)
    Z, P, Q = np.array([[[1.0, 16], [2, 32], [1, 0]]]), np.eye(2)[None], np.diag([np.log(2), 0.0])[None]
    out, tape = la.softmax_attention.forward(Z, np.concatenate([P, -P]), np.concatenate([Q, -Q]))  # two heads
    assert (
        np.allclose((tape.E[0, 0] - tape.E[0, 1])[-1, :2], [-3 / 20, 3 / 10], rtol=1e-13) and abs(out[0, -1, -1] - 18 / 5) < 1e-13
    )
    Z[0, :2] *= [[-1], [1]]
    for alpha in (0.5, 1.0):  # lesson 14b
        heads = np.concatenate([P, -alpha * P]), np.concatenate([Q, -Q]) / np.log(2)
        assert la.relu_attention.forward(Z, *heads)[0][0, -1, -1] == 32 + 8 * alpha
    e = np.array([1, 2, 1]) / 4
    assert (16 * (np.diag(e) - np.outer(e, e)) == [[3, -2, -1], [-2, 4, -2], [-1, -2, 3]]).all()


def test_what_lesson_14_derives_of_softmax_and_relu():
    rng = np.random.default_rng(14)
    Z, y = la.RegressionTask(n=6, d=3).sample(40, rng)
    labels = np.abs(Z[:, :-1, -1]).max(axis=1)
    for layers, std in ((1, 5.0), (3, 0.3), (3, 5.0)):  # (14.17): no weights give a larger answer
        params = la.init_params(rng, layers=layers, d=3, std=std)
        cap = (1 + 1 / 6) ** layers - 1
        assert (np.abs(la.predict(params, Z, "softmax")) <= cap * labels * (1 + 1e-12)).all()
    mirrored = np.concatenate([Z[:, :-1], -Z[:, :-1], Z[:, -1:]], axis=1)
    params = la.init_params(rng, layers=3, d=3, std=0.3)
    halved = params * np.array([1, 0.5])[:, None, None]
    linear = la.predict(halved, mirrored)
    assert np.abs(la.predict(params, mirrored, "relu") - linear).max() < 1e-13 * np.abs(linear).max()  # (14b.17)
    full = la.transformer.to_full(params, 4)
    both = np.concatenate([full, -full], axis=1)
    linear = la.predict(params, Z)
    assert np.abs(la.predict(both, Z, "relu") - linear).max() < 1e-13 * np.abs(linear).max()  # (14b.18)
    Z, y = la.RegressionTask(n=20, d=5).sample(20_000, rng)
    one = np.zeros((1, 1, 2, 5, 5))
    for alpha in (0.0, HALF_WAY):  # exercises 14b.4 and 14b.5
        p, q = (1 + alpha) / 2, (1 - alpha) / 2
        one[0, 0, 1] = -np.eye(5) * p / ((p * p + q * q) * 7 / 20 + p * p * 19 / 20)
        two = la.transformer.to_full(one, 6)
        two = np.concatenate([two, two * np.array([-alpha, -1.0])[:, None, None]], axis=1)
        square = (la.predict(two, Z, "relu") - y) ** 2
        derived, error = smallest_loss(alpha, 20, 5), square.std() / np.sqrt(len(y))
        assert abs(square.mean() - derived) < 5 * error and abs(best_loss(Z, y, alpha) - derived) < 5 * error
    assert abs(smallest_loss(HALF_WAY, 20, 5) - 1.5) < 1e-3 and abs(smallest_loss(1.0, 20, 5) - 30 / 26) < 1e-12


def test_two_softmax_heads_of_opposite_sign_are_odd():
    rng = np.random.default_rng(14)
    a, y = rng.standard_normal((2, 7))
    softmax = la.softmax_attention.softmax

    def left(size):  # what (14.19) leaves out
        return ((softmax(size * a) - softmax(-size * a) - 2 / 7 * size * (a - a.mean())) * y)[:-1].sum()

    assert 7.5 < left(0.02) / left(0.01) < 8.5
    Z, y = la.RegressionTask(n=10, d=3).sample(40_000, rng)
    a = -0.02 * (Z[:, :, :-1] @ Z[:, -1, :-1, None])[..., 0]
    s = ((softmax(a) - softmax(-a))[:, :-1] * Z[:, :-1, -1]).sum(axis=1)
    c = -(s * y).mean() / (s * s).mean()
    square = (c * s + y) ** 2
    assert abs(square.mean() - 0.933) < 5 * square.std() / np.sqrt(len(y))  # exercise 14.6


def test_integer_example_of_lesson_08():
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)  # exact for the fourth power of the gradient
    moments = np.zeros(4)
    for i, j, k in itertools.product(range(5), repeat=3):
        w, x1, x0 = nodes[[i, j, k]]
        Z, y = np.array([[[x1, w * x1], [x0, 0.0]]]), np.array([w * x0])
        _, grad = la.loss_and_grad(np.zeros((1, 1, 2, 1, 1)), Z, y, backend="numpy")
        moments += (weights / weights.sum())[[i, j, k]].prod() * grad[0, 0, 1, 0, 0] ** np.arange(1, 5)
    assert np.allclose(moments, [2, 108, 27_000, 18_522_000], rtol=1e-12, atol=0)
    first, second, third, fourth = 2, 108, 27_000, 18_522_000
    assert third - 3 * first * second + 2 * first**3 == 26_368
    assert fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4 == 18_308_544
    assert abs(la.noise.hill(np.array([2.0, 8, 4]), 2) - 1 / (1.5 * np.log(2))) < 1e-15


def test_integer_example_of_lesson_15():
    model, attention = la.composed.Composed(d=1, hidden=2, layers=1), [[[0, 0], [0, 1]], [[-1, 0], [0, 0]]]
    theta = np.concatenate([[1.0, -1], [1, -1], [1, 3], [1], np.ravel(attention)])  # W1, b1, W2, b2, P and Q
    found = {-2: ([16, -72, 16, 36, 32, 12, 28], [512, 72, 400]), 2: ([40, 0, 28, 0, 68, 0, 28], None)}  # 2: exercise 15.1
    for query, (expected, curvature) in found.items():
        Z, y = np.array([[[1.0, 2], [query, 0]]]), np.array([23.0])
        for backend in ("numpy", "numba"):
            loss, grad = model.loss_and_grad(theta, Z, y, backend)
            assert (loss, model.predict(theta, Z)) == (1, 24) and grad[:7].tolist() == expected
        diagonal = la.composed_diagonal.hessian_diagonal(model, theta, Z, y, backend="numpy")
        assert curvature is None or diagonal[4:7].tolist() == curvature


def test_a_settled_cloud_keeps_its_width_and_jumps_by_its_rate():
    cloud = Cloud((0.01, 0.1), 80, 4000, np.random.default_rng(15))
    for rate in (0.01, 0.1):  # (15.24), (15.25)
        for lag in (1, 5, 40):
            width, jump, derived = cloud.measured(rate, lag)
            assert abs(width / np.sqrt(0.2) - 1) < 0.04 and abs(jump / derived - 1) < 0.04
        assert abs(cloud.losses[rate].mean() / (10 * rate * 0.25 / (2 * (2 - rate))) - 1) < 0.04  # (15.22)
    slow, fast = (cloud.measured(rate, 1)[1] for rate in (0.01, 0.1))
    assert 2.9 < fast / slow < 3.3  # the root of ten, less what (1 - eta h)^2 bends
    task = la.NonlinearTask(n=20, network_seed=3)
    found = answers(task, 50, np.random.default_rng(15))
    errors = {name: ((said - asked) ** 2).mean() / (asked**2).mean() for name, (said, asked) in found.items()}
    assert errors["hidden features"] < 1e-20 and errors["raw covariates"] > 0.1


def test_the_best_step_of_lesson_01():
    n, d = 20, 5
    Z, y = la.RegressionTask(n=n, d=d).sample(40_000, np.random.default_rng(0))
    params = np.zeros((1, 1, 2, d, d))
    params[0, 0, 1] = -n / (n + d + 1) * np.eye(d)
    square = (la.predict(params, Z) - y) ** 2
    assert abs(square.mean() - d * (d + 1) / (n + d + 1)) < 5 * square.std() / np.sqrt(len(y))


# ---------------------------------------------------------------- what must be caught


BREAKS = {
    "an exception": (lambda nb: add(nb, "raise RuntimeError('broken')"), "raised RuntimeError: broken"),
    "a warning": (lambda nb: add(nb, "import warnings; warnings.warn('careful')"), "wrote to standard error"),
    "a path": (lambda nb: add(nb, "print('/home/' + 'someone/lessons')"), "a path of one machine"),
    "an address": (lambda nb: add(nb, "print(object())"), "a memory address"),
    "a bare picture": (lambda nb: add(nb, PICTURE), "a picture without a description"),
}
PICTURE = "from IPython.display import display\ndisplay({'image/png': 'iVBORw0KGgo='}, raw=True)"


def add(notebook, code):
    notebook.cells.append(nbformat.v4.new_code_cell(code))


@pytest.fixture(scope="module")
def broken():
    """A tiny notebook with each fault, executed."""
    jobs = []
    for breaks, _ in BREAKS.values():
        notebook = copy.deepcopy(sources.read_source(LESSONS[0].source))
        notebook.cells = []
        breaks(notebook)
        jobs.append((LESSONS[0], notebook))
    return dict(zip(BREAKS, execute.run_all(jobs, "smoke", progress=False), strict=True))


@pytest.mark.parametrize("fault", BREAKS)
def test_a_broken_lesson_is_caught_when_run_or_checked(fault, broken):
    run, expected = broken[fault], BREAKS[fault][1]
    found = command.problems(run, "smoke") + rules.check_notebook(LESSONS[0], run.notebook, run.notebook)
    assert any(expected in complaint for complaint in found)


SPOILED = {
    "# ## 3. On paper": ("# ## 3. With paper", "sections: expected"),
    "**Claim.**": ("**Says.**", "card: expected a line '**Claim.** ...'"),
    "\\tag{1.3}": ("\\tag{2.3}", "equations: (2.3) counts in another lesson"),
    "\\tag{1.5}": ("\\tag{1.4}", "equations: (1.4) is set twice"),
    "(find the bug, level 2, 10 min)": ("(code, level 2, 10 min)", "exercises: none of kind find the bug"),
    'check("01.2", make_tokens)': ("check", "registered are"),
    "### END SOLUTION\ncheck(": ("check(", "solutions: cell"),
    "SEED = 1\n": ("SEED = 1\n" + "x = 1\n" * 30, "lines, more than 25"),
    "rng = np.random.default_rng(SEED)\n": (f"rng = '{'x' * 100}'\n", "characters, more than 96"),
    "# Read it from the left": ("# word" + " word" * 2000, "words, expected 1200 to 2500"),
}


@pytest.mark.parametrize("before", SPOILED)
def test_a_spoiled_source_fails_the_check(before, tmp_path, capsys):
    after, complaint = SPOILED[before]
    text = LESSONS[0].source.read_text()
    assert before in text
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / LESSONS[0].source.name).write_text(text.replace(before, after, 1))
    (tmp_path / LESSONS[0].notebook.name).write_bytes(LESSONS[0].notebook.read_bytes())
    assert main(["lessons", "check", "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert complaint in said and "source and notebook differ" in said


def test_a_lesson_may_have_a_letter_in_its_number(tmp_path, monkeypatch):
    (tmp_path / "source").mkdir()
    for number in ("01", "01b", "02"):
        text = LESSONS[0].source.read_text().replace("01.", f"{number}.").replace("tag{1.", f"tag{{{number.lstrip('0')}.")
        (tmp_path / "source" / f"{number}_copy.py").write_text(text)
    lessons = sources.find_lessons(tmp_path)
    assert [lesson.number for lesson in lessons] == ["01", "01b", "02"] and sources.find_lessons(tmp_path, ["1b"]) == [lessons[1]]
    copied = sources.read_source(lessons[1].source)
    assert sources.equations_in(copied)[0] == "1b.1" and sources.exercises_in(copied)[0][0] == "01b.1"
    known = {id.replace("01.", "01b."): one for id, one in of_lesson("01").items()}
    monkeypatch.setattr(rules, "of_lesson", {"01b": known}.__getitem__)
    monkeypatch.setattr(rules, "equations_quoted", lambda: {"1b.2": {"a.py"}, "1b.40": {"b.py"}, "1.41": {"c.py"}})
    assert rules.check_source(lessons[1], copied) == ["equations: (1b.40) is quoted by b.py and not set here"]
    assert "| 01b | [One prompt by hand](01b_copy.ipynb) |" in course_map.block(course_map.read(tmp_path))


def test_a_solution_outside_a_function_may_only_assign():
    assert handout.cut_code("### BEGIN SOLUTION\na = 1\nb = f(a)\n### END SOLUTION\ncheck(a)") == "a = ...\nb = ...\ncheck(a)"
    assert handout.cut_code("def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION").endswith(
        "    " + handout.STUB
    )
    for code in ("### BEGIN SOLUTION\nprint(1)\n### END SOLUTION", "### BEGIN SOLUTION\na = 1", "### END SOLUTION"):
        with pytest.raises(ValueError, match=r"may only assign|expected ###"):
            handout.cut_code(code)
    with pytest.raises(ValueError, match="in pairs"):
        handout.cut_prose("<!-- ### BEGIN SOLUTION --> half")


# ---------------------------------------------------------------- the command


def test_handouts_are_written_elsewhere(tmp_path, capsys):
    assert main(["lessons", "handout", "1", "--folder", str(FOLDER), "--out", str(tmp_path)]) == 0
    assert "written:" in capsys.readouterr().out
    assert nbformat.read(tmp_path / LESSONS[0].notebook.name, 4).cells
    assert main(["lessons", "handout", "1", "--folder", str(FOLDER), "--out", str(FOLDER)]) == 2
    assert "--out: expected another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "99"], "NUMBER: expected one of"),
        (["run", "--folder", "nowhere"], "folder: expected lessons as"),
        (["run", "--workers", "0", "--folder", str(FOLDER)], "--workers: expected an integer of at least 1"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments, said, capsys):
    assert main(["lessons", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("action", ["run", "check", "map", "handout", "copy", "open", "grade"])
def test_help_shows_an_example(action, capsys):
    with pytest.raises(SystemExit) as end:
        main(["lessons", action, "--help"])
    assert end.value.code == 0 and f"example: python -m linattn_np lessons {action}" in capsys.readouterr().out


def test_an_interrupt_stops_the_kernels():
    import threading

    notebook = copy.deepcopy(sources.read_source(LESSONS[0].source))
    notebook.cells = [nbformat.v4.new_code_cell("import time; time.sleep(60)")]
    running, runs, began = [], [], time.perf_counter()
    thread = threading.Thread(target=lambda: runs.append(execute.run_one(LESSONS[0], notebook, "smoke", None, running)))
    thread.start()
    while not (running and execute.stop(running[0])):
        assert time.perf_counter() - began < 30
        time.sleep(0.1)
    thread.join(timeout=30)
    assert runs[0].error and running == [] and time.perf_counter() - began < 45


def test_integer_example_of_lesson_03():
    def phi(t):
        return (8 - 10 * t) * (8 - 10 * t)

    assert (phi(1) - phi(0), (phi(1) - phi(-1)) / 2, phi(1j)) == (-60, -160, -36 - 160j)
    for slope, left in ((-160, [1.0, 0.01]), (-80, [7.0, 0.79])):
        assert np.allclose([abs(phi(t) - 64 - slope * t) for t in (0.1, 0.01)], left, rtol=1e-12)
    x, u = np.array([1, 3, 1]), np.array([1, 0, 0])
    pushed = -(np.outer(u, x) + np.outer(x, u))
    assert (pushed == [[-2, -3, -1], [-3, 0, 0], [-1, 0, 0]]).all()
    for w, total, reader, read in (([[1, 2, 0], [4, 1, 3], [0, 5, 2]], -20, -7, -13), (np.ones((3, 3)), -10, -5, -5)):
        w = np.array(w)
        assert ((pushed * w).sum(), -(u @ w @ x), -(u @ w.T @ x)) == (total, reader, read)


def test_integer_example_of_lesson_04():
    Z, P, Q = paper_prompt()
    out, tape = la.attention.forward(Z, P, Q)
    dout = la.attention.readout_backward(2 * (la.attention.readout(out) - 2.0), out)
    vout, vtape = la.attention.tangent(0 * Z, 0 * P, np.diag([1.0, 0.0])[None], tape)
    assert (vtape.W[0, 0] == [[1, 3, 0], [3, 9, 0], [1, 3, 0]]).all() and not vtape.V.any()
    assert (vout[0] == [[5, 10], [15, 30], [5, 10]]).all()
    hout = la.attention.readout_backward(2 * la.attention.readout(vout), out)
    hZ, hP, hQ = la.attention.backward_tangent(dout, hout, tape, vtape)
    assert (hout[0] == [[0, 0], [0, 0], [0, 20]]).all() and (hZ[0] == [[-36, -18], [-108, -54], [-360, 20]]).all()
    assert (hP[0] == [[0, 0], [-180, -360]]).all() and (hQ[0] == [[200, 0], [400, 0]]).all()
    ones = np.array([[[1.0, 1], [1, 1], [1, 0]]])  # exercise 04.1, any value for the dead P of the last layer
    params = np.array([1.0, 1, 7, -1]).reshape(2, 1, 2, 1, 1)
    H = la.hessian(params, ones, np.array([1.0]), backend="numpy")
    assert la.predict(params, ones) == [7]
    assert (H == [[176, 368, 0, -224], [368, 386, 0, -320], [0, 0, 0, 0], [-224, -320, 0, 128]]).all()


def test_integer_example_of_lesson_12():
    fifth, half = Fraction(1, 5), Fraction(1, 2)
    laws = {"A": {3: half, 7: half}, "B": {0: 4 * fifth, 5: fifth}, "A / 5": {3 * fifth: half, 7 * fifth: half}}
    for name, mean, second, noise in (
        ("A", 5, 29, Fraction(30368, 10_000)), ("B", 1, 5, 74), ("A / 5", 1, Fraction(29, 25), Fraction(30368, 10_000)),
    ):  # fmt: skip
        m1, m2 = (sum(p * g**m for g, p in laws[name].items()) for m in (1, 2))
        assert (m1, m2, 12 * m2**2 / (2 * m1**2) ** 2 - 1, 3 * (m2 / m1**2) ** 2 - 1) == (mean, second, noise, noise)
    assert 29 - 25 == 5 - 1 == 4
    Z, at = np.array([[[1.0, 1], [-1, -1], [1, 0]]]), np.array([1.0, 1, 0, -1]).reshape(2, 1, 2, 1, 1)
    for c, f, grad, diagonal in (
        (1, 36, [96, 132, 0, -96], [176, 386, 0, 128]), (2, 144, [384, 2112, 0, -1536], [704, 24704, 0, 8192]),
    ):  # fmt: skip
        theta, y = at / np.array([1, c * c])[:, None, None], np.array([1.0 * c])
        found, gradient = la.loss_and_grad(theta, c * Z, y, backend="numpy")
        assert found == f and gradient.ravel().tolist() == grad
        assert np.diag(la.hessian(theta, c * Z, y, backend="numpy")).tolist() == diagonal
    assert 24704 / 704 == 2**4 * 386 / 176  # (12.14): largest of Q over largest of P, at fixed predictions
