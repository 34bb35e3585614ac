"""The layers by hand: worked with integers, invariants, adjoint, complex step, purity. Every layer passes the same tests."""

import numpy as np
import pytest
from points import LAYERS, B, H, N, add, dot, imag, layer_point, like, relative

from linattn_np.layers import gram, softmax_attention
from linattn_np.layers import linear_attention as attention

EVERY = pytest.mark.parametrize("name", LAYERS)
TOKENS = pytest.mark.parametrize("name", ["linear", "softmax", "relu"])

# two examples (1; 2), (3; 1) and the query (2; 0), multiplied out on paper
Z = np.array([[[1.0, 2], [3, 1], [2, 0]]])
P, Q = np.array([[[1.0, 2], [0, 1]]]), np.array([[[1.0, 0], [1, 2]]])


def test_forward_worked_by_hand():
    out, tape = attention.forward(Z, P, Q)
    assert tape.W.tolist() == [[[[11, 8, 0], [13, 14, 0], [6, 8, 0]]]]
    assert tape.V.tolist() == [[[[5, 2], [5, 1], [2, 0]]]]
    assert out.tolist() == [[[48.5, 17], [70.5, 21], [37, 10]]]
    assert attention.readout(out).tolist() == [-10]


def test_backward_worked_by_hand():
    _, tape = attention.forward(Z, P, Q)
    dout = np.array([[[0.0, 0], [0, 0], [0, 1]]])
    dZ, dP, dQ = attention.backward(dout, tape)
    assert dP.tolist() == [[[0, 0], [15, 10]]]
    assert dQ.tolist() == [[[5, 0], [5, 0]]]
    assert dZ.tolist() == [[[2, 5], [1, 5], [5, 6]]]


