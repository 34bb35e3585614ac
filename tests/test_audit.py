"""The audit on correct code, on planted mistakes, at degenerate points, and on what readers may hand it."""

import inspect
import json
import pkgutil
import sys
from importlib import import_module
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import linattn_np as la
from linattn_np import optimizers
from linattn_np.audit import AuditError, audit_gradient, audit_layer, audit_model
from linattn_np.audit.checks import taylor
from linattn_np.audit.library import agreement, registry
from linattn_np.audit.library.optimizers import AUDITED, audit_optimizers
from linattn_np.audit.library.registry import REGISTRY, entry_of, known_layers, register
from linattn_np.audit.lines import NUMBER, derivation, formulas, source_of
from linattn_np.audit.row import CANNOT_JUDGE, OK, WRONG
from linattn_np.audit.suspects import suspects
from linattn_np.layers import gram, softmax_attention
from linattn_np.layers import linear_attention as attention
from linattn_np.models import transformer
from linattn_np.models.attentions import ATTENTIONS, Attention
from linattn_np.models.composed import Composed
from linattn_np.models.tied import Diagonal, Looped, StepSize, tied
from linattn_np.models.transformer import LinearTransformer

LAYER = pytest.mark.parametrize("name", known_layers())
normal = np.random.default_rng(5).standard_normal
THETA = {"Z": normal((7, 3)), "P": normal((3, 3)), "Q": normal((3, 3))}


def forward(t):
    Z, P, Q = t["Z"], t["P"], t["Q"]
    return Z + (Z @ Q.T @ Z.T) @ (Z @ P.T) / len(Z)


def backward(t, dout):
    Z, P, Q = t["Z"], t["P"], t["Q"]
    A, V = Z @ Q.T @ Z.T, Z @ P.T
    dA, dV = dout @ V.T / len(Z), A.T @ dout / len(Z)
    return {"Z": dout + dV @ P + dA @ Z @ Q + dA.T @ Z @ Q.T, "P": dV.T @ Z, "Q": Z.T @ dA.T @ Z}


def changed(**replaced):
    """The backward with some gradients passed through a function."""
    return lambda t, dout: {k: replaced[k](g, dout) if k in replaced else g for k, g in backward(t, dout).items()}


def worst(report, check):
    return max(row.error for row in report.rows if row.check == check and row.error is not None)


# the correct code ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, full",
    [(name, full) for name in known_layers() for full in ((None, False, True) if entry_of(name).stacks else (None,))],
)
def test_correct_code_passes_with_room(name, full):
    report = audit_layer(name) if full is None else audit_model(name, full=full, backend="numpy")
    assert report.verdict == OK, str(report)
    assert worst(report, "complex") <= 1e-13 and worst(report, "probe") <= 1e-12 and worst(report, "second") <= 1e-12
    slopes = [(row.got, row.reference) for row in report.rows if row.check == "taylor"]
    assert len(slopes) == 6 and all(abs(got - order) <= {2: 0.05, 3: 0.1}[order] for got, order in slopes)
    assert all(sum(rungs["counted"]) >= 6 for rungs in report.taylor)
    assert {"purity", "oracle", "complex", "probe", "dot", "taylor", "second", "point"} <= {row.check for row in report.rows}


def test_heads_and_small_weights_are_judged():
    assert audit_model("linear", heads=2, d=3, n=7, batch=5, backend="numpy").ok
    assert audit_model("linear", sigma=0.05, backend="numpy").ok


def test_dead_parameters_are_listed():
    said = "structurally dead: 25 of 25 entries of 2.P; their derivative is zero at every point that was tried"
    assert audit_model(backend="numpy").notes == [said]


@pytest.mark.numba
def test_kernels_and_numpy_agree():

    quantities = {row.quantity for row in audit_model().rows if row.check == "kernel"}
    compiled = {"loss numba", "dparams numba", "H v numba", "Hessian numba"}
    assert compiled & quantities == (compiled if la.kernels.available() else set())


