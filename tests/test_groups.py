"""Optimizers that see layers and blocks: by hand, to the bit, under rotations, on every kind of model."""

import numpy as np
import pytest
from third_model import Readout

import linattn_np as la
from linattn_np.models.composed import Composed
from linattn_np.models.model import groups_of
from linattn_np.models.tied import Diagonal, Looped, Scalar, StepSize, tied
from linattn_np.models.transformer import LinearTransformer
from linattn_np.optimizers import SGD, Adam, Grouping, groups_by_shape

TASK = la.RegressionTask(n=7, d=3)
SHARED = ("block", "layer", "global")


def walk(optimizer, x, gradients):
    """The last params and state along given gradients."""
    state = optimizer.init(x)
    for g in gradients:
        x, state = optimizer.update(x, g, state)
    return x, state


# ---------------------------------------------------------------- Adam


def test_one_number_for_a_group_by_hand():
    """Layer 0: P (3, 4), layer 1: P dead and Q 6 everywhere. Mean squares 25/2 over 2 live of 2 x 4 entries, 36 over 4."""
    x, g = np.zeros((2, 1, 2, 2, 2)), np.zeros((2, 1, 2, 2, 2))
    g[0, 0, 0, 0], g[1, 0, 1] = (3.0, -4.0), 6.0
    by = {kind: walk(Adam(1.0, 0.5, 0.75, 0.0, kind), x, [g])[0] for kind in ("layer", "global")}
    assert by["layer"][0, 0, 0, 0] == pytest.approx(np.array([-3.0, 4.0]) / np.sqrt(12.5), rel=1e-15)
    assert np.array_equal(by["layer"][1, 0, 1], -np.ones((2, 2)))
    mean = (9 + 16 + 4 * 36) / 6
    assert by["global"][1, 0, 1] == pytest.approx(np.full((2, 2), -6.0) / np.sqrt(mean), rel=1e-15)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(walk(Adam(1.0, 0.5, 0.75, 1e-8, "block"), x, [g])[0][1, 0, 0], np.zeros((2, 2)))  # the dead block
    # a second gradient, only in layer 1: v = 0.75 (0.25 36) + 0.25 4 over 1 - 0.75^2, m = 0.5 (0.5 6) + 0.5 2 over 0.75
    h = np.zeros_like(g)
    h[1, 0, 1] = 2.0
    end, state = walk(Adam(1.0, 0.5, 0.75, 0.0, "layer"), x, [g, h])
    assert state.v[1] == pytest.approx(np.full((1, 2, 2, 2), 7.75), rel=1e-15) and state.t == 2
    assert end[1, 0, 1] == pytest.approx(np.full((2, 2), -1 - (2.5 / 0.75) / np.sqrt(7.75 / 0.4375)), rel=1e-14)


@pytest.mark.parametrize("by", SHARED)
def test_a_group_of_one_entry_is_adam_to_the_bit(by):
    rng = np.random.default_rng(0)
    x, gradients = rng.standard_normal((1, 1, 2, 1, 1)), rng.standard_normal((9, 1, 1, 2, 1, 1))
    if by != "block":
        gradients[:, :, :, 0] = 0.0  # P is dead: Q is alone in its layer
    assert walk(Adam(0.1, second_moment=by), x, gradients)[0].tobytes() == walk(Adam(0.1), x, gradients)[0].tobytes()


def test_by_coordinate_is_adam_as_it_was_to_the_bit():
    rng = np.random.default_rng(1)
    x, gradients, lr, beta1, beta2, eps = rng.standard_normal(7), rng.standard_normal((20, 7)), 0.1, 0.9, 0.999, 1e-8
    at, m, v = x, np.zeros(7), np.zeros(7)
    for t, grad in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * grad
        v = beta2 * v + (1 - beta2) * grad * grad
        m_hat, v_hat = m / (1 - la.optimizers.power(beta1, t)), v / (1 - la.optimizers.power(beta2, t))
        at = at - lr * m_hat / (np.sqrt(v_hat) + eps)
    end, state = walk(Adam(lr, beta1, beta2, eps), x, gradients)
    assert end.tobytes() == at.tobytes() and type(state) is la.optimizers.Moments


