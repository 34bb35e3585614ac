"""The layers by hand: worked with integers, invariants, adjoint, complex step, purity. Every layer passes the same tests."""

import pickle

import numpy as np
import pytest
from points import LAYERS, SOME, B, D, H, N, add, dot, has_skip, imag, layer_point, like, like_all, relative

from linattn_np.layers import general_attention, gram, softmax_attention
from linattn_np.layers import linear_attention as attention
from linattn_np.layers.general_attention import GeneralAttention
from linattn_np.models import stack

EVERY = pytest.mark.parametrize("name", LAYERS)
TOKENS = pytest.mark.parametrize("name", ["linear", "softmax", "relu", "general"])

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
    Z, (P, Q), _ = layer_point("softmax")
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
    X, (P, Q, *R), _ = layer_point(name)
    out, _ = LAYERS[name].forward(X, 0 * P, Q, *(0 * r for r in R))
    assert dot(add(out, -1.0, X), add(out, -1.0, X)) == 0


@TOKENS
def test_order_of_examples_does_not_matter(name):
    Z, weights, _ = layer_point(name)
    order = np.r_[np.random.default_rng(1).permutation(N - 1), N - 1]
    moved = LAYERS[name].forward(Z[:, order], *weights)[0]
    assert relative(moved, LAYERS[name].forward(Z, *weights)[0][:, order]) < 1e-14


@TOKENS
def test_rotating_tokens_and_weights_together_rotates_the_output(name):
    Z, weights, normal = layer_point(name)
    turn = np.linalg.qr(normal(D, D))[0]
    moved = LAYERS[name].forward(Z @ turn.T, *(turn @ weight @ turn.T for weight in weights))[0]
    assert relative(moved, LAYERS[name].forward(Z, *weights)[0] @ turn.T) < 1e-13


def test_query_is_never_attended_to():
    Z, (P, Q), _ = layer_point("linear")
    other = Z.copy()
    other[:, -1] *= 3.0
    got, wanted = attention.forward(other, P, Q)[0][:, :-1], attention.forward(Z, P, Q)[0][:, :-1]
    assert np.array_equal(got, wanted)


@TOKENS
def test_heads_add_up(name):
    Z, (P, Q, *R), _ = layer_point(name)
    each = [LAYERS[name].forward(Z, P[h : h + 1], Q[h : h + 1], *(0 * r for r in R))[0] - Z for h in range(H)]
    assert relative(LAYERS[name].forward(Z, P, Q, *R)[0], Z + sum(Z @ r.T for r in R) + sum(each)) < 1e-14


@EVERY
def test_backward_is_the_adjoint_of_tangent(name):
    layer = LAYERS[name]
    X, weights, normal = layer_point(name)
    out, tape = layer.forward(X, *weights)
    vX, vweights, dout = like(X, normal), like_all(weights, normal), like(out, normal)
    vout, _ = layer.tangent(vX, *vweights, tape)
    dX, *dweights = layer.backward(dout, tape)
    each = [(v * d).sum() for v, d in zip(vweights, dweights, strict=True)]
    forward, backward = dot(vout, dout), dot(vX, dX) + sum(each)
    assert abs(forward - backward) < 1e-13 * abs(forward)
    attention_share = abs(forward - dot(vX, dout)) / abs(forward)
    assert attention_share > 0.01  # else the residual alone would have passed
    assert min(abs(one) for one in each) > 1e-4 * abs(forward)  # nor is any weight without a say


@EVERY
def test_each_gradient_equals_complex_step(name):
    layer = LAYERS[name]
    X, weights, normal = layer_point(name)
    out, tape = layer.forward(X, *weights)
    dout = like(out, normal)
    arguments, gradients = [X, *weights], layer.backward(dout, tape)
    assert len(gradients) == len(arguments) == 3 + has_skip(name)
    for i, gradient in enumerate(gradients):
        v = like(arguments[i], normal)
        moved = [add(a, 1e-30j, v) if j == i else a for j, a in enumerate(arguments)]
        slope = dot(imag(layer.forward(*moved)[0]), dout) / 1e-30
        assert abs(slope - dot(v, gradient)) < 1e-12 * np.sqrt(dot(v, v) * dot(gradient, gradient))


