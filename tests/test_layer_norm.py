"""Layer norm, causal softmax attention and cross-entropy by hand: integers, invariants, adjoint, complex step, purity, marks,
errors, the audit.
"""

import numpy as np
import pytest
from points import relative

from linattn_np.audit import audit_layer
from linattn_np.layers import causal_softmax, cross_entropy, layer_norm

B, N, D, K = 5, 7, 11, 13
EVERY = pytest.mark.parametrize("name", ["layer norm", "causal softmax", "cross-entropy"])


def point(name, seed=0):
    """(module, the float arrays of forward, its other arguments by name, a function that draws more arrays)"""
    rng = np.random.default_rng(seed)
    if name == "layer norm":
        return layer_norm, [rng.standard_normal(shape) for shape in ((B, N, D), (D,), (D,))], {}, rng.standard_normal
    if name == "causal softmax":
        return causal_softmax, [*rng.standard_normal((3, B, 2, N, D))], {}, rng.standard_normal
    options = {"targets": rng.integers(0, K, (B, N)), "weights": rng.integers(0, 3, (B, N))}
    return cross_entropy, [rng.standard_normal((B, N, K))], options, rng.standard_normal


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def test_layer_norm_worked_by_hand(monkeypatch):
    """X = (1, 3, 1, 3): mean 2, C = (-1, 1, -1, 1), V = 1, S = 1; without eps, so that the numbers are whole."""
    monkeypatch.setattr(layer_norm, "EPS", 0.0)
    Y, tape = layer_norm.forward(np.array([1.0, 3, 1, 3]), np.array([2.0, 1, 4, 3]), np.array([0.0, 5, 0, 1]))
    assert Y.tolist() == [-2, 6, -4, 4]
    dX, dgain, dbias = layer_norm.backward(np.array([2.0, 0, 1, 4]), tape)
    assert dgain.tolist() == [-2, 0, -1, 4] and dbias.tolist() == [2, 0, 1, 4]
    # dU = (4, 0, 4, 12), dS = -4 - 4 + 12 = 4, dV = -2, spread 2 C dV / 4 = (1, -1, 1, -1), dC = (5, -1, 5, 11), mean 5
    assert dX.tolist() == [0, -6, 0, 6]


def test_causal_softmax_worked_by_hand():
    """Two tokens, D = 1: the first reads itself, scores 0 and log 3 give the second 1/4 and 3/4."""
    q, k = np.array([[5.0], [1.0]]), np.array([[0.0], [np.log(3.0)]])
    O, tape = causal_softmax.forward(q, k, np.array([[8.0, 1.0], [4.0, 2.0]]))  # values wider than queries
    assert np.allclose(tape.P, [[1, 0], [1 / 4, 3 / 4]]) and np.allclose(O, [[8, 1], [5, 7 / 4]])
    dq, dk, dv = causal_softmax.backward(np.array([[7.0, 0.0], [1.0, 0.0]]), tape)
    # second row: dP = (8, 4), mean 5, dA = (3/4, -3/4); dq = dA k, dk = dA^T q
    assert np.allclose(dq[:, 0], [0, -3 / 4 * np.log(3)]) and np.allclose(dk[:, 0], [3 / 4, -3 / 4])
    assert np.allclose(dv, [[7 + 1 / 4, 0], [3 / 4, 0]])


def test_causal_softmax_divides_by_the_root_and_does_not_read_ahead():
    layer, (q, k, v), _, _ = point("causal softmax")
    O, tape = layer.forward(q, k, v)
    E = np.exp(q @ k.mT / np.sqrt(D)) * np.tri(N)
    assert np.allclose(tape.P, E / E.sum(axis=-1, keepdims=True), rtol=1e-13)
    later = [np.concatenate([a[..., :4, :], 1 - a[..., 4:, :]], axis=-2) for a in (q, k, v)]
    assert np.array_equal(layer.forward(*later)[0][..., :4, :], O[..., :4, :])
    assert np.isfinite(layer.forward(1e4 * q, k, v)[0]).all()


def test_cross_entropy_worked_by_hand():
    """Logits (log 3, 0) and target 0: probabilities 3/4 and 1/4; the second token, of weight 0, does not count."""
    logits, targets = np.array([[np.log(3.0), 0.0], [7.0, 9.0]]), np.array([0, 1])
    loss, tape = cross_entropy.forward(logits, targets, np.array([5.0, 0.0]))
    assert loss.shape == () and abs(loss - np.log(4 / 3)) < 1e-15
    assert np.allclose(cross_entropy.backward(np.array(8.0), tape), [[-2, 2], [0, 0]], rtol=1e-15, atol=1e-15)
    assert abs(cross_entropy.forward(0 * logits, targets)[0] - np.log(2)) < 1e-15


