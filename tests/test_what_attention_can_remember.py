"""What attention can remember: the read-out by hand, its floor, its constructions, the closed loop, and the readers of the
claims.
"""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from shapes import Recorder, complaints

from linattn_np.experiments.papers import what_attention_can_remember as paper
from linattn_np.experiments.papers.what_attention_can_remember import claims, closed_loop, constructions, readout, recall, runs

FIGURE = Path(__file__).parents[1] / "figures" / "what_attention_can_remember.json"
HAND = np.array([[[1.0], [2.0]], [[1.0], [-1.0]], [[2.0], [1.0]], [[1.0], [3.0]]])  # q, k, u, r: L = 2, D = 1


# ---------------------------------------------------------------- the read-out


def test_the_read_out_by_hand():
    M, tape = readout.forward(HAND, "linear")
    assert tape.A.tolist() == [[1, -1], [2, -2]] and tape.W.tolist() == [[2, 6], [1, 3]] and M.tolist() == [[2, -6], [2, -6]]
    f, grad = readout.loss_and_grad(HAND, "linear")
    assert f == 45.0 == readout.loss(HAND, "linear")  # (1 + 36 + 4 + 49) / 2
    assert grad[..., 0].tolist() == [[38, 23], [6, -78], [19, 46], [6, 26]]
    M, tape = readout.forward(HAND[:2], "plain")
    assert M.tolist() == [[1, -1], [2, -2]]
    assert readout.loss_and_grad(HAND[:2], "plain")[1][..., 0].tolist() == [[1, 5], [4, -7]]


def test_rows_of_softmax_and_elu_sum_to_one():
    for kind in ("softmax", "elu"):
        A = readout.forward(readout.point(kind), kind)[1].A
        assert np.allclose(A.sum(axis=-1), 1, atol=1e-14)
    q = np.array([[[np.log(3.0)], [0.0]], [[1.0], [0.0]]])  # scores log 3 and 0
    assert np.allclose(readout.forward(q, "softmax")[0], [[0.75, 0.25], [0.5, 0.5]])
    assert readout.features(np.array([-np.log(2.0), 0.0, 3.0]), "elu").tolist() == pytest.approx([0.5, 1.0, 4.0])


@pytest.mark.parametrize("kind", readout.KINDS)
def test_the_error_is_the_mean_over_all_bits(kind):
    tables = readout.point(kind, L=5)
    M = readout.forward(tables, kind)[0]
    bits = np.array(list(product([-1.0, 1.0], repeat=5)))  # (32, 5)
    assert readout.loss(tables, kind) == pytest.approx(((bits @ M.T - bits) ** 2).mean(), rel=1e-13)


