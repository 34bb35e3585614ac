"""Wrong calls by the hundred: each public function gets, argument by argument, what is no value for it. The answer is always an
error that names the argument, never a number, a crash, or a machine without memory."""

import signal
from fractions import Fraction

import numpy as np
import pytest

import linattn_np as la
from linattn_np import kernels, optimizers
from linattn_np.__main__ import main
from linattn_np.kernels import composed as composed_kernels
from linattn_np.kernels import linear, tokens
from linattn_np.layers import mlp
from linattn_np.measures import landscape, noise, tails
from linattn_np.models.composed import Composed
from linattn_np.training import runs

TASK = la.RegressionTask(n=5, d=3)
RNG = np.random.default_rng(0)
Z, Y = TASK.sample(7, RNG)
PARAMS = 0.3 * RNG.standard_normal((2, 1, 2, 3, 3))
FULL = 0.3 * RNG.standard_normal((2, 1, 2, 4, 4))
MODEL = Composed(3, 4, 2)
THETA = MODEL.init_params(np.random.default_rng(1))
LANES = linear.lanes_from_tokens(Z, Y)
HISTORY = la.train(TASK, optimizers.SGD(0.01), 2, 5, layers=2, progress=False)
OBJECTIVE = landscape.Objective(Z, Y)
HUGE = 10**12


def masked(array):
    return np.ma.masked_array(array, np.arange(np.size(array)).reshape(np.shape(array)) % 3 == 0)


