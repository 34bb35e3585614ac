"""What a model is: one written by a reader goes everywhere that ours go, and so does a new kind of attention, entered once."""

import inspect
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import third_model
from points import fresh, model_point, relative
from third_model import Readout

import linattn_np as la
from linattn_np.kernels.random_numpy import chunk_states
from linattn_np.layers import linear_attention
from linattn_np.measures import landscape, noise
from linattn_np.models import passes
from linattn_np.models.attentions import ATTENTIONS, Attention
from linattn_np.models.model import Passes, as_model, passes_of
from linattn_np.optimizers import SGD, Adam
from linattn_np.training.runs import Run, RunFolder
from linattn_np.training.sweeps import Processes, sweep

TASK = la.RegressionTask(n=11, d=3)
THIRD = Readout(d=3, hidden=7)


def third_point(batch=13):
    rng = np.random.default_rng(0)
    return THIRD.init_params(rng, 0.5), *TASK.sample(batch, rng)


# ---------------------------------------------------------------- a third model


def test_it_is_short_and_no_subclass_of_ours():
    assert len(inspect.getsource(Readout).splitlines()) <= 40 and Readout.__mro__ == (Readout, object)
    assert "linattn_np" not in Path(third_model.__file__).read_text().split('"""', 2)[2]
    text = "".join(p.read_text() for p in Path(la.__file__).parent.rglob("*.py"))
    assert "Readout" not in text


def test_it_trains_as_the_loop_written_out():
    history = la.train(TASK, SGD(0.05, momentum=0.5), 4, batch=300, seed=5, clip=0.2, model=THIRD, record_every=2)
    x, states = THIRD.init_params(la.batches.generators(5, 1)[0], 0.05), chunk_states(5, 2)
    state = SGD(0.05, momentum=0.5).init(x)
    for t in range(4):
        Z, y = fresh(TASK, (256, 44), states)
        value, grad = THIRD.loss_and_grad(x, Z, y)
        assert history.loss[t] == pytest.approx(value, rel=1e-12)
        x, state = SGD(0.05, momentum=0.5).update(x, la.optimizers.clip(grad, 0.2), state)
    assert relative(history.params, x) < 1e-12 and history.params.shape == (7, 7) and history.model is THIRD
    Z, y = TASK.sample(17, np.random.default_rng(9))
    times, losses = la.losses_along(history, Z, y)
    assert times.tolist() == [0, 2, 4]
    assert losses == pytest.approx([THIRD.loss_and_grad(history.snapshots[t], Z, y)[0] for t in (0, 2, 4)], rel=1e-13)


def test_it_is_audited_and_a_wrong_one_is_named():
    assert la.audit.audit_model(model=THIRD, n=7, batch=5).verdict == "ok"

    class Wrong(Readout):
        def loss_and_grad(self, params, Z, y):
            value, grad = super().loss_and_grad(params, Z, y)
            return value, grad * np.where(np.arange(7) == 6, 0.5, 1.0)

    report = la.audit.audit_model(model=Wrong(3, 7), n=7, batch=5)
    assert report.verdict == "WRONG" and report.first_wrong is not None


def test_its_noise_is_that_of_brute_force():
    params = third_point()[0]
    ours = noise.gradient_noise(params, TASK, 13, 5, np.random.default_rng(17), model=THIRD)
    seeds = np.random.default_rng(17).integers(2**63, size=2).tolist()
    reference = THIRD.loss_and_grad(params, *fresh(TASK, [256] * 5 + [20], chunk_states(seeds[0], 8)))[1]
    Z, y = fresh(TASK, [65], chunk_states(seeds[1], 1))
    for k in range(5):
        part = slice(13 * k, 13 * k + 13)
        wanted = np.linalg.norm(THIRD.loss_and_grad(params, Z[part], y[part])[1] - reference)
        assert ours[k] == pytest.approx(wanted, rel=1e-11)


