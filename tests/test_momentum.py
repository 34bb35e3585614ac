"""Momentum between layers and within attention: by hand, construction, both roads, gradients, the task, the claims."""

import json
from pathlib import Path

import numpy as np
import pytest
from points import relative

import linattn_np as la
from linattn_np.experiments.papers.momentum import causal_attention, claims, heavy_ball, layers, reweighting, scalars
from linattn_np.experiments.papers.momentum.copy_network import CopyNetwork
from linattn_np.experiments.papers.momentum.copy_task import CopyTask, train, unseen_loss

FIGURE = Path(__file__).parents[1] / "figures" / "momentum.json"
SIZES = [(3, 7, 2, 5), (5, 11, 3, 4), (2, 13, 7, 6)]  # B, n, d, layers


# ---------------------------------------------------------------- by hand


def test_three_layers_by_hand():
    """One example (1; 2), so C = 1 and b = 2, eta = beta = 1/2: w = 1, then 1 + 1/2 + 1/2, then 2 + 0 + 1/2; the query is 3."""
    Z = np.array([[[1.0, 2.0], [3.0, 0.0]]])
    for count, answer in ((1, 3.0), (2, 6.0), (3, 7.5)):
        assert la.papers.momentum.predict(la.papers.momentum.heavy_ball_params(1, 0.5, count), Z, 0.5).tolist() == [answer]
        w, _ = heavy_ball.forward(*layers.moments(Z), np.full(count, 0.5), np.full(count, 0.5))
        assert w.tolist() == [[answer / 3]]


def test_its_two_gradients_by_hand():
    """Two layers as above: w_2 = eta b + eta (b - eta b) + beta eta b, so dw/deta = 4 - 2 + 1 = 3 and dw/dbeta = eta b = 1."""
    w, tape = heavy_ball.forward(np.array([[[1.0]]]), np.array([[2.0]]), np.full(2, 0.5), np.full(2, 0.5))
    deta, dbeta = heavy_ball.backward(np.ones((1, 1)), tape)
    assert w.tolist() == [[2.0]] and deta.sum() == 3.0 and dbeta.tolist() == [0.0, 1.0]


def test_attention_by_hand():
    """phi(0) = 1. beta = 1/2, gamma = 2 weight a token by 2 at distance 0 and by 3 at distance 1: O = 2 and (3 + 2 * 3) / 2."""
    q, v = np.zeros((2, 1)), np.array([[1.0], [3.0]])
    for road in (la.papers.momentum.attention, la.papers.momentum.attention_recurrent):
        assert road(q, q, v, 0.5, 2.0).tolist() == [[2.0], [4.5]]


def test_the_feature_map_by_hand():
    x = np.array([-1.0, 0.0, 2.0])
    F = causal_attention.features(x)
    assert np.allclose(F, [np.exp(-1), 1, 3]) and np.allclose(causal_attention.slope(F), [np.exp(-1), 1, 1])


def test_the_adaptive_rule_by_hand():
    """C = 1, b = 1, eta = 1/4: g = 1, then 3/4; the ratio is 1/4, so beta = (1 - 1/2)^2 = 1/4 and w_2 = 1/4 + 3/16 + 1/16."""
    w, beta = heavy_ball.adaptive(np.array([[[1.0]]]), np.array([[1.0]]), 0.25, 2)
    assert beta.tolist() == [[0.0], [0.25]] and w.tolist() == [[0.5]]


# ---------------------------------------------------------------- the construction


@pytest.mark.parametrize("B, n, d, count", SIZES)
def test_the_stack_is_polyaks_heavy_ball_on_tokens_and_on_the_state(B, n, d, count):
    rng = np.random.default_rng(d)
    Z, _ = la.RegressionTask(n=n, d=d).sample(B, rng)
    eta, beta = rng.uniform(0.1, 0.5, count), rng.uniform(0, 0.9, count)
    w, before = np.zeros((B, d)), np.zeros((B, d))
    for l in range(count):  # Polyak's recursion on the examples, nothing of ours in it
        gradient = np.einsum("bn,bnd->bd", np.einsum("bnd,bd->bn", Z[:, :-1, :-1], w) - Z[:, :-1, -1], Z[:, :-1, :-1]) / n
        w, before = w - eta[l] * gradient + beta[l] * (w - before), w
    answer = np.einsum("bd,bd->b", w, Z[:, -1, :-1])
    params = la.papers.momentum.heavy_ball_params(d, eta, count)
    assert relative(la.papers.momentum.predict(params, Z, beta), answer) < 1e-12
    assert relative(la.papers.momentum.predict_on_the_state(params, Z, beta), answer) < 1e-12
    assert np.array_equal(la.papers.momentum.predict(params, Z, 0.0), la.predict(params, Z))


