"""Scalable Transformers: crops and their gradients, the block by hand, the tasks, the stages, soft targets, and the readers of
the claims.
"""

from pathlib import Path

import numpy as np
import pytest
from shapes import Recorder, complaints

from linattn_np.experiments import scale
from linattn_np.experiments.papers import scalable_transformers as paper
from linattn_np.experiments.papers.scalable_transformers import block, claims, nested, noisy, runs, training, translation
from linattn_np.layers import cross_entropy
from linattn_np.layers.softmax_attention import softmax


def test_a_crop_is_the_leading_block_of_everything():
    params = paper.init(np.random.default_rng(0), 16)
    small = paper.crop(params, 8)
    assert {name: array.shape for name, array in small.items()} == block.shapes(8)
    assert (small["E"] == params["E"][:, :8]).all() and (small["W1"] == params["W1"][:32, :8]).all()
    assert (small["Wk"] == params["Wk"][:, :2, :8]).all() and (small["Wo"] == params["Wo"][:, :8, :2]).all()
    twice = paper.crop(small, 4)
    assert all((twice[name] == paper.crop(params, 4)[name]).all() for name in twice)
    assert all((paper.crop(params, 16)[name] == params[name]).all() for name in params)


def test_gradients_of_a_crop_add_into_its_block_by_hand():
    total = {"a": np.arange(6.0).reshape(2, 3)}
    nested.add(total, {"a": np.array([[10.0, 20.0]])})
    assert total["a"].tolist() == [[10, 21, 2], [3, 4, 5]]
    assert nested.cropped(total, {"a": (2, 1)})["a"].tolist() == [[10], [3]]


def test_a_fused_crop_takes_other_rows():
    assert nested.rows_of_fused(8, 4) == [*(f"q{i}" for i in range(8)), *(f"k{i}" for i in range(4))]
    params = paper.init(np.random.default_rng(1), 8)
    wrong = nested.crop_fused(params, 4)
    assert (wrong["Wk"].reshape(4, 4) == params["Wq"].reshape(8, 8)[4:, :4]).all()
    assert (wrong["Wv"].reshape(4, 4) == params["Wk"].reshape(8, 8)[:4, :4]).all()
    whole = nested.crop_fused(params, 8)
    assert all((whole[name] == params[name]).all() for name in params)  # at full width there is no difference


@pytest.mark.parametrize("width", [4, 8])
def test_the_gradient_of_the_block_by_complex_step(width):
    rng = np.random.default_rng(width)
    params = {name: 0.5 * rng.standard_normal(shape) for name, shape in block.shapes(width).items()}
    x, targets = rng.integers(block.V, size=(2, 5, block.T))
    f, grads, logits = block.loss_and_grad(params, x, targets)
    for name, array in params.items():
        along = rng.standard_normal(array.shape)
        moved = block.forward({**params, name: array + 1e-30j * along}, x)[0]
        step = cross_entropy.forward(moved, targets)[0].imag / 1e-30
        assert (grads[name] * along).sum() == pytest.approx(step, rel=1e-11), name
    assert logits.shape == (5, block.T, block.V) and f == pytest.approx(
        -np.log(softmax(logits)[targets[..., None] == np.arange(12)]).mean()
    )


def test_soft_targets_of_the_cross_entropy_by_hand():
    logits = np.log(np.array([[1.0, 3.0]]))  # probabilities 1/4 and 3/4
    f, tape = cross_entropy.forward(logits, np.array([[0.5, 0.5]]))
    assert f == pytest.approx(-(np.log(0.25) + np.log(0.75)) / 2)
    assert cross_entropy.backward(np.ones(()), tape) == pytest.approx(np.array([[-0.25, 0.25]]))
    hard, soft = cross_entropy.forward(logits, np.array([1]))[0], cross_entropy.forward(logits, np.array([[0.0, 1.0]]))[0]
    assert hard == soft
    with pytest.raises(ValueError, match="targets: expected distributions"):
        cross_entropy.forward(logits, np.array([[0.5, 0.6]]))


def test_targets_of_the_stages_by_hand():
    y, logits = np.array([[1]]), np.log(np.array([[[3.0, 1.0]]]))
    assert training.targets_for("joint", y, logits) is y
    assert training.targets_for("word", y, logits)[0, 0] == pytest.approx([0.375, 0.625])
    assert training.targets_for("sequence", y, logits).tolist() == [[0]]


def test_the_translation_by_hand():
    first, second = translation.permutations()
    x = np.array([[0, 1, 2, 3, 4, 5, 6, 7]])
    assert translation.translate(x)[0].tolist() == [
        first[7],
        second[6],
        first[5],
        second[4],
        first[3],
        second[2],
        first[1],
        second[0],
    ]
    assert sorted(first) == sorted(second) == list(range(12))


def test_the_noise_is_in_the_labels_seen_and_not_in_those_judged():
    right, wrong = noisy.data(0, 0.0), noisy.data(0, noisy.NOISE)
    assert (right.x == wrong.x).all() and (right.test_y == wrong.test_y).all()
    assert (right.y != wrong.y).mean() == pytest.approx(0.4 * 0.9, abs=0.03)
    assert np.bincount(right.test_y[0], minlength=10).min() > 100
    rng = np.random.default_rng(2)
    params = {name: 0.5 * rng.standard_normal(shape) for name, shape in noisy.shapes(5).items()}
    x, y = noisy.draw_from(wrong)(rng)
    grads = noisy.loss_and_grad(params, x, y)[1]
    for name, array in params.items():
        along = rng.standard_normal(array.shape)
        step = cross_entropy.forward(noisy.logits({**params, name: array + 1e-30j * along}, x), y)[0].imag / 1e-30
        assert (grads[name] * along).sum() == pytest.approx(step, rel=1e-10), name


