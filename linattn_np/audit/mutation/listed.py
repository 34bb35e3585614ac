"""All mutations, from the data of ``catalogue``, ``shared``, ``tangents``, ``alone``, ``habits`` and ``optimizer_mistakes``."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from . import alone, catalogue, habits, optimizer_mistakes, shared, tangents
from .mutant import Mutation, apply

CATALOGUE = tuple(
    Mutation(key, module, old, new, line, slip, hint, "".join(why))
    for module, entries in catalogue.MODULES.items()
    for key, line, slip, hint, old, new, *why in entries
)
LINES = {mutation.id: mutation for mutation in CATALOGUE}
SHARED = tuple(
    Mutation(f"{kind}_{key}", f"{kind}_attention", m.old, m.new, m.line, m.slip, m.hint)
    for kind in ("softmax", "relu")
    for key in shared.ATTENTION
    for m in [LINES[key]]
)


def _tangents(module: str, prefix: str, entries: Iterable[Any], **words: str) -> tuple[Mutation, ...]:
    """Mutations of the tangents of a layer; ``words`` are filled into the texts."""
    return tuple(
        Mutation(
            f"{prefix}_{key}",
            module,
            old.format(**words),
            new.format(**words),
            line.format(**words),
            slip,
            "",
            "".join(why),
            kind="tangent",
        )
        for key, line, slip, old, new, *why in entries
    )


TANGENTS = (
    *_tangents("linear_attention", "linear", (*tangents.ATTENTION, *tangents.LINEAR), scores="vW", mask="mask"),
    *_tangents("softmax_attention", "softmax", (*tangents.ATTENTION, *tangents.SOFTMAX), scores="vE", mask="key_mask(N)"),
    *_tangents("relu_attention", "relu", (*tangents.ATTENTION, *tangents.RELU), scores="vW", mask="key_mask(N)"),
    *_tangents("gram", "state", tangents.STATE),
    *_tangents("general_attention", "general", tangents.GENERAL),
    *_tangents("mlp", "network", tangents.NETWORK),
    *(mutation for module, entries in alone.TANGENTS.items() for mutation in _tangents(module, module, entries)),
)
PRODUCTS = tuple(
    Mutation(key, module, old, new, line, slip, "", kind=kind)
    for module, kind, entries in (
        ("stack", "product", tangents.STACK),
        ("composed", "product", tangents.COMPOSED),
        ("composed_diagonal", "diagonal", tangents.DIAGONAL),
    )
    for key, line, slip, old, new in entries
)
GENERAL = tuple(
    Mutation(f"general_{key}", "general_attention", old, new, line, slip, "", kind="layer")
    for key, line, slip, old, new in shared.GENERAL
)
ALONE = tuple(
    Mutation(f"{module}_{key}", module, old, new, line, slip, "", kind="layer")
    for module, entries in alone.LAYERS.items()
    for key, line, slip, old, new in entries
)
HABITS = tuple(
    Mutation(key, module, old, new, line, slip, "", kind="habit", also=tuple(also))
    for module, entries in (("linear_attention", habits.LINEAR), ("softmax_attention", habits.SOFTMAX))
    for key, line, slip, (old, new), *also in entries
)
OPTIMIZERS = tuple(
    Mutation(key, f"optimizers.{module}", old, new, line, slip, "", kind="optimizer")
    for module, entries in optimizer_mistakes.MODULES.items()
    for key, line, slip, old, new in entries
)
EVERY = (*CATALOGUE, *SHARED, *GENERAL, *ALONE, *TANGENTS, *PRODUCTS, *HABITS, *OPTIMIZERS)


def find_slip(module: str, function: str, answer: Any, *arguments: Any) -> Mutation | None:
    """The mutation whose ``function`` gives ``answer``, for a hint to a reader; None when no mutation does.

    ``find_slip("linear_attention", "backward", (dZ, dP, dQ), dout, tape).hint`` may be "one use of Z is missing". Cost: one call
    each.
    """
    answer = answer if isinstance(answer, tuple) else (answer,)
    for mutation in CATALOGUE:
        if mutation.module != module or not mutation.hint or mutation.function != function:
            continue
        made = getattr(apply(mutation), function)(*arguments)
        made = made if isinstance(made, tuple) else (made,)
        if len(made) == len(answer) and all(_agree(a, b) for a, b in zip(made, answer, strict=True)):
            return mutation
    return None


def _agree(a: Any, b: Any) -> bool:
    """Equal to ten digits, field by field for a state."""
    if hasattr(a, "_fields"):
        return all(_agree(x, y) for x, y in zip(a, b, strict=True))
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-10, atol=1e-10 * np.max(np.abs(a)))
