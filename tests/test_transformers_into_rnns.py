"""The language model of transformers_into_rnns: by hand, against autodiff, read symbol by symbol, trained, and its claims'
readers.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from points import relative
from shapes import Recorder, claims, complaints

import linattn_np as la
from linattn_np.experiments.papers import transformers_into_rnns as t2r
from linattn_np.experiments.papers.transformers_into_rnns import (
    causal_attention,
    embedding,
    feature_weights,
    language_model,
    maps,
    recurrent,
    runs,
    text,
    training,
)
from linattn_np.experiments.papers.transformers_into_rnns import claims as paper_claims
from linattn_np.experiments.papers.transformers_into_rnns.language_model import LanguageModel

KINDS = ("softmax", "elu", 3, 32)
FOLDER = Path(t2r.__file__).parent
FIGURE = Path(__file__).parents[1] / "figures" / "transformers_into_rnns.json"


# ---------------------------------------------------------------- by hand, with small integers


def test_weights_through_features_by_hand():
    """Two symbols, one head of one number, two features: phi(x) = max((x, -x) + (1, 0), 0)."""
    q, k = np.array([2.0, -1.0]).reshape(1, 1, 2, 1), np.array([1.0, 3.0]).reshape(1, 1, 2, 1)
    W, b = np.array([[[1.0], [-1.0]]]), np.array([[1.0, 0.0]])
    p, tape = feature_weights.forward(q, k, W, b)
    # phi(2) = (3, 0), phi(-1) = (0, 1), phi(1) = (2, 0), phi(3) = (4, 0): s = 6 | 0 0, the second row's sum is below the floor
    assert tape.F[0, 0].tolist() == [[3, 0], [0, 1]] and tape.G[0, 0].tolist() == [[2, 0], [4, 0]]
    assert p[0, 0].tolist() == [[1, 0], [0, 0]]
    q[0, 0, 1] = 0.0  # phi(0) = (1, 0): s = 2 4 of 6
    p, tape = feature_weights.forward(q, k, W, b)
    assert p[0, 0].tolist() == [[1, 0], [1 / 3, 2 / 3]]
    dp = np.array([[0.0, 0.0], [9.0, 3.0]]).reshape(1, 1, 2, 2)  # mean 5: ds = (9 - 5, 3 - 5) / 6
    dq, dk, dW, db = feature_weights.backward(dp, tape)
    assert np.allclose(dk[0, 0, :, 0], [4 / 6, -2 / 6]) and dq[0, 0, 1, 0] == pytest.approx(4 / 6 * 2 - 2 / 6 * 4)
    # W: query 0 times dF = 0 , keys 1 and 3 times 4/6 and -2/6; b: dF = 0, then both dG
    assert dW[0, :, 0] == pytest.approx([0 * 0 + 1 * 4 / 6 - 3 * 2 / 6, 0]) and db[0] == pytest.approx([2 / 6, 0])


def test_embedding_by_hand():
    """The text 1 1 0: row 1 of C is read twice, row 2 (none before) of D once."""
    symbols, dX = np.array([[1, 1, 0]]), np.array([[[1.0], [10.0], [100.0]]])
    X, tape = embedding.forward(symbols, np.array([[1.0], [2.0]]), np.array([[10.0], [20.0], [30.0]]))
    assert np.allclose(X[0, :, 0], [32, 22 + np.sin(1), 21 + np.sin(2)])
    dC, dD = embedding.backward(dX, tape)
    assert dC.ravel().tolist() == [100, 11] and dD.ravel().tolist() == [0, 110, 1]


def test_one_step_of_the_state_by_hand():
    """(24.7) with one head of one number: S and z are sums, the answer their quotient."""
    net = LanguageModel(1, symbols=2, width=1, heads=1, hidden=1)
    w = {name: np.ones(shape) for name, shape in net.shapes.items()} | {"b": np.zeros((1, 1)), "Wv": np.array([[10.0]])}
    state = recurrent.State(net, w)
    assert state.read(np.array([2.0])) == [20.0]  # phi(2) = 2: S = 2 * 20, z = 2, read by 2: 80 / 4
    assert state.read(np.array([1.0])) == [(40 + 10) / 3] and (state.S.item(), state.z.item()) == (50, 3)
    assert state.read(np.array([-4.0])) == [0.0] and state.numbers == 2  # phi(-4) = 0: nothing is added, nothing found


# ---------------------------------------------------------------- against autodiff


@pytest.mark.parametrize("kind, features", [("learned", 5), ("elu", "elu"), ("softmax", "softmax")])
def test_logits_loss_and_gradient_agree_with_autodiff(kind, features):
    """The arrays were computed by PyTorch 2.13.0 in double precision, from a model written with its own functions alone
    (``embedding``, ``layer_norm``, ``scaled_dot_product_attention``, ``elu``, ``relu``, ``cross_entropy``) at random weights."""
    with np.load(Path(__file__).parent / "data" / "language_model.npz") as data:
        params, gradient, symbols, weights, logits, loss = (
            data[f"{kind}.{name}"] for name in ("params", "gradient", "symbols", "weights", "logits", "loss")
        )
    model = LanguageModel(features, symbols=5, width=6, heads=2, hidden=7)
    found, _ = model.forward(model.split(params), symbols[:, :-1])
    value, grad = model.loss_and_grad(params, symbols, weights)
    assert relative(found, logits) < 1e-10 and abs(value - loss) < 1e-10 * loss and relative(grad, gradient) < 1e-10
    assert abs(model.loss(params, symbols, weights) - loss) < 1e-10 * loss


# ---------------------------------------------------------------- every line is probed


@pytest.mark.parametrize("features", [5, "elu", "softmax"])
def test_every_line_that_the_forward_names_is_probed(features):
    report = language_model.audited(features)
    probed = {row.quantity for row in report.rows if row.check == "probe" and row.verdict == "ok"}
    model, params, symbols, weights, _ = language_model._point(features)
    names = []
    model.loss(params, symbols, weights, lambda name, value: names.append(name) or value)
    wanted = {".".join([*name.split(".")[:-1], f"d{name.split('.')[-1]}"]) for name in names}
    given = {"4.dC"} | {f"{k}.d{name}" for k in (1, 3, 4, 5) for name in ("X", "gain", "bias", "W1", "b1", "W2", "b2")}
    assert report.ok and wanted - probed <= given and len(probed) > 40, wanted - probed - given


def test_the_gradient_of_a_batch_is_the_mean_of_its_texts():
    model = LanguageModel(3, symbols=5, width=4, heads=2, hidden=3)
    rng = np.random.default_rng(0)
    params, symbols = model.init_params(rng), rng.integers(5, size=(4, 7))
    alone = [model.loss_and_grad(params, symbols[i : i + 1]) for i in range(4)]
    value, grad = model.loss_and_grad(params, symbols)
    assert (
        value == pytest.approx(np.mean([v for v, _ in alone])) and relative(np.mean([g for _, g in alone], axis=0), grad) < 1e-12
    )


# ---------------------------------------------------------------- the recurrence


@pytest.mark.parametrize("features", KINDS)
def test_reading_symbol_by_symbol_gives_the_same_logits(features):
    model = la.papers.transformers_into_rnns.model(7, features)
    tokens = np.random.default_rng(1).integers(16, size=151)
    parallel, alone = t2r.generate_parallel(model, tokens), t2r.generate_recurrent(model, tokens)
    assert parallel.shape == alone.shape == (151, 16) and np.abs(parallel - alone).max() < 1e-10
    assert np.abs(t2r.generate_parallel(model, tokens[:9]) - parallel[:9]).max() < 1e-12  # nothing reads the future
    assert np.ptp(parallel, axis=0).min() > 1e-3


@pytest.mark.parametrize("features", KINDS)
def test_reading_at_once_leaves_the_same_memory(features):
    model = t2r.model(3, features)
    tokens = np.random.default_rng(2).integers(16, size=150)
    one, all_at_once = t2r.Reader(model), t2r.Reader(model)
    for symbol in tokens:
        one.read(int(symbol))
    all_at_once.read_all(tokens[:70])
    all_at_once.read_all(tokens[70:])
    assert one.memory.numbers == all_at_once.memory.numbers
    assert np.abs(one.read(5) - all_at_once.read(5)).max() < 1e-10


def test_the_state_does_not_grow_and_the_cache_does():
    for features, numbers in ((32, 2 * 32 * 17), (8, 2 * 8 * 17), ("elu", 2 * 16 * 17)):
        found = runs.reading(features, (3, 100), 1)
        assert found["numbers"].tolist() == [numbers, numbers] and (found["seconds"] > 0).all()
    assert runs.reading("softmax", (3, 100), 1)["numbers"].tolist() == [3 * 2 * 32, 100 * 2 * 32]


def test_a_model_writes_what_its_probabilities_say():
    net, params = t2r.model(0, 4)
    rng = np.random.default_rng(0)
    written = t2r.generate(t2r.Model(net, params), [1, 2, 3], 400, rng)
    assert written.shape == (400,) and set(written.tolist()) <= set(range(16))
    w = {name: array.copy() for name, array in net.split(params).items()}
    w["U"][:], w["gain3"][:], w["bias3"][:] = 0, 0, 1
    w["U"][11] = 3.0  # logit 96 for 11 whatever was read, 0 for all others
    sure = t2r.Model(net, np.concatenate([array.ravel() for array in w.values()]))
    assert t2r.generate(sure, [1], 9, rng).tolist() == [11] * 9


# ---------------------------------------------------------------- text and training


def test_a_text_follows_its_permutation():
    found = text.texts(np.random.default_rng(0), 500, sure=1.0)
    for row in found[:20]:
        after = {}
        assert all(after.setdefault(a, b) == b for a, b in zip(row[:-1].tolist(), row[1:].tolist(), strict=True))
    noisy = text.texts(np.random.default_rng(1), 400, length=401)
    hits = [max(np.mean(row[1:][row[:-1] == a] == b) for b in range(16)) for row in noisy for a in [int(row[0])]]
    assert np.mean(hits) == pytest.approx(0.8 + 0.2 / 16, abs=0.02)
    assert np.bincount(noisy.ravel(), minlength=16).min() > 0.9 * noisy.size / 16


def test_the_floor_by_hand():
    assert text.floor(16, 0.0) == pytest.approx(16) and text.floor(16, 1.0) == 1.0
    assert text.floor(2, 0.5) == pytest.approx((3 / 4) ** (-3 / 4) * (1 / 4) ** (-1 / 4)) and text.floor() == pytest.approx(
        2.69, abs=5e-3
    )


def test_a_counting_reader_by_hand():
    """Two symbols, half sure: a pair is 3 times as likely under the right successor. 0 1 0 1: after 0, one 1 seen; after 1, one 0
    seen.
    """
    after_one = 0.5 * 3 / 4 + 1 / 4  # the second half: from the second to the third, nothing of 1 seen, then one pair of 0 seen
    wanted = np.exp(-(np.log(1 / 2) + np.log(after_one)) / 2)
    assert text.counting_reader(np.array([[0, 1, 0, 1]]), 2, 0.5) == pytest.approx(wanted)
    known = text.counting_reader(text.texts(np.random.default_rng(0), 300))
    assert text.floor() < known == pytest.approx(3.5, abs=0.15)


def test_perplexity_counts_the_second_half_alone():
    model = LanguageModel(4)
    params, symbols = model.init_params(np.random.default_rng(0)), text.texts(np.random.default_rng(1), 70)
    logits = model.forward(model.split(params), symbols[:, :-1])[0][:, 31:]
    log_shares = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    losses = -np.take_along_axis(log_shares, symbols[:, 32:, None], axis=-1)
    assert training.perplexity(model, params, symbols) == pytest.approx(np.exp(losses.mean()))


def test_a_swap_keeps_what_both_models_have():
    model = LanguageModel("softmax")
    params = model.init_params(np.random.default_rng(0))
    other, start = model.swapped(params, 8, np.random.default_rng(1))
    own, found = model.split(params), other.split(start)
    assert other == LanguageModel(8) and all((found[name] == own[name]).all() for name in own) and start.size == other.size
    third, again = other.swapped(start, 4, np.random.default_rng(2))
    assert third.split(again)["W"].shape == (2, 4, 16) and (third.split(again)["U"] == own["U"]).all()
    back, same = third.swapped(again, "softmax", np.random.default_rng(3))
    assert back == model and (same == params).all()


def test_training_is_adam_with_a_cosine_and_trains_what_it_is_told():
    model = LanguageModel(4, symbols=5, width=4, heads=2, hidden=3)
    start = model.init_params(np.random.default_rng(0))
    seen = lambda params: float(params[0])
    params, found = training.train(model, start, 3, 0.01, np.random.default_rng(1), 2, (0, 3), seen)
    rng, x = np.random.default_rng(1), start.astype(np.float32)
    state = la.optimizers.Adam(0.01, 0.9, 0.99).init(x)
    for rate in (0.01, 0.0075, 0.0025):  # 0.01 times 1, 3/4, 1/4
        grad = la.optimizers.clip(model.loss_and_grad(x, text.texts(rng, 2, 5))[1], 1.0)
        x, state = la.optimizers.Adam(rate, 0.9, 0.99).update(x, grad, state)
    assert (
        relative(params, x) < 1e-6
        and params.dtype == np.float32
        and found.tolist() == [seen(start.astype(np.float32)), seen(params)]
    )
    only, _ = training.train(model, start, 2, 0.01, np.random.default_rng(1), 2, only=("W", "b"))
    old, new = model.split(start.astype(np.float32)), model.split(only)
    assert {name for name in old if (old[name] != new[name]).any()} == {"W", "b"}


def test_controls_draw_anew_what_they_say():
    plan = runs.Plan(2, 0, 2, 3)
    model, params, _ = runs.pretrain(0, plan)
    for name, (anew, only) in runs.CONTROLS.items():
        other, start, _ = runs.finetune(model, params, 32, 0, plan, anew, only)
        own, found = model.split(params), other.split(start)
        kept = {key for key in own if (own[key] == found[key]).all()}
        wanted = {"queries and keys drawn anew": set(own) - {"Wq", "Wk"}, "all but queries and keys drawn anew": {"Wq", "Wk"},
                  "everything drawn anew": set(), "the map alone trained": set(own)}  # fmt: skip
        assert kept == wanted[name] and only == (("W", "b") if name == "the map alone trained" else ())


# ---------------------------------------------------------------- what claims read


def test_claims_read_their_numbers():
    curve = lambda times, *rows: {"iterations": list(times), "each_seed": [list(row) for row in rows]}
    numbers = {
        "plan": {"early": 100, "finetuned": 300}, "pretraining": curve([0, 1000], [16, 3.6], [16, 3.9]),
        "converted": {"32": curve([0, 100, 300], [12, 3.8, 3.0], [14, 3.7, 3.0]),
                      "elu": curve([0, 100, 300], [18, 7.6, 6.0], [18, 7.4, 3.0]),
                      "8": curve([0, 100, 300], [15, 5, 4.5], [15, 5, 6.0]), "softmax": curve([0, 300], [3.6, 3.3], [3.9, 3.3])},
        "scratch": {"32": curve([0, 500, 600, 1300], [16, 3.9, 3.8, 3.3], [16, 4, 4, 3.9]),
                    "elu": curve([0, 1300], [16, 3.3], [16, 3.9])},
        "reading": {"32": {"seconds": [2.0, 3.0]}, "softmax": {"seconds": [2.0, 8.0]}},
    }  # fmt: skip
    read = {claim.id.removeprefix("rnns."): claim.values(numbers)["each_seed"] for claim in paper_claims.CLAIMS}
    wanted = {
        "swap_alone": [12, 14], "keeps_quality": [1.2, 1.3], "cheaper_than_scratch": [6, 13], "equal_budget": [1.1, 1.3],
        "learned_map_early": [2, 2], "learned_map_late": [2, 1], "feature_size": [1.5, 2], "constant_time": [1.5],
        "softmax_grows": [4],
    }  # fmt: skip
    assert read.keys() == wanted.keys() and all(read[key] == pytest.approx(wanted[key]) for key in wanted)
    asides = [claim.aside(numbers) for claim in paper_claims.CLAIMS if claim.aside]
    assert [words.split()[-1] for words in asides] == ["1.100", "1.000"]


def test_what_the_figure_shows_in_every_seed():
    """What was asked of every seed beforehand and is met; the two lines on elu + 1 are claims, in direction only."""
    numbers = json.loads(FIGURE.read_text())
    assert (
        numbers["scale"]["name"] == "paper" and numbers["plan"]["early"] == 100 and len(numbers["pretraining"]["each_seed"]) == 5
    )
    assert min(paper_claims.at_the_swap(numbers)["each_seed"]) > 10
    assert max(paper_claims.early(numbers, "32")) <= 3.9
    for read, least in (
        (paper_claims.kept_quality, 1.0),
        (paper_claims.cheaper, 4.0),
        (paper_claims.equal_budget, 1.0),
        (paper_claims.fewer, 1.2),
    ):
        assert min(read(numbers)["each_seed"]) >= least, read.__name__
    kept = {features: found["numbers"] for features, found in numbers["reading"].items()}
    assert set(kept["32"]) == {2 * (32 * 16 + 32)}  # two heads, k e + k numbers each
    assert [n / T for n, T in zip(kept["softmax"], numbers["plan"]["lengths"], strict=True)] == [2 * 2 * 16] * len(
        kept["softmax"]
    )


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: t2r.model(0, 0), "features: expected an integer of at least 1, got 0"),
        (lambda: t2r.model(0, "relu"), "features: expected 'softmax', 'elu' or how many learned features, got 'relu'"),
        (lambda: t2r.model(-1, 4), "seed: expected an integer of at least 0"),
        (lambda: LanguageModel(4, width=7), "width: expected a multiple of heads = 2, got 7"),
        (lambda: t2r.generate_parallel(t2r.model(0, 4), [1, 16]), "symbols: expected 0 to 15, got 1 to 16"),
        (lambda: t2r.generate_recurrent(t2r.model(0, 4), [0.5]), "symbols: expected integers"),
        (lambda: t2r.generate_recurrent(t2r.model(0, 4), []), "symbols: expected integers"),
        (lambda: t2r.generate_recurrent(t2r.Model(LanguageModel(4), np.zeros(3)), [1]), r"params: expected shape \(\d+,\)"),
    ],
)  # fmt: skip
def test_bad_input_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# ---------------------------------------------------------------- shape comments


def test_shape_comments_are_true():
    files = [
        FOLDER / f"{name}.py"
        for name in ("embedding", "maps", "feature_weights", "feature_attention", "causal_attention", "language_model")
    ]
    recorder, rng = Recorder(files), np.random.default_rng(0)
    for features in (11, "elu", "softmax"):
        model = LanguageModel(features, symbols=19, width=6, heads=2, hidden=13)
        k = features if model.learned else 3
        sizes = {"B": 5, "T": 7, "w": 6, "H": 2, "e": 3, "k": k, "V": 19, "h": 13}
        params, symbols = model.init_params(rng), rng.integers(19, size=(5, 8))
        recorder.record(sizes, model.loss_and_grad, params, symbols)
        w, v = model.split(params), model.split(rng.standard_normal(model.size))
        X, tape = recorder.record(sizes, embedding.forward, symbols[:, :-1], w["C"], w["D"])
        recorder.record(sizes, embedding.tangent, v["C"], v["D"], tape)
        names = ["Wq", "Wk", "Wv", "Wo", *(["W", "b"] if model.learned else [])]
        fixed = {"H": 2, "softmax": features == "softmax"}
        _, tape = recorder.record(sizes, causal_attention.forward, X, *(w[name] for name in names), **fixed)
        recorder.record(sizes, causal_attention.tangent, X, *(v[name] for name in names), tape)
    found = [each for file in files for each in complaints(file, file.read_text(encoding="utf-8"), dict(recorder.seen))]
    assert found == [] and sum(len(claims(file.read_text(encoding="utf-8"))) for file in files) > 60 and maps.CHECKS
