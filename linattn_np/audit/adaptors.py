"""Gradients written by hand for torch and jax, as the two functions that the audit takes. Neither library is imported here:
each adaptor takes it from the caller.

    audit_gradient(*torch_function(torch, MyFunction), theta)        # MyFunction(torch.autograd.Function)
    audit_gradient(*jax_custom_vjp(jax, my_function), theta)         # my_function = jax.custom_vjp(...), with defvjp

theta is a tuple of arrays, the arguments in their order. No complex step passes through either, so differences are the reference;
jax needs ``jax.config.update("jax_enable_x64", True)``, else it rounds to seven digits.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._types import Array


def torch_function(torch: Any, function: Any) -> tuple[Callable, Callable]:
    """A ``torch.autograd.Function`` as (forward, backward) on a tuple of NumPy arrays."""

    def tensors(theta: tuple, wanted: bool) -> list:
        return [torch.tensor(np.asarray(a), requires_grad=wanted and np.asarray(a).dtype.kind == "f") for a in theta]

    def forward(theta: tuple) -> Array:
        real("torch", theta)
        return function.apply(*tensors(theta, False)).detach().numpy()

    def backward(theta: tuple, dout: Array) -> tuple:
        real("torch", theta)
        given = tensors(theta, True)
        out = function.apply(*given)
        wanted = [tensor for tensor in given if tensor.requires_grad]
        found = iter(torch.autograd.grad(out, wanted, torch.tensor(np.asarray(dout)).reshape(out.shape), allow_unused=True))
        return tuple(_gradient(next(found), tensor) if tensor.requires_grad else None for tensor in given)

    return forward, backward


def jax_custom_vjp(jax: Any, function: Callable) -> tuple[Callable, Callable]:
    """A function with ``defvjp`` as (forward, backward) on a tuple of NumPy arrays."""

    def forward(theta: tuple) -> Array:
        real("jax", theta)
        return np.asarray(function(*theta))

    def backward(theta: tuple, dout: Array) -> tuple:
        real("jax", theta)
        out, pull = jax.vjp(function, *theta)
        return tuple(np.asarray(g) for g in pull(jax.numpy.asarray(dout, out.dtype).reshape(out.shape)))

    return forward, backward


def real(library: str, theta: tuple) -> None:
    """Refuse a complex step, which a rule derived for real numbers does not take."""
    if any(np.iscomplexobj(a) for a in theta):
        raise TypeError(f"a rule for real numbers in {library} takes no complex step")


def _gradient(found: Any, tensor: Any) -> Array:
    """A gradient as an array; an argument that was not used has none, which counts as zero."""
    return np.zeros(tuple(tensor.shape)) if found is None else found.detach().numpy()