def test_a_kernel_that_disagrees_is_wrong(monkeypatch):
    right = transformer.loss_and_grad

    def off(params, Z, y, attention="linear", backend="numba"):
        value, grad = right(params, Z, y, attention, "numpy")
        return value, grad * (1 + 1e-9 * (backend == "numba"))

    monkeypatch.setattr(transformer, "loss_and_grad", off)
    monkeypatch.setattr(agreement, "can_compile", lambda *_: True)
    monkeypatch.setattr(transformer, "hvp", lambda params, Z, y, v, backend: v)
    monkeypatch.setattr(transformer, "hessian", lambda params, *_, backend: np.eye(params.size))
    report = audit_model(layers=2, d=2, n=7, batch=3)
    assert report.first_wrong.quantity == "dparams numba"


def test_audit_changes_nothing_and_ignores_global_randomness():
    before, theta = {k: v.copy() for k, v in THETA.items()}, THETA
    np.random.seed(1)
    first = audit_gradient(forward, backward, theta).to_dict()
    state = np.random.get_state()[1].copy()
    np.random.seed(2)
    assert audit_gradient(forward, backward, theta).to_dict() == first
    np.random.seed(1)
    assert (np.random.get_state()[1] == state).all()
    assert all((theta[k] == before[k]).all() for k in theta)
    assert audit_gradient(forward, backward, theta, seed=1).to_dict() != first


# the lines and their numbers come from the source -----------------------------------------------------------------------


@LAYER
def test_every_number_has_one_line_and_every_line_its_formula(name):
    module = entry_of(name).module
    table, lines = formulas(module.__doc__), derivation(module, "backward")
    numbered = [line.equation for line in lines.values() if line.equation]
    built_on = entry_of(name).built_on
    assert len(set(numbered)) == len(numbered) >= (2 if built_on or name == "cross-entropy" else 5)
    for line in lines.values():
        if line.equation:
            assert line.formula == table[line.equation] and line.formula.startswith("d")
    inside = source_of(module).split("def backward(")[1].split("\ndef ")[0].partition('"""')[2].partition('"""')[2]
    others = {line.equation for other in built_on for line in derivation(other, "backward").values()}
    assert set(NUMBER.findall(inside)) - others == set(numbered)


def test_lines_are_read_from_the_source():
    line = derivation(attention, "backward")["dZ_reader"]
    assert (line.equation, line.formula) == ("2.12", "dZ += dA Z Q, reader")
    moved = source_of(attention).replace("(2.12) use 3", "(2.99) use 3")
    assert derivation(attention, "backward", moved)["dZ_reader"].equation == "2.99"


def test_every_layer_is_registered():
    registered = {entry_of(name).module for name in known_layers()}
    assert {kind.layer for kind in ATTENTIONS.values()} <= registered
    for info in pkgutil.iter_modules(la.__path__):
        module = import_module(f"linattn_np.{info.name}") if info.name != "__main__" else None
        back = getattr(module, "backward", None)
        if callable(back) and "mark" in inspect.signature(back).parameters:
            assert module in registered, f"{info.name}.py has a backward pass and is not registered in audit/model.py"


def test_registering_is_one_line(monkeypatch):
    monkeypatch.setattr("linattn_np.audit.library.registry.REGISTRY", dict(REGISTRY))
    register("again", softmax_attention, entry_of("linear").draw, residual=("Z",))
    assert "again" in registry.REGISTRY and "again" not in REGISTRY
    assert audit_layer("again", d=3, n=5, batch=2).ok


def test_a_kind_of_attention_that_is_entered_is_known_here(monkeypatch):
    monkeypatch.setitem(ATTENTIONS, "again", Attention(softmax_attention))
    assert "again" in known_layers(stacks=True)
    assert audit_layer("again", d=3, n=5, batch=2).ok and audit_model("again", d=3, n=5, batch=2, layers=2).ok


# any model ----------------------------------------------------------------------------------------------------------------


class Slope:
    """prediction = <w, z z^T-sum of the prompt's examples times labels> / n: a model that is nobody's, and its gradient by
    hand.
    """

    d = 3

    def __init__(self, factor=1.0, part=np.asarray):
        self.factor, self.part = factor, part  # ``part``: what is done to the error, such as abs

    def init_params(self, rng, std):
        return std * rng.standard_normal((3, 3))

    def as_params(self, params):
        params = np.asarray(params)
        if params.shape != (3, 3):
            raise ValueError(f"params: expected shape (3, 3), got {params.shape}")
        return params

    def loss_and_grad(self, params, Z, y):
        moments = (Z[:, :-1, :3] * Z[:, :-1, 3:]).mean(axis=1)  # (B, 3)
        error = np.einsum("ij,bi,bj->b", params, Z[:, -1, :3], moments) - y
        grad = np.einsum("b,bi,bj->ij", 2 * self.factor * error / len(y), Z[:, -1, :3], moments)
        return (self.part(error) * self.part(error)).mean(), grad