def test_one_scalar_follows_every_rotation_one_for_each_layer_those_within_layers():
    rng = np.random.default_rng(2)
    shape = (2, 1, 2, 3, 3)
    x, gradients = rng.standard_normal(shape), rng.standard_normal((6, *shape))
    whole = np.linalg.qr(rng.standard_normal((36, 36)))[0]
    within = np.kron(np.eye(2), np.linalg.qr(rng.standard_normal((18, 18)))[0])
    turn = lambda R, a: (a.reshape(-1, 36) @ R.T).reshape(a.shape)
    for by, R, follows in [
        ("global", whole, True),
        ("layer", within, True),
        ("layer", whole, False),
        ("block", within, False),
        ("coordinate", within, False),
    ]:
        opt = Adam(0.1, 0.9, 0.99, second_moment=by)
        straight, turned = walk(opt, x, gradients)[0], walk(opt, turn(R, x), turn(R, gradients))[0]
        assert np.allclose(turned, turn(R, straight), rtol=0, atol=1e-12) == follows


def test_the_last_p_has_exactly_no_gradient_so_it_is_not_counted():
    rng = np.random.default_rng(3)
    for backend in ("numpy", "numba"):
        model = LinearTransformer(3, 3, 2, backend=backend)
        grad = model.loss_and_grad(model.init_params(rng, 0.3), *TASK.sample(11, rng))[1]
        assert not grad[-1, :, 0].any() and (np.delete(grad.reshape(3, 2, 2, 9), 0, 2)[-1] != 0).all() and (grad[:-1] != 0).all()


# ---------------------------------------------------------------- SGD with layer rates


def test_layer_rates_by_hand():
    x, g = np.zeros((2, 1, 2, 1, 1)), np.array([1.0, 2.0, 3.0, 4.0]).reshape(2, 1, 2, 1, 1)
    end, state = walk(SGD(0.5, 0.5, (1, 4)), x, [g, g])  # m = g, then 1.5 g
    assert end.ravel().tolist() == [-1.25, -2.5, -15.0, -20.0] and state.m.ravel().tolist() == [1.5, 3.0, 4.5, 6.0]


def test_equal_rates_and_no_rates_are_sgd_as_it_was():
    rng = np.random.default_rng(4)
    x, gradients = rng.standard_normal((3, 1, 2, 2, 2)), rng.standard_normal((9, 3, 1, 2, 2, 2))
    at, m = x, np.zeros_like(x)
    for g in gradients:
        m = 0.9 * m + g
        at = at - 0.1 * m
    assert walk(SGD(0.1, 0.9), x, gradients)[0].tobytes() == at.tobytes()
    assert walk(SGD(0.1, 0.9, (1.0,) * 3), x, gradients)[0].tobytes() == at.tobytes()


def test_later_fields_are_said_where_they_say_something():
    assert (
        repr(SGD(0.1)) == "SGD(lr=0.1, momentum=0.0)"
        and repr(SGD(0.1, 0.9, [1, 2])) == "SGD(lr=0.1, momentum=0.9, layer_rates=(1.0, 2.0))"
    )
    assert repr(Adam(0.1)) == "Adam(lr=0.1, beta1=0.9, beta2=0.999, eps=1e-08)"
    assert repr(Adam(0.1, second_moment="layer")).endswith("eps=1e-08, second_moment='layer')")
    assert SGD(0.1, 0.9, [1, 2]) == SGD(0.1, 0.9, np.array([1.0, 2.0])) != SGD(0.1, 0.9) and hash(SGD(0.1, 0.9, [1, 2]))


# ---------------------------------------------------------------- groups of every model