def test_its_landscape_is_exact():
    params, Z, y = third_point()
    objective = landscape.Objective(Z, y, model=THIRD)
    h, rng = 1e-6, np.random.default_rng(2)
    H = objective.hessian(params)
    assert H.shape == (49, 49)
    for v in rng.standard_normal((3, *params.shape)):
        ahead, behind = (THIRD.loss_and_grad(params + s * h * v, Z, y)[1] for s in (1, -1))
        assert relative(H @ v.ravel(), ((ahead - behind) / (2 * h)).ravel()) < 1e-7  # of central differences
        kappa = landscape.directional_smoothness(params, v, Z, y, model=THIRD)
        assert kappa == pytest.approx(v.ravel() @ H @ v.ravel() / (v * v).sum(), rel=1e-9)
    found = landscape.step_curvature(params, {"down": -objective.grad(params)}, objective)["down"]
    assert found.cosine == pytest.approx(-1.0, rel=1e-12)


def test_spawned_workers_train_it(tmp_path):
    runs = [Run(TASK, Adam(0.02), 5, 7, seed=seed, record_every=2, model=THIRD) for seed in range(3)]
    with Processes(2) as executor:
        trained = dict(sweep(runs, RunFolder(tmp_path), executor, progress=False))
    assert all(np.array_equal(trained[run].params, run.train(False).params) for run in runs)
    again = RunFolder(tmp_path).load(runs[1])
    assert np.array_equal(again.params, trained[runs[1]].params) and again.model == THIRD


def test_a_run_names_the_module_the_class_and_the_fields():
    run = Run(TASK, Adam(0.02), 5, 7, model=THIRD)
    assert run.to_dict()["model"] == {"module": "third_model", "class": "Readout", "fields": {"d": 3, "hidden": 7}}
    assert Run.from_dict(run.to_dict()) == run
    names = {replace(run, model=model).file_name() for model in (None, THIRD, Readout(3, 8), la.LinearTransformer(3))}
    assert len(names) == 4
    assert "model" not in Run(TASK, Adam(0.02)).to_dict()


@dataclass
class Thawed:
    """Not frozen: what it trains could change under its name."""

    init_params = as_params = loss_and_grad = len


def test_a_model_that_a_worker_cannot_make_is_refused():
    @dataclass(frozen=True)
    class Local(Readout):
        pass

    for model in (Local(), Thawed(), SimpleNamespace(init_params=len, as_params=len, loss_and_grad=len)):
        with pytest.raises(ValueError, match="model: expected a frozen dataclass that stands in a module"):
            Run(TASK, Adam(0.02), model=model).to_dict()
    values = Run(TASK, Adam(0.02), model=THIRD).to_dict()
    values["model"] = {"module": "points", "class": "model_point", "fields": {}}
    with pytest.raises(ValueError, match="model: expected a dataclass model_point in the module points"):
        Run.from_dict(values)