def test_any_model_is_judged_by_its_three_methods():
    right = audit_model(model=Slope(), n=7, batch=5)
    assert right.ok, str(right)
    wrong = audit_model(model=Slope(factor=0.5), n=7, batch=5)
    assert wrong.verdict == WRONG and "is a factor 2 missing?" in wrong.first_wrong.note
    assert audit_model(model=Slope(part=np.abs), n=7, batch=5).verdict != WRONG  # abs(e)^2 is no analytic function of e
    with pytest.raises(ValueError, match="expected an instance with init_params, as_params and loss_and_grad"):
        audit_model(model=object())
    with pytest.raises(ValueError, match="the model has d = 3 itself, got d=5"):
        audit_model(model=Slope(), d=5)


@pytest.mark.parametrize("ties", [(Diagonal(),), (Looped(), Diagonal()), (StepSize(),)], ids=str)
def test_tied_models_are_judged(ties):
    model = tied(LinearTransformer(d=3, layers=2, attention="softmax", backend="numpy"), *ties)
    report = audit_model(model=model, n=5, batch=3)
    assert report.ok and any(row.quantity == "H v by hand" for row in report.rows), str(report)


def test_models_of_the_library_are_judged_line_by_line():
    report = audit_model(model=LinearTransformer(3, layers=2, heads=2, full=True, attention="softmax"), n=5, batch=2)
    assert report.ok and {"0.dZ_reader (14.14)", "1.dA (14.12)"} <= {row.label for row in report.rows}
    report = audit_model(model=Composed(d=2, hidden=3, layers=2), n=5, batch=2, backend="numpy")
    assert report.verdict != WRONG and any(row.label == "dW1 (15.8)" for row in report.rows), str(report)


# planted mistakes -------------------------------------------------------------------------------------------------------