def test_generic_weights_on_the_state_too():
    rng = np.random.default_rng(1)
    Z, _ = la.RegressionTask(n=7, d=3).sample(5, rng)
    for k in (3, 4):
        params = 0.3 * rng.standard_normal((3, 2, 2, k, k))
        assert relative(layers.predict_on_the_state(params, Z, 0.7), layers.predict(params, Z, 0.7)) < 1e-12


def test_gradients_of_params_and_beta_by_complex_step():
    rng = np.random.default_rng(2)
    Z, y = la.RegressionTask(n=7, d=3).sample(5, rng)
    for k in (3, 4):
        params, beta = 0.3 * rng.standard_normal((3, 2, 2, k, k)), rng.uniform(0.2, 0.8, 3)
        v, vbeta = rng.standard_normal(params.shape), rng.standard_normal(3)
        value, dparams, dbeta = la.papers.momentum.loss_and_grad(params, Z, y, beta)
        assert value == pytest.approx(((la.papers.momentum.predict(params, Z, beta) - y) ** 2).mean(), rel=1e-14)
        for moved, slope in (((1j * v, 0 * vbeta), (dparams * v).sum()), ((0 * v, 1j * vbeta), (dbeta * vbeta).sum())):
            stepped = layers.loss_and_grad(params + 1e-30 * moved[0], Z, y, beta + 1e-30 * moved[1])[0]
            assert stepped.imag / 1e-30 == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize("T, D, H", [(2, 3, 1), (11, 5, 3), (29, 2, 2)])
@pytest.mark.parametrize("beta, gamma", [(0.0, 1.0), (0.1, 0.6), (0.9, 0.15)])
def test_recurrent_is_parallel(T, D, H, beta, gamma):
    q, k, v = np.random.default_rng(T).standard_normal((3, H, T, D))
    parallel = la.papers.momentum.attention(q, k, v, beta, gamma)
    assert relative(la.papers.momentum.attention_recurrent(q, k, v, beta, gamma), parallel) < 1e-12
    assert relative(la.papers.momentum.attention(q[0], k[0], v[0], beta, gamma), parallel[0]) < 1e-12


def test_the_loss_gradient_of_the_learned_numbers_is_the_stacks():
    """The few numbers of ``scalars``, through C and b, against the whole stack on tokens."""
    rng = np.random.default_rng(3)
    drawn = scalars.prompts(7, rng)
    Z = np.zeros((7, scalars.EXAMPLES + 1, 6))
    Z[:, :-1, :-1], Z[:, -1, :-1], Z[:, :-1, -1] = drawn.X, drawn.query, drawn.labels
    for kind, theta in (("descent", [0.7]), ("heavy ball", [0.7, 0.4]), ("steps", [0.2, 0.5, 0.9])):
        theta = np.array(theta)
        value, grad = scalars.loss_and_grad(kind, theta, 3, drawn)
        eta, beta = scalars.spread_out(kind, theta, 3)
        wanted, dparams, dbeta = layers.loss_and_grad(layers.heavy_ball_params(5, eta, 3), Z, drawn.y, beta)
        deta = -np.trace(dparams[:, 0, 1], axis1=1, axis2=2)
        assert value == pytest.approx(wanted, rel=1e-12) and relative(grad, scalars.gathered(kind, deta, dbeta)) < 1e-12