def test_it_needs_no_numba():
    code = (
        "import sys; sys.modules['numba'] = None; sys.path.insert(0, 'tests')\n"
        "import numpy as np, linattn_np as la; from third_model import Readout\n"
        "la.train(la.RegressionTask(n=5, d=3), la.optimizers.SGD(0.1), 2, batch=5, model=Readout(), progress=False)\n"
        "print(la.loss_and_grad(*((lambda r: (la.init_params(r), *la.RegressionTask().sample(3, r)))"
        "(np.random.default_rng(0))))[1].shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert done.stdout.strip() == "(3, 1, 2, 5, 5)", done.stderr


# ---------------------------------------------------------------- second order from a complex step


class Loses(Readout):
    """Code that loses the imaginary part: the loss through abs."""

    def loss_and_grad(self, params, Z, y):
        value, grad = super().loss_and_grad(params, Z, y)
        return np.abs(value), grad


class Casts(Readout):
    """Code that cannot take complex params."""

    def loss_and_grad(self, params, Z, y):
        return float(super().loss_and_grad(params, Z, y)[0]), np.zeros(params.shape)


class Own(Loses):
    """The same with Hessian-vector products of its own."""

    def hvps(self, params, Z, y, directions):
        return 3.0 * directions


@pytest.mark.parametrize(
    "model, message",
    [(Loses(), "keeps the imaginary part of complex params .* got a slope of 0"), (Casts(), "takes complex params")],
)
def test_code_that_loses_the_imaginary_part_is_seen(model, message):
    params, Z, y = third_point()
    with pytest.raises(ValueError, match=message):
        landscape.Objective(Z, y, model).hvps(params, params[None])


def test_a_models_own_products_come_first():
    params, Z, y = third_point()
    assert np.array_equal(landscape.Objective(Z, y, Own()).hvps(params, params[None])[0], 3.0 * params)


def test_the_generic_passes_equal_the_librarys_own():
    params, Z, y = model_point(2, 2, batch=13)
    model = la.LinearTransformer(4, 2, 2, backend="numpy")
    generic, own = Passes(model), passes_of(model)
    v = np.random.default_rng(1).standard_normal((2, *params.shape))
    batch = generic.prepare(Z, y)
    assert relative(generic.hvps(params, batch, v), own.hvps(params, batch, v)) < 1e-12
    assert relative(generic.grouped_gradients(params, batch, 5), own.grouped_gradients(params, batch, 5)) < 1e-13
    sums = np.zeros((2, 1 + params.size))
    for each, out in zip((generic, own), sums, strict=True):
        each.adder(params, 11)(batch, out)
    assert relative(sums[0], sums[1]) < 1e-13


# ---------------------------------------------------------------- one place decides what computes


@pytest.mark.parametrize(
    "attention, twin", [("linear", passes.LanePasses), ("softmax", passes.TokenPasses), ("relu", passes.TokenPasses)]
)
def test_the_public_gradient_runs_compiled_where_there_is_a_twin(attention, twin, monkeypatch):
    params, Z, y = model_point()
    if not passes.can_compile("numba"):
        twin = passes.NumpyPasses
    seen, right = [], twin.loss_and_grad
    monkeypatch.setattr(twin, "loss_and_grad", lambda *arguments: seen.append(type(arguments[0])) or right(*arguments))
    assert la.loss_and_grad(params, Z, y, attention)[1].shape == params.shape and seen == [twin]


@pytest.mark.parametrize("change", ["backend", "float32", "complex params", "complex prompts"])
def test_numpy_answers_where_the_twin_cannot(change):
    model = la.LinearTransformer(4, backend="numpy" if change == "backend" else "numba")
    x = np.zeros(model.shape, {"float32": np.float32, "complex params": complex}.get(change, float))
    Z = np.zeros((2, 3, 5), complex if change == "complex prompts" else float)
    assert type(model.passes(x, Z)) is passes.NumpyPasses


# ---------------------------------------------------------------- a new kind of attention, entered in one place


def thirds(wrong=False):
    """A module of a layer whose heads count a third: the text of linear attention with 3 n in the place of n."""
    text = inspect.getsource(linear_attention)
    changed = text.replace("n = count_read(mask) if", "n = 3 * count_read(mask) if")
    assert changed != text
    if wrong:
        changed = changed.replace('mark("dV", W.mT @ douth / n)', 'mark("dV", W.mT @ douth)')
    module = ModuleType("linattn_np.layers.thirds", linear_attention.__doc__)
    module.__package__, module.__mutated__ = "linattn_np.layers", changed  # the audit reads the text
    exec(changed, module.__dict__)
    return module


@pytest.fixture
def third_kind(monkeypatch):
    monkeypatch.setitem(ATTENTIONS, "thirds", Attention(thirds()))
    return la.LinearTransformer(4, 2, full=True, attention="thirds")


def test_a_new_kind_of_attention_works_everywhere(third_kind, tmp_path):
    params, Z, y = model_point(2, 1, full=True)
    scale = np.array([1 / 3, 1.0])[:, None, None]
    as_linear = params * scale  # P / 3, Q
    assert relative(la.predict(params, Z, "thirds"), la.predict(as_linear, Z)) < 1e-14
    value, grad = la.loss_and_grad(params, Z, y, "thirds")
    wanted, wanted_grad = la.loss_and_grad(as_linear, Z, y)
    assert value == pytest.approx(wanted, rel=1e-12) and relative(grad, wanted_grad * scale) < 1e-11
    S = np.broadcast_to(scale, params.shape).ravel()
    assert relative(la.hessian(params, Z, y, "thirds"), S[:, None] * la.hessian(as_linear, Z, y) * S) < 1e-11
    objective = landscape.Objective(Z, y, third_kind)
    assert relative(objective.grad(params), grad) < 1e-14

    task = la.RegressionTask(n=11, d=4)
    run = Run(task, SGD(0.01), 3, 7, layers=2, record_every=1, full=True, attention="thirds")
    history = run.train(False)
    assert history.model == third_kind and Run.from_dict(run.to_dict()) == run
    assert la.losses_along(history, Z, y)[1][0] == pytest.approx(la.loss(history.snapshots[0], Z, y, "thirds"), rel=1e-13)
    folder = RunFolder(tmp_path)
    folder.save(run, history)
    assert folder.load(run).model == third_kind

    linear, sphere = replace(third_kind, attention="linear"), replace(task, covariates="sphere")  # drawn as tokens for both
    ours = noise.noise_vectors(params, sphere, 5, 3, np.random.default_rng(3), third_kind)
    assert relative(ours, noise.noise_vectors(as_linear, sphere, 5, 3, np.random.default_rng(3), linear) * S) < 1e-11


def test_a_new_kind_of_attention_is_audited_line_by_line(third_kind, monkeypatch):
    assert la.audit.audit_layer("thirds", n=7, batch=3).verdict == "ok"
    assert la.audit.audit_model("thirds", n=7, batch=3, layers=2).verdict == "ok"
    assert la.audit.audit_model(model=third_kind, n=7, batch=3).verdict == "ok"
    monkeypatch.setitem(ATTENTIONS, "thirds", Attention(thirds(wrong=True)))
    assert la.audit.audit_model("thirds", n=7, batch=3, layers=2).first_wrong.quantity == "1.dV"


def test_what_is_no_kind_is_named():
    with pytest.raises(ValueError, match="attention: expected one of 'linear', 'softmax', 'relu', got 'cosine'"):
        la.LinearTransformer(attention="cosine")


# ---------------------------------------------------------------- what would be ignored is an error


TRAIN = partial(la.train, TASK, SGD(0.1), 1, batch=3, progress=False)
THREE = la.init_params(np.random.default_rng(0), 3, 3)
BOTH = {  # name: (arguments of train, what the message says)
    "layers of params": ({"params": THREE, "layers": 7}, "params: expected layers = 7, as the argument layers says, got 3"),
    "heads of params": ({"params": THREE, "heads": 2}, "params: expected heads = 2, as the argument heads says, got 1"),
    "full of params": ({"params": THREE, "full": True}, "params: expected full = True, as the argument full says, got False"),
    "std and params": ({"params": THREE, "std": 0.1},
                       "params: expected no std beside it, got both; std is the size of random params"),
    "hidden and full": ({"hidden": 4, "full": False}, "hidden: expected no full=False beside it"),
    "hidden and attention": ({"hidden": 4, "attention": "softmax"}, "hidden: expected no attention='softmax' beside it"),
    "hidden and block": ({"hidden": 4, "clip_by": "block"}, "clip_by: expected 'global' or 'coordinate' for params of shape"),
    "clip_by without clip": ({"clip": None, "clip_by": "coordinate"}, "clip_by: expected no clip=None beside it, got both"),
    "model and layers": ({"model": THIRD, "layers": 3},
                         "model: expected no layers beside it, got both; the model says it itself"),
    "model and more": ({"model": THIRD, "hidden": 2, "backend": "numpy"}, "model: expected no hidden, backend beside it"),
    "model of another d": ({"model": Readout(d=4)}, r"model: expected d = 3, as the task has, got Readout\(d=4, hidden=7\)"),
    "model a class": ({"model": Readout}, "model: expected an instance with init_params, as_params and loss_and_grad, .* which "
                                          "is a class"),
    "model a name": ({"model": "softmax"}, "got 'softmax' without init_params, as_params, loss_and_grad"),
    "params of another model": ({"model": THIRD, "params": THREE}, r"params: expected shape \(7, 7\), got \(3, 1, 2, 3, 3\)"),
    "params complex": ({"params": THREE + 0j}, "params: expected real numbers, got complex ones"),
}  # fmt: skip


@pytest.mark.parametrize("arguments, message", BOTH.values(), ids=BOTH)
def test_arguments_that_contradict_each_other_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        TRAIN(**arguments)


def test_arguments_that_agree_are_taken():
    assert TRAIN(params=THREE, layers=3, heads=1, full=False).model == la.LinearTransformer(3)
    assert TRAIN(hidden=4, attention="linear", full=True).model == la.Composed(3, 4)
    assert TRAIN(model=la.LinearTransformer(3, 2), clip_by="block").params.shape == (2, 1, 2, 3, 3)
    for settings, model in (({"hidden": 4}, la.Composed(3, 4)), ({"heads": 2}, la.LinearTransformer(3, heads=2))):
        assert np.array_equal(TRAIN(**settings).params, TRAIN(model=model).params)  # the same std, the same numbers


def test_a_run_with_contradictions_is_named_before_it_trains():
    for changes, message in (
        ({"model": THIRD, "layers": 2}, "model: expected no layers beside it"),
        ({"hidden": 3, "attention": "relu"}, "hidden: expected no attention='relu'"),
    ):
        with pytest.raises(ValueError, match=message):
            Run(TASK, SGD(0.1), **changes).train(False)


def test_a_gradient_of_another_shape_is_named():
    class Flat(Readout):
        def loss_and_grad(self, params, Z, y):
            value, grad = super().loss_and_grad(params, Z, y)
            return value, grad.ravel()

    with pytest.raises(ValueError, match=r"loss_and_grad: expected a gradient of the shape of params, \(7, 7\), got \(49,\)"):
        TRAIN(model=Flat())


def test_prompts_of_another_width_are_named():
    Z, y = la.RegressionTask(n=5, d=4).sample(3, np.random.default_rng(0))
    history = TRAIN(model=THIRD)
    calls = (
        lambda: la.losses_along(history, Z, y),
        lambda: landscape.Objective(Z, y, THIRD),
        lambda: la.LinearTransformer(3).loss_and_grad(THREE, Z, y),
        lambda: la.Composed(3, 4).loss_and_grad(np.zeros(la.Composed(3, 4).size), Z, y),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"Z: expected tokens of width d\+1 = 4 for .*, got shape \(3, 6, 5\)"):
            call()


def test_losses_along_serves_a_composed_model_and_checks_its_prompts():
    history = la.train(TASK, SGD(0.01), 3, batch=5, hidden=4, record_every=2)
    Z, y = TASK.sample(19, np.random.default_rng(9))
    times, losses = la.losses_along(history, Z, y, every=2)
    assert times.tolist() == [0, 2, 3]
    assert losses == pytest.approx([la.Composed(3, 4).loss(history.snapshots[t], Z, y) for t in (0, 2, 3)], rel=1e-12)
    with pytest.raises(ValueError, match=r"y: expected shape \(19,\)"):
        la.losses_along(history, Z, y[:-1])


def test_as_model_returns_what_is_one():
    assert as_model(THIRD) is THIRD
