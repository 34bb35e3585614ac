"""Three weak checks, scored on the same mistakes beside the audit's own, for lesson 03."""

import numpy as np

from ..._types import Array
from ...layers.marks import keep
from ..oracle import Oracle
from ..subject import Subject

WEAK = ("loss falls", "cosine > 0.99", "absolute 2e-2")


def weak_checks(
    subject: Subject, oracle: Oracle, gradient: dict[str, Array], steps: int = 50, lr: float = 0.02
) -> dict[str, bool]:
    """Whether the three weak checks notice: 50 steps downhill, the cosine, an absolute tolerance. -> {name: bool}"""
    g, c = gradient["params"], oracle.gradient["params"]
    params = subject.theta["params"].copy()
    for _ in range(steps):
        step = subject.backward({"params": params}, oracle.cotangent, keep)["params"]
        params = params - lr * step / max(1.0, np.linalg.norm(step))
    after = oracle.real({"params": params})
    cosine = (g * c).sum() / (np.linalg.norm(g) * np.linalg.norm(c) or 1.0)
    values = (not after < oracle.value, cosine <= 0.99, np.abs(g - c).max() > 2e-2)
    return {name: bool(value) for name, value in zip(WEAK, values, strict=True)}