def test_the_rule_by_prompt_is_that_of_tokens_where_all_tokens_lie_along_one_line():
    """With one covariate each token sees the same ratio, so the released rule is the prompt's; with five it is not."""
    drawn = scalars.prompts(5, np.random.default_rng(4))
    one = drawn._replace(X=drawn.X[..., :1], query=drawn.query[:, :1], labels=drawn.X[..., 0] * 2.0)
    one = one._replace(C=one.X.mT @ one.X / 20, b=(one.X.mT @ one.labels[..., None])[..., 0] / 20)
    assert relative(scalars.tokens_adapted(one, 0.3, 5)[0], scalars.prompts_adapted(one, 0.3, 5)[0]) < 1e-12
    assert relative(scalars.tokens_adapted(drawn, 0.3, 5)[0], scalars.prompts_adapted(drawn, 0.3, 5)[0]) > 1e-3


def test_the_rate_of_a_mode():
    """Where the roots are complex the factor is sqrt(beta); the best beta for the smallest eigenvalue has 1 - sqrt(eta nu)."""
    eta, nu = 0.5, 0.08
    best = (1 - np.sqrt(eta * nu)) ** 2
    assert np.allclose(heavy_ball.rate(eta, best, [nu, 0.5, 1.9]), np.sqrt(best), atol=1e-6)
    assert heavy_ball.rate(eta, 0.0, nu) == pytest.approx(1 - eta * nu)
    assert min(heavy_ball.rate(eta, best + step, nu) for step in (-0.02, 0.02)) > np.sqrt(best)


# ---------------------------------------------------------------- reweighting, and what the released code does instead


def test_weights_grow_with_the_distance_to_the_far_gain():
    W, tape = reweighting.forward(np.array(0.9), np.array(0.15), 200)
    assert tape.a[0] == pytest.approx(0.15) and tape.a[-1] == pytest.approx(1.5) and (np.diff(tape.a) >= 0).all()
    assert np.array_equal(W == 0, np.tri(200) == 0)
    plain, _ = reweighting.forward(np.array(0.0), np.array(1.0), 7)
    assert np.array_equal(plain, np.tri(7))


def test_the_papers_numbers_are_a_factor_for_all_but_the_two_newest_tokens():
    a = reweighting.forward(np.array(0.1), np.array(0.6), 25)[1].a
    assert np.allclose(a[2:], 2 / 3, rtol=2e-3) and a[0] == pytest.approx(0.6) and a[1] == pytest.approx(0.66)


def test_the_released_parallel_weights_are_another_model():
    released, _ = reweighting.forward(np.array(0.9), np.array(0.15), 7, released=True)
    right, _ = reweighting.forward(np.array(0.9), np.array(0.15), 7)
    assert np.array_equal(released[-1], right[-1])  # the last reader is the end of the text
    assert (released[:-1] >= right[:-1]).all() and released[0, 0] > 2 * right[0, 0]


# ---------------------------------------------------------------- the copy task and its network


def test_texts_by_hand():
    symbols, targets, counts = CopyTask(2, 4).sample(50, np.random.default_rng(0))
    for text, asked, count in zip(symbols, targets, counts, strict=True):
        size = int(np.flatnonzero(text == 0)[1]) - 1  # two separators, the word between them
        assert 2 <= size <= 4 and np.array_equal(asked[:-1], text[1:]) and count.sum() == size
        assert np.array_equal(np.flatnonzero(count), np.arange(size + 1, 2 * size + 1))
        assert np.array_equal(asked[size + 1 : 2 * size + 1], text[1 : size + 1])
    symbols, targets, counts = CopyTask(lag=3).sample(3, np.random.default_rng(0))
    assert np.array_equal(targets[:, 3:], symbols[:, :-3]) and not counts[:, :3].any() and counts[:, 3:].all()
    assert symbols.shape == (3, 25) and symbols.min() >= 1


@pytest.mark.parametrize("kind", ["softmax", "linear"])
def test_the_network_is_causal(kind):
    model, rng = CopyNetwork(kind, 0.6, 0.6, layers=2), np.random.default_rng(5)
    w, symbols = model.split(model.init_params(rng)), rng.integers(11, size=(3, 13))
    other = symbols.copy()
    other[:, 7:] = rng.integers(11, size=(3, 6))
    assert np.array_equal(model.forward(w, symbols)[0][:, :7], model.forward(w, other)[0][:, :7])


