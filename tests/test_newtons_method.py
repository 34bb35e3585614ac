"""Lesson 19's system: typed-in layers equal Newton's iteration, least squares, descent; orders, depths, logistic loss, the
claims.
"""

from pathlib import Path

import numpy as np
import pytest
from shapes import Recorder, complaints

import linattn_np as la
from linattn_np.experiments import scale as scales
from linattn_np.experiments.papers import newtons_method as paper
from linattn_np.experiments.papers.newtons_method import blocks, claims, constructions, depth, figure, logistic

rng = np.random.default_rng(0)


# ---------------------------------------------------------------- the constructions


def test_a_step_by_hand():
    """A = [[2, 1], [1, 1]] from X = [[1, 0], [0, 1]]: X (2I - A X) = [[0, -1], [-1, 1]]. A layer of 6 rows and 2 columns."""
    A, X = np.array([[2.0, 1], [1, 1]]), np.eye(2)
    Z = np.concatenate([X, A, np.eye(2)]).T[None]
    out = blocks.run(Z, constructions.newton_layers(2, symmetric=True))
    assert out[0].T.tolist() == [[0, -1], [-1, 1], [2, 1], [1, 1], [1, 0], [0, 1]]


def test_a_general_step_by_hand():
    """A = [[1, 2], [0, 1]], X = I: 2I - A = [[1, -2], [0, 1]]. After layer 1 the second block is A^T, whatever it was."""
    A = np.array([[1.0, 2], [0, 1]])
    first, second = constructions.newton_layers(2, symmetric=False)
    Z = blocks.run(np.concatenate([np.eye(2), 7 * np.ones((2, 2)), A, np.eye(2)]).T[None], [first])
    assert Z[0].T[2:4].tolist() == [[1, 0], [2, 1]]
    assert blocks.run(Z, [second])[0].T[:2].tolist() == [[1, -2], [0, 1]]


def test_least_squares_by_hand():
    """x = 1, 2 with y = 3, 6 and the query 5: R = 5, X_0 = R / R^2 = 1/5 is the inverse at once, and the answer is 15."""
    for steps in (0, 1, 4):
        assert np.isclose(la.papers.newtons_method.least_squares([[1], [2]], [3, 6], [5], steps), 15.0, rtol=1e-14)


@pytest.mark.parametrize("d, steps", [(1, 3), (3, 7), (5, 11), (11, 4)])
def test_inverses_are_the_recursion(d, steps):
    A = rng.standard_normal((d, d))
    for matrix in (A, A + A.T):
        other = constructions.recursion(matrix, matrix.T / np.linalg.norm(matrix, 2) ** 2, steps)[-1]
        assert np.abs(paper.invert(matrix, steps) - other).max() <= 1e-10 * np.abs(other).max()
    assert np.allclose(paper.invert(A + 3 * np.eye(d), 30), np.linalg.inv(A + 3 * np.eye(d)), rtol=1e-9, atol=1e-12)
    assert np.array_equal(paper.invert(A, 0), A.T / np.linalg.norm(A, 2) ** 2)


@pytest.mark.parametrize("n, d, steps", [(7, 3, 5), (13, 5, 2), (5, 5, 9), (3, 1, 4)])
def test_least_squares_is_the_recursion_and_its_limit(n, d, steps):
    X, y, query = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d)
    R = X.T @ X
    w = constructions.recursion(R, R / np.linalg.norm(R, 2) ** 2, steps)[-1] @ X.T @ y
    assert np.isclose(paper.least_squares(X, y, query, steps), query @ w, rtol=1e-10)
    assert np.isclose(paper.least_squares(X, y, query, 60), query @ np.linalg.lstsq(X, y)[0], rtol=1e-6)


def test_widths_depths_and_heads_are_the_theorems():
    assert [P.shape for P, _ in constructions.newton_layers(5, True)] == [(2, 15, 15)]
    assert [P.shape for P, _ in constructions.newton_layers(5, False)] == [(2, 20, 20)] * 2
    first, step, last = constructions.regression_layers(5, 0.1)
    assert len(first + last) == 3 and len(step) == 1 and all(P.shape[1] == 23 and len(P) <= 2 for P, _ in first + step + last)


def test_descent_layers_are_descent():
    X, y, query, w = rng.standard_normal((7, 3)), rng.standard_normal(7), rng.standard_normal(3), np.zeros(3)
    found = constructions.descent_answers(X, y, query, 6, 0.05)
    for answer in found:
        assert np.isclose(answer, w @ query, rtol=1e-12, atol=1e-14)
        w = w + 0.05 * X.T @ (y - X @ w)


@pytest.mark.parametrize("module", [blocks, constructions, logistic])
def test_the_checks_of_the_modules(module):
    assert all(check() < 1e-13 for check in module.CHECKS.values())


@pytest.mark.parametrize("call, words", [
    (lambda: paper.invert(np.ones((2, 3)), 2), "A: expected a square matrix"),
    (lambda: paper.invert(np.zeros((2, 2)), 2), "A: expected a square matrix that is not 0"),
    (lambda: paper.invert(np.eye(2), -1), "steps"),
    (lambda: paper.least_squares(np.ones((2, 3)), np.ones(2), np.ones(3), 1), r"X: expected shape \(n, d\) with n >= d"),
    (lambda: paper.least_squares(np.ones((3, 2)), np.ones(2), np.ones(2), 1), r"y: expected shape \(3,\)"),
    (lambda: paper.least_squares(np.ones((3, 2)), np.ones(3), np.ones(3), 1), r"x_query: expected shape \(2,\)"),
])  # fmt: skip
def test_bad_input_is_an_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# ---------------------------------------------------------------- orders and depths