@EVERY
def test_tangent_equals_complex_step(name):
    layer = LAYERS[name]
    X, weights, normal = layer_point(name)
    vX, vweights = like(X, normal), like_all(weights, normal)
    vout, _ = layer.tangent(vX, *vweights, layer.forward(X, *weights)[1])
    moved, _ = layer.forward(add(X, 1e-30j, vX), *moved_by(weights, vweights))
    assert relative(flat(imag(moved)) / 1e-30, flat(vout)) < 1e-13


@EVERY
def test_backward_tangent_equals_complex_step_of_backward(name):
    layer = LAYERS[name]
    X, weights, normal = layer_point(name)
    out, tape = layer.forward(X, *weights)
    vX, vweights, dout, hout = like(X, normal), like_all(weights, normal), like(out, normal), like(out, normal)
    _, vtape = layer.tangent(vX, *vweights, tape)
    found = layer.backward_tangent(dout, hout, tape, vtape)
    _, moved = layer.forward(add(X, 1e-30j, vX), *moved_by(weights, vweights))
    wanted = layer.backward(add(dout, 1e-30j, hout), moved)
    for h, d in zip(found, wanted, strict=True):
        assert relative(flat(imag(d)) / 1e-30, flat(h)) < 1e-13


@EVERY
def test_backward_twice_gives_the_same_bits_and_changes_nothing(name):
    layer = LAYERS[name]
    X, weights, normal = layer_point(name)
    out, tape = layer.forward(X, *weights)
    dout = like(out, normal)
    before = [flat(a).copy() for a in (X, *weights, dout)]
    first, second = layer.backward(dout, tape), layer.backward(dout, tape)
    assert all(np.array_equal(flat(a), flat(b)) for a, b in zip(first, second, strict=True))
    assert all(np.array_equal(a, flat(b)) for a, b in zip(before, (X, *weights, dout), strict=True))


@EVERY
def test_marks_name_each_intermediate_once_and_its_gradient(name):
    layer, forward, backward = LAYERS[name], [], []
    X, weights, normal = layer_point(name)
    out, tape = layer.forward(X, *weights, mark=lambda key, value: (forward.append(key), value)[1])
    layer.backward(like(out, normal), tape, mark=lambda key, value: (backward.append(key), value)[1])
    assert len(set(forward)) == len(forward) and len(set(backward)) == len(backward)
    assert {"d" + key for key in forward} <= set(backward)


# ---------------------------------------------------------------- the general layer: any mask, any factor, a skip