def spoiled(array, value):
    array = np.array(array)
    array.flat[array.size // 2] = value
    return array


def arrays(good):
    """What is no array like this one."""
    return {
        "None": None, "words": "words", "a number": 3.0, "objects": np.asarray(good).astype(object), "masked": masked(good),
        "NaN": spoiled(good, np.nan), "infinite": spoiled(good, np.inf), "flat list of words": ["a", "b"],
        "ragged": [[1.0], [1.0, 2.0]],
        "another axis": np.asarray(good)[None], "empty": np.zeros((0, *np.shape(good)[1:])), "a dictionary": {},
    }  # fmt: skip


COUNTS = {
    "zero": 0, "negative": -3, "half": 1.5, "word": "3", "None": None, "True": True, "NaN": float("nan"),
    "Fraction": Fraction(7, 2),
    "float": np.float64(3.0), "array": np.array([3, 4]), "huge": HUGE,
}  # fmt: skip
REALS = {
    "negative": -1.0, "word": "0.1", "NaN": float("nan"), "infinite": float("inf"), "True": True, "complex": 1j,
    "array": np.ones(2), "list": [0.1],
}  # fmt: skip
FLAGS = {"no": "no", "yes": "yes", "two": 2, "half": 0.5, "array": np.array([True, False])}
NAMES = {
    "None": None,
    "unknown": "cosine",
    "capital": "Linear",
    "empty": "",
    "number": 3,
    "list": ["linear"],
    "array": np.array(["linear"] * 2),
}
RNGS = {"None": None, "seed": 0, "module": np.random, "old": np.random.RandomState(0), "word": "rng"}
SEEDS = {"negative": -1, "half": 0.5, "word": "0", "array": np.array([1, 2]), "True": True, "Fraction": Fraction(1, 2)}
TASKS = {"None": None, "dictionary": {"n": 3}, "class": la.RegressionTask, "word": "gaussian"}
RATES = {
    "number": 1.0,
    "word": "1, 2",
    "empty": (),
    "negative": (1.0, -1.0),
    "NaN": [1.0, float("nan")],
    "words": ["1"],
    "matrix": np.ones((2, 2)),
    "set": {1.0, 2.0},
    "ragged": [1.0, [2.0]],
}
SCHEDULES = {
    "unknown": "step",
    "number": 0.5,
    "list": ["linear"],
    "class": optimizers.Linear,
    "rising": lambda t: -1.0,
    "NaN": lambda t: float("nan"),
    "words": str,
}
OPTIMIZERS = {"None": None, "name": "adam", "class": optimizers.SGD, "number": 0.1}


def without(table, *names):
    return {name: value for name, value in table.items() if name not in names}


P, PZ, PY, V = (
    arrays(PARAMS),
    arrays(Z),
    {**arrays(Y), "short": Y[:-1], "long": np.append(Y, 0.0), "empty": Y[:0], "complex": Y + 1j},
    arrays(PARAMS),
)
P = {**P, "another width": np.ones((2, 1, 2, 6, 6)), "P and Q alone": PARAMS[0, 0]}
PZ = {**PZ, "one token": Z[:, :1], "wider": np.ones((7, 6, 9))}
POINT = {"params": (PARAMS, P), "Z": (Z, PZ), "y": (Y, PY)}
LAW = {
    "n": (5, without(COUNTS, "huge")),  # what is huge takes memory only when it is drawn
    "d": (3, without(COUNTS, "huge")),
    "covariates": ("gaussian", NAMES),
    "gamma_shape": (0.1, REALS),
    "label_noise": (0.0, REALS),
}
TRAIN = {
    "task": (TASK, TASKS), "optimizer": (optimizers.SGD(0.01), OPTIMIZERS), "steps": (2, COUNTS), "batch": (5, COUNTS),
    "layers": (2, without(COUNTS, "None")),
    "heads": (1, without(COUNTS, "None")), "clip": (1.0, REALS), "seed": (0, SEEDS), "std": (0.05, REALS),
    "record_every": (1, without(COUNTS, "None", "huge")),
    "full": (False, FLAGS), "fixed_batch": (False, FLAGS), "attention": ("linear", without(NAMES, "None")),
    "clip_by": ("global", without(NAMES, "None")),
    "backend": ("numba", without(NAMES, "None")), "schedule": ("linear", SCHEDULES),
    "hidden": (None, without(COUNTS, "None", "zero")),
}  # fmt: skip
CALLS = {  # name: (function, {argument: (a good value, {name: a bad one})})
    "predict": (la.predict, {"params": (PARAMS, P), "Z": (Z, PZ), "attention": ("linear", NAMES)}),
    "loss": (la.loss, {**POINT, "attention": ("linear", NAMES)}),
    "loss_and_grad": (la.loss_and_grad, {**POINT, "attention": ("linear", NAMES), "backend": ("numba", NAMES)}),
    "loss_and_grad softmax": (lambda **given: la.loss_and_grad(attention="softmax", **given), POINT),
    "hvp": (la.hvp, {**POINT, "v": (PARAMS, V), "attention": ("linear", NAMES)}),
    "hessian": (la.hessian, {**POINT, "attention": ("linear", NAMES)}),
    "losses_along": (lambda Z, y, every: la.losses_along(HISTORY, Z, y, every=every),
                     {"Z": (Z, PZ), "y": (Y, PY), "every": (1, without(COUNTS, "huge"))}),
    "init_params": (la.init_params, {"rng": (RNG, RNGS), "layers": (2, COUNTS), "d": (3, COUNTS), "heads": (1, COUNTS),
                                     "std": (0.1, REALS), "full": (False, FLAGS)}),
    "train": (lambda **given: la.train(**given, progress=False), TRAIN),
    "sample": (TASK.sample, {"batch": (5, COUNTS), "rng": (RNG, RNGS)}),
    "RegressionTask": (la.RegressionTask, LAW),
    "NonlinearTask": (la.NonlinearTask, {"n": (5, without(COUNTS, "huge")), "hidden": (4, without(COUNTS, "huge")),
                                         "network_seed": (0, SEEDS)}),
    "LinearTransformer": (la.LinearTransformer, {"d": (3, COUNTS), "layers": (2, COUNTS), "heads": (1, COUNTS),
                                                 "full": (False, FLAGS), "attention": ("linear", NAMES)}),
    "Composed": (la.Composed, {"d": (3, COUNTS), "hidden": (4, COUNTS), "layers": (2, COUNTS), "heads": (1, COUNTS)}),
    "Run": (lambda **given: runs.Run(**{"task": TASK, "optimizer": optimizers.SGD(0.01), "steps": 2, "batch": 5, "layers": 2,
                                        **given}).train(False),
            {"steps": (2, COUNTS), "batch": (5, COUNTS), "layers": (2, COUNTS), "seed": (0, SEEDS), "full": (False, FLAGS),
             "record_every": (1, without(COUNTS, "huge"))}),
    "SGD": (optimizers.SGD, {"lr": (0.1, REALS), "momentum": (0.5, REALS), "layer_rates": ((1.0, 2.0), RATES)}),
    "Muon": (optimizers.Muon, {"lr": (0.1, REALS), "momentum": (0.5, REALS)}),
    "Shampoo": (optimizers.Shampoo, {"lr": (0.1, REALS), "momentum": (0.5, REALS), "beta2": (0.9, REALS), "eps": (1e-8, REALS)}),
    "SOAP": (optimizers.SOAP, {"lr": (0.1, REALS), "beta1": (0.9, REALS), "beta2": (0.9, REALS), "eps": (1e-8, REALS),
                               "every": (2, without(COUNTS, "huge"))}),
    "Newton": (optimizers.Newton, {"lr": (0.1, REALS),
                                   "curvature": (np.diag, {"None": None, "array": np.eye(3), "word": "hessian"}),
                                   "damping": (0.1, REALS), "alpha": (0.5, REALS), "every": (2, without(COUNTS, "huge"))}),
    "Linear": (optimizers.Linear, {"steps": (5, without(COUNTS, "huge"))}),
    "Cosine": (optimizers.Cosine, {"steps": (5, without(COUNTS, "huge"))}),
    "WarmUp": (optimizers.WarmUp, {"steps": (5, without(COUNTS, "huge")), "then": (None, {"word": "linear", "number": 3})}),
    "Adam": (optimizers.Adam, {"second_moment": ("layer", NAMES), "lr": (0.1, REALS), "beta1": (0.9, REALS),
                               "beta2": (0.9, REALS), "eps": (1e-8, REALS)}),
    "AdamW": (optimizers.AdamW, {"lr": (0.1, REALS), "weight_decay": (0.1, REALS)}),
    "clip": (optimizers.clip, {"threshold": (1.0, REALS), "by": ("global", NAMES), "grad": (PARAMS, {"masked": masked(PARAMS)})}),
    "kernels.lanes_from_tokens": (linear.lanes_from_tokens, {"Z": (Z, without(PZ, "wider")), "y": (Y, PY)}),
    "kernels.loss_and_grad": (lambda params: linear.loss_and_grad(params, LANES), {"params": (PARAMS, P)}),
    "kernels.hvps": (lambda params, directions: linear.hvps(params, LANES, directions),
                     {"params": (PARAMS, P), "directions": (PARAMS[None],
                                                            {"short": PARAMS[:1], "NaN": spoiled(PARAMS[None], np.nan)})}),
    "kernels.grouped_gradients": (lambda params, size: linear.grouped_gradients(params, LANES, size),
                                  {"params": (PARAMS, P), "size": (7, without(COUNTS, "huge"))}),
    "kernels.tokens": (lambda params, Z, y, attention: tokens.loss_and_grad(params, Z, y, attention),
                       {**POINT, "attention": ("softmax", NAMES)}),
    "kernels.composed": (lambda theta, Z, y: composed_kernels.loss_and_grad(MODEL, theta, Z, y),
                         {"theta": (THETA, arrays(THETA)), "Z": (Z, PZ), "y": (Y, PY)}),
    "kernels.set_threads": (kernels.set_threads, {"threads": (1, without(COUNTS, "None", "huge"))}),
    "gradient_noise": (noise.gradient_noise, {"params": (PARAMS, P), "task": (TASK, TASKS), "batch": (5, COUNTS),
                                              "draws": (3, COUNTS), "rng": (RNG, RNGS)}),
    "measure_noise": (lambda **given: noise.measure_noise(PARAMS, TASK, 5, 3, RNG, progress=False, **given),
                      {"reference": (None, {"NaN": np.nan, "NaN array": PARAMS * np.nan, "short": PARAMS[0]})}),
    "Objective": (landscape.Objective, {"Z": (Z, without(PZ, "wider")), "y": (Y, PY)}),
    "hessian_diagonal": (landscape.hessian_diagonal, POINT),
    "directional_smoothness": (landscape.directional_smoothness, {**POINT, "direction": (PARAMS, V)}),
    "robust_condition_number": (landscape.robust_condition_number,
                                {"diagonal": (np.arange(1.0, 6.0), without(arrays(np.arange(1.0, 6.0)), "another axis")),
                                 "median": ("lower", NAMES)}),
    "path_smoothness": (lambda params, step, gammas: landscape.path_smoothness(params, step, OBJECTIVE, gammas=gammas),
                        {"params": (PARAMS, P), "step": (PARAMS, V), "gammas": ((0.5,),
                            {"none": (), "NaN": (np.nan,), "word": "half"})}),
    "hill": (tails.hill, {"x": (np.arange(1.0, 30.0), without(arrays(np.arange(1.0, 30.0)), "another axis")), "k": (5, COUNTS)}),
    "mlp.init_network": (mlp.init_network, {"rng": (RNG, RNGS), "d": (3, COUNTS), "hidden": (4, COUNTS)}),
}  # fmt: skip
TABLE = [
    (f"{name}({argument}: {bad})", function, {key: value for key, (value, _) in arguments.items()}, argument, wrong)
    for name, (function, arguments) in CALLS.items()
    for argument, (_, table) in arguments.items()
    for bad, wrong in table.items()
]  # fmt: skip


COMMANDS = {  # command line: what standard error says
    "sweep --batch 1000000000000 --workers 1": "batch: ", "sweep --steps 1000000000000 --workers 1": "steps: ",
    "sweep --batch 1e3": "--batch", "sweep --steps 1.5": "--steps", "sweep --steps -1": "--steps: ",
    "sweep --rates inf": "--rates: ",
    "sweep --rates nan": "--rates: ", "sweep --rates ,": "--rates: ", "sweep --rates 0": "--rates: ",
    "sweep --settings ,": "--settings: ",
    "sweep --optimizers adam": "did you mean 'Adam'", "sweep --schedule linaer": "did you mean 'linear'",
    "sweep --workers 1000000": "--workers: ", "sweep --workers -1": "--workers: ",
    "sweep --dask foo": "--dask: ", "sweep --seeds 1000000000000 --workers 1": "--seeds: ", "sweep --what": "--what",
    "reproduce --workers 1000000": "--workers: ", "reproduce --workers 0": "--workers: ", "reproduce nothing": "nothing",
    "audit --point batch=1000000000000": "batch", "audit --point batch=0": "batch", "audit --point batch=x": "batch",
    "audit --point sigma=nan": "sigma",
    "audit --point layers=1000000000000": "layers", "audit --point full=no": "full", "audit --seed -1": "--seed: ",
    "audit --layer cosine": "--layer",
    "bench --rounds 0": "--rounds: ", "bench --rounds x": "--rounds", "lessons run 99": "NUMBER: expected one of 01",
    "lessons run 1 --folder none": "expected lessons", "lessons run --workers 0 1": "", "lessons": "ACTION",
    "swep": "did you mean 'sweep'",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_wrong_call_takes_long():
    def stop(*_):
        raise AssertionError("this takes too long")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 40)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("function, good, argument, wrong", [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_wrong_call_is_an_error_that_names_the_argument(function, good, argument, wrong):
    with pytest.raises((ValueError, TypeError)) as found:
        function(**{**good, argument: wrong})
    said = str(found.value)
    named = {"layers": "layers", "grad": "grad", "theta": "theta|params"}.get(argument, argument)
    assert any(said.startswith(name) or f" {name}" in said for name in named.split("|")), said


@pytest.mark.parametrize("name", CALLS)
def test_the_good_call_is_none_of_them(name):
    function, arguments = CALLS[name]
    assert function(**{key: value for key, (value, _) in arguments.items()}) is not None or name == "kernels.set_threads"


@pytest.mark.parametrize("line, said", COMMANDS.items(), ids=COMMANDS)
def test_an_absurd_command_line_is_one_line_and_status_2(line, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(line.split())
    except SystemExit as stop:
        status = stop.code
    errors = capsys.readouterr().err
    assert status == 2 and said in errors and "Traceback" not in errors, errors


def test_there_are_more_than_three_hundred():
    assert len(TABLE) + len(COMMANDS) > 300
