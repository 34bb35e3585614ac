"""The ReLU network by hand: integers, adjoint, complex step, Taylor, purity, marks, shapes, kinks that cannot be judged."""

import numpy as np
import pytest
from points import relative

import linattn_np as la
from linattn_np.audit import audit_layer, audit_model
from linattn_np.layers import mlp

B, N, d, h, o = 7, 11, 5, 13, 3
# one token (1; 2), weights and biases of small integers, multiplied out on paper: R = (3, -2), E = (3, 0)
C = np.array([[[1.0, 2]]])
W1, b1 = np.array([[2.0, 0], [1, -2]]), np.array([1.0, 1])
W2, b2 = np.array([[1.0, 4], [-2, 3]]), np.array([5.0, 0])


def point(seed=0):
    """Every argument of forward at generic values, and a function that draws more arrays like them."""
    rng = np.random.default_rng(seed)
    shapes = ((B, N, d), (h, d), (h,), (o, h), (o,))
    return [rng.standard_normal(shape) for shape in shapes], lambda shape: rng.standard_normal(shape)


def test_forward_worked_by_hand():
    F, tape = mlp.forward(C, W1, b1, W2, b2)
    assert tape.step.tolist() == [[[1, 0]]] and tape.E.tolist() == [[[3, 0]]]
    assert F.tolist() == [[[8, -6]]]


def test_backward_worked_by_hand():
    _, tape = mlp.forward(C, W1, b1, W2, b2)
    dC, dW1, db1, dW2, db2 = mlp.backward(np.array([[[1.0, 2]]]), tape)
    assert dW2.tolist() == [[3, 0], [6, 0]] and db2.tolist() == [1, 2]
    assert dW1.tolist() == [[-3, -6], [0, 0]] and db1.tolist() == [-3, 0] and dC.tolist() == [[[-6, 0]]]


def test_backward_is_the_adjoint_of_tangent():
    arguments, draw = point()
    F, tape = mlp.forward(*arguments)
    v, dF = [draw(a.shape) for a in arguments], draw(F.shape)
    left = (mlp.tangent(*v, tape)[0] * dF).sum()
    right = sum((a * b).sum() for a, b in zip(v, mlp.backward(dF, tape), strict=True))
    assert abs(left - right) < 1e-13 * abs(left)


def test_tangent_and_backward_tangent_equal_complex_steps():
    arguments, draw = point(1)
    F, tape = mlp.forward(*arguments)
    v, dF, hF = [draw(a.shape) for a in arguments], draw(F.shape), draw(F.shape)
    moved, moved_tape = mlp.forward(*(a + 1e-30j * b for a, b in zip(arguments, v, strict=True)))
    vF, vtape = mlp.tangent(*v, tape)
    assert relative(moved.imag / 1e-30, vF) < 1e-13
    found = mlp.backward_tangent(dF, hF, tape, vtape)
    for got, stepped in zip(found, mlp.backward(dF + 1e-30j * hF, moved_tape), strict=True):
        assert relative(got, stepped.imag / 1e-30) < 1e-13


def test_along_one_layer_the_network_is_straight_between_kinks():
    arguments, draw = point(2)
    F, tape = mlp.forward(*arguments)
    v = [np.zeros_like(a) for a in arguments]
    v[1] = 1e-6 * draw((h, d))  # no pre-activation changes its sign
    vF, _ = mlp.tangent(*v, tape)
    moved, _ = mlp.forward(arguments[0], arguments[1] + v[1], *arguments[2:])
    assert relative(moved - F, vF) < 1e-8


def test_every_token_is_treated_alike():
    arguments, _ = point(3)
    order = np.random.default_rng(0).permutation(N)
    F = mlp.forward(*arguments)[0]
    assert np.array_equal(mlp.forward(arguments[0][:, order], *arguments[1:])[0], F[:, order])


def test_backward_twice_gives_the_same_bits_and_changes_nothing():
    arguments, draw = point(4)
    before = [a.copy() for a in arguments]
    F, tape = mlp.forward(*arguments)
    dF = draw(F.shape)
    first, second = mlp.backward(dF, tape), mlp.backward(dF, tape)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(arguments, before, strict=True))