def test_single_precision_stays_and_agrees_with_double():
    model, task, rng = CopyNetwork("linear", 0.9, 0.15), CopyTask(), np.random.default_rng(6)
    params, drawn = model.init_params(rng), task.sample(5, rng)
    double, single = (model.loss_and_grad(params.astype(kind), *drawn)[1] for kind in (np.float64, np.float32))
    assert single.dtype == np.float32 and np.abs(single - double).max() < 1e-4 * np.abs(double).max()


def test_training_lowers_the_loss_and_is_the_same_twice():
    found = [train(CopyNetwork("softmax"), CopyTask(3, 3), 60, seed) for seed in (0, 0, 1)]
    assert np.array_equal(found[0]["params"], found[1]["params"]) and not np.array_equal(found[0]["loss"], found[2]["loss"])
    assert found[0]["loss"][-10:].mean() < 0.9 * found[0]["loss"][:5].mean()
    assert unseen_loss(CopyNetwork("softmax"), found[0]["params"], CopyTask(3, 3)) == pytest.approx(
        found[0]["loss"][-10:].mean(), rel=0.15
    )


# ---------------------------------------------------------------- claims, and what does not fit


def ending(**each_seed):
    return {name: {"loss": {"each_seed": values}} for name, values in each_seed.items()}


def test_the_readers_of_the_claims_by_hand():
    copy = {
        "softmax": [1.0, 1.0], "linear": [2.0, 3.0], "paper": [2.1, 2.9], "gain 2/3": [2.0, 2.9], "gain 3/2": [1.9, 2.8],
        "beta .6": [1.8, 2.5], "beta .9": [1.5, 2.0],
    }  # fmt: skip
    numbers = {"copy": ending(**copy), "ablation": ending(**{"beta .9, gamma .6": [2.5]})}
    assert np.allclose(claims.less("copy", "gain 3/2", "beta .9", numbers)["each_seed"], [0.4, 0.8])
    assert np.allclose(claims.paper_gain_only(numbers)["each_seed"], [0.1, 0.0])
    assert np.allclose(claims.in_order(numbers)["each_seed"], [0.1, 0.2])
    assert np.allclose(claims.share_of_the_gap(numbers)["each_seed"], [0.5, 0.5])
    assert np.allclose(claims.behind_softmax(numbers)["each_seed"], [0.5, 1.0])
    assert np.allclose(claims.smaller_is_better(numbers)["each_seed"], [0.4])
    assert claims.of_every_seed(claims.paper_gain_only, numbers) == "single seeds 0.000 to 0.100"
    two = numbers["two"] = ending(
        **{"linear": [2.0, 3.0], "gain 3/2": [1.5, 2.5], "beta .6": [1.25, 2.75], "beta .9": [1.0, 3.5]}
    )
    two["gain 3/2"]["curve"], two["beta .9"]["curve"] = (
        {"each_seed": [[3, 2, 1.5, 1], [3, 2, 2.5, 1]]},
        {"each_seed": [[3, 1, 1, 1], [3, 1.5, 1, 1]]},
    )
    assert claims.in_how_many(numbers) == (
        "beta .6: 0 to its gain alone, lower in 1 of 2 seeds; 0.5 to linear, lower in 2; "
        "beta .9: -0.25 to its gain alone, lower in 1 of 2 seeds; 0.25 to linear, lower in 1; "
        "half way beta .9: 0.75 to its gain alone, lower in 2"
    )
    curve = lambda *rows: {"iterations": [2, 8], "each_seed": [list(row) for row in rows]}
    ball = {"loss": curve((1.0, 0.5)), "eta": curve((1.0, 1.0)), "beta": curve((0.2, 0.5))}
    scalars_found = {
        "descent": {"loss": curve((1.5, 2.0))}, "heavy ball": ball, "adaptive": {"loss": curve((1.2, 0.8))},
        "eigenvalues": {"smallest": 0.25},
    }  # fmt: skip
    assert claims.over_heavy_ball(8, scalars_found)["each_seed"] == [4.0]
    assert np.allclose(claims.growing_momentum(scalars_found)["each_seed"], [0.3])
    assert (
        claims.least_growth(scalars_found)
        == "least step from one depth to the next +0.3; it grows at every depth in 1 of 1 seeds"
    )
    assert np.allclose(claims.adaptive_share(scalars_found)["each_seed"], [0.8])
    assert np.allclose(claims.beside_the_optimum(scalars_found)["each_seed"], [2.0])