@pytest.mark.parametrize("kind", readout.KINDS)
def test_gradient_and_tangent_by_complex_step(kind):
    rng = np.random.default_rng(7)
    tables, along = (rng.standard_normal((2, readout.tables_of(kind), 7, 3)) for _ in range(2))  # two sets of tables at once
    weights = rng.random((7, 7))
    step = readout.loss(tables + 1e-30j * along, kind, weights).imag / 1e-30  # (2,)
    f, grad = readout.loss_and_grad(tables, kind, weights)
    assert np.allclose((grad * along).sum(axis=(1, 2, 3)), step, rtol=1e-12)
    assert np.allclose(f, readout.loss(tables, kind, weights), rtol=1e-15)
    M, tape = readout.forward(tables, kind)
    wanted = readout.forward(tables + 1e-30j * along, kind)[0].imag / 1e-30
    assert np.allclose(readout.tangent(along, tape, kind), wanted, atol=1e-12)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="kind: expected one of"):
        paper.train(4, 2, "lineer", 0)
    with pytest.raises(ValueError, match="L: expected an integer"):
        paper.floor(0, 2)
    with pytest.raises(ValueError, match="seed: expected an integer"):
        paper.train(4, 2, "linear", -1)
    with pytest.raises(ValueError, match=r"tables: expected shape \(..., 2, L, D\) for plain"):
        readout.forward(HAND, "plain")
    with pytest.raises(ValueError, match="weights: expected shape"):
        readout.loss_and_grad(HAND, "linear", np.ones((3, 3)))
    with pytest.raises(ValueError, match="m: expected at most L"):
        recall.local_weights(3, 4)
    with pytest.raises(ValueError, match="M: expected shape"):
        closed_loop.answers(np.eye(3), closed_loop.programs(2, 4, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="kind: expected 'linear' or 'softmax'"):
        closed_loop.multiplications(4, 2, "plain")


# ---------------------------------------------------------------- floor and training


def test_the_floor_by_hand():
    assert [paper.floor(16, D) for D in (1, 2, 3, 4, 5)] == [0.9375, 0.75, 0.4375, 0.0, 0.0]
    assert recall.floor(16, 4, "plain") == 0.75 and recall.floor(16, 1, "softmax") == 0.0 and recall.floor(16, 3, "elu") == 0.4375


@pytest.mark.parametrize("kind, most", [("linear", 4), ("elu", 4), ("plain", 2)])
def test_the_rank_is_what_the_floor_says(kind, most):
    tables = np.random.default_rng(1).standard_normal((readout.tables_of(kind), 11, 2))
    assert np.linalg.matrix_rank(readout.forward(tables, kind)[0]) == most
    softmax = readout.forward(tables[:2], "softmax")[0]
    assert np.linalg.matrix_rank(softmax) == 11


def test_training_meets_the_floor():
    for L, D, kind in ((9, 2, "linear"), (9, 2, "elu"), (9, 4, "plain")):
        assert -1e-12 < paper.train(L, D, kind, 0) - recall.floor(L, D, kind) < 3e-3
    assert paper.train(9, 4, "linear", 1) < 1e-4 and paper.train(9, 3, "softmax", 0) < 1e-3
    assert paper.train(5, 2, "linear", 3) == pytest.approx(
        recall.fit(5, 2, "linear", [2, 3])[1][1], rel=1e-6
    )  # seeds do not meet


def test_softmax_starts_with_keys_of_the_length_asked_for():
    q, k = recall.start(np.random.default_rng(0), 5, 2, "softmax", 7.0)
    assert np.allclose((k * k).sum(axis=1), 49) and (q == k).all()
    assert recall.fit(9, 2, "softmax", [0], iterations=1, length=12.0)[1] != recall.fit(9, 2, "softmax", [0], iterations=1)[1]


def test_local_weights_count_the_times_at_which_a_pair_matters():
    for L, m in ((7, 3), (5, 5), (6, 1)):
        counted = np.zeros((L, L))
        for t in range(L):
            asked = range(max(0, t - m + 1), t + 1)
            for j in asked:
                counted[j, : t + 1] += 1 / len(asked) / L
        assert np.allclose(recall.local_weights(L, m), counted, atol=1e-15)


# ---------------------------------------------------------------- constructions and the closed loop


def test_the_packed_tables_and_their_state_by_hand():
    tables = constructions.packed(4)
    assert readout.forward(tables, "linear")[0] == pytest.approx(np.eye(4), abs=1e-15)
    state = constructions.state_after(tables, np.array([1.0, -1.0, -1.0, 1.0]))
    assert state.tolist() == [[1, -1], [-1, 1]]  # the bits, two to a row
    assert constructions.read_state(tables, state) == pytest.approx([1, -1, -1, 1])


@pytest.mark.parametrize("seed", range(3))
def test_the_state_answers_as_the_matrix_does(seed):
    rng = np.random.default_rng(seed)
    L, D = rng.integers(5, 40), rng.integers(2, 7)
    tables, bits = rng.standard_normal((4, L, D)), rng.standard_normal((3, L))
    from_state = constructions.read_state(tables, constructions.state_after(tables, bits))
    assert np.abs(from_state - bits @ readout.forward(tables, "linear")[0].T).max() < 1e-12


def test_programs_and_the_closed_loop_by_hand():
    bits, parents = np.array([[1.0, -1, -1, 1]]), np.array([[0, 0, 1, 0]])
    asked = closed_loop.Programs(bits, parents, np.array([[1.0, -1, 1, 1]]))
    assert closed_loop.answers(np.eye(4), asked).tolist() == [[1, -1, 1, 1]]
    wrong = np.diag([1.0, -1, 1, 1])  # what is recalled of place 1 is turned round: its child, place 2, is wrong
    assert closed_loop.answers(wrong, asked).tolist() == [[1, -1, -1, 1]]
    assert closed_loop.answers(np.eye(4), asked, window=1).tolist() == [[1, -1, 1, 1]]  # place 3 finds nothing there, and takes 1
    assert closed_loop.final_accuracy(np.eye(4), asked) == 1.0
    turned = closed_loop.Programs(-bits, parents, np.array([[-1.0, -1 * -1 * -1, 1 * 1 * -1, 1]]))
    assert closed_loop.answers(np.eye(4), turned).tolist() == [[-1, -1, -1, 1]]
    assert closed_loop.answers(np.eye(4), turned, window=1)[0, 3] == -1.0  # the parent, -1, is out of the window
    assert closed_loop.recall_accuracy(wrong, asked) == 0.75


def test_programs_are_what_they_say():
    asked = closed_loop.programs(50, 12, np.random.default_rng(0), reach=3)
    i = np.arange(12)
    assert (asked.parents[:, 1:] < i[1:]).all() and (i - asked.parents <= 3).all() and (asked.parents[:, 0] == 0).all()
    for b, k in np.ndindex(50, 11):
        assert asked.states[b, k + 1] == asked.bits[b, k + 1] * asked.states[b, asked.parents[b, k + 1]]
    assert len({*closed_loop.programs(200, 9, np.random.default_rng(1)).parents[:, 8]}) == 8


def test_a_window_of_softmax_solves_local_programs_of_any_length():
    asked = closed_loop.programs(40, 100, np.random.default_rng(2), reach=4)
    M = readout.forward(constructions.circle(100, 4), "softmax")[0]
    assert closed_loop.final_accuracy(M, asked, window=4) == 1.0
    assert closed_loop.final_accuracy(M, asked) < 0.8  # without the window the slots are taken twenty-five times


def test_multiplications_by_hand():
    assert closed_loop.multiplications(5, 3, "linear") == 90
    assert closed_loop.multiplications(5, 3, "softmax") == 60 and closed_loop.multiplications(5, 3, "softmax", window=2) == 36


# ---------------------------------------------------------------- the readers of the claims


def numbers_with(errors, final=None):
    """A figure's JSON with two lengths, widths 2 to 5, four seeds."""
    series = {"widths": [2, 3, 4, 5], "errors": errors, "floor": [0.75, 0.4375, 0.0, 0.0], "final": final}
    other = {"widths": [2, 3, 4, 5], "errors": [[0.9] * 4] * 3 + [[0.0] * 4], "floor": [0.84, 0.64, 0.36, 0.0], "final": final}
    return {"lengths": [16, 25], "seeds_used": 4, "recall": {"linear": {"16": series, "25": other}}}


def test_smallest_widths_are_those_of_the_better_of_two_seeds():
    numbers = numbers_with([[0.8] * 4, [0.5] * 4, [0.3, 0.01, 0.3, 0.3], [0.0] * 4])
    assert claims.smallest_widths(numbers, "linear").tolist() == [[4, 5], [5, 5]]
    slopes = claims.width_slope("linear", numbers)["each_seed"]
    assert slopes == pytest.approx([np.log(5 / 4) / np.log(25 / 16), 0.0], abs=1e-12)
    assert claims.cost_slope(numbers)["each_seed"] == pytest.approx([1 + 2 * slopes[0], 1.0])
    assert claims.largest_width("linear", numbers)["each_seed"] == [5, 5]
    assert claims.off_floor("linear", numbers)["each_seed"] == pytest.approx([0.54] * 4)  # 0.9 against 0.36
    never = numbers_with([[0.8] * 4] * 4)
    assert claims.width_slope("linear", never)["median"] is None


def test_final_accuracies_are_the_worst_or_the_best_over_lengths():
    final = [[0.5, 0.6, 0.5, 0.5], [0.7] * 4, [0.9] * 4, [1.0, 0.98, 1.0, 1.0]]
    numbers = numbers_with([[0.1] * 4] * 4, final)
    del numbers["recall"]["linear"]["25"]
    assert claims.final_at(numbers, short=False)["each_seed"] == [1.0, 0.98, 1.0, 1.0]
    assert claims.final_at(numbers, short=True)["each_seed"] == [0.5, 0.6, 0.5, 0.5]
    assert claims.seeds_that_recall(numbers) == "3 of 4 seeds have at least 0.99 at every length, the least 0.98"


def test_how_softmax_grows_in_words():
    numbers = numbers_with([[0.8] * 4, [0.0] * 4, [0.0] * 4, [0.0] * 4])
    numbers["recall"]["softmax"] = numbers["recall"]["linear"]
    power = np.log(5 / 3) / np.log(25 / 16)
    assert claims.softmax_in_words(numbers) == f"3 at L = 16, at most 5 at any: it grows with the power {power:.2f} of L"


def test_floors_of_causal_errors():
    assert runs.causal_floor(4, 1, 4) == pytest.approx((0 + 1 / 2 + 2 / 3 + 3 / 4) / 4) and runs.causal_floor(4, 1, 2) is None
    assert [list(pair) for pair in runs.pairs(5)] == [[0, 1], [2, 3], [4]]


def test_what_the_figure_shows_besides_its_claims():
    """The controls that no paper states: plain attention needs L, elu's error is zero at sqrt(L) + 1, the causal floor is met."""
    numbers = json.loads(FIGURE.read_text())
    assert numbers["scale"]["name"] == "paper"
    assert claims.width_slope("plain", numbers)["median"] == pytest.approx(1.0, abs=0.02)
    roots = np.sqrt(numbers["lengths"])
    widths = claims.smallest_widths(numbers, "linear")
    assert ((widths == roots) | (widths == roots + 1)).all() and claims.smallest_widths(numbers, "softmax").max() <= 3
    assert max(claims.off_floor("linear", numbers)["each_seed"]) < 0.003
    least = [closed_loop.multiplications(L, round(L**0.5), "linear") / L**2 for L in numbers["lengths"]]
    assert min(least) == max(least) == 2  # of the order of softmax's, (D + 1) L^2 / 2: nothing is saved at any length
    assert claims.local_width(numbers)["each_seed"] == [4, 4, 4]
    assert claims.local_width(numbers, numbers["local_length"])["each_seed"] == [9, 9, 9]
    for series in numbers["recall"]["elu"].values():
        assert np.min(series["errors"][-1]) < 1e-3
    full = numbers["local"][str(numbers["local_length"])]
    gaps = np.array(full["errors"]) - np.array(full["floor"])[:, None]
    assert gaps.min() > -1e-5


def test_shape_comments_are_true():
    files, rng, sizes = [Path(m.__file__) for m in (readout, closed_loop)], np.random.default_rng(0), {"B": 5, "L": 7, "D": 3}
    recorder = Recorder(files)
    for kind in readout.KINDS:
        tables = rng.standard_normal((2, readout.tables_of(kind), 7, 3))
        M, tape = recorder.record(sizes, readout.forward, tables, kind)
        recorder.record(sizes, readout.backward, M, tape, kind)
        recorder.record(sizes, readout.tangent, tables, tape, kind)
        recorder.record(sizes, readout.loss, tables, kind)
        recorder.record(sizes, readout.loss_and_grad, tables, kind)
    asked = recorder.record(sizes, closed_loop.programs, 5, 7, rng)
    recorder.record(sizes, closed_loop.answers, np.eye(7), asked)
    assert [each for file in files for each in complaints(file, file.read_text(encoding="utf-8"), dict(recorder.seen))] == []