def test_general_layer_worked_by_hand_in_columns():
    """Every index of Z + R Z + c P Z M Z^T Q Z in the paper's columns, in a loop of its own, on small integers."""
    R, mask, c = np.array([[0.0, 3], [1, -1]]), [0, 1, 1], 0.5
    columns, token_width, tokens = Z[0].T, range(2), range(3)
    wanted = np.zeros((2, 3))
    for a in token_width:
        for t in tokens:
            wanted[a, t] = columns[a, t] + sum(R[a, b] * columns[b, t] for b in token_width)
            for s in tokens:
                score = sum(columns[e, s] * Q[0, e, f] * columns[f, t] for e in token_width for f in token_width)
                wanted[a, t] += c * mask[s] * score * sum(P[0, a, b] * columns[b, s] for b in token_width)
    out, _ = GeneralAttention(mask, c).forward(Z, P, Q, R)
    assert out[0].T.tolist() == wanted.tolist()
    assert out[0].tolist() == [[29, 5], [47, 10], [26, 6]]  # c W V + R Z + Z of token 1: (22; 4) + (6; -1) + (1; 2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_without_a_skip_the_general_layer_has_the_bits_of_todays(dtype):
    Z, (P, Q), normal = layer_point("linear")
    Z, P, Q, dout, hout, vZ, vP, vQ = (
        a.astype(dtype) for a in (Z, P, Q, *(normal(*Z.shape) for _ in range(3)), *like_all((P, Q), normal))
    )
    R = np.zeros((D, D), dtype)
    todays, tape = attention.forward(Z, P, Q)
    vtodays, vtape = attention.tangent(vZ, vP, vQ, tape)
    wanted = [todays, vtodays, *attention.backward(dout, tape), *attention.backward_tangent(dout, hout, tape, vtape)]
    default = {"mask": np.arange(N) < N - 1, "n": N - 1}
    for layer, weights, given in (
        (general_attention, [R], {}),
        (general_attention, [R], default),
        (attention, [], default),
        (GeneralAttention(), [R], {}),
        (GeneralAttention([1] * (N - 1) + [0], skip=False), [], {}),
    ):
        out, tape = layer.forward(Z, P, Q, *weights, **given)
        vout, vtape = layer.tangent(vZ, vP, vQ, *weights, tape)
        gradients, tangents = layer.backward(dout, tape), layer.backward_tangent(dout, hout, tape, vtape)
        got = [out, vout, *gradients[:3], *tangents[:3]]
        assert all(np.array_equal(a, b) and a.dtype == b.dtype == dtype for a, b in zip(got, wanted, strict=True))


def test_dR_by_hand():
    _, tape = general_attention.forward(Z, 0 * P, Q, np.zeros((2, 2)))
    dout = np.array([[[1.0, 0], [0, 2], [0, 1]]])  # dR = dZ'^T Z: (1; 2) in row 1, 2 (3; 1) + (2; 0) in row 2
    assert general_attention.backward(dout, tape)[3].tolist() == [[1, 2], [8, 2]]


def test_permuting_tokens_together_with_the_mask_permutes_the_output():
    layer, mask = LAYERS["general, some read"], np.array(SOME)
    Z, weights, _ = layer_point("general, some read")
    order = np.random.default_rng(1).permutation(N)
    moved = GeneralAttention(mask[order], layer.c).forward(Z[:, order], *weights)[0]
    assert relative(moved, layer.forward(Z, *weights)[0][:, order]) < 1e-14
    assert relative(layer.forward(Z[:, order], *weights)[0], moved) > 1e-2  # the mask has to move with them
    pairs = np.tri(N)
    moved = GeneralAttention(pairs[np.ix_(order, order)], 0.3).forward(Z[:, order], *weights)[0]
    assert relative(moved, GeneralAttention(pairs, 0.3).forward(Z, *weights)[0][:, order]) < 1e-14


def test_a_mask_of_pairs_with_equal_rows_is_the_mask_of_tokens():
    Z, weights, _ = layer_point("general")
    rows = np.tile(SOME, (N, 1))
    got, wanted = (GeneralAttention(mask, 0.3).forward(Z, *weights)[0] for mask in (rows, SOME))
    assert np.array_equal(got, wanted)
    assert np.array_equal(*(GeneralAttention(mask).forward(Z, *weights)[0] for mask in (rows, SOME)))  # the same 1/n too


def test_causal_tokens_read_no_later_one():
    layer = LAYERS["general, causal without skip"]
    Z, weights, _ = layer_point("general, causal without skip")
    other = Z.copy()
    other[:, 5:] *= 3.0
    before, after = layer.forward(Z, *weights)[0], layer.forward(other, *weights)[0]
    assert np.array_equal(before[:, :5], after[:, :5]) and not np.isclose(before[:, 5:], after[:, 5:]).any()


