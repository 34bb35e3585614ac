"""``audit_layer`` and ``audit_model``: the library's own layers and stacks as subjects. A new layer is registered in one line."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ..._checks import as_count, as_real, one_of
from ...layers import general_attention, gram, mlp, relu_attention, softmax_attention
from ...layers import linear_attention as attention
from ...models import stack as stack_module
from ...models.transformer import init_params
from ...prompts import RegressionTask
from ..checks.tangents import check_tangents
from ..gradient import audit_subject
from ..lines import derivation
from ..row import CANNOT_JUDGE, Row
from ..subject import Line, Subject
from .agreement import check_agreement
from .composed import check_composed, composed_subject, draw_network

DEFAULT_POINT = {"layers": 3, "d": 5, "n": 20, "batch": 8, "heads": 1, "sigma": 0.3, "full": False, "symmetric": False}
REGISTRY = {}


@dataclass(frozen=True)
class Entry:
    """A layer as the audit knows it: its module, how to draw its inputs, and the points that suit it."""

    name: str
    module: ModuleType
    draw: object  # (rng, point) -> {argument of forward: array or NamedTuple of arrays}
    attention: str  # its name in transformer.loss, or ""
    residual: tuple  # entries of theta that the residual carries through
    smooth: bool  # False: kinks, so the Taylor test needs few scores
    composed: bool  # its model is attention on the features that it makes
    built_on: tuple[ModuleType, ...]  # layers that it calls, whose lines are then among its own
    options: Callable[[dict[str, Any]], dict[str, Any]]  # point -> what its forward is told beside its arrays

    @property
    def stacks(self):
        """Whether there is a whole model made of it."""
        return bool(self.attention) or self.composed


def register(
    name: str,
    module: ModuleType,
    draw: Callable[[np.random.Generator, dict[str, Any]], dict[str, Any]],
    attention: str = "",
    residual: tuple[str, ...] = (),
    smooth: bool = True,
    composed: bool = False,
    built_on: tuple[ModuleType, ...] = (),
    options: Callable[[dict[str, Any]], dict[str, Any]] = lambda point: {},
) -> None:
    """Make a layer known to the audit. Its module has forward, backward, tangent, backward_tangent, as linear_attention.py."""
    REGISTRY[name] = Entry(name, module, draw, attention, residual, smooth, composed, built_on, options)


def draw_tokens(rng, point):
    """Z (B, n+1, d+1) and generic P, Q (H, d+1, d+1)."""
    D, shape = point["d"] + 1, (point["batch"], point["n"] + 1, point["d"] + 1)
    return {"Z": rng.standard_normal(shape), **_matrices(rng, point, D)}


def draw_state(rng, point):
    """A state with a general G, so that no line can lean on its symmetry, and generic P, Q."""
    B, D, n = point["batch"], point["d"] + 1, point["n"]
    state = gram.State(rng.standard_normal((B, D, D)) * n, rng.standard_normal((B, D)), n)
    return {"state": state, **_matrices(rng, point, D)}


def draw_general(rng: np.random.Generator, point: dict[str, Any]) -> dict[str, Any]:
    """Tokens, P and Q as for linear attention, and a generic skip R (d+1, d+1)."""
    tokens = draw_tokens(rng, point)
    R = point["sigma"] * rng.standard_normal((point["d"] + 1, point["d"] + 1))
    return {**tokens, "R": R + R.mT if point["symmetric"] else R}


def causal(point: dict[str, Any]) -> dict[str, Any]:
    """A mask over pairs and a factor 1/n of no importance, so that no line can lean on the paper's."""
    return {"mask": np.tri(point["n"] + 1), "n": 3.7}


def _matrices(rng, point, D):
    out = {}
    for name in ("P", "Q"):
        X = point["sigma"] * rng.standard_normal((point["heads"], D, D))
        out[name] = X + X.mT if point["symmetric"] else X
    return out


register("linear", attention, draw_tokens, "linear", residual=("Z",))
register("state", gram, draw_state, "linear", residual=("G", "z"))
register("softmax", softmax_attention, draw_tokens, "softmax", residual=("Z",))
register("relu", relu_attention, draw_tokens, "relu", residual=("Z",), smooth=False)
register("general", general_attention, draw_general, residual=("Z",), built_on=(attention,), options=causal)
register("mlp", mlp, draw_network, smooth=False, composed=True)


