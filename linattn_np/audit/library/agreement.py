"""The public functions against each other and against arrays from elsewhere: NumPy, the compiled kernels, another program."""

from collections.abc import Mapping

import numpy as np

from ..._types import Array
from ...layers.marks import keep
from ...models import transformer
from ...models.passes import can_compile
from ..checks.arrays import array_row
from ..report import Report
from ..row import Row
from ..subject import Subject


def check_agreement(subject: Subject, params: Array, Z: Array, y: Array, attention: str, backend: str = "numba") -> list[Row]:
    """The public functions against what was audited: NumPy, the compiled kernels, and the Hessian's symmetry. -> rows"""
    value, gradient = transformer.loss_and_grad(params, Z, y, attention, backend="numpy")
    audited = subject.backward({"params": params}, np.ones(()), keep)["params"]
    rows = [array_row("loss = loss_and_grad", transformer.loss(params, Z, y, attention), value, 1e-12, "kernel")]
    rows.append(array_row("dparams numpy", gradient, audited, 1e-12, "kernel"))
    H = transformer.hessian(params, Z, y, attention, backend="numpy") if params.size <= 400 else None
    if H is not None:
        rows.append(array_row("Hessian H = H'", H, H.T, 1e-12, "second"))
    if attention != "linear" or not can_compile(backend, params):
        return rows
    fast_value, fast = transformer.loss_and_grad(params, Z, y, backend="numba")
    v = np.random.default_rng(params.size).standard_normal(params.shape)
    slow_hvp, fast_hvp = (transformer.hvp(params, Z, y, v, backend=backend) for backend in ("numpy", "numba"))
    rows.append(array_row("loss numba", fast_value, value, 1e-12, "kernel"))
    rows.append(array_row("dparams numba", fast, gradient, 1e-12, "kernel"))
    rows.append(array_row("H v numba", fast_hvp, slow_hvp, 1e-12, "kernel"))
    if H is not None:
        rows.append(array_row("Hessian numba", transformer.hessian(params, Z, y, backend="numba"), H, 1e-12, "kernel"))
    return rows


def audit_arrays(arrays: Mapping[str, Array], seed: int = 0) -> Report:
    """Losses, gradients and Hessians against arrays from elsewhere, keys ``case/array`` as in tests/data/oracle.npz. -> Report"""
    report = Report("arrays from elsewhere", point={"seed": seed})
    for case in dict.fromkeys(key.partition("/")[0] for key in arrays):
        missing = [key for key in ("params", "Z", "y", "loss", "grad") if f"{case}/{key}" not in arrays]
        if missing:
            raise ValueError(f"arrays: expected {case}/params, Z, y, loss and grad; missing {', '.join(missing)}")
        params, Z, y = (arrays[f"{case}/{key}"] for key in ("params", "Z", "y"))
        attention = case if case in ("softmax", "relu") else "linear"
        value, gradient = transformer.loss_and_grad(params, Z, y, attention, backend="numpy")
        report.rows.append(array_row(f"{case} loss", value, arrays[f"{case}/loss"], 1e-12, "arrays"))
        report.rows.append(array_row(f"{case} grad", gradient, arrays[f"{case}/grad"], 1e-12, "arrays"))
        if f"{case}/hessian" in arrays:
            H = transformer.hessian(params, Z, y, attention, backend="numpy")
            report.rows.append(array_row(f"{case} hessian", H, arrays[f"{case}/hessian"], 1e-12, "arrays"))
    return report
