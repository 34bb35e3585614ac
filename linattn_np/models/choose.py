"""From the arguments of ``train`` and ``Run`` to a model; what would be ignored or contradicts another argument is an error."""

from typing import Any

import numpy as np

from .._checks import as_count
from .._types import Array
from .composed import Composed
from .model import Model, as_model
from .transformer import LinearTransformer, transformer_for

DEFAULTS = {"layers": 3, "heads": 1, "full": False, "attention": "linear", "hidden": 0}  # of what is not given
STD = 0.05  # of the first params where nothing is said, for every model, as in the paper's code


def model_from(d: int, model: Any = None, params: Any = None, backend: str | None = None, **given: Any) -> Model:
    """The model that ``train`` is asked for: ``model`` itself, or the one that the other arguments describe.

    d covariates; ``given`` holds layers, heads, full, attention, hidden, None where nothing is said: then ``params`` decide,
    where there are any, or else DEFAULTS. Raises ValueError for two arguments of which one would be ignored, and names both.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if model is not None:
        refuse_both("model", [*given, *(["backend"] if backend is not None else [])], "the model says it itself")
        if getattr(as_model(model), "d", d) != d:
            raise ValueError(f"model: expected d = {d}, as the task has, got {model!r}")
        return model
    backend = "numba" if backend is None else backend
    hidden = as_count("hidden", given.pop("hidden", DEFAULTS["hidden"]), least=0)
    if hidden:
        others = [name for name, truth in (("full", True), ("attention", "linear")) if given.get(name, truth) != truth]
        refuse_both("hidden", [f"{name}={given[name]!r}" for name in others], "its attention is linear and its matrices are full")
        return Composed(d, hidden, given.get("layers", DEFAULTS["layers"]), given.get("heads", DEFAULTS["heads"]), backend)
    if params is None:
        return LinearTransformer(
            d, **{**{n: DEFAULTS[n] for n in ("layers", "heads", "full", "attention")}, **given}, backend=backend
        )
    found, _ = transformer_for(params, d, given.get("attention", DEFAULTS["attention"]), backend)
    for name, value in given.items():
        if value != getattr(found, name):
            raise ValueError(f"params: expected {name} = {value!r}, as the argument {name} says, got {getattr(found, name)!r}")
    return found


def refuse_both(name: str, others: list[str], why: str) -> None:
    """Raise ValueError where arguments are given beside ``name`` that would be ignored."""
    if others:
        raise ValueError(f"{name}: expected no {', '.join(others)} beside it, got both; {why}")


def first_params(model: Model, rng: np.random.Generator, params: Any = None, std: float | None = None) -> Array:
    """The float64 params that a run starts from: those given, or random ones of size ``std`` (default STD)."""
    if params is None:
        return as_real_params(model, model.init_params(rng, STD if std is None else std))
    refuse_both("params", ["std"] if std is not None else [], "std is the size of random params")
    return as_real_params(model, params)


def as_real_params(model: Model, params: Any) -> Array:
    """``params`` in the model's shape and float64. Raises ValueError for another shape and for complex numbers."""
    params = model.as_params(params)
    if params.dtype.kind == "c":
        raise ValueError("params: expected real numbers, got complex ones")
    return params.astype(np.float64)