@pytest.mark.parametrize("order", [2, 3, 5])
def test_an_order_raises_the_residual_to_its_power(order):
    A = np.array([[2.0, 1, 0], [0, 1, -1], [1, 0, 1]])
    X = A.T / 7
    step = constructions.recursion(A, X, 1, order)[1]
    assert np.allclose(np.eye(3) - step @ A, np.linalg.matrix_power(np.eye(3) - X @ A, order), rtol=1e-12, atol=1e-13)
    assert depth.order_error(order, 1) < 1e-13


def test_the_residual_is_squared_and_depths_are_counted():
    r = depth.residuals(10.0, 9, 0)
    assert np.isclose(r[0], 1 - 0.01, rtol=1e-9) and (r[1:] <= r[:-1] ** 2 * (1 + 1e-6)).all() and r[-1] < 0.01
    assert depth.depth_of(np.array([1.0, 1e-9, 1.0, 1e-9, 1e-10])) == 3 and np.isnan(depth.depth_of(np.array([1e-9, 1.0])))
    assert depth.depth_of(np.zeros(3)) == 0
    found = depth.errors(4.0, 14, 80, 1)
    newton, slow = (depth.depth_of(found[name][0]) for name in ("Newton", "descent"))
    assert newton < 10 and 20 < slow < 60


def test_higher_orders_and_better_starts_lose_less():
    losses = {order: depth.iteration_losses(order, 3, prompts=100) for order in (2, 3, 4)}
    assert (losses[2][1:] > losses[3][1:]).all() and (losses[3][1:] > losses[4][1:]).all()
    assert (depth.iteration_losses(3, 2, best_start=True, prompts=100)[:3] < losses[3][:3]).all()
    before, after = (depth.trained_loss(1, steps, 32, 0, 100)["loss"] for steps in (1, 60))
    assert after < 0.6 * before


# ---------------------------------------------------------------- logistic loss


def test_logistic_loss_by_hand():
    """One example a = 1/2 with y = 1, mu = 2, w = 0: f = log 2, p = 1/2, df = -1/4, H = 1/16 + 2."""
    problem = logistic.Problem(np.array([[0.5]]), np.array([1.0]), 2.0)
    w = np.zeros(1)
    assert np.isclose(logistic.loss(problem, w), np.log(2)) and logistic.gradient(problem, w).tolist() == [-0.25]
    assert logistic.hessian_gradient(problem, w).tolist() == [[2.0625]]
    path, lam = logistic.damped_newton(problem, 1, 20)
    decrement = 0.25 / np.sqrt(2.0625)
    assert np.isclose(lam[0], decrement)
    assert np.isclose(path[1, 0], 2 * np.sqrt(2) / (2 * np.sqrt(2) + decrement) * 0.25 / 2.0625)


def test_damped_newton_finds_the_minimum_in_two_phases():
    problem = logistic.draw_problem(np.random.default_rng(3))
    assert np.linalg.norm(problem.A, axis=1).max() <= 1 + 1e-15 and set(problem.y) == {-1.0, 1.0}
    path, _ = logistic.damped_newton(problem, 9)
    assert np.abs(logistic.gradient(problem, path[-1])).max() < 1e-14
    slow = logistic.descent(problem, 60)
    assert np.abs(slow[-1] - path[-1]).max() < 1e-4 and np.abs(slow[4] - path[-1]).max() > 1e-4
    numbers = figure.logistic_numbers(2)
    assert (numbers["decrease"] > 0.02).all() and (numbers["decrement"] < 2).all()


# ---------------------------------------------------------------- the claims


def test_the_readers_of_the_claims():
    numbers = {
        "kappas": [1.5, 10.0, 160.0], "depths": {"Newton": [[5, 11, 19]], "descent": [[14, 90, 1440]]},
        "orders": {
            "order 2": [5.0, 4.0, 1.0], "order 3": [5.0, 1.0, 0.01], "order 2, best start": [1.0, 0.5],
            "order 3, best start": [1.0, 0.2],
            "order 4, best start": [1.0, 0.1], "trained": [[2.0, 4.0], [0.1, 1.0]],
        },
    }  # fmt: skip
    assert claims.growth("Newton", numbers)["each_seed"] == [2.0] and claims.growth("descent", numbers)["each_seed"] == [1.0]
    assert np.allclose(claims.place_between(numbers)["each_seed"], [0.5, 0.0])
    assert "L = 2: 0.55 (order 2 0.5, order 3 0.2, order 4 0.1)" in claims.from_best_start(numbers)
    assert figure.thinned(np.arange(3.0)) == [[0, 1, 2], [0.0, 1.0, 2.0]] and len(figure.thinned(np.arange(1000.0))[0]) <= 60
    assert {job[0] for job in figure.jobs(scales.PAPER)} == {1, 2, 3} and {job[3] for job in figure.jobs(scales.PAPER)} == {
        0,
        1,
        2,
    }


def test_shape_comments_are_true():
    files = [Path(module.__file__) for module in (logistic, blocks, constructions)]
    recorder = Recorder(files)
    problem = logistic.draw_problem(np.random.default_rng(1), n=7, d=3)
    for function in (logistic.gradient, logistic.hessian_gradient):
        recorder.record({"n": 7, "d": 3}, function, problem, np.ones(3))
    found = [each for path in files for each in complaints(path, path.read_text(), dict(recorder.seen), set())]
    assert found == []