def as_point(name, point):
    """The default point with what was asked put in its place; few scores where the layer has kinks."""
    few = {} if REGISTRY[name].smooth else {"batch": 2, "n": 5}
    unknown = [key for key in point if key not in DEFAULT_POINT]
    if unknown:
        raise ValueError(f"point: expected some of {', '.join(DEFAULT_POINT)}, got {', '.join(unknown)}")
    point = {**DEFAULT_POINT, **few, **point}
    for key in ("layers", "d", "n", "batch", "heads"):
        as_count(key, point[key])
    as_real("sigma", point["sigma"], least=0)
    for key in ("full", "symmetric"):
        point[key] = bool(point[key])
    return point


def audit_layer(name, *, module=None, seed=0, **point):
    """Judge one layer by itself, with generic P and Q and a random cotangent. -> Report

    name one of the registered layers; module another module with the same functions, such as your own copy, audited in its
    place. point: d, n, batch, heads, sigma, symmetric. Raises ValueError for an unknown name or a point out of range.
    """
    one_of("name", name, tuple(REGISTRY))
    point = as_point(name, {"heads": 2, **point})  # with one head a mistake of "the first head alone" would not show
    subject = layer_subject(REGISTRY[name], module, np.random.default_rng([seed, 1]), point)
    report = audit_subject(subject, seed)
    rng, entry = np.random.default_rng([seed, 5]), REGISTRY[name]
    if not any(row.check == "oracle" and row.verdict == CANNOT_JUDGE for row in report.rows):  # else: a kink, at any step
        report.extend(check_tangents(module or entry.module, layer_inputs(entry, rng, point), rng, entry.options(point)))
    report.point = {"layer": name, "seed": seed, **{k: point[k] for k in ("d", "n", "batch", "heads", "sigma", "symmetric")}}
    _say_small(report, point, layers=False)
    return report


def audit_model(name="linear", *, module=None, stack=None, backend="numba", seed=0, **point):
    """Judge the gradient of the loss of a whole model, and every line of every layer in it. -> Report

    name one of the registered layers that can be stacked; module and stack stand in for the layer's module and for
    ``models.stack``. point: layers, d, n, batch, heads, sigma, full, symmetric; default layers=3, d=5, n=20, batch=8,
    sigma=0.3. Linear layers are also compared with the compiled kernels, unless backend is "numpy". Under 5 s at the default.
    """
    one_of("name", name, tuple(key for key, entry in REGISTRY.items() if entry.stacks))
    point, entry = as_point(name, point), REGISTRY[name]
    rng = np.random.default_rng([seed, 2])
    subject, params, Z, y = model_subject(entry, module, stack, rng, point)
    report = audit_subject(subject, seed)
    report.point = {"layer": name, "seed": seed, **point}
    if entry.composed:
        report.extend(check_composed(subject, params, Z, y, point, backend))
    else:
        report.extend(check_agreement(subject, params, Z, y, entry.attention, backend))
    _say_small(report, point, layers=True)
    return report


def layer_inputs(entry: Entry, rng: np.random.Generator, point: dict[str, Any]) -> dict[str, Any]:
    """What the layer's forward takes, by name, in its order."""
    drawn = entry.draw(rng, point)
    return {name: drawn[name] for name in inspect.signature(entry.module.forward).parameters if name in drawn}


def layer_subject(entry, module, rng, point):
    """One layer as a subject: theta holds every array that its forward takes."""
    module, options = module or entry.module, entry.options(point)
    inputs = layer_inputs(entry, rng, point)
    order = list(inputs)
    theta = {key: array for name in order for key, array in _fields(name, inputs[name]).items()}

    def rebuild(values):
        return [_refill(name, inputs[name], values) for name in order]

    def run(values, mark):
        return _flat(module.forward(*rebuild(values), mark, **options)[0])

    def back(values, cotangent, mark):
        out, tape = module.forward(*rebuild(values), **options)
        return _collect(order, module.backward(_unflat(cotangent, out), tape, mark))

    def second(values, cotangent, v):
        out, tape = module.forward(*rebuild(values), **options)
        _, vtape = module.tangent(*rebuild(v), tape)
        dout = _unflat(cotangent, out)
        return _collect(order, module.backward_tangent(dout, _unflat(0.0 * cotangent, out), tape, vtape))

    def carried(u):
        return np.concatenate([u[key].ravel() for key in entry.residual])

    title, residual = f"layer {entry.name}", carried if entry.residual else None
    lines = {name: line for part in (*entry.built_on, module) for name, line in derivation(part, "backward").items()}
    return Subject(title, run, back, theta, second, lines=lines, complete=True, source=module.forward, residual=residual)