def test_a_stage_trains_the_wide_and_the_narrow():
    net, rng = translation.NET, np.random.default_rng(3)
    params = net.init(rng, 8)
    before = {name: array.copy() for name, array in params.items()}
    x, y = translation.test_set(100)
    losses = {}
    for stage in training.STAGES:
        after = training.train(net, params, translation.draw_batch, 40, 0.01, np.random.default_rng(4), stage, (4,))
        losses[stage] = [net.loss_and_grad(paper.crop(after, width), x, y)[0] for width in (4, 8)]
    assert all((params[name] == before[name]).all() for name in params)
    untrained = [net.loss_and_grad(paper.crop(params, width), x, y)[0] for width in (4, 8)]
    assert losses["full"][1] < untrained[1] and all(losses["joint"][at] < untrained[at] for at in (0, 1))
    assert losses["joint"][0] < losses["full"][0]
    assert len({tuple(pair) for pair in losses.values()}) == 4


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="width: expected a multiple of 4"):
        paper.init(np.random.default_rng(0), 6)
    with pytest.raises(ValueError, match="width: expected at most that of the parameters"):
        paper.crop(paper.init(np.random.default_rng(0), 4), 8)
    with pytest.raises(ValueError, match="rng: expected"):
        paper.init(0, 8)
    with pytest.raises(ValueError, match="stage: expected one of"):
        training.train(translation.NET, {}, translation.draw_batch, 1, 0.1, np.random.default_rng(0), "jiont")


def test_the_readers_of_the_claims():
    panel = {"widths": [4, 8, 16], "full": [[0.1, 0.2, 1.0]] * 2, "joint": [[0.5, 0.9, 1.0], [0.6, 0.8, 0.9]],
             "separate": [[0.6, 0.9, 0.9], [0.6, 1.0, 1.0]], "stages": [[0.6, 0.9, 1.0], [0.5, 0.9, 1.0]]}  # fmt: skip
    numbers = {"translation": panel, "noisy": panel}
    assert claims.at_half(numbers, "joint")["each_seed"] == [0.9, 0.8]
    assert claims.behind_separate(numbers, "translation", "joint")["each_seed"] == pytest.approx([0.1, 0.2])
    assert claims.gain(numbers, "noisy")["each_seed"] == pytest.approx([0.05, 0.0])
    assert claims.gain(numbers, "noisy", least=True)["each_seed"] == pytest.approx([0.0, -0.1])
    assert claims.gain_of_full(numbers, "noisy")["each_seed"] == pytest.approx([0.1, -0.1])
    assert claims.farthest(numbers, "noisy")["each_seed"] == pytest.approx([0.1, 0.1])


def test_what_was_asked_of_every_seed_by_hand():
    panel = {"full": [[0.1, 0.3, 1.0], [0.1, 0.4, 1.0]], "joint": [[0.5, 0.96, 1.0], [0.6, 0.8, 0.9]],
             "separate": [[0.59, 0.9, 1.0], [0.6, 1.0, 1.0]], "stages": [[0.52, 0.97, 1.0], [0.6, 0.798, 1.0]]}  # fmt: skip
    numbers = {"translation": panel, "noisy": panel, "clean": panel}
    found = {name: claims.kept(numbers, name) for name in claims.ASKED}
    assert {name: keep for name, (_, keep, _) in found.items()} == {
        "crop_alone": 1, "joint": 1, "separate": 1, "stages_noise": 1, "stages_everywhere": 1, "stages_clean": 1
    }  # fmt: skip
    worst = {
        "crop_alone": 0.4,
        "joint": 0.8,
        "separate": 0.2,
        "stages_noise": -0.001,
        "stages_everywhere": -0.002,
        "stages_clean": 0.02,
    }
    assert {name: value for name, (value, _, _) in found.items()} == pytest.approx(worst)
    assert (
        claims.kept_in_words("joint", numbers)
        == "asked of every seed: half width, joint: at least 0.95; not met: 1 of 2 keep it, the worst 0.8"
    )


def test_seeds_and_prompts_judged_on_chose_no_setting():
    assert not set(runs.JUDGED) & set(runs.CHOSEN) and runs.sized(scale.PAPER).seeds == runs.JUDGED
    pilot = translation.draw(np.random.default_rng([translation.TASK_SEED, 1]), 500)[0]
    judged = translation.test_set()[0]
    assert len({*map(tuple, pilot.tolist())} & {*map(tuple, judged.tolist())}) == 0


def test_shape_comments_are_true():
    file, rng = Path(block.__file__), np.random.default_rng(0)
    recorder, sizes = Recorder([file]), {"B": 3, "T": block.T, "V": block.V, "H": block.H, "w": 20, "c": 5}
    params, along = ({n: rng.standard_normal(shape) for n, shape in block.shapes(20).items()} for _ in range(2))
    logits, tape = recorder.record(sizes, block.forward, params, rng.integers(block.V, size=(3, block.T)))
    recorder.record(sizes, block.backward, logits, tape)
    recorder.record(sizes, block.tangent, along, tape)
    assert complaints(file, file.read_text(encoding="utf-8"), dict(recorder.seen)) == []