def test_softmax_worked_by_hand():
    assert np.allclose(softmax_attention.softmax(np.log([[1.0, 2, 5]])), [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-15)
    far = np.array([[1000.0, 1000 + np.log(3)]])  # exp(1000) overflows without the shift
    assert np.allclose(softmax_attention.softmax(far), [[0.25, 0.75]], rtol=1e-12)


def test_softmax_normalises_over_the_query_too_and_masks_afterwards():
    Z, P, Q, _ = layer_point("softmax")
    _, tape = softmax_attention.forward(Z, P, Q)
    assert np.allclose(tape.E.sum(axis=-1), 1, rtol=1e-14)
    assert tape.E[..., -1].min() > 0
    moved = Z.copy()
    moved[:, -1] += 1.0  # another query changes what an example gets, only through the normalisation
    assert not np.allclose(softmax_attention.forward(moved, P, Q)[0][:, 0], softmax_attention.forward(Z, P, Q)[0][:, 0])


def test_relu_keeps_positive_scores_and_drops_negative_ones():
    Z = np.array([[[1.0, 2], [-1, 0], [2, 0]]])
    P, Q = np.eye(2)[None], np.eye(2)[None]
    out, _ = LAYERS["relu"].forward(Z, P, Q)  # scores of the query: 2 with token 1, -2 with token 2
    assert out[0, -1].tolist() == [2 + 2 * 1 / 2, 0 + 2 * 2 / 2]


@EVERY
def test_zero_weights_leave_the_activation(name):
    X, P, Q, _ = layer_point(name)
    out, _ = LAYERS[name].forward(X, 0 * P, Q)
    assert dot(add(out, -1.0, X), add(out, -1.0, X)) == 0


@TOKENS
def test_order_of_examples_does_not_matter(name):
    Z, P, Q, _ = layer_point(name)
    order = np.r_[np.random.default_rng(1).permutation(N - 1), N - 1]
    moved = LAYERS[name].forward(Z[:, order], P, Q)[0]
    assert relative(moved, LAYERS[name].forward(Z, P, Q)[0][:, order]) < 1e-14


@TOKENS
def test_rotating_tokens_and_weights_together_rotates_the_output(name):
    Z, P, Q, normal = layer_point(name)
    R = np.linalg.qr(normal(Z.shape[-1], Z.shape[-1]))[0]
    moved = LAYERS[name].forward(Z @ R.T, R @ P @ R.T, R @ Q @ R.T)[0]
    assert relative(moved, LAYERS[name].forward(Z, P, Q)[0] @ R.T) < 1e-13


def test_query_is_never_attended_to():
    Z, P, Q, _ = layer_point("linear")
    other = Z.copy()
    other[:, -1] *= 3.0
    got, wanted = attention.forward(other, P, Q)[0][:, :-1], attention.forward(Z, P, Q)[0][:, :-1]
    assert np.array_equal(got, wanted)


@TOKENS
def test_heads_add_up(name):
    Z, P, Q, _ = layer_point(name)
    each = [LAYERS[name].forward(Z, P[h : h + 1], Q[h : h + 1])[0] - Z for h in range(H)]
    assert relative(LAYERS[name].forward(Z, P, Q)[0], Z + sum(each)) < 1e-14


@EVERY
def test_backward_is_the_adjoint_of_tangent(name):
    layer = LAYERS[name]
    X, P, Q, normal = layer_point(name)
    out, tape = layer.forward(X, P, Q)
    vX, vP, vQ, dout = like(X, normal), normal(*P.shape), normal(*Q.shape), like(out, normal)
    vout, _ = layer.tangent(vX, vP, vQ, tape)
    dX, dP, dQ = layer.backward(dout, tape)
    forward, backward = dot(vout, dout), dot(vX, dX) + (vP * dP).sum() + (vQ * dQ).sum()
    assert abs(forward - backward) < 1e-13 * abs(forward)
    attention_share = abs(forward - dot(vX, dout)) / abs(forward)
    assert attention_share > 0.01  # else the residual alone would have passed


@EVERY
def test_tangent_equals_complex_step(name):
    layer = LAYERS[name]
    X, P, Q, normal = layer_point(name)
    vX, vP, vQ = like(X, normal), normal(*P.shape), normal(*Q.shape)
    vout, _ = layer.tangent(vX, vP, vQ, layer.forward(X, P, Q)[1])
    moved, _ = layer.forward(add(X, 1e-30j, vX), P + 1e-30j * vP, Q + 1e-30j * vQ)
    assert relative(flat(imag(moved)) / 1e-30, flat(vout)) < 1e-13


@EVERY
def test_backward_tangent_equals_complex_step_of_backward(name):
    layer = LAYERS[name]
    X, P, Q, normal = layer_point(name)
    out, tape = layer.forward(X, P, Q)
    vX, vP, vQ, dout, hout = like(X, normal), normal(*P.shape), normal(*Q.shape), like(out, normal), like(out, normal)
    _, vtape = layer.tangent(vX, vP, vQ, tape)
    hX, hP, hQ = layer.backward_tangent(dout, hout, tape, vtape)
    _, moved = layer.forward(add(X, 1e-30j, vX), P + 1e-30j * vP, Q + 1e-30j * vQ)
    dX, dP, dQ = layer.backward(add(dout, 1e-30j, hout), moved)
    assert relative(flat(imag(dX)) / 1e-30, flat(hX)) < 1e-13
    assert relative(dP.imag / 1e-30, hP) < 1e-13
    assert relative(dQ.imag / 1e-30, hQ) < 1e-13


@EVERY
def test_backward_twice_gives_the_same_bits_and_changes_nothing(name):
    layer = LAYERS[name]
    X, P, Q, normal = layer_point(name)
    out, tape = layer.forward(X, P, Q)
    dout = like(out, normal)
    before = [flat(X).copy(), P.copy(), Q.copy(), flat(dout).copy()]
    first, second = layer.backward(dout, tape), layer.backward(dout, tape)
    assert all(np.array_equal(flat(a), flat(b)) for a, b in zip(first, second, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(before, [flat(X), P, Q, flat(dout)], strict=True))


@EVERY
def test_marks_name_each_intermediate_once_and_its_gradient(name):
    layer, forward, backward = LAYERS[name], [], []
    X, P, Q, normal = layer_point(name)
    out, tape = layer.forward(X, P, Q, lambda key, value: (forward.append(key), value)[1])
    layer.backward(like(out, normal), tape, lambda key, value: (backward.append(key), value)[1])
    assert len(set(forward)) == len(forward) and len(set(backward)) == len(backward)
    assert {"d" + key for key in forward} <= set(backward)


def test_state_layer_is_the_token_layer():
    Z, P, Q, _ = layer_point("linear")
    state, _ = gram.forward(gram.compress(Z), P, Q)
    tokens = gram.compress(attention.forward(Z, P, Q)[0])
    assert relative(state.G, tokens.G) < 1e-13
    assert relative(state.z, tokens.z) < 1e-13


def test_compress_by_hand_and_its_gradient():
    state = gram.compress(Z)
    assert state.G.tolist() == [[[10, 5], [5, 5]]] and state.z.tolist() == [[2, 0]] and state.n == 2
    X, _, _, normal = layer_point("linear")
    vX, dstate = normal(*X.shape), like(gram.compress(X), normal)
    moved = gram.compress(X + 1e-30j * vX)
    assert abs(dot(imag(moved), dstate) / 1e-30 - (vX * gram.compress_backward(dstate, X)).sum()) < 1e-12


@EVERY
def test_readout_is_minus_the_query_label_and_its_gradient_the_adjoint(name):
    layer = LAYERS[name]
    X, _, _, normal = layer_point(name)
    label = X.z[:, -1] if name == "state" else X[:, -1, -1]
    assert np.array_equal(layer.readout(X), -label)
    dprediction = normal(B)
    vX = like(X, normal)
    assert np.isclose((layer.readout(vX) * dprediction).sum(), dot(vX, layer.readout_backward(dprediction, X)), rtol=1e-14)


def flat(X):
    return np.concatenate([X.G.ravel(), X.z.ravel()]) if isinstance(X, gram.State) else X.ravel()