PLANTED = {
    "3 % too large": (changed(Q=lambda g, _: 1.03 * g), "dQ", "every entry is 1.03 times"),
    "transposed dQ": (changed(Q=lambda g, _: g.T), "dQ", "transposed"),
    "missing 1/n": (changed(P=lambda g, _: 7 * g), "dP", "is a factor 1/7 missing"),
    "sign": (changed(P=lambda g, _: -g), "dP", "the sign is wrong"),
    "residual dropped": (changed(Z=lambda g, dout: g - dout), "dZ", "the contribution dout is missing"),
    "zero": (changed(P=lambda g, _: 0 * g), "dP", "never written"),
    "not finite": (changed(P=lambda g, _: g * np.nan), "dP", "not a number"),
    "one entry": (changed(Q=lambda g, _: g + np.eye(1, 9, 5).reshape(3, 3) * 1e-9), "dQ", "most at [1, 2]"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_mistakes_are_named(name):
    wrong, quantity, words = PLANTED[name]
    report = audit_gradient(forward, wrong, THETA)
    assert report.verdict == WRONG and report.first_wrong.quantity == quantity
    assert words in report.first_wrong.note
    assert [row.quantity for row in report.rows if row.check == "complex" and row.verdict == OK] != []


@pytest.mark.parametrize("slip", ["", "use", "factor", "turned", "sum"])
def test_named_lines_of_a_reader(slip):
    def fore(t, mark):
        reader, read = mark("Z_reader", t["Z"]), mark("Z_read", t["Z"])
        A = mark("A", reader @ t["Q"].T @ read.T)
        return np.tanh(A).sum(axis=0)

    def back(t, dout, mark):
        Z, Q = t["Z"], t["Q"]
        dA = mark("dA", (1 - np.tanh(Z @ Q.T @ Z.T) ** 2) * dout * (1.5 if slip == "factor" else 1))
        dA = dA.T if slip == "turned" else dA
        reader = mark("dZ_reader", dA @ Z @ Q)
        read = mark("dZ_read", (dA if slip == "use" else dA.T) @ Z @ Q.T)
        return {"Z": mark("dZ", reader if slip == "sum" else reader + read), "Q": mark("dQ", Z.T @ dA.T @ Z)}

    theta = {"Z": THETA["Z"], "Q": THETA["Q"]}
    report = audit_gradient(fore, back, theta, equations={"dZ_read": "9.4"})
    wanted = {"": None, "use": "dZ_read (9.4)", "factor": "dA", "turned": "dZ_reader", "sum": "dZ"}[slip]
    assert (report.first_wrong and report.first_wrong.label) == wanted
    assert report.verdict == (WRONG if slip else OK)
    if slip == "factor":
        assert "1.5 times" in report.first_wrong.note
    if slip == "sum":
        assert "the contribution dZ_read is missing" in report.first_wrong.note


def test_scalar_forward_tuple_array_and_cotangent():
    assert audit_gradient(lambda t: (t**3).sum(), lambda t: 3 * t**2, normal(5)).ok
    assert audit_gradient(lambda t: (t[0] * t[1]).sum(), lambda t: (t[1], t[0]), (normal(3), normal(3))).ok
    assert audit_gradient(lambda t: (t**3).sum(), lambda t, dout: 3 * t**2 * dout, normal(5)).ok
    assert audit_gradient(lambda t: np.exp(t), lambda t, dout: dout * np.exp(t), 0.7).ok
    assert audit_gradient(lambda t: (t**3).sum(), lambda t: 3 * t**2, normal(5), hvp=lambda t, v: 6 * t * v).ok
    report = audit_gradient(lambda t: (t**3).sum(), lambda t: 3 * t**2, normal(5), hvp=lambda t, v: 5 * t * v)
    assert report.first_wrong.quantity in ("order 3, line 1", "H v by hand") and report.verdict == WRONG


def test_a_mistake_that_ones_would_hide():
    def back(t, dout):
        return {"x": t["M"].T @ dout + dout[0] - dout[1], "M": np.outer(dout, t["x"])}

    report = audit_gradient(lambda t: t["M"] @ t["x"], back, {"M": normal((5, 3)), "x": normal(3)})
    assert report.first_wrong.quantity == "dx"


def test_reference_arrays_are_compared_by_name():
    right = {"Q": backward(THETA, np.ones((7, 3)))["Q"]}
    value = lambda t: forward(t).sum()
    grad = lambda t: backward(t, np.ones((7, 3)))
    assert audit_gradient(value, grad, THETA, reference=right).ok
    report = audit_gradient(value, grad, THETA, reference={"Q": right["Q"].T})
    assert [row.quantity for row in report.rows if row.verdict == WRONG] == ["dQ"] and report.first_wrong.check == "arrays"
    with pytest.raises(AuditError, match="expected the names Z, P, Q, got 'R'"):
        audit_gradient(value, grad, THETA, reference={"R": right["Q"]})


def test_a_gradient_of_no_function_is_not_symmetric():
    report = audit_gradient(lambda t: (t[0] * t[1] ** 2).sum(), lambda t: (t[1] ** 2, t[0] * t[1]), (normal(3), normal(3)))
    assert any(row.quantity == "u'Hw = w'Hu" and row.verdict == WRONG for row in report.rows)


def test_impure_functions_are_named():
    total = np.zeros((3, 3))

    def accumulates(t, dout):
        out = backward(t, dout)
        total[:] += out["Q"]
        return {**out, "Q": total}

    def overwrites(t, dout):
        out = backward(t, dout)
        t["Z"] *= 2
        return out

    assert audit_gradient(forward, accumulates, THETA).rows[0].note.startswith("a second call gives another gradient")
    assert audit_gradient(forward, overwrites, THETA).rows[1].note == "changed in place: Z"


@pytest.mark.parametrize("module", [attention, gram])
def test_wrong_second_derivatives_are_caught(module):
    def off(dout, hout, tape, vtape):
        first, hP, hQ = module.backward_tangent(dout, hout, tape, vtape)
        return first, hP, 1.001 * hQ

    name = next(key for key in known_layers() if entry_of(key).module is module)
    functions = {key: getattr(module, key) for key in ("forward", "backward", "tangent")}
    fake = SimpleNamespace(**functions, backward_tangent=off, __doc__=module.__doc__, __mutated__=source_of(module))
    report = audit_layer(name, module=fake, d=3, n=7, batch=2)
    assert {row.quantity for row in report.rows if row.verdict == WRONG and row.check == "second"} >= {"H v by hand"}


# cannot judge -----------------------------------------------------------------------------------------------------------

DEGENERATE = {
    "one layer": ({"layers": 1}, "dZ_reader (2.12): a mistake in this line could not show"),
    "one layer, P": ({"layers": 1}, "all of dP (2.8): every entry of P is without influence"),
    "one layer, full": ({"layers": 1, "full": True}, "dZ_value (2.9): a mistake in this line could not show"),
    "zero": ({"sigma": 0.0}, "P: P is zero"),
    "zero, lines": ({"sigma": 0.0}, "dV (2.6): a mistake in this line could not show"),
    "tiny": ({"sigma": 1e-7}, "dZ_read (2.13): a mistake in this line could not show"),
    "symmetric P": ({"symmetric": True}, "P: P is symmetric, so a transposition of it could not show"),
    "symmetric Q": ({"symmetric": True}, "Q: Q is symmetric, so a transposition of it could not show"),
    "n = 1": ({"n": 1}, "n = 1: at n = 1 1/n and 1 are the same"),
    "d = 1": ({"d": 1}, "d = 1: at d = 1 a matrix and its transpose are the same"),
    "batch = 1": ({"batch": 1}, "batch = 1: at batch = 1 a mean over the batch and a sum are the same"),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_points_are_not_judged(case):
    point, reason = DEGENERATE[case]
    report = audit_model(**{"d": 3, "n": 7, "batch": 5, **point}, backend="numpy")
    assert report.verdict == CANNOT_JUDGE, str(report)
    assert any(line.startswith(f"cannot judge {reason}") for line in report.summary()), report.summary()


@LAYER
@pytest.mark.parametrize("sigma", [0.0, 1e-8, 1e-5, 1e-3, 1e-2])
def test_small_weights_never_make_correct_code_wrong(name, sigma):
    small = {"d": 3, "n": 7, "batch": 2, "sigma": sigma}
    reports = [audit_layer(name, **small)]
    reports += [audit_model(name, **small, backend="numpy")] if entry_of(name).stacks else []
    assert all(report.verdict != WRONG for report in reports), "\n".join(map(str, reports))
    if sigma == 0 and name not in ("causal softmax", "cross-entropy"):  # which have no weights
        assert all(report.verdict == CANNOT_JUDGE for report in reports)


def test_special_values_of_a_reader_are_not_judged():
    square = lambda t: ((t["A"] @ t["B"]) ** 2).sum()

    def grad(t):
        C = 2 * t["A"] @ t["B"]
        return {"A": C @ t["B"].T, "B": t["A"].T @ C}

    A, B = normal((3, 3)), normal((3, 3))
    assert audit_gradient(square, grad, {"A": A, "B": B}).ok
    cases = {"symmetric": A + A.T, "are equal": np.full((3, 3), 0.7), "zero": np.zeros((3, 3)), "B equals A": B}
    for words, special in cases.items():
        report = audit_gradient(square, grad, {"A": special, "B": B})
        said = " ".join(report.summary()).replace("A equals B", "B equals A")
        assert report.verdict == CANNOT_JUDGE and words in said


NOT_ANALYTIC = {
    "abs": (lambda t: np.abs(t).sum(), lambda t: np.sign(t)),
    "abs, in part": (lambda t: (t**2).sum() + 1e-3 * np.abs(t[1]), lambda t: 2 * t + 1e-3 * np.sign(t) * np.eye(1, 5, 1)[0]),
    "vdot": (lambda t: np.vdot(t, t), lambda t: 2 * t),
    "norm": (lambda t: np.linalg.norm(t) ** 2, lambda t: 2 * t),
    "conj": (lambda t: (t * t.conj()).sum(), lambda t: 2 * t),
    "float": (lambda t: float(t.sum()), lambda t: np.ones(5)),
    "astype": (lambda t: (t.astype(float) ** 2).sum(), lambda t: 2 * t),
}
POINT = np.array([0.3, -1.1, 0.7, 2.1, -0.4])


@pytest.mark.parametrize("name", NOT_ANALYTIC)
def test_what_breaks_the_complex_step_is_judged_by_differences(name):
    fore, back = NOT_ANALYTIC[name]
    report = audit_gradient(fore, back, POINT)
    assert (report.verdict, report.oracle) == (OK, "differences"), str(report)
    assert "by differences" in next(row.note for row in report.rows if row.check == "complex")
    wrong = audit_gradient(fore, lambda t: back(t) * (1 + 1e-6 * np.eye(1, 5, 1)[0]), POINT)
    assert wrong.verdict == WRONG and wrong.first_wrong.quantity == "dtheta", str(wrong)


@pytest.mark.parametrize(
    "fore, reason",
    [
        (lambda t: (t**2).sum() + np.random.default_rng().normal(), "another value"),
        (lambda t: 3.0, "does not depend"),
    ],
)
def test_what_has_no_reference_is_not_judged(fore, reason):
    report = audit_gradient(fore, lambda t: 2 * t, POINT)
    assert report.verdict == CANNOT_JUDGE and reason in " ".join(report.summary()), str(report)
    assert report.arrays == {"theta": CANNOT_JUDGE}


def test_suspects_are_found_in_functions_that_are_called():
    helper = lambda x: np.linalg.norm(x)
    assert suspects(lambda t: helper(t) ** 2) == ["norm"]
    assert suspects(lambda t: (t**2).sum()) == []


def test_edges_of_a_domain():
    inside, edge = np.array([0.3, 1.2, 2.2]), np.array([0.0, 1.2, 2.2])
    assert audit_gradient(lambda t: np.sqrt(t).sum(), lambda t: 0.5 / np.sqrt(t), inside).ok

    def strict(t):
        if (t.real <= 0).any():
            raise ValueError("positive numbers only")
        return np.log(t).sum()

    assert audit_gradient(strict, lambda t: 1 / t, inside).ok
    report = audit_gradient(lambda t: (t**1.5).sum(), lambda t: 1.5 * t**0.5, edge)
    assert report.verdict == CANNOT_JUDGE, str(report)


def test_large_arrays_are_sampled_and_a_mistake_elsewhere_still_shows():
    theta = normal(2500)
    weights = np.arange(2500.0) / 2500
    assert audit_gradient(lambda t: (weights * t**3).sum(), lambda t: 3 * weights * t**2, theta).ok
    off = weights + np.eye(1, 2500, 1234)[0]
    report = audit_gradient(lambda t: (weights * t**3).sum(), lambda t: 3 * off * t**2, theta, seed=2)
    assert report.verdict == WRONG


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-9, 1e-7, 1e-5, 1e-4, 1e-3])
def test_near_a_kink_correct_code_is_never_wrong(distance):
    theta = np.array([0.8, -distance, -0.6, 1.3])
    relu = lambda t: (np.maximum(t, 0) ** 1 * np.array([1.0, 2.0, 3.0, 4.0])).sum() + (t**3).sum()
    report = audit_gradient(relu, lambda t: (t > 0) * np.array([1.0, 2.0, 3.0, 4.0]) + 3 * t**2, theta)
    assert report.verdict == (CANNOT_JUDGE if distance <= 1e-7 else report.verdict) != WRONG, str(report)


def test_relu_layer_at_a_kink_is_not_judged():
    rng = np.random.default_rng(3)
    Z = rng.standard_normal((2, 6, 4))
    P, Q = 0.3 * rng.standard_normal((2, 1, 4, 4))
    layer = entry_of("relu").module
    Q = Q - (Z[0, 1] @ Q[0].T @ Z[0, 2]) * np.outer(Z[0, 2], Z[0, 1]) / (Z[0, 1] @ Z[0, 1]) / (Z[0, 2] @ Z[0, 2])
    assert abs(Z[0, 1] @ Q[0].T @ Z[0, 2]) < 1e-15

    def back(t, dout):
        out, tape = layer.forward(t["Z"], t["P"], t["Q"])
        return dict(zip("ZPQ", layer.backward(dout, tape), strict=True))

    report = audit_gradient(lambda t: layer.forward(t["Z"], t["P"], t["Q"])[0], back, {"Z": Z, "P": P, "Q": Q})
    assert report.verdict == CANNOT_JUDGE and "kink" in " ".join(report.summary())


def test_the_taylor_test_counts_only_rungs_it_may():
    a = np.array([1.0, 1.0, 2.0, 3.0, 1.0])
    true = a[2] * taylor.RUNGS**2 + a[3] * taylor.RUNGS**3
    counted, straight, why = taylor.usable(true, a, 2, 1e-14)
    assert not why and not straight
    assert (2 * taylor.RUNGS[counted] ** 2 >= 1e-14).all() and (3 * taylor.RUNGS[counted] <= 0.06).all()
    kinked = np.where(taylor.RUNGS > 2.0**-12, true + taylor.RUNGS, true)
    counted, _, _ = taylor.usable(kinked, a, 2, 1e-14)
    assert taylor.RUNGS[counted].max() <= 2.0**-12
    assert "kink" in taylor.usable(np.where(taylor.RUNGS > 2.0**-22, true + taylor.RUNGS, true), a, 2, 1e-14)[2]
    assert "only 2 rungs" in taylor.usable(2 * taylor.RUNGS**2, np.array([1, 1, 2, 0, 0]), 2, 0.02)[2]


def test_linear_functions_have_no_slope_and_are_judged_all_the_same():
    assert audit_gradient(lambda t: (np.arange(4) * t).sum(), lambda t: np.arange(4.0), normal(4)).ok
    report = audit_gradient(lambda t: (np.arange(4) * t).sum(), lambda t: 1.01 * np.arange(4), normal(4))
    assert {row.verdict for row in report.rows if row.check == "taylor"} == {WRONG}


# a reader's mistakes ----------------------------------------------------------------------------------------------------

square, double = (lambda t: (t**2).sum()), (lambda t: 2 * t)
MISTAKES = {
    "no function": ((3, double, normal(3)), "forward: expected a function, got int"),
    "shape": ((square, lambda t: 2 * t[:2], normal(3)), r"expected a gradient of shape \(3,\) for theta, got \(2,\)"),
    "no return": ((lambda t: None, double, normal(3)), "forward: expected numbers, got NoneType; is a return missing"),
    "text": ((lambda t: "no", double, normal(3)), "forward: expected numbers, got str"),
    "tuple": ((lambda t: (t, t), double, normal(3)), "forward: expected one number or one array, got a tuple"),
    "nan": ((lambda t: np.nan * t.sum(), double, normal(3)), "forward: expected finite numbers"),
    "raises": (
        (square, lambda t: t @ np.ones(7), normal(3)),
        r"backward\(theta\) raised ValueError: matmul: .* of test_audit.py",
    ),
    "forward raises": ((lambda t: t[9], double, normal(3)), "forward raised IndexError: index 9 is out of bounds"),
    "no cotangent": ((lambda t: t * t, double, normal(3)), r"shape \(3,\), so backward needs a second argument, the cotangent"),
    "arguments": ((lambda a, b: a, double, normal(3)), "forward: it is called with one argument"),
    "back arguments": ((square, lambda a, b, c: a, normal(3)), "backward: it is called as"),
    "complex theta": ((square, double, normal(3) * 1j), "expected real numbers, got complex128"),
    "empty theta": ((square, double, {}), "theta: expected an array"),
    "nan theta": ((square, double, [np.nan]), "expected finite numbers"),
    "ragged": ((square, double, {"a": [[1, 2], [3]]}), "expected numbers, got lists of unequal lengths"),
    "no dictionary": ((lambda t: t["a"].sum(), lambda t: t["a"], {"a": normal(3)}), "theta is a dictionary, so expected one"),
    "names": ((lambda t: t["a"].sum(), lambda t: {"b": 1}, {"a": normal(3)}), r"expected the names a; missing \['a'\]"),
    "count": ((lambda t: t[0].sum(), lambda t: (1,), (normal(3), normal(3))), "holds 2 arrays, so expected as many gradients"),
    "complex gradient": ((square, lambda t: 2j * t, normal(3)), "backward: expected real numbers for real theta"),
    "one mark": ((lambda t, mark: t.sum(), double, normal(3)), "mark: forward and backward must both"),
    "mark twice": (
        (lambda t, mark: mark("a", mark("a", t)).sum(), lambda t, mark: np.ones(3), normal(3)),
        "the forward uses the name 'a' twice",
    ),
    "mark shape": (
        (lambda t, mark: mark("a", t).sum(), lambda t, mark: np.ones(3) * mark("da", 1.0), normal(3)),
        r"da has shape \(\), but a in the forward has shape \(3,\)",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_readers_mistake_is_one_line_and_no_verdict(name):
    arguments, message = MISTAKES[name]
    with pytest.raises(AuditError, match=message) as caught:
        audit_gradient(*arguments)
    assert "\n" not in str(caught.value)


def test_wrong_names_and_points():
    with pytest.raises(ValueError, match="name: expected one of 'linear'"):
        audit_layer("linaer")
    with pytest.raises(ValueError, match="point: expected some of layers, d, n"):
        audit_model(depth=3)
    with pytest.raises(ValueError, match="layers: expected an integer of at least 1, got 0"):
        audit_model(layers=0)


# the report -------------------------------------------------------------------------------------------------------------


def test_report_as_text_html_dictionary_and_picture():
    report = audit_model(d=3, n=7, batch=5, backend="numpy")
    assert max(map(len, str(report).splitlines())) <= 80
    assert "0.dZ_reader (2.12)" in report.table(every=True) and "probe" in str(report)
    assert report._repr_html_().count("<tr>") == len(report.shown()) + 1
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert found["verdict"] == OK and found["first_wrong"] is None and len(found["rows"]) == len(report.rows)
    pytest.importorskip("matplotlib").use("Agg")
    remainders, errors = report.plot()
    assert len(remainders.lines) > 12 and len(errors.patches) > 15


def test_report_escapes_html_and_keeps_nan_out_of_json():
    report = audit_gradient(forward, changed(P=lambda g, _: g * np.nan), THETA, title="<b>")
    assert "<b>: " not in report._repr_html_()
    json.dumps(report.to_dict(), allow_nan=False)


# the optimizers ---------------------------------------------------------------------------------------------------------


def test_every_optimizer_passes_and_none_is_forgotten():
    report = audit_optimizers()
    assert report.ok, str(report)
    classes = [
        item
        for item in vars(optimizers).values()
        if isinstance(item, type) and hasattr(item, "update") and item is not optimizers.Optimizer
    ]
    assert {item.__name__ for item in classes} == AUDITED


WRONG_OPTIMIZERS = {
    "no bias correction": ("Adam", "v_hat = v / (1 - power(self.beta2, t))", "v_hat = v"),
    "eps inside the root": ("Adam", "(np.sqrt(v_hat) + self.eps), state", "(np.sqrt(v_hat + self.eps)), state"),
    "damped momentum": ("SGD", "self.momentum * state.m + grad", "self.momentum * state.m + (1 - self.momentum) * grad"),
    "decay through the moments": ("AdamW", "(1 - self.lr * self.weight_decay) * params, grad,",
                                  "params, grad + self.weight_decay * params,"),
    "in place": ("RMSProp", "v = self.alpha * state.v +", "v = state.v; v *= self.alpha; v +="),
    "one length for all": ("RMSProp", "* grad * grad\n        return params - self.lr * grad / (np.sqrt(v) + self.eps), Squares",
                           "* np.mean(grad * grad)\n        return params - self.lr * grad / (np.sqrt(v) + self.eps), Squares"),
}  # fmt: skip


def optimizers_with(monkeypatch, old, new):
    """The optimizers with one place of their source changed."""
    source = source_of(optimizers.first_order)
    assert source.count(old) == 1
    module = ModuleType("linattn_np.optimizers.wrong")
    module.__package__ = "linattn_np.optimizers"
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look their module up
    exec(compile(source.replace(old, new), "<wrong>", "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("slip", WRONG_OPTIMIZERS)
def test_wrong_optimizers_are_caught(slip, monkeypatch):
    name, old, new = WRONG_OPTIMIZERS[slip]
    report = audit_optimizers(module=optimizers_with(monkeypatch, old, new))
    assert {row.quantity.split()[0] for row in report.rows if row.verdict == WRONG} >= {name}


def test_a_method_that_turns_when_it_should_not_is_caught(monkeypatch):
    old = "return params - self.lr * m, Momentum(m)"
    report = audit_optimizers(module=optimizers_with(monkeypatch, old, "return params - self.lr * np.tanh(m), Momentum(m)"))
    wrong = {row.check for row in report.rows if row.verdict == WRONG}
    assert wrong == {"recur", "closed", "rotation"}
    assert "does not" not in next(row.quantity for row in report.rows if row.check == "rotation" and row.verdict == WRONG)