@pytest.mark.parametrize(
    "layer", [GeneralAttention(np.zeros(N)), GeneralAttention(np.zeros(N), 0.3), GeneralAttention(None, 0.0)]
)
def test_with_nothing_to_read_or_no_weight_only_the_skip_is_left(layer):
    Z, (P, Q, R), normal = layer_point("general")
    out, tape = layer.forward(Z, P, Q, R)
    dout = normal(*Z.shape)
    dZ, dP, dQ, dR = layer.backward(dout, tape)
    assert relative(out, Z + Z @ R.T) < 1e-15 and relative(dZ, dout + dout @ R) < 1e-15
    assert not dP.any() and not dQ.any() and relative(dR, np.einsum("bta,btc->ac", dout, Z)) < 1e-14
    moved = layer.forward(Z + 1e-30j * dout, P, Q, R)[0]
    assert relative(moved.imag / 1e-30, dout + dout @ R.T) < 1e-14


def test_two_general_layers_of_twice_the_width_are_the_heavy_ball():
    """Z_{l+1} = Z_l + attention(Z_l) + b (Z_l - Z_{l-1}): on tokens (Z_l, Z_{l-1}) one layer, and R holds the momentum."""
    beta, (Z, (P, Q), _) = 0.6, layer_point("linear")
    wide = lambda X: np.concatenate([np.concatenate([X, 0 * X], axis=-1), np.zeros((H, D, 2 * D))], axis=-2)
    R = np.kron([[beta, -beta], [1, -1]], np.eye(D))
    tokens = np.concatenate([Z, Z], axis=-1)  # before the first layer nothing has moved
    before, now = Z, Z
    for _ in range(3):
        tokens = general_attention.forward(tokens, wide(P), wide(Q), R)[0]
        before, now = now, attention.forward(now, P, Q)[0] + beta * (now - before)
    assert relative(tokens, np.concatenate([now, before], axis=-1)) < 1e-14


def test_a_general_layer_descends_on_a_graph():
    """Tokens (row of the incidence matrix; demand; potential so far), all read: the scores are the Laplacian, R brings the
    demand.
    """
    rng, nodes, edges, step = np.random.default_rng(0), 7, 11, 0.1
    ends = np.array([rng.choice(nodes, 2, replace=False) for _ in range(edges)])
    incidence = np.eye(nodes)[:, ends[:, 0]] - np.eye(nodes)[:, ends[:, 1]]  # (nodes, edges)
    demand, width = rng.standard_normal(nodes), edges + 2
    P, Q, R = np.zeros((1, width, width)), np.zeros((1, width, width)), np.zeros((width, width))
    Q[0, :edges, :edges], P[0, -1, -1], R[-1, -2] = np.eye(edges), -step, step
    tokens = np.concatenate([incidence, demand[:, None], np.zeros((nodes, 1))], axis=1)[None]
    potential, layer = np.zeros(nodes), GeneralAttention(np.ones(nodes), c=1.0)
    for _ in range(3):
        tokens = layer.forward(tokens, P, Q, R)[0]
        potential = potential + step * (demand - incidence @ incidence.T @ potential)
    assert relative(tokens[0, :, -1], potential) < 1e-14 and np.array_equal(tokens[0, :, :-1], np.c_[incidence, demand])


def test_general_layers_are_values_that_can_be_sent():
    layer = GeneralAttention(np.tri(3), 0.25)
    assert layer == GeneralAttention([[1, 0, 0], [1, 1, 0], [1, 1, 1]], 0.25) and hash(layer) == hash(
        pickle.loads(pickle.dumps(layer))
    )
    assert layer != GeneralAttention(np.tri(3), 0.25, skip=False) and "mask=((1.0, 0.0, 0.0)" in repr(layer)


@pytest.mark.parametrize("arguments, says", [
    (((1, 0), "half"), "c: expected a finite number, got 'half'"),
    (((1, 0), np.inf), "c: expected a finite number"),
    ((np.ones((2, 3)),), r"mask: expected shape \(N,\) or \(N, N\), one entry for each token or pair, got \(2, 3\)"),
    (([],), "mask: expected shape"),
    ((1.0,), "mask: expected shape"),
])  # fmt: skip
def test_what_is_no_mask_and_no_factor_is_named(arguments, says):
    with pytest.raises(ValueError, match=says):
        GeneralAttention(*arguments)


