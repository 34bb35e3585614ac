"""The composed model as a subject: a ReLU network on the covariates, then linear attention on the state."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._types import Array
from ...layers import gram
from ...layers.marks import keep
from ...measures.composed_diagonal import hessian_diagonal
from ...models import composed
from ...prompts import RegressionTask
from ..checks.arrays import array_row
from ..lines import derivation
from ..row import Row
from ..subject import Subject

HIDDEN = 7  # units of the network under audit: few, so that a line rarely meets a kink


def draw_network(rng: np.random.Generator, point: dict[str, Any]) -> dict[str, Array]:
    """Covariates C (B, N, d) and the network's arrays; away from kinks, since no entry is zero."""
    d, sigma = point["d"], point["sigma"]
    C = rng.standard_normal((point["batch"], point["n"] + 1, d))
    shapes = {"W1": (HIDDEN, d), "b1": (HIDDEN,), "W2": (d + 1, HIDDEN), "b2": (d + 1,)}
    return {"C": C, **{name: sigma * rng.standard_normal(shape) for name, shape in shapes.items()}}


def composed_subject(
    entry: Any, module: Any, stack: Any, rng: np.random.Generator, point: dict[str, Any]
) -> tuple[Subject, Array, Array, Array]:
    """The loss of the composed model as a subject, with ``module`` in the place of the network. -> (subject, theta, Z, y)"""
    module, stack = module or entry.module, stack or composed
    model = composed.Composed(point["d"], point.get("hidden", HIDDEN), point["layers"], point["heads"])
    Z, y = RegressionTask(n=point["n"], d=point["d"]).sample(point["batch"], rng)
    theta = model.init_params(rng, point["sigma"])

    def only(
        mark: Any, backward: bool
    ) -> Callable[[str, Any], Any]:  # C is data: nothing asks for dC here, and the layer's own audit judges its line
        return lambda name, value: mark(name, value) if is_gradient(name) == backward and name not in ("C", "dC") else value

    def run(values: dict[str, Array], mark: Any) -> Any:
        return stack.loss_and_grad_by(model, values["params"], Z, y, only(mark, False), module)[0]

    def back(values: dict[str, Array], _: Any, mark: Any) -> Any:
        return {"params": stack.loss_and_grad_by(model, values["params"], Z, y, only(mark, True), module)[1]}

    def second(values: dict[str, Array], _: Any, v: dict[str, Array]) -> Any:
        return {"params": stack.Linearization(model, values["params"], Z, y, module)(v["params"])}

    weights, matrices = model.split(np.arange(model.size))
    parts = {name: ("params", at) for name, at in zip(("W1", "b1", "W2", "b2"), weights, strict=True)}
    for l in range(model.layers):
        parts |= {f"{l}.{name}": ("params", matrices[l, :, i]) for i, name in enumerate("PQ")}
    lines = {**derivation(gram, "backward"), **derivation(module, "backward"), **derivation(stack, "loss_and_grad_by")}
    title = f"model {entry.name} and attention, L={model.layers} d={model.d} n={point['n']}"
    subject = Subject(
        *(title, run, back, {"params": theta}, second),
        takes_cotangent=False,
        lines=lines,
        parts=parts,
        complete=True,
        source=module.forward,
    )
    return subject, theta, Z, y


def is_gradient(name: str) -> bool:
    """Whether a mark belongs to the backward pass: ``2.dA``."""
    return name.rpartition(".")[2].startswith("d")


def check_composed(subject: Subject, theta: Array, Z: Array, y: Array, point: dict[str, Any], backend: str) -> list[Row]:
    """The public functions against what was audited: the loss, the compiled gradient, the Hessian and its diagonal. -> rows"""
    model = composed.Composed(point["d"], point.get("hidden", HIDDEN), point["layers"], point["heads"])
    audited = subject.backward({"params": theta}, np.ones(()), keep)["params"]
    value, gradient = model.loss_and_grad(theta, Z, y, backend="numpy")
    fast_value, fast = model.loss_and_grad(theta, Z, y, backend)
    H = model.hessian(theta, Z, y)
    return [
        array_row("loss = loss_and_grad", model.loss(theta, Z, y), value, 1e-12, "kernel"),
        array_row("dtheta numpy", gradient, audited, 1e-12, "kernel"),
        array_row(f"loss {backend}", fast_value, value, 1e-12, "kernel"),
        array_row(f"dtheta {backend}", fast, gradient, 1e-12, "kernel"),
        array_row("Hessian H = H'", H, H.T, 1e-12, "second"),
        array_row("diagonal of H", hessian_diagonal(model, theta, Z, y, backend), np.diag(H), 1e-12, "second"),
    ]