def test_groups_of_every_model():
    of = lambda model, by: groups_of(model, model.init_params(np.random.default_rng(0), 0.1), Grouping("second_moment", by))
    linear = LinearTransformer(3, 3, 2)
    assert of(linear, "block").reshape(12, 9).tolist() == [[k] * 9 for k in range(12)]
    assert of(linear, "layer").reshape(3, 36).tolist() == [[l] * 36 for l in range(3)]
    composed = Composed(3, 4, 2, 2)  # W1 4 x 3, b1 4, W2 3 x 4, b2 3, then 2 x 2 x 2 matrices of 16
    sizes = [12, 4, 12, 3, *[16] * 8]
    assert of(composed, "block").tolist() == np.repeat(np.arange(12), sizes).tolist()
    assert of(composed, "layer").tolist() == [0] * 16 + [1] * 15 + [2] * 64 + [3] * 64
    assert (
        of(tied(linear, Diagonal()), "layer").tolist()
        == np.broadcast_to(np.arange(3)[:, None, None, None], (3, 2, 2, 3)).tolist()
    )
    assert of(tied(linear, Scalar()), "block").ravel().tolist() == list(range(12))
    assert of(tied(linear, StepSize()), "layer").tolist() == [[0, 0], [1, 1], [2, 2]]
    assert not of(tied(linear, Looped()), "layer").any()  # one number reaches every layer: one group
    assert of(tied(linear, Looped((0, 1, 1))), "layer").reshape(2, 36).tolist() == [[0] * 36, [1] * 36]
    assert not of(Readout(3, 7), "global").any()


@pytest.mark.parametrize("optimizer", [*(Adam(0.02, second_moment=by) for by in SHARED), SGD(0.01, 0.9, (1, 2, 3, 4))], ids=repr)
def test_a_model_with_flat_params_trains_by_its_own_groups(optimizer):
    model = Composed(3, 4, 2)
    history = la.train(TASK, optimizer, 3, 5, model=model, progress=False)
    groups = groups_of(model, history.params, optimizer.grouping)
    x, state = history.snapshots[0], optimizer.init(history.snapshots[0], groups)
    step = optimizer.update(x, np.ones_like(x), state)[0] - x
    assert len(np.unique(step.round(12))) == (1 if isinstance(optimizer, Adam) else 4) and history.diverged_at is None


@pytest.mark.parametrize(
    "optimizer, argument, by",
    [(Adam(0.1, second_moment="layer"), "second_moment", "layer"), (Adam(0.1, second_moment="block"), "second_moment", "block"),
     (SGD(0.1, 0.9, (1, 2)), "layer_rates", "layer")],
)  # fmt: skip
@pytest.mark.parametrize("schedule", [None, "linear"])
def test_a_model_without_layers_is_named(optimizer, argument, by, schedule):
    said = (
        rf"^{argument}: expected params of shape \(layers, heads, 2, k, k\), or a model with a method groups, for one number for "
        rf"each {by}, "
    )
    with pytest.raises(ValueError, match=said + r"got params of shape \(7, 7\) of Readout\(d=3, hidden=7\)"):
        la.train(TASK, optimizer, 2, 5, model=Readout(3, 7), schedule=schedule)
    with pytest.raises(ValueError, match=said + r"got params of shape \(5,\)$"):
        optimizer.init(np.zeros(5))
    assert la.train(TASK, Adam(0.1, second_moment="global"), 2, 5, model=Readout(3, 7), schedule=schedule).diverged_at is None


def test_groups_that_are_none_and_rates_of_another_number_are_refused():
    class Wrong(Readout):
        def groups(self, by):
            return np.zeros(49, int)

    with pytest.raises(
        ValueError, match=r"groups: expected integers of at least 0 of the shape of params, \(7, 7\), from .*Wrong"
    ):
        la.train(TASK, Adam(0.1, second_moment="layer"), 2, 5, model=Wrong(3, 7))
    with pytest.raises(ValueError, match="layer_rates: expected 3 numbers, one for each layer, got 2"):
        la.train(TASK, SGD(0.1, 0.9, (1, 2)), 2, 5)
    for shape in ((3, 1, 2, 2, 3), (3, 1, 1, 2, 2), (3, 2, 2, 2)):
        with pytest.raises(ValueError, match="layer_rates: expected params of shape"):
            groups_by_shape(shape, Grouping("layer_rates", "layer"))
