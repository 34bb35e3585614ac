"""Bad input to functions and to the command line: each kind gets its own error: the argument, what was expected, what came."""

import numpy as np
import pytest
from points import model_point

import linattn_np as la
from linattn_np import optimizers
from linattn_np.__main__ import main
from linattn_np.training import runs

params, Z, y = model_point()
rng = np.random.default_rng(0)
task = la.RegressionTask(n=3)
nan, infinite = Z.copy(), params.copy()
nan[0, 0, 0], infinite[0, 0, 0, 0, 0] = np.nan, np.inf


def task_with(**settings):
    return lambda: la.RegressionTask(**settings)


def train_with(optimizer=None, steps=2, **settings):
    return lambda: la.train(settings.pop("task", task), optimizer or optimizers.SGD(0.1), steps, **{"batch": 5, **settings})


CASES = {  # name: (the call, what the message says)
    # prompts
    "n zero": (task_with(n=0), "n: expected an integer of at least 1, got 0"),
    "n not whole": (task_with(n=2.5), "n: expected an integer of at least 1, got 2.5"),
    "n a truth value": (task_with(n=True), "n: expected an integer of at least 1, got True"),
    "d zero": (task_with(d=0), "d: expected an integer of at least 1, got 0"),
    "d a string": (task_with(d="5"), "d: expected an integer of at least 1, got '5'"),
    "unknown covariates": (task_with(covariates="uniform"),
                           "covariates: expected one of 'gaussian', 'sphere', 'gamma', got 'uniform'"),
    "gamma shape zero": (task_with(covariates="gamma", gamma_shape=0), "gamma_shape: expected a finite number above 0, got 0"),
    "gamma scale negative": (task_with(covariates="gamma", gamma_scale=-1.0),
                             "gamma_scale: expected a finite number above 0, got -1.0"),
    "noise negative": (task_with(label_noise=-0.1), "label_noise: expected a finite number at least 0, got -0.1"),
    "noise NaN": (task_with(label_noise=float("nan")), "label_noise: expected a finite number at least 0, got nan"),
    "covariance of another size": (task_with(d=3, covariance=np.eye(2)),
                                   r"covariance: expected a symmetric \(3, 3\) matrix, got shape \(2, 2\)"),
    "covariance not symmetric": (task_with(d=2, covariance=[[1.0, 0.5], [0.0, 1.0]]), "covariance: expected a symmetric"),
    "covariance not positive": (task_with(d=2, covariance=[[1.0, 2.0], [2.0, 1.0]]),
                                "covariance: expected a positive definite matrix"),
    "batch zero": (lambda: task.sample(0, rng), "batch: expected an integer of at least 1, got 0"),
    "rng a seed": (lambda: task.sample(5, 0), r"rng: expected .*, got int: a seed\? Write np.random.default_rng\(0\)$"),
    "rng a truth value": (lambda: task.sample(5, True), "rng: expected a numpy.random.Generator such as .*, got bool$"),
    "rng missing": (lambda: task.sample(5, None), "rng: expected a numpy.random.Generator such as .*, got NoneType$"),
    # params
    "layers zero": (lambda: la.init_params(rng, layers=0), "layers: expected an integer of at least 1, got 0"),
    "heads negative": (lambda: la.init_params(rng, heads=-1), "heads: expected an integer of at least 1, got -1"),
    "std negative": (lambda: la.init_params(rng, std=-0.1), "std: expected a finite number at least 0, got -0.1"),
    "init rng missing": (lambda: la.init_params(None), "rng: expected a numpy.random.Generator such as .*, got NoneType"),
    "params of four axes": (lambda: la.loss(params[0], Z, y),
                            r"params: expected shape \(layers, heads, 2, k, k\), got \(2, 2, 4, 4\)"),
    "params not square": (lambda: la.loss(params[..., :3], Z, y),
                          r"params: expected shape \(layers, heads, 2, k, k\), got \(3, 2, 2, 4, 3\)"),
    "params without P and Q": (lambda: la.loss(params[:, :, :1], Z, y),
                               r"params: expected shape \(layers, heads, 2, k, k\), got \(3, 2, 1, 4, 4\)"),
    "params without layers": (lambda: la.loss(params[:0], Z, y), r"params: expected shape \(layers, heads, 2, k, k\), got \(0, "),
    "params of another d": (lambda: la.loss(params[..., :3, :3], Z, y),
                            r"params: expected k = d = 4 or k = d\+1 = 5 .*got k = 3$"),
    "params infinite": (lambda: la.loss_and_grad(infinite, Z, y),
                        "params: expected finite numbers, got 1 NaN or infinite entries"),
    "params strings": (lambda: la.loss(params.astype(str), Z, y), "params: expected real or complex numbers, got dtype <U"),
    "params objects": (lambda: la.predict(params.astype(object), Z),
                       "params: expected real or complex numbers, got dtype object"),
    "params ragged": (lambda: la.predict([[1.0], [1.0, 2.0]], Z),
                      "params: expected an array of numbers, got one that NumPy cannot make"),
    # Z and y
    "Z of two axes": (lambda: la.predict(params, Z[0]),
                      r"Z: expected shape \(batch, n\+1, d\+1\) .*, got \(12, 5\); tokens are rows"),
    "Z without examples": (lambda: la.predict(params, Z[:, :1]),
                           r"Z: expected shape \(batch, n\+1, d\+1\) with batch, n, d >= 1, got \(7, 1, 5\)"),
    "Z without prompts": (lambda: la.predict(params, Z[:0]), r"Z: expected shape .*, got \(0, 12, 5\)"),
    "Z NaN": (lambda: la.loss(params, nan, y), "Z: expected finite numbers, got 1 NaN or infinite entries"),
    "Z objects": (lambda: la.loss(params, Z.astype(object), y), "Z: expected real or complex numbers, got dtype object"),
    "Z with tokens as columns": (lambda: la.loss(params, Z.swapaxes(1, 2), y),
                                 r"params: expected k = d = 11 or .*, got k = 4; tokens are rows: is Z transposed\? "),
    "Z and params exchanged": (lambda: la.loss_and_grad(Z, params, y),
                               r"params: .*, got \(7, 12, 5\); is this Z\? params come first: \(params, Z, y\)"),
    "Z exchanged with y": (lambda: la.loss_and_grad(params, params, y),
                           r"Z: .*; are these params\? They come first: \(params, Z, y\)"),
    "y of another batch": (lambda: la.loss(params, Z, y[:-1]),
                           r"y: expected shape \(7,\), one label for each prompt of Z, got \(6,\)"),
    "y of two axes": (lambda: la.loss_and_grad(params, Z, y[:, None]), r"y: expected shape \(7,\), .*, got \(7, 1\)"),
    "y complex": (lambda: la.loss(params, Z, y + 0j), "y: expected real numbers, got dtype complex128"),
    "y infinite": (lambda: la.hvp(params, Z, np.full(7, np.inf), params), "y: expected finite numbers, got 7"),
    # directions, attention, backend
    "v of another shape": (lambda: la.hvp(params, Z, y, params[0]),
                           r"v: expected the shape of params, \(3, 2, 2, 4, 4\), got \(2, 2, 4, 4\)"),
    "v NaN": (lambda: la.hvp(params, Z, y, np.full(params.shape, np.nan)), "v: expected finite numbers, got 192"),
    "unknown attention": (lambda: la.predict(params, Z, "cosine"),
                          "attention: expected one of 'linear', 'softmax', 'relu', got 'cosine'"),
    "attention by another case": (lambda: la.predict(params, Z, attention="Softmax"),
                                  "attention: .*, got 'Softmax'; did you mean 'softmax'\\?$"),
    "attention with a slip": (lambda: la.predict(params, Z, attention="linaer"), "did you mean 'linear'\\?$"),
    "attention that nothing is near": (lambda: la.predict(params, Z, attention="x"), "got 'x'$"),
    "attention not a string": (lambda: la.hessian(params, Z, y, 3),
                               "attention: expected one of 'linear', 'softmax', 'relu', got 3"),
    "unknown backend": (lambda: la.loss_and_grad(params, Z, y, backend="torch"),
                        "backend: expected one of 'numba', 'numpy', got 'torch'"),
    "threads zero": (lambda: la.kernels.set_threads(0), "threads: expected an integer of at least 1, or None, got 0"),
    # optimizers
    "rate negative": (lambda: optimizers.SGD(-0.1), "lr: expected a finite number at least 0, got -0.1"),
    "rate NaN": (lambda: optimizers.Adam(float("nan")), "lr: expected a finite number at least 0, got nan"),
    "rate a string": (lambda: optimizers.RMSProp("0.1"), "lr: expected a finite number at least 0, got '0.1'"),
    "momentum one": (lambda: optimizers.SGD(0.1, momentum=1.0),
                     "momentum: expected a finite number at least 0 and below 1, got 1.0"),
    "beta1 negative": (lambda: optimizers.Adam(0.1, beta1=-0.5),
                       "beta1: expected a finite number at least 0 and below 1, got -0.5"),
    "beta2 above one": (lambda: optimizers.AdamW(0.1, beta2=1.5),
                        "beta2: expected a finite number at least 0 and below 1, got 1.5"),
    "alpha one": (lambda: optimizers.RMSProp(0.1, alpha=1), "alpha: expected a finite number at least 0 and below 1, got 1"),
    "eps negative": (lambda: optimizers.Adagrad(0.1, eps=-1e-8), "eps: expected a finite number at least 0, got -1e-08"),
    "decay negative": (lambda: optimizers.AdamW(0.1, weight_decay=-1.0),
                       "weight_decay: expected a finite number at least 0, got -1.0"),
    "second moment unknown": (lambda: optimizers.Adam(0.1, second_moment="row"),
                              "second_moment: expected one of 'coordinate', 'block', 'layer', 'global', got 'row'"),
    "layer rates a number": (lambda: optimizers.SGD(0.1, layer_rates=2.0),
                             "layer_rates: expected None or a sequence of numbers, one for each layer, got 2.0"),
    "layer rate negative": (lambda: optimizers.SGD(0.1, layer_rates=(1.0, -1.0)),
                            "layer_rates: expected a finite number at least 0, got -1.0"),
    "Muon's momentum one": (lambda: optimizers.Muon(0.1, 1.0),
                            "momentum: expected a finite number at least 0 and below 1, got 1.0"),
    "SOAP's every zero": (lambda: optimizers.SOAP(0.1, every=0), "every: expected an integer of at least 1, got 0"),
    "Shampoo's beta2 one": (lambda: optimizers.Shampoo(0.1, beta2=1.0),
                            "beta2: expected a finite number at least 0 and below 1, got 1.0"),
    "Newton's damping negative": (lambda: optimizers.Newton(0.1, np.diag, damping=-1.0),
                                  "damping: expected a finite number at least 0, got -1.0"),
    "curvature an array": (lambda: optimizers.Newton(0.1, np.eye(3)),
                           r"curvature: expected a function of params, such as Objective\(Z, y\).hessian, got array"),
    "layer rates of another depth": (train_with(optimizers.SGD(0.1, layer_rates=(1, 2))),
                                     "layer_rates: expected 3 numbers, one for each layer, got 2"),
    "schedule unknown": (train_with(schedule="lin"), "schedule: expected one of 'linear', 'cosine', got 'lin'"),
    "schedule a number": (train_with(schedule=0.5),
                          "schedule: expected None, 'linear', 'cosine' or a function of the step, .* got 0.5"),
    "schedule below 0": (train_with(schedule=lambda t: -1.0), "schedule: expected a finite number at least 0, got -1.0"),
    "threshold zero": (lambda: optimizers.clip(params, 0.0), "threshold: expected a finite number above 0, got 0.0"),
    "unknown clipping": (lambda: optimizers.clip(params, 1.0, "layer"),
                         "by: expected one of 'global', 'block', 'coordinate', got 'layer'"),
    # training
    "task a dictionary": (train_with(task={"n": 3}), "task: expected a RegressionTask, got dict"),
    "optimizer a class": (train_with(optimizers.SGD),
                          r"optimizer: .* got <class '.*SGD'>. Did you mean la.optimizers.SGD\(0.02\)\?$"),
    "optimizer a name": (train_with("adam"),
                         r"optimizer: expected an .*, got 'adam'. Did you mean la.optimizers.Adam\(0.02\)\?$"),
    "optimizer an unknown name": (train_with("lion"), "optimizer: expected an instance with init and update, .*, got 'lion'$"),
    "steps zero": (train_with(steps=0), "steps: expected an integer of at least 1, got 0"),
    "training batch zero": (train_with(batch=0), "batch: expected an integer of at least 1, got 0"),
    "seed negative": (train_with(seed=-1), "seed: expected an integer of at least 0, got -1"),
    "seed not whole": (train_with(seed=0.5), "seed: expected an integer of at least 0, got 0.5"),
    "clip negative": (train_with(clip=-1.0), "clip: expected a finite number above 0, got -1.0"),
    "clip_by unknown": (train_with(clip_by="value"), "clip_by: expected one of 'global', 'block', 'coordinate', got 'value'"),
    "record_every zero": (train_with(record_every=0), "record_every: expected an integer of at least 1, got 0"),
    "training attention unknown": (train_with(attention="none"),
                                   "attention: expected one of 'linear', 'softmax', 'relu', got 'none'"),
    "start of another d": (train_with(params=params), r"params: expected k = d = 5 or k = d\+1 = 6, got k = 4"),
    "progress a word": (train_with(progress="yes"), "progress: expected one of 'None', 'True', 'False', got 'yes'"),
    "run of an unknown optimizer": (
        lambda: runs.Run.from_dict({"optimizer": {"name": "Sophia", "lr": 1.0}, "task": {}}),
        "optimizer: expected one of .*, got 'Sophia'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("call, message", CASES.values(), ids=CASES)
def test_bad_input_is_answered_by_its_own_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


COMMAND_LINES = {  # name: (arguments, what standard error says)
    "no command": ([], "the following arguments are required: COMMAND"),
    "unknown command": (["train"], "invalid choice: 'train'"),
    "unknown figure": (["reproduce", "adam_vs_lion"], "NAME: expected one of 'adam_vs_sgd'"),
    "unknown option": (["reproduce", "--slow"], "unrecognized arguments: --slow"),
    "no workers": (["reproduce", "--workers", "0"], "--workers: expected an integer of at least 1, got 0"),
    "workers a word": (["reproduce", "--workers", "two"], "argument --workers: invalid int value: 'two'"),
    "rates words": (["sweep", "--rates", "fast"], "--rates: expected numbers separated by commas, got 'fast'"),
    "rates negative": (["sweep", "--rates", "-0.1"], "--rates: expected a finite number above 0, got -0.1"),
    "unknown setting": (["sweep", "--settings", "setting9"], "--settings: expected one of 'setting1'"),
    "unknown optimizer": (["sweep", "--optimizers", "Lion"], "--optimizers: expected one of 'SGD'"),
    "no seeds": (["sweep", "--seeds", "0"], "--seeds: expected an integer of at least 1, got 0"),
    "no steps": (["sweep", "--steps", "0"], "--steps: expected an integer of at least 1, got 0"),
    "batch negative": (["sweep", "--batch", "-5"], "--batch: expected an integer of at least 1, got -5"),
    "sweep without workers": (["sweep", "--workers", "0"], "--workers: expected an integer of at least 1, got 0"),
    "both executors": (["sweep", "--workers", "2", "--dask", "tcp://x"], "argument --dask: not allowed with argument --workers"),
    "no rounds": (["bench", "--rounds", "0"], "--rounds: expected an integer of at least 1, got 0"),
    "unknown layer": (["audit", "--layer", "convolution"], "argument --layer: invalid choice: 'convolution'"),
    "point without value": (["audit", "--point", "sigma"], "--point"),
    "module not there": (["audit", "--function", "no_such_module:subject"], "no_such_module"),
    "no lessons here": (
        ["lessons", "run", "1", "--folder", "none"],
        "folder: expected lessons as none/source/NN_slug.py, got none",
    ),
}


def needs(arguments):
    """What the command asks for before it reads its own options: `bench` stops at once where Numba is absent."""
    return [pytest.mark.numba] if arguments[:1] == ["bench"] else []


@pytest.mark.parametrize(
    "arguments, message", [pytest.param(*case, id=name, marks=needs(case[0])) for name, case in COMMAND_LINES.items()]
)
def test_bad_command_lines_are_one_message_and_status_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    errors = capsys.readouterr().err
    assert status == 2 and message in errors and "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_there_are_at_least_sixty_kinds():
    assert len(CASES) + len(COMMAND_LINES) >= 60
