"""The optimizers: three steps with scalars on paper, invariants, and clipping."""

import copy
import inspect
import pickle

import numpy as np
import pytest

from linattn_np import optimizers
from linattn_np.optimizers import clip, global_norm
from linattn_np.prompts import RegressionTask
from linattn_np.training.runs import Run

GRADIENTS = [2.0, -1.0, 4.0]
EVERY = [
    optimizers.SGD(0.1), optimizers.SGD(0.1, momentum=0.5), optimizers.SignDescent(0.1, momentum=0.5),
    optimizers.NormalizedGD(0.1, momentum=0.5), optimizers.Adagrad(0.1), optimizers.RMSProp(0.1, alpha=0.75),
    optimizers.Adam(0.1, beta1=0.5, beta2=0.75), optimizers.AdamW(0.1, beta1=0.5, beta2=0.75, weight_decay=0.5),
]  # fmt: skip


def path(optimizer, start=1.0, gradients=GRADIENTS):
    """The places after each update of one scalar parameter."""
    x, state, places = np.array([start]), None, []
    state = optimizer.init(x)
    for g in gradients:
        x, state = optimizer.update(x, np.array([g]), state)
        places.append(x[0])
    return places


def test_sgd_by_hand():
    assert path(optimizers.SGD(0.1)) == pytest.approx([0.8, 0.9, 0.5])
    # m: 2, then 0.5 * 2 - 1 = 0, then 4
    assert path(optimizers.SGD(0.1, momentum=0.5)) == pytest.approx([0.8, 0.8, 0.4])


def test_sign_descent_and_normalized_descent_by_hand():
    assert path(optimizers.SignDescent(0.1, momentum=0.5)) == pytest.approx([0.9, 0.9, 0.8])  # sign(0) = 0
    x, state = optimizers.NormalizedGD(0.5).update(
        np.array([1.0, 2.0]), np.array([3.0, -4.0]), optimizers.NormalizedGD(0.5).init(np.zeros(2))
    )
    assert x == pytest.approx([1 - 0.5 * 0.6, 2 + 0.5 * 0.8])
    still, _ = optimizers.NormalizedGD(0.5).update(x, np.zeros(2), optimizers.NormalizedGD(0.5).init(x))
    assert np.array_equal(still, x)


def test_adagrad_and_rmsprop_by_hand():
    # v: 4, 5, 21
    wanted = np.cumsum([-0.1 * 2 / 2, 0.1 / 5**0.5, -0.1 * 4 / 21**0.5]) + 1
    assert path(optimizers.Adagrad(0.1, eps=0.0)) == pytest.approx(list(wanted))
    # v: 0.25 * 4 = 1, then 0.75 + 0.25 = 1, then 0.75 + 4 = 4.75
    wanted = np.cumsum([-0.1 * 2 / 1, 0.1 / 1, -0.1 * 4 / 4.75**0.5]) + 1
    assert path(optimizers.RMSProp(0.1, alpha=0.75, eps=0.0)) == pytest.approx(list(wanted))


def test_adam_by_hand():
    # m: 1, 0, 2; over 1 - 0.5^t = 0.5, 0.75, 0.875.  v: 1, 1, 4.75; over 1 - 0.75^t = 0.25, 0.4375, 0.578125
    steps = [1 / 0.5 / (1 / 0.25) ** 0.5, 0.0, 2 / 0.875 / (4.75 / 0.578125) ** 0.5]
    wanted = list(1 - 0.1 * np.cumsum(steps))
    assert path(optimizers.Adam(0.1, beta1=0.5, beta2=0.75, eps=0.0)) == pytest.approx(wanted)


def test_adams_first_step_is_a_sign_step_and_eps_stands_outside_the_root():
    assert path(optimizers.Adam(0.1, eps=0.0), gradients=[1e-9]) == pytest.approx([0.9])
    assert path(optimizers.Adam(0.1, eps=1.0), gradients=[3.0]) == pytest.approx([1 - 0.1 * 3 / (3 + 1)])


def test_adamw_decays_beside_the_preconditioner():
    plain = path(optimizers.Adam(0.1, 0.5, 0.75), gradients=[2.0])[0]
    assert path(optimizers.AdamW(0.1, 0.5, 0.75, weight_decay=0.5), gradients=[2.0])[0] == pytest.approx(plain - 0.1 * 0.5 * 1.0)
    assert path(optimizers.AdamW(0.1, weight_decay=0.0)) == path(optimizers.Adam(0.1))


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_update_is_pure_and_repeatable(optimizer):
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 3, 5)), rng.standard_normal((2, 3, 5))
    _, state = optimizer.update(x, g, optimizer.init(x))
    before = [x.copy(), g.copy(), *(np.copy(part) for part in state)]
    first, second = optimizer.update(x, g, state), optimizer.update(x, g, state)
    assert np.array_equal(first[0], second[0])
    assert all(np.array_equal(a, b) for a, b in zip(before, [x, g, *state], strict=True))
    assert not np.array_equal(first[0], x)