def test_marks_name_each_intermediate_once_and_its_gradient():
    arguments, draw = point(5)
    forward, backward = [], []
    F, tape = mlp.forward(*arguments, lambda name, value: (forward.append(name), value)[1])
    mlp.backward(draw(F.shape), tape, lambda name, value: (backward.append(name), value)[1])
    assert len(set(forward)) == len(forward) and len(set(backward)) == len(backward)
    assert {"d" + name for name in forward} == set(backward)


def test_initial_weights_are_uniform_as_in_pytorch():
    rng = np.random.default_rng(0)
    W1, b1, W2, b2 = mlp.init_network(rng, 5, 3000)
    for array, inputs in ((W1, 5), (b1, 5), (W2, 3000), (b2, 3000)):
        size = np.abs(array).max()
        assert size < inputs**-0.5 and (size > 0.9 * inputs**-0.5 or array.size < 50)
    assert abs(W1.std() - (1 / 15) ** 0.5) < 0.01 and W2.shape == (5, 3000) and b2.shape == (5,)


# ---------------------------------------------------------------- the audit


@pytest.mark.parametrize("seed", range(3))
def test_the_layer_passes_the_whole_audit(seed):
    report = audit_layer("mlp", seed=seed)
    assert report.ok and {row.check for row in report.rows} >= {"complex", "probe", "dot", "taylor", "second", "point"}
    assert "(15.7)" in str(report)


def test_at_a_kink_the_audit_cannot_judge():
    report = audit_layer("mlp", sigma=0.0)  # every pre-activation is exactly zero
    assert report.verdict == "CANNOT JUDGE" and not any(row.verdict == "WRONG" for row in report.rows)
    assert audit_model("mlp", sigma=0.0, backend="numpy").verdict == "CANNOT JUDGE"


def test_with_many_kinks_nearby_the_ladder_is_not_judged_and_nothing_is_called_wrong():
    report = audit_layer("mlp", n=97, batch=53)
    assert report.verdict == "CANNOT JUDGE" and "kink" in str(report)
    assert not any(row.verdict == "WRONG" for row in report.rows)
    assert all(row.verdict == "ok" for row in report.rows if row.check in ("probe", "dot"))
    arrays = [row for row in report.rows if row.check == "complex"]  # W1 moves all pre-activations: some kink is always near
    assert [row.quantity for row in arrays if row.verdict != "ok"] in ([], ["dW1"]) and len({row.quantity for row in arrays}) == 5
    assert all("kink" in row.note for row in arrays if row.verdict != "ok")


# ---------------------------------------------------------------- the task


def test_nonlinear_labels_are_linear_in_the_fixed_networks_features():
    task = la.NonlinearTask(n=11, d=3, hidden=7, network_seed=4)
    Z, y = task.sample(5, np.random.default_rng(1))
    network = mlp.init_network(np.random.default_rng(4), 3, 7)
    F = mlp.forward(Z[..., :-1], *network)[0]
    w = [np.linalg.lstsq(features[:-1], labels[:-1], rcond=None)[0] for features, labels in zip(F, Z[..., -1], strict=True)]
    assert np.allclose([features[-1] @ each for features, each in zip(F, w, strict=True)], y, rtol=1e-8)
    plain, _ = la.RegressionTask(n=11, d=3).sample(5, np.random.default_rng(1))
    assert np.array_equal(plain[..., :-1], Z[..., :-1]) and not np.array_equal(plain, Z)
    assert np.array_equal(Z[:, -1, -1], np.zeros(5))


def test_another_seed_is_another_network_and_bad_sizes_are_named():
    draws = [la.NonlinearTask(network_seed=seed).sample(2, np.random.default_rng(0))[1] for seed in (0, 0, 1)]
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])
    with pytest.raises(ValueError, match="hidden: expected an integer of at least 1, got 0"):
        la.NonlinearTask(hidden=0)