def test_what_must_come_out_does():
    """The acceptance lines, on the committed figure: the heavy ball by depth, and the copy task at equal gain, seed by seed."""
    numbers = json.loads(FIGURE.read_text())
    for depth, most in ((4, 0.75), (8, 0.4), (16, 0.1)):
        assert 1 / claims.over_heavy_ball(depth, numbers)["median"] <= most
    beta = np.array(numbers["heavy ball"]["beta"]["each_seed"])
    assert (np.diff(beta[:, :5]) > 0).all() and (beta[:, 5] > beta[:, 3]).all()  # from 12 to 16 layers it may stand still
    every = {name: claims.losses(numbers, "copy", name) for name in numbers["copy"]}
    assert len(every["linear"]) == len(claims.losses(numbers, "two", "beta .6")) == 5
    assert np.abs(every["paper"] - every["gain 2/3"]).max() < 0.02
    assert np.all(every["beta .9"] < every["beta .6"]) and np.all(every["beta .6"] < every["gain 3/2"])
    assert np.all(every["gain 3/2"] < every["linear"]) and np.all(every["beta .9"] < every["gain 3/2"] - 0.05)
    assert np.all(every["softmax"] < np.min([every[name] for name in every if name != "softmax"], axis=0) - 0.5)
    assert np.all(claims.losses(numbers, "lag", "beta .9") > claims.losses(numbers, "lag", "gain 3/2") + 0.15)
    assert numbers["iterations"] == {"copy": 400, "lag": 300, "two": 600}


@pytest.mark.parametrize("call, says", [
    (lambda: layers.heavy_ball_params(0, 0.5, 2), "d: expected an integer of at least 1"),
    (lambda: layers.heavy_ball_params(2, [0.5], 2), "eta: expected a number or one for each of 2 layers, got shape"),
    (lambda: layers.predict(np.zeros((2, 1, 2, 2, 2)), np.zeros((1, 3, 3)), [0.1]),
     "beta: expected a number or one for each of 2 layers"),
    (lambda: layers.predict(np.zeros((2, 1, 2, 4, 4)), np.zeros((1, 3, 3)), 0.1), "params: expected k = d = 2 or d.1 = 3"),
    (lambda: causal_attention.attention(np.zeros((3, 2)), np.zeros((4, 2)), np.zeros((3, 2)), 0.1, 1.0),
     "q, k, v: expected shapes"),
    (lambda: causal_attention.attention(*np.zeros((3, 3, 2)), 1.0, 1.0), "beta: expected"),
    (lambda: causal_attention.attention_recurrent(np.zeros(3), np.zeros(3), np.zeros(3), 0.5, 1.0), "q, k, v: expected shapes"),
    (lambda: CopyNetwork("relu"), "kind: expected one of 'softmax', 'linear'"),
    (lambda: CopyNetwork(width=30), "width: expected an even multiple of heads = 4, got 30"),
    (lambda: CopyNetwork().as_params(np.zeros(3)), "params: expected shape"),
])  # fmt: skip
def test_what_does_not_fit_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_heavy_ball_is_plain_descent_with_as_many_steps():
    """Its error is a polynomial with real roots (three-term recurrence); the steps 1/root make the same one, in any order."""
    drawn, (eta, beta, count) = scalars.prompts(11, np.random.default_rng(7)), (0.9, 0.6, 5)
    x = np.polynomial.Polynomial([0.0, 1.0])
    error = before = np.polynomial.Polynomial([1.0])
    for _ in range(count):
        error, before = error - eta * x * error + beta * (error - before), error
    steps = 1 / error.roots()
    assert np.isrealobj(steps) and len(np.unique(steps.round(6))) == count
    ball, plain = (
        heavy_ball.forward(drawn.C, drawn.b, *both)[0]
        for both in ((np.full(count, eta), np.full(count, beta)), (steps, np.zeros(count)))
    )
    assert relative(plain, ball) < 1e-10