def test_a_mask_for_other_tokens_is_named():
    Z, weights, _ = layer_point("general")
    with pytest.raises(ValueError, match=f"mask: expected {N} tokens, as Z of shape .* has, got 3"):
        GeneralAttention([1, 1, 0]).forward(Z, *weights)


@pytest.mark.parametrize("name", ["general, some read", "general, causal without skip"])
def test_general_layers_are_stacked_like_any_other(name):
    """Two layers with weights of their own: gradient and Hessian-vector product of the loss by complex step."""
    layer, (Z, first, normal) = LAYERS[name], layer_point(name)
    weights, directions = [first, like_all(first, normal)], [like_all(first, normal), like_all(first, normal)]
    y = normal(B)

    def loss_and_gradients(weights):
        last, tapes = stack.forward_stack(layer, weights, Z)
        error = layer.readout(last) - y
        gradients = stack.zeros_for(weights, error.dtype)
        stack.backward_stack(layer, tapes, layer.readout_backward(2 * error / B, last), gradients)
        return (error * error).mean(), gradients

    def each(arrays):
        return [array for layers in arrays for array in layers]

    _, gradients = loss_and_gradients(weights)
    moved = [moved_by(w, v) for w, v in zip(weights, directions, strict=True)]
    value, moved_gradients = loss_and_gradients(moved)
    slopes = [(d * v).sum() for d, v in zip(each(gradients), each(directions), strict=True)]
    assert len(slopes) == 2 * (2 + has_skip(name)) and min(map(abs, slopes)) > 0
    assert abs(value.imag / 1e-30 - sum(slopes)) < 1e-12 * sum(map(abs, slopes))
    _, products = stack.StackLinearization(layer, weights, Z, y).along(np.zeros_like(Z), directions)
    for h, d in zip(each(products), each(moved_gradients), strict=True):
        assert relative(h, d.imag / 1e-30) < 1e-12


# ---------------------------------------------------------------- the state and the readout


def test_state_layer_is_the_token_layer():
    Z, (P, Q), _ = layer_point("linear")
    state, _ = gram.forward(gram.compress(Z), P, Q)
    tokens = gram.compress(attention.forward(Z, P, Q)[0])
    assert relative(state.G, tokens.G) < 1e-13
    assert relative(state.z, tokens.z) < 1e-13


def test_compress_by_hand_and_its_gradient():
    state = gram.compress(Z)
    assert state.G.tolist() == [[[10, 5], [5, 5]]] and state.z.tolist() == [[2, 0]] and state.n == 2
    X, _, normal = layer_point("linear")
    vX, dstate = normal(*X.shape), like(gram.compress(X), normal)
    moved = gram.compress(X + 1e-30j * vX)
    assert abs(dot(imag(moved), dstate) / 1e-30 - (vX * gram.compress_backward(dstate, X)).sum()) < 1e-12


@EVERY
def test_readout_is_minus_the_query_label_and_its_gradient_the_adjoint(name):
    layer = LAYERS[name]
    X, _, normal = layer_point(name)
    label = X.z[:, -1] if name == "state" else X[:, -1, -1]
    assert np.array_equal(layer.readout(X), -label)
    dprediction = normal(B)
    vX = like(X, normal)
    assert np.isclose((layer.readout(vX) * dprediction).sum(), dot(vX, layer.readout_backward(dprediction, X)), rtol=1e-14)


def moved_by(weights, vweights):
    return [weight + 1e-30j * v for weight, v in zip(weights, vweights, strict=True)]


def flat(X):
    return np.concatenate([X.G.ravel(), X.z.ravel()]) if isinstance(X, gram.State) else X.ravel()
