"""``audit_model``: the loss of a whole model, the library's own line by line, and any other that keeps to the protocol."""

from types import ModuleType
from typing import Any

import numpy as np

from ..._checks import one_of
from ..._types import Array
from ...models import stack as stack_module
from ...models.composed import Composed
from ...models.model import as_model, passes_of
from ...models.transformer import LinearTransformer, init_params
from ...prompts import RegressionTask
from ..gradient import audit_gradient, audit_subject
from ..lines import derivation
from ..report import Report
from ..subject import Line, Subject
from .agreement import check_agreement
from .composed import check_composed, composed_subject, is_gradient
from .registry import Entry, as_point, entry_of, known_layers, sizes_of_one


def audit_model(
    name: str = "linear",
    *,
    model: Any = None,
    module: ModuleType | None = None,
    stack: ModuleType | None = None,
    backend: str = "numba",
    seed: int = 0,
    **point: Any,
) -> Report:
    """Judge the gradient of the loss of a whole model, and every line of every layer in it. -> Report

    model an instance of anything that has ``init_params``, ``as_params`` and ``loss_and_grad``, see ``models/model.py``: the
    library's own are judged line by line, others by their loss, which should take complex params. Otherwise
    name one of the registered layers that can be stacked; module and stack stand in for the layer's module and for
    ``models.stack``. point: layers, d, n, batch, heads, sigma, full, symmetric; default layers=3, d=5, n=20, batch=8,
    sigma=0.3. Linear layers are also compared with the compiled kernels, unless backend is "numpy". Under 5 s at the default.
    """
    if model is not None:
        return audit_instance(model, backend, seed, point)
    one_of("name", name, known_layers(stacks=True))
    point, entry = as_point(name, point), entry_of(name)
    rng = np.random.default_rng([seed, 2])
    subject, params, Z, y = model_subject(entry, module, stack, rng, point)
    report = audit_subject(subject, seed)
    report.point = {"layer": name, "seed": seed, **point}
    if entry.composed:
        report.extend(check_composed(subject, params, Z, y, point, backend))
    else:
        report.extend(check_agreement(subject, params, Z, y, entry.attention, backend))
    report.extend(sizes_of_one(point, layers=True))
    return report


def audit_instance(model: Any, backend: str, seed: int, point: dict[str, Any]) -> Report:
    """Any model as it stands. point: n, batch, sigma (the std of its first params), d where the model does not say it."""
    as_model(model)
    known = {key: getattr(model, key) for key in ("d", "layers", "heads", "full") if hasattr(model, key)}
    clash = [key for key in point if key in known and point[key] != known[key]]
    if clash:
        raise ValueError(f"point: the model has {clash[0]} = {known[clash[0]]} itself, got {clash[0]}={point[clash[0]]}")
    if isinstance(model, LinearTransformer):
        return audit_model(model.attention, backend=backend, seed=seed, **{**known, **point})
    if isinstance(model, Composed):
        return audit_model("mlp", backend=backend, seed=seed, **{**known, **point, "hidden": model.hidden})
    at = as_point("linear", {**{key: known[key] for key in ("d",) if key in known}, **point})
    rng = np.random.default_rng([seed, 6])
    Z, y = RegressionTask(n=at["n"], d=at["d"]).sample(at["batch"], rng)
    params = model.as_params(model.init_params(rng, at["sigma"]))
    passes = passes_of(model, params)
    hvp = None  # the generic passes would take a complex step of the gradient, and so does the audit
    if hasattr(model, "hvps") or hasattr(model, "passes"):
        hvp = lambda theta, v: passes.hvps(theta, passes.prepare(Z, y), v[None])[0]
    report = audit_gradient(
        lambda theta: model.loss_and_grad(theta, Z, y)[0],
        lambda theta: model.loss_and_grad(theta, Z, y)[1],
        params,
        hvp=hvp,
        seed=seed,
        title=f"model {type(model).__name__}",
    )
    report.point = {"model": repr(model), "seed": seed, **{key: at[key] for key in ("d", "n", "batch", "sigma")}}
    return report.extend(sizes_of_one(at, layers=True))


def model_subject(
    entry: Entry, module: Any, stack: Any, rng: np.random.Generator, point: dict[str, Any]
) -> tuple[Subject, Array, Array, Array]:
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

    def run(values: dict[str, Array], mark: Any) -> Any:
        seen = lambda name, value: value if is_gradient(name) else mark(name, value)
        return stack.loss_and_grad_by(module, values["params"], X, y, D, seen)[0]

    def back(values: dict[str, Array], _: Any, mark: Any) -> Any:
        seen = lambda name, value: mark(name, value) if is_gradient(name) else value
        return {"params": stack.loss_and_grad_by(module, values["params"], X, y, D, seen)[1]}

    def second(values: dict[str, Array], _: Any, v: dict[str, Array]) -> Any:
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


def _readout_line(module: Any) -> Line:
    """What enters the last layer's backward: the readout's line, whose number stands in its docstring."""
    says = (module.readout_backward.__doc__ or "").strip().splitlines()[0]
    number, _, text = says.partition(")")
    return Line("dout", number.strip("( "), text.strip())