def model_subject(entry, module, stack, rng, point):
    """A stack and its loss as a subject. -> (subject, params, Z, y)"""
    if entry.composed:
        return composed_subject(entry, module, stack, rng, point)
    module, stack = module or entry.module, stack or stack_module
    D, heads, layers = point["d"] + 1, point["heads"], point["layers"]
    Z, y = RegressionTask(n=point["n"], d=point["d"]).sample(point["batch"], rng)
    params = init_params(rng, layers, point["d"], heads, point["sigma"], point["full"])
    if point["symmetric"]:
        params = params + params.mT
    X = module.compress(Z) if hasattr(module, "compress") else Z

    def run(values, mark):
        seen = lambda name, value: value if name.rpartition(".")[2].startswith("d") else mark(name, value)
        return stack.loss_and_grad_by(module, values["params"], X, y, D, seen)[0]

    def back(values, _, mark):
        seen = lambda name, value: mark(name, value) if name.rpartition(".")[2].startswith("d") else value
        return {"params": stack.loss_and_grad_by(module, values["params"], X, y, D, seen)[1]}

    def second(values, _, v):
        return {"params": stack.Linearization(module, values["params"], X, y, D)(v["params"])}

    parts = {f"{l}.{name}": ("params", (l, slice(None), i)) for l in range(layers) for i, name in enumerate("PQ")}
    lines = {**derivation(module, "backward"), **derivation(stack, "loss_and_grad_by")}
    lines["dout"] = _readout_line(module)
    title = f"model {entry.name}, L={layers} d={point['d']} n={point['n']}, {'full' if point['full'] else 'd x d'} blocks"
    subject = Subject(
        *(title, run, back, {"params": params}, second),
        takes_cotangent=False,
        lines=lines,
        parts=parts,
        complete=True,
        source=module.forward,
    )
    return subject, params, Z, y


def _readout_line(module):
    """What enters the last layer's backward: the readout's line, whose number stands in its docstring."""
    says = (module.readout_backward.__doc__ or "").strip().splitlines()[0]
    number, _, text = says.partition(")")
    return Line("dout", number.strip("( "), text.strip())


def _say_small(report, point, layers):
    """Sizes of one hide what only shows at two: say which, as rows."""
    hidden = {"n": "1/n and 1 are the same", "d": "a matrix and its transpose are the same"}
    if layers:
        hidden["batch"] = "a mean over the batch and a sum are the same"
    for key, what in hidden.items():
        if point[key] == 1:
            report.rows.append(Row("point", f"{key} = 1", 1.0, None, None, None, CANNOT_JUDGE, f"at {key} = 1 {what}"))


def _fields(name, value):
    """The float arrays inside one argument: itself, or the fields of a NamedTuple."""
    if hasattr(value, "_fields"):
        return {key: item for key, item in value._asdict().items() if isinstance(item, np.ndarray)}
    return {name: value}


def _refill(name, like, values):
    """The argument with its arrays taken from ``values``."""
    if hasattr(like, "_fields"):
        return like._replace(**{key: values[key] for key in _fields(name, like)})
    return values[name]


def _flat(out):
    """An output as one array: a NamedTuple's arrays one after the other."""
    return np.concatenate([item.ravel() for item in _fields("out", out).values()])


def _unflat(flat, like):
    """The inverse of :func:`_flat`, shaped like ``like``."""
    fields, start, parts = _fields("out", like), 0, {}
    for key, item in fields.items():
        parts[key] = flat[start : start + item.size].reshape(item.shape)
        start += item.size
    return like._replace(**parts) if hasattr(like, "_fields") else parts["out"]


def _collect(order, gradients):
    """The gradients that a layer's backward returns, by the names of theta."""
    return {key: array for name, value in zip(order, gradients, strict=True) for key, array in _fields(name, value).items()}