@pytest.mark.parametrize("optimizer", EVERY, ids=repr)
def test_who_follows_a_rotation_of_the_parameters(optimizer):
    rng = np.random.default_rng(1)
    R, x = np.linalg.qr(rng.standard_normal((5, 5)))[0], rng.standard_normal(5)
    turned, state, turned_state = R @ x, optimizer.init(x), optimizer.init(x)
    for g in rng.standard_normal((3, 5)):
        x, state = optimizer.update(x, g, state)
        turned, turned_state = optimizer.update(turned, R @ g, turned_state)
    follows = isinstance(optimizer, optimizers.SGD | optimizers.NormalizedGD)
    assert np.allclose(turned, R @ x, rtol=1e-12) == follows


@pytest.mark.parametrize("optimizer", [o for o in EVERY if not isinstance(o, optimizers.SGD)], ids=repr)
def test_all_but_sgd_ignore_the_scale_of_the_gradient(optimizer):
    small = type(optimizer)(**{**vars(optimizer), "eps": 0.0} if "eps" in vars(optimizer) else vars(optimizer))
    assert path(small, gradients=[1000 * g for g in GRADIENTS]) == pytest.approx(path(small))


def test_clipping_by_hand():
    g = np.array([[[3.0, 0.0], [0.0, 0.0]], [[0.0, 4.0], [0.0, 0.0]]])  # blocks of norm 3 and 4, norm 5 together
    assert optimizers.clip(g, 1.0).sum() == pytest.approx(7 / 5)
    assert optimizers.clip(g, 3.5, "block").sum() == pytest.approx(3 + 3.5)
    assert optimizers.clip(-g, 2.0, "coordinate").sum() == pytest.approx(-4)
    for by in optimizers.CLIPPINGS:
        assert np.array_equal(optimizers.clip(g, 5.0, by), g) and np.array_equal(optimizers.clip(g, None, by), g)
        assert np.array_equal(optimizers.clip(0 * g, 1.0, by), 0 * g)


def test_norms_whose_squares_overflow():
    g = np.array([[[3e200, 0.0], [0.0, 0.0]], [[0.0, 4e200], [0.0, 0.0]]])
    assert optimizers.global_norm(g) == pytest.approx(5e200) and optimizers.global_norm(g[:1]) == 3e200
    assert optimizers.clip(g, 1.0).sum() == pytest.approx(7 / 5)
    g[1] *= 1e-199  # one block overflows, the other does not
    assert optimizers.clip(g, 3.5, "block")[0].sum() == pytest.approx(3.5) and optimizers.clip(g, 35.0, "block")[1].sum() == 35.0
    g[0, 0, 0] = np.inf
    assert not np.isfinite(optimizers.global_norm(g))


@pytest.mark.parametrize(
    "kind, wrong, said",
    [
        (optimizers.Adam, {"betas": (0.9, 0.999)}, "Adam: .*got betas: it is beta1 and beta2"),
        (optimizers.AdamW, {"learning_rate": 0.1}, "AdamW: .*weight_decay, got learning_rate: it is lr here"),
        (optimizers.SGD, {"mu": 0.9}, "SGD: expected arguments among lr, momentum, layer_rates, got mu: it is momentum here"),
        (optimizers.SGD, {"betas": (0.9, 0.9)}, "got betas$"),  # SGD has none: the name alone
        (optimizers.RMSProp, {"rho": 0.9}, "got rho: it is alpha here"),
    ],
)
def test_an_argument_of_another_library_is_answered_with_its_name_here(kind, wrong, said):
    with pytest.raises(TypeError, match=said):
        kind(0.02, **wrong) if "learning_rate" not in wrong else kind(**wrong)


def test_a_constructor_still_shows_its_arguments():
    parameters = inspect.signature(optimizers.Adam).parameters
    assert list(parameters) == ["lr", "beta1", "beta2", "eps", "second_moment"] and parameters["beta2"].default == 0.999
    with pytest.raises(TypeError, match="lr"):
        optimizers.Adam()


@pytest.mark.parametrize("kind", optimizers.KINDS.values(), ids=lambda kind: kind.__name__)
def test_one_is_the_same_rate_however_it_is_written(kind):
    whole, real, scalar = kind(1), kind(1.0), kind(np.int64(1))
    assert whole == real == scalar and repr(whole) == repr(real) == repr(scalar)
    assert all(
        type(value) is float for name, value in vars(whole).items() if name not in ("second_moment", "layer_rates", "every")
    )
    files = {Run(RegressionTask(), optimizer).file_name() for optimizer in (whole, real, scalar)}
    assert len(files) == 1
    assert pickle.loads(pickle.dumps(whole)) == copy.deepcopy(whole) == whole


def test_a_norm_that_is_known_is_not_computed_again():
    grad = np.random.default_rng(3).standard_normal((2, 3))
    norm = global_norm(grad)
    for threshold in (0.5 * norm, 2 * norm):
        assert np.array_equal(clip(grad, threshold, norm=norm), clip(grad, threshold))
    assert np.isnan(clip(grad * np.nan, 1.0, norm=np.nan)).all()
    assert global_norm(clip(grad, 1.0, norm=2 * norm)) == pytest.approx(0.5)  # it is believed


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 64, 1000, 10_007])
def test_powers_are_made_of_products(exponent):
    assert optimizers.power(0.999, exponent) == pytest.approx(0.999**exponent, rel=1e-13)
    assert optimizers.power(0.0, exponent) == (exponent == 0)