def test_layer_norm_does_not_see_a_shift_or_a_factor():
    layer, (X, gain, bias), _, _ = point("layer norm")
    Y = layer.forward(X, gain, bias)[0]
    assert relative(layer.forward(1e3 * X + 7, gain, bias)[0], Y) < 1e-4  # eps counts less for larger tokens
    U = layer.forward(1e3 * X, np.ones(D), np.zeros(D))[0]
    assert np.abs(U.mean(axis=-1)).max() < 1e-14 and np.abs((U * U).mean(axis=-1) - 1).max() < 1e-9


def test_cross_entropy_does_not_see_a_shift_and_does_not_overflow():
    layer, (logits,), options, _ = point("cross-entropy")
    loss = layer.forward(logits, **options)[0]
    assert abs(layer.forward(logits + 1e4, **options)[0] - loss) < 1e-11
    assert layer.forward(1e5 * logits, **options)[0] < np.inf
    share = options["weights"] / options["weights"].sum()
    E = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    assert abs(-(share * np.log(np.take_along_axis(E, options["targets"][..., None], -1)[..., 0])).sum() - loss) < 1e-14


@EVERY
def test_backward_is_the_adjoint_of_tangent(name):
    layer, arrays, options, draw = point(name)
    out, tape = layer.forward(*arrays, **options)
    v, dout = [draw(a.shape) for a in arrays], np.asarray(draw(out.shape))
    left = (layer.tangent(*v, tape)[0] * dout).sum()
    right = sum((a * b).sum() for a, b in zip(v, as_tuple(layer.backward(dout, tape)), strict=True))
    assert abs(left - right) < 1e-13 * abs(left)


@EVERY
def test_tangents_equal_complex_steps(name):
    layer, arrays, options, draw = point(name, 1)
    out, tape = layer.forward(*arrays, **options)
    v, dout, hout = [draw(a.shape) for a in arrays], draw(out.shape), draw(out.shape)
    moved, moved_tape = layer.forward(*(a + 1e-30j * b for a, b in zip(arrays, v, strict=True)), **options)
    vout, vtape = layer.tangent(*v, tape)
    assert relative(moved.imag / 1e-30, vout) < 1e-13
    found = as_tuple(layer.backward_tangent(dout, hout, tape, vtape))
    for got, stepped in zip(found, as_tuple(layer.backward(dout + 1e-30j * hout, moved_tape)), strict=True):
        assert relative(got, stepped.imag / 1e-30) < 1e-13


@EVERY
def test_backward_twice_gives_the_same_bits_and_changes_nothing(name):
    layer, arrays, options, draw = point(name, 2)
    before = [a.copy() for a in (*arrays, *options.values())]
    out, tape = layer.forward(*arrays, **options)
    dout = np.asarray(draw(out.shape))
    first, second = as_tuple(layer.backward(dout, tape)), as_tuple(layer.backward(dout, tape))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip((*arrays, *options.values()), before, strict=True))


@EVERY
def test_marks_name_each_intermediate_once_and_its_gradient(name):
    layer, arrays, options, draw = point(name, 3)
    forward, backward = [], []
    out, tape = layer.forward(*arrays, **options, mark=lambda name, value: (forward.append(name), value)[1])
    layer.backward(np.asarray(draw(out.shape)), tape, lambda name, value: (backward.append(name), value)[1])
    assert len(set(forward)) == len(forward) and len(set(backward)) == len(backward)
    assert {"d" + each for each in forward} == set(backward)


@EVERY
def test_the_layer_passes_the_whole_audit(name):
    report = audit_layer(name, seed=1, d=3, n=5, batch=2)
    assert report.ok and {row.check for row in report.rows} >= {"complex", "probe", "dot", "taylor", "second", "tangent"}


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"gain, bias: expected shape \(4,\), the width of the tokens, got \(3,\) and \(4,\)"):
        layer_norm.forward(np.ones((2, 4)), np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="q, k, v: expected shapes"):
        causal_softmax.forward(np.ones((3, 2)), np.ones((4, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="q, k, v: expected shapes"):
        causal_softmax.forward(np.ones((3, 2)), np.ones((3, 2)), np.ones((4, 2)))
    logits = np.ones((2, 4))
    for targets, weights, says in (
        (np.zeros(3, int), None, "targets: expected integers of shape"),
        (np.zeros(2), None, "targets: expected integers of shape"),
        (np.array([0, 4]), None, "targets: expected symbols 0 to 3, got 0 to 4"),
        (np.array([-1, 0]), None, "targets: expected symbols 0 to 3, got -1 to 0"),
        (np.array([0, 1]), np.ones(3), "weights: expected shape"),
        (np.array([0, 1]), np.zeros(2), "weights: expected shape"),
        (np.array([0, 1]), np.array([2.0, -1.0]), "weights: expected shape"),
    ):
        with pytest.raises(ValueError, match=says):
            cross_entropy.forward(logits, targets, weights)
